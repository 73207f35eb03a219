"""Chapter 5: the forward process.

The formulas are observed on twelve steps of noise, where float32 tells every mistake; what only shows
over 1000 steps is observed apart. A schedule that is wrong, crashes, or is not written yet should cost its
own points only, so q_sample and predict_x0 are handed one whose tables have been put right (`short`), and
lent a per_image where theirs is wrong.
"""

from contextlib import suppress
from functools import wraps

from checks import experiment
from checks.elsewhere import DEVICE, brought_back, elsewhere
from checks.lab import *
from checks.lab import conditions, noted

TABLES = ("betas", "alphas", "alpha_bars", "alpha_bars_prev")


def twelve_betas():
    return noted(torch.linspace(0.05, 0.4, 12), "torch.linspace(0.05, 0.4, 12)")


def steep_betas():
    return noted(torch.linspace(0.05, 0.9, 12), "torch.linspace(0.05, 0.9, 12)")


class Lent:
    """Four tables (by `put_right`), in the place of a NoiseSchedule that is not written yet or crashes.

    What it does not have, such as further tables, is missing for the reason why it is lent.
    """

    timesteps = 12

    def __init__(self, reason):
        self.reason = reason

    def __getattr__(self, name):
        raise self.reason

    def to(self, device):
        return Lent(self.reason)


def short(impl, made=twelve_betas):
    """Twelve steps, as short_schedule has them, of the graded chapter's own class."""
    betas = made()
    try:
        schedule = impl.NoiseSchedule(betas)
    except Exception as reason:
        schedule = Lent(reason)
    with torch.no_grad():
        betas.copy_(made())  # whether they are changed in place is the matter of 5.3
    put_right(schedule, lambda table: table, made)
    return schedule


def steep(impl):
    """Twelve steps that leave as little of the picture as 1000 linear ones do."""
    return short(impl, steep_betas)


def short_elsewhere(impl):
    """The same on another device; None where its `to` does not take it there."""
    schedule = short(impl)
    try:
        moved = schedule.to(DEVICE)
    except Exception as reason:
        moved = Lent(reason)
    if moved is None:
        moved = Lent(TypeError("`to` returns nothing"))
    put_right(moved, lambda table: table.to(DEVICE))
    return moved if is_table(brought_back(moved.alpha_bars)) else None


def put_right(schedule, placed, made=twelve_betas):
    """Give a schedule the tables that it should have, where its class lets one do so.

    What else it keeps (roots, say) stays; so a right schedule stays what it is.
    """
    alphas = 1 - made().double()
    bars = alphas.cumprod(0)
    before = torch.cat([torch.ones(1).double(), bars[:-1]])
    for name, table in zip(TABLES, (1 - alphas, alphas, bars, before), strict=True):
        with suppress(AttributeError, TypeError):  # a property, or frozen
            setattr(schedule, name, placed(table.to(conditions.dtype)))


def entries(values, t, *_, **__):
    return values[t].reshape(-1, 1, 1, 1)


def given_entries(observe):
    """A per_image that is wrong, or not written yet, costs its own point only: then one is lent."""

    @wraps(observe)
    def observed(impl):
        if can_use_its_own(impl):
            return observe(impl)
        with impl.lent(per_image=entries):
            return observe(impl)

    return observed


def can_use_its_own(impl) -> bool:
    """Whether per_image is right, or lacks only axes that q_sample sees to."""
    values, t, x = normal(12, seed=4), timesteps(5, 0, 11), normal(3, 2, 4, 5)
    with suppress(Exception):
        found = impl.own("per_image")(values, t)
        if alike(found, entries(values, t)):
            return True
        # Without their axes, three numbers fit neither 2 channels nor a height of 4 or a width of 5.
        x_t = impl.own("q_sample")(short(impl), x, t, x)
        return alike(found.reshape(-1), values[t]) and x_t.shape == x.shape
    return False


def every_t():
    return timesteps(3, 0, 11, 1, 10, 2, 0)


def telling_t():
    return timesteps(2, 11, 0, 10, 1)


