"""From a recipe to a finished run: what is set up around the loop of `jobs`, and what is kept of it."""

import math
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ddpm_ref.data import DeviceBatches, make_loaders
from ddpm_ref.datasets import ImageSet, load_dataset
from ddpm_ref.diffusion import NoiseSchedule
from ddpm_ref.distributed import World
from ddpm_ref.errors import UserError, readable
from ddpm_ref.files import write_tensors
from ddpm_ref.jobs import Diverged, Hooks, run_training
from ddpm_ref.painting import Painter
from ddpm_ref.pictures import grid, save_picture
from ddpm_ref.precision import allow_tf32, make_scaler, memory_format, select_precision
from ddpm_ref.presets import RunConfig, SampleConfig, TrainConfig, for_images
from ddpm_ref.recipes import make_model, make_schedule
from ddpm_ref.runs import Run, make_parts
from ddpm_ref.training import (
    ExponentialMovingAverage,
    TrainingState,
    fit,
    load_checkpoint,
    make_lr_schedule,
    make_optimizer,
    save_checkpoint,
)


def fit_to_dataset(config: RunConfig, progress: Callable = iter) -> tuple[RunConfig, ImageSet]:
    """Load the training images, and adapt the recipe to their size, channels and classes."""
    data = config.data
    images = load_dataset(
        data.dataset, data.data_dir, data.image_size, size=data.size, progress=progress
    )
    _, channels, height, _ = images.images.shape
    return for_images(config, height, channels, len(images.classes)), images


def train(
    config: RunConfig,
    images: ImageSet,
    folder: Path,
    device: torch.device | str = "cpu",
    world: World | None = None,
    hooks: Hooks | None = None,
    resume: bool = False,
) -> bool:
    """Train a model into a run folder.

    Args:
        config, images: as `fit_to_dataset` returns them.
        folder: must not exist; with `resume` it is that of an interrupted run.
        device: where to train.
        world: the processes that train together; only the first one writes.
        hooks: as in `run_training`; the run has been written to when its on_epoch and on_pause are called.
        resume: go on from the last checkpoint, or from the start where none was written yet, with the
            learning rate and the length of `config`.

    Returns:
        Whether the training came to its end; False when it was interrupted (and can be resumed).
    """
    world, hooks, device = world or World(), hooks or Hooks(), torch.device(device)
    knobs = config.train
    precision = select_precision(knobs.precision, device)
    if device.type == "cuda":
        allow_tf32()
    # The same start in all processes, then a random state for each, so that their noise differs.
    torch.manual_seed(knobs.seed)
    model = make_model(config)  # before the folder: a recipe that cannot be leaves none
    model = model.to(device, memory_format=memory_format(device, precision))
    torch.manual_seed(knobs.seed + 1 + world.rank)
    train_loader, val_loader = _loaders(config, images)
    batches = fast_batches(train_loader, images, config, device, world)
    state = _moving_parts(
        model,
        knobs,
        knobs.steps,
        scaler=make_scaler(device, precision),
        shuffling=train_loader.generator,
        world=world,
    )
    schedule = make_schedule(config).to(device)
    trained, add_loss = _wrapped(model, config, images.classes, schedule, world)
    with _opened(folder, config, images, world, resume) as run:
        keeper = _Keeper(
            run, state, schedule, config, images.classes, epochs_between(knobs, len(batches))
        )
        if resume:
            keeper.go_on()

        def on_epoch(state: TrainingState, metrics: dict) -> None:
            keeper.on_epoch(metrics)
            hooks.on_epoch(state, metrics)

        def on_pause(state: TrainingState) -> None:
            keeper.save("last")
            hooks.on_pause(state)

        try:
            finished = run_training(
                *(state, batches, val_loader, schedule, knobs),
                null_label=len(images.classes),
                target=config.diffusion.target,
                precision=precision,
                hooks=replace(hooks, on_epoch=on_epoch, on_pause=on_pause),
                trained=trained,
                add_loss=add_loss,
            )
        except Diverged as error:
            raise UserError(f"{error} {_way_out(run, knobs)}") from error
        keeper.finish()
        return finished


def _loaders(config: RunConfig, images: ImageSet) -> tuple[DataLoader, DataLoader]:
    with readable("These images cannot be trained on"):
        return make_loaders(
            images.images,
            images.labels,
            config.train.batch_size,
            config.data.val_fraction,
            config.train.seed,
            flip=images.flip and config.data.flip,
            num_workers=config.data.num_workers,
        )


def _moving_parts(model: nn.Module, knobs: TrainConfig, steps: int, **others) -> TrainingState:
    """The model with an optimiser, its learning rate over so many steps, and its average."""
    optimizer = make_optimizer(model, knobs.learning_rate, knobs.betas, knobs.weight_decay)
    rate = make_lr_schedule(optimizer, steps, knobs.warmup_steps, knobs.decay_from)
    averaged = knobs.ema_decay is not None
    ema = ExponentialMovingAverage(model, knobs.ema_decay) if averaged else None
    return TrainingState(model, optimizer, lr_schedule=rate, ema=ema, **others)


