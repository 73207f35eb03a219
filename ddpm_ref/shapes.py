"""The embedded data set: ten shapes in eight colours, drawn from nothing but a seed and an index.

Image i of seed s is always the same, at every size and in whatever order images are asked for,
because each of its random numbers is a hash of (seed, index, which number). Edges are anti-aliased
over one pixel by signed distances (the distance to the outline, negative inside).
"""

import numpy as np

CLASSES = (
    "circle",
    "square",
    "triangle",
    "star",
    "cross",
    "ring",
    "heart",
    "crescent",
    "diamond",
    "arrow",
)

# Far enough apart that a person, and a look at the pixels, tells them apart under the jitter.
COLOURS = {
    "red": (0.90, 0.16, 0.16),
    "orange": (1.00, 0.55, 0.10),
    "yellow": (0.95, 0.90, 0.20),
    "green": (0.20, 0.75, 0.25),
    "cyan": (0.20, 0.85, 0.90),
    "blue": (0.20, 0.35, 0.95),
    "purple": (0.58, 0.25, 0.85),
    "pink": (1.00, 0.60, 0.80),
}

COLOUR_JITTER = 0.08  # each channel moves by at most this much
BACKGROUND = (0.02, 0.22)  # range of each background channel: dark, slightly tinted
SCALE = (0.70, 0.88)  # size of a shape, in units of half the image
ROTATION = np.deg2rad(10.0)  # largest turn either way


def draw(indices, seed: int = 0, size: int = 16) -> np.ndarray:
    """Draw images.

    Args:
        indices: (N,) integers ≥ 0; image i shows class `i % 10`.
        seed: which of the endless data sets.
        size: height and width in pixels, ≥ 8.

    Returns:
        (N, 3, size, size) uint8.
    """
    if size < 8:
        raise ValueError(f"shapes need at least 8 pixels to be told apart, got size {size}")
    indices = np.asarray(indices, dtype=np.uint64).reshape(-1)
    # In portions, so that memory stays flat however many images are asked for.
    portions = [indices[i : i + 2048] for i in range(0, max(1, len(indices)), 2048)]
    return np.concatenate([_draw_portion(portion, seed, size) for portion in portions])


def _draw_portion(indices: np.ndarray, seed: int, size: int) -> np.ndarray:
    scale = _between(SCALE, _uniform(seed, indices, "scale"))
    angle = _between((-ROTATION, ROTATION), _uniform(seed, indices, "angle"))
    room = 1.0 - scale  # keeps the shape inside, but for a fraction of a pixel of a turned corner
    centre_x = room * _between((-1, 1), _uniform(seed, indices, "x"))
    centre_y = room * _between((-1, 1), _uniform(seed, indices, "y"))

    # Pixel centres in [-1, 1], y up, moved into each shape's own frame: (N, size, size).
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    x = axis[None, None, :] - centre_x[:, None, None]
    y = -axis[None, :, None] - centre_y[:, None, None]
    cos, sin, scale = (v[:, None, None] for v in (np.cos(angle), np.sin(angle), scale))
    u, v = (cos * x + sin * y) / scale, (cos * y - sin * x) / scale

    distance = np.empty_like(u)
    labels = label_of(indices)
    for k, name in enumerate(CLASSES):
        chosen = labels == k
        distance[chosen] = _DISTANCES[name](u[chosen], v[chosen])
    inside = np.clip(0.5 - distance * scale * size / 2, 0.0, 1.0)[:, None]  # (N, 1, size, size)

    palette = np.array(list(COLOURS.values()))
    jitter = _between((-COLOUR_JITTER, COLOUR_JITTER), _uniform(seed, indices, "jitter", 3))
    colour = np.clip(palette[colour_of(indices, seed)] + jitter, 0, 1)[:, :, None, None]
    ground = _between(BACKGROUND, _uniform(seed, indices, "ground", 3))[:, :, None, None]
    return np.round(255 * (ground + inside * (colour - ground))).astype(np.uint8)


def label_of(indices) -> np.ndarray:
    """(N,) class numbers 0…9 of the images with these indices."""
    return (np.asarray(indices, dtype=np.uint64) % len(CLASSES)).astype(np.int64)


def colour_of(indices, seed: int = 0) -> np.ndarray:
    """(N,) positions in `COLOURS` of the images with these indices."""
    u = _uniform(seed, np.asarray(indices, dtype=np.uint64).reshape(-1), "colour")
    return (u * len(COLOURS)).astype(np.int64)


def colour_seen(images: np.ndarray) -> np.ndarray:
    """(N,) positions in `COLOURS` of what these pictures show, measured from their pixels alone.

    The shape is what is bright: no background channel reaches 0.4, and every colour has a channel
    above 0.6. Its mean colour is matched to the nearest of the eight.

    Args:
        images: (N, 3, H, W) uint8.
    """
    pixels = np.asarray(images, dtype=np.float64) / 255
    bright = pixels.max(axis=1, keepdims=True)  # (N, 1, H, W)
    # In a picture without anything bright, the brightest there is.
    shape = bright >= np.minimum(0.5, bright.max(axis=(2, 3), keepdims=True))
    mean = (pixels * shape).sum(axis=(2, 3)) / shape.sum(axis=(2, 3))  # (N, 3)
    palette = np.array(list(COLOURS.values()))
    return np.square(mean[:, None] - palette).sum(axis=2).argmin(axis=1)


