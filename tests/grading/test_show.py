"""What `python -m checks show 4` tells of a network, whoever wrote it."""

import shutil
import subprocess
import sys

import pytest
import torch
from test_chapters import BANK
from torch import nn

from checks.catalogue import ROOT
from checks.show.shapes import OUTSIDE, table, walk
from ddpm_ref.unet import UNet


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(4, 4, 1)

    def forward(self, x, *, scale=None):
        return {"h": self.layer(x), "skip": [x]}


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.again, self.unused = (
            Inner(),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Linear(2, 2),
        )

    def forward(self, x, t):
        made = self.first(x, scale=t)
        return self.again(self.again(made["h"]).relu())


def test_calls_are_told_in_order_with_where_things_come_from():
    first, once, twice = walk(Outer(), {"x": torch.zeros(2, 4, 6, 8), "t": torch.zeros(2)})
    assert (first.name, first.kind, first.parameters) == ("first", "Inner", 20)
    assert [(s.shape, s.of) for s in first.given] == [((2, 4, 6, 8), "x"), ((2,), "t")]
    assert [part.name for part in first.parts] == ["first.layer"]
    assert [s.of for s in once.given] == ["first"]
    assert [s.of for s in twice.given] == [OUTSIDE], "the ReLU between them is no layer"
    assert once.name == twice.name == "again"
    lines = table([first, once, twice]).splitlines()
    assert len(lines) == 4 and lines[1].split() == [
        *("first", "4×6×8", "(x),", "1", "(t)", "4×6×8,", "4×6×8", "20")
    ]


def test_no_hook_stays_behind():
    model = UNet(base_width=8, multipliers=(1, 1), image_size=8)
    inputs = torch.zeros(1, 3, 8, 8), torch.zeros(1, dtype=torch.int64)
    with torch.no_grad():
        walk(model, dict(zip("xt", inputs, strict=True)))
        with pytest.raises(ValueError, match="3 channels"):
            walk(model, {"x": torch.zeros(1, 1, 8, 8), "t": inputs[1]})
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


# What `python -m checks show` runs, but that training is over after a second.
AT_ONCE = """
import sys
from checks.show import __main__, ch04, ch08

ch04.SECONDS = ch08.SECONDS = 1.0
sys.exit(__main__.main(*sys.argv[1:]))
"""


def shown(number, submission, picture):
    command = [sys.executable, "-c", AT_ONCE, str(number), str(submission), str(picture), "lent"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert picture.read_bytes()[:4] == b"\x89PNG" and str(picture) in done.stdout
    return done.stdout


@pytest.mark.slow
def test_training_is_drawn(tmp_path):
    assert "loss" in shown(8, ROOT / "solutions", tmp_path / "p.png")


@pytest.mark.slow
@pytest.mark.parametrize("style", sorted(p.name for p in (BANK / "ch04").iterdir() if p.is_dir()))
def test_networks_of_other_kinds_are_told_of_too(style, tmp_path):
    said = shown(4, BANK / "ch04" / style, tmp_path / "p.png")
    header, *rows = said.partition("Its layers")[2].splitlines()[1:-2]
    assert header.split()[0] == "layer" and len(rows) >= 9
    assert any("16×8×8" in row for row in rows) and any("64×4×4" in row for row in rows)


def test_a_chapter_that_is_not_in_the_submission_is_one_sentence(tmp_path):
    shutil.copytree(ROOT / "solutions" / "ch03_residual_block", tmp_path / "ch03_residual_block")
    command = [sys.executable, "-m", "checks", "show", "9", "--submission", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "has no ch09_clip/clip.py" in done.stderr and "Traceback" not in done.stderr
