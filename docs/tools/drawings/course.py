"""The first page and the map of the chapters."""

from docs.tools.drawings.sprites import COLOURS
from docs.tools.stamped import figure


@figure(
    "denoising.png",
    "ddpm_ref/sampling.py",
    "ddpm_ref/diffusion.py",
    "ddpm_ref/unet.py",
    "ddpm_ref/weights/shapes.safetensors",
)
def denoising() -> bytes:
    """Five classes on their way from noise to picture, drawn by the shipped model."""
    import torch
    from PIL import Image

    from ddpm_ref.painting import load_painter
    from ddpm_ref.pictures import encode, grid
    from ddpm_ref.sampling import ddim_sample_loop

    painter = load_painter(device="cpu")
    names, shown, steps = ["star", "heart", "ring", "arrow", "crescent"], [2, 6, 9, 12, 15, 19], 20
    y = torch.tensor(painter.labels(names))
    noise = painter.noise(len(y), seed=4)
    seen = {}
    ddim_sample_loop(
        *(painter.model, painter.schedule, noise.shape, y),
        steps=steps,
        guidance_scale=1.5,
        target=painter.config.diffusion.target,
        noise=noise,
        callback=lambda i, t, x_t, x_0: seen.update({i: x_t}),
    )
    columns = [noise, *(seen[i] for i in shown)]  # each (5, 3, 16, 16)
    drawn = grid(torch.stack(columns, dim=1).flatten(0, 1), len(columns), zoom=5)
    return encode(drawn.quantize(COLOURS, dither=Image.Dither.NONE), "png", optimize=True)


# What each chapter builds on, an arrow each. Any can be begun first: the grader lends the rest.
BUILDS_ON = {1: (), 2: (), 3: (2,), 4: (2, 3), 5: (), 6: (5,), 7: (5,), 8: (1, 4, 6), 9: (7,)}


@figure("chapters.svg", "checks/catalogue.py")
def chapters() -> str:
    """The chapters and what each builds on, as a drawing that takes the colours of the page."""
    from checks.catalogue import ALL

    titles = {chapter.number: chapter.title for chapter in ALL}
    # column, row
    places = {
        1: (0, 0),
        2: (0, 1),
        5: (0, 2),
        3: (1, 1),
        6: (1, 2),
        4: (2, 1),
        7: (1, 3),
        8: (3, 1),
        9: (2, 3),
    }
    width, height, gap_x, gap_y = 176, 48, 40, 28
    corner = {
        n: (c * (width + gap_x) + 2, r * (height + gap_y) + 2) for n, (c, r) in places.items()
    }
    parts = []
    for n, earlier in BUILDS_ON.items():
        for e in earlier:
            (x1, y1), (x2, y2) = corner[e], corner[n]
            if y1 == y2 and x2 - x1 > width + gap_x:  # past a box: above it
                lift = y1 - gap_y / 2
                way = f"M{x1 + width / 2},{y1} V{lift} H{x2 + width / 2} V{y2 - 7}"
                head = f"{x2 + width / 2 - 5},{y2 - 8} {x2 + width / 2 + 5},{y2 - 8} {x2 + width / 2},{y2}"
            else:
                start, end = (x1 + width, y1 + height / 2), (x2, y2 + height / 2)
                bend = (start[0] + end[0]) / 2 if y1 != y2 else end[0] - 8
                if y1 != y2 and x2 - x1 > width + gap_x:
                    bend = end[0] - gap_x / 2
                way = f"M{start[0]},{start[1]} H{bend} V{end[1]} H{end[0] - 7}"
                head = f"{end[0] - 8},{end[1] - 5} {end[0] - 8},{end[1] + 5} {end[0]},{end[1]}"
            parts.append(f'<path class="arrow" stroke-width="1.5" d="{way}"/>')
            parts.append(f'<polygon class="head" points="{head}"/>')
    for n, (x, y) in corner.items():
        parts.append(
            f'<rect class="box" stroke-width="1.5" rx="6" x="{x}" y="{y}" width="{width}" height="{height}"/>'
            f'<text x="{x + 14}" y="{y + 30}" font-size="16" font-weight="600">{n}</text>'
            f'<text x="{x + 36}" y="{y + 30}" font-size="15">{titles[n]}</text>'
        )
    size = (4 * width + 3 * gap_x + 4, 4 * height + 3 * gap_y + 4)
    return (
        '<svg class="diagram" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {size[0]} {size[1]}" '
        f'width="{size[0]}" height="{size[1]}" aria-labelledby="chapters-title">'
        '<title id="chapters-title">What each chapter builds on; the table below says the same</title>'
        + "".join(parts)
        + "</svg>\n"
    )
