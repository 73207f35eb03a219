"""Each chapter's promises: the kill matrix, the solutions, the stubs, and right programs of other kinds."""

import ast
import random
import re
import runpy
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from submissions import edited
from variants import VARIANTS

from checks import matrix, stubs
from checks.catalogue import ALL, ROOT, chapters
from checks.grader import NOT_STARTED, PASSED, why_not_run


def of_chapter(number: int, *more, **options):
    """A case of a chapter. One worker gets them all, and so asks the reference only once."""
    return pytest.param(
        number, *more, marks=pytest.mark.xdist_group(f"chapter {number}"), **options
    )


# Their names begin as those of the programs do: `-k ch03` takes all that is asked of a chapter.
NUMBERS = [of_chapter(number, id=f"ch{number:02}") for number in chapters()]
BANK = ROOT / "tests" / "equivalents"
EQUIVALENTS = [
    (number, folder)
    for number in chapters()
    for folder in sorted((BANK / f"ch{number:02}").glob("*"))
    if folder.is_dir() and folder.name != "__pycache__"
]
UNWRITTEN = {  # what may be left out, by the first line of each part
    "4.3": ["        b, c, h, w = x.shape\n"],
    "5.3": [
        "        if not ((betas > 0) & (betas < 1)).all():\n",
        "        return type(self)(self.betas.to(device))\n",
    ],
    "5.4": ["    return values[t].reshape(-1, 1, 1, 1)\n"],
    "6.3": ["    alpha_bar = per_image(schedule.alpha_bars, t)  # (B, 1, 1, 1)\n"],
    "8.3": ["        self.average = copy.deepcopy(model).eval().requires_grad_(False)\n"],
}
NEEDS = {  # what cannot be seen without it
    "4.3": {"4.4-attends-where-it-should"},
    "8.3": {
        "8.6-the-average",
        "8.7-everything-is-used",
        "8.7-average-is-validated",
        "8.7-checkpoints-are-written",
        "8.8-infinite-gradients",
        "8.9-resumed-exactly",
    },
}
OTHERS = [of_chapter(n, folder, id=f"ch{n:02}-{folder.name}") for n, folder in EQUIVALENTS]


@pytest.mark.parametrize("number", NUMBERS)
def test_there_is_enough_of_everything(number):
    chapter = chapters()[number]
    assert len(chapter.experiments) >= 6
    assert len(chapter.misconceptions) >= 10
    assert len([n for n, _ in EQUIVALENTS if n == number]) >= 3
    names = [e.name for e in chapter.experiments]
    says = [m.says for m in chapter.misconceptions]
    assert len(set(names)) == len(names) and len(set(says)) == len(says)
    exercises = set(stubs.parts(chapter))
    assert {e.id for e in chapter.experiments} == exercises
    assert {m.id for m in chapter.misconceptions} <= exercises
    assert all(e.hints and e.points > 0 for e in chapter.experiments)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_readme_tells_the_points_of_each_exercise(number):
    chapter = chapters()[number]
    readme = stubs.stub_of(chapter).with_name("README.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (\d+\.\d+)( ★)? \|.*\| (\d+) \|$", readme, re.MULTILINE)
    points = Counter()
    for e in chapter.experiments:
        points[e.id, " ★" if e.star else ""] += e.points
    assert {(id, star): int(count) for id, star, count in told} == points


def test_every_folder_of_a_chapter_is_in_the_catalogue():
    """What is not there is graded by nobody and missed by nobody."""
    known = {chapter.folder for chapter in ALL}
    for room in ("chapters", "solutions", "checks/experiments"):
        assert {path.stem for path in (ROOT / room).glob("ch[0-9]*")} == known, room


@pytest.fixture(scope="module")
def rows_of(grader):
    """The kill matrix of a chapter, made once."""
    return cache(lambda number: matrix.rows(grader.reference(chapters()[number])))


