"""Chapter 5, mistakes that the grader knows by name: the forward process."""

from checks import misconception

# Betas.

misconception(
    "5.1",
    "the last beta is one step short of beta_end: both ends are included",
    edit=(
        "torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64)",
        "torch.linspace(beta_start, beta_end, timesteps + 1, dtype=torch.float64)[:-1]",
    ),
)
misconception(
    "5.1",
    "`timesteps` is called otherwise: the names of arguments are fixed, like their order",
    edit=(
        (
            "def linear_beta_schedule(\n    timesteps: int,",
            "def linear_beta_schedule(\n    T: int,",
        ),
        (
            "    _check_timesteps(timesteps)\n    return torch.linspace(beta_start, beta_end, timesteps,",
            "    _check_timesteps(T)\n    return torch.linspace(beta_start, beta_end, T,",
        ),
    ),
)
misconception(
    "5.1",
    "the first beta is one step beyond beta_start: both ends are included",
    edit=(
        "torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64)",
        "torch.linspace(beta_start, beta_end, timesteps + 1, dtype=torch.float64)[1:]",
    ),
)
misconception(
    "5.1",
    "the ends are rescaled by 1000 / T: they stay what they are, whatever T is",
    edit=(
        "torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64)",
        "(torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64) * (1000 / timesteps))",
    ),
)
misconception(
    "5.1",
    "equal steps of √beta (Stable Diffusion's scaled linear): the steps of beta itself are equal",
    edit=(
        "torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64)",
        "torch.linspace(beta_start**0.5, beta_end**0.5, timesteps, dtype=torch.float64).square()",
    ),
)
misconception(
    "5.1",
    "equal factors from beta to beta (a geometric schedule): the steps are equal, not the factors",
    edit=(
        "torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64)",
        "torch.logspace(math.log10(beta_start), math.log10(beta_end), timesteps, dtype=torch.float64)",
    ),
)
misconception(
    "5.1",
    "the betas fall: they rise from beta_start to beta_end",
    edit=(
        "torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64)",
        "torch.linspace(beta_end, beta_start, timesteps, dtype=torch.float64)",
    ),
)
misconception(
    "5.1",
    "beta_start and beta_end are ignored: 0.0001 and 0.02 are only their usual values",
    edit=(
        "torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64)",
        "torch.linspace(1e-4, 0.02, timesteps, dtype=torch.float64)",
    ),
)
misconception(
    "5.1",
    "alphas (1 − beta) come out: the function returns betas",
    edit=(
        "torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64)",
        "(1 - torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64))",
    ),
)
misconception(
    "5.1",
    "the linear betas are float64 (numpy's, or computed so): float32 should come out",
    edit=("timesteps, dtype=torch.float64).float()", "timesteps, dtype=torch.float64)"),
)
misconception(
    "5.1",
    "the steps are divided by T − 1, which is 0 when there is one timestep: then it is beta_start alone",
    edit=(
        "    return torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64).float()",
        "    step = (beta_end - beta_start) / (timesteps - 1)\n"
        "    betas = beta_start + step * torch.arange(timesteps, dtype=torch.float64)\n"
        "    return betas.float()",
    ),
)
misconception(
    "5.1",
    "linear_beta_schedule accepts less than one timestep",
    edit=("_check_timesteps(timesteps)\n    return torch.linspace", "return torch.linspace"),
)
misconception(
    "5.2",
    "nothing is cut off: the last beta is 1 and wipes out everything at once",
    edit=(".clamp(max=0.999)", ""),
)
misconception(
    "5.2",
    "betas are cut off at 0.9999: the limit is 0.999",
    edit=(".clamp(max=0.999)", ".clamp(max=0.9999)"),
)
misconception(
    "5.2",
    "betas are limited to 0.0001 … 0.9999, as a well-known tutorial does: the limits are none and 0.999",
    edit=(".clamp(max=0.999)", ".clamp(0.0001, 0.9999)"),
)
misconception(
    "5.2",
    "betas are cut off from below too (at 0.0001): there is only an upper limit",
    edit=(".clamp(max=0.999)", ".clamp(0.0001, 0.999)"),
)
misconception(
    "5.2",
    "the offset s is missing: the first betas come out far too small",
    edit=("torch.cos((u + s) / (1 + s) * math.pi / 2)", "torch.cos(u * math.pi / 2)"),
)
misconception(
    "5.2",
    "s is ignored: 0.008 is only its usual value",
    edit=(
        "torch.cos((u + s) / (1 + s) * math.pi / 2)",
        "torch.cos((u + 0.008) / 1.008 * math.pi / 2)",
    ),
)
misconception(
    "5.2",
    "u + s is not divided by 1 + s: the cosine goes beyond π/2",
    edit=(
        "torch.cos((u + s) / (1 + s) * math.pi / 2)",
        "torch.cos((u + s) * math.pi / 2)",
    ),
)
misconception(
    "5.2",
    "only s is divided by 1 + s, not u + s: brackets are missing",
    edit=(
        "torch.cos((u + s) / (1 + s) * math.pi / 2)",
        "torch.cos((u + s / (1 + s)) * math.pi / 2)",
    ),
)
misconception(
    "5.2",
    "the cosine of π · … where π/2 · … belongs: it goes down twice",
    edit=(
        "torch.cos((u + s) / (1 + s) * math.pi / 2)",
        "torch.cos((u + s) / (1 + s) * math.pi)",
    ),
)
misconception(
    "5.2",
    "a sine where the cosine belongs: it rises",
    edit=(
        "torch.cos((u + s) / (1 + s) * math.pi / 2)",
        "torch.sin((u + s) / (1 + s) * math.pi / 2)",
    ),
)
misconception(
    "5.2",
    "the cosine is not squared",
    edit=("math.pi / 2) ** 2", "math.pi / 2)"),
)
misconception(
    "5.2",
    "t is divided by T − 1: u goes from 0 to 1 in T steps",
    edit=("dtype=torch.float64) / timesteps", "dtype=torch.float64) / (timesteps - 1)"),
)
misconception(
    "5.2",
    "f at T places only: T ratios of neighbours need T + 1, and one beta is missing",
    edit=("torch.arange(timesteps + 1, ", "torch.arange(timesteps, "),
)
misconception(
    "5.2",
    "off by one: f starts at u = 1/T, not at 0",
    edit=("torch.arange(timesteps + 1, ", "torch.arange(1, timesteps + 2, "),
)
misconception(
    "5.2",
    "off by one: beta_t is made of f(t / T) and the one before, and the first is 1 − f(0)",
    edit=("(1 - f[1:] / f[:-1])", "torch.cat([1 - f[:1], 1 - f[1:-1] / f[:-2]])"),
)
misconception(
    "5.2",
    "f(0) is taken for 1: the first beta is 1 − f(1 / T) / f(0), and f(0) is a little less than 1",
    edit=("(1 - f[1:] / f[:-1])", "(1 - f[1:] / torch.cat([torch.ones_like(f[:1]), f[1:-1]]))"),
)
misconception(
    "5.2",
    "the ratio is upside down: f((t + 1) / T) is divided by f(t / T)",
    edit=("(1 - f[1:] / f[:-1])", "(1 - f[:-1] / f[1:])"),
)
misconception(
    "5.2",
    "the ratio itself is returned: it is an alpha, and beta is 1 minus it",
    edit=("(1 - f[1:] / f[:-1])", "(f[1:] / f[:-1])"),
)
misconception(
    "5.2",
    "alpha_bars are returned: a beta is 1 minus the ratio of two neighbours",
    edit=("(1 - f[1:] / f[:-1])", "(f[1:] / f[0])"),
)
misconception(
    "5.2",
    "1 − alpha_bar where 1 minus the ratio of neighbours belongs",
    edit=("(1 - f[1:] / f[:-1])", "(1 - f[1:] / f[0])"),
)
misconception(
    "5.2",
    "the difference of neighbours where 1 minus their ratio belongs",
    edit=("(1 - f[1:] / f[:-1])", "(f[:-1] - f[1:])"),
)
misconception(
    "5.2",
    "f is divided by f(0)",
    edit=("    return (1 - f[1:]", "    f = f / f[0]\n    return (1 - f[1:]"),
    equal="f(0) cancels in the ratio of neighbours",
)
misconception(
    "5.2",
    "the cosine betas are float64 (numpy's, or computed so): float32 should come out",
    edit=(".clamp(max=0.999).float()", ".clamp(max=0.999)"),
)
misconception(
    "5.2",
    "cosine_beta_schedule accepts less than one timestep",
    edit=("_check_timesteps(timesteps)\n    u = ", "u = "),
)

