"""Chapter 1 · Data: pictures in [−1, 1] with a label each, split, flipped, shuffled and batched.

The upper half is what chapter 1 teaches. The lower half fetches data sets: `shapes` is drawn on the
spot (`ddpm_ref.shapes`), the others are read from disk or, where torchvision knows how, downloaded.
All pictures are kept in memory as uint8: CIFAR-10 is 184 MB.
"""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from ddpm_ref import shapes
from ddpm_ref.errors import UserError, closest_hint


def to_model_range(image: Tensor) -> Tensor:
    """uint8 in 0…255, or float in [0, 1], of any shape → float32 in [−1, 1]."""
    if image.dtype == torch.uint8:
        return image.float() / 127.5 - 1
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
        mirrored = torch.rand(x.shape[:-3], generator=generator).to(x.device) < 0.5  # () or (B,)
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
        ValueError: when nothing would be left to train on.
    """
    n_val = max(1, round(val_fraction * n))
    if not 0 < n_val < n:
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
        ValueError: when the training part does not fill one batch.
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
        DataLoader(val_set, shuffle=False, drop_last=False, **shared),
    )


@dataclass(frozen=True)
class _TrainTransform:
    """`train_transform` with its switch set; a class, so that worker processes can receive it."""

    flip: bool

    def __call__(self, image: Tensor) -> Tensor:
        return train_transform(image, self.flip)


@dataclass(frozen=True)
class ImageSet:
    """A data set in memory.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: (N,) int64, positions in `classes`.
        classes: names.
        flip: whether a mirrored image still belongs to its class.
        skipped: files that could not be read.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    flip: bool
    skipped: tuple[str, ...] = ()

    def subset(self, indices: list[int]) -> "ImageSet":
        """The same set with these images only."""
        return replace(self, images=self.images[indices], labels=self.labels[indices])


DATASETS = ("shapes", "cifar10", "mnist", "fashion-mnist", "folder")

# Test images of `shapes` are the ones from this index on: no training set reaches it.
_SHAPES_TEST_FROM = 10**9

# torchvision's class, the names of the classes, whether they survive a mirror. CIFAR-10 is 163 MB and
# its archive is checked against md5 c58f30108f718f92721af3b95e74349a by torchvision, as are the others.
_TORCHVISION = {
    "cifar10": (
        "CIFAR10",
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        True,
    ),
    "mnist": ("MNIST", tuple("0123456789"), False),
    "fashion-mnist": (
        "FashionMNIST",
        (
            *("t-shirt", "trouser", "pullover", "dress", "coat"),
            *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
        ),
        True,
    ),
}


def load_dataset(
    name: str,
    data_dir: str | Path | None = None,
    image_size: int | None = None,
    test: bool = False,
    size: int = 10_000,
    seed: int = 0,
    progress: Callable = iter,
) -> ImageSet:
    """A data set by name, its training part or (`test`) its test part.

    Args:
        name: one of `DATASETS`.
        data_dir: where the files are or are downloaded to ("data" when None); for `folder` the folder
            with one sub-folder a class, or with `train/` and `test/` that hold those.
        image_size: images are cropped to a square and resized to this; None leaves them as they are
            (16 for shapes).
        test: the test part; for a `folder` without `test/` there is none (see `has_test_part`).
        size, seed: of `shapes` only: how many images, and which.
        progress: wraps the list of files while a folder is read.

    Raises:
        UserError: when the name is unknown, or files are missing or cannot be fetched.
    """
    if name == "shapes":
        first = _SHAPES_TEST_FROM if test else 0
        indices = np.arange(first, first + size)
        images = torch.from_numpy(shapes.draw(indices, seed, image_size or 16))
        # Mirrored arrows and crescents are not among the images that this set draws.
        return ImageSet(
            images, torch.from_numpy(shapes.label_of(indices)), shapes.CLASSES, flip=False
        )
    if name in _TORCHVISION:
        images, labels = _from_torchvision(name, Path(data_dir or "data"), test)
        _, classes, flip = _TORCHVISION[name]
        return ImageSet(_resize(images, image_size), labels, classes, flip)
    if name == "folder":
        if data_dir is None:
            raise UserError(
                "The data set 'folder' needs --data-dir, a folder with one sub-folder of images a class."
            )
        return _from_folder(_part_of_folder(Path(data_dir), test), image_size, progress)
    raise UserError(f"There is no data set {name!r}: {closest_hint(name, DATASETS)}.")


