"""The command line: `ddpm`, or `python -m ddpm_ref`. Thin: each command is a few calls of the package."""

import json
import math
import os
import signal
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from typer.core import TyperGroup

from ddpm_ref import borrowed, console
from ddpm_ref.errors import UserError, closest_hint, readable

# torch takes seconds to import, and `--help` should not: the commands import what they use.


class _Commands(TyperGroup):
    """Turns what a user can put right into one sentence and exit code 2."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except UserError as error:
            console.problem(str(error))
        except KeyboardInterrupt:
            console.problem("Stopped. What a run had finished is in its folder.")
            raise typer.Exit(130) from None
        except Exception as error:
            lines = borrowed.lines_of(error)
            if not lines:
                raise
            console.problem(f"{type(error).__name__}: {error}".rstrip(": "))
            for line in lines:
                console.out.print(f"  {line}", markup=False)
            raise typer.Exit(1) from None
        raise typer.Exit(2)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Train a class-conditional diffusion model, draw with it, measure it.\n\n"
    "Start with `ddpm demo` (three minutes on a laptop), or draw at once with the weights that come "
    "with the package: `ddpm sample --class star`.",
)

Model = Annotated[
    Path | None,
    typer.Argument(
        help="Folder of a run, or a .safetensors file. Without it: the weights that come with the package.",
        show_default=False,
    ),
]
Checkpoint = Annotated[str, typer.Option(help="Which checkpoint of a run: last or best.")]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        help="A class by name or number; repeat it for more. Default: all.",
        show_default=False,
    ),
]


def _seed(value: int) -> int:
    if not 0 <= value < 2**62:
        raise UserError(f"--seed must lie between 0 and {2**62 - 1}, got {value}.")
    return value


def _json(path: Path | None) -> Path | None:
    """Before the work, not after it: is there a place for the numbers?"""
    if path is not None and (path.is_dir() or any(up.is_file() for up in path.parents)):
        raise UserError(f"--json cannot write {path}: name a file in a folder.")
    return path


def _code(folder: str | None) -> str | None:
    """Before anything else is done, so that all of it is done by that code."""
    if folder is not None:
        borrowed.borrow(folder)
    return folder


Code = Annotated[
    str | None,
    typer.Option(
        help="Run on the modules of this folder, in place of the reference's: chapters, for your own.",
        callback=_code,
        is_eager=True,
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(help="The same seed draws the same pictures.", callback=_seed)]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="ddpm (ancestral, all timesteps), ddim or dpm (DPM-Solver++ 2M). Default: the run's.",
        show_default=False,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(help="Sampling steps of ddim and dpm. Default: the run's.", show_default=False),
]
Eta = Annotated[
    float | None,
    typer.Option(
        help="Noise that ddim adds on the way: 0 none, 1 as the ancestral sampler.",
        show_default=False,
    ),
]
Guidance = Annotated[
    float | None,
    typer.Option(
        "--guidance-scale",
        help="0 ignores the class, 1 follows it, above 1 exaggerates it. Default: the run's.",
        show_default=False,
    ),
]
Json = Annotated[
    Path | None,
    typer.Option(
        "--json", help="Write the numbers to this file.", callback=_json, show_default=False
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, cuda:1, mps … Default: the best there is.", show_default=False),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        help="shapes (drawn on the spot), cifar10, mnist, fashion-mnist, folder. Default: the preset's.",
        show_default=False,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Where downloads go; for folder: one sub-folder a class, or train/ and test/ of those.",
        show_default=False,
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        help="Pixels a side; images are resized. Default: the preset's.", show_default=False
    ),
]


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option(help="Folder of the run; a number is added when it exists.")
    ] = Path("runs/demo"),
    preset: Annotated[
        str, typer.Option(help="demo, or seed: the plain recipe on the same data, for contrast.")
    ] = "demo",
    seed: Seed = 0,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Stop training after so long. Default: 120 for the other presets, which would take "
            "hours; the demo stops by itself.",
            show_default=False,
        ),
    ] = None,
    n: Annotated[int, typer.Option(help="Pictures to score by.")] = 1000,
    device: Device = None,
    json_file: Json = None,
) -> None:
    """Train on shapes, draw, score and report: three minutes on two CPU cores."""
    began = time.monotonic()
    from ddpm_ref.presets import PRESETS
    from ddpm_ref.presets import preset as recipe

    config = recipe(preset)
    # The data and the way to sample are those of the demo, so that two recipes compare.
    config = replace(config, data=PRESETS["demo"].data, sample=PRESETS["demo"].sample)
    config = replace(config, train=replace(config.train, seed=seed))
    if seconds is None and preset != "demo":
        seconds = 120.0
    if seconds is not None:
        at_least("--seconds", seconds, 1)
        config = replace(config, train=replace(config.train, seconds=seconds))
    at_least("--n", n, 2)
    from ddpm_ref.runs import Run, free_name

    run = Run(_train(config, free_name(out), device))
    result = _evaluate(run.folder, None, "last", config.sample, n, seed, device, json_file=None)
    from ddpm_ref.pictures import save_picture
    from ddpm_ref.report import sample_grid, write_report
    from ddpm_ref.runs import load_painter

    painter = load_painter(run.folder, device=_device(device))
    save_picture(sample_grid(painter, seed=seed), run.folder / "samples.png")
    write_report(run, painter, run.folder / "report.html")
    result["total_seconds"] = time.monotonic() - began
    _write_json(run.folder / "evaluation.json", result)
    if json_file:
        _write_json(json_file, result)
    console.out.print(f"\nIn {result['total_seconds']:.0f} s. Look at:")
    console.out.print(f"  {run.folder / 'samples.png'}")
    console.out.print(f"  {run.folder / 'report.html'}")
    console.out.print(f"Next: ddpm sample {run.folder} --class star --gif star.gif")


@app.command()
def train(
    preset: Annotated[str, typer.Option(help="The recipe: demo, cifar10, paper or seed.")] = "demo",
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
        typer.Option(help="Stop after so long, if that comes first.", show_default=False),
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
    workers: Annotated[int, typer.Option(help="Processes that prepare batches.")] = 0,
    sample_every: Annotated[
        int | None,
        typer.Option(help="Epochs between two pictures of progress.", show_default=False),
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
    from ddpm_ref.presets import RunConfig
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
        }
        if given := [option for option, value in fixed.items() if value is not None]:
            raise UserError(f"--resume goes on with the run's own recipe: leave {given[0]} out.")
        config = RunConfig.from_dict(Run(resume).about()["config"])
        seed = config.train.seed
        flip = config.data.flip
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
    one_of("--target", target, ("v", "noise"))
    one_of("--schedule", schedule, ("cosine", "linear"))
    one_of("--precision", precision, PRECISIONS)

    data = _changed(
        config.data,
        dataset=dataset,
        data_dir=str(data_dir) if data_dir else None,
        image_size=image_size,
        num_workers=workers,
        flip=flip,
    )
    knobs = _changed(
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
    config = replace(
        config,
        data=data,
        train=knobs,
        model=_changed(config.model, base_width=base_width),
        diffusion=_changed(config.diffusion, schedule=schedule, target=target, timesteps=timesteps),
    )
    from ddpm_ref.runs import free_name

    folder = resume or out or free_name(Path("runs") / f"{preset}-{data.dataset}")
    _train(config, folder, device, epochs, resume is not None, tensorboard)
    console.out.print(f"Next: ddpm sample {folder}, ddpm evaluate {folder}, ddpm report {folder}")


@app.command()
def sample(
    model: Model = None,
    classes: Classes = None,
    number: Annotated[int, typer.Option("--number", "-n", help="Pictures of each class.")] = 8,
    sampler: Sampler = None,
    steps: Steps = None,
    eta: Eta = None,
    guidance_scale: Guidance = None,
    unconditional: Annotated[
        bool, typer.Option("--unconditional", help="Draw without any class.")
    ] = False,
    preset: Annotated[
        str | None,
        typer.Option(
            help="In place of a model: the weights of this preset that come with the package.",
            show_default=False,
        ),
    ] = None,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="The picture with all of them, a grid.")] = Path(
        "samples.png"
    ),
    files: Annotated[
        Path | None, typer.Option(help="A folder for single files besides.", show_default=False)
    ] = None,
    gif: Annotated[
        Path | None, typer.Option(help="An animation of the denoising.", show_default=False)
    ] = None,
    checkpoint: Checkpoint = "last",
    device: Device = None,
    code: Code = None,
) -> None:
    """Draw pictures of the classes you name.

    `ddpm sample --class star --class heart --guidance-scale 2 --gif drawing.gif`
    """
    at_least("--number", number, 1)
    import torch

    from ddpm_ref import pictures
    from ddpm_ref.runs import (
        load_painter,
        make_folder,
        shipped_weights,
        steps_of,
        with_sampling,
    )

    if preset is not None:
        if model is not None:
            raise UserError("Give a model or --preset, whose weights come with the package.")
        model = shipped_weights(preset)
    painter = load_painter(
        model, one_of("--checkpoint", checkpoint, ("last", "best")), _device(device)
    )
    if unconditional and classes:
        raise UserError("--unconditional draws without a class: leave --class out, or it.")
    how = with_sampling(
        painter.config,
        sampler=sampler,
        steps=steps,
        eta=eta,
        guidance_scale=_finite(guidance_scale),
    )
    labels = painter.labels(classes) if classes else list(range(len(painter.classes)))
    titles = [""] if unconditional else [painter.classes[k] for k in labels]
    columns = len(titles)
    pictures.picture_kind(out)
    for path in (out, gif):
        if path is not None:
            make_folder(path.parent)
    if files is not None:
        make_folder(files)
    # A column a class; one class alone is laid out as a block.
    y = None if unconditional else torch.tensor(labels).repeat(number)
    noise = painter.noise(number * columns, seed)
    across = columns if columns > 1 else min(8, number)
    frames: list = []

    def keep_frame(i, t, x_t, x_0):
        if i % max(1, steps_of(how, painter.config) // 30) == 0:
            frames.append(x_t.cpu().clone())

    with console.bar(
        "drawing", len(noise) * steps_of(how, painter.config), "image steps"
    ) as advance:
        x = painter.draw(y, noise, how, seed, keep_frame if gif else None, advance)
    column_titles = titles if columns > 1 else []
    pictures.save_picture(pictures.grid(x, across, column_titles=column_titles), out)
    console.out.print(f"{len(x)} pictures: {out}")
    if gif is not None:
        _save_gif(noise, frames, x, across, column_titles, gif)
        console.out.print(f"the denoising: {gif}")
    if files is not None:
        count = Counter()
        for k, picture in enumerate(x):
            name = titles[k % columns].replace("/", "-").replace(" ", "-") or "sample"
            pictures.save_picture(pictures.to_pil(picture), files / f"{name}-{count[name]:04d}.png")
            count[name] += 1
        console.out.print(f"single files: {files}")


@app.command()
def evaluate(
    model: Model = None,
    n: Annotated[int, typer.Option(help="Pictures to draw, equally many of each class.")] = 1000,
    sampler: Sampler = None,
    steps: Steps = None,
    eta: Eta = None,
    guidance_scale: Guidance = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    clip: Annotated[
        bool,
        typer.Option("--clip", help="Ask a CLIP model too: scores, and two pictures."),
    ] = False,
    clip_model: Annotated[
        str | None,
        typer.Option(help="Which one; see `ddpm rerank --help`.", show_default=False),
    ] = None,
    clip_weights: Annotated[
        str | None,
        typer.Option(help="A tag, or a file with its weights.", show_default=False),
    ] = None,
    templates: Annotated[
        list[str] | None,
        typer.Option(
            "--template",
            help='The caption of a class; repeat it to average several. Default: "a photo of a {class}".',
            show_default=False,
        ),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the pictures of --clip. Default: the run, or here.", show_default=False
        ),
    ] = None,
    fid: Annotated[
        bool,
        typer.Option("--fid", help="FID and KID too, by torchmetrics, which has to be installed."),
    ] = False,
    judge: Annotated[
        Path | None,
        typer.Option(
            help="The referee, a file that `ddpm judge` wrote. Default: the run's own, trained when there "
            "is none.",
            show_default=False,
        ),
    ] = None,
    checkpoint: Checkpoint = "last",
    device: Device = None,
    code: Code = None,
    json_file: Json = None,
) -> None:
    """Ask for classes, and let a judge that saw only real pictures say what came.

    Reports the share of right pictures by class, without guidance and with it, and a Fréchet distance
    to held-out real pictures in the judge's features. With --clip the same pictures are compared with
    "a photo of a star" and so on, beside real pictures: the ceiling.
    """
    at_least("--n", n, 2)
    if not clip and (clip_model or clip_weights or templates or pictures):
        raise UserError("--clip-model, --clip-weights, --template and --pictures go with --clip.")
    from ddpm_ref.runs import load_painter, with_sampling

    one_of("--checkpoint", checkpoint, ("last", "best"))
    painter = load_painter(model, checkpoint)
    how = with_sampling(
        painter.config,
        sampler=sampler,
        steps=steps,
        eta=eta,
        guidance_scale=_finite(guidance_scale),
    )
    make_jury = None
    if clip:

        def make_jury(painter):
            return cli_clip.make_jury(painter, clip_model, clip_weights, templates)

    _evaluate(
        *(model, data_dir, checkpoint, how, n, seed, device, json_file, make_jury, pictures, fid),
        judge,
    )


@app.command()
def noise(
    dataset: Dataset = "shapes",
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    schedule: Annotated[str, typer.Option(help="cosine or linear.")] = "cosine",
    timesteps: Annotated[int, typer.Option(help="T.")] = 1000,
    columns: Annotated[int, typer.Option(help="How many timesteps to show.")] = 9,
    rows: Annotated[int, typer.Option(help="How many images to show.")] = 4,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("noise.png"),
) -> None:
    """Show the forward process: pictures that dissolve into noise."""
    for option, value, least in (
        ("--timesteps", timesteps, 2),
        ("--columns", columns, 2),
        ("--rows", rows, 1),
    ):
        at_least(option, value, least)
    import torch

    from ddpm_ref.data import load_dataset, to_model_range
    from ddpm_ref.diffusion import NoiseSchedule, q_sample
    from ddpm_ref.pictures import grid, save_picture
    from ddpm_ref.runs import make_folder

    one_of("--schedule", schedule, ("cosine", "linear"))
    if columns > timesteps:
        raise UserError(f"--columns must be at most the {timesteps} timesteps, got {columns}.")
    make_folder(out.parent)
    images = load_dataset(dataset, data_dir, image_size, size=max(rows, 10))
    tables = (NoiseSchedule.cosine if schedule == "cosine" else NoiseSchedule.linear)(timesteps)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(images.labels), generator=generator)[:rows]
    x_0 = to_model_range(images.images[chosen])  # (rows, C, H, W)
    eps = torch.randn(x_0.shape, generator=generator)
    times = [round(k * (timesteps - 1) / (columns - 1)) for k in range(columns)]
    # (rows, columns, C, H, W): the same noise along a row, so that it is one picture's way.
    strip = torch.stack(
        [q_sample(tables, x_0, torch.full((len(x_0),), t), eps) for t in times], dim=1
    )
    titles = [f"t = {t}" for t in times]
    names = [images.classes[int(images.labels[k])] for k in chosen]
    save_picture(grid(strip.flatten(0, 1), columns, column_titles=titles, row_titles=names), out)
    console.out.print(f"x_t by the {schedule} schedule: {out}")
    table = Table("t", "signal √ᾱ", "noise √(1 − ᾱ)")
    for t in times:
        alpha_bar = float(tables.alpha_bars[t])
        table.add_row(str(t), f"{math.sqrt(alpha_bar):.3f}", f"{math.sqrt(1 - alpha_bar):.3f}")
    console.out.print(table)


@app.command()
def progress(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The picture. Default: progress.png in the run.", show_default=False),
    ] = None,
) -> None:
    """Show how the same noise was drawn after each epoch of a run."""
    from ddpm_ref.pictures import save_picture
    from ddpm_ref.report import progression
    from ddpm_ref.runs import Run, make_folder

    picture = progression(Run(run))
    if picture is None:
        raise UserError(f"The run {run} has no samples yet: train it for at least one epoch.")
    path = out or run / "progress.png"
    make_folder(path.parent)
    save_picture(picture, path)
    console.out.print(f"from the first epoch (top) to the last (bottom): {path}")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The file. Default: report.html in the run.", show_default=False),
    ] = None,
    device: Device = None,
    code: Code = None,
) -> None:
    """Put a run into one HTML file: recipe, curves, pictures, scores."""
    from ddpm_ref.report import write_report
    from ddpm_ref.runs import Run, load_painter, make_folder

    existing = Run(run)
    path = out or run / "report.html"
    make_folder(path.parent)
    write_report(existing, load_painter(run, device=_device(device)), path)
    console.out.print(f"the report: {path}")


@app.command()
def info(model: Model = None, checkpoint: Checkpoint = "last", json_file: Json = None) -> None:
    """Say what a checkpoint or a run is: data, size, recipe, how far it got."""
    from ddpm_ref.runs import Run, load_painter, steps_of

    painter = load_painter(model, one_of("--checkpoint", checkpoint, ("last", "best")))
    config = painter.config
    parameters = sum(p.numel() for p in painter.model.parameters())
    net, diffusion, how = config.model, config.diffusion, config.sample
    rows = {
        "file": str(painter.source),
        "preset": config.preset,
        "data set": f"{config.data.dataset}, {net.channels}×{net.image_size}×{net.image_size}",
        "classes": ", ".join(painter.classes),
        "parameters": f"{parameters:,}",
        "model": f"width {net.base_width}, multipliers {net.multipliers}, "
        f"attention at {net.attention_resolutions or 'no resolution'}",
        "diffusion": f"{diffusion.timesteps} timesteps, {diffusion.schedule} schedule, "
        f"predicts {diffusion.target}",
        "sampling": f"{how.sampler}, {steps_of(how, config)} steps, guidance {how.guidance_scale:g}",
    }
    if model is not None and model.is_dir() and (metrics := Run(model).metrics()):
        last = metrics[-1]
        rows["trained"] = f"{last['images_seen']:,.0f} images in {last['seconds']:,.0f} s"
        rows["validation loss"] = f"{last['val_loss']:.4f}"
    if note := painter.about.get("note"):
        rows["made by"] = note
    for name, value in rows.items():
        console.out.print(f"{name:16} {value}", markup=False)
    if json_file:
        _write_json(json_file, rows | {"parameters": parameters, "config": config.to_dict()})


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="Folder of a run, or a .safetensors file.")],
    out: Annotated[Path, typer.Argument(help="The file to write, NAME.safetensors.")],
    note: Annotated[str, typer.Option(help="How it was made; kept in the file.")] = "",
    checkpoint: Checkpoint = "last",
) -> None:
    """Write only the weights that drawing needs, in half precision, to pass a model on."""
    from ddpm_ref.runs import export_weights, load_painter, make_folder

    if out.suffix != ".safetensors":
        raise UserError(f"The name of the file must end in .safetensors, got {out.name}.")
    painter = load_painter(model, one_of("--checkpoint", checkpoint, ("last", "best")))
    make_folder(out.parent)
    export_weights(painter, out, note)
    console.out.print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


@app.command()
def judge(
    out: Annotated[Path, typer.Argument(help="The file to write, NAME.safetensors.")],
    dataset: Dataset = "shapes",
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Training steps: small of 128 images, resnet of 512. Default: 4 passes, or 24.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(help="small, for simple pictures; resnet, for photographs: it wants a GPU."),
    ] = "small",
    seed: Seed = 0,
    device: Device = None,
) -> None:
    """Train the referee of a data set: the classifier that `evaluate` scores with.

    `evaluate` trains a small one by itself where it needs one; this keeps one in a file of its own,
    for `evaluate --judge FILE`.
    """
    from ddpm_ref.data import load_dataset
    from ddpm_ref.judge import KINDS, save_judge, train_judge
    from ddpm_ref.runs import command_line, make_folder

    one_of("--kind", kind, tuple(KINDS))
    if steps is not None:
        at_least("--steps", steps, 3)
    if out.suffix != ".safetensors":
        raise UserError(f"The name of the file must end in .safetensors, got {out.name}.")
    make_folder(out.parent)
    reading = console.tracker("reading images", "files")
    images = load_dataset(dataset, data_dir, image_size, progress=reading)
    trained = train_judge(
        *(images, steps, seed, _device(device), console.tracker("training the judge")), kind=kind
    )
    save_judge(trained, out, {"command": command_line(), "classes": list(images.classes)})
    console.out.print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


def at_least(option: str, value: float, least: float) -> None:
    """Raise UserError unless value ≥ least (a tiny `least` means: above 0)."""
    if not value >= least or math.isinf(value):
        wanted = f"at least {least:g}" if least >= 1 or least == 0 else "above 0"
        raise UserError(f"{option} must be {wanted}, got {value:g}.")


def one_of(option: str, value: str | None, choices: tuple[str, ...]) -> str | None:
    """Raise UserError unless value is None or one of the choices; returns it."""
    if value is not None and value not in choices:
        raise UserError(f"{option} cannot be {value!r}: {closest_hint(value, choices)}.")
    return value


def _finite(value: float | None, option: str = "--guidance-scale") -> float | None:
    if value is not None and not math.isfinite(value):
        raise UserError(f"{option} must be a finite number, got {value}.")
    return value


def _changed(settings, **given):
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def _device(name: str | None):
    from ddpm_ref.training import select_device

    return select_device(name)


def _write_json(path: Path, values: dict) -> None:
    from ddpm_ref.files import write_atomically
    from ddpm_ref.runs import make_folder

    make_folder(path.parent)
    write_atomically(path, (json.dumps(values, indent=2) + "\n").encode())


def _train(
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
    from ddpm_ref.precision import select_precision
    from ddpm_ref.runs import Run, fit_to_dataset, make_model, must_be_new, train, train_borrowed

    if not resume:
        must_be_new(folder)  # before the other processes are met: one of them will make it
    world = join_world(device)
    if not world.is_main:
        console.out.quiet = True
    where = world.device or _device(device)
    config, images = fit_to_dataset(config, console.tracker("reading images", "files"))
    if images.skipped:
        first = ", ".join(images.skipped[:3]) + (", …" if len(images.skipped) > 3 else "")
        console.out.print(
            f"Skipped {len(images.skipped)} files that are no readable images: {first}"
        )
    knobs = config.train
    if borrowed.is_borrowed() and (resume or knobs.seconds or knobs.clip_loss or world.size > 1):
        raise UserError(
            "With --code training goes by whole epochs in one process: leave --resume, --seconds, "
            "--clip-loss and torchrun to the reference."
        )
    with readable("These images cannot be trained on"):
        train_part = len(split_dataset(len(images.labels), config.data.val_fraction)[0])
    if epochs is not None:
        per_epoch = train_part // knobs.batch_size * knobs.batch_size
        knobs = replace(knobs, images=max(1, round(epochs * per_epoch)))
        config = replace(config, train=knobs)
    parameters = sum(p.numel() for p in make_model(config).parameters())
    console.out.print(
        f"{config.preset} on {config.data.dataset}: {train_part:,} training images of "
        f"{config.model.image_size}×{config.model.image_size}, {parameters / 1e6:.2f} M parameters, "
        f"{where}{f' × {world.size}' if world.size > 1 else ''}, "
        f"{select_precision(knobs.precision, where)}"
    )
    summary_writer = _summary_writer() if tensorboard else None
    with console.training_view(knobs.images) as view, _signals() as signal_received:
        if resume and (rows := Run(folder).metrics()):
            view.set_done(rows[-1]["images_seen"])

        def on_epoch(state, row):
            console.out.print(
                f"epoch {state.epoch}: {state.images_seen:,} images, {row['seconds']:.0f} s, "
                f"training loss {row['train_loss']:.4f}, validation loss {row['val_loss']:.4f}"
            )
            view.show(folder / "samples" / f"epoch-{state.epoch:04d}.png", config.model.image_size)
            if summary_writer and world.is_main:
                with summary_writer(str(folder / "tensorboard")) as writer:
                    for name, value in row.items():
                        writer.add_scalar(name, value, state.images_seen)

        hooks = Hooks(
            on_step=view.on_step,
            on_epoch=on_epoch,
            on_pause=lambda state: view.set_done(state.images_seen),
            validating=view.validating,
            interrupted=lambda: bool(signal_received),
        )
        if borrowed.is_borrowed():
            train_borrowed(config, images, folder, where, on_epoch)
            finished = True
        else:
            finished = train(config, images, folder, where, world, hooks, resume)
    leave_world()
    if not finished:
        console.out.print(f"Stopped and saved. To go on: ddpm train --resume {folder}")
        number = signal_received[0] if signal_received else signal.SIGTERM  # another process's
        raise typer.Exit(128 + number)
    return folder


@contextmanager
def _signals():
    """Collect SIGINT and SIGTERM instead of dying of them; a second Ctrl-C does what it always does."""
    received: list[int] = []

    def note(number, frame):
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _summary_writer():
    """TensorBoard's, asked for before the training begins."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError("--tensorboard needs one more package: pip install tensorboard.") from error
    return SummaryWriter