def late_t():
    return timesteps(9, 11, 8, 10, 7)


def telling(*, seed):
    """As wide as there are images: (B,) fits (B, C, H, W), and lands in the wrong place.

    Otherwise a factor without its axes is an error, which hides whatever else is wrong.
    """
    return normal(5, 3, 4, 5, seed=seed)


def alike(one, other):
    """Whether two tables are the same, up to rounding."""
    if not is_table(one) or not is_table(other):
        return False
    # Much less than the smallest betas: the cosine schedule's first one is 4e-5.
    return one.shape == other.shape and torch.allclose(
        one.double(), other.double(), rtol=1e-4, atol=1e-6
    )


def size(x):
    """Root mean square."""
    return x.detach().square().mean().sqrt().item()


def sizes(x):
    """That of each image, up to a five-hundredth: what keeps from dividing by 0 may be added."""
    return [near(size(image), 2e-3 * size(image)) for image in x]


@experiment(
    "5.1",
    "Equal steps from beta_start to beta_end, both of them included",
    points=1,
    hint=(
        "Print linear_beta_schedule(5, 1.0, 2.0): it should be 1, 1.25, 1.5, 1.75, 2.",
        "The first beta is beta_start and the last beta_end, whatever T is; between T numbers there are "
        "T − 1 steps.",
        "torch.linspace(beta_start, beta_end, timesteps)",
    ),
)
def equal_steps(impl):
    named = dict(beta_start=0.05, beta_end=0.4)  # the names of arguments are fixed, too
    return {
        "12 steps": impl.linear_beta_schedule(12),
        "7 steps from 0.05 to 0.4": impl.linear_beta_schedule(timesteps=7, **named),
        "2 steps from 0.05 to 0.4": impl.linear_beta_schedule(2, 0.05, 0.4),
        "1000 steps": impl.linear_beta_schedule(1000),
        "1 step from 0.05 to 0.4": impl.linear_beta_schedule(1, 0.05, 0.4),
    }


@experiment(
    "5.1",
    "Less than one timestep is refused",
    points=1,
    hint=(
        "The check was given to you in the first line of the function: has it been lost?",
        "raise ValueError(…) when timesteps is below 1.",
    ),
)
def linear_refuses(impl):
    impl.linear_beta_schedule(4)
    return {f"T = {n}": raises(lambda n=n: impl.linear_beta_schedule(n)) for n in (2, 0, -3)}


@experiment(
    "5.2",
    "1 minus the ratio of neighbours on a squared cosine with an offset",
    points=1,
    hint=(
        "Take T = 2 by hand: f at 0, ½ and 1; the first beta is 1 − f(½) / f(0), the second is cut off.",
        "f is needed at T + 1 places u = 0, 1/T, … 1. In it, s is added to u and the sum divided by 1 + s; "
        "then times π/2, cosine, square.",
        "u = torch.arange(timesteps + 1) / timesteps; f = torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2; "
        "1 − f[1:] / f[:-1], limited to 0.999.",
    ),
)
def squared_cosine(impl):
    return {
        "10 steps": impl.cosine_beta_schedule(10),
        "24 steps": impl.cosine_beta_schedule(24),
        "1 step": impl.cosine_beta_schedule(1, 0.1),
        "7 steps with s = 0.1": impl.cosine_beta_schedule(timesteps=7, s=0.1),
    }


@experiment(
    "5.2",
    "Of 1000 betas the last is cut off at 0.999, and none from below",
    points=1,
    hint=(
        "Print the first and the last three betas for T = 1000: the first should be 0.0000413, the last "
        "0.999.",
        "Only the upper limit is part of the schedule: clamp(max=0.999). A lower limit of 0.0001 would be "
        "more than twice the first beta.",
    ),
)
def cut_off_above_only(impl):
    betas = impl.cosine_beta_schedule(1000).tolist()
    # What float32 does to 1 − f / f is allowed for.
    margins = {0: 5e-6, 1: 5e-6, 500: 5e-5, 997: 2e-3, 998: 2e-3, 999: 2e-5}
    return {"how many": len(betas)} | {
        f"beta of t = {t}": near(betas[t], margin) if t < len(betas) else None
        for t, margin in margins.items()
    }


