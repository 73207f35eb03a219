"""How pictures become what CLIP was trained on, with torchvision's transforms."""

from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import normalize, resize


def prepare(visual, x):
    size = visual.image_size
    size = [size] * 2 if isinstance(size, int) else [*size]
    x = ((x + 1) * 0.5).clamp(min=0.0, max=1.0)
    x = resize(x, size, interpolation=InterpolationMode.BICUBIC, antialias=True)
    return normalize(x, list(visual.image_mean), list(visual.image_std))


def to_unit_length(rows):
    return rows / rows.norm(dim=-1, keepdim=True)
