"""The referee: a classifier, trained on the data set alone, that says what a picture shows.

It takes no part in making the pictures, so it can score them. Its features also carry a Fréchet and a
kernel distance; figures of that kind compare with each other at the same n and the same judge, not
with FID and KID figures from papers, which use another network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_ref.data import split_dataset, to_model_range
from ddpm_ref.datasets import ImageSet, has_test_part, load_dataset
from ddpm_ref.errors import UserError, closest_hint
from ddpm_ref.files import in_half_precision, load_weights, read_tensors, write_tensors
from ddpm_ref.precision import autocast, select_precision
from ddpm_ref.presets import DataConfig
from ddpm_ref.shipped import shipped_judge

BATCH = 128


class Judge(nn.Module):
    """The small kind: three convolutions, 64 features, one logit a class; for images of 8×8 and larger.

    Args:
        channels: of the images.
        num_classes: how many.
    """

    kind = "small"
    classes: tuple[str, ...] = ()  # their names, where the file that it was read from tells them

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.shape = {"channels": channels, "num_classes": num_classes}
        layers, width = [], channels
        for out in (32, 64, 64):
            layers += [
                nn.Conv2d(width, out, 3, padding=1),
                nn.BatchNorm2d(out),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            width = out
        self.convolutions = nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.to_features = nn.Linear(64 * 4 * 4, 64)
        self.to_logits = nn.Linear(64, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) in [−1, 1] → (B, D)."""
        return self.to_features(self.convolutions(x))

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) in [−1, 1] → logits (B, num_classes)."""
        return self.to_logits(F.relu(self.features(x)))

    @torch.no_grad()
    def look_at(self, x: Tensor, batch: int = 500) -> tuple[Tensor, Tensor]:
        """Features (N, D) and predicted classes (N,) of (N, C, H, W) images, in batches, on the CPU."""
        self.eval()
        device = next(self.parameters()).device
        features = torch.cat(
            [self.features(portion.to(device)).cpu() for portion in x.split(batch)]
        )
        return features, self.to_logits(F.relu(features.to(device))).argmax(1).cpu()


class PhotoJudge(Judge):
    """The kind for photographs: seven convolutions, for images of 16×16 and larger.

    The first, of 2×2 pixels, is fixed: it makes pixels independent of their neighbours, and of one size.
    Three groups of 3×3 convolutions follow, a maximum over the places, one linear layer: the net of
    Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU". Once trained, it takes the mean over
    a picture and its mirror image.

    Args:
        channels: of the images.
        num_classes: how many.
        width: channels of the first group; the others have `multiples` of it, the features as many as
            the last.
        mirror: whether a mirrored picture shows the same class.
    """

    kind = "photo"
    depth, multiples = 2, (1, 4, 4)  # convolutions of each group
    # Of the training (`_train_photo`): passes over the images; learning rate and decay of the weights;
    # how far images move, and how much of them is covered, as parts of their width.
    passes, rate, decay, moves, covered = 16, 11.5, 0.0153, 1 / 16, 0.0

    def __init__(self, channels: int, num_classes: int, width: int = 64, mirror: bool = True):
        nn.Module.__init__(self)
        self.shape = {"channels": channels, "num_classes": num_classes, "width": width}
        self.shape["mirror"] = self.mirror = mirror
        self.whiten = nn.Conv2d(channels, 2 * 4 * channels, 2)
        self.whiten.weight.requires_grad_(False)
        nn.init.zeros_(self.whiten.bias)
        widths = 8 * channels, *(width * multiple for multiple in self.multiples)
        self.convolutions = nn.Sequential(
            nn.GELU(),
            *_group(*widths[0:2], self.depth),
            *_group(*widths[1:3], self.depth),
            *_group(*widths[2:4], self.depth),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.to_logits = nn.Linear(widths[-1], num_classes, bias=False)

    @torch.no_grad()
    def whiten_by(self, x: Tensor) -> None:
        """Set the first layer by the 2×2 patches of some images, (B, C, H, W) in [−1, 1].

        Its channels are the principal components of a patch, each divided by its standard deviation,
        and the same with the other sign.
        """
        patches = F.unfold(x, 2).transpose(1, 2).flatten(0, 1)  # (B · places, 4·C)
        variances, components = torch.linalg.eigh(patches.T @ patches / len(patches))
        # What hardly varies is left small: in JPEGs the finest differences of colour are noise.
        components = (components / (variances + 5e-4).sqrt()).T
        self.whiten.weight.copy_(torch.cat([components, -components]).view_as(self.whiten.weight))

    def features(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) in [−1, 1] → (B, 4·width)."""
        if min(x.shape[-2:]) < 16:
            raise UserError(
                f"A judge of the kind {self.kind} looks at 16×16 pixels and more, not at {x.shape[-2]}×"
                f"{x.shape[-1]}: take one of the kind small."
            )
        # A ninth: the classes would be too certain from the start.
        found = self.convolutions(self.whiten(x)) / 9
        if self.training or not self.mirror:
            return found
        return (found + self.convolutions(self.whiten(x.flip(-1))) / 9) / 2


