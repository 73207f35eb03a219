"""Chapter 5 · The forward process: how a picture turns into noise, in one step to any t.

betas ──► alphas = 1 − betas ──► alpha_bars (their running product) ──┐
                                                                      ▼
x_0 ─────────────────────────────► √alpha_bar_t · x_0 + √(1 − alpha_bar_t) · noise ──► x_t
x_0 ◄── predict_x0, from x_t and from the noise (or the v) that a network sees in it ◄──┘

q(x_t | x_0) = N(√alpha_bar_t · x_0, (1 − alpha_bar_t) · I)       (Ho et al. 2020, equation 4)

T is the number of timesteps. They are counted from 0: t = 0 is the first step, with a little noise
already, and t = T − 1 is the last.
"""

import math

import torch
from torch import Tensor

TARGETS = ("noise", "v")  # what a network may be trained to predict


def linear_beta_schedule(
    timesteps: int, beta_start: float = 1e-4, beta_end: float = 0.02
) -> Tensor:
    """Betas in equal steps from beta_start to beta_end, both included.

    The first beta is beta_start, the last is beta_end, whatever T is: the ends are not rescaled by T.
    (They were made for T = 1000; a short schedule of them does not reach pure noise.)

    Args:
        timesteps: T, at least 1; with 1 it is beta_start alone.
        beta_start, beta_end: the ends.

    Returns:
        (T,) float32. Source: Ho et al. 2020, section 4.

    Raises:
        ValueError: when `timesteps` is below 1.
    """
    _check_timesteps(timesteps)
    # TODO(5.1): T numbers from beta_start to beta_end. One line; torch has a function for it.
    ### BEGIN SOLUTION
    return torch.linspace(beta_start, beta_end, timesteps)  # (T,)
    ### END SOLUTION


def cosine_beta_schedule(timesteps: int, s: float = 0.008) -> Tensor:
    """Betas whose alpha_bar falls like a squared cosine.

    With f(u) = cos²((u + s) / (1 + s) · π/2), in radians:

        beta_t = min(1 − f((t + 1) / T) / f(t / T), 0.999),   t = 0 … T − 1

    So f is needed at T + 1 places, from u = 0 to u = 1. The offset s keeps the first betas from being
    too small to learn from; the limit 0.999 keeps the last one from wiping out everything at once. There
    is no limit from below: with T = 1000 the first beta is 0.00004.

    Args:
        timesteps: T, at least 1.
        s: the offset.

    Returns:
        (T,) float32. Source: Nichol & Dhariwal 2021, equation 17.

    Raises:
        ValueError: when `timesteps` is below 1.
    """
    _check_timesteps(timesteps)
    # TODO(5.2): u at T + 1 places, f of it, and betas from neighbours of f. Three lines, no loop.
    ### BEGIN SOLUTION
    u = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps  # (T + 1,)
    f = torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2
    return (1 - f[1:] / f[:-1]).clamp(max=0.999).float()  # (T,)
    ### END SOLUTION


class NoiseSchedule:
    """The tables of a diffusion of T steps, each (T,) float32, all on one device.

    Attributes:
        betas: variance added at each step, as they were given.
        alphas: 1 − betas.
        alpha_bars: product of the alphas up to and including t: alpha_bars[0] = alphas[0],
            alpha_bars[1] = alphas[0] · alphas[1], …: the share of the picture's variance left in x_t.
        alpha_bars_prev: the same one step earlier: alpha_bars_prev[t] = alpha_bars[t − 1], and 1 at
            t = 0, where nothing but the picture is left. (The sampler of chapter 7 needs it.)
        timesteps: T, an int.

    Args:
        betas: (T,) of any floating dtype, each in (0, 1).

    Raises:
        ValueError: when a beta is not larger than 0 and smaller than 1.
    """

    def __init__(self, betas: Tensor):
        # TODO(5.3), first of three: refuse betas outside (0, 1), then keep the four tables, as float32
        # even if betas are float64, and T. Seven lines, no loop.
        ### BEGIN SOLUTION
        if not ((betas > 0) & (betas < 1)).all():
            raise ValueError("betas must be numbers between 0 and 1")
        self.timesteps = len(betas)
        self.betas = betas.float()
        self.alphas = 1 - self.betas
        self.alpha_bars = self.alphas.cumprod(0)
        self.alpha_bars_prev = torch.cat([torch.ones_like(self.betas[:1]), self.alpha_bars[:-1]])
        ### END SOLUTION

    @classmethod
    def linear(cls, timesteps: int = 1000) -> "NoiseSchedule":
        """The schedule of `linear_beta_schedule(timesteps)`, with its usual ends."""
        # TODO(5.3), second: one line; and the same for the cosine below.
        ### BEGIN SOLUTION
        return cls(linear_beta_schedule(timesteps))
        ### END SOLUTION

    @classmethod
    def cosine(cls, timesteps: int = 1000) -> "NoiseSchedule":
        """The schedule of `cosine_beta_schedule(timesteps)`: its alpha_bars are the product, as ever."""
        ### BEGIN SOLUTION
        return cls(cosine_beta_schedule(timesteps))
        ### END SOLUTION

    def to(self, device) -> "NoiseSchedule":
        """A schedule with the same tables on another device; this one stays where it is.

        Args:
            device: such as "cuda" or torch.device("cpu").
        """
        # TODO(5.3), third: another schedule, with every table moved. Tensors have a `to` of their own,
        # which returns the moved tensor. One line is enough.
        ### BEGIN SOLUTION
        return type(self)(self.betas.to(device))
        ### END SOLUTION


