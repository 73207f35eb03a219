"""Chapter 7: samplers, against Bayes on a grid and against data whose exact noise is known."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from ddpm_ref.diffusion import NoiseSchedule
from ddpm_ref.sampling import (
    SAMPLERS,
    ddim_sample_loop,
    ddim_step,
    ddim_timesteps,
    dpm_solver_2m,
    guided_prediction,
    p_sample,
    p_sample_loop,
)

LOOPS = [p_sample_loop, ddim_sample_loop, dpm_solver_2m]
SHORT = {p_sample_loop: {}, ddim_sample_loop: {"steps": 5}, dpm_solver_2m: {"steps": 5}}
SHAPE = (3, 1, 4, 6)


class Toy(nn.Module):
    """Nonlinear in all that it is given; None is class 4. Remembers its calls."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.8))
        self.calls = []

    def forward(self, x, t, y):
        self.calls.append(
            dict(x=x.clone(), t=t, y=y, training=self.training, grad=torch.is_grad_enabled())
        )
        label = x.new_full((len(x),), 4.0) if y is None else y.float()
        return torch.sin(self.weight * x + (0.3 * t + label**2).reshape(-1, 1, 1, 1))


class Gaussian(nn.Module):
    """The best possible prediction when every pixel of the data is N(mean, std²).

    x_t is then N(√a·mean, a·std² + 1 − a), and the expected noise is linear in x_t.
    """

    def __init__(self, schedule, target="noise", mean=0.3, std=0.5):
        super().__init__()
        self.alpha_bars, self.target, self.mean, self.std = schedule.alpha_bars, target, mean, std

    def forward(self, x, t, y):
        a = self.alpha_bars[t].to(x.dtype).reshape(-1, 1, 1, 1)
        centred = (x - a.sqrt() * self.mean) / (a * self.std**2 + 1 - a)
        noise, x_0 = (1 - a).sqrt() * centred, self.mean + a.sqrt() * self.std**2 * centred
        return noise if self.target == "noise" else a.sqrt() * noise - (1 - a).sqrt() * x_0

    def flow(self, x, t_from, t_to):
        """Where the probability flow takes x: it keeps the number of standard deviations."""
        a, b = (float(self.alpha_bars[t]) if t >= 0 else 1.0 for t in (t_from, t_to))
        deviations = (x - math.sqrt(a) * self.mean) / math.sqrt(a * self.std**2 + 1 - a)
        return math.sqrt(b) * self.mean + deviations * math.sqrt(b * self.std**2 + 1 - b)


class Oracle(nn.Module):
    """Predicts the noise that makes `predict_x0` say x_0."""

    def __init__(self, schedule, x_0):
        super().__init__()
        self.alpha_bars, self.x_0 = schedule.alpha_bars, x_0

    def forward(self, x, t, y):
        a = self.alpha_bars[t].reshape(-1, 1, 1, 1)
        return (x - a.sqrt() * self.x_0) / (1 - a).sqrt()


def toy_batch():
    return torch.randn(SHAPE), torch.tensor([9, 9, 9]), torch.tensor([1, 0, 3])


def ladder(count=9):
    """(count, 1, 1, 1) float64: starting points from −2 to 2."""
    return torch.linspace(-2, 2, count, dtype=torch.float64).reshape(-1, 1, 1, 1)


# Guidance


@pytest.mark.parametrize("scale", [0, 0.5, 1, 1.5, 3])
def test_guidance_is_the_formula(scale):
    x, t, y = toy_batch()
    u, c = Toy()(x, t, None), Toy()(x, t, y)
    guided = guided_prediction(Toy(), x, t, y, scale)
    torch.testing.assert_close(guided, (1 - scale) * u + scale * c)
    assert not torch.allclose(u, c, atol=0.1)


@pytest.mark.parametrize("scale, calls", [(0, 1), (1, 1), (1.0, 1), (3, 2)])
def test_guidance_calls_the_model_no_more_than_needed(scale, calls):
    model = Toy()
    guided_prediction(model, *toy_batch(), scale)
    assert len(model.calls) == calls


@pytest.mark.parametrize("scale", [0, 1, 3])
def test_without_labels_there_is_nothing_to_guide_by(scale):
    model, (x, t, _) = Toy(), toy_batch()
    assert torch.equal(guided_prediction(model, x, t, None, scale), Toy()(x, t, None))
    assert len(model.calls) == 1


