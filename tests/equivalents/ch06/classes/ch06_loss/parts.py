"""What the loss is made of."""

import math
from dataclasses import dataclass

import torch

from ..ch05_forward_noise.diffusion import per_image, q_sample


class Coin:
    """Chance, from one generator and on one device."""

    def __init__(self, generator, device):
        self.how = {"generator": generator, "device": device}

    def whole(self, below):
        return torch.randint(below, (), **self.how)

    def falls(self, p, shape):
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"a coin cannot fall with probability {p}")
        return torch.rand(math.prod(shape), **self.how).view(shape) < p

    def normal(self, shape):
        return torch.randn(shape, **self.how)


@dataclass
class Batch:
    """Pictures on their way into the noise."""

    schedule: object
    x_0: torch.Tensor
    t: torch.Tensor
    noise: torch.Tensor | None

    def __post_init__(self):
        if self.noise is None:
            self.noise = Coin(None, self.x_0.device).normal(self.x_0.shape)

    def x_t(self):
        return q_sample(self.schedule, self.x_0, self.t, self.noise)

    def v(self):
        clean = per_image(self.schedule.alpha_bars, self.t)
        return torch.sqrt(clean).mul(self.noise).sub(torch.sqrt(1 - clean).mul(self.x_0))


class Goal:
    """What the model is asked for."""

    def __init__(self, name):
        goals = {"noise": lambda batch: batch.noise, "v": Batch.v}
        try:
            self.of = goals[name]
        except KeyError:
            raise ValueError(f"no such target: {name}") from None

    def __call__(self, batch):
        return self.of(batch)


class Weight:
    """min-SNR."""

    def __init__(self, target, gamma):
        if target != "noise" and target != "v":
            raise ValueError(target)
        self.extra, self.gamma = (0 if target == "noise" else 1), gamma

    def __call__(self, schedule, t):
        snr = 1 / (1 / schedule.alpha_bars[t] - 1)
        return torch.where(snr > self.gamma, self.gamma, snr) / (snr + self.extra)
