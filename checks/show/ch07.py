"""Chapter 7: the shipped weights draw, by the learner's samplers: the walk, and what guidance does to it."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ddpm_ref import sampling
from ddpm_ref.diffusion import NoiseSchedule
from ddpm_ref.painting import Painter, load_painter
from ddpm_ref.pictures import grid, save_picture, stack

STEPS = 20
SHOWN = (0, 3, 6, 9, 12, 15)  # steps of the walk that are drawn
SCALES = (0.0, 1.0, 2.0, 4.0)
SEED = 3  # of the noise, the same for every row


def draw(module, out: Path) -> str:
    """Draw what the chapter's functions make of the shipped weights, whichever of them are written.

    Args:
        module: the learner's chapter.
        out: where the PNG goes.

    Raises:
        NotImplementedError: when nothing that draws is written yet.
        ValueError: when a sampler returns no pictures of the shape that was asked for.
    """
    painter = load_painter()
    rows: list[tuple] = []
    missing: list[str] = []
    for part in (walk, ancestral, solver, guidance):
        try:
            rows.append(part(module, painter))
        except NotImplementedError as error:
            if part is not solver:  # that is optional
                missing.append(str(error))
    if not rows:
        raise NotImplementedError(min(missing))
    pictures = [
        grid(
            torch.nan_to_num(x).clamp(-1, 1),
            columns=len(painter.classes),
            zoom=4,
            column_titles=painter.classes,
            row_titles=names,
        )
        for _, x, names, _ in rows
    ]
    save_picture(stack(pictures, [title for title, *_ in rows]), out)
    told = " ".join(sentence for *_, sentence in rows if sentence)
    return f"{told} Still to be written: {', '.join(sorted(missing))}." if missing else told


def walk(module, painter: Painter) -> tuple:
    """Rows of the DDIM walk: x_t on the left of time, and what each of some steps takes x_0 to be."""
    y, noise, options = asked(painter)
    seen = []

    def callback(i, t, x_t, x_0):
        seen.append((int(t), torch.as_tensor(x_0).detach().clone()))

    final = checked(
        module.ddim_sample_loop(
            *(painter.model, painter.schedule, noise.shape, y),
            **dict(steps=STEPS, noise=noise, callback=callback, **options),
        ),
        noise,
    )
    shown = [seen[i] for i in SHOWN if i < len(seen)]
    return (
        f"Your DDIM in {STEPS} steps: the noise, what x_0 was taken to be on the way, and the end",
        torch.cat([noise, *(checked(x_0, noise) for _, x_0 in shown), final]),
        ["noise", *(f"x_0 at t = {t}" for t, _ in shown), "the end"],
        "Ten classes, each from its own noise: first the colours and where things are, then the "
        "outlines, at last the edges.",
    )


def ancestral(module, painter: Painter) -> tuple:
    """A row of ancestral sampling, over fewer steps than the model was trained with."""
    y, noise, options = asked(painter)
    model, schedule = respaced(painter, STEPS)
    drawn = module.p_sample_loop(
        *(model, schedule, noise.shape, y),
        **dict(noise=noise, generator=torch.Generator().manual_seed(SEED), **options),
    )
    title = f"Your ancestral sampler from the same noise, over {STEPS} of the timesteps"
    return title, checked(drawn, noise), ["ancestral"], ""


def solver(module, painter: Painter) -> tuple:
    """A row of DPM-Solver++, where that is written: it is optional."""
    y, noise, options = asked(painter)
    drawn = module.dpm_solver_2m(
        *(painter.model, painter.schedule, noise.shape, y),
        **dict(steps=8, noise=noise, **options),
    )
    return "Your DPM-Solver++ in 8 steps", checked(drawn, noise), ["solver"], ""


def guidance(module, painter: Painter) -> tuple:
    """A row for each guidance scale: by the learner's DDIM, or by the reference's until that is written."""
    y, noise, options = asked(painter)

    def draw_with(loop: Callable, model, **more) -> Tensor:
        return loop(
            model, painter.schedule, noise.shape, y, steps=STEPS, noise=noise, **options, **more
        )

    rows = []
    for scale in SCALES:
        guided = Guided(painter.model, module.guided_prediction, scale)
        try:
            drawn = draw_with(module.ddim_sample_loop, painter.model, guidance_scale=scale)
        except NotImplementedError:
            drawn = draw_with(sampling.ddim_sample_loop, guided)
        rows.append(checked(drawn, noise))
    return (
        "Guidance from the same noise: scale 0 does not know the class, above 1 it is exaggerated",
        torch.cat(rows),
        [f"scale {scale:g}" for scale in SCALES],
        "Scale 0 ignores the class that stands above it, 2 makes it plain, 4 overdoes it.",
    )


class Guided(torch.nn.Module):
    """A model whose prediction is already guided, by the learner's function."""

    def __init__(self, model, guided_prediction, scale: float):
        super().__init__()
        self.model, self.guided_prediction, self.scale = model, guided_prediction, scale

    def forward(self, x_t, t, y=None):
        return self.guided_prediction(self.model, x_t, t, y, self.scale)


class Respaced(torch.nn.Module):
    """A model that is asked with timesteps of a shorter schedule."""

    def __init__(self, model, timesteps: list[int]):
        super().__init__()
        self.model = model
        self.register_buffer("timesteps", torch.tensor(timesteps))

    def forward(self, x_t, t, y=None):
        return self.model(x_t, self.timesteps[t], y)


def respaced(painter: Painter, steps: int) -> tuple[Respaced, NoiseSchedule]:
    """Some of the timesteps as a schedule of their own, so that ancestral steps are as few as DDIM's."""
    kept = sorted(sampling.ddim_timesteps(painter.schedule.timesteps, steps))
    bars = painter.schedule.alpha_bars[kept].double()
    before = torch.cat([torch.ones_like(bars[:1]), bars[:-1]])
    return Respaced(painter.model, kept), NoiseSchedule(1 - bars / before)


def asked(painter: Painter) -> tuple[Tensor, Tensor, dict]:
    """Labels, noise and target: one picture of each class."""
    y = torch.arange(len(painter.classes))
    return y, painter.noise(len(y), seed=SEED), {"target": painter.config.diffusion.target}


def checked(drawn, noise: Tensor) -> Tensor:
    if not isinstance(drawn, Tensor) or drawn.shape != noise.shape:
        got = tuple(drawn.shape) if isinstance(drawn, Tensor) else type(drawn).__name__
        raise ValueError(f"pictures of shape {tuple(noise.shape)} were asked for, not {got}")
    return drawn.detach().float().cpu()
