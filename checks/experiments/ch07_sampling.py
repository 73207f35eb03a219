"""Chapter 7: from noise back to pictures.

One mistake should cost its own points only. Single steps are observed without labels, where guidance has
nothing to do, and what noise adds is observed as a difference, whatever the mean is. A walk is compared
with the learner's own steps, taken one by one. Loops draw their noise in an order that is free, so it is
looked at what all right walks have in common. The callback is not needed to see any of this: the model
remembers what it was called with.
"""

import math
from itertools import pairwise
from operator import index

from torch import nn

from checks import experiment
from checks.lab import *
from checks.lab import Account, expression_of
from checks.walks import character, pictures_of

SHAPE = (4, 2, 3, 6)
CROWD = (8, 3, 12, 14)  # enough numbers for statistics
FEW = (0.2, 0.3, 0.4, 0.6)  # betas of a short schedule
EDGES = (0, 1, 2, 10, 11)  # timesteps at the ends of the short schedule, where mistakes hide
NULL = 5  # label of toy_model's null class
SINGLE = (1, 1, 3, 6)  # one picture of one channel: axes of length 1 stay


def some_labels():
    return labels(3, 0, 3, 1)


def scheduled(impl, *betas):
    """A schedule of so few steps that many walks are cheap."""
    text = f"NoiseSchedule(torch.tensor({list(betas)}))"
    return noted(impl.chapter(5).NoiseSchedule(torch.tensor(betas)), text)


def zeros(*shape):
    return noted(0 * normal(*shape), f"torch.zeros({', '.join(map(str, shape))})")


def ones(*shape):
    return noted(0 * normal(*shape) + 1, f"torch.ones({', '.join(map(str, shape))})")


def drawn(impl, loop):
    """The loop of that name, which has to ask the model and to return a picture."""

    def draw(model, *args, **kwargs):
        out = getattr(impl, loop)(model, *args, **kwargs)
        if not isinstance(out, torch.Tensor):
            raise TypeError(f"{loop} returns one tensor (B, C, H, W), not a {type(out).__name__}")
        if not getattr(model, "model", model).seen:
            raise TypeError(f"{loop} never asks the model: is there a step that it takes?")
        return out

    return draw


def stepped(pair):
    """What a step returned: two tensors."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"a step returns the new x and x_0, not a {type(pair).__name__}")
    return pair


def ancestral(impl):
    """step(t, y): p_sample of a picture that depends on t; with noise 0 when none is given."""
    model, schedule, nothing = toy_model(), short_schedule(impl), zeros(*SHAPE)

    def step(t, y=None, noise=nothing, **options):
        x_t = normal(*SHAPE, seed=t)
        return stepped(impl.p_sample(model, schedule, x_t, t, y, noise=noise, **options))

    return step


def implicit(impl):
    """step(t, t_next): ddim_step of a picture that depends on t; with noise 0 when none is given.

    The prediction is true: x_t is made of the picture, of this size, and of the noise.
    """
    schedule, nothing = short_schedule(impl), zeros(*SHAPE)

    def step(t, t_next, size=1.0, target="noise", noise=nothing, **options):
        x_0, mixed = size * images(*SHAPE, seed=t), normal(*SHAPE, seed=t + 50)
        signal, level = schedule.alpha_bars[t].sqrt(), (1 - schedule.alpha_bars[t]).sqrt()
        prediction = mixed if target == "noise" else signal * mixed - level * x_0
        x_t = signal * x_0 + level * mixed
        given = schedule, x_t, t, t_next, prediction
        return stepped(impl.ddim_step(*given, target=target, noise=noise, **options))

    return step


def rms(x):
    """Root mean square; 1 when it is larger, or no number."""
    size = x.double().square().mean().sqrt().item()
    return size if size < 1 else 1.0


def weights_of(made):
    """(result, part, part, …): by which weights the parts make up the result, and what is left of it."""
    result, *parts = (torch.nan_to_num(x.detach().double()).flatten() for x in made)
    parts = torch.stack(parts, 1)
    weights = torch.linalg.lstsq(parts, result[:, None]).solution
    return weights, rms(result - (parts @ weights)[:, 0])


def mixed_alike(plain, other):
    """Whether a result is made of its two parts by the weights by which the plain one is.

    That the plain one is made of its parts is the matter of another experiment: where it is not, yes.
    """
    weights, left = weights_of(plain)
    result, *parts = (x.detach().double().flatten() for x in other)
    return left > 1e-4 or rms(result - (torch.stack(parts, 1) @ weights)[:, 0]) < 1e-4


def repeated(z, steps, start):
    """How much of what a step added is the noise that the walk started from, at most."""
    if not steps or not z.isfinite().all():
        return "no noise to look at"
    z, start = z.double().reshape(steps, -1), start.double().flatten()
    shares = z @ start / (z.norm(dim=1) * start.norm()).clamp(min=1e-9)
    return near(shares.abs().max().item(), 9 / math.sqrt(len(start)))


def draws(draw):
    """Where the random numbers of draw(generator) come from."""

    def seeded(seed):
        return draw(torch.Generator().manual_seed(seed))

    def by_default(seed):
        torch.manual_seed(seed)
        return draw(None)

    def compared(one, other):
        return told("the same" if torch.equal(one, other) else "different")

    # Each at once, so that the call that a report shows is one of the two that are compared.
    generator = torch.Generator().manual_seed(5)
    one, state = draw(generator), torch.get_rng_state()
    later = compared(one, draw(generator))
    again, other = compared(one, seeded(5)), compared(one, seeded(6))
    untouched = torch.equal(torch.get_rng_state(), state)
    default = by_default(1)
    default_again = compared(default, by_default(1))
    return {
        "with generators of one seed": again,
        "with generators of two seeds": other,
        "twice with one generator": later,
        "a generator leaves torch's own alone": untouched,
        "without one, after the same torch.manual_seed": default_again,
        "without one, called again": compared(default, draw(None)),
    }


def walk_of(model, batch):
    """(t, x) of each step, as the model was called; calls for one step count once."""
    steps = []
    for call in model.seen:
        t, x = int(call["t"].flatten()[0]), pictures_of(call, batch)
        if not steps or steps[-1][0] != t or not torch.equal(steps[-1][1], x):
            steps.append((t, x))
    return steps


def visited(model):
    """The timesteps of a walk, one number a step; the whole tensor where it is not one for all."""
    found = []
    for call in model.seen:
        t = call["t"]
        step = int(t[0]) if t.dtype == torch.int64 and len(set(t.tolist())) == 1 else t
        if not found or not isinstance(step, int) or found[-1] != step:
            found.append(step)
    return found


@torch.no_grad()
def pictured(schedule, x, t, y=None, guidance_scale=1.0, target="noise", clip=True):
    """The x_0 that belongs to x at t, by the toy model."""
    a, model, batch_t = schedule.alpha_bars[t], toy_model(), torch.full((len(x),), t)
    said = model(x, batch_t, None)
    if y is not None:
        said = said + guidance_scale * (model(x, batch_t, y) - said)
    if target == "noise":
        x_0 = (x - (1 - a).sqrt() * said) / a.sqrt()
    else:
        x_0 = a.sqrt() * x - (1 - a).sqrt() * said
    return x_0.clamp(-1, 1) if clip else x_0


def own_ancestral(impl, schedule, y=None, **options):
    """step(x, t, t_next, noise): a step by the learner's own p_sample."""
    model = toy_model()
    options = {"variance": "posterior", **options}  # its default is the matter of 7.2

    @torch.no_grad()
    def step(x, t, t_next, noise):
        pair = stepped(impl.p_sample(model, schedule, x, t, y, noise=noise, **options))
        impl.calls.made.pop()  # the line to be pasted is the loop's, which is in question
        return pair

    return step


