"""x_t and v as one point turned by an angle, weights within the mean of all elements, F.mse_loss."""

import torch
from torch.nn import functional

from ..ch05_forward_noise.diffusion import NoiseSchedule

GOALS = ["noise", "v"]


def sample_timesteps(batch_size: int, timesteps: int, device="cpu", generator=None):
    t = torch.empty(batch_size, dtype=torch.long, device=device)
    return t.random_(0, timesteps, generator=generator)


def drop_labels(y, p: float, null_label: int, generator=None):
    if not (p >= 0 and p <= 1):
        raise ValueError(p)
    if p == 0:
        return y
    fate = torch.empty(y.size(), device=y.device).uniform_(generator=generator)
    return y.masked_fill(fate.lt(p), null_label)


def turned(schedule: NoiseSchedule, x_0, t, noise, quarter: bool):
    """x_0 turned towards the noise, by the angle of t, and perhaps by a quarter more."""
    share = torch.index_select(schedule.alpha_bars.to(t.device), 0, t)
    angle = torch.acos(share.sqrt())
    cosine, sine = (f(angle)[..., None, None, None] for f in (torch.cos, torch.sin))
    first, second = (-sine, cosine) if quarter else (cosine, sine)
    return first * x_0 + second * noise


def v_target(schedule: NoiseSchedule, x_0, t, noise):
    return turned(schedule, x_0, t, noise, quarter=True)


def min_snr_weight(schedule: NoiseSchedule, t, target="noise", gamma=5.0):
    if target not in GOALS:
        raise ValueError(target)
    share = schedule.alpha_bars[t]
    # Both quotients multiplied by 1 − share.
    cut = torch.minimum(share, gamma * (1 - share))
    return cut / share if target == "noise" else cut


def p_losses(model, schedule, x_0, t, y, noise=None, target="noise", min_snr_gamma=None):
    if noise is None:
        noise = torch.randn(x_0.size(), dtype=x_0.dtype, device=x_0.device)
    goal = v_target(schedule, x_0, t, noise) if target == "v" else noise
    if target not in GOALS:
        raise ValueError(f"{target!r}: choose from {GOALS}")
    prediction = model(turned(schedule, x_0, t, noise, quarter=False), t, y)
    if min_snr_gamma is None:
        return functional.mse_loss(prediction, goal)
    weight = min_snr_weight(schedule, t, target, min_snr_gamma).reshape(-1, 1, 1, 1)
    return (weight * prediction.sub_(goal).square()).mean()


def training_step(
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
    batch, device = len(y), y.device
    t = sample_timesteps(batch, schedule.alpha_bars.numel(), device, generator)
    noise = torch.randn(x_0.size(), generator=generator, device=device)
    unseen = drop_labels(y, label_dropout, null_label, generator)
    loss = p_losses(model, schedule, x_0, t, unseen, noise, target, min_snr_gamma)
    return loss