# One ancestral step


def bayes(schedule, t, x_0, x_t):
    """Mean and variance of q(x_{t−1} | x_t, x_0) by multiplying densities on a grid."""
    betas = schedule.betas.double().numpy()
    before = np.prod(1 - betas[:t])
    z = np.linspace(-8, 8, 40_001)
    log_density = -((x_t - np.sqrt(1 - betas[t]) * z) ** 2) / (2 * betas[t])
    log_density -= (z - np.sqrt(before) * x_0) ** 2 / (2 * (1 - before))
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    mean = (weights * z).sum()
    return mean, (weights * (z - mean) ** 2).sum()


@pytest.mark.parametrize("t", [1, 2, 6, 11])
def test_ancestral_step_is_the_posterior(schedule, t):
    x_0, x_t = 0.6, -0.4
    model, x = Oracle(schedule, x_0), torch.full(SHAPE, x_t)
    ones = torch.ones(SHAPE)
    mean, said = p_sample(model, schedule, x, t, noise=0 * ones)
    one_sigma_up, _ = p_sample(model, schedule, x, t, noise=ones)
    by_bayes, variance = bayes(schedule, t, x_0, x_t)
    torch.testing.assert_close(mean, by_bayes * ones, rtol=0, atol=1e-5)
    torch.testing.assert_close(one_sigma_up - mean, variance**0.5 * ones, rtol=0, atol=1e-5)
    torch.testing.assert_close(said, x_0 * ones, rtol=0, atol=1e-5)

    larger, _ = p_sample(model, schedule, x, t, noise=ones, variance="beta")
    beta = 0.05 + 0.35 * t / 11
    torch.testing.assert_close(larger - mean, beta**0.5 * ones, rtol=0, atol=1e-5)


@pytest.mark.parametrize("variance", ["posterior", "beta"])
def test_the_last_ancestral_step_adds_no_noise(schedule, variance):
    model, x = Oracle(schedule, 0.6), torch.randn(SHAPE)
    out, x_0 = p_sample(model, schedule, x, 0, variance=variance, noise=torch.ones(SHAPE))
    torch.testing.assert_close(out, torch.full(SHAPE, 0.6), rtol=0, atol=1e-5)
    torch.testing.assert_close(out, x_0, rtol=0, atol=1e-5)


def test_ancestral_step_clips_the_picture_that_it_predicts(schedule):
    x = torch.full(SHAPE, 0.5)
    clipped, x_0 = p_sample(Oracle(schedule, 2.5), schedule, x, 6, noise=x)
    expected, _ = p_sample(Oracle(schedule, 1.0), schedule, x, 6, noise=x)
    torch.testing.assert_close(clipped, expected)
    assert x_0.max() == 1
    free, x_0 = p_sample(Oracle(schedule, 2.5), schedule, x, 6, noise=x, clip=False)
    assert (free - clipped).min() > 0.1
    torch.testing.assert_close(x_0, torch.full(SHAPE, 2.5))


def test_guidance_comes_before_clipping(schedule):
    x, t, y = toy_batch()
    _, x_0 = p_sample(Toy(), schedule, x, 9, y, guidance_scale=3)
    guided = 3 * Toy()(x, t, y) - 2 * Toy()(x, t, None)
    a = schedule.alpha_bars[9]
    torch.testing.assert_close(x_0, ((x - (1 - a).sqrt() * guided) / a.sqrt()).clamp(-1, 1))


def test_ancestral_step_understands_v(schedule):
    x = torch.randn(SHAPE)
    steps = [
        p_sample(Gaussian(schedule, target), schedule, x, 5, target=target, noise=x)[0]
        for target in ("noise", "v")
    ]
    torch.testing.assert_close(*steps)


def test_ancestral_step_draws_normal_noise(schedule):
    x = torch.zeros(1, 1, 200, 300)
    mean, _ = p_sample(Oracle(schedule, 0.5), schedule, x, 6, noise=x)
    drawn, _ = p_sample(Oracle(schedule, 0.5), schedule, x, 6)
    variance, n = bayes(schedule, 6, 0.5, 0.0)[1], x.numel()
    assert abs((drawn - mean).mean()) < 6 * math.sqrt(variance / n)
    assert abs((drawn - mean).var() / variance - 1) < 6 * math.sqrt(2 / n)


