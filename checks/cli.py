"""The command line: `python -m checks`. It judges, and runs nobody's code itself."""

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from typer.core import TyperGroup

from checks import report, stubs
from checks.catalogue import ROOT, Chapter, chapters, find
from checks.files import Problem, write_json, write_text
from checks.grader import ChapterResult, Grader, check_submission
from checks.history import History
from checks.workers import Pool

FEEDBACK = ("auto", "pass", "symptom", "named")
_pool: list[Pool] = []


class _Commands(TyperGroup):
    """Turns what a user can put right into one sentence and exit code 2."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except Problem as error:
            report.problem(str(error))
        except KeyboardInterrupt:
            report.problem("Stopped.")
            raise typer.Exit(130) from None
        raise typer.Exit(2)


app = typer.Typer(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Grade your chapters. Without a command: the board of all of them.\n\n"
    "Exit code 0 when everything asked for passed, 1 when not, 2 when the question was wrong.",
)


def _whole(text: str) -> int:
    if text.isdecimal():
        return int(text)
    if text.replace(".", "", 1).isdecimal():
        raise typer.BadParameter(f"{text} is an exercise; this command takes a chapter, such as 3.")
    raise typer.BadParameter(f"{text} is no number of a chapter, such as 3.")


Number = Annotated[
    int,
    typer.Argument(
        help="Number of a chapter.", show_default=False, metavar="{number}", parser=_whole
    ),
]
Exercise = Annotated[
    str, typer.Argument(help="Number of an exercise, such as 4.2.", show_default=False)
]
Submission = Annotated[
    Path,
    typer.Option(help="Folder with the chapters to grade: yours, or somebody else's."),
]
Own = Annotated[
    bool, typer.Option("--own", help="Run on your own other chapters, not on the solutions'.")
]
Only = Annotated[
    str | None,
    typer.Option(help="One exercise (4.2), or one experiment by name.", show_default=False),
]
Json = Annotated[
    Path | None,
    typer.Option("--json", help="Also write the results to this file.", show_default=False),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Also show what your code printed.")]
Feedback = Annotated[
    str,
    typer.Option(
        help="What to tell about a failure: pass (nothing), symptom, named (which mistake it looks like), "
        "auto (the symptom at first, the name from the second failure on)."
    ),
]
CHAPTERS = ROOT / "chapters"


@app.callback(invoke_without_command=True)
def board(context: typer.Context):
    """Grade your chapters. Without a command: the board of all of them."""
    if context.invoked_subcommand is None:
        results = _grade(list(chapters()), CHAPTERS)
        report.board(results)
        report.next_step(results)
        raise typer.Exit(_code(results))


@app.command()
def chapter(
    number: Number,
    submission: Submission = CHAPTERS,
    own: Own = False,
    only: Only = None,
    json: Json = None,
    verbose: Verbose = False,
    feedback: Feedback = "auto",
):
    """Grade one chapter."""
    _show([find(number).number], submission, own, only, json, verbose, feedback)


@app.command(name="all")
def all_chapters(
    submission: Submission = CHAPTERS,
    own: Own = False,
    only: Only = None,
    json: Json = None,
    verbose: Verbose = False,
    feedback: Feedback = "auto",
):
    """Grade all chapters, one after the other."""
    _show(list(chapters()), submission, own, only, json, verbose, feedback)


@app.command()
def watch(
    number: Annotated[
        int | None,
        typer.Argument(
            help="Number of a chapter. Without it: the one saved last.", show_default=False
        ),
    ] = None,
    submission: Submission = CHAPTERS,
    own: Own = False,
    only: Only = None,
    verbose: Verbose = False,
    feedback: Feedback = "auto",
):
    """Grade a chapter at each save.

    Without a number it begins with the chapter saved last, and then follows you: whichever you save is
    graded. Helper files beside it count, and with `--own` your other chapters too. Ctrl-C ends it, with
    exit code 0 whatever the verdict was.
    """
    from checks import watch as watching

    history = History(submission)
    policy = _policy(feedback, history)
    check_submission(submission)
    if only is not None:
        number = (_exercise(only) if number is None else find(number)).number
        if not find(number).chosen(only):
            raise Problem(f"There is no exercise {only} there{_known(str(number))}.")
    watched = watching.Watched(submission.resolve(), number, own)
    watched.first()  # a chapter that does not exist is told before torch is waited for
    theirs = _theirs(submission)
    try:
        with Grader(pool=_take_pool()) as grader:
            watching.Watch(grader, watched, only, policy, history, verbose, theirs).run()
    except KeyboardInterrupt:
        report.say("\nNo longer watching.")


@app.command()
def why(exercise: Exercise, submission: Submission = CHAPTERS, own: Own = False):
    """Name the mistake in an exercise, at once."""
    asked = _exercise(exercise)
    results = _grade([asked.number], submission, own, naming=lambda e: exercise in (e.id, e.name))
    result = _only(results[0], exercise)
    theirs = _theirs(submission)
    report.chapter(result, lambda e: "named", verbose=False, submission=theirs)
    report.next_step([result], theirs)
    raise typer.Exit(_code([result]))


@app.command()
def hint(
    exercise: Exercise,
    level: Annotated[
        int | None, typer.Option(help="How many hints. Default: one more each time.", min=1)
    ] = None,
    submission: Submission = CHAPTERS,
):
    """Give a hint on what failed last time (or on all of it); asked again, a plainer one."""
    history = History(submission)
    asked = _exercise(exercise).chosen(exercise)
    check_submission(submission)
    failed = [e for e in asked if history.failures(e.name)]
    for e in failed or asked:
        shown = level or (history.note_hint(e.name) if history.hints(e.name) < len(e.hints) else 99)
        report.say(f"{e.id} {e.title}", "bold")
        for number, text in enumerate(e.hints[:shown], start=1):
            report.say(f"  {number}. {text}")
        left = len(e.hints) - shown
        if left > 0:
            report.say(f"  (ask again for {left} more)", "dim")


@app.command()
def solution(exercise: Exercise):
    """Show how the solution does it."""
    asked = _exercise(exercise)
    pieces = stubs.parts(asked)
    id = exercise.partition("-")[0]
    if id not in pieces:
        raise Problem(f"Exercise {id} writes no code of its own: see {', '.join(pieces)}.")
    report.say(f"solutions/{asked.folder}/{asked.module}.py, TODO({id})", "dim")
    report.code(pieces[id])


@app.command()
def reset(
    number: Number,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
):
    """Start a chapter anew from its stub; what you have written is kept beside it."""
    asked = find(number)
    name = stubs.stub_of(asked).relative_to(ROOT)
    if stubs.is_stub(asked):
        report.say(f"{name} is as it was in the beginning.")
        return
    if not yes and not _confirmed(f"Put the stub back in the place of {name}?"):
        report.say("Nothing was changed.")
        raise typer.Exit(1)
    try:
        kept = stubs.write(asked, keep=True)
    except OSError as error:
        raise Problem(f"Cannot write {name} ({error.strerror}).") from error
    report.say(f"{name} is the stub again." + (f" Yours is now {kept.name}." if kept else ""))


@app.command()
def show(
    number: Number,
    submission: Submission = CHAPTERS,
    own: Own = False,
    out: Annotated[Path | None, typer.Option(help="Where to put the picture (PNG).")] = None,
):
    """Draw a picture with your own code of a chapter. (This runs it without the grader's sandbox.)"""
    asked = find(number)
    out = out or Path(f"{asked.folder}.png")
    if out.suffix.lower() != ".png" or not os.path.isdir(out.absolute().parent):
        raise Problem(f"--out cannot be {out}: name a .png file in a folder that exists.")
    check_submission(submission)
    command = [sys.executable, "-m", "checks.show", str(number), str(submission.resolve())]
    command += [str(out.absolute()), "own" if own else "lent"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    code = subprocess.run(command, env=environment).returncode
    raise typer.Exit(code)


@app.command()
def capstone(
    submission: Submission = CHAPTERS,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Twenty seconds: whether it runs, not how well it draws."),
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for the report and the pictures.")] = Path(
        "capstone"
    ),
    json: Json = None,
):
    """Train all nine of your chapters on shapes, let them draw, and judge it beside the reference."""
    from checks import capstone as end

    check_submission(submission)
    _check_json(json)
    _make_folder(out)
    plan = end.QUICK if quick else end.FULL
    report.say(
        f"{plan.epochs * plan.images * 9 // 10:,} images for your chapters and for the reference …"
    )
    with Grader(pool=_take_pool()) as grader, report.out.status("") as status:
        outcome = end.run(submission.resolve(), plan, out, grader, status.update)
    report.capstone(outcome)
    if json:
        write_json(json, report.capstone_json(outcome))
    raise typer.Exit(0 if outcome.passed else 1)


@app.command()
def quiz(
    number: Number,
    question: Annotated[
        list[str] | None,
        typer.Option(help="Only this one; may be given several times.", show_default=False),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Show the questions' names, and ask nothing.")
    ] = False,
):
    """Answer questions on a chapter: to choose, to calculate, to explain.

    Exit code 0 when all of it was right.
    """
    from checks import quiz as asking
    from checks.questions import keys

    questions = asking.chosen(number, question or [])
    if listed:
        for each in questions:
            report.say(f"{each.id:32} {each.kind:8} {each.points} point{'s' * (each.points > 1)}")
        return
    session = asking.Quiz(keys(number=number), sys.stdin)
    session.title(number, questions)
    outcomes = session.ask(questions)
    session.summary(outcomes, f"python -m checks quiz {number}")
    raise typer.Exit(0 if all(outcome.right for outcome in outcomes) else 1)


@app.command()
def grade(
    places: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR…", help="A folder of submissions (folders or zip files), or single ones."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the grades.")] = Path("grades"),
    number: Annotated[
        list[int] | None,
        typer.Option(
            "--chapter", help="Only this one; may be given several times.", show_default=False
        ),
    ] = None,
    per: Annotated[
        str, typer.Option(help="A column for each chapter, exercise or check.")
    ] = "chapter",
    roster: Annotated[
        Path | None,
        typer.Option(
            help="Table of the class (CSV) from your course system: the grades are added to its lines.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(help="A further file for each: gradescope or junit.", show_default=False),
    ] = None,
    own: Own = False,
    feedback: Annotated[
        str,
        typer.Option(help="What the authors may read: pass (nothing), symptom, named."),
    ] = "named",
    jobs: Annotated[
        int | None,
        typer.Option(help="Submissions at a time. Default: half of the cores.", min=1),
    ] = None,
):
    """Grade a class: all submissions in a folder.

    Writes `grades.csv`, and for each submission `NAME.json` (everything) and `NAME.txt` (for its author).
    The same command again grades what is new or changed, and goes on where it was stopped.

    Exit code 0 when every submission was graded, 1 when there was trouble with some.
    """
    from checks import exports, gradebook

    for option, value, known in (
        ("--per", per, exports.PER),
        ("--format", format, (None, *exports.FORMATS)),
        ("--feedback", feedback, FEEDBACK[1:]),
    ):
        if value not in known:
            raise Problem(f"{option} is one of {', '.join(filter(None, known))}, not {value!r}.")
    numbers = tuple(sorted({find(n).number for n in number or chapters()}))
    people = exports.Roster.read(roster) if roster else None
    plan = gradebook.Plan(numbers, own, feedback, format)
    table, contents = out / "grades.csv", []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # to clean up then, too
    with gradebook.handed_in(places, out) as (found, others):
        _make_folder(out)
        width = report.class_heading([s.name for s in found], numbers)
        at_once = jobs or max(1, (os.cpu_count() or 1) // 2)
        graded = gradebook.grade(found, plan, out, at_once, _take_pool())
        try:
            with contextlib.closing(graded), report.out.status("") as status:
                for s in found:
                    name = escape(report.one_line(s.name))
                    status.update(f"{name}: {len(contents) + 1} of {len(found)}")
                    contents.append(next(graded))
                    report.class_line(contents[-1], width)
                    write_text(table, exports.table(contents, per, people), "utf-8-sig")
        except KeyboardInterrupt:
            report.problem(f"Stopped. What is graded is in {out}; the same command goes on.")
            raise typer.Exit(130) from None
    report.class_summary(contents, others, table)
    raise typer.Exit(1 if any(content["trouble"] for content in contents) else 0)


@app.command()
def matrix(
    only: Annotated[
        int | None, typer.Option("--chapter", help="Only this one.", show_default=False)
    ] = None,
    json: Json = None,
):
    """Make every known mistake in the reference: is it caught, and by which name?"""
    from checks import matrix as kill

    asked = [find(only)] if only is not None else list(chapters().values())
    _check_json(json)
    content, bad = [], 0
    with Grader(pool=_take_pool()) as grader:
        for each in asked:
            rows = kill.rows(grader.reference(each))
            bad += report.matrix(each, rows)
            content += [report.row_json(each, row) for row in rows]
    if json:
        write_json(json, content)
    raise typer.Exit(1 if bad else 0)


@app.command()
def doctor(json: Json = None):
    """Look whether this machine is fit: what is there, what is missing, and what to do.

    Exit code 0 when nothing prevents your work, 1 when a problem does.
    """
    from checks import doctor as looking

    _check_json(json)
    found = []
    if report.out.is_terminal:
        report.say("looking, which takes as long as torch's import, a few times …", "dim")
    for finding in looking.findings():
        found.append(finding)
        report.finding(finding)
    verdict = looking.verdict(found)
    report.finding(verdict)
    if json:
        write_json(json, looking.as_json(found))
    raise typer.Exit(0 if verdict.level == looking.OK else 1)


def main(pool: Pool | None = None) -> None:
    """Run the command line on a pool that may already be importing torch."""
    # A terminal without ✔ is no reason to break off, nor is one that is closed.
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="replace")
    if pool is not None:
        _pool.append(pool)
    try:
        app()
    finally:
        for unused in _pool:
            unused.close()


