"""Chapter 8: a checkpoint is the run itself, and is there whole or not at all."""

import errno
import json
import math
import pickle
from dataclasses import replace
from types import SimpleNamespace

import pytest
import tiny
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ddpm_ref import files
from ddpm_ref.distributed import World
from ddpm_ref.errors import UserError
from ddpm_ref.files import load_weights, read_tensors, write_atomically, write_tensors
from ddpm_ref.jobs import Hooks
from ddpm_ref.jobs import run_training as fit
from ddpm_ref.training import (
    load_checkpoint,
    random_states,
    restore_random_states,
    save_checkpoint,
)

TWO_EPOCHS = tiny.config(images=216, learning_rate=5e-3, ema_decay=0.8)  # 9 steps each


def go_on(state, train_loader, val_loader, on_epoch):
    fit(
        *(state, train_loader, val_loader, tiny.schedule(), TWO_EPOCHS.train, 10, "v"),
        hooks=Hooks(on_epoch=on_epoch),
    )


def numbers(state):
    """Everything in a state that training could change, but the time it took."""
    tensors = dict(state.model.state_dict())
    tensors |= {f"ema.{k}": v for k, v in state.ema.average.state_dict().items()}
    for i, moments in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{k}": v for k, v in moments.items()}
    tensors |= {"rng": torch.get_rng_state(), "shuffling": state.shuffling.get_state()}
    counts = state.epoch, state.step, state.images_seen, state.best_loss, state.ema.updates
    rates = state.lr_schedule.last_epoch, state.optimizer.param_groups[0]["lr"]
    return {k: v.clone() for k, v in tensors.items()}, counts + rates


def lay_out(state, layout):
    for model in (state.model, state.ema.average):
        model.to(memory_format=layout)
    weight = state.model.stem.weight
    assert weight.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_resuming_changes_nothing(tmp_path, layout):
    """Two epochs at once, and one, a file, fresh objects, one more: equal to the last bit."""
    path, rows = tmp_path / "one.safetensors", []

    def keep(state, metrics):
        rows.append(metrics)
        if state.epoch == 1:
            save_checkpoint(path, state, {"classes": ["a", "b"]})

    state, *loaders = tiny.make_state(TWO_EPOCHS, tiny.shapes(), seed=0)
    lay_out(state, layout)
    go_on(state, *loaders, keep)
    straight_tensors, straight_counts = numbers(state)

    fresh, *loaders = tiny.make_state(TWO_EPOCHS, tiny.shapes(), seed=99)
    lay_out(fresh, layout)
    torch.rand(1, generator=fresh.shuffling)  # neither random state is where it was saved
    assert load_checkpoint(path, fresh) == {"classes": ["a", "b"]}
    assert (fresh.epoch, fresh.step, fresh.images_seen) == (1, 9, 108)
    assert fresh.seconds == rows[0]["seconds"]
    for parameter, moments in fresh.optimizer.state.items():
        assert moments["exp_avg"].stride() == parameter.stride()
    resumed = []
    go_on(fresh, *loaders, lambda state, metrics: resumed.append(metrics))

    tensors, counts = numbers(fresh)
    assert counts == straight_counts
    assert set(tensors) == set(straight_tensors)
    different = [k for k in tensors if not torch.equal(tensors[k], straight_tensors[k])]
    assert different == []
    assert len(resumed) == 1
    assert resumed[0]["train_loss"] == rows[1]["train_loss"]
    assert resumed[0]["val_loss"] == rows[1]["val_loss"]
    assert resumed[0]["seconds"] > rows[0]["seconds"]


def test_the_two_epochs_differ(tmp_path):
    """So that the test above could fail: without its file, a fresh start ends elsewhere."""
    ends = []
    for seed in (0, 99):
        state, *loaders = tiny.make_state(TWO_EPOCHS, tiny.shapes(), seed=seed)
        go_on(state, *loaders, lambda state, metrics: None)
        ends.append(numbers(state)[0])
    assert any(not torch.equal(ends[0][k], ends[1][k]) for k in ends[0])


def test_the_random_state_is_that_of_the_gpu_trained_on(monkeypatch):
    """Of several GPUs, the one where the model is need not be the current one."""
    gpu, asked = torch.device("cuda", 1), []
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda where: asked.append(where) or 7)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda kept, where: asked.append(where))
    weight = SimpleNamespace(device=gpu)
    state = SimpleNamespace(
        model=SimpleNamespace(parameters=lambda: iter([weight])), shuffling=None, world=World()
    )
    kept = random_states(state)
    assert kept["cuda.0"] == 7
    restore_random_states(kept, state)
    assert asked == [gpu, gpu]


def test_without_an_average(tmp_path):
    recipe = tiny.config(ema_decay=None)
    state, *_ = tiny.make_state(recipe, tiny.shapes(), seed=0)
    save_checkpoint(tmp_path / "a.safetensors", state)
    fresh, *_ = tiny.make_state(recipe, tiny.shapes(), seed=1)
    assert load_checkpoint(tmp_path / "a.safetensors", fresh) == {}
    for key, value in state.model.state_dict().items():
        assert torch.equal(value, fresh.model.state_dict()[key])
    assert fresh.best_loss == math.inf  # which JSON has no word for