def test_unknown_variances_are_named(schedule):
    with pytest.raises(ValueError, match="got 'learned'"):
        p_sample(Toy(), schedule, torch.zeros(SHAPE), 3, variance="learned")


# Walks


def test_ddim_timesteps_fall_from_the_top():
    for timesteps in range(1, 61):
        for steps in range(1, timesteps + 1):
            visited = ddim_timesteps(timesteps, steps)
            assert len(visited) == steps and visited[0] == timesteps - 1 and visited[-1] >= 0
            gaps = [a - b for a, b in zip(visited, [*visited[1:], -1], strict=True)]
            assert min(gaps) >= 1 and max(gaps) - min(gaps) <= 2  # even, but for rounding


def test_ddim_timesteps_by_hand():
    assert ddim_timesteps(1000, 5) == [999, 799, 599, 399, 199]
    assert ddim_timesteps(10, 10) == list(range(9, -1, -1))
    assert ddim_timesteps(1000, 1) == [999]


@pytest.mark.parametrize("steps", [0, -1, 13])
def test_impossible_numbers_of_steps_are_an_error(schedule, steps):
    with pytest.raises(ValueError, match=f"between 1 and the 12 timesteps, got {steps}"):
        ddim_timesteps(12, steps)
    for loop in (ddim_sample_loop, dpm_solver_2m):
        with pytest.raises(ValueError, match=f"got {steps}"):
            loop(Toy(), schedule, SHAPE, steps=steps)


# One DDIM step


@pytest.mark.parametrize("t", [1, 2, 6, 11])
@pytest.mark.parametrize("x_0", [0.6, 2.5])
def test_ddim_with_eta_1_is_the_ancestral_step(schedule, t, x_0):
    model, x, ones = Oracle(schedule, x_0), torch.randn(SHAPE), torch.ones(SHAPE)
    prediction = model(x, torch.full((3,), t), None)
    for noise in (0 * ones, ones):
        ddim, said = ddim_step(schedule, x, t, t - 1, prediction, eta=1, noise=noise)
        ancestral, also = p_sample(model, schedule, x, t, noise=noise)
        torch.testing.assert_close(ddim, ancestral, rtol=0, atol=1e-5)
        torch.testing.assert_close(said, also)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("target", ["noise", "v"])
def test_ddim_step_is_the_formula(schedule, eta, target):
    """With x_0 clipped, and the noise that lies between the clipped x_0 and x_t."""
    x, prediction, noise = torch.randn(3, *SHAPE).unbind()
    out, said = ddim_step(schedule, x, 8, 3, prediction, eta, target, noise=noise)
    a, b = (math.prod(1 - (0.05 + 0.35 * k / 11) for k in range(t + 1)) for t in (8, 3))
    if target == "noise":
        x_0 = (x - math.sqrt(1 - a) * prediction) / math.sqrt(a)
    else:
        x_0 = math.sqrt(a) * x - math.sqrt(1 - a) * prediction
    assert (x_0.abs() > 1).any() and (x_0.abs() < 1).any()
    x_0 = x_0.clamp(-1, 1)
    between = (x - math.sqrt(a) * x_0) / math.sqrt(1 - a)
    variance = eta**2 * (1 - b) / (1 - a) * (1 - a / b)
    expected = math.sqrt(b) * x_0 + math.sqrt(1 - b - variance) * between
    torch.testing.assert_close(out, expected + math.sqrt(variance) * noise, rtol=0, atol=1e-5)
    torch.testing.assert_close(said, x_0, rtol=0, atol=1e-5)


def test_ddim_with_eta_0_draws_nothing(schedule):
    x, prediction = torch.randn(SHAPE), torch.randn(SHAPE)
    state = torch.get_rng_state()
    a, b = (ddim_step(schedule, x, 8, 3, prediction)[0] for _ in range(2))
    assert torch.equal(a, b) and torch.equal(torch.get_rng_state(), state)
    with_noise, _ = ddim_step(schedule, x, 8, 3, prediction, noise=torch.randn(SHAPE))
    assert torch.equal(a, with_noise)
    assert not torch.equal(a, ddim_step(schedule, x, 8, 3, prediction, eta=0.1)[0])


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_ddim_ends_at_the_picture(schedule, eta):
    x, prediction = torch.randn(SHAPE), torch.randn(SHAPE)
    out, x_0 = ddim_step(schedule, x, 4, -1, prediction, eta)
    assert torch.equal(out, x_0)


