"""Chapter 8 · Training: the loop around the loss, and what keeps it honest.

An epoch is one walk over the training loader. What a training is made of between two epochs is a
`TrainingState`: a checkpoint is that state in a file, and training goes on from it as if nothing had
happened. `ddpm_ref.jobs` is the same loop for trainings that take hours.
"""

import copy
import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.amp import GradScaler
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from ddpm_ref.diffusion import NoiseSchedule
from ddpm_ref.distributed import World
from ddpm_ref.errors import UserError
from ddpm_ref.files import load_weights, read_tensors, write_tensors
from ddpm_ref.loss import p_losses, sample_timesteps, training_step
from ddpm_ref.precision import autocast, make_scaler


def select_device(name: str | None = None) -> torch.device:
    """The device called `name`, or the best there is: CUDA, then Apple's MPS, then the CPU.

    Raises:
        UserError: when `name` is no device of this machine.
    """
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.empty(0, device=name).device
        if device.type == "meta":
            raise NotImplementedError("it holds shapes, no numbers")
        return device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f"There is no device {name!r} here: leave --device out to take the best one."
        ) from error


def make_optimizer(
    model: nn.Module,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.01,
) -> AdamW:
    """AdamW over all parameters (Loshchilov & Hutter 2019)."""
    parameters = list(model.parameters())
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)  # one kernel for all of them
    return AdamW(parameters, lr=learning_rate, betas=betas, weight_decay=weight_decay, fused=fused)


def make_lr_schedule(
    optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, decay_from: float = 1.0
) -> LambdaLR:
    """The learning rate by step: up in a straight line, level, down to 0 by a half cosine.

    Args:
        optimizer: whose learning rate is the level part.
        total_steps: of the whole training.
        warmup_steps: length of the rise; step 0 already has 1/warmup_steps of the rate.
        decay_from: share of total_steps after which the fall begins; 1 for none.
    """
    level_until = decay_from * total_steps

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / max(1, warmup_steps))
        if step <= level_until:
            return rise
        fallen = min(1.0, (step - level_until) / max(1, total_steps - level_until))
        return rise * 0.5 * (1 + math.cos(math.pi * fallen))

    return LambdaLR(optimizer, factor)


class ExponentialMovingAverage:
    """A slow copy of the weights, which draws cleaner pictures than the weights themselves.

    After update i (counted from 0) each parameter of the copy is
    decay_i · average + (1 − decay_i) · parameter, with decay_i = min(decay, (1 + i) / (10 + i)): an
    average over a fixed long time would still hold the random start when a short training ends.
    Buffers are copied, not averaged.

    Args:
        model: the average starts as a copy of it.
        decay: the largest decay, in [0, 1).
    """

    def __init__(self, model: nn.Module, decay: float):
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1, got {decay}")
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model; call it after each optimiser step."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages = [p for p in self.average.parameters() if p.is_floating_point()]
        parameters = [p for p in model.parameters() if p.is_floating_point()]
        torch._foreach_lerp_(averages, parameters, 1 - decay)  # all tensors in one call
        for mine, its in zip(self.average.buffers(), model.buffers(), strict=True):
            mine.copy_(its)
        self.updates += 1

    @contextmanager
    def applied(self, model: nn.Module):
        """Within `with ema.applied(model):` the model has the averaged weights; after it, its own."""
        own = copy.deepcopy(model.state_dict())
        model.load_state_dict(self.average.state_dict())
        try:
            yield model
        finally:
            model.load_state_dict(own)


def mixed_precision(
    device: torch.device, precision: str
) -> tuple[AbstractContextManager, GradScaler]:
    """★ What it takes to compute in a precision: a context for the forward pass, a scaler for the rest.

        "fp32"    everything in 32 bits
        "bf16"    products in 16 bits with the range of fp32: needs no scaling
        "fp16"    products in 16 bits with a small range: losses are scaled up, so that no gradient is
                  rounded to 0, and gradients scaled back (Micikevicius et al. 2018, section 3.2)

    Returns:
        (context, scaler): the one to be entered once a step, the other enabled for "fp16" only; one that
            is not enabled passes everything through.

    Raises:
        ValueError: on an unknown precision.
    """
    if precision not in ("fp32", "bf16", "fp16"):
        raise ValueError(f"precision must be fp32, bf16 or fp16, got {precision!r}")
    return autocast(device, precision), make_scaler(device, precision)


