"""Data sets by name: `shapes` is drawn on the spot (`ddpm_ref.shapes`), the others are read from disk or,
where torchvision knows how, downloaded. All pictures are kept in memory as uint8: CIFAR-10 is 184 MB.
"""

import os
import shutil
import socket
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from ddpm_ref import shapes
from ddpm_ref.data import split_dataset
from ddpm_ref.errors import UserError, closest_hint, first_line, readable


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

    def split(self, val_fraction: float, seed: int = 0) -> tuple["ImageSet", "ImageSet"]:
        """What `split_dataset` gives to training, and what it holds back."""
        train, val = split_dataset(len(self.labels), val_fraction, seed)
        return self.subset(train), self.subset(val)


DATASETS = ("shapes", "cifar10", "mnist", "fashion-mnist", "folder")

# Test images of `shapes` are the ones from this index on: no training set reaches it.
SHAPES_TEST_FROM = 10**9

CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
# torchvision's class, the names of the classes, whether they survive a mirror. CIFAR-10 is 163 MB and
# its archive is checked against md5 c58f30108f718f92721af3b95e74349a by torchvision, as are the others.
_TORCHVISION = {
    "cifar10": ("CIFAR10", CIFAR10_CLASSES, True),
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
    if image_size is not None and not 1 <= image_size <= 4096:  # more fills any machine's memory
        raise UserError(f"Pictures have 1 to 4096 pixels a side, not {image_size}.")
    if name == "shapes":
        first = SHAPES_TEST_FROM if test else 0
        indices = np.arange(first, first + size)
        with readable("These images cannot be drawn"):
            drawn = shapes.draw(indices, seed, 16 if image_size is None else image_size)
        # Mirrored arrows and crescents are not among the images that this set draws.
        images = torch.from_numpy(drawn)
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
                "The data set 'folder' needs --data-dir: one sub-folder a class with images inside."
            )
        return _from_folder(Path(data_dir), test, image_size, progress)
    raise UserError(f"There is no data set {name!r}: {closest_hint(name, DATASETS)}.")


def has_test_part(name: str, data_dir: str | Path | None = None) -> bool:
    """Whether `load_dataset(…, test=True)` has something to give."""
    if name != "folder":
        return True
    folder = Path(data_dir or ".")
    return _is_split(folder) and (folder / "test").is_dir()


def is_fetched(name: str) -> bool:
    """Whether `load_dataset` downloads it where it is not on the disk yet."""
    return name in _TORCHVISION


def _is_split(folder: Path) -> bool:
    """Whether a folder holds train/ (and test/) with classes inside, not a class called "train"."""
    names = {sub.name for sub in _class_folders(folder)} if folder.is_dir() else set()
    if "train" in names and "test" in names:  # whatever lies beside them
        return bool(_class_folders(folder / "train"))
    return "train" in names and names <= {"train", "val", "valid", "validation"}


def _from_torchvision(name: str, data_dir: Path, test: bool) -> tuple[Tensor, Tensor]:
    from torchvision import datasets  # 3 s to import: only where it is needed

    kind = getattr(datasets, _TORCHVISION[name][0])
    new = not data_dir.exists()
    for attempt in range(3):
        try:
            with _patience(30), redirect_stdout(StringIO()):
                found = kind(str(data_dir), train=not test, download=True)
            break
        except PermissionError as error:
            raise UserError(
                f"Cannot write to {data_dir} ({error}): choose another --data-dir."
            ) from error
        except Exception as error:  # RuntimeError, URLError, OSError, zlib.error, …
            if attempt == 2:
                if new:
                    shutil.rmtree(data_dir, ignore_errors=True)
                raise UserError(
                    f"Could not get {name} into {data_dir} ({first_line(error)}): connect to the network, "
                    "or give --data-dir a folder that already holds torchvision's files, or with "
                    "--dataset folder one of pictures; --dataset shapes needs none of it."
                ) from error
    images = torch.as_tensor(np.asarray(found.data))
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)  # (N, C, H, W)
    return images.contiguous(), torch.as_tensor(found.targets, dtype=torch.int64)


def _from_folder(folder: Path, test: bool, image_size: int | None, progress: Callable) -> ImageSet:
    shape = "one sub-folder a class with images inside"
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: give --data-dir a folder with {shape}.")
    if test and not has_test_part("folder", folder):
        raise UserError(f"{folder} has no test part: it needs train/ and test/, each with {shape}.")
    split, named = _is_split(folder), {sub.name.lower(): sub for sub in _class_folders(folder)}
    if not split and {"train", "test"} <= named.keys() and _class_folders(named["train"]):
        raise UserError(f"Call the parts of {folder} train and test, in small letters.")
    learnt = folder / "train" if split else folder
    # The numbers of the classes come from the training part, also for the test part.
    classes = tuple(sub.name for sub in _class_folders(learnt) if _images_in(sub))
    part = folder / "test" if test else learnt
    files, labels = [], []
    for label, name in enumerate(classes):
        inside = _images_in(part / name)
        files += inside
        labels += [label] * len(inside)
    if not files:
        raise UserError(f"No images in {part}: it needs {shape} (PNG, JPEG, …).")
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")  # Pillow's, about files that can be read all the same
        images = pool.map(lambda file: _read_image(file, image_size), files)
        read = list(zip(progress(files), images, labels, strict=True))
    skipped = tuple(str(file) for file, image, _ in read if image is None)
    kept = [(image, label) for _, image, label in read if image is not None]
    if not kept:
        raise UserError(
            f"None of the {len(files)} images in {part} can be read: replace the damaged files."
        )
    if not test and (lost := set(range(len(classes))) - {label for _, label in kept}):
        raise UserError(
            f"None of the images in {learnt / classes[min(lost)]} can be read: replace them, or take the "
            "folder away."
        )
    if (sizes := len({image.shape for image, _ in kept})) > 1:
        raise UserError(f"The images in {part} have {sizes} different sizes: give --image-size.")
    stacked = torch.stack([image for image, _ in kept])
    return ImageSet(stacked, torch.tensor([y for _, y in kept]), classes, True, skipped)


def _class_folders(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    for sub in found:
        if not os.access(sub, os.R_OK | os.X_OK):
            raise UserError(f"{sub} may not be read: change its permissions, or take it away.")
    return found


def _images_in(folder: Path) -> list[Path]:
    """The files below a folder whose names say that they are images, in the order of their names.

    Hidden ones are left out: what macOS packs beside each picture (._cat.jpg) is none.
    """
    known = {end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    return sorted(
        p
        for p in folder.rglob("*")
        if p.suffix.lower() in known
        and p.is_file()
        and not any(part.startswith(".") for part in p.relative_to(folder).parts)
    )


def _read_image(file: Path, image_size: int | None) -> Tensor | None:
    """(3, H, W) uint8, upright, and on white where it is transparent; None when it is no readable image."""
    try:
        with Image.open(file) as image:
            image = ImageOps.exif_transpose(image)  # cameras and phones note how they were held
            if image.mode.startswith(("I", "F")):  # 16 or 32 bits a pixel: to the range of 8
                values = np.asarray(image, dtype=np.float64)
                top = 65535.0 if image.mode.startswith("I") else 1.0
                image = Image.fromarray((values / top * 255).clip(0, 255).astype(np.uint8))
            if "A" in image.getbands() or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("RGB")
    except Exception:  # each decoder has errors of its own; whatever it is, the file cannot be read
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
