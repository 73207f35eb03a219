"""The referee: a classifier, trained on the data set alone, that says what a picture shows.

It takes no part in making the pictures, so it can score them. Its features also carry a Fréchet and a
kernel distance; figures of that kind compare with each other at the same n and the same judge, not
with FID and KID figures from papers, which use another network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_ref.data import ImageSet, has_test_part, load_dataset, split_dataset, to_model_range
from ddpm_ref.errors import UserError, closest_hint
from ddpm_ref.files import load_weights, read_tensors, write_tensors
from ddpm_ref.precision import autocast, select_precision
from ddpm_ref.presets import DataConfig

BATCH = 128
SHIPPED_JUDGE = Path(str(files("ddpm_ref") / "weights" / "judge-shapes.safetensors"))


class Judge(nn.Module):
    """The small kind: three convolutions, 64 features, one logit a class; for images of 8×8 and larger.

    Args:
        channels: of the images.
        num_classes: how many.
    """

    kind = "small"

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


class ResidualJudge(Judge):
    """The kind for photographs: a residual network of nine layers, for images of 8×8 and larger.

    Eight 3×3 convolutions, of which two pairs have a path around them, a maximum over the places, one
    linear layer: the "ResNet-9" of Page 2018, "How to train your ResNet". Its 8·width features are not
    negative, and an eighth of what the maximum gives: the classes would be too certain from the start.

    Args:
        channels: of the images.
        num_classes: how many.
        width: channels of the first layer.
    """

    kind = "resnet"

    def __init__(self, channels: int, num_classes: int, width: int = 64):
        nn.Module.__init__(self)
        self.shape = {"channels": channels, "num_classes": num_classes, "width": width}
        self.convolutions = nn.Sequential(
            _convolution(channels, width),
            _convolution(width, 2 * width),
            nn.MaxPool2d(2),  # (B, 2·width, H/2, W/2)
            _Around(2 * width),
            _convolution(2 * width, 4 * width),
            nn.MaxPool2d(2),  # (B, 4·width, H/4, W/4)
            _convolution(4 * width, 8 * width),
            nn.MaxPool2d(2),  # (B, 8·width, H/8, W/8)
            _Around(8 * width),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.to_logits = nn.Linear(8 * width, num_classes, bias=False)

    def features(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) in [−1, 1] → (B, 8·width)."""
        return self.convolutions(x) / 8


def _convolution(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()
    )


