"""The chapter's mistakes, made in this implementation: {says: [(old, new), …]}."""

MISTAKES = {
    "the first beta is one step beyond beta_start: both ends are included": [
        ("torch.linspace(0, 1, timesteps)", "torch.arange(1, timesteps + 1) / timesteps")
    ],
    "alphas (1 − beta) come out: the function returns betas": [
        ("return torch.lerp(", "return 1 - torch.lerp(")
    ],
    "betas are cut off at 0.9999: the limit is 0.999": [
        ("LARGEST = torch.tensor(0.999)", "LARGEST = torch.tensor(0.9999)")
    ],
    "u + s is not divided by 1 + s: the cosine goes beyond π/2": [
        ("(u + s) / (1 + s) * (pi / 2)", "(u + s) * (pi / 2)")
    ],
    "only s is divided by 1 + s, not u + s: brackets are missing": [
        ("(u + s) / (1 + s) * (pi / 2)", "(u + s / (1 + s)) * (pi / 2)")
    ],
    "the cosine of π · … where π/2 · … belongs: it goes down twice": [("* (pi / 2)", "* pi")],
    "f at T places only: T ratios of neighbours need T + 1, and one beta is missing": [
        ("timesteps + 1, dtype=torch.double)", "timesteps + 1, dtype=torch.double)[:-1]")
    ],
    "alpha_bars are one step behind: the product goes up to t itself, alphas[t] included": [
        (
            "return torch.log1p(-self._betas).cumsum(0).exp()",
            "return (torch.log1p(-self._betas).cumsum(0) - torch.log1p(-self._betas)).exp()",
        ),
        ("self.alpha_bars.roll(1)", "torch.log1p(-self._betas).cumsum(0).exp().roll(1)"),
        (
            "factors = schedule.alpha_bars[t]\n",
            "factors = torch.log1p(-schedule.betas).cumsum(0).exp()[t]\n",
        ),
        (
            "per_image(schedule.alpha_bars, t).sqrt()",
            "per_image(torch.log1p(-schedule.betas).cumsum(0).exp(), t).sqrt()",
        ),
    ],
    "alphas hold √(1 − beta): they are 1 − beta": [
        ("return 1 - self._betas", "return (1 - self._betas).sqrt()")
    ],
    "alpha_bars_prev begins with alpha_bars[0]: before the first step everything is left, 1": [
        ("rolled[0] = 1.0", "rolled[0] = self.alpha_bars[0]")
    ],
    "float64 betas make float64 tables: they have to be float32 even then": [
        ("self._betas = betas.float()", "self._betas = betas")
    ],
    "NoiseSchedule.cosine makes a linear schedule": [
        ("cls(betas=cosine_beta_schedule(", "cls(betas=linear_beta_schedule(")
    ],
    "`to` returns nothing": [
        ("return NoiseSchedule(self._betas.to(", "NoiseSchedule(self._betas.to(")
    ],
    "betas of 1 and more are accepted: only the lower end is looked at": [
        (" or (betas >= 1).any()", "")
    ],
    "two axes are missing: (B, 1) would meet the height": [("(len(t), 1, 1, 1)", "(len(t), 1)")],
    "the picture is not made smaller: x_0 has the factor √alpha_bar": [
        (
            "torch.stack([factors, 1 - factors]).sqrt()",
            "torch.stack([torch.ones_like(factors), (1 - factors).sqrt()])",
        )
    ],
    "the noise is subtracted: it is added": [
        ("torch.stack([x_0, noise])", "torch.stack([x_0, -noise])")
    ],
    "x_t and the noise are returned: it is x_t alone": [
        ("torch.stack([x_0, noise]))", "torch.stack([x_0, noise])), noise")
    ],
    "all channels get the same noise: the noise is grey": [
        (
            "torch.randn(*x_0.shape, generator=own).to(x_0)",
            "torch.randn(len(x_0), 1, *x_0.shape[2:], generator=own).to(x_0).expand_as(x_0)",
        )
    ],
    "the same noise in every call: a seed is set": [
        ("manual_seed(int(torch.randint(1 << 40, ())))", "manual_seed(0)")
    ],
    "the roots are swapped in the formula for v": [
        ("angle.cos() * x_t - angle.sin()", "angle.sin() * x_t - angle.cos()")
    ],
    "the formula for v is divided by √alpha_bar: it is finished without that": [
        (
            "angle.cos() * x_t - angle.sin() * prediction",
            "x_t - angle.tan() * prediction",
        )
    ],
    "predict_x0 uses alpha where alpha_bar belongs": [
        ("per_image(schedule.alpha_bars, t).sqrt()", "per_image(schedule.alphas, t).sqrt()")
    ],
    "predict_x0 uses one t for the whole batch": [
        (
            "torch.acos(per_image(schedule.alpha_bars, t)",
            "torch.acos(per_image(schedule.alpha_bars, t[:1])",
        )
    ],
    "unknown targets are accepted (by an else, say): they are a ValueError": [
        ('case "v":', "case _:")
    ],
}
