"""Chapter 8: training.

The loop is observed from outside: the grader hands in model, optimiser, schedule, scaler and average, which
keep account of what is done with them, and the batches; chapter 6's `training_step` and `p_losses` are
replaced by ones whose loss does not depend on chance. What comes out is then a matter of values: the weights
after an epoch tell in which order things were done. A plain descent is used, since AdamW hides how long a
gradient was.

Devices are observed on a pretended one (`checks.fake_device`), which is there on every machine.
"""

import math
import tempfile
import weakref
from contextlib import chdir, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

from torch import nn
from torch.overrides import TorchFunctionMode

from checks import experiment, fake_device
from checks.fake_device import on_the_device
from checks.lab import *
from checks.lab import conditions, noted, without_compiler

fake_device.plug_in()
without_compiler()

NULL = 7  # the null label: 7 classes, and no number of images, channels, rows or columns
SIZES = (5, 5, 2)  # the last batch is smaller


class Layer(nn.Module):
    """Gives 1.3 times as much in training mode, as dropout might."""

    def forward(self, x):
        return 1.3 * x if self.training else x


def seeded(seed):
    """Seed the processor's generator alone: torch.manual_seed spends a millisecond on those of GPUs."""
    torch.default_generator.manual_seed(seed)


def mode_of(model):
    """The mode of a model and of all that is inside it."""
    found = {module.training for module in model.modules()}
    return "mixed" if len(found) > 1 else "training" if True in found else "eval"


class Net(nn.Module):
    """A model of eight numbers in two parameters, with two buffers and a layer that minds the mode.

    One of the parameters and one of the buffers are those of the layer inside.
    """

    def __init__(self, seed=0):
        super().__init__()
        self.scale = nn.Parameter(normal(4, seed=10 + seed))
        self.register_buffer("offset", normal(4, seed=30 + seed))
        self.layer = Layer()
        self.layer.shift = nn.Parameter(normal(4, seed=20 + seed))
        self.layer.register_buffer("count", torch.tensor(3 + seed))
        self.modes = []  # at each call

    @property
    def shift(self):
        return self.layer.shift

    @property
    def count(self):
        return self.layer.count

    def forward(self, x, t, y=None):
        self.modes.append(mode_of(self))
        scale, shift, offset = (
            v.reshape(1, 4, 1, 1) for v in (self.scale, self.shift, self.offset)
        )
        t, y = (v.to(x.dtype).reshape(-1, 1, 1, 1) for v in (t, y))
        return self.layer(
            torch.tanh(scale * x + 0.3 * torch.sin(t)) + shift * torch.cos(y) + offset
        )


def net(seed=0):
    return noted(Net(seed), f"Net({seed})")


def weights(model):
    """The eight numbers of a net."""
    return torch.cat([model.scale.detach(), model.shift.detach()]).cpu().clone()


def filled_with(model, seed):
    """Other numbers in place of a net's own, as if training had gone on."""
    with torch.no_grad():
        model.scale.copy_(normal(4, seed=40 + seed))
        model.shift.copy_(normal(4, seed=50 + seed))
        model.offset.copy_(normal(4, seed=60 + seed))
        model.count.fill_(100 + seed)


class Descent(torch.optim.Optimizer):
    """Descent with momentum. `rates` and `gradients` have what each step found, after a call of `watch`.

    `apart`: each parameter is a group of its own.
    """

    def __init__(self, model, rate=0.2, momentum=0.5, apart=False):
        groups = [{"params": [p]} for p in model.parameters()]
        parameters = groups if apart else list(model.parameters())
        super().__init__(parameters, {"lr": rate, "momentum": momentum})
        self.rates, self.gradients, self.watch = [], [], lambda: None

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.watch()
        found = []
        for group in self.param_groups:
            self.rates.append(group["lr"])
            for p in group["params"]:
                gradient = torch.zeros_like(p) if p.grad is None else p.grad
                found.append(gradient.detach().flatten().cpu().clone())
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].mul_(group["momentum"]).add_(p.grad)
                p.add_(state["momentum"], alpha=-group["lr"])
        self.gradients.append(torch.cat(found))
        return loss


def falling(optimizer):
    """A learning rate that is another one after each step."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))


class Average:
    """In the place of an ExponentialMovingAverage: `seen` has the weights at each update."""

    def __init__(self):
        self.seen = []

    def update(self, model):
        self.seen.append(weights(model))

    @contextmanager
    def applied(self, model):
        yield model


def batches(*sizes, seed=0):
    """A loader: (x_0, y) for each size."""
    return [
        (
            images(n, 4, 2, 3, seed=seed + k),
            noted(torch.arange(n) * 3 % NULL, f"torch.arange({n}) * 3 % {NULL}"),
        )
        for k, n in enumerate(sizes)
    ]


class Walks(list):
    """A loader that counts the walks over it."""

    walks = 0

    def __iter__(self):
        self.walks += 1
        return super().__iter__()


class Losses:
    """What takes the place of chapter 6's training_step and p_losses, and keeps account of the calls.

    Args:
        size: the loss is this many times as large.
        chance: adds random numbers to the pictures, from the generator given or else torch's global one.
        rising: the validation loss grows with each step of training.
    """

    def __init__(self, size=1.0, chance=0.0, rising=False):
        self.size, self.chance, self.rising = size, chance, rising
        self.trained, self.validated, self.graphs = [], [], []
        self.backwards = 0
        self.factors = []  # by which each loss was multiplied before backward, on the CPU

    def training_step(
        self,
        model,
        schedule,
        x_0,
        y,
        null_label,
        label_dropout=0.1,
        target="noise",
        min_snr_gamma=None,
        generator=None,
    ):
        alive = sum(graph() is not None for graph in self.graphs)
        told = {"null label": null_label, "label dropout": label_dropout, "target": target}
        told["min_snr_gamma"] = min_snr_gamma
        self.trained.append({"x": x_0, "y": y, "alive": alive, "schedule": schedule, **told})
        where = model.scale.device
        if self.chance:
            drawn = torch.rand(x_0.shape, generator=generator)
            self.trained[-1]["drawn"] = float(drawn.flatten()[0])
            x_0 = x_0 + self.chance * drawn
        x_0, y = x_0.to(where), y.to(where)
        prediction = model(x_0, torch.arange(len(x_0), device=where), y)
        if prediction.requires_grad:
            error = (prediction - 2 * x_0).detach()
            slope = error.norm() * 2 * self.size / error.numel() if where.type == "cpu" else None
            prediction.register_hook(self._count(slope))
        return (prediction - 2 * x_0).square().mean() * self.size

    def _count(self, slope):
        """Counts the backward passes, and lives as long as the graph that it hangs on."""

        def hook(gradient):
            self.backwards += 1
            if slope is not None:
                self.factors.append(float(gradient.norm() / slope))

        self.graphs.append(weakref.ref(hook))
        return hook

    def p_losses(self, model, schedule, x_0, t, y, noise=None, target="noise", min_snr_gamma=None):
        told = {"target": target, "mode": mode_of(model), "gradients": torch.is_grad_enabled()}
        self.validated.append(
            {"x": x_0, "t": t, "y": y, "noise": noise, "schedule": schedule, **told}
        )
        where = model.scale.device
        x_0, y = x_0.to(where), (torch.full_like(t, NULL) if y is None else y).to(where)
        prediction = model(x_0, torch.arange(len(x_0), device=where), y)
        worse = 1 + len(self.trained) if self.rising else 1
        return (prediction - 2 * x_0).square().mean() * self.size * worse


in_use = []  # the losses that the chapter's code meets at the moment
rebuilt = weakref.WeakKeyDictionary()


def training_step(*args, **kwargs):
    return in_use[0].training_step(*args, **kwargs)


def p_losses(*args, **kwargs):
    return in_use[0].p_losses(*args, **kwargs)


def with_losses(impl, losses):
    """The chapter with these losses in the place of chapter 6's; made anew only once, which takes time."""
    in_use[:] = [losses]
    if impl not in rebuilt:
        rebuilt[impl] = impl.rebuilt(training_step=training_step, p_losses=p_losses)
    rebuilt[impl].calls = impl.calls
    return rebuilt[impl]


