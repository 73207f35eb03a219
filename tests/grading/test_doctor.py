"""`python -m checks doctor`: what is there is found, what is missing is told with what to do."""

import io
import json
import os
import subprocess
import sys
from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from checks import doctor
from checks.catalogue import ROOT
from checks.doctor import NOTE, OK, PROBLEM, Finding

pytestmark = pytest.mark.xdist_group("doctor")

CUDA = {
    "ddpm_ref": str(ROOT / "ddpm_ref" / "__init__.py"),
    "torch": "2.8.0",
    "build": "built for CUDA 12.8",
    "seconds": 2.0,
    "device": "cuda (NVIDIA H100, 85 GB)",
    "precision": "bf16",
    "bf16": True,
    "trouble": "",
}


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "checks", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )


def levels(found) -> list[str]:
    return [each.level for each in found]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """As it is typed, on the machine that runs these tests: they run here, so it is fit."""
    file = tmp_path_factory.mktemp("doctor") / "doctor.json"
    return run("doctor", "--json", file), json.loads(file.read_text(encoding="utf-8"))


def test_this_machine_is_fit(here):
    done, content = here
    assert done.returncode == 0 and content["fit"], done.stdout + done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == len(content["findings"]) + 1
    for line, each in zip(lines, content["findings"], strict=False):
        assert line.startswith(each["level"]) and each["says"] in line
        assert (each["do"] == "") == (each["level"] == OK), line
    assert "nothing here prevents your work" in lines[-1]


def test_all_that_matters_is_looked_at(here):
    about = [each["about"] for each in here[1]["findings"]]
    for what in ("Python", "torch", "open_clip_torch", "processor", "memory", "disk", "terminal"):
        assert what in about
    for what in ("device", "precision", "ddpm_ref", "grading", "processes", "chapters", "network"):
        assert what in about
    assert about.count("sandbox") == len(doctor.LAYERS)
    grading = next(each["says"] for each in here[1]["findings"] if each["about"] == "grading")
    assert "chapter 2's solution passes" in grading


def test_the_home_folder_is_not_told(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: ROOT.parent)
    assert doctor.without_home(f"in {ROOT}") == f"in ~{os.sep}{ROOT.name}"
    monkeypatch.setattr(Path, "home", lambda: Path("/"))
    assert doctor.without_home("in /usr") == "in /usr"


def test_a_broken_torch_is_two_sentences(tmp_path):
    (tmp_path / "torch").mkdir()
    broken = "raise ImportError('libcudart.so.12: cannot open shared object file')"
    (tmp_path / "torch" / "__init__.py").write_text(broken)
    done = run("doctor", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    told = [line for line in done.stdout.splitlines() if "libcudart.so.12" in line]
    assert [line.split()[:2] for line in told] == [[PROBLEM, "torch"], [PROBLEM, "grading"]]
    assert "problem above (torch, grading)" in done.stdout


def test_without_what_the_command_line_is_made_of(tmp_path):
    (tmp_path / "numpy.py").write_text("raise ModuleNotFoundError(\"No module named 'numpy'\")")
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")")
    done = run("chapter", 2, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert "No module named 'numpy'" in done.stderr and "activate .venv" in done.stderr
    done = run("doctor", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert "grading         it cannot run (No module named 'numpy')" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_without_our_marks_ends_no_command(encoding, monkeypatch):
    done = run("hint", "2.1", PYTHONIOENCODING=encoding)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    (found,) = doctor.terminal()
    assert found.level == NOTE and "PYTHONUTF8=1" in found.do


def test_json_wants_a_place():
    done = run("doctor", "--json", "/nowhere/x.json")
    assert done.returncode == 2 and "--json cannot write" in done.stderr


def test_packages_that_are_missing_or_old(monkeypatch):
    def none(name):
        raise PackageNotFoundError(name)

    assert set(levels(doctor.packages())) == {OK}
    monkeypatch.setattr(doctor, "version", none)
    missing = list(doctor.packages())
    assert set(levels(missing)) == {PROBLEM} and len(missing) == 10
    assert all("is missing" in each.says and each.do for each in missing)
    monkeypatch.setattr(doctor, "version", lambda name: "0.0.9+local")
    assert "torch 0.0.9+local is older than 2.6" in next(doctor.packages()).says
    monkeypatch.setattr(doctor, "version", lambda name: "2026.10.1rc1")
    assert set(levels(doctor.packages())) == {OK}


def test_a_python_that_is_too_old(monkeypatch):
    assert levels(doctor.python()) == [OK]
    monkeypatch.setattr(doctor.sys, "version_info", (3, 10, 2, "final", 0))
    (found,) = doctor.python()
    monkeypatch.undo()
    assert found.level == PROBLEM and "3.11 or newer is needed" in found.says


def test_a_python_that_is_too_old_is_one_sentence_for_every_command():
    code = "import runpy, sys; sys.version_info = (3, 10, 2, 'final', 0); "
    code += "runpy.run_module('checks', run_name='__main__')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert "3.11 or newer is needed, and this is 3.10" in done.stderr


@pytest.mark.parametrize(("free", "expected"), [(5e7, PROBLEM), (5e8, NOTE), (5e10, OK)])
def test_the_room_on_disk(free, expected, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: usage(1e12, 0, free))
    scratch, here = (each.level for each in doctor.disk())
    assert scratch == expected
    assert here == (OK if expected == OK else NOTE)  # runs may lie elsewhere


def test_a_place_that_cannot_be_written(tmp_path, monkeypatch):
    found = doctor._room(tmp_path / "nowhere", "runs", NOTE, "give --out")
    assert found.level == NOTE and "cannot be written" in found.says


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB"}, OK),
        ({"/proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 400000 kB"}, NOTE),
        (
            {
                "/proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB",
                "/sys/fs/cgroup/memory.max": "1000000000",
                "/sys/fs/cgroup/memory.current": "900000000",
            },
            NOTE,
        ),
    ],
)
def test_memory(files, expected, monkeypatch):
    monkeypatch.setattr(doctor, "_read", files.get)
    assert levels(doctor.memory()) == [expected]


