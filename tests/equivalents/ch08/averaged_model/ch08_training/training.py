"""torch's own AveragedModel; weights exchanged in place; draws on the model's device; safetensors."""

import json
import math
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.optim.swa_utils import AveragedModel

from ..ch06_loss import loss as chapter6
from ..ch06_loss.loss import p_losses, training_step


def select_device(name=None):
    if name is None:
        name = (
            "cuda"
            if torch.cuda.is_available()
            else "mps"
            if torch.backends.mps.is_available()
            else "cpu"
        )
        return torch.device(name)
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(str(error)) from None
    return torch.device(name)


def make_optimizer(model, learning_rate, betas=(0.9, 0.999), weight_decay=0.01):
    return torch.optim.AdamW(
        params=model.parameters(),
        lr=learning_rate,
        betas=betas,
        weight_decay=weight_decay,
        foreach=True,
    )


class ExponentialMovingAverage:
    def __init__(self, model, decay):
        if not (0.0 <= decay < 1.0):
            raise ValueError("decay")

        def blend(average, parameter, updates):
            # AveragedModel counts its first update, which copies, as one: so there are two counts.
            i = self.count
            d = min(decay, (1 + i) / (10 + i))
            return torch.lerp(parameter, average, d)

        self.count = 0
        self.swa = AveragedModel(model, avg_fn=blend)
        self.swa.n_averaged.fill_(1)

    @property
    def module(self):
        return self.swa.module

    def update(self, model):
        self.swa.update_parameters(model)
        self.count += 1
        with torch.no_grad():
            for a, b in zip(self.module.buffers(), model.buffers(), strict=True):
                a.copy_(b)

    @torch.no_grad()
    def _exchange(self, model):
        pairs = zip(
            chain(self.module.parameters(), self.module.buffers()),
            chain(model.parameters(), model.buffers()),
            strict=True,
        )
        for a, b in pairs:
            held = a.clone()
            a.copy_(b)
            b.copy_(held)

    @contextmanager
    def applied(self, model):
        self._exchange(model)
        try:
            yield self.module
        finally:
            self._exchange(model)


def mixed_precision(device, precision):
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    try:
        dtype = kinds[precision]
    except KeyError:
        raise ValueError(f"unknown precision {precision}") from None
    half = precision != "fp32"
    context = torch.autocast(device.type, **({"dtype": dtype} if half else {}), enabled=half)
    return context, torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)


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
    where = next(model.parameters()).device
    schedule = schedule.to(where)
    context, default = mixed_precision(where, precision)
    scaler = default if scaler is None else scaler
    model.train()
    losses, sizes = [], []
    for x_0, y in loader:
        for p in model.parameters():
            p.grad = None
        x_0 = x_0.to(where)
        y = y.to(where)
        with context:
            loss = training_step(
                model=model,
                schedule=schedule,
                x_0=x_0,
                y=y,
                null_label=null_label,
                label_dropout=label_dropout,
                target=target,
            )
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(list(model.parameters()), max_norm=grad_clip)
        scaler.step(optimizer)
        scaler.update()
        if ema is not None:
            ema.update(model)
        if lr_schedule is not None:
            lr_schedule.step()
        losses.append(loss.detach())
        sizes.append(x_0.size(0))
        if on_step is not None:
            on_step(sizes[-1], losses[-1])
    weight = torch.tensor(sizes, dtype=torch.float32, device=where)
    return ((torch.stack(losses) * weight).sum() / weight.sum()).item()


@contextmanager
def evaluating(model):
    training, before = model.training, torch.get_rng_state()
    try:
        model.train(False)
        with torch.inference_mode():
            yield next(model.parameters()).device
    finally:
        model.train(training)
        torch.set_rng_state(before)


