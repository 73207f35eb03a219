"""The embedded data set: the same pictures for ever, and pictures of what they are named."""

import hashlib
import re

import numpy as np
import pytest

from ddpm_ref import shapes

FIRST = {name: k for k, name in enumerate(shapes.CLASSES)}  # index of a class's first picture


def pictures_of(name: str, count: int = 20, size: int = 64) -> np.ndarray:
    """(count, 3, size, size) float in [0, 1]."""
    return shapes.draw(FIRST[name] + 10 * np.arange(count), seed=3, size=size) / 255.0


def coverage(images: np.ndarray) -> np.ndarray:
    """(N, H, W): how much of each pixel is shape, read off the picture alone.

    The corner shows the ground; the channel that moves most shows the shape's colour best.
    """
    difference = images - images[:, :, :1, :1]
    strongest = np.abs(difference).max((2, 3)).argmax(1)
    difference = np.abs(difference[np.arange(len(images)), strongest])
    return difference / difference.max((1, 2), keepdims=True)


def test_ten_classes_and_eight_colours_that_a_prompt_can_name():
    assert " ".join(shapes.CLASSES) == (
        "circle square triangle star cross ring heart crescent diamond arrow"
    )
    assert " ".join(shapes.COLOURS) == "red orange yellow green cyan blue purple pink"


@pytest.mark.parametrize("size", [8, 9, 16, 33, 64])
def test_any_size_from_eight(size):
    images = shapes.draw(range(10), size=size)
    assert images.shape == (10, 3, size, size) and images.dtype == np.uint8
    assert all(len(np.unique(image)) > 10 for image in images)


def test_too_small_a_size_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="got size 7"):
        shapes.draw([0], size=7)


def test_no_indices_no_pictures():
    assert shapes.draw([], size=16).shape == (0, 3, 16, 16)


def test_a_picture_depends_on_seed_and_index_only():
    together = shapes.draw(range(2100), seed=5, size=8)  # more than one portion
    for i in (0, 3, 2047, 2048, 2099):
        assert np.array_equal(shapes.draw([i], seed=5, size=8)[0], together[i])
    order = np.random.default_rng(0).permutation(2100)
    assert np.array_equal(shapes.draw(order, seed=5, size=8), together[order])


def test_no_two_pictures_are_the_same():
    images = np.concatenate([shapes.draw(range(500), seed=seed) for seed in (0, 1)])
    assert len(np.unique(images.reshape(1000, -1), axis=0)) == 1000


def test_far_indices_and_large_seeds_are_no_trouble():
    far = shapes.draw([10**9, 10**9 + 1], seed=2**40)
    assert not np.array_equal(far, shapes.draw([0, 1], seed=2**40))
    assert not np.array_equal(far, shapes.draw([10**9, 10**9 + 1], seed=0))


def test_golden_pictures():
    # When this fails, every number that was ever measured on `shapes` belongs to another data set.
    images = shapes.draw([0, 11, 22, 33, 44, 55, 66, 77, 88, 99, 10**9], seed=7, size=16)
    assert hashlib.sha256(images.tobytes()).hexdigest() == (
        "adaa3777c366c1081d962f6faaa83f2d2fb2c6d733fa57902a5a23d45d83c88b"
    )


def test_small_pictures_are_large_ones_averaged():
    """Says two things: size changes nothing but the sharpness, and edges are anti-aliased."""
    small = shapes.draw(range(100), seed=1, size=16).astype(float)
    large = shapes.draw(range(100), seed=1, size=128).astype(float)
    averaged = large.reshape(100, 3, 16, 8, 16, 8).mean((3, 5))
    error = np.abs(small - averaged)
    assert error.mean() < 0.7  # 0.44; with hard edges 1.7


def test_edges_are_one_pixel_wide():
    covered = coverage(pictures_of("circle", size=128))
    partly = ((covered > 0.05) & (covered < 0.95)).sum((1, 2))
    perimeter = 2 * np.sqrt(np.pi * covered.sum((1, 2)))
    # A band one pixel wide along the whole outline, less the tenth cut off by 0.05 and 0.95.
    assert np.allclose(partly / perimeter, 0.9, atol=0.06)


def test_labels_go_round_so_that_classes_are_balanced():
    indices = np.arange(10**9, 10**9 + 1000)
    labels = shapes.label_of(indices)
    assert labels.dtype == np.int64 and labels[:12].tolist() == [*range(10), 0, 1]
    assert np.bincount(labels).tolist() == [100] * 10


def test_colours_are_uniform_and_independent_of_the_class():
    n = 40_000
    colours, labels = shapes.colour_of(range(n), seed=2), shapes.label_of(range(n))
    table = np.zeros((10, 8))
    np.add.at(table, (labels, colours), 1)
    expected = n / 80
    assert np.abs(table - expected).max() < 6 * np.sqrt(expected)


SOLID = [name for name in shapes.CLASSES if name not in ("ring", "crescent")]


