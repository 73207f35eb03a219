"""A run is one folder: what made it, how it went, what it draws.

In it are

    config.json      the recipe, the classes, how many images, the command
    metrics.csv      one row an epoch
    checkpoints/     last and best: a .safetensors each, with its header as .json beside it
    samples/         the same noise drawn after each epoch
    evaluation.json, samples.png, report.html   written by the commands of those names
    rerank and guide (.json, .png), clip-samples.png, clip-similarity.png   by rerank, guide, evaluate --clip
"""

import csv
import io
import json
import math
import os
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path

import torch

from ddpm_ref import __version__
from ddpm_ref.errors import UserError, readable
from ddpm_ref.files import write_atomically, write_json
from ddpm_ref.presets import RunConfig
from ddpm_ref.recipes import read_recipe

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

COUNTS = {"epoch", "step", "images_seen"}  # columns of metrics.csv with whole numbers, …
COLUMNS = {*COUNTS, "seconds", "train_loss", "val_loss"}  # … and all that it must have


def make_folder(path: Path) -> Path:
    """Create a folder that may exist already."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"Cannot create the folder {path} ({error.strerror}): choose another place."
        ) from error
    return path


def make_parts(folder: Path) -> None:
    """Create the folders that lie in a run; they may be there already."""
    for name in ("checkpoints", "samples"):
        make_folder(folder / name)


def must_be_new(folder: Path) -> None:
    """Raise UserError when a folder exists already, or could not be made."""
    if folder.exists():
        or_remove = ", or remove it first" if (folder / "config.json").is_file() else ""
        raise UserError(
            f"{folder} exists already: choose another --out{or_remove}; nothing was changed."
        )
    above = next(place for place in folder.absolute().parents if place.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        why = "may not be written to" if above.is_dir() else "is a file"
        raise UserError(f"Cannot create the folder {folder} ({above} {why}): choose another --out.")


def free_name(path: Path) -> Path:
    """`path`, or the first of path-2, path-3, … that does not exist."""
    candidate, k = path, 1
    while candidate.exists():
        k += 1
        candidate = path.with_name(f"{path.name}-{k}")
    return candidate


def command_line() -> str:
    """What the user typed."""
    return shlex.join(["ddpm", *sys.argv[1:]])


class Run:
    """The folder of a run that exists."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        if not (self.folder / "config.json").is_file():
            raise UserError(
                f"{folder} is not the folder of a run: it has no config.json; `ddpm train` makes runs."
            )

    @classmethod
    def create(
        cls, folder: Path, config: RunConfig, classes: tuple[str, ...], images: int
    ) -> "Run":
        """Start a run in a folder that does not exist yet.

        Args:
            images: how many there are, to train and to validate on.
        """
        must_be_new(folder)
        make_parts(folder)
        about = {
            "ddpm_ref": __version__,
            "torch": torch.__version__,
            "command": command_line(),
            "classes": list(classes),
            "images": images,
            "config": config.to_dict(),
        }
        write_json(folder / "config.json", about)
        return cls(folder)

    def about(self) -> dict:
        """What config.json holds."""
        about = self._read_json("config.json")
        if "config" not in about:
            raise UserError(
                f"{self.folder / 'config.json'} holds no recipe: train again into a new folder."
            )
        return about

    def config(self) -> RunConfig:
        """The recipe that it goes by."""
        return read_recipe(self.about()["config"], self.folder / "config.json")

    def go_on_with(self, config: RunConfig) -> None:
        """Write down the recipe from now on: another length, another rate."""
        write_json(self.folder / "config.json", self.about() | {"config": config.to_dict()})

    @contextmanager
    def alone(self):
        """While it lasts, no other process trains in this folder.

        Raises:
            UserError: when one does.
        """
        if fcntl is None:  # Windows
            yield
            return
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise UserError(
                f"Another process is training in {self.folder}: let it finish, or stop it first."
            ) from None
        except OSError:  # a file system without locks
            pass
        try:
            yield
        finally:
            os.close(handle)

    def checkpoint(self, name: str) -> Path:
        return self.folder / "checkpoints" / f"{name}.safetensors"

    def last_checkpoint(self) -> dict | None:
        """How far the last checkpoint is, in numbers; None where there is none. They are written after it."""
        return self._beside("last")

    def _beside(self, checkpoint: str) -> dict | None:
        beside = self.checkpoint(checkpoint).with_suffix(".json")
        return self._read_json(f"checkpoints/{beside.name}") if beside.is_file() else None

    def metrics(self) -> list[dict[str, float]]:
        """The rows of metrics.csv, none when no epoch is finished."""
        path = self.folder / "metrics.csv"
        if not path.is_file():
            return []
        damaged = readable(f"{path} is damaged, remove it or train again")
        with damaged, open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
            if any(None in (*row, *row.values()) or not row.keys() >= COLUMNS for row in rows):
                raise ValueError("a row has too many or too few columns")
            return [
                {k: int(float(v)) if k in COUNTS else float(v) for k, v in row.items()}
                for row in rows
            ]

    def metrics_of(self, checkpoint: str) -> dict[str, float] | None:
        """The row of the last epoch that a checkpoint has behind it, None where there is none."""
        about = self._beside(checkpoint) or {}
        rows = [row for row in self.metrics() if row["epoch"] <= about.get("epoch", math.inf)]
        return rows[-1] if rows else None

    def add_metrics(self, row: dict[str, float]) -> None:
        self._write_metrics([*self.metrics(), row])

    def drop_metrics_after(self, epoch: int) -> None:
        """Forget the rows of epochs that the checkpoint to go on from does not have."""
        rows = self.metrics()
        kept = [row for row in rows if row["epoch"] <= epoch]
        if len(kept) < len(rows):
            self._write_metrics(kept)

    def _write_metrics(self, rows: list[dict[str, float]]) -> None:
        text = io.StringIO()
        if rows:
            writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        write_atomically(self.folder / "metrics.csv", text.getvalue().encode())

    def numbers(self, name: str) -> dict | None:
        """What a command wrote down in a file of that name; None when it never ran."""
        return self._read_json(name) if (self.folder / name).is_file() else None

    def _read_json(self, name: str) -> dict:
        again = "train again" if name == "config.json" else "remove it"
        with readable(f"{self.folder / name} is damaged, {again}"):
            found = json.loads((self.folder / name).read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError(f"it holds a {type(found).__name__}")
            return found
