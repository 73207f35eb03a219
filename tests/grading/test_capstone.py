"""All nine chapters together: the capstone, the blame, `ddpm --code`, and the gallery of symptoms."""

import json
import shutil
import subprocess
import sys

import pytest
from submissions import edited, solution

from checks import capstone, gallery
from checks.catalogue import ROOT, chapters
from checks.grader import PASSED

SOLUTIONS = ROOT / "solutions"
BRIEF = capstone.Plan(epochs=1, images=800, n=20, margin=0.5, seconds=300)


@pytest.mark.slow
def test_the_solutions_train_and_draw_as_the_reference_does(grader, tmp_path):
    told = []
    outcome = capstone.run(SOLUTIONS, capstone.QUICK, tmp_path, grader, told.append)
    assert outcome.passed, (outcome.trouble, outcome.where, outcome.scores)
    assert outcome.blamed == ()
    yours, reference = outcome.scores["yours"], outcome.scores["reference"]
    assert yours["steps"] == reference["steps"] == 84
    assert 0.15 < reference["val_loss"][-1] < 0.6
    for file in ("report.html", "yours.png", "reference.png", "scores.json"):
        assert (tmp_path / file).stat().st_size > 1000
    # It looks once a second: either what was said after the training, or after the drawing.
    assert any("epoch 1 of 1" in line or "pictures" in line for line in told)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "old", "new"),
    [
        # It runs and is wrong: the loss shows it.
        (6, "F.mse_loss(prediction.float(), wanted,", "F.mse_loss(prediction.float(), 3 * wanted,"),
        # It ends with an error.
        (8, "loss.detach() * len(x_0)", "loss.gone() * len(x_0)"),
    ],
)
def test_the_chapter_that_is_wrong_is_blamed(number, old, new, grader, tmp_path):
    folder = tmp_path / "chapters"
    shutil.copytree(SOLUTIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    chapter = chapters()[number]
    file = folder / chapter.folder / f"{chapter.module}.py"
    file.write_text(edited(solution(number), old, new), encoding="utf-8")
    outcome = capstone.run(tmp_path, BRIEF, tmp_path, grader, lambda line: None)
    assert not outcome.passed
    assert outcome.blamed == (number,)
    if "gone" in new:
        assert "gone" in outcome.trouble and any("training.py" in line for line in outcome.where)


# What is changed in a chapter, and a chapter that builds on it and shows it (None: none does).
PLANTED = [
    (1, "return image.float() / 127.5 - 1", "return image.float() / 255", None),
    (2, "self.time(t) + self.label(y)", "self.time(t)[:1] + self.label(y)", None),
    (3, "h = h + self.skip(x)", "pass", None),
    (4, "h = up(h, skips.pop(), cond)", "h = up(h, 0 * skips.pop(), cond)", None),
    (5, "/ alpha_bar.sqrt()", "* alpha_bar.sqrt()", 7),
    (5, "return values[t]", "return values[t - 1]", 6),
    (
        6,
        "F.mse_loss(prediction.float(), wanted,",
        "F.mse_loss(prediction.float(), 2 * wanted,",
        None,
    ),
    (7, "u + guidance_scale *", "u - guidance_scale *", 9),
    (8, "optimizer.zero_grad()", "pass", None),
    (9, "return images @ texts.T", "return -images @ texts.T", None),
]


@pytest.mark.parametrize(("number", "old", "new", "shown_by"), PLANTED)
def test_one_mistake_costs_one_chapter_and_is_blamed(number, old, new, shown_by, grader, tmp_path):
    folder = tmp_path / "chapters"
    shutil.copytree(SOLUTIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    chapter = chapters()[number]
    file = folder / chapter.folder / f"{chapter.module}.py"
    file.write_text(edited(solution(number), old, new), encoding="utf-8")
    assert not grader.grade(number, tmp_path, naming=lambda e: False).passed
    if shown_by is None:
        return
    assert grader.grade(shown_by, tmp_path, naming=lambda e: False).passed
    own = grader.grade(shown_by, tmp_path, own=True, naming=lambda e: False)
    notes = [r.note for r in own.results if r.verdict != PASSED or r.note]
    assert any(f"is in chapter {number} " in note for note in notes), notes


def ddpm(*arguments, cwd=ROOT):
    command = [sys.executable, "-m", "ddpm_ref", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


BRIEFLY = """
from dataclasses import replace
from pathlib import Path
from ddpm_ref.borrowed import borrow
borrow("solutions")
from ddpm_ref.datasets import load_dataset
from ddpm_ref.presets import preset
from ddpm_ref.launch import train_borrowed
config = preset("demo")
config = replace(config, train=replace(config.train, images=180, batch_size=32))
train_borrowed(config, load_dataset("shapes", image_size=16, size=200), Path(FOLDER))
"""


@pytest.mark.slow
def test_the_command_line_on_other_chapters(tmp_path):
    run = tmp_path / "run"
    script = BRIEFLY.replace("FOLDER", repr(str(run)))
    trained = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert trained.returncode == 0, trained.stderr
    assert (run / "checkpoints" / "last.safetensors").is_file()
    measured = tmp_path / "scores.json"
    done = ddpm("evaluate", run, "--code", "solutions", "--n", 10, "--json", measured)
    assert done.returncode == 0, done.stderr
    assert json.loads(measured.read_text())["n"] == 10
    # The weights that come with the package fit the names that the README recommends.
    drawn = tmp_path / "star.png"
    done = ddpm("sample", "--code", "solutions", "--class", "star", "--out", drawn)
    assert done.returncode == 0 and drawn.is_file(), done.stderr


@pytest.mark.slow
def test_the_command_line_says_what_is_wrong_with_other_chapters(tmp_path):
    done = ddpm("sample", "--code", "nowhere")
    assert done.returncode == 2 and "no folder of that name" in done.stderr
    chapter = chapters()[4]
    (tmp_path / "mine" / chapter.folder).mkdir(parents=True)
    file = tmp_path / "mine" / chapter.folder / "unet.py"
    file.write_text(
        "class UNet:\n    def __init__(self, **options):\n        raise KeyError('mine')\n"
    )
    done = ddpm("sample", "--code", tmp_path / "mine")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "KeyError" in done.stderr and "unet.py, line 3" in done.stdout + done.stderr
    # torch's own errors are RuntimeErrors, and so is what a stub raises.
    for raised in ("NotImplementedError('TODO(4.4)')", "RuntimeError('the size of tensor a')"):
        file.write_text(
            f"class UNet:\n    def __init__(self, **options):\n        raise {raised}\n"
        )
        done = ddpm("sample", "--code", tmp_path / "mine")
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert (
            raised.split("(")[0] in done.stderr and "unet.py, line 3" in done.stdout + done.stderr
        )
    shutil.copytree(SOLUTIONS, tmp_path / "names")
    renamed = tmp_path / "names" / chapter.folder / "unet.py"
    renamed.write_text(renamed.read_text().replace("stem", "first"))
    done = ddpm("sample", "--code", tmp_path / "names")
    assert done.returncode == 2 and "names in the README of chapter 4" in done.stderr
    file.write_text("def f(:\n")
    done = ddpm("sample", "--code", tmp_path / "mine")
    assert done.returncode == 2 and "cannot be imported" in done.stderr


@pytest.mark.parametrize(
    ("loss", "code", "says"),
    [
        ("raise NotImplementedError('TODO(6.3)')", 1, "TODO(6.3)"),
        (
            "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)",
            130,
            "Stopped.",
        ),
    ],
    ids=["an error", "Ctrl-C"],
)
def test_a_training_on_other_chapters_that_kept_nothing_leaves_no_folder(
    loss, code, says, tmp_path
):
    """Else it would lie in the way of the next try."""
    chapter, run = chapters()[6], tmp_path / "run"
    (tmp_path / "mine" / chapter.folder).mkdir(parents=True)
    (tmp_path / "mine" / chapter.folder / "loss.py").write_text(
        f"def p_losses(*a, **k):\n    {loss}\n"
    )
    done = ddpm("train", "--code", tmp_path / "mine", "--images", 64, "--out", run)
    assert done.returncode == code and says in done.stderr and "Traceback" not in done.stderr
    assert not run.exists()


def test_the_gallery_is_of_these_mistakes():
    """Each picture was made with the mistake as it stands now: `python -m checks.gallery` makes them anew."""
    made = json.loads((gallery.FOLDER / "gallery.json").read_text(encoding="utf-8"))
    names = [gallery.RIGHT, *gallery.pictured()]
    assert len(names) > 12 and list(made) == names
    assert [n for n in names if made[n]["stamp"] != gallery.stamp(n)] == []
    assert sum((gallery.FOLDER / f"{n}.png").stat().st_size for n in names) < 400_000
    for mistake in gallery.pictured().values():
        assert gallery.picture_of(mistake[1].says).is_file()
