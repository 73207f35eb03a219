"""The commands that CLIP has a part in: rerank, guide, clip-train, and what `evaluate --clip` shows.

`ddpm_ref.cli` imports this at its end; like it, nothing here imports torch before a command runs.
"""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ddpm_ref import console
from ddpm_ref.cli import (
    Checkpoint,
    Classes,
    Code,
    DataDir,
    Dataset,
    Device,
    Eta,
    Guidance,
    ImageSize,
    Json,
    Model,
    Sampler,
    Seed,
    Steps,
    _device,
    _finite,
    _write_json,
    app,
    at_least,
    one_of,
)
from ddpm_ref.errors import UserError

ClipName = Annotated[
    str | None,
    typer.Option(
        "--clip-model",
        help="shapes (comes with the package), or a name that open_clip knows. Default: shapes for models of "
        "shapes, ViT-B-32 for others.",
        show_default=False,
    ),
]
ClipWeights = Annotated[
    str | None,
    typer.Option(
        help="A tag that open_clip knows for the model, or a file: for machines without a network. "
        "Default: openai.",
        show_default=False,
    ),
]
Templates = Annotated[
    list[str] | None,
    typer.Option(
        "--template",
        help='The caption of a class; repeat it to average several. Default: "a photo of a {class}".',
        show_default=False,
    ),
]


def load_clip_for(painter, name: str | None, weights: str | None):
    """The CLIP that was asked for, or the one that suits a model's data set, on the model's device."""
    from ddpm_ref.clip.models import DEFAULT, SMALL, load_clip

    if name is None:
        small = painter.config.data.dataset == "shapes" and weights is None
        name = SMALL if small else DEFAULT
    return load_clip(name, weights, painter.device)


def make_jury(painter, name: str | None, weights: str | None, templates: list[str] | None):
    """A CLIP with the prompts of a model's classes."""
    from ddpm_ref.clip.clip import TEMPLATE, class_prompts
    from ddpm_ref.clip.scores import ClipJury

    templates = templates or [TEMPLATE]
    for template in templates:
        if "{class}" not in template:
            raise UserError(f"--template needs {{class}} where the name belongs, got {template!r}.")
    model = load_clip_for(painter, name, weights)
    for prompt in class_prompts(painter.classes, templates[0]):
        warn_of_unknown_words(model, prompt)
    return ClipJury(model, painter.classes, templates)


def warn_of_unknown_words(model, prompt: str) -> None:
    """Say which words are lost on a small CLIP."""
    from ddpm_ref.clip.models import SMALL

    if unknown := model.unknown_words(prompt):
        console.out.print(
            f"The CLIP {model.name} has never seen {', '.join(map(repr, unknown))}, and takes no notice "
            f"(it knows: {', '.join(sorted(w for w in model.words if len(w) > 2))})."
            + (" --clip-model ViT-B-32 knows English." if model.name == SMALL else ""),
            markup=False,
        )


def ready_judge(painter, source: Path | None):
    """The referee of a model's data set where one is at hand without training it; otherwise None."""
    from ddpm_ref.judge import SHIPPED_JUDGE, load_judge

    data = painter.config.data
    if data.dataset == "shapes" and data.image_size == 16:
        return load_judge(SHIPPED_JUDGE)
    kept = source / "judge.safetensors" if source is not None else None
    return load_judge(kept) if kept is not None and kept.is_file() else None


def show_clip_scores(result: dict, jury, x, y, folder: Path) -> None:
    """The table of `evaluate --clip`, and its two pictures."""
    from ddpm_ref.clip.pictures import best_label_grid, heatmap
    from ddpm_ref.clip.scores import CLIP_ROWS, clip_ways
    from ddpm_ref.files import write_atomically
    from ddpm_ref.pictures import save_picture

    ways = clip_ways(result)
    table = Table("", *(title for title, _ in ways), title=f"by the CLIP {jury.model.name}")
    for title, name, form in CLIP_ROWS:
        table.add_row(title, *(form.format(result[f"clip_{name}{s}"]) for _, s in ways))
    table.add_section()
    for name in result["clip_matching_accuracies"]:
        shares = (result[f"clip_matching_accuracies{s}"].get(name) for _, s in ways)
        table.add_row(name, *("–" if v is None else f"{v:.1%}" for v in shares))
    console.out.print(table)
    best = "_guided" if "guidance_scale" in result else ""
    save_picture(best_label_grid(x, y, jury.look(x), jury.classes), folder / "clip-samples.png")
    how = f", guidance {result['guidance_scale']:g}" if best else ""
    title = f"Similarity, n = {result['n']:,}{how}"
    picture = heatmap(result[f"clip_mean_similarities{best}"], jury.classes, title)
    write_atomically(folder / "clip-similarity.png", picture)
    console.out.print(f"best labels: {folder / 'clip-samples.png'}")
    console.out.print(f"similarities: {folder / 'clip-similarity.png'}")