def _take_pool() -> Pool:
    return _pool.pop() if _pool else Pool()


def _theirs(submission: Path) -> Path | None:
    """The submission where it is not the learner's own: commands to be copied then name it."""
    return None if submission == CHAPTERS else submission


def _show(numbers, submission, own, only, json, verbose, feedback) -> None:
    history = History(submission)
    policy = _policy(feedback, history)
    check_submission(submission)
    _check_json(json)
    if only is not None:
        asked, numbers = numbers, [n for n in numbers if find(n).chosen(only)]
        if not numbers:
            there = _known(str(asked[0]) if len(asked) == 1 else only)
            raise Problem(f"There is no exercise {only} there{there}.")

    waiting: list[ChapterResult | Chapter] = [find(n) for n in numbers]
    if json:
        write_json(json, report.as_json(waiting))
    if report.out.is_terminal:
        report.say("checking…", "dim")

    theirs = _theirs(submission)

    def tell(index: int, result: ChapterResult) -> None:
        report.chapter(result, policy, verbose, theirs)
        history.note_results(result.results)
        waiting[index] = result
        if json:
            write_json(json, report.as_json(waiting))

    results = _grade(numbers, submission, own, only, lambda e: policy(e) == "named", tell)
    report.next_step(results, theirs)
    raise typer.Exit(_code(results))


