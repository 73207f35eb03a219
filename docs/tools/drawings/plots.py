"""What drawings are made of: curves with axes and sheets of small pictures, in the colours of the page."""

from base64 import b64encode
from collections.abc import Sequence
from math import log10

# Colours and dashes of curves: told apart without colour too.
INKS = ("var(--course-link)", "var(--course-warm)", "var(--course-right)", "var(--course-wrong)")
DASHES = ("none", "7 4", "2 3", "10 3 2 3")
PALE = "var(--md-default-fg-color--lighter)"


def svg(name: str, title: str, size: tuple[float, float], parts: Sequence[str]) -> str:
    """A drawing with a name for screen readers; `name` makes its id unique on a page."""
    width, height = size
    return (
        '<svg class="diagram" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'aria-labelledby="{name}-title"><title id="{name}-title">{title}</title>'
        + "".join(parts)
        + "</svg>\n"
    )


def text(
    x: float, y: float, words: str, anchor: str = "start", size: int = 14, more: str = ""
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}"{more}>{words}</text>'
    )


def line(
    points: Sequence[tuple[float, float]], ink: str, dash: str = "none", width: float = 2
) -> str:
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    style = f"fill:none;stroke:{ink};stroke-width:{width:g};stroke-dasharray:{dash}"
    return f'<polyline points="{way}" style="{style}"/>'


class Plot:
    """Curves over axes.

    Args:
        x, y: the ends of each axis.
        x_ticks, y_ticks: value and words for each mark.
        above: words over the plot, what is drawn upwards.
        below: words under it, what is drawn to the right.
        log_y: the vertical axis is logarithmic.
    """

    def __init__(self, x, y, x_ticks, y_ticks, above, below, log_y=False, size=(380, 270)):
        self.x, self.y, self.log_y, self.size = x, y, log_y, size
        self.left, self.right, self.top, self.bottom = 46, size[0] - 14, 30, size[1] - 46
        self.parts = [text(4, 16, above), text(self.right, size[1] - 6, below, "end")]
        for value, words in x_ticks:
            across = self.place(value, y[0])[0]
            self.parts.append(line([(across, self.bottom), (across, self.top)], PALE, "1 4", 1))
            self.parts.append(text(across, self.bottom + 18, words, "middle", 13))
        for value, words in y_ticks:
            up = self.place(x[0], value)[1]
            self.parts.append(line([(self.left, up), (self.right, up)], PALE, "1 4", 1))
            self.parts.append(text(self.left - 6, up + 5, words, "end", 13))
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
            style = f' style="fill:{INKS[kind]}" font-weight="600"'
            self.parts.append(text(*self.place(*at), words, more=style))

    def svg(self, name: str, title: str) -> str:
        return svg(name, title, self.size, self.parts)


def sheet(
    name: str,
    title: str,
    pictures,
    columns: Sequence[str],
    rows: Sequence[str],
    left: int = 90,
    cell: int = 64,
) -> str:
    """Small pictures in rows, with words above and to the left: (R, C, 3, H, W) in [−1, 1]."""
    import torch
    from PIL import Image

    from ddpm_ref.data import to_image
    from ddpm_ref.pictures import encode

    n, m, _, height, width = pictures.shape
    opaque = torch.zeros(4, n * (height + 1) - 1, m * (width + 1) - 1)
    for i in range(n):
        for j in range(m):
            place = (
                slice(i * (height + 1), i * (height + 1) + height),
                slice(j * (width + 1), j * (width + 1) + width),
            )
            opaque[:3, *place] = to_image(pictures[i, j])
            opaque[3, *place] = 1
    pixels = (opaque * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    data = b64encode(encode(Image.fromarray(pixels, "RGBA"), "png", optimize=True)).decode()
    zoom = cell / (width + 1)
    parts = [
        f'<image href="data:image/png;base64,{data}" x="{left}" y="26" width="{opaque.shape[2] * zoom:g}" '
        f'height="{opaque.shape[1] * zoom:g}" style="image-rendering:pixelated"/>'
    ]
    parts += [
        text(left + (j + 0.5) * cell - zoom / 2, 17, words, "middle")
        for j, words in enumerate(columns)
    ]
    parts += [
        text(left - 8, 26 + (i + 0.5) * cell + 4, words, "end") for i, words in enumerate(rows)
    ]
    return svg(name, title, (left + m * cell, 26 + n * cell), parts)
