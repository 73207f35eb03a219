"""Small pictures side by side in one PNG."""

from collections.abc import Sequence

COLOURS = 256  # of the palette; a third of the bytes, and on 16×16 pixels nobody sees it


def sheet(rows: Sequence[Sequence]) -> bytes:
    """A PNG of pictures without gaps.

    Args:
        rows: of (C, S, S) tensors in [−1, 1] (what is beyond is clipped), as many in each row.
    """
    from PIL import Image

    from ddpm_ref.pictures import encode, to_pil

    size = rows[0][0].shape[-1]
    whole = Image.new("RGB", (size * len(rows[0]), size * len(rows)))
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            whole.paste(to_pil(picture), (c * size, r * size))
    return encode(whole.quantize(COLOURS, dither=Image.Dither.NONE), "png", optimize=True)
