"""The weights of all steps as numpy tables, made in float64 for each schedule and kept."""

import functools

import numpy as np
import torch

from ..ch05_forward_noise.diffusion import predict_x0


@functools.lru_cache(maxsize=8)
def tables(schedule):
    alphas = 1.0 - schedule.betas.cpu().numpy().astype(np.float64)
    bars = np.cumprod(alphas)
    prev = np.append(1.0, bars[:-1])
    rest = 1.0 - bars
    return {
        "of_x_0": (1.0 - alphas) * np.sqrt(prev) / rest,
        "of_x_t": (1.0 - prev) * np.sqrt(alphas) / rest,
        "posterior": np.sqrt((1.0 - alphas) * (1.0 - prev) / rest),
        "beta": np.sqrt(1.0 - alphas),
        "bars": np.append(bars, 1.0),  # row −1 is the end of the walk
    }


def guided_prediction(model, x_t, t, y, guidance_scale=1.0):
    null = model(x_t, t, None)
    if y is None or guidance_scale == 0:
        return null
    real = model(x_t, t, y)
    return torch.lerp(null, real, guidance_scale)


def picture(schedule, x_t, t, prediction, target, clip):
    t = torch.tensor([t] * len(x_t), device=x_t.device)
    x_0 = predict_x0(schedule, x_t, t, prediction, target)
    return torch.clip(x_0, min=-1.0, max=1.0) if clip else x_0


def gauss(x_t, noise, generator):
    if noise is not None:
        return noise
    return torch.randn(x_t.size(), generator=generator, device=x_t.device)


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
    if variance not in ("posterior", "beta"):
        raise ValueError("variance: posterior or beta")
    table = tables(schedule)
    many = torch.tensor([t] * len(x_t), device=x_t.device)
    prediction = guided_prediction(model, x_t, many, y, guidance_scale)
    x_0 = picture(schedule, x_t, t, prediction, target, clip)
    out = float(table["of_x_0"][t]) * x_0 + float(table["of_x_t"][t]) * x_t
    if t > 0:
        out = out + float(table[variance][t]) * gauss(x_t, noise, generator)
    return out, x_0


@torch.no_grad()
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
    training = model.training
    model.eval()
    x = noise if noise is not None else torch.randn(tuple(shape), generator=generator)
    if x.shape != tuple(shape):
        model.train(training)
        raise ValueError("noise and shape do not fit")
    for i in range(schedule.timesteps):
        t = schedule.timesteps - 1 - i
        x, x_0 = p_sample(
            *(model, schedule, x, t, y, guidance_scale, target, variance, clip, None, generator)
        )
        if callback is not None:
            callback(i, t, x, x_0)
    model.train(training)
    return x


def ddim_timesteps(timesteps, steps):
    if steps not in range(1, timesteps + 1):
        raise ValueError("too few steps, or too many")
    return (np.rint(timesteps * (1 - np.arange(steps) / steps)).astype(int) - 1).tolist()


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
    if not (-1 <= t_next < t and 0 <= eta <= 1):
        raise ValueError("no such step")
    bars = tables(schedule)["bars"]
    x_0 = picture(schedule, x_t, t, prediction, target, clip)
    a, b = bars[t], bars[t_next]
    eps = (x_t - float(np.sqrt(a)) * x_0) / float(np.sqrt(1 - a))
    sigma = eta * np.sqrt((1 - b) / (1 - a)) * np.sqrt(1 - a / b)
    along = np.sqrt(np.maximum(1 - b - np.square(sigma), 0))
    out = float(np.sqrt(b)) * x_0 + float(along) * eps
    if eta:
        out = out + float(sigma) * gauss(x_t, noise, generator)
    return out, x_0


@torch.no_grad()
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
    training = model.training
    model.eval()
    x = noise if noise is not None else torch.randn(tuple(shape), generator=generator)
    if x.shape != tuple(shape):
        model.train(training)
        raise ValueError("noise and shape do not fit")
    path = np.array([*ddim_timesteps(schedule.timesteps, steps), -1])
    for i, (t, t_next) in enumerate(np.stack([path[:-1], path[1:]], axis=1).tolist()):
        many = torch.tensor([t] * len(x), device=x.device)
        prediction = guided_prediction(model, x, many, y, guidance_scale)
        x, x_0 = ddim_step(
            *(schedule, x, t, t_next, prediction, eta, target, clip), generator=generator
        )
        if callback is not None:
            callback(i, t, x, x_0)
    model.train(training)
    return x


@torch.no_grad()
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
    training = model.training
    model.eval()
    x = noise if noise is not None else torch.randn(tuple(shape), generator=generator)
    if x.shape != tuple(shape):
        model.train(training)
        raise ValueError("noise and shape do not fit")
    path = ddim_timesteps(schedule.timesteps, steps)
    bars = tables(schedule)["bars"][path]
    a, s = np.sqrt(bars), np.sqrt(1 - bars)
    lam = np.log(a) - np.log(s)
    pictures = []
    for i, t in enumerate(path):
        many = torch.tensor([t] * len(x), device=x.device)
        prediction = guided_prediction(model, x, many, y, guidance_scale)
        pictures.append(picture(schedule, x, t, prediction, target, clip))
        if i + 1 == len(path):
            x = pictures[-1]
        else:
            h = lam[i + 1] - lam[i]
            w = 0.0 if i == 0 else h / (2 * (lam[i] - lam[i - 1]))
            d = (1 + w) * pictures[-1] - w * pictures[i - 1]
            x = float(s[i + 1] / s[i]) * x + float(a[i + 1] * (1 - np.exp(-h))) * d
        if callback is not None:
            callback(i, t, x, pictures[-1])
    model.train(training)
    return x
