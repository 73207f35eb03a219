"""Tables of coefficients made with numpy in double precision, looked up; chance by other functions."""

import numpy as np
import torch

from ..ch05_forward_noise import diffusion


def extract(values, t, like):
    """Row t of a numpy table as float32, with as many axes as `like`."""
    picked = torch.from_numpy(values).to(device=t.device)[t].float()
    return picked.view(-1, *[1] * (like.dim() - 1)).expand_as(like)


def tables(schedule):
    product = schedule.alpha_bars.detach().cpu().numpy().astype(np.float64)
    return {
        "signal": np.sqrt(product),
        "grain": np.sqrt(1.0 - product),
        "snr": product / (1.0 - product),
    }


def sample_timesteps(batch_size, timesteps, device="cpu", generator=None):
    spread = torch.rand(batch_size, device=device, generator=generator)
    return (spread * timesteps).floor().long().clamp_(max=timesteps - 1)


def drop_labels(y, p, null_label, generator=None):
    if p > 1.0 or p < 0.0:
        raise ValueError(f"{p} is no probability")
    mask = torch.bernoulli(torch.full(y.shape, float(p), device=y.device), generator=generator)
    mask = mask.to(y.dtype)
    return y * (1 - mask) + null_label * mask


def v_target(schedule, x_0, t, noise):
    table = tables(schedule)
    return extract(table["signal"], t, noise) * noise - extract(table["grain"], t, x_0) * x_0


def min_snr_weight(schedule, t, target="noise", gamma=5.0):
    snr = tables(schedule)["snr"]
    weight = {"noise": np.minimum(snr, gamma) / snr, "v": np.minimum(snr, gamma) / (snr + 1)}
    if target not in weight:
        raise ValueError(f"no weight for {target}")
    return extract(weight[target], t, t)


def mean_flat(values):
    """The mean over all axes but the first."""
    return values.mean(dim=list(range(1, values.dim())))


def p_losses(model, schedule, x_0, t, y, noise=None, target="noise", min_snr_gamma=None):
    noise = torch.randn_like(x_0) if noise is None else noise
    table = tables(schedule)
    x_t = extract(table["signal"], t, x_0) * x_0 + extract(table["grain"], t, x_0) * noise
    targets = {"noise": noise, "v": v_target(schedule, x_0, t, noise)}
    if target not in targets:
        raise ValueError(f"target must be one of {diffusion.TARGETS}")
    each = mean_flat((targets[target] - model(x_t, t, y)) ** 2)
    if min_snr_gamma is not None:
        each = each * min_snr_weight(schedule, t, target, gamma=min_snr_gamma)
    return torch.einsum("b->", each) / each.numel()


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
    labels = drop_labels(y, label_dropout, null_label, generator=generator)
    noise = torch.randn(*x_0.shape, generator=generator, device=x_0.device)
    t = sample_timesteps(x_0.shape[0], schedule.timesteps, generator=generator, device=x_0.device)
    return p_losses(
        model,
        schedule,
        x_0,
        t,
        labels,
        noise=noise,
        target=target,
        min_snr_gamma=min_snr_gamma,
    )
