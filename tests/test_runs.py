"""The folder of a run, and the painter that comes out of it."""

import itertools
import json
import math
import shutil
import sys
from dataclasses import replace

import pytest
import tiny
import torch
from PIL import Image

from ddpm_ref import jobs, launch, painting, runs
from ddpm_ref.errors import UserError
from ddpm_ref.files import read_tensors, write_tensors
from ddpm_ref.guidance import IntervalGuidance
from ddpm_ref.jobs import Hooks
from ddpm_ref.launch import draw_progress, fit_to_dataset
from ddpm_ref.painting import export_weights, load_painter
from ddpm_ref.presets import SampleConfig
from ddpm_ref.recipes import make_schedule, steps_of, with_sampling
from ddpm_ref.runs import Run, free_name


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two epochs of the tiny recipe."""
    return tiny.make_run(tmp_path_factory.mktemp("runs") / "run", images=216)


@pytest.fixture(scope="module")
def painter(run):
    return load_painter(run.folder)


def test_a_run_has_its_files(run):
    assert tiny.tree(run.folder).keys() == {
        *("config.json", "metrics.csv", "checkpoints", "samples"),
        *(
            f"checkpoints/{name}.{kind}"
            for name in ("last", "best")
            for kind in ("json", "safetensors")
        ),
        *("samples/epoch-0001.png", "samples/epoch-0002.png"),
    }
    about = json.loads((run.folder / "config.json").read_text(encoding="utf-8"))
    assert about["classes"] == list(tiny.shapes().classes)
    assert about["config"]["train"]["images"] == 216
    assert about["command"].startswith("ddpm")
    with Image.open(run.folder / "samples" / "epoch-0002.png") as picture:
        assert picture.width >= 160 and picture.height >= 16  # ten classes of 16 pixels


def test_samples_are_drawn_every_few_epochs_and_at_the_end(tmp_path):
    run = tiny.make_run(tmp_path / "run", images=5 * 12, batch_size=12, sample_every=2)
    assert [p.name for p in (run.folder / "samples").iterdir()] == ["epoch-0001.png"]
    run = tiny.make_run(tmp_path / "longer", images=3 * 108, sample_every=2)
    names = sorted(p.name for p in (run.folder / "samples").iterdir())
    assert names == ["epoch-0002.png", "epoch-0003.png"]


def test_short_epochs_are_not_spent_on_pictures(tmp_path):
    """Of a dozen images an epoch is one step, and a picture would cost more than it."""
    few = tiny.shapes().subset(range(13))  # one of them to validate on
    recipe = tiny.config(images=60 * 12, batch_size=12)
    launch.train(recipe, few, tmp_path / "run")
    names = sorted(p.name for p in (tmp_path / "run" / "samples").iterdir())
    assert names == [f"epoch-{3 * k:04d}.png" for k in range(1, 21)]
    assert len(Run(tmp_path / "run").metrics()) == 60
    assert [launch.epochs_between(recipe.train, steps) for steps in (1, 3, 60)] == [3, 1, 1]
    long = tiny.config(images=10**6, batch_size=12).train
    assert [launch.epochs_between(long, steps) for steps in (1, 20, 50)] == [50, 3, 1]


def test_the_same_seed_makes_the_same_run(tmp_path, run, painter):
    again = load_painter(tiny.make_run(tmp_path / "again", images=216).folder)
    other = load_painter(tiny.make_run(tmp_path / "other", images=216, seed=1).folder)
    name = "stem.weight"
    assert torch.equal(again.model.state_dict()[name], painter.model.state_dict()[name])
    assert not torch.equal(other.model.state_dict()[name], painter.model.state_dict()[name])


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file"])
def test_a_run_is_never_put_where_something_is(tmp_path, kind):
    place = tmp_path / "there"
    if kind == "file":
        place.write_text("mine")
    else:
        place.mkdir()
    if kind == "folder":
        (place / "config.json").write_text("mine")
    before = tiny.tree(tmp_path)
    with pytest.raises(UserError, match="exists already") as error:
        Run.create(place, tiny.CONFIG, ("a",), 24)
    assert tiny.tree(tmp_path) == before
    # Nobody is told to remove what may be their photographs.
    assert ("remove it" in str(error.value)) == (kind == "folder")


def test_a_recipe_that_cannot_be_leaves_no_folder(tmp_path):
    broken = replace(tiny.CONFIG, model=replace(tiny.CONFIG.model, base_width=12))
    with pytest.raises(ValueError, match="12"):
        launch.train(broken, tiny.shapes(), tmp_path / "run", torch.device("cpu"))
    too_large = tiny.config(batch_size=500)
    with pytest.raises(ValueError, match="500"):
        launch.train(too_large, tiny.shapes(), tmp_path / "run", torch.device("cpu"))
    assert tiny.tree(tmp_path) == {}


def header(run, name):
    path = run.checkpoint(name).with_suffix(".json")
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def test_checkpoints_every_few_epochs_and_at_the_end(tmp_path):
    """Best is the best of those that were kept."""
    folder, kept = tmp_path / "run", []

    def look(state, metrics):
        last = header(Run(folder), "last")
        kept.append(last and last["epoch"])

    recipe = tiny.config(images=5 * 108, checkpoint_every=2, sample_every=9)
    assert launch.train(recipe, tiny.shapes(), folder, hooks=Hooks(on_epoch=look))
    assert kept == [None, 2, 2, 4, 5]
    losses = {row["epoch"]: row["val_loss"] for row in Run(folder).metrics()}
    assert header(Run(folder), "best")["epoch"] == min((2, 4, 5), key=losses.get)


def test_a_training_that_the_clock_ends_is_kept_too(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "time", tiny.ticking_clock())
    recipe = tiny.config(images=10**6, checkpoint_every=10**6, seconds=60.0)
    assert launch.train(recipe, tiny.shapes(), tmp_path / "run")
    run = Run(tmp_path / "run")
    assert header(run, "last")["step"] == run.metrics()[-1]["step"] > 0
    assert run.metrics()[-1]["learning_rate"] < 0.1 * recipe.train.learning_rate
    # With more time it goes on at the rate that belongs there, not at the end of the fall.
    asked = itertools.count()
    longer = replace(recipe, train=replace(recipe.train, seconds=None))
    hooks = Hooks(interrupted=lambda: next(asked) > 30)
    assert not launch.train(longer, tiny.shapes(), tmp_path / "run", hooks=hooks, resume=True)
    assert run.metrics()[-1]["learning_rate"] == recipe.train.learning_rate


def test_a_training_killed_before_its_first_checkpoint_begins_anew(tmp_path, monkeypatch):
    """The row of its first epoch was written already, and must not stand there twice."""
    recipe, save = tiny.config(images=2 * 108), launch.save_checkpoint

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        launch.train(recipe, tiny.shapes(), tmp_path / "run")
    assert [row["epoch"] for row in Run(tmp_path / "run").metrics()] == [1]
    monkeypatch.setattr(launch, "save_checkpoint", save)
    assert launch.train(recipe, tiny.shapes(), tmp_path / "run", resume=True)
    assert [row["epoch"] for row in Run(tmp_path / "run").metrics()] == [1, 2]


def test_a_training_killed_between_checkpoints_repeats_what_was_lost(tmp_path):
    recipe = tiny.config(images=4 * 108, checkpoint_every=2, sample_every=9)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    launch.train(recipe, tiny.shapes(), whole)

    def die(state, metrics):
        if state.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch.train(recipe, tiny.shapes(), killed, hooks=Hooks(on_epoch=die))
    assert len(Run(killed).metrics()) == 3
    assert launch.train(recipe, tiny.shapes(), killed, resume=True)
    tensors = [read_tensors(Run(folder).checkpoint("last"))[0] for folder in (whole, killed)]
    assert all(torch.equal(value, tensors[1][key]) for key, value in tensors[0].items())
    assert [row["epoch"] for row in Run(killed).metrics()] == [1, 2, 3, 4]
    assert [header(Run(f), "best")["epoch"] for f in (whole, killed)] == [4, 4]


def test_compiling_is_left_to_the_machine_where_the_recipe_does(tmp_path, monkeypatch):
    def broken(model):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", broken)
    assert not launch.can_compile(torch.device("cuda"))
    assert launch.train(
        tiny.config(images=12, compile=None), tiny.shapes(), tmp_path / "run", "cpu"
    )
    with pytest.raises(RuntimeError, match="no compiler"):
        launch.train(tiny.config(images=12, compile=True), tiny.shapes(), tmp_path / "b", "cpu")


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UserError, match=r"config\.json"):
        Run(tmp_path)
    (tmp_path / "config.json").write_text('{"half": ')
    with pytest.raises(UserError, match="damaged"):
        Run(tmp_path).about()


def test_metrics_come_back(tmp_path):
    run = Run.create(tmp_path / "run", tiny.CONFIG, ("a",), 24)
    assert run.metrics() == []
    always = dict.fromkeys(("step", "images_seen", "seconds", "train_loss"), 1.0)
    rows = [
        {"epoch": 1, "val_loss": 0.1 + 0.2} | always,
        {"epoch": 2, "val_loss": 1e-17} | always,
    ]
    for row in rows:
        run.add_metrics(row)
    assert run.metrics() == rows  # floats to the last digit
    run.add_metrics({"epoch": 3, "val_loss": math.nan} | always)
    assert math.isnan(run.metrics()[2]["val_loss"])
    text = (run.folder / "metrics.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == "epoch,val_loss,step,images_seen,seconds,train_loss"


@pytest.mark.parametrize("row", ["1,2,3", "1,2,3,4,5,6,7", "1,2,3,4,5,x"])
def test_damaged_metrics_are_told(tmp_path, row):
    run = Run.create(tmp_path / "run", tiny.CONFIG, ("a",), 24)
    head = "epoch,step,images_seen,seconds,train_loss,val_loss"
    (run.folder / "metrics.csv").write_text(f"{head}\n{row}\n")
    with pytest.raises(UserError, match=r"metrics\.csv is damaged"):
        run.metrics()


def test_a_compiled_model_is_trained(tmp_path, monkeypatch):
    """What torch.compile makes has no truth value; here it is compiled without a compiler."""
    compile_it, compiled = torch.compile, []

    def eagerly(model):
        compiled.append(compile_it(model, backend="eager"))
        return compiled[-1]

    monkeypatch.setattr(torch, "compile", eagerly)
    recipe = tiny.config(images=24)
    launch.train(recipe, tiny.shapes(), tmp_path / "plain")
    with_compiler = replace(recipe, train=replace(recipe.train, compile=True))
    launch.train(with_compiler, tiny.shapes(), tmp_path / "compiled")
    assert len(compiled) == 1
    plain, same = (load_painter(tmp_path / name).model for name in ("plain", "compiled"))
    for p, q in zip(plain.parameters(), same.parameters(), strict=True):
        assert torch.allclose(p, q, atol=1e-5)


def test_on_a_cpu_32_bits_stay_32_bits(tmp_path, monkeypatch):
    """Where TF32 is allowed, CPUs that know it use it too: a run would not come out alike everywhere."""
    monkeypatch.setattr(launch, "allow_tf32", lambda: pytest.fail("allowed"))
    tiny.make_run(tmp_path / "run", images=12)


def test_a_second_training_is_compiled_for_its_own_sizes(tmp_path, monkeypatch):
    """Left to itself, torch takes the batch for one that varies once it has seen two sizes of it."""
    compile_it, sizes = torch.compile, []

    def noted(graph, inputs):
        sizes.append([size for x in inputs for size in getattr(x, "shape", (x,))])
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda model: compile_it(model, backend=noted))
    for batch_size in (12, 24):
        recipe = tiny.config(images=batch_size, batch_size=batch_size, compile=True)
        launch.train(recipe, tiny.shapes(), tmp_path / str(batch_size))
    assert sizes and all(isinstance(size, int) for inputs in sizes for size in inputs)


def test_a_run_goes_on_with_its_own_images_only(tmp_path):
    run, recipe = tiny.make_run(tmp_path / "run"), tiny.config(images=120)
    images = tiny.shapes()
    names = ("cat", *images.classes[1:])
    with pytest.raises(UserError, match="has learnt circle"):
        launch.train(recipe, replace(images, classes=names), run.folder, resume=True)
    fewer = images.subset(range(len(images.labels) - 1))
    with pytest.raises(UserError, match="was begun with"):
        launch.train(recipe, fewer, run.folder, resume=True)
    launch.train(recipe, images, run.folder, resume=True)


def test_a_new_length_is_kept(tmp_path):
    run = tiny.make_run(tmp_path / "run", images=60)
    launch.train(tiny.config(images=120), tiny.shapes(), run.folder, resume=True)
    assert run.config().train.images == 120


def test_a_run_whose_pictures_were_taken_away_goes_on(tmp_path):
    run = tiny.make_run(tmp_path / "run", images=60)
    shutil.rmtree(run.folder / "samples")
    assert launch.train(tiny.config(images=120), tiny.shapes(), run.folder, resume=True)
    assert list((run.folder / "samples").glob("*.png"))


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    run = tiny.make_run(tmp_path / "run", images=60)
    with run.alone(), pytest.raises(UserError, match="Another process"):
        launch.train(tiny.config(images=120), tiny.shapes(), run.folder, resume=True)
    assert launch.train(tiny.config(images=120), tiny.shapes(), run.folder, resume=True)


def test_few_timesteps(tmp_path):
    """Fewer than the steps of the pictures of progress."""
    recipe = replace(tiny.CONFIG, diffusion=replace(tiny.CONFIG.diffusion, timesteps=5))
    assert launch.train(recipe, tiny.shapes(), tmp_path / "run")


DAMAGES = {
    "a width in words": (("model", "base_width"), "eight", "model.base_width"),
    "a unit that nobody knows": (("train", "loudness"), 3, "train.loudness"),
    "no timesteps": (("diffusion", "timesteps"), 0, "T|timestep"),
    "another target": (("diffusion", "target"), "x0", "diffusion.target"),
    "one multiplier": (("model", "multipliers"), 2, "model.multipliers"),
    "half an interval": (("sample", "guidance_interval"), [3], "sample.guidance_interval"),
    "steps in words": (("sample", "steps"), "ten", "sample.steps"),
    "true for a number": (("train", "batch_size"), True, "train.batch_size"),
    "a scale that is no number": (("sample", "guidance_scale"), math.nan, "sample.guidance_scale"),
    "no model": (("model",), None, "model"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_recipe_edited_by_hand_is_one_sentence(tmp_path, damage):
    keys, value, said = DAMAGES[damage]
    tensors, header = read_tensors(tiny.make_run(tmp_path / "run").checkpoint("last"))
    part = header["about"]["config"]
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    write_tensors(tmp_path / "odd.safetensors", tensors, header)
    with pytest.raises(UserError, match=said) as told:
        load_painter(tmp_path / "odd.safetensors")
    assert "odd.safetensors" in str(told.value)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    tensors, header = read_tensors(tiny.make_run(tmp_path / "run").checkpoint("last"))
    next(v for k, v in tensors.items() if k.startswith("ema."))[0] = math.nan
    write_tensors(tmp_path / "odd.safetensors", tensors, header)
    with pytest.raises(UserError, match="no numbers"):
        load_painter(tmp_path / "odd.safetensors")


def test_names_that_are_numbers_go_before_positions(painter):
    numbered = replace(painter, classes=tuple(str(2 * k) for k in range(10)))
    assert numbered.labels(["2", "18"]) == [1, 9]
    with pytest.raises(UserError, match="no class '1'"):
        numbered.labels(["1"])


def test_names_that_differ_in_capitals_are_two_classes(painter):
    classes = ("Cat", "cat", *painter.classes[2:])
    assert replace(painter, classes=classes).labels(["cat", "Cat", "CAT"]) == [1, 0, 0]


def test_metrics_of_a_run(run):
    rows = run.metrics()
    assert [row["epoch"] for row in rows] == [1, 2]
    assert [row["images_seen"] for row in rows] == [108, 216]
    assert all(0 < row["val_loss"] < 2 for row in rows)


def test_free_name(tmp_path):
    assert free_name(tmp_path / "run") == tmp_path / "run"
    (tmp_path / "run").mkdir()
    (tmp_path / "run-2").touch()
    assert free_name(tmp_path / "run") == tmp_path / "run-3"


def test_command_line_can_be_typed_again(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/ddpm", "train", "--out", "my runs/a"])
    assert runs.command_line() == "ddpm train --out 'my runs/a'"


def test_a_painter_has_the_averaged_weights(run, painter):
    tensors, _ = read_tensors(run.checkpoint("last"))
    for key, value in painter.model.state_dict().items():
        assert torch.equal(value, tensors[f"ema.{key}"])
    assert not torch.equal(tensors["ema.stem.weight"], tensors["model.stem.weight"])
    assert not painter.model.training
    assert painter.classes == tiny.shapes().classes
    assert painter.config.train.images == 216


def test_without_an_average_a_painter_has_the_weights(tmp_path):
    run = tiny.make_run(tmp_path / "run", ema_decay=None)
    tensors, _ = read_tensors(run.checkpoint("last"))
    painter = load_painter(run.folder)
    assert torch.equal(painter.model.state_dict()["stem.weight"], tensors["model.stem.weight"])


def test_best_is_the_epoch_of_the_lowest_validation_loss(tmp_path, monkeypatch):
    """Validation made to say 0.5, 0.2, 0.9: best must be the second epoch, last the third."""
    said = iter([0.5, 0.2, 0.9])
    monkeypatch.setattr(
        "ddpm_ref.jobs.validate_by_timestep", lambda *a, **k: (next(said), [0.0] * 10)
    )
    run = tiny.make_run(tmp_path / "run", images=3 * 108)
    epochs = {name: read_tensors(run.checkpoint(name))[1]["epoch"] for name in ("best", "last")}
    assert epochs == {"best": 2, "last": 3}
    best, last = (load_painter(run.folder, name) for name in ("best", "last"))
    assert best.source.name == "best.safetensors"
    assert not torch.equal(best.model.stem.weight, last.model.stem.weight)
    assert [run.metrics_of(name)["val_loss"] for name in ("best", "last")] == [0.2, 0.9]


def test_a_painter_lies_in_memory_as_its_precision_wants_it(tmp_path, monkeypatch):
    run, asked = tiny.make_run(tmp_path / "run"), []

    def layout(device, precision):
        asked.append((device.type, precision))
        return torch.channels_last

    monkeypatch.setattr(painting, "memory_format", layout)
    painter = load_painter(run.folder)
    assert asked == [("cpu", painter.precision)]
    assert painter.model.stem.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("trained", "drawn"), [("fp32", False), ("auto", True), ("fp16", True)])
def test_pictures_are_drawn_in_half_precision_where_it_suits(painter, monkeypatch, trained, drawn):
    monkeypatch.setattr(painting, "select_precision", lambda asked, device: {"auto": "bf16"}[asked])
    recipe = replace(painter.config, train=replace(painter.config.train, precision=trained))
    painter, how, seen = replace(painter, config=recipe), SampleConfig(steps=2), []
    hook = painter.model.register_forward_hook(
        lambda *_: seen.append(torch.is_autocast_enabled("cpu"))
    )
    try:
        x = painter.draw(torch.tensor([3]), painter.noise(1, seed=0), how)
        assert set(seen) == {drawn} and x.dtype == torch.float32
        seen.clear()
        # What follows a text brings a model of its own, and gradients that stay whole.
        painter.draw(
            torch.tensor([3]), painter.noise(1, seed=0), how, guide=lambda chosen: painter.model
        )
        assert set(seen) == {False}
    finally:
        hook.remove()


def test_an_exported_model_draws_the_same(tmp_path, painter):
    path = tmp_path / "small.safetensors"
    export_weights(painter, path, note="made by a test")
    tensors, _ = read_tensors(path)
    assert {value.dtype for value in tensors.values()} == {torch.float16}
    again = load_painter(path)
    assert again.classes == painter.classes
    assert again.config == painter.config
    assert again.about["note"] == "made by a test"
    for key, value in painter.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[key], value.half().float())
    y, noise = torch.tensor([3]), painter.noise(1, seed=0)
    how = SampleConfig(steps=4, guidance_scale=1.0)
    difference = again.draw(y, noise, how) - painter.draw(y, noise, how)
    assert difference.abs().max() < 0.02


def test_no_painter_from_a_file_of_something_else(tmp_path):
    path = tmp_path / "judge.safetensors"
    for header in ({"about": {}}, {"judge": {}}, [], {"about": {"config": {}, "classes": []}}):
        write_tensors(path, {"w": torch.zeros(1)}, header)
        with pytest.raises(UserError, match=r"judge\.safetensors"):
            load_painter(path)


@pytest.mark.parametrize("classes", [None, 10, "abcdefghij", list(range(10)), ["a", "b"]], ids=repr)
def test_no_painter_when_the_classes_are_no_names(tmp_path, run, classes):
    tensors, header = read_tensors(run.checkpoint("last"))
    header["about"]["classes"] = classes
    write_tensors(tmp_path / "odd.safetensors", tensors, header)
    with pytest.raises(UserError, match=r"odd\.safetensors is damaged"):
        load_painter(tmp_path / "odd.safetensors")


@pytest.mark.parametrize(
    "part, name, value, says",
    [
        ("model", "blocks", 10**9, "larger model"),
        ("model", "middle_blocks", 10**9, "larger model"),
        ("model", "base_width", 80_000, "larger model"),
        ("model", "multipliers", [1, 10**6], "larger model"),
        ("model", "base_width", 10**20, "base_width = 1"),
        ("diffusion", "timesteps", 10**12, "at most a million timesteps"),
    ],
)
def test_a_recipe_that_would_fill_the_memory_is_refused(
    part, name, value, says, tmp_path, run, monkeypatch
):
    tensors, header = read_tensors(run.checkpoint("last"))
    header["about"]["config"][part][name] = value
    write_tensors(tmp_path / "huge.safetensors", tensors, header)
    if part == "model":  # and before it is built
        monkeypatch.setattr("ddpm_ref.painting.make_model", None)
    with pytest.raises(UserError, match=says):
        load_painter(tmp_path / "huge.safetensors")


def test_no_painter_when_weights_and_recipe_disagree(tmp_path, run):
    tensors, header = read_tensors(run.checkpoint("last"))
    header["about"]["config"]["model"]["base_width"] = 16
    write_tensors(tmp_path / "other.safetensors", tensors, header)
    with pytest.raises(UserError, match="another model"):
        load_painter(tmp_path / "other.safetensors")


def test_no_painter_from_a_run_without_checkpoints(tmp_path):
    Run.create(tmp_path / "run", tiny.CONFIG, ("a",), 24)
    with pytest.raises(UserError, match="no checkpoint yet"):
        load_painter(tmp_path / "run")


def test_the_shipped_painter_draws():
    painter = load_painter()
    assert painter.classes == tiny.shapes().classes
    x = painter.draw(torch.tensor([3]), painter.noise(1, 0), with_sampling(painter.config))
    assert x.shape == (1, 3, 16, 16)
    assert x.std() > 0.1


def test_labels_by_name_and_number(painter):
    assert painter.labels(["star", "Heart", "0", "9", "star"]) == [3, 6, 0, 9, 3]
    for unknown in ("starr", "10", "-1", "", "1.0"):
        with pytest.raises(UserError, match="There is no class"):
            painter.labels([unknown])


def test_noise_is_fixed_by_its_seed(painter):
    a = painter.noise(3, seed=4)
    torch.rand(1)
    assert a.shape == (3, 3, 16, 16)
    assert torch.equal(a, painter.noise(3, seed=4))
    assert not torch.equal(a, painter.noise(3, seed=5))


@pytest.mark.parametrize("sampler", ["ddim", "dpm"])
def test_drawing_in_chunks_is_drawing_at_once(monkeypatch, painter, sampler):
    y, noise = torch.arange(7), painter.noise(7, seed=0)
    how = SampleConfig(sampler=sampler, steps=4, guidance_scale=2.0)
    at_once = painter.draw(y, noise, how)
    monkeypatch.setattr(painting, "CHUNK", 3)
    took, seen = [], []
    in_chunks = painter.draw(
        *(y, noise, how), callback=lambda i, t, x_t, x_0: seen.append((i, t)), advance=took.append
    )
    assert at_once.shape == noise.shape
    torch.testing.assert_close(in_chunks, at_once, rtol=1e-4, atol=1e-4)
    assert took == [3] * 4 + [3] * 4 + [1] * 4
    assert seen == [(0, 19), (1, 14), (2, 9), (3, 4)] * 3
    other = painter.draw(y + 1, noise, how)
    assert not torch.allclose(other, at_once, atol=1e-3)  # labels reach the model


def test_guidance_in_an_interval_is_guidance_there_and_none_elsewhere(painter):
    y, noise = torch.arange(3), painter.noise(3, seed=0)
    how = SampleConfig(steps=4, guidance_scale=3.0)  # at t = 19, 14, 9, 4

    def drawn(interval):
        calls = []
        with_hook = painter.model.register_forward_pre_hook(
            lambda _, given: calls.append((int(given[1][0]), given[2] is None))
        )
        x = painter.draw(y, noise, replace(how, guidance_interval=interval))
        with_hook.remove()
        return x, calls

    everywhere, calls = drawn((0, 19))
    assert torch.equal(everywhere, painter.draw(y, noise, how))
    between, calls = drawn((9, 14))
    assert [t for t, without in calls if not without] == [19, 14, 9, 4]
    assert [t for t, without in calls if without] == [14, 9]
    # By hand: one call of the sampler for each way of predicting.
    by_hand = IntervalGuidance(painter.model, 3.0, (9, 14)).eval()
    x_t, t = torch.randn(3, 3, 16, 16), torch.full((3,), 14)
    with torch.no_grad():
        c, u = painter.model(x_t, t, y), painter.model(x_t, t, None)
        torch.testing.assert_close(by_hand(x_t, t, y), u + 3 * (c - u))
        torch.testing.assert_close(by_hand(x_t, t + 1, y), painter.model(x_t, t + 1, y))
    nowhere, _ = drawn((5, 6))
    assert torch.equal(nowhere, painter.draw(y, noise, replace(how, guidance_scale=1.0)))
    assert not torch.equal(between, everywhere) and not torch.equal(between, nowhere)


@pytest.mark.parametrize(
    "how", [SampleConfig("ddpm"), SampleConfig("ddim", steps=4, eta=1.0)], ids=["ddpm", "eta 1"]
)
def test_drawing_with_noise_on_the_way_is_fixed_by_its_seed(painter, how):
    y, noise = torch.tensor([0, 1]), painter.noise(2, seed=0)
    torch.manual_seed(1)
    first = painter.draw(y, noise, how, seed=5)
    torch.manual_seed(2)
    assert torch.equal(painter.draw(y, noise, how, seed=5), first)
    assert not torch.equal(painter.draw(y, noise, how, seed=6), first)


def test_drawing_without_a_class(painter):
    noise, how = painter.noise(2, seed=0), SampleConfig(steps=4, guidance_scale=1.0)
    null = torch.full((2,), 10)
    torch.testing.assert_close(painter.draw(None, noise, how), painter.draw(null, noise, how))


def test_pictures_of_progress_are_the_run_s_own(tmp_path, run, painter):
    """What training put beside the last epoch is what its last checkpoint draws."""
    draw_progress(painter, tmp_path / "again.png")
    again, then = tmp_path / "again.png", run.folder / "samples" / "epoch-0002.png"
    assert Image.open(again).tobytes() == Image.open(then).tobytes()


def test_the_data_set_rules_the_recipe():
    recipe = replace(tiny.CONFIG, data=replace(tiny.CONFIG.data, image_size=24, size=30))
    adapted, images = fit_to_dataset(recipe)
    assert images.images.shape == (30, 3, 24, 24)
    assert adapted.model.image_size == adapted.data.image_size == 24
    assert adapted.model.attention_resolutions == (12,)
    assert (adapted.model.channels, adapted.model.num_classes) == (3, 10)
    assert adapted.train == recipe.train


def test_schedules_by_name():
    for name in ("linear", "cosine"):
        recipe = replace(tiny.CONFIG, diffusion=replace(tiny.CONFIG.diffusion, schedule=name))
        expected = getattr(tiny.NoiseSchedule, name)(20)
        assert torch.equal(make_schedule(recipe).betas, expected.betas)
    with pytest.raises(UserError, match="no schedule 'square'"):
        make_schedule(
            replace(tiny.CONFIG, diffusion=replace(tiny.CONFIG.diffusion, schedule="square"))
        )


def test_what_is_asked_for_goes_before_the_recipe():
    how = with_sampling(tiny.CONFIG, steps=7, guidance_scale=0.0)
    assert how == SampleConfig("ddim", steps=7, eta=0.0, guidance_scale=0.0)
    assert with_sampling(tiny.CONFIG) == tiny.CONFIG.sample
    assert steps_of(how, tiny.CONFIG) == 7
    assert steps_of(with_sampling(tiny.CONFIG, sampler="ddpm"), tiny.CONFIG) == 20


@pytest.mark.parametrize(
    "wish", [{"sampler": "euler"}, {"steps": 0}, {"steps": 21}, {"eta": -0.1}, {"eta": math.nan}]
)
def test_what_cannot_be_sampled(wish):
    with pytest.raises(UserError):
        with_sampling(tiny.CONFIG, **wish)
