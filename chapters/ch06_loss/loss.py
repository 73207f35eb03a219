"""Chapter 6 · The loss: mix in noise, ask the model for it, compare.

L_simple = E_{t, x_0, noise} ‖noise − model(x_t, t, y)‖²            (Ho et al. 2020, equation 14)

x_0, y ──► sample_timesteps, drop_labels, noise ──► q_sample ──► model(x_t, t, y) ──► loss

B is the batch size, T the number of timesteps. Everything random comes from torch: from `generator`
where one is given, else from torch's global generator. Nothing sets a seed.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..ch05_forward_noise.diffusion import TARGETS, NoiseSchedule, per_image, q_sample


def sample_timesteps(
    batch_size: int, timesteps: int, device="cpu", generator: Generator | None = None
) -> Tensor:
    """Draw a timestep for each image of a batch.

    Each is uniform over 0…T−1, both ends included, and independent of the others: not sorted, not in
    pairs, and the same t may come several times.

    Args:
        batch_size: B.
        timesteps: T, at least 1.
        device: of the result.
        generator: on that device; torch's own when None.

    Returns:
        (B,) int64.
    """
    # TODO(6.1): B whole numbers from 0 to T − 1, on the device. One line.
    raise NotImplementedError("TODO(6.1)")


def drop_labels(y: Tensor, p: float, null_label: int, generator: Generator | None = None) -> Tensor:
    """Replace each label by the null label, independently of the others, with probability p.

    What remains unlabelled teaches the model the unconditional distribution that classifier-free
    guidance needs (Ho & Salimans 2022, algorithm 1).

    Args:
        y: (B,) int64; it stays as it is.
        p: probability of being dropped, 0 (none at all) … 1 (all of them).
        null_label: the index of the null class, `num_classes`.
        generator: on the device of y; torch's own when None.

    Returns:
        (B,) int64 on the device of y: y[b] or null_label at each b.

    Raises:
        ValueError: when p lies outside 0…1.
    """
    # TODO(6.2): refuse a p that is no probability; a coin for each label; a new tensor of what is left.
    raise NotImplementedError("TODO(6.2)")


def v_target(schedule: NoiseSchedule, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """What a v-predicting model is asked for:  v = √alpha_bar_t · noise − √(1 − alpha_bar_t) · x_0.

    x_t is x_0 turned towards the noise by an angle; v is the same turn, a quarter of a circle further.

    Args:
        schedule: the tables of chapter 5, here `schedule.alpha_bars`.
        x_0: (B, C, H, W) in [−1, 1].
        t: (B,) int64 in 0…T−1.
        noise: (B, C, H, W), what is mixed into x_0.

    Returns:
        (B, C, H, W). Source: Salimans & Ho 2022, section 4.
    """
    # TODO(6.3): the formula; `per_image` gives each image its own alpha_bar. Two lines.
    raise NotImplementedError("TODO(6.3)")


def min_snr_weight(
    schedule: NoiseSchedule, t: Tensor, target: str = "noise", gamma: float = 5.0
) -> Tensor:
    """★ A weight for each image that keeps small timesteps, nearly clean pictures, from dominating.

    With SNR = alpha_bar_t / (1 − alpha_bar_t), the ratio of the variances of picture and noise in x_t:

        target "noise":  min(SNR, gamma) / SNR
        target "v":      min(SNR, gamma) / (SNR + 1)

    Args:
        schedule: the tables.
        t: (B,) int64 in 0…T−1.
        target: what the model predicts, "noise" or "v".
        gamma: where SNR is cut off, above 0.

    Returns:
        (B,) float32 on the device of t. Source: Hang et al. 2023, section 3.4.

    Raises:
        ValueError: on any other target.
    """
    # TODO(6.6) ★, first of two: SNR at each t, cut off at gamma, over what belongs to the target.
    raise NotImplementedError("TODO(6.6)")


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
    """The loss of one batch at given timesteps: the mean over all elements of (prediction − target)².

    The prediction is model(x_t, t, y): the noisy x_t of `q_sample`, t and y as they were given. The noise
    in x_t and the noise in the target are the same. The model's mode and weights stay as they are.

    Args:
        model: called as model(x_t, t, y), once for each image.
        schedule: the tables.
        x_0: (B, C, H, W) in [−1, 1].
        t: (B,) int64 in 0…T−1.
        y: (B,) int64 labels, or None (handed on as None: every image has the null class).
        noise: (B, C, H, W) standard normal; drawn on the device of x_0 when None.
        target: "noise" (Ho et al. 2020, equation 14) or "v" (`v_target`).
        min_snr_gamma: ★ when given, `min_snr_weight` weighs each image before the mean.

    Returns:
        A scalar, (), float32, with its graph back to the model's weights. It comes back as it is, also
        when it is very large or no number (NaN): who trains has to see that.

    Raises:
        ValueError: on any other target.
    """
    # TODO(6.4): the noise, unless it is given; what the model is asked for; x_t, and the prediction;
    # then `losses`, (B,): the mean of the squared errors of each image.
    raise NotImplementedError("TODO(6.4)")
    if min_snr_gamma is not None:
        # TODO(6.6) ★, second: each image's loss gets its weight.
        raise NotImplementedError("TODO(6.6)")
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
    """One batch from pictures to loss: draw timesteps, labels to drop and noise, then `p_losses`.

    Each image gets a timestep and noise of its own, anew in every call. The labels that the model sees
    are the dropped ones. No backward, no optimiser step, no change of mode, of weights or of their
    gradients: all that is the training loop's.

    Args:
        model: called as model(x_t, t, y).
        schedule: the tables.
        x_0: (B, C, H, W) in [−1, 1].
        y: (B,) int64 in 0…num_classes−1.
        null_label: the index of the null class, `num_classes`.
        label_dropout: probability of the null label, for each image.
        target, min_snr_gamma: as in `p_losses`.
        generator: for every random draw, on the device of x_0; torch's own when None. The order of the
            draws is free.

    Returns:
        A scalar, (), float32, with its graph. Whatever is drawn is made on the device of x_0.
    """
    # TODO(6.5): timesteps, labels and noise, all of them from the generator; then the loss. Four lines.
    raise NotImplementedError("TODO(6.5)")