# Tables.

misconception(
    "5.3",
    "a running sum of the alphas where their product belongs",
    edit=("alphas.cumprod(0)", "alphas.cumsum(0)"),
)
misconception(
    "5.3",
    "1 minus the running sum of the betas where the product of the alphas belongs",
    edit=("alphas.cumprod(0)", "1 - betas.double().cumsum(0)"),
)
misconception(
    "5.3",
    "the running product of the betas: it is that of the alphas, 1 − beta",
    edit=("alphas.cumprod(0)", "betas.double().cumprod(0)"),
)
misconception(
    "5.3",
    "1 minus the running product of the betas where the product of the alphas belongs",
    edit=("alphas.cumprod(0)", "1 - betas.double().cumprod(0)"),
)
misconception(
    "5.3",
    "no product is taken: alpha_bars are the alphas of single steps",
    edit=("alphas.cumprod(0)", "alphas.clone()"),
)
misconception(
    "5.3",
    "alpha_bars are one step behind: the product goes up to t itself, alphas[t] included",
    edit=(
        "self.alpha_bars = alpha_bars.float()",
        "self.alpha_bars = (alpha_bars / alphas).float()",
    ),
)
misconception(
    "5.3",
    "alpha_bars have a 1 in front: T + 1 numbers, and each at t + 1",
    edit=(
        "self.alpha_bars = alpha_bars.float()",
        "self.alpha_bars = torch.nn.functional.pad(alpha_bars, (1, 0), value=1.0).float()",
    ),
)
misconception(
    "5.3",
    "alpha_bars hold their own roots: the table is that of the product itself",
    edit=(
        "self.alpha_bars = alpha_bars.float()",
        "self.alpha_bars = alpha_bars.sqrt().float()",
    ),
)
misconception(
    "5.3",
    "alpha_bars hold 1 − alpha_bar, the share of the noise",
    edit=("self.alpha_bars = alpha_bars.float()", "self.alpha_bars = (1 - alpha_bars).float()"),
)
misconception(
    "5.3",
    "alphas hold √(1 − beta): they are 1 − beta",
    edit=("self.alphas = alphas.float()", "self.alphas = alphas.sqrt().float()"),
)
misconception(
    "5.3",
    "timesteps is T − 1, the last t: it is the number of steps",
    edit=("self.timesteps = len(betas)", "self.timesteps = len(betas) - 1"),
)
misconception(
    "5.3",
    "alpha_bars_prev begins with 0: before the first step everything is left, 1",
    edit=("torch.ones_like(alpha_bars[:1])", "torch.zeros_like(alpha_bars[:1])"),
)
misconception(
    "5.3",
    "alpha_bars_prev begins with alpha_bars[0]: before the first step everything is left, 1",
    edit=("torch.ones_like(alpha_bars[:1])", "alpha_bars[:1]"),
)
misconception(
    "5.3",
    "alpha_bars_prev is rolled: it begins with the last alpha_bar, where 1 belongs",
    edit=("torch.ones_like(alpha_bars[:1])", "alpha_bars[-1:]"),
)
misconception(
    "5.3",
    "alpha_bars_prev is shifted the other way: entry t is alpha_bar of t + 1",
    edit=(
        "torch.cat([torch.ones_like(alpha_bars[:1]), alpha_bars[:-1]])",
        "torch.cat([alpha_bars[1:], torch.zeros_like(alpha_bars[:1])])",
    ),
)
misconception(
    "5.3",
    "alpha_bars_prev is not shifted at all: it equals alpha_bars",
    edit=("torch.cat([torch.ones_like(alpha_bars[:1]), alpha_bars[:-1]])", "alpha_bars.clone()"),
)
misconception(
    "5.3",
    "alpha_bars_prev is one short: 1 belongs in front",
    edit=("torch.cat([torch.ones_like(alpha_bars[:1]), alpha_bars[:-1]])", "alpha_bars[:-1]"),
)
misconception(
    "5.3",
    "alpha_bars_prev are the alphas of the step before: they are its alpha_bars",
    edit=(
        "torch.cat([torch.ones_like(alpha_bars[:1]), alpha_bars[:-1]])",
        "torch.cat([torch.ones_like(alpha_bars[:1]), alphas[:-1]])",
    ),
)
misconception(
    "5.3",
    "the tables are float64: float32 is kept, whatever they were computed in",
    edit=(
        ("self.betas = betas.float()", "self.betas = betas.double()"),
        ("self.alphas = alphas.float()", "self.alphas = alphas"),
        ("self.alpha_bars = alpha_bars.float()", "self.alpha_bars = alpha_bars"),
        ("alpha_bars[:-1]]).float()", "alpha_bars[:-1]])"),
    ),
)
misconception(
    "5.3",
    "float64 betas make float64 tables: they have to be float32 even then",
    edit=(
        ("alphas = 1 - betas.double()", "alphas = 1 - betas"),
        ("self.betas = betas.float()", "self.betas = betas"),
        ("self.alphas = alphas.float()", "self.alphas = alphas"),
        ("self.alpha_bars = alpha_bars.float()", "self.alpha_bars = alpha_bars"),
        ("alpha_bars[:-1]]).float()", "alpha_bars[:-1]])"),
    ),
)
misconception(
    "5.3",
    "the tables are nn.Parameters: nothing in them is learnt",
    edit=(
        ("self.betas = betas.float()", "self.betas = torch.nn.Parameter(betas.float())"),
        ("self.alphas = alphas.float()", "self.alphas = torch.nn.Parameter(alphas.float())"),
        (
            "self.alpha_bars = alpha_bars.float()",
            "self.alpha_bars = torch.nn.Parameter(alpha_bars.float())",
        ),
        (
            "self.alpha_bars_prev = torch.cat([torch.ones_like(alpha_bars[:1]), alpha_bars[:-1]]).float()",
            """self.alpha_bars_prev = torch.nn.Parameter(
            torch.cat([torch.ones_like(alpha_bars[:1]), alpha_bars[:-1]]).float()
        )""",
        ),
    ),
)
misconception(
    "5.3",
    "NoiseSchedule.linear makes a cosine schedule",
    edit=(
        "return cls(linear_beta_schedule(timesteps))",
        "return cls(cosine_beta_schedule(timesteps))",
    ),
)
misconception(
    "5.3",
    "NoiseSchedule.cosine makes a linear schedule",
    edit=(
        'def cosine(cls, timesteps: int = 1000) -> "NoiseSchedule":\n'
        "        return cls(cosine_beta_schedule(timesteps))",
        'def cosine(cls, timesteps: int = 1000) -> "NoiseSchedule":\n'
        "        return cls(linear_beta_schedule(timesteps + 0))",
    ),
)
misconception(
    "5.3",
    "NoiseSchedule.linear has 1000 steps, whatever is asked for",
    edit=("cls(linear_beta_schedule(timesteps))", "cls(linear_beta_schedule(1000))"),
)
misconception(
    "5.3",
    "NoiseSchedule.cosine has 1000 steps, whatever is asked for",
    edit=("cls(cosine_beta_schedule(timesteps))", "cls(cosine_beta_schedule(1000))"),
)
misconception(
    "5.3",
    "the alpha_bars of the cosine schedule come from f, before the betas were cut off: the last is 0",
    edit=(
        "        return cls(cosine_beta_schedule(timesteps))",
        """        schedule = cls(cosine_beta_schedule(timesteps))
        f = torch.cos((torch.arange(timesteps + 1) / timesteps + 0.008) / 1.008 * math.pi / 2)
        schedule.alpha_bars = (f[1:] / f[0]).square()
        return schedule""",
    ),
)
misconception(
    "5.3",
    "`to` moves the schedule itself: it should make another and leave this one where it is",
    edit=("moved = object.__new__(type(self))", "moved = self"),
)
misconception("5.3", "`to` returns nothing", edit=("        return moved", "        return None"))
misconception(
    "5.3",
    "`to` moves nothing: tensor.to returns the moved tensor, which is not kept",
    edit=(
        "setattr(moved, name, value.to(device) if isinstance(value, Tensor) else value)",
        "setattr(moved, name, value)",
    ),
)
misconception(
    "5.3",
    "`to` forgets alpha_bars_prev: every table has to move",
    edit=(
        "value.to(device) if isinstance(value, Tensor)",
        'value.to(device) if isinstance(value, Tensor) and name != "alpha_bars_prev"',
    ),
)
misconception(
    "5.3",
    "`to` moves alpha_bars alone: every table has to move",
    edit=(
        "value.to(device) if isinstance(value, Tensor)",
        'value.to(device) if isinstance(value, Tensor) and name == "alpha_bars"',
    ),
)
misconception(
    "5.3",
    "`to` moves betas alone: every table has to move",
    edit=(
        "value.to(device) if isinstance(value, Tensor)",
        'value.to(device) if isinstance(value, Tensor) and name == "betas"',
    ),
)
misconception(
    "5.3",
    "torch.ones(1) or the like lies on the CPU, and `to` builds the schedule anew: two devices meet",
    edit=(
        (
            "moved = object.__new__(type(self))",
            "return type(self)(self.betas.to(device))\n        moved = None",
        ),
        ("torch.ones_like(alpha_bars[:1])", "torch.ones(1, dtype=alpha_bars.dtype)"),
    ),
)
misconception(
    "5.3",
    "bad betas are accepted",
    edit=(
        "if betas.ndim != 1 or not len(betas) or not ((betas > 0) & (betas < 1)).all():",
        "if False:",
    ),
)
misconception(
    "5.3",
    "betas of exactly 0 or 1 are accepted",
    edit=("((betas > 0) & (betas < 1))", "((betas >= 0) & (betas <= 1))"),
)
misconception(
    "5.3",
    "bad betas are refused only when all are bad (any for all)",
    edit=("((betas > 0) & (betas < 1)).all()", "((betas > 0) & (betas < 1)).any()"),
)
misconception(
    "5.3",
    "negative betas, and 0, are accepted: only the upper end is looked at",
    edit=("((betas > 0) & (betas < 1))", "(betas < 1)"),
)
misconception(
    "5.3",
    "betas of 1 and more are accepted: only the lower end is looked at",
    edit=("((betas > 0) & (betas < 1))", "(betas > 0)"),
)
misconception(
    "5.3",
    "only the first and the last beta are looked at, as if betas had to rise: any of them may be bad",
    edit=("((betas > 0) & (betas < 1)).all()", "(betas[0] > 0 and betas[-1] < 1)"),
)
misconception(
    "5.3",
    "betas close to 0 or 1 are refused (above 0.999, say): all between 0 and 1 are right",
    edit=("((betas > 0) & (betas < 1))", "((betas > 0) & (betas <= 0.999))"),
)
misconception(
    "5.3",
    "the betas are sorted: they stay in the order in which they are given",
    edit=(
        "self.betas = betas.float()",
        "self.betas = betas.float().sort().values",
    ),
)
misconception(
    "5.3",
    "betas that do not rise are refused: all that matters is that each is larger than 0 and smaller than 1",
    edit=(
        "((betas > 0) & (betas < 1)).all()",
        "((betas > 0) & (betas < 1) & (betas >= betas[0])).all()",
    ),
)
misconception(
    "5.3",
    "alpha_bars are kept from getting small (clamp): they are the product, however small it is",
    edit=("alphas.cumprod(0)", "alphas.cumprod(0).clamp(min=1e-5)"),
)
misconception(
    "5.3",
    "betas are cut off when the schedule is made (at 0.0001, say): they are kept as they are given",
    edit=(
        "        alphas = 1 - betas.double()",
        "        betas = betas.clamp(1e-4, 0.999)\n        alphas = 1 - betas.double()",
    ),
)
misconception(
    "5.3",
    "linear has ends of its own, not the usual ones of linear_beta_schedule",
    edit=("cls(linear_beta_schedule(timesteps))", "cls(linear_beta_schedule(timesteps, 5e-5))"),
)
misconception(
    "5.3",
    "to makes linear betas from the first and the last: a cosine schedule would become linear",
    edit=(
        "        moved = object.__new__(type(self))\n",
        "        ends = float(self.betas[0]), float(self.betas[-1])\n"
        "        return type(self)(torch.linspace(*ends, self.timesteps).to(device))\n"
        "        moved = object.__new__(type(self))\n",
    ),
)

