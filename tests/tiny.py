"""Things so small that a test can have them made anew: a recipe, its data, a run."""

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch
from PIL import Image
from torch import nn

from ddpm_ref.data import make_loaders
from ddpm_ref.datasets import ImageSet, load_dataset
from ddpm_ref.diffusion import NoiseSchedule
from ddpm_ref.launch import train
from ddpm_ref.precision import make_scaler
from ddpm_ref.presets import (
    DataConfig,
    DiffusionConfig,
    ModelConfig,
    RunConfig,
    SampleConfig,
    TrainConfig,
)
from ddpm_ref.recipes import make_model
from ddpm_ref.runs import Run
from ddpm_ref.training import (
    ExponentialMovingAverage,
    TrainingState,
    make_lr_schedule,
    make_optimizer,
)

CONFIG = RunConfig(
    preset="tiny",
    data=DataConfig(dataset="shapes", image_size=16, size=120),
    model=ModelConfig(base_width=8, multipliers=(1, 2), attention_resolutions=(8,), heads=2),
    diffusion=DiffusionConfig(timesteps=20, schedule="cosine", target="v"),
    train=TrainConfig(
        precision="fp32",
        images=60,
        batch_size=12,
        learning_rate=2e-3,
        warmup_steps=2,
        decay_from=0.5,
        ema_decay=0.9,
    ),
    sample=SampleConfig(sampler="ddim", steps=4, guidance_scale=1.5),
)


def config(**train_settings) -> RunConfig:
    """The tiny recipe, with other settings of its training."""
    return replace(CONFIG, train=replace(CONFIG.train, **train_settings))


def ticking_clock():
    """To stand in for `time`: it moves on by a second whenever somebody looks at it."""
    looks = itertools.count()
    return SimpleNamespace(monotonic=lambda: float(next(looks)))


def shapes(size: int = 120) -> ImageSet:
    return load_dataset("shapes", image_size=16, size=size)


def make_run(folder: Path, **train_settings) -> Run:
    """A trained run in a new folder; takes a second."""
    assert train(config(**train_settings), shapes(), folder, torch.device("cpu"))
    return Run(folder)


def make_state(recipe: RunConfig, images: ImageSet, seed: int = 0):
    """Fresh moving parts, as `ddpm_ref.launch.train` makes them: state, training and validation loader."""
    torch.manual_seed(seed)
    model, knobs = make_model(recipe), recipe.train
    loaders = make_loaders(images.images, images.labels, knobs.batch_size, flip=False)
    optimizer = make_optimizer(model, knobs.learning_rate, knobs.betas, knobs.weight_decay)
    lr_schedule = make_lr_schedule(optimizer, knobs.steps, knobs.warmup_steps, knobs.decay_from)
    ema = None if knobs.ema_decay is None else ExponentialMovingAverage(model, knobs.ema_decay)
    scaler = make_scaler(torch.device("cpu"), knobs.precision)
    state = TrainingState(model, optimizer, lr_schedule, scaler, ema, loaders[0].generator)
    return state, *loaders


def schedule(timesteps: int = 20) -> NoiseSchedule:
    return NoiseSchedule.cosine(timesteps)


class Dial(nn.Module):
    """A model with one number: prediction = number · x_t. It remembers what it was called with."""

    def __init__(self, number: float = 0.0):
        super().__init__()
        self.number = nn.Parameter(torch.tensor(number))
        self.calls = []

    def forward(self, x, t, y=None):
        self.calls.append((x.detach().clone(), t.clone(), y, self.training))
        return self.number * x


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its content, and every folder with None."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def picture(size: int = 16) -> Image.Image:
    """One shape."""
    return Image.fromarray(shapes(1).images[0].permute(1, 2, 0).numpy()).resize((size, size))
