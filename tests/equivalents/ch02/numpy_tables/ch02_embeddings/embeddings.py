"""Every timestep's embedding looked up in a table that numpy built once; layers by other names."""

import numpy as np
import torch
import torch.nn as nn

LONGEST = 4000


class SinusoidalPositionEmbeddings(nn.Module):
    def __init__(self, dim):
        super().__init__()
        if dim % 2 != 0:
            raise ValueError("dim has to be even")
        if dim < 4:
            raise ValueError("dim has to be at least 4")
        wavelengths = np.logspace(0, 4, dim // 2)
        angles = np.arange(LONGEST)[:, None] / wavelengths
        table = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)
        self.register_buffer("rows", torch.from_numpy(table.astype(np.float32)))

    def forward(self, t):
        return self.rows[t]


class ClassEmbedding(nn.Module):
    def __init__(self, num_classes, dim):
        super().__init__()
        self.null = num_classes
        self.vectors = nn.Parameter(torch.randn(num_classes + 1, dim))

    def forward(self, y):
        if y is None:
            y = torch.tensor([self.null], device=self.vectors.device)
        known = set(range(self.null + 1))
        if not set(y.tolist()) <= known:
            raise ValueError(f"labels have to be among {sorted(known)}")
        return self.vectors[y]


class ConditionEmbedding(nn.Module):
    def __init__(self, num_classes, dim):
        super().__init__()
        width = 4 * dim
        self.widen = nn.Linear(dim, width)
        self.mix = nn.Linear(width, width)
        self.class_embedding = ClassEmbedding(num_classes, dim)
        self.time_embedding = SinusoidalPositionEmbeddings(dim)
        self.act = nn.SiLU()

    def forward(self, t, y=None):
        h = self.class_embedding(y)
        h = self.time_embedding(t) + h
        h = self.widen(h)
        h = self.act(h)
        return self.mix(h)
