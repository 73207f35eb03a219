"""Chapter 1: ranges, flips, splits and loaders; and the data sets, from files as they really are."""

import hashlib
import math
import pickle
import struct
import tarfile
import time
import warnings
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_ref import shapes
from ddpm_ref.data import (
    ImageDataset,
    eval_transform,
    make_loaders,
    split_dataset,
    to_image,
    to_model_range,
    train_transform,
)
from ddpm_ref.datasets import (
    DATASETS,
    ImageSet,
    has_test_part,
    load_dataset,
)
from ddpm_ref.errors import UserError

ARCHIVE = Path(__file__).parents[2] / "shared" / "data" / "cifar10-images.tar.xz"


def within_six_sigma(count, n, p):
    return abs(count - n * p) < 6 * math.sqrt(n * p * (1 - p))


def arrows(n: int) -> torch.Tensor:
    """(n, 1, 2, 3) uint8: dark on the left, bright on the right, so that a flip shows."""
    return torch.tensor([[0, 100, 255], [0, 100, 255]], dtype=torch.uint8).expand(n, 1, 2, 3)


def flipped(x: torch.Tensor) -> torch.Tensor:
    """(...): which of the (..., 1, 2, 3) arrows point the other way."""
    return x[..., 0, 0, 0] > 0


# Ranges


def test_bytes_to_model_range():
    x = to_model_range(torch.arange(256, dtype=torch.uint8))
    assert x.dtype == torch.float32 and x[0] == -1 and x[255] == 1
    torch.testing.assert_close(x, torch.linspace(-1, 1, 256))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_floats_to_model_range(dtype):
    image = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=dtype)
    x = to_model_range(image)
    assert x.dtype == torch.float32 and x.tolist() == [-1, -0.5, 0, 1]
    assert image.tolist() == [0, 0.25, 0.5, 1]  # left as it was


def test_an_almost_black_byte_image_is_not_taken_for_floats():
    assert to_model_range(torch.tensor([1, 0], dtype=torch.uint8)).max() < -0.99


def test_to_image_clamps_and_undoes_to_model_range():
    assert to_image(torch.tensor([-7.0, -1, 0, 0.5, 1, 7])).tolist() == [0, 0, 0.5, 0.75, 1, 1]
    image = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(to_image(to_model_range(image)), image)


# Transforms


def test_each_image_of_a_batch_is_flipped_by_its_own_coin():
    n = 20_000
    x = train_transform(arrows(n))
    turned = flipped(x)
    assert x.dtype == torch.float32 and x.shape == (n, 1, 2, 3)
    assert within_six_sigma(turned.sum().item(), n, 0.5)
    assert within_six_sigma((turned[1:] & turned[:-1]).sum().item(), n - 1, 0.25)
    straight = to_model_range(arrows(1)[0])
    assert torch.equal(x[~turned][0], straight)
    assert torch.equal(x[turned][0], straight[..., [2, 1, 0]])  # left to right, not upside down


def test_single_images_are_flipped_half_of_the_time():
    n = 2000
    turned = [flipped(train_transform(arrows(1)[0])).item() for _ in range(n)]
    assert within_six_sigma(sum(turned), n, 0.5)


