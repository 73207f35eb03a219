"""A trainer class with the batch's work in a file beside it; all draws of a validation come first."""

import copy
import math
from collections import namedtuple
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace

import torch
from torch.amp import GradScaler

from .steps import Place, asked_again, measured, shorten


def select_device(name=None):
    if name is not None:
        return _named(name)
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    return torch.device(["cpu", "mps"][torch.backends.mps.is_available()])


def _named(name):
    error = None
    try:
        return torch.ones((), device=torch.device(name)).device
    except Exception as caught:
        error = caught
    raise ValueError(f"{name}: {error}")


def make_optimizer(model, learning_rate, betas=(0.9, 0.999), weight_decay=0.01):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices}, {"params": others}]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, learning_rate, betas, weight_decay=weight_decay)


class ExponentialMovingAverage:
    def __init__(self, model, decay):
        if decay not in _Range(0, 1):
            raise ValueError(decay)
        self.target = copy.deepcopy(model)
        self.decays = _decays(decay)
        self.made = 0
        self.decay = decay

    def update(self, model):
        share = 1 - next(self.decays)
        mine, its = self.target.state_dict(), model.state_dict()
        learnt = dict(model.named_parameters())
        for name in its:
            if name in learnt:
                mine[name] += share * (its[name] - mine[name])
            else:
                mine[name].copy_(its[name])
        self.made += 1

    def jump(self, made):
        """Go on after so many updates."""
        self.decays, self.made = _decays(self.decay, made), made

    @contextmanager
    def applied(self, model):
        own = {name: value.clone() for name, value in model.state_dict().items()}
        with ExitStack() as stack:
            stack.callback(model.load_state_dict, own)
            model.load_state_dict(self.target.state_dict())
            yield model


class _Range:
    def __init__(self, low, high):
        self.low, self.high = low, high

    def __contains__(self, value):
        return self.low <= value < self.high


def _decays(limit, start=0):
    i = start
    while True:
        yield min(limit, (1 + i) / (10 + i))
        i += 1


Precision = namedtuple("Precision", "context scaler")
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def mixed_precision(device, precision):
    if precision == "fp32":
        return Precision(nullcontext(), GradScaler(device.type, enabled=False))
    if precision not in HALVES:
        raise ValueError(f"no precision {precision}")
    context = torch.autocast(device_type=device.type, dtype=HALVES[precision])
    return Precision(context, GradScaler(device.type, enabled=precision.startswith("fp")))


