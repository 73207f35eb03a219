"""`ddpm rerank`: best of n."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ddpm_ref import console
from ddpm_ref.cli.clip import (
    ClipName,
    ClipWeights,
    Templates,
    keep_numbers,
    make_jury,
    place_of,
    ready_judge,
)
from ddpm_ref.cli.common import (
    Checkpoint,
    Classes,
    Code,
    Device,
    Eta,
    Guidance,
    GuidanceInterval,
    Json,
    Model,
    Sampler,
    Seed,
    Steps,
    app,
    at_least,
    distinct,
    file_name,
    pick_device,
    place,
)
from ddpm_ref.errors import UserError


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
    guidance_interval: GuidanceInterval = None,
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
    from ddpm_ref.painting import load_painter
    from ddpm_ref.pictures import save_picture, stack, to_pil
    from ddpm_ref.recipes import steps_of, with_sampling
    from ddpm_ref.runs import make_folder

    painter = load_painter(model, checkpoint, pick_device(device))
    labels = list(dict.fromkeys(painter.labels(classes or list(painter.classes))))
    how = with_sampling(
        painter.config,
        sampler=sampler,
        steps=steps,
        eta=eta,
        guidance_scale=guidance_scale,
        guidance_interval=guidance_interval,
    )
    path = place_of(out, model, "rerank.png")
    distinct(out=path, json=json_file)
    if files is not None:
        place("--files", make_folder(files) / "kept-0000.png")
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
                stem = file_name(name, painter.classes)
                for rank, i in enumerate(best.kept.tolist()):
                    save_picture(to_pil(best.x[i]), files / f"{stem}-{rank:04d}.png")
    save_picture(stack(strips, titles), path)
    console.out.print(table)
    console.out.print(f"before and after: {path}")
    if files is not None:
        console.out.print(f"kept: {files}")
    result = {"candidates": candidates, "keep": keep, "seed": seed, "classes": found}
    result |= jury.about() | {"sampler": how.sampler, "guidance_scale": how.guidance_scale}
    keep_numbers(result, path, model, "rerank.png", json_file)


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
