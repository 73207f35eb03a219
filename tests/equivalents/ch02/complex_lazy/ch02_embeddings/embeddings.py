"""Sine and cosine as the parts of e^(i·angle), frequencies by powers of their ratio, lazy layers."""

from collections import OrderedDict

import torch
from torch import nn


class SinusoidalPositionEmbeddings(nn.Module):
    def __init__(self, dim):
        super().__init__()
        half, odd = divmod(dim, 2)
        if odd or half <= 1:
            raise ValueError("dim: even, 4 or more")
        ratio = (1 / 10000) ** (1 / (half - 1))
        frequencies = [ratio**i for i in range(half)]
        self.freqs = nn.Parameter(torch.tensor(frequencies), requires_grad=False)

    def forward(self, t):
        angles = torch.einsum("b,f->bf", t.to(torch.float32), self.freqs)
        turned = torch.polar(torch.ones_like(angles), angles)
        return torch.hstack([turned.imag, turned.real])


class ClassEmbedding(nn.Module):
    def __init__(self, num_classes, dim):
        super().__init__()
        self.num_classes = num_classes
        self.emb = nn.Embedding(num_embeddings=num_classes + 1, embedding_dim=dim)

    def forward(self, y=None):
        if y is None:
            y = torch.full((1,), self.num_classes, device=self.emb.weight.device)
        wrong = (y < 0) + (y > self.num_classes)
        if wrong.any():
            raise ValueError("no such class")
        return self.emb(y)


class ConditionEmbedding(nn.Module):
    def __init__(self, num_classes, dim):
        super().__init__()
        self.when = SinusoidalPositionEmbeddings(dim)
        self.what = ClassEmbedding(num_classes, dim)
        layers = [("up", nn.LazyLinear(4 * dim))]
        layers += [("act", nn.SiLU())]
        layers += [("out", nn.LazyLinear(4 * dim))]
        self.net = nn.Sequential(OrderedDict(layers))

    def forward(self, t, y=None):
        when = self.when(t)
        what = self.what(y).expand_as(when)
        return self.net(torch.add(when, what))
