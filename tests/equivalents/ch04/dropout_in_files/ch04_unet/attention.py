import torch
from torch import nn


class SelfAttention2d(nn.Module):
    """Packed nn.MultiheadAttention, sequence first."""

    def __init__(self, channels, heads=4):
        super().__init__()
        if channels % 8 or channels % heads:
            raise ValueError("channels")
        self.norm = nn.GroupNorm(num_groups=8, num_channels=channels)
        self.mha = nn.MultiheadAttention(channels, heads)  # (N, B, C)
        torch.nn.init.zeros_(self.mha.out_proj.weight)

    def forward(self, x):
        n = self.norm(x).flatten(2).permute(2, 0, 1)
        out = self.mha(n, n, n, need_weights=False)[0]
        return x + out.permute(1, 2, 0).view_as(x)
