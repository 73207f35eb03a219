"""What the experiments on samplers have in common: what noise is like, and what a model was shown."""

import math

import torch

from checks.lab import near, twins


def character(z, steps=None):
    """What tells standard normal numbers, all of them independent, from others.

    Args:
        z: (B, C, H, W), or one such picture a step on top of each other.
        steps: how many these are.
    """
    z = z.double()
    n = z.numel()
    if not n or not z.isfinite().all():
        return "no noise to look at"
    margin = 6 * math.sqrt(2 / n)  # of the difference of two draws, for numbers of variance 1
    spread = z.std().item()

    def likeness(axis):
        size = z.shape[axis] - 1
        pairs = z.narrow(axis, 0, size) * z.narrow(axis, 1, size)
        return near(pairs.mean().item() / max(spread**2, 1e-9), 1.5 * margin)

    noise, z = z, z.reshape(steps or 1, -1, *z.shape[1:])
    axes = {"steps": 0, "images": 1, "channels": 2, "rows": 3, "columns": 4}
    return {
        "mean": near(min(max(z.mean().item(), -1), 1), margin),
        "spread": near(min(spread, 2), margin),
        "share beyond two": near((z.abs() > 2).double().mean().item(), 0.25 * margin),
        "noise of an image, compared with the others": twins(noise),
        **{
            f"likeness of {name}": likeness(axis)
            for name, axis in axes.items()
            if axis or steps is not None
        },
    }


def pictures_of(call, batch):
    """The pictures of a call; once, where labels and null labels went together, by halves or by turns."""
    x = call["x"]
    by_turns = len(x) == 2 * batch and torch.equal(x[::2], x[1::2])
    return x[::2] if by_turns else x[:batch]
