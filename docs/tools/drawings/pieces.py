"""What drawings are made of: boxes, arrows, words, and the axes and lines of a chart.

Drawings are made for the width of a phone: no wider than 440 units, with text no smaller than 12.
"""

import math

from docs.tools.drawings.svg import text

# Colours of the page and dashes, so that lines can be told apart without colour.
LINES = (
    "stroke:var(--course-link)",
    "stroke:var(--course-warm);stroke-dasharray:8 4",
    "stroke:var(--course-right);stroke-dasharray:2 3",
)


BOLD = {"font_weight": 600}


def box(x: float, y: float, width: float, lines: list[str]) -> tuple[str, float]:
    """A box with lines of text, the first one bold, and its height."""
    height = 10 + 17 * len(lines)
    words = [
        text(x + width / 2, y + 18 + 17 * k, line, "middle", **({} if k else BOLD))
        for k, line in enumerate(lines)
    ]
    rect = (
        f'<rect class="box" stroke-width="1.5" rx="6" '
        f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"/>'
    )
    return rect + "".join(words), height


def arrow(*points: tuple[float, float]) -> str:
    """A line through points, straight or around corners, with a head at its end."""
    (x1, y1), (x2, y2) = points[-2:]
    length = math.hypot(x2 - x1, y2 - y1)
    dx, dy = (x2 - x1) / length, (y2 - y1) / length
    ends = [*points[:-1], (x2 - 6 * dx, y2 - 6 * dy)]
    way = " ".join(f"{x:g},{y:g}" for x, y in ends)
    base = (x2 - 8 * dx, y2 - 8 * dy)
    head = [(x2, y2), (base[0] - 4.5 * dy, base[1] + 4.5 * dx)]
    head.append((base[0] + 4.5 * dy, base[1] - 4.5 * dx))
    corners = " ".join(f"{x:g},{y:g}" for x, y in head)
    return (
        f'<polyline class="arrow" stroke-width="1.5" points="{way}"/>'
        f'<polygon class="head" points="{corners}"/>'
    )


class Chart:
    """A plane with two axes: lines and words are put into it by their numbers, not by their places.

    Args:
        corner, size: of the plane, in units of the drawing.
        x, y: the ends of the two axes.
    """

    def __init__(self, corner, size, x, y):
        self.corner, self.size, self.x, self.y = corner, size, x, y

    def place(self, x: float, y: float) -> tuple[float, float]:
        (x0, y0), (width, height) = self.corner, self.size
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return x0 + width * across, y0 + height * (1 - up)

    def axes(self, xs: dict[float, str], ys: dict[float, str], under: str, over: str) -> list[str]:
        """The frame, ticks with their words, the name of the x-axis below and of the y-axis above."""
        (x0, y0), (width, height) = self.corner, self.size
        parts = [
            f'<polyline class="arrow" points="{x0:g},{y0:g} {x0:g},{y0 + height:g} '
            f'{x0 + width:g},{y0 + height:g}"/>'
        ]
        for value, word in xs.items():
            px, _ = self.place(value, self.y[0])
            parts.append(
                f'<path class="arrow" d="M{px:g},{y0 + height:g} v4"/>'
                + text(px, y0 + height + 17, word, "middle", 12)
            )
        for value, word in ys.items():
            _, py = self.place(self.x[0], value)
            parts.append(
                f'<path class="arrow" d="M{x0:g},{py:g} h-4"/>'
                + text(x0 - 7, py + 4, word, "end", 12)
            )
        parts.append(text(x0 + width / 2, y0 + height + 34, under, "middle", 12))
        parts.append(text(0, y0 - 9, over, size=12))
        return parts

    def line(self, points, kind: int) -> str:
        """A line through (x, y) pairs."""
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.place(*p) for p in points))
        return f'<polyline fill="none" style="{LINES[kind]}" stroke-width="2" points="{way}"/>'

    def words(self, x: float, y: float, words: str, anchor: str = "middle") -> str:
        px, py = self.place(x, y)
        return text(px, py, words, anchor, 12)