def an_epoch(impl, losses, model, loader, optimizer, **options):
    """train_one_epoch with the losses; clipping is out of the way unless asked for."""
    return with_losses(impl, losses).train_one_epoch(
        model, loader, short_schedule(impl), optimizer, NULL, **{"grad_clip": 1e9, **options}
    )


@contextmanager
def accelerators(cuda, mps):
    """Within it, torch says that these are there, whichever way it is asked."""
    best = "cuda" if cuda else "mps" if mps else None
    answers = [
        (torch.cuda, "is_available", cuda),
        (torch.cuda, "device_count", int(cuda)),
        (torch.backends.mps, "is_available", mps),
        (torch.backends.mps, "is_built", mps),
        (getattr(torch, "mps", None), "is_available", mps),
        (getattr(torch, "mps", None), "device_count", int(mps)),
        (getattr(torch, "accelerator", None), "is_available", best is not None),
        (getattr(torch, "accelerator", None), "device_count", int(best is not None)),
        (
            getattr(torch, "accelerator", None),
            "current_accelerator",
            torch.device(best) if best else None,
        ),
    ]
    if cuda:
        card = SimpleNamespace(name="a GPU", total_memory=2**34, major=9, minor=0)
        answers += [
            (torch.cuda, "current_device", 0),
            (torch.cuda, "get_device_name", card.name),
            (torch.cuda, "get_device_capability", (card.major, card.minor)),
            (torch.cuda, "get_device_properties", card),
        ]
    before = [(o, n, getattr(o, n)) for o, n, _ in answers if o is not None and hasattr(o, n)]
    for owner, name, answer in answers:
        if owner is not None and hasattr(owner, name):
            setattr(owner, name, lambda *_, answer=answer, **__: answer)
    there = {name for name, is_there in (("cuda", cuda), ("mps", mps)) if is_there}
    try:
        with _Accelerators(there):
            yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


class _Accelerators(TorchFunctionMode):
    """While it lasts, tensors can be made on these devices, or moved there, and on no other."""

    def __init__(self, there):
        super().__init__()
        self.kinds = {name: self.kind(name) for name in there}

    @staticmethod
    def kind(name):
        """A kind of tensor that says that it is there."""
        device = property(lambda _: torch.device(name, 0))
        return type("Tensor", (torch.Tensor,), {"device": device})

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), getattr(function, "__name__", "")
        places = [kwargs.get("device"), *(args[1:] if name == "to" else ())]
        if name in ("cuda", "mps"):
            function, args, kwargs, places = torch.Tensor.to, (args[0], name), {}, [name]
        asked = [torch.device(p) for p in places if isinstance(p, str | torch.device)]
        if not asked or asked[0].type not in ("cuda", "mps"):
            return function(*args, **kwargs)
        if asked[0].type == "cuda" and "cuda" not in self.kinds:
            # A torch that was built without CUDA says so in this way.
            raise AssertionError("Torch not compiled with CUDA enabled")
        if asked[0].type not in self.kinds or asked[0].index:
            raise RuntimeError(f"There is no device {asked[0]}.")
        args = ["cpu" if isinstance(a, str | torch.device) else a for a in args]
        kwargs |= {"device": "cpu"} if "device" in kwargs else {}
        return function(*args, **kwargs).as_subclass(self.kinds[asked[0].type])


def kind(device):
    """A device as text; anything else as what it is."""
    return device.type if isinstance(device, torch.device) else f"a {type(device).__name__}"


@experiment(
    "8.1",
    "The best device there is: CUDA, else MPS, else the CPU",
    points=1,
    hint=(
        "Ask for CUDA first, and for MPS only when there is none.",
        'Return a torch.device, not its name: torch.device("cuda").',
    ),
)
def best_device(impl):
    found = {}
    for cuda, mps in ((True, True), (True, False), (False, True), (False, False)):
        with accelerators(cuda, mps):
            found[f"CUDA {cuda}, MPS {mps}"] = kind(impl.select_device())
    return found


@experiment(
    "8.1",
    "A device by its name; one that is not there is a ValueError",
    points=1,
    hint=(
        "A name goes before everything else: whoever says cpu on a machine with a GPU wants the CPU.",
        'torch.device("cuda:99") is made without a murmur on any machine. Only a tensor shows whether the '
        "device is there: torch.empty(0, device=name).",
        "try: return torch.empty(0, device=name).device, except (RuntimeError, AssertionError) as error: "
        "raise ValueError(…) from error.",
    ),
)
def device_by_name(impl):
    with accelerators(True, True):
        found = {name: kind(impl.select_device(name)) for name in ("cpu", "mps", "cuda:0")}
        found["cuda:99, beside another"] = raises(lambda: impl.select_device("cuda:99"))
    wrong = ("nonsense", "cuda:99")
    found |= {name: raises(lambda n=name: impl.select_device(n)) for name in wrong}
    with accelerators(False, False):
        for name in ("cuda", "mps"):
            found[f"{name}, where there is none"] = raises(lambda n=name: impl.select_device(n))
    return found


def settings(optimizer, model):
    """The learning rate, betas and decay that each of a net's two parameters is under."""
    found = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    rows = []
    for p in model.parameters():
        group = found.get(id(p), {})
        rate, decay = (float(group.get(key, -1)) for key in ("lr", "weight_decay"))
        rows.append([rate, *map(float, group.get("betas", (-1, -1))), decay])
    return rows


@experiment(
    "8.2",
    "AdamW, with the learning rate, betas and weight decay that are given",
    points=1,
    hint=(
        "Which arguments does the function take, and does each of them arrive?",
        "torch.optim.AdamW has names of its own for them: lr, betas, weight_decay.",
    ),
)
def adamw(impl):
    model = net()

    def in_words(made):
        rate, first, second, decay = settings(made, model)[0]
        return told(f"lr {rate:g}, betas {first:g} and {second:g}, weight_decay {decay:g}")

    optimizer = impl.make_optimizer(model, 3e-3, betas=(0.8, 0.95), weight_decay=0.3)
    given = in_words(optimizer)
    plain = in_words(impl.make_optimizer(model, 2e-3))
    without = in_words(impl.make_optimizer(model, 2e-3, weight_decay=0.0))
    group = optimizer.param_groups[0]
    # Newer versions of torch have AdamW as a kind of Adam, with a switch.
    decoupled = isinstance(optimizer, torch.optim.AdamW) or bool(
        group.get("decoupled_weight_decay")
    )
    return {
        "AdamW": decoupled,
        "given": given,
        "by default": plain,
        "without weight decay": without,
        "eps": f"{group.get('eps', -1):g}",  # as text: of numbers so small, any two would be equal
        "amsgrad": bool(group.get("amsgrad")),
        "maximize": bool(group.get("maximize")),
    }


