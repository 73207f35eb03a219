"""Ways to halve and to double, by name."""

from torch import nn


def make_down(kind, c):
    return {
        "conv": lambda: nn.Conv2d(c, c, 4, stride=2, padding=1),
        "pool": lambda: nn.AvgPool2d(2),
    }[kind]()


def make_up(kind, c):
    return {
        "shuffle": lambda: nn.Sequential(nn.Conv2d(c, 4 * c, 1), nn.PixelShuffle(2)),
        "bilinear": lambda: nn.UpsamplingBilinear2d(scale_factor=2),
    }[kind]()
