"""`python -m checks …` and `pytest checks --submission …`, as they are typed, in a copy of the project."""

import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import pytest
from submissions import edited, solution

from checks.catalogue import ROOT, chapters

WRONG = ("self.mlp(self.time(t) + self.label(y))", "self.mlp(self.time(t) * self.label(y))")
NAME = next(m.says for m in chapters()[2].misconceptions if "time(t) * self" in str(m.edits))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The rooms that grading needs, elsewhere, so that nothing here is touched."""
    place = tmp_path_factory.mktemp("a clone")
    for room in ("checks", "ddpm_ref", "solutions", "chapters", "pyproject.toml"):
        if (ROOT / room).is_dir():
            shutil.copytree(ROOT / room, place / room, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / room, place / room)
    return place


@pytest.fixture
def run(clone):
    def run(*arguments, module="checks", cwd=clone, given=""):
        environment = {**os.environ, "PYTHONPATH": str(clone), "COLUMNS": "80"}
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=cwd,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def wrong(submit):
    return submit(2, edited(solution(2), *WRONG))


def test_full_points(run):
    done = run("chapter", 2, "--submission", "solutions")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{chapters()[2].points}/{chapters()[2].points} points" in done.stdout
    # Drawing would run it outside the sandbox: not proposed for code that may be somebody else's.
    assert "Next: chapters/ch03" in done.stdout and "show 2" not in done.stdout


@pytest.mark.parametrize("name", ["embeddings (1).py", "embeddings.ipynb"])
def test_a_file_of_another_name_is_told(run, tmp_path, name):
    (tmp_path / "ch02_embeddings").mkdir()
    (tmp_path / "ch02_embeddings" / name).write_text(solution(2))
    (tmp_path / "ch02_embeddings" / "._embeddings.py").write_text("packed by macOS")
    said = run("chapter", 2, "--submission", tmp_path).stdout
    assert f"no file ch02_embeddings/embeddings.py, but {name}: the code belongs" in said


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_an_encoding_that_python_does_not_read_is_told(run, tmp_path, encoding):
    (tmp_path / "ch02_embeddings").mkdir()
    text = f"# é\n{solution(2)}".encode(encoding, "replace")
    (tmp_path / "ch02_embeddings" / "embeddings.py").write_bytes(text)
    said = run("chapter", 2, "--submission", tmp_path).stdout
    assert "(save the file as UTF-8)" in said


def test_the_first_failure_shows_the_symptom_the_second_names_it(run, wrong):
    first = run("chapter", 2, "--submission", wrong)
    assert first.returncode == 1
    assert "expected float32" in first.stdout and ">>> from checks.lab import *" in first.stdout
    assert NAME not in first.stdout
    for command in ("why", "hint"):
        assert f"python -m checks {command} 2.3 --submission {wrong}" in first.stdout
    assert run("hint", "2.3", "--submission", wrong).returncode == 0
    second = run("chapter", 2, "--submission", wrong)
    assert NAME in second.stdout
    assert "Next: mend 2.3" in second.stdout
    assert f"python -m checks chapter 2 --submission {wrong}" in second.stdout
    run("chapter", 2, "--submission", "solutions")


@pytest.mark.parametrize(
    ("feedback", "symptom", "name"), [("pass", 0, 0), ("symptom", 1, 0), ("named", 1, 1)]
)
def test_feedback_is_a_policy(feedback, symptom, name, run, wrong):
    for _ in range(2):
        told = run("chapter", 2, "--submission", wrong, "--feedback", feedback).stdout
        assert ("expected float32" in told) == bool(symptom)
        assert (NAME in told) == bool(name)


def test_where_a_chapter_is_wanted_an_exercise_is_told_from_a_typing_error(run):
    for given, says in (("1.5", "is an exercise"), ("one", "is no number of a chapter")):
        done = run("show", given)
        assert done.returncode == 2 and says in done.stderr, done.stdout + done.stderr


def test_a_mistake_without_a_name_leaves_the_hints(run, submit):
    path = submit(2, edited(solution(2), "frequencies = torch", "frequencies = 1.003 * torch"))
    done = run("why", "2.1", "--submission", path)
    assert "none of the mistakes" in done.stdout and "checks hint 2.1" in done.stdout, done.stdout


def test_why_names_it_at_once(run, wrong):
    done = run("why", "2.3", "--submission", wrong)
    assert done.returncode == 1 and NAME in done.stdout
    assert "Next: mend 2.3" in done.stdout and f"--submission {wrong}" in done.stdout
    right = run("why", "2.1", "--submission", wrong)
    assert right.returncode == 0 and "Next: python -m checks chapter 2" in right.stdout


def test_what_cannot_be_imported_is_told_once_and_blames_no_exercise(run, submit):
    done = run("chapter", 2, "--submission", submit(2, solution(2) + "\n%matplotlib inline\n"))
    assert done.stdout.count("cannot be imported: SyntaxError") == 1
    assert "%matplotlib inline" in done.stdout and "Next: mend what cannot" in done.stdout
    assert "2.1" not in done.stdout and "hint" not in done.stdout
    done = run("chapter", 2, "--submission", submit(2, "import no_such"), "--feedback", "pass")
    assert "crashed" in done.stdout and "no_such" not in done.stdout


def test_a_stub_that_is_called_while_the_file_is_imported_is_shown(run, submit):
    stub = ROOT / "chapters" / chapters()[5].folder / "diffusion.py"
    text = stub.read_text() + "\nprint(NoiseSchedule.linear(10))\n"
    done = run("chapter", 5, "--submission", submit(5, text))
    assert "TODO(5.3)" in done.stdout and "print(NoiseSchedule.linear(10))" in done.stdout
    assert "if __name__" in done.stdout and "write TODO(5.1)" not in done.stdout


def test_what_is_written_says_which_other_exercise_it_waits_for(run, submit):
    text = edited(
        solution(8),
        "    dtypes = {",
        '    raise NotImplementedError("TODO(8.8)")\n    dtypes = {',
    )
    done = run("chapter", 8, "--submission", submit(8, text))
    assert "0/1  waits: it needs TODO(8.8)" in done.stdout
    assert "Next: write TODO(8.8), which 8.4 needs, in" in done.stdout
    # Where the exercise itself is not written either, that comes first.
    assert "needs" not in run("chapter", 8, "--submission", "chapters").stdout


@pytest.mark.slow
def test_stubs_are_not_started(run):
    for arguments in ([], ["chapter", 2], ["why", "2.1"], ["all"]):
        done = run(*arguments)
        assert done.returncode == 1
        assert "Traceback" not in done.stdout + done.stderr
        assert "✘" not in done.stdout
    assert "Next: write TODO(1.1)" in done.stdout


def test_hints_come_one_at_a_time(run):
    hints = next(e for e in chapters()[2].experiments if e.id == "2.1").hints
    for count in range(1, len(hints) + 1):
        told = run("hint", "2.1").stdout
        assert hints[count - 1][:40] in told.replace("\n", " ")
        if count < len(hints):
            assert hints[count][:40] not in told
    assert hints[-1][:40] in run("hint", "2.1").stdout
    assert hints[1][:40] not in run("hint", "2.1", "--level", 1).stdout


def test_the_solution_of_an_exercise(run):
    done = run("solution", "2.3")
    assert "self.mlp(self.time(t) + self.label(y))" in done.stdout
    assert "class ConditionEmbedding" in done.stdout and "SOLUTION" not in done.stdout


def test_reset_asks_first_and_keeps_a_backup(run, clone):
    file = clone / "chapters" / "ch02_embeddings" / "embeddings.py"
    stub = file.read_text()
    assert "as it was" in run("reset", 2).stdout
    file.write_text("my work")
    assert run("reset", 2, given="n\n").returncode == 1 and file.read_text() == "my work"
    assert run("reset", 2).returncode == 1 and file.read_text() == "my work"
    assert run("reset", 2, given="y\n").returncode == 0 and file.read_text() == stub
    assert file.with_name("embeddings.py.1.bak").read_text() == "my work"
    file.write_text("more work")
    assert run("reset", 2, "--yes").returncode == 0
    assert file.with_name("embeddings.py.2.bak").read_text() == "more work"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["chapter", 99], "no chapter 99"),
        (["chapter", 2, "--only", "2.99"], "chapter 2 has 2.1"),
        (["chapter", 2, "--feedback", "loud"], "auto, pass, symptom, named"),
        (["chapter", 2, "--submission", "/nowhere"], "no folder /nowhere"),
        (["chapter", 2, "--submission", "checks"], "none of the chapters"),
        (["chapter", 2, "--submission", 300 * "a"], "give --submission a folder"),
        (["all", "--submission", "{circle}"], "give --submission a folder"),
        (["hint", "2.1", "--submission", "/nowhere"], "no folder /nowhere"),
        (["chapter", 2, "--json", "/nowhere/x.json"], "--json cannot write"),
        (["chapter", 2, "--json", 3000 * "a/" + "x.json"], "--json cannot write"),
        (["why", "7"], "no exercise 7"),
        (["hint", "2.99"], "chapter 2 has 2.1"),
        (["solution", "x"], "no exercise x"),
        (["reset", 0], "no chapter 0"),
        (["show", 2, "--out", "picture.txt"], "name a .png file"),
        (["show", 2, "--submission", "solutions", "--out", 300 * "a" + ".png"], "Cannot write"),
        (["matrix", "--chapter", 77], "no chapter 77"),
    ],
)
def test_bad_input_is_one_sentence(arguments, says, run, tmp_path):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    done = run(*(str(a).format(circle=tmp_path / "circle") for a in arguments))
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr


def test_json(run, wrong, tmp_path):
    file = tmp_path / "results.json"
    run("all", "--submission", wrong, "--json", file)
    content = json.loads(file.read_text())
    assert content["max_points"] == sum(c.points for c in chapters().values())
    second = next(c for c in content["chapters"] if c["chapter"] == 2)
    assert 0 < second["points"] < second["max_points"] == chapters()[2].points
    assert len(second["experiments"]) == len(chapters()[2].experiments)
    verdicts = {e["verdict"] for c in content["chapters"] for e in c["experiments"]}
    assert verdicts == {"passed", "failed", "not started"}
    assert sum(c["points"] for c in content["chapters"]) == content["points"]


def test_json_is_there_with_no_points_when_grading_is_cut_short(run, submit, tmp_path, clone):
    file = tmp_path / "results.json"
    hang = submit(2, solution(2) + "\nwhile True: pass\n")
    command = [sys.executable, "-m", "checks", "chapter", "2", "--submission", hang, "--json", file]
    process = subprocess.Popen(command, cwd=clone, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if file.exists() or process.poll() is not None:
                break
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    content = json.loads(file.read_text())
    assert content["points"] == 0 and content["max_points"] == chapters()[2].points


def test_only_one_exercise(run, wrong):
    assert run("chapter", 2, "--submission", wrong, "--only", "2.1").returncode == 0
    assert run("chapter", 2, "--submission", wrong, "--only", "2.3").returncode == 1


def test_from_a_folder_that_cannot_be_written(run, clone):
    done = run("chapter", 2, "--submission", clone / "solutions", cwd="/sys")
    assert done.returncode == 0, done.stderr


def test_output_is_counted_and_shown_when_asked_for(run, submit):
    chatty = submit(2, solution(2) + "\nprint('here I am')\n")
    assert "here I am" not in run("chapter", 2, "--submission", chatty).stdout
    assert "--verbose" in run("chapter", 2, "--submission", chatty).stdout
    assert "here I am" in run("chapter", 2, "--submission", chatty, "--verbose").stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(chapters().keys() - {8}))  # which takes a minute
def test_show_draws_a_picture(number, run, tmp_path):
    picture = tmp_path / "picture.png"
    done = run("show", number, "--submission", "solutions", "--out", picture)
    assert done.returncode == 0, done.stdout + done.stderr
    assert picture.read_bytes()[:4] == b"\x89PNG" and str(picture) in done.stdout


def test_show_of_a_stub(run, tmp_path):
    done = run("show", 3, "--out", tmp_path / "picture.png")
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_matrix(run, tmp_path):
    done = run("matrix", "--chapter", 2, "--json", tmp_path / "matrix.json")
    assert done.returncode == 0, done.stdout
    rows = json.loads((tmp_path / "matrix.json").read_text())
    assert len(rows) == len(chapters()[2].misconceptions)


def test_make_stubs_keeps_what_somebody_wrote(run, clone):
    file = clone / "chapters" / "ch02_embeddings" / "embeddings.py"
    stub = file.read_text()
    file.write_text("precious")
    run(module="checks.stubs")
    assert file.read_text() == stub
    assert "precious" in [b.read_text() for b in file.parent.glob("*.bak")]


# pytest


def test_pytest_items(run, wrong, tmp_path):
    xml = tmp_path / "junit.xml"
    done = run(
        "checks",
        "--submission",
        wrong,
        "--chapter",
        2,
        f"--junitxml={xml}",
        "-n",
        2,
        module="pytest",
    )
    assert done.returncode == 1, done.stdout + done.stderr
    cases = {case.get("name"): case for case in ElementTree.parse(xml).iter("testcase")}
    assert set(cases) == {f"ch02-{e.name}" for e in chapters()[2].experiments}
    points = maximum = 0
    for name, case in cases.items():
        properties = {p.get("name"): p.get("value") for p in case.iter("property")}
        points += int(properties["points"])
        maximum += int(properties["max_points"])
        assert (properties["verdict"] == "passed") == (case.find("failure") is None), name
    assert 0 < points < maximum == chapters()[2].points
    assert "def test" not in done.stdout and "Traceback" not in done.stdout


def test_pytest_runs_nothing_of_the_submission_by_itself(run, wrong, tmp_path):
    spy = f"open({str(tmp_path / 'has run')!r}, 'w')"
    (wrong / "conftest.py").write_text(spy)
    (wrong / "ch02_embeddings" / "conftest.py").write_text(spy)
    (wrong / "ch02_embeddings" / "test_it.py").write_text(spy)
    (wrong / "pytest.ini").write_text("[pytest]\naddopts = --collect-only")
    done = run("checks", "--submission", wrong, "-k", "ch02-2.1", "-q", module="pytest")
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr
    assert not (tmp_path / "has run").exists()


def test_pytest_selects_and_stops(run, wrong):
    chosen = run("checks", "--submission", wrong, "-k", "ch02-2.1", "-q", module="pytest")
    count = sum(e.id == "2.1" for e in chapters()[2].experiments)
    assert chosen.returncode == 0 and f"{count} passed" in chosen.stdout
    stopped = run("checks", "--submission", wrong, "--chapter", 2, "-x", "-q", module="pytest")
    assert "1 failed" in stopped.stdout


@pytest.mark.parametrize(
    "arguments", [[], ["--submission", "/nowhere"], ["--submission", "chapters", "--chapter", "77"]]
)
def test_pytest_bad_input(arguments, run):
    done = run("checks", *arguments, module="pytest")
    assert done.returncode == 4 and "ERROR" in done.stderr and "Traceback" not in done.stderr