@experiment(
    "8.2",
    "All parameters of the model, under the same settings",
    points=1,
    hint=(
        "A parameter that the optimiser does not hold never learns, and nobody tells you.",
        "model.parameters() gives all of them, those of the layers inside too.",
    ),
)
def all_parameters(impl):
    model = nn.Sequential(net(1), nn.Sequential(nn.Linear(3, 2), nn.GroupNorm(1, 2)))
    optimizer = impl.make_optimizer(model, 3e-3, betas=(0.8, 0.95), weight_decay=0.3)
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    return {
        "held": [held.count(id(p)) for p in model.parameters()],
        "of others": len(set(held) - {id(p) for p in model.parameters()}),
        "settings": settings(optimizer, model),
    }


def inside(ema, model):
    """The numbers that a model has while the average is applied: parameters, buffers."""
    with ema.applied(model):
        return numbers(model)


def tensors_in(thing):
    """All tensors that something keeps: of its modules, and in lists and dictionaries."""
    if isinstance(thing, nn.Module):
        thing = [*thing.parameters(), *thing.buffers()]
    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, list | tuple | dict):
        for inner in thing.values() if isinstance(thing, dict) else thing:
            yield from tensors_in(inner)


def numbers(model):
    return {
        "weights": weights(model),
        "offset": model.offset.cpu().clone(),
        "count": int(model.count),
    }


@experiment(
    "8.3",
    "It starts as a copy, with numbers of its own, and leaves the model alone",
    points=1,
    hint=(
        "Before the first update the average is what the model was when the average was made.",
        "Keeping the parameters themselves is no copy: when training changes them, it changes the average.",
        "self.average = copy.deepcopy(model).eval().requires_grad_(False): eval() and requires_grad_() on "
        "the copy, not on the model.",
    ),
)
def starts_as_a_copy(impl):
    model = net()
    ema = impl.ExponentialMovingAverage(model, 0.99)
    facts = {
        "the model's mode": mode_of(model),
        "the model learns": [p.requires_grad for p in model.parameters()],
    }
    filled_with(model, 1)
    average = inside(ema, model)["weights"]
    other = net(3)
    ema.update(other)
    return {
        "the mode of a model after an update from it": mode_of(other),
        **facts,
        "average": average,
        "the model, after an update from another one": weights(model),
    }


@experiment(
    "8.3",
    "Each update is decay · average + (1 − decay) · parameter, with a decay that warms up",
    points=3,
    hint=(
        "The average moves slowly: most of it stays, a little of the model comes in.",
        "decay_i = min(decay, (1 + i) / (10 + i)), i = 0 at first: 1/10, 2/11, 3/12, …",
        "mine.mul_(decay).add_(its, alpha=1 - decay) for each pair of parameters, then self.updates += 1.",
    ),
)
def moves_slowly(impl):
    model = net()
    found = {}
    slow, quick = (impl.ExponentialMovingAverage(model, decay) for decay in (0.99, 0.2))
    for decay, ema in ((0.99, slow), (0.2, quick)):
        for i in range(4):
            filled_with(model, i)
            ema.update(model)
            found[f"decay {decay}, update {i}"] = inside(ema, model)["weights"]
    for i in range(4, 25):
        filled_with(model, i)
        slow.update(model)
    found["decay 0.99, update 24"] = inside(slow, model)["weights"]
    kept = tensors_in(getattr(slow, "__dict__", {}))
    return {**found, "tensors that keep a graph": sum(v.grad_fn is not None for v in kept)}


@experiment(
    "8.3",
    "Buffers are copied as they are",
    points=1,
    hint=(
        "A buffer may count things, or hold a table: an average of it means nothing.",
        "for mine, its in zip(self.average.buffers(), model.buffers()): mine.copy_(its)",
    ),
)
def buffers_are_copied(impl):
    model = net()
    ema = impl.ExponentialMovingAverage(model, 0.99)
    found = []
    for i in range(3):
        filled_with(model, i)
        ema.update(model)
        seen = inside(ema, model)
        found.append({"offset": seen["offset"], "count": seen["count"]})
    return found


@experiment(
    "8.3",
    "Applied, the model has the average; afterwards its own numbers again, whatever happens",
    points=2,
    hint=(
        "model.state_dict() does not copy: what it holds are the weights themselves.",
        "`finally` also runs when something between try and it raises an error.",
        "own = copy.deepcopy(model.state_dict()); model.load_state_dict(…the average's…); try: yield model; "
        "finally: model.load_state_dict(own)",
    ),
)
def applied_and_taken_back(impl):
    model = net()
    parameters = list(model.parameters())
    ema = impl.ExponentialMovingAverage(model, 0.99)
    filled_with(model, 1)
    ema.update(model)
    filled_with(model, 2)
    during = inside(ema, model)
    after = numbers(model) | {"mode": mode_of(model)}
    another = net(4).eval()
    in_another = inside(ema, another) | {"mode": mode_of(another)}
    filled_with(model, 3)

    def fails():
        with ema.applied(model):
            raise ZeroDivisionError

    came_out = raises(fails)
    failed = numbers(model)
    model.train(conditions.train)
    ema.update(model)
    return {
        "inside": during,
        "afterwards": after,
        "inside, with another model": in_another,
        "after an error": failed,
        "the error that comes out": came_out,
        "the average, one update later": inside(ema, model),
        "the model learns": [p.requires_grad for p in model.parameters()],
        "its parameters are those that an optimiser holds": [
            p is was for p, was in zip(model.parameters(), parameters, strict=True)
        ],
    }


@experiment(
    "8.3",
    "A decay outside [0, 1) is a ValueError",
    points=1,
    hint=(
        "__init__ was given to you with this check: has it been lost?",
        "With a decay of 1 the average would never move.",
    ),
)
def wrong_decay(impl):
    cases = (-0.1, 1.0, 1.5, 0.0, 0.999)
    return {
        f"decay {d}": raises(lambda d=d: impl.ExponentialMovingAverage(net(), d)) for d in cases
    }


@experiment(
    "8.3",
    "On a GPU, the average lives where the model does",
    points=1,
    hint=(
        "The copy of a model is on the device of the model; leave it there.",
        "A copy on the CPU cannot be averaged with weights on the GPU.",
    ),
)
def average_on_a_device(impl):
    def run():
        found = []
        for where in ("cpu", fake_device.NAME):
            model = net().to(where)
            ema = impl.ExponentialMovingAverage(model, 0.9)
            for i in range(2):
                filled_with(model, i)
                ema.update(model)
            filled_with(model, 2)
            found += [inside(ema, model)["weights"], weights(model)]
        on_cpu, own_on_cpu, on_device, own_on_device = found
        return {
            "the average is that of the CPU": torch.allclose(on_cpu, on_device, atol=1e-5),
            "the model has its own weights afterwards": torch.equal(own_on_cpu, own_on_device),
        }

    right = ("the average is that of the CPU", "the model has its own weights afterwards")
    return on_the_device(run, dict.fromkeys(right, True))


@experiment(
    "8.4",
    "With each batch: clear the gradients, loss, backward, step",
    points=2,
    hint=(
        "backward() adds to the gradients that are there: who clears them, and when?",
        "zero_grad() may come before the loss or after the step, but not between backward and step.",
        "optimizer.zero_grad(); loss = training_step(…); loss.backward(); …; optimizer.step(), all of it "
        "inside the loop.",
    ),
)
def one_step_a_batch(impl):
    losses, model, loader = Losses(), net(), Walks(batches(*SIZES))
    optimizer = Descent(model)
    passes = []
    optimizer.watch = lambda: passes.append(losses.backwards)
    an_epoch(impl, losses, model.eval(), loader, optimizer)
    again = net()
    twice = Descent(again)
    for _ in range(2):  # the second epoch finds gradients there
        an_epoch(impl, Losses(), again, batches(2), twice)
    return {
        "walks over the loader": loader.walks,
        "weights": weights(model),
        "backward passes before each step": passes,
        "mode at each loss": model.modes,
        "weights after two epochs": weights(again),
    }


