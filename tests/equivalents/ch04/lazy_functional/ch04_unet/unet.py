"""Lazy layers, so that no channel is counted by hand, and plain functions where they do."""

import torch
import torch.nn.functional as F
from torch import nn

from ..ch02_embeddings.embeddings import ConditionEmbedding
from ..ch03_residual_block.blocks import ResidualBlock


def conv(out, size=3, **options):
    return nn.LazyConv2d(out, size, padding=size // 2, **options)


class SelfAttention2d(nn.Module):
    def __init__(self, channels, heads=4):
        super().__init__()
        if channels % 8 or channels % heads:
            raise ValueError(f"not {channels} channels with {heads} heads")
        self.heads = heads
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.toq, self.tok, self.tov = (nn.LazyLinear(channels) for _ in range(3))
        self.end_weight = nn.Parameter(torch.zeros(channels, channels))
        self.end_bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        b, c, h, w = x.shape
        z = F.group_norm(x, 8, self.scale, self.shift).permute(0, 2, 3, 1)  # (B, H, W, C)
        z = z.reshape(b, h * w, c)
        q, k, v = (p(z).reshape(b, h * w, self.heads, -1) for p in (self.toq, self.tok, self.tov))
        a = torch.einsum("bind,bjnd->bnij", q / q.shape[-1] ** 0.5, k).softmax(dim=3)
        z = torch.einsum("bnij,bjnd->bind", a, v).reshape(b, h, w, c)
        return x + F.linear(z, self.end_weight, self.end_bias).permute(0, 3, 1, 2)


class DownBlock(nn.Module):
    def __init__(self, in_channels, out_channels, cond_dim, heads=0):
        super().__init__()
        self.block = ResidualBlock(in_channels, out_channels, cond_dim)
        self.attention = SelfAttention2d(out_channels, heads) if heads else None
        self.down = conv(out_channels, 3, stride=2)

    def forward(self, x, cond):
        x = self.block(x, cond)
        if self.attention is not None:
            x = self.attention(x)
        return self.down(x), x


class UpBlock(nn.Module):
    def __init__(self, in_channels, skip_channels, out_channels, cond_dim, heads=0):
        super().__init__()
        self.post = conv(in_channels)
        self.block = ResidualBlock(in_channels + skip_channels, out_channels, cond_dim)
        self.attention = SelfAttention2d(out_channels, heads) if heads else None

    def forward(self, x, skip, cond):
        x = self.post(F.interpolate(x, scale_factor=2.0))
        b, c, h, w = skip.shape
        both = x.new_empty(b, c + x.shape[1], h, w)
        both[:, :c] = skip
        both[:, c:] = x
        x = self.block(both, cond)
        return x if self.attention is None else self.attention(x)


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
        if channels not in (1, 3):
            raise ValueError(f"{channels=}")
        self.halvings = len(multipliers) - 1
        if unknown := [
            r
            for r in attention_resolutions
            if r not in [image_size // 2**k for k in range(self.halvings + 1)]
        ]:
            raise ValueError(f"{unknown=}")
        attends = [heads if image_size // 2**k in attention_resolutions else 0 for k in range(9)]
        self.cond = ConditionEmbedding(num_classes, base_width)
        self.stem = conv(base_width)
        n, width = 4 * base_width, base_width
        for k in range(self.halvings):
            here = base_width * multipliers[k]
            self.add_module(f"down{k}", DownBlock(width, here, n, attends[k]))
            self.add_module(
                f"up{k}", UpBlock(base_width * multipliers[k + 1], here, here, n, attends[k])
            )
            width = here
        last = base_width * multipliers[-1]
        self.mid = nn.ModuleList([ResidualBlock(width, last, n), ResidualBlock(last, last, n)])
        if attends[self.halvings]:
            self.mid.insert(1, SelfAttention2d(last, heads))
        first = base_width * multipliers[0]
        self.gain = nn.Parameter(torch.ones(first))
        self.offset = nn.Parameter(torch.zeros(first))
        self.kernel = nn.Parameter(torch.zeros(channels, first, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x, t, y=None):
        for n in x.shape[2:]:
            if n % 2**self.halvings:
                raise ValueError(f"{n} must be a multiple of {2**self.halvings}")
        return self.level(self.stem(x), self.cond(t, y), 0)

    def level(self, h, cond, k):
        if k == self.halvings:
            for layer in self.mid:
                h = layer(h) if isinstance(layer, SelfAttention2d) else layer(h, cond)
        else:
            h, skip = getattr(self, f"down{k}")(h, cond)
            h = self.level(h, cond, k + 1)
            h = getattr(self, f"up{k}")(h, skip, cond)
        if k:
            return h
        h = F.silu(F.group_norm(h, 8, self.gain, self.offset))
        return F.conv2d(h, self.kernel, self.bias, padding=1)