@experiment(
    "5.2",
    "Less than one timestep is refused",
    points=1,
    hint=(
        "The check was given to you in the first line of the function: has it been lost?",
        "raise ValueError(…) when timesteps is below 1.",
    ),
)
def cosine_refuses(impl):
    impl.cosine_beta_schedule(4)
    return {f"T = {n}": raises(lambda n=n: impl.cosine_beta_schedule(n)) for n in (1, 0, -3)}


def attribute(impl, schedule, name):
    """An attribute of the schedule that was made last: a report shows how to get at it."""
    return told(getattr(schedule, name), f"{impl.calls.made[-1]}.{name}")


@experiment(
    "5.3",
    "alphas are 1 − betas, alpha_bars their running product",
    points=1,
    hint=(
        "With betas 0.5, 0.5, 0.5 the alpha_bars are 0.5, 0.25, 0.125: the share of the picture that is "
        "left halves with every step.",
        "alpha_bars[t] is the product of alphas[0] … alphas[t], alphas[t] included: torch.cumprod.",
        "self.alphas = 1 − self.betas; self.alpha_bars = self.alphas.cumprod(0)",
    ),
)
def running_product(impl):
    thousand = noted(torch.linspace(1e-4, 0.02, 1000), "torch.linspace(1e-4, 0.02, 1000)")
    large = noted(torch.full((8,), 0.9), "torch.full((8,), 0.9)")
    schedule = impl.NoiseSchedule(twelve_betas())
    seen = {name: attribute(impl, schedule, name) for name in ("timesteps", *TABLES[:3])}
    mixed = impl.NoiseSchedule(torch.tensor([0.2, 0.05, 0.3, 0.1]))
    seen["betas that do not rise"] = attribute(impl, mixed, "betas")
    seen["alpha_bars of betas that do not rise"] = attribute(impl, mixed, "alpha_bars")
    return {
        **seen,
        "alpha_bars of 1000 steps": attribute(impl, impl.NoiseSchedule(thousand), "alpha_bars"),
        "the last alpha_bar of eight betas of 0.9": near(
            impl.NoiseSchedule(large).alpha_bars[-1], 1e-11
        ),
    }


@experiment(
    "5.3",
    "alpha_bars_prev is one step behind, and begins with 1",
    points=1,
    hint=(
        "alpha_bars_prev[t] is alpha_bars[t − 1]. What was left of the picture before the first step?",
        "Everything: alpha_bars_prev[0] = 1. The last of the alpha_bars appears in it nowhere.",
        "torch.cat([torch.ones(1), self.alpha_bars[:-1]]), with the ones on the device of the betas.",
    ),
)
def one_step_behind(impl):
    return attribute(impl, impl.NoiseSchedule(twelve_betas()), "alpha_bars_prev")


@experiment(
    "5.3",
    "The tables are constants, float32 even if the betas are float64",
    points=1,
    hint=(
        "Tables from numpy, or of float64 betas, are float64; a model's weights are float32, and the first "
        "layer would stop at the mix.",
        "Reckon in whatever precision you like, and end with .float() in all four tables. nn.Parameter is "
        "for what is learnt; here are constants.",
    ),
)
def tables_are_float32(impl):
    betas = noted(twelve_betas().double(), "torch.linspace(0.05, 0.4, 12).double()")
    single = impl.NoiseSchedule(twelve_betas())
    of_single = told({name: str(getattr(single, name).dtype) for name in TABLES})
    double = impl.NoiseSchedule(betas=betas)
    return {
        "of float32": of_single,
        "of float64": {name: str(getattr(double, name).dtype) for name in TABLES},
        "to be learnt": [name for name in TABLES if getattr(single, name).requires_grad],
    }