def _place(out: Path | None, model: Path | None, name: str) -> Path:
    """Where a picture goes: as asked, or into the run, or here."""
    from ddpm_ref.pictures import picture_kind
    from ddpm_ref.runs import make_folder

    path = out or (model / name if model is not None and model.is_dir() else Path(name))
    picture_kind(path)
    make_folder(path.parent)
    return path


@app.command()
def rerank(
    model: Model = None,
    classes: Classes = None,
    candidates: Annotated[int, typer.Option(help="Pictures to draw of each class …")] = 16,
    keep: Annotated[int, typer.Option(help="… and how many of them to keep.")] = 4,
    clip_model: ClipName = None,
    clip_weights: ClipWeights = None,
    templates: Templates = None,
    sampler: Sampler = None,
    steps: Steps = None,
    eta: Eta = None,
    guidance_scale: Guidance = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The picture, before and after. Default: rerank.png, in the run where there is one.",
            show_default=False,
        ),
    ] = None,
    files: Annotated[
        Path | None, typer.Option(help="A folder for the pictures kept.", show_default=False)
    ] = None,
    checkpoint: Checkpoint = "last",
    device: Device = None,
    code: Code = None,
    json_file: Json = None,
) -> None:
    """Draw several candidates and keep those that look most like the class to CLIP: best of n.

    `ddpm rerank undertrained --class star --candidates 16 --keep 4`

    It mends the wrong class, not a blurred picture. "undertrained" is a model that comes with the package
    and is wrong often enough to show it.
    """
    at_least("--candidates", candidates, 1)
    at_least("--keep", keep, 1)
    if keep > candidates:
        raise UserError(f"--keep must be at most the {candidates} --candidates, got {keep}.")
    from ddpm_ref.clip.drawing import best_of
    from ddpm_ref.pictures import save_picture, stack, to_pil
    from ddpm_ref.runs import load_painter, make_folder, steps_of, with_sampling

    one_of("--checkpoint", checkpoint, ("last", "best"))
    painter = load_painter(model, checkpoint, _device(device))
    labels = painter.labels(classes or list(painter.classes))
    how = with_sampling(
        painter.config,
        sampler=sampler,
        steps=steps,
        eta=eta,
        guidance_scale=_finite(guidance_scale),
    )
    path = _place(out, model, "rerank.png")
    if files is not None:
        make_folder(files)
    jury = make_jury(painter, clip_model, clip_weights, templates)
    judge = ready_judge(painter, model)
    strips, titles, found = [], [], {}
    table = Table("class", "similarity, all", "kept", title=f"best {keep} of {candidates}")
    if judge is not None:
        table.add_column("right, all")
        table.add_column("kept")
    total = len(labels) * candidates * steps_of(how, painter.config)
    with console.bar("drawing", total, "image steps") as advance:
        for k, label in enumerate(labels):
            name = painter.classes[label]
            text = jury.texts[label : label + 1]
            best = best_of(
                *(painter, jury.model, text, label, candidates, keep, how, seed + k, advance)
            )
            found[name] = _about_best(best, label, judge)
            _add_row(table, name, found[name])
            if k < 10:  # a picture of more would be taller than anybody scrolls
                strips += _before_and_after(best)
                titles += [
                    f"{name}: {candidates} candidates, as they were drawn",
                    f"{name}: the best {keep}, best first",
                ]
            if files is not None:
                stem = name.replace("/", "-").replace(" ", "-")
                for place, i in enumerate(best.kept.tolist()):
                    save_picture(to_pil(best.x[i]), files / f"{stem}-{place:04d}.png")
    save_picture(stack(strips, titles), path)
    console.out.print(table)
    console.out.print(f"before and after: {path}")
    if files is not None:
        console.out.print(f"kept: {files}")
    result = {"candidates": candidates, "keep": keep, "seed": seed, "classes": found}
    result |= jury.about() | {"sampler": how.sampler, "guidance_scale": how.guidance_scale}
    _keep_numbers(result, path, model, json_file)