def gradients_found(impl, optimizer):
    """What the steps found, (steps, 8), with the call that made them."""
    found = torch.stack(optimizer.gradients or [torch.zeros(8)])
    return noted(found, impl.calls.made[-1])


@experiment(
    "8.4",
    "The gradient of all parameters together is scaled down to grad_clip",
    points=2,
    hint=(
        "Clipping comes between backward and step: it works on the gradients that are there.",
        "One norm is taken over all parameters. A shorter gradient stays as it is; so does the direction.",
        "nn.utils.clip_grad_norm_(model.parameters(), grad_clip)",
    ),
)
def clipped_by_norm(impl):
    found = {}
    for clip, size in ((0.5, 1.0), (0.5, 0.02), (2.0, 5.0)):
        model = net()
        optimizer = Descent(model, apart=True)
        loader = batches(5, 2)
        an_epoch(impl, Losses(size), model, loader, optimizer, grad_clip=clip)
        found[f"grad_clip {clip}, the loss times {size}"] = {
            "gradients at each step": gradients_found(impl, optimizer),
            "weights": weights(model),
        }
    return found


@experiment(
    "8.4",
    "The schedule of the learning rate and the average follow each step of the optimiser",
    points=2,
    hint=(
        "The first step is made with the first learning rate: the schedule moves on after it.",
        "Both belong into the loop over batches, after optimizer.step(): the average is of the new weights.",
    ),
)
def after_the_step(impl):
    losses, model = Losses(), net()
    optimizer, average = Descent(model), Average()
    schedule = falling(optimizer)
    kept = []
    optimizer.register_step_post_hook(lambda *_: kept.append(weights(model)))
    an_epoch(
        *(impl, losses, model, batches(*SIZES), optimizer),
        lr_schedule=schedule,
        ema=average,
    )
    another, alone = net(), Average()
    an_epoch(impl, Losses(), another, batches(*SIZES), Descent(another), ema=alone)
    last = net()
    descent = Descent(last)
    an_epoch(impl, Losses(), last, batches(*SIZES), descent, lr_schedule=falling(descent))
    return {
        "learning rates": optimizer.rates,
        "learning rate in the end": optimizer.param_groups[0]["lr"],
        "averaged": average.seen,
        "times averaged without a schedule": len(alone.seen),
        "learning rates without an average": descent.rates,
        "weights after each step": kept,
        "mode at each loss": model.modes,
    }


@experiment(
    "8.4",
    "The loss of the epoch is the mean over its images",
    points=1,
    hint=(
        "A batch of 2 images counts for less than one of 5.",
        "Add up loss · B, and divide by the number of images in the end. float(…) makes a number of it.",
    ),
)
def mean_over_images(impl):
    found = {}
    for sizes in ((5, 2), (1, 6)):
        losses, model = Losses(), net()
        found[str(list(sizes))] = an_epoch(
            impl, losses, model, batches(*sizes), Descent(model, rate=0.0)
        )
    return found


@experiment(
    "8.4",
    "training_step is told everything and draws anew, and on_step hears what became of it",
    points=1,
    hint=(
        "Compare the call with the signature of chapter 6's training_step: null label, dropout, target. "
        "And is a seed set anywhere?",
        "on_step(len(x_0), loss.detach()): the number of images and the loss, without its graph.",
    ),
)
def everything_is_told(impl):
    losses, model, steps = Losses(), net(), []
    loader, optimizer = batches(*SIZES), Descent(model)

    def on_step(n, loss):
        is_tensor = isinstance(loss, torch.Tensor)
        steps.append(
            {
                "images": int(n),
                "loss": float(loss),
                "the loss is a tensor": is_tensor,
                "with its graph": is_tensor and loss.requires_grad,
                "steps made before": len(optimizer.gradients),
            }
        )

    an_epoch(
        *(impl, losses, model, loader, optimizer),
        target="v",
        label_dropout=0.35,
        on_step=on_step,
    )
    plain, model = Losses(size=5.0), net()
    by_default = Descent(model)
    with_losses(impl, plain).train_one_epoch(
        model, loader[:1], short_schedule(impl), by_default, null_label=NULL
    )
    gradient = gradients_found(impl, by_default)
    drawn = []
    for seed in (1, 2):
        seeded(seed)
        by_chance, model = Losses(chance=1.0), net()
        for _ in range(2):
            an_epoch(impl, by_chance, model, batches(3), Descent(model))
        drawn.append([call["drawn"] for call in by_chance.trained])
    keys = ("null label", "label dropout", "target", "min_snr_gamma")
    return {
        "told": [{key: call[key] for key in keys} for call in losses.trained],
        "told by default": [{key: call[key] for key in keys} for call in plain.trained],
        "gradient by default": gradient,
        "pictures": [call["x"] for call in losses.trained],
        "labels": [call["y"] for call in losses.trained],
        "on_step": steps,
        "random numbers that come again in the next epoch": repeats(drawn[0]),
        "random numbers that come again after another seed": shared(*drawn),
    }


def repeats(drawn):
    return len(drawn) - len(set(drawn))


def shared(drawn, others):
    return len(set(drawn) & set(others))


@experiment(
    "8.4",
    "No graph outlives its step",
    points=1,
    hint=(
        "`total += loss` keeps the graph of every batch, and the memory it needs, until the epoch is over.",
        "loss.detach() has the number without the graph; so has loss.item().",
    ),
)
def no_graph_is_kept(impl):
    losses, model = Losses(), net()
    an_epoch(impl, losses, model, batches(3, 3, 3, 3), Descent(model))
    # The last loss may still be there when the next one is made.
    return {
        "earlier graphs at each loss": [max(0, call["alive"] - 1) for call in losses.trained],
        "losses with a graph": len(losses.graphs),
    }


@contextmanager
def telling_first(found, right):
    """Where something was found in the wrong place, an error that follows from it says less."""
    try:
        yield
    except RuntimeError as error:
        arrived = all(found[key] for key in found)
        if fake_device.is_to_blame(error) or not arrived or found == right:
            raise


def places(calls, *names):
    """On which kinds of device the tensors of these names were, over all calls."""
    return {
        name: sorted({v.device.type if isinstance(v, torch.Tensor) else str(v) for v in values})
        for name in names
        for values in [[call[name] for call in calls]]
    }


def tables_at(calls):
    """Where the tables of the schedules are that were handed on."""
    return sorted({call["schedule"].alpha_bars.device.type for call in calls})


@experiment(
    "8.4",
    "On a GPU, everything is moved to the model's device",
    points=2,
    hint=(
        "The device is that of the model's parameters; loaders give batches on the CPU.",
        "x_0 and y both have to move, and so do the schedule's tables: schedule.to(device). What you add up "
        "in has to be there too, or be a plain number.",
        "device = next(model.parameters()).device; x_0, y = x_0.to(device), y.to(device); "
        "total = torch.zeros((), device=device), or total += loss.item() * len(x_0).",
    ),
)
def training_on_a_device(impl):
    here = [fake_device.NAME]
    right = {"pictures": here, "labels": here, "tables of the schedule": here, "loss": True}

    def run():
        losses, model = Losses(), net().to(fake_device.NAME)
        found = dict(right)
        with telling_first(found, right):
            try:
                mean = an_epoch(impl, losses, model, batches(3), Descent(model))
                found["loss"] = isinstance(mean, float) and math.isfinite(mean)
            finally:
                at = places(losses.trained, "x", "y")
                found |= {"pictures": at["x"], "labels": at["y"]}
                found["tables of the schedule"] = tables_at(losses.trained)
        return found

    return on_the_device(run, right)


