"""What a model draws that was trained with a known mistake: `python -m checks.gallery` makes the pictures.

Every misconception with `draws="name"` is made in the reference; the `demo` recipe then trains for a minute
(mistakes of chapter 7 take the right program's model), draws two rows of pictures, and the referee looks at
more of them. `docs/gallery/` keeps a picture of each
(the grid, and the loss beside that of the right program) and `gallery.json` the numbers. Takes about ten
minutes on two cores.

    python -m checks.gallery                 all of them
    python -m checks.gallery no-clipping     only those, and the right program again
"""

import argparse
import hashlib
import importlib.abc
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checks.catalogue import ROOT, Chapter, Misconception, chapters, spoilt
from checks.files import write_json

FOLDER = ROOT / "docs" / "gallery"
RIGHT = "right"  # name of the picture without a mistake
IMAGES, SEEN, N = 5_000, 24_000, 200  # of the data set, in training, for the referee


def pictured() -> dict[str, tuple[Chapter, Misconception]]:
    """The misconceptions that have a picture, by its name."""
    return {
        mistake.draws: (chapter, mistake)
        for chapter in chapters().values()
        for mistake in chapter.misconceptions
        if mistake.draws
    }


def picture_of(says: str) -> Path | None:
    """The picture of a misconception, known by its sentence; None when it has none."""
    for name, (_, mistake) in pictured().items():
        if mistake.says == says and (FOLDER / f"{name}.png").is_file():
            return FOLDER / f"{name}.png"
    return None


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", nargs="*", help="by name; all of them when none is given")
    wanted = parser.parse_args(arguments).picture
    names = [RIGHT, *(wanted or pictured())]
    unknown = sorted(set(names) - {RIGHT} - set(pictured()))
    if unknown:
        print(
            f"There is no picture {unknown[0]}: there are {', '.join(pictured())}.", file=sys.stderr
        )
        return 2
    from checks.show.gallery import compose  # with it comes matplotlib, which `why` has no use for

    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / "gallery.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    writing = threading.Lock()

    def keep(name: str, work: Path) -> None:
        """Make one, and write it down at once."""
        found = _train(name, work)
        with writing:
            known[name] = found
            write_json(file, {n: known[n] for n in [RIGHT, *pictured()] if n in known})
            compose(work / f"{name}.png", found, known[RIGHT], FOLDER / f"{name}.png")

    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(os.cpu_count()) as pool:
        keep(RIGHT, Path(work))  # first: mistakes of chapter 7 draw with its model
        list(pool.map(lambda name: keep(name, Path(work)), names[1:]))
    return 0


def _train(name: str, work: Path) -> dict:
    """Train, draw and judge in a process of its own, whose `ddpm_ref` has the mistake."""
    command = [sys.executable, "-m", "checks.gallery", "--one", name, str(work)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "3000"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name}:\n{done.stderr[-3000:]}")
    print(name, done.stdout.strip().splitlines()[-1], flush=True)
    return json.loads((work / f"{name}.json").read_text(encoding="utf-8"))


def stamp(name: str) -> str:
    """Changes when the mistake does, so that a test can say that its picture is old."""
    edits = pictured()[name][1].edits if name != RIGHT else ()
    return hashlib.sha256(repr((edits, IMAGES, SEEN, N)).encode()).hexdigest()[:16]


def _one(name: str, work: Path) -> None:
    run = work / name
    if name != RIGHT:
        chapter, mistake = pictured()[name]
        sys.meta_path.insert(0, _Spoiler(chapter, mistake))
        run = work / RIGHT if chapter.number == 7 else run
    from dataclasses import replace

    import torch

    from ddpm_ref.datasets import load_dataset
    from ddpm_ref.errors import UserError
    from ddpm_ref.launch import train
    from ddpm_ref.painting import load_painter
    from ddpm_ref.pictures import encode, grid
    from ddpm_ref.presets import preset
    from ddpm_ref.referee import appoint_referee
    from ddpm_ref.runs import Run
    from ddpm_ref.scores import class_accuracy

    torch.set_num_threads(1)
    config = preset("demo")
    config = replace(
        config, data=replace(config.data, size=IMAGES), train=replace(config.train, images=SEEN)
    )
    images = load_dataset("shapes", image_size=16, size=IMAGES)
    found = {"stamp": stamp(name), "n": N}
    try:
        if not run.exists():
            train(config, images, run)
    except UserError as error:
        found["stopped"] = str(error).partition(".")[0]
    rows = Run(run).metrics()
    found |= {key: [row[key] for row in rows] for key in ("images_seen", "train_loss", "val_loss")}
    painter = load_painter(run)
    y = torch.arange(N) % len(images.classes)
    pictures = painter.draw(y, painter.noise(N, 0), replace(config.sample, guidance_scale=1.0))
    pictures = pictures.nan_to_num(0.0)
    _, guessed = appoint_referee(config.data).judge.look_at(pictures)
    found["class_accuracy"] = class_accuracy(guessed, y, len(images.classes))[0]
    (work / f"{name}.png").write_bytes(encode(grid(pictures[:20], 10, zoom=2)))
    write_json(work / f"{name}.json", found)
    print(f"{found['class_accuracy']:.2f}")


class _Spoiler(importlib.abc.MetaPathFinder):
    """Imports one module of the reference with a mistake in it."""

    def __init__(self, chapter: Chapter, mistake: Misconception):
        self.name, self.file = f"ddpm_ref.{chapter.reference}", chapter.reference_file
        self.mistake = mistake

    def find_spec(self, name, path=None, target=None):
        return (
            importlib.util.spec_from_loader(name, self, origin=str(self.file))
            if name == self.name
            else None
        )

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        source = spoilt(self.file.read_text(encoding="utf-8"), self.mistake.edits)
        exec(compile(source, str(self.file), "exec"), module.__dict__)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _one(sys.argv[2], Path(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:]))
