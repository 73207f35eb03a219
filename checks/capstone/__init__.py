"""The end of the road: all nine chapters of a learner train and draw, and are judged beside the reference.

The learner's side runs in the grader's sandbox, as an experiment does; so does the reference's, with as
many steps on the same images, and draws from the same noise. What each draws goes to the referee.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from checks import channel
from checks.catalogue import ROOT, chapters
from checks.compare import is_array
from checks.files import Problem
from checks.grader import GARBLED, Grader, error_text, frames, how_it_ended, submission_folder
from checks.reference import cannot_run
from checks.workers import Pool, TimedOut, Worker

TRIAL = Path(__file__).with_name("trial.py")
LOSS = 1.25  # times the reference's validation loss is what a right stack may have by chance
SIDES = ("yours", "reference")


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Attributes:
        epochs, images: epochs over so many images, a tenth of which is for validation.
        n: pictures drawn.
        margin: of accuracy, by which a right stack may fall behind the reference by chance.
        seconds: of patience with the learner's side, whose network may be slower.
    """

    epochs: int
    images: int
    n: int
    margin: float
    seconds: float


FULL = Plan(epochs=6, images=10_000, n=1000, margin=0.05, seconds=1500)
# After so few steps nothing can be recognised yet: what is compared is, above all, the loss.
QUICK = Plan(epochs=1, images=6_000, n=100, margin=0.15, seconds=600)


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        scores: what the referee says, by side; see `checks.capstone.ours`.
        trouble: why the learner's side did not come to its end; "" when it did.
        where: the lines of the learner's files in which it stopped.
        blamed: numbers of the chapters that fail by themselves; asked only when the two sides differ.
        folder: with the report and the pictures.
        margin: see `Plan`.
        lent: numbers of the chapters that are not in the submission, and were the solutions'.
    """

    scores: dict
    trouble: str
    where: tuple[str, ...]
    folder: Path
    margin: float
    blamed: tuple[int, ...] = field(default=())
    lent: tuple[int, ...] = field(default=())

    @property
    def passed(self) -> bool:
        if self.trouble:
            return False
        yours, reference = self.scores["yours"], self.scores["reference"]
        as_accurate = yours["class_accuracy"] >= reference["class_accuracy"] - self.margin
        losses = [side["val_loss"][-1:] or [float("inf")] for side in (yours, reference)]
        return as_accurate and losses[0][0] <= LOSS * losses[1][0]


def run(
    submission: Path, plan: Plan, folder: Path, grader: Grader, tell: Callable[[str], None]
) -> Outcome:
    """Train both sides at once, judge them, and ask the chapters when they differ.

    Args:
        submission: folder with the chapters; those that are not there are the solutions'.
        plan: how much to do.
        folder: for the report; it exists.
        grader: starts the children, and asks the chapters.
        tell: called now and then with a line about how far it is.
    """
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        _ours("give", work, plan.epochs, plan.images, plan.n)
        sides = {side: _Side(side, submission, work, grader.pool, plan) for side in SIDES}
        try:
            while any(side.thread.is_alive() for side in sides.values()):
                time.sleep(1)
                tell("   ".join(f"{s.name}: {s.last_line()}" for s in sides.values()))
        finally:
            for side in sides.values():
                side.close()
        if sides["reference"].trouble:
            raise Problem(f"The reference itself failed: {sides['reference'].trouble}.")
        _ours("judge", work)
        for file in ("report.html", "scores.json", *(f"{side}.png" for side in SIDES)):
            if (work / file).is_file():
                (folder / file).write_bytes((work / file).read_bytes())
        scores = json.loads((work / "scores.json").read_text(encoding="utf-8"))
    yours = sides["yours"]
    trouble = yours.trouble or scores.get("yours", {}).get("unusable", "")
    lent = tuple(n for n, c in chapters().items() if not submission_folder(submission, c).is_dir())
    outcome = Outcome(scores, trouble, yours.where, folder, plan.margin, lent=lent)
    if not outcome.passed:
        tell("they differ: asking each chapter by itself")
        graded = {n: grader.grade(n, submission, naming=lambda e: False) for n in chapters()}
        outcome.blamed = tuple(n for n, result in graded.items() if not result.passed)
    return outcome


class _Side:
    """One side at work, in a thread that waits for it."""

    def __init__(self, name: str, submission: Path, work: Path, pool: Pool, plan: Plan):
        self.name, self.trouble, self.where = name, "", ()
        self._work, self._seconds, self._ended = work, plan.seconds, False
        mine = name == "yours"
        folders = {}
        if mine:
            for chapter in chapters().values():
                theirs = submission_folder(submission, chapter)
                lent = ROOT / "solutions" / chapter.folder
                folders[chapter.folder] = str(theirs if theirs.is_dir() else lent)
            beside = submission / "chapters"
            folders[""] = str(beside if beside.is_dir() else submission)
        used = set(folders.values())
        lent = [str(ROOT / "solutions" / c.folder) for c in chapters().values()]
        job = {
            "role": "learner" if mine else "reference",
            "chapter": 8,
            "folders": folders,
            "hidden": [place for place in lent if place not in used],
            "cpu_seconds": int(plan.seconds),
        }
        self._worker: Worker = pool.start(job, TRIAL, [work / "given.npz"])
        self.thread = threading.Thread(target=self._wait, daemon=True)
        self.thread.start()

    def last_line(self) -> str:
        lines = self._worker.printed().strip().splitlines() if self.thread.is_alive() else ["done"]
        return lines[-1][-60:] if lines else "starting"

    def close(self) -> None:
        if not self._ended:
            self._worker.close()
        self._ended = True

    def _wait(self) -> None:
        patience = self._seconds if self.name == "yours" else 10 * self._seconds
        try:
            answer = self._worker.ask(
                {"function": "trial", "name": "capstone", "fill": "any"}, lambda: patience
            )
        except TimedOut:
            self.trouble = f"it was not done after {patience:.0f} seconds"
        except channel.Garbled:
            self.trouble = GARBLED
        except channel.Ended:
            if self._worker.layers is None:
                self.trouble = str(cannot_run(self._worker.printed()))
            else:
                self._ended = True
                self.trouble = how_it_ended(self._worker.close(has_ended=True))
        else:
            self._take(answer)

    def _take(self, answer: dict) -> None:
        """Keep what was observed for the referee; anything else is trouble."""
        error = answer.get("error")
        if error:
            self.trouble, self.where = error_text(error), frames(error)
            return
        found = dict(answer["observed"]["dict"])
        arrays = {name: found[name] for name in ("pictures", "train_loss", "val_loss")}
        if not all(map(is_array, arrays.values())):
            self.trouble = "what it drew is no plain tensor"
            return
        values = {name: array["values"] for name, array in arrays.items()}
        values |= {"steps": found["steps"], "train_seconds": found["train_seconds"]["number"]}
        np.savez(self._work / f"{self.name}.npz", **values)


def _ours(command: str, work: Path, *numbers: int) -> None:
    arguments = ["-m", "checks.capstone.ours", command, str(work), *map(str, numbers)]
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise cannot_run(done.stderr)
