"""Chapter 7 · Sampling: from noise back to a picture, by walking the timesteps down.

Every sampler is a plain function of a model. The loops share their arguments:

    model           called as model(x_t, t, y); what it predicts is named by `target`
    schedule        the tables
    shape           (B, C, H, W) of the pictures to draw
    y               (B,) int64 labels, or None for unconditional pictures
    guidance_scale  see `guided_prediction`
    target          "noise" or "v"
    clip            clip each predicted x_0 to [−1, 1]; leave it on (without it, samples wash out)
    noise           (B, C, H, W) the x_T to start from; drawn when None
    generator       for every random draw, torch's own when None; one on the CPU gives the same
                    pictures on every device
    device          where to draw; that of the noise or of the model when None
    callback        called after each step as callback(i, t, x_t, x_0): step number from 0, timestep
                    just left, the new x_t, the predicted x_0
    progress        wraps the sequence of timesteps, as tqdm or rich.progress.track do

They run without gradients and in eval mode, put the mode back as it was, and return x_0 (B, C, H, W).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager

import torch
from torch import Generator, Tensor, nn

from ddpm_ref.diffusion import NoiseSchedule, per_image, predict_noise, predict_x0

Callback = Callable[[int, int, Tensor, Tensor], None]
VARIANCES = ("posterior", "beta")


def guided_prediction(
    model: nn.Module, x_t: Tensor, t: Tensor, y: Tensor | None, guidance_scale: float = 1.0
) -> Tensor:
    """Classifier-free guidance:  u + s · (c − u), before any clipping.

    c is the prediction with labels, u the one with the null class, s the guidance scale: 0 is
    unconditional, 1 conditional, above 1 exaggerates what the label changes. Source: Ho & Salimans
    2022, equation 6, whose w is s − 1. At s = 1 and s = 0 one call is enough.

    Args:
        model: called as model(x_t, t, y).
        x_t: (B, C, H, W).
        t: (B,) int64.
        y: (B,) int64, or None: then the prediction is the unconditional one, whatever the scale.
        guidance_scale: s.

    Returns:
        (B, C, H, W), in the model's own target.
    """
    if y is None or guidance_scale == 1:
        return model(x_t, t, y)
    u = model(x_t, t, None)
    if guidance_scale == 0:
        return u
    return u + guidance_scale * (model(x_t, t, y) - u)


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

        x_0   = clip(predict_x0(prediction), −1, 1)
        mean  = (√alpha_bar_prev · beta · x_0 + √alpha · (1 − alpha_bar_prev) · x_t) / (1 − alpha_bar)
        x_{t−1} = mean + √variance · noise,   and at t = 0 the mean itself

    The variance is beta-tilde = beta · (1 − alpha_bar_prev) / (1 − alpha_bar) for "posterior", beta for
    "beta".

    Args:
        t: one timestep for the whole batch, T−1…0.
        noise: (B, C, H, W) standard normal; drawn when None.

    Returns:
        x_{t−1} and the predicted (clipped) x_0, each (B, C, H, W).
    """
    if variance not in VARIANCES:
        raise ValueError(f"variance must be one of {VARIANCES}, got {variance!r}")
    steps = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)  # (B,)
    prediction = guided_prediction(model, x_t, steps, y, guidance_scale)
    x_0 = predict_x0(schedule, x_t, steps, prediction, target)
    x_0 = x_0.clamp(-1, 1) if clip else x_0
    beta, alpha = per_image(schedule.betas, steps), per_image(schedule.alphas, steps)
    alpha_bar = per_image(schedule.alpha_bars, steps)
    prev = per_image(schedule.alpha_bars_prev, steps)
    mean = (prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)
    if t == 0:
        return mean, x_0
    sigma = (beta if variance == "beta" else beta * (1 - prev) / (1 - alpha_bar)).sqrt()
    z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise
    return mean + sigma * z, x_0


@torch.no_grad()
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
    device=None,
    callback: Callback | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Tensor:
    """Ancestral sampling over all T timesteps (Ho et al. 2020, algorithm 2); arguments as above."""
    x_t = _start(model, shape, noise, generator, device)
    with _eval_mode(model):
        for i, t in enumerate(progress(range(schedule.timesteps - 1, -1, -1))):
            options = guidance_scale, target, variance, clip
            x_t, x_0 = p_sample(model, schedule, x_t, t, y, *options, generator=generator)
            if callback is not None:
                callback(i, t, x_t, x_0)
    return x_t


