"""Chapter 5 · The forward process: how a picture turns into noise, in one step to any t.

q(x_t | x_0) = N(√alpha_bar_t · x_0, (1 − alpha_bar_t) · I)       (Ho et al. 2020, equation 4)
"""

import math

import torch
from torch import Tensor

TARGETS = ("noise", "v")


def linear_beta_schedule(
    timesteps: int, beta_start: float = 1e-4, beta_end: float = 0.02
) -> Tensor:
    """(T,) float32: equal steps from beta_start to beta_end, both included (Ho et al. 2020, section 4).

    The ends are not rescaled by T: they were made for T = 1000, and a short schedule of them does not
    reach pure noise.
    """
    _check_timesteps(timesteps)
    return torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64).float()


def cosine_beta_schedule(timesteps: int, s: float = 0.008) -> Tensor:
    """(T,) float32: betas whose alpha_bar falls like a squared cosine (Nichol & Dhariwal 2021, equation 17).

    With f(u) = cos²((u + s) / (1 + s) · π/2):

        beta_t = min(1 − f((t + 1) / T) / f(t / T), 0.999),   t = 0 … T − 1

    The offset s keeps the first betas from being too small to learn from; the limit 0.999 keeps the
    last one from wiping out everything at once.
    """
    _check_timesteps(timesteps)
    u = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    f = torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2
    return (1 - f[1:] / f[:-1]).clamp(max=0.999).float()


class NoiseSchedule:
    """The tables of a diffusion of T steps, each (T,) float32 on one device.

    Attributes:
        betas: variance added at each step.
        alphas: 1 − betas.
        alpha_bars: product of alphas up to and including t: the share of signal variance left in x_t.
        alpha_bars_prev: the same one step earlier; 1 at t = 0, where nothing but the picture is left.
        timesteps: T.

    Args:
        betas: (T,), each in (0, 1).

    Raises:
        ValueError: when a beta lies outside (0, 1).
    """

    def __init__(self, betas: Tensor):
        if betas.ndim != 1 or not len(betas) or not ((betas > 0) & (betas < 1)).all():
            raise ValueError("betas must be a non-empty vector of numbers between 0 and 1")
        # The product in float64, the tables in float32: each entry is then right to the last bit.
        alphas = 1 - betas.double()
        alpha_bars = alphas.cumprod(0)
        self.timesteps = len(betas)
        self.betas = betas.float()
        self.alphas = alphas.float()
        self.alpha_bars = alpha_bars.float()
        self.alpha_bars_prev = torch.cat([torch.ones_like(alpha_bars[:1]), alpha_bars[:-1]]).float()

    @classmethod
    def linear(cls, timesteps: int = 1000) -> "NoiseSchedule":
        return cls(linear_beta_schedule(timesteps))

    @classmethod
    def cosine(cls, timesteps: int = 1000) -> "NoiseSchedule":
        return cls(cosine_beta_schedule(timesteps))

    def to(self, device) -> "NoiseSchedule":
        """The same tables on another device; this object stays where it is."""
        moved = object.__new__(type(self))
        for name, value in vars(self).items():
            setattr(moved, name, value.to(device) if isinstance(value, Tensor) else value)
        return moved


def per_image(values: Tensor, t: Tensor) -> Tensor:
    """Row t of a (T,) table for each image, (B, 1, 1, 1), to be multiplied with (B, C, H, W)."""
    return values.to(t.device)[t].reshape(-1, 1, 1, 1)


def q_sample(
    schedule: NoiseSchedule, x_0: Tensor, t: Tensor, noise: Tensor | None = None
) -> Tensor:
    """Draw x_t from q(x_t | x_0):  x_t = √alpha_bar_t · x_0 + √(1 − alpha_bar_t) · noise.

    Args:
        schedule: the tables.
        x_0: (B, C, H, W) in [−1, 1].
        t: (B,) int64 in 0…T−1.
        noise: (B, C, H, W) standard normal; drawn when None.

    Returns:
        (B, C, H, W). Source: Ho et al. 2020, equation 4.
    """
    if noise is None:
        noise = torch.randn_like(x_0)
    alpha_bar = per_image(schedule.alpha_bars, t)  # (B, 1, 1, 1)
    return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise


def predict_x0(
    schedule: NoiseSchedule, x_t: Tensor, t: Tensor, prediction: Tensor, target: str = "noise"
) -> Tensor:
    """The picture that a prediction implies, not clipped.

        target "noise":  x_0 = (x_t − √(1 − alpha_bar_t) · noise) / √alpha_bar_t
        target "v":      x_0 = √alpha_bar_t · x_t − √(1 − alpha_bar_t) · v

    Args:
        schedule: the tables.
        x_t: (B, C, H, W).
        t: (B,) int64.
        prediction: (B, C, H, W), the model's output.
        target: what the model predicts, "noise" or "v".

    Returns:
        (B, C, H, W). Sources: Ho et al. 2020, equation 15; Salimans & Ho 2022, appendix D.
    """
    alpha_bar = per_image(schedule.alpha_bars, t)
    if target == "noise":
        return (x_t - (1 - alpha_bar).sqrt() * prediction) / alpha_bar.sqrt()
    if target == "v":
        return alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * prediction
    raise ValueError(f"target must be one of {TARGETS}, got {target!r}")


def predict_noise(schedule: NoiseSchedule, x_t: Tensor, t: Tensor, x_0: Tensor) -> Tensor:
    """The noise that lies between x_0 and x_t: `q_sample` solved for its last argument."""
    alpha_bar = per_image(schedule.alpha_bars, t)
    return (x_t - alpha_bar.sqrt() * x_0) / (1 - alpha_bar).sqrt()


def _check_timesteps(timesteps: int) -> None:
    if timesteps < 1:
        raise ValueError(f"timesteps must be at least 1, got {timesteps}")
