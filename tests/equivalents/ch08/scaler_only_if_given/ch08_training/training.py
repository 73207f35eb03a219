"""A path of its own for plain float32, NumPy's random numbers in the validation, weights as vectors."""

import copy
import math
import pickle
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ..ch06_loss.loss import p_losses, training_step


def select_device(name: str | None = None) -> torch.device:
    if isinstance(name, str):
        kind = name.split(":")[0]
        number = int(name.split(":")[1]) if ":" in name else 0
        counts = {
            "cpu": 1,
            "cuda": torch.cuda.device_count(),
            "mps": int(torch.backends.mps.is_available()),
        }
        if number >= counts.get(kind, 0):
            raise ValueError(f"{name} is none of the devices here: {counts}")
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda:0")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def make_optimizer(model, learning_rate, betas=(0.9, 0.999), weight_decay=0.01):
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=weight_decay)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
        group["betas"] = betas
    return optimizer


def warmed(limit, i):
    return limit if limit < (1 + i) / (10 + i) else (1 + i) / (10 + i)


class ExponentialMovingAverage(nn.Module):
    def __init__(self, model, decay):
        super().__init__()
        if decay < 0:
            raise ValueError("a negative decay")
        if decay >= 1:
            raise ValueError("a decay that never decays")
        self.limit = decay
        self.steps = 0
        self.slow = copy.deepcopy(model)
        self.slow.eval()
        for p in self.slow.parameters():
            p.requires_grad = False

    def update(self, model):
        decay = warmed(self.limit, self.steps)
        with torch.no_grad():
            mine = parameters_to_vector(self.slow.parameters())
            its = parameters_to_vector(model.parameters())
            vector_to_parameters(its + decay * (mine - its), self.slow.parameters())
            for b, q in zip(self.slow.buffers(), model.buffers(), strict=True):
                b.data = q.detach().clone()
        self.steps += 1

    @contextmanager
    def applied(self, model):
        backup = copy.deepcopy(model)
        self.give(self.slow, model)
        try:
            yield
        finally:
            self.give(backup, model)

    @staticmethod
    @torch.no_grad()
    def give(source, target):
        for a, b in zip(source.parameters(), target.parameters(), strict=True):
            b.copy_(a)
        for a, b in zip(source.buffers(), target.buffers(), strict=True):
            b.copy_(a)


def mixed_precision(device, precision):
    assert isinstance(device, torch.device)
    if precision not in ("fp32", "bf16", "fp16"):
        raise ValueError("fp32, bf16 or fp16")
    on = precision != "fp32"
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    scaler = torch.amp.GradScaler(device.type) if precision == "fp16" else None
    return (
        torch.autocast(device.type, dtype=dtype, enabled=on),
        scaler or torch.amp.GradScaler(device.type, enabled=False),
    )


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
    device = next(model.parameters()).device
    schedule = schedule.to(device)
    if scaler is None and precision == "fp16":
        scaler = mixed_precision(device, precision)[1]
    total = count = 0
    for x, y in loader:
        model.zero_grad()
        x, y = x.to(device), y.to(device)
        with mixed_precision(device, precision)[0]:
            loss = training_step(model, schedule, x, y, null_label, label_dropout, target)
        if scaler is None:
            loss.backward()
        else:
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), grad_clip)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        if lr_schedule:
            lr_schedule.step()
        if ema:
            ema.update(model)
        total += loss.item() * len(x)
        count += len(x)
        if on_step:
            on_step(len(x), loss.detach().clone())
    return total / count