@pytest.mark.skipif(sys.platform == "win32", reason="sysconf")
def test_memory_of_a_system_that_does_not_tell_what_is_free(monkeypatch):
    monkeypatch.setattr(doctor, "_read", lambda path: None)
    (found,) = doctor.memory()
    assert found.level == OK and "cannot be told" in found.says


def test_a_container_with_half_a_processor(monkeypatch):
    monkeypatch.setattr(doctor, "_read", {"/sys/fs/cgroup/cpu.max": "50000 100000"}.get)
    assert "may use 0.5" in next(doctor.processor()).says


def test_files_that_are_missing(tmp_path, monkeypatch):
    assert set(levels(doctor.rooms())) == {OK}
    real = doctor.stub_of
    monkeypatch.setattr(
        doctor, "stub_of", lambda c: ROOT / "no" / "x.py" if c.number == 3 else real(c)
    )
    note, rest = doctor.rooms()
    assert note.level == NOTE and note.do == "python -m checks reset 3" and rest.level == OK
    monkeypatch.setattr(doctor, "solution_of", lambda c: ROOT / "solutions" / "gone.py")
    (found,) = doctor.rooms()
    assert found.level == PROBLEM and "solutions" in found.says


@pytest.mark.parametrize(
    ("facts", "failure", "expected"),
    [
        (CUDA, "", {}),
        (CUDA | {"trouble": "CUDA error: no kernel image"}, "", {"device": NOTE}),
        (CUDA | {"device": "cpu (2 threads)"}, "", {"device": NOTE}),
        (CUDA | {"ddpm_ref": None}, "", {"ddpm_ref": NOTE}),
        (CUDA | {"ddpm_ref": "/else/ddpm_ref/__init__.py"}, "", {"ddpm_ref": NOTE}),
        (CUDA, "RuntimeError: operator torchvision::nms", {"torchvision": PROBLEM}),
        ({"ddpm_ref": None}, "it ended with code -11", {"torch": PROBLEM}),
        ({"torch": "2.8.0", "build": "", "seconds": 1.0}, "AttributeError", {"device": PROBLEM}),
    ],
)
def test_torch_and_the_device(facts, failure, expected, monkeypatch):
    monkeypatch.setattr(doctor, "_facts", lambda: (facts, failure))
    monkeypatch.setattr(doctor, "has_nvidia", lambda: True)
    found = list(doctor.torch_and_device())
    assert {f.about: f.level for f in found if f.level != OK} == expected
    assert all(f.do for f in found if f.level != OK)


def test_each_layer_of_the_sandbox_is_tried(grader, monkeypatch):
    """A layer that is said to hold, and does not, is found."""
    monkeypatch.setattr(grader.pool, "layers", ())
    found = {f.says.partition(":")[0]: f for f in doctor.sandbox(tuple(doctor.LAYERS), grader)}
    needs_root = {"user"} if os.name == "nt" or os.geteuid() else set()
    assert {name for name, f in found.items() if f.level == PROBLEM} == {*found} - needs_root
    assert "a submission could read the reference, write to the grader" in found["files"].says
    off = list(doctor.sandbox((), grader))
    assert {f.says.partition(":")[0] for f in off if f.level == NOTE} >= {*found} - {"user"}


def test_a_grader_that_cannot_grade_is_told(monkeypatch, grader):
    """What it needs has been changed: the solution no longer passes."""
    from checks import grader as judge

    result = grader.grade(2, ROOT / "chapters", naming=lambda e: False)

    class Changed:
        def __init__(self, pool):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def grade(self, *_, **__):
            return result

    monkeypatch.setattr(judge, "Grader", Changed)
    monkeypatch.setattr("checks.workers.Pool", lambda: None)
    (found,) = doctor.grading()
    assert found.level == PROBLEM and "chapter 2's solution fails" in found.says


def test_what_was_changed_since_the_commit_is_told(monkeypatch):
    answers = {"log": "abc1234 of 2026-01-02", "status": " M ddpm_ref/loss.py\n?? checks/mine.py"}
    monkeypatch.setattr(doctor, "_git", lambda verb, *_: answers[verb])
    monkeypatch.setattr(doctor.Path, "exists", lambda path: True)
    (found,) = doctor.course()
    assert found.level == NOTE and "ddpm_ref/loss.py, checks/mine.py" in found.says
    answers["status"] = ""
    assert levels(doctor.course()) == [OK]


def test_what_cannot_be_found_out_costs_the_rest_nothing(monkeypatch):
    def memory():
        raise OSError("a system like none before")
        yield

    for part in ("torch_and_device", "grading"):  # tried above
        monkeypatch.setattr(doctor, part, lambda: iter(()))
    monkeypatch.setattr(doctor, "memory", memory)
    found = list(doctor.findings())
    (odd,) = (f for f in found if f.about == "memory")
    assert odd.level == NOTE and "like none before" in odd.says
    assert {"course", "Python", "disk", "network"} <= {f.about for f in found}


def test_the_verdict():
    fine, odd = Finding(OK, "a", "b"), Finding(NOTE, "a", "b", "c")
    bad = Finding(PROBLEM, "torch", "is missing", "make setup")
    assert doctor.verdict([fine, odd]).level == OK and doctor.as_json([fine, odd])["fit"]
    assert "(torch)" in doctor.verdict([bad, fine, bad]).says
    assert str(bad).split() == [PROBLEM, "torch", "is", "missing:", "make", "setup"]
