"""Boxes and arrows.

Drawings are made for the width of a phone: no wider than 440 units, with text no smaller than 12.
"""

import math

from docs.tools.drawings.svg import text

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
