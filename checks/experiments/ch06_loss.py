"""Chapter 6: what a training step draws, what the model gets to see, and what it is asked for.

Which numbers are drawn, and in which order, is the learner's own. So draws are observed by what holds for
all of them, and a step by what the model saw: the noise in x_t follows from x_t, t and x_0, and what the
loss should be follows from that. Losses that chance decides are reported by the formula that they
fit, which is the same for every draw.
"""

import math
from contextlib import contextmanager
from functools import wraps
from inspect import signature

from torch.overrides import TorchFunctionMode

from checks import experiment
from checks.lab import *

CLASSES = 5
NULL = 9  # neither the number of the toy model's classes nor the 10 of the course's data sets


def batch(*shape):
    """x_0, t, y and noise: labels and timesteps out of order and repeated, both ends of t among them."""
    count = shape[0]
    t = timesteps(*((0, 11, 1, 7, 2, 10, 5, 0) * count)[:count])
    y = labels(*((3, 0, 4, 1, 3, 2, 0) * count)[:count])
    return images(*shape), t, y, normal(*shape, seed=1)


def listened_to(model):
    """A list that takes up what a model answers from now on, with its graph."""
    answers = []

    def keep(_module, _given, answer):
        answers.append(answer)
        return answer.clone()  # whatever is done to it in place, what is kept stays

    model.register_forward_hook(keep)
    return answers


def heard(model):
    """What a model got, image after image, in however many calls."""
    if not model.seen:
        raise ValueError("the model was never called")
    return {key: torch.cat([call[key] for call in model.seen]) for key in ("x", "t", "y")}


def pull(loss, answers):
    """(prediction − target) of every element, by the gradient of the loss; None without a graph."""
    tracked = isinstance(loss, torch.Tensor) and loss.requires_grad and answers
    if not tracked or not all(answer.requires_grad for answer in answers):
        return None
    found = torch.autograd.grad(loss.sum(), answers, allow_unused=True, retain_graph=True)
    if any(gradient is None for gradient in found):
        return None
    return torch.cat(found) * sum(g.numel() for g in found) / 2


def asked(impl, count=7, **options):
    """The loss of one batch, and which way it pulls the predictions."""
    model, (x_0, t, y, noise) = toy_model(CLASSES), batch(count, 3, 4, 6)
    answers = listened_to(model)
    loss = impl.p_losses(model, short_schedule(impl), x_0, t, y, noise, **options)
    return {"loss": loss, "prediction − target, by the gradient": pull(loss, answers)}


def alpha_bar(schedule, t):
    return schedule.alpha_bars[t.long()].reshape(-1, 1, 1, 1).to(torch.float32)


def v(schedule, x_0, t, noise):
    ab = alpha_bar(schedule, t)
    return ab.sqrt() * noise - (1 - ab).sqrt() * x_0


def given_v(observe):
    """A v_target that is wrong, or not written yet, costs its own points only: here it is lent one."""

    @wraps(observe)
    def observed(impl):
        with impl.lent(v_target=v):
            return observe(impl)

    return observed


def noise_in(x_t, x_0, ab):
    return (x_t - ab.sqrt() * x_0) / (1 - ab).sqrt()


def character(noise, again):
    """What tells fresh standard normal numbers (64, 3, 16, 16) from others, with six sigma of margin.

    Args:
        noise, again: of two calls.
    """
    return {
        "mean": near(noise.mean(), 0.04),
        "spread": near(noise.std(), 0.03),
        "share beyond 2": near((noise.abs() > 2).float().mean(), 0.008),
        "any beyond 3.5": bool((noise.abs() > 3.5).any()),  # 23 are to be expected
        "noise of an image, compared with the others": twins(noise),
        "exact, which chance never makes it": levelled(noise, again),
        "what the images have in common": near(noise.mean(0).std(), 0.03),
        "what the pixels of an image have in common": near(noise.mean((1, 2, 3)).std(), 0.03),
        "what the pixels of a channel have in common": near(noise.mean((2, 3)).std(), 0.03),
        "what the channels of an image have in common": near(noise.mean(1).std(), 0.03),
    }


def formula(loss, model, schedule, x_0, gamma=None):
    """Which mean of squares a loss is, given what the model saw."""
    saw = heard(model)
    with torch.no_grad():
        answer = model(saw["x"], saw["t"], saw["y"])
    model.seen.pop()
    ab = alpha_bar(schedule, saw["t"])
    noise = noise_in(saw["x"], x_0, ab)
    wanted = {
        "noise": noise,
        "v": ab.sqrt() * noise - (1 - ab).sqrt() * x_0,
        "x_0": x_0,
        "x_t": saw["x"],
    }
    squares = {name: (answer - target) ** 2 for name, target in wanted.items()}
    means = {
        f"the mean of (prediction − {name})²": square.mean() for name, square in squares.items()
    }
    if gamma is not None:
        snr = ab / (1 - ab)
        for name, under in (("noise", snr), ("v", snr + 1)):
            weight = snr.clamp(max=gamma) / under
            means[f"the same for {name}, weighted"] = (weight * squares[name]).mean()
    return next((name for name, mean in means.items() if fits(loss, mean)), "none that is known")


