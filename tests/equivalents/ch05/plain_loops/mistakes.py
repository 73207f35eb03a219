"""The chapter's mistakes, made in diffusion.py beside a right file of tables."""

MISTAKES = {
    "the betas fall: they rise from beta_start to beta_end": [
        (
            "equal_steps(timesteps, beta_start, beta_end)",
            "equal_steps(timesteps, beta_end, beta_start)",
        )
    ],
    "beta_start and beta_end are ignored: 0.0001 and 0.02 are only their usual values": [
        ("equal_steps(timesteps, beta_start, beta_end)", "equal_steps(timesteps, 1e-4, 0.02)")
    ],
    "s is ignored: 0.008 is only its usual value": [
        ("squared_cosine(timesteps, s)", "squared_cosine(timesteps, 0.008)")
    ],
    "1 minus the running sum of the betas where the product of the alphas belongs": [
        (
            "bars = running_product(alphas)",
            "bars = [1 - sum(betas[: k + 1]) for k in range(len(betas))]",
        )
    ],
    "alpha_bars have a 1 in front: T + 1 numbers, and each at t + 1": [
        ("alpha_bars=bars,", "alpha_bars=[1.0] + bars,"),
        (
            "        alpha_bar = schedule.alpha_bars[step]\n",
            "        alpha_bar = schedule.alpha_bars[1:][step]\n",
        ),
        ("a, b = schedule.alpha_bars[step] ** 0.5", "a, b = schedule.alpha_bars[1:][step] ** 0.5"),
        ("(1 - schedule.alpha_bars[step]) ** 0.5", "(1 - schedule.alpha_bars[1:][step]) ** 0.5"),
    ],
    "alpha_bars_prev is rolled: it begins with the last alpha_bar, where 1 belongs": [
        ("[1.0, *bars[:-1]]", "bars[-1:] + bars[:-1]")
    ],
    "alpha_bars_prev are the alphas of the step before: they are its alpha_bars": [
        ("[1.0, *bars[:-1]]", "[1.0, *alphas[:-1]]")
    ],
    "timesteps is T − 1, the last t: it is the number of steps": [
        ("return len(self.betas)", "return len(self.betas) - 1")
    ],
    "the tables are float64: float32 is kept, whatever they were computed in": [
        (
            "torch.tensor(table, device=where)",
            "torch.tensor(table, device=where, dtype=torch.float64)",
        ),
        (
            "        alpha_bar = schedule.alpha_bars[step]\n",
            "        alpha_bar = schedule.alpha_bars[step].float()\n",
        ),
        (
            "a, b = schedule.alpha_bars[step] ** 0.5",
            "a, b = schedule.alpha_bars[step].float() ** 0.5",
        ),
        (
            "(1 - schedule.alpha_bars[step]) ** 0.5",
            "(1 - schedule.alpha_bars[step].float()) ** 0.5",
        ),
    ],
    "`to` moves betas alone: every table has to move": [
        ("getattr(self, each.name).to(device))", "getattr(self, each.name))"),
        (
            "        return moved\n",
            "        object.__setattr__(moved, 'betas', self.betas.to(device))\n        return moved\n",
        ),
    ],
    "bad betas are accepted": [
        ("if any(beta <= 0 or beta >= 1 for beta in betas):", "if not betas:")
    ],
    "bad betas are refused only when all are bad (any for all)": [
        ("if any(beta <= 0 or", "if all(beta <= 0 or")
    ],
    "per_image gives every image the entry of the first": [
        (
            "values[step].reshape(1, 1, 1) for step in t",
            "values[t[0]].reshape(1, 1, 1) for step in t",
        )
    ],
    "beta where alpha_bar belongs": [
        (
            "        alpha_bar = schedule.alpha_bars[step]\n",
            "        alpha_bar = schedule.betas[step]\n",
        )
    ],
    "alpha where alpha_bar belongs: that is a single step, not all the steps up to t": [
        (
            "        alpha_bar = schedule.alpha_bars[step]\n",
            "        alpha_bar = schedule.alphas[step]\n",
        )
    ],
    "t − 1 is looked up, as if t were counted from 1: t = 0 gets the last entry": [
        (
            "        alpha_bar = schedule.alpha_bars[step]\n",
            "        alpha_bar = schedule.alpha_bars[step - 1]\n",
        )
    ],
    "1 − √alpha_bar where √(1 − alpha_bar) belongs": [
        ("(1 - alpha_bar) ** 0.5 * own", "(1 - alpha_bar**0.5) * own")
    ],
    "the noise that is given is ignored, other noise is drawn": [
        ("    if noise is None:\n", "    if schedule:\n")
    ],
    "`not noise` where `noise is None` is meant: a tensor is neither true nor false": [
        ("if noise is None:", "if not noise:")
    ],
    "uniform noise from −1 to 1: it is standard normal": [
        ("torch.randn_like(x_0)", "2 * torch.rand_like(x_0) - 1")
    ],
    "the noise is added: it has to be subtracted": [
        ("(image - b * said) / a", "(image + b * said) / a")
    ],
    "v gives the noise, √(1 − alpha_bar) · x_t + √alpha_bar · v, where x_0 is asked for": [
        ("a * image - b * said)", "b * image + a * said)")
    ],
    "there are no gradients (no_grad, detach): guidance needs them": [
        ("return torch.stack(pictures)", "return torch.stack(pictures).detach()")
    ],
    "v is meant when no target is named: noise is": [('target="noise"', 'target="v"')],
}
