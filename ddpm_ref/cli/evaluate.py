"""`ddpm evaluate` and `ddpm judge`: a referee that saw only real pictures."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ddpm_ref import console
from ddpm_ref.cli.clip import Templates, make_jury, show_clip_scores
from ddpm_ref.cli.common import (
    Checkpoint,
    Code,
    DataDir,
    Dataset,
    Device,
    Eta,
    Guidance,
    GuidanceInterval,
    ImageSize,
    Json,
    Model,
    Sampler,
    Seed,
    Steps,
    WeightsFile,
    app,
    at_least,
    checked_seed,
    one_of,
    pick_device,
    place,
    tell_skipped,
    write_json,
)
from ddpm_ref.errors import UserError, readable


@app.command()
def evaluate(
    model: Model = None,
    n: Annotated[
        int, typer.Option("--n", "-n", help="Pictures to draw, equally many of each class.")
    ] = 1000,
    sampler: Sampler = None,
    steps: Steps = None,
    eta: Eta = None,
    guidance_scale: Guidance = None,
    guidance_interval: GuidanceInterval = None,
    seed: Seed = 0,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="The real pictures to measure by, such as folder. Default: what the model was trained on.",
            show_default=False,
        ),
    ] = None,
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
    templates: Templates = None,
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
    from ddpm_ref.painting import load_painter
    from ddpm_ref.recipes import with_sampling

    painter = load_painter(model, checkpoint, pick_device(device))
    how = with_sampling(
        painter.config,
        sampler=sampler,
        steps=steps,
        eta=eta,
        guidance_scale=guidance_scale,
        guidance_interval=guidance_interval,
    )
    draw_and_score(
        *(painter, model, how, n, seed, json_file),
        dataset=dataset,
        data_dir=data_dir,
        ask_clip=(clip_model, clip_weights, templates) if clip else None,
        pictures=pictures,
        fid=fid,
        judge=judge,
    )


def draw_and_score(
    painter,
    model: Path | None,
    how,
    n: int,
    seed: int,
    json_file: Path | None,
    dataset: str | None = None,
    data_dir: Path | None = None,
    ask_clip: tuple | None = None,
    pictures: Path | None = None,
    fid: bool = False,
    judge: Path | None = None,
) -> dict:
    """Draw, score, write the numbers down, print them. The painter is that of the model.

    `ask_clip` names a CLIP, its weights and templates: it then looks at the pictures as well.
    """
    from ddpm_ref.data import to_model_range
    from ddpm_ref.evaluation import evaluate
    from ddpm_ref.recipes import steps_of
    from ddpm_ref.referee import appoint_referee
    from ddpm_ref.runs import Run, make_folder

    run = Run(model) if model is not None and model.is_dir() else None
    data = painter.config.data
    own_pictures = run is not None and dataset is None and data_dir is None
    if dataset is not None:
        data = replace(data, dataset=dataset)
    if data_dir is not None:
        data = replace(data, data_dir=str(data_dir))
    # Before the rest, so that what it lacks is said at once.
    if run:
        place("The run", run.folder / "evaluation.json")
    jury = make_jury(painter, *ask_clip) if ask_clip else None
    if jury:
        folder = make_folder(pictures or (run.folder if run else Path()))
        place("--pictures", folder / "clip-samples.png")
    referee = appoint_referee(
        data,
        run.folder if run else None,
        split_seed=painter.config.train.seed,
        device=painter.device,
        progress=console.tracker,
        given=judge,
        drawn=painter.classes,
        begun_with=run.about().get("images") if own_pictures else None,
    )
    tell_skipped(referee.real)
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
    if run and (row := run.metrics_of(painter.source.stem)):
        result |= {"train_seconds": row["seconds"], "images_seen": int(row["images_seen"])}
    _print_scores(result)
    if json_file:
        write_json(json_file, result)
    if jury:
        show_clip_scores(result, jury, *drawn, folder)
    if run:
        write_json(run.folder / "evaluation.json", result)
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


@app.command()
def judge(
    out: WeightsFile,
    dataset: Dataset = "shapes",
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Training steps, small of 128 images, photo and large of 512. Default: 4 passes over "
            "the images, 16 or 36.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            help="small, for simple pictures; photo, for photographs: an hour without a GPU; large, "
            "right more often on them: five hours."
        ),
    ] = "small",
    width: Annotated[
        int | None,
        typer.Option(
            help="Channels of the first convolutions: photo 64, large 128.", show_default=False
        ),
    ] = None,
    flip: Annotated[
        bool, typer.Option(help="Mirror images, where the data set's classes survive it.")
    ] = True,
    seed: Annotated[
        int,
        typer.Option(
            help="Of the training; and where a folder has no test/, the seed of the run: what that run "
            "validates on is left out, to measure by.",
            callback=checked_seed,
        ),
    ] = 0,
    device: Device = None,
) -> None:
    """Train the referee of a data set: the classifier that `evaluate` scores with.

    It ends with how often it is right on pictures that it has not learnt. `evaluate` trains a small
    one by itself where it needs one; this keeps one in a file of its own, for `evaluate --judge FILE`.
    """
    from ddpm_ref.data import to_model_range
    from ddpm_ref.datasets import has_test_part, load_dataset
    from ddpm_ref.judge import KINDS, save_judge
    from ddpm_ref.presets import DataConfig
    from ddpm_ref.referee import train_judge
    from ddpm_ref.runs import command_line, make_folder
    from ddpm_ref.scores import class_accuracy

    one_of("--kind", kind, tuple(KINDS))
    if steps is not None:
        at_least("--steps", steps, 3)
    if width is not None:
        at_least("--width", width, 1)
        if kind == "small":
            raise UserError("--width goes with --kind photo and large: small has one width.")
    make_folder(out.parent)
    reading = console.tracker("reading images", "files")
    images = load_dataset(dataset, data_dir, image_size, progress=reading)
    tell_skipped(images)
    if has_test_part(dataset, data_dir):
        real = load_dataset(dataset, data_dir, image_size, test=True, progress=reading)
    else:
        with readable("A judge cannot be trained on these images"):
            images, real = images.split(DataConfig.val_fraction, seed)
    trained = train_judge(
        replace(images, flip=images.flip and flip),
        *(steps, seed, pick_device(device), console.tracker("training the judge")),
        kind=kind,
        width=width,
    )
    _, guessed = trained.look_at(to_model_range(real.images))
    accuracy, n = class_accuracy(guessed, real.labels, len(real.classes))[0], len(guessed)
    about = {
        "command": command_line(),
        "classes": list(images.classes),
        "accuracy": accuracy,
        "n": n,
    }
    save_judge(trained, out, about, half=True)
    console.out.print(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB. It is right on {accuracy:.2%} of {n:,} real pictures "
        "that it has not learnt."
    )
