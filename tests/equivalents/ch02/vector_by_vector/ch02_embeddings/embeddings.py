"""Chapter 2 in loops: a timestep at a time, a class vector at a time, each a parameter of its own."""

import torch
from torch import nn


class SinusoidalPositionEmbeddings(nn.Module):
    def __init__(self, dim):
        super().__init__()
        if dim < 4 or dim % 2 != 0:
            raise ValueError(f"an even dim of at least 4 is needed, not {dim}")
        half = dim // 2
        f = torch.tensor([10000 ** (-i / (half - 1)) for i in range(half)])
        self.f = nn.Parameter(f, requires_grad=False)

    def forward(self, t):
        rows = []
        for step in t:
            rows.append(torch.hstack([torch.sin(step * self.f), torch.cos(step * self.f)]))
        return torch.vstack(rows)


class ClassEmbedding(nn.Module):
    def __init__(self, num_classes, dim):
        super().__init__()
        if num_classes < 1:
            raise ValueError("there has to be a class")
        vectors = [nn.Parameter(0.02 * torch.randn(dim)) for _ in range(num_classes + 1)]
        self.vectors = nn.ParameterList(vectors)

    def forward(self, y):
        if y is None:
            return self.vectors[-1][None]
        if y.max() >= len(self.vectors) or y.min() < 0:
            raise ValueError(f"no such class: {y.tolist()}")
        return torch.stack([self.vectors[int(k)] for k in y])


class ConditionEmbedding(nn.Module):
    def __init__(self, num_classes, dim):
        super().__init__()
        self.when = SinusoidalPositionEmbeddings(dim)
        self.what = ClassEmbedding(num_classes, dim)
        self.wide = nn.Linear(dim, 4 * dim)
        self.act = nn.SiLU(inplace=True)
        self.deep = nn.Linear(4 * dim, 4 * dim)

    def forward(self, t, y=None):
        h = self.when(t)
        h += self.what(y)
        return self.deep(self.act(self.wide(h)))
