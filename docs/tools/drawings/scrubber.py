"""Chapter 7: the shipped model's walks from noise to picture, by class and guidance scale."""

from docs.tools.drawings import svg
from docs.tools.drawings.sprites import sheet
from docs.tools.stamped import figure

SOURCES = (
    "ddpm_ref/sampling.py",
    "ddpm_ref/diffusion.py",
    "ddpm_ref/unet.py",
    "ddpm_ref/weights/shapes.safetensors",
    "docs/tools/drawings/scrubber.py",
    "docs/tools/drawings/sprites.py",
    "docs/tools/drawings/svg.py",
)
CLASSES = ("star", "heart", "ring", "arrow")
SCALES = (0.0, 1.0, 1.5, 3.0, 6.0)
ANY = None  # the class of the walk at scale 0, which ignores it
FIRST = ("star", 1.5)  # what is seen at first, and in the still picture
STEPS, SEED = 12, 4
SHOWN = (0, 2, 4, 6, 8, 9, 11)  # steps of the still picture


def walks() -> tuple[list[int], dict[tuple[str | None, float], tuple[list, list]]]:
    """The timesteps that are visited, and by class and scale what is seen there.

    That is each x_t that the model is given, and its (clipped) guess at x_0 from it. All walks start from
    the same noise: where they differ it is the class's and the scale's doing alone.
    """
    import torch

    from ddpm_ref.painting import load_painter
    from ddpm_ref.sampling import ddim_sample_loop

    painter = load_painter(device="cpu")
    y = torch.tensor(painter.labels(list(CLASSES)))
    noise = painter.noise(1, SEED).expand(len(y), -1, -1, -1)
    found, visited = {}, {}
    for scale in SCALES:
        shown, guesses = [noise], []
        ddim_sample_loop(
            *(painter.model, painter.schedule, noise.shape, y),
            steps=STEPS,
            guidance_scale=scale,
            target=painter.config.diffusion.target,
            noise=noise,
            callback=lambda i, t, x_t, x_0, s=shown, g=guesses: (
                visited.update({i: t}),
                s.append(x_t),
                g.append(x_0),
            ),
        )
        for k, name in enumerate(CLASSES if scale else [ANY]):
            found[name, scale] = [x[k] for x in shown[:-1]], [x[k] for x in guesses]
    return list(visited.values()), found


@figure("scrubber.json", *SOURCES)
def data() -> str:
    """What lies where on the sheet: a row a walk, first each x_t, then each guess."""
    import json

    from ddpm_ref.painting import load_painter

    painter = load_painter(device="cpu")
    alpha_bars = painter.schedule.alpha_bars
    visited, found = walks()
    return (
        json.dumps(
            {
                "size": painter.config.model.image_size,
                "classes": CLASSES,
                "scales": SCALES,
                "first": FIRST,
                "timesteps": visited,
                "alpha_bar": [float(f"{alpha_bars[t].item():.6g}") for t in visited],
                "rows": [[*each] for each in found],
            }
        )
        + "\n"
    )


@figure("scrubber.png", *SOURCES)
def sprites() -> bytes:
    """All walks, 16×16 pixels a picture."""
    return sheet([[*shown, *guesses] for shown, guesses in walks()[1].values()])


@figure("scrubber.svg", *SOURCES)
def still() -> str:
    """One walk, and where every walk ends."""
    visited, found = walks()
    shown, guesses = found[FIRST]
    cell, label = 56, 70
    wide = cell * len(SHOWN)
    parts = [
        svg.text(label + cell * (k + 0.5), 14, f"{'t = ' * (k == 0)}{visited[i]}", "middle", 12)
        for k, i in enumerate(SHOWN)
    ]
    for r, (words, row) in enumerate((("x_t", shown), ("guess at x_0", guesses))):
        y = 22 + r * (cell + 6)
        for k, part in enumerate(words.split(" at ")):
            parts.append(svg.text(0, y + cell / 2 + 4 + 16 * k, f"at {part}" if k else part))
        parts.append(svg.pictures(label, y, cell, sheet([[row[i] for i in SHOWN]]), len(SHOWN)))
    top = 22 + 2 * (cell + 6) + 34
    parts.append(svg.text(0, top - 16, "The ends, by class and guidance scale s:"))
    small = 44
    for c, scale in enumerate(SCALES):
        words = f"s = {scale:g}" if c == 0 else f"{scale:g}"
        parts.append(svg.text(label + small * (c + 0.5), top + 6, words, "middle", 12))
    for r, name in enumerate(CLASSES):
        parts.append(svg.text(0, top + 14 + small * (r + 0.5) + 4, name))
    ends = [[found[name if scale else ANY, scale][1][-1] for scale in SCALES] for name in CLASSES]
    parts.append(svg.pictures(label, top + 14, small, sheet(ends), len(SCALES), len(CLASSES)))
    title = (
        f"A {FIRST[0]} on its way from noise at guidance scale {FIRST[1]:g}: above x_t, below the model's "
        f"guess, a blur first and then sharp. Below that the ends for {', '.join(CLASSES)} at scales "
        f"{', '.join(f'{s:g}' for s in SCALES)}: without the class at 0, ever brighter colours above 1"
    )
    return svg.document("scrubber", title, label + wide, top + 16 + small * len(CLASSES), parts)
