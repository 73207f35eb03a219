"""`ddpm train`."""

import os
import shlex
import signal
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ddpm_ref import borrowed, console
from ddpm_ref.cli.common import (
    Code,
    DataDir,
    Dataset,
    Device,
    ImageSize,
    Seed,
    app,
    at_least,
    changed,
    one_of,
    pick_device,
    tell_skipped,
)
from ddpm_ref.errors import UserError, readable


@app.command()
def train(
    preset: Annotated[
        str, typer.Option(help="demo, cifar10-small, cifar10, paper or seed.")
    ] = "demo",
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Folder of an interrupted run to go on with; its recipe holds, but for the length, "
            "--learning-rate, --precision, --workers and --compile.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run, a new one. Default: runs/PRESET-DATASET.", show_default=False
        ),
    ] = None,
    dataset: Dataset = None,
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    epochs: Annotated[
        float | None, typer.Option(help="Length of training in epochs …", show_default=False)
    ] = None,
    steps: Annotated[int | None, typer.Option(help="… or in steps …", show_default=False)] = None,
    images: Annotated[
        int | None, typer.Option(help="… or in images seen, repeats counted.", show_default=False)
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Stop after so long, if that comes first; the learning rate falls in time.",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(show_default=False)] = None,
    learning_rate: Annotated[float | None, typer.Option(show_default=False)] = None,
    ema_decay: Annotated[
        float | None,
        typer.Option(help="Of the moving average of weights; 0 for none.", show_default=False),
    ] = None,
    base_width: Annotated[
        int | None,
        typer.Option(help="Channels at full resolution, a multiple of 8.", show_default=False),
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="cosine or linear.", show_default=False)
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="What is predicted: v or noise.", show_default=False)
    ] = None,
    timesteps: Annotated[int | None, typer.Option(help="T.", show_default=False)] = None,
    min_snr: Annotated[
        float | None,
        typer.Option(help="Weigh the loss by min-SNR with this gamma (5).", show_default=False),
    ] = None,
    clip_loss: Annotated[
        float | None,
        typer.Option(
            help="Weight of a CLIP loss on the predicted x_0; 0 for none. See docs/clip.md.",
            show_default=False,
        ),
    ] = None,
    flip: Annotated[
        bool, typer.Option(help="Mirror training images, where the data set's classes survive it.")
    ] = True,
    workers: Annotated[
        int, typer.Option(help="Processes that prepare batches; with torchrun there are none.")
    ] = 0,
    sample_every: Annotated[
        int | None,
        typer.Option(
            help="Epochs between two pictures of progress: one, or more where they are short.",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="fp32, bf16, fp16, or auto: what suits the device.", show_default=False),
    ] = None,
    compile_model: Annotated[
        bool | None,
        typer.Option(
            "--compile/--no-compile",
            help="torch.compile: a slow start, faster steps on a GPU. Default: the preset's.",
            show_default=False,
        ),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the metrics for TensorBoard too.")
    ] = False,
    checkpoint_seconds: Annotated[
        float | None,
        typer.Option(
            help="Longest time between two checkpoints; there is one after each epoch (cifar10: each "
            "fifth) anyway.",
            show_default=False,
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = None,
    code: Code = None,
) -> None:
    """Train a model into a new run folder.

    Options that are not given come from the preset. For example:

    `ddpm train --preset cifar10 --dataset folder --data-dir photos/ --epochs 20 --out runs/photos`

    Ctrl-C saves and stops; `ddpm train --resume RUN` goes on as if nothing had happened. On several
    GPUs: `torchrun --nproc-per-node 8 -m ddpm_ref train --preset cifar10`.
    """
    from ddpm_ref.precision import PRECISIONS
    from ddpm_ref.presets import preset as recipe

    if resume is not None:
        from ddpm_ref.runs import Run

        fixed = {
            "--out": out,
            "--dataset": dataset,
            "--image-size": image_size,
            "--batch-size": batch_size,
            "--ema-decay": ema_decay,
            "--base-width": base_width,
            "--schedule": schedule,
            "--target": target,
            "--timesteps": timesteps,
            "--min-snr": min_snr,
            "--clip-loss": clip_loss,
            "--preset": None if preset == "demo" else preset,
            "--seed": seed or None,
            "--no-flip": None if flip else False,
        }
        if given := [option for option, value in fixed.items() if value is not None]:
            raise UserError(f"--resume goes on with the run's own recipe: leave {given[0]} out.")
        config = Run(resume).config()
        seed = config.train.seed
        flip = config.data.flip
        if seconds is None and (epochs, steps, images) != (None, None, None):
            config = replace(config, train=replace(config.train, seconds=None))  # another end
    else:
        config = recipe(preset)
    if sum(length is not None for length in (epochs, steps, images)) > 1:
        raise UserError("Give only one of --epochs, --steps and --images.")
    numbers = {
        "--epochs": (epochs, 1e-6),
        "--steps": (steps, 1),
        "--images": (images, 1),
        "--seconds": (seconds, 1),
        "--batch-size": (batch_size, 1),
        "--learning-rate": (learning_rate, 1e-12),
        "--base-width": (base_width, 8),
        "--timesteps": (timesteps, 2),
        "--min-snr": (min_snr, 1e-6),
        "--clip-loss": (clip_loss, 0),
        "--sample-every": (sample_every, 1),
        "--image-size": (image_size, 1),
        "--checkpoint-seconds": (checkpoint_seconds, 1),
        "--workers": (workers, 0),
    }
    for option, (value, least) in numbers.items():
        if value is not None:
            at_least(option, value, least)
    if ema_decay is not None and not 0 <= ema_decay < 1:
        raise UserError(f"--ema-decay must be at least 0 and below 1, got {ema_decay:g}.")
    if workers > (most := 4 * (os.cpu_count() or 1)):
        raise UserError(f"--workers must be at most {most} here, got {workers}.")
    one_of("--target", target, ("v", "noise"))
    one_of("--schedule", schedule, ("cosine", "linear"))
    one_of("--precision", precision, PRECISIONS)

    data = changed(
        config.data,
        dataset=dataset,
        data_dir=str(data_dir) if data_dir else None,
        image_size=image_size,
        num_workers=workers,
        flip=flip,
    )
    knobs = changed(
        config.train,
        batch_size=batch_size,
        learning_rate=learning_rate,
        min_snr_gamma=min_snr,
        clip_loss=clip_loss,
        seconds=seconds,
        sample_every=sample_every,
        seed=seed,
        precision=precision,
        compile=compile_model,
        checkpoint_seconds=checkpoint_seconds,
    )
    if ema_decay is not None:
        knobs = replace(knobs, ema_decay=ema_decay or None)
    if steps is not None:
        knobs = replace(knobs, images=steps * knobs.batch_size)
    if images is not None:
        knobs = replace(knobs, images=images)
    diffusion = changed(config.diffusion, schedule=schedule, target=target, timesteps=timesteps)
    config = replace(
        config,
        data=data,
        train=knobs,
        model=changed(config.model, base_width=base_width),
        diffusion=diffusion,
        sample=replace(config.sample, steps=min(config.sample.steps, diffusion.timesteps)),
    )
    if borrowed.is_borrowed():
        config = _for_borrowed(config, resume)
    from ddpm_ref.runs import free_name

    folder = resume or out or free_name(Path("runs") / f"{preset}-{data.dataset}")
    train_and_show(config, folder, device, epochs, resume is not None, tensorboard)
    name = shlex.quote(str(folder))
    if code is not None:  # another network may be theirs, which ours could not load
        name += f" --code {shlex.quote(code)}"
    console.out.print(f"Next: ddpm sample {name}, ddpm evaluate {name}, ddpm report {name}")


def _for_borrowed(config, resume: Path | None):
    """The recipe as chapter 8 can train by it.

    Raises:
        UserError: when it asks for more.
    """
    knobs = config.train
    beyond = {
        "--resume": resume,
        "--seconds": knobs.seconds,
        "--clip-loss": knobs.clip_loss,
        "--min-snr": knobs.min_snr_gamma,
        "--workers": config.data.num_workers,
        "--compile": knobs.compile,
        "--precision": knobs.precision not in ("auto", "fp32"),
    }
    if given := [option for option, value in beyond.items() if value]:
        raise UserError(
            f"With --code training goes by whole epochs, in fp32 and in one process: leave {given[0]} to the "
            "reference."
        )
    return replace(config, train=replace(knobs, precision="fp32", compile=False))


def train_and_show(
    config,
    folder: Path,
    device: str | None,
    epochs: float | None = None,
    resume: bool = False,
    tensorboard: bool = False,
) -> Path:
    """Train into a folder, with all that a person sees of it; exits when it is interrupted."""
    from ddpm_ref.data import split_dataset
    from ddpm_ref.distributed import join_world, leave_world
    from ddpm_ref.jobs import Hooks
    from ddpm_ref.launch import train, train_borrowed
    from ddpm_ref.precision import select_precision
    from ddpm_ref.recipes import make_model
    from ddpm_ref.runs import Run, must_be_new

    if not resume:
        must_be_new(folder)  # before the other processes are met: one of them will make it
    world = join_world(device)
    if not world.is_main:
        console.out.quiet = True
    where = world.device or pick_device(device)
    config, images = _read_images(config, world)
    knobs = config.train
    if borrowed.is_borrowed() and world.size > 1:
        raise UserError(
            "With --code training goes in one process: leave torchrun to the reference."
        )
    with readable("These images cannot be trained on"):
        train_part = len(split_dataset(len(images.labels), config.data.val_fraction)[0])
    per_epoch = train_part // knobs.batch_size * knobs.batch_size
    if epochs is not None:
        knobs = replace(knobs, images=max(1, round(epochs * per_epoch)))
        config = replace(config, train=knobs)
    parameters = sum(p.numel() for p in make_model(config).parameters())
    console.out.print(
        f"{config.preset} on {config.data.dataset}: {train_part:,} training images of "
        f"{config.model.image_size}×{config.model.image_size}, {parameters / 1e6:.2f} M parameters, "
        f"{where}{f' × {world.size}' if world.size > 1 else ''}, "
        f"{select_precision(knobs.precision, where)}"
    )
    if borrowed.is_borrowed():
        whole = max(1, round(knobs.images / max(1, per_epoch)))
        console.out.print(f"With --code by whole epochs: {whole} of {per_epoch:,} images.")
    summary_writer = _summary_writer() if tensorboard else None
    begun_at = Run(folder).last_checkpoint() if resume else None
    if borrowed.is_borrowed():  # a loop that nothing can ask to stop: Ctrl-C ends it where it is
        with console.training_view(knobs.images) as view:
            on_epoch = _on_epoch(view, config, folder, summary_writer)
            train_borrowed(config, images, folder, where, on_epoch)
        return folder
    with console.training_view(knobs.images) as view, console.signals() as signals:
        if resume and (rows := Run(folder).metrics()):
            view.set_done(rows[-1]["images_seen"])
        hooks = Hooks(
            on_step=view.on_step,
            on_epoch=_on_epoch(view, config, folder, summary_writer if world.is_main else None),
            on_pause=lambda state: view.set_done(state.images_seen),
            validating=view.validating,
            interrupted=lambda: bool(signals),
        )
        finished = train(config, images, folder, where, world, hooks, resume)
    leave_world()
    if finished and begun_at is not None and Run(folder).last_checkpoint() == begun_at:
        end = f" and {knobs.seconds:,.0f} seconds" if knobs.seconds else ""
        console.out.print(
            f"There was nothing left to do: the end of this run is at {knobs.images:,} images{end}. "
            f"For more, give --images, --steps, --epochs or --seconds."
        )
    if not finished:
        name = shlex.quote(str(folder))
        console.out.print(f"Stopped and saved. To go on: ddpm train --resume {name}")
        number = signals[0] if signals else signal.SIGTERM  # another process's
        raise typer.Exit(128 + number)
    return folder


def _read_images(config, world):
    """The recipe as these images need it, and the images."""
    from ddpm_ref.datasets import is_fetched
    from ddpm_ref.launch import fit_to_dataset

    # Several processes that download into one folder spoil each other's files.
    with world.first_alone() if is_fetched(config.data.dataset) else nullcontext():
        config, images = fit_to_dataset(config, console.tracker("reading images", "files"))
    tell_skipped(images)
    return config, images


def _on_epoch(view, config, folder: Path, summary_writer):
    """What a person sees after each epoch, and what TensorBoard is given."""

    def on_epoch(state, row):
        console.out.print(
            f"epoch {state.epoch}: {state.images_seen:,} images, {row['seconds']:.0f} s, "
            f"training loss {row['train_loss']:.4f}, validation loss {row['val_loss']:.4f}"
        )
        view.show(folder / "samples" / f"epoch-{state.epoch:04d}.png", config.model.image_size)
        if summary_writer:
            with summary_writer(str(folder / "tensorboard")) as writer:
                for name, value in row.items():
                    writer.add_scalar(name, value, state.images_seen)

    return on_epoch


def _summary_writer():
    """TensorBoard's, asked for before the training begins."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError("--tensorboard needs one more package: pip install tensorboard.") from error
    return SummaryWriter