class LargeJudge(PhotoJudge):
    """The kind for photographs where time matters less: ten convolutions, wider, trained for longer.

    The second and third of a group have a path around them: the net that Jordan 2024 trains to 96%.
    """

    kind = "large"
    depth, multiples = 3, (1, 3, 4)
    passes, rate, decay, moves, covered = 20, 9.0, 0.012, 1 / 8, 1 / 4

    def __init__(self, channels: int, num_classes: int, width: int = 128, mirror: bool = True):
        super().__init__(channels, num_classes, width, mirror)


def _group(channels: int, out: int, depth: int) -> list[nn.Module]:
    """2 or 3 convolutions, half of the resolution after the first; a path around those after it, if two."""
    first = [_convolution(channels, out), nn.MaxPool2d(2), _norm(out), nn.GELU()]
    second = [_convolution(out, out), _norm(out)]
    if depth == 3:
        second = [_Residual(*second, nn.GELU(), _convolution(out, out), _norm(out))]
    return [*first, *second, nn.GELU()]


class _Residual(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def _convolution(channels: int, out: int) -> nn.Conv2d:
    """It starts by passing through what comes."""
    convolution = nn.Conv2d(channels, out, 3, padding=1, bias=False)
    nn.init.dirac_(convolution.weight.data[:channels])
    return convolution


def _norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, momentum=0.4)
    norm.weight.requires_grad_(False)  # the next layer can scale by itself
    return norm


KINDS = {kind.kind: kind for kind in (Judge, PhotoJudge, LargeJudge)}


def train_judge(
    images: ImageSet,
    steps: int | None = None,
    seed: int = 0,
    device="cpu",
    progress: Callable = iter,
    kind: str = "small",
    width: int | None = None,
) -> Judge:
    """Train a referee on (the training part of) a data set.

    Args:
        images: what to learn from.
        steps: None for what the kind needs. small, 128 images a step: four passes over the images, at
            least 600 steps, ten seconds on a CPU. photo, 512 images a step: 16 passes, for CIFAR-10 an
            hour of one core. large, the same: 20 passes, four hours.
        seed: of everything random in it; the global random state is left alone.
        device: where to train.
        progress: wraps the range of steps.
        kind: "small", "photo" or "large".
        width: of the kinds photo (64 when it is None) and large (128).
    """
    if kind not in KINDS:
        raise UserError(f"There is no kind of judge {kind!r}: {closest_hint(kind, KINDS)}.")
    device, shape = torch.device(device), (images.images.shape[1], len(images.classes))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == Judge.kind:
            judge = Judge(*shape).to(device).train()
            _train_small(judge, images, steps, device, progress)
        else:
            made = {"mirror": images.flip} | ({} if width is None else {"width": width})
            judge = KINDS[kind](*shape, **made).to(device).train()
            _train_photo(judge, images, steps, device, progress)
    return judge.eval()