def own_implicit(impl, schedule, y=None, guidance_scale=1.0, **options):
    """step(x, t, t_next, noise): a step by the learner's own guided_prediction and ddim_step."""
    model = toy_model()

    @torch.no_grad()
    def step(x, t, t_next, noise):
        said = impl.guided_prediction(model, x, torch.full((len(x),), t), y, guidance_scale)
        pair = stepped(impl.ddim_step(schedule, x, t, t_next, said, noise=noise, **options))
        del impl.calls.made[-2:]  # the line to be pasted is the loop's, which is in question
        return pair

    return step


def way_of(model, out):
    """(t, x, t_next, x_next) of each step of a walk that ended at out."""
    ends = [*walk_of(model, len(out)), (-1, out)]
    return [(t, x, t_next, after) for (t, x), (t_next, after) in pairwise(ends)]


def step_by_step(step, model, out):
    """For each step of a walk without chance, whether it is the learner's own."""
    way = way_of(model, out)
    own = [step(x, t, t_next, zeros(*x.shape))[0] for t, x, t_next, _ in way]
    return alike(own, [after for *_, after in way])


def added_on_the_way(step, model, out):
    """What a walk added to its own steps, in units of what they add for noise 1; and in its last step.

    Returns:
        The steps on top of each other without the last one, how many these are, and the last one's size.
    """
    found = []
    for t, x, t_next, after in way_of(model, out):
        calm = step(x, t, t_next, zeros(*x.shape))[0]
        sigma = (step(x, t, t_next, ones(*x.shape))[0] - calm).mean()
        found.append((after - calm) / sigma if t_next >= 0 and sigma > 1e-3 else after - calm)
    return torch.cat(found[:-1] or [out[:0]]), len(found) - 1, rms(found[-1]) if found else 1.0


def quiet(impl, loop, **options):
    """How a loop treats the model: gradients and modes, during and after.

    A model in training mode comes with gradients on, one in eval mode with gradients off.
    """
    seen, schedule = {}, scheduled(impl, *FEW)
    for training in (True, False):
        inside, inference = toy_model(), []
        model = Wrapped(inside).train(training)  # modes concern what is inside, too
        inside.register_forward_pre_hook(
            lambda *_, kept=inference: kept.append(torch.is_inference_mode_enabled())
        )
        with torch.set_grad_enabled(training):
            out = drawn(impl, loop)(model, schedule, SHAPE, **options)
            gradients_on = torch.is_grad_enabled()
        mode = "training mode" if training else "eval mode, called under no_grad"
        seen[f"a model in {mode}"] = {
            "gradients while drawing": any(call["gradients"] for call in inside.seen),
            "training mode while drawing": any(call["training"] for call in inside.seen),
            "training mode afterwards": model.training,
            "training mode afterwards, of a module inside": inside.training,
            "inference mode": any(inference),
            "the result has a graph": out.requires_grad,
            "gradients are on afterwards": gradients_on,
            "the weights require gradients afterwards": inside.scale.requires_grad,
        }
    return seen


class Wrapped(nn.Module):
    """A model inside another."""

    def __init__(self, model):
        super().__init__()
        self.model, self.num_classes = model, model.num_classes

    def forward(self, x, t, y=None):
        return self.model(x, t, y)


def starting(impl, loop, **options):
    """Where a loop starts: from the noise that it is given, else from its own."""
    model, given = toy_model(), normal(*SHAPE, seed=1)
    schedule, draw = scheduled(impl, 0.5), drawn(impl, loop)
    # First, since it is the last call that the report shows.
    refused = {
        f"noise of the shape {shape}": raises(
            lambda shape=shape: draw(toy_model(), schedule, SHAPE, noise=normal(*shape), **options)
        )
        for shape in ((1, 2, 3, 6), (4, 2, 6, 3))
    }
    draw(model, schedule, SHAPE, noise=given, **options)
    crowd, both = toy_model(), toy_model()
    draw(both, schedule, SHAPE, noise=given, generator=torch.Generator().manual_seed(5), **options)
    draw(crowd, schedule, CROWD, **options)

    def start(generator):
        model = toy_model()
        draw(model, schedule, SHAPE, generator=generator, **options)
        return pictures_of(model.seen[0], SHAPE[0])

    return {
        "noise given": pictures_of(model.seen[0], SHAPE[0]),
        "noise given, and a generator": pictures_of(both.seen[0], SHAPE[0]),
        "drawn": character(pictures_of(crowd.seen[0], CROWD[0])),
        "sources": draws(start),
        **refused,
    }


def reported(impl, loop, own=None, **options):
    """What the callback is told; x_0 is compared with that of the learner's own steps, if there are any."""
    told, model, schedule = [], toy_model(), scheduled(impl, *FEW)

    def callback(i, t, x_t, x_0, /):
        told.append((index(i), index(t), x_t.clone(), x_0.clone()))

    callback.__qualname__ = "callback"  # for the message, when it is called in another way
    noted(callback, "print")
    given = dict(schedule=schedule, shape=SHAPE, y=None)  # by name: the names are fixed, too
    given |= dict(guidance_scale=1.0, target="noise", clip=True, noise=normal(*SHAPE, seed=1))
    out = drawn(impl, loop)(model, **given, generator=None, callback=callback, **options)
    steps = walk_of(model, len(out))
    new = [*(x for _, x in steps[1:]), out]
    if own is None:
        right = [pictured(schedule, x, t) for t, x in steps]
    else:
        step, nothing = own(impl, schedule), zeros(*SHAPE)
        right = [step(x, t, t - 1, nothing)[1] for t, x in steps]
    return {
        "i": [i for i, _, _, _ in told],
        # As the model was asked, not as the reference does: which timesteps are right is seen elsewhere.
        "t − the timestep just left": [
            t - left for (_, t, _, _), (left, _) in zip(told, steps, strict=False)
        ],
        # Yes or no for each step: which numbers are drawn on the way is free.
        "x_t is the new one": alike([x for _, _, x, _ in told], new),
        "x_0 is the predicted picture": alike([x_0 for *_, x_0 in told], right),
    }


