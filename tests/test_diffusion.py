"""Chapter 5: schedules and the forward process, against float64 loops and statistics."""

import math

import numpy as np
import pytest
import torch

from ddpm_ref.diffusion import (
    NoiseSchedule,
    cosine_beta_schedule,
    linear_beta_schedule,
    per_image,
    predict_noise,
    predict_x0,
    q_sample,
)


def linear_betas(timesteps):
    return [1e-4 + (0.02 - 1e-4) * t / (timesteps - 1) for t in range(timesteps)]


def cosine_betas(timesteps, s=0.008):
    def f(u):
        return math.cos((u + s) / (1 + s) * math.pi / 2) ** 2

    return [min(1 - f((t + 1) / timesteps) / f(t / timesteps), 0.999) for t in range(timesteps)]


def cumulative(betas):
    product, products = 1.0, []
    for beta in betas:
        product *= 1 - beta
        products.append(product)
    return products


def batch(schedule):
    x_0, noise = torch.randn(4, 3, 5, 6).clamp(-1, 1), torch.randn(4, 3, 5, 6)
    return x_0, torch.tensor([0, 1, 2, schedule.timesteps - 1]), noise


@pytest.mark.parametrize("timesteps", [2, 10, 1000])
@pytest.mark.parametrize(
    "make, formula", [(linear_beta_schedule, linear_betas), (cosine_beta_schedule, cosine_betas)]
)
def test_betas_are_the_formula(make, formula, timesteps):
    betas = make(timesteps)
    assert betas.dtype == torch.float32
    np.testing.assert_allclose(betas.numpy(), formula(timesteps), rtol=1e-6)


def test_linear_ends_can_be_chosen():
    np.testing.assert_allclose(linear_beta_schedule(3, 0.1, 0.5), [0.1, 0.3, 0.5], rtol=1e-6)


def test_only_the_last_cosine_betas_are_limited():
    betas = cosine_beta_schedule(1000)
    assert betas[-1] == torch.tensor(0.999) and betas[-2] < 0.999
    assert 0 < betas[0] < 1e-4  # no limit from below


def test_the_cosine_offset_can_be_chosen():
    np.testing.assert_allclose(cosine_beta_schedule(10, s=0.1), cosine_betas(10, s=0.1), rtol=1e-6)


def test_cosine_alpha_bars_fall_like_a_squared_cosine():
    t = np.arange(1, 991) / 1000
    squared = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(NoiseSchedule.cosine(1000).alpha_bars[:990], squared, rtol=1e-4)


@pytest.mark.parametrize("make", [linear_beta_schedule, cosine_beta_schedule])
def test_no_timesteps_are_an_error(make):
    assert len(make(1)) == 1
    with pytest.raises(ValueError, match="at least 1, got 0"):
        make(0)


@pytest.mark.parametrize("name, formula", [("linear", linear_betas), ("cosine", cosine_betas)])
def test_tables_of_a_schedule(name, formula):
    schedule, betas = getattr(NoiseSchedule, name)(), formula(1000)
    bars = cumulative(betas)
    assert schedule.timesteps == 1000
    for table, expected in [
        (schedule.betas, betas),
        (schedule.alphas, [1 - b for b in betas]),
        (schedule.alpha_bars, bars),
        (schedule.alpha_bars_prev, [1.0, *bars[:-1]]),
    ]:
        assert table.dtype == torch.float32 and table.shape == (1000,)
        # 0.999 rounded to float32 moves the tiny last alpha by 1e-5 of itself.
        np.testing.assert_allclose(table.numpy()[:-1], expected[:-1], rtol=5e-6)
        np.testing.assert_allclose(table.numpy()[-1], expected[-1], rtol=5e-5)
    assert schedule.alpha_bars_prev[0] == 1


def test_a_schedule_can_be_made_from_any_betas(schedule):
    np.testing.assert_allclose(schedule.betas, np.linspace(0.05, 0.4, 12), rtol=1e-6)
    assert schedule.timesteps == 12


@pytest.mark.parametrize("betas", [[0.0, 0.1], [0.1, 1.0], [-0.1], [math.nan], [], [[0.1]]])
def test_betas_outside_zero_and_one_are_an_error(betas):
    with pytest.raises(ValueError, match="between 0 and 1"):
        NoiseSchedule(torch.tensor(betas))


def test_a_schedule_moves_as_a_whole_and_stays_where_it_was(schedule):
    moved = schedule.to("meta")
    assert moved.timesteps == 12
    for name in ("betas", "alphas", "alpha_bars", "alpha_bars_prev"):
        assert getattr(moved, name).is_meta and not getattr(schedule, name).is_meta


