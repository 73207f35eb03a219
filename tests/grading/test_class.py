"""`python -m checks grade`: a class of submissions, as instructors have them."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest
from submissions import edited, solution
from typer.testing import CliRunner

from checks import gradebook, report
from checks.catalogue import ROOT, chapters
from checks.cli import app
from checks.exports import Roster
from checks.files import Problem
from checks.grader import FAILED, ChapterResult, Grader, Result

pytestmark = pytest.mark.xdist_group("class")  # which is graded once

FULL = chapters()[2].points
WRONG = ("self.mlp(self.time(t) + self.label(y))", "self.mlp(self.time(t) * self.label(y))")
NAME = next(m.says for m in chapters()[2].misconceptions if "time(t) * self" in str(m.edits))
FILE = Path("ch02_embeddings", "embeddings.py")


def hand_in(folder: Path, text: str, file: Path = FILE) -> None:
    (folder / file).parent.mkdir(parents=True)
    (folder / file).write_text(text, encoding="utf-8")


def zipped(path: Path, files: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:140] = b"\xff" * 40
    path.write_bytes(data)


def grade(*arguments) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["grade", *map(str, arguments)])
    assert not done.exception or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def table(out: Path, delimiter: str = ",") -> list[dict]:
    text = (out / "grades.csv").read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A class with all that happens; the folder of its grades, and what was said."""
    place = tmp_path_factory.mktemp("class")
    right, wrong = solution(2), edited(solution(2), *WRONG)
    hand_in(place / "anna", right)
    hand_in(place / "Ben", wrong)
    hand_in(place / "wrapped" / "course-main" / "chapters", right)
    hand_in(place / "flat", right, Path("embeddings.py"))
    hand_in(place / "leaves", "raise SystemExit(0)")
    zipped(place / "zoë.zip", {f"work/{FILE.as_posix()}": right, "__MACOSX/._x": "packed"})
    zipped(place / "anna.zip", {FILE.as_posix(): wrong})
    zipped(place / "bomb.zip", {FILE.as_posix(): b"0" * (gradebook.LIMIT + 1)})
    zipped(place / "slips.zip", {"../../slipped.py": "x", FILE.as_posix(): right})
    (place / "broken.zip").write_bytes(b"PK\x03\x04 and nothing more")
    (place / "nothing").mkdir()
    zipped(place / "windows.zip", {f"work/{FILE}".replace("/", "\\"): right})
    zipped(
        place / "clone.zip", {f".git/{k}": "" for k in range(gradebook.COUNT)} | {str(FILE): right}
    )
    zipped(place / "damaged.zip", {FILE.as_posix(): right})
    damage(place / "damaged.zip")
    inner = zipped(place.parent / "work.zip", {f"work/{FILE}": right})
    zipped(place / "twice.zip", {"work.zip": inner.read_bytes()})
    hand_in(place / ("x" * 250), right)
    (place / "copy").symlink_to("anna")
    (place / "zipcopy.zip").symlink_to("twice.zip")
    (place / "=1+1").mkdir()
    (place / "=1+1" / "essay.pdf").write_bytes(b"%PDF")
    (place / "carl.rar").write_bytes(b"Rar!")
    out = place / "results" / "grades"
    code, said = grade(place, "--out", out, "--chapter", 2, "--jobs", 2, "--per", "check")
    return place, out, code, said


def test_every_submission_has_a_line_with_its_points(graded):
    place, out, code, said = graded
    rows = {row["submission"]: row for row in table(out)}
    assert code == 1  # with some there was trouble
    points = {name: int(row["points"]) for name, row in rows.items()}
    assert {name for name, each in points.items() if each == FULL} == {
        *("anna", "flat", "slips", "wrapped", "zoë", "windows", "clone", "twice", "x" * 200)
    }
    assert 0 < points["Ben"] == points["anna.zip"] < FULL
    assert {row["of"] for row in rows.values()} == {str(FULL)}
    assert "slipped.py" not in {p.name for p in place.rglob("*")}
    for row in rows.values():
        checks = [int(row[e.name]) for e in chapters()[2].experiments]
        assert sum(checks) == int(row["points"]) + int(row["optional"])
    assert list(rows) == sorted(rows, key=lambda name: name.lstrip("'").casefold())
    assert said.index("anna ") < said.index("Ben ") < said.index("zoë ")