def per_image(values: Tensor, t: Tensor) -> Tensor:
    """Entry t[b] of a table for each image b, with axes to be multiplied with images.

    Args:
        values: (T,), a table of a schedule, on the device of `t`.
        t: (B,) int64 in 0…T−1.

    Returns:
        (B, 1, 1, 1): against (B, C, H, W) each number meets all pixels of its own image.
    """
    # TODO(5.4): look up, then three more axes of length 1. One line.
    ### BEGIN SOLUTION
    return values[t].reshape(-1, 1, 1, 1)
    ### END SOLUTION


def q_sample(
    schedule: NoiseSchedule, x_0: Tensor, t: Tensor, noise: Tensor | None = None
) -> Tensor:
    """Draw x_t from q(x_t | x_0):  x_t = √alpha_bar_t · x_0 + √(1 − alpha_bar_t) · noise.

    Both factors are roots, so that the variances add up to one. Each image b has its own timestep t[b].
    The result is not clipped: x_t goes beyond [−1, 1]. x_0 and noise stay as they are.

    Args:
        schedule: the tables, on the device of x_0.
        x_0: (B, C, H, W) in [−1, 1].
        t: (B,) int64 in 0…T−1.
        noise: (B, C, H, W); when None, standard normal numbers are drawn, new ones in every call, one for
            every number of x_0, of its type and on its device.

    Returns:
        x_t, (B, C, H, W). Source: Ho et al. 2020, equation 4.
    """
    # TODO(5.5): noise, if there is none; alpha_bar for each image; the formula. Four lines.
    ### BEGIN SOLUTION
    if noise is None:
        noise = torch.randn_like(x_0)
    alpha_bar = per_image(schedule.alpha_bars, t)  # (B, 1, 1, 1)
    return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise  # (B, C, H, W)
    ### END SOLUTION


def predict_x0(
    schedule: NoiseSchedule, x_t: Tensor, t: Tensor, prediction: Tensor, target: str = "noise"
) -> Tensor:
    """The picture that a prediction implies.

        target "noise":  x_0 = (x_t − √(1 − alpha_bar_t) · noise) / √alpha_bar_t
        target "v":      x_0 = √alpha_bar_t · x_t − √(1 − alpha_bar_t) · v

    The first is `q_sample` solved for x_0; v stands for √alpha_bar_t · noise − √(1 − alpha_bar_t) · x_0.
    The result is not clipped (the sampler does that), and gradients flow through it to x_t and to the
    prediction. x_t and prediction stay as they are.

    Args:
        schedule: the tables, on the device of x_t.
        x_t: (B, C, H, W).
        t: (B,) int64 in 0…T−1.
        prediction: (B, C, H, W), the network's output.
        target: what the network predicts, "noise" or "v".

    Returns:
        (B, C, H, W). Sources: Ho et al. 2020, equation 15; Salimans & Ho 2022, appendix D.

    Raises:
        ValueError: when `target` is neither "noise" nor "v".
    """
    # TODO(5.6): alpha_bar for each image; one formula for each target; refuse every other target.
    ### BEGIN SOLUTION
    alpha_bar = per_image(schedule.alpha_bars, t)  # (B, 1, 1, 1)
    if target == "noise":
        return (x_t - (1 - alpha_bar).sqrt() * prediction) / alpha_bar.sqrt()
    if target == "v":
        return alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * prediction
    raise ValueError(f"target must be one of {TARGETS}, got {target!r}")
    ### END SOLUTION


def _check_timesteps(timesteps: int) -> None:
    if timesteps < 1:
        raise ValueError(f"timesteps must be at least 1, got {timesteps}")