def _wrapped(
    model: nn.Module,
    config: RunConfig,
    classes: tuple[str, ...],
    schedule: NoiseSchedule,
    world: World,
) -> tuple[nn.Module, Callable[[], Tensor] | None]:
    """What the loss is computed by, and what is added to it: see `run_training`."""
    trained, device = model, schedule.betas.device
    if world.size > 1:
        ids = [device.index] if device.type == "cuda" else None
        trained = nn.parallel.DistributedDataParallel(trained, device_ids=ids)
    if config.train.compile or (config.train.compile is None and can_compile(device)):
        # What was compiled for an earlier training of this process would make this one's sizes variable,
        # and after some of them nothing is compiled any more.
        torch.compiler.reset()
        trained = torch.compile(trained)
    if not config.train.clip_loss:
        return trained, None
    from ddpm_ref.clip.loss import ClipLoss

    trained = ClipLoss(trained, config, classes, schedule, device)
    return trained, trained.loss


@contextmanager
def _opened(
    folder: Path, config: RunConfig, images: ImageSet, world: World, resume: bool
) -> Iterator[Run]:
    """The folder of a new run, or of an interrupted one; while it lasts, nobody else trains in it."""
    if world.is_main and not resume:
        Run.create(folder, config, images.classes, len(images.labels))
    world.any(False)  # nobody goes on before the folder is there
    run = Run(folder)
    with run.alone() if world.is_main else nullcontext():
        about = run.about()
        learnt = about.get("classes", [])
        if learnt != list(images.classes):
            raise UserError(
                f"{folder} has learnt {', '.join(learnt)}, but these images are of "
                f"{', '.join(images.classes)}: give the images that it was begun with."
            )
        # Of more or fewer, others would be left out to validate on, and it would have learnt from them.
        if (seen := about.get("images", len(images.labels))) != len(images.labels):
            raise UserError(
                f"{folder} was begun with {seen:,} images, and here are {len(images.labels):,}: "
                "give the same images, or train anew with --out."
            )
        if world.is_main:  # the others would take away what it writes by now
            for leftover in folder.rglob(".*.part"):  # of a process that was killed while it wrote
                leftover.unlink(missing_ok=True)
            make_parts(folder)  # taken away to make room, maybe
        yield run


