"""Chapter 8 · Training: the loop around the loss, on whatever device there is.

for each epoch ─┬─ for each batch: zero_grad ─ loss ─ backward ─ clip ─ step ─ lr_schedule ─ average
                ├─ validate the averaged model
                └─ save a checkpoint

What a training is made of between two epochs is a `TrainingState`. B is the batch size.

A device is where tensors live and are computed with: the processor ("cpu"), an NVIDIA card ("cuda"), Apple's
graphics ("mps"). Operands have to be on one device. A model is on the device of its parameters,
`next(model.parameters()).device`; loaders give batches on the CPU.
"""

import copy
import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.amp import GradScaler
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from ..ch05_forward_noise.diffusion import NoiseSchedule
from ..ch06_loss.loss import p_losses, sample_timesteps, training_step


def select_device(name: str | None = None) -> torch.device:
    """The device called `name`, or the best there is: CUDA, else Apple's MPS, else the CPU.

    Args:
        name: such as "cpu", "cuda:1" or "mps"; None for the best one.

    Raises:
        ValueError: when `name` is no device, or none that this machine has.
    """
    # TODO(8.1): torch.cuda.is_available() and torch.backends.mps.is_available() are asked in this
    # order when there is no name. With one: try to make a tensor there, torch.empty(0, device=name).
    # What torch raises when it cannot is a RuntimeError or an AssertionError.
    ### BEGIN SOLUTION
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"there is no device {name!r} here") from error
    ### END SOLUTION


def make_optimizer(
    model: nn.Module,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.01,
) -> AdamW:
    """`torch.optim.AdamW` over all parameters of the model, each with the same settings.

    Adam with an L2 penalty is another algorithm: AdamW takes the weight decay out of the gradient's
    moments (Loshchilov & Hutter 2019, algorithm 2). What is not named here stays as torch has it.
    """
    # TODO(8.2): one line.
    ### BEGIN SOLUTION
    return AdamW(model.parameters(), lr=learning_rate, betas=betas, weight_decay=weight_decay)
    ### END SOLUTION