# A row for each image.

misconception(
    "5.4",
    "the three axes are missing: (B,) would meet the width of the images",
    edit=("[t].reshape(-1, 1, 1, 1)", "[t]"),
)
misconception(
    "5.4",
    "one axis is missing: (B, 1, 1) would meet the channels",
    edit=("[t].reshape(-1, 1, 1, 1)", "[t].reshape(-1, 1, 1)"),
)
misconception(
    "5.4",
    "two axes are missing: (B, 1) would meet the height",
    edit=("[t].reshape(-1, 1, 1, 1)", "[t].reshape(-1, 1)"),
)
misconception(
    "5.4",
    "B stands on the axis of the channels: (1, B, 1, 1)",
    edit=("[t].reshape(-1, 1, 1, 1)", "[t].reshape(1, -1, 1, 1)"),
)
misconception(
    "5.4",
    "per_image gives every image the entry of the first",
    edit=("[t].reshape(-1, 1, 1, 1)", "[t[0]].expand(len(t)).reshape(-1, 1, 1, 1)"),
)
misconception(
    "5.4",
    "per_image makes its numbers on the CPU: they belong on the device of the table",
    edit=(
        "values.to(t.device)[t].reshape(-1, 1, 1, 1)",
        "torch.tensor([float(values[i]) for i in t]).reshape(-1, 1, 1, 1)",
    ),
)
misconception(
    "5.4",
    "per_image looks up t − 1, as if t were counted from 1",
    edit=("[t].reshape(-1, 1, 1, 1)", "[t - 1].reshape(-1, 1, 1, 1)"),
)

