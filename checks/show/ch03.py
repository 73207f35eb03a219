"""Chapter 3: the shipped weights, drawn through the learner's residual block."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor, nn

from checks.lab import conditions, filled, normal
from ddpm_ref import unet
from ddpm_ref.blocks import ResidualBlock
from ddpm_ref.painting import Painter, load_painter
from ddpm_ref.pictures import grid, save_picture, stack
from ddpm_ref.recipes import make_model

SEED = 3  # of the noise


def draw(module, out: Path) -> str:
    """Draw one picture of each class, with the reference's block and with the learner's.

    Args:
        module: the learner's chapter; its ResidualBlock takes the place of the reference's in the U-Net.
        out: where the PNG goes.

    Raises:
        ValueError: when the shipped weights do not fit the learner's block.
    """
    painter = load_painter()
    theirs = replace(painter, model=network_of(module.ResidualBlock, painter))
    labels = torch.arange(len(painter.classes))
    noise = painter.noise(len(labels), seed=SEED)
    yours, right = (p.draw(labels, noise, painter.config.sample) for p in (theirs, painter))
    # In grey levels, of which there are 255; what is not a number is as far off as can be.
    apart = torch.nan_to_num(yours - right, nan=2.0).abs().clamp(max=2) * 127.5
    agree = apart.max() < 1
    verdict = "they agree" if agree else "they differ"
    rows = grid(
        torch.cat([right, torch.nan_to_num(yours)]),
        columns=len(labels),
        zoom=5,
        column_titles=painter.classes,
        row_titles=("reference", "yours"),
    )
    save_picture(
        stack([rows], [f"The shipped weights in two blocks, from one noise: {verdict}"]), out
    )
    if agree:
        return (
            "Ten classes, drawn by weights that were trained with the reference's block and now work in "
            "yours (lower row): both rows agree to the last pixel."
        )
    return (
        "The upper row is what these weights draw in the reference's block, the lower row what they draw "
        f"in yours, from the same noise: they differ, by {apart.mean():.0f} of 255 grey levels on average. "
        "`python -m checks chapter 3` says where it comes from."
    )


def network_of(block: type, painter: Painter) -> nn.Module:
    """The painter's U-Net and its weights, with another class in the place of `ResidualBlock`.

    Raises:
        ValueError: when the weights of a block do not fit.
    """
    with patch.object(unet, "ResidualBlock", block):
        model = make_model(painter.config)
    ours = {n: m for n, m in painter.model.named_modules() if isinstance(m, ResidualBlock)}
    for name, source in ours.items():
        carry_over(source, model.get_submodule(name))
    inside = tuple(f"{name}." for name in ours)
    with torch.no_grad():
        for name, value in painter.model.named_parameters():
            if not name.startswith(inside):
                model.get_parameter(name).copy_(value)
    return model.eval()


def carry_over(source: ResidualBlock, target: nn.Module) -> None:
    """Give a block the weights of another that may call them otherwise, or keep them in other pieces.

    Unless all are called the same, both are filled in such a way that what does the same has the same
    values (`checks.lab.filled`), and these tell which is which.

    Raises:
        ValueError: when they have other shapes, or do other things.
    """
    inputs = normal(2, source.conv1.in_channels, 5, 7), normal(2, source.cond.in_features, seed=1)
    with torch.no_grad():
        target.eval()(*inputs)  # lazy modules come into being here
    if _shapes(source.state_dict()) == _shapes(target.state_dict()):
        target.load_state_dict(source.state_dict())
        return
    width = source.conv1.out_channels
    fused = sorted(map(_shape, source.parameters())) == sorted(map(_shape, target.parameters()))
    rows = None if fused else width
    twin = deepcopy(source)
    conditions.fill = "shapes" if fused else "blocks"
    try:
        for block in (twin, target):
            filled(block, *inputs, names="", width=width)
    finally:
        conditions.fill = "names"
    # Where two pieces do the same, such as the biases of conv2 and of the skip, their order is free.
    values = {
        _key(a): b.clone() for a, b in zip(_pieces(twin, rows), _pieces(source, rows), strict=True)
    }
    pieces = [(piece, _key(piece)) for piece in _pieces(target, rows)]
    if sorted(key for _, key in pieces) != sorted(values):
        raise ValueError(
            "the shipped weights do not fit your ResidualBlock "
            f"({source.conv1.in_channels} → {width} channels): its parameters have the shapes "
            f"{_text(target)}, those of the reference {_text(source)}"
        )
    with torch.no_grad():
        for piece, key in pieces:
            piece.copy_(values[key].reshape(piece.shape))


def _pieces(block: nn.Module, rows: int | None):
    """The parameters that learn, or their rows in groups of so many: views, to read and to write."""
    for p in block.parameters():
        if p.requires_grad:
            split = rows and len(p) % rows == 0
            yield from p.data.split(rows) if split else [p.data]


def _key(piece: Tensor) -> tuple:
    return _shape(piece), piece.contiguous().numpy().tobytes()


def _shape(p: Tensor) -> tuple[int, ...]:
    return tuple(n for n in p.shape if n != 1)  # a 1×1 convolution is a linear layer


def _shapes(state: dict) -> dict:
    return {name: getattr(value, "shape", None) for name, value in state.items()}


def _text(block: nn.Module) -> str:
    return ", ".join(sorted("×".join(map(str, p.shape)) for p in block.parameters()))
