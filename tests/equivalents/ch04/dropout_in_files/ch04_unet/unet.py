"""Over three files, with dropout in the residual blocks, pooling, pixel shuffle, and a deque of skips."""

import logging
from collections import deque
from functools import cached_property

import torch
from torch import nn

from ..ch02_embeddings.embeddings import ConditionEmbedding
from ..ch03_residual_block.blocks import ResidualBlock
from .attention import SelfAttention2d
from .resample import make_down, make_up

log = logging.getLogger("unet")


class _Block(nn.Module):
    def __init__(self, i, o, c, heads):
        super().__init__()
        self.block = ResidualBlock(in_channels=i, out_channels=o, cond_dim=c, dropout=0.1)
        self.attention = SelfAttention2d(o, heads=heads) if heads else nn.Identity()

    def run(self, x, cond):
        return self.attention(self.block(x, cond=cond))


class DownBlock(_Block):
    def __init__(
        self, in_channels: int, out_channels: int, cond_dim: int, heads: int = 0, kind: str = "pool"
    ):
        super().__init__(in_channels, out_channels, cond_dim, heads)
        self.halve = make_down(kind, out_channels)

    def forward(self, x, cond):
        skip = self.run(x, cond)
        log.debug("skip %s", tuple(skip.shape))
        return self.halve(skip), skip


class UpBlock(_Block):
    def __init__(self, in_channels, skip_channels, out_channels, cond_dim, heads=0, kind="shuffle"):
        super().__init__(in_channels + skip_channels, out_channels, cond_dim, heads)
        self.twice = make_up(kind, in_channels)

    def forward(self, x, skip, cond):
        x = self.twice(x)
        assert x.shape[2:] == skip.shape[2:], (x.shape, skip.shape)
        return self.run(torch.concat([x, skip], axis=1), cond)


class UNet(nn.Module):
    def __init__(
        self,
        channels=3,
        num_classes=10,
        base_width=64,
        multipliers=(1, 2, 4),
        image_size=32,
        attention_resolutions=(),
        heads=4,
    ):
        super().__init__()
        self._multipliers = tuple(multipliers)
        self._width = base_width
        if channels not in (1, 3):
            raise ValueError(channels)
        resolutions = [image_size // 2**k for k in range(len(multipliers))]
        for r in attention_resolutions:
            if r not in resolutions:
                raise ValueError(r)
        self.condition = ConditionEmbedding(num_classes, base_width)
        c = 4 * base_width
        h = [heads if r in attention_resolutions else 0 for r in resolutions]
        w = self.widths
        self.stem = nn.Conv2d(channels, base_width, (3, 3), padding=(1, 1))
        self.down = nn.ModuleList(
            [
                DownBlock(a, b, c, k)
                for a, b, k in zip([base_width, *w[:-2]], w[:-1], h, strict=False)
            ]
            if len(w) > 1
            else []
        )
        self.mid = _Block((w[-2] if len(w) > 1 else base_width), w[-1], c, h[-1])
        self.up = nn.ModuleList([UpBlock(w[k + 1], w[k], w[k], c, h[k]) for k in range(len(w) - 1)])
        self.norm = nn.GroupNorm(8, w[0])
        self.conv = nn.Conv2d(w[0], channels, 3, padding=1)
        self.apply(self._init)
        nn.init.zeros_(self.conv.weight)

    @staticmethod
    def _init(m):
        if isinstance(m, nn.Conv2d) and m.bias is not None:
            nn.init.zeros_(m.bias)

    @property
    def widths(self):
        return [self._width * m for m in self._multipliers]

    @cached_property
    def multiple(self):
        return 2 ** (len(self._multipliers) - 1)

    def forward(self, x, t, y=None):
        bad = [n for n in x.shape[2:] if n % self.multiple]
        if bad:
            raise ValueError(f"{bad[0]} is not a multiple of {self.multiple}")
        cond = self.condition(t, y)
        skips = deque()
        h = self.stem(x)
        for d in self.down:
            h, s = d(h, cond)
            skips.appendleft(s)
        h = self.mid.run(h, cond)
        for u in reversed(self.up):
            h = u(h, skips.popleft(), cond)
        return self.conv(nn.functional.silu(self.norm(h)))
