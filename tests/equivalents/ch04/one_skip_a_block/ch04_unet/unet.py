"""As in DDPM's own code: one flat list each way, a skip after every block, layers by loops.

DownBlock and UpBlock stand by themselves, with two residual blocks each. Attention has one fused
nn.Linear, head after head ([q k v] of the first head, then of the second).
"""

import math

import torch
from torch import nn

from ..ch02_embeddings.embeddings import ConditionEmbedding
from ..ch03_residual_block.blocks import ResidualBlock


class SelfAttention2d(nn.Module):
    def __init__(self, channels, heads=4):
        super().__init__()
        if channels % 8 != 0 or channels % heads != 0:
            raise ValueError(f"{channels} channels, {heads} heads")
        self.n_head, self.width = heads, channels // heads
        self.proj_out = nn.Linear(channels, channels)
        self.to_qkv = nn.Linear(channels, channels * 3)
        self.group_norm = nn.GroupNorm(8, channels)
        for parameter in self.proj_out.parameters():
            nn.init.constant_(parameter, 0.0)

    def forward(self, x):
        batch, _, *size = x.shape
        tokens = self.group_norm(x).flatten(2).transpose(1, 2)  # (B, N, C)
        fused = self.to_qkv(tokens)  # (B, N, 3·C)
        fused = fused.view(batch, -1, self.n_head, 3 * self.width).transpose(1, 2)
        query, key, value = fused.split(self.width, dim=-1)  # (B, heads, N, C/heads)
        weights = torch.matmul(query, key.mT) / math.sqrt(self.width)
        weights = torch.softmax(weights, dim=-1)
        tokens = torch.matmul(weights, value).transpose(1, 2).flatten(2)  # (B, N, C)
        return self.proj_out(tokens).transpose(1, 2).unflatten(2, size) + x


class Downsample(nn.Conv2d):
    def __init__(self, channels):
        super().__init__(channels, channels, kernel_size=3, stride=2, padding=1)


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(x.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2))


class DownBlock(nn.Module):
    def __init__(self, in_channels, out_channels, cond_dim):
        super().__init__()
        self.first = ResidualBlock(in_channels, out_channels, cond_dim)
        self.second = ResidualBlock(out_channels, out_channels, cond_dim)
        self.smaller = Downsample(out_channels)

    def forward(self, x, cond):
        skip = self.second(self.first(x, cond), cond)
        return self.smaller(skip), skip


class UpBlock(nn.Module):
    def __init__(self, in_channels, skip_channels, out_channels, cond_dim):
        super().__init__()
        self.larger = Upsample(in_channels)
        self.first = ResidualBlock(in_channels + skip_channels, out_channels, cond_dim)
        self.second = ResidualBlock(out_channels, out_channels, cond_dim)

    def forward(self, x, skip, cond):
        h = torch.cat((self.larger(x), skip), dim=1)
        return self.second(self.first(h, cond), cond)


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
        blocks=2,
    ):
        super().__init__()
        if channels != 1 and channels != 3:
            raise ValueError(f"{channels} channels")
        sizes = [image_size >> level for level in range(len(multipliers))]
        if any(r not in sizes for r in attention_resolutions):
            raise ValueError(f"attention at {attention_resolutions}, but there are only {sizes}")
        self.embedding = ConditionEmbedding(num_classes, base_width)
        self.last_level = len(multipliers) - 1

        def attention(level, width):
            if sizes[level] in attention_resolutions:
                return SelfAttention2d(width, heads)
            return nn.Sequential()

        def block(i, o):
            return ResidualBlock(i, o, 4 * base_width)

        self.input = nn.Conv2d(channels, base_width, 3, padding=1)
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        widths, width = [base_width], base_width
        for level, multiplier in enumerate(multipliers):
            for _ in range(blocks):
                out = base_width * multiplier
                self.encoder.append(nn.ModuleList([block(width, out), attention(level, out)]))
                width = out
                widths.append(width)
            if level < self.last_level:
                self.encoder.append(nn.ModuleList([Downsample(width)]))
                widths.append(width)
        self.bottom = nn.ModuleList(
            [block(width, width), attention(self.last_level, width), block(width, width)]
        )
        for level in range(self.last_level, -1, -1):
            for _ in range(blocks + 1):
                out = base_width * multipliers[level]
                made = block(width + widths.pop(), out)
                self.decoder.append(nn.ModuleList([made, attention(level, out)]))
                width = out
            if level:
                self.decoder.append(nn.ModuleList([Upsample(width)]))
        final = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(final.weight)
        nn.init.zeros_(final.bias)
        self.output = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), final)

    def forward(self, x, t, y=None):
        multiple = 1 << self.last_level
        if x.size(2) % multiple or x.size(3) % multiple:
            raise ValueError(f"{x.size(2)}x{x.size(3)} is no multiple of {multiple}")
        cond = self.embedding(t, y)
        h = self.input(x)
        stack = [h]
        for layers in self.encoder:
            h = layers[0](h) if len(layers) == 1 else layers[1](layers[0](h, cond))
            stack.append(h)
        before, attention, after = self.bottom
        h = after(attention(before(h, cond)), cond)
        for layers in self.decoder:
            if len(layers) == 1:
                h = layers[0](h)
            else:
                h = layers[1](layers[0](torch.cat([h, stack.pop()], 1), cond))
        return self.output(h)
