"""`ddpm report`, `ddpm info` and `ddpm export`: what a run or a file holds."""

from pathlib import Path
from typing import Annotated

import typer

from ddpm_ref import console
from ddpm_ref.cli.common import (
    Checkpoint,
    Code,
    Device,
    Json,
    Model,
    WeightsFile,
    app,
    pick_device,
    place,
    write_json,
)


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
    from ddpm_ref.painting import load_painter
    from ddpm_ref.report import write_report
    from ddpm_ref.runs import Run, make_folder

    existing = Run(run)
    path = place("--out", out or run / "report.html")
    make_folder(path.parent)
    write_report(existing, load_painter(run, device=pick_device(device)), path)
    console.out.print(f"the report: {path}")


@app.command()
def info(model: Model = None, checkpoint: Checkpoint = "last", json_file: Json = None) -> None:
    """Say what a checkpoint or a run is: data, size, recipe, how far it got."""
    from ddpm_ref.painting import load_painter
    from ddpm_ref.recipes import steps_of
    from ddpm_ref.runs import Run

    painter = load_painter(model, checkpoint)
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
        "sampling": f"{how.sampler}, {steps_of(how, config)} steps, guidance {how.guidance_scale:g}"
        + (" at t {}…{}".format(*how.guidance_interval) if how.guidance_interval else ""),
    }
    if model is not None and model.is_dir() and (row := Run(model).metrics_of(checkpoint)):
        rows["trained"] = f"{row['images_seen']:,.0f} images in {row['seconds']:,.0f} s"
        rows["validation loss"] = f"{row['val_loss']:.4f}"
    if note := painter.about.get("note"):
        rows["made by"] = note
    for name, value in rows.items():
        console.out.print(f"{name:16} {value}")
    if json_file:
        write_json(json_file, rows | {"parameters": parameters, "config": config.to_dict()})


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="Folder of a run, or a .safetensors file.")],
    out: WeightsFile,
    note: Annotated[str, typer.Option(help="How it was made; kept in the file.")] = "",
    checkpoint: Checkpoint = "last",
) -> None:
    """Write only the weights that drawing needs, in half precision, to pass a model on."""
    from ddpm_ref.painting import export_weights, load_painter
    from ddpm_ref.runs import make_folder

    painter = load_painter(model, checkpoint)
    make_folder(out.parent)
    export_weights(painter, out, note)
    console.out.print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