def ddim_timesteps(timesteps: int, steps: int) -> list[int]:
    """The timesteps that a short walk visits: strictly falling from T − 1, spaced evenly.

    "Trailing" spacing: step i is at round(T − i · T / steps) − 1, so that the walk starts where noise
    is pure (Lin et al. 2024, table 2).

    Raises:
        ValueError: unless 1 ≤ steps ≤ T.
    """
    if not 1 <= steps <= timesteps:
        raise ValueError(f"steps must lie between 1 and the {timesteps} timesteps, got {steps}")
    return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]


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

        x_0      = clip(predict_x0(prediction), −1, 1)
        noise_t  = the noise between x_0 and x_t, computed again after clipping
        sigma    = eta · √((1 − alpha_bar_next) / (1 − alpha_bar)) · √(1 − alpha_bar / alpha_bar_next)
        x_next   = √alpha_bar_next · x_0 + √(1 − alpha_bar_next − sigma²) · noise_t + sigma · noise

    Args:
        t: the timestep of x_t.
        t_next: the timestep to go to, below t; −1 for the end, where alpha_bar = 1.
        prediction: (B, C, H, W), what the model said (guided or not).
        eta: 0 is deterministic, 1 is ancestral sampling over the visited timesteps.
        noise: (B, C, H, W) standard normal; drawn when None and needed.

    Returns:
        x_{t_next} and the predicted (clipped) x_0, each (B, C, H, W).
    """
    if not -1 <= t_next < t:
        raise ValueError(f"t_next must lie between −1 and t − 1 = {t - 1}, got {t_next}")
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must lie between 0 and 1, got {eta}")
    at_t = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)
    x_0 = predict_x0(schedule, x_t, at_t, prediction, target)
    x_0 = torch.clamp(x_0, -1, 1) if clip else x_0
    noise_t = predict_noise(schedule, x_t, at_t, x_0)
    now, after = _alpha_bar(schedule, t), _alpha_bar(schedule, t_next)
    sigma = eta * math.sqrt((1 - after) / (1 - now) * (1 - now / after))
    # By theory never below 0; by rounding it can be, at eta = 1.
    direction = math.sqrt(max(0.0, 1 - after - sigma**2))
    x_next = math.sqrt(after) * x_0 + direction * noise_t
    if sigma > 0:
        fresh = _normal(x_t.shape, x_t.device, generator) if noise is None else noise
        x_next = x_next + sigma * fresh
    return x_next, x_0


@torch.no_grad()
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
    device=None,
    callback: Callback | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Tensor:
    """DDIM over `steps` of the T timesteps (Song et al. 2021); arguments as above and in `ddim_step`."""
    visited = ddim_timesteps(schedule.timesteps, steps)
    x_t = _start(model, shape, noise=noise, generator=generator, device=device)
    with _eval_mode(model):
        for i, t in enumerate(progress(visited)):
            t_next = visited[i + 1] if i + 1 < steps else -1
            at_t = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)
            said = guided_prediction(model, x_t, at_t, y, guidance_scale)
            options = eta, target, clip
            x_t, x_0 = ddim_step(schedule, x_t, t, t_next, said, *options, generator=generator)
            if callback:
                callback(i, t, x_t, x_0)
    return x_t


@torch.no_grad()
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
    device=None,
    callback: Callback | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Tensor:
    """★ DPM-Solver++(2M): second order in the log-SNR, one model call a step (Lu et al. 2022b, algorithm 2).

    With signal a = √alpha_bar, noise level σ = √(1 − alpha_bar), λ = log(a / σ), a step from t to the
    next has h = λ_next − λ and r = h_before / h:

        D      = (1 + 1/(2r)) · x_0 − 1/(2r) · x_0_before
        x_next = (σ_next / σ) · x_t − a_next · (e^(−h) − 1) · D

    The first step and the last one (where λ is infinite) are of first order: D = x_0. Timesteps are
    those of `ddim_timesteps`; arguments as above. Deterministic but for its start.
    """
    visited = ddim_timesteps(schedule.timesteps, steps)
    x_t = _start(model, shape, noise, device=device, generator=generator)
    x_0_before, h_before = None, None
    with _eval_mode(model):
        for i, t in enumerate(progress(visited)):
            batch_t = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)
            prediction = guided_prediction(model, x_t, batch_t, y, guidance_scale)
            x_0 = predict_x0(schedule, x_t, batch_t, prediction, target)
            if clip:
                x_0 = x_0.clamp(-1, 1)
            if i + 1 == steps:
                x_t = x_0  # alpha_bar = 1: no noise is left, so what is left is x_0
            else:
                _, sigma, log_snr = _noise_levels(schedule, t)
                a_next, sigma_next, log_snr_next = _noise_levels(schedule, visited[i + 1])
                h = log_snr_next - log_snr
                d = x_0
                if x_0_before is not None:
                    d = x_0 + (h / h_before / 2) * (x_0 - x_0_before)
                x_t = sigma_next / sigma * x_t - a_next * math.expm1(-h) * d
                x_0_before, h_before = x_0, h
            if callback:
                callback(i, t, x_t, x_0)
    return x_t


SAMPLERS = {"ddpm": p_sample_loop, "ddim": ddim_sample_loop, "dpm": dpm_solver_2m}


def _alpha_bar(schedule: NoiseSchedule, t: int) -> float:
    """alpha_bar at t; 1 at t = −1, after the last step."""
    return float(schedule.alpha_bars[t]) if t >= 0 else 1.0


def _noise_levels(schedule: NoiseSchedule, t: int) -> tuple[float, float, float]:
    """√alpha_bar, √(1 − alpha_bar) and the log of their ratio at t."""
    alpha_bar = _alpha_bar(schedule, t)
    a, sigma = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    return a, sigma, math.log(a / sigma)


def _normal(shape, device, generator: Generator | None) -> Tensor:
    """Standard normal numbers; from a CPU generator they are drawn there and moved.

    So the same seed gives the same picture on every device.
    """
    where = generator.device if generator is not None else device
    return torch.randn(tuple(shape), generator=generator, device=where).to(device)


def _start(model: nn.Module, shape, noise: Tensor | None, generator, device) -> Tensor:
    if device is None and noise is not None:
        device = noise.device
    elif device is None:
        device = next((p.device for p in model.parameters()), "cpu")
    if noise is None:
        return _normal(shape, device, generator)
    if tuple(noise.shape) != tuple(shape):
        raise ValueError(
            f"noise has shape {tuple(noise.shape)}, but pictures of shape {tuple(shape)} are wanted"
        )
    return noise.to(device)


@contextmanager
def _eval_mode(model: nn.Module):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:  # one by one: parts of it may have been in eval mode
            module.training = training
