"""A class: many submissions, graded side by side into one folder.

    grades/grades.csv    a line a submission: its points
    grades/NAME.json     all that came of it
    grades/NAME.txt      what its author may read

Each is written as soon as it is known. Grading again does what is new or was changed, and the rest stays.
"""

import hashlib
import os
import re
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from queue import SimpleQueue

from checks import catalogue, exports, report
from checks.catalogue import ROOT, find
from checks.files import Problem, read_json, write_json, write_text
from checks.grader import Grader, holds_chapters
from checks.workers import Pool

LIMIT = 50 << 20  # bytes that a zip file may unpack to
COUNT = 5000  # files in it


@dataclass(frozen=True)
class Submission:
    """What somebody handed in: a folder with chapters, or the trouble with it."""

    name: str
    folder: Path
    trouble: str = ""


@dataclass(frozen=True)
class Plan:
    """How a class is graded.

    Attributes:
        numbers: of the chapters.
        own: each on its author's other chapters.
        feedback: what NAME.txt tells: "pass", "symptom" or "named".
        format: of a further file for each: one of `exports.FORMATS`, or None.
    """

    numbers: tuple[int, ...]
    own: bool = False
    feedback: str = "named"
    format: str | None = None


@contextmanager
def handed_in(places: list[Path], out: Path) -> Iterator[tuple[list[Submission], list[str]]]:
    """The submissions in these places, and the names of what is none (see `submissions`).

    What was unpacked is removed in the end.
    """
    with tempfile.TemporaryDirectory(prefix="checks-class-") as scratch:
        if getattr(os, "geteuid", lambda: 1)() == 0:
            os.chmod(scratch, 0o711)  # the sandbox of root reads as another user
        yield submissions(places, Path(scratch), out)


def submissions(places: list[Path], scratch: Path, out: Path) -> tuple[list[Submission], list[str]]:
    """What is handed in, by name, and which files are no submissions.

    Args:
        places: submissions (folders or zip files), or folders of them.
        scratch: an empty folder for what is unpacked.
        out: of the grades, which is no submission wherever it lies.

    Raises:
        Problem: when a place holds nothing that could be one.
    """
    entries, others = [], []
    for k, place in enumerate(places):
        inside = [entry for entry in _inside(place) if not _is_around(entry, out)]
        ours = [entry for entry in inside if os.path.isdir(entry) or _is_zip(entry)]
        gathered, left = _gathered([e for e in inside if e not in ours], scratch / f"place-{k}")
        if not ours and not gathered:
            raise Problem(f"{place} holds neither chapters nor submissions (folders or zip files).")
        entries += ours + gathered
        others += left
    by_name = _names(entries)
    found = [
        _submission(name, entry, scratch)
        for name, entry in sorted(by_name.items(), key=lambda each: each[0].casefold())
    ]
    real = [entry.resolve() for entry in entries if not entry.is_symlink()]
    for k, s in enumerate(found):  # somebody may hand in a link to somebody else's work
        leads_to = {by_name[s.name].resolve(), s.folder.resolve()}
        if by_name[s.name].is_symlink() and any(
            place.is_relative_to(other) for place in leads_to for other in real
        ):
            found[k] = replace(s, trouble="a link to another submission")
    return found, sorted(others)


def _inside(place: Path) -> list[Path]:
    """What may be submissions: the place itself, or what lies in it."""
    place = Path(os.path.abspath(place))
    try:
        if _is_zip(place):
            return [place]
        inside = [entry for entry in place.iterdir() if not entry.name.startswith((".", "__"))]
        if not holds_chapters(place):
            return inside
        own = {"chapters", "solutions", *(chapter.folder for chapter in catalogue.ALL)}
        others = [entry for entry in inside if entry.name not in own and entry.is_dir()]
        if len([entry for entry in others if holds_chapters(entry)]) > 1:
            raise Problem(
                f"{place} holds chapters itself, and several submissions: move either elsewhere."
            )
        return [place]
    except OSError as error:
        raise Problem(
            f"Cannot use {place} ({error.strerror}): give a submission, or a folder of submissions."
        ) from error


def _is_around(entry: Path, out: Path) -> bool:
    """Whether it is the folder of the grades, or one that was made to hold it."""
    path = Path(os.path.realpath(out))
    return path.is_relative_to(os.path.realpath(entry)) and not holds_chapters(entry)


