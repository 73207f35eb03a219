"""Products as sums of logarithms, tables as properties of the betas, einsum for the mixing."""

from math import pi

import torch
from torch import Generator, Tensor

TARGETS = {"noise", "v"}
LARGEST = torch.tensor(0.999)


class Beyond(ValueError):
    pass


def linear_beta_schedule(timesteps, beta_start=1e-4, beta_end=2e-2):
    if not timesteps >= 1:
        raise Beyond(timesteps)
    weight = torch.linspace(0, 1, timesteps)
    return torch.lerp(torch.tensor(beta_start), torch.tensor(beta_end), weight)


def cosine_beta_schedule(timesteps, s=8e-3):
    if not timesteps >= 1:
        raise Beyond(timesteps)
    u = torch.linspace(0, 1, timesteps + 1, dtype=torch.double)
    log_f = 2 * torch.log(torch.cos((u + s) / (1 + s) * (pi / 2)).abs())
    return torch.minimum(-torch.expm1(log_f.diff()).float(), LARGEST)


class NoiseSchedule:
    __slots__ = ("_betas",)

    def __init__(self, betas: Tensor):
        if (betas <= 0).any() or (betas >= 1).any():
            raise Beyond(betas)
        self._betas = betas.float()

    @property
    def timesteps(self) -> int:
        return self._betas.numel()

    @property
    def betas(self) -> Tensor:
        return self._betas

    @property
    def alphas(self) -> Tensor:
        return 1 - self._betas

    @property
    def alpha_bars(self) -> Tensor:
        return torch.log1p(-self._betas).cumsum(0).exp()

    @property
    def alpha_bars_prev(self) -> Tensor:
        rolled = self.alpha_bars.roll(1)
        rolled[0] = 1.0
        return rolled

    @classmethod
    def linear(cls, timesteps=1000):
        return cls(betas=linear_beta_schedule(timesteps))

    @classmethod
    def cosine(cls, timesteps=1000):
        return cls(betas=cosine_beta_schedule(timesteps))

    def to(self, device):
        return NoiseSchedule(self._betas.to(device))


def per_image(values, t):
    rows = torch.index_select(values, 0, t)
    return rows.unflatten(0, (len(t), 1, 1, 1))


def q_sample(schedule, x_0, t, noise=None):
    if noise is None:
        own = Generator().manual_seed(int(torch.randint(1 << 40, ())))
        noise = torch.randn(*x_0.shape, generator=own).to(x_0)
    factors = schedule.alpha_bars[t]
    factors = torch.stack([factors, 1 - factors]).sqrt()  # (2, B)
    return torch.einsum("kb,kbchw->bchw", factors, torch.stack([x_0, noise]))


def predict_x0(schedule, x_t, t, prediction, target="noise"):
    angle = torch.acos(per_image(schedule.alpha_bars, t).sqrt())
    match target:
        case "noise":
            return x_t / angle.cos() - angle.tan() * prediction
        case "v":
            return angle.cos() * x_t - angle.sin() * prediction
    raise Beyond(f"{target!r} is not one of {sorted(TARGETS)}")
