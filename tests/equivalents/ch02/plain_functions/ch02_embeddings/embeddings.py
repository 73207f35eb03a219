"""Bare parameters, functions from a helper file, and the null vector as a parameter by itself."""

import torch
import torch.nn.functional as F
from torch import nn

from .formulas import perceptron, wave


class SinusoidalPositionEmbeddings(nn.Module):
    def __init__(self, dim):
        super().__init__()
        if dim not in range(4, 1 << 20, 2):
            raise ValueError(f"an even dim of at least 4 please, not {dim}")
        self.dim = dim

    def forward(self, t):
        return wave(t, self.dim)


def look_up(table, null, y):
    if y is None:
        return null[None]
    for label in y.tolist():
        if label < 0 or label > len(table):
            raise ValueError(f"there is no class {label}")
    return F.embedding(y, torch.vstack([table, null]))


class ClassEmbedding(nn.Module):
    def __init__(self, num_classes, dim):
        super().__init__()
        self.null = nn.Parameter(0.02 * torch.randn(dim))
        self.weight = nn.Parameter(torch.empty(num_classes, dim))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, y):
        return look_up(self.weight, self.null, y)


def layer(inputs, outputs):
    weight = nn.Parameter(torch.empty(outputs, inputs))
    return nn.init.xavier_uniform_(weight), nn.Parameter(torch.zeros(outputs))


class ConditionEmbedding(nn.Module):
    def __init__(self, num_classes, dim):
        super().__init__()
        self.w2, self.b2 = layer(4 * dim, 4 * dim)
        self.w1, self.b1 = layer(dim, 4 * dim)
        self.classes = nn.Parameter(torch.randn(num_classes, dim))
        self.no_class = nn.Parameter(torch.randn(dim))
        self.dim = dim

    def forward(self, t, y=None):
        rows = look_up(self.classes, self.no_class, y)
        total = wave(t, self.dim) + rows
        return perceptron(total, self.w1, self.b1, self.w2, self.b2)
