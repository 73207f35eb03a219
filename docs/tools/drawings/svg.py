"""What every drawing is made of: text, lines, and small pictures."""

import base64
import html
from collections.abc import Sequence


def document(
    name: str, title: str, width: float, height: float, parts: Sequence[str], **data
) -> str:
    """A drawing that takes the colours of the page, and is as wide as its column lets it be."""
    extra = "".join(f' data-{key}="{value}"' for key, value in data.items())
    return (
        f'<svg class="diagram" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'aria-labelledby="{name}-title"{extra}>'
        f'<title id="{name}-title">{html.escape(title)}</title>' + "".join(parts) + "</svg>\n"
    )


def text(
    x: float, y: float, words: str, anchor: str = "start", size: int = 13, **attributes
) -> str:
    extra = "".join(f' {key.strip("_").replace("_", "-")}="{v}"' for key, v in attributes.items())
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}"{extra}>{words}</text>'
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "axis") -> str:
    return f'<path class="{kind}" d="M{x1:g},{y1:g} L{x2:g},{y2:g}"/>'


def curve(points: Sequence[tuple[float, float]], kind: str) -> str:
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{way}"/>'


def pictures(
    x: float, y: float, cell: float, png: bytes, columns: int, rows: int = 1, gap: float = 3
) -> str:
    """A sheet of square pictures inside of the drawing, with the page showing between them."""
    across = [f"M{x + cell * k:g},{y:g} v{cell * rows:g}" for k in range(1, columns)]
    down = [f"M{x:g},{y + cell * k:g} h{cell * columns:g}" for k in range(1, rows)]
    way = " ".join(across + down)
    return (
        picture(x, y, cell * columns, cell * rows, png)
        + f'<path class="gap" stroke-width="{gap:g}" d="{way}"/>'
    )


def picture(x: float, y: float, width: float, height: float, png: bytes) -> str:
    """A PNG inside of the drawing, enlarged pixel by pixel."""
    data = base64.b64encode(png).decode()
    return (
        f'<image x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'preserveAspectRatio="none" href="data:image/png;base64,{data}"/>'
    )
