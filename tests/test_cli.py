"""The command line, as typed: through typer's runner, and a few times as processes of their own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image, ImageSequence
from safetensors import safe_open
from typer.testing import CliRunner

from ddpm_ref import launch, painting, pictures, referee
from ddpm_ref.cli import app
from ddpm_ref.data import to_model_range
from ddpm_ref.datasets import load_dataset
from ddpm_ref.judge import load_judge
from ddpm_ref.painting import load_painter
from ddpm_ref.presets import DataConfig
from ddpm_ref.recipes import with_sampling
from ddpm_ref.runs import Run

ESCAPE = "\x1b"
SMALL = ["--base-width", "8", "--batch-size", "8", "--timesteps", "20", "--device", "cpu"]


def ddpm(*arguments):
    """Run a command in this process; it must succeed. Returns what it printed."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], prog_name="ddpm")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert ESCAPE not in result.stdout
    return result.stdout


def environment():
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}


def process(*arguments, folder):
    """Run a command in a process of its own, its output not a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "ddpm_ref", *map(str, arguments)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=100,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two epochs of the tiny recipe."""
    return tiny.make_run(tmp_path_factory.mktemp("cli") / "run", images=216)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Each test works in an empty folder: what a command writes is all that is there."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_train_in_a_process(tmp_path):
    done = process(
        *("train", "--steps", 20, *SMALL, "--image-size", 8, "--out", "runs/a"), folder=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ESCAPE not in done.stdout and "\r" not in done.stdout
    assert len(done.stdout.splitlines()) < 8  # lines, no bar painted over and over
    assert [str(p) for p in sorted(tmp_path.iterdir())] == [str(tmp_path / "runs")]
    run = Run(tmp_path / "runs" / "a")
    about, (row,) = run.about(), run.metrics()
    assert about["command"].startswith("ddpm train --steps 20 --base-width 8")
    assert about["config"]["train"]["batch_size"] == 8
    assert about["config"]["diffusion"]["timesteps"] == 20
    assert (row["step"], row["images_seen"]) == (20, 160)
    assert re.search(r"epoch 1: 160 images", done.stdout)
    assert (run.folder / "checkpoints" / "last.safetensors").is_file()


class Handed(Exception):
    """Thrown where training would begin, with what it was given."""


@pytest.fixture
def recipe_of(monkeypatch):
    """What `ddpm train` makes of its options: the recipe and the folder; nothing is trained."""

    def begin(config, images, folder, *rest):
        raise Handed(config, folder)

    def recipe(options):
        with pytest.raises(Handed) as caught:
            ddpm("train", *options.split(), "--device", "cpu")
        return caught.value.args

    monkeypatch.setattr(launch, "train", begin)
    return recipe


def test_options_reach_the_recipe(recipe_of):
    options = (
        "--preset seed --dataset shapes --image-size 24 --epochs 2.5 --seconds 9 --batch-size 50"
    )
    options += " --learning-rate 0.25 --ema-decay 0.5 --base-width 16 --schedule cosine --target v"
    options += (
        " --timesteps 77 --min-snr 5 --no-flip --workers 2 --sample-every 3 --seed 4 --out here"
    )
    config, folder = recipe_of(options)
    train, data = config.train, config.data
    assert (config.preset, str(folder)) == ("seed", "here")
    assert (data.dataset, data.image_size, data.flip, data.num_workers) == ("shapes", 24, False, 2)
    assert train.images == 2.5 * (round(0.9 * data.size) // 50 * 50)
    assert (train.seconds, train.batch_size, train.learning_rate) == (9, 50, 0.25)
    assert (train.ema_decay, train.min_snr_gamma, train.sample_every) == (0.5, 5, 3)
    assert (train.seed, config.model.base_width, config.model.image_size) == (4, 16, 24)
    diffusion = config.diffusion
    assert (diffusion.schedule, diffusion.target, diffusion.timesteps) == ("cosine", "v", 77)
    assert config.model.conditioning == "add"  # what was not given is the preset's


def test_short_forms_of_the_recipe(tmp_path, recipe_of):
    config, folder = recipe_of("--ema-decay 0 --images 100")
    assert config.train.ema_decay is None
    assert config.train.images == 100
    assert str(folder) == os.path.join("runs", "demo-shapes")
    folder.mkdir(parents=True)
    config, folder = recipe_of("--steps 3 --batch-size 20")
    assert config.train.images == 60
    assert str(folder) == os.path.join("runs", "demo-shapes-2")


def test_sample_draws_what_the_package_draws(tmp_path, run):
    said = ddpm("sample", run.folder, "--class", "star", "--class", 6, "-n", 3, "--seed", 5)
    assert "6 pictures: samples.png" in said
    assert tiny.tree(tmp_path).keys() == {"samples.png"}
    painter = load_painter(run.folder)
    y = torch.tensor([3, 6]).repeat(3)
    x = painter.draw(y, painter.noise(6, 5), with_sampling(painter.config), seed=5)
    expected = pictures.grid(x, 2, column_titles=["star", "heart"])
    assert Image.open("samples.png").tobytes() == expected.tobytes()


def test_sample_draws_photographs_right_after_installation(tmp_path):
    """Frogs, which are green or brown, and ships, which are mostly on water."""
    said = ddpm("sample", "--preset", "cifar10", "--class", "frog", "-n", 8, "--files", "frogs")
    assert "Drawn by cifar10-small" in said
    said = ddpm("sample", "--preset", "cifar10-small", "--class", "ship", "-n", 8, "--files", "sea")
    assert "in place of" not in said
    blue = {}
    for folder in ("frogs", "sea"):
        pixels = [
            np.asarray(Image.open(path), dtype=float) for path in (tmp_path / folder).iterdir()
        ]
        assert {p.shape for p in pixels} == {(32, 32, 3)}
        blue[folder] = sum(p[..., 2].mean() > p[..., 0].mean() for p in pixels)
    assert blue["sea"] > blue["frogs"]


def test_photographs_have_a_clip_and_a_judge_right_after_installation(tmp_path):
    options = ("--class", "ship", "--candidates", 6, "--keep", 2, "--steps", 4)
    said = ddpm("rerank", "cifar10", *options, "--json", "a.json")
    result = json.loads((tmp_path / "a.json").read_text())
    assert result["clip_model"] == "cifar10" and "never seen" not in said
    assert "class_accuracy_kept" in result["classes"]["ship"]
    said = ddpm("guide", "cifar10", "--prompt", "a photo of a red frog", "-n", 2, "--steps", 3)
    assert "class: frog" in said and "has never seen 'red'" in said


def test_sample_draws_all_classes_by_default(run):
    ddpm("sample", run.folder, "--n", 2, "--out", "deep/er/all.png")
    painter = load_painter(run.folder)
    blank = pictures.grid(torch.zeros(20, 3, 16, 16), 10, column_titles=painter.classes)
    assert Image.open("deep/er/all.png").size == blank.size


def test_the_seed_decides(run):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        ddpm(
            "sample", run.folder, "--class", "star", "-n", 2, "--seed", seed, "--out", f"{name}.png"
        )
    a, b, c = (Image.open(f"{name}.png").tobytes() for name in "abc")
    assert a == b != c


WAYS = {
    "the run's own": [],
    "ddim": ["--sampler", "ddim", "--steps", 5],
    "more steps": ["--sampler", "ddim", "--steps", 6],
    "eta": ["--sampler", "ddim", "--steps", 5, "--eta", 1],
    "dpm": ["--sampler", "dpm", "--steps", 5],
    "ddpm": ["--sampler", "ddpm"],
    "unguided": ["--guidance-scale", 1],
    "guided": ["--guidance-scale", 4],
    "guided at times": ["--guidance-scale", 4, "--guidance-interval", 5, 15],
    "unconditional": ["--unconditional"],
}


def test_every_way_of_sampling_draws_something_else(run):
    drawn = {}
    for name, options in WAYS.items():
        which = [] if name == "unconditional" else ["--class", "star"]
        ddpm("sample", run.folder, *which, "-n", 2, *options, "--out", "a.png")
        drawn[name] = np.asarray(Image.open("a.png"), dtype=float)
    for name, picture in drawn.items():
        same = [other for other, its in drawn.items() if np.array_equal(picture, its)]
        assert same == [name]


@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_sample_takes_the_checkpoint_asked_for(tmp_path, run, checkpoint):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    other = "best" if checkpoint == "last" else "last"
    (folder / "checkpoints" / f"{other}.safetensors").unlink()
    ddpm("sample", folder, "--class", "star", "-n", 1, "--checkpoint", checkpoint)
    assert (tmp_path / "samples.png").is_file()


def test_single_files(run):
    ddpm("sample", run.folder, "--class", "ring", "--class", "arrow", "-n", 2, "--files", "each")
    names = ["arrow-0000.png", "arrow-0001.png", "ring-0000.png", "ring-0001.png"]
    assert sorted(os.listdir("each")) == names
    painter = load_painter(run.folder)
    y = torch.tensor([5, 9, 5, 9])
    x = painter.draw(y, painter.noise(4, 0), with_sampling(painter.config), seed=0)
    for k, name in ((0, "ring-0000.png"), (1, "arrow-0000.png"), (3, "arrow-0001.png")):
        with Image.open(f"each/{name}") as picture:
            assert picture.size == (16, 16)
            assert picture.tobytes() == pictures.to_pil(x[k]).tobytes()


def test_single_files_of_a_class_named_twice(run):
    ddpm("sample", run.folder, "--class", "ring", "--class", "ring", "-n", 2, "--files", "each")
    assert len(os.listdir("each")) == 4


def frames_of(path):
    with Image.open(path) as movie:
        assert movie.format == "GIF"
        return [np.asarray(f.convert("RGB"), dtype=float) for f in ImageSequence.Iterator(movie)]


@pytest.mark.parametrize("chunk", [100, 4])
def test_the_animation_goes_from_noise_to_the_samples(run, monkeypatch, chunk):
    monkeypatch.setattr(painting, "CHUNK", chunk)  # also when pictures are drawn a few at a time
    ddpm("sample", run.folder, "-n", 1, "--sampler", "ddim", "--steps", 6, "--gif", "a.gif")
    frames = frames_of("a.gif")
    assert len(frames) in (7, 8)  # the noise, six steps, the last of which may stand once or twice
    noise = load_painter(run.folder).noise(10, 0)
    titles = load_painter(run.folder).classes
    start = np.asarray(pictures.grid(noise, 10, column_titles=titles), dtype=float)
    end = np.asarray(Image.open("samples.png"), dtype=float)
    # A GIF has 256 colours: near, not equal; and nearer to its own end than to the other.
    assert np.abs(frames[0] - start).mean() < 12
    assert np.abs(frames[-1] - end).mean() < 12
    assert np.abs(frames[0] - end).mean() > 30
    away = [np.abs(frame - end).mean() for frame in frames]
    assert away[-1] == min(away) and away[0] == max(away)


def test_the_animation_of_the_ancestral_sampler(run):
    ddpm("sample", run.folder, "--class", "star", "-n", 1, "--sampler", "ddpm", "--gif", "a.gif")
    assert len(frames_of("a.gif")) in (21, 22)  # T = 20


def test_evaluate(run, tmp_path):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    said = ddpm("evaluate", folder, "--n", 30, "--steps", 3, "--seed", 2, "--json", "out/a.json")
    result = json.loads((tmp_path / "out" / "a.json").read_text())
    assert result == json.loads((folder / "evaluation.json").read_text())
    assert (result["n"], result["steps"], result["seed"]) == (30, 3, 2)
    assert (result["sampler"], result["guidance_scale"]) == ("ddim", 1.5)
    assert result["images_seen"] == 216
    assert result["train_seconds"] > 0
    assert result["judge_accuracy"] >= 0.99
    classes = tiny.shapes().classes
    for way in ("", "_guided"):
        each = result[f"class_accuracies{way}"]
        assert tuple(each) == classes
        assert np.mean(list(each.values())) == pytest.approx(result[f"class_accuracy{way}"])
        assert min(each.values()) == each[result[f"worst_class{way}"]]
        assert result[f"worst_class_accuracy{way}"] == min(each.values())
        assert result[f"frechet_distance{way}"] > 0
        assert f"{result[f'class_accuracy{way}']:.1%}" in said
    assert all(name in said for name in classes)
    ddpm("evaluate", folder, "--n", 30, "--steps", 3, "--seed", 2, "--json", "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == result
    ddpm("evaluate", folder, "--n", 12, "--guidance-scale", 1, "--json", "plain.json")
    assert "guidance_scale" not in json.loads((tmp_path / "plain.json").read_text())


def test_noise(tmp_path):
    said = ddpm("noise", "--timesteps", 50, "--columns", 3, "--rows", 2, "--out", "a/noise.png")
    blank = torch.zeros(6, 3, 16, 16)
    columns, rows = ["t = 0", "t = 24", "t = 49"], ["circle", "circle"]
    tall = pictures.grid(blank, 3, column_titles=columns, row_titles=rows).height
    with Image.open(tmp_path / "a" / "noise.png") as picture:
        assert picture.height == tall
    cosine = (tmp_path / "a" / "noise.png").read_bytes()
    assert re.search(r"\b24\b.*0\.7", said)  # the signal halfway: cos 45°
    ddpm("noise", "--schedule", "linear", "--columns", 3, "--rows", 2, "--timesteps", 50)
    assert (tmp_path / "noise.png").read_bytes() != cosine


def test_progress_and_report(run, tmp_path):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    ddpm("progress", folder)
    with Image.open(folder / "progress.png") as picture:
        assert picture.height > 2 * 48  # two epochs
    ddpm("progress", folder, "--out", "elsewhere/p.png")
    assert (tmp_path / "elsewhere" / "p.png").read_bytes() == (folder / "progress.png").read_bytes()
    ddpm("report", folder)
    ddpm("report", folder, "--out", "elsewhere/r.html")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "elsewhere" / "r.html").read_text(encoding="utf-8") == page
    references = re.findall(r'(?:src|href)="(.{10})', page)
    assert len(references) == 3 and set(references) == {"data:image"}
    assert not re.search(r"https?://|file:", page)


def test_info_of_a_run_and_of_a_file(run, tmp_path):
    said = ddpm("info", run.folder, "--json", "a.json")
    painter = load_painter(run.folder)
    numbers = json.loads((tmp_path / "a.json").read_text())
    assert numbers["parameters"] == sum(p.numel() for p in painter.model.parameters())
    assert numbers["config"] == json.loads(json.dumps(painter.config.to_dict()))
    assert f"{numbers['parameters']:,}" in said
    assert "216 images" in said
    assert "star" in said
    of_file = ddpm("info", run.folder / "checkpoints" / "best.safetensors")
    assert "best.safetensors" in of_file
    assert "216 images" not in of_file


def test_export_and_draw_with_it(run, tmp_path):
    ddpm("export", run.folder, "out/small.safetensors", "--note", "made by hand")
    whole = run.checkpoint("last").stat().st_size
    assert (tmp_path / "out" / "small.safetensors").stat().st_size < whole / 4
    with safe_open(tmp_path / "out" / "small.safetensors", framework="pt") as file:
        assert all(name.startswith("model.") for name in file.keys())  # noqa: SIM118 (no dict)
    assert "made by hand" in ddpm("info", "out/small.safetensors")
    for source, name in ((run.folder, "a.png"), ("out/small.safetensors", "b.png")):
        ddpm("sample", source, "--class", "star", "-n", 2, "--steps", 4, "--out", name)
    a, b = (np.asarray(Image.open(name), dtype=float) for name in ("a.png", "b.png"))
    assert np.abs(a - b).max() <= 3  # half precision


def test_judge_in_a_file_of_its_own(tmp_path):
    said = ddpm("judge", "j/judge.safetensors", "--steps", 3, "--image-size", 8, "--device", "cpu")
    about = json.loads((tmp_path / "j" / "judge.json").read_text())["about"]
    learnt = load_judge(tmp_path / "j" / "judge.safetensors")
    test = load_dataset("shapes", image_size=8, test=True)
    _, guessed = learnt.look_at(to_model_range(test.images))
    assert about["n"] == len(test.labels)  # the file has half of the digits
    assert abs((guessed == test.labels).double().mean() - about["accuracy"]) < 0.005
    assert f"right on {about['accuracy']:.2%} of {about['n']:,}" in " ".join(said.split())
    assert tiny.tree(tmp_path / "j").keys() == {"judge.json", "judge.safetensors"}
    photo = ["--kind", "photo", "--width", 8, "--image-size", 16, "--steps", 3, "--device", "cpu"]
    ddpm("judge", "narrow.safetensors", *photo)
    shape = json.loads((tmp_path / "narrow.json").read_text())["judge"]
    assert (shape["kind"], shape["width"]) == ("photo", 8)


def test_evaluate_by_a_given_judge(tmp_path, run):
    judge = tmp_path / "judge.safetensors"
    ddpm("judge", judge, "--steps", 3, "--image-size", 16, "--kind", "small", "--device", "cpu")
    ddpm("evaluate", run.folder, "--n", 4, "--steps", 2, "--judge", judge, "--json", "a.json")
    given = json.loads((tmp_path / "a.json").read_text())
    assert given["judge_accuracy"] < 0.9  # three steps: not the shipped one, which knows all


def test_a_judge_of_a_folder_leaves_out_what_it_is_measured_by(tmp_path, monkeypatch):
    """As many shades as pictures, so that each picture is known by its own."""
    for k in range(40):
        (tmp_path / "photos" / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (6 * k,) * 3).save(tmp_path / "photos" / "ab"[k % 2] / f"{k}.png")
    learnt, train = [], referee.train_judge

    def noted(images, *args, **options):
        learnt.append(images)
        return train(images, *args, **options)

    monkeypatch.setattr(referee, "train_judge", noted)
    where = ("--dataset", "folder", "--data-dir", "photos", "--image-size", 8, "--device", "cpu")
    ddpm("judge", "j.safetensors", *where, "--steps", 3, "--seed", 5, "--no-flip")
    data = DataConfig(dataset="folder", data_dir="photos", image_size=8)
    measured = referee.appoint_referee(data, split_seed=5, given=Path("j.safetensors")).real
    shades = [set(images.images[:, 0, 0, 0].tolist()) for images in (learnt[0], measured)]
    assert (len(shades[0]), len(shades[1]), shades[0] & shades[1]) == (36, 4, set())
    assert not learnt[0].flip


@pytest.mark.slow
def test_a_folder_of_photos_from_end_to_end(tmp_path):
    """JPEGs of another size in class folders, one of them broken: train, draw, measure, report."""
    images = load_dataset("shapes", image_size=20, size=60)
    for k in range(60):
        name = ("round things", "squares")[int(images.labels[k]) % 2]
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(images.images[k].permute(1, 2, 0).numpy())
        picture.save(tmp_path / "photos" / name / f"{k}.jpg", quality=95)
    (tmp_path / "photos" / "squares" / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    said = ddpm(
        *("train", "--dataset", "folder", "--data-dir", "photos", "--image-size", 8),
        *("--epochs", 2, *SMALL, "--out", "run"),
    )
    assert re.search(r"Skipped 1 file that .*broken\.jpg", said)
    run = Run(tmp_path / "run")
    assert run.about()["classes"] == ["round things", "squares"]
    assert [row["images_seen"] for row in run.metrics()] == [48, 96]  # 54 are six batches of 8
    ddpm("sample", "run", "--class", "Round things", "-n", 2, "--files", "each", "--steps", 3)
    assert len(os.listdir("each")) == 2
    # `evaluate` would train a judge in the same place; a short training will do here.
    options = ["--dataset", "folder", "--data-dir", "photos", "--image-size", 8, "--steps", 20]
    assert "Skipped 1 " in ddpm("judge", "run/judge.safetensors", *options)
    judge = (tmp_path / "run" / "judge.safetensors").read_bytes()
    assert "Skipped 1 " in ddpm("evaluate", "run", "--n", 8, "--steps", 3)
    assert (tmp_path / "run" / "judge.safetensors").read_bytes() == judge
    result = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert list(result["class_accuracies"]) == ["round things", "squares"]
    assert result["judge_n"] == 6  # a tenth of 60
    more = tmp_path / "photos" / "squares" / "more.jpg"
    picture.save(more)
    refused = process("evaluate", "run", "--n", 8, folder=tmp_path)
    assert refused.returncode == 2 and "begun with 60 images, and here are 61" in refused.stderr
    more.unlink()
    # By these pictures a model of others cannot be measured, and it is said before a judge is trained.
    where = ("--dataset", "folder", "--data-dir", "photos")
    refused = process("evaluate", "--n", 4, *where, folder=tmp_path)
    assert refused.returncode == 2 and "other classes: round things, squares" in refused.stderr
    ddpm("export", "run", "moved.safetensors")  # does not know where its pictures are
    ddpm(
        "evaluate",
        "moved.safetensors",
        "--n",
        4,
        "--steps",
        2,
        *where,
        "--judge",
        "run/judge.safetensors",
    )
    ddpm("report", "run")
    assert "round things" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    ddpm("export", "run", "small.safetensors")
    for name in ("small.safetensors", "small.json"):  # where the pictures lay stays here
        assert b"photos" not in (tmp_path / name).read_bytes()


@pytest.mark.slow
def test_demo_in_small(tmp_path):
    said = ddpm("demo", "--seconds", 1, "--n", 20, "--json", "scores.json", "--device", "cpu")
    folder = tmp_path / "runs" / "demo"
    for name in ("samples.png", "report.html", "evaluation.json", "metrics.csv"):
        assert (folder / name).stat().st_size > 100
    result = json.loads((tmp_path / "scores.json").read_text())
    assert result == json.loads((folder / "evaluation.json").read_text())
    assert {"class_accuracy", "class_accuracy_guided", "frechet_distance"} <= set(result)
    assert result["n"] == 20
    assert result["total_seconds"] > result["train_seconds"] > 0.5
    assert str(folder.relative_to(tmp_path) / "report.html") in said


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent in another way there")
def test_ctrl_c_ends_in_one_sentence(tmp_path):
    # Where the tests run in the background, the shell has Ctrl-C ignored: undo that.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    start = f"{heed}; from ddpm_ref.cli import main; main()"
    running = subprocess.Popen(
        [sys.executable, "-c", start, "train", "--seconds", "60", *SMALL, "--out", "run"],
        cwd=tmp_path,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    running.stdout.readline()  # what it is about to train
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert len(err.splitlines()) <= 1 and "Traceback" not in out + err
    assert "Stopped" in out + err
    assert not list(tmp_path.rglob("*.part"))


def test_output_that_cannot_hold_every_letter(tmp_path):
    """Redirected into a file on Windows, or with the C locale, output is not UTF-8."""
    done = subprocess.run(
        [sys.executable, "-m", "ddpm_ref", "noise", "--columns", "3", "--rows", "1"],
        cwd=tmp_path,
        env=environment() | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        encoding="ascii",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "noise.png" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="streams are closed by a POSIX shell")
@pytest.mark.parametrize(("command", "code"), [("noise --columns 2", 0), ("info nowhere", 2)])
def test_output_that_is_closed(tmp_path, command, code):
    """Where there is nobody to tell, the work is done and the exit code says how it went."""
    line = f"'{sys.executable}' -m ddpm_ref {command} >&- 2>&-"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment())
    assert done.returncode == code
    assert (tmp_path / "noise.png").is_file() == (code == 0)


def test_metrics_for_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "run"
    options = ["--tensorboard", "--steps", "4", "--base-width", "8", "--device", "cpu"]
    done = CliRunner().invoke(app, ["train", *options, "--out", str(run)], prog_name="ddpm")
    assert done.exit_code == 0, done.output
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    (loss,) = events.Scalars("train_loss")
    assert loss.step == 4 * 64
    assert loss.value == pytest.approx(Run(run).metrics()[0]["train_loss"])


FAULTS = """
import resource, sys
import torch
from ddpm_ref.cli import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(25_000_000)  # 100 MB, freed at once
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a matter of glibc")
def test_the_command_line_keeps_what_it_frees():
    def faults(way):
        command = [sys.executable, "-c", FAULTS, way]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("keep") < 1000 < faults("give back")


@pytest.mark.parametrize("program", ["ddpm_ref", "checks"])
def test_help_has_a_short_name(program):
    told = [
        subprocess.run([sys.executable, "-m", program, option], capture_output=True).stdout
        for option in ("-h", "--help")
    ]
    assert b"Usage" in told[0] and told[0] == told[1]
