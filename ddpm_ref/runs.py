"""A run is one folder: what made it, how it went, what it draws.

In it are

    config.json      the recipe, the classes, the command
    metrics.csv      one row an epoch
    checkpoints/     last and best: a .safetensors each, with its header as .json beside it
    samples/         the same noise drawn after each epoch
    evaluation.json, samples.png, report.html   written by the commands of those names
    rerank and guide (.json, .png), clip-samples.png, clip-similarity.png   by rerank, guide, evaluate --clip
"""

import csv
import io
import json
import math
import os
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ddpm_ref import __version__
from ddpm_ref.borrowed import accepted
from ddpm_ref.data import DeviceBatches, ImageSet, load_dataset, make_loaders
from ddpm_ref.diffusion import NoiseSchedule
from ddpm_ref.distributed import World
from ddpm_ref.errors import UserError, closest_hint, readable
from ddpm_ref.files import (
    in_half_precision,
    load_weights,
    read_tensors,
    write_atomically,
    write_json,
    write_tensors,
)
from ddpm_ref.guidance import IntervalGuidance
from ddpm_ref.jobs import Diverged, Hooks, run_training
from ddpm_ref.pictures import grid, save_picture
from ddpm_ref.precision import allow_tf32, autocast, make_scaler, memory_format, select_precision
from ddpm_ref.presets import RunConfig, SampleConfig, for_images
from ddpm_ref.sampling import SAMPLERS
from ddpm_ref.shipped import MODELS, shipped_model
from ddpm_ref.training import (
    ExponentialMovingAverage,
    TrainingState,
    fit,
    load_checkpoint,
    make_lr_schedule,
    make_optimizer,
    save_checkpoint,
)
from ddpm_ref.unet import UNet

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

COLUMNS = {"epoch", "step", "images_seen", "seconds", "train_loss", "val_loss"}  # of metrics.csv
CHUNK = 100  # pictures drawn at once: more would only need more memory