@pytest.mark.parametrize(
    ("name", "remark"),
    [
        ("nothing", "no chapter in it, such as ch01_datasets: nothing at all"),
        ("'=1+1", "no chapter in it, such as ch01_datasets: only essay.pdf"),
        ("copy", "a link to another submission"),
        ("zipcopy", "a link to another submission"),
        ("bomb", "bomb.zip unpacks to more than 50 MB or 5000 files."),
        ("broken", "cannot be unpacked (File is not a zip file)"),
        ("leaves", ""),  # which is graded: it crashes
    ],
)
def test_trouble_is_a_remark_and_stops_nobody(graded, name, remark):
    _, out, _, said = graded
    (row,) = (row for row in table(out) if row["submission"] == name)
    assert (row["remark"], row["points"]) == (remark, "0")
    assert not remark or remark in said


def test_the_summary_tells_what_went_wrong_and_what_was_left_out(graded):
    *_, said = graded
    assert "19 submissions, 7 of them without anything that could be graded" in said
    assert f"2 × 2.3 {NAME}" in said
    assert "1 × chapter 2: it cannot be imported" in said
    assert "no submissions (folders or zip files): carl.rar" in said


def test_each_author_gets_a_text(graded):
    place, out, *_ = graded
    text = (out / "Ben.txt").read_text(encoding="utf-8")
    assert text.startswith(f"{json.loads((out / 'Ben.json').read_text())['points']}/{FULL} points")
    assert f"it looks like: {NAME}" in text and "\x1b" not in text
    assert str(ROOT) not in text and str(place) not in text
    assert "nothing at all" in (out / "nothing.txt").read_text()


def test_again_only_what_changed_is_graded(graded, monkeypatch):
    place, out, *_ = graded
    asked = []
    grade_it = Grader.grade

    def noted(self, number, submission, *rest, **named):
        asked.append(submission.name)
        return grade_it(self, number, submission, *rest, **named)

    monkeypatch.setattr(Grader, "grade", noted)
    options = (place, "--out", out, "--chapter", 2, "--per", "chapter")
    grade(*options)
    assert asked == []
    assert "chapter 2" in table(out)[0]
    (place / "flat" / "embeddings.py").write_text("")
    grade(*options)
    assert asked == ["flat"]
    (out / "Ben.txt").unlink()
    grade(*options)
    assert asked == ["flat", "Ben"]
    grade(*options, "--feedback", "pass")
    assert set(asked[2:]) >= {"anna", "Ben", "flat", "leaves"}
    assert NAME not in (out / "Ben.txt").read_text(encoding="utf-8")


def test_of_too_many_files_to_look_at_none_is_taken_for_unchanged(tmp_path, monkeypatch):
    monkeypatch.setattr(gradebook, "COUNT", 10)
    hand_in(tmp_path / "class" / "anna", "")
    for k in range(11):
        for folder in (".git", "a"):
            (tmp_path / "class" / "anna" / folder).mkdir(exist_ok=True)
            (tmp_path / "class" / "anna" / folder / str(k)).touch()
    options = (tmp_path / "class", "--chapter", 2, "--out", tmp_path / "g")
    grade(*options)
    assert table(tmp_path / "g")[0]["points"] == "0"
    (tmp_path / "class" / "anna" / FILE).write_text(solution(2), encoding="utf-8")
    grade(*options)
    assert table(tmp_path / "g")[0]["points"] == str(FULL)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_names_that_are_no_text_or_more_than_a_line(tmp_path):
    place, out = tmp_path / "class", tmp_path / "grades"
    for name in (os.fsdecode(b"no\xfftext"), "two\nlines", "[bold]"):
        (place / name).mkdir(parents=True)
        (place / name / os.fsdecode(b"essay\xff\n.pdf")).touch()
    _, said = grade(place, "--out", out, "--chapter", 2)
    remark = "no chapter in it, such as ch01_datasets: only essay� .pdf"
    assert [row["remark"] for row in table(out)] == [remark] * 3
    assert [row["submission"] for row in table(out)] == ["[bold]", "no�text", "two lines"]
    assert "two lines" in said and said.count(remark) == 3
    first = (out / "grades.csv").read_bytes()
    grade(place, "--out", out, "--chapter", 2)
    assert (out / "grades.csv").read_bytes() == first


