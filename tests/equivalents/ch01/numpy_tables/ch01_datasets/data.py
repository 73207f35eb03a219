"""NumPy inside: a table of 256 values for bytes, index arithmetic for the mirror, default_rng for the
split, and a collate function that does the work on whole batches."""

import numpy as np
import torch
from torch.utils.data import DataLoader

_TABLE = np.linspace(-1.0, 1.0, 256).astype(np.float32)


def to_model_range(image):
    array = image.numpy()
    if array.dtype == np.uint8:
        return torch.from_numpy(np.asarray(_TABLE[array]))
    if array.dtype.kind != "f":
        raise ValueError("images hold bytes or floats")
    return torch.from_numpy(np.asarray(array * 2.0 - 1.0, dtype=np.float32))


def to_image(x):
    array = np.interp(x.numpy(), [-1.0, 1.0], [0.0, 1.0])
    return torch.from_numpy(array.astype(np.float32))


def train_transform(image, flip=True, generator=None):
    x = to_model_range(image)
    if flip:
        width = x.shape[-1]
        coins = torch.randint(0, 2, (*x.shape[:-3], 1, 1, 1), generator=generator).numpy()
        forward = np.arange(width)
        columns = np.where(coins == 1, width - 1 - forward, forward)
        columns = np.broadcast_to(columns, x.shape)
        x = torch.from_numpy(np.take_along_axis(x.numpy(), columns, axis=-1))
    return x


def eval_transform(image):
    return to_model_range(image)


def split_dataset(n, val_fraction=0.1, seed=0):
    n_val = max(1, round(val_fraction * n))
    if val_fraction < 0 or val_fraction >= 1:
        raise ValueError("a fraction is in [0, 1)")
    if n_val >= n:
        raise ValueError("no training images")
    order = np.random.default_rng(seed).permutation(n)
    train, val = np.split(order, [n - n_val])
    return train.tolist(), val.tolist()


class _Collate:
    """From a list of indices to a batch."""

    def __init__(self, images, labels, transform):
        self.images, self.labels, self.transform = images, labels, transform

    def __call__(self, indices):
        return self.transform(self.images[indices]), self.labels[indices]


def make_loaders(images, labels, batch_size, val_fraction=0.1, seed=0, flip=True, num_workers=0):
    train, val = split_dataset(len(images), val_fraction, seed)
    if batch_size < 1 or batch_size > len(train):
        raise ValueError("batch_size has to be between 1 and the number of training images")
    for_training = _Collate(images, labels, lambda batch: train_transform(batch, flip))
    for_checking = _Collate(images, labels, eval_transform)
    options = {"batch_size": batch_size, "num_workers": num_workers}
    return (
        DataLoader(train, collate_fn=for_training, shuffle=True, drop_last=True, **options),
        DataLoader(val, collate_fn=for_checking, shuffle=False, **options),
    )
