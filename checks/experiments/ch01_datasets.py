"""Chapter 1. Which images go where, and which are mirrored, is up to chance and to the learner's own
way of drawing it. So images are recognised by what they show, and what is reported are the invariants.

Names and order of the arguments are fixed: every function is called by name and by place somewhere."""

import math
import random
from itertools import pairwise

import numpy as np

from checks import experiment
from checks.lab import *
from checks.lab import expression_of, noted

AS_IT_IS, MIRRORED, NEITHER = "as it is", "mirrored left to right", "something else"


def turned(before, after):
    """How each image (N, C, H, W) was turned, whatever range its values are in now: N words."""
    if not isinstance(after, torch.Tensor) or after.shape != before.shape:
        return [NEITHER] * len(before)
    flips = {AS_IT_IS: (), MIRRORED: (-1,), "upside down": (-2,), "turned by 180°": (-2, -1)}
    seen = centred(after)
    likeness = torch.stack(
        [(centred(before.flip(f)) * seen).sum((1, 2, 3)) for f in flips.values()]
    )
    best, which = likeness.max(0)
    words = [*flips, NEITHER]
    # One image turned into another is as unlike as noise: about 0.1 at this size.
    return [words[k if sure else -1] for k, sure in zip(which.tolist(), best > 0.9, strict=True)]


def turned_each(image, after):
    """The same of what came of one image (C, H, W), time after time."""
    if all(isinstance(x, torch.Tensor) and x.shape == image.shape for x in after):
        return turned(image.expand(len(after), -1, -1, -1), torch.stack(list(after)))
    return [NEITHER] * len(after)