class _Around(nn.Module):
    """Two convolutions and a path around them."""

    def __init__(self, channels: int):
        super().__init__()
        self.inner = nn.Sequential(
            _convolution(channels, channels), _convolution(channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) → (B, C, H, W)."""
        return x + self.inner(x)


KINDS = {kind.kind: kind for kind in (Judge, ResidualJudge)}


def train_judge(
    images: ImageSet,
    steps: int | None = None,
    seed: int = 0,
    device="cpu",
    progress: Callable = iter,
    kind: str = "small",
    width: int = 64,
) -> Judge:
    """Train a referee on (the training part of) a data set.

    Args:
        images: what to learn from.
        steps: None for what the kind needs. small, 128 images a step: four passes over the images, at
            least 600 steps, ten seconds on a CPU. resnet, 512 images a step: 24 passes, for a GPU.
        seed: of everything random in it; the global random state is left alone.
        device: where to train.
        progress: wraps the range of steps.
        kind: "small" or "resnet".
        width: of the resnet.
    """
    if kind not in KINDS:
        raise UserError(f"There is no kind of judge {kind!r}: {closest_hint(kind, KINDS)}.")
    device, shape = torch.device(device), (images.images.shape[1], len(images.classes))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == "resnet":
            judge = ResidualJudge(*shape, width).to(device).train()
            _train_resnet(judge, images, steps, device, progress)
        else:
            judge = Judge(*shape).to(device).train()
            _train_small(judge, images, steps, device, progress)
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


def _train_resnet(
    judge: Judge, images: ImageSet, steps: int | None, device: torch.device, progress
) -> None:
    """Page's recipe: one rise and fall of the learning rate, random crops and flips, smoothed labels."""
    batch = min(512, len(images.labels))
    a_pass = len(images.labels) // batch
    steps = steps or 24 * a_pass
    # For 512 images a step; fewer images bear a smaller step.
    rate_at_top = 0.4 * batch / 512
    optimizer = torch.optim.SGD(
        judge.parameters(), lr=rate_at_top, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        *(optimizer, rate_at_top),
        total_steps=steps,
        pct_start=5 / 24,
        anneal_strategy="linear",
        cycle_momentum=False,
    )
    # fp16 would need a scaler: where there is no bf16, it is fp32.
    precision = "bf16" if select_precision("auto", device) == "bf16" else "fp32"
    layout = torch.channels_last  # a fifth faster than the other, on a CPU too
    judge.to(memory_format=layout)
    # All of it lies on the device, so that no step waits for another.
    pixels, labels = _with_border(images.images).to(device), images.labels.to(device)
    for step in progress(range(steps)):
        if step % a_pass == 0:
            order = torch.randperm(len(labels), device=device)
        chosen = order[step % a_pass * batch :][:batch]
        x = _random_crops(pixels, chosen, images.images.shape[-2:], images.flip)
        with autocast(device, precision):
            logits = judge(to_model_range(x).contiguous(memory_format=layout))
            loss = F.cross_entropy(logits, labels[chosen], label_smoothing=0.1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        rate.step()
    judge.to(memory_format=torch.contiguous_format)


def _with_border(images: Tensor) -> Tensor:
    """Images with an eighth of their height and width mirrored on at each side: 4 pixels at 32×32."""
    for dim in (-2, -1):
        size = images.shape[dim]
        places = torch.arange(-(size // 8), size + size // 8).abs()
        places = torch.minimum(places, 2 * (size - 1) - places)
        images = images.index_select(dim, places)
    return images


def _random_crops(pixels: Tensor, chosen: Tensor, size: torch.Size, flip: bool) -> Tensor:
    """Of the chosen images with a border, (B, C, H, W) at random places, mirrored half of the time."""
    device, count = pixels.device, len(chosen)
    rows, columns = (
        torch.arange(s, device=device).expand(count, s) for s in size
    )  # (B, H), (B, W)
    if flip:
        mirrored = torch.rand(count, 1, device=device) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    rows = rows + torch.randint(pixels.shape[-2] - size[0] + 1, (count, 1), device=device)
    columns = columns + torch.randint(pixels.shape[-1] - size[1] + 1, (count, 1), device=device)
    channels = torch.arange(pixels.shape[1], device=device)
    return pixels[
        chosen[:, None, None, None],
        channels[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]


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
    progress: Callable[[str], Callable] = lambda what: iter,
    given: Path | None = None,
) -> Referee:
    """The referee for a data set: given, shipped (shapes at 16×16), kept from before, or trained now.

    Args:
        data: the data set.
        keep_in: folder that remembers the trained judge as `judge.safetensors`; None for nowhere.
        held_out: at most so many real pictures to measure by.
        split_seed: where there is no test part, the seed of the split that the model trained with: its
            validation images are the real pictures to measure by.
        device: where to train a judge, and where it looks at pictures.
        progress: given a title, what wraps the steps or files of that piece of work.
        given: the file of a judge that is to be taken; None for the rules above.

    Raises:
        UserError: when the given judge is one of other images or classes.
    """
    reading = progress("reading images")
    size = dict(data_dir=data.data_dir, image_size=data.image_size)
    kept = keep_in / "judge.safetensors" if keep_in else None
    if given is None and data.dataset == "shapes" and data.image_size == 16:
        given = SHIPPED_JUDGE
    elif given is None and kept and kept.is_file():
        given = kept
    judge, learn = load_judge(given) if given else None, None
    if has_test_part(data.dataset, data.data_dir):
        if judge is None:
            learn = load_dataset(data.dataset, **size, size=data.size, progress=reading)
        real = load_dataset(data.dataset, **size, test=True, size=held_out, progress=reading)
    else:
        everything = load_dataset(data.dataset, **size, progress=reading)
        train, val = split_dataset(len(everything.labels), data.val_fraction, split_seed)
        learn, real = everything.subset(train), everything.subset(val)
    if judge is None:
        judge = train_judge(learn, device=device, progress=progress("training the judge"))
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


def save_judge(judge: Judge, path: Path, about: dict | None = None) -> None:
    """Write a judge as safetensors, with its kind and shape in the header."""
    header = {"judge": {"kind": judge.kind, **judge.shape}, "about": about or {}}
    write_tensors(path, judge.state_dict(), header)


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