def _about_best(best, label: int, judge) -> dict:
    about = {
        "similarities": best.similarity.tolist(),
        "kept": best.kept.tolist(),
        "similarity": best.similarity.mean().item(),
        "similarity_kept": best.similarity[best.kept].mean().item(),
    }
    if judge is not None:
        right = (judge.look_at(best.x)[1] == label).double()
        about |= {"class_accuracy": right.mean().item()}
        about |= {"class_accuracy_kept": right[best.kept].mean().item()}
    return about


def _add_row(table: Table, name: str, about: dict) -> None:
    row = [f"{about['similarity']:.4f}", f"{about['similarity_kept']:.4f}"]
    if "class_accuracy" in about:
        row += [f"{about['class_accuracy']:.0%}", f"{about['class_accuracy_kept']:.0%}"]
    table.add_row(name, *row)


def _before_and_after(best) -> list:
    from ddpm_ref.clip.pictures import captioned_grid

    places = {i: place + 1 for place, i in enumerate(best.kept.tolist())}
    shown = range(min(len(best.x), 64))
    lines = [
        f"{float(best.similarity[i]):.3f}" + (f" (no. {places[i]})" if i in places else "")
        for i in shown
    ]
    kept = best.kept[:16]
    lines_kept = [f"{float(best.similarity[i]):.3f}" for i in kept]
    return [
        captioned_grid(best.x[: len(lines)], lines, min(8, len(lines))),
        captioned_grid(best.x[kept], lines_kept, min(8, len(kept))),
    ]


def _keep_numbers(result: dict, path: Path, model: Path | None, json_file: Path | None) -> None:
    """For the report: beside the picture, where that lies in a run."""
    if model is not None and model.is_dir() and path.parent == model:
        _write_json(path.with_suffix(".json"), result)
    if json_file:
        _write_json(json_file, result)