def train_one_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    schedule: NoiseSchedule,
    optimizer: Optimizer,
    null_label: int,
    target: str = "noise",
    label_dropout: float = 0.1,
    min_snr_gamma: float | None = None,
    grad_clip: float = 1.0,
    lr_schedule: LRScheduler | None = None,
    ema: ExponentialMovingAverage | None = None,
    precision: str = "fp32",
    scaler: GradScaler | None = None,
    on_step: Callable[[int, Tensor], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    add_loss: Callable[[], Tensor] | None = None,
) -> float:
    """One walk over the loader: for each batch loss, gradient, clipping, step, schedule, average.

    Args:
        model: on the device to train on; it is put into training mode.
        loader: batches of x_0 (B, C, H, W) in [−1, 1] and y (B,) int64, on any device.
        schedule: its tables may be on any device.
        optimizer: of the model's parameters.
        null_label, target, label_dropout, min_snr_gamma: as in `training_step`.
        grad_clip: the gradient of all parameters together is scaled down to this norm.
        lr_schedule, ema: stepped after the optimiser, if there are any.
        precision: of the forward pass, see `mixed_precision`.
        scaler: made here when None. Gradients are clipped after they have been scaled back: before
            it, the limit would be thousands of times too low.
        on_step: called as on_step(batch_size, loss) after each step; the loss is a detached tensor:
            looking at it makes a GPU wait.
        should_stop: asked after each step whether to end the walk here.
        add_loss: what it returns after each forward pass is added to what is minimised, not to the loss
            that is reported.

    Returns:
        The mean loss over the images of the epoch.
    """
    model.train()
    device = next(model.parameters()).device
    schedule = schedule.to(device)
    context, own_scaler = mixed_precision(device, precision)
    scaler = scaler or own_scaler
    total, images = torch.zeros((), device=device), 0
    for x_0, y in loader:
        x_0, y = x_0.to(device, non_blocking=True), y.to(device, non_blocking=True)
        optimizer.zero_grad(set_to_none=True)
        with context:
            loss = training_step(
                model, schedule, x_0, y, null_label, label_dropout, target, min_snr_gamma
            )
            minimised = loss if add_loss is None else loss + add_loss()
        scaler.scale(minimised).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), grad_clip)
        scaler.step(optimizer)
        scaler.update()
        if lr_schedule is not None:
            lr_schedule.step()
        if ema is not None:
            ema.update(model)
        total += loss.detach() * len(x_0)
        images += len(x_0)
        if on_step:
            on_step(len(x_0), loss.detach())
        # Here and not before the step: fetching a batch has already drawn its flips.
        if should_stop and should_stop():
            break
    return float(total) / max(1, images)


@torch.no_grad()
def validate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    schedule: NoiseSchedule,
    target: str = "noise",
    seed: int = 0,
    precision: str = "fp32",
) -> float:
    """The loss on images that training never sees, at timesteps and noise that never change.

    Both are drawn from `seed`, on the CPU, so that two values differ because the model does. The
    global random state (which a loader draws from, too) and the model's mode are left as they were.

    Returns:
        The mean over all images.
    """
    was_training, random_state = model.training, torch.get_rng_state()
    model.eval()
    device = next(model.parameters()).device
    schedule = schedule.to(device)
    generator = Generator().manual_seed(seed)
    total, images = 0.0, 0
    for x_0, y in loader:
        t = sample_timesteps(len(x_0), schedule.timesteps, generator=generator)
        noise = torch.randn(x_0.shape, generator=generator)
        x_0, t, y, noise = (v.to(device) for v in (x_0, t, y, noise))
        with autocast(device, precision):
            loss = p_losses(model, schedule, x_0, t, y, noise, target)
        total += loss.item() * len(x_0)
        images += len(x_0)
    model.train(was_training)
    torch.set_rng_state(random_state)
    return total / max(1, images)


