"""The chapter's mistakes, made in this implementation: {says: [(old, new), …]}."""

MISTAKES = {
    "the last beta is one step short of beta_end: both ends are included": [
        ("beta_end, timesteps)", "beta_end, timesteps, endpoint=False)")
    ],
    "the linear betas are float64 (numpy's, or computed so): float32 should come out": [
        ("betas.astype(np.float32)", "betas")
    ],
    "equal steps of √beta (Stable Diffusion's scaled linear): the steps of beta itself are equal": [
        (
            "np.linspace(beta_start, beta_end, timesteps)",
            "np.linspace(np.sqrt(beta_start), np.sqrt(beta_end), timesteps) ** 2",
        )
    ],
    "nothing is cut off: the last beta is 1 and wipes out everything at once": [
        ("np.minimum(betas, 0.999)", "betas")
    ],
    "betas are limited to 0.0001 … 0.9999, as a well-known tutorial does: the limits are none and 0.999": [
        ("np.minimum(betas, 0.999)", "np.clip(betas, 0.0001, 0.9999)")
    ],
    "the cosine is not squared": [("* np.pi * 0.5) ** 2", "* np.pi * 0.5)")],
    "t is divided by T − 1: u goes from 0 to 1 in T steps": [
        ("(steps / timesteps) + s", "(steps / (timesteps - 1)) + s")
    ],
    "the cosine betas are float64 (numpy's, or computed so): float32 should come out": [
        ("0.999), dtype=torch.float32)", "0.999))")
    ],
    "a running sum of the alphas where their product belongs": [
        ("np.cumprod(a)", "np.cumsum(a)"),
        ("np.sqrt(1 - bars)", "np.sqrt(1 - np.cumprod(a))"),
        ("np.sqrt(bars)", "np.sqrt(np.cumprod(a))"),
    ],
    "alpha_bars_prev begins with 0: before the first step everything is left, 1": [
        ("np.append(1.0,", "np.append(0.0,")
    ],
    "the tables are float64: float32 is kept, whatever they were computed in": [
        ("torch.from_numpy(table).float()", "torch.from_numpy(table)"),
        ("per_image(schedule.signal, t) * x_0", "per_image(schedule.signal.float(), t) * x_0"),
        ("per_image(schedule.noise, t) * noise", "per_image(schedule.noise.float(), t) * noise"),
        ("signal = per_image(schedule.signal,", "signal = per_image(schedule.signal.float(),"),
        ("spread = per_image(schedule.noise,", "spread = per_image(schedule.noise.float(),"),
    ],
    "`to` forgets alpha_bars_prev: every table has to move": [
        (
            "setattr(other, name, getattr(self, name).to(device))",
            "there = 'cpu' if name == 'alpha_bars_prev' else device\n"
            "            setattr(other, name, getattr(self, name).to(there))",
        )
    ],
    "`to` moves the schedule itself: it should make another and leave this one where it is": [
        ("other = NoiseSchedule.__new__(NoiseSchedule)", "other = self")
    ],
    "betas of exactly 0 or 1 are accepted": [
        ("b.min() <= 0 or b.max() >= 1", "b.min() < 0 or b.max() > 1")
    ],
    "the three axes are missing: (B,) would meet the width of the images": [
        ("return out.view(t.shape[0], 1, 1, 1)", "return out")
    ],
    "alpha_bar without its root before x_0: the variance no longer adds up to one": [
        ("per_image(schedule.signal, t) * x_0", "per_image(schedule.alpha_bars, t) * x_0")
    ],
    "the roots are swapped: √alpha_bar belongs to the picture": [
        ("(schedule.signal, t) * x_0", "(schedule.noise, t) * x_0"),
        ("(schedule.noise, t) * noise", "(schedule.signal, t) * noise"),
    ],
    "one t for the whole batch: each image has its own": [
        ("per_image(schedule.signal, t) * x_0", "per_image(schedule.signal, t[:1]) * x_0"),
        ("per_image(schedule.noise, t) * noise", "per_image(schedule.noise, t[:1]) * noise"),
    ],
    "uniform noise from 0 to 1 (rand): it is standard normal (randn)": [
        ("torch.randn(", "torch.rand(")
    ],
    "the noise is drawn on the CPU, wherever the images are": [("device=x_0.device, ", "")],
    "the division by √alpha_bar is missing": [
        ("x_t / signal - prediction * (spread / signal)", "x_t - prediction * spread")
    ],
    "only the noise is divided by √alpha_bar: the whole difference should be (brackets)": [
        ("x_t / signal -", "x_t -")
    ],
    "the sign of v is turned: it is subtracted": [
        ("signal * x_t - spread", "signal * x_t + spread")
    ],
    "unknown targets are accepted (by an else, say): they are a ValueError": [
        ("if target not in TARGETS:", "if target is None:"),
        ('if target == "v":', 'if target != "noise":'),
    ],
}
