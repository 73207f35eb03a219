"""Chapter 8 · Training: the loop around the loss, and what keeps it honest.

An epoch is one walk over the training loader; the clock that everything is written down by is the
number of images seen. What a run is made of between two epochs is a `TrainingState`: a checkpoint
is that state in a file, and training continues from it as if nothing had happened.
"""

import copy
import json
import math
import os
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Generator, Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from ddpm_ref.diffusion import NoiseSchedule
from ddpm_ref.errors import UserError
from ddpm_ref.loss import losses_per_image, sample_timesteps, training_step
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
        return torch.empty(0, device=name).device
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
    on_step: Callable[[int, Tensor], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> float:
    """One walk over the loader: for each batch loss, gradient, clipping, step, schedule, average.

    Args:
        model: in the mode it will train in; it is put into training mode.
        loader: batches of x_0 (B, C, H, W) in [−1, 1] and y (B,) int64.
        schedule, target, label_dropout, min_snr_gamma, null_label: as in `training_step`.
        grad_clip: the gradient of all parameters together is scaled down to this norm.
        lr_schedule, ema: stepped after the optimiser, if there are any.
        on_step: called as on_step(batch_size, loss) after each step; the loss is a detached tensor:
            looking at it makes a GPU wait.
        should_stop: asked before each batch whether to end the walk here.

    Returns:
        The mean loss over the images of the epoch.

    Raises:
        UserError: when the loss is no longer a finite number.
    """
    model.train()
    device = next(model.parameters()).device
    total, images = torch.zeros((), device=device), 0
    for x_0, y in loader:
        if should_stop and should_stop():
            break
        x_0, y = x_0.to(device, non_blocking=True), y.to(device, non_blocking=True)
        optimizer.zero_grad(set_to_none=True)
        loss = training_step(
            model, schedule, x_0, y, null_label, label_dropout, target, min_snr_gamma
        )
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), grad_clip)
        optimizer.step()
        if lr_schedule is not None:
            lr_schedule.step()
        if ema is not None:
            ema.update(model)
        total += loss.detach() * len(x_0)
        images += len(x_0)
        if on_step:
            on_step(len(x_0), loss.detach())
    mean = float(total) / max(1, images)
    if not math.isfinite(mean):
        raise UserError(
            f"The loss became {mean}: start again with a lower --learning-rate (it was "
            f"{optimizer.param_groups[0].get('initial_lr', optimizer.param_groups[0]['lr']):g})."
        )
    return mean


@torch.no_grad()
def validate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    schedule: NoiseSchedule,
    target: str = "noise",
    seed: int = 0,
    buckets: int = 10,
) -> tuple[float, list[float]]:
    """The loss on images that training never sees, at timesteps and noise that never change.

    Both are drawn from `seed`, so that two values differ because the model does. The global random
    state and the model's mode are left as they were. The mean alone says little (it is ruled by small
    t, pictures by large t), so the loss is also given by bucket of t: bucket k holds
    t = k·T/buckets … (k + 1)·T/buckets − 1.

    Returns:
        The mean over images, and the mean of each bucket (NaN where no t fell).
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    generator = Generator().manual_seed(seed)
    losses, times = [], []
    for x_0, y in loader:
        t = sample_timesteps(len(x_0), schedule.timesteps, generator=generator)
        noise = torch.randn(x_0.shape, generator=generator)
        x_0, t, y, noise = (v.to(device) for v in (x_0, t, y, noise))
        losses.append(losses_per_image(model, schedule, x_0, t, y, noise, target).cpu())
        times.append(t.cpu())
    model.train(was_training)
    losses, bucket = torch.cat(losses), torch.cat(times) * buckets // schedule.timesteps
    return losses.mean().item(), [losses[bucket == k].mean().item() for k in range(buckets)]


@dataclass
class TrainingState:
    """What a run is made of between two epochs; a checkpoint holds all of it.

    Attributes:
        model, optimizer, lr_schedule, ema: the moving parts; no ema for None.
        shuffling: the generator that the training loader shuffles with.
        epoch: epochs finished.
        step: optimiser steps made.
        images_seen: images seen in them, repeats counted.
        seconds: of training and validation so far.
        best_loss: the lowest validation loss so far.
    """

    model: nn.Module
    optimizer: Optimizer
    lr_schedule: LambdaLR
    ema: ExponentialMovingAverage | None
    shuffling: Generator
    epoch: int = 0
    step: int = 0
    images_seen: int = 0
    seconds: float = 0.0
    best_loss: float = math.inf


def save_checkpoint(path: Path, state: TrainingState, about: dict | None = None) -> None:
    """Write a state to one safetensors file; it appears whole or not at all.

    Tensors are named model.*, ema.*, optimizer.<parameter>.<moment> and rng.*; numbers and `about`
    (anything that JSON can hold) stand in the header. Nothing in it can run code when it is loaded,
    as a pickle could.
    """
    tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    if state.ema is not None:
        tensors |= {f"ema.{k}": v for k, v in state.ema.average.state_dict().items()}
    optimizer = state.optimizer.state_dict()
    for i, moments in optimizer["state"].items():
        tensors |= {f"optimizer.{i}.{k}": torch.as_tensor(v) for k, v in moments.items()}
    tensors["rng.torch"] = torch.get_rng_state()
    tensors["rng.shuffling"] = state.shuffling.get_state()
    if torch.cuda.is_available():
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    header = {
        "epoch": state.epoch,
        "step": state.step,
        "images_seen": state.images_seen,
        "seconds": state.seconds,
        "best_loss": state.best_loss if math.isfinite(state.best_loss) else None,
        "ema_updates": state.ema.updates if state.ema else None,
        "optimizer": optimizer["param_groups"],
        "lr_schedule": {
            k: v for k, v in state.lr_schedule.state_dict().items() if k != "lr_lambdas"
        },
        "about": about or {},
    }
    write_tensors(path, tensors, header)


def load_checkpoint(path: Path, state: TrainingState) -> dict:
    """Put a saved state back into freshly made parts, random state included.

    Returns:
        What was given to `save_checkpoint` as `about`.

    Raises:
        UserError: when the file is missing, damaged, or of another model.
    """
    tensors, header = read_tensors(path)
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
    state.shuffling.set_state(tensors["rng.shuffling"])
    torch.set_rng_state(tensors["rng.torch"])
    if "rng.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["rng.cuda"])
    state.epoch, state.step = header["epoch"], header["step"]
    state.images_seen, state.seconds = header["images_seen"], header["seconds"]
    state.best_loss = math.inf if header["best_loss"] is None else header["best_loss"]
    return header["about"]


def write_tensors(path: Path, tensors: dict[str, Tensor], header: dict) -> None:
    """Tensors and a header to safetensors; the header again in a .json file beside it, for people."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    write_atomically(path, to_bytes(tensors, metadata={"ddpm": json.dumps(header)}))
    write_atomically(path.with_suffix(".json"), (json.dumps(header, indent=2) + "\n").encode())


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """The tensors and the header of one of our safetensors files.

    Raises:
        UserError: when the file is missing, damaged, or not one of ours.
    """
    if not Path(path).is_file():
        raise UserError(
            f"There is no checkpoint {path}: give the folder of a run, or a .safetensors file of one."
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["ddpm"])
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, header
    except KeyError as error:
        raise UserError(
            f"{path} was not written by this program: it holds weights, but not what of."
        ) from error
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"{path} is damaged or no safetensors file ({error}): take another checkpoint."
        ) from error