@experiment(
    "5.3",
    "linear and cosine are made from the two functions, for any T",
    points=1,
    hint=(
        "NoiseSchedule.linear(30) is the schedule of linear_beta_schedule(30); cosine likewise; without an "
        "argument there are 1000 steps.",
        "The tables of the cosine schedule come from its betas as well, after these have been cut off at "
        "0.999: not from f.",
        "return cls(linear_beta_schedule(timesteps))",
    ),
)
def made_from_functions(impl):
    # Compared with the learner's own betas, which 5.1 and 5.2 are about.
    schedules = {
        "linear": impl.NoiseSchedule.linear(timesteps=30),
        "cosine": impl.NoiseSchedule.cosine(30),
    }
    calls = dict(zip(schedules, impl.calls.made, strict=False))
    own = {"linear": impl.linear_beta_schedule(30), "cosine": impl.cosine_beta_schedule(30)}
    thousand = impl.cosine_beta_schedule(1000)
    # With two steps enough is left after the last one to be seen.
    two, same = (
        impl.NoiseSchedule.cosine(timesteps=2),
        impl.NoiseSchedule(impl.cosine_beta_schedule(2)),
    )
    return {
        **{
            f"{name}(30) has the betas of": told(
                [
                    f"{function}_beta_schedule(30)"
                    for function, betas in own.items()
                    if alike(schedule.betas, betas)
                ],
                calls[name],
            )
            for name, schedule in schedules.items()
        },
        "cosine(1000) has those of cosine_beta_schedule(1000), the smallest too": told(
            alike(impl.NoiseSchedule.cosine(1000).betas, thousand)
        ),
        "cosine(2) has the alpha_bars of these betas": told(
            alike(two.alpha_bars, same.alpha_bars), "NoiseSchedule.cosine(2)"
        ),
        "steps": [told(len(schedules[name].betas), calls[name]) for name in schedules],
        "steps by default": [
            told(len(impl.NoiseSchedule.linear().betas)),
            told(len(impl.NoiseSchedule.cosine().betas)),
        ],
    }


@experiment(
    "5.3",
    "to gives a schedule with all its tables on the other device, and leaves this one where it is",
    points=1,
    hint=(
        "x.to(device) moves nothing: it returns a moved tensor. Where does yours end up, and which table "
        "stays behind?",
        "Make another schedule and return it; do not assign to self. Every table goes along, and so does "
        "timesteps.",
        "return NoiseSchedule(self.betas.to(device)), if __init__ makes no tensor on the CPU.",
    ),
)
def moves_as_a_whole(impl):
    # Neither of equal steps nor of those of a function: nothing but the tables can be moved.
    betas = noted(twelve_betas() ** 2, "torch.linspace(0.05, 0.4, 12) ** 2")
    schedule = impl.NoiseSchedule(betas)
    before = [getattr(schedule, name) for name in TABLES]
    with elsewhere():
        moved = schedule.to(device=DEVICE)
        found = [brought_back(getattr(moved, name, None)) for name in TABLES]
        stayed = [getattr(schedule, name) for name in TABLES]
    same = [alike(one, other) for one, other in zip(before, found, strict=True) if is_table(other)]
    return {
        "comes back": "nothing" if moved is None else "something",
        "on the other device": [name for name, t in zip(TABLES, found, strict=True) if is_table(t)],
        "its betas": found[0],
        "with the same numbers": all(same),
        # Whether it is T is the matter of the first experiment.
        "timesteps": "kept" if timesteps_of(moved) == timesteps_of(schedule) else "lost",
        "left in place": [
            name for name, t in zip(TABLES, stayed, strict=True) if t.device.type == "cpu"
        ],
    }


def timesteps_of(schedule):
    return getattr(schedule, "timesteps", None)


def is_table(value):
    return isinstance(value, torch.Tensor)


