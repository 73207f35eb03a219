"""The chapter's mistakes, made in this implementation (those that are not in its helper file)."""

RUN = "return walk.run(shape, noise, ddim_timesteps(schedule.timesteps, steps), callback)"
IMPLICIT = (
    "    walk = Implicit(Guide(model, y, guidance_scale), schedule, target, clip, generator)\n"
    "    walk.eta = eta\n"
    f"    {RUN}"
)
P_RUN = "return walk.run(shape, noise, list(range(schedule.timesteps))[::-1], callback)"
STEP = "walk.step(x_t, t, t - 1, noise)"
GUIDE = "Guide(model, y, guidance_scale)(x_t, t)"
D_STEP = "walk.step(x_t, t, t_next, noise, prediction)"
P_WALK = (
    "walk = ancestral(model, schedule, y, guidance_scale, target, variance, clip, generator)\n"
    "    return walk.run"
)

MISTAKES = {
    "there is no guidance: the scale is ignored": [(GUIDE, "Guide(model, y, 1.0)(x_t, t)")],
    "the labels are ignored: c is predicted without them": [
        (GUIDE, "Guide(model, None, guidance_scale)(x_t, t)")
    ],
    "up to scale 1 the prediction is taken to be c; at 0 it is u, and at 0.5 half-way between them": [
        (GUIDE, "Guide(model, y, max(1.0, guidance_scale))(x_t, t)")
    ],
    "without labels the prediction is that of class 0": [
        (f"return {GUIDE}", f"y = t * 0 if y is None else y\n    return {GUIDE}")
    ],
    "the variance is always beta-tilde": [('"beta": "beta"}', '"beta": "posterior"}')],
    "the two variances are exchanged": [
        ('{"posterior": "posterior", "beta": "beta"}', '{"posterior": "beta", "beta": "posterior"}')
    ],
    "an unknown variance is accepted in silence": [(".get(variance)", '.get(variance, "beta")')],
    "x_0 and x_(t−1) are returned in the wrong order": [(STEP, STEP + "[::-1]")],
    "the noise that is given is ignored": [(STEP, "walk.step(x_t, t, t - 1)")],
    "x_(t−1) is clipped; it is a noisy picture, and only x_0 has a range": [
        (
            f"return {STEP}",
            f"x, x_0 = {STEP}\n    return (x.clamp(-1, 1) if t else x), x_0",
        )
    ],
    "the timesteps rise: the walk goes from 0 to T − 1": [
        ("list(range(schedule.timesteps))[::-1]", "list(range(schedule.timesteps))")
    ],
    "the walk ends at t = 1: range stops before its second number": [
        ("list(range(schedule.timesteps))[::-1]", "list(range(1, schedule.timesteps))[::-1]")
    ],
    "the ancestral loop ignores the noise it should start from": [
        (P_RUN, P_RUN.replace("noise", "None if noise is None or noise.shape == shape else noise"))
    ],
    "the ancestral loop does not hand on the labels": [(P_WALK, P_WALK.replace("y,", "None,"))],
    "the ancestral loop does not hand on the variance": [
        (P_WALK, P_WALK.replace("variance", '"posterior"'))
    ],
    "the callback of the ancestral loop is never called": [
        (P_RUN, P_RUN.replace("callback", "None"))
    ],
    "every timestep is one too high: it is round(T − i · T / steps) − 1": [
        ("// (2 * steps) - 1 for", "// (2 * steps) for")
    ],
    "there is one timestep too many: −1 is on the list": [
        ("range(steps, 0, -1)]", "range(steps, -1, -1)]")
    ],
    "more steps than timesteps are not refused": [
        ('    if steps > timesteps:\n        raise ValueError("at most T steps")\n', "")
    ],
    "eta is ignored: no noise is ever added": [
        (f"    walk.eta = eta\n    return {D_STEP}", f"    return {D_STEP}")
    ],
    "ddim_step returns x_0 before x_next": [(D_STEP, D_STEP + "[::-1]")],
    "the step goes to t − 1, whatever t_next is": [(D_STEP, D_STEP.replace("t_next", "t - 1"))],
    "an eta outside 0…1 is accepted in silence": [(" or not 0 <= eta <= 1:", ":")],
    "the DDIM loop does not hand on eta": [
        (IMPLICIT, IMPLICIT.replace("    walk.eta = eta\n", ""))
    ],
    "the DDIM loop does not hand on the guidance scale": [
        (IMPLICIT, IMPLICIT.replace("y, guidance_scale", "y, 1.0"))
    ],
    "the callback of the DDIM loop is never called": [
        (IMPLICIT, IMPLICIT.replace("callback", "None"))
    ],
}
