"""Chapter 2: the learner's embeddings as a heat map, and how alike timesteps and classes come out."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.nn.functional import normalize

DIM, STEPS = 64, 1000
CLASSES = 10  # as many as the course's shapes; the null class comes on top


def draw(module, out: Path) -> str:
    """Draw the picture of chapter 2.

    Args:
        module: the chapter's module, by whoever wrote it.
        out: where the PNG goes.

    Returns:
        A sentence that says what is to be seen.

    Raises:
        ValueError: when something has another shape than the chapter asks for.
    """
    with torch.no_grad():
        t = torch.arange(STEPS)
        embedded = _of_shape(
            module.SinusoidalPositionEmbeddings(DIM)(t),
            (STEPS, DIM),
            "the embedding of 1000 timesteps",
        )
        vectors = _class_vectors(module)
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(14, 4.6), layout="constrained", width_ratios=(1.25, 1, 1)
    )
    _heat_map(left, embedded)
    _alike(
        middle,
        _similarity(embedded),
        "How alike two timesteps are\n(cosine of their embeddings)",
        "timestep",
    )
    if vectors is None:
        right.set_axis_off()
        right.text(0.5, 0.5, "the class vectors\nare still to be written", ha="center", va="center")
    else:
        _alike(
            right,
            _similarity(vectors),
            "How alike two classes are\n(fresh: not yet learnt)",
            "class",
        )
        names = [*map(str, range(CLASSES)), "null"]
        right.set_xticks(range(CLASSES + 1), names)
        right.set_yticks(range(CLASSES + 1), names)
    figure.savefig(out, dpi=110)
    plt.close(figure)
    return (
        "Left: fast sines and cosines tell neighbours apart, slow ones tell early from late. Middle: "
        "timesteps that are close look alike, along the whole diagonal. Right: classes begin unrelated; "
        "training moves their vectors."
    )


def _class_vectors(module) -> Tensor | None:
    """One vector a class, the null class last, from None; None when they are still to be written."""
    try:
        table = module.ClassEmbedding(CLASSES, DIM)
        real = _of_shape(table(torch.arange(CLASSES)), (CLASSES, DIM), "the vectors of ten classes")
        null = _of_shape(table(None), (1, DIM), "the vector for y=None")
    except NotImplementedError:
        return None
    return torch.cat([real, null])


def _of_shape(value, shape: tuple[int, ...], name: str) -> Tensor:
    if not isinstance(value, Tensor) or tuple(value.shape) != shape:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{name} should have the shape {shape}, not {got}")
    return value.detach().float().cpu()


def _similarity(vectors: Tensor) -> Tensor:
    unit = normalize(vectors, dim=-1)
    return unit @ unit.T


def _heat_map(axes, embedded: Tensor) -> None:
    shown = embedded[:200]
    picture = axes.imshow(
        shown, aspect="auto", cmap="RdBu", vmin=-1, vmax=1, interpolation="nearest"
    )
    axes.axvline(DIM / 2 - 0.5, color="black", linewidth=1)
    axes.set_title("Your time embedding\nsines left of the line, cosines right of it")
    axes.set_xlabel("element of the vector")
    axes.set_ylabel("timestep")
    axes.figure.colorbar(picture, ax=axes, ticks=(-1, 0, 1))


def _alike(axes, similarity: Tensor, title: str, of_what: str) -> None:
    picture = axes.imshow(similarity, cmap="RdBu", vmin=-1, vmax=1)
    axes.set_title(title)
    axes.set_xlabel(of_what)
    axes.set_ylabel(of_what)
    axes.figure.colorbar(picture, ax=axes, ticks=(-1, 0, 1), shrink=0.8)
