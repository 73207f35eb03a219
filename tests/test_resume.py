"""A training that is killed, stopped or short of space goes on as if nothing had happened."""

import errno
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import tiny
import torch

from ddpm_ref import files, launch, training
from ddpm_ref.errors import UserError
from ddpm_ref.files import read_tensors
from ddpm_ref.jobs import Hooks
from ddpm_ref.presets import RunConfig
from ddpm_ref.runs import Run

STEPS_AN_EPOCH = 9  # 108 training images in batches of 12


def recipe(epochs: int = 30) -> RunConfig:
    config = tiny.config(images=epochs * 108, sample_every=1000, learning_rate=5e-3)
    return replace(config, data=replace(config.data, flip=True))


def train(folder, config=None, resume=False, **hooks):
    # Shapes are not flipped by themselves; here they are, so that flips have to be resumed too.
    images = replace(tiny.shapes(), flip=True)
    return launch.train(config or recipe(), images, folder, hooks=Hooks(**hooks), resume=resume)


def final(folder) -> tuple[dict, dict, list]:
    """All that a finished run has, but the seconds that it took."""
    tensors, header = read_tensors(Run(folder).checkpoint("last"))
    header = {k: v for k, v in header.items() if k not in ("seconds", "about")}
    rows = [{k: v for k, v in r.items() if k != "seconds"} for r in Run(folder).metrics()]
    return tensors, header, rows


def assert_same(folder, other):
    (tensors, header, rows), (tensors_2, header_2, rows_2) = final(folder), final(other)
    assert tensors.keys() == tensors_2.keys()
    assert [k for k in tensors if not torch.equal(tensors[k], tensors_2[k])] == []
    assert header == header_2
    assert str(rows) == str(rows_2)  # as text, in which nan equals nan


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The run that nothing happened to."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    assert train(folder)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
def test_killed_at_ten_random_moments(tmp_path, straight):
    folder, dice = tmp_path / "run", random.Random(0)
    reached = multiprocessing.Value("i", 0)
    fork = multiprocessing.get_context("fork")
    count = [0]

    def one_life():
        start = Run(folder) if folder.exists() else None
        count[0] = saved_step(start) if start else 0

        def on_step(images, loss):
            count[0] += 1
            reached.value = count[0]

        train(folder, resume=start is not None, on_step=on_step)

    kills = 0
    while kills < 10:
        life = fork.Process(target=one_life)
        life.start()
        life.join(dice.uniform(0.15, 0.6))
        if not life.is_alive():
            break
        os.kill(life.pid, signal.SIGKILL)
        life.join()
        kills += 1
        if not (folder / "config.json").is_file():
            continue  # killed before there was a run
        lost = reached.value - saved_step(Run(folder))
        assert 0 <= lost <= STEPS_AN_EPOCH
    assert kills == 10
    if saved_step(Run(folder)) < 30 * STEPS_AN_EPOCH:
        assert train(folder, resume=True)
    assert_same(folder, straight)
    assert not list(folder.rglob("*.part"))


def saved_step(run: Run) -> int:
    path = run.checkpoint("last")
    return read_tensors(path)[1]["step"] if path.is_file() else 0


@pytest.mark.parametrize("stop_at", [1, 9, 10, 100])
def test_stopped_and_taken_up_again(tmp_path, straight, stop_at):
    """In the middle of an epoch, at its end, right after it."""
    folder, steps = tmp_path / "run", []
    finished = train(
        folder,
        on_step=lambda images, loss: steps.append(images),
        interrupted=lambda: len(steps) >= stop_at,
    )
    assert not finished
    assert saved_step(Run(folder)) == stop_at == len(steps)
    assert train(folder, resume=True)
    assert_same(folder, straight)


def test_a_full_disk_costs_nothing_but_the_time_since_the_last_checkpoint(
    tmp_path, straight, monkeypatch
):
    folder, writes = tmp_path / "run", []
    write = files.os.fsync

    def full_after_a_while(descriptor):
        writes.append(descriptor)
        if len(writes) > 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(descriptor)

    monkeypatch.setattr(files.os, "fsync", full_after_a_while)
    with pytest.raises(UserError, match="No space left"):
        train(folder)
    monkeypatch.setattr(files.os, "fsync", write)
    assert 0 < saved_step(Run(folder)) < 30 * STEPS_AN_EPOCH
    assert train(folder, resume=True)
    assert_same(folder, straight)


def test_a_divergence_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    folder, seen = tmp_path / "run", []
    step = training.training_step

    def spoilt(*arguments):
        seen.append(1)
        return step(*arguments) * (float("nan") if len(seen) > 20 else 1)

    monkeypatch.setattr("ddpm_ref.training.training_step", spoilt)
    with pytest.raises(UserError, match=r"last\.safetensors.*ddpm train --resume .*run --learning"):
        train(folder)
    assert saved_step(Run(folder)) == 18
    monkeypatch.setattr("ddpm_ref.training.training_step", step)
    config = recipe(epochs=3)
    slower = replace(config, train=replace(config.train, learning_rate=1e-4))
    rates = []
    assert train(folder, slower, resume=True, on_epoch=lambda s, row: rates.append(s.lr_schedule))
    assert rates[0].base_lrs == [1e-4]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_save_and_say_how_to_go_on(tmp_path, name):
    if not hasattr(signal, name):
        pytest.skip("this system has no such signal")
    number = getattr(signal, name)
    # What started the tests may ignore it (nohup, a job in the background), and its children with it.
    usual = "default_int_handler" if name == "SIGINT" else "SIG_DFL"
    heed = f"import signal; signal.signal(signal.{name}, signal.{usual})"
    command = [sys.executable, "-c", f"{heed}; from ddpm_ref.cli import main; main()", "train"]
    options = [
        "--base-width",
        "8",
        "--batch-size",
        "32",
        "--device",
        "cpu",
        "--precision",
        "fp32",
        "--out",
        "run",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(
        [*command, *options], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    started.stdout.readline()
    while not (tmp_path / "run" / "config.json").is_file():
        time.sleep(0.05)
    time.sleep(1)
    started.send_signal(number)
    said, _ = started.communicate(timeout=60)
    assert started.returncode == 128 + number
    assert "ddpm train --resume run" in said
    before = saved_step(Run(tmp_path / "run"))
    assert before > 0
    more = [*command, "--resume", "run", "--device", "cpu", "--steps", str(before + 3)]
    done = subprocess.run(more, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert saved_step(Run(tmp_path / "run")) == before + 3
