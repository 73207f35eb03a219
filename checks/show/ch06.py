"""Chapter 6: how hard each timestep is, by the learner's loss, and how often it comes up."""

import importlib
from itertools import pairwise
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from ddpm_ref.datasets import load_dataset
from ddpm_ref.painting import Painter, load_painter

BUCKETS = 20  # of equal width, over 0…T−1
PICTURES = 48  # in each of them
SEED = 1  # of the pictures, which the shipped model was not trained on
DRAWS = 20_000  # timesteps, to count how often each bucket comes up
GAMMA = 5.0
TRAINED, LAZY = "the shipped model", "a model that always answers 0"


class Nothing(nn.Module):
    """A model that always predicts zeros."""

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return torch.zeros_like(x)


def draw(module, out: Path) -> str:
    """Draw the loss by timestep of the shipped model and of one that predicts zeros.

    Args:
        module: the learner's chapter; `p_losses` is needed, `sample_timesteps` and `min_snr_weight` are
            shown where they are written.
        out: where the PNG goes.

    Raises:
        ValueError: when a loss is no scalar tensor.
    """
    painter = load_painter()
    schedule = schedule_for(painter)
    edges = torch.linspace(0, schedule.timesteps, BUCKETS + 1).long().tolist()
    losses = {
        TRAINED: by_bucket(module.p_losses, painter.model, schedule, painter, edges),
        LAZY: by_bucket(module.p_losses, Nothing(), schedule, painter, edges),
    }
    drawn = unless_unwritten(
        lambda: module.sample_timesteps(DRAWS, schedule.timesteps).double().cpu()
    )
    middles = torch.tensor([(a + b) // 2 for a, b in pairwise(edges)])
    weight = unless_unwritten(lambda: module.min_snr_weight(schedule, middles, "v", GAMMA))
    picture(losses, drawn, weight, middles, edges, out)
    low, high = min(losses[TRAINED]), max(losses[TRAINED])
    where = edges[losses[TRAINED].index(high)], edges[losses[TRAINED].index(high) + 1] - 1
    return (
        f"Your loss of the shipped model lies between {low:.3f} and {high:.3f}, by timestep; hardest is "
        f"t = {where[0]}…{where[1]}. A model that always answers 0 has {mean(losses[LAZY]):.2f} on average, "
        f"the shipped one {mean(losses[TRAINED]):.3f}: one number for all timesteps does not say which of "
        "them are hard."
    )


def schedule_for(painter: Painter):
    """The tables that the model was trained with, of the chapter 5 that the learner's chapter uses."""
    diffusion = importlib.import_module("chapters.ch05_forward_noise.diffusion")
    return getattr(diffusion.NoiseSchedule, painter.config.diffusion.schedule)(
        painter.config.diffusion.timesteps
    )


def by_bucket(p_losses, model, schedule, painter: Painter, edges: list[int]) -> list[float]:
    """The loss for each bucket of timesteps, always on the same pictures and noise.

    Raises:
        ValueError: when it is no scalar tensor.
    """
    size = painter.config.model.image_size
    data = load_dataset("shapes", size=PICTURES, image_size=size, seed=SEED)
    x_0 = data.images.float() / 127.5 - 1
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(SEED))
    target, found = painter.config.diffusion.target, []
    for first, end in pairwise(edges):
        t = torch.arange(PICTURES) * (end - first) // PICTURES + first  # evenly over the bucket
        with torch.no_grad():
            loss = p_losses(model, schedule, x_0, t, data.labels, noise, target)
        if not isinstance(loss, Tensor) or loss.shape != ():
            raise ValueError(f"p_losses should give a scalar tensor, not {loss!r:.80}")
        found.append(loss.item())
    return found


def unless_unwritten(call):
    """call(), or None while what it needs is still to be written."""
    try:
        return call()
    except NotImplementedError:
        return None


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def picture(losses: dict, drawn, weight, middles, edges: list[int], out: Path) -> None:
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.3), layout="constrained")
    for name, colour in ((LAZY, "0.6"), (TRAINED, "C0")):
        left.plot(middles, losses[name], "o-", color=colour, label=name, markersize=4)
    left.set_yscale("log")
    left.set_title("Your p_losses by timestep\n(v, shapes, the same pictures for every t)")
    left.set_xlabel("t: from the picture to pure noise")
    left.set_ylabel("loss")
    left.legend(loc="center", bbox_to_anchor=(0.42, 0.64))
    middle.set_title("How often each timestep is drawn\nby your sample_timesteps")
    if drawn is None:
        unwritten(middle, "sample_timesteps")
    else:
        middle.hist(drawn.numpy(), bins=edges, color="C0", rwidth=0.9)
        middle.axhline(DRAWS / BUCKETS, color="0.4", linestyle=":")
        middle.set_xlabel("t")
        middle.set_ylabel(f"of {DRAWS:,} draws")
    right.set_title(f"Which timesteps make up the loss\n(★ your min_snr_weight, gamma = {GAMMA:g})")
    if weight is None:
        unwritten(right, "min_snr_weight")
    else:
        weight = weight.detach().reshape(-1).cpu()
        alike = torch.tensor(losses[TRAINED])
        for name, loss, colour in (("all alike", alike, "0.6"), ("weighted", weight * alike, "C1")):
            share = 100 * loss / loss.sum()
            right.plot(middles, share, "o-", color=colour, label=name, markersize=4)
        right.set_xlabel("t")
        right.set_ylabel("share of the loss, %")
        right.legend()
    figure.savefig(out, dpi=110)
    plt.close(figure)


def unwritten(axes, name: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, f"{name}\nis still to be written", ha="center", va="center")
