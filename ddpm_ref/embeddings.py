"""Chapter 2 · What the network is told besides the picture: which timestep, which class.

Two numbers become one vector:

    t ──► SinusoidalPositionEmbeddings ──┐
                                         + ──► Linear ─ SiLU ─ Linear ──► cond, for every block
    y ──► ClassEmbedding ────────────────┘
"""

import math

import torch
from torch import Tensor, nn


class SinusoidalPositionEmbeddings(nn.Module):
    """Timesteps as vectors of sines and cosines of falling frequency.

    With half = dim / 2 and frequency_i = 10000^(−i / (half − 1)), i = 0 … half − 1:

        embedding(t) = [sin(t · frequency_0), …, sin(t · frequency_{half−1}),
                        cos(t · frequency_0), …, cos(t · frequency_{half−1})]

    `t` is used as it is, unscaled. Source: Vaswani et al. 2017, section 3.5, in the layout of
    Ho et al. 2020's code. It has no parameters.

    Args:
        dim: length of the vector, even and at least 4.

    Raises:
        ValueError: when `dim` is odd or below 4.
    """

    def __init__(self, dim: int):
        super().__init__()
        if dim < 4 or dim % 2:
            raise ValueError(f"dim must be even and at least 4, got {dim}")
        half = dim // 2
        # float64 while building: the float32 table is then right to the last bit.
        exponent = torch.arange(half, dtype=torch.float64) / (half - 1)
        frequencies = torch.exp(-math.log(10000) * exponent).float()
        self.register_buffer("frequencies", frequencies, persistent=False)  # (half,)

    def forward(self, t: Tensor) -> Tensor:
        """t: (B,) int64 in 0…T−1 → (B, dim) float32 in [−1, 1]."""
        angles = t[:, None].float() * self.frequencies[None, :]  # (B, half)
        return torch.cat([angles.sin(), angles.cos()], dim=1)  # (B, dim)


class ClassEmbedding(nn.Module):
    """One learnt vector a class, and one more for "no class": the null class.

    The null class has the index `num_classes` and is learnt like the others. The unconditional
    half of classifier-free guidance (Ho & Salimans 2022) is this row.

    Args:
        num_classes: number of real classes, at least 1.
        dim: length of the vectors.
    """

    def __init__(self, num_classes: int, dim: int):
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        self.num_classes = num_classes
        self.table = nn.Embedding(num_classes + 1, dim)

    def forward(self, y: Tensor | None) -> Tensor:
        """Labels to vectors.

        Args:
            y: (B,) int64 in 0…num_classes, where num_classes is the null class; None means that
                every image has the null class.

        Returns:
            (B, dim); (1, dim) for None, which broadcasts over any batch.

        Raises:
            ValueError: on labels outside 0…num_classes (looked at on the CPU only: on a GPU the
                look would make every step wait; there the lookup itself stops the program).
        """
        if y is None:
            return self.table.weight[self.num_classes :]  # (1, dim)
        if y.device.type == "cpu" and y.numel() and not 0 <= y.min() <= y.max() <= self.num_classes:
            raise ValueError(
                f"labels must lie in 0…{self.num_classes} ({self.num_classes} is the null class), "
                f"got {int(y.min())}…{int(y.max())}"
            )
        return self.table(y)  # (B, dim)


class ConditionEmbedding(nn.Module):
    """The sum of time and class embedding, through an MLP: the `cond` that every block receives.

        cond = Linear(4·dim, 4·dim)(SiLU(Linear(dim, 4·dim)(time(t) + class(y))))

    Args:
        num_classes: number of real classes.
        dim: length of the two embeddings; `cond` is four times as long.
    """

    def __init__(self, num_classes: int, dim: int):
        super().__init__()
        self.time = SinusoidalPositionEmbeddings(dim)
        self.label = ClassEmbedding(num_classes, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.SiLU(), nn.Linear(4 * dim, 4 * dim))

    def forward(self, t: Tensor, y: Tensor | None = None) -> Tensor:
        """t: (B,) int64, y: (B,) int64 or None (null class) → (B, 4·dim)."""
        return self.mlp(self.time(t) + self.label(y))