def alike(ones, others):
    """For each pair of pictures, whether they are the same."""
    pairs = zip(ones, others, strict=False)
    # What is no number on both sides is the fault of the step, not of the walk.
    return [
        x.shape == y.shape and rms(torch.nan_to_num(x) - torch.nan_to_num(y)) < 1e-4
        for x, y in pairs
    ]


def under_options(draw):
    """draw(y, options) with each of the options that samplers share."""
    y = some_labels()
    return {
        "labels": draw(y),
        "labels, guidance_scale=3": draw(y, guidance_scale=3.0),
        "labels, guidance_scale=0": draw(y, guidance_scale=0.0),
        "target='v'": draw(None, target="v"),
        "clip=False": draw(None, clip=False),
    }


def as_own_steps(impl, loop, own, schedule, **how):
    """Under which options each step of a deterministic walk is the learner's own."""

    def draw(y, **options):
        model, noise = toy_model(), normal(*SHAPE, seed=1)
        out = drawn(impl, loop)(model, schedule, SHAPE, y, noise=noise, **how, **options)
        return step_by_step(own(impl, schedule, y, **options), model, out)

    return under_options(draw)


def of_single(impl, loop, own, **options):
    """Whether what a loop draws in one step is the learner's own, also where axes have length 1."""
    model, schedule = toy_model(), scheduled(impl, 0.5)
    out = drawn(impl, loop)(model, schedule, SINGLE, **options)
    return step_by_step(own(impl, schedule), model, out)


class Gaussian(nn.Module):
    """The best possible noise prediction where every pixel of the data is N(mean, std²).

    The probability flow is then known: it keeps the number of standard deviations.
    """

    def __init__(self, schedule, mean=0.3, std=0.5):
        super().__init__()
        self.alpha_bars, self.mean, self.std = schedule.alpha_bars, mean, std
        self.scale = nn.Parameter(torch.ones(()))
        self.seen = Account()

    def forward(self, x, t, y=None):
        self.seen.append((int(t[0]), x.detach().clone()))
        a = self.alpha_bars[t].to(x.dtype).reshape(-1, 1, 1, 1)
        centred = (x - a.sqrt() * self.mean) / (a * self.std**2 + 1 - a)
        return self.scale * (1 - a).sqrt() * centred

    def errors(self):
        """How far each x has strayed from where the flow takes the first one, in its deviations."""
        _, start = self.seen[0]
        a = torch.stack([self.alpha_bars[t] for t, _ in self.seen]).double()
        spread = (a * self.std**2 + 1 - a).sqrt()
        way = (start.double().flatten() - a[0].sqrt() * self.mean) / spread[0]
        x = torch.stack([x.double().flatten() for _, x in self.seen])  # (steps, pixels)
        strayed = x - a.sqrt()[:, None] * self.mean - spread[:, None] * way
        return strayed @ way / (way @ way)


def bounded(x, limit):
    """A number, or the limit when it is beyond or no number."""
    x = float(x)
    return x if abs(x) < limit else math.copysign(limit, x)