def centred(x):
    x = x.detach().float()
    x = x - x.mean((1, 2, 3), keepdim=True)
    return x / x.square().sum((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-6)


def kinds(words):
    return [NEITHER] if NEITHER in words else sorted(set(words))


def pixels(x):
    """The values of each image in ascending order: the same however it is turned."""
    return x.flatten(-min(3, x.ndim)).sort(-1).values


def alike(words):
    return sum(a == b for a, b in pairwise(words))


def equal(a, b):
    return "the same" if a == b else "different"


def two(given, name):
    """The two parts of what a function gave, in a message of ours where there are not two."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise Misfit(f"{name} gives one {type(given).__name__}: (training, validation) is meant")
    return given


def numbers(split):
    """The two parts of a split as lists of Python's own numbers, whatever they are now."""
    return [[int(i) for i in part] for part in two(split, "split_dataset")]


def global_states():
    """The global random states, by whose they are."""
    _, key, place, *_ = np.random.get_state()
    torchs = torch.get_rng_state().tolist()
    return {"torch": torchs, "NumPy": (key.tolist(), place), "Python": random.getstate()}


def set_anew(call):
    """Whose global random state is the same after call(), wherever it was before: a seed is set."""
    after = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        call()
        after.append(global_states())
    return [whose for whose in after[0] if after[0][whose] == after[1][whose]]


def some(things):
    return "some" if things else "none"


def numbered(n):
    """Images that differ by the order of their 72 pixels only, and labels that say which image it is.

    Nothing in them is quite black or white: they are not to be stretched between their own extremes.
    """
    text = f"torch.linspace(9, 240, 72).byte()[normal({n}, 72).argsort(1)].reshape({n}, 3, 4, 6)"
    pictures = torch.linspace(9, 240, 72).byte()[normal(n, 72).argsort(1)].reshape(n, 3, 4, 6)
    return noted(pictures, text), noted(torch.arange(n), f"torch.arange({n})")


def loaders(impl, *args, **options):
    return two(impl.make_loaders(*args, **options), "make_loaders")


class Misfit(TypeError):
    """A batch that cannot be looked at."""


Misfit.__name__ = "TypeError"  # for the report


def pairs_of(loader):
    """One pass over a loader; every batch has to be a pair (x, y) of as many images as labels."""
    for batch in loader:
        parts = list(batch) if isinstance(batch, tuple | list) else []
        shapes = [tuple(part.shape) for part in parts if isinstance(part, torch.Tensor)]
        right = len(parts) == len(shapes) == 2 and list(map(len, shapes)) == [4, 1]
        if not right or shapes[0][0] != shapes[1][0]:
            holds = f" with {', '.join(map(str, shapes))}" if shapes else ""
            raise Misfit(
                f"a batch is a {type(batch).__name__}{holds}: (x, y) is meant, "
                "x (B, C, H, W) and y (B,)"
            )
        yield parts


def what(x, y):
    inside = ", ".join(map(str, x.shape[1:]))
    return f"x {x.dtype} (B, {inside}), y {y.dtype}"


def epoch(loader, images):
    """One pass over a loader: the batches of labels, and how each image was turned, as words."""
    batches = [(y.tolist(), turned(images[known(y, images)], x)) for x, y in pairs_of(loader)]
    return [y for y, _ in batches], [words for _, words in batches]


def known(y, images):
    """Labels as indices: in these experiments they are the numbers of the images."""
    y = y.long()
    if y.numel() and not 0 <= y.min() <= y.max() < len(images):
        raise Misfit(f"a label {y.max()} comes out of the loader, of labels 0…{len(images) - 1}")
    return y


def every(loader):
    """The labels of one pass, in the order in which they come."""
    return [int(label) for _, y in pairs_of(loader) for label in y]


def broken_off(loader):
    """How many batches come in a pass after one that ended with its first batch."""
    next(iter(loader), None)
    return len(list(loader))


def stay(epochs):
    """The share of neighbours in one epoch that are neighbours in the next, too."""
    beside = [{frozenset(pair) for pair in pairwise(order)} for order in epochs]
    kept = sum(len(a & b) for a, b in pairwise(beside))
    return kept / max(1, sum(map(len, beside[1:])))


def correlation(epochs):
    """Of an image's places in one epoch and the next, on average."""
    found = []
    for a, b in pairwise(epochs):
        both = sorted(set(a) & set(b))
        if len(both) > 2:
            found.append(np.corrcoef([[order.index(i) for i in both] for order in (a, b)])[0, 1])
    return sum(found) / max(1, len(found))


@experiment(
    "1.1",
    "bytes 0…255 become float32 in [−1, 1]",
    points=2,
    hint=(
        "Where has 0 to go, and where 255? Two points make a line.",
        "uint8 arithmetic wraps around at 256: image.float() first. And the dtype says what the "
        "numbers mean: an almost black image is still made of bytes.",
        "image.float() / 127.5 - 1",
    ),
)
def bytes_to_model_range(impl):
    steps = noted(torch.arange(256, dtype=torch.uint8), "torch.arange(256, dtype=torch.uint8)")
    night = noted(uint8_images(3, 4, 6) % 2, "uint8_images(3, 4, 6) % 2")
    return {
        "all bytes": impl.to_model_range(steps),
        "an image": impl.to_model_range(image=uint8_images(3, 4, 6)),
        "an almost black image": impl.to_model_range(night),
        "one grey image, as a batch": impl.to_model_range(uint8_images(1, 1, 4, 6)),
    }


@experiment(
    "1.1",
    "floats in [0, 1] become float32 in [−1, 1], whatever their precision",
    points=1,
    hint=(
        "Floats are already in [0, 1]: 0 has to go to −1 and 1 to 1, without any 255.",
        "The answer is float32 for float64 and float16 too. And .float() of a float32 tensor is that "
        "very tensor: whatever ends with _ would change the caller's image.",
        "image.float() * 2 - 1",
    ),
)
def floats_to_model_range(impl):
    steps = torch.arange(17).reshape(17) / 16
    # Sixteenths are exact in half precision, in whatever order one calculates.
    half = noted(steps.half(), "torch.arange(17).half() / 16")
    double = noted(steps.double().expand(3, 17), "torch.arange(17).double().expand(3, 17) / 16")
    batch = noted((images(2, 3, 4, 6).float() + 1) / 2, "(images(2, 3, 4, 6) + 1) / 2")
    return {
        "float16": impl.to_model_range(half),
        "float64": impl.to_model_range(double),
        "float32": impl.to_model_range(batch),
    }


@experiment(
    "1.1",
    "other dtypes are refused",
    points=1,
    hint=(
        "int64 numbers could be bytes, labels or anything: better an error than a guess.",
        "Every dtype but torch.uint8 and the floating ones (image.is_floating_point()): "
        "raise ValueError(…).",
    ),
)
def other_dtypes(impl):
    given = {
        dtype: noted(uint8_images(3, 4, 6).to(dtype), f"uint8_images(3, 4, 6).to({dtype})")
        for dtype in (
            torch.int64,
            torch.int32,
            torch.int16,
            torch.uint16,
            torch.int8,
            torch.bool,
            torch.complex64,
        )
    }
    return {
        str(dtype).removeprefix("torch."): raises(lambda x=x: impl.to_model_range(x))
        for dtype, x in given.items()
    }


@experiment(
    "1.2",
    "to_image clamps, then moves [−1, 1] to [0, 1]",
    points=1,
    hint=(
        "It undoes to_model_range for floats. What is 2 · image − 1 turned around? A bright picture, with "
        "nothing below 0, goes the same way.",
        "A sampler's output reaches a little beyond −1 and 1: cut that off at −1 and 1, in a new tensor.",
        "(x.clamp(-1, 1) + 1) / 2",
    ),
)
def back_to_an_image(impl):
    return {
        "within the range": impl.to_image(images(2, 3, 4, 6)),
        "beyond it": impl.to_image(normal(3, 4, 6)),
        "any shape": impl.to_image(x=normal(40)),
        "one grey image, as a batch": impl.to_image(images(1, 1, 4, 6)),
        # A bright picture has nothing below 0, and is in the model's range all the same.
        "nothing below 0": impl.to_image(noted(images(3, 4, 6).abs(), "images(3, 4, 6).abs()")),
    }


@experiment(
    "1.3",
    "each image of a batch is mirrored by a coin of its own",
    points=2,
    hint=(
        "B images, B coins. How many random numbers do you draw? Left and right are the last axis.",
        "torch.rand(B) < 0.5 is one answer an image; to choose with it, give it three more axes of "
        "length 1, so that it fits (B, C, H, W).",
        "torch.where((torch.rand(B) < 0.5)[:, None, None, None], x.flip(-1), x), with the generator.",
    ),
)
def flips_of_a_batch(impl):
    batches, size = 20, 120
    floats = noted((images(size, 3, 4, 6) + 1) / 2, f"(images({size}, 3, 4, 6) + 1) / 2")
    # Bytes and floats, coloured and grey.
    given = [
        uint8_images(size, 3, 4, 6),
        floats,
        uint8_images(size, 3, 4, 6, seed=2),
        uint8_images(size, 1, 4, 6, seed=3),
    ]
    x = [impl.train_transform(given[k % 4]) for k in range(batches)]
    of_bytes, of_floats = impl.calls.made[:2]
    by_batch = [turned(given[k % 4], each) for k, each in enumerate(x)]
    words = [word for batch in by_batch for word in batch]
    counts = {batch.count(MIRRORED) for batch in by_batch}
    pairs = batches * (size - 1)
    three = uint8_images(3, 3, 4, 6)
    in_threes = [impl.train_transform(three) for _ in range(20)]
    fitting = all(isinstance(x, torch.Tensor) and x.shape == three.shape for x in in_threes)
    by_three = turned(three.repeat(20, 1, 1, 1), torch.cat(in_threes) if fitting else None)
    share = near(words.count(MIRRORED) / len(words), 0.12)
    return {
        "values, sorted": told(pixels(x[0]), of_bytes),
        "values of floats, sorted": told(pixels(x[1]), of_floats),
        "images are": told(kinds(words), of_bytes),
        "images of floats are": told(kinds(by_batch[1]), of_floats),
        # Six sigma of a difference of two such shares are 0.09 for coins of their own. One coin a batch
        # leaves the share to 20 coins: there it is not looked at.
        "share mirrored": told(
            share if any(len(set(batch)) > 1 for batch in by_batch) else "all of a batch or none",
            of_bytes,
        ),
        "neighbours treated alike": told(near(sum(map(alike, by_batch)) / pairs, 0.1), of_bytes),
        # Coins of their own: once in 10^21.
        "as many mirrored in each of 20 batches": told(
            "yes" if len(counts) == 1 else "no", of_bytes
        ),
        "the same ones in each": told(
            "yes" if len(set(map(tuple, by_batch))) == 1 else "no", of_bytes
        ),
        # A loop from 1 leaves one of them out. Coins of their own: once in 10^11.
        "the first and the last of a batch are": [
            kinds([batch[k] for batch in by_batch] + by_three[k % 3 :: 3]) for k in (0, -1)
        ],
        # Three images of three channels are a batch, too. Coins of their own: once in 10^12.
        "batches of three": "all of a batch or none"
        if all(len(set(by_three[k : k + 3])) == 1 for k in range(0, 60, 3))
        else kinds(by_three),
    }


@experiment(
    "1.3",
    "single images are mirrored too, and none when flip=False",
    points=1,
    hint=(
        "The loader hands over one image (C, H, W) at a time: there is no batch axis then.",
        "x.shape[:-3] is () for one image and (B,) for a batch: torch.rand(x.shape[:-3]) < 0.5 fits both. "
        "With flip=False only the range changes.",
    ),
)
def flips_of_single_images(impl):
    image, batch = uint8_images(3, 4, 6), uint8_images(20, 3, 4, 6)
    times = 400
    singles = [impl.train_transform(image) for _ in range(times)]
    single = impl.calls.made[-1]
    words = turned_each(image, singles)
    still = impl.train_transform(image=batch, flip=False)
    floats = noted((images(3, 4, 6) + 1) / 2, "(images(3, 4, 6) + 1) / 2")
    # By place, as the order of the arguments is fixed, too.
    calm = [impl.train_transform(image, False) for _ in range(10)]
    calm_floats = [impl.train_transform(floats, False) for _ in range(10)]
    grey = uint8_images(1, 4, 6, seed=3)
    alone = len(set(words)) == 1 and NEITHER not in words
    return {
        "values, sorted": told(pixels(singles[0]), single),
        # Which of the two ways it is may be up to where the random numbers begin.
        f"{times} times the same image is": told(
            "always the same way" if alone else kinds(words), single
        ),
        "share mirrored": told(None if alone else about_half(words.count(MIRRORED), times), single),
        "with flip=False they are": told(
            kinds(
                [
                    *turned(batch, still),
                    *turned_each(image, calm),
                    *turned_each(floats, calm_floats),
                ]
            ),
            impl.calls.made[-1],
        ),
        "with flip=False, values, sorted": told(pixels(still), impl.calls.made[-1]),
        "with flip=False, values of floats, sorted": told(
            pixels(impl.train_transform(floats, flip=False))
        ),
        "a batch of one, values, sorted": told(pixels(impl.train_transform(batch[:1]))),
        "a batch of one, 40 times, is": told(
            kinds(turned_each(batch[0], [impl.train_transform(batch[:1])[0] for _ in range(40)]))
        ),
        "one grey image, values, sorted": told(pixels(impl.train_transform(grey))),
        "one grey image, 40 times, is": forty_times(impl, grey),
        "an image of floats, 40 times, is": forty_times(impl, floats),
    }


def forty_times(impl, image):
    """How an image comes out of train_transform: with coins of their own, once in 10^11 always alike."""
    return told(kinds(turned_each(image, [impl.train_transform(image) for _ in range(40)])))


def about_half(count, times):
    """Within five sigma of a fair coin, or the share in per cent."""
    fair = abs(count - times / 2) <= 5 * math.sqrt(times) / 2
    return "about half" if fair else f"{count / times:.0%}"


@experiment(
    "1.3",
    "the coins come from the generator, or from torch's own",
    points=1,
    hint=(
        "What makes an experiment repeatable: where do your random numbers come from, for a batch and "
        "for a single image?",
        "Hand the generator on to torch.rand. NumPy's and Python's random numbers know nothing of it, "
        "and setting a seed in the function would make every call the same.",
        "torch.rand(…, generator=generator): None there means torch's global one.",
    ),
)
def where_the_coins_come_from(impl):
    batch = uint8_images(8, 3, 4, 6)

    def of_batches(generator=None):
        # Several calls: one coin a batch should not look like coins that are always the same.
        made = [impl.train_transform(batch, generator=generator) for _ in range(10)]
        return turned(batch.repeat(10, 1, 1, 1), torch.cat(made))

    def of_single_images(generator=None):
        made = [impl.train_transform(batch[0], generator=generator) for _ in range(24)]
        return turned_each(batch[0], made)

    return {"batches": told(coins(of_batches)), "single images": told(coins(of_single_images))}


def coins(flips):
    """What flips(generator=None) has to do with the generator and with torch's own state."""
    before = torch.get_rng_state()
    first, second = (torch.Generator().manual_seed(5) for _ in range(2))
    once, again, later = flips(first), flips(second), flips(first)
    after = torch.get_rng_state()
    # Told at once, so that a report shows a call with the generator.
    seen = {
        "with generators of one seed": told(equal(once, again)),
        "called again with one of them": told(equal(once, later)),
        "so images are": told(kinds(once + later)),
        "torch's global random state meanwhile": told(equal(before.tolist(), after.tolist())),
    }
    torch.manual_seed(6)
    unaided = flips()
    more = flips()
    torch.manual_seed(6)
    repeated = flips()
    return {
        **seen,
        "after the same torch.manual_seed": equal(unaided, repeated),
        "called twice in a row": equal(unaided, more),
    }


@experiment(
    "1.4",
    "eval_transform changes the range and nothing else",
    points=1,
    hint=(
        "Validation losses can only be compared when every epoch sees the same pixels.",
        "You have already written the function that it calls.",
    ),
)
def evaluation(impl):
    batch = uint8_images(40, 3, 4, 6)
    floats = noted((images(5, 2, 7) + 1) / 2, "(images(5, 2, 7) + 1) / 2")
    x = impl.eval_transform(image=batch)
    return {
        "images are": kinds(turned(batch, x)),
        "values, sorted": pixels(x),
        "of floats, sorted": pixels(impl.eval_transform(floats)),
        "one grey image, as a batch": impl.eval_transform(uint8_images(1, 1, 4, 6)),
    }


@experiment(
    "1.5",
    "every index is in exactly one of two lists of the right lengths",
    points=2,
    hint=(
        "train + val, sorted, has to be 0…n−1. How long has val to be?",
        "n_val = max(1, round(val_fraction * n)): rounded, not cut off, and never 0.",
        "One random order, cut once: order[n_val:] and order[:n_val].",
    ),
)
def two_parts(impl):
    lengths = {}
    for n, fraction in (
        (100, 0.25),
        (17, 0.1),
        (14, 0.1),
        (7, 0.05),
        (10, 0.0),
        (2, 0.1),
        (5, 0.5),
    ):
        train, val = two(impl.split_dataset(n, fraction), "split_dataset")
        lengths[f"n={n}, {fraction}"] = told(f"{len(train)} and {len(val)}")
    tenth = impl.split_dataset(n=200)
    train, val = two(impl.split_dataset(2000, val_fraction=0.3, seed=3), "split_dataset")
    numbers = [int(i) for part in (train, val) for i in part]
    places = np.sort(np.array([int(i) for i in val]))
    gaps = np.diff(places)
    return {
        "lengths": lengths,
        "by default, n=200": [len(part) for part in tenth],
        "types": [type(train).__name__, type(val).__name__],
        "indices that come twice": some(len(set(numbers)) < len(numbers)),
        "indices that are missing": some(set(range(2000)) - set(numbers)),
        "indices outside 0…n−1": some(set(numbers) - set(range(2000))),
        # Eight sigma each: six for a difference of two. A block of neighbours and every third index
        # have gaps that are all alike.
        "validation lies around": near(places.mean() / 2000, 0.08),
        "gaps in it, spread / mean": near(gaps.std() / gaps.mean(), 0.3),
    }


@experiment(
    "1.5",
    "the seed alone decides the split, and no global random state moves",
    points=1,
    hint=(
        "Ask twice with one seed, then with another: what should change, and what not?",
        "torch.manual_seed(seed) would restart everybody else's random numbers as well. "
        "Make a generator of your own.",
        "torch.randperm(n, generator=torch.Generator().manual_seed(seed))",
    ),
)
def seeds(impl):
    before = global_states()
    given = {seed: impl.split_dataset(100, 0.2, seed) for seed in (0, 5, 6)}
    split = {seed: numbers(given[seed]) for seed in given}
    after = global_states()
    for part in given[5]:
        if isinstance(part, list):
            part.clear()  # what a caller does to the lists does not reach the next one's
    default = numbers(impl.split_dataset(100, 0.2))
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    again = {seed: numbers(impl.split_dataset(100, 0.2, seed)) for seed in (0, 5)}
    repeats = all(split[seed] == again[seed] for seed in again)
    return {
        "seed 0 again": equal(split[0], again[0]),
        "seed 5 again": equal(split[5], again[5]),
        "no seed and seed 0": equal(default, again[0]),
        "seeds 5 and 6": equal(split[5], split[6]),
        "for validation, in ascending order, with seeds 5 and 6": equal(
            sorted(split[5][1]), sorted(split[6][1])
        ),
        # Where the seed does not count, it does not matter whose random numbers are used.
        "global random states before and after": equal(before, after) if repeats else None,
    }


@experiment(
    "1.5",
    "a split that leaves nothing to train on is an error, and no other",
    points=1,
    hint=(
        "What does your function give for 10 images and val_fraction = 0.96?",
        "ValueError when val_fraction is not in [0, 1), and when n_val ≥ n; 0.6 is as good as 0.1.",
    ),
)
def impossible_splits(impl):
    cases = ((0, 0.1), (1, 0.1), (2, 0.8), (10, 0.96), (10, 0.6), (10, 1.0), (10, 1.5), (10, -0.2))
    return {
        f"n={n}, {fraction}": raises(lambda n=n, f=fraction: impl.split_dataset(n, f))
        for n, fraction in cases
    }


@experiment(
    "1.6",
    "every image comes with its own label, in batches of the right sizes",
    points=1,
    hint=(
        "Two numberings meet in a data set: i counts within the part, indices[i] within the whole set.",
        "Training drops the last batch when it is not full, validation keeps it: drop_last.",
        "index = self.indices[i], and then both self.images[index] and self.labels[index].",
    ),
)
def batches(impl):
    pictures, numbers = numbered(50)
    # From the last to the first: a label is not its image's place.
    turned_round = [noted(x.flip(0), f"{expression_of(x)}.flip(0)") for x in (pictures, numbers)]
    train, val = loaders(impl, *turned_round, 8, val_fraction=0.2, flip=False)
    learnt, checked = list(pairs_of(train)), list(pairs_of(val))
    come = [*learnt, *checked]
    found = {int(label): image for x, y in come for label, image in zip(y, x, strict=True)}
    complete = set(found) == set(range(50))
    by_label = torch.stack([found[k] for k in range(50)]) if complete else None
    # The values of each channel tell the images apart, however they are turned.
    shown = [str(image.flatten(1).sort(1).values.tolist()) for x, _ in come for image in x]
    more, labels_of_more = numbered(53)
    train, val = loaders(impl, more, labels_of_more, 8, val_fraction=0.2)
    return {
        "batches are": sorted({what(x, y) for x, y in come}),
        "labels that never come": some(not complete),
        "images that come twice": some(len(set(shown)) < len(shown)),
        "by label, images are": kinds(turned(pictures, by_label)) if complete else None,
        "training values, sorted": torch.cat([pixels(x) for x, _ in learnt]),
        "validation values, sorted": torch.cat([pixels(x) for x, _ in checked]),
        "42 for training, batches of": [len(y) for _, y in pairs_of(train)],
        "11 for validation, batches of": [len(y) for _, y in pairs_of(val)],
        "numbers of batches": [len(train), len(val)],
        "numbers of batches after a pass that was broken off": [
            broken_off(loader) for loader in (train, val)
        ],
    }


@experiment(
    "1.6",
    "flips are drawn anew for every training image, and never reach validation",
    points=2,
    hint=(
        "Which transform do validation images go through? Look at who shares a data set with whom.",
        "Two data sets over the same tensors, one with train_transform, one with eval_transform. The "
        "transform belongs into __getitem__, so that each visit draws again.",
        "ImageDataset(images, labels, train, partial(train_transform, flip=flip)) and "
        "ImageDataset(images, labels, val, eval_transform).",
    ),
)
def flips_in_training_only(impl):
    pictures, numbers = numbered(80)
    train, val = loaders(impl, pictures, numbers, 8, val_fraction=0.2, flip=True)
    ways, words, neighbours, pairs, mixed, places = {}, [], 0, 0, False, set()
    for _ in range(6):
        begun = len(words)
        for y, found in zip(*epoch(train, pictures), strict=True):
            words += found
            mixed = mixed or len(set(found)) > 1
            neighbours, pairs = neighbours + alike(found), pairs + len(found) - 1
            for label, word in zip(y, found, strict=True):
                ways.setdefault(label, set()).add(word)
        places.add(tuple(words[begun:]))
    checked = [word for _ in range(3) for batch in epoch(val, pictures)[1] for word in batch]
    both = sum(len(each) > 1 for each in ways.values())
    few = {"images": pictures[:40], "labels": numbers[:40]}
    by_default, _ = loaders(impl, **few, batch_size=8, val_fraction=0.2)
    unasked = [word for batch in epoch(by_default, pictures)[1] for word in batch]
    return {
        "images in six epochs of training and three of validation": [len(words), len(checked)],
        "training images are": kinds(words),
        "validation images are": kinds(checked),
        "by default, training images are": kinds(unasked),
        # Right: 97 in 100.
        "after six epochs, most were seen both ways": "yes" if 2 * both > len(ways) else "no",
        # Right: once in 10^96.
        "the same places of each epoch are mirrored": "yes" if len(places) == 1 else "no",
        # Where coins are not each visit's own, there are too few of them to count.
        "share mirrored": about_half(words.count(MIRRORED), len(words))
        if mixed and 2 * both > len(ways)
        else None,
        # Five sigma of a difference of two.
        "neighbours in a batch treated alike": near(neighbours / max(1, pairs), 0.25),
    }


@experiment(
    "1.6",
    "training has a new random order each epoch, validation always the same, and no seed is set",
    points=1,
    hint=(
        "In which order do images come in the first epoch, and in the second?",
        "shuffle=True for training, so that gradients of neighbours in the file are not always "
        "added together: single images, not blocks of them, and all of them before the last batch is "
        "dropped. shuffle=False for validation. A seed set along the way would restart "
        "everybody's random numbers: leave torch.manual_seed to the main program.",
    ),
)
def order(impl):
    pictures, numbers = numbered(120)
    # 90 for training, of which 2 are dropped: others in each epoch.
    train, val = loaders(impl, pictures, numbers, 8, val_fraction=0.25)
    epochs = [every(train) for _ in range(7)]
    first, second, *_ = epochs
    small = pictures[:60], numbers[:60], 5

    def one_epoch():
        for loader in loaders(impl, *small, val_fraction=0.25):
            every(loader)

    def first_order(others):
        # `others` are NumPy's and Python's seed: what torch draws, or the seed of a program, stays.
        torch.manual_seed(1)
        np.random.seed(others)
        random.seed(others)
        return epoch(loaders(impl, *small, val_fraction=0.25)[0], small[0])

    before, again, after = map(first_order, (1, 1, 2))
    # A split that sets a seed has lost its points in 1.5.
    by_the_split = set_anew(lambda: impl.split_dataset(60, 0.25))
    return {
        "images in these epochs": [len(first), len(second)],
        "two epochs in the same order": "some" if len(set(map(tuple, epochs))) < 7 else "none",
        "an image twice in an epoch": some(len(set(first)) < len(first)),
        # Right: once in 10^10.
        "training images that never come": some(len(set().union(*epochs)) < 90),
        # By chance one of 40 neighbours stays one, and places correlate with sigma 0.04.
        "most neighbours stay neighbours": "yes" if stay(epochs) > 0.3 else "no",
        "an image's place in one epoch tells that in the next": "yes"
        if abs(correlation(epochs)) > 0.3
        else "no",
        "after the same torch.manual_seed": equal(before[0], after[0]),
        # Flips that even the same seeds do not repeat may come from a generator of torch's own.
        "flips then, with another seed of NumPy's and Python's": "different"
        if before == again and before[1] != after[1]
        else "the same",
        "validation, first and second time": equal(every(val), every(val)),
        "global random states that are set anew": [
            whose for whose in set_anew(one_epoch) if whose not in by_the_split
        ],
    }


@experiment(
    "1.6",
    "the loaders follow split_dataset, with their val_fraction and their seed",
    points=1,
    hint=(
        "Are the images that you validate on those that you asked split_dataset for?",
        "make_loaders has val_fraction and seed only to hand them on: "
        "split_dataset(len(images), val_fraction, seed).",
    ),
)
def the_same_split(impl):
    pictures, numbers = numbered(60)
    part = {int(i) for i in impl.split_dataset(60, 0.4, 7)[1]}
    default = {int(i) for i in impl.split_dataset(60, 0.1, 0)[1]}
    # Grey images, one in each batch.
    grey = noted(pictures[:, :1], f"{expression_of(pictures)}[:, :1]")
    train, val = loaders(impl, grey, numbers, 1)
    seen = [next(pairs_of(train)), *pairs_of(val)]
    # Last, since it is the last call that the report shows.
    # By place, as the order of the arguments is fixed, too.
    train, val = loaders(impl, pictures, numbers, 6, 0.4, 7, True, 0)
    learnt, checked = set(every(train)), set(every(val))
    return {
        "validation images": len(checked),
        "of them, also trained on": some(learnt & checked),
        "of them, not in split_dataset(60, 0.4, 7)[1]": some(checked - part),
        "by default, batches are": sorted({what(*pair) for pair in seen}),
        "by default, validation is split_dataset(60, 0.1, 0)[1]": "yes"
        if sorted(int(y) for _, y in seen[1:]) == sorted(default)
        else "no",
    }


@experiment(
    "1.6",
    "a batch that cannot be filled is an error, not an empty epoch",
    points=1,
    hint=(
        "With drop_last and fewer images than a batch, how many steps does an epoch have?",
        "raise ValueError(…) unless 1 ≤ batch_size ≤ the number of training images.",
    ),
)
def impossible_batches(impl):
    pictures, numbers = numbered(20)
    return {
        f"batch size {size}, {fraction}": raises(
            lambda s=size, f=fraction: impl.make_loaders(pictures, numbers, s, f)
        )
        for size, fraction in ((8, 0.2), (16, 0.2), (17, 0.2), (0, 0.2), (-1, 0.2), (4, 1.0))
    }
