"""The referee: a judge, trained on the data set alone, with the real pictures that it is measured by.

It takes no part in making the pictures, so it can score them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_ref.data import to_model_range
from ddpm_ref.datasets import ImageSet, has_test_part, load_dataset
from ddpm_ref.errors import UserError, closest_hint
from ddpm_ref.judge import KINDS, Judge, PhotoJudge, load_judge, save_judge
from ddpm_ref.precision import autocast, select_precision
from ddpm_ref.presets import DataConfig
from ddpm_ref.shipped import shipped_judge

BATCH = 128  # of the kind small


@dataclass(frozen=True)
class Referee:
    """A judge, and the real pictures that nobody has trained on to measure it and the samples by.

    Attributes:
        judge: the classifier.
        accuracy: its share of right answers on the held-out pictures.
        n: how many those are.
        features: (n, D) of the held-out pictures; D is the judge's.
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
    begun_with: int | None = None,
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
        begun_with: how many images there were when the model was trained, for a check where there is no
            test part: of more or fewer, others are held out, and it would have learnt from them.

    Raises:
        UserError: when the given judge is one of other images or classes, or the data set has other
            classes than are drawn, or another number of images than the model was begun with.
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
        if begun_with not in (None, len(everything.labels)):
            raise UserError(
                f"The model was begun with {begun_with:,} images, and here are {len(everything.labels):,}, "
                "so that it may have learnt from those that it would be measured by: give the same images, "
                "or by --data-dir such a folder with train/ and test/."
            )
        learn, real = everything.split(data.val_fraction, split_seed)
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
        must_know(judge, real, given, data.dataset)
    else:
        if learn is None:
            learn = load_dataset(data.dataset, **size, size=data.size, progress=reading)
        # A mirrored image may be one of another class.
        learn = replace(learn, flip=learn.flip and data.flip)
        judge = train_judge(learn, device=device, progress=progress("training the judge", "steps"))
        if kept:
            save_judge(judge, kept)
    judge = judge.to(device)
    order = torch.randperm(len(real.labels), generator=torch.Generator().manual_seed(0))[:held_out]
    features, guessed = judge.look_at(to_model_range(real.images[order]))
    right = (guessed == real.labels[order]).double()
    return Referee(judge, right.mean().item(), len(right), features, real.subset(order.tolist()))


def must_know(judge: Judge, real: ImageSet, file: Path, dataset: str) -> None:
    """Raise UserError when a judge from a file is one of other pictures than these."""
    if judge.classes and judge.classes != tuple(real.classes):
        raise UserError(
            f"{file} judges {', '.join(judge.classes)}, but these pictures are of "
            f"{', '.join(real.classes)}: give a judge of the same data set."
        )
    wanted = {"channels": real.images.shape[1], "num_classes": len(real.classes)}
    if not wanted.items() <= judge.shape.items():
        raise UserError(
            f"{file} judges {judge.shape['num_classes']} classes of pictures with "
            f"{judge.shape['channels']} channels, but {dataset} has {wanted['num_classes']} with "
            f"{wanted['channels']}: give a judge of the same data set."
        )


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
            hour of one core. large, the same: 36 passes, four hours.
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
    # (B, H) and (B, W)
    rows, columns = (torch.arange(s, device=device).expand(count, s) for s in size)
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