def wrong_if_given(impl, target):
    """Whether p_losses gives something else than the mean of squares also when the noise is given."""
    model, schedule = toy_model(CLASSES), short_schedule(impl)
    x_0, t, y, noise = batch(7, 3, 4, 6)
    loss = impl.p_losses(model, schedule, x_0, t, y, noise, target)
    impl.calls.made.pop()  # the line to be pasted is that of the call without noise
    ab = alpha_bar(schedule, t)
    with torch.no_grad():
        answer = model(ab.sqrt() * x_0 + (1 - ab).sqrt() * noise, t, y)
    wanted = noise if target == "noise" else v(schedule, x_0, t, noise)
    return not fits(loss, (answer - wanted).square().mean())


def fits(loss, value):
    is_number = isinstance(loss, torch.Tensor) and loss.numel() == 1
    return is_number and abs(loss.item() - value.item()) <= 1e-4 * abs(value.item())


def equal(a, b):
    return "the same" if a == b else "different"


def agree(one, other):
    return "the same" if torch.allclose(one, other, atol=1e-3) else "different"


MAKERS = ("arange", "empty", "full", "linspace", "ones", "rand", "randint", "randn", "randperm")
MAKERS = {getattr(torch, name) for name in (*MAKERS, "tensor", "zeros")}
# Where the inputs say that they are: "cpu" is then the name of another place.
HERE = torch.device("cpu", 0)
# An index may be on the CPU, and these two copy from anywhere.
TAKES_ANY = {"__getitem__", "__setitem__", "copy_", "new_tensor"}


class Elsewhere(TorchFunctionMode):
    """While it lasts, tensors that were not told to be where the inputs are count as being on another device.

    Attributes:
        lost: these tensors, and what was made of them.
        anywhere: what was moved to the CPU by its name, which may be where a generator is, and what was
            made of it: it may meet both.
        met: whether an operation had one of them and one that is where the inputs are, or drew one of them
            from a generator, which is there too. Single numbers without an axis are left out: torch lets
            them meet.
    """

    def __init__(self, makers=MAKERS):
        super().__init__()
        self.makers, self.lost, self.anywhere, self.met = makers, [], [], False

    def is_lost(self, x):
        return any(x is other for other in self.lost)

    def is_anywhere(self, x):
        return any(x is other for other in self.anywhere)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func == torch.Tensor.device.__get__ and not self.is_lost(args[0]):
            return func(*args) if self.is_anywhere(args[0]) else HERE
        made = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        free = False
        if func in self.makers:
            out = kwargs.get("out")
            astray = not is_here(**kwargs) if out is None else self.is_lost(out)
            told = out is not None or kwargs.get("device") is not None
            self.met |= not told and kwargs.get("generator") is not None
        elif moves(name, args, kwargs):
            made = made.clone() if made is args[0] else made
            astray, free = False, not self.moves_here(name, args, kwargs)
        else:
            given = tensors_in((*args, *kwargs.values()))
            given = given[:1] if name in TAKES_ANY else given
            bound = [x for x in given if x.ndim and not self.is_anywhere(x)]
            lost = [self.is_lost(x) for x in bound]
            astray, free = any(lost), not bound and any(map(self.is_anywhere, given))
            self.met |= astray and not all(lost)
        if astray:
            self.lost += tensors_in([made])
        if free:
            self.anywhere += tensors_in([made])
        return made

    def moves_here(self, name, args, kwargs):
        """Whether a move ends where the inputs are; that to a tensor ends where this is."""
        places = [kwargs.get("device"), *args[1:]]
        places = [p for p in places if isinstance(p, str | torch.device | torch.Tensor)]
        if not places:
            return name != "cpu"
        if isinstance(places[0], torch.Tensor):
            return not (self.is_lost(places[0]) or self.is_anywhere(places[0]))
        return torch.device(places[0]) == HERE


def is_here(device=None, generator=None, **_):
    """Whether that is where the inputs are. A generator is there, but says "cpu", as it knows no better."""
    return device is not None and (generator is not None or torch.device(device) == HERE)


def moves(name, args, kwargs):
    """Whether it is an operation that puts its tensor where it is told to."""
    places = (str, torch.device, torch.Tensor)
    told = kwargs.get("device") is not None or any(isinstance(x, places) for x in args[1:])
    return name in ("cpu", "cuda", "type_as") or (name in ("to", "as_tensor") and told)


def tensors_in(values):
    found = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += tensors_in(value)
    return found


def meet(call, elsewhere):
    """Whether all tensors that call() makes are on the device of its inputs, in words."""
    with elsewhere:
        call()
    return "no" if elsewhere.met else "yes"


def several(occurring):
    """The timesteps that occur; which one it is where there is but one, chance decides."""
    return occurring if len(occurring) > 1 else "one timestep for all of a batch"


def share(dropped, margin):
    """The share of labels dropped; which of the two it is where there is one coin, chance decides."""
    share = dropped.double().mean()
    return near(share, margin) if 0 < share < 1 else "all of a batch or none"


@contextmanager
def timesteps_drawn(impl, elsewhere):
    """While it lasts, what sample_timesteps draws without being told where is lost."""
    names = getattr(impl.training_step._target, "__globals__", {})
    own = names.get("sample_timesteps")

    def drawn(*args, **kwargs):
        given = signature(own).bind(*args, **kwargs)
        told = is_here(given.arguments.get("device"))
        if "device" in given.arguments and not told:
            given.arguments["device"] = "cpu"
        t = own(*given.args, **given.kwargs)
        elsewhere.lost += [] if told else [t]
        return t

    try:
        names |= {"sample_timesteps": drawn} if own else {}
        yield
    finally:
        names |= {"sample_timesteps": own} if own else {}


