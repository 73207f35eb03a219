"""What the commands with CLIP share, and what `evaluate --clip` shows."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ddpm_ref import console
from ddpm_ref.cli.common import place, write_json
from ddpm_ref.errors import UserError

ClipName = Annotated[
    str | None,
    typer.Option(
        "--clip-model",
        help="shapes or cifar10 (both come with the package), or a name that open_clip knows. Default: the "
        "one for the model's pictures, ViT-B-32 where there is none.",
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
    from ddpm_ref.clip.models import DEFAULT, load_clip
    from ddpm_ref.shipped import pictures_of

    if name is None:
        small = pictures_of(painter.config.data, painter.classes) if weights is None else None
        name = small or DEFAULT
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
    from ddpm_ref.shipped import PICTURES

    if unknown := model.unknown_words(prompt):
        console.out.print(
            f"The CLIP {model.name} has never seen {', '.join(map(repr, unknown))}, and takes no notice "
            f"(it knows: {', '.join(sorted(w for w in model.words if len(w) > 2))})."
            + (" --clip-model ViT-B-32 knows English." if model.name in PICTURES else "")
        )


def ready_judge(painter, source: Path | None):
    """The referee of a model's data set where one is at hand without training it; otherwise None."""
    from ddpm_ref.judge import load_judge
    from ddpm_ref.shipped import shipped_judge

    shipped = shipped_judge(painter.config.data, painter.classes)
    kept = source / "judge.safetensors" if source is not None else None
    if shipped is None and (kept is None or not kept.is_file()):
        return None
    return load_judge(shipped or kept)


def place_of(out: Path | None, model: Path | None, name: str) -> Path:
    """Where a picture goes: as asked, or into the run, or here."""
    from ddpm_ref.pictures import picture_kind
    from ddpm_ref.runs import make_folder

    path = out or (model / name if model is not None and model.is_dir() else Path(name))
    picture_kind(place("--out", path))
    make_folder(path.parent)
    return path


def keep_numbers(
    result: dict, path: Path, model: Path | None, name: str, json_file: Path | None
) -> None:
    """For the report: beside the picture, where that is the run's own, of this name."""
    if model is not None and model.is_dir() and path == model / name:
        write_json(path.with_suffix(".json"), result)
    if json_file:
        write_json(json_file, result)


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
