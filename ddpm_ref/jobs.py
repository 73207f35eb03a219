"""Training that may take hours: the loop of chapter 8, with what happens to long jobs.

It stops at a count of images or by the clock, in the middle of an epoch where it must; it is interrupted
and goes on to the bit; it watches the loss; and several processes may share it.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.utils.data import DataLoader

from ddpm_ref.data import DeviceBatches
from ddpm_ref.diffusion import NoiseSchedule
from ddpm_ref.distributed import World
from ddpm_ref.errors import UserError
from ddpm_ref.loss import losses_per_image, sample_timesteps
from ddpm_ref.precision import autocast
from ddpm_ref.presets import TrainConfig
from ddpm_ref.training import TrainingState, train_one_epoch


@torch.no_grad()
def validate_by_timestep(
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
    """`validate`, and the loss by bucket of t besides.

    The mean alone says little: it is ruled by small t, pictures by large t. Bucket k holds
    t = k·T/buckets … (k + 1)·T/buckets − 1. With `max_images`, batches are taken until so many images
    have been looked at: always the same ones, since the loader does not shuffle. With several
    processes each looks at its share of every batch, and all get the result.

    Returns:
        The mean over images, and the mean of each bucket (NaN where no t fell).
    """
    was_training, random_state = model.training, torch.get_rng_state()
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
        errors = x_0.new_zeros(0)
        if len(t):  # a share may be empty, and attention on a GPU refuses to look at nothing
            with autocast(device, precision):
                errors = losses_per_image(model, schedule, x_0, t, y, noise, target)
        losses.append(torch.cat(world.gather(errors.cpu())))
        times.append(torch.cat(world.gather(t.cpu())))
        seen += len(losses[-1])
        if max_images is not None and seen >= max_images:
            break
    model.train(was_training)
    torch.set_rng_state(random_state)
    losses, bucket = torch.cat(losses), torch.cat(times) * buckets // schedule.timesteps
    return losses.mean().item(), [losses[bucket == k].mean().item() for k in range(buckets)]


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


def run_training(
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

    The learning rate falls in time for whichever comes first.

    After each epoch (the last may be partial) the averaged model, or the model where there is no
    average, is validated.

    Args:
        state: is moved forward.
        train_batches: `DeviceBatches`, or a loader; only the former is taken up again in the middle
            of an epoch where it was left, to the bit.
        val_loader, schedule, null_label, target, precision: as in `train_one_epoch`, `validate_by_timestep`.
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
    job = _Job(state, config, hooks or Hooks())
    job.keep_pace()
    while not job.over():
        if state.batches and isinstance(train_batches, DeviceBatches):
            train_batches.first = state.batches
        else:
            state.batches, state.loss_sum = 0, 0.0
            state.shuffling_before_epoch = state.shuffling.get_state()
        train_one_epoch(
            state.model if trained is None else trained,  # a compiled one has no truth value
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
            on_step=job.count,
            should_stop=job.over,
            add_loss=add_loss,
        )
        job.settle()
        if job.interrupted:
            job.pause()
            return False
        _check_finite(state)
        drawn_by = state.ema.average if state.ema else state.model
        losses = validate_by_timestep(
            *(drawn_by, job.hooks.validating(val_loader), schedule, target),
            max_images=config.val_images,
            precision=precision,
            world=state.world,
        )
        job.end_epoch(*losses)
    return not job.interrupted


class _Job:
    """What happens between the steps and the epochs of a long training.

    Attributes:
        state, config, hooks: as in `run_training`.
        interrupted: whether somebody wants it to stop.
    """

    def __init__(self, state: TrainingState, config: TrainConfig, hooks: Hooks):
        self.state, self.config, self.hooks = state, config, hooks
        self.interrupted = False
        self._began = time.monotonic() - state.seconds
        self._saved = time.monotonic()
        self._losses: list[Tensor] = []  # since they were last looked at

    def now(self) -> float:
        return time.monotonic() - self._began

    def over(self) -> bool:
        state, config, world = self.state, self.config, self.state.world
        if state.step >= config.steps:
            return True
        # Several processes have to agree, which costs time: they ask each other every tenth step.
        if world.size > 1 and state.step % 10:
            return False
        self.interrupted = world.any(self.hooks.interrupted())
        return self.interrupted or world.any(
            config.seconds is not None and self.now() > config.seconds
        )

    def keep_pace(self) -> None:
        """Move the learning rate on to where it falls by the clock, if by images it would be later."""
        config, schedule = self.config, self.state.lr_schedule
        if config.seconds is None or schedule is None:
            return
        passed = torch.tensor(self.now() / config.seconds)
        passed = torch.stack(self.state.world.gather(passed)).max().item()
        position = int(passed * config.steps)
        if passed > config.decay_from and position > schedule.last_epoch:
            schedule.last_epoch = position - 1
            schedule.step()

    def count(self, _: int, loss: Tensor) -> None:
        """One more step; every fiftieth, look at the losses and at the clock."""
        state, world, images = self.state, self.state.world, self.config.batch_size
        state.step += 1
        state.batches += 1
        state.images_seen += images
        self._losses.append(loss)
        if world.size == 1 or state.step % 10 == 0:
            self.keep_pace()
        if state.step % 50 == 0:
            self.settle()
            if world.any(time.monotonic() - self._saved > self.config.checkpoint_seconds):
                self.pause()
                self._saved = time.monotonic()
        self.hooks.on_step(images, loss)

    def settle(self) -> None:
        """Add up the losses since the last time; only here does a GPU have to be waited for."""
        for loss in torch.stack(self._losses).tolist() if self._losses else ():
            self.state.loss_sum += loss * self.config.batch_size
            if not loss < 10:
                raise Diverged(f"The loss became {loss:g} by step {self.state.step}.")
        self._losses.clear()

    def pause(self) -> None:
        """Let the run save what is there, if it is sound."""
        _check_finite(self.state)
        self.state.seconds = self.now()
        self.hooks.on_pause(self.state)

    def end_epoch(self, val_loss: float, by_bucket: list[float]) -> None:
        state = self.state
        train_loss = state.loss_sum / (state.batches * self.config.batch_size)
        state.epoch += 1
        state.batches, state.loss_sum = 0, 0.0
        state.best_loss = min(state.best_loss, val_loss)
        state.seconds = self.now()
        metrics = {
            "epoch": state.epoch,
            "step": state.step,
            "images_seen": state.images_seen,
            "seconds": state.seconds,
            "learning_rate": state.optimizer.param_groups[0]["lr"],
            "train_loss": train_loss,
            "val_loss": val_loss,
        } | {f"val_loss_t{k}": value for k, value in enumerate(by_bucket)}
        self.hooks.on_epoch(state, metrics)
        self._saved = time.monotonic()


def _check_finite(state: TrainingState) -> None:
    """The last step may have spoilt the weights without a loss that shows it yet."""
    if not all(p.isfinite().all() for p in state.model.parameters()):
        raise Diverged(f"The weights are no numbers any more after step {state.step}.")
