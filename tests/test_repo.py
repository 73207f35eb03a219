"""Rules of the house that a reader cannot see at a glance: who imports whom, what is not here."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from ddpm_ref.cli import app

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = sorted((ROOT / "ddpm_ref").rglob("*.py"))
KEPT_OUT = {".git", ".venv", "__pycache__", ".pytest_cache", ".ruff_cache", "runs", "data", "build"}


def files():
    """Every file of the repository, without what tools and runs leave behind."""
    for folder, below, names in os.walk(ROOT):
        below[:] = [n for n in below if n not in KEPT_OUT and not n.endswith(".egg-info")]
        if Path(folder) == ROOT and "site" in below:  # as built; tests/site is ours
            below.remove("site")
        yield from (Path(folder) / name for name in names)


def imported(path):
    """Top-level names of the modules that a file imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("ddpm_ref" if node.level else node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", PACKAGE, ids=[p.stem for p in PACKAGE])
def test_the_reference_imports_no_other_room(path):
    assert imported(path).isdisjoint({"checks", "chapters", "solutions", "tests", "benchmarks"})


@pytest.mark.parametrize("path", PACKAGE, ids=[p.stem for p in PACKAGE])
def test_the_reference_says_what_each_module_is(path):
    if path.name != "__main__.py":
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def loaded_after(statement):
    """Which modules a fresh Python has after a statement."""
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60
    )
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stderr.splitlines()}


HELP = """
import sys
sys.argv = ['ddpm', {}'--help']
from ddpm_ref.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
"""


@pytest.mark.parametrize(
    "statement",
    ["import ddpm_ref.cli", HELP.format(""), HELP.format("'train', "), HELP.format("'guide', ")],
    ids=["import", "help", "help of train", "help of guide"],
)
def test_help_does_not_wait_for_torch(statement):
    loaded = loaded_after(statement)
    assert "typer" in loaded
    assert loaded.isdisjoint({"torch", "torchvision", "matplotlib", "numpy", "open_clip"})


def test_chapters_load_only_torch():
    """A learner's first check must not wait for what its chapter does not use."""
    modules = ("embeddings", "blocks", "unet", "diffusion", "loss", "sampling", "clip.clip")
    loaded = loaded_after("import " + ", ".join(f"ddpm_ref.{name}" for name in modules))
    assert "torch" in loaded
    heavy = {"torchvision", "open_clip", "matplotlib", "typer", "rich", "PIL"}
    assert loaded.isdisjoint(heavy)


def test_training_and_drawing_load_no_plots():
    loaded = loaded_after("import ddpm_ref.training, ddpm_ref.runs, ddpm_ref.referee")
    assert loaded.isdisjoint({"torchvision", "open_clip", "matplotlib"})


def test_no_pickles():
    endings = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz"}
    assert [str(path) for path in files() if path.suffix in endings] == []
    for path in PACKAGE:
        assert imported(path).isdisjoint({"pickle", "shelve", "joblib", "dill", "marshal"})
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("torch", "load"), ("torch", "save")}


def test_no_registry_is_named():
    """Where packages come from is for the machine that installs them to say."""
    hosts = ("pypi" + r"\.org", "python" + "hosted", "download" + r"\.pytorch", "conda" + r"\.org")
    pattern = re.compile("|".join([*hosts, "index" + "-url", "find" + "-links"]))
    kinds = {".py", ".toml", ".md", ".yml", ".yaml", ".txt", ".cfg", ".lock", ".json", ""}
    read = [path for path in files() if path.suffix in kinds]
    assert ROOT / "pyproject.toml" in read and ROOT / "Makefile" in read
    naming = [
        str(p) for p in read if pattern.search(p.read_text(encoding="utf-8", errors="ignore"))
    ]
    assert naming == []


def test_no_large_files():
    """But for weights, which come to everybody's machine, too."""
    weights = ROOT / "ddpm_ref" / "weights"
    sizes = {path: path.stat().st_size for path in files()}
    assert [str(p) for p, size in sizes.items() if size > 2_000_000 and p.parent != weights] == []
    assert sum(size for p, size in sizes.items() if p.parent == weights) < 20_000_000


COMMANDS = typer.main.get_command(app).commands


def typed_in(*names):
    """Commands of `ddpm` in the code of these pages, each with its options."""
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    code = code.replace("\\\n", " ")
    found = re.findall(r"(?:\bddpm|-m ddpm_ref)[ \t]+([a-z][\w-]*)([^\n`|#]*)", code)
    return [(command, re.findall(r"(?<=\s)--?[a-z][\w-]*", rest)) for command, rest in found]


def test_the_commands_of_the_readme_exist():
    typed = typed_in("README.md", "docs/clip.md")
    assert {"sample", "train", "guide", "clip-train"} <= {command for command, _ in typed}
    for command, options in typed:
        assert command in COMMANDS
        known = {o for p in COMMANDS[command].params for o in (*p.opts, *p.secondary_opts)}
        assert set(options) <= known | {"--help"}, command


def test_the_commands_that_help_speaks_of_exist():
    """Help texts and messages name commands, too."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE)
    named = set(re.findall(r"\bddpm ([a-z]+(?:-[a-z]+)*)\b", source))
    assert {"demo", "sample", "clip-train"} <= named
    assert named <= set(COMMANDS)


def test_every_command_and_option_explains_itself():
    for name, command in COMMANDS.items():
        assert command.help, name
        for parameter in command.params:
            if parameter.name not in ("help", "batch_size", "learning_rate"):  # names say it all
                assert parameter.help, (name, parameter.name)


def test_the_make_targets_of_the_readme_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    named = set(re.findall(r"^\s*(?:`)?make(?: -C \S+)? ([a-z]+)", code, re.MULTILINE))
    phony = re.search(r"^\.PHONY:(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1)
    assert {"demo", "test"} <= named <= set(phony.split())


@pytest.mark.xdist_group("a group")
def test_workers_know_what_belongs_together(request):
    """A pytest that pytest-xdist does not know well splits groups without a word, and all takes longer."""
    if getattr(request.config.option, "loadgroup", False):
        assert request.node.nodeid.endswith("@a group")


def test_a_clean_machine_runs_the_readme_s_test_command():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text(encoding="utf-8")
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")
