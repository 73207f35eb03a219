"""Chapter 8: the learner's loop trains a small U-Net on shapes for some seconds: their learning curve."""

import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from ddpm_ref.datasets import ImageSet, load_dataset
from ddpm_ref.diffusion import NoiseSchedule
from ddpm_ref.unet import UNet

PARTS = 25  # looks at the validation loss …
PART = 10  # … and batches between two of them
SECONDS = 60.0  # when it is over all the same, with four looks at least
SIZE, CLASSES, BATCH, HELD_OUT = 16, 10, 32, 128
DECAY = 0.98


def draw(module, out: Path) -> str:
    """Draw the picture of chapter 8.

    Args:
        module: the chapter's module, by whoever wrote it.
        out: where the PNG goes.

    Returns:
        A sentence that says what is to be seen.

    Raises:
        ValueError: when a loss is not a number.
    """
    device = module.select_device()
    torch.manual_seed(0)
    model = UNet(base_width=8, multipliers=(1, 2, 4), image_size=SIZE, heads=2).to(device)
    optimizer = module.make_optimizer(model, 1e-2, betas=(0.9, 0.99))
    average = module.ExponentialMovingAverage(model, DECAY)
    schedule = NoiseSchedule.cosine().to(device)
    training, validation = loaders(load_dataset("shapes", size=3000, image_size=SIZE))
    rows, end = [], time.monotonic() + SECONDS
    while len(rows) < PARTS and (len(rows) < 4 or time.monotonic() < end):
        part = [next(training) for _ in range(PART)]
        trained = module.train_one_epoch(
            *(model, part, schedule, optimizer, CLASSES, "v"),
            ema=average,
        )
        raw = module.validate(model, validation, schedule, "v")
        with average.applied(model):
            averaged = module.validate(model, validation, schedule, "v")
        rows.append([number(value) for value in (trained, raw, averaged)])
    curves(rows, out, f"Your loop, on {device.type}: {len(rows) * PART} steps of {BATCH} images")
    _, raw, averaged = rows[-1]
    better = "below" if averaged < raw else "not yet below"
    return (
        "The loss of a small U-Net that your loop trained. Training jumps from batch to batch, since "
        "timesteps and noise are drawn anew; validation asks the same questions each time. In the end "
        f"the averaged weights ({averaged:.3f}) are {better} the weights themselves ({raw:.3f})."
    )


def loaders(data: ImageSet):
    """Endless training batches, and the validation batches."""
    x_0, y = data.images.float() / 127.5 - 1, data.labels
    held_out = [(x_0[i : i + 64], y[i : i + 64]) for i in range(0, HELD_OUT, 64)]

    def forever():
        while True:
            chosen = HELD_OUT + torch.randint(len(y) - HELD_OUT, (BATCH,))
            yield x_0[chosen], y[chosen]

    return forever(), held_out


def number(value) -> float:
    if not isinstance(value, float | int | Tensor) or not torch.isfinite(
        torch.as_tensor(float(value))
    ):
        raise ValueError(f"a mean loss should be a finite number, not {value!r}")
    return float(value)


def curves(rows: list[list[float]], out: Path, title: str) -> None:
    figure, axes = plt.subplots(figsize=(9, 4.8), layout="constrained")
    steps = [PART * (k + 1) for k in range(len(rows))]
    trained, raw, averaged = zip(*rows, strict=True)
    axes.plot(steps, trained, color="0.75", label="training")
    axes.plot(steps, raw, color="tab:orange", label="validation, the weights themselves")
    axes.plot(
        steps, averaged, color="tab:blue", linewidth=2.5, label="validation, averaged weights"
    )
    axes.set_xlabel("steps")
    axes.set_ylabel("mean squared error of v")
    axes.set_title(title)
    axes.legend()
    axes.grid(alpha=0.25)
    figure.savefig(out, dpi=110)
    plt.close(figure)
