"""The chapter's mistakes, made in this implementation: {says: [(old, new), …]}."""

MEAN = "mean = (x_t - beta / (1 - schedule.alpha_bars[t]).sqrt() * eps) / schedule.alphas[t].sqrt()"
LAST = "        return x_0.clone(), x_0\n"

MISTAKES = {
    "the scale counts from the conditional prediction, as the w of papers does: c + s · (c − u)": [
        (
            "(1 - guidance_scale) * without + guidance_scale *",
            "-guidance_scale * without + (1 + guidance_scale) *",
        )
    ],
    "u and c are exchanged: the scale leads away from the labels": [
        (
            "(1 - guidance_scale) * without + guidance_scale *",
            "guidance_scale * without + (1 - guidance_scale) *",
        )
    ],
    "label 0 stands for no label: that is a class like the others, the null class is None": [
        (
            "    if y is None:\n        return without\n",
            "    if y is None:\n        return without\n"
            "    without = model(x_t, t, torch.zeros_like(t))\n",
        )
    ],
    "x_0 and x_(t−1) are returned in the wrong order": [
        (
            "    return mean + (t > 0) * (beta * share) ** 0.5 * z, x_0",
            "    return x_0, mean + (t > 0) * (beta * share) ** 0.5 * z",
        )
    ],
    "noise is added at t = 0 too": [("(t > 0) * (beta", "(beta")],
    "the noise is multiplied by the variance, not by its root": [
        ("(beta * share) ** 0.5", "(beta * share)")
    ],
    "the noise that is given is ignored": [
        (
            "z = fresh(x_t, generator) if noise is None else noise\n    batch",
            "z = fresh(x_t, generator)\n    batch",
        )
    ],
    "the two variances are exchanged": [
        ('if variance == "posterior":', 'if variance == "beta":'),
        ('elif variance == "beta":', 'elif variance == "posterior":'),
    ],
    "alpha_bar and alpha_bar_prev are exchanged": [
        (
            "(1 - schedule.alpha_bars_prev[t]) / (1 - schedule.alpha_bars[t])",
            "(1 - schedule.alpha_bars[t]) / (1 - schedule.alpha_bars_prev[t])",
        ),
        (
            MEAN,
            "prev, bar = schedule.alpha_bars[t], schedule.alpha_bars_prev[t]\n"
            "    weighted = prev.sqrt() * beta * x_0 + schedule.alphas[t].sqrt() * (1 - prev) * x_t\n"
            "    mean = weighted / (1 - bar)",
        ),
        ("    return mean + (t > 0) *", "    return mean if t == 0 else mean +"),
    ],
    "an unknown variance is accepted in silence": [('elif variance == "beta":', "elif True:")],
    "the walk ends at t = 1: range stops before its second number": [
        ("reversed(range(schedule.timesteps))", "reversed(range(1, schedule.timesteps))")
    ],
    "the ancestral loop does not hand on the target": [
        (
            "                target=target,\n                variance=variance,",
            "                variance=variance,",
        )
    ],
    "the ancestral loop does not hand on clip, or clips its result, also with clip=False": [
        (
            "                variance=variance,\n                clip=clip,",
            "                variance=variance,",
        )
    ],
    "T − 1 is divided into equal parts, not T": [
        (
            "torch.linspace(timesteps, 0, steps + 1, dtype=torch.float64)",
            "torch.linspace(timesteps - 1, 0, steps + 1, dtype=torch.float64) + 1",
        )
    ],
    "spaced from T − 1 to 0, both included: the walk has to end at −1, below its last timestep": [
        (
            "torch.linspace(timesteps, 0, steps + 1, dtype=torch.float64)",
            "torch.linspace(timesteps - 1, 0, steps, dtype=torch.float64)",
        ),
        ("(spaced[:-1].round() - 1)", "spaced.round()"),
    ],
    "at the end alpha_bar is taken from row −1, the last of the table; it is 1": [
        ("    if t_next == -1:\n" + LAST, ""),
        ("t_next, dtype", "t_next % schedule.timesteps, dtype"),
        ("z = fresh(x_t, generator) if noise is None else noise\n    x_0", "z = noise\n    x_0"),
        (
            "share = eta**2",
            "z = fresh(x_t, generator) if noise is None else noise\n    share = eta**2",
        ),
    ],
    "eta is inside the root of sigma": [("eta**2", "eta")],
    "the step goes to t − 1, whatever t_next is": [
        ("    if t_next == -1:\n", "    t_next = t - 1\n    if t_next == -1:\n")
    ],
    "the DDIM loop does not hand on eta": [("                eta=eta,\n", "")],
    "the last step goes to 0, not to −1": [
        ("left[0] if left else -1", "left[0] if left else min(0, t - 1)")
    ],
    "the x_0 of the step before is not used: that is DDIM, of first order": [
        ("                if i:\n", "                if False:\n")
    ],
    "the half is missing: D goes on by a whole step, not to its middle": [("* h / 2 *", "* h *")],
}
