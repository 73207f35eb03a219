"""make.py: what it says without installing anything."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ("setup", "demo", "test", "lint", "format", "bench")


def run(*command, folder=ROOT):
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=60)


@pytest.fixture
def copy(tmp_path):
    """make.py alone in a folder with nothing installed."""
    shutil.copy(ROOT / "make.py", tmp_path)
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


@pytest.mark.parametrize("arguments", [[], ["help"], ["-h"], ["--help"]])
def test_help_names_every_target(copy, arguments):
    done = run(sys.executable, "make.py", *arguments, folder=copy)
    assert (done.returncode, done.stderr) == (0, "")
    named = re.findall(r"^  (\w+) +\w", done.stdout, re.MULTILINE)
    assert set(TARGETS) <= set(named)
    assert not (copy / ".venv").exists()


@pytest.mark.parametrize("arguments", [["nonsense"], ["bench"], ["bench", "nonsense"]])
def test_a_wrong_target_is_one_sentence(copy, arguments):
    done = run(sys.executable, "make.py", *arguments, folder=copy)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("make.py: ")
    assert not (copy / ".venv").exists()


def test_a_wrong_target_is_told_the_right_ones(copy):
    said = run(sys.executable, "make.py", "nonsense", folder=copy).stderr
    assert "'nonsense'" in said
    assert all(target in said for target in TARGETS)


def test_a_benchmark_without_a_name_is_told_those_that_there_are(copy):
    (copy / "benchmarks").mkdir()
    for name in ("speed.py", "_shared.py"):
        (copy / "benchmarks" / name).touch()
    said = run(sys.executable, "make.py", "bench", folder=copy).stderr
    assert "speed" in said and "_shared" not in said


@pytest.mark.parametrize("version", [(3, 6, 15), (3, 8, 20), (3, 10, 14)])
def test_an_old_python_says_that_it_is_too_old(copy, version):
    pretend = (
        f"import runpy, sys; sys.version_info = {version}; sys.argv = ['make.py', 'setup']; "
        "runpy.run_path('make.py', run_name='__main__')"
    )
    done = run(sys.executable, "-c", pretend, folder=copy)
    assert (done.returncode, done.stdout) == (2, "")
    assert "3.11" in done.stderr and f"{version[0]}.{version[1]}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (copy / ".venv").exists()


def test_an_old_python_can_read_it():
    source = (ROOT / "make.py").read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 6))
    newer = {"removeprefix", "removesuffix", "is_relative_to"} & {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    }
    assert not newer
    names = [
        alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names
    ]
    names += [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert "sys" in names
    assert set(names) <= {*sys.stdlib_module_names, "importlib.util"} - {"tomllib"}  # 3.11 has it


def loaded():
    spec = importlib.util.spec_from_file_location("make_for_tests", ROOT / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    return make


def test_slow_tests_are_left_out_unless_tests_are_named():
    *_, commands_for = loaded().TARGETS["test"]
    assert commands_for([])[-1][-2:] == ["-m", "not slow"]
    assert "not slow" not in commands_for(["-k", "notebook"])[-1]


def test_makefile_passes_every_target_on():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY:(.*)$", text, re.MULTILINE).group(1).split()
    make = loaded()
    assert set(phony) - {"help"} == set(make.TARGETS)
    assert set(TARGETS) <= set(make.TARGETS)


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
@pytest.mark.parametrize(("target", "code"), [("help", 0), ("nonsense", 2)])
def test_make_from_another_folder(copy, tmp_path_factory, target, code):
    other = tmp_path_factory.mktemp("other")
    done = run("make", "-C", copy, target, f"PYTHON={sys.executable}", folder=other)
    assert done.returncode == code
    assert "demo" in (done.stdout if code == 0 else done.stderr)
    assert os.listdir(other) == []