# Noise is mixed in.

misconception(
    "5.5",
    "alpha_bar without its root before x_0: the variance no longer adds up to one",
    edit=("alpha_bar.sqrt() * x_0 +", "alpha_bar * x_0 +"),
    draws="alpha-bar-without-its-root",
)
misconception(
    "5.5",
    "1 − alpha_bar without its root before the noise: that is the variance, not the deviation",
    edit=("(1 - alpha_bar).sqrt() * noise", "(1 - alpha_bar) * noise"),
)
misconception(
    "5.5",
    "both roots are missing: alpha_bar · x_0 + (1 − alpha_bar) · noise fades, its variance is below one",
    edit=(
        "return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise",
        "return alpha_bar * x_0 + (1 - alpha_bar) * noise",
    ),
)
misconception(
    "5.5",
    "1 − √alpha_bar where √(1 − alpha_bar) belongs",
    edit=("(1 - alpha_bar).sqrt() * noise", "(1 - alpha_bar.sqrt()) * noise"),
)
misconception(
    "5.5",
    "the roots are swapped: √alpha_bar belongs to the picture",
    edit=(
        "return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise",
        "return (1 - alpha_bar).sqrt() * x_0 + alpha_bar.sqrt() * noise",
    ),
)
misconception(
    "5.5",
    "the picture is not made smaller: x_0 has the factor √alpha_bar",
    edit=("alpha_bar.sqrt() * x_0 +", "x_0 +"),
)
misconception(
    "5.5",
    "the noise is subtracted: it is added",
    edit=("x_0 + (1 - alpha_bar).sqrt() * noise", "x_0 - (1 - alpha_bar).sqrt() * noise"),
)
misconception(
    "5.5",
    "beta where alpha_bar belongs",
    edit=(
        "per_image(schedule.alpha_bars, t)  # (B, 1, 1, 1)",
        "per_image(schedule.betas, t)  # (B, 1, 1, 1)",
    ),
)
misconception(
    "5.5",
    "alpha where alpha_bar belongs: that is a single step, not all the steps up to t",
    edit=(
        "per_image(schedule.alpha_bars, t)  # (B, 1, 1, 1)",
        "per_image(schedule.alphas, t)  # (B, 1, 1, 1)",
    ),
)
misconception(
    "5.5",
    "√beta before the noise, where √(1 − alpha_bar) belongs: that is the noise of a single step",
    edit=("(1 - alpha_bar).sqrt() * noise", "per_image(schedule.betas, t).sqrt() * noise"),
)
misconception(
    "5.5",
    "alpha_bars_prev where alpha_bars belongs: at t = 0 there is some noise already",
    edit=(
        "per_image(schedule.alpha_bars, t)  # (B, 1, 1, 1)",
        "per_image(schedule.alpha_bars_prev, t)  # (B, 1, 1, 1)",
    ),
)
misconception(
    "5.5",
    "t − 1 is looked up, as if t were counted from 1: t = 0 gets the last entry",
    edit=(
        "per_image(schedule.alpha_bars, t)  # (B, 1, 1, 1)",
        "per_image(schedule.alpha_bars, t - 1)  # (B, 1, 1, 1)",
    ),
)
misconception(
    "5.5",
    "one t for the whole batch: each image has its own",
    edit=(
        "per_image(schedule.alpha_bars, t)  # (B, 1, 1, 1)",
        "per_image(schedule.alpha_bars, t[:1])  # (B, 1, 1, 1)",
    ),
)
misconception(
    "5.5",
    "alpha_bar lacks its axes in q_sample: (B,) meets the width of the images",
    edit=(
        "per_image(schedule.alpha_bars, t)  # (B, 1, 1, 1)",
        "schedule.alpha_bars[t]  # (B, 1, 1, 1)",
    ),
)
misconception(
    "5.5",
    "x_t is clipped to [−1, 1]: it goes beyond",
    edit=(
        "\n\n\ndef q_sample(",
        "\n\n@lambda f: lambda *given: f(*given).clamp(-1, 1)\ndef q_sample(",
    ),  # as many lines as before: a crash further down quotes its line
)
misconception(
    "5.5",
    "x_t and the noise are returned: it is x_t alone",
    edit=(
        "    return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise",
        "    x_t = alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise\n    return x_t, noise",
    ),
)
misconception(
    "5.5",
    "x_0 is scaled in place: the caller still needs it",
    edit=("alpha_bar.sqrt() * x_0 +", "x_0.mul_(alpha_bar.sqrt()) +"),
)
misconception(
    "5.5",
    "the noise is scaled in place: the caller still needs it as the target",
    edit=("(1 - alpha_bar).sqrt() * noise", "noise.mul_((1 - alpha_bar).sqrt())"),
)
misconception(
    "5.5",
    "the noise that is given is ignored, other noise is drawn",
    edit=("if noise is None:", "if True:"),
)
misconception(
    "5.5",
    "`not noise` where `noise is None` is meant: a tensor is neither true nor false",
    edit=("if noise is None:", "if not noise:"),
)
misconception(
    "5.5",
    "no noise is drawn at t = 0, as if this were the last step of a sampler: x_t has noise at every t",
    edit=(
        "noise = torch.randn_like(x_0)",
        "noise = torch.randn_like(x_0) * (t > 0).reshape(-1, 1, 1, 1)",
    ),
)
misconception(
    "5.5",
    "the noise that is drawn has the mean x_0: its mean is 0",
    edit=("noise = torch.randn_like(x_0)", "noise = x_0 + torch.randn_like(x_0)"),
)
misconception(
    "5.5",
    "uniform noise from 0 to 1 (rand): it is standard normal (randn)",
    edit=("torch.randn_like(x_0)", "torch.rand_like(x_0)"),
)
misconception(
    "5.5",
    "uniform noise from −1 to 1: it is standard normal",
    edit=("torch.randn_like(x_0)", "torch.rand_like(x_0) * 2 - 1"),
)
misconception(
    "5.5",
    "no noise is drawn when none is given: zeros are mixed in",
    edit=("torch.randn_like(x_0)", "torch.zeros_like(x_0)"),
)
misconception(
    "5.5",
    "the noise that is drawn is clipped to [−1, 1]",
    edit=("torch.randn_like(x_0)", "torch.randn_like(x_0).clamp(-1, 1)"),
)
misconception(
    "5.5",
    "the noise that is drawn is float64 (numpy's), and so is x_t: it should be of the type of x_0",
    edit=("torch.randn_like(x_0)", "torch.randn_like(x_0, dtype=torch.float64)"),
)
misconception(
    "5.5",
    "all images get the same noise",
    edit=("torch.randn_like(x_0)", "torch.randn_like(x_0[:1])"),
)
misconception(
    "5.5",
    "all channels get the same noise: the noise is grey",
    edit=("torch.randn_like(x_0)", "torch.randn_like(x_0[:, :1])"),
)
misconception(
    "5.5",
    "one number of noise for a whole image: each pixel and channel has its own",
    edit=("torch.randn_like(x_0)", "torch.randn_like(x_0[:, :1, :1, :1])"),
)
misconception(
    "5.5",
    "noise is cut off at −3 and 3: normal numbers have no such limits",
    edit=("torch.randn_like(x_0)", "torch.randn_like(x_0).clamp(-3, 3)"),
)
misconception(
    "5.5",
    "the noise of each image is divided by its own standard deviation: it is 1 on average, not each time",
    edit=(
        "        noise = torch.randn_like(x_0)",
        "        noise = torch.randn_like(x_0)\n        noise = noise / noise.std((1, 2, 3), keepdim=True)",
    ),
)
misconception(
    "5.5",
    "each channel gets a number more that is the same at all of its pixels (offset noise)",
    edit=(
        "torch.randn_like(x_0)",
        "torch.randn_like(x_0) + 0.1 * torch.randn_like(x_0[..., :1, :1])",
    ),
)
misconception(
    "5.5",
    "noise is drawn for a smaller picture and enlarged: neighbouring pixels get the same",
    edit=(
        "torch.randn_like(x_0)",
        "torch.randn_like(x_0)[..., ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3)"
        "[..., : x_0.shape[2], : x_0.shape[3]]",
    ),
)
misconception(
    "5.5",
    "images get their noise in pairs, the second half of the batch that of the first: each has its own",
    edit=(
        "torch.randn_like(x_0)",
        "torch.randn_like(x_0[: (len(x_0) + 1) // 2]).repeat(2, 1, 1, 1)[: len(x_0)]",
    ),
)
misconception(
    "5.5",
    "after the draw torch is seeded anew: nobody could repeat what comes next",
    edit=(
        "        noise = torch.randn_like(x_0)",
        "        noise = torch.randn_like(x_0)\n        torch.seed()",
    ),
)
misconception(
    "5.5",
    "the same noise in every call: a seed is set",
    edit=(
        "noise = torch.randn_like(x_0)",
        "torch.manual_seed(0)\n        noise = torch.randn_like(x_0)",
    ),
)
misconception(
    "5.5",
    "the noise is drawn on the CPU, wherever the images are",
    edit=("torch.randn_like(x_0)", "torch.randn(x_0.shape)"),
)

