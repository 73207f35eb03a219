"""Two linear layers for scale and shift, and a linear layer over the channels for the skip."""

import torch.nn.functional as F
from torch import nn


class ResidualBlock(nn.Module):
    def __init__(
        self,
        in_channels,
        out_channels,
        cond_dim,
        dropout=0.0,
        conditioning="scale_shift",
        residual=True,
    ):
        super().__init__()
        self.p = dropout
        self.residual = residual
        self.norm1 = nn.GroupNorm(8, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, 1, 1)
        self.norm2 = nn.GroupNorm(8, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1)
        self.scale = self.shift = self.bias = None
        match conditioning:
            case "scale_shift":
                self.scale = nn.Linear(cond_dim, out_channels)
                self.shift = nn.Linear(cond_dim, out_channels)
            case "add":
                self.bias = nn.Linear(cond_dim, out_channels)
            case other:
                raise ValueError(f"unknown conditioning {other}")
        self.project = in_channels != out_channels
        if residual:
            self.conv2.weight.data.zero_()
            self.conv2.bias.data.zero_()
            if self.project:
                self.skip = nn.Linear(in_channels, out_channels)

    def forward(self, x, cond):
        cond = F.silu(cond)
        h = self.conv1(F.silu(self.norm1(x)))
        if self.bias is not None:
            h = h + self.bias(cond)[..., None, None].expand_as(h)
        h = self.norm2(h)
        if self.scale is not None:
            h = h * (self.scale(cond) + 1)[..., None, None]
            h = h + self.shift(cond)[..., None, None]
        h = F.dropout(F.silu(h), p=self.p, training=self.training)
        h = self.conv2(h)
        if self.residual:
            if self.project:
                x = self.skip(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            h += x
        return h