def a_validation(impl, losses, model, loader, **options):
    return with_losses(impl, losses).validate(model, loader, short_schedule(impl), **options)


@experiment(
    "8.5",
    "The mean over all images of the loader, for the target that is asked for",
    points=1,
    hint=(
        "A batch of 2 images counts for less than one of 5.",
        "loss.item() · B, added up, and divided by the number of images.",
    ),
)
def validation_mean(impl):
    found = {}
    for sizes, options in ((SIZES, {}), ((1, 6), {"target": "v"})):
        losses = Losses()
        mean = a_validation(impl, losses, net(), batches(*sizes), **options)
        found[str(list(sizes))] = {
            "mean": mean,
            "targets": [call["target"] for call in losses.validated],
            "pictures": [call["x"] for call in losses.validated],
        }
    return found


@experiment(
    "8.5",
    "Timesteps and noise follow from the seed, and are new for every image",
    points=2,
    hint=(
        "Two validations have to differ by the model only; within one, images should not all be asked the "
        "same.",
        "A torch.Generator of your own, seeded once before the loop, is where both come from.",
        "t = sample_timesteps(len(x_0), schedule.timesteps, generator=generator) and "
        "noise = torch.randn(x_0.shape, generator=generator).",
    ),
)
def fixed_by_the_seed(impl):
    loader = batches(1000, 1000, 7)
    drawn = []
    for run, options in enumerate(({}, {"seed": 0}, {"seed": 5})):
        losses = Losses()
        seeded(run)
        a_validation(impl, losses, net(), loader, **options)
        calls = losses.validated
        handed = [(call["x"], call["noise"]) for call in calls]
        drawn.append(
            (
                torch.cat([call["t"] for call in calls]),
                torch.cat([torch.zeros_like(x) if z is None else z for x, z in handed]),
                [len(call["t"]) for call in calls],
            )
        )
    (t, noise, sizes), (t_again, noise_again, _), (t_other, noise_other, _) = drawn
    share = (t[:1000] == t[1000:2000]).double().mean().item()
    axes = {"channels": 1, "rows": 2, "columns": 3}
    return {
        "noise is handed to p_losses": all(z is not None for _, z in handed),
        "timesteps of each batch": sizes,
        "timesteps, type": str(t.dtype),
        "timesteps, from and to": [int(t.min()), int(t.max())],
        "timesteps are uniform": is_uniform(t, 12),
        "timesteps that two batches share": near(share, 0.25),
        "noise, shape": list(noise.shape),
        "noise, mean": near(noise.double().mean(), 0.11),
        "noise, spread": near(noise.double().std(), 0.08),
        "noise, largest": near(min(float(noise.abs().max()), 3.5), 0.6),
        "noise that two batches share": float((noise[:1000] == noise[1000:2000]).double().mean()),
        "pairs of images with one noise": int((likeness(noise[:1000], 0) > 0.999).sum()) // 2,
        # 0.1 is nine sigma
        **{
            f"{name} with one noise": bool((likeness(noise, axis) > 0.1).any())
            for name, axis in axes.items()
        },
        "the same again, timesteps": bool(torch.equal(t, t_again)),
        "the same again, noise": bool(torch.equal(noise, noise_again)),
        "another seed, the same timesteps": bool(torch.equal(t, t_other)),
        "another seed, the same noise": bool(torch.equal(noise, noise_other)),
    }


def is_uniform(t, timesteps):
    """By Kolmogorov's distance, which passes 3/√n once in a hundred million times."""
    below = torch.stack([(t <= k).double().mean() for k in range(timesteps)])
    right = torch.arange(1, timesteps + 1).double() / timesteps
    return bool((below - right).abs().max() * len(t) ** 0.5 < 3)


def likeness(noise, axis):
    """The cosines, without sign, of the slices along an axis with each other; 0 with itself."""
    rows = nn.functional.normalize(noise.movedim(axis, 0).flatten(1), dim=1)
    return (rows @ rows.T).abs().fill_diagonal_(0)


@experiment(
    "8.5",
    "No gradients, in eval mode; mode and random state are left as they were",
    points=2,
    hint=(
        "model.eval() before, model.train(was_training) after: the model may have been in either mode.",
        "A DataLoader draws from torch's global generator whenever a walk over it begins.",
        "random_state = torch.get_rng_state() before, torch.set_rng_state(random_state) after; and "
        "@torch.no_grad() above the function.",
    ),
)
def validation_leaves_no_trace(impl):
    x, y = zip(*batches(4, 3), strict=True)
    pictures = list(zip(torch.cat(x), torch.cat(y), strict=True))
    loader = torch.utils.data.DataLoader(pictures, batch_size=5)
    found = {}
    for training in (True, False):
        losses, model = Losses(), net().train(training)
        torch.rand(3)  # the state is not that of a seed just set
        before = torch.get_rng_state()
        a_validation(impl, losses, model, loader)
        found[f"training mode {training} before"] = {
            "afterwards": mode_of(model),
            "random state": "as it was"
            if torch.equal(before, torch.get_rng_state())
            else "another one",
            "modes": [call["mode"] for call in losses.validated],
            "gradients": [call["gradients"] for call in losses.validated],
        }
    return found


@experiment(
    "8.5",
    "The labels are the true ones",
    points=1,
    hint=(
        "training_step drops labels and draws at random: it is for training. Here it is p_losses.",
        "p_losses(model, schedule, x_0, t, y, noise, target)",
    ),
)
def true_labels(impl):
    losses, loader = Losses(), batches(*SIZES)
    a_validation(impl, losses, net(), loader)
    return {
        "labels": [call["y"] for call in losses.validated],
        "losses from training_step": len(losses.trained),
    }


@experiment(
    "8.5",
    "On a GPU, everything is moved to the model's device",
    points=1,
    hint=(
        "Five things go into p_losses besides the model: x_0, t, y, noise, and the schedule.",
        "What is drawn from a generator on the CPU is on the CPU. Draw it there, then move it: "
        "noise = torch.randn(x_0.shape, generator=generator).to(device).",
    ),
)
def validation_on_a_device(impl):
    names = {"x": "pictures", "t": "timesteps", "y": "labels", "noise": "noise"}
    here = [fake_device.NAME]
    right = dict.fromkeys((*names.values(), "tables of the schedule"), here) | {"loss": True}

    def run():
        losses, model = Losses(), net().to(fake_device.NAME)
        found = dict(right)
        with telling_first(found, right):
            try:
                mean = a_validation(impl, losses, model, batches(3))
                found["loss"] = isinstance(mean, float) and math.isfinite(mean)
            finally:
                at = places(losses.validated, *names)
                found |= {names[key]: value for key, value in at.items()}
                found["tables of the schedule"] = tables_at(losses.validated)
        return found

    return on_the_device(run, right)


def a_state(
    impl, seed=0, ema=True, decay=0.9, lr_schedule=True, scaler=False, shuffling=False, **numbers
):
    """A TrainingState whose parts are all made from a seed."""
    model = net(seed)
    optimizer = Descent(model)
    parts = {"model": model, "optimizer": optimizer}
    if lr_schedule:
        parts["lr_schedule"] = falling(optimizer)
    if ema:
        parts["ema"] = impl.ExponentialMovingAverage(model, decay)
    if scaler:
        parts["scaler"] = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=1)
    if shuffling:
        parts["shuffling"] = torch.Generator().manual_seed(seed)
    return impl.TrainingState(**parts, **numbers)


