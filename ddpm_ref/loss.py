"""Chapter 6 · The loss: mix in noise, ask the model for it, compare.

L_simple = E_{t, x_0, noise} ‖noise − model(x_t, t, y)‖²            (Ho et al. 2020, equation 14)
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ddpm_ref.diffusion import TARGETS, NoiseSchedule, per_image, q_sample


def sample_timesteps(
    batch_size: int, timesteps: int, device="cpu", generator: Generator | None = None
) -> Tensor:
    """(B,) int64: for each image its own t, uniform over 0…T−1."""
    return torch.randint(0, timesteps, (batch_size,), device=device, generator=generator)


def drop_labels(y: Tensor, p: float, null_label: int, generator: Generator | None = None) -> Tensor:
    """Replace each label by the null label, independently, with probability p.

    What remains unlabelled teaches the model the unconditional distribution that classifier-free
    guidance needs (Ho & Salimans 2022, algorithm 1).

    Args:
        y: (B,) int64.
        p: probability, 0 (none) … 1 (all).
        null_label: the index of the null class, `num_classes`.

    Returns:
        (B,) int64, a new tensor.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p must be a probability between 0 and 1, got {p}")
    # rand is in [0, 1): `< p` drops none at p = 0 and all at p = 1.
    drop = torch.rand(y.shape, device=y.device, generator=generator) < p
    return torch.where(drop, null_label, y)


def v_target(schedule: NoiseSchedule, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """v = √alpha_bar_t · noise − √(1 − alpha_bar_t) · x_0, (B, C, H, W) (Salimans & Ho 2022, section 4)."""
    # x_t is x_0 turned towards noise by an angle; v is the same turn, a quarter of a circle further.
    alpha_bar = per_image(schedule.alpha_bars, t)
    return alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x_0


def min_snr_weight(
    schedule: NoiseSchedule, t: Tensor, target: str = "noise", gamma: float = 5.0
) -> Tensor:
    """★ A weight for each image that keeps small timesteps from dominating (Hang et al. 2023, equation 10).

    With SNR = alpha_bar_t / (1 − alpha_bar_t):

        target "noise":  min(SNR, gamma) / SNR
        target "v":      min(SNR, gamma) / (SNR + 1)

    Returns:
        (B,) float32.
    """
    alpha_bar = schedule.alpha_bars.to(t.device)[t]
    snr = alpha_bar / (1 - alpha_bar)
    if target == "noise":
        return snr.clamp(max=gamma) / snr
    if target == "v":
        return snr.clamp(max=gamma) / (snr + 1)
    raise ValueError(f"target must be one of {TARGETS}, got {target!r}")


def losses_per_image(
    model: nn.Module,
    schedule: NoiseSchedule,
    x_0: Tensor,
    t: Tensor,
    y: Tensor | None,
    noise: Tensor | None = None,
    target: str = "noise",
) -> Tensor:
    """(B,): the squared error of each image, averaged over its own elements; see `p_losses`."""
    if noise is None:
        noise = torch.randn_like(x_0)
    if target == "noise":
        wanted = noise
    elif target == "v":
        wanted = v_target(schedule, x_0, t, noise)
    else:
        raise ValueError(f"target must be one of {TARGETS}, got {target!r}")
    prediction = model(q_sample(schedule, x_0, t, noise), t, y)
    # In float32, whatever the network computes in: squares of small errors vanish in 16 bits.
    return F.mse_loss(prediction.float(), wanted, reduction="none").mean(dim=(1, 2, 3))


def p_losses(
    model: nn.Module,
    schedule: NoiseSchedule,
    x_0: Tensor,
    t: Tensor,
    y: Tensor | None,
    noise: Tensor | None = None,
    target: str = "noise",
    min_snr_gamma: float | None = None,
) -> Tensor:
    """The loss of one batch: the mean over all elements of (prediction − target)².

    Args:
        model: called as model(x_t, t, y).
        schedule: the tables.
        x_0: (B, C, H, W) in [−1, 1].
        t: (B,) int64.
        y: (B,) int64 labels, or None for the null class.
        noise: (B, C, H, W) standard normal; drawn when None.
        target: "noise" (Ho et al. 2020, equation 14) or "v" (Salimans & Ho 2022).
        min_snr_gamma: ★ when given, `min_snr_weight` weighs each image before the mean.

    Returns:
        A scalar with its graph.
    """
    losses = losses_per_image(model, schedule, x_0, t, y, noise, target)  # (B,)
    if min_snr_gamma is not None:
        losses = losses * min_snr_weight(schedule, t, target, min_snr_gamma)
    return losses.mean()


def training_step(
    model: nn.Module,
    schedule: NoiseSchedule,
    x_0: Tensor,
    y: Tensor,
    null_label: int,
    label_dropout: float = 0.1,
    target: str = "noise",
    min_snr_gamma: float | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """One batch from pictures to loss: draw t and noise, drop labels, `p_losses`.

    No backward, no optimiser step, no change of mode: that is the training loop's. The labels that
    the model sees are the dropped ones.

    Args:
        x_0: (B, C, H, W) in [−1, 1].
        y: (B,) int64 in 0…num_classes−1.
        null_label: the index of the null class, `num_classes`.
        label_dropout: probability of the null label.
        generator: for every random draw, on the device of x_0; torch's own when None.

    Returns:
        A scalar with its graph.
    """
    t = sample_timesteps(len(x_0), schedule.timesteps, x_0.device, generator)
    y = drop_labels(y, label_dropout, null_label, generator)
    noise = torch.randn(x_0.shape, device=x_0.device, dtype=x_0.dtype, generator=generator)
    return p_losses(model, schedule, x_0, t, y, noise, target, min_snr_gamma)
