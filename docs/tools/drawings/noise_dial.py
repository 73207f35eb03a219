"""Chapter 5: how much picture and how much noise is in x_t, by both schedules."""

from docs.tools.drawings import svg
from docs.tools.drawings.sprites import sheet
from docs.tools.stamped import figure

SOURCES = (
    "ddpm_ref/diffusion.py",
    "ddpm_ref/datasets.py",
    "docs/tools/drawings/noise_dial.py",
    "docs/tools/drawings/sprites.py",
    "docs/tools/drawings/svg.py",
)
SHOWN = (0, 150, 300, 450, 600, 750, 900, 999)  # timesteps of the strip
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 480, 30, 470, 12, 172


def schedules() -> dict:
    from ddpm_ref.diffusion import NoiseSchedule

    return {"cosine": NoiseSchedule.cosine(), "linear": NoiseSchedule.linear()}


def ingredients() -> tuple:
    """A picture of the data set `shapes` and noise, each (3, 16, 16)."""
    import torch

    from ddpm_ref.datasets import load_dataset

    images = load_dataset("shapes", size=60)
    heart = images.images[images.labels == images.classes.index("heart")][0]
    noise = torch.randn(heart.shape, generator=torch.Generator().manual_seed(0))
    return heart.float() / 127.5 - 1, noise


@figure("noise-dial.json", *SOURCES)
def data() -> str:
    """Picture, noise and alpha_bar: the page does the rest, one multiplication and one addition."""
    import json

    x_0, noise = ingredients()
    tables = {
        name: [float(f"{value:.7g}") for value in schedule.alpha_bars.tolist()]
        for name, schedule in schedules().items()
    }
    rounded = {
        "x_0": [round(value, 3) for value in x_0.flatten().tolist()],
        "noise": [round(value, 3) for value in noise.flatten().tolist()],
    }
    content = {"size": x_0.shape[-1], "alpha_bar": tables, **rounded}
    return json.dumps(content, separators=(",", ":")) + "\n"


@figure("noise-curves.svg", *SOURCES)
def curves() -> str:
    """Both factors over t, for both schedules; the script puts its marks onto this drawing."""
    steps = schedules()["cosine"].timesteps

    def place(t: int, value: float) -> tuple[float, float]:
        return LEFT + (RIGHT - LEFT) * t / (steps - 1), BOTTOM - (BOTTOM - TOP) * value

    parts = []
    for value in (0, 0.5, 1):
        y = place(0, value)[1]
        parts += [svg.line(LEFT, y, RIGHT, y), svg.text(LEFT - 6, y + 4, f"{value:g}", "end", 12)]
    for t in (0, 250, 500, 750, steps - 1):
        parts.append(svg.text(place(t, 0)[0], BOTTOM + 17, str(t), "middle", 12))
    parts.append(svg.text((LEFT + RIGHT) / 2, BOTTOM + 34, "timestep t", "middle", 12))
    for name, schedule in schedules().items():
        alpha_bar = schedule.alpha_bars.double()
        for factor, values in (("signal", alpha_bar.sqrt()), ("noise", (1 - alpha_bar).sqrt())):
            points = [place(t, values[t].item()) for t in [*range(0, steps, 9)]]
            parts.append(svg.curve(points, f"curve {factor} {name}"))
    legend = BOTTOM + 56
    for x, kind, words in (
        (LEFT, "signal cosine", "√ᾱ: how much picture"),
        (LEFT + 210, "noise cosine", "√(1−ᾱ): how much noise"),
    ):
        parts += [
            svg.curve([(x, legend - 4), (x + 26, legend - 4)], f"key {kind}"),
            svg.text(x + 32, legend, words),
        ]
    parts += [
        svg.curve([(LEFT, legend + 16), (LEFT + 26, legend + 16)], "key cosine"),
        svg.text(LEFT + 32, legend + 20, "cosine schedule"),
        svg.curve([(LEFT + 210, legend + 16), (LEFT + 236, legend + 16)], "key linear"),
        svg.text(LEFT + 242, legend + 20, "linear schedule"),
    ]
    title = (
        "Both factors over t. The one of the picture falls from 1 to 0, the one of the noise rises from "
        "0 to 1; with the linear schedule both happen earlier, and the last third changes little"
    )
    frame = {"left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM}
    return svg.document("noise-curves", title, WIDTH, legend + 30, parts, **frame)


@figure("noise-strip.svg", *SOURCES)
def strip() -> str:
    """The same picture with the same noise at some timesteps, a row a schedule."""
    import torch

    from ddpm_ref.diffusion import q_sample

    x_0, noise = (each.expand(len(SHOWN), -1, -1, -1) for each in ingredients())
    t = torch.tensor(SHOWN)
    cell, label = 52, 58
    width = label + cell * len(SHOWN)
    parts = [
        svg.text(label + cell * (k + 0.5), 14, f"t = {each}" if k == 0 else str(each), "middle", 12)
        for k, each in enumerate(SHOWN)
    ]
    for r, (name, schedule) in enumerate(schedules().items()):
        y = 22 + r * (cell + 6)
        png = sheet([list(q_sample(schedule, x_0, t, noise))])
        parts += [
            svg.text(0, y + cell / 2 + 4, name),
            svg.pictures(label, y, cell, png, len(SHOWN)),
        ]
    title = (
        f"A heart with more and more noise, at t = {', '.join(map(str, SHOWN))}, by both schedules"
    )
    return svg.document("noise-strip", title, width, 22 + 2 * (cell + 6), parts)
