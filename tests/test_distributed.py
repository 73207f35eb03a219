"""Two processes on one machine train one model: the same gradients, no image twice, one writer."""

import os
import subprocess
import sys

import pytest
import tiny
import torch

from ddpm_ref.data import DeviceBatches
from ddpm_ref.distributed import World, join_world, leave_world
from ddpm_ref.errors import UserError
from ddpm_ref.files import read_tensors
from ddpm_ref.jobs import validate_by_timestep as validate
from ddpm_ref.launch import _opened
from ddpm_ref.recipes import make_model
from ddpm_ref.runs import Run

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def torchrun(*arguments, cwd):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*TORCHRUN, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )


def batches(rank=0, world=1, device="cpu"):
    images = tiny.shapes(50)
    shuffling = torch.Generator().manual_seed(3)
    return DeviceBatches(
        *(images.images, images.labels, list(range(5, 50)), 12, False, shuffling),
        *(device, rank, world),
    )


def test_batches_of_all_processes_are_those_of_one():
    whole, first, second = (list(batches(*place)) for place in ((0, 1), (0, 2), (1, 2)))
    assert len(whole) == len(first) == len(second) == len(batches()) == 3
    for (x, y), (x_a, y_a), (x_b, y_b) in zip(whole, first, second, strict=True):
        assert len(x) == 12 and len(x_a) == len(x_b) == 6
        assert torch.equal(x[0::2], x_a) and torch.equal(x[1::2], x_b)
        assert torch.equal(y[0::2], y_a) and torch.equal(y[1::2], y_b)


def test_batches_shuffle_anew_and_never_repeat_within_an_epoch():
    loader = batches()
    epochs = [[x for x, _ in loader], [x for x, _ in loader]]
    for epoch in epochs:
        pictures = {x.numpy().tobytes() for batch in epoch for x in batch}
        assert len(pictures) == 36
    assert not torch.equal(epochs[0][0], epochs[1][0])


def test_batches_go_on_where_they_are_told_to_once():
    straight, skipping = batches(), batches()
    expected, _ = list(straight), list(straight)
    skipping.first = 2
    (only,) = list(skipping)
    assert torch.equal(only[0], expected[2][0])
    assert len(list(skipping)) == 3


def test_a_batch_that_cannot_be_shared_out():
    World(0, 4).must_share(12)
    with pytest.raises(UserError, match=r"batch of 10 .* 4 processes.*--batch-size"):
        World(0, 4).must_share(10)


class Together(World):
    """One of several processes of which the others say and have what this one does."""

    def any(self, flag):
        return flag

    def gather(self, mine):
        return [mine]


def test_an_empty_share_of_a_batch_is_not_looked_at():
    """Attention on a GPU refuses a batch of none."""
    loader = [(torch.zeros(n, 3, 8, 8), torch.zeros(n, dtype=torch.int64)) for n in (4, 3)]
    model = tiny.Dial()
    validate(model, loader, tiny.schedule(), world=Together(3, 4))
    assert [len(call[0]) for call in model.calls] == [1]


@pytest.mark.parametrize(("local_rank", "order"), [(0, "read, meet"), (1, "meet, read")])
def test_the_first_process_of_a_machine_goes_before_the_others(monkeypatch, local_rank, order):
    done = []
    monkeypatch.setattr(Together, "any", lambda self, flag: done.append("meet"))
    monkeypatch.setenv("LOCAL_RANK", str(local_rank))
    with Together(8 + local_rank, 16).first_alone():
        done.append("read")
    assert ", ".join(done) == order


def test_only_the_first_process_clears_away_what_was_half_written(tmp_path):
    """The first one is writing by the time that another one looks."""
    run = tiny.make_run(tmp_path / "run")
    half = run.folder / ".metrics.csv.1.part"
    for rank, left in ((1, True), (0, False)):
        half.touch()
        with _opened(run.folder, run.config(), tiny.shapes(), Together(rank, 2), True):
            assert half.exists() is left


@pytest.mark.parametrize(("backend", "named"), [("nccl", [3]), ("gloo", None)])
def test_at_the_end_each_process_names_its_gpu(monkeypatch, backend, named):
    """Else torch warns that it had to guess; gloo takes none."""
    told = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    for name, value in (("is_initialized", True), ("get_backend", backend)):
        monkeypatch.setattr(torch.distributed, name, lambda value=value: value)
    monkeypatch.setattr(torch.distributed, "barrier", lambda device_ids: told.append(device_ids))
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: told.append("left"))
    leave_world()
    assert told == [named, "left"]


