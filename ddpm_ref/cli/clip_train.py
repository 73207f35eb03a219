"""`ddpm clip-train`: a small CLIP of one's own."""

import time
from pathlib import Path
from typing import Annotated

import typer

from ddpm_ref import console
from ddpm_ref.cli.common import (
    DataDir,
    Dataset,
    Device,
    ImageSize,
    Json,
    Seed,
    WeightsFile,
    app,
    at_least,
    pick_device,
    tell_skipped,
    write_json,
)
from ddpm_ref.errors import UserError


@app.command("clip-train")
def clip_train(
    out: WeightsFile,
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
    if json_file == out.with_suffix(".json"):
        raise UserError(f"{json_file} holds what is in {out}: give --json another name.")
    from ddpm_ref.clip.models import read_small, write_small
    from ddpm_ref.clip.train import SETTINGS, train_clip, vocabulary, zero_shot
    from ddpm_ref.runs import command_line, make_folder

    make_folder(out.parent)
    learn, held_out = _captioned(dataset, data_dir, image_size)
    bar = console.tracker("training CLIP")
    began = time.monotonic()
    clip, tokens = train_clip(learn, steps, seed, pick_device(device), bar)
    seconds = time.monotonic() - began
    about = {"command": command_line(), "dataset": dataset, "classes": list(learn.images.classes)}
    write_small(out, clip, tokens, SETTINGS, vocabulary(learn), about)
    model = read_small(out, pick_device(device))  # what is in the file, half precision and all
    result = zero_shot(model, held_out) | {"train_seconds": seconds, "steps": steps}
    for name, value in result.items():
        if name.endswith("accuracy"):
            words = name.replace("_accuracy", "").replace("_", " ")
            console.out.print(
                f"{words} named rightly: {value:.1%} of {result['n']:,} real pictures"
            )
    console.out.print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
    if json_file:
        write_json(json_file, result)


def _captioned(dataset: str, data_dir: Path | None, image_size: int | None):
    """Pictures to learn from and held-out ones, with what their captions say."""
    from ddpm_ref.clip.train import Captioned
    from ddpm_ref.datasets import SHAPES_TEST_FROM, has_test_part, load_dataset

    where = dict(data_dir=data_dir, image_size=image_size)
    reading = console.tracker("reading images", "files")
    learn = load_dataset(dataset, **where, size=20_000, progress=reading)
    tell_skipped(learn)
    if has_test_part(dataset, data_dir):
        real = load_dataset(dataset, **where, test=True, size=2000)
    else:
        learn, real = learn.split(0.1)
    return Captioned.of(dataset, learn), Captioned.of(dataset, real, first=SHAPES_TEST_FROM)