@app.command()
def guide(
    model: Model = None,
    prompt: Annotated[
        str, typer.Option(help="What it should look like, in English.", show_default=False)
    ] = "",
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class",
            help="The class to draw. Default: the one that the prompt names, if it names one.",
            show_default=False,
        ),
    ] = None,
    unconditional: Annotated[
        bool, typer.Option("--unconditional", help="Leave all to CLIP: draw without a class.")
    ] = False,
    number: Annotated[int, typer.Option("--number", "-n", help="Pictures.")] = 8,
    clip_scale: Annotated[
        float | None,
        typer.Option(
            help="How strongly CLIP pulls; 0 not at all. Default: 30, or 0.1 with --normalise.",
            show_default=False,
        ),
    ] = None,
    interval: Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="LOWEST HIGHEST",
            help="Timesteps at which CLIP has a say, both included. Default: all.",
            show_default=False,
        ),
    ] = None,
    normalise: Annotated[
        bool,
        typer.Option(
            "--normalise", help="The same size of nudge everywhere: the scale is the size."
        ),
    ] = False,
    through_model: Annotated[
        bool,
        typer.Option(
            "--through-model/--fast",
            help="Take the gradient through the U-Net, or hold its prediction constant: half the time.",
        ),
    ] = True,
    clip_x0: Annotated[
        bool,
        typer.Option(
            "--clip-x0/--no-clip-x0", help="Clip each predicted x_0; without it all is lost."
        ),
    ] = True,
    views: Annotated[
        int, typer.Option(help="Show CLIP so many random crops in place of the picture.")
    ] = 0,
    clip_model: ClipName = None,
    clip_weights: ClipWeights = None,
    sampler: Sampler = None,
    steps: Steps = None,
    eta: Eta = None,
    guidance_scale: Guidance = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The picture, without CLIP and with it. Default: guide.png, in the run where there is one.",
            show_default=False,
        ),
    ] = None,
    checkpoint: Checkpoint = "last",
    device: Device = None,
    code: Code = None,
    json_file: Json = None,
) -> None:
    """Draw what a text says, by the gradient of CLIP's similarity: it reaches what no class does.

    `ddpm guide --prompt "a photo of a blue heart"`

    Classifier-free guidance (--guidance-scale) goes with it. The same noise is drawn without CLIP too, for
    comparison. What can go wrong, and how that looks, is in docs/clip.md.
    """
    if not prompt.strip():
        raise UserError('--prompt is missing: say what to draw, such as "a photo of a blue heart".')
    at_least("--number", number, 1)
    at_least("--views", views, 0)
    from dataclasses import replace

    from ddpm_ref.clip.drawing import NORMALISED_SCALE, SCALE, Guide, draw_guided, texts_of
    from ddpm_ref.runs import load_painter, steps_of, with_sampling

    clip_scale = _finite(clip_scale, "--clip-scale")
    if clip_scale is None:
        clip_scale = NORMALISED_SCALE if normalise else SCALE
    one_of("--checkpoint", checkpoint, ("last", "best"))
    painter = load_painter(model, checkpoint, _device(device))
    last = painter.config.diffusion.timesteps - 1
    if interval is not None and not 0 <= interval[0] <= interval[1] <= last:
        raise UserError(
            f"--interval must lie within 0 and {last}, lowest first, got {interval[0]} {interval[1]}."
        )
    label = _label_of(painter, class_name, prompt, unconditional)
    how = with_sampling(
        painter.config,
        sampler=sampler,
        steps=steps,
        eta=eta,
        guidance_scale=_finite(guidance_scale),
    )
    path = _place(out, model, "guide.png")
    clip = load_clip_for(painter, clip_model, clip_weights)
    warn_of_unknown_words(clip, prompt)
    text = texts_of(clip, [prompt])
    settings = Guide(clip_scale, interval, through_model, normalise, clip_x0, views)
    import torch

    y = None if label is None else torch.full((number,), label)
    noise = painter.noise(number, seed)
    whole = 2 * number * steps_of(how, painter.config)
    seconds = {}
    with console.bar("drawing", whole, "image steps") as advance:
        began = time.monotonic()
        plain = painter.draw(y, noise, how, seed, advance=advance)
        seconds["without"] = (time.monotonic() - began) / number
        began = time.monotonic()
        drawn = draw_guided(painter, clip, text, y, noise, how, settings, seed, advance)
        seconds["guided"] = (time.monotonic() - began) / number
    result = {
        "prompt": prompt,
        "class": None if label is None else painter.classes[label],
        "clip_model": clip.name,
        "n": number,
        "seed": seed,
        "sampler": how.sampler,
        "guidance_scale": how.guidance_scale if label is not None else None,
        **vars(replace(settings)),
    }
    judge = ready_judge(painter, model) if label is not None else None
    pictures = {"without": plain, "guided": drawn}
    for way, x in pictures.items():
        result |= _about_guided(x, way, clip, text, label, judge) | {
            f"seconds_per_image_{way}": seconds[way]
        }
    _show_guided(result, pictures, clip, text, path)
    _keep_numbers(result, path, model, json_file)


def _label_of(painter, class_name: str | None, prompt: str, unconditional: bool) -> int | None:
    """The class to draw: the one given, or the only one that the prompt names."""
    if unconditional:
        if class_name:
            raise UserError("--unconditional draws without a class: leave --class out, or it.")
        return None
    if class_name is not None:
        return painter.labels([class_name])[0]
    words = f" {' '.join(''.join(c if c.isalnum() else ' ' for c in prompt.lower()).split())} "
    named = [k for k, name in enumerate(painter.classes) if f" {name.lower()} " in words]
    if len(named) == 1:
        console.out.print(f"class: {painter.classes[named[0]]} (--unconditional draws without one)")
        return named[0]
    console.out.print("class: none (the prompt does not name one; --class gives one)")
    return None