@pytest.mark.parametrize("name", SOLID)
def test_the_colour_in_the_picture_is_the_colour_that_is_named(name):
    indices = FIRST[name] + 10 * np.arange(40)
    images = shapes.draw(indices, seed=4, size=64) / 255.0
    rows, columns = _centroids(coverage(images)).round().astype(int)
    seen = images[np.arange(40), :, rows, columns]  # (40, 3), at the middle of each shape
    named = np.array(list(shapes.COLOURS.values()))[shapes.colour_of(indices, seed=4)]
    assert np.abs(seen - named).max() <= shapes.COLOUR_JITTER + 1 / 255


def test_the_ground_is_dark_and_the_shape_stays_inside():
    images = shapes.draw(range(500), size=64) / 255.0
    corner = images[:, :, 0, 0]
    low, high = shapes.BACKGROUND
    assert low - 1 / 255 <= corner.min() < 0.04 and 0.20 < corner.max() <= high + 1 / 255
    # A tip may touch the border, nothing more.
    border = np.concatenate(
        [images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]], -1
    )
    touched = (np.abs(border - corner[:, :, None]).max(1) > 0.1).sum(1)
    assert touched.max() <= 5 and (touched == 0).mean() > 0.95


# Share of the bounding box that is covered, when the shape stands straight.
FILL = {
    "circle": np.pi / 4,
    "ring": np.pi * (0.97**2 - 0.47**2) / (2 * 0.97) ** 2,
    "square": 1.0,
    "triangle": 0.5,
    "diamond": 0.5,
    "cross": 1 - (1 - 0.30 / 0.95) ** 2,
}


@pytest.mark.parametrize("name", FILL)
def test_area_of_the_shapes_that_have_a_formula(name):
    covered = coverage(pictures_of(name, count=50, size=128))
    inside = covered > 0.5
    height = np.array([np.ptp(np.flatnonzero(i.any(1))) + 1 for i in inside])
    width = np.array([np.ptp(np.flatnonzero(i.any(0))) + 1 for i in inside])
    fill = covered.sum((1, 2)) / (height * width)
    # The box of a turned shape is larger, that of a round one is not.
    assert abs(fill.max() - FILL[name]) < 0.03
    if name in ("circle", "ring"):
        assert np.abs(fill - FILL[name]).max() < 0.03


# Where the centre of mass lies from the middle of the bounding box: right and up are positive.
LEANS = dict.fromkeys(shapes.CLASSES, (0, 0)) | {
    "triangle": (0, -1),  # a tip on top
    "heart": (0, 1),  # a tip at the bottom
    "crescent": (-1, 0),  # bitten on the right
    "arrow": (1, 0),  # points to the right
    "star": (0, -1),  # one tip on top, two legs below
}


@pytest.mark.parametrize("name", LEANS)
def test_shapes_stand_the_right_way_up(name):
    covered = coverage(pictures_of(name, count=50))
    rows, columns = _centroids(covered)
    inside = covered > 0.5
    middle_row = np.array([np.flatnonzero(i.any(1))[[0, -1]].mean() for i in inside])
    middle_column = np.array([np.flatnonzero(i.any(0))[[0, -1]].mean() for i in inside])
    right, up = (columns - middle_column).mean() / 32, (middle_row - rows).mean() / 32
    lean = [0 if abs(d) < 0.02 else np.sign(d) for d in (right, up)]
    assert tuple(lean) == LEANS[name], (right, up)


def test_sizes_positions_and_turns_vary():
    covered = coverage(pictures_of("square", count=100))
    rows, columns = _centroids(covered)
    side = np.sqrt(covered.sum((1, 2))) / 32 / 1.5  # in units of half the image: the scale
    assert shapes.SCALE[0] - 0.02 < side.min() < 0.72 and 0.86 < side.max() < shapes.SCALE[1] + 0.02
    assert rows.std() > 1.5 and columns.std() > 1.5
    assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.6  # 6 sigma of 100 pairs


def test_captions_name_colour_and_shape():
    indices = list(range(200))
    names, colours = shapes.CLASSES, list(shapes.COLOURS)
    for i, caption in enumerate(shapes.captions(indices, seed=9)):
        article, colour, shape = re.fullmatch(r"a photo of (an?) (\w+) (\w+)", caption).groups()
        assert shape == names[i % 10]
        assert colour == colours[shapes.colour_of([i], seed=9)[0]]
        assert article == ("an" if colour == "orange" else "a")
    assert shapes.captions([15, 3], seed=9) == [
        shapes.captions(indices, seed=9)[i] for i in (15, 3)
    ]


def test_articles():
    words = ("star", "arrow", "orange arrow", "red arrow", "Ibis")
    assert [shapes.with_article(w) for w in words] == [
        *("a star", "an arrow", "an orange arrow", "a red arrow", "an Ibis"),
    ]


def _centroids(covered: np.ndarray) -> np.ndarray:
    """(2, N): mean row and mean column of the shape in each (H, W)."""
    mass = covered.sum((1, 2))
    rows, columns = np.indices(covered.shape[1:])
    return np.stack([(covered * rows).sum((1, 2)), (covered * columns).sum((1, 2))]) / mass
