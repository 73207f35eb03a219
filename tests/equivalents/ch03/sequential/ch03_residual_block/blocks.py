"""Each half a Sequential, the condition's path too; the skip is a Sequential that may be empty."""

import torch
from torch import nn


def half(channels, out_channels, dropout=0.0):
    return nn.Sequential(
        nn.GroupNorm(8, channels),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Conv2d(channels, out_channels, 3, padding=1),
    )


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
        if conditioning not in ("scale_shift", "add"):
            raise ValueError(f"no such conditioning: {conditioning}")
        self.add = conditioning == "add"
        numbers = out_channels if self.add else 2 * out_channels
        self.embed = nn.Sequential(
            nn.SiLU(), nn.Linear(cond_dim, numbers), nn.Unflatten(1, (-1, 1, 1))
        )
        self.top = half(in_channels, out_channels)
        self.bottom = half(out_channels, out_channels, dropout)
        self.skip = None
        if residual:
            nn.init.zeros_(self.bottom[-1].weight)
            nn.init.zeros_(self.bottom[-1].bias)
            self.skip = nn.Sequential()
            if in_channels != out_channels:
                self.skip.append(nn.Conv2d(in_channels, out_channels, 1))

    def forward(self, x, cond):
        h, c = self.top(x), self.embed(cond)
        if self.add:
            h = self.bottom(h.add(c))
        else:
            norm, rest = self.bottom[0], self.bottom[1:]
            scale, shift = torch.split(c, h.shape[1], dim=1)
            h = rest(torch.addcmul(shift, norm(h), scale + 1))
        return h if self.skip is None else torch.stack([h, self.skip(x)]).sum(0)