def _train_small(judge: Judge, images: ImageSet, steps: int | None, device, progress) -> None:
    if steps is None:
        steps = max(600, 4 * len(images.labels) // BATCH)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    for _ in progress(range(steps)):
        chosen = torch.randint(len(images.labels), (BATCH,))
        x = to_model_range(images.images[chosen])
        if images.flip:
            x = torch.where(torch.rand(BATCH, 1, 1, 1) < 0.5, x.flip(-1), x)
        # A little noise: samples are never as clean as data, and should not be failed for that.
        x = x + 0.1 * torch.rand(BATCH, 1, 1, 1) * torch.randn_like(x)
        loss = F.cross_entropy(judge(x.to(device)), images.labels[chosen].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()


def _train_photo(
    judge: PhotoJudge, images: ImageSet, steps: int | None, device: torch.device, progress
) -> None:
    """Jordan's recipe: short steps at first and last, long ones between, and the net held back a little.

    Biases of the norms learn 64 times as fast as the rest. Labels are smoothed; pictures move a little, a
    part of them may be covered, and each is mirrored in every other pass. After every fifth step the
    weights are set to a moving average of themselves ("lookahead"), a slower one towards the end.
    """
    batch = min(512, len(images.labels))
    a_pass = len(images.labels) // batch
    steps = steps or judge.passes * a_pass
    momentum = 0.85
    # A gradient moves the weights, in the end, by rate · (1 + 1 / (1 − momentum)) (Nesterov).
    rate = judge.rate * batch / 1024 / (1 + 1 / (1 - momentum))
    decay = judge.decay * batch / 1024 / (1 + 1 / (1 - momentum))  # of the weights, by each step
    biases = [m.bias for m in judge.modules() if isinstance(m, nn.BatchNorm2d)]
    others = [
        p for p in judge.parameters() if p.requires_grad and all(p is not bias for bias in biases)
    ]
    groups = [
        {"params": ps, "lr": r, "weight_decay": decay / r}
        for ps, r in ((biases, 64 * rate), (others, rate))
    ]
    optimizer = torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=True)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _up_and_down(step / steps))
    # fp16 would need a scaler: where there is no bf16, it is fp32.
    precision = "bf16" if select_precision("auto", device) == "bf16" else "fp32"
    layout = _layout(device)
    # All of it lies on the device, so that no step waits for another.
    pixels = _with_border(images.images, judge.moves).to(device)
    labels = images.labels.to(device)
    some = torch.randperm(len(labels))[:2000]
    judge.whiten_by(to_model_range(images.images[some]).to(device))
    judge.to(memory_format=layout)
    mirrored = images.flip & (torch.rand(len(labels), device=device) < 0.5)
    slow = [v.detach().clone() for v in judge.state_dict().values()]
    for step in progress(range(steps)):
        if step % a_pass == 0:
            order = torch.randperm(len(labels), device=device)
            mirrored = mirrored ^ images.flip
        chosen = order[step % a_pass * batch :][:batch]
        x = _random_crops(pixels, chosen, images.images.shape[-2:], mirrored[chosen])
        x = _cover(to_model_range(x), judge.covered).contiguous(memory_format=layout)
        with autocast(device, precision):
            logits = judge(x)
            loss = F.cross_entropy(logits, labels[chosen], label_smoothing=0.2)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        rates.step()
        if step % 5 == 4 or step + 1 == steps:
            _look_ahead(judge, slow, 1 - 0.95**5 * (step / steps) ** 3)
    judge.to(memory_format=torch.contiguous_format)


def _layout(device: torch.device) -> torch.memory_format:
    """With the channels last: a fifth faster, on a CPU too. Not on Apple's graphics, where the gradients
    of BatchNorm come out wrong then (pytorch issue 175189)."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def _up_and_down(passed: float) -> float:
    """The learning rate after this share of the training: from 0.2 up to 1 at 0.23, down to 0.07."""
    return 0.2 + 0.8 * passed / 0.23 if passed < 0.23 else 1 - 0.93 * (passed - 0.23) / 0.77


@torch.no_grad()
def _look_ahead(model: nn.Module, slow: list[Tensor], share: float) -> None:
    """Move `slow` by this share towards the model's state, and set the model to it (Zhang et al. 2019)."""
    for mine, its in zip(slow, model.state_dict().values(), strict=True):
        if mine.is_floating_point():
            its.copy_(mine.lerp_(its, share))


def _with_border(images: Tensor, share: float) -> Tensor:
    """Images with this share of their height and width mirrored on at each side."""
    for dim in (-2, -1):
        size = images.shape[dim]
        border = int(size * share)
        places = torch.arange(-border, size + border).abs()
        places = torch.minimum(places, 2 * (size - 1) - places)
        images = images.index_select(dim, places)
    return images


