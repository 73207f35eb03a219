"""A residual block of one's own, in a file of its own: chapter 3's with attention inside."""

import torch
import torch.nn.functional as F
from torch import nn

from ..ch03_residual_block.blocks import ResidualBlock


class SelfAttention2d(nn.Module):
    def __init__(self, channels, heads=4):
        super().__init__()
        if channels % heads or channels % 8:
            raise ValueError(f"channels={channels} heads={heads}")
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.q = nn.Linear(channels, channels)
        self.o = nn.Linear(channels, channels)
        nn.init.zeros_(self.o.weight)
        nn.init.zeros_(self.o.bias)

    def forward(self, x):
        y = self.norm(x).movedim(1, -1)  # (B, H, W, C)
        parts = [self.q(y), *self.kv(y).chunk(2, dim=-1)]
        # (B, H, W, C) → (B, heads, H·W, C/heads)
        q, k, v = (p.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in parts)
        z = F.scaled_dot_product_attention(q, k, v)
        return x + self.o(z.transpose(1, 2).reshape(y.shape)).movedim(-1, 1)


class AttentiveBlock(ResidualBlock):
    """Chapter 3's block; with heads, attention after it."""

    def __init__(self, in_channels, out_channels, cond_dim, heads=0):
        super().__init__(in_channels, out_channels, cond_dim)
        self.attention = SelfAttention2d(out_channels, heads) if heads else None

    def forward(self, x, cond):
        h = super().forward(x, cond)
        return h if self.attention is None else self.attention(h)


def halved(x):
    """Each 2×2 square becomes four channels."""
    return F.pixel_unshuffle(x, 2)


def zero(layer):
    for p in layer.parameters():
        torch.nn.init.zeros_(p)
    return layer
