"""As one writes it in JAX: parameters in dictionaries, pure functions, x @ w + b with w (in, out), vmap."""

import torch
from torch import nn
from torch.func import vmap


def new_dense(n_in, n_out):
    bound = n_in**-0.5
    w = torch.empty(n_in, n_out).uniform_(-bound, bound)
    return nn.ParameterDict({"w": w, "b": torch.zeros(n_out)})


def dense(p, x):
    return x @ p["w"] + p["b"]


def swish(x):
    return x / (1 + torch.exp(-x))


def sinusoid(t, dim):
    w = 10000.0 ** -torch.linspace(0, 1, dim // 2, device=t.device)
    return torch.concatenate([torch.sin(t * w), torch.cos(t * w)])


class SinusoidalPositionEmbeddings(nn.Module):
    def __init__(self, dim):
        super().__init__()
        if dim % 2 or dim < 4:
            raise ValueError(f"{dim} will not do")
        self.embed = vmap(lambda t: sinusoid(t, dim))

    def forward(self, t):
        return self.embed(t.float())


class ClassEmbedding(nn.Module):
    def __init__(self, num_classes, dim):
        super().__init__()
        self.params = nn.ParameterDict({"table": torch.randn(num_classes + 1, dim)})

    def forward(self, y):
        table = self.params["table"]
        if y is None:
            return table[None, -1]
        if ((y < 0) | (y >= len(table))).any():
            raise ValueError(f"labels are 0…{len(table) - 1}")
        return torch.index_select(table, 0, y)


class ConditionEmbedding(nn.Module):
    def __init__(self, num_classes, dim):
        super().__init__()
        self.t, self.c = SinusoidalPositionEmbeddings(dim), ClassEmbedding(num_classes, dim)
        self.first, self.second = new_dense(dim, 4 * dim), new_dense(4 * dim, 4 * dim)

    def forward(self, t, y=None):
        total = self.t(t) + self.c(y)
        return dense(self.second, swish(dense(self.first, total)))
