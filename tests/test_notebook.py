"""The Colab notebook: executed from top to bottom on the shapes, in seconds, without a GPU."""

import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
import typer
from nbclient import NotebookClient

from ddpm_ref.cli import app

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "colab.ipynb"
COMMANDS = typer.main.get_command(app).commands


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """The name of a kernel that is the running Python; all that Jupyter writes goes to tmp_path."""
    spec = tmp_path / "jupyter" / "kernels" / "this-python"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    about = {"argv": command, "display_name": "this Python", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(about))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    for variable in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    return "this-python"


def code(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def shown(notebook, kind):
    """The outputs of one MIME type."""
    outputs = (o for cell in notebook.cells for o in cell.get("outputs", ()))
    return [o.data[kind] for o in outputs if kind in o.get("data", {})]


@pytest.mark.slow
def test_runs_from_top_to_bottom(kernel, tmp_path, monkeypatch):
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # its own: executing fills in the outputs
    settings = {"DATASET": "shapes", "PRESET": "demo", "SECONDS": 1, "PICTURES": 40}
    for name, value in (settings | {"FOLDER": tmp_path / "runs"}).items():
        monkeypatch.setenv(f"DDPM_NOTEBOOK_{name}", str(value))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    NotebookClient(
        notebook,
        kernel_name=kernel,
        timeout=120,
        resources={"metadata": {"path": NOTEBOOK.parent}},  # where Jupyter would start it
    ).execute()
    run = tmp_path / "runs" / "demo-shapes"
    assert len(shown(notebook, "image/png")) == 4
    assert {"samples.png", "progress.png", "report.html"} <= {p.name for p in run.iterdir()}
    scores = json.loads((run / "evaluation.json").read_text())
    assert scores["n"] == 40
    assert 0 <= scores["class_accuracy"] <= 1
    assert "| star |" in "".join(shown(notebook, "text/markdown"))
    assert "iframe" in "".join(shown(notebook, "text/html"))


def test_is_committed_as_it_was_written(notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert cell.metadata == {}
    assert set(notebook.metadata) == {"accelerator", "colab", "kernelspec", "language_info"}


def test_asks_colab_for_a_gpu(notebook):
    assert notebook.metadata.accelerator == "GPU"
    assert notebook.metadata.colab.gpuType == "T4"


def test_keeps_the_torch_of_the_runtime(notebook):
    source = "\n".join(code(notebook))
    assert not re.search(r"(?i)(torch|torchvision)\s*(==|<|~=)", source)
    assert not re.search(r"pip install.*\b(torch|--upgrade|-U)\b", source)
    assert 'assert version("torch") == torch_before' in source


def test_the_repository_is_named_in_one_place(notebook):
    text = NOTEBOOK.read_text(encoding="utf-8")
    address = re.search(r'^REPOSITORY = "(https://[^"]+)"', "\n".join(code(notebook)), re.M).group(
        1
    )
    owner, name = address.split("/")[-2:]
    # The badge cannot read a variable: it has to name the same repository.
    assert set(re.findall(r"/github/([\w-]+/[\w-]+)/blob", text)) == {f"{owner}/{name}"}


def test_its_commands_and_options_exist(notebook):
    text = "\n".join(cell.source for cell in notebook.cells)
    typed = re.findall(r"!ddpm ([a-z]+)([^\n`]*)", text)
    assert {"train", "sample", "evaluate", "report"} <= {command for command, _ in typed}
    for command, rest in typed:
        known = {o for p in COMMANDS[command].params for o in (*p.opts, *p.secondary_opts)}
        assert set(re.findall(r"(?<=\s)--?[a-z][\w-]*", rest)) <= known, command
