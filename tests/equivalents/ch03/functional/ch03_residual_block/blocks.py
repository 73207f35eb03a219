"""Bare parameters and functions from a helper file: no layer of torch.nn at all."""

import math

import torch
from torch import nn

from . import layers


class ResidualBlock(nn.Module):
    def __init__(
        self, in_channels, out_channels, cond_dim, dropout=0.0, conditioning="scale_shift",
        residual=True,
    ):  # fmt: skip
        super().__init__()
        if in_channels % 8 != 0 or out_channels % 8 != 0:
            raise ValueError("8 groups need multiples of 8")
        if conditioning not in {"scale_shift", "add"}:
            raise ValueError(conditioning)
        self.p, self.kind, self.residual = dropout, conditioning, residual
        self.g1 = nn.Parameter(torch.ones(in_channels))
        self.b1 = nn.Parameter(torch.zeros(in_channels))
        self.g2 = nn.Parameter(torch.ones(out_channels))
        self.b2 = nn.Parameter(torch.zeros(out_channels))
        self.w1 = uniform(out_channels, in_channels, 3, 3)
        self.c1 = nn.Parameter(torch.zeros(out_channels))
        start = torch.zeros if residual else uniform
        self.w2 = nn.Parameter(start(out_channels, out_channels, 3, 3))
        self.c2 = nn.Parameter(torch.zeros(out_channels))
        rows = out_channels * (2 if conditioning == "scale_shift" else 1)
        self.wc = uniform(rows, cond_dim)
        self.cc = nn.Parameter(torch.zeros(rows))
        if residual and in_channels != out_channels:
            self.ws = uniform(out_channels, in_channels)
            self.cs = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x, cond):
        h = layers.swish(layers.group_norm(x, 8, self.g1, self.b1))
        h = layers.convolution(h, self.w1, self.c1)
        c = layers.swish(cond) @ self.wc.T + self.cc
        c = c.unsqueeze(-1).unsqueeze(-1)
        if self.kind == "add":
            h = layers.group_norm(h + c, 8, self.g2, self.b2)
        else:
            scale, shift = torch.tensor_split(c, 2, dim=1)
            h = layers.group_norm(h, 8, self.g2, self.b2)
            h = torch.lerp(shift, h + shift, 1 + scale)  # shift + (1 + scale) · h
        h = layers.drop(layers.swish(h), self.p, self.training)
        h = layers.convolution(h, self.w2, self.c2)
        return h + self.skip(x) if self.residual else h

    def skip(self, x):
        if not hasattr(self, "ws"):
            return x
        return torch.einsum("bchw,oc->bohw", x, self.ws) + self.cs[:, None, None]


def uniform(*shape):
    """The usual initial values: uniform within 1 / √(fan in)."""
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