def _gathered(files: list[Path], scratch: Path) -> tuple[list[Path], list[str]]:
    """Folders for single files with their author in the name, and the names of files that are none.

    As Canvas packs them: muster_1234_5678_blocks.py, where 1234 is the author and 5678 the file, and
    blocks-1.py is newer than blocks.py. A number alone is the author's.
    """
    modules = {chapter.module: chapter.folder for chapter in catalogue.chapters().values()}
    pattern = re.compile(rf"(?:(.+?_\d+)_(\d+)|(.+))_({'|'.join(modules)})(?:-(\d+))?\.py")
    found = [(file, pattern.fullmatch(file.name)) for file in files if os.path.isfile(file)]
    ours = [(file, match) for file, match in found if match and not file.is_symlink()]
    folders = {}
    for file, match in sorted(ours, key=lambda each: (int(each[1][5] or 0), int(each[1][2] or 0))):
        author, module = match[1] or match[3], match[4]
        folders[author] = scratch / author
        (folders[author] / modules[module]).mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy(file, folders[author] / modules[module] / f"{module}.py")
        except OSError as error:
            raise Problem(f"Cannot copy {file} ({error.strerror}).") from error
    names = {file.name for file, _ in ours}
    return list(folders.values()), [file.name for file in files if file.name not in names]


def _names(entries: list[Path]) -> dict[str, Path]:
    """Names that differ: of the file; where that is not enough with .zip, and with the folder above."""
    entries = list(dict.fromkeys(entries))
    ways = (
        lambda p: p.stem if _is_zip(p) else p.name,
        lambda p: p.name,
        lambda p: f"{p.parent.name}-{p.name}",
    )
    left, named = entries, {}
    for way in ways:
        called = {p: _cut(way(p)) for p in left}
        counts = Counter([*called.values(), *named])
        named |= {name: p for p, name in called.items() if counts[name] == 1}
        left = [p for p in left if counts[called[p]] > 1]
    if left:
        raise Problem(f"Two submissions are called {ways[0](left[0])}: give them different names.")
    return named


def _cut(name: str) -> str:
    """So that there is room for our endings in the 255 bytes that the name of a file may have."""
    while len(os.fsencode(name)) > 200:
        name = name[:-1]
    return name


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip" and os.path.isfile(path)


def _submission(name: str, entry: Path, scratch: Path) -> Submission:
    try:
        return Submission(name, _with_chapters(entry, scratch / name))
    except Problem as problem:
        return Submission(name, entry, report.clean(str(problem)))
    except OSError as error:
        return Submission(name, entry, f"cannot be read ({error.strerror or error})")
    except Exception as error:  # zipfile lets through what each method of packing may raise
        return Submission(name, entry, f"cannot be unpacked ({error})")


def _with_chapters(folder: Path, scratch: Path) -> Path:
    """The folder with the chapters, where other folders or zip files are wrapped around it.

    Raises:
        Problem: when there is none.
    """
    seen = None
    for depth in range(5):
        if _is_zip(folder):
            folder = _unpacked(folder, scratch / str(depth))
        if holds_chapters(folder):
            return folder
        inside = [p for p in folder.iterdir() if p.name[0] not in "._"]
        seen = seen or sorted(p.name for p in inside)
        inside = [p for p in inside if (p.is_dir() or _is_zip(p)) and not p.is_symlink()]
        inside = [p for p in inside if holds_chapters(p)] or inside
        if len(inside) != 1:
            break
        folder = inside[0]
    what = f"only {', '.join(seen[:3])}{', …' * (len(seen) > 3)}" if seen else "nothing at all"
    raise Problem(f"no chapter in it, such as {catalogue.ALL[0].folder}: {what}")


def _unpacked(archive: Path, folder: Path) -> Path:
    """The files of a zip file. None can land outside of the folder, and none be more than it says.

    Hidden ones are left out: of a whole copy of the course most is .git and .venv.
    """
    with zipfile.ZipFile(archive) as content:
        files = []
        for info in content.infolist():
            info.filename = info.filename.replace("\\", "/")  # as some programs on Windows pack
            hidden = any(part.startswith(".") for part in PurePosixPath(info.filename).parts)
            if not info.is_dir() and not hidden:
                files.append(info)
        if len(files) > COUNT or sum(info.file_size for info in files) > LIMIT:
            raise Problem(f"{archive.name} unpacks to more than {LIMIT >> 20} MB or {COUNT} files.")
        folder.mkdir(parents=True)
        for info in files:
            content.extract(info, folder)
    return folder


