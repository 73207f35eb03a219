"""Pictures of what CLIP sees: samples with their best label, the similarities as a map."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ddpm_ref.pictures import GAP, INK, PAPER, to_pil, zoom_for

RIGHT, WRONG = (20, 110, 60), (170, 30, 30)


def captioned_grid(
    x: Tensor,
    captions: Sequence[str],
    columns: int,
    marks: Sequence[bool | None] = (),
    titles: Sequence[str] = (),
) -> Image.Image:
    """Pictures in rows, each with a line of its own below it.

    Args:
        x: (N, C, H, W) in [−1, 1].
        captions: N lines.
        columns: pictures a row.
        marks: for each picture True (✓), False (✗) or None: nothing.
        titles: of the columns.
    """
    height, width = x.shape[-2:]
    zoom = zoom_for(width, 80)
    font = ImageFont.load_default(11)
    lines = list(captions)
    cell_w = max(width * zoom, *(int(font.getlength(line)) + 14 for line in lines)) + 2 * GAP
    cell_h = height * zoom + 18 + GAP
    top = 18 if titles else 0
    rows = -(-len(x) // columns)
    sheet = Image.new("RGB", (columns * cell_w + GAP, top + rows * cell_h + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for k, title in enumerate(titles):
        draw.text(((k + 0.5) * cell_w + GAP, top / 2), title, INK, font, anchor="mm")
    for k, picture in enumerate(x):
        left, upper = GAP + k % columns * cell_w, top + GAP + k // columns * cell_h
        large = to_pil(picture).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
        sheet.paste(large, (left + (cell_w - large.width) // 2, upper))
        mark = marks[k] if marks else None
        ink = {True: RIGHT, False: WRONG, None: INK}[mark]
        middle = (left + cell_w / 2, upper + large.height + 8)
        draw.text(middle, lines[k], ink, font, anchor="mm")
        if mark is not None:
            _mark(draw, left + (cell_w - font.getlength(lines[k])) / 2 - 10, middle[1], mark)
    return sheet


def _mark(draw: ImageDraw.ImageDraw, x: float, y: float, right: bool) -> None:
    """A tick or a cross, drawn by hand: not every font has them."""
    if right:
        draw.line([(x, y), (x + 2, y + 3), (x + 7, y - 4)], RIGHT, 2)
    else:
        draw.line([(x, y - 3), (x + 6, y + 3)], WRONG, 2)
        draw.line([(x, y + 3), (x + 6, y - 3)], WRONG, 2)


def best_label_grid(
    x: Tensor, y: Tensor, similarity: Tensor, classes: Sequence[str], rows: int = 4
) -> Image.Image:
    """The first pictures of every class, a column each: what CLIP takes them for, and how surely.

    Args:
        x, y: (N, C, H, W) and (N,) what was asked for.
        similarity: (N, C).
    """
    asked = [k for k in range(len(classes)) if (y == k).any()]
    found = {k: (y == k).nonzero()[:rows, 0].tolist() for k in asked}
    rows = min(len(positions) for positions in found.values())
    chosen = [found[k][row] for row in range(rows) for k in asked]
    best = similarity[chosen].argmax(1)
    captions = [
        f"{classes[int(b)]} {float(similarity[i, b]):.2f}"
        for i, b in zip(chosen, best, strict=True)
    ]
    marks = [bool(b == y[i]) for i, b in zip(chosen, best, strict=True)]
    return captioned_grid(x[chosen], captions, len(asked), marks, [classes[k] for k in asked])


def heatmap(means: list[list[float | None]], classes: Sequence[str], title: str) -> bytes:
    """Mean similarity of the pictures of each class with each prompt, as a PNG; numbers up to 20 classes.

    Args:
        means: rows by class asked for, columns by prompt; None where nothing was asked for.
    """
    import numpy as np
    from matplotlib.figure import Figure  # half a second to import: only where it is needed

    values = np.array([[np.nan if v is None else v for v in row] for row in means], dtype=float)
    count = len(classes)
    side = max(4.5, 0.62 * min(count, 20) + 1.8)
    figure = Figure(figsize=(side + 0.8, side), dpi=100, layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(values, cmap="cividis")
    figure.colorbar(shown, ax=axes, shrink=0.8, label="cosine similarity")
    if count <= 20:
        middle = np.nanmin(values) + 0.6 * (np.nanmax(values) - np.nanmin(values))
        for row in range(count):
            for column in range(count):
                value = values[row, column]
                if not np.isnan(value):
                    ink = "black" if value > middle else "white"
                    axes.text(
                        *(column, row, f"{value:.2f}"), ha="center", va="center", color=ink, size=7
                    )
    step = range(0, count, max(1, count // 40))
    axes.set_xticks(list(step), [classes[k] for k in step], rotation=45, ha="right")
    axes.set_yticks(list(step), [classes[k] for k in step])
    axes.set(xlabel="prompt", ylabel="class that was asked for", title=title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