def stepped(state, count, size=1.0):
    """Some steps of training by hand."""
    losses = Losses(size)
    for k in range(count):
        x_0, y = batches(4, seed=70 + k)[0]
        state.optimizer.zero_grad()
        losses.training_step(state.model, None, x_0, y, NULL).backward()
        state.optimizer.step()
        if state.lr_schedule is not None:
            state.lr_schedule.step()
        if state.ema is not None:
            state.ema.update(state.model)
    return state


def loaded(impl, path, state):
    """The state, after load_checkpoint: that of the reference returns something, a learner's need not."""
    impl.load_checkpoint(path, state)
    impl.calls.nothing.append("load_checkpoint")
    return state


def a_path(name):
    """A file in a folder of its own, which goes with all that the submission leaves behind."""
    return Path(tempfile.mkdtemp()) / name


def through_a_file(impl, state, fresh, others=False):
    """Save one state, let it go on, and load the file into another.

    others: another state is in the file before, and is saved beside it afterwards.
    """
    path = a_path("checkpoint.pt")
    if others:
        impl.save_checkpoint(path, fresh)
    impl.save_checkpoint(path, state)
    if others:
        impl.save_checkpoint(path.with_name("another.pt"), fresh)
    stepped(state, 1)
    filled_with(state.model, 9)  # what is saved does not follow
    return loaded(impl, path, fresh)


@experiment(
    "8.6",
    "The model and the four numbers come back",
    points=1,
    hint=(
        "state.model.state_dict() holds parameters and buffers. epoch, step, images_seen and best_loss are "
        "numbers beside it.",
        "Loading has to set them in the state that is given: state.epoch = parts[…].",
    ),
)
def model_and_numbers(impl):
    told = {"epoch": 3, "step": 41, "images_seen": 407, "best_loss": 0.25}
    state = stepped(a_state(impl, ema=False, lr_schedule=False, **told), 2)
    fresh = a_state(impl, 5, ema=False, lr_schedule=False)
    fresh = through_a_file(impl, state, fresh, others=True)
    return {
        **{name: getattr(fresh, name) for name in told},
        **numbers(fresh.model),
    }


@experiment(
    "8.6",
    "The optimiser goes on with its moments, the schedule with its step",
    points=1,
    hint=(
        "AdamW without its moments starts anew: the first steps after loading are far too large.",
        "optimizer.state_dict() and lr_schedule.state_dict(), each with its load_state_dict.",
    ),
)
def optimizer_and_schedule(impl):
    state, fresh = stepped(a_state(impl, ema=False), 3), a_state(impl, 5, ema=False)
    fresh = stepped(through_a_file(impl, state, fresh), 2)
    return {
        "weights two steps later": weights(fresh.model),
        "learning rates": fresh.optimizer.rates,
        "steps of the schedule": fresh.lr_schedule.last_epoch,
    }


@experiment(
    "8.6",
    "The average comes back, and its count of updates",
    points=1,
    hint=(
        "An average that starts anew from the loaded model has forgotten what it was for.",
        "Without its count, the warm-up of the decay begins again: the first update takes nine tenths of "
        "the model.",
    ),
)
def the_average(impl):
    # With this decay the next update is the last one of the warm-up.
    state = stepped(a_state(impl, decay=0.36), 4)
    fresh = through_a_file(impl, state, a_state(impl, 5, decay=0.36))
    found = {"loaded": inside(fresh.ema, fresh.model), "the model": numbers(fresh.model)}
    for later in ("one update later", "two updates later"):
        filled_with(fresh.model, len(found))
        fresh.ema.update(fresh.model)
        found[later] = inside(fresh.ema, fresh.model)
    return found


@experiment(
    "8.6",
    "The scaler's scale comes back, and parts that are missing are no trouble",
    points=1,
    hint=(
        "state.scaler, state.ema and state.lr_schedule may be None: then there is nothing to save.",
        "scaler.state_dict() holds the scale that it has found.",
    ),
)
def scaler_and_missing_parts(impl):
    state = a_state(impl, scaler=True, ema=False)  # the average is the matter of another experiment
    state.scaler.scale(torch.ones(1))
    state.scaler.update(256.0)
    fresh = a_state(impl, 5, scaler=True, ema=False)
    fresh.scaler.scale(torch.ones(1))
    fresh = through_a_file(impl, state, fresh)
    bare = dict(ema=False, lr_schedule=False)
    early = through_a_file(impl, a_state(impl, **bare), a_state(impl, 5, best_loss=0.5, **bare))
    return {
        "scale": fresh.scaler.get_scale(),
        "model without the rest": weights(early.model),
        "best_loss before any validation": float(early.best_loss),
    }


def fitted(impl, losses, state, epochs, loaders=None, **options):
    """fit on two small loaders; returns the metrics of each epoch, as they are when all is over."""
    rows = []
    options = {"grad_clip": 1e9, **options}

    def on_epoch(state, metrics):
        now = {
            "as in the state": [state.epoch, state.step, state.images_seen],
            "best_loss of the state": float(state.best_loss),
        }
        rows.append((metrics, now))

    with_losses(impl, losses).fit(
        state,
        *(loaders or (batches(*SIZES), batches(4, 3, seed=80))),
        short_schedule(impl),
        NULL,
        epochs,
        **{"on_epoch": on_epoch, **options},
    )
    names = ("epoch", "step", "images_seen", "train_loss", "val_loss")
    return [{**{name: metrics.get(name) for name in names}, **now} for metrics, now in rows]


@experiment(
    "8.7",
    "It trains until so many epochs are done, and counts",
    points=2,
    hint=(
        "`epochs` is where to stop, not how many to make: state.epoch may be above 0 already.",
        "step and images_seen go up with each batch: count them in an on_step of your own.",
        "while state.epoch < epochs: train_one_epoch(…, on_step=count), validate(…), state.epoch += 1, "
        "on_epoch(state, metrics).",
    ),
)
def epochs_are_counted(impl):
    losses = Losses()
    state = a_state(impl, ema=False, lr_schedule=False, epoch=1, step=3, images_seen=12)
    rows = fitted(impl, losses, state, 3, (batches(5, 2), batches(4, 3, seed=80)))
    more = fitted(impl, losses, state, 2)
    worse = a_state(impl, ema=False, lr_schedule=False)
    few = batches(2), batches(2, seed=80)
    return {
        "metrics": rows,
        "state": [state.epoch, state.step, state.images_seen],
        "batches trained": len(losses.trained),
        "batches validated": len(losses.validated),
        "with enough epochs": len(more),
        "twelve epochs of a rising validation loss": {
            "metrics": fitted(impl, Losses(rising=True), worse, 12, few),
            "weights": weights(worse.model),
        },
    }