def _about_guided(x, way: str, clip, text, label: int | None, judge) -> dict:
    from ddpm_ref.clip.drawing import similarities

    about = {f"similarity_{way}": similarities(clip, x, text).mean().item()}
    if judge is not None:
        right = (judge.look_at(x)[1] == label).double()
        about[f"class_accuracy_{way}"] = right.mean().item()
    return about


def _show_guided(result: dict, pictures: dict, clip, text, path: Path) -> None:
    from ddpm_ref.clip.drawing import similarities
    from ddpm_ref.clip.pictures import captioned_grid
    from ddpm_ref.pictures import save_picture, stack

    strips, table = [], Table("", "without CLIP", "guided", title=result["prompt"])
    for x in pictures.values():
        values = similarities(clip, x[:64], text)[:, 0].tolist()
        strips.append(captioned_grid(x[:64], [f"{v:.3f}" for v in values], min(8, len(values))))
    titles = ["without CLIP", f'guided by "{result["prompt"]}", scale {result["clip_scale"]:g}']
    save_picture(stack(strips, titles), path)
    rows = [("similarity, in the eyes of the guide", "similarity", "{:.4f}")]
    if "class_accuracy_guided" in result:
        title = f"shows a {result['class']}, says the judge, who took no part"
        rows.append((title, "class_accuracy", "{:.0%}"))
    rows.append(("seconds per picture", "seconds_per_image", "{:.3f}"))
    for title, name, form in rows:
        values = (form.format(result[f"{name}_{way}"]) for way in pictures)
        table.add_row(title, *values)
    console.out.print(table)
    console.out.print(f"without and with: {path}")


@app.command("clip-train")
def clip_train(
    out: Annotated[Path, typer.Argument(help="The file to write, NAME.safetensors.")],
    dataset: Dataset = "shapes",
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    steps: Annotated[int, typer.Option(help="Training steps of 128 captioned pictures.")] = 600,
    seed: Seed = 0,
    device: Device = None,
    json_file: Json = None,
) -> None:
    """Train a small CLIP of open_clip's own class: minutes on two cores.

    On shapes it learns classes and colours, on other data sets the names of the classes. Use it with
    --clip-weights FILE.
    """
    at_least("--steps", steps, 3)
    if out.suffix != ".safetensors":
        raise UserError(f"The name of the file must end in .safetensors, got {out.name}.")
    from ddpm_ref.clip.models import read_small, write_small
    from ddpm_ref.clip.train import SETTINGS, Captioned, train_clip, vocabulary, zero_shot
    from ddpm_ref.runs import command_line, make_folder

    make_folder(out.parent)
    learn, held_out = _captioned(dataset, data_dir, image_size, Captioned)
    bar = console.tracker("training CLIP")
    began = time.monotonic()
    clip, tokens = train_clip(learn, steps, seed, _device(device), bar)
    seconds = time.monotonic() - began
    about = {"command": command_line(), "dataset": dataset, "classes": list(learn.images.classes)}
    write_small(out, clip, tokens, SETTINGS, vocabulary(learn.images.classes), about)
    model = read_small(out, _device(device))  # what is in the file, half precision and all
    result = zero_shot(model, held_out) | {"train_seconds": seconds, "steps": steps}
    for name, value in result.items():
        if name.endswith("accuracy"):
            words = name.replace("_accuracy", "").replace("_", " ")
            console.out.print(
                f"{words} named rightly: {value:.1%} of {result['n']:,} real pictures"
            )
    console.out.print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
    if json_file:
        _write_json(json_file, result)


def _captioned(dataset: str, data_dir: Path | None, image_size: int | None, kind):
    """Pictures to learn from and held-out ones, with what their captions say."""
    from ddpm_ref.data import _SHAPES_TEST_FROM, has_test_part, load_dataset, split_dataset

    where = dict(data_dir=data_dir, image_size=image_size)
    reading = console.tracker("reading images", "files")
    learn = load_dataset(dataset, **where, size=20_000, progress=reading)
    if has_test_part(dataset, data_dir):
        real = load_dataset(dataset, **where, test=True, size=2000)
    else:
        train, val = split_dataset(len(learn.labels), 0.1, 0)
        learn, real = learn.subset(train), learn.subset(val)
    return kind.of(dataset, learn), kind.of(dataset, real, first=_SHAPES_TEST_FROM)