def captions(indices, seed: int = 0) -> list[str]:
    """English captions, such as "a photo of a red star" and "a photo of an orange ring"."""
    names = list(COLOURS)
    colours = [names[c] for c in colour_of(indices, seed)]
    shapes = [CLASSES[k] for k in label_of(np.asarray(indices).reshape(-1))]
    return [
        f"a photo of {with_article(f'{colour} {shape}')}"
        for colour, shape in zip(colours, shapes, strict=True)
    ]


def with_article(noun: str) -> str:
    """ "a star", "an arrow"."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


# One stream of random numbers for each quantity, so that adding one leaves the others as they were.
_STREAMS = {name: k for k, name in enumerate(("scale", "angle", "x", "y", "colour"))}
_STREAMS |= {"jitter": 16, "ground": 32}  # these two take three numbers each


def _uniform(seed: int, indices: np.ndarray, stream: str, count: int | None = None) -> np.ndarray:
    """Uniform numbers in [0, 1): (N,), or (N, count), hashed from seed, index and stream."""
    numbers = np.arange(count or 1, dtype=np.uint64) + np.uint64(_STREAMS[stream])
    key = _splitmix64(np.uint64(seed % 2**64)) ^ _splitmix64(
        indices[:, None] * np.uint64(64) + numbers
    )
    u = (_splitmix64(key) >> np.uint64(11)).astype(np.float64) / 2**53
    return u if count else u[:, 0]


def _splitmix64(z):
    """One round of SplitMix64 (Steele, Lea & Flood 2014): a hash from 64 bits to 64 bits."""
    with np.errstate(over="ignore"):  # wrapping around 2^64 is what is meant
        z = np.asarray(z, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def _between(bounds, u):
    return bounds[0] + (bounds[1] - bounds[0]) * u


def _disc(radius, x=0.0, y=0.0):
    return lambda u, v: np.hypot(u - x, v - y) - radius


def _ring(u, v):
    return np.abs(np.hypot(u, v) - 0.72) - 0.25


def _crescent(u, v):
    """A disc with a second disc bitten out of its right side."""
    return np.maximum(_disc(0.95)(u, v), -_disc(0.80, x=0.48)(u, v))


def _polygon(*corners):
    """Signed distance to a closed polygon: nearest edge, and the sign by counting crossings."""
    corners = np.array(corners, dtype=np.float64)

    def distance(u, v):
        squared, outside = np.full(u.shape, np.inf), np.ones(u.shape, dtype=bool)
        for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            ex, ey, wx, wy = bx - ax, by - ay, u - ax, v - ay
            along = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey), 0, 1)
            squared = np.minimum(squared, (wx - along * ex) ** 2 + (wy - along * ey) ** 2)
            if ay != by:  # a ray to the right crosses this edge: step over the outline
                outside ^= ((v >= ay) != (v >= by)) & (wx < ex * wy / ey)
        return np.where(outside, 1.0, -1.0) * np.sqrt(squared)

    return distance


def _star_corners(points=5, inner=0.46):
    turn = np.pi / 2 + np.pi / points * np.arange(2 * points)
    radius = np.where(np.arange(2 * points) % 2 == 0, 1.0, inner)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)


def _heart_corners(count=32):
    s = 2 * np.pi * np.arange(count) / count
    x = 16 * np.sin(s) ** 3
    y = 13 * np.cos(s) - 5 * np.cos(2 * s) - 2 * np.cos(3 * s) - np.cos(4 * s)
    return np.stack([x, y + 2.5], axis=1) / 17.0


_A = 0.30  # half the width of the cross's arms
_DISTANCES = {
    "circle": _disc(0.92),
    "square": _polygon((-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75)),
    "triangle": _polygon((-0.92, -0.72), (0.92, -0.72), (0.0, 0.95)),
    "star": _polygon(*_star_corners()),
    "cross": _polygon(
        *((_A, _A), (_A, 0.95), (-_A, 0.95), (-_A, _A), (-0.95, _A), (-0.95, -_A)),
        *((-_A, -_A), (-_A, -0.95), (_A, -0.95), (_A, -_A), (0.95, -_A), (0.95, _A)),
    ),
    "ring": _ring,
    "heart": _polygon(*_heart_corners()),
    "crescent": _crescent,
    # Narrow on purpose: a diamond as wide as it is high is a square turned by 45 degrees.
    "diamond": _polygon((0.0, -0.98), (0.52, 0.0), (0.0, 0.98), (-0.52, 0.0)),
    "arrow": _polygon(
        *((-0.95, -0.22), (0.10, -0.22), (0.10, -0.70), (0.97, 0.0)),
        *((0.10, 0.70), (0.10, 0.22), (-0.95, 0.22)),
    ),
}