def make_lr_schedule(
    optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, decay_from: float = 1.0
) -> LambdaLR:
    """The learning rate by step: up in a straight line, level, down to 0 by a half cosine. (Given.)

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

    It starts as a copy of the model, with numbers of its own. Update i, counted from 0, makes each of
    its parameters

        average = decay_i · average + (1 − decay_i) · parameter
        decay_i = min(decay, (1 + i) / (10 + i))

    With `decay` from the start, a short training would end before the average had forgotten the random
    weights that it began with. Buffers are copied as they are, not averaged. Nothing here has a
    gradient, and the model itself is changed in no way (its mode and what it trains included).

    Source: Song & Ermon 2020, section 3.4; Polyak & Juditsky 1992.

    Args:
        model: what to average.
        decay: the largest decay, 0 ≤ decay < 1.

    Raises:
        ValueError: on another decay.
    """

    def __init__(self, model: nn.Module, decay: float):
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1, got {decay}")
        self.decay = decay
        self.updates = 0
        # TODO(8.3), first of three: self.average, a copy of the model (copy.deepcopy), in eval mode and
        # without gradients.
        ### BEGIN SOLUTION
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        ### END SOLUTION

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model; to be called after each optimiser step."""
        # TODO(8.3), second: decay_i; each parameter of the average and of the model, side by side;
        # each buffer; and one update more has been made.
        ### BEGIN SOLUTION
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for mine, its in zip(self.average.parameters(), model.parameters(), strict=True):
            mine.mul_(decay).add_(its, alpha=1 - decay)
        for mine, its in zip(self.average.buffers(), model.buffers(), strict=True):
            mine.copy_(its)
        self.updates += 1
        ### END SOLUTION

    @contextmanager
    def applied(self, model: nn.Module):
        """Within `with ema.applied(model):` the model has the average's parameters and buffers.

        Afterwards it has its own again, to the bit, also when something inside raised an error,
        which goes on from there.
        """
        # TODO(8.3), third: keep a copy of what model.state_dict() holds (it is the weights themselves,
        # not a copy of them); load the average's; `yield model` once, inside try … finally.
        ### BEGIN SOLUTION
        own = copy.deepcopy(model.state_dict())
        model.load_state_dict(self.average.state_dict())
        try:
            yield model
        finally:
            model.load_state_dict(own)
        ### END SOLUTION


def mixed_precision(
    device: torch.device, precision: str
) -> tuple[AbstractContextManager, GradScaler]:
    """★ What it takes to compute in a precision: a context for the forward pass, a scaler for the rest.

        "fp32"    everything in 32 bits
        "bf16"    products in 16 bits with the range of fp32: needs no scaling
        "fp16"    products in 16 bits with a small range: losses are scaled up, so that no gradient is
                  rounded to 0, and gradients scaled back (Micikevicius et al. 2018, section 3.2)

    Args:
        device: what is computed on.
        precision: "fp32", "bf16" or "fp16".

    Returns:
        (context, scaler). `with context:` is torch.autocast for the device's type in torch.bfloat16 or
        torch.float16, and changes nothing for "fp32"; it is entered once a step. The scaler is a
        torch.amp.GradScaler, enabled for "fp16" only: one that is not passes everything through.

    Raises:
        ValueError: on another precision.
    """
    # TODO(8.8): the error; torch.autocast(type, dtype=…, enabled=…) and GradScaler(type, enabled=…).
    ### BEGIN SOLUTION
    dtypes = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision not in dtypes:
        raise ValueError(f"precision must be fp32, bf16 or fp16, got {precision!r}")
    dtype = dtypes[precision]
    context = torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)
    return context, GradScaler(device.type, enabled=precision == "fp16")
    ### END SOLUTION


def train_one_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    schedule: NoiseSchedule,
    optimizer: Optimizer,
    null_label: int,
    target: str = "noise",
    label_dropout: float = 0.1,
    grad_clip: float = 1.0,
    lr_schedule: LRScheduler | None = None,
    ema: ExponentialMovingAverage | None = None,
    precision: str = "fp32",
    scaler: GradScaler | None = None,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> float:
    """One walk over the loader. With each batch, in this order:

     1. the optimiser's old gradients are cleared;
     2. the loss is chapter 6's `training_step`, everything in it on the model's device: the batch, and the
        tables of the schedule;
     3. backward;
     4. the gradient of all parameters together is scaled down to the norm `grad_clip` if it is longer;
     5. the optimiser steps;
     6. then `lr_schedule` steps and `ema` is updated, if there are any;
     7. `on_step(B, loss)` is called, if there is one, with the loss as a tensor without its graph.

    ★ With mixed precision (`mixed_precision`): the loss is computed in its context; the scaler scales the
    loss before backward, unscales the gradient *before* it is clipped (`scaler.unscale_(optimizer)`), makes
    the optimiser's step, and is updated. You can leave `precision` and `scaler` alone until then.

    No seed is set: what the loss draws at random is new in every step and every epoch.

    Args:
        model: on the device to train on; it is put into training mode, with all that is inside it.
        loader: batches of x_0 (B, C, H, W) in [−1, 1] and y (B,) int64, mostly on the CPU.
        schedule: its tables may be on the CPU, too: `schedule.to(device)` gives a moved one.
        optimizer: of the model's parameters.
        null_label, target, label_dropout: as in `training_step`.
        grad_clip: largest norm of the gradient.
        precision: ★ "fp32", "bf16" or "fp16".
        scaler: ★ kept by the caller, so that its scale lives on, and used whatever the precision is; None for
            one made here.

    Returns:
        The mean loss over the images of the epoch: a smaller last batch counts for less.
    """
    # TODO(8.4): the mode, the device, the loop. Add up loss · B without its graph (detach() or item()):
    # with it, the graphs of all batches would stay in memory.
    ### BEGIN SOLUTION
    model.train()
    device = next(model.parameters()).device
    schedule = schedule.to(device)
    context, own_scaler = mixed_precision(device, precision)
    scaler = scaler or own_scaler
    total, images = torch.zeros((), device=device), 0
    for x_0, y in loader:
        x_0, y = x_0.to(device), y.to(device)
        optimizer.zero_grad()
        with context:
            loss = training_step(model, schedule, x_0, y, null_label, label_dropout, target)
        scaler.scale(loss).backward()
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
        if on_step is not None:
            on_step(len(x_0), loss.detach())
    return float(total) / images
    ### END SOLUTION


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

    The loss of a batch is chapter 6's `p_losses`, with one t for each image, uniform over 0…T−1, standard
    normal noise and the true labels: none is dropped. t and noise follow from `seed` alone, whatever was
    drawn before, so two values differ because the model does. Everything is on the model's device.

    No gradients, in eval mode. Afterwards the model is in the mode that it was in, and torch's global
    random state is what it was before, although a DataLoader draws from it too (and a seed may not be
    set in it without being taken back).

    Args:
        model, loader, schedule, target: as in `train_one_epoch`.
        seed: of t and noise.
        precision: ★ as in `train_one_epoch`.

    Returns:
        The mean over all images: a smaller last batch counts for less.
    """
    # TODO(8.5): remember model.training and torch.get_rng_state(); a torch.Generator of your own, seeded;
    # for each batch t and noise from it, and the loss; put mode and random state back.
    ### BEGIN SOLUTION
    was_training, random_state = model.training, torch.get_rng_state()
    model.eval()
    device = next(model.parameters()).device
    schedule = schedule.to(device)
    context, _ = mixed_precision(device, precision)
    generator = Generator().manual_seed(seed)
    total, images = 0.0, 0
    for x_0, y in loader:
        t = sample_timesteps(len(x_0), schedule.timesteps, generator=generator)
        noise = torch.randn(x_0.shape, generator=generator)
        x_0, t, y, noise = (v.to(device) for v in (x_0, t, y, noise))
        with context:
            loss = p_losses(model, schedule, x_0, t, y, noise, target)
        total += loss.item() * len(x_0)
        images += len(x_0)
    model.train(was_training)
    torch.set_rng_state(random_state)
    return total / images
    ### END SOLUTION