def _evaluate(
    model: Path | None,
    data_dir: Path | None,
    checkpoint: str,
    how,
    n: int,
    seed: int,
    device: str | None,
    json_file: Path | None,
    make_jury=None,
    pictures: Path | None = None,
    fid: bool = False,
    judge: Path | None = None,
) -> dict:
    """Draw, score, write the numbers down, print them.

    `make_jury` turns the model into a `ClipJury`, which then looks at the pictures as well.
    """
    from ddpm_ref.data import to_model_range
    from ddpm_ref.evaluation import evaluate
    from ddpm_ref.judge import appoint_referee
    from ddpm_ref.runs import Run, load_painter, make_folder, steps_of

    painter = load_painter(model, checkpoint, _device(device))
    run = Run(model) if model is not None and model.is_dir() else None
    data = painter.config.data
    if data_dir is not None:
        data = replace(data, data_dir=str(data_dir))
    jury = (
        make_jury(painter) if make_jury else None
    )  # before the rest: what it lacks is said at once
    referee = appoint_referee(
        data,
        run.folder if run else None,
        split_seed=painter.config.train.seed,
        device=painter.device,
        progress=console.tracker,
        given=judge,
    )
    real = to_model_range(referee.real.images)
    distances = None
    if fid:
        from ddpm_ref.clip.fid import FidAndKid

        distances = FidAndKid(real, painter.device)
    drawn: list = []

    def look(x, y, suffix: str) -> dict:
        drawn[:] = [x, y]  # of the last way of drawing, for the pictures
        found = jury.scores(x, y, suffix) if jury else {}
        if distances:
            found |= {name + suffix: value for name, value in distances(x).items()}
        return found

    times = 1 if how.guidance_scale == 1 else 2
    total = times * n * steps_of(how, painter.config)
    with console.bar(f"drawing {times} × {n} pictures", total, "image steps") as advance:
        result = evaluate(painter, referee, how, n, seed, advance, look)
    if jury:
        result |= jury.about() | jury.scores(real, referee.real.labels, "_real")
        result["clip_real_n"] = len(real)
    if run and (metrics := run.metrics()):
        result |= {
            "train_seconds": metrics[-1]["seconds"],
            "images_seen": int(metrics[-1]["images_seen"]),
        }
    if run:
        _write_json(run.folder / "evaluation.json", result)
    if json_file:
        _write_json(json_file, result)
    _print_scores(result)
    if jury:
        folder = pictures or (run.folder if run else Path())
        cli_clip.show_clip_scores(result, jury, *drawn, make_folder(folder))
    return result


