"""The chapter's mistakes, made in this implementation: {says: [(old, new), …]}."""

P_RUN = "return walk.run(shape, noise, list(range(schedule.timesteps))[::-1], callback)"
P_WALK = (
    "walk = ancestral(model, schedule, y, guidance_scale, target, variance, clip, generator)\n"
    "    return walk.run"
)
IMPLICIT = (
    "    walk = Implicit(Guide(model, y, guidance_scale), schedule, target, clip, generator)\n"
    "    walk.eta = eta\n"
    "    return walk.run(shape, noise, ddim_timesteps(schedule.timesteps, steps), callback)"
)
SUM = "return u + self.scale * (c - u)"
TWICE = "twice = self.model(torch.cat((x, x)), torch.cat((t, t)), torch.cat((self.y, null)))"
MEAN = "mean = then.sqrt() * x_0 + (1 - then - sigma**2).clamp(min=0).sqrt() * eps"

MISTAKES = {
    "there is no guidance: the scale is ignored": [(SUM, "return c")],
    "the labels are ignored: c is predicted without them": [(SUM, "return u")],
    "the scale counts from the conditional prediction, as the w of papers does: c + s · (c − u)": [
        (SUM, "return c + self.scale * (c - u)")
    ],
    "up to scale 1 the prediction is taken to be c; at 0 it is u, and at 0.5 half-way between them": [
        (SUM, "return u + max(1.0, self.scale) * (c - u)")
    ],
    "label 0 stands for no label: that is a class like the others, the null class is None": [
        (
            "null = torch.full_like(self.y, self.model.num_classes)",
            "null = torch.zeros_like(self.y) if self.scale != 1 else self.y",
        )
    ],
    "without labels the prediction is that of class 0": [
        ("return self.model(x, t, None)", "return self.model(x, t, t * 0)")
    ],
    "alpha_bar where alpha_bar_prev belongs, in the weight of x_0": [
        ("torch.sqrt(before) * (1 - alpha)", "torch.sqrt(now) * (1 - alpha)")
    ],
    "the noise is multiplied by the variance, not by its root": [
        (
            'torch.sqrt(tilde if self.variance == "posterior" else 1 - alpha)',
            '(tilde if self.variance == "posterior" else 1 - alpha)',
        )
    ],
    "the variance is always beta-tilde": [('"beta": "beta"}', '"beta": "posterior"}')],
    "the two variances are exchanged": [
        ('{"posterior": "posterior", "beta": "beta"}', '{"posterior": "beta", "beta": "posterior"}')
    ],
    "an unknown variance is accepted in silence": [(".get(variance)", '.get(variance, "beta")')],
    "x_0 and x_(t−1) are returned in the wrong order": [
        (
            "        if t == 0:\n            return mean, x_0",
            "        if t == 0:\n            return x_0, mean",
        ),
        (
            "torch.sqrt(tilde if self.variance",
            "torch.sqrt(tilde if self.variance",
        ),
        (
            "1 - alpha)\n        return mean + sigma * self.draw(x, noise), x_0",
            "1 - alpha)\n        return x_0, mean + sigma * self.draw(x, noise)",
        ),
    ],
    "at t = 1 no noise is added either: papers count from 1, so their last step is 1, ours is 0": [
        ("        if t == 0:\n", "        if t <= 1:\n")
    ],
    "x_(t−1) is clipped; it is a noisy picture, and only x_0 has a range": [
        (
            "1 - alpha)\n        return mean + sigma * self.draw(x, noise), x_0",
            "1 - alpha)\n        return (mean + sigma * self.draw(x, noise)).clamp(-1, 1), x_0",
        )
    ],
    "the timesteps rise: the walk goes from 0 to T − 1": [
        ("list(range(schedule.timesteps))[::-1]", "list(range(schedule.timesteps))")
    ],
    "the walk ends at t = 1: range stops before its second number": [
        ("list(range(schedule.timesteps))[::-1]", "list(range(1, schedule.timesteps))[::-1]")
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
    "the old noise is multiplied by the variance, not by its root": [
        (MEAN, MEAN.replace(".clamp(min=0).sqrt()", ".clamp(min=0)"))
    ],
    "the old noise has the spread of t, not of t_next": [
        (MEAN, MEAN.replace("1 - then", "1 - now"))
    ],
    "sigma lacks its roots": [
        (
            "self.eta * ((1 - then) / (1 - now)).sqrt() * (1 - now / then).sqrt()",
            "self.eta * ((1 - then) / (1 - now)) * (1 - now / then)",
        )
    ],
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