def make_folder(path: Path) -> Path:
    """Create a folder that may exist already."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"Cannot create the folder {path} ({error.strerror}): choose another place."
        ) from error
    return path


def must_be_new(folder: Path) -> None:
    """Raise UserError when a folder exists already."""
    if folder.exists():
        raise UserError(
            f"{folder} exists already: choose another --out, or remove it first; nothing was changed."
        )


def free_name(path: Path) -> Path:
    """`path`, or the first of path-2, path-3, … that does not exist."""
    candidate, k = path, 1
    while candidate.exists():
        k += 1
        candidate = path.with_name(f"{path.name}-{k}")
    return candidate


def command_line() -> str:
    """What the user typed."""
    return shlex.join(["ddpm", *sys.argv[1:]])


class Run:
    """The folder of a run that exists."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        if not (self.folder / "config.json").is_file():
            raise UserError(
                f"{folder} is not the folder of a run: it has no config.json; `ddpm train` makes runs."
            )

    @classmethod
    def create(cls, folder: Path, config: RunConfig, classes: tuple[str, ...]) -> "Run":
        """Start a run in a folder that does not exist yet."""
        must_be_new(folder)
        make_folder(folder / "checkpoints")
        make_folder(folder / "samples")
        about = {
            "ddpm_ref": __version__,
            "torch": torch.__version__,
            "command": command_line(),
            "classes": list(classes),
            "config": config.to_dict(),
        }
        write_json(folder / "config.json", about)
        return cls(folder)

    def about(self) -> dict:
        """What config.json holds."""
        about = self._read_json("config.json")
        if "config" not in about:
            raise UserError(
                f"{self.folder / 'config.json'} holds no recipe: train again into a new folder."
            )
        return about

    def config(self) -> RunConfig:
        """The recipe that it goes by."""
        return _recipe(self.about()["config"], self.folder / "config.json")

    def go_on_with(self, config: RunConfig) -> None:
        """Write down the recipe from now on: another length, another rate."""
        write_json(self.folder / "config.json", self.about() | {"config": config.to_dict()})

    @contextmanager
    def alone(self):
        """While it lasts, no other process trains in this folder.

        Raises:
            UserError: when one does.
        """
        if fcntl is None:  # Windows
            yield
            return
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise UserError(
                f"Another process is training in {self.folder}: let it finish, or stop it first."
            ) from None
        except OSError:  # a file system without locks
            pass
        try:
            yield
        finally:
            os.close(handle)

    def checkpoint(self, name: str) -> Path:
        return self.folder / "checkpoints" / f"{name}.safetensors"

    def last_checkpoint(self) -> dict | None:
        """How far the last checkpoint is, in numbers; None where there is none. They are written after it."""
        beside = self.checkpoint("last").with_suffix(".json")
        return self._read_json(f"checkpoints/{beside.name}") if beside.is_file() else None

    def metrics(self) -> list[dict[str, float]]:
        """The rows of metrics.csv, none when no epoch is finished."""
        path = self.folder / "metrics.csv"
        if not path.is_file():
            return []
        damaged = readable(f"{path} is damaged, remove it or train again")
        with damaged, open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
            if any(None in (*row, *row.values()) or not row.keys() >= COLUMNS for row in rows):
                raise ValueError("a row has too many or too few columns")
            return [{k: float(v) for k, v in row.items()} for row in rows]

    def add_metrics(self, row: dict[str, float]) -> None:
        self._write_metrics([*self.metrics(), row])

    def drop_metrics_after(self, epoch: int) -> None:
        """Forget the rows of epochs that the checkpoint to go on from does not have."""
        rows = self.metrics()
        kept = [row for row in rows if row["epoch"] <= epoch]
        if len(kept) < len(rows):
            self._write_metrics(kept)

    def _write_metrics(self, rows: list[dict[str, float]]) -> None:
        text = io.StringIO()
        if rows:
            writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        write_atomically(self.folder / "metrics.csv", text.getvalue().encode())

    def evaluation(self) -> dict | None:
        """What the last `evaluate` measured, if there was one."""
        return self.numbers("evaluation.json")

    def numbers(self, name: str) -> dict | None:
        """What a command wrote down in a file of that name; None when it never ran."""
        return self._read_json(name) if (self.folder / name).is_file() else None

    def _read_json(self, name: str) -> dict:
        again = "train again" if name == "config.json" else "remove it"
        with readable(f"{self.folder / name} is damaged, {again}"):
            found = json.loads((self.folder / name).read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError(f"it holds a {type(found).__name__}")
            return found


@dataclass
class Painter:
    """A trained model with all it takes to draw: `load_painter` makes one from a run or a file.

    Attributes:
        model: in eval mode, averaged weights where there are any.
        schedule: the tables it was trained with.
        config: the recipe of its run.
        classes: names, in the order of the labels.
        source: the file it was read from.
        about: what else stands in that file's header.
    """

    model: nn.Module
    schedule: NoiseSchedule
    config: RunConfig
    classes: tuple[str, ...]
    source: Path
    about: dict

    def labels(self, names: list[str]) -> list[int]:
        """Positions of classes, given by name (in any case) or by number.

        Raises:
            UserError: when there is no such class.
        """
        lower = [name.lower() for name in self.classes]
        by_position = not any(
            name.isdecimal() for name in lower
        )  # the names are numbers themselves
        found = []
        for name in names:
            if name in self.classes:  # "Cat" and "cat" may be two of them
                found.append(self.classes.index(name))
            elif name.lower() in lower:
                found.append(lower.index(name.lower()))
            elif by_position and name.isdecimal() and int(name) < len(lower):
                found.append(int(name))
            else:
                raise UserError(f"There is no class {name!r}: {closest_hint(name, self.classes)}.")
        return found

    def noise(self, n: int, seed: int) -> Tensor:
        """(n, C, H, W) of starting noise, the same for the same seed on every device."""
        size = self.config.model.image_size
        shape = (n, self.config.model.channels, size, size)
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    def draw(
        self,
        y: Tensor | None,
        noise: Tensor,
        how: SampleConfig,
        seed: int = 0,
        callback: Callable | None = None,
        advance: Callable[[int], None] | None = None,
        guide: Callable[[slice], nn.Module] | None = None,
        clip: bool = True,
    ) -> Tensor:
        """Draw pictures, `CHUNK` at a time; in half precision where the recipe allows it and the device
        is faster with it.

        Args:
            y: (N,) labels, or None for unconditional pictures.
            noise: (N, C, H, W) to start from.
            how: sampler, steps, eta, guidance scale and the interval of guidance.
            seed: of the noise that samplers add on the way.
            callback: as in `ddpm_ref.sampling`; called chunk by chunk.
            advance: told after each step how many pictures took it.
            guide: given which pictures come next, the model that draws them in place of this one: it
                predicts noise, and sees to classifier-free guidance itself.
            clip: clip each predicted x_0.

        Returns:
            (N, C, H, W) on the CPU.
        """
        generator = torch.Generator().manual_seed(seed + 1)
        model, scale = self.guided(how)
        options = {"ddim": {"steps": how.steps, "eta": how.eta}, "dpm": {"steps": how.steps}}

        def after_step(i, t, x_t, x_0):
            if advance:
                advance(len(x_t))
            if callback:
                callback(i, t, x_t, x_0)

        parts = []
        for first in range(0, len(noise), CHUNK):
            chosen = slice(first, first + CHUNK)
            part = noise[chosen].to(self.device)
            # CLIP's gradients stay whole.
            with autocast(self.device, "fp32" if guide else self.precision):
                drawn = SAMPLERS[how.sampler](
                    guide(chosen) if guide else model,
                    self.schedule,
                    part.shape,
                    None if y is None else y[chosen].to(self.device),
                    guidance_scale=1.0 if guide else scale,
                    target="noise" if guide else self.config.diffusion.target,
                    clip=clip,
                    noise=part,
                    generator=generator,
                    callback=after_step,
                    **options.get(how.sampler, {}),
                )
            parts.append(drawn.cpu())
        return torch.cat(parts)

    def guided(self, how: SampleConfig) -> tuple[nn.Module, float]:
        """The model to draw with, and the guidance scale to give to a sampler with it."""
        if how.guidance_interval is None:
            return self.model, how.guidance_scale
        return IntervalGuidance(self.model, how.guidance_scale, how.guidance_interval), 1.0

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def precision(self) -> str:
        """What suits this device, which need not be the one that it was trained on."""
        wanted = self.config.train.precision
        return wanted if wanted == "fp32" else select_precision("auto", self.device)


def steps_of(how: SampleConfig, config: RunConfig) -> int:
    """How many steps a sampler takes; the ancestral one visits every timestep."""
    return config.diffusion.timesteps if how.sampler == "ddpm" else how.steps


def make_schedule(config: RunConfig) -> NoiseSchedule:
    kinds = {"linear": NoiseSchedule.linear, "cosine": NoiseSchedule.cosine}
    if config.diffusion.schedule not in kinds:
        raise UserError(
            f"There is no schedule {config.diffusion.schedule!r}: {closest_hint('', kinds)}."
        )
    return kinds[config.diffusion.schedule](config.diffusion.timesteps)


def _recipe(values: dict, source: Path) -> RunConfig:
    """The recipe that stands in a file, all that draws by it made once."""
    try:
        config = RunConfig.from_dict(values)
        if config.diffusion.target not in ("noise", "v"):
            raise UserError(f"its recipe has diffusion.target = {config.diffusion.target!r}.")
        make_schedule(config)
        with_sampling(config)
    except ValueError as error:
        raise UserError(f"{source} cannot be used: {str(error).rstrip('.')}.") from error
    return config


def make_model(config: RunConfig) -> UNet:
    with readable("This model cannot be built"):
        return UNet(**accepted(UNet, asdict(config.model)))


def load_painter(
    source: Path | str | None = None, checkpoint: str = "last", device="cpu"
) -> Painter:
    """The model of a run folder, of a checkpoint file, or one that comes with the package.

    Those are named as in `shipped.MODELS`, unless there is a run of that name; None is that of `demo`.

    Raises:
        UserError: when there is nothing, or something else, or it is damaged.
    """
    path = Path("demo" if source is None else source)
    if str(path) in MODELS and (source is None or not path.exists()):
        path = shipped_model(str(path))
    if not path.exists():
        raise UserError(
            f"There is no model {path}: give the folder of a run, a .safetensors file of one, or a name of "
            f"those that come with the package ({', '.join(MODELS)})."
        )
    if path.is_dir():
        path = Run(path).checkpoint(checkpoint)
        if not path.is_file():
            raise UserError(
                f"The run {source} has no checkpoint yet ({path.name} is missing): train it first."
            )
    tensors, header = read_tensors(path)
    about = header.get("about") if isinstance(header, dict) else None
    if not isinstance(about, dict) or not {"config", "classes"} <= about.keys():
        raise UserError(f"{path} holds no diffusion model of this program.")
    config, classes = _recipe(about["config"], path), tuple(about["classes"])
    if len(classes) != config.model.num_classes or not all(isinstance(c, str) for c in classes):
        raise UserError(
            f"{path} is damaged: it names {len(classes)} classes for {config.model.num_classes}."
        )
    model = make_model(config)
    prefix = "ema." if any(k.startswith("ema.") for k in tensors) else "model."
    weights = {
        k.removeprefix(prefix): v.float() for k, v in tensors.items() if k.startswith(prefix)
    }
    load_weights(model, weights, path)
    if not all(w.isfinite().all() for w in weights.values()):
        raise UserError(f"{path} holds weights that are no numbers: take another checkpoint.")
    schedule = make_schedule(config).to(device)
    painter = Painter(model.to(device).eval(), schedule, config, classes, path, about)
    model.to(memory_format=memory_format(painter.device, painter.precision))
    return painter


def export_weights(painter: Painter, path: Path, note: str = "") -> None:
    """Write only what drawing needs, in half precision: a file to pass on.

    Where the pictures lay on this machine is nobody else's business, and is left out.
    """
    halved = in_half_precision(painter.model.state_dict())
    tensors = {f"model.{k}": v for k, v in halved.items()}
    about = {k: v for k, v in painter.about.items() if k in ("config", "classes", "note")}
    data = about["config"]["data"] | {"data_dir": None}
    about |= {"config": about["config"] | {"data": data}} | ({"note": note} if note else {})
    write_tensors(path, tensors, {"about": about})


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
    world = world or World()
    with ExitStack() as held:

        def hold(run: Run) -> None:
            if world.is_main:
                held.enter_context(run.alone())

        return _train(config, images, folder, device, world, hooks or Hooks(), resume, hold)


def _train(config, images, folder, device, world, hooks, resume, hold) -> bool:
    """`train`, which lets `hold` see to it that nobody else works in the folder of the run."""
    knobs = config.train
    device = torch.device(device)
    precision = select_precision(knobs.precision, device)
    allow_tf32()
    # The same start in all processes, then a random state for each, so that their noise differs.
    torch.manual_seed(knobs.seed)
    model = make_model(config)  # before the folder: a recipe that cannot be leaves none
    model = model.to(device, memory_format=memory_format(device, precision))
    torch.manual_seed(knobs.seed + 1 + world.rank)
    with readable("These images cannot be trained on"):
        train_loader, val_loader = make_loaders(
            images.images,
            images.labels,
            knobs.batch_size,
            config.data.val_fraction,
            knobs.seed,
            flip=images.flip and config.data.flip,
            num_workers=config.data.num_workers,
        )
    batches = fast_batches(train_loader, images, config, device, world)
    optimizer = make_optimizer(model, knobs.learning_rate, knobs.betas, knobs.weight_decay)
    total_steps = -(-knobs.images // knobs.batch_size)
    state = TrainingState(
        model,
        optimizer,
        make_lr_schedule(optimizer, total_steps, knobs.warmup_steps, knobs.decay_from),
        make_scaler(device, precision),
        ExponentialMovingAverage(model, knobs.ema_decay) if knobs.ema_decay is not None else None,
        train_loader.generator,
        world,
    )
    if resume:
        run = Run(folder)
        hold(run)
        before = run.about().get("classes", [])
        if before != list(images.classes):
            raise UserError(
                f"{folder} has learnt {', '.join(before)}, but these images are of "
                f"{', '.join(images.classes)}: give the images that it was begun with."
            )
        for leftover in run.folder.rglob(".*.part"):  # of a process that was killed while it wrote
            leftover.unlink(missing_ok=True)
    # The step of the newest checkpoint, when it was written, and the lowest loss among those kept.
    saved_step, saved_at, kept_loss = -1, time.monotonic(), math.inf
    if resume and run.checkpoint("last").is_file():
        kept = load_checkpoint(run.checkpoint("last"), state).get("kept_loss", state.best_loss)
        saved_step, kept_loss = state.step, math.inf if kept is None else kept
        # A new length or rate counts from here on, and what a clock had moved on is moved anew.
        state.lr_schedule.base_lrs = [knobs.learning_rate]
        state.lr_schedule.last_epoch = state.step
        factor = state.lr_schedule.lr_lambdas[0](state.step)
        optimizer.param_groups[0]["lr"] = knobs.learning_rate * factor
    schedule = make_schedule(config).to(device)
    trained: nn.Module = model
    if world.size > 1:
        ids = [device.index] if device.type == "cuda" else None
        trained = nn.parallel.DistributedDataParallel(model, device_ids=ids)
    if knobs.compile or (knobs.compile is None and can_compile(device)):
        trained = torch.compile(trained)
    add_loss = None
    if knobs.clip_loss:
        from ddpm_ref.clip.loss import ClipLoss

        trained = ClipLoss(trained, config, images.classes, schedule, device)
        add_loss = trained.loss
    if resume and world.is_main:
        run.drop_metrics_after(state.epoch)
        run.go_on_with(config)
    elif world.is_main:
        run = Run.create(folder, config, images.classes)
        hold(run)
    world.any(False)  # nobody goes on before the folder is there
    run = Run(folder)
    about = {"config": config.to_dict(), "classes": list(images.classes)}

    def save(name: str) -> None:
        nonlocal saved_step, saved_at
        kept = {"kept_loss": kept_loss if math.isfinite(kept_loss) else None}
        save_checkpoint(run.checkpoint(name), state, about | kept)
        saved_step, saved_at = state.step, time.monotonic()

    def on_epoch(state: TrainingState, metrics: dict) -> None:
        nonlocal kept_loss
        if world.is_main:
            run.add_metrics(metrics)
        due = state.epoch % knobs.checkpoint_every == 0 or state.step >= total_steps
        if world.any(due or time.monotonic() - saved_at > knobs.checkpoint_seconds):
            is_best = metrics["val_loss"] <= kept_loss
            kept_loss = min(kept_loss, metrics["val_loss"])
            save("last")
            if is_best:
                save("best")
        if state.epoch % knobs.sample_every == 0 or state.step >= total_steps:
            drawer = state.ema.average if state.ema else state.model
            painter = Painter(drawer, schedule, config, images.classes, folder, {})
            draw_progress(painter, run.folder / "samples" / f"epoch-{state.epoch:04d}.png", world)
        hooks.on_epoch(state, metrics)

    def on_pause(state: TrainingState) -> None:
        save("last")
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
        if state.step != saved_step:  # the clock ended it between two checkpoints
            save("last")
        return finished
    except Diverged as error:
        last = run.checkpoint("last")
        name = shlex.quote(str(folder))
        way = f"ddpm train --resume {name} --learning-rate {knobs.learning_rate / 3:.1g}"
        if last.is_file():
            raise UserError(
                f"{error} The last good checkpoint is {last}: go on with `{way}`."
            ) from error
        raise UserError(
            f"{error} Remove {folder} and start again with a --learning-rate below "
            f"{knobs.learning_rate:g}."
        ) from error


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
    with readable("These images cannot be trained on"):
        train_loader, val_loader = make_loaders(
            images.images,
            images.labels,
            knobs.batch_size,
            config.data.val_fraction,
            knobs.seed,
            flip=images.flip and config.data.flip,
        )
    epochs = max(1, round(knobs.images / (len(train_loader) * knobs.batch_size)))
    optimizer = make_optimizer(model, knobs.learning_rate, knobs.betas, knobs.weight_decay)
    total_steps = epochs * len(train_loader)
    rate = make_lr_schedule(optimizer, total_steps, knobs.warmup_steps, knobs.decay_from)
    ema = None
    if knobs.ema_decay is not None:
        ema = ExponentialMovingAverage(model, knobs.ema_decay)
    state = TrainingState(model, optimizer, lr_schedule=rate, ema=ema)
    run = Run.create(folder, config, images.classes)
    about = {"config": config.to_dict(), "classes": list(images.classes)}

    def keep(state: TrainingState, metrics: dict) -> None:
        row = {name: float(metrics[name]) for name in ("epoch", "step", "images_seen")}
        row |= {"seconds": time.monotonic() - began}
        row |= {name: float(metrics[name]) for name in ("train_loss", "val_loss")}
        run.add_metrics(row)
        with ema.applied(model) if ema else nullcontext():
            tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
            write_tensors(run.checkpoint("last"), tensors, {"about": about})
            if row["val_loss"] == min(each["val_loss"] for each in run.metrics()):
                write_tensors(run.checkpoint("best"), tensors, {"about": about})
        on_epoch(state, row)

    fit(
        *(state, train_loader, val_loader, make_schedule(config)),
        null_label=len(images.classes),
        epochs=epochs,
        target=config.diffusion.target,
        label_dropout=knobs.label_dropout,
        grad_clip=knobs.grad_clip,
        on_epoch=keep,
    )


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
    world.share(config.train.batch_size)
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


def with_sampling(config: RunConfig, **changes) -> SampleConfig:
    """The run's own way of sampling, with what the user asked for instead.

    Raises:
        UserError: when the sampler is unknown, or steps, eta or the interval are out of range.
    """
    how = replace(config.sample, **{k: v for k, v in changes.items() if v is not None})
    if how.sampler not in SAMPLERS:
        raise UserError(
            f"There is no sampler {how.sampler!r}: {closest_hint(how.sampler, SAMPLERS)}."
        )
    if how.sampler == "ddpm" and changes.get("steps") is not None:
        raise UserError(
            "--steps goes with ddim and dpm; the ancestral sampler visits every timestep."
        )
    if how.sampler != "ddim" and changes.get("eta"):
        raise UserError(f"--eta goes with ddim: {how.sampler} knows no such thing.")
    limit = config.diffusion.timesteps
    if how.sampler != "ddpm" and not 1 <= how.steps <= limit:
        raise UserError(
            f"--steps must lie between 1 and the {limit} timesteps of the model, got {how.steps}."
        )
    if not 0 <= how.eta <= 1:
        raise UserError(
            f"--eta must lie between 0 (deterministic) and 1 (ancestral), got {how.eta}."
        )
    lowest, highest = how.guidance_interval or (0, limit - 1)
    if not 0 <= lowest <= highest < limit:
        raise UserError(
            f"--guidance-interval must lie within 0 and {limit - 1}, lowest first, got {lowest} {highest}."
        )
    return how
