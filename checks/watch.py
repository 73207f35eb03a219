"""`python -m checks watch`: a chapter graded at each save, by a grader that stays warm."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from checks import report, stubs
from checks.catalogue import ALL, Chapter, chapters, find
from checks.grader import PASSED, ChapterResult, Grader, submission_folder
from checks.history import History

LOOK = 0.25  # seconds between two looks at the files
SETTLED = 0.1  # seconds without a change, after which a save is over
DEPTH = 2  # folders of helpers inside one another
LARGEST = 1 << 20  # bytes of a file that are looked at

Files = dict[Path, bytes]


@dataclass(frozen=True)
class Watched:
    """The files that are looked at. Their contents count, not their times: those may be coarse or wrong.

    Attributes:
        submission: folder with the chapters.
        number: of the chapter; None for all of them.
        own: whether the other chapters' files count too.
    """

    submission: Path
    number: int | None = None
    own: bool = False

    def look(self) -> Files:
        """Path → contents of the Python files of the chapters, helpers and what lies beside included."""
        every = self.number is None or self.own
        watched = list(ALL) if every else [find(self.number)]
        others = {c.folder for c in ALL} - {c.folder for c in watched}
        places = {self.beside, *(submission_folder(self.submission, c) for c in watched)}
        found = {}
        for path in {p for place in places for p in _python_files(place, others)}:
            try:
                with open(path, "rb") as file:
                    found[path] = file.read(LARGEST)
            except FileNotFoundError:
                continue
            except OSError as error:  # it is there, and the verdict will say that it cannot be read
                found[path] = str(error).encode()
        return found

    def wait(self, before: Files) -> Files:
        """The files, as soon as they differ from `before` and whoever is writing them has finished."""
        last = before
        while (now := self.look()) == before or now != last:
            last = now
            time.sleep(LOOK if now == before else SETTLED)
        return now

    @property
    def beside(self) -> Path:
        """Where helpers may lie that several chapters use."""
        inside = self.submission / "chapters"
        return inside if inside.is_dir() else self.submission

    def file(self, chapter: Chapter) -> Path:
        return submission_folder(self.submission, chapter) / f"{chapter.module}.py"

    def first(self) -> Chapter:
        """The chapter asked for; else the one saved last, of those begun; else the first that is there."""
        if self.number is not None:
            return find(self.number)
        there = [c for c in chapters().values() if self.file(c).is_file()]
        begun = [c for c in there if _is_begun(self.file(c), c)]
        first = next(iter(there or chapters().values()))
        return max(begun, key=lambda c: _saved(self.file(c)), default=first)

    def chapter_of(self, changed: list[Path]) -> Chapter | None:
        """The chapter to be graded after these were saved, the last one last; None for any."""
        if self.number is not None:
            return find(self.number)
        for path in reversed(changed):
            for chapter in chapters().values():
                file = self.file(chapter)
                if path == file or (file.parent != self.beside and file.parent in path.parents):
                    return chapter
        return None

    def says(self, changed: list[Path], now: Files) -> str:
        """What was saved, in words."""
        names = [str(path.relative_to(self.submission)) for path in changed]
        words = [
            name + (" saved" if path in now else " deleted")
            for name, path in zip(names, changed, strict=True)
        ]
        return ", ".join(words[-3:]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")


@dataclass
class Watch:
    """One session. It remembers what held before, and which chapter that was.

    Attributes:
        only: an exercise, or an experiment by name; None for the whole chapter.
        policy: experiment → what to tell about its failure.
    """

    grader: Grader
    watched: Watched
    only: str | None
    policy: Callable
    history: History
    verbose: bool
    theirs: Path | None  # the submission, when it is not the learner's own
    held: frozenset[str] = frozenset()

    def run(self) -> None:
        """Grade now and at each save; ends by KeyboardInterrupt only."""
        files, chapter = self.watched.look(), self.watched.first()
        header = f"watching chapter {chapter.number}"
        if self.watched.number is None:
            header += ", then whichever you save"
        while True:
            self._tell(f"{time.strftime('%H:%M:%S')}  {header}", chapter, files)
            before, files = files, self.watched.wait(files)
            changed = _changed(before, files)
            header = self.watched.says(changed, files)
            chapter = self.watched.chapter_of(changed) or chapter

    def _tell(self, header: str, chapter: Chapter, files: Files) -> None:
        if self.watched.file(chapter) not in files:
            report.say(f"{header}: there is no {self._name(chapter)}. Waiting for it …")
            return
        if report.out.is_terminal:
            report.say(f"{header}: checking …", "dim")
        # A file that changes meanwhile (to end a loop, say) is not waited for.
        self.grader.outdated = lambda: self.watched.look() != files
        result = self.grader.grade(
            chapter.number,
            self.watched.submission,
            self.watched.own,
            self.only,
            naming=lambda e: self.policy(e) == "named",
        )
        if not self.grader.outdated():
            with report.out:  # in one go: nothing flickers
                self._show(header, result)

    def _show(self, header: str, result: ChapterResult) -> None:
        report.out.clear()  # does nothing where the output is no terminal
        report.say(header, "dim")
        report.chapter(result, self.policy, self.verbose, self.theirs)
        self.history.note_results(result.results)
        lost = [r for r in result.results if r.experiment.name in self.held and r.verdict != PASSED]
        self.held = frozenset(r.experiment.name for r in result.results if r.verdict == PASSED)
        report.next_step([result], self.theirs, watched=True)
        if lost:
            ids = ", ".join(dict.fromkeys(r.experiment.id for r in lost))
            plural = "s" * (len(lost) > 1)
            report.say(f"{len(lost)} check{plural} held before this save ({ids}).", "yellow")
        report.say("Waiting for the next save (Ctrl-C ends) …", "dim")

    def _name(self, chapter: Chapter) -> str:
        return str(self.watched.file(chapter).relative_to(self.watched.submission))


def _python_files(folder: Path, others: set[str]):
    """Those in it and a little below; not in the folders of `others`, nor of virtual environments."""
    for place, folders, names in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        folders[:] = [
            name
            for name in folders
            if depth < DEPTH
            and not name.startswith(".")
            and name not in {"__pycache__", *others}
            and not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))
        ]
        for name in names:
            path = Path(place, name)
            if name.endswith(".py") and not name.startswith(".") and path.is_file():
                yield path


def _is_begun(file: Path, chapter: Chapter) -> bool:
    try:
        return file.read_text(encoding="utf-8", errors="replace") != stubs.stub(chapter)
    except OSError:
        return False


def _changed(before: Files, now: Files) -> list[Path]:
    """The paths that differ, the one saved last at the end."""
    paths = before.keys() | now.keys()
    return sorted((p for p in paths if before.get(p) != now.get(p)), key=lambda p: (_saved(p), p))


def _saved(path: Path) -> int:
    """When; 0 for what is no longer there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
