"""The chapter's mistakes, made in this implementation: {says: [(old, new), …]}."""

MISTAKES = {
    "the last beta is one step short of beta_end: both ends are included": [
        ("max(timesteps - 1, 1)", "timesteps")
    ],
    "the ends are rescaled by 1000 / T: they stay what they are, whatever T is": [
        (
            "return beta_start + step * torch.arange(timesteps)",
            "return (1000 / timesteps) * (beta_start + step * torch.arange(timesteps))",
        )
    ],
    "the offset s is missing: the first betas come out far too small": [("(u + s) / (1 + s)", "u")],
    "betas are cut off from below too (at 0.0001): there is only an upper limit": [
        ("torch.clip(beta, max=0.999)", "torch.clip(beta, 1e-4, 0.999)")
    ],
    "the ratio itself is returned: it is an alpha, and beta is 1 minus it": [
        ("beta = 1 - alpha_bar(", "beta = alpha_bar(")
    ],
    "off by one: f starts at u = 1/T, not at 0": [
        ("t = torch.arange(timesteps)\n", "t = torch.arange(1, timesteps + 1)\n")
    ],
    "the running product of the betas: it is that of the alphas, 1 − beta": [
        ("torch.cumprod(alphas, dim=0)", "torch.cumprod(betas, dim=0)")
    ],
    "no product is taken: alpha_bars are the alphas of single steps": [
        ("torch.cumprod(alphas, dim=0)", "alphas.clone()")
    ],
    "alpha_bars_prev is shifted the other way: entry t is alpha_bar of t + 1": [
        ("alpha_bars[:-1], (1, 0), value=1.0", "alpha_bars[1:], (0, 1), value=0.0")
    ],
    "alpha_bars_prev is not shifted at all: it equals alpha_bars": [
        ("nn.functional.pad(alpha_bars[:-1], (1, 0), value=1.0)", "alpha_bars.clone()")
    ],
    "float64 betas make float64 tables: they have to be float32 even then": [
        ("        betas = betas.to(torch.float32)\n", "")
    ],
    "NoiseSchedule.linear makes a cosine schedule": [
        ("NoiseSchedule(linear_beta_schedule(", "NoiseSchedule(cosine_beta_schedule(")
    ],
    "NoiseSchedule.cosine has 1000 steps, whatever is asked for": [
        ("NoiseSchedule(cosine_beta_schedule(timesteps))", "NoiseSchedule.cosine_of(1000)"),
        (
            "    def to(self",
            "    @staticmethod\n    def cosine_of(n):\n"
            "        return NoiseSchedule(cosine_beta_schedule(n))\n\n    def to(self",
        ),
    ],
    "`to` moves the schedule itself: it should make another and leave this one where it is": [
        ("copy.deepcopy(self), *args", "self, *args")
    ],
    "`to` returns nothing": [("return nn.Module.to(", "nn.Module.to(")],
    "negative betas, and 0, are accepted: only the upper end is looked at": [
        ("if not 0 < beta < 1:", "if not beta < 1:")
    ],
    "one axis is missing: (B, 1, 1) would meet the channels": [
        ("[:, None, None, None]", "[:, None, None]")
    ],
    "per_image looks up t − 1, as if t were counted from 1": [("values[t]", "values[t - 1]")],
    "1 − alpha_bar without its root before the noise: that is the variance, not the deviation": [
        ("noise, torch.sqrt(1.0 - kept))\n\n\ndef _from", "noise, 1.0 - kept)\n\n\ndef _from")
    ],
    "alpha_bars_prev where alpha_bars belongs: at t = 0 there is some noise already": [
        (
            "kept = per_image(schedule.alpha_bars, t)",
            "kept = per_image(schedule.alpha_bars_prev, t)",
        )
    ],
    "x_0 is scaled in place: the caller still needs it": [
        ("torch.addcmul(x_0 * torch.sqrt(kept)", "torch.addcmul(x_0.mul_(torch.sqrt(kept))")
    ],
    "no noise is drawn when none is given: zeros are mixed in": [
        ("torch.empty_like(x_0).normal_()", "torch.zeros_like(x_0)")
    ],
    "all images get the same noise": [
        ("torch.empty_like(x_0).normal_()", "torch.empty_like(x_0[:1]).normal_().expand_as(x_0)")
    ],
    "it is divided by alpha_bar without its root": [("* torch.rsqrt(kept)", "/ kept")],
    "the two formulas are exchanged: that for noise is used for v, and the other way round": [
        ('{"noise": _from_noise, "v": _from_v}', '{"v": _from_noise, "noise": _from_v}')
    ],
    "the predicted picture is clipped to [−1, 1]: that is left to the sampler": [
        (
            "return formula(per_image(schedule.alpha_bars, t), x_t, prediction)",
            "return formula(per_image(schedule.alpha_bars, t), x_t, prediction).clip(-1, 1)",
        )
    ],
    "an unknown target is a KeyError (of a dictionary): it should be a ValueError": [
        (
            "    try:\n        formula = TARGETS[target]\n    except KeyError:\n"
            '        raise ValueError(f"unknown target {target!r}") from None\n',
            "    formula = TARGETS[target]\n",
        )
    ],
}
