"""Rows picked by one-hot vectors, 1×1 convolutions for the layers, float64 angles cast at the end."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class SinusoidalPositionEmbeddings(nn.Module):
    def __init__(self, dim):
        super().__init__()
        if dim < 4 or dim / 2 != dim // 2:
            raise ValueError("dim must be even, and at least 4")
        self.freq = torch.linspace(0, -4 * math.log(10), dim // 2, dtype=torch.float64).exp()

    def forward(self, t):
        angles = torch.outer(t.double(), self.freq.to(t.device))
        result = torch.empty(len(t), 2 * len(self.freq), dtype=torch.float32, device=t.device)
        result[:, : len(self.freq)] = torch.sin(angles)
        result[:, len(self.freq) :] = torch.cos(angles)
        return result


class ClassEmbedding(nn.Module):
    def __init__(self, num_classes, dim):
        super().__init__()
        self.rows = num_classes + 1
        self.table = nn.Parameter(torch.randn(self.rows, dim))

    def forward(self, y):
        if y is None:
            y = self.table.new_tensor([self.rows - 1], dtype=torch.long)
        if y.lt(0).any():
            raise ValueError("a label below zero")
        if y.ge(self.rows).any():
            raise ValueError("a label above the null class")
        return F.one_hot(y, self.rows).to(self.table.dtype) @ self.table


class ConditionEmbedding(nn.Module):
    def __init__(self, num_classes, dim):
        super().__init__()
        self.time = SinusoidalPositionEmbeddings(dim)
        self.label = ClassEmbedding(num_classes, dim)
        self.mlp = nn.Sequential(
            nn.Conv1d(dim, 4 * dim, 1),
            nn.SiLU(),
            nn.Conv1d(4 * dim, 4 * dim, 1),
        )

    def forward(self, t, y=None):
        if y is None:
            y = torch.full_like(t, self.label.rows - 1)
        total = sum([self.time(t), self.label(y)])
        cond = self.mlp(total.unsqueeze(-1))
        return cond.squeeze(-1)
