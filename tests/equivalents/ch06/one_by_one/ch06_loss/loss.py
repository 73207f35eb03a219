"""Everything in loops, image by image, and the step does all by itself: noise first, timesteps last."""

import torch

from ..ch05_forward_noise.diffusion import q_sample


def sample_timesteps(batch_size, timesteps, device="cpu", generator=None):
    chances = torch.ones(timesteps, device=device)
    return torch.multinomial(chances, batch_size, replacement=True, generator=generator)


def drop_labels(y, p, null_label, generator=None):
    if p < 0 or p > 1:
        raise ValueError("not a probability")
    kept = []
    for label in y:
        coin = torch.rand(1, device=y.device, generator=generator)[0]
        kept.append(torch.full_like(label, null_label) if coin < p else label)
    return torch.stack(kept)


def v_target(schedule, x_0, t, noise):
    targets = []
    for image, step, grain in zip(x_0, t, noise, strict=True):
        share = schedule.alpha_bars[step]
        targets.append(share**0.5 * grain - (1 - share) ** 0.5 * image)
    return torch.stack(targets)


def min_snr_weight(schedule, t, target="noise", gamma=5.0):
    weights = []
    for step in t.tolist():
        share = float(schedule.alpha_bars[step])
        snr = share / (1 - share)
        if target == "noise":
            weights.append(min(snr, gamma) / snr)
        elif target == "v":
            weights.append(min(snr, gamma) / (snr + 1))
        else:
            raise ValueError(target)
    return torch.tensor(weights, device=t.device)


def p_losses(model, schedule, x_0, t, y, noise=None, target="noise", min_snr_gamma=None):
    if target not in ("noise", "v"):
        raise ValueError(target)
    total = 0.0
    for b in range(len(x_0)):
        one = slice(b, b + 1)
        grain = torch.normal(torch.zeros_like(x_0[one])) if noise is None else noise[one]
        wanted = grain if target == "noise" else v_target(schedule, x_0[one], t[one], grain)
        x_t = q_sample(schedule, x_0[one], t[one], grain)
        answer = model(x_t, t[one], None if y is None else y[one])
        error = torch.mean((wanted - answer) ** 2)
        if min_snr_gamma is not None:
            error = error * min_snr_weight(schedule, t[one], target, min_snr_gamma)[0]
        total = total + error
    return total / len(x_0)


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
    where = {"device": x_0.device, "generator": generator}
    noise = torch.empty_like(x_0).normal_(generator=generator)
    unlabelled = torch.rand(len(y), **where) < label_dropout
    seen = y.clone()
    seen[unlabelled] = null_label
    t = torch.randint(schedule.timesteps, (len(x_0),), **where)
    return p_losses(model, schedule, x_0, t, seen, noise, target, min_snr_gamma)