def test_single_files_with_their_author_in_the_name(tmp_path):
    files = {
        "muster_LATE_1234_77_embeddings.py": "old",
        "muster_LATE_1234_99_embeddings-2.py": "newest",
        "muster_LATE_1234_88_embeddings-1.py": "newer",
        "muster_LATE_1234_66_blocks.py": "blocks",
        "zoe_embeddings.py": "zoe",
        "ben_17_embeddings.py": "17",
        "ben_18_embeddings.py": "18",
        "embeddings.txt": "no program",
        "essay.py": "of no chapter",
    }
    (tmp_path / "class").mkdir()
    for name, text in files.items():
        (tmp_path / "class" / name).write_text(text)
    found, others = gradebook.submissions(
        [tmp_path / "class"], tmp_path / "scratch", tmp_path / "grades"
    )
    assert not any(s.trouble for s in found)
    texts = {s.name: (s.folder / FILE).read_text() for s in found}
    assert texts == {"ben_17": "17", "ben_18": "18", "muster_LATE_1234": "newest", "zoe": "zoe"}
    assert (found[2].folder / "ch03_residual_block" / "blocks.py").read_text() == "blocks"
    assert others == ["embeddings.txt", "essay.py"]


def test_one_submission_in_the_forms_of_course_systems(tmp_path):
    hand_in(tmp_path / "ben", edited(solution(2), *WRONG))
    options = ("--chapter", 2, "--out", tmp_path / "g")
    code, said = grade(tmp_path / "ben", *options, "--format", "gradescope")
    assert code == 0 and "1 submission\n" in said and "Half" not in said
    ours = json.loads((tmp_path / "g" / "ben.json").read_text())
    theirs = json.loads((tmp_path / "g" / "ben.gradescope.json").read_text())
    assert theirs["score"] == ours["points"] == sum(t["score"] for t in theirs["tests"])
    assert sum(t["max_score"] for t in theirs["tests"]) == FULL
    failed = [t for t in theirs["tests"] if t["status"] == "failed"]
    assert failed and all(f"it looks like: {NAME}" in t["output"] for t in failed)
    grade(tmp_path / "ben", *options, "--format", "junit")
    (suite,) = ElementTree.parse(tmp_path / "g" / "ben.xml").getroot()
    assert int(suite.get("tests")) == len(list(suite)) == len(chapters()[2].experiments)
    assert int(suite.get("failures")) == len(failed) == len(suite.findall("testcase/failure"))
    given = [int(p.get("value")) for p in suite.iter("property") if p.get("name") == "points"]
    assert sum(given) == ours["points"]


def test_what_authors_may_read_tells_no_more_than_it_should(tmp_path):
    hand_in(tmp_path / "class" / "ben", "from helper import nothing")
    (tmp_path / "class" / "ben" / FILE.parent / "helper.py").touch()
    for feedback in ("symptom", "pass"):
        for format in ("gradescope", "junit"):
            out = tmp_path / f"{feedback}-{format}"
            options = ("--chapter", 2, "--feedback", feedback, "--format", format, "--out", out)
            grade(tmp_path / "class", *options)
            (further,) = {*out.iterdir()} - {out / f for f in ("ben.json", "ben.txt", "grades.csv")}
            for file in (further, out / "ben.txt"):
                text = file.read_text(encoding="utf-8")
                assert str(tmp_path) not in text and str(ROOT) not in text
                assert ("cannot import name" in text) == (feedback == "symptom"), file


def test_the_place_of_a_picture_is_that_in_the_authors_own_course(monkeypatch):
    monkeypatch.chdir(ROOT.parent)
    chapter = chapters()[5]
    e = next(e for e in chapter.experiments if not e.star)
    says = next(m.says for m in chapter.misconceptions if m.draws == "alpha-bar-without-its-root")
    result = Result(e, FAILED, "it differs", mistakes=(says,))
    text = report.as_text([ChapterResult(chapter, Path(), (result,), False, "", (), 0.0)], "named")
    assert f" {Path('docs', 'gallery', 'alpha-bar-without-its-root.png')}\n" in text