@pytest.mark.parametrize("number", NUMBERS)
def test_kill_matrix(number, rows_of):
    """Every mistake is caught by an experiment of its own exercise, and at least 95 % by their name."""
    rows = rows_of(number)
    visible = [row for row in rows if not row.mistakes[0].equal]
    assert [row.says for row in visible if not row.caught] == []
    assert [row.says for row in visible if row.wrongly_named] == []
    unnamed = [row.says for row in visible if not row.all_named]
    assert len(unnamed) <= 0.05 * len(visible), unnamed
    # What is said to be equal by algebra really cannot be seen.
    assert [row.says for row in rows if row.mistakes[0].equal and row.failed] == []


@pytest.mark.parametrize("number", NUMBERS)
def test_every_experiment_can_fail(number, rows_of, grader):
    """None is there for show: some known mistake makes it fail."""
    failing = {name for row in rows_of(number) for name in row.failed}
    reference = grader.reference(chapters()[number])
    run = {e.name for e in chapters()[number].experiments if not why_not_run(reference.observe(e))}
    assert run - failing == set()


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_two_mistakes_at_once(number, grader):
    """Never a wrong name; at least 85 % of the pairs named in full. 23 pairs a chapter.

    Where one hides the other, such as by a crash in every experiment, nobody can tell that there are two.
    """
    chapter = chapters()[number]
    tried, wrong, full = 0, [], 0
    for pair in matrix.pairs(chapter, 80):
        if tried == 23:
            break
        try:
            row = matrix.row(grader.reference(chapter), pair)
        except LookupError:
            continue  # two edits of one place exclude each other
        if row.wrongly_named:
            wrong.append((row.says, row.named))
        tried += not row.hides
        full += row.all_named and not row.hides
    assert tried == 23
    assert wrong == []
    assert full >= 0.85 * tried, f"{full} of {tried}"


@pytest.mark.parametrize("number", NUMBERS)
def test_the_solution_has_full_points(number, grader):
    for own in (False, True):
        result = grader.grade(number, ROOT / "solutions", own=own)
        assert complaints(result) == []
        assert result.points == result.max_points == chapters()[number].points


@pytest.mark.parametrize("number", NUMBERS)
def test_the_stub_is_not_started(number, grader, submit):
    result = grader.grade(number, submit(number, stubs.stub(chapters()[number])))
    assert {each.verdict for each in result.results} == {NOT_STARTED}
    assert result.points == 0


@pytest.mark.parametrize("error", ["NotImplementedError", "TypeError"])
@pytest.mark.parametrize(
    ("number", "unwritten"), [of_chapter(int(each[0]), each) for each in UNWRITTEN]
)
def test_what_is_not_written_or_crashes_costs_its_own_points(
    number, unwritten, error, grader, submit
):
    text = stubs.solution_of(chapters()[number]).read_text(encoding="utf-8")
    for line in UNWRITTEN[unwritten]:
        indent = line[: len(line) - len(line.lstrip())]
        text = edited(text, line, f"{indent}raise {error}\n{line}")
    results = grader.grade(number, submit(number, text)).results
    failed = {r.experiment.name for r in results if r.verdict != PASSED}
    run = [r for r in results if not r.note.startswith("not run")]  # by an older torch
    own = {r.experiment.name for r in run if r.experiment.id == unwritten}
    assert failed == own | NEEDS.get(unwritten, set())


@pytest.mark.parametrize("number", NUMBERS)
def test_the_stub_has_not_drifted(number):
    """`make stubs` would change nothing."""
    chapter = chapters()[number]
    assert stubs.stub_of(chapter).read_text(encoding="utf-8") == stubs.stub(chapter)
    assert stubs.stub_of(chapter).with_name("README.md").is_file()


@pytest.mark.parametrize(("number", "folder"), OTHERS)
def test_another_right_program_has_full_points(number, folder, grader):
    result = grader.grade(number, folder)
    assert complaints(result) == []
    assert result.points == result.max_points


