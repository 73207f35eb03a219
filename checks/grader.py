"""From a folder of somebody's code to verdicts and points."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from checks import catalogue, channel, diagnose
from checks.catalogue import ROOT, Chapter, Experiment
from checks.compare import Difference, differences, first_place, is_array, rounding
from checks.files import Problem
from checks.orders import swapped
from checks.reference import Reference, cannot_run
from checks.stubs import TODO
from checks.workers import Pool, TimedOut, Worker

NOT_STARTED, PASSED, FAILED = "not started", "passed", "failed"
CRASHED, TIMED_OUT = "crashed", "timed out"
NO_FILE = "there is no file"
NO_IMPORT = "it cannot be imported"
GARBLED = "something else than the grader wrote to the grader's channel"


@dataclass(frozen=True)
class Limits:
    """Seconds. An experiment may take longer than its limit when the reference is slow here too."""

    experiment: float = 10.0
    importing: float = 30.0
    chapter: float = 90.0


@dataclass(frozen=True)
class Result:
    """What came of one experiment.

    Attributes:
        experiment: which.
        verdict: PASSED, FAILED, CRASHED, TIMED_OUT or NOT_STARTED.
        symptom: what was expected and what was seen, in sentences.
        call: the call that was made, to be pasted into Python.
        frames: of a crash, the lines in the learner's files.
        mistakes: what it looks like: known mistakes, or the general relation; () when unknown.
        note: about the other chapters.
        blamed: number of the other chapter that breaks it; None where it is not known, or this one does.
        importing: whether it is not about the experiment: the file cannot be imported.
        needs: of what is written, but stops at another exercise that is not: the number of that one.
    """

    experiment: Experiment | None
    verdict: str
    symptom: str = ""
    call: str = ""
    frames: tuple[str, ...] = ()
    mistakes: tuple[str, ...] = ()
    note: str = ""
    blamed: int | None = None
    importing: bool = False
    needs: str = ""

    @property
    def points(self) -> int:
        return self.experiment.points if self.verdict == PASSED else 0


@dataclass(frozen=True)
class ChapterResult:
    """The results of a chapter, in the order of its experiments.

    Attributes:
        file: that was graded.
        own: whether the other chapters were the learner's too.
        printed: what the learner's code printed.
        layers: of the sandbox that held.
    """

    chapter: Chapter
    file: Path
    results: tuple[Result, ...]
    own: bool
    printed: str
    layers: tuple[str, ...]
    seconds: float

    @property
    def points(self) -> int:
        return sum(r.points for r in self.results if not r.experiment.star)

    @property
    def max_points(self) -> int:
        return sum(r.experiment.points for r in self.results if not r.experiment.star)

    @property
    def passed(self) -> bool:
        return all(r.verdict == PASSED for r in self.results if not r.experiment.star)


def submission_folder(folder: Path, chapter: Chapter) -> Path:
    """Where in a submission a chapter is: below chapters/, beside its root, or the root itself.

    What lies elsewhere, by way of a link, is not part of the submission.
    """
    places = [folder / "chapters" / chapter.folder, folder / chapter.folder]
    file = f"{chapter.module}.py"
    if not any(place.is_dir() for place in places) and _lies_in(folder, folder / file):
        return folder
    return next((place for place in places if _lies_in(folder, place / file)), places[1])


def _lies_in(folder: Path, file: Path) -> bool:
    return _is_below(folder, file) and file.is_file()


def _is_below(folder: Path, inside: Path) -> bool:
    """Whether it is there, and not by way of a link that leads out."""
    try:
        return inside.exists() and inside.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        return False


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _programs(submission: Path, folder: Path) -> list[str]:
    """Some programs that lie where another is asked for: diffusion (1).py, diffusion.ipynb."""
    inside = sorted(folder.iterdir()) if folder.is_dir() and _is_below(submission, folder) else []
    programs = [
        p for p in inside if p.suffix.lower() in (".py", ".ipynb") and p.name[0] not in "._"
    ]
    return [p.name for p in programs if _lies_in(submission, p)][:3]


def chapter_folders(submission: Path, graded: Chapter, own: bool) -> dict[str, Path]:
    """Which folder each chapter's code comes from: the graded one (own: each one there) is theirs."""
    folders = {}
    for chapter in catalogue.ALL:  # also one that is lent, but not graded yet
        theirs = submission_folder(submission, chapter)
        is_theirs = chapter == graded or (own and theirs.is_dir())
        folders[chapter.folder] = theirs if is_theirs else ROOT / "solutions" / chapter.folder
    return folders


