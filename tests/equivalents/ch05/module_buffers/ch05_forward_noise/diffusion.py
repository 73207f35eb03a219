"""The schedule is a torch module with buffers; formulas with addcmul, targets in a dictionary."""

import copy
import math

import torch
from torch import nn


def _enough(timesteps):
    if timesteps <= 0:
        raise ValueError(f"timesteps = {timesteps}")


def linear_beta_schedule(timesteps: int, beta_start: float = 0.0001, beta_end: float = 0.02):
    _enough(timesteps)
    step = (beta_end - beta_start) / max(timesteps - 1, 1)
    return beta_start + step * torch.arange(timesteps)


def cosine_beta_schedule(timesteps: int, s: float = 0.008):
    _enough(timesteps)

    def alpha_bar(u):
        return torch.cos(0.5 * math.pi * (u + s) / (1 + s)).square()

    t = torch.arange(timesteps)
    beta = 1 - alpha_bar((t + 1) / timesteps) / alpha_bar(t / timesteps)
    return torch.clip(beta, max=0.999)


class NoiseSchedule(nn.Module):
    def __init__(self, betas):
        super().__init__()
        for beta in betas.tolist():
            if not 0 < beta < 1:
                raise ValueError(f"beta = {beta}")
        betas = betas.to(torch.float32)
        alphas = 1.0 - betas
        alpha_bars = torch.cumprod(alphas, dim=0)
        before = nn.functional.pad(alpha_bars[:-1], (1, 0), value=1.0)
        self.timesteps = betas.shape[0]
        self.register_buffer("betas", betas)
        self.register_buffer("alphas", alphas)
        self.register_buffer("alpha_bars", alpha_bars)
        self.register_buffer("alpha_bars_prev", before)

    @staticmethod
    def linear(timesteps=1000):
        return NoiseSchedule(linear_beta_schedule(timesteps))

    @staticmethod
    def cosine(timesteps=1000):
        return NoiseSchedule(cosine_beta_schedule(timesteps))

    def to(self, *args, **kwargs):
        return nn.Module.to(copy.deepcopy(self), *args, **kwargs)


def per_image(values, t):
    return values[t][:, None, None, None]


def q_sample(schedule, x_0, t, noise=None):
    if noise is None:
        noise = torch.empty_like(x_0).normal_()
    kept = per_image(schedule.alpha_bars, t)
    return torch.addcmul(x_0 * torch.sqrt(kept), noise, torch.sqrt(1.0 - kept))


def _from_noise(kept, x_t, noise):
    return (x_t - torch.sqrt(1.0 - kept) * noise) * torch.rsqrt(kept)


def _from_v(kept, x_t, v):
    return kept**0.5 * x_t - (1.0 - kept) ** 0.5 * v


TARGETS = {"noise": _from_noise, "v": _from_v}


def predict_x0(schedule, x_t, t, prediction, target="noise"):
    try:
        formula = TARGETS[target]
    except KeyError:
        raise ValueError(f"unknown target {target!r}") from None
    return formula(per_image(schedule.alpha_bars, t), x_t, prediction)
