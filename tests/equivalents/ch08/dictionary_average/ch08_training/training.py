"""The average as a dictionary, swapped in by p.data; own clipping; the global generator, forked."""

import math
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Generator, nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..ch06_loss.loss import p_losses, sample_timesteps, training_step


def select_device(name=None):
    if name:
        try:
            device = torch.device(name)
            torch.zeros(1).to(device)
        except Exception as e:
            raise ValueError(f"cannot use {name}") from e
        return device
    for kind, there in (
        ("cuda", torch.cuda.is_available),
        ("mps", torch.backends.mps.is_available),
    ):
        if there():
            return torch.device(kind)
    return torch.device("cpu")


def make_optimizer(model, learning_rate, betas=(0.9, 0.999), weight_decay=0.01):
    groups = [{"params": [p], "weight_decay": weight_decay} for p in model.parameters()]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=tuple(betas))


class ExponentialMovingAverage:
    def __init__(self, model, decay):
        if decay < 0 or decay >= 1:
            raise ValueError("0 <= decay < 1")
        self.limit, self.n = decay, 0
        self.shadow = {k: v.detach().clone() for k, v in model.state_dict().items()}
        self.learnt = {k for k, _ in model.named_parameters()}

    def update(self, model):
        d = (1 + self.n) / (10 + self.n)
        if d > self.limit:
            d = self.limit
        with torch.no_grad():
            for k, v in model.state_dict().items():
                if k in self.learnt:
                    self.shadow[k] = d * self.shadow[k] + (1 - d) * v
                else:
                    self.shadow[k] = v.clone()
        self.n = self.n + 1

    def _everything(self, model):
        yield from model.named_parameters()
        yield from model.named_buffers()

    @contextmanager
    def applied(self, model):
        kept = {k: v.data for k, v in self._everything(model)}
        for k, v in self._everything(model):
            v.data = self.shadow[k].clone()
        try:
            yield
        finally:
            for k, v in self._everything(model):
                v.data = kept[k]

    def state_dict(self):
        return {"n": self.n, "shadow": self.shadow}

    def load_state_dict(self, state):
        self.n = state["n"]
        for k in self.shadow:
            self.shadow[k].copy_(state["shadow"][k])


def mixed_precision(device, precision):
    if precision == "fp32":
        context = torch.autocast(device.type, enabled=False)
    elif precision == "bf16":
        context = torch.autocast(device.type, torch.bfloat16)
    elif precision == "fp16":
        context = torch.autocast(device.type, torch.float16)
    else:
        raise ValueError(precision)
    return context, GradScaler(device=device.type, enabled=(precision == "fp16"))


def clip(parameters, limit):
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.sqrt(sum((g**2).sum() for g in gradients))
    if norm > limit:
        for g in gradients:
            g.mul_(limit / norm)


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
    device = next(iter(model.parameters())).device
    tables = schedule.to(device)
    context, fresh = mixed_precision(device, precision)
    if scaler is None:
        scaler = fresh
    model.train(True)
    optimizer.zero_grad()
    summed = 0.0
    seen = 0
    for batch in loader:
        x, y = [part.to(device) for part in batch]
        n = x.shape[0]
        with context:
            loss = training_step(
                model, tables, x, y, null_label, label_dropout=label_dropout, target=target
            )
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        clip(list(model.parameters()), grad_clip)
        scaler.step(optimizer)
        optimizer.zero_grad()
        value = loss.item()
        summed += value * n
        seen += n
        if ema:
            ema.update(model)
        if lr_schedule:
            lr_schedule.step()
        if on_step:
            on_step(n, torch.tensor(value))
        scaler.update()
    return summed / seen


def validate(model, loader, schedule, target="noise", seed=0, precision="fp32"):
    mode = model.training
    device = next(model.parameters()).device
    tables = schedule.to(device)
    context, _ = mixed_precision(device, precision)
    sums, counts = [], []
    model.eval()
    with torch.no_grad(), torch.random.fork_rng():
        batches = list(loader)
        torch.manual_seed(seed)
        for x, y in batches:
            n = len(x)
            t = sample_timesteps(n, schedule.timesteps).to(device)
            noise = torch.randn_like(x).to(device)
            with context:
                loss = p_losses(model, tables, x.to(device), t, y.to(device), noise, target)
            sums.append(float(loss) * n)
            counts.append(n)
    model.train(mode)
    return sum(sums) / sum(counts)


@dataclass
class TrainingState:
    model: nn.Module
    optimizer: Optimizer
    lr_schedule: LRScheduler | None = None
    scaler: GradScaler | None = None
    ema: ExponentialMovingAverage | None = None
    shuffling: Generator | None = None
    epoch: int = 0
    step: int = 0
    images_seen: int = 0
    best_loss: float = math.inf


PARTS = ["model", "optimizer", "lr_schedule", "scaler", "ema"]


def random_states(state):
    return {
        "global": torch.random.get_rng_state(),
        **({} if state.shuffling is None else {"order": state.shuffling.get_state()}),
    }


def restore_random_states(states, state):
    torch.random.set_rng_state(states["global"])
    if "order" in states and state.shuffling is not None:
        state.shuffling.set_state(states["order"])


def save_checkpoint(path, state):
    parts = {k: getattr(state, k) for k in PARTS}
    content = {k: v.state_dict() for k, v in parts.items() if v is not None}
    content["counters"] = [state.epoch, state.step, state.images_seen, state.best_loss]
    content["random"] = random_states(state)
    with open(path, "wb") as file:
        torch.save(content, file)


def load_checkpoint(path, state):
    with open(path, "rb") as file:
        content = torch.load(file, map_location="cpu", weights_only=True)
    for k in PARTS:
        if k in content and getattr(state, k) is not None:
            getattr(state, k).load_state_dict(content[k])
    state.epoch, state.step, state.images_seen, state.best_loss = content["counters"]
    restore_random_states(content["random"], state)


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
    for epoch in range(state.epoch, epochs):
        sizes = []
        trained = train_one_epoch(
            state.model,
            train_loader,
            schedule,
            state.optimizer,
            null_label,
            target=target,
            label_dropout=label_dropout,
            grad_clip=grad_clip,
            lr_schedule=state.lr_schedule,
            ema=state.ema,
            precision=precision,
            scaler=state.scaler,
            on_step=lambda n, loss, sizes=sizes: sizes.append(n),
        )
        state.step += len(sizes)
        state.images_seen += sum(sizes)
        state.epoch = epoch + 1
        if state.ema is None:
            validated = validate(state.model, val_loader, schedule, target, precision=precision)
        else:
            with state.ema.applied(state.model):
                validated = validate(state.model, val_loader, schedule, target, precision=precision)
        if validated < state.best_loss:
            state.best_loss = validated
        if checkpoint is not None:
            save_checkpoint(checkpoint, state)
        if on_epoch is not None:
            on_epoch(
                state,
                {
                    "epoch": state.epoch,
                    "step": state.step,
                    "images_seen": state.images_seen,
                    "train_loss": trained,
                    "val_loss": validated,
                    "best": state.best_loss,
                },
            )