@experiment(
    "5.3",
    "Betas outside (0, 1) are refused, a single one among good ones too",
    points=1,
    hint=(
        "A beta is a variance that is added and a share that is lost: larger than 0, smaller than 1. Neither "
        "0 nor 1 itself is allowed.",
        "if not ((betas > 0) & (betas < 1)).all(): raise ValueError(…)",
    ),
)
def refuses_bad_betas(impl):
    impl.NoiseSchedule(twelve_betas())
    # The first two are good: betas need not rise. A bad one may be first, last or in between.
    cases = [(1e-5, 0.9995), (0.9, 0.1, 0.3), (0.1, 0.0), (1.0, 0.2), (0.3, -0.2, 0.1)]
    cases += [(0.2, 1.5, 0.3), (0.2, 0.3, 1.5), (-1.0, 2.0)]
    return {
        str(list(case)): raises(lambda c=case: impl.NoiseSchedule(torch.tensor(c)))
        for case in cases
    }


@experiment(
    "5.4",
    "One entry of the table for each image, with three more axes",
    points=1,
    hint=(
        "values[t] has the shape (B,). Against (B, C, H, W) that B would be aligned with the width W.",
        "What is multiplied with images needs the shape (B, 1, 1, 1): its axes of length 1 stretch over "
        "C, H and W.",
        "return values[t].reshape(-1, 1, 1, 1)",
    ),
)
def one_entry_an_image(impl):
    values = normal(12, seed=4)
    return {
        "seven images": impl.per_image(values, every_t()),
        "one": impl.per_image(values=values, t=timesteps(5)),
        "of a table on another device": place_of_entries(impl),
    }


def place_of_entries(impl):
    with elsewhere():
        values, t = normal(12, seed=4).to(DEVICE), timesteps(5, 0).to(DEVICE)
        return place_of(lambda: impl.per_image(values, t))


@experiment(
    "5.5",
    "x_t = √alpha_bar_t · x_0 + √(1 − alpha_bar_t) · noise, each image with its own t",
    points=2,
    hint=(
        "With x_0 and noise of variance one, x_t should have variance one at every t. Which powers of "
        "alpha_bar and 1 − alpha_bar do that?",
        "alpha_bar is entry t[b] of schedule.alpha_bars, t as it is; both factors are square roots of shape "
        "(B, 1, 1, 1).",
        "alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise, with alpha_bar = "
        "per_image(schedule.alpha_bars, t)",
    ),
)
@given_entries
def mixes_picture_and_noise(impl):
    schedule, x_0, noise = short(impl), images(5, 3, 4, 5), telling(seed=1)
    gray = images(7, 1, 6, 4, seed=2)
    other = noted(4 * normal(7, 1, 6, 4, seed=3), "4 * normal(7, 1, 6, 4, seed=3)")
    x, z = images(1, 1, 4, 6, seed=4), normal(1, 1, 4, 6, seed=5)
    return {
        "x_t": impl.q_sample(schedule, x_0, telling_t(), noise),
        "a second time": impl.q_sample(schedule, x_0, telling_t(), noise),
        "grey images": impl.q_sample(schedule, gray, every_t(), other),
        "one image": impl.q_sample(schedule=schedule, x_0=x, t=timesteps(3), noise=z),
    }