def test_per_image_picks_rows_that_broadcast():
    picked = per_image(torch.tensor([10.0, 20.0, 30.0]), torch.tensor([2, 0]))
    assert picked.shape == (2, 1, 1, 1) and picked.flatten().tolist() == [30, 10]


def test_q_sample_is_the_formula_image_by_image(schedule):
    x_0, t, noise = batch(schedule)
    copies = x_0.clone(), noise.clone()
    x_t = q_sample(schedule, x_0, t, noise)
    bars = cumulative(np.linspace(0.05, 0.4, 12))
    for i, k in enumerate(t.tolist()):
        expected = math.sqrt(bars[k]) * x_0[i] + math.sqrt(1 - bars[k]) * noise[i]
        torch.testing.assert_close(x_t[i], expected)
    assert torch.equal(x_t, q_sample(schedule, x_0, t, noise))
    assert torch.equal(x_0, copies[0]) and torch.equal(noise, copies[1])


def test_q_sample_has_the_mean_and_variance_of_the_forward_process():
    """By default noise is drawn, and drawn anew: 6 sigma over 60,000 draws an image."""
    schedule, n = NoiseSchedule.linear(1000), 60_000
    x_0 = torch.tensor([-0.8, 0.5, 0.0, 1.0])[:, None, None, None].expand(4, 3, 100, 200)
    t = torch.tensor([0, 100, 300, 999])
    x_t = q_sample(schedule, x_0, t)
    bars = cumulative(linear_betas(1000))
    for i, k in enumerate(t.tolist()):
        variance = 1 - bars[k]
        mean = math.sqrt(bars[k]) * x_0[i, 0, 0, 0].item()
        assert abs(x_t[i].mean().item() - mean) < 6 * math.sqrt(variance / n)
        assert abs(x_t[i].var().item() / variance - 1) < 6 * math.sqrt(2 / n)
    between = torch.corrcoef((x_t - x_t.mean((1, 2, 3), keepdim=True)).flatten(1))
    assert between.fill_diagonal_(0).abs().max() < 6 / math.sqrt(n)


def test_many_small_steps_are_one_large_step(schedule):
    """q_sample against the Markov chain it stands for: x_t = √alpha · x_{t−1} + √beta · noise."""
    n, x = 60_000, torch.full((60_000,), 0.7)
    for t in range(5):
        beta = schedule.betas[t].item()
        x = math.sqrt(1 - beta) * x + math.sqrt(beta) * torch.randn(n)
    at_once = q_sample(schedule, torch.full((1, 1, 200, 300), 0.7), torch.tensor([4]))
    assert abs(x.mean() - at_once.mean()) < 6 * math.sqrt(2 / n)
    assert abs(x.var() / at_once.var() - 1) < 6 * math.sqrt(4 / n)


def test_a_prediction_of_the_noise_gives_the_picture_back(schedule):
    x_0, t, noise = batch(schedule)
    x_t = q_sample(schedule, x_0, t, noise)
    torch.testing.assert_close(predict_x0(schedule, x_t, t, noise), x_0, rtol=0, atol=1e-5)


def test_a_prediction_of_v_gives_the_picture_back(schedule):
    x_0, t, noise = batch(schedule)
    bars = torch.tensor(cumulative(np.linspace(0.05, 0.4, 12)))[t].float().reshape(-1, 1, 1, 1)
    v = bars.sqrt() * noise - (1 - bars).sqrt() * x_0
    x_t = q_sample(schedule, x_0, t, noise)
    torch.testing.assert_close(predict_x0(schedule, x_t, t, v, "v"), x_0, rtol=0, atol=1e-5)


def test_predicted_pictures_are_not_clipped(schedule):
    x_t, t = torch.full((1, 1, 2, 2), 3.0), torch.tensor([11])
    assert predict_x0(schedule, x_t, t, torch.zeros_like(x_t)).min() > 3
    assert predict_x0(schedule, x_t, t, -9 * torch.ones_like(x_t), "v").min() > 3


def test_predicted_noise_solves_q_sample(schedule):
    x_0, t, noise = batch(schedule)
    x_t = q_sample(schedule, x_0, t, noise)
    torch.testing.assert_close(predict_noise(schedule, x_t, t, x_0), noise, rtol=1e-4, atol=1e-5)


def test_unknown_targets_are_named(schedule):
    x_0, t, noise = batch(schedule)
    with pytest.raises(ValueError, match="got 'x0'"):
        predict_x0(schedule, x_0, t, noise, "x0")