def uneven(impl, n, jump):
    """n timesteps from λ = log(signal / noise level) = −2 to 2, whose gaps are in turn wide and narrow."""
    gaps = torch.tensor([1 + jump, 1 - jump], dtype=torch.float64).repeat(n // 2)[: n - 1]
    lambdas = 2 - 4 * torch.cat([gaps.new_zeros(1), gaps.cumsum(0)]) / gaps.sum()
    alpha_bars = torch.sigmoid(2 * lambdas)
    before = torch.cat([torch.ones_like(alpha_bars[:1]), alpha_bars[:-1]])
    return noted(impl.chapter(5).NoiseSchedule(1 - alpha_bars / before), "…")


# 7.1


@experiment(
    "7.1",
    "Scale 1 is the prediction with labels, scale 0 the one without",
    points=2,
    hint=(
        "Put s = 0 and s = 1 into the formula: what should be left?",
        "u is model(x_t, t, None), c is model(x_t, t, y). The null class is None, not label 0.",
        "return u + guidance_scale * (c - u)",
    ),
)
def both_ends(impl):
    x, t, y = normal(*SHAPE), timesteps(0, 2, 11, 10), some_labels()
    return {
        "no s given": impl.guided_prediction(toy_model(), x, t, y),
        **{f"s = {s}": impl.guided_prediction(toy_model(), x, t, y, s) for s in (1.0, 0.0)},
    }


@experiment(
    "7.1",
    "Other scales lie on the line through both, on its far side too, without clipping",
    points=2,
    hint=(
        "At s = 2 the way from u to c is gone twice. There is no case for s below 1, or above.",
        "Papers write (1 + w) · c − w · u: their w is s − 1.",
        "return u + guidance_scale * (c - u), and nothing after it.",
    ),
)
def along_the_line(impl):
    x, t, y = normal(*SHAPE), timesteps(0, 2, 11, 10), some_labels()
    mixed = labels(3, NULL, 3, 1)
    return {
        "s = 2.0, one label is that of the null class": impl.guided_prediction(
            toy_model(), x, t, mixed, 2.0
        ),
        "s = 2.0, one picture of label 0": impl.guided_prediction(
            toy_model(), normal(*SINGLE), timesteps(2), labels(0), 2.0
        ),
        **{f"s = {s}": impl.guided_prediction(toy_model(), x, t, y, s) for s in (0.5, 2.0, 15.0)},
    }


@experiment(
    "7.1",
    "Without labels the prediction is the unconditional one, whatever the scale",
    points=1,
    hint=(
        "y may be None. What is c then?",
        "if y is None: return model(x_t, t, None)",
    ),
)
def no_labels(impl):
    x, t = normal(*SHAPE), timesteps(0, 2, 11, 10)
    return {f"s = {s}": impl.guided_prediction(toy_model(), x, t, None, s) for s in (1.0, 3.0, 0.0)}


@experiment(
    "7.1",
    "Gradients flow through the guided prediction, and the model keeps its mode",
    points=1,
    hint=(
        "Chapter 9 asks how the prediction changes with x_t. Is there a no_grad or a detach in here?",
        "The loops turn gradients off and eval mode on for themselves; this function leaves both alone.",
    ),
)
def guidance_has_gradients(impl):
    leaf, t, y = normal(*SHAPE), timesteps(0, 2, 11, 10), some_labels()
    x = noted(leaf.requires_grad_() * 1, expression_of(leaf))
    given = dict(model=toy_model(), x_t=x, t=t, y=y, guidance_scale=2.0)
    guided = impl.guided_prediction(**given)  # by name: the names are fixed, too
    return {
        **modes(lambda model: impl.guided_prediction(model, normal(*SHAPE), t, y, 2.0)),
        "gradients": gradients(guided, leaf)[0],
    }


def modes(call):
    """In which mode call(model) asks a model, and in which it leaves it."""
    found = {}
    for mode in ("training", "eval"):
        model = toy_model().train(mode == "training")
        call(model)
        asked = {"training" if seen["training"] else "eval" for seen in model.seen}
        found[f"a model in {mode} mode, while it is asked"] = sorted(asked)
        found[f"a model in {mode} mode, afterwards"] = "training" if model.training else "eval"
    return found


# 7.2


@experiment(
    "7.2",
    "The predicted picture comes from predict_x0, and is clipped to [−1, 1]",
    points=2,
    hint=(
        "p_sample returns two things: x_{t−1}, and the x_0 that it was made of.",
        "The prediction goes through predict_x0 as it is; what comes out is clipped.",
        "x_0 = predict_x0(schedule, x_t, batch_t, prediction, target).clamp(-1, 1)",
    ),
)
def predicted_picture(impl):
    step = ancestral(impl)
    return {f"x_0, t = {t}": step(t)[1] for t in EDGES}


@experiment(
    "7.2",
    "Without noise the step ends at the posterior mean",
    points=3,
    hint=(
        "The mean is made of x_0 and x_t, each with a weight. Near t = 0 almost all the weight is on x_0.",
        "x_0: √alpha_bar_prev · beta. x_t: √alpha · (1 − alpha_bar_prev). Both over 1 − alpha_bar. "
        "alpha has no bar there, and the x_0 is the clipped one.",
        "prev = schedule.alpha_bars_prev[t]; "
        "mean = (prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)",
    ),
)
def posterior_mean(impl):
    step = ancestral(impl)
    return {f"x_(t−1), t = {t}": step(t)[0] for t in EDGES}


def added(step, variance, *ts):
    """What noise adds to a step, whatever the mean is."""
    noise, found = normal(*SHAPE, seed=90), {}
    for t in ts:
        loud, calm = step(t, noise=noise, variance=variance)[0], step(t, variance=variance)[0]
        found[f"x with noise − x without, t = {t}"] = difference(loud, calm)
    return found


def of_one(pair):
    """The shapes of what a step returns for one picture of one channel."""
    return {name: list(x.shape) for name, x in zip(("x", "x_0"), stepped(pair), strict=True)}


def noise_of(step):
    """What noise step(noise=…, generator=…) adds to pictures of the shape of CROWD, and where it is from."""
    calm = step(noise=zeros(*CROWD))
    sigma = (step(noise=ones(*CROWD)) - calm).mean()
    if not sigma.abs() > 1e-3:
        sigma = torch.ones_like(sigma)
    by_generator = step(generator=torch.Generator().manual_seed(5))
    both = step(noise=zeros(*CROWD), generator=torch.Generator().manual_seed(5))
    own, with_generator = (step() - calm) / sigma, (by_generator - calm) / sigma
    return {
        "noise": character(own),
        # With a generator some programs go another way than without.
        "noise, with a generator": character(with_generator),
        "exact, which chance never makes it": levelled(own, with_generator),
        "noise given, and a generator: it is the given one": rms(both - calm) < 1e-4,
        "sources": draws(lambda generator: step(generator=generator)),
    }


def difference(one, other):
    """one − other, which the report shows as that."""
    return noted(one - other, f"{expression_of(one)} - {expression_of(other)}")


def both(pairs):
    """What steps return, under their names."""
    return {
        f"{name}, {which}": x
        for which, pair in pairs.items()
        for name, x in zip(("x", "x_0"), pair, strict=True)
    }


@experiment(
    "7.2",
    "The noise that is added has the variance beta-tilde",
    points=2,
    hint=(
        "A variance of 0.04 means a standard deviation of 0.2: which of the two multiplies the noise?",
        "beta-tilde = beta · (1 − alpha_bar_prev) / (1 − alpha_bar): smaller than beta.",
        "sigma = (beta * (1 - prev) / (1 - alpha_bar)).sqrt(), then mean + sigma * noise.",
    ),
)
def posterior_variance(impl):
    step, noise = ancestral(impl), normal(*SHAPE, seed=90)
    default = difference(step(2, noise=noise)[0], step(2)[0])
    return {
        "x with noise − x without, t = 2, no variance given": default,
        **added(step, "posterior", 1, 2, 11),
    }


@experiment(
    "7.2",
    'With variance="beta" it has the variance beta',
    points=1,
    hint=(
        "One argument chooses between two variances. Which is which?",
        'sigma = beta.sqrt() if variance == "beta"; all else, clipping too, is as before.',
    ),
)
def beta_variance(impl):
    step = ancestral(impl)
    same = rms(step(11, variance="beta")[1] - step(11)[1]) < 1e-4
    return {"x_0 does not depend on the variance": same, **added(step, "beta", 1, 2, 11)}


@experiment(
    "7.2",
    "At t = 0 nothing is added, and the result is the predicted picture",
    points=1,
    hint=(
        "After t = 0 nothing removes noise any more.",
        "beta-tilde is 0 there by itself; beta is not.",
        "if t == 0: return mean, x_0",
    ),
)
def last_step(impl):
    step = ancestral(impl)
    x, x_0 = step(0, noise=normal(*SHAPE, seed=90))
    return {
        **added(step, "posterior", 0),
        **{f'{k}, variance="beta"': v for k, v in added(step, "beta", 0).items()},
        "x − x_0": rms(x - x_0),
    }


def mixes(step, t, *y, noise=None, **options):
    """Whether x_(t−1) is made of x_0, x_t (and noise, if given) as it is without these options."""
    given = {} if noise is None else {"noise": noise}
    parts = normal(*SHAPE, seed=t), *given.values()
    return mixed_alike((*step(t, **given), *parts), (*step(t, *y, **given, **options), *parts))


@experiment(
    "7.2",
    "clip=False leaves x_0 as it is",
    points=1,
    hint=(
        "Is the argument looked at?",
        "if clip: x_0 = x_0.clamp(-1, 1)",
    ),
)
def not_clipped(impl):
    step = ancestral(impl)
    free, clipped = step(10, clip=False), step(10)
    as_ever = {f"x_(t−1) is mixed as ever, t = {t}": mixes(step, t, clip=False) for t in (0, 2, 10)}
    return {
        "x_0, t = 2": step(2, clip=False)[1],
        "x_0, t = 10": free[1],
        "x_(t−1) is made of it": rms(free[0] - clipped[0]) > 1e-3,
        **as_ever,
    }


@experiment(
    "7.2",
    'A model that predicts v draws as well: target="v"',
    points=1,
    hint=(
        "predict_x0 has an argument of that name.",
        "From x_0 on, nothing depends on the target any more.",
    ),
)
def from_v(impl):
    step = ancestral(impl)
    return {
        **{
            f"x_(t−1) is mixed as ever, clip={clip}": mixes(step, 2, target="v", clip=clip)
            for clip in (True, False)
        },
        "noise is added as ever": mixes(step, 2, noise=normal(*SHAPE, seed=90), target="v"),
        **{f"x_0, t = {t}": step(t, target="v")[1] for t in (0, 2, 11)},
    }


@experiment(
    "7.2",
    "Guidance comes before clipping, with the labels and the scale that were given",
    points=2,
    hint=(
        "What is guided is the model's prediction; x_0 is made of the guided one, and then clipped.",
        "prediction = guided_prediction(model, x_t, batch_t, y, guidance_scale)",
    ),
)
def guided_step(impl):
    step, model = ancestral(impl), toy_model()
    how = dict(guidance_scale=3.0, target="v", noise=zeros(*SHAPE))
    impl.p_sample(model, short_schedule(impl), normal(*SHAPE), 2, some_labels(), **how)
    return {
        # Its numbers depend on what becomes of v.
        "labels that the model is asked for, target='v', s = 3.0": sorted(
            {label for call in model.seen for label in call["y"].tolist()}
        ),
        "x_(t−1) is mixed as ever, s = 3.0": mixes(step, 2, some_labels(), guidance_scale=3.0),
        **{f"x_0, s = {s}": step(2, some_labels(), guidance_scale=s)[1] for s in (0.0, 1.0, 3.0)},
        **{
            f"x_0, s = 3.0, t = {t}": step(t, some_labels(), guidance_scale=3.0)[1] for t in (0, 11)
        },
    }


@experiment(
    "7.2",
    "Noise that is not given is drawn: standard normal, a number for each number, from the generator",
    points=2,
    hint=(
        "Each image of the batch needs noise of its own, and so does each pixel.",
        "_normal(x_t.shape, x_t.device, generator) draws it; torch.randn_like knows no generator.",
    ),
)
def own_noise(impl):
    model, schedule, x_t = toy_model(), short_schedule(impl), normal(*CROWD)

    def step(**options):
        return stepped(impl.p_sample(model, schedule, x_t, 6, **options))[0]

    return noise_of(step)


@experiment(
    "7.2",
    "The model is asked with one int64 timestep an image, and keeps its mode; an unknown variance is a "
    "ValueError",
    points=1,
    hint=(
        "The model wants t as a tensor of shape (B,), int64, one for each image.",
        "torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)",
    ),
)
def asked_properly(impl):
    model, x_t, schedule = toy_model(), normal(*SHAPE), short_schedule(impl)
    # First, since it is the last call that the report shows.
    refused = raises(lambda: impl.p_sample(model, schedule, x_t, 7, variance="small"))
    given = dict(model=toy_model(), schedule=schedule, x_t=normal(*SINGLE), t=7, y=labels(0))
    single = impl.p_sample(**given, noise=zeros(*SINGLE))  # by name: the names are fixed, too
    impl.p_sample(model, schedule, x_t, 7, some_labels(), noise=zeros(*SHAPE))
    with_labels = [call for call in model.seen if (call["y"] != NULL).any()]
    call = with_labels[-1] if with_labels else model.seen[-1]
    return {
        **modes(lambda model: impl.p_sample(model, schedule, x_t, 7, noise=zeros(*SHAPE))),
        "t": call["t"][: SHAPE[0]],
        "x": pictures_of(call, SHAPE[0]),
        "one picture of one channel": of_one(single),
        'variance="small"': refused,
    }


# 7.3


@experiment(
    "7.3",
    "The walk visits every timestep once, from T − 1 down to 0",
    points=2,
    hint=(
        "With 12 steps: 11, 10, …, 1, 0.",
        "for t in range(schedule.timesteps - 1, -1, -1), or reversed(range(schedule.timesteps))",
    ),
)
def every_timestep(impl):
    model, single = toy_model(), of_single(impl, "p_sample_loop", own_ancestral)
    out = drawn(impl, "p_sample_loop")(model, short_schedule(impl), SHAPE)
    return {
        "timesteps": visited(model),
        "shape": list(out.shape),
        "one picture of one channel is p_sample's": single,
        "dtype": str(out.dtype),
    }


@experiment(
    "7.3",
    "Each step is p_sample's, with noise of its own, and the last one adds none",
    points=2,
    hint=(
        "x_t of a step is what the step before returned.",
        "`noise` is where the walk starts. Every step draws other noise: p_sample does, when it is given "
        "none.",
    ),
)
def steps_down(impl):
    model, schedule, start = toy_model(), scheduled(impl, *FEW), normal(*CROWD)
    out = drawn(impl, "p_sample_loop")(model, schedule, CROWD, noise=start)
    noise, steps, last = added_on_the_way(own_ancestral(impl, schedule), model, out)
    return {
        "added in each step": character(noise, steps or None),
        "added in the last": near(last, 1e-3),
        "share of the start in what is added": repeated(noise, steps, start),
    }


@experiment(
    "7.3",
    "Labels, scale, target, clip and variance reach every step",
    points=2,
    hint=(
        "p_sample has all these arguments too: does each of them get what the loop was given?",
        "Positional arguments slip easily: target, variance and clip come in this order.",
    ),
)
def options_reach_the_steps(impl):
    model, few = toy_model(), scheduled(impl, *FEW)
    y = noted(torch.arange(8) % NULL, f"torch.arange(8) % {NULL}")
    options = dict(guidance_scale=0.5, target="v", variance="beta", clip=False)
    given = dict(noise=normal(*CROWD), generator=torch.Generator().manual_seed(5))
    out = drawn(impl, "p_sample_loop")(model, few, CROWD, y, **given, **options)
    noise, steps, _ = added_on_the_way(own_ancestral(impl, few, y, **options), model, out)
    return {
        "one step is p_sample's": as_own_steps(
            impl, "p_sample_loop", own_ancestral, scheduled(impl, 0.8)
        ),
        "added in each step": character(noise, steps or None),
    }


@experiment(
    "7.3",
    "It runs in eval mode and without gradients, and leaves both as they were",
    points=1,
    hint=(
        "A model in training mode draws with dropout. And who trains on afterwards, needs its mode back.",
        "with torch.no_grad(), _eval_mode(model): … around the whole walk.",
    ),
)
def quiet_walk(impl):
    return quiet(impl, "p_sample_loop")


@experiment(
    "7.3",
    "It starts from the noise that it is given, else from standard normal noise of its own",
    points=1,
    hint=(
        "x_T is `noise` when there is some.",
        "x_t = _start(model, shape, noise, generator)",
    ),
)
def starts_from_noise(impl):
    return starting(impl, "p_sample_loop")


@experiment(
    "7.3",
    "All the noise of a walk comes from the generator",
    points=1,
    hint=(
        "The start is drawn, and each step draws: do both get the generator?",
        "p_sample(…, generator=generator). No seed is set anywhere.",
    ),
)
def noise_of_the_walk(impl):
    model, schedule, given = toy_model(), scheduled(impl, *FEW), normal(*SHAPE, seed=1)

    def draw(generator):
        return drawn(impl, "p_sample_loop")(
            model, schedule, SHAPE, noise=given, generator=generator
        )

    return draws(draw)


@experiment(
    "7.3",
    "After each step the callback is told: step, timestep, new x_t, predicted x_0",
    points=1,
    hint=(
        "callback(i, t, x_t, x_0): i counts from 0, t is the timestep that has just been left.",
        "First x_t, x_0 = p_sample(…), then the callback, if there is one.",
    ),
)
def callback_of_the_walk(impl):
    return reported(impl, "p_sample_loop", own_ancestral)


# 7.4


@experiment(
    "7.4",
    "The timesteps fall from T − 1, evenly, and end above −1",
    points=2,
    hint=(
        "Of T = 10 and three steps: 9, 6, 2. Why not 0 at the end? The step after 2 goes to −1.",
        "Divide as real numbers, subtract from T, round, and subtract 1: in this order.",
        "[round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]",
    ),
)
def evenly_spaced(impl):
    # With an odd number of steps there is no exact half, to be rounded up or down or to the even number.
    pairs = ((10, 3), (12, 5), (11, 11), (12, 11), (12, 1), (1000, 25), (1000, 27), (1000, 999))
    # 50 / (50 / 29) is a little above 29: torch.arange with that stride has one number more.
    pairs += ((50, 29),)
    return {
        f"T = {T}, steps = {steps}": torch.tensor([index(t) for t in impl.ddim_timesteps(T, steps)])
        for T, steps in pairs
    }


@experiment(
    "7.4",
    "Fewer than one step, or more than T, is a ValueError",
    points=1,
    hint=(
        "There are only T timesteps to visit, and no timestep is visited twice.",
        "if not 1 <= steps <= timesteps: raise ValueError(…)",
    ),
)
def too_many_steps(impl):
    impl.ddim_timesteps(timesteps=12, steps=12)  # the names are fixed, too
    return {
        f"T = 12, steps = {steps}": raises(lambda steps=steps: impl.ddim_timesteps(12, steps))
        for steps in (12, 0, -3, 13, 24)
    }


# 7.5


@experiment(
    "7.5",
    "A deterministic step mixes x_0 and its noise as they are mixed at t_next",
    points=3,
    hint=(
        "q_sample says how x_0 and noise make up an x_t. Here they make up the one at t_next.",
        "t_next may be far below t, down to 0. Both alpha_bars come from the same table.",
        "x_next = √alpha_bar_next · x_0 + √(1 − alpha_bar_next) · noise_t, at eta = 0.",
    ),
)
def deterministic_step(impl):
    # The picture is small enough for clipping to do nothing.
    step, one = implicit(impl), normal(*SINGLE)
    single = impl.ddim_step(short_schedule(impl), one, 9, 4, normal(*SINGLE, seed=1))
    return {
        "one picture of one channel": of_one(single),
        **{
            f"x, {t} → {t_next}": step(t, t_next, size=0.5)[0]
            for t, t_next in ((11, 10), (11, 4), (9, 6), (2, 0), (1, 0))
        },
    }


@experiment(
    "7.5",
    "After clipping, the noise is computed again from the clipped x_0",
    points=2,
    hint=(
        "Clipping moves x_0. With the old noise, x_0 and noise would no longer add up to x_t.",
        "noise_t = (x_t − √alpha_bar · x_0) / √(1 − alpha_bar), with the clipped x_0.",
    ),
)
def clipped_step(impl):
    step = implicit(impl)
    ways = ((11, 7), (10, 9), (2, 0), (2, 1))
    return both({f"{t} → {t_next}": step(t, t_next, size=2.0) for t, t_next in ways})


@experiment(
    "7.5",
    "The step to −1 ends at x_0: there alpha_bar is 1",
    points=1,
    hint=(
        "No timestep is left, no noise is left: what is alpha_bar then?",
        "alpha_bars[-1] is the last row of the table, pure noise; alpha_bars[0] still has some.",
        "after = schedule.alpha_bars[t_next] if t_next >= 0 else 1.0",
    ),
)
def end_of_the_walk(impl):
    step, noise = implicit(impl), normal(*SHAPE, seed=90)
    found = {
        f"eta = {eta}, {t} → −1": step(t, -1, size=1.5, noise=noise, eta=eta)[0]
        for eta, t in ((0.0, 0), (0.0, 2), (0.0, 11), (1.0, 2), (0.6, 0))
    }
    x, x_0 = step(2, -1, size=1.5, clip=False)
    return {**found, "x − x_0, clip=False, 2 → −1": rms(x - x_0)}


@experiment(
    "7.5",
    "eta brings in noise, with the spread sigma, and takes as much from the old noise",
    points=2,
    hint=(
        "At eta = 1 with t_next = t − 1 this is p_sample's step: sigma² = beta-tilde.",
        "Both factors of sigma are square roots, and eta stands before them. The variances of old and "
        "new noise add up to 1 − alpha_bar_next.",
        "sigma = eta * √((1 − after) / (1 − now)) * √(1 − now / after), "
        "then √(1 − after − sigma²) * noise_t + sigma * noise",
    ),
)
def noisy_step(impl):
    step, noise, found = implicit(impl), normal(*SHAPE, seed=90), {}

    def mixed(t, t_next, eta, **options):
        calm, noisy = (step(t, t_next, eta=e, **options) for e in (0.0, eta))
        return *noisy, calm[0]

    for says, options in {
        "clipped": dict(size=2.0),
        "target='v', clipped": dict(size=2.0, target="v"),
        "target='v', clip=False": dict(size=2.0, target="v", clip=False),
    }.items():
        found[f"x_0 and old noise are mixed as without clipping, {says}"] = mixed_alike(
            mixed(9, 4, 0.5, size=0.5), mixed(9, 4, 0.5, **options)
        )
    # Last, since it is the last call that the report shows.
    for eta, t, t_next in ((0.7, 1, 0), (0.5, 9, 4), (1.0, 11, 10)):
        calm = step(t, t_next, size=0.5)[0]
        noisy = step(t, t_next, size=0.5, noise=noise, eta=eta)[0]
        without = step(t, t_next, size=0.5, eta=eta)[0]
        way = f"eta = {eta}, {t} → {t_next}"
        # As differences, so that this does not depend on what becomes of x_0.
        added = {
            f"x without noise − x at eta = 0, {way}": difference(without, calm),
            f"x with noise − x without, {way}": difference(noisy, without),
        }
        found = {**added, **found}
    return found


@experiment(
    "7.5",
    'clip=False and target="v" are heeded',
    points=1,
    hint=(
        "predict_x0 knows both targets. For the noise, start from x_0 and x_t: they do not depend on it.",
        "A predicted v is no noise: do not use the prediction itself after predict_x0.",
    ),
)
def other_steps(impl):
    step = implicit(impl)
    return both(
        {
            "target='v'": step(9, 4, size=2.0, target="v"),
            "target='v', clip=False": step(9, 4, size=2.0, target="v", clip=False),
            "clip=False": step(9, 4, size=2.0, clip=False),
        }
    )


@experiment(
    "7.5",
    "Noise that is not given is drawn: standard normal, a number for each number, from the generator",
    points=1,
    hint=(
        "As in p_sample: _normal(x_t.shape, x_t.device, generator).",
        "if noise is None: noise = _normal(…)",
    ),
)
def own_noise_of_ddim(impl):
    given = dict(schedule=short_schedule(impl), x_t=normal(*CROWD), t=8, t_next=4)
    given |= dict(prediction=normal(*CROWD, seed=1), eta=1.0)  # by name: the names are fixed, too

    def step(**options):
        return stepped(impl.ddim_step(**given, **options))[0]

    return noise_of(step)


@experiment(
    "7.5",
    "A step that does not go down, or an eta outside 0…1, is a ValueError",
    points=1,
    hint=(
        "ddim_step came with these checks: has one of them been lost?",
        "−1 ≤ t_next < t, and 0 ≤ eta ≤ 1.",
    ),
)
def refused_steps(impl):
    step = implicit(impl)

    def tried(t, t_next, eta):
        return raises(lambda: step(t, t_next, eta=eta))

    ways = ((5, 2, 0.0), (5, 5, 0.0), (5, 6, 0.0), (5, -2, 0.0), (5, 2, -0.1), (5, 2, 1.5))
    return {f"{t} → {t_next}, eta = {eta}": tried(t, t_next, eta) for t, t_next, eta in ways}


# 7.6


def refusing(impl, loop):
    """Whether the loop refuses what ddim_timesteps refuses."""
    draw, schedule, start = drawn(impl, loop), short_schedule(impl), normal(*SHAPE, seed=1)
    refused = raises(lambda: draw(toy_model(), schedule, SHAPE, steps=13, noise=start))
    alone = raises(lambda: impl.ddim_timesteps(12, 13))  # is the matter of 7.4
    return {"13 steps of 12 timesteps": refused if alone == "ValueError" else "ValueError"}


STEPS = {"ddim_sample_loop": 50, "dpm_solver_2m": 20}  # by default


def steps_by_default(impl, loop):
    """How many steps the loop makes of 50 timesteps when it is not told."""
    model, betas = toy_model(), noted(torch.full((50,), 0.05), "torch.full((50,), 0.05)")
    if [index(t) for t in impl.ddim_timesteps(50, 50)] != list(range(49, -1, -1)):
        return STEPS[loop]  # is the matter of 7.4
    drawn(impl, loop)(model, impl.chapter(5).NoiseSchedule(betas), SINGLE)
    return len(visited(model))


@experiment(
    "7.6",
    "The walk goes from one visited timestep to the next, and at last to −1",
    points=3,
    hint=(
        "t_next of a step is t of the step after it, which is not t − 1.",
        "Of 12 timesteps and 5 steps: 11 → 9 → 6 → 4 → 1 → −1.",
        "visited = [*ddim_timesteps(schedule.timesteps, steps), -1], then "
        "for t, t_next in zip(visited[:-1], visited[1:]).",
    ),
)
def deterministic_walk(impl):
    draw, start = drawn(impl, "ddim_sample_loop"), normal(*SHAPE, seed=1)
    twelve, few = short_schedule(impl), scheduled(impl, *FEW)
    found = refusing(impl, "ddim_sample_loop")
    found["steps of 50 timesteps, when none are asked for"] = steps_by_default(
        impl, "ddim_sample_loop"
    )
    found["one picture of one channel is ddim_step's"] = of_single(
        impl, "ddim_sample_loop", own_implicit, steps=1
    )
    # As many steps as timesteps are a walk of DDIM, too.
    for schedule, steps in ((few, 4), (twelve, 5), (twelve, 1)):
        model, step = toy_model(), own_implicit(impl, schedule)
        path = [index(t) for t in impl.ddim_timesteps(schedule.timesteps, steps)]
        if all(t > t_next for t, t_next in pairwise(path)):
            out = draw(model, schedule, SHAPE, None, steps=steps, noise=start)
            same, own = visited(model) == path, step_by_step(step, model, out)
        else:  # No walk can follow it: the matter of 7.4.
            same, own = True, [True] * steps
        found |= {
            f"{steps} steps: the timesteps are those of ddim_timesteps": same,
            f"{steps} steps: each is ddim_step's, from its t to the next": own,
        }
    return found


@experiment(
    "7.6",
    "Labels, scale, target and clip reach every step",
    points=2,
    hint=(
        "guided_prediction takes labels and scale, ddim_step takes eta, target and clip.",
        "Positional arguments slip easily: eta, target and clip come in this order.",
    ),
)
def options_reach_ddim(impl):
    few = short_schedule(impl)

    def own(**how):
        return as_own_steps(impl, "ddim_sample_loop", own_implicit, few, **how)

    single = own(steps=1, eta=0.8)
    return {
        "each step is ddim_step's": own(steps=2),
        "a single step, which adds no noise, with eta=0.8": single,
    }


@experiment(
    "7.6",
    "With eta above 0 each step adds noise of its own, all of it from the generator",
    points=1,
    hint=(
        "ddim_step has an argument eta, and draws noise by itself when it is given none.",
        "ddim_step(schedule, x_t, t, t_next, prediction, eta, target, clip, generator=generator)",
    ),
)
def noisy_walk(impl):
    model, schedule, start = toy_model(), short_schedule(impl), normal(*CROWD)
    out = drawn(impl, "ddim_sample_loop")(model, schedule, CROWD, steps=4, eta=0.8, noise=start)
    noise, steps, last = added_on_the_way(own_implicit(impl, schedule, eta=0.8), model, out)

    few, given = scheduled(impl, *FEW), normal(*SHAPE, seed=1)

    def draw(generator):
        return drawn(impl, "ddim_sample_loop")(
            *(model, few, SHAPE), steps=3, eta=1.0, noise=given, generator=generator
        )

    guided = [
        drawn(impl, "ddim_sample_loop")(
            *(toy_model(), few, SHAPE, some_labels()),
            **dict(steps=3, eta=1.0, guidance_scale=3.0, noise=given),
        )
        for _ in range(2)
    ]
    return {
        "with labels and guidance_scale=3 there is noise, too": not torch.equal(*guided),
        "added in each step": character(noise, steps or None),
        "added in the last": near(last, 1e-3),
        "share of the start in what is added": repeated(noise, steps, start),
        "sources": draws(draw),
    }


@experiment(
    "7.6",
    "It runs in eval mode and without gradients, and leaves both as they were",
    points=1,
    hint=(
        "As in p_sample_loop.",
        "with torch.no_grad(), _eval_mode(model): … around the whole walk.",
    ),
)
def quiet_ddim(impl):
    return quiet(impl, "ddim_sample_loop", steps=3)


@experiment(
    "7.6",
    "It starts from the noise that it is given, else from standard normal noise of its own",
    points=1,
    hint=(
        "x_T is `noise` when there is some.",
        "x_t = _start(model, shape, noise, generator)",
    ),
)
def ddim_starts_from_noise(impl):
    return starting(impl, "ddim_sample_loop", steps=1)


@experiment(
    "7.6",
    "After each step the callback is told: step, timestep, new x_t, predicted x_0",
    points=1,
    hint=(
        "callback(i, t, x_t, x_0): i counts from 0, t is the timestep that has just been left.",
        "First x_t, x_0 = ddim_step(…), then the callback, if there is one.",
    ),
)
def callback_of_ddim(impl):
    return reported(impl, "ddim_sample_loop", own_implicit, steps=3)


# 7.7


@experiment(
    "7.7",
    "Twice the steps, a quarter of the error: second order",
    points=3,
    hint=(
        "With D = x_0 in every step this is DDIM: first order, half the error. What does the x_0 of the "
        "step before tell about where x_0 is going?",
        "h is that of this step, h_before that of the step before, and r = h_before / h. Both are positive.",
        "d = x_0 + h / (2 * h_before) * (x_0 - x_0_before), except in the first step.",
    ),
    star=True,
)
def second_order(impl):
    found = {}
    for name, jump in (("even steps", 0.0), ("uneven steps", 0.5)):
        sizes, ends = [], []
        for n in (16, 32):
            schedule = uneven(impl, n, jump)
            model, start = Gaussian(schedule), images(1, 1, 2, 4, seed=3)
            drawn(impl, "dpm_solver_2m")(
                model, schedule, start.shape, steps=n, clip=False, noise=start
            )
            errors = model.errors()
            sizes.append(bounded(errors.abs().max(), 1e3) + 1e-9)
            ends.append(n * bounded(errors[-1], 1.0))
        found |= {
            f"{name}: order": near(min(max(math.log2(sizes[0] / sizes[1]), 0), 3), 0.5),
            # n · error as it would be for very many steps: 0 when the order is above 1.
            f"{name}: first-order part": near(bounded(2 * ends[1] - ends[0], 9), 0.1),
            # Where it goes astray; it tells one such mistake from another. Of right ones it is below −2.
            f"{name}: digits of the error": near(max(math.log10(sizes[0]), -1.5), 0.1),
        }
    return found


@experiment(
    "7.7",
    "It starts, reports and ends as the other loops do",
    points=1,
    hint=(
        "The frame is that of 7.6: timesteps, eval mode, no gradients, the start, the callback, the options.",
        "With steps=1 all there is is the last step: its result is the predicted picture, clipped.",
    ),
    star=True,
)
def frame_of_the_solver(impl):
    schedule, start = short_schedule(impl), normal(*SHAPE, seed=1)

    def one_step(y, **options):
        return drawn(impl, "dpm_solver_2m")(
            toy_model(), schedule, SHAPE, y, steps=1, noise=start, **options
        )

    return {
        **refusing(impl, "dpm_solver_2m"),
        "steps of 50 timesteps, when none are asked for": steps_by_default(impl, "dpm_solver_2m"),
        "one step": under_options(one_step),
        "modes": quiet(impl, "dpm_solver_2m", steps=3),
        "start": starting(impl, "dpm_solver_2m", steps=1),
        "callback": reported(impl, "dpm_solver_2m", steps=3),
    }


@experiment(
    "7.7",
    "Each step is made of x_t, of x_0 as the options have it, and of those before; no chance is in it",
    points=1,
    hint=(
        "Labels, scale, target and clip belong into every step, not into the first alone.",
        "x_0_before is the clipped one, too. D and x_next are not clipped, and no noise is added.",
    ),
    star=True,
)
def steps_of_the_solver(impl):
    schedule, start = short_schedule(impl), normal(*SHAPE, seed=1)
    found, draw = {}, drawn(impl, "dpm_solver_2m")

    def mixed(y, **options):
        model, known, found = toy_model(), [], []
        out = draw(model, schedule, SHAPE, y, steps=5, noise=start, **options)
        for t, x, t_next, after in way_of(model, out):
            x_0 = pictured(schedule, x, t, y, **options)
            known = [x, x_0, *known[:2]]
            # By which weights is free: of D, or of the noise that goes with it.
            found.append(weights_of([after, *known] if t_next >= 0 else [after, x_0])[1] < 1e-4)
        return found

    ends = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        ends.append(draw(toy_model(), schedule, SHAPE, steps=5, noise=start))
    found["a seed is set"] = torch.initial_seed() != 2
    found["after another torch.manual_seed, the same picture"] = torch.equal(*ends)
    return {**found, "each step is made of x_t, x_0 and those before": under_options(mixed)}