def _random_crops(pixels: Tensor, chosen: Tensor, size: torch.Size, mirrored: Tensor) -> Tensor:
    """Of the chosen images with a border, (B, C, H, W) at random places; `mirrored`: (B,) bool."""
    device, count = pixels.device, len(chosen)
    rows, columns = (
        torch.arange(s, device=device).expand(count, s) for s in size
    )  # (B, H), (B, W)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    rows = rows + torch.randint(pixels.shape[-2] - size[0] + 1, (count, 1), device=device)
    columns = columns + torch.randint(pixels.shape[-1] - size[1] + 1, (count, 1), device=device)
    channels = torch.arange(pixels.shape[1], device=device)
    return pixels[
        chosen[:, None, None, None],
        channels[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]


def _cover(x: Tensor, share: float) -> Tensor:
    """A grey square at a random place of each image, as wide as this share of it ("cutout")."""
    if share == 0:
        return x
    covered = torch.ones(len(x), 1, *x.shape[-2:], dtype=torch.bool, device=x.device)
    for dim in (-2, -1):
        size = x.shape[dim]
        side = int(size * share)
        first = torch.randint(size - side + 1, (len(x), 1), device=x.device)
        places = torch.arange(size, device=x.device)
        within = (places >= first) & (places < first + side)  # (B, size)
        covered &= within[:, None, :, None] if dim == -2 else within[:, None, None, :]
    return x.masked_fill(covered, 0)


@dataclass(frozen=True)
class Referee:
    """A judge, and the real pictures that nobody has trained on to measure it and the samples by.

    Attributes:
        judge: the classifier.
        accuracy: its share of right answers on the held-out pictures.
        n: how many those are.
        features: (n, 64) of the held-out pictures.
        real: the held-out pictures, None where nobody needs them.
    """

    judge: Judge
    accuracy: float
    n: int
    features: Tensor
    real: ImageSet | None = None


def appoint_referee(
    data: DataConfig,
    keep_in: Path | None = None,
    held_out: int = 2000,
    split_seed: int = 0,
    device="cpu",
    progress: Callable[[str, str], Callable] = lambda what, unit: iter,
    given: Path | None = None,
    drawn: Sequence[str] | None = None,
) -> Referee:
    """The referee for a data set: given, from the package, kept from before, or trained now.

    The package has one for shapes at 16×16 and one for CIFAR-10, which has seen its training part.

    Args:
        data: the data set.
        keep_in: folder that remembers the trained judge as `judge.safetensors`; None for nowhere.
        held_out: at most so many real pictures to measure by.
        split_seed: where there is no test part, the seed of the split that the model trained with: its
            validation images are the real pictures to measure by.
        device: where to train a judge, and where it looks at pictures.
        progress: given a title and a unit, what wraps the steps or files of that piece of work.
        given: the file of a judge that is to be taken; None for the rules above.
        drawn: the classes that are to be judged, for a check.

    Raises:
        UserError: when the given judge is one of other images or classes, or the data set has other
            classes than are drawn.
    """
    reading = progress("reading images", "files")
    size = dict(data_dir=data.data_dir, image_size=data.image_size)
    kept = keep_in / "judge.safetensors" if keep_in else None
    if has_test_part(data.dataset, data.data_dir):
        learn = None
        real = load_dataset(data.dataset, **size, test=True, size=held_out, progress=reading)
        given = given or shipped_judge(data, real.classes)
    else:
        everything = load_dataset(data.dataset, **size, progress=reading)
        train, val = split_dataset(len(everything.labels), data.val_fraction, split_seed)
        learn, real = everything.subset(train), everything.subset(val)
    if len(real.labels) < 2:
        raise UserError(
            f"To measure by there must be at least 2 pictures that the model has not learnt, and there are "
            f"{len(real.labels)}: give --data-dir more pictures, or such a folder with train/ and test/."
        )
    if drawn is not None and tuple(drawn) != tuple(real.classes):
        raise UserError(
            f"The model draws {', '.join(drawn)}, but these real pictures are of other classes: "
            f"{', '.join(real.classes)}. Give pictures of what it draws."
        )
    if given is None and kept and kept.is_file():
        given = kept
    if given is not None:
        judge = load_judge(given)
        if judge.classes and judge.classes != tuple(real.classes):
            raise UserError(
                f"{given} judges {', '.join(judge.classes)}, but these pictures are of "
                f"{', '.join(real.classes)}: give a judge of the same data set."
            )
    else:
        if learn is None:
            learn = load_dataset(data.dataset, **size, size=data.size, progress=reading)
        judge = train_judge(learn, device=device, progress=progress("training the judge", "steps"))
        if kept:
            save_judge(judge, kept)
    wanted = {"channels": real.images.shape[1], "num_classes": len(real.classes)}
    if not wanted.items() <= judge.shape.items():
        raise UserError(
            f"{given} judges {judge.shape['num_classes']} classes of pictures with "
            f"{judge.shape['channels']} channels, but {data.dataset} has {wanted['num_classes']} with "
            f"{wanted['channels']}: give a judge of the same data set."
        )
    judge = judge.to(device)
    order = torch.randperm(len(real.labels), generator=torch.Generator().manual_seed(0))[:held_out]
    features, guessed = judge.look_at(to_model_range(real.images[order]))
    right = (guessed == real.labels[order]).double()
    return Referee(judge, right.mean().item(), len(right), features, real.subset(order.tolist()))


def save_judge(judge: Judge, path: Path, about: dict | None = None, half: bool = False) -> None:
    """Write a judge as safetensors, kind and shape in the header; in half precision to pass it on."""
    header = {"judge": {"kind": judge.kind, **judge.shape}, "about": about or {}}
    tensors = judge.state_dict()
    write_tensors(path, in_half_precision(tensors) if half else tensors, header)


def load_judge(path: Path) -> Judge:
    """Read what `save_judge` wrote; a file that names no kind holds a small judge."""
    if not Path(path).is_file():
        raise UserError(f"There is no judge {path}: `ddpm judge {path}` would make one.")
    tensors, header = read_tensors(path)
    try:
        shape = dict(header["judge"])
        judge = KINDS[shape.pop("kind", Judge.kind)](**shape)
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{path} holds no judge that this version knows: remove it, or give one that `ddpm judge` wrote."
        ) from error
    load_weights(judge, tensors, path)
    judge.classes = tuple((header.get("about") or {}).get("classes", ()))
    return judge.eval()