@experiment(
    "8.7",
    "Every part of the state is used, every option handed on, and each epoch draws anew",
    points=2,
    hint=(
        "train_one_epoch takes the optimiser, the schedule of the learning rate and the average of the "
        "state, and grad_clip, label_dropout and target of fit.",
        "Where positions are easily mistaken, use names: lr_schedule=state.lr_schedule, ema=state.ema. "
        "No seed is set anywhere: state.shuffling and torch's own generator go on from where they are.",
    ),
)
def everything_is_used(impl):
    losses, state = Losses(), a_state(impl)
    few = batches(5), batches(2, seed=80)
    fitted(impl, losses, state, 2, few, target="v", label_dropout=0.35, grad_clip=0.5)
    plain, bare = Losses(size=5.0), a_state(impl, ema=False)
    with_losses(impl, plain).fit(bare, *few, short_schedule(impl), null_label=NULL, epochs=1)
    keys = ("null label", "label dropout", "target")
    return {
        "told": {key: losses.trained[0][key] for key in keys},
        "told by default": [{key: call[key] for key in keys} for call in plain.trained],
        "gradients by default": torch.stack(bare.optimizer.gradients or [torch.zeros(8)]),
        "validated": sorted({call["target"] for call in losses.validated}),
        "learning rates": state.optimizer.rates,
        "gradients": torch.stack(state.optimizer.gradients or [torch.zeros(8)]),
        "average": inside(state.ema, state.model)["weights"],
        "draws": drawn_in_epochs(impl),
    }


def drawn_in_epochs(impl):
    """What comes again, in two epochs or after another seed: orders of the pictures, random numbers."""
    ((x, y),) = batches(12)
    orders, numbers_drawn = [], []
    for seed in (1, 2):
        seeded(seed)
        losses, state = Losses(chance=1.0), a_state(impl, ema=False)
        state.shuffling = torch.Generator().manual_seed(seed)
        shuffled = torch.utils.data.DataLoader(
            list(zip(x, y, strict=True)), batch_size=6, shuffle=True, generator=state.shuffling
        )
        fitted(impl, losses, state, 2, (shuffled, batches(2, seed=80)))
        firsts = [tuple(call["x"][:, 0, 0, 0].tolist()) for call in losses.trained]
        orders.append([first + second for first, second in zip(*[iter(firsts)] * 2, strict=False)])
        numbers_drawn.append([call["drawn"] for call in losses.trained])
    return {
        "orders that come again in a later epoch": repeats(orders[0]),
        "orders that come again after another seed": shared(*orders),
        "random numbers that come again in a later epoch": repeats(numbers_drawn[0]),
        "random numbers that come again after another seed": shared(*numbers_drawn),
    }


@experiment(
    "8.7",
    "The average is validated, and the model trains on with its own weights",
    points=2,
    hint=(
        "Pictures will be drawn with the average: it is the average whose loss is wanted.",
        "with state.ema.applied(state.model): validate(…). Without an average, validate the model.",
    ),
)
def average_is_validated(impl):
    found = {}
    few = batches(5, 2), batches(2, 1, seed=80)
    for ema in (True, False):
        losses, state, told = Losses(), a_state(impl, ema=ema, step=40), []

        def on_epoch(state, metrics, told=told):
            told.append((float(metrics.get("val_loss", -9)), weights(state.model)))

        for epochs in (1, 2):
            fitted(impl, losses, state, epochs, few, on_epoch=on_epoch)
        call = impl.calls.made[-1]
        found["with an average" if ema else "without"] = {
            "validation losses": noted(torch.tensor([loss for loss, _ in told]), call),
            "weights at each callback": [noted(now, call) for _, now in told],
            "best": float(state.best_loss),
            "weights": noted(weights(state.model), call),
        }
        half = len(losses.validated) // 2
        first, second = (
            [call[key] for call in part for key in ("t", "noise")]
            for part in (losses.validated[:half], losses.validated[half:])
        )
        found["the same is asked in each epoch"] = len(first) == len(second) and all(
            torch.equal(a, b) for a, b in zip(first, second, strict=True)
        )
    worse = a_state(impl, best_loss=0.001)
    fitted(impl, Losses(), worse, 1, few)
    return {**found, "best, when it was better before": float(worse.best_loss)}


@experiment(
    "8.7",
    "A checkpoint is written after each epoch, where one is asked for",
    points=1,
    hint=(
        "After each epoch, not once in the end: the point of it is what happens in between.",
        "if checkpoint is not None: save_checkpoint(checkpoint, state), as the last thing in the loop.",
    ),
)
def checkpoints_are_written(impl):
    path, there = a_path("last.ckpt"), []
    state, fresh, worse = a_state(impl), a_state(impl, 5), a_state(impl, best_loss=0.001)
    few = batches(2), batches(2, seed=80)
    fitted(
        *(impl, Losses(), state, 2, few),
        checkpoint=path,
        on_epoch=lambda state, metrics: there.append(path.exists()),
    )
    exists = path.exists()
    if exists:
        loaded(impl, path, fresh)
    before = path.read_bytes() if exists else b""
    fitted(impl, Losses(), worse, 1, few, checkpoint=path, on_epoch=None)
    empty = a_path("")
    with chdir(empty):
        fitted(impl, Losses(), a_state(impl, 7), 1, few)
    return {
        "after the first epoch": there[1:2],
        "in the end": exists,
        "epoch in it": fresh.epoch,
        "best_loss in it": float(fresh.best_loss),
        "weights in it": weights(fresh.model),
        "after an epoch that was not the best": exists and path.read_bytes() != before,
        "epochs and steps of another state, beside that file": [worse.epoch, worse.step],
        "files written where none is asked for": len(list(empty.iterdir())),
    }


def product_in(context):
    """The type of a product computed in a context."""
    with context:
        return str((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)


@experiment(
    "8.8",
    "The context computes products in 16 bits, and only fp16 is scaled",
    points=1,
    star=True,
    hint=(
        'torch.autocast("cpu", dtype=torch.bfloat16, enabled=True) for bf16; enabled=False for fp32.',
        "bf16 has the range of fp32, so it needs no scaler: GradScaler(…, enabled=precision == 'fp16').",
    ),
)
def context_and_scaler(impl):
    found = {}
    for precision in ("fp32", "bf16", "fp16"):
        context, scaler = impl.mixed_precision(torch.device("cpu"), precision)
        first = product_in(context)
        found[precision] = {
            "a product": first,
            "a product, entered again": product_in(context),
            "scaled": bool(scaler.is_enabled()),
        }
    wrong = raises(lambda: impl.mixed_precision(torch.device("cpu"), "fp8"))
    return {**found, "fp8": wrong, "on a GPU": autocast_on_a_device(impl)}


def autocast_on_a_device(impl):
    """In which type the context of each precision has a GPU compute."""
    right = {"fp32": "as it is", "bf16": "torch.bfloat16", "fp16": "torch.float16"}

    def run():
        found = {}
        for precision in right:
            context, _ = impl.mixed_precision(torch.device(fake_device.NAME), precision)
            with context:
                switched_on = torch.is_autocast_enabled(fake_device.NAME)
                dtype = str(torch.get_autocast_dtype(fake_device.NAME))
                found[precision] = dtype if switched_on else "as it is"
        return found

    return on_the_device(run, right)


def begun(impl):
    """Ends an experiment of optional work that nobody has begun: it is not failed then."""
    impl.mixed_precision(torch.device("cpu"), "fp32")


class Watching(Losses):
    """Losses that note the type of a product at each call, and a product with the model's weights."""

    def training_step(self, model, *args, **kwargs):
        loss = super().training_step(model, *args, **kwargs)
        self.trained[-1]["product"] = product_in(nullcontext())
        self.trained[-1]["with weights"] = nn.functional.linear(torch.ones(4), model.scale).item()
        return loss

    def p_losses(self, *args, **kwargs):
        loss = super().p_losses(*args, **kwargs)
        self.validated[-1]["product"] = product_in(nullcontext())
        return loss


@experiment(
    "8.8",
    "Losses are computed in the precision asked for, in training and in validation",
    points=1,
    star=True,
    hint=(
        "with context: loss = training_step(…), and nothing else in it.",
        "validate has a precision too, and fit hands it to both.",
    ),
)
def losses_in_16_bits(impl):
    begun(impl)
    found = {}
    for precision in ("fp32", "bf16", "fp16"):
        losses, model = Watching(), net()
        an_epoch(impl, losses, model, batches(4, 3), Descent(model), precision=precision)
        a_validation(impl, losses, model, batches(4, 3), precision=precision)
        through_fit = Watching()
        few = batches(2), batches(2, seed=80)
        state = a_state(impl, ema=False)
        fitted(impl, through_fit, state, 1, few, precision=precision)
        found[precision] = {
            "training": [call["product"] for call in losses.trained],
            # Within one context, 16-bit copies of the weights are kept, though a step has changed these.
            "weights used again after a step": repeats([v["with weights"] for v in losses.trained]),
            "weights are kept in": str(model.scale.dtype),
            "validation": [call["product"] for call in losses.validated],
            "fit, training": sorted({call["product"] for call in through_fit.trained}),
            "fit, validation": sorted({call["product"] for call in through_fit.validated}),
        }
    return {**found, "afterwards": product_in(nullcontext())}


def a_scaler():
    """A real one: scale 64, twice as much after each step that went well."""
    return torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=1)