def test_the_file_is_safetensors_with_a_readable_header(tmp_path):
    state, *_ = tiny.make_state(tiny.CONFIG, tiny.shapes())
    state.best_loss = 0.25
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, state, {"note": "√ᾱ"})
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        header = json.loads(file.metadata()["ddpm"])
    assert {f"model.{k}" for k in state.model.state_dict()} < names
    assert {f"ema.{k}" for k in state.model.state_dict()} < names
    assert {"rng.torch.0", "rng.shuffling"} < names
    assert header["about"] == {"note": "√ᾱ"}
    assert header["best_loss"] == 0.25
    assert json.loads((tmp_path / "last.json").read_text(encoding="utf-8")) == header
    assert tiny.tree(tmp_path).keys() == {"last.safetensors", "last.json"}
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(path.read_bytes())


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


class HalfWritten:
    """A file on a disk that is full after ten bytes."""

    def __init__(self, path, mode):
        self.file = path.open(mode)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, content):
        self.file.write(content[:10])
        self.file.flush()
        full_disk()


@pytest.mark.parametrize("failing", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("before", [b"the old one", None])
def test_a_full_disk_leaves_the_old_file_alone(tmp_path, monkeypatch, failing, before):
    path = tmp_path / "last.safetensors"
    if before is not None:
        path.write_bytes(before)
    found = tiny.tree(tmp_path)
    if failing in ("open", "write"):
        broken = full_disk if failing == "open" else HalfWritten
        monkeypatch.setattr(files, "open", broken, raising=False)
    else:
        monkeypatch.setattr(files.os, failing, full_disk)
    state, *_ = tiny.make_state(tiny.CONFIG, tiny.shapes())
    with pytest.raises(UserError, match="No space left") as caught:
        save_checkpoint(path, state)
    assert str(path) in str(caught.value)
    assert tiny.tree(tmp_path) == found


def test_a_good_write_replaces_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a longer old content")
    write_atomically(path, b"new")
    assert tiny.tree(tmp_path) == {"a.txt": b"new"}


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="Cannot write"):
        write_atomically(tmp_path / "nowhere" / "a.txt", b"new")
    assert tiny.tree(tmp_path) == {}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "last.safetensors"
    state, *_ = tiny.make_state(tiny.CONFIG, tiny.shapes())
    save_checkpoint(path, state, {"classes": ["a"]})
    return path


def damaged(content, kind):
    header = 8 + int.from_bytes(content[:8], "little")
    return {
        "empty": b"",
        "a few bytes": content[:5],
        "within the header": content[: header // 2],
        "within the tensors": content[:-10],
        "longer": content + b"more",
        "garbled header": content[:20] + b"\xff" * 40 + content[60:],
        "a pickle": pickle.dumps({"model": [1, 2, 3]}),
        "text": b"hello, I am no checkpoint, but I am long enough",
    }[kind]


KINDS = ["empty", "a few bytes", "within the header", "within the tensors", "longer"]
KINDS += ["garbled header", "a pickle", "text"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_one_sentence(tmp_path, saved, kind):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(damaged(saved.read_bytes(), kind))
    with pytest.raises(UserError) as caught:
        read_tensors(path)
    assert one_sentence(caught.value) and "bad.safetensors" in str(caught.value)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"ddpm": "{not json"}])
def test_a_file_of_another_program_is_one_sentence(tmp_path, metadata):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata)
    with pytest.raises(UserError) as caught:
        read_tensors(path)
    assert one_sentence(caught.value) and "foreign.safetensors" in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="There is no checkpoint") as caught:
        read_tensors(tmp_path / "gone.safetensors")
    assert one_sentence(caught.value)


def test_a_file_of_another_model_is_one_sentence(saved):
    wide = replace(tiny.CONFIG, model=replace(tiny.CONFIG.model, base_width=16))
    state, *_ = tiny.make_state(wide, tiny.shapes())
    with pytest.raises(UserError, match="another model") as caught:
        load_checkpoint(saved, state)
    assert one_sentence(caught.value)


def test_a_file_without_what_training_needs_is_one_sentence(tmp_path):
    """Such as an exported one, which has weights and a header of ours, but nothing of an optimiser."""
    recipe = tiny.config(ema_decay=None)
    state, *_ = tiny.make_state(recipe, tiny.shapes())
    weights = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    write_tensors(tmp_path / "exported.safetensors", weights, {"about": {}})
    with pytest.raises(UserError) as caught:
        load_checkpoint(tmp_path / "exported.safetensors", state)
    assert one_sentence(caught.value)


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_weights_that_do_not_fit_are_counted_and_named(tmp_path, change):
    model = torch.nn.Linear(2, 3)
    weights = dict(model.state_dict())
    if change == "missing":
        del weights["bias"]
    elif change == "extra":
        weights["scale"] = torch.ones(1)
    else:
        weights["bias"] = torch.zeros(7)
    with pytest.raises(UserError, match=r"1 tensor.*(bias|scale)") as caught:
        load_weights(model, weights, tmp_path / "x.safetensors")
    assert one_sentence(caught.value)


def one_sentence(error) -> bool:
    return "\n" not in str(error) and str(error).endswith(".")
