"""Chapter 1 · Data: images in [−1, 1] with a label each, split, mirrored, shuffled and batched.

images (N, C, H, W) uint8 ─┬─ split_dataset ─┬─ train_transform ─ shuffled, full batches ──► training
labels (N,) int64 ─────────┘                 └─ eval_transform ── in order, every image ───► validation

N is the number of images, B the batch size, C channels, H and W height and width. No function
changes the tensors that it is given.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset


def to_model_range(image: Tensor) -> Tensor:
    """Pixels as the network wants them: black is −1, white is 1.

    The network learns to remove noise that is spread evenly around 0, so its images are too. What the
    numbers of `image` mean is told by its dtype alone, never by their size: a night scene whose
    brightest byte is 1 is still made of bytes.

        uint8, 0…255:        x = image / 127.5 − 1
        float, in [0, 1]:    x = 2 · image − 1

    Source: Ho et al. 2020, section 3.3.

    Args:
        image: uint8 in 0…255, or any floating dtype in [0, 1]; any shape. It stays as it is.

    Returns:
        float32 of the same shape in [−1, 1].

    Raises:
        ValueError: when the dtype is neither uint8 nor a floating one.
    """
    # TODO(1.1): one case for bytes, one for floats, an error for the rest. Turn bytes into floats
    # before you calculate with them: 200 + 100 is 44 in uint8.
    ### BEGIN SOLUTION
    if image.dtype == torch.uint8:
        return image.float() / 127.5 - 1
    if not image.is_floating_point():
        raise ValueError(f"images are uint8 or floats in [0, 1], got {image.dtype}")
    return image.float() * 2 - 1
    ### END SOLUTION


def to_image(x: Tensor) -> Tensor:
    """The way back, for showing and saving: clamp to [−1, 1], then move to [0, 1].

    What a network makes is not exactly within [−1, 1]; what a screen shows has to be in [0, 1].

    Args:
        x: float of any shape; meant for [−1, 1], but any number may occur. It stays as it is.

    Returns:
        (clamp(x, −1, 1) + 1) / 2: float of the same shape in [0, 1].
    """
    # TODO(1.2): one line.
    ### BEGIN SOLUTION
    return (x.clamp(-1, 1) + 1) / 2
    ### END SOLUTION


def train_transform(image: Tensor, flip: bool = True, generator: Generator | None = None) -> Tensor:
    """What a training image goes through: to [−1, 1], and mirrored left to right half of the time.

    A mirrored horse is a horse, so flips double the data for nothing. Left and right change places,
    which is the last axis, W; nothing is ever turned upside down. In a batch each image is flipped
    or not by a draw of its own, with probability 0.5.

    Args:
        image: (C, H, W), or (B, C, H, W); dtypes as in `to_model_range`.
        flip: False where a mirrored image would be wrong (digits, letters): then nothing is flipped.
        generator: where all random numbers come from, and each call moves it on; torch's global
            generator when None. Nothing else random is used or touched: not NumPy's, not Python's, no
            seed is set in here.

    Returns:
        float32 of the same shape in [−1, 1].
    """
    # TODO(1.3): change the range, then flip. Write it for one image first (one draw, one `if`), then
    # for a batch: B draws, and torch.where chooses between x and its mirror image.
    ### BEGIN SOLUTION
    x = to_model_range(image)
    if not flip:
        return x
    draws = torch.rand(x.shape[:-3], generator=generator)  # () for one image, (B,) for a batch
    mirrored = (draws < 0.5).to(x.device)
    return torch.where(mirrored[..., None, None, None], x.flip(-1), x)
    ### END SOLUTION


def eval_transform(image: Tensor) -> Tensor:
    """What a validation image goes through: to [−1, 1] and nothing else, so that losses compare.

    Args:
        image: (C, H, W), or (B, C, H, W); dtypes as in `to_model_range`.

    Returns:
        float32 of the same shape in [−1, 1], the same on every call.
    """
    # TODO(1.4): one line. It is a function of its own so that nobody has to remember a switch.
    ### BEGIN SOLUTION
    return to_model_range(image)
    ### END SOLUTION


def split_dataset(n: int, val_fraction: float = 0.1, seed: int = 0) -> tuple[list[int], list[int]]:
    """Split the indices 0…n−1 at random into those to train on and those to validate on.

    The two lists are disjoint and together complete, and

        n_val = max(1, round(val_fraction · n))

    with Python's own `round`. Which indices go where, and in which order they are listed, is decided by
    the seed alone: the same seed gives the same lists whenever it is called, another seed gives others.
    They are drawn from all over 0…n−1, since data sets often come sorted by class. No global random
    state, torch's, NumPy's or Python's, is used or changed.

    Args:
        n: number of images.
        val_fraction: share of them for validation, 0 ≤ val_fraction < 1 (0 still gives one image).
        seed: which of the splits.

    Returns:
        (indices for training, indices for validation), two lists of whole numbers.

    Raises:
        ValueError: when val_fraction is outside [0, 1), or when no image would be left to train on
            (n_val ≥ n; so too for n = 0 and n = 1).
    """
    # TODO(1.5): n_val and the error; then a random order of 0…n−1 from a generator of your own
    # (torch.Generator().manual_seed(seed)), cut in two.
    ### BEGIN SOLUTION
    n_val = max(1, round(val_fraction * n))
    if not 0 <= val_fraction < 1 or n_val >= n:
        raise ValueError(f"cannot split {n} images into training and validation at {val_fraction}")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    return order[n_val:], order[:n_val]
    ### END SOLUTION


class ImageDataset(Dataset):
    """Some images of a set, each put through a transform whenever it is asked for.

    Training and validation are two of these over the same tensors, each with its own transform: one
    data set shared by both (torch's `random_split`) would let the flips of training reach validation.

    A suggestion: only the loaders are checked, so another data set, or none, is just as right.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
        indices: which of them, in which order.
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
        # TODO(1.6): how many images this part has.
        ### BEGIN SOLUTION
        return len(self.indices)
        ### END SOLUTION

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        # TODO(1.6): the i-th image of this part, transformed, and its label. Mind the two numberings:
        # i counts within the part, self.indices[i] within the whole set.
        ### BEGIN SOLUTION
        index = self.indices[i]
        return self.transform(self.images[index]), self.labels[index]
        ### END SOLUTION


def make_loaders(
    images: Tensor,
    labels: Tensor,
    batch_size: int,
    val_fraction: float = 0.1,
    seed: int = 0,
    flip: bool = True,
    num_workers: int = 0,
) -> tuple[DataLoader, DataLoader]:
    """Two loaders of batches (x, y): x (B, C, H, W) float32 in [−1, 1], y (B,) int64, its labels.

    The images of each are those of `split_dataset(N, val_fraction, seed)`.

    Training goes through `train_transform`: every time an image comes up it is flipped or not by a
    new draw. Each epoch (one pass over the loader) has a new random order of all training images, no
    image comes twice in it, and a last batch of fewer than B images is dropped: every step then has the
    same weight, and in each epoch others are left out.

    Validation goes through `eval_transform`: every image, each once, in the same order each time, the
    last batch as small as it comes. So two validation losses differ by the model only.

    No seed of torch's, NumPy's or Python's global random numbers is set, in here or while loading; and
    NumPy's and Python's are not used: after the same torch.manual_seed training comes in the same order.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64; labels[i] belongs to images[i].
        batch_size: B.
        val_fraction, seed: as in `split_dataset`.
        flip: as in `train_transform`.
        num_workers: processes that prepare batches, as in `DataLoader`; 0 for none.

    Returns:
        (training loader, validation loader): `DataLoader`s, or anything else with a length, the number
        of batches, that can be iterated over again and again.

    Raises:
        ValueError: when `batch_size` is below 1 or above the number of training images (training
            would have no batch at all), and as in `split_dataset`.
    """
    # TODO(1.6): split; refuse a batch that cannot be filled; two data sets, each with its transform
    # (functools.partial sets `flip`); two DataLoaders, each with its shuffle and drop_last.
    ### BEGIN SOLUTION
    train, val = split_dataset(len(images), val_fraction, seed)
    if not 1 <= batch_size <= len(train):
        raise ValueError(f"{len(train)} training images do not fill one batch of {batch_size}")
    train_set = ImageDataset(images, labels, train, partial(train_transform, flip=flip))
    val_set = ImageDataset(images, labels, val, eval_transform)
    shared = dict(batch_size=batch_size, num_workers=num_workers)
    return (
        DataLoader(train_set, shuffle=True, drop_last=True, **shared),
        DataLoader(val_set, shuffle=False, drop_last=False, **shared),
    )
    ### END SOLUTION