def validate(model, loader, schedule, target="noise", seed=0, precision="fp32"):
    before = torch.get_rng_state()
    device = next(model.parameters()).device
    schedule = schedule.to(device)
    was = model.training
    model.eval()
    rng = np.random.default_rng(seed)
    total = count = 0
    with torch.no_grad(), mixed_precision(device, precision)[0]:
        for x, y in loader:
            t = torch.from_numpy(rng.integers(schedule.timesteps, size=len(x)))
            noise = torch.from_numpy(rng.standard_normal(x.shape).astype(np.float32))
            x, y, t, noise = x.to(device), y.to(device), t.to(device), noise.to(device)
            loss = p_losses(model, schedule, x, t, y, noise, target)
            total += loss.cpu().double() * len(x)
            count += len(x)
    if was:
        model.train()
    torch.set_rng_state(before)
    return total.item() / count


@dataclass
class TrainingState:
    model: object
    optimizer: object
    lr_schedule: object = None
    scaler: object = None
    ema: object = None
    shuffling: object = None
    epoch: int = 0
    step: int = 0
    images_seen: int = 0
    best_loss: float = math.inf


@dataclass
class Saved:
    """What goes into the file: plain values only."""

    model: dict
    optimizer: dict
    numbers: tuple
    random: dict
    lr_schedule: dict | None = None
    scaler: dict | None = None
    average: dict | None = None
    updates: int = 0


NUMBERS = tuple(f.name for f in fields(TrainingState))[6:]


def random_states(state):
    found = {"torch": torch.get_rng_state().numpy()}
    if state.shuffling is not None:
        found["order"] = state.shuffling.get_state().numpy()
    return found


def restore_random_states(states, state):
    torch.set_rng_state(torch.from_numpy(states["torch"]))
    if state.shuffling is not None:
        state.shuffling.set_state(torch.from_numpy(states["order"]))


def save_checkpoint(path, state):
    saved = Saved(
        model=state.model.state_dict(),
        optimizer=state.optimizer.state_dict(),
        numbers=tuple(getattr(state, name) for name in NUMBERS),
        random=random_states(state),
    )
    if state.lr_schedule:
        saved = replace(saved, lr_schedule=state.lr_schedule.state_dict())
    if state.scaler:
        saved = replace(saved, scaler=state.scaler.state_dict())
    if state.ema:
        saved = replace(saved, average=state.ema.slow.state_dict(), updates=state.ema.steps)
    path.write_bytes(pickle.dumps(asdict(saved)))


def load_checkpoint(path, state):
    saved = pickle.loads(path.read_bytes())
    state.model.load_state_dict(saved["model"])
    state.optimizer.load_state_dict(saved["optimizer"])
    for name, value in zip(NUMBERS, saved["numbers"], strict=True):
        setattr(state, name, value)
    if state.lr_schedule and saved["lr_schedule"]:
        state.lr_schedule.load_state_dict(saved["lr_schedule"])
    if state.scaler and saved["scaler"]:
        state.scaler.load_state_dict(saved["scaler"])
    if state.ema and saved["average"]:
        state.ema.slow.load_state_dict(saved["average"])
        state.ema.steps = saved["updates"]
    restore_random_states(saved["random"], state)


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
    if state.epoch >= epochs:
        return
    tally = []
    train_loss = train_one_epoch(
        state.model,
        train_loader,
        schedule,
        state.optimizer,
        null_label,
        target,
        label_dropout,
        grad_clip,
        state.lr_schedule,
        state.ema,
        precision,
        state.scaler,
        lambda n, _: tally.append(n),
    )
    shown = state.ema.slow if state.ema else state.model
    val_loss = validate(shown, val_loader, schedule, target, precision=precision)
    state.epoch += 1
    state.step += len(tally)
    state.images_seen += sum(tally)
    state.best_loss = val_loss if val_loss < state.best_loss else state.best_loss
    metrics = {name: getattr(state, name) for name in NUMBERS}
    if on_epoch:
        on_epoch(state, metrics | {"train_loss": train_loss, "val_loss": val_loss})
    if checkpoint:
        save_checkpoint(checkpoint, state)
    rest = (target, label_dropout, grad_clip, precision, checkpoint, on_epoch)
    fit(state, train_loader, val_loader, schedule, null_label, epochs, *rest)
