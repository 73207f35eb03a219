"""The stand-in for another device: right code runs there, and what would fail on a GPU fails."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from checks.catalogue import ROOT
from checks.elsewhere import DEVICE, brought_back, elsewhere

TABLE, T, X = torch.linspace(0.1, 0.9, 5), torch.tensor([3, 0]), torch.ones(2, 3, 4, 5)

RIGHT = {
    "moved": lambda table, t, x: table.to(torch.device(table.device)),
    "looked at": lambda table, t, x: table * table.max().item() if (table > 0).all() else None,
    "made there": lambda table, t, x: torch.cat([torch.ones(1, device=table.device), table[:-1]]),
    "from a list": lambda table, t, x: torch.tensor([1.0, 2.0], device=table.device) * table[:2],
    "new_tensor": lambda table, t, x: table.new_tensor([1.0, 2.0]) * table[:2],
    "one number": lambda table, t, x: torch.tensor(2.0) * table,
    "looked up": lambda table, t, x: table[t].reshape(-1, 1, 1, 1) * x,
    "gathered": lambda table, t, x: table.gather(0, t).view(2, 1, 1, 1) * x,
    "looked up from here": lambda table, t, x: table[t.cpu()],
    "in a loop": lambda table, t, x: torch.stack(
        [table[k] * x[i] for i, k in enumerate(t.tolist())]
    ),
    "in place": lambda table, t, x: table.clone().mul_(2),
    "copied into": lambda table, t, x: torch.empty_like(table).copy_(table.cpu()),
    "drawn": lambda table, t, x: torch.zeros_like(x) * torch.randn_like(x),
    "einsum": lambda table, t, x: torch.einsum("b,bchw->bchw", table[t], x),
    "deep copy": lambda table, t, x: copy.deepcopy(table),
}
WRONG = {
    "a table left behind": lambda table, t, x: TABLE[t],
    "made here": lambda table, t, x: torch.cat([torch.ones(1), table[:-1]]),
    "drawn here": lambda table, t, x: x + torch.randn(x.shape),
    "gathered from here": lambda table, t, x: table.gather(0, t.cpu()),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_code_gives_there_what_it_gives_here(name):
    there = {"device": DEVICE}
    expected = RIGHT[name](TABLE, T, X)
    with elsewhere():
        result = RIGHT[name](TABLE.to(**there), T.to(**there), X.to(**there))
        assert result.device.type == DEVICE
        torch.testing.assert_close(brought_back(result), expected)


@pytest.mark.parametrize("name", WRONG)
def test_two_devices_do_not_mix(name):
    with elsewhere(), pytest.raises(RuntimeError, match="same device"):
        WRONG[name](TABLE.to(DEVICE), T.to(DEVICE), X.to(DEVICE))


def test_the_way_back_and_what_never_left():
    with elsewhere():
        back = TABLE.to(DEVICE).cpu()
        assert type(back) is torch.Tensor and torch.equal(back, TABLE)
        assert brought_back(TABLE) == "on the cpu" and brought_back(None) == "NoneType"


def test_a_module_goes_as_a_whole():
    module = nn.Linear(3, 2)
    x = torch.ones(4, 3)
    with elsewhere():
        moved = copy.deepcopy(module).to(DEVICE)
        torch.testing.assert_close(brought_back(moved(x.to(DEVICE))), module(x))
        with pytest.raises(RuntimeError, match="same device"):
            moved(x)


def test_afterwards_meta_is_torchs_own_again():
    with elsewhere():
        pass
    assert torch.ones(2, device=DEVICE).is_meta
    assert brought_back(torch.ones(2, device=DEVICE)) == "on the meta"


def test_it_does_not_import_torchs_compiler():
    """It would take two seconds of a learner's time."""
    code = (
        "import sys, torch; from checks.elsewhere import elsewhere\n"
        "with elsewhere(): torch.ones(2).to('meta') * 2\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
