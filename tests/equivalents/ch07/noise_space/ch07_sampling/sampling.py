"""Everything in terms of noise: x_0 only to be clipped. Noise is drawn before the model is asked, always."""

import math

import torch
from torch import nn

from ..ch05_forward_noise.diffusion import predict_x0, q_sample


def guided_prediction(model, x_t, t, y, guidance_scale=1.0):
    without = model(x_t, t, None)
    if y is None:
        return without
    return (1 - guidance_scale) * without + guidance_scale * model(x_t, t, y)


def clipped_noise(schedule, x_t, t, prediction, target, clip):
    """The picture, and the noise that goes with it once the picture is clipped."""
    batch = x_t.new_full((x_t.shape[0],), t, dtype=torch.long)
    x_0 = predict_x0(schedule, x_t, batch, prediction, target)
    if clip:
        x_0 = torch.minimum(torch.maximum(x_0, -torch.ones_like(x_0)), torch.ones_like(x_0))
    bar = schedule.alpha_bars[t]
    return x_0, (x_t - bar.sqrt() * x_0) * torch.rsqrt(1 - bar)


def fresh(x, generator):
    return torch.empty_like(x).normal_(generator=generator)


def p_sample(
    model,
    schedule,
    x_t,
    t,
    y=None,
    guidance_scale=1.0,
    target="noise",
    variance="posterior",
    clip=True,
    noise=None,
    generator=None,
):
    if variance == "posterior":
        share = (1 - schedule.alpha_bars_prev[t]) / (1 - schedule.alpha_bars[t])
    elif variance == "beta":
        share = 1.0
    else:
        raise ValueError(variance)
    z = fresh(x_t, generator) if noise is None else noise
    batch = torch.full([len(x_t)], t, device=x_t.device)
    prediction = guided_prediction(model, x_t, batch, y, guidance_scale)
    x_0, eps = clipped_noise(schedule, x_t, t, prediction, target, clip)
    beta = schedule.betas[t]
    mean = (x_t - beta / (1 - schedule.alpha_bars[t]).sqrt() * eps) / schedule.alphas[t].sqrt()
    return mean + (t > 0) * (beta * share) ** 0.5 * z, x_0


class quiet:
    """No gradients, and eval mode, until the end of the block."""

    def __init__(self, model):
        self.model, self.off = model, torch.no_grad()

    def __enter__(self):
        self.was = self.model.training
        self.off.__enter__()
        self.model.train(False)

    def __exit__(self, *error):
        self.model.train(self.was)
        self.off.__exit__(*error)


def first(model, shape, noise, generator):
    if noise is None:
        parameter = next(iter(model.parameters()))
        return torch.randn(*shape, generator=generator, dtype=parameter.dtype)
    if list(noise.shape) != list(shape):
        raise ValueError("the noise has another shape than the pictures")
    return noise.clone()


def p_sample_loop(
    model,
    schedule,
    shape,
    y=None,
    guidance_scale=1.0,
    target="noise",
    variance="posterior",
    clip=True,
    noise=None,
    generator=None,
    callback=None,
):
    with quiet(model):
        x = first(model, shape, noise, generator)
        for t in reversed(range(schedule.timesteps)):
            x, x_0 = p_sample(
                model,
                schedule,
                x,
                t,
                y,
                guidance_scale=guidance_scale,
                target=target,
                variance=variance,
                clip=clip,
                generator=generator,
            )
            if callback:
                callback(schedule.timesteps - 1 - t, t, x, x_0)
    return x


def ddim_timesteps(timesteps, steps):
    if steps < 1 or steps > timesteps:
        raise ValueError(f"{steps} steps of {timesteps}")
    spaced = torch.linspace(timesteps, 0, steps + 1, dtype=torch.float64)
    return (spaced[:-1].round() - 1).long().tolist()


def ddim_step(
    schedule,
    x_t,
    t,
    t_next,
    prediction,
    eta=0.0,
    target="noise",
    clip=True,
    noise=None,
    generator=None,
):
    if t_next >= t or t_next < -1:
        raise ValueError("t_next has to lie below t")
    if eta < 0 or eta > 1:
        raise ValueError("eta has to lie in 0…1")
    z = fresh(x_t, generator) if noise is None else noise
    x_0, eps = clipped_noise(schedule, x_t, t, prediction, target, clip)
    if t_next == -1:
        return x_0.clone(), x_0
    now, then = schedule.alpha_bars[t].item(), schedule.alpha_bars[t_next].item()
    share = eta**2 * (1 - now / then) / (1 - now)  # of the variance at t_next that is new
    mixed = math.sqrt(1 - share) * eps + math.sqrt(share) * z
    batch = x_t.new_full((x_t.shape[0],), t_next, dtype=torch.long)
    return q_sample(schedule, x_0, batch, mixed), x_0


def ddim_sample_loop(
    model: nn.Module,
    schedule,
    shape,
    y=None,
    steps=50,
    eta=0.0,
    guidance_scale=1.0,
    target="noise",
    clip=True,
    noise=None,
    generator=None,
    callback=None,
):
    with quiet(model):
        x = first(model, shape, noise, generator)
        left = ddim_timesteps(schedule.timesteps, steps)
        i = 0
        while left:
            t = left.pop(0)
            batch = torch.full([len(x)], t, device=x.device)
            prediction = guided_prediction(model, x, batch, y, guidance_scale)
            x, x_0 = ddim_step(
                schedule,
                x,
                t,
                left[0] if left else -1,
                prediction,
                eta=eta,
                target=target,
                clip=clip,
                generator=generator,
            )
            if callback:
                callback(i, t, x, x_0)
            i += 1
    return x


def dpm_solver_2m(
    model,
    schedule,
    shape,
    y=None,
    steps=20,
    guidance_scale=1.0,
    target="noise",
    clip=True,
    noise=None,
    generator=None,
    callback=None,
):
    with quiet(model):
        x = first(model, shape, noise, generator)
        visited = ddim_timesteps(schedule.timesteps, steps)
        bars = [schedule.alpha_bars[t].item() for t in visited]
        lam = [0.5 * math.log(bar / (1 - bar)) for bar in bars]
        older = None
        for i, t in enumerate(visited):
            batch = torch.full([len(x)], t, device=x.device)
            prediction = guided_prediction(model, x, batch, y, guidance_scale)
            x_0, eps = clipped_noise(schedule, x, t, prediction, target, clip)
            if i == steps - 1:
                x = x_0.clone()
            else:
                # DDIM's step, and half of what the trend of x_0 adds to it.
                x = math.sqrt(bars[i + 1]) * x_0 + math.sqrt(1 - bars[i + 1]) * eps
                if i:
                    h = lam[i + 1] - lam[i]
                    slope = (x_0 - older) / (lam[i] - lam[i - 1])
                    x = x + math.sqrt(bars[i + 1]) * (1 - math.exp(-h)) * h / 2 * slope
            older = x_0
            if callback:
                callback(i, t, x, x_0)
    return x