@dataclass
class TrainingState:
    """What a training is made of at one moment; a checkpoint holds all of it. (Given.)

    Attributes:
        model, optimizer: always there.
        lr_schedule, scaler, ema: None for what there is not.
        shuffling: the generator that the training batches are shuffled with; None for torch's own.
        epoch: epochs finished.
        step: optimiser steps made.
        images_seen: images seen in them, repeats counted.
        best_loss: the lowest validation loss so far.
    """

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


def random_states(state: TrainingState) -> dict[str, Tensor]:
    """★ Where all generators stand that training draws from, by name.

    These are torch's global one (torch.get_rng_state()), on a machine with CUDA that of the GPU too
    (torch.cuda.get_rng_state()), and `state.shuffling` where there is one.
    """
    # TODO(8.9), first of two.
    ### BEGIN SOLUTION
    states = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    if state.shuffling is not None:
        states["shuffling"] = state.shuffling.get_state()
    return states
    ### END SOLUTION


def restore_random_states(states: dict[str, Tensor], state: TrainingState) -> None:
    """★ Put all generators back to where `random_states` found them."""
    # TODO(8.9), second.
    ### BEGIN SOLUTION
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
    if state.shuffling is not None:
        state.shuffling.set_state(states["shuffling"])
    ### END SOLUTION


def save_checkpoint(path: Path, state: TrainingState) -> None:
    """Write all of a state to one file, so that training can go on from it.

    That is: model, optimiser, lr_schedule, scaler and ema (its average *and* its count of updates), as far
    as there are any, and the four numbers. ★ And the `random_states`: with them, training goes on exactly
    as if it had not been interrupted. The layout of the file is yours, as long as it holds tensors, numbers
    and what `state_dict()` gives, and no objects: a model saved whole cannot be loaded without its program.
    """
    # TODO(8.6), first of two: torch.save({…}, path). Model, optimiser, lr_schedule and scaler have a
    # state_dict() each; your average has what you gave it.
    ### BEGIN SOLUTION
    parts = {name: getattr(state, name) for name in _NUMBERS}
    for name in _WITH_STATE:
        if getattr(state, name) is not None:
            parts[name] = getattr(state, name).state_dict()
    if state.ema is not None:
        parts["ema"] = state.ema.average.state_dict()
        parts["ema_updates"] = state.ema.updates
    parts["random"] = random_states(state)
    beside = path.with_name(path.name + ".part")  # so that a crash leaves no half of a file
    torch.save(parts, beside)
    beside.replace(path)
    ### END SOLUTION