def test_alone_there_is_nobody_to_meet(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    world = join_world()
    assert (world.rank, world.size, world.is_main) == (0, 1, True)
    assert world.any(True) and not world.any(False)
    assert torch.equal(world.gather(torch.ones(2))[0], torch.ones(2))


def test_processes_that_torchrun_did_not_start_are_told(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(
        UserError, match="LOCAL_RANK unknown: start several processes with torchrun"
    ):
        join_world()


COMPARE = """
import os, sys, torch
from torch.nn.parallel import DistributedDataParallel
sys.path.insert(0, {tests!r})
import tiny
from ddpm_ref.distributed import end_at_once, join_world, leave_world
from ddpm_ref.loss import p_losses
from ddpm_ref.recipes import make_model
from ddpm_ref.jobs import validate_by_timestep as validate

torch.set_num_threads(1)
world = join_world("cpu")
torch.manual_seed(0)
model = make_model(tiny.CONFIG)
with torch.no_grad():
    for p in model.parameters():
        p.add_(0.05 * torch.randn_like(p))
x_0, y = torch.rand(12, 3, 16, 16) * 2 - 1, torch.arange(12) % 10
t, noise = torch.randint(0, 20, (12,)), torch.randn(12, 3, 16, 16)
schedule = tiny.schedule()

p_losses(model, schedule, x_0, t, y, noise, "v").backward()
whole = [p.grad.clone() for p in model.parameters()]
model.zero_grad()
mine = slice(world.rank, None, world.size)
shared = DistributedDataParallel(model)
p_losses(shared, schedule, x_0[mine], t[mine], y[mine], noise[mine], "v").backward()
averaged = [p.grad for p in model.parameters()]
one, two = (torch.cat([g.flatten() for g in gradients]) for gradients in (whole, averaged))
assert one.norm() > 0.1
assert (one - two).norm() <= 1e-6 * one.norm(), float((one - two).norm() / one.norm())
for a, b in zip(whole, averaged):  # tensor by tensor there is more rounding in it
    assert (a - b).norm() <= 1e-5 * a.norm() + 1e-9, float((a - b).norm() / a.norm())

loader = [(x_0[:7], y[:7]), (x_0[7:], y[7:])]
alone = validate(model, loader, schedule, "v", buckets=3)
together = validate(model, loader, schedule, "v", buckets=3, world=world)
assert abs(alone[0] - together[0]) < 1e-6, (alone, together)
assert all(abs(a - b) < 1e-5 for a, b in zip(alone[1], together[1])), (alone, together)
assert world.any(world.rank == 1) and not world.any(False)
assert [float(v) for v in world.gather(torch.tensor(float(world.rank)))] == [0.0, 1.0]
leave_world()
os.write(1, f"the same {{world.rank}}\\n".encode())
end_at_once(0)
"""


@pytest.mark.slow
def test_gradients_and_validation_equal_those_of_one_process(tmp_path):
    script = tmp_path / "compare.py"
    script.write_text(COMPARE.format(tests=os.path.dirname(__file__)))
    done = torchrun(script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(line for line in done.stdout.splitlines() if "the same" in line) == [
        "the same 0",
        "the same 1",
    ]


@pytest.mark.slow
def test_two_processes_make_one_run_and_go_on_with_it(tmp_path):
    small = ["--base-width", "8", "--batch-size", "64", "--device", "cpu", "--precision", "fp32"]
    done = torchrun("-m", "ddpm_ref", "train", *small, "--steps", 4, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("epoch 1:") == 1  # only one of them talks
    run = Run(tmp_path / "run")
    (row,) = run.metrics()
    assert row["images_seen"] == 256
    assert (run.folder / "samples" / "epoch-0001.png").is_file()
    tensors, header = read_tensors(run.checkpoint("last"))
    assert header["step"] == 4
    assert not torch.equal(tensors["rng.torch.0"], tensors["rng.torch.1"])  # noise of their own

    more = torchrun(
        *("-m", "ddpm_ref", "train", "--resume", "run", "--steps", 6, "--device", "cpu"),
        cwd=tmp_path,
    )
    assert more.returncode == 0, more.stderr[-2000:]
    assert [row["step"] for row in run.metrics()] == [4, 6]

    odd = torchrun("-m", "ddpm_ref", "train", *small[:2], "--batch-size", 9, cwd=tmp_path)
    assert odd.returncode != 0
    assert "choose a --batch-size that 2 divides" in odd.stderr
    assert not (tmp_path / "runs").exists()


def test_validation_looks_at_every_image_once():
    """In a world of one, the shares are the whole: by hand on a model that says nothing."""
    model, schedule = make_model(tiny.CONFIG), tiny.schedule()
    images = tiny.shapes(10)
    x = images.images.float() / 127.5 - 1
    in_two = validate(model, [(x[:6], images.labels[:6]), (x[6:], images.labels[6:])], schedule)
    assert 0.5 < in_two[0] < 1.5  # the model says 0: the loss is the mean square of the noise
