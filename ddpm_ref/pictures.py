"""Pictures for people: grids with their labels, strips, animations, curves."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ddpm_ref.data import to_image
from ddpm_ref.errors import UserError
from ddpm_ref.files import write_atomically

GAP = 2  # pixels between two pictures
INK, PAPER = (60, 60, 60), (255, 255, 255)
TITLES = 18  # pixels, above the columns
MOST = {"webp": 16383, "jpg": 65500, "jpeg": 65500, "gif": 65535}  # pixels a side of a format


def to_pil(x: Tensor) -> Image.Image:
    """(C, H, W) in [−1, 1], 1 or 3 channels → an RGB picture."""
    pixels = (to_image(x.detach().float().cpu()) * 255).round().byte()
    return Image.fromarray(
        pixels.expand(3, *pixels.shape[1:]).permute(1, 2, 0).contiguous().numpy()
    )


def zoom_for(size: int, wanted: int = 64) -> int:
    """By how much pictures of this many pixels are enlarged to be about `wanted` large."""
    return max(1, round(wanted / size))


def grid(
    x: Tensor,
    columns: int,
    zoom: int | None = None,
    column_titles: Sequence[str] = (),
    row_titles: Sequence[str] = (),
) -> Image.Image:
    """Pictures in rows, enlarged pixel by pixel, with titles above and to the left.

    Args:
        x: (N, C, H, W) in [−1, 1].
        columns: pictures a row.
        zoom: whole number; about 64 pixels a picture when None.
        column_titles, row_titles: at most one a column and a row.
    """
    height, width = x.shape[-2:]
    zoom = zoom or zoom_for(width)
    cell_w, cell_h = width * zoom + GAP, height * zoom + GAP
    font = ImageFont.load_default(max(10, min(13, cell_w // 5)))
    left = max((int(font.getlength(title)) + 8 for title in row_titles), default=0)
    top = TITLES if column_titles else 0
    rows = -(-len(x) // columns)
    sides = _side(columns, width * zoom, left), _side(rows, height * zoom, top)
    sheet = Image.new("RGB", sides, PAPER)
    draw = ImageDraw.Draw(sheet)
    for k, title in enumerate(column_titles):
        draw.text((left + (k + 0.5) * cell_w + GAP / 2, top / 2), title, INK, font, anchor="mm")
    for k, title in enumerate(row_titles):
        draw.text((left - 6, top + (k + 0.5) * cell_h), title, INK, font, anchor="rm")
    for k, picture in enumerate(x):
        place = (left + GAP + k % columns * cell_w, top + GAP + k // columns * cell_h)
        large = (width * zoom, height * zoom)
        sheet.paste(to_pil(picture).resize(large, Image.Resampling.NEAREST), place)
    return sheet


def _side(count: int, pixels: int, titles: int) -> int:
    """Pixels along one side of a grid: so many enlarged pictures behind their titles, gaps around each."""
    return titles + count * (pixels + GAP) + GAP


def stack(pictures: Sequence[Image.Image], titles: Sequence[str]) -> Image.Image:
    """Pictures below each other, each with its title above it."""
    font = ImageFont.load_default(13)
    width = max(picture.width for picture in pictures)
    sheet = Image.new("RGB", (width, sum(p.height + 24 for p in pictures)), PAPER)
    y = 0
    for picture, title in zip(pictures, titles, strict=True):
        ImageDraw.Draw(sheet).text((4, y + 12), title, INK, font, anchor="lm")
        sheet.paste(picture, (0, y + 24))
        y += picture.height + 24
    return sheet


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture in the format that its name says, whole or not at all."""
    write_atomically(path, encode(picture, picture_kind(path)))


def picture_kind(path: Path) -> str:
    """ "png", "jpg" or "webp", as the name of the file says.

    Raises:
        UserError: when it says anything else.
    """
    kind = path.suffix.lstrip(".").lower()
    if kind not in ("png", "jpg", "jpeg", "webp"):
        raise UserError(f"The picture's name must end in .png, .jpg or .webp, got {path.name}.")
    return kind


def check_grid(path: Path, n: int, columns: int, size: int) -> None:
    """Before the work: raise UserError when a grid of n pictures of size × size is too large for the file."""
    cells = max(columns, -(-n // columns))
    side = _side(cells, size * zoom_for(size), TITLES)
    _check_side(path.suffix.lstrip(".").lower(), side)


def _check_side(kind: str, side: int) -> None:
    if side > MOST.get(kind, side):
        raise UserError(
            f"A .{kind} has at most {MOST[kind]} pixels a side, and this one would have {side}: draw fewer "
            "pictures, or give a picture the ending .png."
        )


def encode(picture: Image.Image, kind: str = "png", **options) -> bytes:
    """A picture as the bytes of a file."""
    _check_side(kind, max(picture.size))
    buffer = BytesIO()
    picture.save(buffer, "jpeg" if kind == "jpg" else kind, **options)
    return buffer.getvalue()


def save_animation(frames: Sequence[Image.Image], path: Path, seconds: float = 3.0) -> None:
    """Write frames as a GIF that runs for about so long, rests on the last one and starts again."""
    each = max(20, int(1000 * seconds / len(frames)))
    durations = [each] * (len(frames) - 1) + [1500]
    content = encode(
        frames[0], "gif", save_all=True, append_images=frames[1:], duration=durations, loop=0
    )
    write_atomically(path, content)


def curves(metrics: list[dict[str, float]]) -> bytes:
    """The losses of a run over images seen, and validation loss by timestep, as a PNG."""
    from matplotlib.figure import Figure  # half a second to import: only where it is needed

    seen = [row["images_seen"] for row in metrics]
    figure = Figure(figsize=(10, 3.6), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(seen, [row["train_loss"] for row in metrics], "o-", ms=3, label="training")
    left.plot(seen, [row["val_loss"] for row in metrics], "o-", ms=3, label="validation")
    left.set(xlabel="images seen", ylabel="loss", title="Loss", yscale="log")
    left.legend()
    buckets = sorted(
        (k for k in metrics[0] if k.startswith("val_loss_t")), key=lambda k: int(k[10:])
    )
    shades = torch.linspace(0.15, 0.95, len(buckets)).tolist()
    for k, (name, shade) in enumerate(zip(buckets, shades, strict=True)):
        colour = (0.1 + 0.8 * shade, 0.25, 0.9 - 0.8 * shade)
        label = f"{k}/{len(buckets)} T" if k in (0, len(buckets) - 1) else None
        right.plot(seen, [row[name] for row in metrics], color=colour, lw=1.3, label=label)
    right.set(
        xlabel="images seen", title="Validation loss, by timestep from first to last", yscale="log"
    )
    right.legend(fontsize=8)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