def has_test_part(name: str, data_dir: str | Path | None = None) -> bool:
    """Whether `load_dataset(…, test=True)` has something to give."""
    return name != "folder" or (Path(data_dir or ".") / "test").is_dir()


def _from_torchvision(name: str, data_dir: Path, test: bool) -> tuple[Tensor, Tensor]:
    from torchvision import datasets  # 3 s to import: only where it is needed

    kind = getattr(datasets, _TORCHVISION[name][0])
    for attempt in range(3):
        try:
            with _patience(30), redirect_stdout(StringIO()):
                found = kind(str(data_dir), train=not test, download=True)
            break
        except PermissionError as error:
            raise UserError(
                f"Cannot write to {data_dir} ({error}): choose another --data-dir."
            ) from error
        except (
            Exception
        ) as error:  # torchvision raises RuntimeError, URLError, OSError, zlib.error, …
            if attempt == 2:
                raise UserError(
                    f"Could not get {name} into {data_dir} ({_first_line(error)}): connect to the network, "
                    f"or give --data-dir a folder that already holds torchvision's files; "
                    f"--dataset shapes needs neither."
                ) from error
    images = torch.as_tensor(np.asarray(found.data))
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)  # (N, C, H, W)
    return images.contiguous(), torch.as_tensor(found.targets, dtype=torch.int64)


def _part_of_folder(folder: Path, test: bool) -> Path:
    if not folder.is_dir():
        raise UserError(
            f"There is no folder {folder}: give --data-dir a folder with one sub-folder of images a class."
        )
    if test:
        return folder / "test"
    return folder / "train" if (folder / "train").is_dir() else folder


def _from_folder(folder: Path, image_size: int | None, progress: Callable) -> ImageSet:
    known = {ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    classes, files, labels = [], [], []
    for sub in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        inside = sorted(p for p in sub.rglob("*") if p.suffix.lower() in known and p.is_file())
        if inside:
            files += inside
            labels += [len(classes)] * len(inside)
            classes.append(sub.name)
    if not files:
        raise UserError(
            f"No images in {folder}: it needs one sub-folder a class with images (PNG, JPEG, …) inside."
        )
    with ThreadPoolExecutor() as pool:
        images = pool.map(lambda file: _read_image(file, image_size), files)
        read = list(zip(progress(files), images, labels, strict=True))
    skipped = tuple(str(file) for file, image, _ in read if image is None)
    kept = [(image, label) for _, image, label in read if image is not None]
    if not kept:
        raise UserError(
            f"None of the {len(files)} images in {folder} can be read: are they damaged?"
        )
    sizes = {tuple(image.shape) for image, _ in kept}
    if len(sizes) > 1:
        raise UserError(
            f"The images in {folder} have {len(sizes)} different sizes: give --image-size to make them one."
        )
    stacked = torch.stack([image for image, _ in kept])
    return ImageSet(stacked, torch.tensor([y for _, y in kept]), tuple(classes), True, skipped)


def _read_image(file: Path, image_size: int | None) -> Tensor | None:
    """(3, H, W) uint8, or None when the file is no readable image."""
    try:
        with Image.open(file) as image:
            image = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if image_size is not None and image.size != (image_size, image_size):
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        box = (left, top, left + side, top + side)
        image = image.resize((image_size, image_size), Image.Resampling.BICUBIC, box=box)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _resize(images: Tensor, image_size: int | None) -> Tensor:
    if image_size is None or tuple(images.shape[-2:]) == (image_size, image_size):
        return images
    size = (image_size, image_size)
    portions = [
        F.interpolate(portion.float(), size, mode="bicubic", antialias=True)
        .round()
        .clamp(0, 255)
        .byte()
        for portion in images.split(4096)
    ]
    return torch.cat(portions)


@contextmanager
def _patience(seconds: float):
    """A limit on how long a silent server is waited for; urllib itself has none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
