"""What the pages show is what the project is: code, commands, figures, numbers."""

import json
import re
import shlex

import pytest
import typer
import yaml
from pymdownx.superfences import SuperFencesException

from checks.catalogue import chapters
from checks.cli import app as grader
from checks.questions import load
from ddpm_ref.cli import app as reference
from docs.tools import check, fences, figures, measured, sources
from docs.tools.questions import render

MAKE = re.search(
    r"^\.PHONY:(.*)$", (check.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
)[1].split()
PAGES = check.pages()


def test_the_pages_are_found():
    assert len(PAGES) > 20
    assert any(check.executed(page) for page in PAGES)
    assert sum(len(check.commands(page)) for page in PAGES) > 20


def test_every_block_of_code_is_included_or_executed_and_every_figure_current():
    assert check.problems() == []


def test_a_copied_block_is_found(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("# P\n\n```text\ncopied\n```\n\n```console\nmake demo\n```\n", encoding="utf-8")
    monkeypatch.setattr(check, "ROOT", tmp_path)
    monkeypatch.setattr(check, "pages", lambda: [page])
    monkeypatch.setattr(check, "stale", list)
    assert [("page.md, line 3" in problem) for problem in check.problems()] == [True]


def test_a_figure_that_is_out_of_date_is_found(monkeypatch):
    name, figure = next(iter(figures.FIGURES.items()))
    changed = figures.Figure(name, (*figure.sources, "make.py"), figure.draw)
    monkeypatch.setitem(figures.FIGURES, name, changed)
    assert figures.stale() == [name]


@pytest.mark.parametrize("page", [p for p in PAGES if check.executed(p)], ids=lambda p: p.stem)
def test_the_python_of_a_page_runs(page):
    namespace = {}
    for block in check.executed(page):
        exec(compile("\n" * block.line + block.body, str(page), "exec"), namespace)


def known(app) -> dict[str, set[str]]:
    """Commands of a program, each with its options."""
    commands = typer.main.get_command(app).commands
    return {
        name: {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        for name, command in commands.items()
    }


PROGRAMS = {"ddpm": known(reference), "python -m checks": known(grader)}


def complaint(command: str) -> str | None:
    """What is wrong with a command that a page tells to type."""
    words = shlex.split(command, comments=True, posix=True)
    while words and "=" in words[0]:
        words = words[1:]  # settings of the environment
    if words[0] == "python" and words[1].endswith(".py") and words[1] != "make.py":
        return None if (check.ROOT / words[1]).is_file() else f"no program {words[1]}"
    if words[0] in ("make", "python") and words[:2] != ["python", "-m"]:
        target = words[2] if words[0] == "python" else words[1]
        return None if target in MAKE else f"no target {target}"
    if (
        words[0] in (".", "cd", "cp", "git", "mkdir", "pytest", "tar", "torchrun")
        or "activate" in words[0]
    ):
        return None
    for program, commands in PROGRAMS.items():
        start = program.split()
        if words[: len(start)] == start:
            name, *rest = words[len(start) :] or [None]
            if name is None:
                return None
            if name not in commands:
                return f"no command {name}"
            options = {word.partition("=")[0] for word in rest if word.startswith("--")}
            return f"no options {options - commands[name]}" if options - commands[name] else None
    return "an unknown program"


@pytest.mark.parametrize("page", [p for p in PAGES if check.commands(p)], ids=lambda p: p.stem)
def test_the_commands_of_a_page_exist(page):
    wrong = {command: complaint(command) for command in check.commands(page) if complaint(command)}
    assert wrong == {}


def test_a_command_that_does_not_exist_is_found():
    assert complaint("ddpm trian --epochs 3")
    assert complaint("ddpm train --epoch 3")
    assert complaint("make dmeo")
    assert complaint("python make.py dmeo")
    assert complaint("python benchmarks/cifar11.py")
    assert complaint("rm -r x")
    assert not complaint("OMP_NUM_THREADS=1 make demo")


def test_numbers_come_from_the_benchmarks():
    read = measured.value("demo_quality", ["mean", "class_accuracy"])
    assert measured.number("demo_quality mean.class_accuracy .1%") == f"{100 * read:.1f}%"
    for wrong in ("demo_quality mean.nothing .1f", "nothing mean .1f", "demo_quality runs .1f"):
        with pytest.raises(ValueError, match="no"):
            measured.number(wrong)


def test_a_table_with_a_format_for_each_column(tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "RESULTS", tmp_path)
    rows = {"weight 0.1": {"right": 0.5, "far": 12.34}, "real": {"right": 1}}
    (tmp_path / "once.json").write_text(json.dumps({"loss": rows}))
    start = "file: once\ncaption: c\ncolumns: {Right: [right, .0%], Far: [far, .1f]}\nrows:\n"
    one = measured.table(start + '  - [a, [loss, "weight 0.1"]]\n  - [b, loss.real, partial]\n')
    assert "<td>50%</td><td>12.3</td>" in one and "<td>100%</td><td></td>" in one
    with pytest.raises(ValueError, match=r"no loss\.real\.far"):
        measured.table(start + "  - [b, loss.real]\n")


def test_pieces_of_source_are_found_by_name():
    text, line = sources.piece("ddpm_ref/diffusion.py", "NoiseSchedule.to")
    lines = (check.ROOT / "ddpm_ref/diffusion.py").read_text(encoding="utf-8").splitlines()
    assert (
        text.startswith("def to(self, device)") and lines[line - 1].strip() == text.splitlines()[0]
    )
    brief = sources.without_docstring(sources.piece("ddpm_ref/diffusion.py", "q_sample")[0])
    assert '"""' not in brief and "return alpha_bar.sqrt() * x_0" in brief
    with pytest.raises(ValueError, match="has no q_smaple"):
        sources.piece("ddpm_ref/diffusion.py", "q_smaple")


SECTIONS = ["Goal", "Theory", "Your code", "Common mistakes", "Questions", "Further reading"]


@pytest.mark.parametrize("number", range(1, 10))
def test_a_chapter_s_page_has_its_sections_in_order(number):
    page = check.DOCS / "chapters" / f"ch{number:02}.md"
    text = re.sub(r"(?s)```.*?```", "", page.read_text(encoding="utf-8"))
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    fences = {b.language: b.body.strip() for b in check.blocks(page)}
    assert {fences[name] for name in ("exercises", "mistakes", "questions")} == {str(number)}


@pytest.mark.parametrize("number", [1, 9])
def test_code_in_a_question_keeps_its_lines(number):
    fences = sum(question.question.count("\n```\n") for question in load(number))
    made = render(number)
    assert fences > 0 and made.count("<pre>") == fences and "```" not in made


@pytest.mark.parametrize("fence", [fences.questions, fences.mistakes, fences.exercises])
def test_a_chapter_that_does_not_exist_ends_the_build(fence):
    with pytest.raises(SuperFencesException, match="12"):
        fence("12")


def test_the_times_agree_wherever_they_are_told():
    """Board, README of the chapter, its page, the plan, and the README of the whole."""
    plan = (check.DOCS / "learn.md").read_text(encoding="utf-8")
    whole = (check.ROOT / "README.md").read_text(encoding="utf-8")
    longest = 0
    for number, about in chapters().items():
        readme = (check.ROOT / "chapters" / about.folder / "README.md").read_text(encoding="utf-8")
        told = re.search(r"\*\*Time:\*\* (\d+) to (\d+)\s+minutes", readme)
        low, high = map(int, told.groups())
        assert low <= about.minutes <= high, about.title
        page = (check.DOCS / "chapters" / f"ch{number:02}.md").read_text(encoding="utf-8")
        assert f"**Time** {low} to {high} minutes" in page, about.title
        row = re.search(rf"^\| \[{number} · .*$", plan, re.MULTILINE)[0]
        assert f"| {low}–{high} min |" in row, about.title
        assert re.search(rf"^\| {number} .*\| {about.minutes} \|$", whole, re.MULTILINE), (
            about.title
        )
        longest += high
    assert f"{longest / 60:g} hours of writing at most" in plan and longest <= 14 * 60


def test_the_site_can_move_to_another_builder():
    """Two plugins and no hooks: what else there is, other builders of such a mkdocs.yml would ignore."""
    text = (check.ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    plugins = text.partition("\nplugins:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^  - (\w+)", plugins, re.MULTILINE) == ["search", "mkdocstrings"]
    assert not re.search(r"^(hooks|repo_url):", text, re.MULTILINE)


def test_the_site_is_published_by_the_command_that_builds_it_here():
    workflow = yaml.safe_load(
        (check.ROOT / ".github" / "workflows" / "docs.yml").read_text(encoding="utf-8")
    )
    steps = workflow["jobs"]["build"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["python make.py docs"]
