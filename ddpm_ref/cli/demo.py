"""`ddpm demo`: the whole way, from training to the report, in two minutes."""

import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ddpm_ref import console
from ddpm_ref.cli.common import Device, Json, Seed, app, at_least, pick_device, write_json


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
    n: Annotated[int, typer.Option("--n", "-n", help="Pictures to score by.")] = 1000,
    device: Device = None,
    json_file: Json = None,
) -> None:
    """Train on shapes, draw, score and report: two minutes on two CPU cores."""
    began = time.monotonic()
    # Here and not above: the order of imports is the order of commands in `ddpm --help`.
    from ddpm_ref.cli.evaluate import draw_and_score
    from ddpm_ref.cli.train import train_and_show
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
    from ddpm_ref.painting import load_painter
    from ddpm_ref.runs import Run, free_name

    run = Run(train_and_show(config, free_name(out), device))
    painter = load_painter(run.folder, device=pick_device(device))
    result = draw_and_score(painter, run.folder, config.sample, n, seed, json_file=None)
    from ddpm_ref.pictures import save_picture
    from ddpm_ref.report import sample_grid, write_report

    save_picture(sample_grid(painter, seed=seed), run.folder / "samples.png")
    write_report(run, painter, run.folder / "report.html")
    result["total_seconds"] = time.monotonic() - began
    write_json(run.folder / "evaluation.json", result)
    if json_file:
        write_json(json_file, result)
    console.out.print(f"\nIn {result['total_seconds']:.0f} s. Look at:")
    console.out.print(f"  {run.folder / 'samples.png'}")
    console.out.print(f"  {run.folder / 'report.html'}")
    name = shlex.quote(str(run.folder))
    console.out.print(f"Next: ddpm sample {name} --class star --gif star.gif")