def test_ddim_without_clipping(schedule):
    x = torch.full(SHAPE, 0.5)
    prediction = Oracle(schedule, 2.5)(x, torch.full((3,), 6), None)
    _, x_0 = ddim_step(schedule, x, 6, 2, prediction, clip=False)
    torch.testing.assert_close(x_0, torch.full(SHAPE, 2.5))


@pytest.mark.parametrize("t_next", [5, 6, -2])
def test_ddim_only_goes_down(schedule, t_next):
    x = torch.zeros(SHAPE)
    with pytest.raises(ValueError, match=f"got {t_next}"):
        ddim_step(schedule, x, 5, t_next, x)


# Whole walks on Gaussian data


def test_ancestral_loop_has_the_moments_of_its_chain(schedule):
    """Each step is linear in x_t, so mean and variance of the result follow step by step."""
    m, v = 0.0, 1.0
    betas = schedule.betas.double().tolist()
    for t in range(11, -1, -1):
        a, before = (math.prod(1 - b for b in betas[:k]) for k in (t + 1, t))
        gain = math.sqrt(a) * 0.25 / (a * 0.25 + 1 - a)  # of E[x_0 | x_t], std² = 0.25
        rest = 0.3 * (1 - gain * math.sqrt(a))
        of_x_0 = math.sqrt(before) * betas[t] / (1 - a)
        of_x_t = math.sqrt(1 - betas[t]) * (1 - before) / (1 - a)
        m = of_x_0 * (gain * m + rest) + of_x_t * m
        v = (of_x_0 * gain + of_x_t) ** 2 * v + betas[t] * (1 - before) / (1 - a)
    n = 60_000
    out = p_sample_loop(Gaussian(schedule), schedule, (1, 1, 200, 300), clip=False)
    assert abs(out.mean().item() - m) < 6 * math.sqrt(v / n)
    assert abs(out.var().item() / v - 1) < 6 * math.sqrt(2 / n)


@pytest.mark.parametrize("target", ["noise", "v"])
@pytest.mark.parametrize("variance", ["posterior", "beta"])
def test_ancestral_loop_draws_the_data(target, variance):
    schedule, n = NoiseSchedule.cosine(300), 20_000
    model = Gaussian(schedule, target)
    out = p_sample_loop(
        *(model, schedule, (2, 1, 100, 100)), target=target, variance=variance, clip=False
    )
    # Besides chance: 300 steps are not infinitely many, which costs about 1 % of the spread.
    assert abs(out.mean().item() - 0.3) < 6 * 0.5 / math.sqrt(n)
    assert abs(out.std().item() / 0.5 - 1) < 6 / math.sqrt(2 * n) + 0.015


@pytest.mark.parametrize("target", ["noise", "v"])
def test_ddim_follows_the_probability_flow(target):
    """First order: twice the steps, half the error."""
    schedule, x = NoiseSchedule.linear(1000), ladder()
    model = Gaussian(schedule, target)
    exact = model.flow(x, 999, -1)
    errors = []
    for steps in (250, 500, 1000):
        out = ddim_sample_loop(
            *(model, schedule, x.shape), steps=steps, target=target, clip=False, noise=x
        )
        errors.append((out - exact).abs().max().item())
    assert errors[-1] < 5e-3
    assert all(1.6 < a / b < 2.4 for a, b in pairwise(errors))


def test_ddim_with_eta_draws_the_data():
    schedule, n = NoiseSchedule.cosine(300), 20_000
    out = ddim_sample_loop(
        *(Gaussian(schedule), schedule, (2, 1, 100, 100)), steps=300, eta=1.0, clip=False
    )
    assert abs(out.mean().item() - 0.3) < 6 * 0.5 / math.sqrt(n)
    assert abs(out.std().item() / 0.5 - 1) < 6 / math.sqrt(2 * n) + 0.015