@pytest.mark.parametrize(
    ("number", "name"), [of_chapter(n, name, id=f"ch{n:02}-{name}") for n, name in VARIANTS]
)
def test_a_few_lines_in_another_way_have_full_points(number, name, grader, submit):
    text = stubs.solution_of(chapters()[number]).read_text(encoding="utf-8")
    for old, new in VARIANTS[number, name]:
        text = edited(text, old, new)
    result = grader.grade(number, submit(number, text))
    assert complaints(result) == []
    assert result.points == result.max_points


@pytest.mark.slow
@pytest.mark.parametrize(("number", "folder"), OTHERS)
def test_mistakes_in_another_program(number, folder, grader, submit, tmp_path, request):
    """The known mistakes, made in a program of another kind: all caught, at least 80 % named.

    Five of each program, always the same ones; `--thorough` takes all of them, which is hundreds.
    """
    chapter = chapters()[number]
    mistakes = runpy.run_path(str(folder / "mistakes.py"))["MISTAKES"]
    known = {m.says for m in chapter.misconceptions}
    assert set(mistakes) <= known and len(mistakes) >= 8
    if not request.config.getoption("--thorough"):
        chosen = random.Random(folder.name).sample(sorted(mistakes), 5)
        mistakes = {says: mistakes[says] for says in chosen}
    right = (folder / chapter.folder / f"{chapter.module}.py").read_text(encoding="utf-8")
    missed, named = [], 0
    for number_of, (says, edits) in enumerate(mistakes.items()):
        text = right
        for old, new in edits:
            text = edited(text, old, new)
        place = tmp_path / str(number_of)
        copy_helpers(folder / chapter.folder, place / chapter.folder)
        result = grader.grade(number, submit(number, text, place))
        failed = [r for r in result.results if r.verdict != PASSED]
        if not failed:
            missed.append(says)
        named += bool(failed) and {m for r in failed for m in r.mistakes if m in known} == {says}
    assert missed == []
    assert named >= 0.8 * len(mistakes), f"{named} of {len(mistakes)}"


def copy_helpers(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for file in source.glob("*.py"):
        (target / file.name).write_bytes(file.read_bytes())


def complaints(result) -> list:
    return [
        (r.experiment.name, r.verdict, r.symptom, r.frames)
        for r in result.results
        if r.verdict != PASSED
    ]


@pytest.mark.parametrize("number", NUMBERS)
def test_solutions_import_torch_and_earlier_chapters_only(number):
    tree = ast.parse(stubs.solution_of(chapters()[number]).read_text(encoding="utf-8"))
    tops = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            tops |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            tops.add(node.module.partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 2 and int(node.module[2:4]) < number, node.module
    allowed = {"torch", "math", "itertools", "collections", "dataclasses", "functools"}
    allowed |= {"contextlib", "copy", "pathlib"}
    assert tops <= allowed, tops - allowed


@pytest.mark.parametrize("number", NUMBERS)
def test_names_and_signatures_are_those_of_the_reference(number):
    """What the solution writes has the reference's names, and the parameters in the reference's order.

    Their defaults are the reference's too.
    """
    chapter = chapters()[number]
    reference = signatures(chapter.reference_file)
    for name, parameters in signatures(stubs.solution_of(chapter)).items():
        if name.startswith("_") and not name.startswith("__init__"):
            continue
        assert name in reference, name
        assert [p for p in reference[name] if p in parameters] == list(parameters), name
        assert parameters.items() <= reference[name].items(), name


def signatures(file: Path) -> dict[str, dict[str, str]]:
    """Public functions and constructors of a file, with their parameters' names and defaults."""
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            found[node.name] = parameters_of(node)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                    found[node.name] = parameters_of(inner)
    return found


def parameters_of(function: ast.FunctionDef) -> dict[str, str]:
    """Name and default of each, "" for none."""
    names = [a.arg for a in function.args.args]
    defaults = [ast.unparse(d) for d in function.args.defaults]
    return dict(zip(names, [""] * (len(names) - len(defaults)) + defaults, strict=True))
