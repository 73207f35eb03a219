"""Two TensorDatasets' worth of images in full, each with its transform, and a Subset of either; the
split by Python's own random numbers; the two branches of the range in one expression."""

import random

import torch
from torch.utils.data import DataLoader, Dataset, Subset


def to_model_range(image):
    if image.dtype == torch.uint8:
        unit = image.to(torch.float32).div(255)
    elif image.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        unit = image.to(torch.float32)
    else:
        raise ValueError(f"neither bytes nor floats: {image.dtype}")
    return (unit - 0.5) / 0.5


def to_image(x):
    return torch.clamp(x * 0.5 + 0.5, min=0.0, max=1.0)


def train_transform(image, flip=True, generator=None):
    x = to_model_range(image)
    if not flip:
        return x
    if x.ndim == 3:
        coin = torch.bernoulli(torch.tensor(0.5), generator=generator)
        return torch.flip(x, dims=(2,)) if coin.item() else x
    coins = torch.bernoulli(torch.full((len(x),), 0.5), generator=generator).bool()
    out = x.clone()
    out[coins] = torch.flip(x[coins], dims=(3,))
    return out


def eval_transform(image):
    return train_transform(image, flip=False)


def split_dataset(n, val_fraction=0.1, seed=0):
    if not (0.0 <= val_fraction < 1.0):
        raise ValueError("val_fraction has to be in [0, 1)")
    n_val = round(n * val_fraction) or 1
    if n - n_val <= 0:
        raise ValueError("nothing is left to train on")
    chosen = set(random.Random(seed).sample(range(n), n_val))
    return [i for i in range(n) if i not in chosen], sorted(chosen)


class Whole(Dataset):
    """Every image of the set, through one transform."""

    def __init__(self, images, labels, transform):
        super().__init__()
        self.images = images
        self.labels = labels
        self.transform = transform

    def __len__(self):
        return self.labels.shape[0]

    def __getitem__(self, index):
        image = self.transform(self.images[index])
        return image, self.labels[index]


def make_loaders(images, labels, batch_size, val_fraction=0.1, seed=0, flip=True, num_workers=0):
    train_indices, val_indices = split_dataset(images.shape[0], val_fraction, seed)
    if batch_size < 1:
        raise ValueError("a batch has at least one image")
    if batch_size > len(train_indices):
        raise ValueError("not one batch to train on")
    augmented = Whole(images, labels, lambda image: train_transform(image, flip))
    plain = Whole(images, labels, eval_transform)
    train_part = Subset(augmented, train_indices)
    val_part = Subset(plain, val_indices)
    train_loader = DataLoader(
        train_part, batch_size, shuffle=True, num_workers=num_workers, drop_last=True
    )
    val_loader = DataLoader(val_part, batch_size, num_workers=num_workers)
    return train_loader, val_loader