def holds_chapters(folder: Path) -> bool:
    """Whether any chapter lies in it, where `submission_folder` looks."""
    return any(submission_folder(folder, c).is_dir() for c in catalogue.chapters().values())


def check_submission(folder: Path) -> None:
    """Is there something to grade?

    Raises:
        Problem: when there is not.
    """
    try:
        there, begun = folder.is_dir(), holds_chapters(folder)
    except OSError as error:  # such as a folder that only its owner may read
        raise Problem(
            f"Cannot use {folder} ({error.strerror}): give --submission a folder with chapters."
        ) from error
    if not there:
        raise Problem(f"There is no folder {folder}: give --submission a folder with chapters.")
    if not begun:
        names = ", ".join(c.folder for c in catalogue.chapters().values())
        raise Problem(f"{folder} holds none of the chapters ({names}).")


class Grader:
    """Grades submissions. Keep one for many: what it has imported and observed stays warm.

    Args:
        pool: of processes; closed with the grader.
        limits: of time.

    Attributes:
        outdated: may be set to a function that says when nobody wants the result any more. Grading
            then ends soon, and what it returns is worth nothing.
    """

    def __init__(self, pool: Pool | None = None, limits: Limits | None = None):
        self.pool = pool or Pool()
        self.limits = limits or Limits()
        self.outdated = lambda: False
        self._references: dict[int, Reference] = {}
        self._ahead = ThreadPoolExecutor(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        self._ahead.shutdown(cancel_futures=True)
        for reference in self._references.values():
            reference.close()
        self.pool.close()

    def grade(
        self,
        number: int,
        submission: Path = ROOT / "chapters",
        own: bool = False,
        only: str | None = None,
        naming=lambda experiment: True,
    ) -> ChapterResult:
        """Grade one chapter.

        Args:
            number: of the chapter.
            submission: folder with the learner's chapters (see `submission_folder`).
            own: run on the learner's other chapters, not on the solutions'.
            only: an exercise ("4.2") or one experiment ("4.2-skip-order").
            naming: for which failed experiments to look for the mistake (it takes a second or two).
        """
        start = time.monotonic()
        submission = submission.resolve()
        chapter = catalogue.chapters()[number]
        experiments = chapter.chosen(only)
        reference = self.reference(chapter)
        attempt = _Attempt(self, chapter, submission, own).run(experiments)
        results = attempt.results
        failed = [r.experiment for r in results.values() if r.verdict in (FAILED, CRASHED)]
        if failed and attempt.imports:
            self._try_the_other_stack(attempt, failed)
        asked = {e.name for e in experiments}
        if any(naming(e) for e in failed) and len(experiments) < len(chapter.experiments):
            # One experiment alone may look like a mistake that the others speak against.
            attempt.run([e for e in chapter.experiments if e.name not in asked])
        self._name(reference, attempt, results, lambda e: e.name in asked and naming(e))
        return ChapterResult(
            chapter,
            submission_folder(submission, chapter) / f"{chapter.module}.py",
            tuple(results[e.name] for e in experiments),
            own,
            attempt.printed,
            tuple(attempt.layers),
            time.monotonic() - start,
        )

    def reference(self, chapter: Chapter) -> Reference:
        """What is right, for this chapter."""
        if chapter.number not in self._references:
            self._references[chapter.number] = Reference(self.pool, chapter)
        return self._references[chapter.number]

    def _try_the_other_stack(self, attempt: "_Attempt", failed: list[Experiment]) -> None:
        """Isolation and the learner's own stack disagree: points with a note, or the right blame."""
        own, results = attempt.own, attempt.results
        other = _Attempt(self, attempt.chapter, attempt.submission, not own).run(failed).results
        repaired = [e.name for e in failed if other[e.name].verdict == PASSED]
        if not repaired:
            return
        blamed = None
        if own:
            note = "passes on the solutions of the other chapters"
            if blamed := self._earliest_failing(attempt):
                note += (
                    f": what breaks it is in chapter {blamed} (python -m checks chapter {blamed})"
                )
        else:
            note = "passes on your own other chapters, not on the solutions' (it has the points)"
        for name in repaired:
            result = results[name] if own else other[name]
            results[name] = replace(result, note=note, blamed=blamed)

    def _earliest_failing(self, attempt: "_Attempt") -> int | None:
        """Of the chapters that this one imports, the first that fails by itself."""
        for number, chapter in sorted(catalogue.chapters().items()):
            if chapter.folder in attempt.imports:
                alone = _Attempt(self, chapter, attempt.submission, own=False)
                results = alone.run(chapter.experiments).results.values()
                if any(r.verdict != PASSED for r in results):
                    return number
        return None

    def _name(self, reference, attempt, results: dict, naming) -> None:
        wanted = [
            s
            for s in attempt.seen
            if results[s.experiment.name].verdict in (FAILED, CRASHED) and naming(s.experiment)
        ]
        if not wanted:
            return
        # With the parameters in another order, all else that is seen says nothing.
        order = swapped(attempt.parameters, attempt.chapter)
        named = {} if order else diagnose.explain(reference, attempt.seen)
        for s in wanted:
            mistakes = (order,) if order else named[s.experiment.name]
            difference = attempt.found[s.experiment.name]
            if not mistakes:
                general = diagnose.in_general(reference, s, difference)
                mistakes = (general,) if general else ()
            name = s.experiment.name
            results[name] = replace(results[name], mistakes=mistakes)


@dataclass
class _Attempt:
    """One chapter of one submission, with one choice of other chapters."""

    grader: Grader
    chapter: Chapter
    submission: Path
    own: bool
    results: dict[str, Result] = field(default_factory=dict)
    seen: list[diagnose.Seen] = field(default_factory=list)
    found: dict[str, Difference] = field(default_factory=dict)
    printed: str = ""
    layers: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)  # folders of other chapters
    parameters: list[list[str]] = field(default_factory=list)  # see `checks.orders`
    unwritten: set[str] = field(default_factory=set)  # exercises whose stub stands in the file
    _worker: Worker | None = None
    _import_failure: Result | None = None  # the same for all experiments

    def run(self, experiments) -> "_Attempt":
        """Run the experiments; an experiment that ends its process costs the others nothing."""
        folder = submission_folder(self.submission, self.chapter)
        file = folder / f"{self.chapter.module}.py"
        if not _lies_in(self.submission, file):
            symptom = f"{NO_FILE} {self.chapter.folder}/{self.chapter.module}.py"
            try:
                if file.is_file():
                    symptom += " (a link leads out of the submission)"
                elif others := _programs(self.submission, folder):
                    symptom += f", but {', '.join(others)}: the code belongs in a file of that name"
            except OSError as error:
                symptom += f" that may be read ({error.strerror})"
            self.results = {e.name: Result(e, NOT_STARTED, symptom) for e in experiments}
            return self
        left = re.findall(r"raise NotImplementedError.*", _text(file))
        self.unwritten = {todo for line in left for todo in TODO.findall(line)}
        self.reference = self.grader.reference(self.chapter)
        for e in experiments:
            self.grader._ahead.submit(self.reference.observe, e)
        deadline = time.monotonic() + self.grader.limits.chapter
        try:
            for e in experiments:
                self.results[e.name] = self._experiment(e, deadline)
        finally:
            self._end()
        return self

    def _experiment(self, e: Experiment, deadline: float) -> Result:
        late = time.monotonic() > deadline or self.grader.outdated()
        if self._import_failure is None and late:
            return Result(e, TIMED_OUT, "not run: the time for this chapter was used up before")
        request = {"function": e.function, "name": e.name}
        try:
            if self._worker is None and self._import_failure is None:
                self._begin()
            if self._import_failure is not None:
                return replace(self._import_failure, experiment=e)
            answer, fill = self.reference.recognise(
                e,
                lambda fill: self._worker.ask({**request, "fill": fill}, lambda: self._patience(e)),
            )
        except TimedOut:
            self._end()
            symptom = f"no answer after {self._patience(e):.0f} seconds: does a loop never end?"
            return Result(e, TIMED_OUT, symptom, self._call(e))
        except channel.Garbled:
            self._end()
            return Result(e, CRASHED, GARBLED)
        except channel.Ended:
            return Result(e, CRASHED, how_it_ended(self._end(has_ended=True)))
        if not answer.keys() & {"observed", "error"}:  # its parameters have no names in any way
            self._end()
            return Result(e, CRASHED, GARBLED)
        return self._judge(e, answer, fill)

    def _begin(self) -> None:
        """Start the child and import the learner's module."""
        beside = self.submission / "chapters"  # where helpers may lie
        folders = {"": beside if beside.is_dir() else self.submission}
        folders |= chapter_folders(self.submission, self.chapter, self.own)
        # The solutions that are not lent, and whoever else's work lies beside this one.
        hidden = [str(ROOT / "solutions" / c.folder) for c in catalogue.ALL]
        self._worker = self.grader.pool.start(
            {
                "role": "learner",
                "chapter": self.chapter.number,
                "folders": {key: str(path) for key, path in folders.items()},
                "hidden": [path for path in hidden if Path(path) not in folders.values()],
            }
        )
        request = {"function": None, "name": "import", "fill": "names"}
        seconds = self.grader.limits.importing
        try:
            answer = self._worker.ask(request, lambda: 0 if self.grader.outdated() else seconds)
            self.imports = answer.get("imports", [])
            self.parameters = answer.get("parameters", [])
            if "error" in answer:
                self._import_failure = self._failed_import(answer["error"])
        except TimedOut:
            symptom = f"importing it was not done after {seconds:.0f} seconds"
            self._import_failure = self._not_imported(TIMED_OUT, symptom)
        except channel.Garbled:
            self._import_failure = self._not_imported(CRASHED, GARBLED)
        except channel.Ended:
            if self._worker.layers is None:  # not even our own code has run
                raise cannot_run(self.grader.pool.why_not_ready()) from None
            how = how_it_ended(self._end(has_ended=True))
            self._import_failure = self._not_imported(CRASHED, f"{how} (while it was imported)")
        finally:
            if self._worker is not None:
                self.layers = self._worker.layers or []

    def _failed_import(self, error: dict) -> Result:
        symptom = f"{NO_IMPORT}: {error_text(error)}"
        if error["kind"] == "not started":
            symptom += '. What tries your code out belongs below `if __name__ == "__main__":`'
        if re.search("SyntaxError.*(null bytes|codec can't decode)", symptom):
            symptom += " (save the file as UTF-8)"
        return self._not_imported(CRASHED, symptom, frames(error))

    def _not_imported(self, verdict: str, symptom: str, frames: tuple[str, ...] = ()) -> Result:
        return Result(None, verdict, symptom, self._prelude(), frames, importing=True)

    def _patience(self, e: Experiment) -> float:
        """The limit, or longer where the reference too is slow (or not yet done) on this machine."""
        if self.grader.outdated():
            return 0
        seconds = self.reference.seconds(e)
        if seconds is None:
            return float("inf")
        return max(self.grader.limits.experiment, 30 * seconds)

    def _judge(self, e: Experiment, answer: dict, fill: str) -> Result:
        expected = self.reference.observe(e, fill=fill)
        error = answer.get("error") or {}
        call = self._call(e, answer)
        if error.get("kind") == "not started":
            return self._not_started(e, error.get("message") or "")
        if error.get("kind") == "missing":
            symptom = f"{self.chapter.module}.py has no {error.get('name')}"
            return Result(e, FAILED, symptom, self._prelude())
        found = differences(expected, answer)
        if found and all(d.kind == "value" for d in found):
            # Is the reference itself rounded as much here?
            double = self.reference.observe(e, fill=fill, double=True)
            found = differences(expected, answer, rounding(expected, double))
        self.seen.append(diagnose.Seen(e, answer, fill, passed=not found))
        if not found:
            note = why_not_run(expected)
            if note and e.id in self.unwritten:  # nothing was called that could have said so
                return self._not_started(e, f"TODO({e.id})")
            return Result(e, PASSED, note=note)
        self.found[e.name] = found[0]
        if error:
            symptom = _symptom(found[0]) if found[0].kind == "nothing" else error_text(error)
            return Result(e, CRASHED, symptom, call, frames(error))
        about = found[0].call or _said(answer, found[0].where)
        call = self._paste(about) if about else call
        return Result(e, FAILED, _symptom(found[0]), call)

    def _not_started(self, e: Experiment, message: str) -> Result:
        """By the message of the stub that was called, and by which stubs are left in the file."""
        called = TODO.search(message)
        known = called and any(
            chapter.chosen(called[1]) for chapter in catalogue.chapters().values()
        )
        if known and called[1] != e.id and e.id not in self.unwritten:
            symptom = f"it needs TODO({called[1]}), which is still to be written"
            return Result(e, NOT_STARTED, symptom, needs=called[1])
        return Result(e, NOT_STARTED, f"still to be written: {message}".rstrip(": "))

    def _prelude(self) -> str:
        return f"from chapters.{self.chapter.folder}.{self.chapter.module} import *"

    def _paste(self, call: str) -> str:
        """To be pasted into Python as it is; not if something in it has no words, but stands as "…"."""
        return call if "…" in call else f"from checks.lab import *; {self._prelude()}; {call}"

    def _call(self, e: Experiment, answer: dict | None = None) -> str:
        calls = (answer or self.reference.observe(e)).get("calls") or []
        return self._paste(calls[-1]) if calls else self._prelude()

    def _end(self, has_ended: bool = False) -> str:
        if self._worker is None:
            return ""
        how = self._worker.close(has_ended)
        self.printed += self._worker.printed()
        self._worker = None
        return how