ROSTER = """Identifier;Full name;Email address;Grade;Feedback
Participant 17;Anna Muster;anna@school.example;;see the file
Participant 18;Ben Beispiel;ben@school.example;
Participant 19;Zoë Abwesend;zoe@school.example;
Participant 20;Zoë Abwesend;zoe.a@school.example;
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_grades_are_added_to_the_lines_of_a_roster(tmp_path, encoding):
    (tmp_path / "roster.csv").write_bytes(ROSTER.encode(encoding))
    for name in ("Anna Muster_17_assignsubmission_file", "BEN", "Zoë Abwesend", "dora"):
        (tmp_path / "class" / name).mkdir(parents=True)
    out = tmp_path / "grades"
    grade(tmp_path / "class", "--roster", tmp_path / "roster.csv", "--out", out, "--chapter", 2)
    rows = table(out, ";")
    assert [row["submission"][:4] for row in rows] == ["Anna", "BEN", "", "", "dora", "Zoë "]
    assert [row["Email address"][:4] for row in rows] == ["anna", "ben@", "zoe@", "zoe.", "", ""]
    assert rows[0]["Full name"] == "Anna Muster" and rows[0]["points"] == "0"
    assert rows[2]["points"] == ""  # who has handed in nothing
    assert all(row["remark"].startswith("no line of its own in the roster") for row in rows[4:])


def test_two_submissions_of_one_person_are_not_both_theirs():
    people = Roster(["id", "name"], [["17", "Anna"], ["18", "Ben"]])
    attempts = ["ddpm_17_attempt_2026-11-02", "ddpm_17_attempt_2026-11-10", "18_anna"]
    lines, strangers = people.joined(attempts)
    assert [index for _, index in lines] == [1, None]
    assert strangers == [0, 2]  # the earlier one; Ben's number with Anna's name


def test_names_match_a_roster_however_their_accents_are_written():
    people = Roster(
        ["id", "name"], [["Participant 17", "Zo\u00eb"], ["Participant 18", "the file"]]
    )
    lines, strangers = people.joined(["Zoe\u0308_17_assignsubmission_file_", "ben_3_file"])
    assert [index for _, index in lines] == [0, None]
    assert strangers == [1]


def test_the_assignment_that_github_puts_before_each_name_is_left_out():
    people = Roster(["login", "name"], [["anna-m", "Anna M"], ["ben", "Ben M"]])
    lines, strangers = people.joined(["ddpm-ch2-anna-m", "ddpm-ch2-ben", "ddpm-ch2-dora"])
    assert [index for _, index in lines] == [0, 1] and strangers == [2]
    # Something that is not from GitHub beside them; all of those handed in called anna; one alone.
    assert people.joined(["ddpm-anna-m", "ddpm-ben", "my-notes"])[1] == [2]
    people = Roster(["login"], [["anna-m"], ["anna-k"], ["schmidt"]])
    assert people.joined(["ddpm-anna-m", "ddpm-anna-k"])[1] == []
    assert people.joined(["müller-schmidt"])[1] == [0]


UNCLOSED = b'id,name\n17,"Anna' + b"\n18,Ben" * 30000


def test_first_and_last_names_may_stand_in_two_cells():
    people = Roster(["Last", "First", "Mark"], [["Muster", "Anna", ""], ["Muster", "Ben", ""]])
    lines, strangers = people.joined(["Anna Muster_17_assignsubmission_file", "muster ben"])
    assert [index for _, index in lines] == [0, 1] and not strangers


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\1\2\xff", b"one line only\n", UNCLOSED],
    ids=["empty", "binary", "one line", "unclosed"],
)
def test_what_is_no_roster_is_told(tmp_path, content):
    (tmp_path / "roster.csv").write_bytes(content)
    with pytest.raises(Problem, match="no table of a class"):
        Roster.read(tmp_path / "roster.csv")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "Cannot use"),
        (["empty"], "neither chapters nor submissions"),
        (["class", "--chapter", "12"], "There is no chapter 12"),
        (["class", "--per", "week"], "--per is one of chapter, exercise, check"),
        (["class", "--format", "moodle"], "--format is one of gradescope, junit"),
        (["class", "--feedback", "auto"], "--feedback is one of pass, symptom, named"),
        (["class", "--roster", "nowhere.csv"], "Cannot read nowhere.csv"),
        (["class", "--out", "class/anna/file"], "--out cannot be"),
        (["class/anna", "other/anna", "other/class/anna"], "Two submissions are called anna"),
        (["mixed"], "mixed holds chapters itself, and several submissions"),
    ],
)
def test_a_question_that_is_wrong_is_told_before_anything_is_graded(
    tmp_path, monkeypatch, arguments, says
):
    for folder in ("class/anna", "other/anna", "other/class/anna"):
        hand_in(tmp_path / folder, solution(2))
    (tmp_path / "class" / "anna" / "file").touch()
    for name in ("anna", "ben"):
        hand_in(tmp_path / "mixed" / name, solution(2))
    (tmp_path / "mixed" / "embeddings.py").touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Grader, "grade", None)
    code, said = grade(*arguments)
    assert code == 2 and says in said
    assert not Path("grades").exists()


def test_one_name_in_two_classes_gets_the_folder_before_it(tmp_path):
    for folder in ("monday", "tuesday"):
        hand_in(tmp_path / folder / "anna", solution(2))
    found, _ = gradebook.submissions(
        [tmp_path / "monday", tmp_path / "tuesday"], tmp_path / "scratch", tmp_path / "grades"
    )
    assert [s.name for s in found] == ["monday-anna", "tuesday-anna"]


def test_the_grader_failing_on_one_spares_the_others(tmp_path, monkeypatch):
    for name in ("anna", "ben"):
        hand_in(tmp_path / "class" / name, solution(2))
    grade_it = Grader.grade

    def fails(self, number, submission, *rest, **named):
        if submission.name == "anna":
            raise ZeroDivisionError("a bug")
        return grade_it(self, number, submission, *rest, **named)

    monkeypatch.setattr(Grader, "grade", fails)
    options = (tmp_path / "class", "--out", tmp_path / "g", "--chapter", 2)
    code, said = grade(*options)
    assert code == 1 and "worth a report to us: ZeroDivisionError('a bug')" in said
    assert [row["points"] for row in table(tmp_path / "g")] == ["0", str(FULL)]
    monkeypatch.setattr(Grader, "grade", grade_it)
    assert grade(*options)[0] == 0  # it is tried again


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to another process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_stopped_keeps_what_is_graded_and_leaves_nothing_else(tmp_path, number):
    place, out = tmp_path / "class", tmp_path / "grades"
    hand_in(place / "anna", solution(2))
    hand_in(place / "ben", "import time\ntime.sleep(60)")
    command = [sys.executable, "-m", "checks", "grade", place, "--out", out, "--chapter", "2"]
    (tmp_path / "scratch").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "scratch")}
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        for _ in range(600):
            if (out / "grades.csv").exists():
                break
            time.sleep(0.1)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Stopped. What is graded is in" in said and "Traceback" not in said
    assert [row["submission"] for row in table(out)] == ["anna"]
    assert not (out / "ben.json").exists()
    assert not list((tmp_path / "scratch").glob("checks-class-*"))


def test_a_file_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "anna_embeddings.py").touch()
    monkeypatch.setattr(gradebook.shutil, "copy", refused)
    code, said = grade(tmp_path)
    assert code == 2 and "anna_embeddings.py (Permission denied)" in said


def test_the_grades_are_no_submission_where_a_link_leads_to_them(tmp_path):
    hand_in(tmp_path / "class" / "anna", "")
    (tmp_path / "class" / "grades").mkdir()
    (tmp_path / "link").symlink_to("class")
    found, _ = gradebook.submissions(
        [tmp_path / "class"], tmp_path / "scratch", tmp_path / "link" / "grades"
    )
    assert [s.name for s in found] == ["anna"]


def test_nobody_else_can_look_at_what_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    hand_in(tmp_path / "anna", "")
    with gradebook.handed_in([tmp_path / "anna"], tmp_path / "grades"):
        (scratch,) = tmp_path.glob("checks-class-*")
        assert os.name == "nt" or scratch.stat().st_mode & 0o077 == 0