@experiment(
    "5.5",
    "Without noise it draws its own: standard normal, new for every number and in every call",
    points=1,
    hint=(
        "torch.rand… is uniform, torch.randn… is normal.",
        "Noise is drawn when noise is None, and only then; as many numbers as x_0 has, and no seed is set.",
        "if noise is None: noise = torch.randn_like(x_0)",
    ),
)
@given_entries
def draws_normal_noise(impl):
    schedule, t = short(impl), timesteps(11, 0, 11, 8, 2, 11)
    zeros = noted(torch.zeros(6, 3, 40, 48).to(conditions.dtype), "torch.zeros(6, 3, 40, 48)")
    ones = noted(torch.ones_like(zeros), "torch.ones(6, 3, 40, 48)")
    # How much of the picture and of the noise there is at each t is the matter of the experiment before.
    picture = impl.q_sample(schedule, ones, t, zeros)
    share = impl.q_sample(schedule, zeros, t, ones).square().mean((1, 2, 3), keepdim=True).sqrt()
    seed = torch.initial_seed()
    z, again = ((impl.q_sample(schedule, ones, t) - picture) / share for _ in range(2))
    seeded = torch.initial_seed() != seed
    n = z.numel()
    beyond = (z.abs() > 2.5).float().mean()

    # Margins are six sigma of the difference of two draws.
    def apart(a, b):
        return near(size(a - b) / 2**0.5, 6 * a.numel() ** -0.5)

    means = torch.stack([z, again]).mean((3, 4))  # of each channel of each image
    chance = (z[0, 0].numel()) ** -0.5  # how large they are

    return {
        "type of x_t": str(z.dtype),
        "mean": near(z.mean(), 6 * (2 / n) ** 0.5),
        "standard deviation": near(size(z), 6 * n**-0.5),
        "size of the means of channels": near(size(means), 6 * chance * means.numel() ** -0.5),
        "share beyond 2.5 standard deviations": near(beyond, 6 * (2 * 0.0123 / n) ** 0.5),
        "any beyond 3.5": bool((z.abs() > 3.5).any()),  # 16 are to be expected
        "noise of an image, compared with the others": twins(z),
        "exact, which chance never makes it": levelled(z, again),
        "how far apart two images are": apart(z[0], z[2]),
        "two channels": apart(z[:, 0], z[:, 1]),
        "two rows": apart(z[..., 4, :], z[..., 5, :]),
        "two columns": apart(z[..., 16], z[..., 17]),
        "two calls": apart(z, again),
        "a seed is set": seeded,
    }


@experiment(
    "5.5",
    "It works on the device of the images",
    points=1,
    hint=(
        "What is made with torch.randn(shape) lies on the CPU, wherever the images are; on a GPU, adding the "
        "two is an error.",
        "torch.randn_like(x_0) draws where x_0 is. Everything else comes from the schedule, whose tables "
        "have been moved there.",
    ),
)
@given_entries
def stays_on_the_device(impl):
    with elsewhere():
        schedule = short_elsewhere(impl)
        if schedule is None:
            return {"a schedule": "not on the device of the images: see 5.3"}
        x_0, noise = images(4, 3, 5, 6).to(DEVICE), normal(4, 3, 5, 6, seed=1).to(DEVICE)
        t = timesteps(0, 11, 2, 1).to(DEVICE)
        return {
            "x_t of images on another device": place_of(
                lambda: impl.q_sample(schedule, x_0, t, noise)
            ),
            "x_t with noise of its own": place_of(lambda: impl.q_sample(schedule, x_0, t)),
        }


def place_of(call):
    """Where the result of a call with things on another device is, in words."""
    try:
        result = call()
    except RuntimeError as error:
        if "same device" not in str(error):
            raise
        return "an error, because tensors of two devices meet"
    return "on that device" if is_table(brought_back(result)) else "elsewhere"


@experiment(
    "5.6",
    "From noise: x_0 = (x_t − √(1 − alpha_bar_t) · noise) / √alpha_bar_t, not clipped",
    points=1,
    hint=(
        "Solve x_t = √alpha_bar · x_0 + √(1 − alpha_bar) · noise for x_0: first subtract, then divide.",
        "The whole difference is divided, and by the root. Whatever comes out is returned as it is, also "
        "beyond [−1, 1].",
        "(x_t - (1 - alpha_bar).sqrt() * prediction) / alpha_bar.sqrt()",
    ),
)
@given_entries
def picture_from_noise(impl):
    def predict(schedule, t):
        return impl.predict_x0(schedule, telling(seed=2), t, telling(seed=3), "noise")

    return {
        "where little of the picture is left, size of x_0": sizes(predict(steep(impl), late_t())),
        "x_0": predict(short(impl), telling_t()),
        "x_0 of one image": impl.predict_x0(
            short(impl), normal(1, 1, 4, 6), timesteps(3), normal(1, 1, 4, 6, seed=1), "noise"
        ),
        "x_0 of images on another device": place_of_prediction(impl),
    }


