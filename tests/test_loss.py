"""Chapter 6: what a training step draws, what the model sees, and what it is asked for."""

import math

import pytest
import torch
from torch import nn

from ddpm_ref.diffusion import NoiseSchedule, q_sample
from ddpm_ref.loss import (
    drop_labels,
    losses_per_image,
    min_snr_weight,
    p_losses,
    sample_timesteps,
    training_step,
    v_target,
)


class Spy(nn.Module):
    """A model that is nonlinear in everything that it is given, and remembers it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.7))
        self.calls = []

    def forward(self, x, t, y):
        self.calls.append((x, t, y, self.training, torch.is_grad_enabled()))
        label = torch.zeros(len(x)) if y is None else y.float()
        return torch.sin(self.weight * x + (0.1 * t + label).reshape(-1, 1, 1, 1))


def batch(n=4):
    x_0, noise = torch.rand(n, 3, 5, 6) * 2 - 1, torch.randn(n, 3, 5, 6)
    t, y = torch.arange(n) * 5 % 12, torch.arange(n) * 2 % 10
    return x_0, t, y, noise


def within_six_sigma(count, n, p):
    return abs(count - n * p) < 6 * math.sqrt(n * p * (1 - p))


def test_timesteps_are_uniform_and_each_image_has_its_own():
    n, timesteps = 60_000, 12
    t = sample_timesteps(n, timesteps)
    assert t.shape == (n,) and t.dtype == torch.int64
    counts = torch.bincount(t, minlength=timesteps)
    assert len(counts) == timesteps
    assert all(within_six_sigma(count, n, 1 / timesteps) for count in counts.tolist())
    assert within_six_sigma((t[1:] == t[:-1]).sum().item(), n - 1, 1 / timesteps)


def test_a_generator_decides_the_timesteps_alone():
    draws = [sample_timesteps(9, 1000, "cpu", torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*draws)
    assert not torch.equal(sample_timesteps(9, 1000), sample_timesteps(9, 1000))


@pytest.mark.parametrize("p", [0, 0.0, 1, 1.0])
def test_dropping_none_and_all_is_exact(p):
    y = torch.randint(0, 10, (10_000,))
    before = y.clone()
    dropped = drop_labels(y, p, 10)
    assert torch.equal(dropped, torch.full_like(y, 10) if p else before)
    assert torch.equal(y, before) and dropped.data_ptr() != y.data_ptr()


def test_labels_are_dropped_independently_with_the_given_probability():
    n = 60_000
    y = torch.arange(n) % 10
    dropped = drop_labels(y, 0.1, 10)
    gone = dropped == 10
    assert dropped.dtype == torch.int64 and torch.equal(dropped[~gone], y[~gone])
    assert within_six_sigma(gone.sum().item(), n, 0.1)
    assert within_six_sigma((gone[1:] & gone[:-1]).sum().item(), n - 1, 0.01)  # not in runs
    for label in range(10):
        assert within_six_sigma(gone[y == label].sum().item(), n // 10, 0.1)


def test_a_generator_decides_the_dropped_labels_alone():
    y = torch.zeros(100, dtype=torch.int64)
    draws = [drop_labels(y, 0.5, 10, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*draws)
    assert not torch.equal(drop_labels(y, 0.5, 10), drop_labels(y, 0.5, 10))


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_what_is_no_probability_is_an_error(p):
    with pytest.raises(ValueError, match=f"got {p}"):
        drop_labels(torch.tensor([1]), p, 10)


def test_v_is_the_formula(schedule):
    x_0, t, _, noise = batch()
    v = v_target(schedule, x_0, t, noise)
    bar = 1.0
    for k in range(12):
        bar *= 1 - (0.05 + 0.35 * k / 11)
        for i in (t == k).nonzero().flatten().tolist():
            expected = math.sqrt(bar) * noise[i] - math.sqrt(1 - bar) * x_0[i]
            torch.testing.assert_close(v[i], expected)


def test_x_t_and_v_are_a_rotation_of_picture_and_noise(schedule):
    x_0, t, _, noise = batch()
    x_t, v = q_sample(schedule, x_0, t, noise), v_target(schedule, x_0, t, noise)
    torch.testing.assert_close(x_t**2 + v**2, x_0**2 + noise**2)
    angle = schedule.alpha_bars[t].sqrt().acos().reshape(-1, 1, 1, 1)
    torch.testing.assert_close(angle.sin() * x_t + angle.cos() * v, noise, rtol=1e-4, atol=1e-5)


def by_hand(model, schedule, x_0, t, y, noise, target):
    """The squared errors of a batch, element by element, and its alpha_bar."""
    a = schedule.alpha_bars[t].double().reshape(-1, 1, 1, 1)
    x_0, noise = x_0.double(), noise.double()
    prediction = model(a.sqrt() * x_0 + (1 - a).sqrt() * noise, t, y)
    wanted = noise if target == "noise" else a.sqrt() * noise - (1 - a).sqrt() * x_0
    return (prediction - wanted) ** 2, a


@pytest.mark.parametrize("target", ["noise", "v"])
def test_loss_is_the_mean_over_all_elements(schedule, target):
    model, (x_0, t, y, noise) = Spy(), batch()
    squared, _ = by_hand(model, schedule, x_0, t, y, noise, target)
    loss = p_losses(model, schedule, x_0, t, y, noise, target)
    assert loss.shape == () and loss.item() == pytest.approx(squared.mean().item(), rel=1e-5)
    each = losses_per_image(model, schedule, x_0, t, y, noise, target)
    torch.testing.assert_close(each.double(), squared.mean((1, 2, 3)), rtol=1e-5, atol=0)


def test_the_default_target_is_the_noise(schedule):
    model, (x_0, t, y, noise) = Spy(), batch()
    assert p_losses(model, schedule, x_0, t, y, noise) == p_losses(
        model, schedule, x_0, t, y, noise, "noise"
    )


@pytest.mark.parametrize("target", ["noise", "v"])
def test_a_perfect_model_has_no_loss(schedule, target):
    x_0, t, y, noise = batch()
    wanted = noise if target == "noise" else v_target(schedule, x_0, t, noise)
    assert p_losses(lambda *_: wanted, schedule, x_0, t, y, noise, target) == 0


def test_noise_is_drawn_when_it_is_not_given():
    """A model that says zero has the variance of the noise as its loss: one."""
    schedule, n = NoiseSchedule.linear(), 60_000
    x_0, t = torch.zeros(6, 1, 100, 100), torch.arange(6)
    losses = [p_losses(lambda x, *_: x * 0, schedule, x_0, t, None).item() for _ in range(2)]
    assert losses[0] != losses[1]
    assert all(abs(loss - 1) < 6 * math.sqrt(2 / n) for loss in losses)


@pytest.mark.parametrize("target", ["noise", "v"])
def test_min_snr_weights_are_the_formula(target):
    schedule = NoiseSchedule.cosine(1000)
    t = torch.tensor([0, 1, 100, 250, 300, 500, 999])
    weights = min_snr_weight(schedule, t, target)
    for weight, a in zip(weights.tolist(), schedule.alpha_bars[t].tolist(), strict=True):
        snr = a / (1 - a)
        expected = min(snr, 5) / (snr if target == "noise" else snr + 1)
        assert weight == pytest.approx(expected, rel=2e-3)  # SNR at t = 0 loses digits in float32
    assert weights.shape == (7,) and weights.dtype == torch.float32


def test_min_snr_gamma_can_be_chosen(schedule):
    t = torch.arange(12)
    a = schedule.alpha_bars.double()
    expected = (a / (1 - a)).clamp(max=2) * (1 - a) / a
    torch.testing.assert_close(min_snr_weight(schedule, t, gamma=2).double(), expected)


@pytest.mark.parametrize("target", ["noise", "v"])
def test_min_snr_weighs_each_image_before_the_mean(schedule, target):
    model, (x_0, t, y, noise) = Spy(), batch()
    squared, a = by_hand(model, schedule, x_0, t, y, noise, target)
    snr = a / (1 - a)
    weights = snr.clamp(max=5) / (snr if target == "noise" else snr + 1)
    assert weights.std() > 0.1
    loss = p_losses(model, schedule, x_0, t, y, noise, target, min_snr_gamma=5)
    assert loss.item() == pytest.approx((weights * squared).mean().item(), rel=1e-5)


def test_unknown_targets_are_named(schedule):
    x_0, t, y, noise = batch()
    for call in (
        lambda: p_losses(Spy(), schedule, x_0, t, y, noise, "x0"),
        lambda: min_snr_weight(schedule, t, "x0"),
    ):
        with pytest.raises(ValueError, match="got 'x0'"):
            call()


@pytest.mark.parametrize("target", ["noise", "v"])
def test_training_step_is_the_loss_of_what_the_model_saw(schedule, target):
    """Whatever was drawn and in whatever order: the noise follows from x_t, t and x_0."""
    model, (x_0, _, y, _) = Spy(), batch()
    loss = training_step(model, schedule, x_0, y, null_label=10, label_dropout=0.5, target=target)
    ((x_t, t, seen, _, grad),) = model.calls
    a = schedule.alpha_bars[t].reshape(-1, 1, 1, 1)
    noise = (x_t - a.sqrt() * x_0) / (1 - a).sqrt()
    squared, _ = by_hand(model, schedule, x_0, t, seen, noise, target)
    assert loss.item() == pytest.approx(squared.mean().item(), rel=1e-4)
    assert grad and loss.requires_grad


def test_training_step_draws_everything_anew_for_each_image():
    schedule, n = NoiseSchedule.linear(1000), 2000
    model, x_0, y = Spy(), torch.full((n, 1, 4, 4), 0.5), torch.arange(n) % 10
    training_step(model, schedule, x_0, y, null_label=10)
    ((x_t, t, seen, _, _),) = model.calls
    assert abs(t.double().mean() - 499.5) < 6 * math.sqrt(1000**2 / 12 / n)
    a = schedule.alpha_bars[t].reshape(-1, 1, 1, 1)
    noise = (x_t - a.sqrt() * x_0) / (1 - a).sqrt()
    assert abs(noise.mean()) < 6 / math.sqrt(16 * n)
    assert abs(noise.var() - 1) < 6 * math.sqrt(2 / (16 * n))
    assert noise.mean((1, 2, 3)).std() > 0.2  # 1/4; zero if all images shared one noise
    gone = seen == 10
    assert within_six_sigma(gone.sum().item(), n, 0.1)
    assert torch.equal(seen[~gone], y[~gone])


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_the_model_sees_the_dropped_labels(schedule, p):
    model, (x_0, _, y, _) = Spy(), batch()
    before = y.clone()
    training_step(model, schedule, x_0, y, null_label=10, label_dropout=p)
    assert torch.equal(model.calls[0][2], torch.full_like(y, 10) if p else y)
    assert torch.equal(y, before)


def test_training_step_passes_min_snr_on(schedule):
    x_0, _, y, _ = batch()
    losses = [
        training_step(
            *(Spy(), schedule, x_0, y, 10),
            min_snr_gamma=gamma,
            generator=torch.Generator().manual_seed(3),
        )
        for gamma in (None, 1e9, 1.0)
    ]
    assert losses[0].item() == pytest.approx(losses[1].item())  # a huge gamma weighs by one
    assert losses[2] < 0.9 * losses[0]


@pytest.mark.parametrize("training", [True, False])
def test_training_step_leaves_mode_and_weights_to_the_loop(schedule, training):
    model, (x_0, _, y, _) = Spy().train(training), batch()
    loss = training_step(model, schedule, x_0, y, null_label=10)
    assert model.training is training and model.calls[0][3] is training
    assert model.weight.grad is None and model.weight.item() == pytest.approx(0.7)
    loss.backward()
    assert model.weight.grad.abs() > 0


def test_a_generator_decides_the_whole_step(schedule):
    x_0, _, y, _ = batch()
    state = torch.get_rng_state()
    losses = [
        training_step(Spy(), schedule, x_0, y, 10, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert losses[0] == losses[1] != losses[2]