def _said(answer: dict, where: str) -> str | None:
    """The call that this part of an observation is about, or else the whole that it is a part of."""
    about = [
        (len(place), call)
        for place, call in answer.get("said", [])
        if where == place or where.startswith((f"{place}.", f"{place}["))
    ]
    return max(about)[1] if about else None


def why_not_run(expected: dict) -> str:
    """Why an experiment was not run on this machine, "" when it was; see `checks.lab.not_run`."""
    children = expected.get("observed", {})
    children = dict(children.get("dict", [])) if isinstance(children, dict) else {}
    return f"not run: {children['not run']}" if "not run" in children else ""


def _symptom(difference: Difference) -> str:
    where = f"{difference.where}: " if difference.where else ""
    text = where + difference.says
    if difference.kind == "value" and is_array(difference.expected) and is_array(difference.got):
        place = first_place(difference.expected, difference.got)
        text += f"; {place}" if place else ""
    return text


def error_text(error: dict) -> str:
    message = error.get("message") or ""
    return f"{error.get('type', 'an error')}: {message}" if message else str(error.get("type"))


def frames(error: dict) -> tuple[str, ...]:
    lines = []
    for frame in error.get("frames", []):
        inside = f", in {frame['function']}" if frame.get("function") else ""
        lines.append(f"{frame['file']}, line {frame['line']}{inside}: {frame['text']}")
    return tuple(lines)


def how_it_ended(how: str) -> str:
    if how == "memory":
        return "it used more memory than it may"
    if how == "files":
        return "it wrote more files than it may"
    if how.startswith("exit"):
        return f"the program ended in the middle of the experiment ({how})"
    if how.startswith("signal"):
        return f"the program was ended by {how}"
    return "the program ended in the middle of the experiment"