def place_of_prediction(impl):
    """Where predict_x0 leaves its result; a schedule that cannot be moved is the matter of 5.3."""
    with elsewhere():
        schedule = short_elsewhere(impl)
        if schedule is None:
            return "on that device"
        x_t, prediction = normal(2, 3, 4, 5).to(DEVICE), normal(2, 3, 4, 5, seed=1).to(DEVICE)
        t = timesteps(1, 10).to(DEVICE)
        return place_of(lambda: impl.predict_x0(schedule, x_t, t, prediction))


@experiment(
    "5.6",
    "From v: x_0 = √alpha_bar_t · x_t − √(1 − alpha_bar_t) · v, not clipped",
    points=1,
    hint=(
        "Write x_t and v with a = √alpha_bar and b = √(1 − alpha_bar), a² + b² = 1: x_t = a·x_0 + b·noise, "
        "v = a·noise − b·x_0. Which sum of them has no noise in it?",
        "a·x_t − b·v = (a² + b²)·x_0: a minus, and no division.",
        "alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * prediction",
    ),
)
@given_entries
def picture_from_v(impl):
    def predict(schedule, t):
        return impl.predict_x0(schedule, telling(seed=4), t, telling(seed=5), "v")

    return {
        "where little of the picture is left, size of x_0": sizes(predict(steep(impl), late_t())),
        "x_0": predict(short(impl), telling_t()),
        "x_0 of one image": impl.predict_x0(
            short(impl), normal(1, 1, 4, 6), timesteps(3), normal(1, 1, 4, 6, seed=1), "v"
        ),
    }


@experiment(
    "5.6",
    "Gradients flow through it, to x_t and to the prediction",
    points=1,
    hint=(
        "Guidance (chapter 9) asks how x_t has to change so that the picture changes: it needs the graph.",
        "Look for torch.no_grad(), detach(), .data and .item() in predict_x0 and per_image.",
    ),
)
@given_entries
def gradients_flow(impl):
    schedule, t, found = short(impl), timesteps(0, 11, 3), {}
    for target in ("noise", "v"):
        x_t, prediction = normal(3, 2, 4, 6, seed=6), normal(3, 2, 4, 6, seed=7)
        x_t.requires_grad_()
        prediction.requires_grad_()
        # Leaves refuse to be changed in place, so others are handed over.
        handed = (
            noted(x_t * 1, "normal(3, 2, 4, 6, seed=6)"),
            noted(prediction * 1, "normal(3, 2, 4, 6, seed=7)"),
        )
        x_0 = impl.predict_x0(schedule, handed[0], t, handed[1], target)
        ways = gradients(x_0, x_t, prediction)
        for name, way in zip(("x_t", "prediction"), ways, strict=True):
            found[f"from {target}, to {name}"] = "nothing" if way is None else bool(way.any())
    return found


@experiment(
    "5.6",
    'Noise is meant when no target is named, and targets other than "noise" and "v" are refused',
    points=1,
    hint=(
        'What does your code do with target="x0"? An else takes everything for v; a dictionary raises a '
        "KeyError.",
        'if target == "noise": … then if target == "v": … and in the end raise ValueError(…).',
    ),
)
@given_entries
def targets(impl):
    schedule, t = short(impl), timesteps(1, 10)
    x_t, prediction = normal(2, 3, 4, 5, seed=8), normal(2, 3, 4, 5, seed=9)

    def predict(*target):
        return impl.predict_x0(schedule, x_t, t, prediction, *target)

    given = dict(schedule=schedule, x_t=x_t, t=t, prediction=prediction)
    named = {target: impl.predict_x0(**given, target=target) for target in ("noise", "v")}
    kinds = [target for target, x_0 in named.items() if alike(predict(), x_0)]
    others = ("x0", "x_0", "Noise", "eps", "V", "velocity", "")
    others += ("epsilon", "v_prediction", "noise_v")
    refused = {f'target "{x}"': raises(lambda x=x: predict(x)) for x in others}
    return {"without a target": kinds, **refused}