def class_accuracy(guessed: Tensor, asked: Tensor, num_classes: int) -> tuple[float, list[float]]:
    """Share of pictures that show what was asked for: over all, and for each class (NaN if never asked).

    Args:
        guessed, asked: (N,) int64.
    """
    right = (guessed == asked).double()
    return right.mean().item(), [right[asked == k].mean().item() for k in range(num_classes)]


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Distance between two clouds of features, each taken as a Gaussian (Heusel et al. 2017, equation 6).

        |mean_a − mean_b|² + trace(C_a + C_b − 2 · (C_a · C_b)^½)

    It shrinks with the number of samples: always name n beside it.

    Args:
        a, b: (N, D) and (M, D), N and M at least 2.
    """
    if len(a) < 2 or len(b) < 2:
        raise ValueError(f"a covariance needs at least 2 samples, got {len(a)} and {len(b)}")
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    # The trace of (C_a C_b)^½ through the symmetric matrix A C_b A with A = C_a^½, which has the same
    # eigenvalues: all of it stays real, and rounding cannot push it off.
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    root_trace = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp(min=0).sqrt().sum()
    apart = (a.mean(0) - b.mean(0)).square().sum()
    return (apart + cov_a.trace() + cov_b.trace() - 2 * root_trace).clamp(min=0).item()


def kernel_distance(a: Tensor, b: Tensor, block: int = 1000) -> float:
    """How far two clouds of features are apart, by a kernel: "KID" (Bińkowski et al. 2018, equation 4).

        k(x, y) = (x · y / D + 1)³
        mean of k(a_i, a_j), i ≠ j  +  mean of k(b_i, b_j), i ≠ j  −  2 · mean of k(a_i, b_j)

    The estimate is unbiased: its expectation does not depend on the number of samples, and near 0 it may
    be negative. Computed where `a` is, `block` rows against `block` rows at a time.

    Args:
        a, b: (N, D) and (M, D), N and M at least 2.
        block: rows that are compared at once.
    """
    if len(a) < 2 or len(b) < 2:
        raise ValueError(f"pairs need at least 2 samples, got {len(a)} and {len(b)}")
    a, b = a.double(), b.to(a.device).double()

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / a.shape[1] + 1) ** 3

    def total(x: Tensor, y: Tensor) -> Tensor:
        return sum(kernel(p, q).sum() for p in x.split(block) for q in y.split(block))

    def among(x: Tensor) -> Tensor:
        """Without the pairs of a sample with itself."""
        own = (x.square().sum(1) / a.shape[1] + 1) ** 3
        return (total(x, x) - own.sum()) / (len(x) * (len(x) - 1))

    return (among(a) + among(b) - 2 * total(a, b) / (len(a) * len(b))).item()
