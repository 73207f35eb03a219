"""`ddpm sample`, `ddpm noise` and `ddpm progress`: pictures."""

import math
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ddpm_ref import console
from ddpm_ref.cli.common import (
    Checkpoint,
    Classes,
    Code,
    DataDir,
    Dataset,
    Device,
    Eta,
    Guidance,
    GuidanceInterval,
    ImageSize,
    Model,
    Sampler,
    Seed,
    Steps,
    app,
    at_least,
    distinct,
    file_name,
    one_of,
    pick_device,
    place,
)
from ddpm_ref.errors import UserError


@app.command()
def sample(
    model: Model = None,
    classes: Classes = None,
    number: Annotated[
        int, typer.Option("--number", "--n", "-n", help="Pictures of each class.")
    ] = 8,
    sampler: Sampler = None,
    steps: Steps = None,
    eta: Eta = None,
    guidance_scale: Guidance = None,
    guidance_interval: GuidanceInterval = None,
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
    from ddpm_ref.painting import load_painter
    from ddpm_ref.recipes import steps_of, with_sampling
    from ddpm_ref.runs import make_folder
    from ddpm_ref.shipped import shipped_model

    if preset is not None:
        if model is not None:
            raise UserError("Give a model or --preset, whose weights come with the package.")
        model = shipped_model(preset)
    painter = load_painter(model, checkpoint, pick_device(device))
    if preset == "cifar10":
        console.out.print(
            f"Drawn by {painter.config.preset}, the net that comes with the package in place of {preset}."
        )
    if unconditional and classes:
        raise UserError("--unconditional draws without a class: leave --class out, or it.")
    how = with_sampling(
        painter.config,
        sampler=sampler,
        steps=steps,
        eta=eta,
        guidance_scale=guidance_scale,
        guidance_interval=guidance_interval,
    )
    labels = painter.labels(classes) if classes else list(range(len(painter.classes)))
    titles = [""] if unconditional else [painter.classes[k] for k in labels]
    columns = len(titles)
    pictures.picture_kind(out)
    if gif is not None and gif.suffix.lower() != ".gif":
        raise UserError(f"The name of the animation must end in .gif, got {gif.name}.")
    distinct(out=out, gif=gif)
    for option, path in (("--out", out), ("--gif", gif)):
        if path is not None:
            make_folder(place(option, path).parent)
    if files is not None:
        place("--files", make_folder(files) / "sample-0000.png")
    # A column a class; one class alone is laid out as a block.
    y = None if unconditional else torch.tensor(labels).repeat(number)
    noise = painter.noise(number * columns, seed)
    across = columns if columns > 1 else min(8, number)
    for path in filter(None, (out, gif)):
        pictures.check_grid(path, len(noise), across, painter.config.model.image_size)
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
    console.out.print(f"{len(x)} picture{'s' if len(x) > 1 else ''}: {out}")
    if gif is not None:
        _save_gif(noise, frames, x, across, column_titles, gif)
        console.out.print(f"the denoising: {gif}")
    if files is not None:
        count = Counter()
        for k, picture in enumerate(x):
            title = titles[k % columns]
            name = file_name(title, painter.classes) if title else "sample"
            pictures.save_picture(pictures.to_pil(picture), files / f"{name}-{count[name]:04d}.png")
            count[name] += 1
        console.out.print(f"single files: {files}")


def _save_gif(noise, frames: list, x, across: int, titles, path: Path) -> None:
    """Frames were kept chunk by chunk: put the chunks of each step back together."""
    import torch

    from ddpm_ref.painting import CHUNK
    from ddpm_ref.pictures import grid, save_animation

    chunks = -(-len(noise) // CHUNK)
    per_chunk = len(frames) // chunks
    steps = [torch.cat(frames[k::per_chunk]) for k in range(per_chunk)]
    whole = [grid(step, across, column_titles=titles) for step in [noise, *steps, x]]
    save_animation(whole, path)


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
        ("--image-size", 1 if image_size is None else image_size, 1),
    ):
        at_least(option, value, least)
    import torch

    from ddpm_ref.data import to_model_range
    from ddpm_ref.datasets import load_dataset
    from ddpm_ref.diffusion import NoiseSchedule, q_sample
    from ddpm_ref.pictures import grid, picture_kind, save_picture
    from ddpm_ref.runs import make_folder

    one_of("--schedule", schedule, ("cosine", "linear"))
    if columns > timesteps:
        raise UserError(f"--columns must be at most the {timesteps} timesteps, got {columns}.")
    picture_kind(place("--out", out))
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
    path = place("--out", out or run / "progress.png")
    make_folder(path.parent)
    save_picture(picture, path)
    console.out.print(f"from the first epoch (top) to the last (bottom): {path}")
