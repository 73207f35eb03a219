"""Chapter 7 · Sampling: from noise back to a picture, by walking the timesteps down.

x_T ─► model ─► guidance ─► x_0, clipped ─► a step down ─► x_{t−1} ─► model ─► … ─► x_0

Every sampler is a plain function of a model. The loops share their arguments:

    model           an nn.Module, called as model(x_t, t, y) with x_t (B, C, H, W), t (B,) int64, and y
                    (B,) int64 or None; what it predicts is named by `target`
    schedule        the tables of chapter 5
    shape           (B, C, H, W) of the pictures to draw
    y               (B,) int64 labels, or None for unconditional pictures
    guidance_scale  see `guided_prediction`
    target          "noise" or "v"
    clip            clip each predicted x_0 to [−1, 1]; leave it on (without it, samples wash out)
    noise           (B, C, H, W) the x_T to start from, standard normal; drawn when None
    generator       for every random draw; None means torch's own
    callback        called after each step as callback(i, t, x_t, x_0): number of the step from 0, the
                    timestep just left (both ints), the new x_t, and the x_0 predicted (and clipped) in
                    this step; it copies what it keeps, since later steps may write over it

They run without gradients (torch.no_grad; not inference_mode, since chapter 9 turns gradients on again
inside the model) and with the model in eval mode, put its mode back as it was, and return the picture,
(B, C, H, W). No seed is set anywhere. What is handed in is not changed in place, and the weights still
require gradients afterwards.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from ..ch05_forward_noise.diffusion import NoiseSchedule, predict_x0

Callback = Callable[[int, int, Tensor, Tensor], None]
VARIANCES = ("posterior", "beta")


def guided_prediction(
    model: nn.Module, x_t: Tensor, t: Tensor, y: Tensor | None, guidance_scale: float = 1.0
) -> Tensor:
    """Classifier-free guidance:  u + s · (c − u), not clipped.

    c is the model's prediction with the labels, u the one without (label None), s the guidance scale:
    0 is unconditional, 1 conditional, 2 goes on as far again from u through c. Every s ≥ 0 is meant by
    the same formula. At s = 1 and s = 0 one call is enough; otherwise it is two calls of the whole batch, or
    one of 2B images. Gradients flow through it: no no_grad here, and the model keeps its mode.

    Source: Ho & Salimans 2022, equation 6, whose w is s − 1.

    Args:
        model: called as model(x_t, t, y); model(x_t, t, None) gives u.
        x_t: (B, C, H, W).
        t: (B,) int64.
        y: (B,) int64, classes and perhaps null classes, or None: then the result is u, whatever the scale.
        guidance_scale: s.

    Returns:
        (B, C, H, W), noise or v as the model predicts it.
    """
    # TODO(7.1): the two predictions, and the formula. Mind y = None.
    ### BEGIN SOLUTION
    if y is None or guidance_scale == 1:
        return model(x_t, t, y)
    u = model(x_t, t, None)
    if guidance_scale == 0:
        return u
    return u + guidance_scale * (model(x_t, t, y) - u)
    ### END SOLUTION


def p_sample(
    model: nn.Module,
    schedule: NoiseSchedule,
    x_t: Tensor,
    t: int,
    y: Tensor | None = None,
    guidance_scale: float = 1.0,
    target: str = "noise",
    variance: str = "posterior",
    clip: bool = True,
    noise: Tensor | None = None,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """One ancestral step, from x_t to x_{t−1} (Ho et al. 2020, algorithm 2 and equation 7).

    With beta, alpha = 1 − beta and alpha_bar at t, and alpha_bar_prev one step earlier (1 at t = 0):

        x_0     = predict_x0(guided prediction), clipped to [−1, 1] if `clip`
        mean    = (√alpha_bar_prev · beta · x_0 + √alpha · (1 − alpha_bar_prev) · x_t) / (1 − alpha_bar)
        x_{t−1} = mean + √variance · noise,   but at t = 0 the mean itself

    The variance is beta-tilde = beta · (1 − alpha_bar_prev) / (1 − alpha_bar) for "posterior", and beta
    for "beta". What is clipped is x_0: not the prediction, and not x_{t−1}. The model keeps its mode: eval
    mode is the loop's to turn on.

    Args:
        x_t: (B, C, H, W).
        t: one timestep for the whole batch, T−1…0.
        noise: (B, C, H, W) standard normal; drawn when None, one number for each of x_t's.
        generator: of that draw; None means torch's own.

    Returns:
        x_{t−1} and x_0, each (B, C, H, W), in this order.

    Raises:
        ValueError: for any other `variance`. (Given.)
    """
    if variance not in VARIANCES:
        raise ValueError(f"variance must be one of {VARIANCES}, got {variance!r}")
    # TODO(7.2): the model wants its timestep as (B,) int64. x_0 comes from chapter 5's predict_x0; the
    # four numbers are schedule.betas[t] and the like. `_normal` below draws noise.
    ### BEGIN SOLUTION
    batch_t = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)  # (B,)
    prediction = guided_prediction(model, x_t, batch_t, y, guidance_scale)
    x_0 = predict_x0(schedule, x_t, batch_t, prediction, target)
    if clip:
        x_0 = x_0.clamp(-1, 1)
    beta, alpha = schedule.betas[t], schedule.alphas[t]
    alpha_bar, prev = schedule.alpha_bars[t], schedule.alpha_bars_prev[t]
    mean = (prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)
    if t == 0:
        return mean, x_0
    sigma = (beta if variance == "beta" else beta * (1 - prev) / (1 - alpha_bar)).sqrt()
    if noise is None:
        noise = _normal(x_t.shape, x_t.device, generator)
    return mean + sigma * noise, x_0
    ### END SOLUTION


def p_sample_loop(
    model: nn.Module,
    schedule: NoiseSchedule,
    shape: Sequence[int],
    y: Tensor | None = None,
    guidance_scale: float = 1.0,
    target: str = "noise",
    variance: str = "posterior",
    clip: bool = True,
    noise: Tensor | None = None,
    generator: Generator | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """Ancestral sampling over all T timesteps, T − 1 … 0 (Ho et al. 2020, algorithm 2).

    Arguments as above. `noise` is where the walk starts; each step draws noise of its own.

    Raises:
        ValueError: when `noise` does not have the given shape. (In `_start`.)
    """
    # TODO(7.3): the walk. `_start` and `_eval_mode`, below, are for you; the rest is `p_sample`, from
    # the last timestep down to 0, with all the options handed on, and the callback after each step.
    ### BEGIN SOLUTION
    with torch.no_grad(), _eval_mode(model):
        x_t = _start(model, shape, noise, generator)
        for i, t in enumerate(range(schedule.timesteps - 1, -1, -1)):
            x_t, x_0 = p_sample(
                *(model, schedule, x_t, t, y, guidance_scale, target, variance, clip),
                generator=generator,
            )
            if callback is not None:
                callback(i, t, x_t, x_0)
    return x_t
    ### END SOLUTION


def ddim_timesteps(timesteps: int, steps: int) -> list[int]:
    """The timesteps that a short walk visits: strictly falling from T − 1, spaced evenly.

    "Trailing" spacing: step i, counted from 0, is at round(T − i · T / steps) − 1, so that the walk
    starts where noise is pure (Lin et al. 2024, table 2). Of T = 10 and three steps: 9, 6, 2.

    Args:
        timesteps: T.
        steps: how many.

    Returns:
        `steps` ints. The end of the walk, −1, is not one of them.

    Raises:
        ValueError: unless 1 ≤ steps ≤ T.
    """
    # TODO(7.4): refuse what cannot be; then the formula for each i.
    ### BEGIN SOLUTION
    if not 1 <= steps <= timesteps:
        raise ValueError(f"steps must lie between 1 and the {timesteps} timesteps, got {steps}")
    return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]
    ### END SOLUTION


def ddim_step(
    schedule: NoiseSchedule,
    x_t: Tensor,
    t: int,
    t_next: int,
    prediction: Tensor,
    eta: float = 0.0,
    target: str = "noise",
    clip: bool = True,
    noise: Tensor | None = None,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """One DDIM step, from x_t to x_{t_next} (Song et al. 2021, equations 12 and 16).

    With alpha_bar at t, and alpha_bar_next at t_next (1 at t_next = −1, the end of the walk):

        x_0     = predict_x0(prediction), clipped to [−1, 1] if `clip`
        noise_t = (x_t − √alpha_bar · x_0) / √(1 − alpha_bar)         # from the clipped x_0
        sigma   = eta · √((1 − alpha_bar_next) / (1 − alpha_bar)) · √(1 − alpha_bar / alpha_bar_next)
        x_next  = √alpha_bar_next · x_0 + √(1 − alpha_bar_next − sigma²) · noise_t + sigma · noise

    `noise_t` is not the model's prediction: clipping has moved x_0, and the prediction may be v.

    Args:
        x_t: (B, C, H, W).
        t: the timestep of x_t, T−1…0.
        t_next: the timestep to go to, below t (not always t − 1); −1 for the end.
        prediction: (B, C, H, W), what the model said (guided or not).
        eta: 0 is deterministic, 1 is ancestral sampling over the visited timesteps.
        noise: (B, C, H, W) standard normal; when None drawn if sigma is not 0, as in `p_sample`.
        generator: of that draw; None means torch's own.

    Returns:
        x_next and x_0, each (B, C, H, W), in this order.

    Raises:
        ValueError: unless −1 ≤ t_next < t and 0 ≤ eta ≤ 1. (Given.)
    """
    if not -1 <= t_next < t:
        raise ValueError(f"t_next must lie between −1 and t − 1 = {t - 1}, got {t_next}")
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must lie between 0 and 1, got {eta}")
    # TODO(7.5): x_0 as in p_sample, the noise that goes with it, sigma, and the new x. A table has no
    # row −1: what would schedule.alpha_bars[-1] give?
    ### BEGIN SOLUTION
    batch_t = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)  # (B,)
    x_0 = predict_x0(schedule, x_t, batch_t, prediction, target)
    if clip:
        x_0 = x_0.clamp(-1, 1)
    alpha_bar = float(schedule.alpha_bars[t])
    after = float(schedule.alpha_bars[t_next]) if t_next >= 0 else 1.0
    noise_t = (x_t - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - after) / (1 - alpha_bar)) * math.sqrt(1 - alpha_bar / after)
    # By theory never below 0; by rounding it can be, at eta = 1.
    direction = math.sqrt(max(0.0, 1 - after - sigma**2))
    x_next = math.sqrt(after) * x_0 + direction * noise_t
    if sigma > 0:
        if noise is None:
            noise = _normal(x_t.shape, x_t.device, generator)
        x_next = x_next + sigma * noise
    return x_next, x_0
    ### END SOLUTION


def ddim_sample_loop(
    model: nn.Module,
    schedule: NoiseSchedule,
    shape: Sequence[int],
    y: Tensor | None = None,
    steps: int = 50,
    eta: float = 0.0,
    guidance_scale: float = 1.0,
    target: str = "noise",
    clip: bool = True,
    noise: Tensor | None = None,
    generator: Generator | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """DDIM over `steps` of the T timesteps, those of `ddim_timesteps` (Song et al. 2021).

    Each step goes to the next timestep on the list, the last one to −1. Arguments as above and in
    `ddim_step`; `noise` is where the walk starts, steps with eta > 0 draw their own.

    Raises:
        ValueError: when `noise` does not have the given shape (in `_start`); unless 1 ≤ steps ≤ T.
    """
    # TODO(7.6): as 7.3, over pairs of timesteps; guided_prediction, then ddim_step.
    ### BEGIN SOLUTION
    visited = [*ddim_timesteps(schedule.timesteps, steps), -1]
    with torch.no_grad(), _eval_mode(model):
        x_t = _start(model, shape, noise, generator)
        for i, (t, t_next) in enumerate(pairwise(visited)):
            batch_t = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)  # (B,)
            prediction = guided_prediction(model, x_t, batch_t, y, guidance_scale)
            x_t, x_0 = ddim_step(
                *(schedule, x_t, t, t_next, prediction, eta, target, clip), generator=generator
            )
            if callback is not None:
                callback(i, t, x_t, x_0)
    return x_t
    ### END SOLUTION


def dpm_solver_2m(
    model: nn.Module,
    schedule: NoiseSchedule,
    shape: Sequence[int],
    y: Tensor | None = None,
    steps: int = 20,
    guidance_scale: float = 1.0,
    target: str = "noise",
    clip: bool = True,
    noise: Tensor | None = None,
    generator: Generator | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """★ DPM-Solver++(2M): second order in the log-SNR, one model call a step (Lu et al. 2022b, algorithm 2).

    With signal a = √alpha_bar, noise level σ = √(1 − alpha_bar), λ = log(a / σ), a step from t to the
    next has h = λ_next − λ and r = h_before / h, where h_before is the h of the step before:

        D      = (1 + 1/(2r)) · x_0 − 1/(2r) · x_0_before
        x_next = (σ_next / σ) · x_t − a_next · (e^(−h) − 1) · D

    x_0 is the predicted (and clipped) picture of this step, x_0_before that of the step before. The
    first step is of first order: D = x_0. The last one, to the end, where λ is infinite, gives x_0.
    Timesteps are those of `ddim_timesteps`; arguments as above. Deterministic but for its start. Only x_0 is
    clipped: D and x_next are as the formulas give them.

    How the weights are grouped is up to you: what counts is that the error falls fourfold when the steps
    are doubled.

    Raises:
        ValueError: as `ddim_sample_loop`.
    """
    # TODO(7.7) ★: the frame of 7.6 around the two lines above.
    ### BEGIN SOLUTION
    visited = ddim_timesteps(schedule.timesteps, steps)
    with torch.no_grad(), _eval_mode(model):
        x_t = _start(model, shape, noise, generator)
        x_0_before, h_before = None, None
        for i, t in enumerate(visited):
            batch_t = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)  # (B,)
            prediction = guided_prediction(model, x_t, batch_t, y, guidance_scale)
            x_0 = predict_x0(schedule, x_t, batch_t, prediction, target)
            if clip:
                x_0 = x_0.clamp(-1, 1)
            if i + 1 == steps:
                x_t = x_0  # alpha_bar = 1: no noise is left, so what is left is x_0
            else:
                alpha_bar, after = (float(schedule.alpha_bars[k]) for k in visited[i : i + 2])
                sigma, sigma_next = math.sqrt(1 - alpha_bar), math.sqrt(1 - after)
                h = math.log(after / alpha_bar) / 2 - math.log(sigma_next / sigma)
                d = x_0
                if x_0_before is not None:
                    d = x_0 + (h / h_before / 2) * (x_0 - x_0_before)
                x_t = sigma_next / sigma * x_t - math.sqrt(after) * math.expm1(-h) * d
                x_0_before, h_before = x_0, h
            if callback is not None:
                callback(i, t, x_t, x_0)
    return x_t
    ### END SOLUTION


def _normal(shape: Sequence[int], device, generator: Generator | None) -> Tensor:
    """Standard normal numbers. (Given.)

    From a CPU generator they are drawn on the CPU and moved: one seed, one picture on every device.
    """
    where = generator.device if generator is not None else device
    return torch.randn(tuple(shape), generator=generator, device=where).to(device)


def _start(
    model: nn.Module, shape: Sequence[int], noise: Tensor | None, generator: Generator | None
) -> Tensor:
    """x_T: the noise that was given, or new noise on the model's device. (Given.)"""
    if noise is None:
        device = next((p.device for p in model.parameters()), "cpu")
        return _normal(shape, device, generator)
    if tuple(noise.shape) != tuple(shape):
        raise ValueError(
            f"noise has shape {tuple(noise.shape)}, but pictures of shape {tuple(shape)} are wanted"
        )
    return noise


@contextmanager
def _eval_mode(model: nn.Module):
    """`with _eval_mode(model): …` runs in eval mode and puts the mode back afterwards. (Given.)"""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:  # one by one: parts of it may have been in eval mode
            module.training = training
