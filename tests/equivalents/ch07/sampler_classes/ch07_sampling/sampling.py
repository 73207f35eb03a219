"""A class for each sampler, what they share in a helper file; one model call of twice the batch."""

import torch

from .walks import Walk


class Guide:
    """A model with its labels; both predictions come from one call of twice the batch."""

    def __init__(self, model, y, scale):
        self.model, self.y, self.scale = model, y, scale

    def __call__(self, x, t):
        if self.y is None:
            return self.model(x, t, None)
        null = torch.full_like(self.y, self.model.num_classes)
        twice = self.model(torch.cat((x, x)), torch.cat((t, t)), torch.cat((self.y, null)))
        c, u = twice.chunk(2)
        return u + self.scale * (c - u)


class Ancestral(Walk):
    variance = "posterior"

    def step(self, x, t, t_next, noise=None):
        x_0 = self.picture(x, t)
        now, before = self.alpha_bar(t), self.alpha_bar(t - 1)
        alpha = now / before
        tilde = (1 - alpha) * (1 - before) / (1 - now)
        mean = torch.sqrt(before) * (1 - alpha) / (1 - now) * x_0
        mean = mean + torch.sqrt(alpha) * (1 - before) / (1 - now) * x
        if t == 0:
            return mean, x_0
        sigma = torch.sqrt(tilde if self.variance == "posterior" else 1 - alpha)
        return mean + sigma * self.draw(x, noise), x_0


class Implicit(Walk):
    eta = 0.0

    def step(self, x, t, t_next, noise=None, prediction=None):
        x_0 = self.picture(x, t, prediction)
        now, then = self.alpha_bar(t), self.alpha_bar(t_next)
        eps = (x - now.sqrt() * x_0) / (1 - now).sqrt()
        sigma = self.eta * ((1 - then) / (1 - now)).sqrt() * (1 - now / then).sqrt()
        mean = then.sqrt() * x_0 + (1 - then - sigma**2).clamp(min=0).sqrt() * eps
        if self.eta == 0 or t_next < 0:
            return mean, x_0
        return mean + sigma * self.draw(x, noise), x_0


class Solver(Walk):
    last = None

    def step(self, x, t, t_next):
        x_0 = self.picture(x, t)
        if t_next < 0:
            return x_0, x_0
        now, then = self.alpha_bar(t).double(), self.alpha_bar(t_next).double()
        lam, lam_next = torch.logit(now) / 2, torch.logit(then) / 2
        d = x_0
        if self.last is not None:
            lam_before, x_0_before = self.last
            r = (lam - lam_before) / (lam_next - lam)
            d = (1 + 1 / (2 * r)).float() * x_0 - (1 / (2 * r)).float() * x_0_before
        self.last = lam, x_0
        ratio = ((1 - then) / (1 - now)).sqrt().float()
        weight = (then.sqrt() * -torch.expm1(lam - lam_next)).float()
        return ratio * x + weight * d, x_0


def guided_prediction(model, x_t, t, y, guidance_scale=1.0):
    return Guide(model, y, guidance_scale)(x_t, t)


def ancestral(model, schedule, y, guidance_scale, target, variance, clip, generator):
    walk = Ancestral(Guide(model, y, guidance_scale), schedule, target, clip, generator)
    walk.variance = {"posterior": "posterior", "beta": "beta"}.get(variance)
    if walk.variance is None:
        raise ValueError(f"variance {variance}")
    return walk


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
    walk = ancestral(model, schedule, y, guidance_scale, target, variance, clip, generator)
    return walk.step(x_t, t, t - 1, noise)


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
    walk = ancestral(model, schedule, y, guidance_scale, target, variance, clip, generator)
    return walk.run(shape, noise, list(range(schedule.timesteps))[::-1], callback)


def ddim_timesteps(timesteps, steps):
    if steps <= 0:
        raise ValueError("at least one step")
    if steps > timesteps:
        raise ValueError("at most T steps")
    # Half up, in whole numbers: floor((2 · (steps − i) · T + steps) / (2 · steps)) − 1.
    return [(2 * k * timesteps + steps) // (2 * steps) - 1 for k in range(steps, 0, -1)]


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
    if t_next not in range(-1, t) or not 0 <= eta <= 1:
        raise ValueError(f"no step from {t} to {t_next} with eta {eta}")
    walk = Implicit(None, schedule, target, clip, generator)
    walk.eta = eta
    return walk.step(x_t, t, t_next, noise, prediction)


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
    walk = Implicit(Guide(model, y, guidance_scale), schedule, target, clip, generator)
    walk.eta = eta
    return walk.run(shape, noise, ddim_timesteps(schedule.timesteps, steps), callback)


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
    walk = Solver(Guide(model, y, guidance_scale), schedule, target, clip, generator)
    return walk.run(shape, noise, ddim_timesteps(schedule.timesteps, steps), callback)
