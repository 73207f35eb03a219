"""How results are told: on the screen, and as JSON for machines."""

import os
import re
import shlex
from collections import Counter
from io import StringIO
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from checks.catalogue import ROOT, Chapter, chapters
from checks.gallery import FOLDER, picture_of
from checks.grader import (
    CRASHED,
    FAILED,
    NO_FILE,
    NO_IMPORT,
    NOT_STARTED,
    PASSED,
    TIMED_OUT,
    ChapterResult,
    Result,
)

# Wrapped by the terminal, not by us: a line to be pasted has to stay one line.
out = Console(highlight=False, soft_wrap=True)
_err = Console(highlight=False, soft_wrap=True, stderr=True)

_MARKS = {
    PASSED: ("✔", "green"),
    FAILED: ("✘", "red"),
    CRASHED: ("✘", "red"),
    TIMED_OUT: ("✘", "red"),
    NOT_STARTED: ("·", "dim"),
}


def problem(sentence: str) -> None:
    """Say on standard error what is wrong."""
    _err.print(Text("error: ", "bold red") + Text(clean(sentence)))


def say(text: str, style: str = "") -> None:
    out.print(Text(clean(text), style))


def clean(text: str) -> str:
    """Without control characters: a submission's message must not steer the terminal or turn its text.

    Nor with half characters, of a file whose name is no Unicode: they cannot be printed.
    """
    turns = r"\u202a-\u202e\u2066-\u2069"
    return re.sub(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{turns}\ud800-\udfff]", "�", text)


def one_line(text: str) -> str:
    """`clean`, and without ends of lines, which the name of a file may have."""
    return " ".join(clean(text).split())


def chapter(result: ChapterResult, feedback, verbose: bool, submission: Path | None = None) -> None:
    """One chapter, an experiment a paragraph.

    Args:
        feedback: experiment → "pass", "symptom" or "named".
        verbose: also what the submission printed.
        submission: the folder that was graded; None for the learner's own.
    """
    heading = Text(f"Chapter {result.chapter.number} · {result.chapter.title}", "bold")
    heading.append(f"   {points(result)}", "green" if result.passed else "yellow")
    if result.own:
        heading.append("   on your own other chapters", "dim")
    out.print()
    out.print(heading)
    if result.results and result.results[0].symptom.startswith(NO_FILE):
        _indented(result.results[0].symptom, "yellow")
    same_crash = None
    for each in result.results:
        if each.importing and feedback(each.experiment) != "pass":  # the same for all of them
            _where(each)
            _indented("Before this is mended, none of the checks of this chapter can run.", "bold")
            break
        told = (each.symptom, each.frames)
        brief = each.verdict in (CRASHED, TIMED_OUT) and told == same_crash
        _experiment(each, "pass" if brief else feedback(each.experiment), submission)
        same_crash = told
    if verbose:
        _printed(result)
    elif lines := len(result.printed.strip().splitlines()):
        say(f"    your code printed {lines} line{'s' * (lines > 1)}: --verbose shows them", "dim")


def _experiment(result: Result, feedback: str, submission: Path | None) -> None:
    e = result.experiment
    mark, style = _MARKS[result.verdict]
    line = Text(f"  {mark} {e.id} ", style)
    line.append(f"{'★ ' if e.star else ''}{e.title}", "" if result.verdict == PASSED else "bold")
    line.append(f"  {result.points}/{e.points}", style)
    if result.verdict != PASSED:
        needs = f": it needs TODO({result.needs})" if result.needs else ""
        line.append(f"  {result.verdict if not needs else 'waits'}{needs}", style)
    out.print(line)
    if result.note:
        _indented(f"note: {result.note}", "yellow")
    if result.verdict in (PASSED, NOT_STARTED) or feedback == "pass":
        return
    _where(result)
    if feedback == "named":
        _indented(_named(result), "magenta")
        for mistake in result.mistakes:
            if picture := picture_of(mistake):
                _indented(f"a model trained with this mistake draws this: {_near(picture)}", "dim")
    if result.blamed:  # a hint on this exercise would mend nothing
        return
    asked = f"{e.id}{_of(submission)}"
    if feedback != "named" or not result.mistakes:  # a mistake without a name leaves the hints
        _indented(f"hint:  python -m checks hint {asked}", "dim")
    if feedback != "named":
        _indented(f"name it:  python -m checks why {asked}", "dim")


