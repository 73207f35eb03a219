"""The CIFAR-10 benchmark: its arms differ as they say, and it can be stopped anywhere and gone on with."""

import importlib.util
import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import torch
from PIL import Image
from torch import nn

from ddpm_ref import console
from ddpm_ref.datasets import load_dataset
from ddpm_ref.errors import UserError
from ddpm_ref.files import read_tensors
from ddpm_ref.jobs import Diverged
from ddpm_ref.judge import load_judge, save_judge
from ddpm_ref.presets import SampleConfig, preset
from ddpm_ref.recipes import make_model
from ddpm_ref.referee import train_judge

SOURCE = Path(__file__).resolve().parent.parent / "benchmarks" / "cifar10.py"
spec = importlib.util.spec_from_file_location("cifar10", SOURCE)
cifar10 = sys.modules["cifar10"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cifar10)

IMAGES = 50 * 45_000
# What each arm changes in the one before it, written down a second time.
CHANGED = {
    "ema": {"train.ema_decay"},
    "rate": {
        *("train.learning_rate", "train.betas", "train.warmup_steps"),
        *("train.decay_from", "train.batch_size"),
    },
    "residual": {"model.residual"},
    "scale-shift": {"model.conditioning"},
    "attention": {"model.attention_resolutions"},
    "width": {
        *("model.base_width", "model.multipliers", "model.blocks", "model.up_blocks"),
        *("model.middle_blocks", "model.attention_resolutions"),
        *("model.downsample", "model.upsample"),
    },
    "cosine": {"diffusion.schedule"},
    "cifar10": {"diffusion.target"},
    "min-snr": {"train.min_snr_gamma"},
}
SMALL = "cifar10-small"


def flat(config):
    return {
        f"{part}.{name}": value
        for part, values in config.to_dict().items()
        if part != "preset"
        for name, value in values.items()
    }


@pytest.mark.parametrize("name", CHANGED)
def test_an_arm_differs_from_the_one_before_it_in_what_it_says(name):
    found = cifar10.arms(IMAGES)
    mine, before = flat(found[name].config), flat(found[found[name].after].config)
    assert {key for key in mine if mine[key] != before[key]} == CHANGED[name]
    assert found[name].config.preset == name


def test_the_arms_lead_from_the_seed_to_ours():
    found = cifar10.arms(IMAGES)
    assert list(found) == ["seed", *CHANGED, SMALL] and set(cifar10.ORDER) == set(found)
    assert [arm.after for arm in found.values()] == [None, *list(found)[:-2], None]
    assert found["cifar10"].config == preset("cifar10")
    seed, plain = found["seed"].config, preset("seed")
    assert (seed.model, seed.diffusion) == (plain.model, plain.diffusion)
    assert seed.sample == preset("cifar10").sample
    different = {key for key, value in flat(seed).items() if value != flat(plain)[key]}
    assert {key for key in different if not key.startswith("sample.")} == {
        *("train.compile", "train.checkpoint_every")
    }


def test_all_arms_see_as_many_images_as_they_are_told():
    assert {arm.config.train.images for arm in cifar10.arms(12_345).values()} == {12_345}
    assert cifar10.arms(IMAGES)[SMALL].config == preset(SMALL)  # but for the one that comes along


@pytest.mark.parametrize("quick", [False, True])
def test_the_nets_of_all_arms_can_be_built(quick):
    with torch.device("meta"):
        for arm in cifar10.arms(IMAGES, quick).values():
            make_model(arm.config)


def test_quick_arms_differ_where_the_real_ones_do():
    found = cifar10.arms(96, quick=True)
    for name, changed in CHANGED.items():
        mine, before = flat(found[name].config), flat(found[found[name].after].config)
        different = {key for key in mine if mine[key] != before[key]}
        assert different and different <= changed


def test_a_first_ctrl_c_is_kept_for_later_and_a_second_is_not():
    before = signal.getsignal(signal.SIGINT)
    with console.signals() as signals:
        clock = cifar10.Clock(10, signals)
        clock.check()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(cifar10.OutOfTime):
            clock.check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_is_measured_like_an_arm(photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cifar10, "PORTION", 5)
    run = tiny.make_run(tmp_path / "mine", images=12)
    assert call(photos, tmp_path / "out", "--run", str(run.folder)) == 0
    (row,) = results(tmp_path / "out")["arms"].values()
    assert row["images_seen"] == 12
    assert [row[f"guidance {scale}"]["n"] for scale in ("1", "1.5")] == [12, 12]
    assert "mine" in capsys.readouterr().out
    assert call(photos, tmp_path / "out", "--run", str(photos)) == 2
    assert "no run" in capsys.readouterr().err
    numbers = tmp_path / "numbers.json"
    like = ("--run", str(run.folder), "--draw-as", "seed", "--json", str(numbers))
    assert call(photos, tmp_path / "out-2", *like) == 0
    (row,) = json.loads(numbers.read_text())["arms"].values()
    assert row["guidance 1"]["sampler"] == "ddpm" and "guidance 1.5" not in row


