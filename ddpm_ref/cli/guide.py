"""`ddpm guide`: what a text says, by the gradient of CLIP's similarity."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ddpm_ref import console
from ddpm_ref.cli.clip import (
    ClipName,
    ClipWeights,
    keep_numbers,
    load_clip_for,
    place_of,
    ready_judge,
    warn_of_unknown_words,
)
from ddpm_ref.cli.common import (
    Checkpoint,
    Code,
    Device,
    Eta,
    Guidance,
    Json,
    Model,
    Sampler,
    Seed,
    Steps,
    app,
    at_least,
    distinct,
    pick_device,
    scale,
)
from ddpm_ref.errors import UserError


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
    number: Annotated[int, typer.Option("--number", "--n", "-n", help="Pictures.")] = 8,
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
    from ddpm_ref.clip.drawing import NORMALISED_SCALE, SCALE, Guide, draw_guided, texts_of
    from ddpm_ref.painting import load_painter
    from ddpm_ref.recipes import steps_of, with_sampling

    clip_scale = scale("--clip-scale", clip_scale)
    if clip_scale is None:
        clip_scale = NORMALISED_SCALE if normalise else SCALE
    painter = load_painter(model, checkpoint, pick_device(device))
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
        guidance_scale=guidance_scale,
    )
    path = place_of(out, model, "guide.png")
    distinct(out=path, json=json_file)
    clip = load_clip_for(painter, clip_model, clip_weights)
    warn_of_unknown_words(clip, prompt)
    text = texts_of(clip, [prompt])
    judge = ready_judge(painter, model) if label is not None else None
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
        **vars(settings),
    }
    pictures = {"without": plain, "guided": drawn}
    for way, x in pictures.items():
        result |= _about_guided(x, way, clip, text, label, judge) | {
            f"seconds_per_image_{way}": seconds[way]
        }
    _show_guided(result, pictures, clip, text, path)
    keep_numbers(result, path, model, "guide.png", json_file)


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
