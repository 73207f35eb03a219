"""Chapter 8 · Training: the loop around the loss, and what keeps it honest.

An epoch is one walk over the training loader; the clock that everything is written down by is the
number of images seen. What a run is made of between two epochs is a `TrainingState`: a checkpoint
is that state in a file, and training continues from it as if nothing had happened.
"""

import copy
import math
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.amp import GradScaler
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from ddpm_ref.data import DeviceBatches
from ddpm_ref.diffusion import NoiseSchedule
from ddpm_ref.distributed import World
from ddpm_ref.errors import UserError
from ddpm_ref.files import load_weights, read_tensors, write_tensors
from ddpm_ref.loss import losses_per_image, sample_timesteps, training_step
from ddpm_ref.precision import autocast, make_scaler
from ddpm_ref.presets import TrainConfig


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
    lr_schedule: LambdaLR | None = None,
    ema: ExponentialMovingAverage | None = None,
    precision: str = "fp32",
    scaler: GradScaler | None = None,
    on_step: Callable[[int, Tensor], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    add_loss: Callable[[], Tensor] | None = None,
) -> float:
    """One walk over the loader: for each batch loss, gradient, clipping, step, schedule, average.

    Args:
        model: in the mode it will train in; it is put into training mode.
        loader: batches of x_0 (B, C, H, W) in [−1, 1] and y (B,) int64.
        schedule, target, label_dropout, min_snr_gamma, null_label: as in `training_step`.
        grad_clip: the gradient of all parameters together is scaled down to this norm.
        lr_schedule, ema: stepped after the optimiser, if there are any.
        precision: "fp32", "bf16" or "fp16", of the forward pass (Micikevicius et al. 2018).
        scaler: keeps fp16 gradients above 0; made here when None. Gradients are clipped after they
            have been scaled back: before it, the limit would be thousands of times too low.
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
    scaler = scaler or make_scaler(device, precision)
    total, images = torch.zeros((), device=device), 0
    for x_0, y in loader:
        x_0, y = x_0.to(device, non_blocking=True), y.to(device, non_blocking=True)
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, precision):
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
    buckets: int = 10,
    max_images: int | None = None,
    precision: str = "fp32",
    world: World | None = None,
) -> tuple[float, list[float]]:
    """The loss on images that training never sees, at timesteps and noise that never change.

    Both are drawn from `seed`, so that two values differ because the model does. The global random
    state and the model's mode are left as they were. The mean alone says little (it is ruled by small
    t, pictures by large t), so the loss is also given by bucket of t: bucket k holds
    t = k·T/buckets … (k + 1)·T/buckets − 1. With `max_images`, batches are taken until so many images
    have been looked at: always the same ones, since the loader does not shuffle. With several
    processes each looks at its share of every batch, and all get the result.

    Returns:
        The mean over images, and the mean of each bucket (NaN where no t fell).
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    generator = Generator().manual_seed(seed)
    world = world or World()
    losses, times, seen = [], [], 0
    for x_0, y in loader:
        t = sample_timesteps(len(x_0), schedule.timesteps, generator=generator)
        noise = torch.randn(x_0.shape, generator=generator)
        mine = (v[world.rank :: world.size] for v in (x_0, t, y, noise))
        x_0, t, y, noise = (v.to(device) for v in mine)
        with autocast(device, precision):
            errors = losses_per_image(model, schedule, x_0, t, y, noise, target)
        losses.append(torch.cat(world.gather(errors.cpu())))
        times.append(torch.cat(world.gather(t.cpu())))
        seen += len(losses[-1])
        if max_images is not None and seen >= max_images:
            break
    model.train(was_training)
    losses, bucket = torch.cat(losses), torch.cat(times) * buckets // schedule.timesteps
    return losses.mean().item(), [losses[bucket == k].mean().item() for k in range(buckets)]