def validate(model, loader, schedule, target="noise", seed=0, precision="fp32"):
    total = torch.zeros(2, dtype=torch.float64)
    with evaluating(model) as where:
        schedule = schedule.to(where)
        generator = torch.Generator(device=where)
        generator.manual_seed(seed)
        for x_0, y in loader:
            x_0, y = x_0.to(where), y.to(where)
            t = chapter6.sample_timesteps(len(x_0), schedule.timesteps, where, generator)
            noise = torch.randn(x_0.shape, device=where, generator=generator)
            with mixed_precision(where, precision)[0]:
                loss = p_losses(model, schedule, x_0, t, y, noise=noise, target=target)
            total += torch.tensor([loss.item() * len(x_0), len(x_0)], dtype=torch.float64)
    return float(total[0] / total[1])


@dataclass
class TrainingState:
    model: Any
    optimizer: Any
    lr_schedule: Any = None
    scaler: Any = None
    ema: Any = None
    shuffling: Any = None
    epoch: int = 0
    step: int = 0
    images_seen: int = 0
    best_loss: float = math.inf


def random_states(state):
    states = {"torch": torch.get_rng_state()}
    if state.shuffling is not None:
        states["shuffling"] = state.shuffling.get_state()
    return states


def restore_random_states(states, state):
    torch.set_rng_state(states["torch"])
    if state.shuffling is not None:
        state.shuffling.set_state(states["shuffling"])


def save_checkpoint(path, state):
    optimizer = state.optimizer.state_dict()
    tensors = {"model/" + k: v for k, v in state.model.state_dict().items()}
    for i, moments in optimizer["state"].items():
        tensors |= {f"moment/{i}/{k}": torch.as_tensor(v) for k, v in moments.items()}
    tensors |= {"random/" + k: v for k, v in random_states(state).items()}
    told = {
        "groups": optimizer["param_groups"],
        "numbers": [state.epoch, state.step, state.images_seen, state.best_loss],
    }
    if state.ema is not None:
        tensors |= {"ema/" + k: v for k, v in state.ema.module.state_dict().items()}
        told["count"] = state.ema.count
    if state.lr_schedule is not None:
        told["rate"] = state.lr_schedule.last_epoch
    if state.scaler is not None:
        told["scaler"] = state.scaler.state_dict()
    tensors = {k: v.detach().clone().contiguous() for k, v in tensors.items()}
    save_file(tensors, str(path), {"told": json.dumps(told)})


def load_checkpoint(path, state):
    with safe_open(str(path), framework="pt") as file:
        told = json.loads(file.metadata()["told"])
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118

    def below(prefix):
        return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}

    state.model.load_state_dict(below("model/"))
    moments = {}
    for k, v in below("moment/").items():
        i, name = k.split("/")
        moments.setdefault(int(i), {})[name] = v
    state.optimizer.load_state_dict({"state": moments, "param_groups": told["groups"]})
    if state.ema is not None:
        state.ema.module.load_state_dict(below("ema/"))
        state.ema.count = told["count"]
    if state.lr_schedule is not None:
        state.lr_schedule.last_epoch = told["rate"]
        state.lr_schedule._last_lr = [g["lr"] for g in told["groups"]]
    if state.scaler is not None:
        state.scaler.load_state_dict(told["scaler"])
    state.epoch, state.step, state.images_seen, state.best_loss = told["numbers"]
    restore_random_states(below("random/"), state)


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
    class Count:
        def __call__(self, images, _):
            state.step += 1
            state.images_seen += images

    while True:
        if state.epoch >= epochs:
            return
        options = dict(
            target=target,
            label_dropout=label_dropout,
            grad_clip=grad_clip,
            precision=precision,
            lr_schedule=state.lr_schedule,
            scaler=state.scaler,
            ema=state.ema,
            on_step=Count(),
        )
        mean = train_one_epoch(
            state.model, train_loader, schedule, state.optimizer, null_label, **options
        )
        judged = state.model if state.ema is None else state.ema.module
        loss = validate(judged, val_loader, schedule, target=target, precision=precision)
        state.epoch += 1
        state.best_loss = min(loss, state.best_loss)
        row = dict(train_loss=mean, val_loss=loss)
        row.update({k: getattr(state, k) for k in ("images_seen", "step", "epoch")})
        if on_epoch:
            on_epoch(state, row)
        if checkpoint:
            save_checkpoint(checkpoint, state)
