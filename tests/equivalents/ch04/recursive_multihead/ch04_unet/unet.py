"""A U-Net inside a U-Net: each level contains the next one. nn.MultiheadAttention; skips come first."""

from itertools import pairwise

import torch
from torch import nn

from ..ch02_embeddings.embeddings import ConditionEmbedding
from ..ch03_residual_block.blocks import ResidualBlock


class SelfAttention2d(nn.Module):
    def __init__(self, channels, heads=4):
        if channels % heads or channels % 8:
            raise ValueError(f"{channels} % {heads} or % 8")
        super().__init__()
        self.ln = nn.GroupNorm(8, channels)
        self.mha = nn.MultiheadAttention(channels, heads, batch_first=True)
        nn.init.zeros_(self.mha.out_proj.weight)
        nn.init.zeros_(self.mha.out_proj.bias)

    def forward(self, x):
        b, c, h, w = x.shape
        places = self.ln(x).view(b, c, h * w).permute(0, 2, 1)  # (B, N, C)
        mixed, _ = self.mha(places, places, places, need_weights=False)
        return mixed.permute(0, 2, 1).reshape(b, c, h, w) + x


class Blocks(nn.Module):
    """Residual blocks, each with attention after it when there are heads."""

    def __init__(self, widths, cond_dim, heads):
        super().__init__()
        self.layers = nn.ModuleList()
        for before, after in pairwise(widths):
            self.layers.append(ResidualBlock(before, after, cond_dim))
            if heads:
                self.layers.append(SelfAttention2d(after, heads))

    def forward(self, x, cond):
        for layer in self.layers:
            x = layer(x) if isinstance(layer, SelfAttention2d) else layer(x, cond)
        return x


class DownBlock(nn.Module):
    def __init__(self, in_channels, out_channels, cond_dim, heads=0):
        super().__init__()
        self.blocks = Blocks([in_channels, out_channels, out_channels], cond_dim, heads)
        self.halve = nn.MaxPool2d(2)

    def forward(self, x, cond):
        h = self.blocks(x, cond)
        return self.halve(h), h


class UpBlock(nn.Module):
    def __init__(self, in_channels, skip_channels, out_channels, cond_dim, heads=0):
        super().__init__()
        self.doubled = nn.ConvTranspose2d(in_channels, in_channels, 2, stride=2)
        self.blocks = Blocks([skip_channels + in_channels, out_channels], cond_dim, heads)

    def forward(self, x, skip, cond):
        return self.blocks(torch.concat([skip, self.doubled(x)], dim=1), cond)


class Level(nn.Module):
    """One resolution, and everything below it."""

    def __init__(self, width, widths, heads_at, cond_dim):
        super().__init__()
        here, *below = widths
        self.inner = None
        if below:
            self.down = DownBlock(width, here, cond_dim, heads_at[0])
            self.inner = Level(here, below, heads_at[1:], cond_dim)
            self.up = UpBlock(below[0], here, here, cond_dim, heads_at[0])
        else:
            self.middle = Blocks([width, here, here], cond_dim, heads_at[0])

    def forward(self, x, cond):
        if self.inner is None:
            return self.middle(x, cond)
        h, skip = self.down(x, cond)
        return self.up(self.inner(h, cond), skip, cond)


class UNet(nn.Module):
    def __init__(
        self,
        channels: int = 3,
        num_classes: int = 10,
        base_width: int = 64,
        multipliers: tuple = (1, 2, 4),
        image_size: int = 32,
        attention_resolutions: tuple = (),
        heads: int = 4,
    ):
        super().__init__()
        if channels not in (1, 3):
            raise ValueError("grey or colour")
        resolutions = [image_size // 2**k for k in range(len(multipliers))]
        if not set(attention_resolutions) <= set(resolutions):
            raise ValueError(f"{attention_resolutions} are not all among {resolutions}")
        heads_at = [heads * (r in attention_resolutions) for r in resolutions]
        widths = [base_width * m for m in multipliers]
        self.factor = 2 ** (len(widths) - 1)
        self.stem = nn.Conv2d(channels, base_width, 1)
        self.condition = ConditionEmbedding(num_classes, base_width)
        self.body = Level(base_width, widths, heads_at, 4 * base_width)
        self.head = nn.Sequential(
            nn.GroupNorm(4, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], channels, 3, padding="same")
        )
        with torch.no_grad():
            for p in self.head[-1].parameters():
                p.zero_()

    def forward(self, x, t, y=None):
        bad = [n for n in x.shape[-2:] if n % self.factor]
        if bad:
            raise ValueError(f"{bad} cannot be divided by {self.factor}")
        return self.head(self.body(self.stem(x), self.condition(t, y)))