class Trainer:
    def __init__(self, model, schedule, optimizer, precision, scaler):
        self.model, self.optimizer, self.place = model, optimizer, Place(model)
        (self.tables,) = self.place(schedule)
        self.context, own = mixed_precision(self.place.device, precision)
        self.scaler = own if scaler is None else scaler

    def learn(self, batch, grad_clip, **options):
        self.optimizer.zero_grad(set_to_none=False)
        with self.context:
            loss = measured(self.model, self.tables, self.place(*batch), **options)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        shorten(self.model, grad_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()


def train_one_epoch(
    model,
    loader,
    schedule,
    optimizer,
    null_label,
    target="noise",
    label_dropout=0.1,
    grad_clip=1.0,
    lr_schedule=None,
    ema=None,
    precision="fp32",
    scaler=None,
    on_step=None,
):
    model.train()
    trainer = Trainer(model, schedule, optimizer, precision, scaler)
    options = {"null_label": null_label, "label_dropout": label_dropout, "target": target}
    mean, images = 0.0, 0
    for batch in loader:
        loss = trainer.learn(batch, grad_clip, **options)
        for after in (ema and (lambda: ema.update(model)), lr_schedule and lr_schedule.step):
            if after:
                after()
        n = len(batch[0])
        images += n
        mean += (float(loss) - mean) * n / images  # a running mean
        if on_step:
            on_step(n, loss)
    return mean


@torch.no_grad()
def validate(model, loader, schedule, target="noise", seed=0, precision="fp32"):
    before = torch.get_rng_state()
    batches = [(x, y) for x, y in loader]
    torch.set_rng_state(before)
    source = torch.Generator()
    source.manual_seed(seed)
    sizes = [len(x) for x, _ in batches]
    shape = (sum(sizes), *batches[0][0].shape[1:])
    t = torch.randint(schedule.timesteps, (sum(sizes),), generator=source).split(sizes)
    noise = torch.empty(shape).normal_(generator=source).split(sizes)
    place = Place(model)
    (tables,) = place(schedule)
    with ExitStack() as stack:
        stack.callback(model.train, model.training)
        stack.enter_context(mixed_precision(place.device, precision).context)
        model.eval()
        losses = [
            asked_again(model, tables, *place(x, y, a, b), target)
            for (x, y), a, b in zip(batches, t, noise, strict=True)
        ]
    return sum(float(loss) * n for loss, n in zip(losses, sizes, strict=True)) / sum(sizes)


class TrainingState(SimpleNamespace):
    def __init__(self, model, optimizer, lr_schedule=None, scaler=None, ema=None, **more):
        usual = dict(shuffling=None, epoch=0, step=0, images_seen=0, best_loss=math.inf)
        super().__init__(
            model=model,
            optimizer=optimizer,
            lr_schedule=lr_schedule,
            scaler=scaler,
            ema=ema,
            **{**usual, **more},
        )


def random_states(state):
    generators = [torch.default_generator] + ([state.shuffling] if state.shuffling else [])
    return {str(k): generator.get_state() for k, generator in enumerate(generators)}


def restore_random_states(states, state):
    generators = [torch.default_generator] + ([state.shuffling] if state.shuffling else [])
    for k, generator in enumerate(generators):
        generator.set_state(states[str(k)])


def save_checkpoint(path, state):
    numbers = {k: v for k, v in vars(state).items() if isinstance(v, int | float)}
    parts = {k: v.state_dict() for k, v in vars(state).items() if hasattr(v, "state_dict")}
    if state.ema:
        parts["average"] = [state.ema.made, state.ema.target.state_dict()]
    torch.save({"numbers": numbers, "parts": parts, "random": random_states(state)}, path)


def load_checkpoint(path, state):
    found = torch.load(path, weights_only=True)
    vars(state).update(found["numbers"])
    for name, saved in found["parts"].items():
        if name == "average":
            if state.ema:
                state.ema.jump(saved[0])
                state.ema.target.load_state_dict(saved[1])
        elif getattr(state, name) is not None:
            getattr(state, name).load_state_dict(saved)
    restore_random_states(found["random"], state)


def fit(
    state,
    train_loader,
    val_loader,
    schedule,
    null_label,
    epochs,
    target="noise",
    label_dropout=0.1,
    grad_clip=1.0,
    precision="fp32",
    checkpoint=None,
    on_epoch=None,
):
    common = {"target": target, "precision": precision}

    def an_epoch():
        def on_step(n, loss):
            state.step, state.images_seen = state.step + 1, state.images_seen + n

        train_loss = train_one_epoch(
            state.model,
            train_loader,
            schedule,
            state.optimizer,
            null_label,
            label_dropout=label_dropout,
            grad_clip=grad_clip,
            lr_schedule=state.lr_schedule,
            ema=state.ema,
            scaler=state.scaler,
            on_step=on_step,
            **common,
        )
        with ExitStack() as stack:
            if state.ema:
                stack.enter_context(state.ema.applied(state.model))
            val_loss = validate(state.model, val_loader, schedule, **common)
        state.epoch += 1
        state.best_loss = sorted([state.best_loss, val_loss])[0]
        return {"train_loss": train_loss, "val_loss": val_loss}

    for _ in range(max(0, epochs - state.epoch)):
        metrics = an_epoch()
        for name in ("epoch", "step", "images_seen"):
            metrics[name] = getattr(state, name)
        if on_epoch:
            on_epoch(state, metrics)
        if checkpoint:
            save_checkpoint(checkpoint, state)