def _print_scores(result: dict) -> None:
    ways = [("no guidance", "")]
    if "guidance_scale" in result:
        ways.append((f"guidance {result['guidance_scale']:g}", "_guided"))
    table = Table("class", *(title for title, _ in ways), title="judged to be what was asked for")
    for name in result["class_accuracies"]:
        table.add_row(name, *(f"{result[f'class_accuracies{s}'][name]:.1%}" for _, s in ways))
    table.add_section()
    table.add_row("all", *(f"{result[f'class_accuracy{s}']:.1%}" for _, s in ways), style="bold")
    table.add_row("Fréchet distance", *(f"{result[f'frechet_distance{s}']:.2f}" for _, s in ways))
    if "fid" in result:
        table.add_row("FID", *(f"{result[f'fid{s}']:.2f}" for _, s in ways))
        kid = (f"{result[f'kid{s}']:.4f} ± {result[f'kid_std{s}']:.4f}" for _, s in ways)
        table.add_row("KID", *kid)
    console.out.print(table)
    console.out.print(
        f"n = {result['n']:,}; the judge itself is right on {result['judge_accuracy']:.2%} of "
        f"{result['judge_n']:,} real held-out pictures."
    )


def _save_gif(noise, frames: list, x, across: int, titles, path: Path) -> None:
    """Frames were kept chunk by chunk: put the chunks of each step back together."""
    import torch

    from ddpm_ref.pictures import grid, save_animation
    from ddpm_ref.runs import CHUNK

    chunks = -(-len(noise) // CHUNK)
    per_chunk = len(frames) // chunks
    steps = [torch.cat(frames[k::per_chunk]) for k in range(per_chunk)]
    whole = [grid(step, across, column_titles=titles) for step in [noise, *steps, x]]
    save_animation(whole, path)


def main() -> None:
    """Entry point of `ddpm` and `python -m ddpm_ref`."""
    # GNU OpenMP's threads spin for milliseconds while they wait for each other: five to ten times
    # slower as soon as another program wants a core. So short a spin costs nothing on an idle machine.
    # It has to be said before torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # where a letter cannot be shown, the rest still is
    try:
        app(prog_name="ddpm")
    except SystemExit as end:
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            from ddpm_ref.distributed import end_at_once

            end_at_once(end.code)
        raise


# Last, because it needs what stands above: it adds rerank, guide and clip-train to `app`.
from ddpm_ref import cli_clip  # noqa: E402