def epochs_between(knobs: TrainConfig, steps: int) -> int:
    """Epochs between two looks at a training, where the recipe leaves that open.

    One; where an epoch is a few steps only (of few images), as many as make 50 steps, so that the time
    goes into training; but twenty looks in all, if there are so many epochs.

    Args:
        steps: of an epoch.
    """
    epochs = knobs.steps // steps
    return max(1, min(math.ceil(50 / steps), epochs // 20))


class _Keeper:
    """What a run keeps of its training: a row of numbers an epoch, checkpoints, pictures of progress.

    Attributes:
        saved_step, saved_at: the step of the newest checkpoint, and when it was written.
        kept_loss: the lowest validation loss among the checkpoints kept.
    """

    def __init__(
        self,
        run: Run,
        state: TrainingState,
        schedule: NoiseSchedule,
        config: RunConfig,
        classes: tuple[str, ...],
        between: int,
    ):
        self.run, self.state, self.config = run, state, config
        self.checkpoint_every = config.train.checkpoint_every or between
        self.sample_every = config.train.sample_every or between
        drawer = state.ema.average if state.ema else state.model
        self.painter = Painter(drawer, schedule, config, classes, run.folder, {})
        self.saved_step, self.saved_at, self.kept_loss = -1, time.monotonic(), math.inf

    def go_on(self) -> None:
        """Take up the last checkpoint, where there is one; what the recipe says counts from here on."""
        state, last = self.state, self.run.checkpoint("last")
        if last.is_file():
            kept = load_checkpoint(last, state).get("kept_loss", state.best_loss)
            self.saved_step, self.kept_loss = state.step, math.inf if kept is None else kept
            # A new length or rate too, and what a clock had moved on is moved anew.
            rate = self.config.train.learning_rate
            state.lr_schedule.base_lrs = [rate]
            state.lr_schedule.last_epoch = state.step
            factor = state.lr_schedule.lr_lambdas[0](state.step)
            state.optimizer.param_groups[0]["lr"] = rate * factor
        if state.world.is_main:
            self.run.drop_metrics_after(state.epoch)
            self.run.go_on_with(self.config)

    def on_epoch(self, metrics: dict) -> None:
        state, knobs = self.state, self.config.train
        if state.world.is_main:
            self.run.add_metrics(metrics)
        at_the_end = state.step >= knobs.steps
        due = at_the_end or state.epoch % self.checkpoint_every == 0
        if state.world.any(due or time.monotonic() - self.saved_at > knobs.checkpoint_seconds):
            is_best = metrics["val_loss"] <= self.kept_loss
            self.kept_loss = min(self.kept_loss, metrics["val_loss"])
            self.save("last")
            if is_best:
                self.save("best")
        if at_the_end or state.epoch % self.sample_every == 0:
            picture = self.run.folder / "samples" / f"epoch-{state.epoch:04d}.png"
            draw_progress(self.painter, picture, state.world)

    def save(self, name: str) -> None:
        about = {
            "config": self.config.to_dict(),
            "classes": list(self.painter.classes),
            "kept_loss": self.kept_loss if math.isfinite(self.kept_loss) else None,
        }
        save_checkpoint(self.run.checkpoint(name), self.state, about)
        self.saved_step, self.saved_at = self.state.step, time.monotonic()

    def finish(self) -> None:
        if self.state.step != self.saved_step:  # the clock ended it between two checkpoints
            self.save("last")


def _way_out(run: Run, knobs: TrainConfig) -> str:
    """What to do after a training that diverged."""
    last, folder = run.checkpoint("last"), run.folder
    if last.is_file():
        way = f"ddpm train --resume {shlex.quote(str(folder))} --learning-rate {knobs.learning_rate / 3:.1g}"
        return f"The last good checkpoint is {last}: go on with `{way}`."
    return f"Remove {folder} and start again with a --learning-rate below {knobs.learning_rate:g}."


def can_compile(device: torch.device) -> bool:
    """Whether torch.compile is worth it here: on an NVIDIA GPU, with all that its compiler needs."""
    if device.type != "cuda":
        return False
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.zeros(8, device=device))
    except Exception:  # no compiler, no headers, an old card: each has an error of its own
        return False
    return True


def train_borrowed(
    config: RunConfig,
    images: ImageSet,
    folder: Path,
    device: torch.device | str = "cpu",
    on_epoch: Callable[[TrainingState, dict], None] = lambda state, row: None,
) -> None:
    """Train with somebody else's nine chapters (`ddpm_ref.borrowed`), by their own `fit`, in float32.

    What chapter 8 does not ask for (stopping in the middle of an epoch, several processes) is not to be
    had here; the run is a run like any other, and its weights stand in it under their own names.
    """
    knobs, began = config.train, time.monotonic()
    torch.manual_seed(knobs.seed)
    model = make_model(config).to(device)
    train_loader, val_loader = _loaders(config, images)
    epochs = max(1, round(knobs.images / (len(train_loader) * knobs.batch_size)))
    state = _moving_parts(model, knobs, epochs * len(train_loader))
    schedule = make_schedule(config)
    run = Run.create(folder, config, images.classes, len(images.labels))
    about = {"config": config.to_dict(), "classes": list(images.classes)}

    def keep(state: TrainingState, metrics: dict) -> None:
        row = {name: float(metrics[name]) for name in ("epoch", "step", "images_seen")}
        row |= {"seconds": time.monotonic() - began}
        row |= {name: float(metrics[name]) for name in ("train_loss", "val_loss")}
        run.add_metrics(row)
        with state.ema.applied(model) if state.ema else nullcontext():
            tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
            header = {"epoch": row["epoch"], "about": about}
            write_tensors(run.checkpoint("last"), tensors, header)
            if row["val_loss"] == min(each["val_loss"] for each in run.metrics()):
                write_tensors(run.checkpoint("best"), tensors, header)
        on_epoch(state, row)

    try:
        fit(
            *(state, train_loader, val_loader, schedule),
            null_label=len(images.classes),
            epochs=epochs,
            target=config.diffusion.target,
            label_dropout=knobs.label_dropout,
            grad_clip=knobs.grad_clip,
            on_epoch=keep,
        )
    except BaseException:
        if not run.checkpoint("last").is_file():  # of no use, and in the way of the next try
            shutil.rmtree(folder)
        raise


def fast_batches(
    loader: DataLoader, images: ImageSet, config: RunConfig, device: torch.device, world: World
) -> DeviceBatches | DataLoader:
    """The images on the device as a whole where they fit, in memory where they do not.

    The loader with its worker processes is taken when the user asks for workers.
    """
    if config.data.num_workers and world.size == 1:
        return loader
    place = device
    if device.type == "cuda" and images.images.nbytes > torch.cuda.mem_get_info(device)[0] / 4:
        place = torch.device("cpu")
    world.must_share(config.train.batch_size)
    return DeviceBatches(
        images.images,
        images.labels,
        loader.dataset.indices,
        config.train.batch_size,
        loader.dataset.transform.flip,
        loader.generator,
        place,
        world.rank,
        world.size,
    )


def draw_progress(painter: Painter, path: Path, world: World | None = None) -> None:
    """One picture a class, from the same noise each time, by a short DDIM walk without guidance.

    Several processes share the pictures out.
    """
    world = world or World()
    y = torch.arange(len(painter.classes))
    noise = painter.noise(len(y), seed=0)
    steps = min(20, painter.config.diffusion.timesteps)
    how = SampleConfig(sampler="ddim", steps=steps, guidance_scale=1.0)
    mine = slice(world.rank, None, world.size)
    drawn = painter.draw(y[mine], noise[mine], how) if len(y[mine]) else noise[:0]
    parts = world.gather(drawn)
    if world.is_main:
        x = torch.empty_like(noise)
        for rank, part in enumerate(parts):
            x[rank :: world.size] = part
        save_picture(grid(x, columns=min(10, len(y)), zoom=1), path)
