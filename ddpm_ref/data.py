"""Chapter 1 · Data: pictures in [−1, 1] with a label each, split, flipped, shuffled and batched."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset


def to_model_range(image: Tensor) -> Tensor:
    """uint8 in 0…255, or float in [0, 1], of any shape → float32 in [−1, 1].

    What the numbers mean is told by the dtype alone, never by their size.

    Raises:
        ValueError: when the dtype is neither uint8 nor a floating one.
    """
    if image.dtype == torch.uint8:
        return image.float() / 127.5 - 1
    if not image.is_floating_point():
        raise ValueError(f"images are uint8 or floats in [0, 1], got {image.dtype}")
    return image.float() * 2 - 1


def to_image(x: Tensor) -> Tensor:
    """Model range back to what can be shown: any shape, clamped to [−1, 1], then to [0, 1]."""
    return (x.clamp(-1, 1) + 1) / 2


def train_transform(image: Tensor, flip: bool = True, generator: Generator | None = None) -> Tensor:
    """What a training image goes through: to [−1, 1], and mirrored left to right half of the time.

    Args:
        image: (C, H, W), or (B, C, H, W) where each image is flipped by its own draw;
            uint8 in 0…255 or float in [0, 1].
        flip: switch flips off where a mirrored image would be wrong (digits, letters).
        generator: for the draws; torch's own when None.

    Returns:
        float32 of the same shape in [−1, 1].
    """
    x = to_model_range(image)
    if flip:
        where = generator.device if generator is not None else x.device
        mirrored = torch.rand(x.shape[:-3], generator=generator, device=where).to(x.device) < 0.5
        x = torch.where(mirrored[..., None, None, None], x.flip(-1), x)
    return x


def eval_transform(image: Tensor) -> Tensor:
    """What a validation image goes through: to [−1, 1] and nothing else, so that losses compare."""
    return to_model_range(image)


def split_dataset(n: int, val_fraction: float = 0.1, seed: int = 0) -> tuple[list[int], list[int]]:
    """Split 0…n−1 at random into indices for training and for validation.

    The two are disjoint and complete; n_val = max(1, round(val_fraction · n)); the same seed gives the
    same split, and torch's global random state is left alone.

    Raises:
        ValueError: when val_fraction is not in [0, 1), or nothing would be left to train on.
    """
    n_val = max(1, round(val_fraction * n))
    if not 0 <= val_fraction < 1 or not 0 < n_val < n:
        raise ValueError(f"cannot split {n} images into training and validation at {val_fraction}")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    return order[n_val:], order[:n_val]


class ImageDataset(Dataset):
    """Some images of a set, each put through a transform whenever it is asked for.

    Training and validation are two of these over the same tensors, each with its own transform:
    one shared data set would let the flips of training reach validation.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
        indices: which of them.
        transform: (C, H, W) uint8 → (C, H, W) float32.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        indices: list[int],
        transform: Callable[[Tensor], Tensor],
    ):
        self.images, self.labels = images, labels
        self.indices, self.transform = indices, transform

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        index = self.indices[i]
        return self.transform(self.images[index]), self.labels[index]


def make_loaders(
    images: Tensor,
    labels: Tensor,
    batch_size: int,
    val_fraction: float = 0.1,
    seed: int = 0,
    flip: bool = True,
    num_workers: int = 0,
) -> tuple[DataLoader, DataLoader]:
    """Loaders of (x, y) batches: x (B, C, H, W) float32 in [−1, 1], y (B,) int64.

    Training shuffles anew each epoch and drops the last partial batch (every step then has the same
    weight); validation does neither (every image counts, in the same order).

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
        batch_size: B.
        val_fraction, seed: as in `split_dataset`; the seed also starts the shuffling.
        flip: mirror training images.
        num_workers: processes that prepare batches; 0 for none.

    Raises:
        ValueError: when batch_size is below 1 or the training part does not fill one batch, and as in
            `split_dataset`.
    """
    train, val = split_dataset(len(images), val_fraction, seed)
    if batch_size < 1 or len(train) < batch_size:
        raise ValueError(
            f"{len(train)} training images do not fill one batch of {batch_size}: "
            f"choose a batch size between 1 and {len(train)}"
        )
    train_set = ImageDataset(images, labels, train, _TrainTransform(flip))
    val_set = ImageDataset(images, labels, val, eval_transform)
    shared = dict(
        batch_size=batch_size,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
    shuffling = torch.Generator().manual_seed(seed)
    return (
        DataLoader(train_set, shuffle=True, drop_last=True, generator=shuffling, **shared),
        # A generator of its own: a loader without one moves torch's global random state.
        DataLoader(val_set, shuffle=False, drop_last=False, generator=torch.Generator(), **shared),
    )


@dataclass(frozen=True)
class _TrainTransform:
    """`train_transform` with its switch set; a class, so that worker processes can receive it."""

    flip: bool

    def __call__(self, image: Tensor) -> Tensor:
        return train_transform(image, self.flip)


class DeviceBatches:
    """The training loader's work without the loader: the images lie on the device, whole batches are
    picked, flipped and scaled there, and no process or copy stands between two steps.

    Batches are those of `make_loaders`: shuffled anew each epoch, the last partial one dropped. With
    several processes each takes every `world`-th image of each batch, so that together they see what
    one process would see, and no image is seen twice.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
        indices: which of them to train on.
        batch_size: of all processes together.
        flip: mirror images.
        generator: shuffles; on the CPU, the same for all processes.
        device: where the images are kept.
        rank, world: which of how many processes this is.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        indices: list[int],
        batch_size: int,
        flip: bool,
        generator: Generator,
        device="cpu",
        rank: int = 0,
        world: int = 1,
    ):
        self.images, self.labels = images[indices].to(device), labels[indices].to(device)
        self.batch_size, self.flip, self.generator = batch_size, flip, generator
        self.rank, self.world = rank, world
        # Batches to skip in the next epoch, when an interrupted one is taken up again.
        self.first = 0

    def __len__(self) -> int:
        return len(self.labels) // self.batch_size

    def __iter__(self):
        order = torch.randperm(len(self.labels), generator=self.generator).to(self.labels.device)
        first, self.first = self.first, 0
        for k in range(first, len(self)):
            batch = order[k * self.batch_size : (k + 1) * self.batch_size][self.rank :: self.world]
            yield train_transform(self.images[batch], self.flip), self.labels[batch]