@dataclass
class TrainingState:
    """What a run is made of at one moment; a checkpoint holds all of it.

    Attributes:
        model, optimizer, lr_schedule, scaler, ema: the moving parts; no ema for None.
        shuffling: the generator that the training batches are shuffled with.
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
    lr_schedule: LambdaLR
    scaler: GradScaler
    ema: ExponentialMovingAverage | None
    shuffling: Generator
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
        self.shuffling_before_epoch = self.shuffling.get_state()


# The numbers of a state that a checkpoint's header holds as they are.
_COUNTERS = ("epoch", "batches", "loss_sum", "step", "images_seen", "seconds")


def save_checkpoint(path: Path, state: TrainingState, about: dict | None = None) -> None:
    """Write a state to one safetensors file; it appears whole or not at all.

    Tensors are named model.*, ema.*, optimizer.<parameter>.<moment> and rng.*; numbers and `about`
    (anything that JSON can hold) stand in the header. Nothing in it can run code when it is loaded,
    as a pickle could. With several processes all have to call it, and the first one writes.
    """
    tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    if state.ema is not None:
        tensors |= {f"ema.{k}": v for k, v in state.ema.average.state_dict().items()}
    optimizer = state.optimizer.state_dict()
    for i, moments in optimizer["state"].items():
        tensors |= {f"optimizer.{i}.{k}": torch.as_tensor(v) for k, v in moments.items()}
    tensors["rng.shuffling"] = (
        state.shuffling_before_epoch if state.batches else state.shuffling.get_state()
    )
    for rank, random_state in enumerate(state.world.gather(torch.get_rng_state())):
        tensors[f"rng.torch.{rank}"] = random_state
    if torch.cuda.is_available():
        for rank, random_state in enumerate(state.world.gather(torch.cuda.get_rng_state())):
            tensors[f"rng.cuda.{rank}"] = random_state
    header = {name: getattr(state, name) for name in _COUNTERS} | {
        "best_loss": state.best_loss if math.isfinite(state.best_loss) else None,
        "ema_updates": state.ema.updates if state.ema else None,
        "optimizer": optimizer["param_groups"],
        "lr_schedule": {
            k: v for k, v in state.lr_schedule.state_dict().items() if k != "lr_lambdas"
        },
        "scaler": state.scaler.state_dict(),
        "about": about or {},
    }
    if state.world.is_main:
        write_tensors(path, tensors, header)


def load_checkpoint(path: Path, state: TrainingState) -> dict:
    """Put a saved state back into freshly made parts, random state included.

    Returns:
        What was given to `save_checkpoint` as `about`.

    Raises:
        UserError: when the file is missing, damaged, or of another model.
    """
    tensors, header = read_tensors(path)
    if "optimizer" not in header:
        raise UserError(f"{path} holds weights only, no training to go on with: take a run's last.")
    load_weights(state.model, _part(tensors, "model."), path)
    if state.ema is not None:
        load_weights(state.ema.average, _part(tensors, "ema."), path)
        state.ema.updates = header["ema_updates"]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimizer.").items():
        i, _, key = name.partition(".")
        moments.setdefault(int(i), {})[key] = value
    state.optimizer.load_state_dict({"state": moments, "param_groups": header["optimizer"]})
    state.lr_schedule.load_state_dict(header["lr_schedule"] | {"lr_lambdas": [None]})
    if state.scaler.is_enabled() and header["scaler"]:
        state.scaler.load_state_dict(header["scaler"])
    state.shuffling.set_state(tensors["rng.shuffling"])
    state.shuffling_before_epoch = tensors["rng.shuffling"]
    # With more processes than before, the new ones keep the random state that they started with.
    rank = state.world.rank
    if f"rng.torch.{rank}" in tensors:
        torch.set_rng_state(tensors[f"rng.torch.{rank}"])
    if f"rng.cuda.{rank}" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors[f"rng.cuda.{rank}"])
    for name in _COUNTERS:
        setattr(state, name, header[name])
    state.best_loss = math.inf if header["best_loss"] is None else header["best_loss"]
    return header["about"]


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


@dataclass(frozen=True)
class Hooks:
    """What a run does besides training; each is called in every process.

    Attributes:
        on_step: on_step(images, loss) after each step; images of all processes, the loss a tensor.
        on_epoch: on_epoch(state, metrics) after each epoch; `metrics` is a row of `metrics.csv`.
        on_pause: on_pause(state) every `checkpoint_seconds`, and when the training is interrupted.
        validating: wraps the validation loader, for a sign of life.
        interrupted: asked after each step whether to stop here (a signal came, say).
    """

    on_step: Callable[[int, Tensor], None] = lambda images, loss: None
    on_epoch: Callable[[TrainingState, dict], None] = lambda state, metrics: None
    on_pause: Callable[[TrainingState], None] = lambda state: None
    validating: Callable[[Iterable], Iterable] = iter
    interrupted: Callable[[], bool] = lambda: False


class Diverged(UserError):
    """The loss is no number any more, or far above that of a model that has learnt nothing."""


def fit(
    state: TrainingState,
    train_batches: DeviceBatches | DataLoader,
    val_loader: DataLoader,
    schedule: NoiseSchedule,
    config: TrainConfig,
    null_label: int,
    target: str = "noise",
    precision: str = "fp32",
    hooks: Hooks | None = None,
    trained: nn.Module | None = None,
    add_loss: Callable[[], Tensor] | None = None,
) -> bool:
    """Train from where `state` is until `config.images` have been seen, or `config.seconds` are over.

    After each epoch (the last may be partial) the averaged model, or the model where there is no
    average, is validated.

    Args:
        state: is moved forward.
        train_batches: `DeviceBatches`, or a loader; only the former is taken up again in the middle
            of an epoch where it was left, to the bit.
        val_loader, schedule, null_label, target, precision: as in `train_one_epoch`, `validate`.
        config: lengths and knobs.
        hooks: see there.
        trained: what the loss is computed by, where it is not `state.model` itself: that model
            compiled, or shared with other processes.
        add_loss: as in `train_one_epoch`.

    Returns:
        Whether it came to its end; False when it was interrupted.

    Raises:
        Diverged: when the loss is not finite or above 10 (that of an untrained model is 1), looked at
            every 50 steps and before anything is saved.
    """
    hooks = hooks or Hooks()
    world = state.world
    total_steps = math.ceil(config.images / config.batch_size)
    began = time.monotonic() - state.seconds
    saved = time.monotonic()
    images_a_step = config.batch_size
    interrupted = False

    def now() -> float:
        return time.monotonic() - began

    def over() -> bool:
        nonlocal interrupted
        if state.step >= total_steps:
            return True
        # Several processes have to agree, which costs time: they ask each other every tenth step.
        if world.size > 1 and state.step % 10:
            return False
        interrupted = world.any(hooks.interrupted())
        return interrupted or world.any(config.seconds is not None and now() > config.seconds)

    def count(_: int, loss: Tensor) -> None:
        nonlocal saved
        state.step += 1
        state.batches += 1
        state.images_seen += images_a_step
        losses.append(loss)
        if state.step % 50 == 0:
            settle()
            if world.any(time.monotonic() - saved > config.checkpoint_seconds):
                pause()
                saved = time.monotonic()
        hooks.on_step(images_a_step, loss)

    def settle() -> None:
        """Add up the losses since the last time; only here does a GPU have to be waited for."""
        for loss in torch.stack(losses).double().tolist() if losses else ():
            state.loss_sum += loss * images_a_step
            if not loss < 10:
                raise Diverged(f"The loss became {loss:g} by step {state.step}.")
        losses.clear()

    def pause() -> None:
        """Let the run save what is there, if it is sound."""
        _check_finite(state)
        state.seconds = now()
        hooks.on_pause(state)

    losses: list[Tensor] = []
    while not over():
        if state.batches and isinstance(train_batches, DeviceBatches):
            train_batches.first = state.batches
        else:
            state.batches, state.loss_sum = 0, 0.0
            state.shuffling_before_epoch = state.shuffling.get_state()
        train_one_epoch(
            trained or state.model,
            train_batches,
            schedule,
            state.optimizer,
            null_label,
            target,
            config.label_dropout,
            config.min_snr_gamma,
            config.grad_clip,
            state.lr_schedule,
            state.ema,
            precision,
            state.scaler,
            on_step=count,
            should_stop=over,
            add_loss=add_loss,
        )
        settle()
        if interrupted:
            pause()
            return False
        _check_finite(state)
        state.epoch += 1
        train_loss = state.loss_sum / (state.batches * images_a_step)
        state.batches, state.loss_sum = 0, 0.0
        drawn_by = state.ema.average if state.ema else state.model
        val_loss, by_bucket = validate(
            *(drawn_by, hooks.validating(val_loader), schedule, target),
            max_images=config.val_images,
            precision=precision,
            world=world,
        )
        state.best_loss = min(state.best_loss, val_loss)
        state.seconds = now()
        metrics = {
            "epoch": state.epoch,
            "step": state.step,
            "images_seen": state.images_seen,
            "seconds": state.seconds,
            "learning_rate": state.optimizer.param_groups[0]["lr"],
            "train_loss": train_loss,
            "val_loss": val_loss,
        } | {f"val_loss_t{k}": value for k, value in enumerate(by_bucket)}
        hooks.on_epoch(state, metrics)
        saved = time.monotonic()
    return not interrupted


def _check_finite(state: TrainingState) -> None:
    """The last step may have spoilt the weights without a loss that shows it yet."""
    if not all(p.isfinite().all() for p in state.model.parameters()):
        raise Diverged(f"The weights are no numbers any more after step {state.step}.")