@dataclass
class TrainingState:
    """What a training is made of at one moment; a checkpoint holds all of it.

    Attributes:
        model: what is trained.
        optimizer: of its parameters.
        lr_schedule: the optimiser's learning rate by step; None for a constant one.
        scaler: of mixed precision; None for none.
        ema: the moving average; None for none.
        shuffling: the generator that the training batches are shuffled with; None for torch's own.
        world: the processes that train together.
        epoch: epochs finished.
        batches: batches done of the epoch that is not finished.
        loss_sum: of their losses, each times its images.
        step: optimiser steps made.
        images_seen: images seen in them, by all processes, repeats counted.
        seconds: of training and validation so far.
        best_loss: the lowest validation loss so far.
    """

    model: nn.Module
    optimizer: Optimizer
    lr_schedule: LRScheduler | None = None
    scaler: GradScaler | None = None
    ema: ExponentialMovingAverage | None = None
    shuffling: Generator | None = None
    world: World = field(default_factory=World)
    epoch: int = 0
    batches: int = 0
    loss_sum: float = 0.0
    step: int = 0
    images_seen: int = 0
    seconds: float = 0.0
    best_loss: float = math.inf

    def __post_init__(self):
        # The order of an epoch follows from the generator's state before it: remember that one.
        self.shuffling_before_epoch = self.shuffling.get_state() if self.shuffling else None


# The numbers of a state that a checkpoint's header holds as they are.
_COUNTERS = ("epoch", "batches", "loss_sum", "step", "images_seen", "seconds")


def random_states(state: TrainingState) -> dict[str, Tensor]:
    """★ Where all generators stand that training draws from, by name."""
    states = {}
    for rank, global_state in enumerate(state.world.gather(torch.get_rng_state())):
        states[f"torch.{rank}"] = global_state
    device = next(state.model.parameters()).device
    if device.type == "cuda":
        for rank, global_state in enumerate(state.world.gather(torch.cuda.get_rng_state(device))):
            states[f"cuda.{rank}"] = global_state
    if state.shuffling is not None:
        before = state.shuffling_before_epoch
        states["shuffling"] = before if state.batches else state.shuffling.get_state()
    return states


def restore_random_states(states: dict[str, Tensor], state: TrainingState) -> None:
    """★ Put all generators back to where they stood."""
    # With more processes than before, the new ones keep the random state that they started with.
    rank, device = state.world.rank, next(state.model.parameters()).device
    if f"torch.{rank}" in states:
        torch.set_rng_state(states[f"torch.{rank}"])
    if f"cuda.{rank}" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states[f"cuda.{rank}"], device)
    if state.shuffling is not None and "shuffling" in states:
        state.shuffling.set_state(states["shuffling"])
        state.shuffling_before_epoch = states["shuffling"]


def save_checkpoint(path: Path, state: TrainingState, about: dict | None = None) -> None:
    """Write a state to one safetensors file; it appears whole or not at all.

    Tensors are named model.*, ema.*, optimizer.<parameter>.<moment> and rng.*; numbers and `about`
    (anything that JSON can hold) stand in the header. Nothing in it can run code when it is loaded,
    as a pickle could. With several processes all have to call it, and the first one writes.
    """
    optimizer = state.optimizer.state_dict()
    tensors = _named("model", state.model.state_dict())
    for i, moments in optimizer["state"].items():
        tensors |= _named(f"optimizer.{i}", {k: torch.as_tensor(v) for k, v in moments.items()})
    tensors |= _named("rng", random_states(state))
    header = {name: getattr(state, name) for name in _COUNTERS}
    header["best_loss"] = state.best_loss if math.isfinite(state.best_loss) else None
    header |= {"optimizer": optimizer["param_groups"], "about": about or {}}
    if state.ema is not None:
        tensors |= _named("ema", state.ema.average.state_dict())
        header["ema_updates"] = state.ema.updates
    if state.lr_schedule is not None:
        position = state.lr_schedule.state_dict()
        header["lr_schedule"] = {k: v for k, v in position.items() if k != "lr_lambdas"}
    if state.scaler is not None:
        header["scaler"] = state.scaler.state_dict()
    if state.world.is_main:
        write_tensors(path, tensors, header)