def load_checkpoint(path: Path, state: TrainingState) -> None:
    """Put what `save_checkpoint` wrote back into freshly made parts, on whatever device they are."""
    # TODO(8.6), second: torch.load(path, map_location="cpu") and load_state_dict; load_state_dict moves
    # each tensor to where it belongs.
    ### BEGIN SOLUTION
    parts = torch.load(path, map_location="cpu")
    for name in _NUMBERS:
        setattr(state, name, parts[name])
    for name in _WITH_STATE:
        if getattr(state, name) is not None:
            getattr(state, name).load_state_dict(parts[name])
    if state.ema is not None:
        state.ema.average.load_state_dict(parts["ema"])
        state.ema.updates = parts["ema_updates"]
    restore_random_states(parts["random"], state)
    ### END SOLUTION


_NUMBERS = ("epoch", "step", "images_seen", "best_loss")
_WITH_STATE = ("model", "optimizer", "lr_schedule", "scaler")


def fit(
    state: TrainingState,
    train_loader: Iterable[tuple[Tensor, Tensor]],
    val_loader: Iterable[tuple[Tensor, Tensor]],
    schedule: NoiseSchedule,
    null_label: int,
    epochs: int,
    target: str = "noise",
    label_dropout: float = 0.1,
    grad_clip: float = 1.0,
    precision: str = "fp32",
    checkpoint: Path | None = None,
    on_epoch: Callable[[TrainingState, dict[str, float]], None] | None = None,
) -> None:
    """Train from where `state` is until it has `epochs` epochs behind it.

    Each epoch is `train_one_epoch` with all the parts of the state, then `validate` of the averaged model
    (`with state.ema.applied(state.model):`; of the model itself where there is no average), then the
    state's numbers, then the callback, and last the checkpoint: what the callback draws at random is then
    behind it, too. After the validation training goes on with the model's own weights. No seed is set, in no
    generator, and all epochs are made, whether the validation loss falls or rises.

    Args:
        state: is moved forward: epoch, step, images_seen, best_loss and all the parts.
        train_loader, val_loader, schedule, null_label, target, label_dropout, grad_clip, precision:
            as in `train_one_epoch` and `validate`.
        epochs: in all, those of before a checkpoint counted: with state.epoch = 2 and epochs = 5, three
            more are made; none when there are enough already.
        checkpoint: the file that `save_checkpoint` writes after each epoch; None for no file at all.
        on_epoch: called as on_epoch(state, metrics); metrics, a new dictionary for each epoch, holds the
            numbers "epoch", "step" and "images_seen" (as they are in the state by then), "train_loss" and
            "val_loss".
    """
    # TODO(8.7): the loop over epochs. Steps and images are counted by an on_step of your own.
    ### BEGIN SOLUTION

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
            grad_clip,
            state.lr_schedule,
            state.ema,
            precision,
            state.scaler,
            on_step=count,
        )
        with state.ema.applied(state.model) if state.ema else nullcontext():
            val_loss = validate(state.model, val_loader, schedule, target, precision=precision)
        state.epoch += 1
        state.best_loss = min(state.best_loss, val_loss)
        metrics = {"epoch": state.epoch, "step": state.step, "images_seen": state.images_seen}
        metrics |= {"train_loss": train_loss, "val_loss": val_loss}
        if on_epoch is not None:
            on_epoch(state, metrics)
        if checkpoint is not None:
            save_checkpoint(checkpoint, state)
    ### END SOLUTION
