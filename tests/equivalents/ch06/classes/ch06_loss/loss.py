"""The functions are thin; classes in a file beside do the work, and nothing is looked up by name."""

import torch

from .parts import Batch, Coin, Goal, Weight


def sample_timesteps(batch_size, timesteps, device="cpu", generator=None):
    drawn = [Coin(generator, device).whole(timesteps) for _ in range(batch_size)]
    return torch.stack(drawn) if drawn else torch.empty(0, dtype=torch.int64, device=device)


def drop_labels(y, p, null_label, generator=None):
    dropped = Coin(generator, y.device).falls(p, y.shape)
    nothing = torch.tensor(null_label).to(y)
    return torch.where(dropped, nothing, y)


def v_target(schedule, x_0, t, noise):
    return Batch(schedule, x_0, t, noise).v()


def min_snr_weight(schedule, t, target="noise", gamma=5.0):
    return Weight(target, gamma)(schedule, t)


def p_losses(model, schedule, x_0, t, y, noise=None, target="noise", min_snr_gamma=None):
    goal = Goal(target)
    batch = Batch(schedule, x_0, t, noise)
    squares = (model(batch.x_t(), t, y) - goal(batch)).pow(2)
    losses = squares.flatten(start_dim=1).mean(1)
    if min_snr_gamma is None:
        weights = torch.ones_like(losses)
    else:
        weights = min_snr_weight(schedule, t, target, min_snr_gamma)
    return torch.dot(losses, weights) / len(losses)


class training_step:
    """Called like a function; it is one that makes the loss as it is made."""

    def __new__(
        cls,
        model,
        schedule,
        x_0,
        y,
        null_label,
        label_dropout=0.1,
        target="noise",
        min_snr_gamma=None,
        generator=None,
    ):
        y = drop_labels(y, label_dropout, null_label, generator)
        t = sample_timesteps(x_0.size(0), len(schedule.betas), x_0.device, generator)
        noise = Coin(generator, x_0.device).normal(x_0.shape)
        return p_losses(model, schedule, x_0, t, y, noise, target, min_snr_gamma)
