"""Python numbers in lists, a frozen dataclass, and images one at a time."""

from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from .tables import equal_steps, running_product, squared_cosine

TARGETS = ["noise", "v"]


def linear_beta_schedule(timesteps, beta_start=1e-4, beta_end=0.02):
    return torch.tensor(equal_steps(timesteps, beta_start, beta_end))


def cosine_beta_schedule(timesteps, s=0.008):
    return torch.tensor(squared_cosine(timesteps, s))


@dataclass(frozen=True)
class NoiseSchedule:
    betas: Tensor
    alphas: Tensor = field(init=False)
    alpha_bars: Tensor = field(init=False)
    alpha_bars_prev: Tensor = field(init=False)

    def __post_init__(self):
        betas = self.betas.tolist()
        if any(beta <= 0 or beta >= 1 for beta in betas):
            raise ValueError("a beta is not between 0 and 1")
        alphas = [1 - beta for beta in betas]
        bars = running_product(alphas)
        self._keep(betas=betas, alphas=alphas, alpha_bars=bars, alpha_bars_prev=[1.0, *bars[:-1]])

    def _keep(self, **tables):
        for name, table in tables.items():
            where = self.betas.device
            object.__setattr__(self, name, torch.tensor(table, device=where))

    @property
    def timesteps(self):
        return len(self.betas)

    @classmethod
    def linear(cls, timesteps=1000):
        return cls(linear_beta_schedule(timesteps))

    @classmethod
    def cosine(cls, timesteps=1000):
        return cls(cosine_beta_schedule(timesteps))

    def to(self, device):
        moved = object.__new__(NoiseSchedule)
        for each in fields(self):
            object.__setattr__(moved, each.name, getattr(self, each.name).to(device))
        return moved


def per_image(values, t):
    return torch.stack([values[step].reshape(1, 1, 1) for step in t])


def q_sample(schedule, x_0, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_0)
    noisy = []
    for image, step, own in zip(x_0, t.tolist(), noise, strict=True):
        alpha_bar = schedule.alpha_bars[step]
        noisy.append(alpha_bar**0.5 * image + (1 - alpha_bar) ** 0.5 * own)
    return torch.stack(noisy)


def predict_x0(schedule, x_t, t, prediction, target="noise"):
    if target not in TARGETS:
        raise ValueError(f"{target} is none of {TARGETS}")
    pictures = []
    for image, step, said in zip(x_t, t.tolist(), prediction, strict=True):
        a, b = schedule.alpha_bars[step] ** 0.5, (1 - schedule.alpha_bars[step]) ** 0.5
        pictures.append((image - b * said) / a if target == "noise" else a * image - b * said)
    return torch.stack(pictures)