def _where(result: Result) -> None:
    _indented(result.symptom)
    for frame in result.frames:
        _indented(f"  {frame}", "dim")
    if result.call:
        _indented(_called(result.call), "cyan")


def _called(call: str) -> str:
    """The call with Python's prompt, unless a part of it stands as "…", which Python does not know."""
    return f"call:  {call}" if "…" in call else f">>> {call}"


def _of(submission: Path | None) -> str:
    """The option that names a submission, for a command to be copied."""
    return f" --submission {shlex.quote(str(submission))}" if submission else ""


def _named(result: Result) -> str:
    if not result.mistakes:
        return "it looks like none of the mistakes that are known here"
    together = (
        "it looks like two mistakes at once: " if len(result.mistakes) > 1 else "it looks like: "
    )
    return together + "; and: ".join(result.mistakes)


def _indented(text: str, style: str = "") -> None:
    for line in clean(text).splitlines():
        out.print(Text("      " + line, style))


def _printed(result: ChapterResult) -> None:
    if result.printed.strip():
        say("    what your code printed:", "dim")
        _indented(result.printed, "dim")
    layers = ", ".join(result.layers) or "none here"
    say(f"    {result.seconds:.2f} s; sandbox: {layers}", "dim")


def points(result: ChapterResult) -> str:
    stars = sum(r.points for r in result.results if r.experiment.star)
    return f"{result.points}/{result.max_points} points" + (f" + {stars} ★" if stars else "")


def board(results: list[ChapterResult]) -> None:
    """One line a chapter."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name in ("chapter", "", "minutes", "points", "checks"):
        table.add_column(name)
    for result in results:
        marks = Text()
        for each in result.results:
            marks.append(*_MARKS[each.verdict])
        name = Text(result.chapter.title, "green" if result.passed else "")
        number, minutes = str(result.chapter.number), f"{result.chapter.minutes:>7}"
        table.add_row(number, name, minutes, points(result), marks)
    out.print(Padding(table, (1, 0)))


def capstone(outcome) -> None:
    """How the learner's nine chapters did beside the reference (`checks.capstone.Outcome`)."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name in ("", "show what was asked for", "last validation loss", "steps", "seconds"):
        table.add_column(name)
    for side, title in (("yours", "your chapters"), ("reference", "the reference")):
        found = outcome.scores.get(side)
        if found is None:
            table.add_row(title, "did not come to its end")
            continue
        loss = found["val_loss"][-1] if found["val_loss"] else float("nan")
        numbers = (f"{found['class_accuracy']:.1%}", f"{loss:.4f}", f"{found['steps']}")
        table.add_row(title, *numbers, f"{found['train_seconds']:.0f}")
    out.print(Padding(table, (1, 0)))
    if outcome.trouble:
        say(f"Your side stopped: {outcome.trouble}", "red")
        for frame in outcome.where:
            _indented(frame, "dim")
    numbers = ", ".join(map(str, outcome.lent))
    if numbers:
        say(f"Not handed in, and lent by the solutions: chapter {numbers}.", "yellow")
    if outcome.passed:
        whose = "With what was lent your code" if numbers else "Your own code, all of it,"
        say(f"{whose} trains and draws as the reference does.", "bold green")
    elif outcome.blamed:
        numbers = ", ".join(map(str, outcome.blamed))
        plural = len(outcome.blamed) > 1
        say(
            f"By {'themselves' if plural else 'itself'}, {'these fail' if plural else 'this fails'}: "
            f"chapter {numbers}.",
            "bold",
        )
        say(f"Next: python -m checks chapter {outcome.blamed[0]}", "bold")
    else:
        say(
            "Every chapter passes by itself, and yet they differ: that is worth a report to us.",
            "bold",
        )
    say(f"Look at {outcome.folder / 'report.html'}")


def capstone_json(outcome) -> dict:
    """What `capstone --json` writes."""
    return {
        "passed": outcome.passed,
        "trouble": outcome.trouble,
        "blamed": list(outcome.blamed),
        "lent": list(outcome.lent),
        **outcome.scores,
    }


