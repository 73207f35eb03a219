"""Everything computed by numpy in double precision; the schedule keeps the roots as tables of their own."""

import numpy as np
import torch

TARGETS = ("noise", "v")


def linear_beta_schedule(timesteps, beta_start=1e-4, beta_end=0.02):
    if timesteps < 1:
        raise ValueError("at least one timestep, please")
    betas = np.linspace(beta_start, beta_end, timesteps)
    return torch.from_numpy(betas.astype(np.float32))


def cosine_beta_schedule(timesteps, s=0.008):
    if timesteps < 1:
        raise ValueError("at least one timestep, please")
    steps = np.linspace(0, timesteps, timesteps + 1)
    alphas_cumprod = np.cos(((steps / timesteps) + s) / (1 + s) * np.pi * 0.5) ** 2
    alphas_cumprod = alphas_cumprod / alphas_cumprod[0]
    betas = 1 - (alphas_cumprod[1:] / alphas_cumprod[:-1])
    return torch.tensor(np.minimum(betas, 0.999), dtype=torch.float32)


class NoiseSchedule:
    def __init__(self, betas):
        b = np.asarray(betas, dtype=np.float64)
        if b.min() <= 0 or b.max() >= 1:
            raise ValueError("each beta lies between 0 and 1")
        a = 1 - b
        bars = np.cumprod(a)
        prev = np.append(1.0, bars[:-1])
        self.timesteps = b.size
        self.tables = {
            "betas": b,
            "alphas": a,
            "alpha_bars": bars,
            "alpha_bars_prev": prev,
            "signal": np.sqrt(bars),
            "noise": np.sqrt(1 - bars),
        }
        for name, table in self.tables.items():
            setattr(self, name, torch.from_numpy(table).float())

    @classmethod
    def linear(cls, timesteps=1000):
        return cls(linear_beta_schedule(timesteps))

    @classmethod
    def cosine(cls, timesteps=1000):
        return cls(cosine_beta_schedule(timesteps))

    def to(self, device):
        other = NoiseSchedule.__new__(NoiseSchedule)
        other.timesteps, other.tables = self.timesteps, self.tables
        for name in self.tables:
            setattr(other, name, getattr(self, name).to(device))
        return other


def per_image(values, t):
    out = torch.gather(values, -1, t)
    return out.view(t.shape[0], 1, 1, 1)


def q_sample(schedule, x_0, t, noise=None):
    noise = torch.randn(x_0.shape, device=x_0.device, dtype=x_0.dtype) if noise is None else noise
    return per_image(schedule.signal, t) * x_0 + per_image(schedule.noise, t) * noise


def predict_x0(schedule, x_t, t, prediction, target="noise"):
    if target not in TARGETS:
        raise ValueError(target)
    signal = per_image(schedule.signal, t)
    spread = per_image(schedule.noise, t)
    if target == "v":
        return signal * x_t - spread * prediction
    return x_t / signal - prediction * (spread / signal)
