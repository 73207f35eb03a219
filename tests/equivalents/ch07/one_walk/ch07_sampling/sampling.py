"""Ancestral steps are DDIM's with eta = 1; a Python generator walks; all the noise is drawn beforehand."""

import torch

from ..ch05_forward_noise.diffusion import predict_x0


def guided_prediction(model, x_t, t, y, guidance_scale=1.0):
    if y is None:
        guidance_scale = 0
    total = 0
    for label, weight in ((y, guidance_scale), (None, 1 - guidance_scale)):
        if weight:
            total = total + weight * model(x_t, t, label)
    return total


def move(schedule, x_t, t, t_next, prediction, target, clip, z, variance):
    """From t to t_next; variance(ratio, beta) of what is new, from its two ingredients."""
    levels = torch.cat([schedule.alpha_bars, torch.ones_like(schedule.alpha_bars[:1])])
    now, after = levels[t], levels[t_next]
    x_0 = predict_x0(schedule, x_t, torch.tensor([t]).repeat(len(x_t)), prediction, target)
    x_0 = x_0.clip(-1, 1) if clip else x_0
    eps = (x_t - now**0.5 * x_0) / (1 - now) ** 0.5
    step = 1 - now / after  # beta, where t_next = t − 1
    full = (1 - after) / (1 - now) * step
    old, new = variance(full, step)
    mean = after**0.5 * x_0 + (1 - after - old).clamp(min=0) ** 0.5 * eps
    return torch.addcmul(mean, z, new**0.5) if t_next >= 0 else mean, x_0


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
    kinds = {"posterior": lambda full, step: (full, full), "beta": lambda full, step: (full, step)}
    if variance not in kinds:
        raise ValueError(f"{variance} is none of {list(kinds)}")
    z = torch.randn(x_t.shape, generator=generator) if noise is None else noise
    prediction = guided_prediction(
        model, x_t, torch.tensor([t]).repeat(len(x_t)), y, guidance_scale
    )
    return move(schedule, x_t, t, t - 1, prediction, target, clip, z, kinds[variance])


def walk(model, shape, noise, generator, path, draw, step):
    """Yields t, x, x_0 after each step."""
    if noise is None:
        noise = torch.randn(tuple(shape), generator=generator)
    if noise.shape != torch.Size(shape):
        raise ValueError("noise has another shape")
    fresh = torch.randn((len(path), *shape), generator=generator) if draw else [None] * len(path)
    x, was = noise, model.training
    for t, t_next, z in zip(path, [*path[1:], -1], fresh, strict=True):
        with torch.no_grad():
            model.train(False)
            x, x_0 = step(x, t, t_next, z)
            model.train(was)
        yield t, x, x_0


def finish(steps, callback):
    for i, (t, x, x_0) in enumerate(steps):
        if callback:
            callback(i, t, x, x_0)
    return x


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
    def step(x, t, t_next, z):
        return p_sample(model, schedule, x, t, y, guidance_scale, target, variance, clip, noise=z)

    path = list(range(schedule.timesteps - 1, -1, -1))
    return finish(walk(model, shape, noise, generator, path, True, step), callback)


def ddim_timesteps(timesteps, steps):
    if steps < 1:
        raise ValueError("no steps")
    if timesteps < steps:
        raise ValueError("more steps than timesteps")
    found, step = [], 0
    while len(found) < steps:
        found.append(int(timesteps * (steps - step) / steps + 0.5) - 1)
        step += 1
    return found


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
    if t_next < -1 or t_next >= t:
        raise ValueError("not a step down")
    if not 0.0 <= eta <= 1.0:
        raise ValueError("eta")
    z = torch.randn(x_t.shape, generator=generator) if noise is None else noise

    def variance(full, step):
        return eta**2 * full, eta**2 * full

    return move(schedule, x_t, t, t_next, prediction, target, clip, z, variance)


def ddim_sample_loop(
    model,
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
    def step(x, t, t_next, z):
        batch = torch.tensor([t]).repeat(len(x))
        prediction = guided_prediction(model, x, batch, y, guidance_scale)
        return ddim_step(schedule, x, t, t_next, prediction, eta, target, clip, noise=z)

    path = ddim_timesteps(schedule.timesteps, steps)
    return finish(walk(model, shape, noise, generator, path, True, step), callback)


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
    bars = schedule.alpha_bars.double()
    lam = (bars.log() - (1 - bars).log()) / 2
    kept = []

    def step(x, t, t_next, z):
        batch = torch.tensor([t]).repeat(len(x))
        prediction = guided_prediction(model, x, batch, y, guidance_scale)
        x_0 = predict_x0(schedule, x, batch, prediction, target)
        x_0 = x_0.clip(-1, 1) if clip else x_0
        if t_next < 0:
            return x_0, x_0
        h = lam[t_next] - lam[t]
        d = x_0
        if kept:
            before, x_0_before = kept.pop()
            d = x_0 + (h / (lam[t] - lam[before]) / 2).float() * (x_0 - x_0_before)
        kept.append((t, x_0))
        signal, level = bars.sqrt(), (1 - bars).sqrt()
        x_next = (level[t_next] / level[t]).float() * x
        return x_next - (signal[t_next] * ((-h).exp() - 1)).float() * d, x_0

    path = ddim_timesteps(schedule.timesteps, steps)
    return finish(walk(model, shape, noise, generator, path, False, step), callback)
