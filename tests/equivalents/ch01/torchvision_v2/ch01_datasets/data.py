"""torchvision's transforms, samplers in place of shuffle and drop_last, labels as plain integers."""

import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, StackDataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

_TO_MODEL = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Lambda(lambda x: 2 * x - 1)])


def to_model_range(image):
    if image.dtype != torch.uint8 and not torch.is_floating_point(image):
        raise ValueError("bytes or floats, please")
    return _TO_MODEL(image)


def to_image(x):
    return F.normalize(x[None, None, None], [-1.0], [2.0])[0, 0, 0].clip(0, 1)


def train_transform(image, flip=True, generator=None):
    x = to_model_range(image)
    if not flip:
        return x
    if x.ndim > 3:
        return torch.stack([_perhaps_mirrored(each, generator) for each in x])
    return _perhaps_mirrored(x, generator)


def _perhaps_mirrored(x, generator):
    if torch.rand(1, generator=generator) < 0.5:
        return F.horizontal_flip(x)
    return x


def eval_transform(image):
    return to_model_range(image)


def split_dataset(n, val_fraction=0.1, seed=0):
    n_val = max(round(val_fraction * n), 1)
    if val_fraction < 0 or val_fraction >= 1 or n_val >= n:
        raise ValueError(f"no such split of {n}: {val_fraction}")
    parts = torch.utils.data.random_split(
        range(n), [n - n_val, n_val], generator=torch.Generator().manual_seed(seed)
    )
    return list(parts[0].indices), list(parts[1].indices)


class Pictures(torch.utils.data.Dataset):
    """Transformed when asked for."""

    def __init__(self, images, transform):
        self.images, self.transform = images, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.transform(self.images[i])


def make_loaders(images, labels, batch_size, val_fraction=0.1, seed=0, flip=True, num_workers=0):
    train, val = split_dataset(len(images), val_fraction, seed)
    if not 0 < batch_size <= len(train):
        raise ValueError(f"batch_size must be in 1…{len(train)}")
    learnt = Pictures(images[train], lambda image: train_transform(image, flip))
    learning = StackDataset(learnt, labels[train].tolist())
    checking = StackDataset(Pictures(images[val], eval_transform), labels[val].tolist())
    sampler = BatchSampler(RandomSampler(learning), batch_size, drop_last=True)
    return (
        DataLoader(learning, batch_sampler=sampler, num_workers=num_workers),
        DataLoader(checking, batch_size=batch_size, num_workers=num_workers),
    )