def load_weights(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """`load_state_dict`, with one sentence for all that can be wrong."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        own = model.state_dict()
        odd = [
            k
            for k in {**own, **weights}
            if k not in own or k not in weights or own[k].shape != weights[k].shape
        ]
        raise UserError(
            f"{path} holds the weights of another model: {len(odd)} tensors differ in name or shape "
            f"(the first is {odd[0]}); use it with the configuration it was trained with."
        ) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the file and rename: whoever reads it finds the old content or the new, whole."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UserError(
            f"Cannot write {path} ({error.strerror or error}): choose another place or make room."
        ) from error


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def fit(
    state: TrainingState,
    train_loader: DataLoader,
    val_loader: DataLoader,
    schedule: NoiseSchedule,
    config: TrainConfig,
    null_label: int,
    target: str = "noise",
    on_step: Callable[[int, Tensor], None] | None = None,
    on_epoch: Callable[[TrainingState, dict], None] | None = None,
) -> None:
    """Train from where `state` is until `config.images` have been seen, or `config.seconds` are over.

    After each epoch (the last may be partial) the averaged model, or the model where there is no
    average, is validated, and on_epoch(state, metrics) is called: there a run saves, draws and writes
    down. `metrics` has the columns of `metrics.csv`.
    """
    total_steps = math.ceil(config.images / config.batch_size)
    began = time.monotonic() - state.seconds

    def over() -> bool:
        late = config.seconds is not None and time.monotonic() - began > config.seconds
        return late or state.step >= total_steps

    def count(images: int, loss: Tensor) -> None:
        state.step += 1
        state.images_seen += images
        if on_step:
            on_step(images, loss)

    while not over():
        train_loss = train_one_epoch(
            *(state.model, train_loader, schedule, state.optimizer, null_label, target),
            *(
                config.label_dropout,
                config.min_snr_gamma,
                config.grad_clip,
                state.lr_schedule,
                state.ema,
            ),
            on_step=count,
            should_stop=over,
        )
        state.epoch += 1
        drawn_by = state.ema.average if state.ema else state.model
        val_loss, by_bucket = validate(drawn_by, val_loader, schedule, target)
        state.best_loss = min(state.best_loss, val_loss)
        state.seconds = time.monotonic() - began
        metrics = {
            "epoch": state.epoch,
            "step": state.step,
            "images_seen": state.images_seen,
            "seconds": state.seconds,
            "learning_rate": state.optimizer.param_groups[0]["lr"],
            "train_loss": train_loss,
            "val_loss": val_loss,
        } | {f"val_loss_t{k}": value for k, value in enumerate(by_bucket)}
        if on_epoch:
            on_epoch(state, metrics)