def test_a_judge_that_is_given_says_what_a_picture_shows(photos, tmp_path, capsys, monkeypatch):
    run = tiny.make_run(tmp_path / "mine", images=12)
    out, file = tmp_path / "out", tmp_path / "always-1.safetensors"
    images = load_dataset("folder", data_dir=photos, image_size=16)
    judge = train_judge(images, steps=1)
    last = [layer for layer in judge.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        last.bias[1] += 1000
    save_judge(judge, file, {"classes": images.classes})
    assert call(photos, out, "--run", str(run.folder), "--judge", str(file)) == 0
    assert (
        not (out / "referee.safetensors").exists() and (out / "referee-half.safetensors").exists()
    )
    (row,) = results(out)["arms"].values()
    right = list(row["guidance 1"]["class_accuracies"].values())
    assert right[1] == 1 and sum(right) == 1
    assert call(photos, out, "--run", str(run.folder)) == 2
    assert "begun with referee always-1.safetensors and photo, not photo" in capsys.readouterr().err
    other = ("--judge", "ddpm_ref/weights/judge-shapes.safetensors")
    monkeypatch.chdir(SOURCE.parent.parent)
    assert call(photos, tmp_path / "out-2", "--run", str(run.folder), *other) == 2
    assert "give a judge of the same data set" in capsys.readouterr().err
    assert call(photos, tmp_path / "out-3", "--judge", str(tmp_path / "nowhere")) == 2


def test_a_way_to_draw_does_what_its_name_says():
    """Whatever the sampler of the model that it is tried on."""
    for name, (changes, _) in cifar10.WAYS.items():
        how = replace(SampleConfig(sampler="ddpm"), **changes)
        if name != "ancestral" and not name.startswith("guidance"):
            assert name == f"{how.sampler} {how.steps}"
        elif name != "ancestral":
            assert name.startswith(f"guidance {how.guidance_scale:g}")


def test_a_run_is_drawn_in_other_ways(photos, tmp_path, capsys, monkeypatch):
    run = tiny.make_run(tmp_path / "mine", images=12)
    of_run = ("--run", str(run.folder), "--only", "sampling")
    assert call(photos, tmp_path / "out", *of_run) == 2
    assert "timesteps, too few for the ways that take 100 steps" in capsys.readouterr().err
    some = {name: cifar10.WAYS[name] for name in ("ddim 10", "ancestral")}
    monkeypatch.setattr(cifar10, "WAYS", some)
    assert call(photos, tmp_path / "out", *of_run) == 0
    found = results(tmp_path / "out")
    assert list(found["arms"]) == ["mine"]  # and no arm was trained
    ways = found["sampling"]
    assert (ways["mine, ddim 10"]["steps"], ways["mine, ddim 10"]["n"]) == (10, 12)
    assert (ways["mine, ancestral"]["sampler"], ways["mine, ancestral"]["n"]) == ("ddpm", 2)
    with pytest.raises(SystemExit) as stop:
        call(photos, tmp_path / "out", *of_run, "--sampling-of", "seed")
    assert stop.value.code == 2 and "it is the run that is measured" in capsys.readouterr().err


def test_results_stand_in_a_file_of_the_machine_unless_they_are_quick(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "RESULTS", tmp_path / "results")
    bench = cifar10.Bench.__new__(cifar10.Bench)
    bench.out, bench.machine, bench.results = tmp_path, "NVIDIA H200", {}
    bench.options = SimpleNamespace(quick=True, json=None)
    bench.note("arms", "seed", images_seen=1)
    assert not (tmp_path / "results").exists()
    bench.options = SimpleNamespace(quick=False, json=None)
    bench.note("arms", "seed", train_seconds=2.0)
    written = (tmp_path / "results" / "cifar10-nvidia-h200.json").read_text()
    assert json.loads(written) == {"arms": {"seed": {"images_seen": 1, "train_seconds": 2.0}}}
    assert (tmp_path / "results.json").read_text() == written


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Folders of little JPEGs, with a test part."""
    folder = tmp_path_factory.mktemp("cifar") / "photos"
    for part, size in (("train", 160), ("test", 40)):
        images = load_dataset("shapes", image_size=32, size=size, test=part == "test")
        for k, (pixels, label) in enumerate(zip(images.images, images.labels, strict=True)):
            place = folder / part / images.classes[int(label)]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(place / f"{k}.jpg")
    return folder


def call(photos, out, *arguments):
    common = [
        "--quick",
        "--n",
        "12",
        "--images",
        "48",
        "--dataset",
        "folder",
        "--data-dir",
        str(photos),
    ]
    return cifar10.main([*common, "--out", str(out), *arguments])


SOME_ARMS, SOME_WAYS = ("seed", "cifar10", "min-snr"), ("guidance 3", "dpm 10", "ancestral")


def results(out):
    return json.loads((out / "results.json").read_text())


class StopsAfter:
    """In place of `Clock.over`: true from the k-th time on that it is asked once a path is there."""

    def __init__(self, path, k):
        self.path, self.left = path, k

    def __get__(self, clock, kind):
        return lambda: self.over()

    def over(self):
        if self.path.exists():
            self.left -= 1
        return self.left < 0


@pytest.fixture(scope="module")
def stopped_often(photos, tmp_path_factory):
    """Three arms, some ways to draw, and four stops: before all, in a training, in a drawing, after it."""
    out, looked = tmp_path_factory.mktemp("often") / "out", {}
    only = ["--only", *SOME_ARMS, "sampling"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar10, "PORTION", 5)
        patch.setattr(cifar10, "RESULTS", out / "nowhere")
        patch.setattr(cifar10, "WAYS", {name: cifar10.WAYS[name] for name in SOME_WAYS})
        assert call(photos, out, "--minutes", "0") == cifar10.MORE_TO_DO
        assert not (out / "referee.safetensors").exists()
        for name, path, k in (
            ("training", out / "seed" / "config.json", 3),
            ("drawing", out / "seed" / "guidance-1" / "000000.safetensors", 2),
            ("another", out / "seed-guidance-2.png", 0),
        ):
            with patch.context() as inner:
                inner.setattr(cifar10.Clock, "over", StopsAfter(path, k))
                assert call(photos, out, *only) == cifar10.MORE_TO_DO
            looked[name] = {
                "seen": cifar10._last_checkpoint(out / "seed")["images_seen"],
                "drawn": sorted(p.name for p in (out / "seed").glob("guidance-*/*.safetensors")),
                "results": results(out),
            }
        before = (out / "seed" / "checkpoints" / "last.safetensors").stat().st_mtime_ns
        assert call(photos, out, *only) == 0
        after = (out / "seed" / "checkpoints" / "last.safetensors").stat().st_mtime_ns
        assert before == after  # what is trained is not trained again
    return out, looked


@pytest.mark.slow
def test_it_goes_on_where_it_was_stopped(stopped_often):
    out, looked = stopped_often
    assert 0 < looked["training"]["seen"] < 48
    assert looked["training"]["results"]["arms"] == {}
    assert set(looked["training"]["results"]["referees"]) == {"referee", "referee-half"}
    assert looked["drawing"]["seen"] == 48
    assert looked["drawing"]["drawn"] == ["000000.safetensors"]
    assert "guidance 1" not in looked["drawing"]["results"]["arms"]["seed"]
    assert {"guidance 1", "guidance 2"} <= set(looked["another"]["results"]["arms"]["seed"])
    assert list(looked["another"]["results"]["arms"]) == ["seed"]
    assert not (out / "nowhere").exists()  # quick results are published nowhere


@pytest.mark.slow
def test_it_measures_everything(stopped_often):
    out, _ = stopped_often
    found = results(out)
    assert list(found["arms"]) == list(SOME_ARMS)
    for row in found["arms"].values():
        assert row["images_seen"] == 48 and row["train_seconds"] > 0
        for scale in (1.0, 2.0):
            scored = row[f"guidance {scale:g}"]
            assert (scored["n"], scored["n_real"], scored["guidance_scale"]) == (12, 40, scale)
            assert 0 <= scored["class_accuracy"] <= 1 and scored["frechet_distance"] > 0
    assert set(found["sampling"]) == {
        *(f"cifar10, {name}" for name in SOME_WAYS),
        "seed, ancestral",
    }
    assert found["sampling"]["cifar10, dpm 10"]["steps"] == 10
    assert found["sampling"]["seed, ancestral"]["sampler"] == "ddpm"
    assert found["floor"]["n"] == 12 and found["floor"]["frechet_distance"] > 0
    assert found["referees"]["referee"]["images"] == 160
    assert found["referees"]["referee-half"]["images"] == 80
    assert load_judge(out / "referee.safetensors").kind == "photo"
    pictures = {path.name for path in out.glob("*.png")}
    assert {f"{name}-guidance-{scale}.png" for name in SOME_ARMS for scale in "12"} < pictures


@pytest.mark.slow
def test_stopping_changes_no_number(stopped_often, photos, tmp_path):
    out, _ = stopped_often
    assert call(photos, tmp_path / "at-once", "--only", "seed") == 0
    at_once = results(tmp_path / "at-once")
    assert list(at_once["arms"]) == ["seed"] and at_once["sampling"] == {}
    drawn = [
        torch.cat([read_tensors(p)[0]["images"] for p in sorted(folder.glob("*.safetensors"))])
        for folder in (out / "seed" / "guidance-1", tmp_path / "at-once" / "seed" / "guidance-1")
    ]
    assert (drawn[0].int() - drawn[1].int()).abs().max() <= 1  # in portions, and all at once
    for scale in ("guidance 1", "guidance 2"):
        mine, often = at_once["arms"]["seed"][scale], results(out)["arms"]["seed"][scale]
        assert mine["class_accuracy"] == often["class_accuracy"]
        assert mine["frechet_distance"] == pytest.approx(often["frechet_distance"], rel=0.02)


@pytest.mark.slow
def test_an_arm_that_diverges_is_noted_and_the_others_go_on(
    stopped_often, photos, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("referee.safetensors", "referee-half.safetensors"):
        shutil.copy(stopped_often[0] / name, out)
    train = cifar10.train

    def diverging(config, images, folder, *rest, **options):
        if config.preset != "ema":
            return train(config, images, folder, *rest, **options)
        folder.mkdir()
        about = {"config": config.to_dict()}
        (folder / "config.json").write_text(json.dumps(about))
        raise UserError("one sentence") from Diverged("The loss became nan by step 50.")

    monkeypatch.setattr(cifar10, "train", diverging)
    for _ in range(2):  # the second time it is not tried again
        assert call(photos, out, "--only", "ema", "rate") == 0
    assert results(out)["arms"]["ema"]["diverged"] == "The loss became nan by step 50."
    assert "guidance 2" in results(out)["arms"]["rate"]
    assert "diverged" in capsys.readouterr().out


@pytest.mark.slow
def test_results_of_two_kinds_are_not_mixed(stopped_often, photos, capsys, monkeypatch):
    out, _ = stopped_often
    before = results(out)
    assert call(photos, out, "--n", "13") == 2
    assert "was begun with n 12, not 13" in capsys.readouterr().err
    arms = cifar10.arms

    def others(*settings):
        found = arms(*settings)
        config = found["seed"].config
        config = replace(config, train=replace(config.train, learning_rate=0.5))
        return found | {"seed": replace(found["seed"], config=config)}

    monkeypatch.setattr(cifar10, "arms", others)
    assert call(photos, out, "--only", "seed") == 2
    assert "another recipe" in capsys.readouterr().err
    assert results(out) == before


def test_a_folder_without_a_test_part_is_one_sentence(tmp_path, photos, capsys):
    assert call(photos / "train", tmp_path / "out") == 2
    assert "no test part" in capsys.readouterr().err
    arguments = ["--quick", "--dataset", "folder", "--out", str(tmp_path / "other")]
    assert cifar10.main(arguments) == 2
    assert "needs --data-dir" in capsys.readouterr().err


def test_a_run_that_is_not_there_is_told_before_anything_is_trained(tmp_path, photos, capsys):
    assert call(photos, tmp_path / "out", "--run", str(tmp_path / "nowhere")) == 2
    assert "is no run with a checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong", [["--n", "1"], ["--images", "0"], ["--minutes", "nan"], ["--only", "emma"]]
)
def test_wrong_options_are_refused(wrong, capsys):
    with pytest.raises(SystemExit) as stopped:
        cifar10.options_from(wrong)
    assert stopped.value.code == 2
    assert wrong[0] in capsys.readouterr().err
