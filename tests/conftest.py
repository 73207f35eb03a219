"""What every test shares: one thread, one seed, and a short schedule that is easy on float32."""

import signal

import pytest
import torch

from ddpm_ref.diffusion import NoiseSchedule


def pytest_addoption(parser):
    parser.addoption(
        "--thorough",
        action="store_true",
        help="all the known mistakes in all the right programs of other kinds, not five of each",
    )


# Small tensors gain nothing from a second thread, and pytest's own workers fill the cores.
torch.set_num_threads(1)

# What a shell starts in the background ignores Ctrl-C, and so does all that it starts in its turn: the
# tests of Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def same_random_numbers_in_every_test():
    torch.manual_seed(0)


@pytest.fixture
def schedule() -> NoiseSchedule:
    """Twelve steps, beta from 0.05 to 0.4: far from the ends where float32 loses digits."""
    return NoiseSchedule(torch.linspace(0.05, 0.4, 12))
