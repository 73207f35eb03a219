"""The commands that CLIP has a part in, as typed."""

import json
import re
import shutil

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from typer.testing import CliRunner

from ddpm_ref import shapes
from ddpm_ref.cli import app
from ddpm_ref.clip import models
from ddpm_ref.clip.drawing import SCALE, Guide, best_of, draw_guided, texts_of
from ddpm_ref.clip.models import load_clip
from ddpm_ref.data import to_image
from ddpm_ref.datasets import load_dataset
from ddpm_ref.files import read_tensors
from ddpm_ref.painting import load_painter
from ddpm_ref.pictures import to_pil
from ddpm_ref.recipes import with_sampling


def ddpm(*arguments, code=0):
    """Run a command in this process. Returns what it printed, or its one sentence of complaint."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], prog_name="ddpm")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    if code:
        assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("error: ")
        return result.stderr
    assert result.stderr == ""
    return result.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny.make_run(tmp_path_factory.mktemp("cli") / "run")


@pytest.fixture
def mine(run, tmp_path):
    """A copy of the run, to be written to."""
    return shutil.copytree(run.folder, tmp_path / "run")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def one_clip():
    """Read once, not for each command."""
    kept = load_clip("shapes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "read_small", lambda path, device="cpu": kept)
        yield kept


def test_evaluate_with_clip(mine, tmp_path):
    said = ddpm("evaluate", mine, "--n", 40, "--clip", "--json", "a.json")
    result = json.loads((tmp_path / "a.json").read_text())
    assert result == json.loads((mine / "evaluation.json").read_text())
    assert result["clip_model"] == "shapes"
    assert result["clip_templates"] == ["a photo of a {class}"]
    for way in ("", "_guided", "_real"):
        confusion = np.array(result[f"clip_confusion{way}"])
        accuracy = np.trace(confusion) / confusion.sum()
        assert result[f"clip_matching_accuracy{way}"] == pytest.approx(accuracy)
        each = result[f"clip_matching_accuracies{way}"]
        assert tuple(each) == shapes.CLASSES
        diagonal = np.diag(np.array(result[f"clip_mean_similarities{way}"]))
        assert list(result[f"clip_intended_similarities{way}"].values()) == pytest.approx(
            list(diagonal)
        )
        assert result[f"clip_top1_similarity{way}"] >= result[f"clip_intended_similarity{way}"]
    # Real pictures are the ceiling; a model that has learnt nothing is far below it.
    assert result["clip_matching_accuracy_real"] > 0.99 > 0.5 > result["clip_matching_accuracy"]
    assert result["clip_intended_similarity_real"] > result["clip_intended_similarity_guided"] + 0.1
    assert result["clip_real_n"] == 2000
    assert "matching accuracy" in said and "2,000 real pictures" in said
    for name in ("clip-samples.png", "clip-similarity.png"):
        with Image.open(mine / name) as picture:
            assert picture.width > 400
    page = ddpm("report", mine) and (mine / "report.html").read_text(encoding="utf-8")
    assert "CLIP" in page and "matching, star" in page
    assert len(re.findall('src="data:image', page)) == 5
    ddpm("evaluate", mine, "--n", 20)  # without --clip, the numbers of before are gone, too
    assert "<h2>CLIP</h2>" not in (ddpm("report", mine) and (mine / "report.html").read_text())


def test_evaluate_with_templates_and_pictures_elsewhere(tmp_path):
    templates = ("--template", "a {class}", "--template", "a drawing of a {class}")
    options = ("--n", 20, "--steps", 2, "--guidance-scale", 1, "--clip", *templates)
    ddpm("evaluate", "undertrained", *options, "--pictures", "p", "--json", "a.json")
    result = json.loads((tmp_path / "a.json").read_text())
    assert result["clip_templates"] == ["a {class}", "a drawing of a {class}"]
    assert "clip_score_guided" not in result
    assert set(tiny.tree(tmp_path / "p")) == {"clip-samples.png", "clip-similarity.png"}


def test_rerank(mine, tmp_path, one_clip):
    options = ("--candidates", 6, "--keep", 2, "--seed", 4)
    said = ddpm("rerank", mine, "--class", "star", "--class", "arrow", *options, "--files", "kept")
    assert "best 2 of 6" in said
    result = json.loads((mine / "rerank.json").read_text())
    assert list(result["classes"]) == ["star", "arrow"]
    painter = load_painter(mine)
    how = with_sampling(painter.config)
    text = texts_of(one_clip, ["a photo of an arrow"])
    best = best_of(painter, one_clip, text, 9, 6, 2, how, seed=5)  # the second class, the next seed
    found = result["classes"]["arrow"]
    assert found["kept"] == best.kept.tolist()
    assert found["similarities"] == pytest.approx(best.similarity.tolist())
    assert found["similarity_kept"] >= found["similarity"]
    assert set(found) >= {"class_accuracy", "class_accuracy_kept"}
    assert sorted(tiny.tree(tmp_path / "kept")) == [
        *("arrow-0000.png", "arrow-0001.png", "star-0000.png", "star-0001.png")
    ]
    with Image.open(tmp_path / "kept" / "arrow-0000.png") as picture:
        assert picture.tobytes() == to_pil(best.x[best.kept[0]]).tobytes()
    page = ddpm("report", mine) and (mine / "report.html").read_text(encoding="utf-8")
    assert "Best of n" in page and "The judge, who took no part" in page


def test_rerank_mends_classes():
    """On the under-trained model, by the judge: more of the kept show a cross than of all."""
    ddpm(
        *("rerank", "undertrained", "--class", "cross", "--candidates", 40, "--keep", 8),
        *("--guidance-scale", 1, "--json", "a.json", "--out", "a.png"),
    )
    with open("a.json") as file:
        (found,) = json.load(file)["classes"].values()
    assert found["class_accuracy"] < 0.85
    assert found["class_accuracy_kept"] >= found["class_accuracy"] + 0.1


def test_guide(mine, tmp_path):
    said = ddpm("guide", mine, "--prompt", "a photo of a blue heart", "-n", 3, "--steps", 3)
    assert "class: heart" in said
    result = json.loads((mine / "guide.json").read_text())
    assert (result["class"], result["n"], result["clip_scale"]) == ("heart", 3, SCALE)
    assert result["similarity_guided"] > result["similarity_without"]
    assert result["seconds_per_image_guided"] > 0
    page = ddpm("report", mine) and (mine / "report.html").read_text(encoding="utf-8")
    assert "“a photo of a blue heart”" in page
    blank = ddpm(
        "guide", mine, "--prompt", "something blue", "-n", 1, "--steps", 2, "--out", "a.png"
    )
    assert "class: none" in blank and "'something'" in blank
    assert (tmp_path / "a.png").is_file()
    assert json.loads((mine / "guide.json").read_text()) == result  # that one went elsewhere
    config = (mine / "config.json").read_text()
    ddpm("guide", mine, "--prompt", "a star", "-n", 1, "--steps", 2, "--out", mine / "config.png")
    assert (mine / "config.json").read_text() == config


def test_guide_reaches_a_colour():
    """Asked for by words alone, measured from pixels."""
    ddpm("guide", "--prompt", "a green square", "-n", 12, "--out", "a.png", "--json", "a.json")
    with Image.open("a.png") as picture:
        assert picture.height > 300
    painter, clip = load_painter(), load_clip("shapes")
    y, noise = torch.full((12,), 1), painter.noise(12, 0)
    text, how = texts_of(clip, ["a green square"]), painter.config.sample
    reached = {}
    for name, x in (
        ("without", painter.draw(y, noise, how)),
        ("guided", draw_guided(painter, clip, text, y, noise, how, Guide())),
    ):
        pixels = (to_image(x) * 255).round().byte().numpy()
        reached[name] = (shapes.colour_seen(pixels) == list(shapes.COLOURS).index("green")).mean()
    assert reached["guided"] >= 0.75 > 0.4 >= reached["without"]


WAYS = {
    "plain": [],
    "scale": ["--clip-scale", 2],
    "none": ["--clip-scale", 0],
    "interval": ["--interval", 0, 9],
    "normalised": ["--normalise"],
    "fast": ["--fast"],
    "unclipped": ["--no-clip-x0"],
    "views": ["--views", 2],
    "guidance": ["--guidance-scale", 3],
    "unconditional": ["--unconditional"],
    "class": ["--class", "star"],
    "sampler": ["--sampler", "dpm"],
    "ancestral": ["--sampler", "ddpm"],
}


def test_every_way_of_guiding_draws_something_else(run):
    drawn = {}
    for name, options in WAYS.items():
        steps = [] if name == "ancestral" else ["--steps", 3]
        options = [*options, *steps, "-n", 1, "--seed", 1]
        ddpm("guide", run.folder, "--prompt", "a red arrow", *options, "--out", "a.png")
        with Image.open("a.png") as picture:
            lower = picture.crop((0, picture.height // 2, picture.width, picture.height))
            drawn[name] = np.asarray(lower.convert("RGB"), dtype=float)[24:104].tobytes()
    for name, picture in drawn.items():
        assert [other for other, its in drawn.items() if its == picture] == [name]


def test_colours_are_measured_from_pixels():
    indices = np.arange(10**9, 10**9 + 1000)
    images = load_dataset("shapes", test=True, size=1000).images.numpy()
    assert (shapes.colour_seen(images) == shapes.colour_of(indices)).mean() > 0.99
    assert shapes.colour_seen(np.zeros((2, 3, 8, 8), dtype=np.uint8)).shape == (2,)


@pytest.mark.slow
def test_clip_train(tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    said = ddpm("clip-train", "c/clip.safetensors", "--steps", 3, "--json", "a.json")
    assert "class named rightly" in said and "colour and class named rightly" in said
    result = json.loads((tmp_path / "a.json").read_text())
    assert result["steps"] == 3 and result["train_seconds"] > 0
    assert set(tiny.tree(tmp_path / "c")) == {"clip.json", "clip.safetensors"}


@pytest.mark.slow
def test_clip_train_on_a_folder(tmp_path):
    for name in ("red cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(10):
            tiny.picture().save(tmp_path / "photos" / name / f"{k}.png")
    options = ("--dataset", "folder", "--data-dir", "photos", "--image-size", 16, "--steps", 3)
    said = ddpm("clip-train", "clip.safetensors", *options)
    assert "class named rightly" in said and "colour" not in said
    words = models.read_tensors(tmp_path / "clip.safetensors")[1]["clip"]["words"]
    assert {"photo", "cats", "dogs"} <= set(words)
    assert not {"blue", "shape"} & set(words)  # which no caption of these says


def test_training_with_a_clip_loss(tmp_path):
    options = ("--images", 48, "--batch-size", 12, "--base-width", 8, "--timesteps", 20)
    for weight in (0, 5):
        ddpm("train", *options, "--clip-loss", weight, "--device", "cpu", "--out", f"r{weight}")
    config = json.loads((tmp_path / "r5" / "config.json").read_text())["config"]
    assert config["train"]["clip_loss"] == 5
    a, b = (
        read_tensors(tmp_path / f"r{w}" / "checkpoints" / "last.safetensors")[0] for w in (0, 5)
    )
    assert a.keys() == b.keys()  # nothing of CLIP is kept in a checkpoint
    assert any(not torch.equal(a[k], b[k]) for k in a if k.startswith("model."))


WRONG = {
    "more kept than drawn": ("rerank --candidates 3 --keep 4", "--keep"),
    "none kept": ("rerank --keep 0", "--keep"),
    "class": ("rerank --class starr", '"star"'),
    "template": ("rerank --template star", "{class}"),
    "no prompt": ("guide", "--prompt"),
    "scale": ("guide --prompt star --clip-scale nan", "--clip-scale"),
    "interval": ("guide --prompt star --interval 5 3", "--interval"),
    "interval beyond T": ("guide --prompt star --interval 0 1000", "999"),
    "class and none": ("guide --prompt star --class star --unconditional", "--class"),
    "kind of picture": ("guide --prompt star --out a.xyz", ".png"),
    "views": ("guide --prompt star --views -1", "--views"),
    "model": ("evaluate --clip --clip-model ViT-B-33", "ViT-B-32"),
    "file": ("evaluate --clip --clip-weights no.safetensors", "no.safetensors"),
    "without --clip": ("evaluate --clip-model ViT-B-32", "--clip"),
    "name of a CLIP": ("clip-train a.pt", ".safetensors"),
    "steps of a CLIP": ("clip-train a.safetensors --steps 1", "--steps"),
    "CLIP loss": ("train --out new --clip-loss -1", "--clip-loss"),
    "pictures in a file": ("evaluate --clip --pictures file", "file"),
}


@pytest.mark.parametrize(("command", "says"), WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_one_sentence(tmp_path, command, says):
    (tmp_path / "file").write_text("mine")
    before = tiny.tree(tmp_path)
    said = (
        ddpm(*command.split(), "--n", 2, code=2)
        if "evaluate" in command
        else ddpm(*command.split(), code=2)
    )
    assert says in said
    assert tiny.tree(tmp_path) == before
