"""No DataLoader and no Dataset: an iterable of the learner's own in a file of its own, which works on
whole batches; the split by sorting random keys; coins of a generator of its own."""

import torch

from .batches import Batches


def _check(image: torch.Tensor) -> None:
    """A dtype whose meaning is known."""
    if image.dtype is not torch.uint8 and not image.dtype.is_floating_point:
        raise ValueError(f"dtype {image.dtype} is not an image's")


def to_model_range(image: torch.Tensor) -> torch.Tensor:
    _check(image)
    white = 255.0 if image.dtype is torch.uint8 else 1.0
    x = image.to(torch.float32, copy=True)
    x *= 2.0 / white
    x -= 1.0
    return x


def to_image(x: torch.Tensor) -> torch.Tensor:
    half = torch.full_like(x, 0.5)
    return torch.lerp(half, torch.ones_like(x), x.minimum(half * 2).maximum(half * -2))


def train_transform(image, flip=True, generator=None):
    x = to_model_range(image)
    if not flip:
        return x
    signs = torch.randn(x.shape[:-3], generator=generator)
    mirrored = x @ torch.eye(x.shape[-1]).flip(0)
    return torch.where(signs.reshape(*signs.shape, 1, 1, 1) > 0, mirrored, x)


def eval_transform(image):
    return to_model_range(image)


def split_dataset(n, val_fraction=0.1, seed=0):
    if n < 2 or not 0 <= val_fraction < 1:
        raise ValueError("at least two images, and a fraction below 1")
    n_train = min(n - round(val_fraction * n), n - 1)
    if n_train == 0:
        raise ValueError("all images would be for validation")
    dice = torch.Generator()
    dice.manual_seed(seed)
    keys = torch.rand(n, generator=dice, dtype=torch.float64)
    order = sorted(range(n), key=keys.tolist().__getitem__)
    return order[:n_train], order[n_train:]


def make_loaders(images, labels, batch_size, val_fraction=0.1, seed=0, flip=True, num_workers=0):
    train, val = map(torch.tensor, split_dataset(len(images), val_fraction, seed))
    if not 1 <= batch_size <= len(train):
        raise ValueError("batch_size does not fit the training part")
    dice = torch.Generator()
    dice.manual_seed(1000 + seed)

    def mirrored(batch):
        return train_transform(batch, flip, dice)

    return (
        Batches(images[train], labels[train], batch_size, mirrored, dice),
        Batches(images[val], labels[val], batch_size, eval_transform),
    )
