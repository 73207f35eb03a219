"""How well pictures were drawn, from what a judge sees in them: accuracy and two distances.

The distances compare with each other at the same n and the same judge, not with FID and KID figures from
papers, which use another network.
"""

import torch
from torch import Tensor


def class_accuracy(guessed: Tensor, asked: Tensor, num_classes: int) -> tuple[float, list[float]]:
    """Share of pictures that show what was asked for: over all, and for each class (NaN if never asked).

    Args:
        guessed, asked: (N,) int64.
    """
    right = (guessed == asked).double()
    return right.mean().item(), [right[asked == k].mean().item() for k in range(num_classes)]


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Distance between two clouds of features, each taken as a Gaussian (Heusel et al. 2017, equation 6).

        |mean_a − mean_b|² + trace(C_a + C_b − 2 · (C_a · C_b)^½)

    It shrinks with the number of samples: always name n beside it.

    Args:
        a, b: (N, D) and (M, D), N and M at least 2.
    """
    if len(a) < 2 or len(b) < 2:
        raise ValueError(f"a covariance needs at least 2 samples, got {len(a)} and {len(b)}")
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    # The trace of (C_a C_b)^½ through the symmetric matrix A C_b A with A = C_a^½, which has the same
    # eigenvalues: all of it stays real, and rounding cannot push it off.
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    root_trace = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp(min=0).sqrt().sum()
    apart = (a.mean(0) - b.mean(0)).square().sum()
    return (apart + cov_a.trace() + cov_b.trace() - 2 * root_trace).clamp(min=0).item()


def kernel_distance(a: Tensor, b: Tensor, block: int = 1000) -> float:
    """How far two clouds of features are apart, by a kernel: "KID" (Bińkowski et al. 2018, equation 4).

        k(x, y) = (x · y / D + 1)³
        mean of k(a_i, a_j), i ≠ j  +  mean of k(b_i, b_j), i ≠ j  −  2 · mean of k(a_i, b_j)

    The estimate is unbiased: its expectation does not depend on the number of samples, and near 0 it may
    be negative. Computed where `a` is, `block` rows against `block` rows at a time.

    Args:
        a, b: (N, D) and (M, D), N and M at least 2.
        block: rows that are compared at once.
    """
    if len(a) < 2 or len(b) < 2:
        raise ValueError(f"pairs need at least 2 samples, got {len(a)} and {len(b)}")
    a, b = a.double(), b.to(a.device).double()

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / a.shape[1] + 1) ** 3

    def total(x: Tensor, y: Tensor) -> Tensor:
        return sum(kernel(p, q).sum() for p in x.split(block) for q in y.split(block))

    def among(x: Tensor) -> Tensor:
        """Without the pairs of a sample with itself."""
        own = (x.square().sum(1) / a.shape[1] + 1) ** 3
        return (total(x, x) - own.sum()) / (len(x) * (len(x) - 1))

    return (among(a) + among(b) - 2 * total(a, b) / (len(a) * len(b))).item()