# And out again.

misconception(
    "5.6",
    "the division by √alpha_bar is missing",
    edit=("* prediction) / alpha_bar.sqrt()", "* prediction)"),
)
misconception(
    "5.6",
    "√alpha_bar is kept from getting small (clamp): at high noise too little comes out",
    edit=("* prediction) / alpha_bar.sqrt()", "* prediction) / alpha_bar.sqrt().clamp(min=0.1)"),
)
misconception(
    "5.6",
    "it is divided by alpha_bar without its root",
    edit=("* prediction) / alpha_bar.sqrt()", "* prediction) / alpha_bar"),
)
misconception(
    "5.6",
    "1 / alpha_bar without its root before x_t",
    edit=(
        "(x_t - (1 - alpha_bar).sqrt() * prediction) / alpha_bar.sqrt()",
        "x_t / alpha_bar - (1 / alpha_bar - 1).sqrt() * prediction",
    ),
)
misconception(
    "5.6",
    "1 / alpha_bar − 1 without its root before the predicted noise",
    edit=(
        "(x_t - (1 - alpha_bar).sqrt() * prediction) / alpha_bar.sqrt()",
        "x_t / alpha_bar.sqrt() - (1 / alpha_bar - 1) * prediction",
    ),
)
misconception(
    "5.6",
    "of one picture of one channel the axes of length 1 are lost (squeeze): (B, C, H, W) comes back",
    edit=(
        (
            "return (x_t - (1 - alpha_bar).sqrt() * prediction) / alpha_bar.sqrt()",
            "return ((x_t - (1 - alpha_bar).sqrt() * prediction) / alpha_bar.sqrt()).squeeze()",
        ),
        (
            "return alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * prediction",
            "return (alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * prediction).squeeze()",
        ),
    ),
)
misconception(
    "5.6",
    "it is multiplied by √alpha_bar where it should be divided",
    edit=("* prediction) / alpha_bar.sqrt()", "* prediction) * alpha_bar.sqrt()"),
)
misconception(
    "5.6",
    "only the noise is divided by √alpha_bar: the whole difference should be (brackets)",
    edit=(
        "(x_t - (1 - alpha_bar).sqrt() * prediction) / alpha_bar.sqrt()",
        "x_t - (1 - alpha_bar).sqrt() * prediction / alpha_bar.sqrt()",
    ),
)
misconception(
    "5.6",
    "the noise is added: it has to be subtracted",
    edit=(
        "(x_t - (1 - alpha_bar).sqrt() * prediction)",
        "(x_t + (1 - alpha_bar).sqrt() * prediction)",
    ),
)
misconception(
    "5.6",
    "1 − alpha_bar without its root before the predicted noise",
    edit=("(x_t - (1 - alpha_bar).sqrt() * prediction)", "(x_t - (1 - alpha_bar) * prediction)"),
)
misconception(
    "5.6",
    "the roots are swapped in the formula for noise",
    edit=(
        "(x_t - (1 - alpha_bar).sqrt() * prediction) / alpha_bar.sqrt()",
        "(x_t - alpha_bar.sqrt() * prediction) / (1 - alpha_bar).sqrt()",
    ),
)
misconception(
    "5.6",
    "x_t is changed in place",
    edit=(
        "(x_t - (1 - alpha_bar).sqrt() * prediction)",
        "x_t.sub_((1 - alpha_bar).sqrt() * prediction)",
    ),
)
misconception(
    "5.6",
    "the sign of v is turned: it is subtracted",
    edit=(
        "alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * prediction",
        "alpha_bar.sqrt() * x_t + (1 - alpha_bar).sqrt() * prediction",
    ),
)
misconception(
    "5.6",
    "the roots are swapped in the formula for v",
    edit=(
        "alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * prediction",
        "(1 - alpha_bar).sqrt() * x_t - alpha_bar.sqrt() * prediction",
    ),
)
misconception(
    "5.6",
    "v gives the noise, √(1 − alpha_bar) · x_t + √alpha_bar · v, where x_0 is asked for",
    edit=(
        "alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * prediction",
        "(1 - alpha_bar).sqrt() * x_t + alpha_bar.sqrt() * prediction",
    ),
)
misconception(
    "5.6",
    "the roots are missing in the formula for v",
    edit=(
        "alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * prediction",
        "alpha_bar * x_t - (1 - alpha_bar) * prediction",
    ),
)
misconception(
    "5.6",
    "the formula for v is divided by √alpha_bar: it is finished without that",
    edit=(
        "alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * prediction",
        "(alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * prediction) / alpha_bar.sqrt()",
    ),
)
misconception(
    "5.6",
    "the two formulas are exchanged: that for noise is used for v, and the other way round",
    edit=(
        ('if target == "noise":', "if target == TARGETS[1]:"),
        ('if target == "v":', "if target == TARGETS[0]:"),
    ),
)
misconception(
    "5.6",
    "the target is ignored: every prediction is taken for noise",
    edit=('if target == "noise":', "if True:"),
)
misconception(
    "5.6",
    "the predicted picture is clipped to [−1, 1]: that is left to the sampler",
    edit=(
        "\n\n\ndef predict_x0(",
        "\n\n@lambda f: lambda *given: f(*given).clamp(-1, 1)\ndef predict_x0(",
    ),
)
misconception(
    "5.6",
    "there are no gradients (no_grad, detach): guidance needs them",
    edit=("\n\n\ndef predict_x0(", "\n\n@torch.no_grad()\ndef predict_x0("),
)
misconception(
    "5.6",
    "predict_x0 uses alpha where alpha_bar belongs",
    edit=(
        "per_image(schedule.alpha_bars, t)\n    if target",
        "per_image(schedule.alphas, t)\n    if target",
    ),
)
misconception(
    "5.6",
    "predict_x0 looks up t − 1, as if t were counted from 1",
    edit=(
        "per_image(schedule.alpha_bars, t)\n    if target",
        "per_image(schedule.alpha_bars, t - 1)\n    if target",
    ),
)
misconception(
    "5.6",
    "predict_x0 uses one t for the whole batch",
    edit=(
        "per_image(schedule.alpha_bars, t)\n    if target",
        "per_image(schedule.alpha_bars, t[:1])\n    if target",
    ),
)
misconception(
    "5.6",
    "alpha_bar lacks its axes in predict_x0: (B,) meets the width of the images",
    edit=(
        "per_image(schedule.alpha_bars, t)\n    if target",
        "schedule.alpha_bars[t]\n    if target",
    ),
)
misconception(
    "5.6",
    "unknown targets are accepted (by an else, say): they are a ValueError",
    edit=('if target == "v":', "if True:"),
)
misconception(
    "5.6",
    'other names of the targets are accepted ("eps", "velocity", "V"): "noise" and "v" are all there is',
    edit=(
        ('if target == "noise":', 'if target in ("noise", "eps"):'),
        ('if target == "v":', 'if target.lower() in ("v", "velocity"):'),
    ),
)
misconception(
    "5.6",
    "what predict_x0 multiplies with is made on the CPU, wherever the images are",
    edit=(
        "per_image(schedule.alpha_bars, t)\n    if target",
        "torch.tensor([float(schedule.alpha_bars[i]) for i in t]).reshape(-1, 1, 1, 1)\n    if target",
    ),
)
misconception(
    "5.6",
    "an unknown target is a KeyError (of a dictionary): it should be a ValueError",
    edit=('raise ValueError(f"target', 'raise KeyError(f"target'),
)
misconception(
    "5.6",
    "v is meant when no target is named: noise is",
    edit=('prediction: Tensor, target: str = "noise"', 'prediction: Tensor, target: str = "v"'),
)