def test_flips_come_from_torch_or_from_the_given_generator():
    torch.manual_seed(3)
    a = train_transform(arrows(100))
    torch.manual_seed(3)
    assert torch.equal(a, train_transform(arrows(100)))
    assert not torch.equal(a, train_transform(arrows(100)))

    state = torch.get_rng_state()
    b, c = (
        train_transform(arrows(100), generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(b, c) and 20 < flipped(b).sum() < 80
    assert torch.equal(torch.get_rng_state(), state)


def test_no_flips_where_they_are_switched_off():
    image = torch.rand(64, 3, 4, 5)
    assert torch.equal(train_transform(image, flip=False), to_model_range(image))
    assert torch.equal(eval_transform(image), to_model_range(image))


def test_transforms_leave_the_image_alone():
    image = arrows(50).clone()
    train_transform(image)
    eval_transform(image)
    assert torch.equal(image, arrows(50))


# Split


@pytest.mark.parametrize(
    "n, fraction, n_val",
    [(100, 0.1, 10), (2, 0.1, 1), (7, 0.1, 1), (16, 0.1, 2), (50_000, 0.1, 5000), (10, 0.33, 3)],
)
def test_split_is_disjoint_complete_and_of_the_right_size(n, fraction, n_val):
    train, val = split_dataset(n, fraction)
    assert len(val) == n_val
    assert sorted(train + val) == list(range(n))
    assert all(type(i) is int for i in train[:5] + val[:5])


def test_split_is_random_and_decided_by_the_seed_alone():
    state = torch.get_rng_state()
    first = split_dataset(1000, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert split_dataset(1000, seed=1) == first
    assert split_dataset(1000, seed=2) != first
    # Classes often come in order: the validation part has to be spread over all of them.
    assert abs(np.mean(first[1]) - 499.5) < 6 * 1000 / math.sqrt(12 * 100)
    assert first[1] != sorted(first[1]) and max(first[1]) > 900


@pytest.mark.parametrize("n, fraction", [(1, 0.1), (0, 0.1), (10, 1.0), (10, 1.5)])
def test_a_split_that_leaves_nothing_to_train_on_is_an_error(n, fraction):
    with pytest.raises(ValueError, match=f"{n} images.*{fraction}"):
        split_dataset(n, fraction)


# Loaders


def test_a_data_set_is_some_of_the_images_through_its_transform():
    images, labels = torch.arange(40).reshape(10, 1, 2, 2).byte(), torch.arange(10)
    data = ImageDataset(images, labels, [7, 2], to_model_range)
    assert len(data) == 2
    x, y = data[1]
    assert y == 2 and torch.equal(x, to_model_range(images[2]))


def numbered(n=101):
    """Images that say which they are: (n, 1, 2, 3) uint8, all bright on the right."""
    images = arrows(n).clone()
    images[:, 0, 0, 1] = torch.arange(n, dtype=torch.uint8)
    return images, torch.arange(n)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_loaders(num_workers):
    images, labels = numbered()
    train, val = make_loaders(images, labels, 20, seed=4, num_workers=num_workers)
    in_train, in_val = (set(part) for part in split_dataset(101, seed=4))
    first, second = ([(x, y) for x, y in train] for _ in range(2))

    # Training: full batches only, all different images of its part, another order each epoch.
    assert len(train) == 4 and all(x.shape == (20, 1, 2, 3) for x, _ in first)
    seen = torch.cat([y for _, y in first]).tolist()
    assert len(set(seen)) == 80 and set(seen) <= in_train
    assert seen != torch.cat([y for _, y in second]).tolist() and seen != sorted(seen)

    # Validation: everything, in the same order, the last batch smaller, nothing flipped.
    rounds = [[(x, y) for x, y in val] for _ in range(2)]
    orders = [torch.cat([y for _, y in batches]).tolist() for batches in rounds]
    assert orders[0] == orders[1] and set(orders[0]) == in_val and len(orders[0]) == 10
    assert not any(flipped(x).any() for batches in rounds for x, _ in batches)

    # A picture keeps its label, and is flipped in one epoch but not in every other.
    for x, y in first + second:
        middle = (x[:, 0, 0, 1] + 1) * 127.5
        assert torch.equal(middle.round().long(), y)
        assert x.dtype == torch.float32 and y.dtype == torch.int64
    turned = [
        {int(k): bool(f) for x, y in epoch for k, f in zip(y, flipped(x), strict=True)}
        for epoch in (first, second)
    ]
    assert all(within_six_sigma(sum(t.values()), 80, 0.5) for t in turned)
    assert any(turned[0][k] != turned[1][k] for k in turned[0].keys() & turned[1].keys())


def test_the_last_validation_batch_is_not_dropped():
    _, val = make_loaders(*numbered(100), 4, val_fraction=0.1)
    assert [len(y) for _, y in val] == [4, 4, 2]


def test_loaders_without_flips():
    train, _ = make_loaders(*numbered(), 45, flip=False)
    assert not any(flipped(x).any() for x, _ in train)


def test_the_seed_decides_the_order_of_training():
    def order(seed):
        torch.rand(seed)  # whatever else has been drawn
        train, _ = make_loaders(*numbered(), 90, seed=seed)
        return next(iter(train))[1].tolist()

    assert order(3) == order(3)
    assert sorted(order(3)) != order(3) and order(3) != order(4)


@pytest.mark.parametrize("batch_size", [91, 0, -1])
def test_a_batch_that_cannot_be_filled_is_an_error(batch_size):
    with pytest.raises(ValueError, match=f"90 training images.*batch of {batch_size}.*1 and 90"):
        make_loaders(*numbered(100), batch_size)


def test_a_subset_is_the_same_set_with_fewer_images():
    images, labels = numbered(10)
    whole = ImageSet(images, labels, ("a", "b"), flip=False, skipped=("x.png",))
    part = whole.subset([7, 2])
    assert part.labels.tolist() == [7, 2] and torch.equal(part.images, images[[7, 2]])
    assert (part.classes, part.flip, part.skipped) == (("a", "b"), False, ("x.png",))


# shapes


def test_shapes_by_name():
    data = load_dataset("shapes", size=25, seed=3)
    assert data.images.shape == (25, 3, 16, 16) and data.images.dtype == torch.uint8
    assert np.array_equal(data.images, shapes.draw(range(25), seed=3))
    assert data.labels.tolist() == [i % 10 for i in range(25)]
    assert data.classes == shapes.CLASSES
    assert data.flip is False  # a mirrored arrow is no arrow of this set
    assert load_dataset("shapes", size=3, image_size=24).images.shape == (3, 3, 24, 24)
    assert len(load_dataset("shapes").labels) == 10_000


def test_the_test_part_of_shapes_is_other_pictures_of_the_same_kind():
    train, test = (load_dataset("shapes", size=300, seed=3, test=part) for part in (False, True))
    both = torch.cat([train.images, test.images]).flatten(1)
    assert len(both.unique(dim=0)) == 600
    assert torch.bincount(test.labels).tolist() == [30] * 10
    assert abs(train.images.float().mean() - test.images.float().mean()) < 5
    assert has_test_part("shapes")


@pytest.mark.parametrize(
    "name, hint", [("shape", 'did you mean "shapes"'), ("imagenet", "known: ")]
)
def test_an_unknown_data_set_is_an_error_that_helps(name, hint):
    with pytest.raises(UserError, match=hint) as caught:
        load_dataset(name)
    assert all(known in str(caught.value) for known in (name, *DATASETS))


# folder


def picture(file: Path, shade: int, size=(8, 8), mode="RGB", **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, shade).convert(mode).save(file, **options)


def test_folder_of_class_folders(tmp_path):
    picture(tmp_path / "dog" / "b.png", 20)
    picture(tmp_path / "dog" / "a.png", 10)
    picture(tmp_path / "cat" / "deep" / "er" / "c.JPG", 30, quality=100)  # nested, other ending
    picture(tmp_path / ".hidden" / "d.png", 40)
    picture(tmp_path / "dog" / ".ipynb_checkpoints" / "a.png", 40)
    picture(tmp_path / "__MACOSX" / "._a.png", 40)  # what macOS packs beside each file
    (tmp_path / "empty").mkdir()
    (tmp_path / "dog" / "notes.txt").write_text("not a picture")
    (tmp_path / "readme.md").write_text("not a class")
    data = load_dataset("folder", tmp_path)
    assert data.classes == ("cat", "dog") and data.labels.tolist() == [0, 1, 1]
    assert data.images.shape == (3, 3, 8, 8) and data.images.dtype == torch.uint8
    assert data.images[:, 0, 4, 4].tolist() == [30, 10, 20]
    assert data.skipped == () and data.flip is True and data.labels.dtype == torch.int64


def test_folder_with_train_and_test(tmp_path):
    for part, shade in (("train", 10), ("test", 200)):
        for name in ("cat", "dog"):
            picture(tmp_path / part / name / "1.png", shade)
    train, test = (load_dataset("folder", tmp_path, test=part) for part in (False, True))
    assert train.classes == test.classes == ("cat", "dog")
    assert train.images.unique().tolist() == [10] and test.images.unique().tolist() == [200]
    assert has_test_part("folder", tmp_path)
    assert not has_test_part("folder", tmp_path / "train")


def test_parts_in_capitals_are_not_taken_for_classes(tmp_path):
    for part in ("Train", "Test"):
        picture(tmp_path / part / "cat" / "1.png", 10)
    with pytest.raises(UserError, match="in small letters"):
        load_dataset("folder", tmp_path)


@pytest.mark.parametrize(
    "mode, expected",
    [("L", 77), ("RGB", 77), ("RGBA", 77), ("P", 77), ("LA", 77), ("1", 0), ("CMYK", 77)],
)
def test_every_kind_of_image_becomes_three_channels(tmp_path, mode, expected):
    ending = "jpg" if mode == "CMYK" else "png"
    picture(tmp_path / "a" / f"1.{ending}", 77, mode=mode)
    images = load_dataset("folder", tmp_path).images
    assert images.shape == (1, 3, 8, 8)
    if mode != "1":  # one bit a pixel: dithered
        assert (images.int() - expected).abs().max() <= 2
    else:
        assert images.unique().tolist() == [0, 255]


def test_what_is_transparent_lies_on_white(tmp_path):
    pixels = np.full((8, 8, 4), 50, dtype=np.uint8)
    pixels[..., 3] = 0
    pixels[4:, :, 3] = 255
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a" / "1.png")
    image = Image.fromarray(pixels[..., 3] // 5).convert("P")
    image.save(tmp_path / "a" / "2.png", transparency=0)
    for image in load_dataset("folder", tmp_path).images.int():
        assert image[:, :4].unique().tolist() == [255]
        assert (image[:, 4:] - 50).abs().max() <= 1


def test_photographs_are_turned_as_the_camera_was_held(tmp_path):
    half = np.zeros((8, 8), dtype=np.uint8)
    half[:, :4] = 255  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by a quarter, clockwise
    (tmp_path / "a").mkdir()
    Image.fromarray(half).save(tmp_path / "a" / "1.png", exif=exif)
    image = load_dataset("folder", tmp_path).images[0, 0]
    assert image[:4].min() == 255 and image[4:].max() == 0


def test_what_pillow_warns_of_is_read_in_silence(tmp_path):
    picture(tmp_path / "a" / "1.png", 77, mode="P", transparency=bytes([255, 128]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load_dataset("folder", tmp_path).labels) == 1
        assert load_dataset("folder", tmp_path).skipped == ()


def test_colours_and_places_survive(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a" / "1.png")
    images = load_dataset("folder", tmp_path).images
    assert np.array_equal(images[0], pixels.transpose(2, 0, 1))


def damaged_folder(tmp_path):
    good = tmp_path / "cat" / "good.png"
    picture(good, 10, size=(64, 64))
    picture(tmp_path / "cat" / "good.jpg", 10, size=(64, 64))
    bad = {
        "cut.png": good.read_bytes()[:60],
        "bent.png": good.read_bytes()[:36] + b"\5" + good.read_bytes()[37:],  # a wrong length
        "cut.jpg": (tmp_path / "cat" / "good.jpg").read_bytes()[:400],
        "empty.png": b"",
        "text.png": b"this is no picture",
        "zeros.jpg": bytes(100),
    }
    for name, content in bad.items():
        (tmp_path / "cat" / name).write_bytes(content)
    return sorted(str(tmp_path / "cat" / name) for name in bad)


def test_unreadable_files_are_named_and_skipped(tmp_path):
    bad = damaged_folder(tmp_path)
    picture(tmp_path / "dog" / "1.png", 200, size=(64, 64))
    data = load_dataset("folder", tmp_path)
    assert sorted(data.skipped) == bad
    assert data.labels.tolist() == [0, 0, 1]  # the labels of those that are left
    assert data.images[:, 0, 0, 0].tolist() == [10, 10, 200]


def test_a_folder_of_nothing_but_unreadable_files_is_an_error(tmp_path):
    damaged_folder(tmp_path)
    for name in ("good.png", "good.jpg"):
        (tmp_path / "cat" / name).unlink()
    with pytest.raises(UserError, match="None of the 6 images"):
        load_dataset("folder", tmp_path)


def test_a_class_of_nothing_but_unreadable_files_is_an_error(tmp_path):
    damaged_folder(tmp_path)
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "1.png").write_bytes(b"this is no picture")
    with pytest.raises(UserError, match=r"None of the images in .*dog can be read"):
        load_dataset("folder", tmp_path)


def test_folders_that_hold_no_data_set_are_an_error_that_says_so(tmp_path):
    with pytest.raises(UserError, match=r"no folder .*missing"):
        load_dataset("folder", tmp_path / "missing")
    with pytest.raises(UserError, match=f"No images in {tmp_path}"):
        load_dataset("folder", tmp_path)
    picture(tmp_path / "loose.png", 10)  # an image without a class
    with pytest.raises(UserError, match="one sub-folder a class"):
        load_dataset("folder", tmp_path)
    with pytest.raises(UserError, match="--data-dir"):
        load_dataset("folder")


def test_different_sizes_need_an_image_size(tmp_path):
    picture(tmp_path / "a" / "1.png", 10, size=(8, 8))
    picture(tmp_path / "a" / "2.png", 20, size=(20, 30))
    with pytest.raises(UserError, match=r"2 different sizes.*--image-size"):
        load_dataset("folder", tmp_path)
    data = load_dataset("folder", tmp_path, image_size=12)
    assert data.images.shape == (2, 3, 12, 12)
    assert data.images[:, 0, 5, 5].tolist() == [10, 20]


def test_images_are_cropped_in_the_middle_not_squeezed(tmp_path):
    wide = np.zeros((20, 60), dtype=np.uint8)
    wide[:, 20:40] = 255  # the middle square is white
    for name, pixels in (("wide", wide), ("high", wide.T)):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "1.png")
    images = load_dataset("folder", tmp_path, image_size=10).images
    assert images.min() > 200  # the filter reaches a little beyond the square


def test_resizing_averages(tmp_path):
    """A one-pixel chessboard becomes grey; picking every fourth pixel would make it white."""
    board = (np.indices((40, 40)).sum(0) % 2 * 255).astype(np.uint8)
    (tmp_path / "a").mkdir()
    Image.fromarray(board).save(tmp_path / "a" / "1.png")
    images = load_dataset("folder", tmp_path, image_size=10).images
    assert (images.int() - 127).abs().max() < 20


def test_reading_shows_its_progress(tmp_path):
    for k in range(3):
        picture(tmp_path / "a" / f"{k}.png", k)
    steps = []

    def bar(sequence):
        for item in sequence:
            steps.append(item)
            yield item

    load_dataset("folder", tmp_path, progress=bar)
    assert len(steps) == 3


def test_real_cifar10_photographs(tmp_path):
    """The first 20 pictures of the first three classes, through a loader."""
    if not ARCHIVE.is_file():
        pytest.skip(f"the archive of CIFAR-10 photographs is not at {ARCHIVE}")
    names, counts = ("airplane", "automobile", "bird"), {}
    with tarfile.open(ARCHIVE, "r|xz") as archive:
        for member in archive:
            parts = member.name.split("/")
            if not member.isfile() or counts.get(parts[1], 0) == 20:
                continue
            archive.extract(member, tmp_path, filter="data")
            counts[parts[1]] = counts.get(parts[1], 0) + 1
            if list(counts.values()) == [20, 20, 20]:
                break
    data = load_dataset("folder", tmp_path)
    assert data.classes == names and data.skipped == ()
    assert data.images.shape == (60, 3, 32, 32) and torch.bincount(data.labels).tolist() == [20] * 3
    spread = data.images.float().std((1, 2, 3))
    assert spread.min() > 3 and 30 < spread.mean() < 90  # photographs, not blanks or noise
    neighbours = (data.images[..., 1:].float() - data.images[..., :-1].float()).abs().mean()
    assert neighbours < spread.mean() / 2
    assert data.images[:20, 2].float().mean() > data.images[:20, 0].float().mean()  # blue skies
    train, _ = make_loaders(data.images, data.labels, 16)
    x, y = next(iter(train))
    assert x.shape == (16, 3, 32, 32) and -1 <= x.min() < -0.5 and 0.5 < x.max() <= 1
    assert set(y.tolist()) <= {0, 1, 2}


# Data sets that come through torchvision, in files of their real formats


def write_cifar10(folder: Path, monkeypatch) -> np.ndarray:
    """Five batches of four pictures, a test batch and the names, with the checksums to match."""
    from torchvision.datasets import CIFAR10

    base = folder / "cifar-10-batches-py"
    base.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 3, 32, 32), dtype=np.uint8)

    def write(name, content):
        (base / name).write_bytes(pickle.dumps(content))
        return name, hashlib.md5((base / name).read_bytes()).hexdigest()

    names = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]
    listed = []
    for k, name in enumerate(names):
        own = slice(4 * k, 4 * k + 4)
        labels = [i % 10 for i in range(24)[own]]
        listed.append(write(name, {"data": pixels[own].reshape(4, -1), "labels": labels}))
    _, meta = write("batches.meta", {"label_names": list("abcdefghij")})
    monkeypatch.setattr(CIFAR10, "train_list", listed[:5])
    monkeypatch.setattr(CIFAR10, "test_list", listed[5:])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": meta})
    return pixels


def test_cifar10_from_its_own_files(tmp_path, monkeypatch):
    pixels = write_cifar10(tmp_path, monkeypatch)
    train, test = (load_dataset("cifar10", tmp_path, test=part) for part in (False, True))
    assert np.array_equal(train.images, pixels[:20]) and np.array_equal(test.images, pixels[20:])
    assert train.labels.tolist() == [i % 10 for i in range(20)]
    assert test.labels.tolist() == [0, 1, 2, 3]
    assert train.classes[:3] == ("airplane", "automobile", "bird") and train.classes[9] == "truck"
    assert train.flip is True and has_test_part("cifar10")
    small = load_dataset("cifar10", tmp_path, image_size=16).images
    assert small.shape == (20, 3, 16, 16) and small.dtype == torch.uint8
    averaged = torch.from_numpy(pixels[:20]).float().mean((2, 3))
    assert (small.float().mean((2, 3)) - averaged).abs().max() < 5


@pytest.mark.parametrize("name, folder", [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_mnist_from_its_own_files(tmp_path, name, folder):
    raw = tmp_path / folder / "raw"
    raw.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
    for part, own in (("train", slice(0, 9)), ("t10k", slice(9, 12))):
        images, labels = pixels[own], np.arange(12, dtype=np.uint8)[own] % 10
        head = struct.pack(">iiii", 2051, len(images), 28, 28)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        head = struct.pack(">ii", 2049, len(labels))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    train, test = (load_dataset(name, tmp_path, test=part) for part in (False, True))
    assert train.images.shape == (9, 1, 28, 28) and np.array_equal(train.images[:, 0], pixels[:9])
    assert np.array_equal(test.images[:, 0], pixels[9:]) and test.labels.tolist() == [9, 0, 1]
    assert len(train.classes) == 10
    assert train.flip is (name == "fashion-mnist")  # a mirrored 2 is no 2
    assert load_dataset(name, tmp_path, image_size=32).images.shape == (9, 1, 32, 32)


class Server:
    """Stands in for a torchvision class: fails so many times with this error, then delivers."""

    def __init__(self, error=None, failures=99):
        self.error, self.failures, self.calls = error, failures, []

    def __call__(self, root, train, download):
        import socket

        self.calls.append((root, train, download, socket.getdefaulttimeout()))
        (Path(root) / "MNIST" / "raw").mkdir(parents=True, exist_ok=True)
        if len(self.calls) <= self.failures:
            raise self.error
        self.data, self.targets = torch.zeros(2, 28, 28, dtype=torch.uint8), torch.tensor([3, 1])
        return self


def serve(monkeypatch, server):
    from torchvision import datasets

    def no_sleep(seconds):
        raise AssertionError("a user waits")

    monkeypatch.setattr(datasets, "MNIST", server)
    monkeypatch.setattr(time, "sleep", no_sleep)
    return server


@pytest.mark.parametrize(
    "error",
    [URLError("no route to host"), RuntimeError("File not found\nor corrupted."), OSError()],
)
def test_without_a_network_there_is_one_clear_sentence(tmp_path, monkeypatch, error):
    server = serve(monkeypatch, Server(error))
    with pytest.raises(UserError) as caught:
        load_dataset("mnist", tmp_path / "here")
    message = str(caught.value)
    assert len(server.calls) == 3
    for part in ("mnist", str(tmp_path / "here"), "--data-dir", "--dataset shapes"):
        assert part in message
    assert "\n" not in message and message.endswith(".")
    assert (str(error).split("\n")[0] or "OSError") in message
    assert not (tmp_path / "here").exists()


def test_a_server_that_answers_at_the_third_try_is_good_enough(tmp_path, monkeypatch):
    import socket

    before = socket.getdefaulttimeout()
    server = serve(monkeypatch, Server(URLError("busy"), failures=2))
    data = load_dataset("mnist", tmp_path, test=True)
    assert data.images.shape == (2, 1, 28, 28) and data.labels.tolist() == [3, 1]
    assert server.calls == [(str(tmp_path), False, True, 30)] * 3  # 30 s of patience with silence
    assert socket.getdefaulttimeout() == before


def test_a_folder_that_cannot_be_written_is_not_a_network_problem(tmp_path, monkeypatch):
    server = serve(monkeypatch, Server(PermissionError(13, "Permission denied")))
    with pytest.raises(UserError, match=f"Cannot write to {tmp_path}"):
        load_dataset("mnist", tmp_path)
    assert len(server.calls) == 1
