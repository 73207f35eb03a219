"""What a user can put right is one sentence, exit code 2, and nothing is made or changed."""

import errno
import os
import shutil
import subprocess
import sys

import pytest
import tiny
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from ddpm_ref import files
from ddpm_ref.cli import app
from ddpm_ref.files import read_tensors, write_tensors

HUGE = "9" * 30  # no whole number of 64 bits


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a good run and with everything that can be wrong beside it."""
    place = tmp_path_factory.mktemp("errors")
    run = tiny.make_run(place / "run")
    good = run.checkpoint("last").read_bytes()
    bad = {
        "empty": b"",
        "truncated": good[: len(good) // 2],
        "corrupt": good[:30] + b"\xff" * 30 + good[60:],
        "text": b"not at all what was hoped for",
    }
    for name, content in bad.items():
        (place / f"{name}.safetensors").write_bytes(content)
    save_file({"weight": torch.zeros(3)}, place / "foreign.safetensors")
    tensors, header = read_tensors(run.checkpoint("last"))
    header["about"]["config"]["model"]["base_width"] = 16
    write_tensors(place / "othershape.safetensors", tensors, header)
    (place / "file").write_text("mine")  # a file where a folder is wanted
    for name in ("bare", "photos/cats", "tinyset/cats", "damagedset/cats"):
        (place / name).mkdir(parents=True)
    (place / "photos" / "cats" / "notes.txt").write_text("no picture")
    (place / "damagedset" / "cats" / "a.png").write_bytes(b"\x89PNG no more")
    picture = tiny.picture()
    for k in range(5):
        picture.save(place / "tinyset" / "cats" / f"{k}.png")
    for name in ("halfrun", "badconfig", "badmetrics"):
        shutil.copytree(place / "run", place / name)
    for name in ("last", "best"):
        (place / "halfrun" / "checkpoints" / f"{name}.safetensors").unlink()
    (place / "badconfig" / "config.json").write_text('{"config": ')
    (place / "mine.json").write_text("[]")
    for name in ("listconfig", "bareconfig", "badpicture", "badscores"):
        shutil.copytree(place / "run", place / name)
    (place / "listconfig" / "config.json").write_text("[]")
    (place / "bareconfig" / "config.json").write_text("{}")
    next((place / "badpicture" / "samples").glob("*.png")).write_bytes(b"no picture")
    (place / "badscores" / "evaluation.json").write_text('{"n": 3}')
    (place / "badmetrics" / "metrics.csv").write_text("epoch,val_loss\n1,a lot\n")
    return place


QUICK = "-n 1 --steps 1"
TINYSET = "train --out new --dataset folder --data-dir tinyset --image-size 16"

WRONG = {
    "data set": "train --out new --dataset shape",
    "data set of noise": "noise --dataset nope",
    "preset": "train --out new --preset dem",
    "preset of demo": "demo --out new --preset nope",
    "target": "train --out new --target x0",
    "schedule": "train --out new --schedule quad",
    "schedule of noise": "noise --schedule quad",
    "class": "sample run --class starr",
    "class by number": "sample run --class 10",
    "sampler": "sample run --sampler euler",
    "sampler of evaluate": "evaluate run --sampler euler",
    "checkpoint name": "sample run --checkpoint first",
    "device": "train --out new --device nonsense",
    "device of sample": "sample run --device nonsense",
    "image size not divisible": "train --out new --image-size 18 --steps 1",
    "image size too small": "train --out new --image-size 4 --steps 1",
    "image size zero": "train --out new --image-size 0",
    "image size of no machine": "train --out new --image-size 1000000 --steps 1",
    "image size of noise": "noise --image-size 4",
    "image size zero of noise": "noise --image-size 0",
    "image size of judge": "judge new.safetensors --image-size 4",
    "base width": "train --out new --base-width 12 --steps 1",
    "base width zero": "train --out new --base-width 0",
    "steps zero": "train --out new --steps 0",
    "steps negative": "train --out new --steps -5",
    "epochs zero": "train --out new --epochs 0",
    "epochs negative": "train --out new --epochs -1",
    "epochs nan": "train --out new --epochs nan",
    "epochs infinite": "train --out new --epochs inf",
    "images zero": "train --out new --images 0",
    "two lengths": "train --out new --steps 5 --epochs 1",
    "batch zero": "train --out new --batch-size 0",
    "batch negative": "train --out new --batch-size -2",
    "batch larger than the data": "train --out new --batch-size 100000",
    "batch larger than a folder": f"{TINYSET} --batch-size 8",
    "learning rate zero": "train --out new --learning-rate 0",
    "learning rate nan": "train --out new --learning-rate nan",
    "average": "train --out new --ema-decay 1",
    "timesteps": "train --out new --timesteps 1",
    "seconds": "train --out new --seconds 0",
    "workers": "train --out new --workers -1",
    "seed": f"train --out new --steps 1 --seed {HUGE}",
    "seed of sample": f"sample run {QUICK} --seed {HUGE}",
    "weights that do not come along": "sample --preset paper --class frog",
    "unknown preset of sample": "sample --preset cifar100",
    "model and preset": "sample run --preset demo",
    "number zero": "sample run -n 0",
    "number negative": "sample run -n -3",
    "n": "evaluate run --n 0",
    "n of one": "evaluate run --n 1",
    "n of demo": "demo --out new --n 0",
    "seconds of demo": "demo --out new --seconds 0",
    "sampling steps zero": "sample run --steps 0",
    "sampling steps negative": "sample run --steps -1",
    "more steps than timesteps": "sample run --steps 21",
    "more steps than timesteps in evaluate": "evaluate run --steps 21",
    "eta": "sample run --eta 2",
    "eta negative": "sample run --eta -0.5",
    "eta nan": "sample run --eta nan",
    "guidance nan": "sample run --guidance-scale nan",
    "guidance infinite": "evaluate run --guidance-scale inf",
    "guidance interval": "sample run --guidance-interval 9 3",
    "guidance interval beyond T": "evaluate run --guidance-interval 0 20",
    "class and no class": "sample run --unconditional --class star",
    "columns": "noise --columns 1",
    "rows": "noise --rows 0",
    "guidance beyond all pictures": "sample run --guidance-scale 1e308",
    "clip guidance beyond all pictures": "guide --prompt star --clip-scale 1e308",
    "an animation that is none": f"sample run {QUICK} --gif drawing.txt",
    "steps of the ancestral sampler": "sample run --sampler ddpm --steps 5",
    "eta of another sampler": "sample run --sampler dpm --eta 0.5",
    "more workers than any machine has": "train --out new --workers 100000",
    "image size of a folder": "noise --dataset folder --data-dir tinyset --image-size -4",
    "two outputs, one file": f"sample run {QUICK} --out x.gif --gif x.gif",
    "an output without a name": "report run --out .",
    "a picture larger than its format": "sample run -n 400 --out a.webp",
    "an animation larger than its format": "sample run -n 1200 --gif a.gif",
    "a strip larger than its format": "noise --rows 300 --out a.webp",
    "an animation without a name": f"sample run {QUICK} --gif .",
    "a name that is too long": f"sample run {QUICK} --out {300 * 'x'}.png",
    "a run with a name that is too long": f"train --out {300 * 'x'} --steps 1",
    "a model with a name that is too long": f"sample {300 * 'x'}",
    "numbers into a folder": "evaluate run --n 2 --steps 1 --json bare",
    "weights over a checkpoint": "export run run/checkpoints/last.safetensors",
    "a judge over a checkpoint": "judge run/checkpoints/best.safetensors --steps 3",
    "a report over the recipe of a run": "report run --out run/config.json",
    "numbers over those of a checkpoint": "info run --json run/checkpoints/last.json",
    "weights beside numbers": "export run mine.safetensors",
    "a CLIP and its numbers in one file": "clip-train new.safetensors --json new.json",
    "images without end": f"train --out new --images {400 * '9'}",
    "resume with another preset": "train --resume run --preset cifar10",
    "resume with another seed": "train --resume run --seed 3",
    "a config that is a list": "train --resume listconfig",
    "a config without a recipe": "report bareconfig",
    "a picture of progress that is none": "progress badpicture",
    "scores of another shape": "report badscores",
    "kind of judge": "judge new.safetensors --kind vit",
    "width of a judge": "judge new.safetensors --kind photo --width 0",
    "width of a judge that has one": "judge new.safetensors --steps 3 --width 8",
    "missing judge": "evaluate run --n 2 --steps 1 --judge nowhere.safetensors",
    "model as a judge": "evaluate run --n 2 --steps 1 --judge run/checkpoints/last.safetensors",
    "judge steps": "judge new.safetensors --steps 0",
    "missing checkpoint": "sample nowhere",
    "missing file": "info nowhere.safetensors",
    "missing run": "report nowhere",
    "missing run for progress": "progress nowhere",
    "empty folder as a run": "evaluate bare",
    "run without checkpoints": "sample halfrun",
    "run with a damaged config": "report badconfig",
    "run with damaged metrics": "info badmetrics",
    "empty checkpoint": "sample empty.safetensors",
    "truncated checkpoint": "sample truncated.safetensors",
    "corrupt checkpoint": "evaluate corrupt.safetensors",
    "text as a checkpoint": "info text.safetensors",
    "foreign checkpoint": "sample foreign.safetensors",
    "checkpoint of another shape": "sample othershape.safetensors",
    "judge as a checkpoint": "sample JUDGE",
    "folder of nothing": "train --out new --dataset folder --data-dir bare",
    "folder without images": "train --out new --dataset folder --data-dir photos",
    "folder of damaged images": "train --out new --dataset folder --data-dir damagedset",
    "folder not there": "train --out new --dataset folder --data-dir nowhere",
    "folder not given": "train --out new --dataset folder",
    "run exists": "train --out run --steps 1",
    "file in place of a run": "train --out file --steps 1",
    "file in the way of a run": "train --out file/new --steps 1",
    "file in the way of a picture": f"sample run {QUICK} --out file/a.png",
    "file in the way of an animation": f"sample run {QUICK} --gif file/a.gif",
    "file in the way of single files": f"sample run {QUICK} --files file",
    "file in the way of numbers": "evaluate run --n 2 --steps 1 --json file/a.json",
    "file in the way of a strip": "noise --out file/a.png",
    "file in the way of a report": "report run --out file/a.html",
    "file in the way of progress": "progress run --out file/a.png",
    "file in the way of a model": "export run file/a.safetensors",
    "file in the way of a judge": "judge file/a.safetensors --steps 3",
    "folder in place of a picture": f"sample run {QUICK} --class star --out bare",
    "kind of picture": f"sample run {QUICK} --class star --out a.xyz",
    "name of an export": "export run a.pt",
    "name of a judge": "judge a.pt",
}


def check(exit_code, out, err):
    assert exit_code == 2, err
    assert "Traceback" not in out + err
    assert len(err.splitlines()) == 1, err
    assert err.startswith("error: ")
    assert err.rstrip().endswith(".")
    assert len(err) > 30  # a sentence, not a word


@pytest.mark.parametrize("command", WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_one_sentence(place, monkeypatch, command):
    monkeypatch.chdir(place)
    before = tiny.tree(place)
    shipped = str(files.Path(files.__file__).parent / "weights" / "judge-shapes.safetensors")
    result = CliRunner().invoke(app, command.replace("JUDGE", shipped).split(), prog_name="ddpm")
    after = tiny.tree(place)
    for name in set(after) - set(before):  # so that one test does not fail the next
        shutil.rmtree(place / name, ignore_errors=True)
        (place / name).unlink(missing_ok=True)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    check(result.exit_code, result.stdout, result.stderr)
    assert after == before


@pytest.mark.parametrize("name", ["class", "truncated checkpoint", "run exists"])
def test_wrong_input_in_a_process(place, name):
    before = tiny.tree(place)
    done = subprocess.run(
        [sys.executable, "-m", "ddpm_ref", *WRONG[name].split()],
        cwd=place,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
    )
    check(done.returncode, done.stdout, done.stderr)
    assert "\x1b" not in done.stdout + done.stderr
    assert tiny.tree(place) == before


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("sample run --class starr", '"star"'),
        ("train --out new --preset papper", '"paper"'),
        ("train --out new --dataset cifar", '"cifar10"'),
        ("sample run --sampler ddmp", "ddpm"),
        ("train --out new --image-size 18 --steps 1", "18"),
        ("train --out new --batch-size 100000", "9000"),
        ("sample run --steps 21", "20"),
        # Before the data set is read, which is not there either.
        ("train --out file/new --dataset folder --data-dir nowhere", "is a file"),
        ("sample othershape.safetensors", "another model"),
    ],
)
def test_the_sentence_names_the_fix(place, monkeypatch, command, word):
    monkeypatch.chdir(place)
    result = CliRunner().invoke(app, command.split(), prog_name="ddpm")
    assert word in result.stderr


def test_a_full_disk_while_drawing_leaves_the_old_picture(place, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "samples.png").write_bytes(b"the old one")
    monkeypatch.setattr(files.os, "replace", full)
    command = ["sample", str(place / "run"), "--class", "star", *QUICK.split()]
    result = CliRunner().invoke(app, command, prog_name="ddpm")
    check(result.exit_code, result.stdout, result.stderr)
    assert "No space left" in result.stderr
    assert tiny.tree(tmp_path) == {"samples.png": b"the old one"}


def test_a_loss_that_explodes_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = "--learning-rate 1e30 --steps 9 --batch-size 4 --base-width 8 --device cpu --out hot"
    result = CliRunner().invoke(app, ["train", *options.split()], prog_name="ddpm")
    check(result.exit_code, result.stdout, result.stderr)
    assert "--learning-rate" in result.stderr


def test_a_link_stays_one_and_its_target_is_written(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.json").write_text("old")
    (tmp_path / "link.json").symlink_to(tmp_path / "there.json")
    answer = CliRunner().invoke(app, ["info", str(place / "run"), "--json", "link.json"])
    assert answer.exit_code == 0, answer.output
    assert (tmp_path / "link.json").is_symlink()
    assert "parameters" in (tmp_path / "there.json").read_text()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    files.write_atomically(tmp_path / "pipe", b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_a_judge_of_other_classes_is_refused(place, monkeypatch):
    monkeypatch.chdir(place)
    judge = str(files.Path(files.__file__).parent / "weights" / "judge-cifar10.safetensors")
    answer = CliRunner().invoke(app, ["evaluate", "run", "--n", "2", "--judge", judge])
    assert answer.exit_code == 2 and "judges airplane" in answer.output


def test_square_brackets_are_letters(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = str(place / "run")
    command = ["sample", run, "-n", "1", "--steps", "1", "--out", "[/b][red]x.png"]
    answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 0 and "[/b][red]x.png" in answer.output


def test_what_is_finished_says_so(place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    answer = CliRunner().invoke(app, ["train", "--resume", str(tmp_path / "run")])
    assert answer.exit_code == 0 and "nothing left to do" in answer.output
    longer = ["train", "--resume", str(tmp_path / "run"), "--images", "120"]
    answer = CliRunner().invoke(app, longer)
    assert answer.exit_code == 0 and "nothing left" not in answer.output


@pytest.mark.parametrize(
    "option", [["--min-snr", "5"], ["--precision", "bf16"], ["--workers", "1"]]
)
def test_what_chapter_8_cannot_do_is_refused(option):
    root = files.Path(__file__).parents[1]
    command = [
        sys.executable,
        "-m",
        "ddpm_ref",
        "train",
        "--code",
        "solutions",
        "--steps",
        "1",
        *option,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    check(done.returncode, done.stdout, done.stderr)
    assert option[0] in done.stderr