def _policy(feedback: str, history: History):
    """experiment → what to tell about its failure."""
    if feedback not in FEEDBACK:
        raise Problem(f"--feedback is one of {', '.join(FEEDBACK)}, not {feedback!r}.")

    def policy(experiment) -> str:
        if feedback != "auto":
            return feedback
        # Asked before this failure is noted: one in the past makes it the second.
        return "named" if history.failures(experiment.name) else "symptom"

    return policy


def _grade(numbers, submission, own=False, only=None, naming=lambda e: False, tell=None):
    check_submission(submission)
    results = []
    with Grader(pool=_take_pool()) as grader:
        for index, number in enumerate(numbers):
            results.append(grader.grade(number, submission, own, only, naming))
            if tell:
                tell(index, results[-1])
    return results


def _code(results: list[ChapterResult]) -> int:
    return 0 if all(result.passed for result in results) else 1


def _only(result: ChapterResult, exercise: str) -> ChapterResult:
    kept = [r for r in result.results if exercise in (r.experiment.id, r.experiment.name)]
    return replace(result, results=tuple(kept))


def _exercise(exercise: str) -> Chapter:
    for each in chapters().values():
        if each.chosen(exercise):
            return each
    raise Problem(f"There is no exercise {exercise}{_known(exercise)}.")


def _known(exercise: str) -> str:
    head = exercise.partition(".")[0]
    number = int(head) if head.isdecimal() else 0
    if number not in chapters():
        return f": the chapters are {', '.join(map(str, chapters()))}"
    ids = dict.fromkeys(e.id for e in chapters()[number].experiments)
    return f": chapter {number} has {', '.join(ids)}"


def _check_json(path: Path | None) -> None:
    """Before the work, not after it: is there a place for the results?"""
    if path is not None and (os.path.isdir(path) or not os.path.isdir(path.absolute().parent)):
        raise Problem(f"--json cannot write {path}: name a file in a folder that exists.")


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Problem(f"--out cannot be {out} ({error.strerror}): name a folder.") from error


def _confirmed(question: str) -> bool:
    try:
        return typer.confirm(question)
    except typer.Abort:
        return False