@pytest.mark.parametrize("name", ["linear", "cosine"])
@pytest.mark.parametrize("target", ["noise", "v"])
def test_dpm_solver_is_of_second_order(name, target):
    """Half-way, before the last step (which is first order by necessity): a quarter of the error."""
    schedule, x = getattr(NoiseSchedule, name)(1000), ladder()
    model = Gaussian(schedule, target)
    errors = []
    for steps in (10, 20, 40, 80, 160):
        path = []
        dpm_solver_2m(
            *(model, schedule, x.shape),
            **dict(steps=steps, target=target, clip=False, noise=x),
            callback=lambda i, t, x_t, x_0, path=path: path.append(x_t),
        )
        half_way = path[steps // 2 - 1]  # at t = 499, whatever the number of steps
        errors.append((half_way - model.flow(x, 999, 499)).abs().max().item())
    assert all(a / b > 3 for a, b in pairwise(errors)), errors
    assert errors[-1] < 2e-4


@pytest.mark.parametrize("target", ["noise", "v"])
def test_dpm_solver_agrees_with_many_steps_of_ddim(target):
    schedule, x = NoiseSchedule.linear(1000), ladder()
    model = Gaussian(schedule, target)

    def walk(loop, steps):
        return loop(*(model, schedule, x.shape), steps=steps, target=target, clip=False, noise=x)

    truth = walk(ddim_sample_loop, 1000)
    error = {
        (loop, steps): (walk(loop, steps) - truth).abs().max()
        for loop in (ddim_sample_loop, dpm_solver_2m)
        for steps in (20, 40)
    }
    assert error[dpm_solver_2m, 40] < 0.01
    for steps in (20, 40):
        assert error[dpm_solver_2m, steps] < error[ddim_sample_loop, steps] / 3


def test_dpm_solver_calls_the_model_once_a_step():
    schedule, model = NoiseSchedule.cosine(1000), Toy()
    dpm_solver_2m(model, schedule, SHAPE, steps=7)
    assert [call["t"][0].item() for call in model.calls] == ddim_timesteps(1000, 7)


# What all loops share


def visited(loop):
    return list(range(11, -1, -1)) if loop is p_sample_loop else ddim_timesteps(12, 5)


def test_samplers_by_name():
    assert [SAMPLERS[name] for name in ("ddpm", "ddim", "dpm")] == LOOPS and len(SAMPLERS) == 3


@pytest.mark.parametrize("loop", LOOPS)
def test_the_model_is_called_as_promised(schedule, loop):
    model, y, noise = Toy(), torch.tensor([1, 0, 3]), torch.randn(SHAPE)
    before = noise.clone()
    loop(model, schedule, SHAPE, y, noise=noise, **SHORT[loop])
    assert torch.equal(model.calls[0]["x"], before) and torch.equal(noise, before)
    for call, t in zip(model.calls, visited(loop), strict=True):
        assert call["t"].tolist() == [t] * 3 and call["t"].dtype == torch.int64
        assert torch.equal(call["y"], y)
        assert not call["training"] and not call["grad"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_put_back(schedule, loop, training):
    model = Toy().train(training)
    out = loop(model, schedule, SHAPE, **SHORT[loop])
    assert model.training is training and not out.requires_grad
    assert torch.is_grad_enabled()

    def fail(*_):
        raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        loop(model, schedule, SHAPE, callback=fail, **SHORT[loop])
    assert model.training is training and torch.is_grad_enabled()


@pytest.mark.parametrize("loop", LOOPS)
def test_the_callback_sees_every_step(schedule, loop):
    seen, model = [], Toy()
    out = loop(model, schedule, SHAPE, callback=lambda *a: seen.append(a), **SHORT[loop])
    assert [(i, t) for i, t, _, _ in seen] == list(enumerate(visited(loop)))
    for call, (_, _, x_t, x_0) in zip(model.calls[1:], seen, strict=False):
        assert torch.equal(call["x"], x_t)  # the new x_t is what the next step starts from
        assert x_0.shape == SHAPE and x_0.abs().max() <= 1
    _, _, x_t, x_0 = seen[-1]
    assert torch.equal(x_t, out)
    torch.testing.assert_close(x_0, out)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_progress_bar_wraps_the_timesteps(schedule, loop):
    given = []

    def bar(sequence):
        given.append(len(sequence))  # a bar needs to know how many
        yield from sequence

    loop(Toy(), schedule, SHAPE, progress=bar, **SHORT[loop])
    assert given == [len(visited(loop))]


@pytest.mark.parametrize("loop", LOOPS)
def test_the_same_seed_draws_the_same_pictures(schedule, loop):
    def draw(seed):
        options = SHORT[loop] | ({"eta": 0.7} if loop is ddim_sample_loop else {})
        generator = torch.Generator().manual_seed(seed)
        return loop(Toy(), schedule, SHAPE, generator=generator, **options)

    state = torch.get_rng_state()
    assert torch.equal(draw(5), draw(5)) and not torch.equal(draw(5), draw(6))
    assert torch.equal(torch.get_rng_state(), state)
    by_default = [loop(Toy(), schedule, SHAPE, **SHORT[loop]) for _ in range(2)]
    assert not torch.equal(*by_default)


@pytest.mark.parametrize(
    "loop, random", [(p_sample_loop, True), (ddim_sample_loop, False), (dpm_solver_2m, False)]
)
def test_only_ancestral_sampling_draws_on_the_way(schedule, loop, random):
    noise = torch.randn(SHAPE)
    a, b = (loop(Toy(), schedule, SHAPE, noise=noise, **SHORT[loop]) for _ in range(2))
    assert torch.equal(a, b) is not random


@pytest.mark.parametrize("loop", LOOPS)
def test_loops_start_from_standard_normal_noise(schedule, loop):
    model, n = Toy(), 60_000
    loop(model, schedule, (1, 1, 200, 300), **SHORT[loop])
    x = model.calls[0]["x"]
    assert abs(x.mean()) < 6 / math.sqrt(n) and abs(x.var() - 1) < 6 * math.sqrt(2 / n)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("options", [dict(guidance_scale=3.0), dict(target="v"), dict(clip=False)])
def test_options_reach_the_steps(schedule, loop, options):
    y, noise = torch.tensor([1, 0, 3]), torch.randn(SHAPE)

    def draw(**more):
        generator = torch.Generator().manual_seed(1)
        return loop(Toy(), schedule, SHAPE, y, noise=noise, generator=generator, **more)

    plain = draw(**SHORT[loop])
    assert plain.abs().max() <= 1.0001
    assert not torch.allclose(plain, draw(**SHORT[loop], **options), atol=0.01)


def test_ddim_loop_is_its_steps_one_by_one(schedule):
    y, x = torch.tensor([1, 0, 3]), torch.randn(SHAPE)
    out = ddim_sample_loop(Toy(), schedule, SHAPE, y, steps=3, guidance_scale=2.0, noise=x)
    for t, t_next in [(11, 7), (7, 3), (3, -1)]:
        prediction = guided_prediction(Toy(), x, torch.full((3,), t), y, 2.0)
        x, _ = ddim_step(schedule, x, t, t_next, prediction)
    torch.testing.assert_close(out, x)


@pytest.mark.parametrize("loop", LOOPS)
def test_noise_of_another_shape_is_an_error_that_names_both(schedule, loop):
    with pytest.raises(ValueError, match=r"\(1, 2\).*\(3, 1, 4, 6\)"):
        loop(Toy(), schedule, SHAPE, noise=torch.zeros(1, 2), **SHORT[loop])


@pytest.mark.parametrize("loop", LOOPS)
def test_pictures_are_drawn_where_the_model_is(schedule, loop):
    """On torch's "meta" device, which has no numbers but insists like a GPU that devices agree."""
    generator = torch.Generator().manual_seed(1)
    out = loop(Toy().to("meta"), schedule, SHAPE, generator=generator, **SHORT[loop])
    assert out.is_meta and out.shape == SHAPE
    elsewhere = loop(Toy(), schedule, SHAPE, device="cpu", **SHORT[loop])
    assert elsewhere.device.type == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_generator_on_the_cpu_draws_the_same_pictures_on_a_gpu(schedule, loop):
    pictures = [
        loop(
            *(Toy().to(device), schedule, SHAPE),
            **dict(clip=False, generator=torch.Generator().manual_seed(1)),
            **SHORT[loop],
        )
        for device in ("cpu", "cuda")
    ]
    torch.testing.assert_close(pictures[0], pictures[1].cpu(), rtol=1e-3, atol=1e-3)