def load_checkpoint(path: Path, state: TrainingState) -> dict:
    """Put a saved state back into freshly made parts, random states included.

    Returns:
        What was given to `save_checkpoint` as `about`.

    Raises:
        UserError: when the file is missing, damaged, or of another model.
    """
    tensors, header = read_tensors(path)
    if "optimizer" not in header:
        raise UserError(f"{path} holds weights only, no training to go on with: take a run's last.")
    load_weights(state.model, _part(tensors, "model."), path)
    moments: dict[int, dict[str, Tensor]] = {}
    parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
    for name, value in _part(tensors, "optimizer.").items():
        i, _, key = name.partition(".")
        moments.setdefault(int(i), {})[key] = _laid_out_like(parameters[int(i)], value)
    state.optimizer.load_state_dict({"state": moments, "param_groups": header["optimizer"]})
    if state.ema is not None:
        load_weights(state.ema.average, _part(tensors, "ema."), path)
        state.ema.updates = header["ema_updates"]
    if state.lr_schedule is not None:
        functions = {"lr_lambdas": [None]} if isinstance(state.lr_schedule, LambdaLR) else {}
        state.lr_schedule.load_state_dict(header["lr_schedule"] | functions)
    if state.scaler is not None and state.scaler.is_enabled() and header["scaler"]:
        state.scaler.load_state_dict(header["scaler"])
    for name in _COUNTERS:
        setattr(state, name, header[name])
    state.best_loss = math.inf if header["best_loss"] is None else header["best_loss"]
    restore_random_states(_part(tensors, "rng."), state)
    return header["about"]


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """The value in the parameter's order in memory: a fused optimiser walks through both at once."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, device=value.device).copy_(value)


def _named(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{k}": v for k, v in tensors.items()}


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def fit(
    state: TrainingState,
    train_loader: Iterable[tuple[Tensor, Tensor]],
    val_loader: Iterable[tuple[Tensor, Tensor]],
    schedule: NoiseSchedule,
    null_label: int,
    epochs: int,
    target: str = "noise",
    label_dropout: float = 0.1,
    min_snr_gamma: float | None = None,
    grad_clip: float = 1.0,
    precision: str = "fp32",
    checkpoint: Path | None = None,
    on_epoch: Callable[[TrainingState, dict[str, float]], None] | None = None,
) -> None:
    """Train from where `state` is until it has `epochs` epochs behind it.

    Each epoch is `train_one_epoch`, then `validate` of the averaged model (of the model itself where
    there is no average), then the callback, then the checkpoint.

    Args:
        state: is moved forward.
        train_loader, val_loader, schedule, null_label, target, label_dropout, min_snr_gamma,
            grad_clip, precision: as in `train_one_epoch` and `validate`.
        epochs: in all, those of before a checkpoint counted.
        checkpoint: written after each epoch; None for no file at all.
        on_epoch: called as on_epoch(state, metrics) with the numbers "epoch", "step", "images_seen",
            "train_loss" and "val_loss".
    """

    def count(batch_size: int, loss: Tensor) -> None:
        state.step += 1
        state.images_seen += batch_size

    while state.epoch < epochs:
        train_loss = train_one_epoch(
            state.model,
            train_loader,
            schedule,
            state.optimizer,
            null_label,
            target,
            label_dropout,
            min_snr_gamma,
            grad_clip,
            state.lr_schedule,
            state.ema,
            precision,
            state.scaler,
            on_step=count,
        )
        average = state.ema.applied(state.model) if state.ema else nullcontext()
        with average:
            val_loss = validate(state.model, val_loader, schedule, target, precision=precision)
        state.epoch += 1
        state.best_loss = min(state.best_loss, val_loss)
        metrics = {"epoch": state.epoch, "step": state.step, "images_seen": state.images_seen}
        metrics |= {"train_loss": train_loss, "val_loss": val_loss}
        if on_epoch:
            on_epoch(state, metrics)
        if checkpoint is not None:
            save_checkpoint(checkpoint, state)