def where_chance_comes_from(draw):
    """What decides draw(generator), in words."""
    before = torch.get_rng_state()
    first, second = (torch.Generator().manual_seed(5) for _ in range(2))
    once, again, later = draw(first), draw(second), draw(first)
    after = torch.get_rng_state()
    torch.manual_seed(6)
    unaided, more = draw(None), draw(None)
    torch.manual_seed(6)
    repeated = draw(None)
    return {
        "with generators of one seed": equal(once, again),
        "called again with one of them": equal(once, later),
        "torch's global random state meanwhile": equal(before.tolist(), after.tolist()),
        "after the same torch.manual_seed": equal(unaided, repeated),
        "called twice in a row": equal(unaided, more),
    }


def likeness(t):
    """By distance in the batch, how alike the numbers of t (batches, B) are: from −1 to 1, 0 by chance."""
    apart = (t - t.mean()) / t.std().clamp(min=1e-9)
    return [(apart * apart.roll(k, 1)).mean().item() for k in range(1, t.shape[1] // 2 + 1)]


def independence(drawn, count):
    """What timesteps (batches, B) have in common that are drawn one by one, all of `count` equally likely."""
    alike = likeness(drawn)
    # Drawn by themselves, t and T − 1 − t are in a batch by chance only, and its mean goes up and down.
    wander = drawn.mean(1).std() / count
    # The margins are six sigma of the difference of two such numbers, and more.
    return {
        "how alike neighbours in the batch are": near(alike[0], 0.2),
        "how alike the first and second half are": near(alike[-1], 0.2),
        "something is alike at some distance": max(map(abs, alike)) > 0.25,
        "how the means of batches differ": near(wander, 0.23 * drawn.shape[1] ** -0.5),
    }


@experiment(
    "6.1",
    "Whole numbers, one for each image, from 0 to T − 1",
    points=1,
    hint=(
        "With T = 12 there are twelve timesteps: which is the first, and which the last?",
        "torch.randint(low, high, …) never gives `high` itself; it gives int64, which is what is wanted.",
        "torch.randint(0, timesteps, (batch_size,), …)",
    ),
)
def whole_numbers(impl):
    one = impl.sample_timesteps(batch_size=1, timesteps=12)  # the names are fixed, too
    two, twelve = ([impl.sample_timesteps(70, T) for _ in range(5)] for T in (2, 12))
    seen = {"type": str(twelve[0].dtype), "shape": list(twelve[0].shape)}
    seen["shape of sample_timesteps(1, 12)"] = list(one.shape)
    if all(len(t.unique()) == 1 for t in twelve):  # one timestep a batch: so it takes more of them
        twelve += [impl.sample_timesteps(2, 12) for _ in range(150)]
        two += [impl.sample_timesteps(2, 2) for _ in range(30)]
    for T, t in ((12, twelve), (2, two)):
        whole = not t[0].is_floating_point()
        seen[f"those that occur, T = {T}"] = torch.cat(t).unique() if whole else "no whole numbers"
    return seen


@experiment(
    "6.1",
    "All of them are equally likely, and each image has one of its own",
    points=2,
    hint=(
        "Is each timestep drawn without looking at the others? Print one batch.",
        "Neither sorted, nor evenly spread, nor a permutation, nor t together with T − 1 − t: the same "
        "timestep may come twice.",
        "One torch.randint of the shape (batch_size,): not one number for all, which small batches would "
        "then learn from one at a time.",
    ),
)
def each_its_own(impl):
    size = 200  # as many images as timesteps: each time about 63 % of these occur
    drawn = torch.stack([impl.sample_timesteps(size, size) for _ in range(60)]).double()
    distinct = [len(t.unique()) / size for t in drawn]
    if max(distinct) * size == 1:
        return "one timestep for all of a batch"
    four = torch.cat([impl.sample_timesteps(size, 4) for _ in range(20)])
    return {
        "distinct in a batch": near(sum(distinct) / len(distinct), 0.03),
        **independence(drawn, size),
        "quarters of 0…T−1 in which they lie": [
            near(((drawn * 4 / size).floor() == k).double().mean(), 0.04) for k in range(4)
        ],
        "shares of the four, T = 4": [near((four == k).double().mean(), 0.06) for k in range(4)],
        "another batch": equal(drawn[0].tolist(), drawn[1].tolist()),
    }


@experiment(
    "6.1",
    "The generator decides, or else torch's own; the device is the one asked for",
    points=1,
    hint=(
        "What makes an experiment repeatable: where do your random numbers come from? And where does the "
        "result live?",
        "Hand generator and device on. NumPy's and Python's random numbers know nothing of the generator, "
        "and a seed set in the function makes every call the same.",
        "torch.randint(…, device=device, generator=generator): None there means torch's global one.",
    ),
)
def chance_and_device(impl):
    def draw(generator):
        return [impl.sample_timesteps(8, 1000, generator=generator).tolist() for _ in range(3)]

    def elsewhere(**options):
        nowhere = "a device that does not exist"
        error = raises(lambda: impl.sample_timesteps(4, 12, nowhere, **options))
        return "no error" if error == "nothing" else "an error"

    generator = torch.Generator().manual_seed(5)
    seen = {
        "on a device that does not exist": elsewhere(),
        "on a device that does not exist, with a generator": elsewhere(generator=generator),
    }
    many = impl.sample_timesteps(400, 4, generator=generator).unique()
    # With a generator some programs go another way than without.
    seen["those that occur with a generator, T = 4"] = several(many)
    here = noted(HERE, 'torch.device("cpu")')
    return {
        **where_chance_comes_from(draw),
        **seen,
        # Last, since it is the last call that the report shows.
        "drawn where the generator is": meet(
            lambda: impl.sample_timesteps(8, 12, device=here, generator=generator), Elsewhere()
        ),
    }


def sorts(impl, p, copies, batches):
    """Labels 0…8 and a few more, copied, and what came of them in many calls: y, (batches, B)."""
    y = labels(*((3, 0, 8, 1, 5, 0, 2, 7, 4, 6, 3, 1) * copies))
    out = [impl.drop_labels(y, p, NULL) for _ in range(batches)]
    odd = [x for x in out if isinstance(x, torch.Tensor) and x.shape != y.shape]
    if odd:
        raise ValueError(
            f"of labels {tuple(y.shape)} came {tuple(odd[0].shape)}: each keeps its place"
        )
    return y, torch.stack(out)


@experiment(
    "6.2",
    "A label stays, or becomes the null label; none is dropped at p = 0, and all are at p = 1",
    points=2,
    hint=(
        "What is written in the place of a dropped label: which number, and where does it come from?",
        "p is the probability of being *dropped*. torch.rand lies in [0, 1): compare so that p = 0 "
        "drops none and p = 1 drops all.",
        "torch.where(torch.rand(y.shape, device=y.device, generator=generator) < p, null_label, y)",
    ),
)
def stays_or_becomes_null(impl):
    y, half = sorts(impl, 0.5, copies=1, batches=40)
    return {
        "p = 0": impl.drop_labels(y, 0.0, NULL),
        "p = 1": impl.drop_labels(y, 1.0, NULL),
        "p = 1, a single label": impl.drop_labels(labels(3), 1.0, NULL),
        "p = 0.5, the lowest of 40 calls": half.amin(0),
        "p = 0.5, the highest of 40 calls": half.amax(0),
        "p = 1, null label 12": impl.drop_labels(y=y, p=1.0, null_label=12, generator=None),
    }


@experiment(
    "6.2",
    "Each label has a coin of its own, which falls with probability p",
    points=2,
    hint=(
        "B labels, B coins. How many random numbers do you draw?",
        "One number for the whole batch drops all of its labels or none; a fixed count, or always the "
        "same places, is no coin either.",
        "drop = torch.rand(y.shape, …) < p has one answer for each label.",
    ),
)
def coins_of_their_own(impl):
    y, out = sorts(impl, 0.25, copies=3, batches=60)
    dropped = (out != y).double()  # (60, 36)
    share = dropped.mean(1)
    own = bool(((share > 0) & (share < 1)).any())
    alike = likeness(dropped)
    many = labels(*((3, 0, 8, 1, 5, 0, 2, 7, 4, 6) * 400))
    rare = impl.drop_labels(many, 0.05, NULL)
    # Six sigma of a difference of two each. One coin a batch leaves the shares to 60 coins.
    return {
        "batches of all or nothing": near(((share == 0) | (share == 1)).double().mean(), 0.1),
        "share dropped": near(share.mean(), 0.08) if own else None,
        "how many in a batch, spread": near(dropped.sum(1).std(), 2.0) if own else None,
        "how the places differ": near(dropped.mean(0).std(), 0.06) if own else None,
        "how alike neighbours in the batch are": near(alike[0], 0.2) if own else None,
        "how alike the first and second half are": near(alike[-1], 0.2) if own else None,
        # Whoever draws whole numbers from 0 to 9 knows tenths only. The margin is six sigma.
        "share dropped, p = 0.05": near((rare != many).double().mean(), 0.03) if own else None,
    }


@experiment(
    "6.2",
    "What is no probability is a ValueError",
    points=1,
    hint=(
        "10 for 10 % would silently drop everything: which numbers are probabilities?",
        "if not 0 <= p <= 1: raise ValueError(…). Both ends are allowed.",
    ),
)
def refuses_other_numbers(impl):
    y = labels(3, 0, 4, 1, 2)
    return {
        f"p = {p}": raises(lambda p=p: impl.drop_labels(y, p, NULL))
        for p in (0.5, 0.0, 1.0, -0.1, 1.01, 10)
    }


@experiment(
    "6.2",
    "The coins come from the generator, or from torch's own, on the device of y",
    points=1,
    hint=(
        "Hand the generator on to torch.rand; None there means torch's global one.",
        "NumPy's and Python's random numbers know nothing of it, and a seed set in the function "
        "would drop the same labels every time.",
        "torch.rand(y.shape, device=y.device, generator=generator)",
    ),
)
def where_the_coins_come_from(impl):
    y = labels(*range(9), *range(9))

    def draw(generator):
        # Several calls: one coin a batch should not look like coins that are always the same.
        return [impl.drop_labels(y, 0.5, NULL, generator).tolist() for _ in range(10)]

    seen, generator = where_chance_comes_from(draw), torch.Generator().manual_seed(5)
    many = impl.drop_labels(labels(*((3, 0, 8, 1, 5) * 80)), 0.25, NULL, generator)

    def place(*given):
        return meet(lambda: impl.drop_labels(y, 0.5, NULL, *given), Elsewhere())

    return {
        **seen,
        # With a generator some programs go another way than without. The margin is six sigma.
        "share dropped with a generator, p = 0.25": share(many == NULL, 0.19),
        "where y is": place(),
        "where y is, with a generator": place(generator),
    }


@experiment(
    "6.3",
    "v is √alpha_bar · noise − √(1 − alpha_bar) · x_0",
    points=2,
    hint=(
        "When t is small, x_t is all but the picture; v then is all but the noise.",
        "Both factors are square roots. The noise has a plus, x_0 a minus; in x_t it is the other way "
        "round which factor goes with which.",
        "alpha_bar = per_image(schedule.alpha_bars, t), then alpha_bar.sqrt() * noise - "
        "(1 - alpha_bar).sqrt() * x_0.",
    ),
)
def a_quarter_further(impl):
    x_0, t, _, noise = batch(7, 3, 4, 6)
    schedule, (x, at, _, z) = short_schedule(impl), batch(1, 1, 4, 6)
    return {
        "one picture of one channel": impl.v_target(schedule=schedule, x_0=x, t=at, noise=z),
        "v": impl.v_target(schedule, x_0, t, noise),
    }


@experiment(
    "6.4",
    "The model gets x_t, t and the labels",
    points=2,
    hint=(
        "Which of its three inputs differs? x is the noisy picture of q_sample, t and y are what you "
        "were given.",
        "t goes in as it is, not divided by T; the noise in x_t is the given one.",
        "prediction = model(q_sample(schedule, x_0, t, noise), t, y)",
    ),
)
def what_the_model_gets(impl):
    model, (x_0, t, y, noise) = toy_model(CLASSES), batch(7, 3, 4, 6)
    impl.p_losses(model, short_schedule(impl), x_0, t, y, noise)
    return heard(model)


@experiment(
    "6.4",
    "The loss is the mean over all elements of (prediction − noise)²",
    points=2,
    hint=(
        "Three questions: the difference to what, what is done to it, and over what is the mean?",
        "The model is asked for the very noise that was mixed in: not new noise, not x_0. Squares, not "
        "absolute values; the mean over images, channels and pixels.",
        'F.mse_loss(prediction, noise, reduction="none").mean(dim=(1, 2, 3)) has one loss an image; the '
        "mean of these is the mean of all.",
    ),
)
def mean_of_the_squares(impl):
    x_0, t, y, noise = batch(7, 3, 4, 6)
    far = noted(20 * noise, "20 * normal(7, 3, 4, 6, seed=1)")
    odd = noted(noise.clone().fill_(math.nan), "math.nan * normal(7, 3, 4, 6)")
    odd[1:] = noise[1:]

    def loss(noise):
        return impl.p_losses(toy_model(CLASSES), short_schedule(impl), x_0, t, y, noise)

    lost = loss(odd)
    return {
        "of noise 20 times as large": loss(far),
        "is a number where the noise of an image is none": isinstance(lost, torch.Tensor)
        and bool(lost.isfinite().all()),
        **asked(impl),
    }


@experiment(
    "6.4",
    'With target="v" the model is asked for v',
    points=1,
    hint=(
        "Everything else stays: only what the prediction is compared with is v_target(…).",
        'wanted = noise if target == "noise" else v_target(schedule, x_0, t, noise)',
    ),
)
@given_v
def asked_for_v(impl):
    return asked(impl, target="v")


@experiment(
    "6.4",
    "Without noise= it draws standard normal noise, mixes it in and asks for it",
    points=1,
    hint=(
        "noise=None: who draws it, and how often? What was mixed in is what the model is asked for.",
        "torch.randn_like(x_0): normal numbers, one for each element. torch.rand_like has numbers "
        "from 0 to 1.",
        "if noise is None: noise = torch.randn_like(x_0), before q_sample is called with it.",
    ),
)
@given_v
def noise_of_its_own(impl):
    few, (x_0, t, y, _), schedule = toy_model(CLASSES), batch(3, 1, 2, 4), short_schedule(impl)
    place = meet(lambda: impl.p_losses(few, schedule, x_0, t, y), Elsewhere())
    seen, (x_0, t, y, _) = {"noise is on the device of x_0": place}, batch(64, 3, 16, 16)
    for target in ("noise", "v"):
        model, other, seeded = (toy_model(CLASSES) for _ in range(3))
        torch.manual_seed(6)
        impl.p_losses(seeded, schedule, x_0, t, y, target=target)
        torch.manual_seed(6)
        loss = impl.p_losses(model, schedule, x_0, t, y, target=target)
        impl.p_losses(other, schedule, x_0, t, y, target=target)
        x, again = heard(model)["x"], heard(other)["x"]
        ab = alpha_bar(schedule, t)
        found = formula(loss, model, schedule, x_0)
        if f"(prediction − {target})²" not in found and wrong_if_given(impl, target):
            found += ", nor is it right where the noise is given"  # so it has another reason
        about = {
            "noise in x_t": character(noise_in(x, x_0, ab), noise_in(again, x_0, ab)),
            "the loss is": found,
            "after the same torch.manual_seed": agree(heard(seeded)["x"], x),
            "called again": agree(x, again),
        }
        seen = {target: about, **seen}  # the last first: it is the last call that the report shows
    return seen


@experiment(
    "6.4",
    "Other targets are a ValueError",
    points=1,
    hint=(
        'The targets are "noise" and "v" (TARGETS). What does your code do with "x_0"?',
        "An else that raises ValueError(…), in place of one that takes whatever comes for v.",
    ),
)
@given_v
def refuses_other_targets(impl):
    x_0, t, y, noise = batch(3, 1, 2, 4)
    model, schedule = toy_model(CLASSES), short_schedule(impl)
    given = dict(model=model, schedule=schedule, x_0=x_0, t=t, y=y, noise=noise)
    impl.p_losses(**given, target="noise", min_snr_gamma=None)  # the names are fixed, too
    return {
        target: raises(
            lambda target=target: impl.p_losses(model, schedule, x_0, t, y, noise, target)
        )
        for target in ("noise", "v", "x_0", "epsilon")
    }


@experiment(
    "6.4",
    "Gradients reach the model's weights, its mode stays, and y may be None",
    points=1,
    hint=(
        "Look for no_grad(), detach(), .data and .item(): the loss has to know how it came about.",
        "train() and eval() are the training loop's to call. In training mode the model here answers "
        "otherwise.",
        "y=None is the model's to understand: hand it on.",
    ),
)
def learns(impl):
    x_0, t, y, noise = batch(7, 2, 3, 4)
    seen = {}
    for mode in (True, False):
        model = toy_model(CLASSES).train(mode)
        answers = listened_to(model)
        labelled = y if mode else None
        loss = impl.p_losses(model, short_schedule(impl), x_0, t, labelled, noise)
        seen["in training mode" if mode else "in eval mode, y=None"] = {
            "labels": heard(model)["y"],
            "loss": loss,
            "has gradients": pull(loss, answers) is not None,
            "the model works with gradients": [call["gradients"] for call in model.seen[:1]],
            "mode in the call": [call["training"] for call in model.seen[:1]],
            "mode afterwards": model.training,
        }
    return seen


def pictures(count):
    return images(count, 3, 2, 4)


def stepped(impl, model, x_0, y, schedule=None, **options):
    return impl.training_step(model, schedule or short_schedule(impl), x_0, y, NULL, **options)


def crowd(impl):
    """What the model saw in 60 steps of 96 images each: t, who is dropped, and the mean of the noise."""
    model, y = toy_model(NULL), labels(*((3, 0, 4, 1, 8, 2) * 16))
    x_0, schedule = images(96, 1, 1, 2), short_schedule(impl)
    for _ in range(60):
        stepped(impl, model, x_0, y, schedule=schedule, label_dropout=0.5)
    saw = heard(model)
    noise = noise_in(saw["x"], x_0.repeat(60, 1, 1, 1), alpha_bar(schedule, saw["t"]))
    found = {"t": saw["t"], "dropped": saw["y"] == NULL, "noise": noise.mean((1, 2, 3))}
    return {name: values.reshape(60, -1).double() for name, values in found.items()}


def linked(one, other):
    """The correlation of two lists of numbers; 0 where one of them never changes."""
    both = torch.stack([one.flatten(), other.flatten()])
    return both.corrcoef()[0, 1].nan_to_num(0).item()


@experiment(
    "6.5",
    "The model sees the dropped labels",
    points=2,
    hint=(
        "With label_dropout=1 the model should see nothing but the null label: does it?",
        "drop_labels returns a new tensor: what becomes of it? Probability and null label are arguments, "
        "and the usual probability is 0.1.",
        "y = drop_labels(y, label_dropout, null_label, generator), and this y goes into p_losses.",
    ),
)
def sees_the_dropped_labels(impl):
    # No label is NULL − 1: the null label is not one more than the largest of a batch.
    y = labels(*((3, 0, 6, 1, 5, 0, 2, 7, 4, 6, 3, 1) * 10))

    def seen(x_0, y, training=False, **options):
        model = toy_model(NULL).train(training)
        stepped(impl, model, x_0, y, **options)
        return noted(heard(model)["y"], impl.calls.made[-1])

    exact = {
        "label_dropout=1, in training mode": seen(pictures(120), y, True, label_dropout=1.0),
        "label_dropout=0": seen(pictures(120), y, label_dropout=0.0),
        "label_dropout=1": seen(pictures(120), y, label_dropout=1.0),
    }
    dropped, many = crowd(impl)["dropped"], labels(*((3, 0, 8, 1, 5, 0, 2, 7) * 24))
    shares = [(seen(images(192, 1, 1, 2), many) == NULL).double().mean().item() for _ in range(8)]
    own = any(0 < share < 1 for share in shares)
    # Six sigma of the difference of two. One coin a batch, or none at all, is no share.
    return {
        "share dropped by itself": near(sum(shares) / len(shares), 0.066)
        if own
        else "all of a batch or none",
        "label_dropout=0.5, share dropped": near(dropped.mean(), 0.06) if own else None,
        "label_dropout=0.5, how many in a batch, spread": near(dropped.sum(1).std(), 4)
        if own
        else None,
        **exact,
    }


@experiment(
    "6.5",
    "Each image has its own timestep, anywhere from 0 to T − 1, whatever else is drawn for it",
    points=1,
    hint=(
        "You have written sample_timesteps: for how many images, and for which T?",
        "Timestep, coin and noise of an image know nothing of each other: each is drawn by itself.",
        "sample_timesteps(len(x_0), schedule.timesteps, x_0.device, generator)",
    ),
)
def a_timestep_for_each(impl):
    drawn = crowd(impl)
    t, dropped, noise = drawn.values()
    if all(len(row.unique()) == 1 for row in t):
        return "one timestep for all of a batch"
    # Six sigma of the difference of two, and more.
    return {
        "distinct in a batch": near(sum(len(row.unique()) for row in t) / 60, 0.5),
        "those that occur": t.unique().long(),
        "on average": near(t.mean(), 0.4),
        "share of the two ends": near(((t == 0) | (t == 11)).double().mean(), 0.045),
        **independence(t, 12),
        "timestep and dropped label, how alike": near(linked(t, dropped), 0.13),
        "timestep and noise, how alike": near(linked(t, noise), 0.13),
        "noise and dropped label, how alike": near(linked(noise, dropped), 0.13),
        "another batch": equal(t[0].tolist(), t[1].tolist()),
    }


@experiment(
    "6.5",
    "Fresh normal noise is mixed in, and the loss is about this noise (or this v)",
    points=2,
    hint=(
        "One noise: drawn once, for every element of x_0, then handed to p_losses.",
        "Is the target handed on? And is what p_losses gets the picture x_0 itself?",
        "noise = torch.randn(x_0.shape, device=x_0.device, generator=generator), then p_losses(model, "
        "schedule, x_0, t, y, noise, target, …).",
    ),
)
@given_v
def loss_of_fresh_noise(impl):
    schedule, x_0 = short_schedule(impl), images(64, 3, 16, 16)
    y = labels(*((3, 0, 4, 1, 8, 2, 0, 5) * 8))
    seen = {}
    for target in ("noise", "v"):
        drawn = []
        for _ in range(2):
            model = toy_model(NULL)
            # Noise is what is meant when no target is named.
            named = {"target": target} if target == "v" else {}
            loss = stepped(impl, model, x_0, y, schedule=schedule, **named)
            saw = heard(model)
            drawn.append(noise_in(saw["x"], x_0, alpha_bar(schedule, saw["t"])))
        about = {
            "noise in x_t": character(*drawn),
            "the loss is": formula(loss, model, schedule, x_0),
        }
        seen = {target: about, **seen}  # the last first: it is the last call that the report shows
    return seen


@experiment(
    "6.5",
    "The generator decides the whole step, or else torch's own does",
    points=1,
    hint=(
        "Three things are drawn. Does each of them know the generator?",
        "randn_like takes no generator: torch.randn(x_0.shape, device=x_0.device, generator=generator), "
        "handed to p_losses as noise.",
    ),
)
def where_the_step_takes_its_chance(impl):
    x_0, y, schedule = pictures(96), labels(*((3, 0, 4, 1, 8, 2) * 16)), short_schedule(impl)

    def draw(generator=None):
        model = toy_model(NULL)
        options = {"generator": generator, "label_dropout": 0.5}
        stepped(impl, model, x_0, y, schedule=schedule, **options)
        saw = heard(model)
        noise = noise_in(saw["x"], x_0, alpha_bar(schedule, saw["t"]))
        return {"timesteps": saw["t"].float(), "labels": saw["y"].float(), "noise": noise}

    before = torch.get_rng_state()
    first, second = (torch.Generator().manual_seed(5) for _ in range(2))

    def compared(one, other):
        return {part: told(agree(one[part], other[part])) for part in one}

    # Each at once, so that the call that a report shows is one of the two that are compared.
    seen, once = {}, draw(first)
    seen["with generators of one seed"] = compared(once, draw(second))
    later = draw(first)
    seen["called again with one of them"] = compared(once, later)
    after = torch.get_rng_state()
    torch.manual_seed(6)
    unaided = draw()
    seen["called twice in a row"] = compared(unaided, draw())
    torch.manual_seed(6)
    seen["after the same torch.manual_seed"] = compared(unaided, draw())
    both = {part: torch.cat([once[part], later[part]]) for part in once}
    return {
        **seen,
        "torch's global random state meanwhile": equal(before.tolist(), after.tolist()),
        # With a generator some programs go another way than without. The margins are six sigma.
        "with a generator": {
            "timesteps that occur": both["timesteps"].unique().long(),
            "share of the labels dropped": near((both["labels"] == NULL).double().mean(), 0.3),
            "mean of the noise": near(both["noise"].mean(), 0.13),
            "spread of the noise": near(both["noise"].std(), 0.09),
            "noise of an image, compared with the others": twins(once["noise"]),
        },
    }


@experiment(
    "6.5",
    "A loss with its graph comes back, and the model is left alone",
    points=1,
    hint=(
        "The training loop calls zero_grad, backward, clipping and step: nothing of that belongs here.",
        "Return what p_losses gives: no .item(), no detach(), no float().",
    ),
)
def leaves_the_model_alone(impl):
    x_0, y = pictures(96), labels(*((3, 0, 4, 1, 8, 2) * 16))
    seen = {}
    for mode in (True, False):
        model = toy_model(NULL).train(mode)
        model.scale.grad = torch.full_like(model.scale, 0.25)
        answers = listened_to(model)
        given = dict(model=model, schedule=short_schedule(impl), x_0=x_0, y=y, null_label=NULL)
        loss = impl.training_step(**given)  # the names are fixed, too
        is_tensor = isinstance(loss, torch.Tensor)
        kept = model.scale.grad
        seen["training mode" if mode else "eval mode"] = {
            "comes back": f"{loss.dtype} {list(loss.shape)}" if is_tensor else type(loss).__name__,
            "its graph reaches the prediction": pull(loss, answers) is not None,
            "the model works with gradients": [call["gradients"] for call in model.seen[:1]],
            "the weight": equal(model.scale.item(), 1.5),
            "its gradient": "gone" if kept is None else equal(kept.item(), 0.25),
            "mode in the call": [call["training"] for call in model.seen[:1]],
            "mode afterwards": model.training,
        }
    return seen


@experiment(
    "6.5",
    "Whatever it draws is on the device of the pictures",
    points=1,
    hint=(
        "On a GPU this would stop with “expected all tensors to be on the same device”. Which of the "
        "tensors that you make does not say where it lives?",
        "device=x_0.device for timesteps and noise, device=y.device for the coins.",
    ),
)
def on_the_device_of_the_pictures(impl):
    x_0, y, schedule = pictures(6), labels(3, 0, 4, 1, 8, 2), short_schedule(impl)
    model = toy_model(NULL)
    stepped(impl, model, x_0, y, schedule=schedule)

    def step(generator=None):
        stepped(impl, model, x_0, y, schedule=schedule, generator=generator)

    generator = torch.Generator().manual_seed(5)
    made, given = meet(step, Elsewhere()), meet(lambda: step(generator), Elsewhere())
    timesteps = Elsewhere(makers=())
    with timesteps_drawn(impl, timesteps):
        return {
            # First, since timesteps that are told to be on the CPU show in the other two as well.
            "timesteps": meet(step, timesteps),
            "noise and coins": made,
            "noise and coins, with a generator": given,
        }


@experiment(
    "6.6",
    "For noise the weight is min(SNR, gamma) / SNR",
    points=1,
    star=True,
    hint=(
        "SNR is large at small t. There the weight should be gamma / SNR, and 1 where SNR is below gamma.",
        "SNR = alpha_bar / (1 − alpha_bar), without roots. min(SNR, gamma) is snr.clamp(max=gamma).",
        "snr.clamp(max=gamma) / snr, (B,), with snr taken at each image's t; gamma is 5 by itself.",
    ),
)
def weights_for_noise(impl):
    t, schedule = timesteps(3, 0, 11, 1, 6, 2, 10, 4, 0, 5), short_schedule(impl)
    return {
        "gamma 5": impl.min_snr_weight(schedule, t),
        "gamma 1.5": impl.min_snr_weight(schedule, t, "noise", 1.5),
        "gamma 1.5, one image": impl.min_snr_weight(
            schedule=schedule, t=timesteps(1), target="noise", gamma=1.5
        ),
    }


@experiment(
    "6.6",
    "For v the weight is min(SNR, gamma) / (SNR + 1)",
    points=1,
    star=True,
    hint=(
        "An error in v counts otherwise than one in the noise: the weight is divided by SNR + 1.",
        "snr.clamp(max=gamma) / (snr + 1), and a ValueError for any target but noise and v.",
    ),
)
def weights_for_v(impl):
    t, schedule = timesteps(3, 0, 11, 1, 6, 2, 10, 4, 0, 5), short_schedule(impl)
    steep = noted(
        impl.chapter(5).NoiseSchedule(torch.linspace(0.05, 0.9, 12)),
        "NoiseSchedule(torch.linspace(0.05, 0.9, 12))",
    )
    return {
        "where little of the picture is left": impl.min_snr_weight(steep, t, "v"),
        "gamma 5": impl.min_snr_weight(schedule, t, "v"),
        "gamma 1.5": impl.min_snr_weight(schedule, t, "v", 1.5),
        'target "x_0"': raises(lambda: impl.min_snr_weight(schedule, t, "x_0")),
    }


@experiment(
    "6.6",
    "p_losses weighs each image before the mean",
    points=1,
    star=True,
    hint=(
        "Each image has its own weight: after the mean it is too late for that.",
        "The mean is over all elements, as without weights: do not divide by the sum of the weights.",
        "losses = losses * min_snr_weight(schedule, t, target, min_snr_gamma), then losses.mean().",
    ),
)
@given_v
def weighs_each_image(impl):
    return {target: asked(impl, target=target, min_snr_gamma=2.0) for target in ("noise", "v")}


@experiment(
    "6.6",
    "training_step hands min_snr_gamma on",
    points=1,
    star=True,
    hint=("p_losses(…, target, min_snr_gamma): is the last argument there?",),
)
@given_v
def step_with_weights(impl):
    schedule, x_0, y = short_schedule(impl), pictures(256), labels(*((3, 0, 4, 1) * 64))
    seen = {}
    for target in ("noise", "v"):
        model = toy_model(NULL)
        loss = stepped(impl, model, x_0, y, schedule=schedule, target=target, min_snr_gamma=2.0)
        found = formula(loss, model, schedule, x_0, gamma=2.0)
        seen = {target: found, **seen}  # the last first: it is the last call that the report shows
    return seen
