"""The pretended device: right code runs on it as on a GPU, and mistakes fail as they do there.

It rests on what torch calls experimental: a new torch that changes it should fail here first. Everything runs
in processes of its own, since a device cannot be taken back.
"""

import json
import subprocess
import sys
import textwrap

import pytest

from checks.catalogue import ROOT

BEGIN = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
sys.path.insert(0, {str(ROOT / "tests")!r})
import copy
import torch
from torch import nn
from checks import fake_device
from checks.fake_device import NAME
fake_device.plug_in()
torch.set_num_threads(1)
torch.manual_seed(0)
x = torch.randn(6, 4)
"""


def run(code: str) -> subprocess.CompletedProcess:
    script = BEGIN + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


def runs(code: str) -> None:
    done = run(code)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module", autouse=True)
def available():
    if run("sys.exit(0 if fake_device.AVAILABLE else 3)").returncode == 3:
        import torch

        version = tuple(int(n) for n in torch.__version__.split(".")[:2])
        assert version < (2, 9), "torch has changed what the pretended device rests on"
        pytest.skip("needs torch 2.9")


def test_tensors_go_there_and_come_back():
    runs("""
        there = x.to(NAME)
        assert there.device.type == NAME and there.dtype == x.dtype and there.shape == x.shape
        assert torch.equal(there.cpu(), x)
        assert torch.equal((there * 2 + there[0]).relu().cpu(), (x * 2 + x[0]).relu())
        assert there.sum().item() == x.sum().item()
        assert abs(float(there.T.contiguous().view(-1)[1]) - float(x[1, 0])) == 0
        there[2] = 5.0
        assert torch.equal(there.cpu()[2], torch.full((4,), 5.0))
        assert torch.equal(x.to(NAME)[x.to(NAME) > 0].cpu(), x[x > 0])
        assert "pretended" in repr(there) and f"{there.sum():.3f}"
        assert torch.tensor(0.0, device=NAME).item() == 0 and torch.zeros((), device=NAME).cpu() == 0
    """)


def test_a_whole_u_net_learns_there_as_on_the_cpu():
    """Convolutions, norms, attention, embeddings; backward, clipping and a step of AdamW."""
    runs("""
        import tiny
        model = tiny.make_model(tiny.CONFIG)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.05 * torch.randn_like(p))
        other = copy.deepcopy(model).to(NAME)
        x, t, y = torch.randn(2, 3, 16, 16), torch.tensor([3, 9]), torch.tensor([1, 10])
        for each, where in ((model, "cpu"), (other, NAME)):
            optimizer = torch.optim.AdamW(each.parameters(), lr=1e-3)
            each(x.to(where), t.to(where), y.to(where)).square().mean().backward()
            nn.utils.clip_grad_norm_(each.parameters(), 0.1)
            optimizer.step()
        for p, q in zip(model.parameters(), other.parameters()):
            assert q.device.type == NAME and q.grad.device.type == NAME
            assert (p.grad - q.grad.cpu()).abs().max() < 1e-5
    """)


def test_what_a_training_does_besides():
    runs("""
        model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).to(NAME)
        assert all(v.device.type == NAME for v in model.state_dict().values())
        average = copy.deepcopy(model)
        with torch.no_grad():
            for p, q in zip(average.parameters(), model.parameters()):
                p.data.mul_(0.5).add_(q.data, alpha=0.5)
                p.lerp_(q, 0.1)
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 0.3)
        model.load_state_dict(copy.deepcopy(average.state_dict()))
        torch.optim.swa_utils.AveragedModel(model).update_parameters(model)
        for make in (torch.optim.SGD, torch.optim.AdamW):
            for options in ({}, {"foreach": True}, {"foreach": False}):
                optimizer = make(model.parameters(), lr=0.1, **options)
                model(x.to(NAME)).square().mean().backward()
                optimizer.step()
                optimizer.zero_grad()
                optimizer.load_state_dict(optimizer.state_dict())
        with torch.autocast(NAME, enabled=False), torch.autocast(NAME, dtype=torch.bfloat16):
            model(x.to(NAME))
        scaler = torch.amp.GradScaler(NAME, enabled=False)
        scaler.scale(model(x.to(NAME)).sum()).backward()
        with torch.random.fork_rng():
            torch.manual_seed(3)
        mine = torch.Generator(device=NAME).manual_seed(1)
        assert mine.device.type == NAME and isinstance(mine, torch.Generator)
        drawn = torch.randn(5, device=NAME, generator=mine)
        assert torch.equal(drawn.cpu(), torch.randn(5, generator=torch.Generator().manual_seed(1)))
        assert torch.randn_like(x.to(NAME)).device.type == NAME
        assert 0 <= torch.randint(0, 5, (9,), device=NAME).max().item() < 5
    """)


def test_what_a_gpu_allows_too():
    runs("""
        there = x.to(NAME)
        assert torch.equal((there * torch.tensor(2.0)).cpu(), x * 2)      # a number without axes
        assert torch.equal(there[torch.tensor([1, 0])].cpu(), x[[1, 0]])  # indices
        there.copy_(x)
        total = torch.zeros(())
        total = total + there.sum()                                       # moves the sum there
        assert total.device.type == NAME
    """)


# By name: what is done to x of (2, 3, 4, 5), with or without a result.
VIEWS = {
    "a frame": "x[:, :, 1:3, 1:-1] = 0",
    "a slice of a slice": "x[:, 1][:, 2:] += 1",
    "columns of a transposed one": "x.transpose(1, 3)[:, 1:3, 1:3, 0] = 7",
    "every other": "x[..., ::2][..., 1:, :] = 4",
    "two halves": "a, b = x[:, :, :2], x[:, :, 2:]; a[:, 0, 1:].zero_(); b += 1",
    "a diagonal": "x.diagonal(dim1=2, dim2=3)[:, 1:] = 9",
    "a window": "x.unfold(3, 2, 2)[..., 0] = 5",
    "from one part to another": "x[0, 0, 1:3, 2:4].copy_(x[1, 0, :2, :2])",
    "turned in place": "x = x.squeeze_(0).unsqueeze_(0).transpose_(1, 2).squeeze_()",
    "a copy of what was taken": "x.flip(-1)[..., :2] = 4; x[:, [0, 2]][:, 0] = 4",
    "flattened after it was cut": "x = x.transpose(1, 2)[:, 1:].flatten(1)[:, 3:9]",
    "a border": "x = F.pad(x, (1, 2, 0, 1), value=3.0)",
    "a border that goes around": "x = F.pad(x, (1, 1, 1, 1), mode='circular')",
    "a mask and a number": "x = ((x > 3) & True) ^ (x > 50) | False",
    "a vector times a matrix": "x = x[0, 0, 0] @ x[0, 0].T",
    "a quantile": "x = torch.quantile(x.flatten(1), 0.9, dim=1)",
    "a quarter turn": "x = torch.rot90(x, 1, (2, 3))",
}


@pytest.fixture(scope="module")
def views():
    """By name, whether the device and the CPU agree, on the result, on x and on its gradient."""
    done = run(f"""
        import json
        import warnings
        import torch.nn.functional as F
        warnings.simplefilter("ignore")

        def what_comes_of(work, where, learns):
            given = torch.arange(120.0).reshape(2, 3, 4, 5).to(where).requires_grad_(learns)
            names = {{"x": given * 1.0, "torch": torch, "F": F}}
            kept = names["x"]
            exec(work, names)
            got = [names["x"], kept]
            if learns and names["x"].requires_grad:
                (names["x"].square().sum() + kept.sum()).backward()
                got.append(given.grad)
            return [g.detach().cpu() for g in got]

        outcomes = {{}}
        for name, work in {VIEWS!r}.items():
            outcomes[name] = []
            for learns in (False, True):
                pairs = zip(*(what_comes_of(work, where, learns) for where in ("cpu", NAME)))
                outcomes[name] += [a.shape == b.shape and torch.allclose(a, b) for a, b in pairs]
        print(json.dumps(outcomes))
    """)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", VIEWS)
def test_what_is_done_to_a_part_arrives_in_the_whole(name, views):
    assert all(views[name]), views[name]


MISTAKES = {
    "a batch that was not moved": "nn.Linear(4, 3).to(NAME)(x)",
    "a model that was not moved": "nn.Linear(4, 3)(x.to(NAME))",
    "labels that were not moved": "nn.Embedding(5, 3).to(NAME)(torch.tensor([1, 2]))",
    "noise made on the CPU": "x.to(NAME) + torch.randn(x.shape)",
    "a table left on the CPU": "torch.arange(9.0)[torch.tensor([1, 2]).to(NAME)]",
    "a sum on the CPU": "torch.zeros(()).add_(x.to(NAME).sum())",
    "losses of two places": "torch.stack([x.to(NAME).sum(), x.sum()])",
    "an attribute where a buffer is meant": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.ones(4))
                self.table = torch.arange(4.0)
            def forward(self, x):
                return x * self.weight + self.table
        Net().to(NAME)(x.to(NAME))""",
    "a generator of the CPU for numbers of the device": (
        "torch.randn(3, device=NAME, generator=torch.Generator().manual_seed(0))"
    ),
    "numpy without coming back first": "x.to(NAME).numpy()",
}


@pytest.fixture(scope="module")
def outcomes():
    """By mistake, the error it ended with and whether the device is to blame; all in one process."""
    code = "outcomes = {}\n"
    for mistake, text in MISTAKES.items():
        body = textwrap.indent(textwrap.dedent(text), "    ")
        code += f"try:\n{body}\nexcept Exception as error:\n"
        code += f"    outcomes[{mistake!r}] = [str(error), fake_device.is_to_blame(error)]\n"
    done = run(code + "import json; print(json.dumps(outcomes))")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_fail_and_are_the_program_s_own(mistake, outcomes):
    message, to_blame = outcomes[mistake]
    assert not to_blame
    assert "device" in message or "indices" in message


def test_what_the_device_lacks_is_nobody_s_mistake():
    runs("""
        import io
        try:
            torch.save({"x": x.to(NAME)}, io.BytesIO())
        except Exception as error:
            assert fake_device.is_to_blame(error), error
        else:
            raise AssertionError("if this works now, say so in checks/fake_device.py")
    """)


def test_it_is_forgotten():
    runs("""
        there = x.to(NAME)
        fake_device.forget()
        try:
            there + 1
        except Exception as error:
            assert fake_device.is_to_blame(error)
        else:
            raise AssertionError
    """)