@experiment(
    "8.8",
    "Scale, backward, unscale, clip, step, update",
    points=2,
    star=True,
    hint=(
        "The gradient that backward leaves is 64 times too long here: what does clipping make of it?",
        "scaler.unscale_(optimizer) comes before clip_grad_norm_; scaler.step(optimizer) then knows that "
        "it has been done.",
        "scaler.scale(loss).backward(); scaler.unscale_(optimizer); clip_grad_norm_(…); "
        "scaler.step(optimizer); scaler.update(). With scaler=None it is that of mixed_precision.",
    ),
)
def unscaled_before_clipping(impl):
    begun(impl)
    found = {}
    losses, model = Losses(), net()
    optimizer = Descent(model)
    an_epoch(impl, losses, model, batches(5, 2), optimizer, grad_clip=0.5, precision="fp16")
    found["fp16 and no scaler given"] = {
        "losses scaled": noted(
            torch.tensor([factor > 2 for factor in losses.factors]), impl.calls.made[-1]
        ),
        "gradients at each step": gradients_found(impl, optimizer),
    }
    for clip in (0.5, 1e9):
        losses, model, scaler = Losses(), net(), a_scaler()
        optimizer, average = Descent(model), Average()
        passed_by = []
        mean = an_epoch(
            *(impl, losses, model, batches(5, 2), optimizer),
            lr_schedule=falling(optimizer),
            ema=average,
            grad_clip=clip,
            scaler=scaler,
            on_step=lambda n, loss, passed_by=passed_by: passed_by.append(float(loss)),
        )
        found[f"grad_clip {clip}"] = {
            "gradients at each step": gradients_found(impl, optimizer),
            "weights": noted(weights(model), impl.calls.made[-1]),
            "scale in the end": scaler.get_scale(),
            "learning rates": optimizer.rates,
            "averaged": average.seen,
            "loss": mean,
            "on_step": passed_by,
        }
    return found


@experiment(
    "8.8",
    "A step whose gradients are not finite is left out, and the scale is halved",
    points=1,
    star=True,
    hint=(
        "scaler.step(optimizer) looks whether the gradients are finite; optimizer.step() does not.",
        "scaler.update() makes the scale smaller after such a step. Clipping must not use an error for it.",
    ),
)
def infinite_gradients(impl):
    begun(impl)
    state = a_state(impl)
    state.scaler = a_scaler()
    fitted(impl, Losses(), state, 1, (batches(2), batches(2, seed=80)))
    losses, model, scaler = Losses(), net(), a_scaler()
    loader = batches(4, 4, 4)
    loader[1][0][0, 0, 0, 0] = math.inf
    own = Losses()  # with one scaler for the whole epoch, the scale that was halved stays so
    another = net()
    an_epoch(impl, own, another, loader, Descent(another), precision="fp16")
    factors = own.factors or [0.0]
    optimizer = Descent(model)
    an_epoch(impl, losses, model, loader, optimizer, scaler=scaler, grad_clip=0.5)
    return {
        "fp16 and no scaler given, scale after it over scale before": near(
            factors[-1] / factors[0] if factors[0] else 0.0, 0.05
        ),
        "steps made": len(optimizer.rates),
        "weights": weights(model),
        "scale": scaler.get_scale(),
        "scale of the state, after fit": state.scaler.get_scale(),
    }


@experiment(
    "8.9",
    "All generators are put back: torch's own, and the one that shuffles",
    points=1,
    star=True,
    hint=(
        "get_state() of a generator is a tensor, set_state() puts it back.",
        "state.shuffling may be None: then batches are shuffled by torch's own generator.",
    ),
)
def generators_are_put_back(impl):
    found = {}
    for shuffling in (True, False):
        state = a_state(impl, shuffling=shuffling, ema=False)  # no average is needed for this
        seeded(3)
        saved = impl.random_states(state)
        expected = torch.rand(5), state.shuffling and torch.rand(5, generator=state.shuffling)
        fresh = a_state(impl, 5, shuffling=shuffling, ema=False)
        torch.rand(9)
        impl.restore_random_states(saved, fresh)
        again = torch.rand(5), fresh.shuffling and torch.rand(5, generator=fresh.shuffling)
        found[f"a generator that shuffles: {shuffling}"] = {
            "torch's own": torch.equal(expected[0], again[0]),
            "the one that shuffles": not shuffling or torch.equal(expected[1], again[1]),
        }
    return found


@experiment(
    "8.9",
    "Two epochs, and one, a checkpoint and one more, end with the same numbers",
    points=2,
    star=True,
    hint=(
        "What does the second epoch depend on, besides model, optimiser, schedule and average? On what is "
        "drawn at random in it.",
        "save_checkpoint writes random_states(state); load_checkpoint restores them as the last thing.",
    ),
)
def resumed_exactly(impl):
    impl.random_states(a_state(impl))  # not begun, then not failed
    ((x, y),) = batches(12)
    pictures = list(zip(x, y, strict=True))

    def parts(seed):
        state = a_state(impl, seed, shuffling=True)
        shuffled = torch.utils.data.DataLoader(
            pictures, batch_size=6, shuffle=True, generator=state.shuffling
        )
        return state, (shuffled, batches(2, seed=80))

    def end(state):
        return {**numbers(state.model), "average": inside(state.ema, state.model)["weights"]}

    path = a_path("one.ckpt")
    seeded(1)
    state, loaders = parts(0)
    fitted(impl, Losses(chance=1.0), state, 1, loaders, checkpoint=path)
    second, second_again = Losses(chance=1.0), Losses(chance=1.0)
    fitted(impl, second, state, 2, loaders)
    straight = end(state)
    seeded(2)
    fresh, loaders = parts(5)
    loaded(impl, path, fresh)
    fitted(impl, second_again, fresh, 2, loaders)
    resumed = end(fresh)
    drawn = [[call["drawn"] for call in losses.trained] for losses in (second, second_again)]
    gaps = [float((straight[name] - resumed[name]).abs().max()) for name in ("weights", "average")]
    return {
        "weights": "the same" if gaps[0] <= 1e-6 else "different",
        "average": "the same" if gaps[1] <= 1e-6 else "different",
        # They tell lost generators from lost moments.
        "random numbers of the second epoch": "the same" if drawn[0] == drawn[1] else "different",
    }
