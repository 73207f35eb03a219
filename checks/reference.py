"""The reference's child, and a memory of what it answered."""

import hashlib
import os
import platform
import sys
import threading
import time
from contextlib import suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from checks import channel
from checks.catalogue import ROOT, Chapter, Experiment
from checks.compare import differences
from checks.files import Problem
from checks.places import Place, places
from checks.workers import Pool, TimedOut, Worker

PATIENCE = 300.0  # seconds for our own code, on the slowest machine


class Reference:
    """What `ddpm_ref` gives in the experiments of one chapter, as it is or with known mistakes.

    Answers are kept, so that a chapter graded again costs nothing here. It may be asked from several
    threads. Where a child costs an import of torch (no fork), the answers of the reference as it is
    are kept on disk too, and mostly no child is needed.
    """

    def __init__(self, pool: Pool, chapter: Chapter):
        self.pool, self.chapter = pool, chapter
        self._answers: dict[tuple, dict] = {}
        self._touched: dict[tuple, bool] = {}
        self._run: dict[tuple, list[str]] = {}
        self._seconds: dict[str, float] = {}
        self._worker: Worker | None = None
        self._disk = None if pool.fork else _Disk(chapter)
        self._lock = threading.Lock()

    def observe(self, experiment: Experiment, mistakes: tuple[int, ...] = (), **conditions) -> dict:
        """The answer to one experiment.

        Args:
            mistakes: positions in the chapter's misconceptions, all made at once.
            conditions: fill ("names"), double, shift_t, train; see `checks.lab.Conditions`.
        """
        conditions = {"fill": "names", **conditions}
        key = (experiment.name, tuple(sorted(mistakes)), *sorted(conditions.items()))
        if mistakes and key not in self._answers:
            for k in mistakes:
                others = tuple(m for m in mistakes if m != k)
                if not self.places[k].may_matter(self._reached(experiment, others, conditions)):
                    return self.observe(experiment, others, **conditions)
        with self._lock:
            if key not in self._answers:
                start = time.monotonic()
                self._answers[key] = self._recall(self._request(experiment, mistakes, conditions))
                self._seconds.setdefault(experiment.name, time.monotonic() - start)
            return self._answers[key]

    def touched(self, experiment: Experiment, mistakes: tuple[int, ...], fill: str) -> bool:
        """Whether these mistakes change anything in an experiment."""
        key = (experiment.name, mistakes, fill)
        if key not in self._touched:
            answer = self.observe(experiment, mistakes, fill=fill)
            right = self.observe(experiment, fill=fill)
            self._touched[key] = answer is not right and (
                bool(answer.get("other_names")) or bool(differences(right, answer))
            )
        return self._touched[key]

    def recognise(self, experiment: Experiment, ask) -> tuple[dict, str]:
        """Observe code whose parameters may have any names.

        By name where the names are the reference's. Otherwise by what each parameter does: as they
        are when there are as many of each shape as in the reference, else split where layers may be
        fused.

        Args:
            ask: fill → answer of the code in question.

        Returns:
            The answer, and the fill with which the reference has to be observed.
        """
        answer = ask("names")
        if not answer.get("other_names"):
            return answer, "names"
        whole, right = ask("shapes"), self.observe(experiment, fill="shapes")
        if whole.get("signature") == right.get("signature"):
            return whole, "shapes"
        return ask("blocks"), "blocks"

    def _reached(self, experiment: Experiment, mistakes: tuple[int, ...], conditions: dict) -> list:
        """The functions of the reference's module that run in an experiment, with these mistakes."""
        key = (experiment.name, mistakes, *sorted(conditions.items()))
        with self._lock:
            if key not in self._run:
                request = self._request(experiment, mistakes, conditions)
                self._run[key] = self._ask({**request, "note_reached": True})["reached"]
            return self._run[key]

    def _request(self, experiment: Experiment, mistakes: tuple[int, ...], conditions: dict) -> dict:
        made = [self.chapter.misconceptions[k] for k in sorted(mistakes)]
        edits = [edit for mistake in made for edit in mistake.edits]
        return {
            "function": experiment.function,
            "name": experiment.name,
            "edits": edits,
            **conditions,
        }

    @cached_property
    def places(self) -> list[Place]:
        """Where each of the chapter's misconceptions is made."""
        return places(self.chapter)

    def seconds(self, experiment: Experiment) -> float | None:
        """How long the reference took; None while it has not answered."""
        return self._seconds.get(experiment.name)

    def _recall(self, request: dict) -> dict:
        """From disk, where it is kept there; otherwise from the child."""
        if self._disk is None or request["edits"]:
            return self._ask(request)
        answer = self._disk.read(request)
        if answer is None:
            answer = self._ask(request)
            self._disk.write(request, self._worker.raw)
        return answer

    def _ask(self, request: dict) -> dict:
        for attempt in range(2):
            if self._worker is None:
                self._worker = self.pool.start(
                    {"role": "reference", "chapter": self.chapter.number, "folders": {}}
                )
            try:
                answer = self._worker.ask(request, lambda: PATIENCE)
                changed = any(request.get(c) for c in ("edits", "double", "shift_t", "train"))
                if "error" in answer and not changed:
                    raise Problem(_broken(answer["error"], request["name"]))
                return answer
            except (TimedOut, channel.Ended, channel.Garbled):
                worker = self._worker
                self.close()
                printed = (self.pool.why_not_ready() or worker.printed()).strip()
                if attempt:
                    raise cannot_run(printed) from None
        raise AssertionError("unreachable")

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def cannot_run(printed: str) -> Problem:
    """What to tell when our own processes do not start."""
    lines = printed.strip().splitlines()
    reason = lines[-1] if lines else "no reason given"
    return Problem(f"The grader cannot run ({reason}): is everything installed? Run: make setup")


def _broken(error: dict, name: str) -> str:
    says = f"{error.get('type', error['kind'])}: {error.get('message', error.get('name'))}"
    return f"The reference itself fails in {name} ({says}): has ddpm_ref been changed?"


class _Disk:
    """Answers in the user's cache folder, under a hash of everything that they depend on."""

    def __init__(self, chapter: Chapter):
        sources = [
            *(ROOT / "ddpm_ref").rglob("*.py"),
            *(ROOT / "checks").glob("*.py"),
            chapter.file,
        ]
        digest = hashlib.sha256(f"{version('torch')} {platform.machine()}".encode())
        for source in sorted(sources):
            digest.update(source.read_bytes())
        self.folder = (
            _cache_folder() / "ddpm-course" / f"{chapter.folder}-{digest.hexdigest()[:16]}"
        )

    def read(self, request: dict) -> dict | None:
        """None when it is not there, or not readable."""
        try:
            with open(self._file(request), "rb") as file:
                return channel.read_frame(file)
        except (OSError, channel.Ended, channel.Garbled):
            return None

    def write(self, request: dict, raw: tuple[bytes, bytes]) -> None:
        """Does nothing where nothing can be written."""
        file = self._file(request)
        beside = file.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(beside, "wb") as stream:
                channel.write_raw(stream, *raw)
            os.replace(beside, file)

    def _file(self, request: dict) -> Path:
        name = hashlib.sha256(repr(sorted(request.items())).encode()).hexdigest()[:24]
        return self.folder / f"{name}.frame"


def _cache_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home()))
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
