"""Chapter 5: pictures that dissolve into noise by the learner's own schedules, and what is left of them."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from ddpm_ref.data import to_model_range
from ddpm_ref.datasets import load_dataset
from ddpm_ref.diffusion import NoiseSchedule

STEPS = 1000
SHOWN = (0, 50, 150, 300, 500, 700, 850, 999)  # timesteps of the strip
GUESSED = 500  # the timestep from which predict_x0 starts
CLASSES = (3, 6)  # of the shapes: a star and a heart
COLOURS = {"linear": "C0", "cosine": "C1"}


def draw(module, out: Path) -> str:
    """Draw the strips and the curves, as far as they are written.

    Args:
        module: the learner's chapter.
        out: where the PNG goes.

    Raises:
        NotImplementedError: when there is nothing at all to be drawn yet.
        ValueError: when something has another shape than the chapter asks for.
    """
    betas = {name: betas_of(module, name) for name in COLOURS}
    written = {name: values for name, values in betas.items() if values is not None}
    if not written:
        raise NotImplementedError("TODO(5.1)")
    schedules = {name: schedule_of(module, name) for name in written}
    schedules = {name: each for name, each in schedules.items() if each is not None}
    with torch.no_grad():
        strips = {name: strip(module, schedule) for name, schedule in schedules.items()}
    strips = {name: rows for name, rows in strips.items() if rows is not None}
    if strips:
        figure = plt.figure(figsize=(15, 2.7 * len(strips)), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=(2.3, 1))
        draw_strips(left, strips)
    else:
        figure = right = plt.figure(figsize=(6, 4.5), layout="constrained")
    if schedules:
        draw_shares(right.subplots(), schedules)
    else:
        draw_betas(right.subplots(), written)
    figure.savefig(out, dpi=110)
    plt.close(figure)
    return sentence(schedules, strips)


def betas_of(module, name: str) -> Tensor | None:
    """The learner's betas; None when they are still to be written."""
    try:
        betas = getattr(module, f"{name}_beta_schedule")(STEPS)
    except NotImplementedError:
        return None
    return of_shape(betas, (STEPS,), f"{name}_beta_schedule({STEPS})")


def schedule_of(module, name: str):
    try:
        schedule = getattr(module.NoiseSchedule, name)(STEPS)
    except NotImplementedError:
        return None
    of_shape(schedule.alpha_bars, (STEPS,), f"alpha_bars of NoiseSchedule.{name}({STEPS})")
    return schedule


def strip(module, schedule) -> tuple[Tensor, Tensor | None] | None:
    """The pictures at the timesteps that are shown, and what predict_x0 makes of one of these.

    Returns:
        (pictures, timesteps, 3, H, W), then (pictures, 3, H, W) or None; None when there is no q_sample.
    """
    data = load_dataset("shapes", size=200, image_size=32)
    chosen = [int(torch.nonzero(data.labels == k)[0, 0]) for k in CLASSES]
    x_0 = to_model_range(data.images[chosen])
    # The same noise along a row, so that it is one picture's way.
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
    try:
        rows = [sample(module, schedule, x_0, t, noise) for t in SHOWN]
    except NotImplementedError:
        return None
    t = torch.full((len(x_0),), GUESSED)
    try:
        x_t = sample(module, schedule, x_0, GUESSED, noise)
        guess = module.predict_x0(schedule, x_t, t, noise.clone(), "noise")
        guess = of_shape(guess, tuple(x_0.shape), "what predict_x0 returns")
    except NotImplementedError:
        guess = None
    return torch.stack(rows, dim=1), guess


def sample(module, schedule, x_0: Tensor, t: int, noise: Tensor) -> Tensor:
    steps = torch.full((len(x_0),), t)
    x_t = module.q_sample(schedule, x_0.clone(), steps, noise.clone())
    return of_shape(x_t, tuple(x_0.shape), "what q_sample returns")


def of_shape(value, shape: tuple[int, ...], name: str) -> Tensor:
    if not isinstance(value, Tensor) or tuple(value.shape) != shape:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{name} should have the shape {shape}, not {got}")
    return value.detach().float().cpu()


def draw_strips(part, strips: dict) -> None:
    """A block of pictures for each schedule, and in its last column the way back."""
    blocks = part.subfigures(len(strips), 1, squeeze=False)[:, 0]
    for block, (name, (rows, guess)) in zip(blocks, strips.items(), strict=True):
        block.suptitle(f"Your {name} schedule", fontsize=11)
        titles = [f"t = {t}" for t in SHOWN]
        if guess is not None:
            rows = torch.cat([rows, guess[:, None]], dim=1)
            titles.append(f"predict_x0\nfrom t = {GUESSED}")
        axes = block.subplots(len(rows), len(titles), squeeze=False)
        shown = (torch.nan_to_num(rows).clamp(-1, 1) + 1) / 2
        for k, line in enumerate(axes):
            for axis, picture in zip(line, shown[k], strict=True):
                axis.imshow(picture.movedim(0, -1).numpy())
                axis.axis("off")
        for axis, title in zip(axes[0], titles, strict=True):
            axis.set_title(title, fontsize=8, pad=3)


def draw_shares(axes, schedules: dict) -> None:
    """alpha_bar over t, with the reference's beside it."""
    t = torch.arange(STEPS)
    for name, schedule in schedules.items():
        right = getattr(NoiseSchedule, name)(STEPS).alpha_bars
        axes.plot(t, right, color="0.75", linewidth=5)
        bars = schedule.alpha_bars.detach().float().cpu()
        axes.plot(t, bars, color=COLOURS[name], label=f"your {name} schedule")
    axes.plot([], [], color="0.75", linewidth=5, label="the reference's")
    axes.set_title("alpha_bar: how much of the\npicture's variance is left")
    axes.set_xlabel("timestep")
    axes.set_ylim(-0.03, 1.03)
    axes.grid(alpha=0.3)
    axes.legend()


def draw_betas(axes, written: dict) -> None:
    for name, betas in written.items():
        axes.plot(torch.arange(STEPS), betas, color=COLOURS[name], label=f"your {name} betas")
    axes.set_yscale("log")
    axes.set_title("beta: variance added at each step\n(alpha_bar comes with 5.3)")
    axes.set_xlabel("timestep")
    axes.grid(alpha=0.3)
    axes.legend()


def sentence(schedules: dict, strips: dict) -> str:
    if not schedules:
        return "Your betas, on a logarithmic scale. With NoiseSchedule (5.3) come the curves of alpha_bar."
    told = " ".join(
        half_life(name, schedule.alpha_bars.detach().float().cpu())
        for name, schedule in schedules.items()
    )
    return told if strips else f"{told} With q_sample (5.5) come the pictures."


def half_life(name: str, alpha_bars: Tensor) -> str:
    below = torch.nonzero(alpha_bars < 0.5)
    when = (
        f"half of the picture's variance is gone at t = {int(below[0])}"
        if len(below)
        else ("never is half of the picture's variance gone")
    )
    lost = int((alpha_bars < 0.01).sum())
    return f"By your {name} schedule {when}, and {lost} of {STEPS} steps have less than 1 % of it."
