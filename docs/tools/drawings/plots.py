"""Curves over axes, and tables of small pictures, in the colours of the page."""

from collections.abc import Sequence
from math import log10

from docs.tools.drawings import sprites
from docs.tools.drawings.svg import document, pictures, text

# Colours and dashes of curves: told apart without colour too.
INKS = ("var(--course-link)", "var(--course-warm)", "var(--course-right)", "var(--course-wrong)")
DASHES = ("none", "7 4", "2 3", "10 3 2 3")
PALE = "var(--md-default-fg-color--lighter)"


def line(
    points: Sequence[tuple[float, float]], ink: str, dash: str = "none", width: float = 2
) -> str:
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    style = f"fill:none;stroke:{ink};stroke-width:{width:g};stroke-dasharray:{dash}"
    return f'<polyline points="{way}" style="{style}"/>'


def inked(kind: int) -> dict[str, str]:
    """How words look that name a curve of this kind."""
    return {"style": f"fill:{INKS[kind]}", "font_weight": "600"}


class Plot:
    """Curves over axes.

    Args:
        x, y: the ends of each axis.
        x_ticks, y_ticks: value and words for each mark.
        above: words over the plot, what is drawn upwards.
        below: words under it, what is drawn to the right.
        log_y: the vertical axis is logarithmic.
        size: of the plot with its words.
        start: how far down it begins, in a drawing of more than one plot.
    """

    def __init__(self, x, y, x_ticks, y_ticks, above, below, log_y=False, size=(380, 270), start=0):
        self.x, self.y, self.log_y, self.size = x, y, log_y, size
        end = start + size[1]
        self.left, self.right, self.top, self.bottom = 46, size[0] - 14, start + 30, end - 46
        self.parts = [text(4, start + 16, above), text(self.right, end - 6, below, "end")]
        for value, words in x_ticks:
            across = self.place(value, y[0])[0]
            self.parts.append(line([(across, self.bottom), (across, self.top)], PALE, "1 4", 1))
            self.parts.append(text(across, self.bottom + 18, words, "middle"))
        for value, words in y_ticks:
            up = self.place(x[0], value)[1]
            self.parts.append(line([(self.left, up), (self.right, up)], PALE, "1 4", 1))
            self.parts.append(text(self.left - 6, up + 5, words, "end"))
        corners = [(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)]
        self.parts.append(line(corners, PALE, width=1))

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies on the drawing; what is beyond an end is put there."""
        low, high = self.y
        if self.log_y:
            low, high, y = log10(low), log10(high), log10(max(y, 1e-30))
        across = min(max((x - self.x[0]) / (self.x[1] - self.x[0]), 0), 1)
        up = min(max((y - low) / (high - low), 0), 1)
        return (
            self.left + across * (self.right - self.left),
            self.bottom - up * (self.bottom - self.top),
        )

    def curve(self, xs, ys, kind: int, words: str = "", at: tuple[float, float] = (0, 0)) -> None:
        """A curve of one of the four kinds, with its name at a point of the plot."""
        self.parts.append(
            line([self.place(x, y) for x, y in zip(xs, ys, strict=True)], INKS[kind], DASHES[kind])
        )
        if words:
            self.parts.append(text(*self.place(*at), words, **inked(kind)))

    def svg(self, name: str, title: str) -> str:
        return document(name, title, *self.size, self.parts)


def table(
    name: str,
    title: str,
    shown,
    columns: Sequence[str],
    rows: Sequence[str],
    left: int = 90,
    cell: int = 64,
) -> str:
    """Small pictures in rows, with words above and to the left: (R, C, 3, S, S) in [−1, 1]."""
    parts = [pictures(left, 26, cell, sprites.sheet(shown), len(shown[0]), len(shown), gap=2)]
    parts += [text(left + (j + 0.5) * cell, 17, word, "middle") for j, word in enumerate(columns)]
    parts += [text(left - 8, 30 + (i + 0.5) * cell, word, "end") for i, word in enumerate(rows)]
    return document(name, title, left + len(shown[0]) * cell, 26 + len(shown) * cell, parts)
