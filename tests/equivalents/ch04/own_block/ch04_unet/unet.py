"""Built from a block of one's own (a subclass of chapter 3's, in a helper file), with pixel shuffles."""

import torch
import torch.nn.functional as F
from torch import nn

from ..ch02_embeddings.embeddings import ConditionEmbedding
from .attentive import AttentiveBlock, SelfAttention2d, halved, zero

__all__ = ["DownBlock", "SelfAttention2d", "UNet", "UpBlock"]


class DownBlock(nn.Module):
    def __init__(self, in_channels, out_channels, cond_dim, heads=0, depth=1):
        super().__init__()
        self.blocks = nn.ModuleList([AttentiveBlock(in_channels, out_channels, cond_dim, heads)])
        for _ in range(depth - 1):
            self.blocks.append(AttentiveBlock(out_channels, out_channels, cond_dim, heads))
        self.shrink = nn.Conv2d(4 * out_channels, out_channels, 1)

    def forward(self, x, cond):
        for block in self.blocks:
            x = block(x, cond)
        return self.shrink(halved(x)), x


class UpBlock(nn.Module):
    def __init__(self, in_channels, skip_channels, out_channels, cond_dim, heads=0, depth=1):
        super().__init__()
        self.grow = nn.Conv2d(in_channels, 4 * in_channels, 1)
        self.blocks = nn.ModuleList(
            [AttentiveBlock(in_channels + skip_channels, out_channels, cond_dim, heads)]
        )
        for _ in range(depth - 1):
            self.blocks.append(AttentiveBlock(out_channels, out_channels, cond_dim, heads))

    def forward(self, x, skip, cond):
        x = torch.cat([F.pixel_shuffle(self.grow(x), 2), skip], dim=1)
        for block in self.blocks:
            x = block(x, cond)
        return x


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
        depth=2,
    ):
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"channels={channels}")
        levels = len(multipliers)
        heads_at = dict.fromkeys(range(levels), 0)
        for resolution in attention_resolutions:
            found = [k for k in range(levels) if image_size // 2**k == resolution]
            if not found:
                raise ValueError(f"no level has the resolution {resolution}")
            heads_at[found[0]] = heads
        n = 4 * base_width
        w = [base_width] + [base_width * m for m in multipliers]
        self.condition = ConditionEmbedding(num_classes, base_width)
        self.channels, self.multiple = channels, 2 ** (levels - 1)
        self.enter = nn.Conv2d(channels, base_width, 3, padding=1)
        self.way_down = nn.ModuleList(
            DownBlock(w[k], w[k + 1], n, heads_at[k], depth) for k in range(levels - 1)
        )
        self.middle = AttentiveBlock(w[-2], w[-1], n, heads_at[levels - 1])
        self.way_up = nn.ModuleList(
            UpBlock(w[k + 2], w[k + 1], w[k + 1], n, heads_at[k], depth) for k in range(levels - 1)
        )
        self.norm = nn.GroupNorm(8, w[1])
        self.leave = zero(nn.Conv2d(w[1], channels, 3, padding=1))

    def forward(self, x, t, y=None):
        _, _, height, width = x.shape
        if height % self.multiple != 0 or width % self.multiple != 0:
            raise ValueError(f"{height} by {width}: multiples of {self.multiple} are needed")
        cond = self.condition(t, y)
        x = self.enter(x)
        kept = []
        for down in self.way_down:
            x, skip = down(x, cond)
            kept.insert(0, skip)
        x = self.middle(x, cond)
        for up, skip in zip(reversed(self.way_up), kept, strict=True):
            x = up(x, skip, cond)
        return self.leave(F.silu(self.norm(x)))