def next_step(
    results: list[ChapterResult], submission: Path | None = None, watched: bool = False
) -> None:
    """The one thing to do now.

    Args:
        submission: the folder that was graded; None for the learner's own.
        watched: whether saving is all that it takes to be graded again.
    """
    command = "python -m checks"
    of = _of(submission)
    for result in results:
        waiting = [r for r in result.results if r.verdict != PASSED and not r.experiment.star]
        if waiting:
            first = waiting[0]
            e, place = first.experiment, _near(result.file)
            if first.blamed:
                out.print()
                say(
                    f"Next: {command} chapter {first.blamed}{of}: what breaks {e.id} is there",
                    "bold",
                )
                return
            what = f"write TODO({e.id})" if first.verdict == NOT_STARTED else f"mend {e.id}"
            if first.importing:
                what = "mend what cannot be imported"
            elif first.needs:
                what = f"write TODO({first.needs}), which {e.id} needs,"
                chapter = chapters()[int(first.needs.partition(".")[0])]
                place = place if chapter == result.chapter else f"chapter {chapter.number}"
            then = (
                "and save it" if watched else f"then: {command} chapter {result.chapter.number}{of}"
            )
            out.print()
            say(f"Next: {what} in {place}, {then}", "bold")
            return
    out.print()
    last = results[-1].chapter
    if len(results) == 1 and len(results[0].results) < len(results[0].chapter.experiments):
        say(f"This holds. Next: {command} chapter {last.number}{of}", "bold green")
    elif len(results) == 1:
        after = chapters().get(last.number + 1)
        # Somebody else's code is not to be run outside the sandbox, as `show` does.
        step = f"  Look at it: {command} show {last.number}" if submission is None else ""
        board = f"{command} all{of}" if of else command
        step += f"  Next: chapters/{after.folder}/README.md" if after else f"  Next: {board}"
        say(f"Chapter {last.number} is complete.{step}", "bold green")
    else:
        say(f"Everything passes. Next: {command} capstone{of}", "bold green")


def matrix(about: Chapter, rows) -> int:
    """A line for each known mistake; returns how many are not what they should be."""
    out.print()
    say(f"Chapter {about.number} · {about.title}: {len(rows)} known mistakes", "bold")
    bad = 0
    for row in rows:
        mistake = row.mistakes[0]
        if mistake.equal:
            fine, word = not row.failed, "equal"
        else:
            fine = row.caught and not row.wrongly_named
            word = "named" if row.all_named else "caught"
        bad += not fine
        line = Text(f"  {word if fine else 'MISSED':7}", "green" if fine else "bold red")
        line.append(f"{mistake.id} {mistake.says}")
        line.append("   " + (mistake.equal or ", ".join(row.failed)), "dim")
        out.print(line)
    visible = [row for row in rows if not row.mistakes[0].equal]
    named = sum(row.all_named for row in visible)
    say(f"  {sum(r.caught for r in visible)} of {len(visible)} caught, {named} named", "bold")
    return bad


def row_json(about: Chapter, row) -> dict:
    mistake = row.mistakes[0]
    return {
        "chapter": about.number,
        "exercise": mistake.id,
        "mistake": mistake.says,
        "equal": mistake.equal,
        "failed": list(row.failed),
        "caught": row.caught,
        "named": {name: list(says) for name, says in row.named.items()},
    }


def as_text(results: list[ChapterResult], feedback: str) -> str:
    """What the author of a submission reads, without colours."""
    global out
    screen, out = out, Console(file=StringIO(), highlight=False, soft_wrap=True, color_system=None)
    try:
        say(f"{sum(r.points for r in results)}/{sum(r.max_points for r in results)} points")
        for result in results:
            if (why := result.results[0].symptom).startswith(NO_FILE):
                say(f"\nChapter {result.chapter.number} · {result.chapter.title}   {why}")
            else:
                chapter(result, lambda experiment: feedback, verbose=False)
        # Pictures lie in the author's own copy of the course, wherever ours is.
        text = out.file.getvalue().replace(_near(FOLDER), str(FOLDER.relative_to(ROOT)))
        return text.replace(f"{ROOT}{os.sep}", "")
    finally:
        out = screen


def class_heading(names: list[str], numbers: tuple[int, ...]) -> int:
    """Above the lines of a class; returns the width of the names."""
    width = min(40, max(map(cell_len, map(one_line, names))))
    columns = "".join(f"{f'ch {n}':>6}" for n in numbers)
    say(f"{'':{width}}{columns}  points", "dim")
    return width