def grade(found: list[Submission], plan: Plan, out: Path, jobs: int, pool: Pool) -> Iterator[dict]:
    """Grade them, and give what NAME.json holds for each, in their order, as it is known.

    Args:
        out: the folder of the grades; what it has from before, of the same submission, is taken over.
        jobs: how many at a time.
        pool: the processes of the first grader; closed in the end.
    """
    course = _digest(sorted(p for room in ("checks", "ddpm_ref", "solutions") for p in _code(room)))
    graders = [Grader(pool), *(Grader() for _ in range(jobs - 1))]
    free: SimpleQueue[Grader] = SimpleQueue()
    for grader in graders:
        free.put(grader)

    def one(s: Submission) -> tuple[dict, list | None]:
        files = [] if s.trouble else _files(s.folder)
        graded_from = f"{course} {plan} {s.trouble} {_digest(files, s.folder)}"
        stamp = hashlib.sha256(graded_from.encode(errors="replace")).hexdigest()
        before = read_json(out / f"{s.name}.json")
        known = before.get("stamp") == stamp and len(files) <= COUNT  # all of them were looked at
        if known and (out / f"{s.name}.txt").is_file():
            return before, None
        grader = free.get()
        try:
            trouble, results = _graded(grader, s, plan)
        finally:
            free.put(grader)
        if trouble != s.trouble:
            stamp = ""  # to be tried again
        about = {"submission": report.clean(s.name), "stamp": stamp, "trouble": trouble}
        return about | report.as_json(results), results

    workers = ThreadPoolExecutor(jobs)
    try:
        for s, future in [(s, workers.submit(one, s)) for s in found]:
            while not future.done():  # a Ctrl-C just before a wait without end would not be heard
                wait([future], timeout=1)
            content, results = future.result()
            if results is not None:
                text = content["trouble"] or report.as_text(results, plan.feedback)
                write_text(out / f"{s.name}.txt", text.strip() + "\n")
                if plan.format:
                    ending, text = exports.written_as(plan.format, content, plan.feedback)
                    write_text(out / f"{s.name}{ending}", text)
                write_json(out / f"{s.name}.json", content)  # the last: it says that all is there
            yield content
    finally:
        for grader in graders:
            grader.outdated = lambda: True
        workers.shutdown(cancel_futures=True)
        for grader in graders:
            grader.close()


def _graded(grader: Grader, s: Submission, plan: Plan) -> tuple[str, list]:
    """The trouble with it, if there is any, and what came of each chapter."""
    trouble = s.trouble
    if not trouble:
        naming = plan.feedback == "named"
        try:
            return "", [
                grader.grade(number, s.folder, plan.own, naming=lambda experiment: naming)
                for number in plan.numbers
            ]
        except Problem:  # with this machine, not with the submission
            raise
        except Exception as error:  # a bug of ours, that the others are not to suffer from
            trouble = f"the grader failed on it, which is worth a report to us: {error!r}"
    return trouble, [find(number) for number in plan.numbers]


def _code(room: str) -> list[Path]:
    return list((ROOT / room).rglob("*.py"))


def _files(folder: Path) -> list[Path]:
    """The files of a submission that are not hidden, in a fixed order; of too many the first.

    Links are not followed.
    """
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        found += [Path(place, name) for name in sorted(names)]
        if len(found) > COUNT:
            break
    return found


def _digest(files: list[Path], folder: Path = ROOT) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(file.relative_to(folder)) + b"\0")
        try:
            about = file.stat()
            if file.is_file() and about.st_size < 1 << 20:
                digest.update(file.read_bytes())
            else:  # weights and the like: not what is graded
                digest.update(f"{about.st_size} {about.st_mtime_ns}".encode())
        except OSError as error:  # such as a link to nowhere
            digest.update(str(error.errno).encode())
    return digest.hexdigest()
