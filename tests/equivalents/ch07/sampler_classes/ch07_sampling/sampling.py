"""Thin functions over classes in a helper file; one model call of twice the batch."""

from .walks import Ancestral, Guide, Implicit, Solver


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