def class_line(content: dict, width: int) -> None:
    """One submission of a class (see `checks.gradebook`)."""
    line = Text(set_cell_size(one_line(content["submission"]), width))
    for each in content["chapters"]:
        line.append(f"{each['points']:>6}", "green" if each["passed"] else "")
    line.append(f"  {content['points']}/{content['max_points']}", "bold")
    if content["trouble"]:
        line.append(f"  {one_line(content['trouble'])}", "red")
    out.print(line)


def class_summary(contents: list[dict], others: list[str], table: Path) -> None:
    """How the class did, what went wrong most often in it, and what was left out."""
    graded = [c for c in contents if not c["trouble"]]
    troubled = len(contents) - len(graded)
    count = f"{len(contents)} submission{'s' * (len(contents) != 1)}"
    out.print()
    say(count + (f", {troubled} of them without anything that could be graded" * bool(troubled)))
    if len(graded) > 2:
        shares = sorted(c["points"] / c["max_points"] for c in graded)
        say(f"Half of the class has {shares[len(shares) // 2]:.0%} of the points or more.")
    often = Counter(wrong for c in graded for wrong in _what_is_wrong(c))
    if often:
        say("What went wrong most often:")
        for what, times in often.most_common(8):
            say(f"{times:>5} × {what}")
    if others:
        names = one_line(", ".join(others[:5])) + f" and {len(others) - 5} more" * (len(others) > 5)
        say(f"Left out, since they are no submissions (folders or zip files): {names}", "yellow")
    say(f"All of it: {_near(table.absolute())}", "bold")


def _what_is_wrong(content: dict) -> set[str]:
    """In one submission: the mistakes in it; where they have no name, the checks that failed."""
    wrong = set()
    for chapter in content["chapters"]:
        for e in chapter["experiments"]:
            if e["symptom"].startswith(NO_IMPORT):
                wrong.add(f"chapter {chapter['chapter']}: {NO_IMPORT}")
            elif e["verdict"] not in (PASSED, NOT_STARTED):
                wrong |= {f"{e['id']} {what}" for what in e["mistakes"] or [e["title"]]}
    return wrong


def finding(found) -> None:
    """One line of `python -m checks doctor` (`checks.doctor.Finding`)."""
    style = {"ok": "", "note": "yellow", "problem": "bold red"}[found.level]
    say(str(found), style)


def _near(file: Path) -> str:
    """A path as one would type it here."""
    inside = file.is_relative_to(Path.cwd())
    return str(file.relative_to(Path.cwd()) if inside else file)


def code(text: str) -> None:
    """A piece of Python."""
    out.print(Syntax(text, "python", background_color="default") if out.is_terminal else Text(text))


def as_json(results: list[ChapterResult | Chapter]) -> dict:
    """What `--json` writes. A chapter that is not graded yet counts with nothing of its points."""
    entries = [_chapter_json(r) for r in results]
    return {
        "points": sum(c["points"] for c in entries),
        "max_points": sum(c["max_points"] for c in entries),
        "passed": all(c["passed"] for c in entries),
        "chapters": entries,
    }


def _chapter_json(result) -> dict:
    if isinstance(result, Chapter):
        graded = [Result(e, NOT_STARTED, "not graded") for e in result.experiments]
        result = ChapterResult(result, Path(), tuple(graded), False, "", (), 0.0)
    return {
        "chapter": result.chapter.number,
        "title": result.chapter.title,
        "points": result.points,
        "max_points": result.max_points,
        "passed": result.passed,
        "own": result.own,
        "seconds": round(result.seconds, 3),
        "sandbox": list(result.layers),
        "experiments": [experiment_json(r) for r in result.results],
    }


def told(e: dict) -> str:
    """What there is to say about an experiment that did not pass, for machines (see `experiment_json`)."""
    lines = [f"{e['verdict']}: {e['symptom']}" if e["symptom"] else e["verdict"], *e["frames"]]
    lines += [_called(e["call"])] if e["call"] else []
    lines += [f"it looks like: {mistake}" for mistake in e["mistakes"]]
    lines += [f"note: {e['note']}"] if e["note"] else []
    return clean("\n".join(lines))


def experiment_json(r: Result) -> dict:
    return {
        "id": r.experiment.id,
        "name": r.experiment.name,
        "title": r.experiment.title,
        "verdict": r.verdict,
        "points": r.points,
        "max_points": r.experiment.points,
        "star": r.experiment.star,
        "symptom": r.symptom,
        "call": r.call,
        "frames": list(r.frames),
        "mistakes": list(r.mistakes),
        "note": r.note,
    }
