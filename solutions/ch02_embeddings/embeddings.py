"""Chapter 2 · What the network is told besides the picture: which timestep, which class.

t ──► SinusoidalPositionEmbeddings ──┐
                                     + ──► Linear ─ SiLU ─ Linear ──► cond, for every block
y ──► ClassEmbedding ────────────────┘

The `__init__` of each class is given; the work is in the `forward`s. B is the batch size.
"""

import math

import torch
from torch import Tensor, nn


class SinusoidalPositionEmbeddings(nn.Module):
    """Timesteps as vectors of sines and cosines of falling frequency.

    With half = dim / 2 and frequency_i = 10000^(−i / (half − 1)) for i = 0 … half − 1, so that the
    first frequency is 1 and the last is exactly 1/10000:

        embedding(t) = [sin(t · frequency_0), …, sin(t · frequency_{half−1}),
                        cos(t · frequency_0), …, cos(t · frequency_{half−1})]

    All the sines come first, then all the cosines. The angles are in radians. `t` is used as it is:
    not divided by the number of timesteps, not multiplied by anything. There is nothing to learn.

    Source: Vaswani et al. 2017, section 3.5, in the layout of Ho et al. 2020's code.

    Args:
        dim: length of the vector, even and at least 4.

    Raises:
        ValueError: when `dim` is odd or below 4.
    """

    def __init__(self, dim: int):
        super().__init__()
        if dim < 4 or dim % 2:
            raise ValueError(f"dim must be even and at least 4, got {dim}")
        self.half = dim // 2

    def forward(self, t: Tensor) -> Tensor:
        """Embed timesteps.

        Args:
            t: (B,) int64, values 0…T−1.

        Returns:
            (B, dim) float32 in [−1, 1], on the device of `t`; row b belongs to t[b].
        """
        # TODO(2.1): the `half` frequencies, made on t's device; every t times every frequency;
        # the sines, and after them the cosines. Four lines, no loop.
        ### BEGIN SOLUTION
        i = torch.arange(self.half, device=t.device)
        frequencies = torch.exp(-math.log(10000) * i / (self.half - 1))  # (half,)
        angles = t[:, None] * frequencies[None, :]  # (B, half)
        return torch.cat([angles.sin(), angles.cos()], dim=1)  # (B, dim)
        ### END SOLUTION


class ClassEmbedding(nn.Module):
    """One learnt vector a class, and one more for "no class": the null class.

    The vectors are the rows of one table of shape (num_classes + 1, dim): the vector of class y is
    row y, and the null class is the last row, index `num_classes`. The null row is learnt like the
    others (`padding_idx` would freeze it): the unconditional half of classifier-free guidance
    (Ho & Salimans 2022) is this row.

    Args:
        num_classes: number of real classes, at least 1.
        dim: length of the vectors.

    Raises:
        ValueError: when `num_classes` is below 1.
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
            y: (B,) int64, values 0…num_classes, where num_classes is the null class; None means
                that every image has the null class.

        Returns:
            (B, dim), row b being the vector of y[b]; for None the null row as (1, dim), which
            broadcasts over any batch, on the device of the table.

        Raises:
            ValueError: when a label lies outside 0…num_classes. (Look at the labels: the table
                itself would raise an IndexError, or take −1 for the last row.)
        """
        # TODO(2.2): the null row for None; else refuse labels outside, then look the rows up.
        ### BEGIN SOLUTION
        if y is None:
            return self.table.weight[self.num_classes :]  # (1, dim)
        if ((y < 0) | (y > self.num_classes)).any():
            raise ValueError(
                f"labels must lie in 0…{self.num_classes} ({self.num_classes} is the null class), "
                f"got {int(y.min())}…{int(y.max())}"
            )
        return self.table(y)  # (B, dim)
        ### END SOLUTION


class ConditionEmbedding(nn.Module):
    """The sum of time and class embedding, through an MLP: the `cond` that every block receives.

        cond = Linear(4·dim, 4·dim)(SiLU(Linear(dim, 4·dim)(time(t) + class(y))))

    The two vectors are added first, and the MLP sees only their sum. Both layers have a bias; no
    activation follows the second one (every block begins with its own). The layers start as torch
    starts them, and no seed is set, here or in `forward`.

    Args:
        num_classes: number of real classes.
        dim: length of the two embeddings, even and at least 4; `cond` is four times as long.
    """

    def __init__(self, num_classes: int, dim: int):
        super().__init__()
        self.time = SinusoidalPositionEmbeddings(dim)
        self.label = ClassEmbedding(num_classes, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.SiLU(), nn.Linear(4 * dim, 4 * dim))

    def forward(self, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Embed timesteps and labels together.

        Args:
            t: (B,) int64, values 0…T−1.
            y: (B,) int64, values 0…num_classes, or None: every image has the null class.

        Returns:
            (B, 4·dim) float32, on the device of `t`; the same in training and in eval mode.
        """
        # TODO(2.3): the sum of the two embeddings, through the MLP.
        ### BEGIN SOLUTION
        return self.mlp(self.time(t) + self.label(y))
        ### END SOLUTION
