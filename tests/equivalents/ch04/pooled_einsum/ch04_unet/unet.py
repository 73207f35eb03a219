"""Pooling and bilinear enlargement, separate q, k and v with einsum, a softmax by hand."""

import torch
import torch.nn.functional as F
from torch import nn

from ..ch02_embeddings.embeddings import ConditionEmbedding
from ..ch03_residual_block.blocks import ResidualBlock


class SelfAttention2d(nn.Module):
    def __init__(self, channels, heads=4):
        super().__init__()
        if channels % 8 or channels % heads:
            raise ValueError(f"{heads} heads and 8 groups do not divide {channels} channels")
        self.heads = heads
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.mix.weight.data.zero_()
        self.mix.bias.data.zero_()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        h, w = x.shape[2:]
        normed = F.group_norm(x, 8, self.weight, self.bias)

        def split(projection):
            return projection(normed).unflatten(1, (self.heads, -1))  # (B, heads, C/heads, H, W)

        q, k, v = split(self.query), split(self.key), split(self.value)
        scores = torch.einsum("bncij,bnckl->bnijkl", q, k) * q.shape[2] ** -0.5
        scores = scores.flatten(4)  # (B, heads, H, W, keys)
        scores = (scores - scores.amax(-1, keepdim=True)).exp()
        scores = scores / scores.sum(-1, keepdim=True)
        seen = torch.einsum("bnijkl,bnckl->bncij", scores.unflatten(-1, (h, w)), v)
        return torch.add(x, self.mix(seen.flatten(1, 2)))


def attend(channels, heads):
    return SelfAttention2d(channels, heads) if heads else nn.Identity()


class DownBlock(nn.Module):
    def __init__(self, in_channels, out_channels, cond_dim, heads=0):
        super().__init__()
        self.block = ResidualBlock(in_channels, out_channels, cond_dim)
        self.attend = attend(out_channels, heads)

    def forward(self, x, cond):
        before = self.attend(self.block(x, cond))
        return F.avg_pool2d(before, kernel_size=2), before


class UpBlock(nn.Module):
    def __init__(self, in_channels, skip_channels, out_channels, cond_dim, heads=0):
        super().__init__()
        self.block = ResidualBlock(in_channels + skip_channels, out_channels, cond_dim)
        self.attend = attend(out_channels, heads)

    def forward(self, x, skip, cond):
        larger = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.attend(self.block(torch.cat([larger, skip], 1), cond))


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
        if channels not in {1, 3}:
            raise ValueError("1 or 3 channels")
        super().__init__()
        depth = len(multipliers)
        wanted = dict.fromkeys(attention_resolutions, heads)
        at = [wanted.pop(image_size // 2**level, 0) for level in range(depth)]
        if wanted:
            raise ValueError(f"there are no levels of resolution {list(wanted)}")
        w = [m * base_width for m in multipliers]
        self.cond = ConditionEmbedding(num_classes, base_width)
        self.levels = nn.ModuleDict()
        for i in range(depth - 1):
            self.levels[f"down{i}"] = DownBlock(
                w[i - 1] if i else base_width, w[i], 4 * base_width, at[i]
            )
            self.levels[f"up{i}"] = UpBlock(w[i + 1], w[i], w[i], 4 * base_width, at[i])
        self.bottom = ResidualBlock(w[-2] if depth > 1 else base_width, w[-1], 4 * base_width)
        self.bottom_attention = attend(w[-1], at[-1])
        self.first = nn.Conv2d(channels, base_width, 7, padding=3)
        self.norm = nn.GroupNorm(8, w[0])
        self.last = nn.Conv2d(w[0], channels, 3, padding=1)
        self.last.weight.data.fill_(0)
        self.last.bias.data.fill_(0)
        self.depth = depth

    def forward(self, x, t, y=None):
        needed = 2 ** (self.depth - 1)
        for name, n in zip(("height", "width"), x.shape[2:], strict=True):
            if n % needed:
                raise ValueError(f"the {name} {n} is not a multiple of {needed}")
        cond = self.cond(t, y)
        h, skips = self.first(x), {}
        for i in range(self.depth - 1):
            h, skips[i] = self.levels[f"down{i}"](h, cond)
        h = self.bottom_attention(self.bottom(h, cond))
        for i in reversed(range(self.depth - 1)):
            h = self.levels[f"up{i}"](h, skips[i], cond)
        return self.last(F.silu(self.norm(h)))
