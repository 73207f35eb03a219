"""Chapter 8: the loop, against loops written out by hand."""

import copy
import importlib
import math
from pathlib import Path

import pytest
import tiny
import torch
from torch import nn

from ddpm_ref import jobs, training
from ddpm_ref.data import to_model_range
from ddpm_ref.errors import UserError
from ddpm_ref.jobs import Diverged, Hooks
from ddpm_ref.jobs import run_training as fit
from ddpm_ref.jobs import validate_by_timestep as validate
from ddpm_ref.loss import training_step
from ddpm_ref.precision import memory_format
from ddpm_ref.training import (
    ExponentialMovingAverage,
    make_lr_schedule,
    make_optimizer,
    select_device,
    train_one_epoch,
)


def batches(*sizes, seed=0):
    """A loader: batches of random pictures (B, 3, 8, 8) and labels."""
    g = torch.Generator().manual_seed(seed)
    return [
        (torch.rand(n, 3, 8, 8, generator=g) * 2 - 1, torch.randint(0, 10, (n,), generator=g))
        for n in sizes
    ]


def small_net():
    torch.manual_seed(3)
    return tiny.make_model(tiny.CONFIG)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu"), (True, False, "cuda")],
)
def test_the_device_is_the_best_there_is(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert select_device().type == expected


def test_a_device_by_name():
    assert select_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="nonsense"):
        select_device("nonsense")


def test_optimizer_is_adamw_with_the_options_given():
    weight = torch.tensor([0.5, -2.0, 1.0])
    gradients = [torch.tensor([0.1, -1.0, 3.0]), torch.tensor([-0.4, 0.2, 0.0])]
    model = nn.Linear(3, 1, bias=False)
    model.weight.data = weight[None].clone()
    optimizer = make_optimizer(model, 0.01, betas=(0.8, 0.95), weight_decay=0.3)
    m = v = torch.zeros(3)
    for i, g in enumerate(gradients, start=1):  # Loshchilov & Hutter 2019, algorithm 2
        model.weight.grad = g[None].clone()
        optimizer.step()
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g**2
        adam = (m / (1 - 0.8**i)) / ((v / (1 - 0.95**i)).sqrt() + 1e-8)
        weight = weight - 0.01 * 0.3 * weight - 0.01 * adam
    torch.testing.assert_close(model.weight.data[0], weight)


def test_optimizer_holds_every_parameter():
    model = small_net()
    held = sum(p.numel() for g in make_optimizer(model, 1e-3).param_groups for p in g["params"])
    assert held == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("warmup", "decay_from", "expected"),
    [
        # up over 4 steps, level to step 5, then ½(1 + cos(π·k/5))
        (4, 0.5, [0.25, 0.5, 0.75, 1, 1, 1, 0.9045085, 0.6545085, 0.3454915, 0.0954915, 0]),
        (0, 1.0, [1.0] * 11),
        (2, 1.0, [0.5] + [1.0] * 10),
        (0, 0.8, [1] * 9 + [0.5, 0]),
        (8, 0.5, [1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8, 0.7914450, 0.6545085, 0.3454915]),
    ],
)
def test_learning_rate_against_a_table(warmup, decay_from, expected):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2)
    schedule = make_lr_schedule(optimizer, 10, warmup, decay_from)
    rates = []
    for _ in expected:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.2 * factor for factor in expected], abs=1e-7)


class WithBuffers(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -3.0]))
        self.register_buffer("seen", torch.tensor([0.0]))
        self.register_buffer("count", torch.tensor(0))


@pytest.mark.parametrize("decay", [0.0, 0.15, 0.999])
def test_ema_against_a_loop(decay):
    model = WithBuffers().train()
    ema = ExponentialMovingAverage(model, decay)
    assert not ema.average.training
    assert torch.equal(ema.average.weight, model.weight)  # starts as a copy …
    expected = model.weight.detach().double().clone()
    for i in range(12):
        with torch.no_grad():
            model.weight.add_(torch.tensor([0.5, float(i)]))
            model.seen.fill_(10.0 + i)
            model.count.fill_(i)
        ema.update(model)
        decay_i = min(decay, (1 + i) / (10 + i))
        expected = decay_i * expected + (1 - decay_i) * model.weight.detach().double()
        torch.testing.assert_close(ema.average.weight.double(), expected, rtol=1e-5, atol=1e-5)
        assert ema.average.seen.item() == 10.0 + i  # copied, not averaged
        assert ema.average.count.item() == i
    assert ema.updates == 12
    assert not ema.average.weight.requires_grad
    assert model.weight.requires_grad  # … and of its own: the model is left as it was


@pytest.mark.parametrize("decay", [-0.1, 1.0, 2.0, math.nan])
def test_ema_refuses_a_decay_that_is_none(decay):
    with pytest.raises(ValueError, match="decay"):
        ExponentialMovingAverage(WithBuffers(), decay)


@pytest.mark.parametrize("fails", [False, True])
def test_ema_is_applied_and_taken_back(fails):
    model = WithBuffers()
    ema = ExponentialMovingAverage(model, 0.9)
    with torch.no_grad():
        model.weight.fill_(7.0)
        model.seen.fill_(7.0)
    try:
        with ema.applied(model) as inside:
            assert inside is model
            assert model.weight.tolist() == [1.0, -3.0]
            assert model.seen.item() == 0.0
            if fails:
                raise RuntimeError("in the middle of drawing")
    except RuntimeError:
        assert fails
    assert model.weight.tolist() == [7.0, 7.0]
    assert model.seen.item() == 7.0
    assert ema.average.weight.tolist() == [1.0, -3.0]


def test_an_epoch_is_the_loop_written_out():
    """Gradients zeroed, clipped before the step, averaged after it, the rate moved after the step."""
    loader, schedule = batches(4, 4, 4), tiny.schedule()
    ours, theirs = small_net(), small_net()

    def parts(model):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        return optimizer, make_lr_schedule(optimizer, 6, warmup_steps=3)

    optimizer, lr_schedule = parts(ours)
    ema = ExponentialMovingAverage(ours, 0.5)
    torch.manual_seed(11)
    options = dict(target="v", label_dropout=0.3, min_snr_gamma=5.0, grad_clip=0.1)
    train_one_epoch(
        ours, loader, schedule, optimizer, 10, **options, lr_schedule=lr_schedule, ema=ema
    )

    optimizer, lr_schedule = parts(theirs)
    average = [p.detach().clone() for p in theirs.parameters()]
    torch.manual_seed(11)
    for i, (x_0, y) in enumerate(loader):
        optimizer.zero_grad()
        training_step(theirs, schedule, x_0, y, 10, 0.3, "v", 5.0).backward()
        norm = torch.cat([p.grad.flatten() for p in theirs.parameters()]).norm()
        for p in theirs.parameters():
            p.grad *= min(1.0, 0.1 / (norm.item() + 1e-6))
        optimizer.step()
        lr_schedule.step()
        decay = min(0.5, (1 + i) / (10 + i))
        average = [
            decay * a + (1 - decay) * p.detach()
            for a, p in zip(average, theirs.parameters(), strict=True)
        ]
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    for a, b in zip(ema.average.parameters(), average, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("limit", [0.25, 1.0, 1e9])
def test_clipping_limits_the_step(limit):
    """By SGD at rate 1, the step is the gradient: AdamW would hide its length."""
    model = tiny.Dial(100.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    train_one_epoch(model, batches(8), tiny.schedule(), optimizer, 10, grad_clip=limit)
    moved = abs(100.0 - model.number.item())
    if limit < 1e9:
        assert moved == pytest.approx(limit, rel=1e-3)
    else:
        assert moved > 10


def test_the_mean_of_an_epoch_is_weighted_by_images():
    steps = []
    model = tiny.Dial(1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    mean = train_one_epoch(
        *(model, batches(9, 1), tiny.schedule(), optimizer, 10),
        on_step=lambda size, loss: steps.append((size, loss.item(), loss.requires_grad)),
    )
    (n_a, a, graph_a), (n_b, b, graph_b) = steps
    assert (n_a, n_b, graph_a, graph_b) == (9, 1, False, False)
    assert mean == pytest.approx((9 * a + b) / 10, rel=1e-5)
    assert abs(a - b) > 1e-3  # else the weights would not show


def test_an_epoch_trains_in_training_mode_and_drops_labels():
    model = tiny.Dial().eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = batches(6, 6)
    train_one_epoch(model, loader, tiny.schedule(), optimizer, 10, label_dropout=1.0)
    assert [call[3] for call in model.calls] == [True, True]
    assert all(set(call[2].tolist()) == {10} for call in model.calls)
    assert all(set(y.tolist()).isdisjoint({10}) for _, y in loader)  # the loader's own stay whole


def test_an_epoch_ends_where_it_is_told_to():
    answers = iter([False, True])
    sizes = []
    model = tiny.Dial(1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train_one_epoch(
        *(model, batches(2, 3, 4, 5), tiny.schedule(), optimizer, 10),
        on_step=lambda size, loss: sizes.append(size),
        should_stop=lambda: next(answers),
    )
    assert sizes == [2, 3]


def test_validation_by_hand():
    """On black pictures x_t is the noise, scaled; a model that says 0 is wrong by the noise itself."""
    loader = [(torch.zeros(n, 3, 8, 8), torch.zeros(n, dtype=torch.int64)) for n in (40, 40, 7)]
    model, schedule = tiny.Dial(0.0), tiny.schedule(20)
    mean, by_bucket = validate(model, loader, schedule, target="noise", buckets=5)
    x_t, t = (torch.cat([call[k] for call in model.calls]) for k in (0, 1))
    noise = x_t / (1 - schedule.alpha_bars[t]).sqrt().reshape(-1, 1, 1, 1)
    losses = noise.square().mean(dim=(1, 2, 3))
    assert set(t.tolist()) == set(range(20))  # spread over all of them
    assert mean == pytest.approx(losses.mean().item(), rel=1e-4)
    for k, value in enumerate(by_bucket):
        inside = (4 * k <= t) & (t < 4 * (k + 1))
        assert value == pytest.approx(losses[inside].mean().item(), rel=1e-4)


def test_validation_says_nan_where_no_timestep_fell():
    _, by_bucket = validate(tiny.Dial(), batches(3), tiny.schedule(100), buckets=10)
    assert len(by_bucket) == 10
    assert 7 <= sum(math.isnan(value) for value in by_bucket) <= 9


def test_validation_repeats_itself():
    model, loader, schedule = small_net(), batches(5, 3), tiny.schedule()
    torch.manual_seed(1)
    first = validate(model, loader, schedule, "v")
    torch.manual_seed(2)
    again = validate(model, loader, schedule, "v")
    assert first[0] == again[0]
    assert validate(model, loader, schedule, "v", seed=1)[0] != first[0]


def test_validation_leaves_the_random_state_alone():
    """Also through a real loader, which by itself draws from it."""
    _, _, loader = tiny.make_state(tiny.CONFIG, tiny.shapes())
    before = torch.get_rng_state()
    validate(tiny.Dial(), loader, tiny.schedule())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("training_mode", [True, False])
def test_validation_leaves_the_model_alone(training_mode):
    model = tiny.Dial().train(training_mode)
    validate(model, batches(5, 3), tiny.schedule())
    assert model.training is training_mode
    assert [call[3] for call in model.calls] == [False, False]
    assert model.number.grad is None


def test_validation_on_the_first_so_many_images():
    model, schedule, loader = small_net(), tiny.schedule(), batches(4, 4, 4)
    some = validate(model, loader, schedule, "v", buckets=1, max_images=6)
    assert some == validate(model, loader[:2], schedule, "v", buckets=1)
    assert some != validate(model, loader, schedule, "v", buckets=1)


def run_fit(recipe, **options):
    state, train_loader, val_loader = tiny.make_state(recipe, tiny.shapes())
    rows = []
    fit(
        *(state, train_loader, val_loader, tiny.schedule(), recipe.train, 10, "v"),
        hooks=Hooks(on_epoch=lambda state, metrics: rows.append(metrics)),
        **options,
    )
    return state, rows


def test_fit_counts_images():
    """108 training images are 9 batches of 12: 160 images are 14 steps, the last epoch has 5."""
    state, rows = run_fit(tiny.config(images=160))
    assert [(r["epoch"], r["step"], r["images_seen"]) for r in rows] == [(1, 9, 108), (2, 14, 168)]
    assert (state.epoch, state.step, state.images_seen) == (2, 14, 168)
    assert state.ema.updates == 14
    assert state.best_loss == min(r["val_loss"] for r in rows)
    assert 0 < rows[0]["seconds"] < rows[1]["seconds"] == state.seconds
    assert rows[1]["learning_rate"] == 0  # all of the schedule has been walked
    assert {f"val_loss_t{k}" for k in range(10)} <= set(rows[0])


def test_fit_needs_no_numbers_of_64_bits(monkeypatch):
    """Apple's graphics have none."""
    recipe, schedule = tiny.config(images=108), tiny.schedule()
    state, *loaders = tiny.make_state(recipe, tiny.shapes())

    def none_here(self):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    monkeypatch.setattr(torch.Tensor, "double", none_here)
    assert fit(state, *loaders, schedule, recipe.train, 10, "v")


def test_fit_stops_by_the_clock(monkeypatch):
    """A clock that moves 1 s at each look: 10 s are a few steps, the images not nearly used up."""
    monkeypatch.setattr(jobs, "time", tiny.ticking_clock())
    state, rows = run_fit(tiny.config(images=1000, seconds=10))
    assert 2 <= state.step <= 10
    assert len(rows) >= 1
    assert rows[-1]["images_seen"] == 12 * state.step


def test_the_learning_rate_falls_in_time_for_the_clock(monkeypatch):
    monkeypatch.setattr(jobs, "time", tiny.ticking_clock())
    recipe = tiny.config(images=10**6, seconds=400)
    _, rows = run_fit(recipe)
    rates = [row["learning_rate"] / recipe.train.learning_rate for row in rows]
    level = [rate for row, rate in zip(rows, rates, strict=True) if row["seconds"] < 200]
    assert len(level) >= 3 and level[-1] == 1
    falling = rates[len(level) - 1 :]
    assert falling == sorted(falling, reverse=True)
    assert 0 <= rates[-1] < 0.01


@pytest.mark.parametrize("number", [math.nan, math.inf, 1e4])
def test_a_loss_that_is_no_number_ends_the_training(number):
    """Before anything of it is saved."""
    recipe = tiny.config(images=36)
    state, *loaders = tiny.make_state(recipe, tiny.shapes())
    with torch.no_grad():
        next(state.model.parameters()).fill_(number)
        state.model.head.bias.fill_(number)
    saved = []
    with pytest.raises(Diverged):
        fit(
            *(state, *loaders, tiny.schedule(), recipe.train, 10, "v"),
            hooks=Hooks(on_epoch=lambda *both: saved.append(both), on_pause=saved.append),
        )
    assert saved == []


def test_fit_validates_the_average():
    state, rows = run_fit(tiny.config(images=108, ema_decay=0.99))
    _, _, loader = tiny.make_state(tiny.CONFIG, tiny.shapes())
    average, _ = validate(state.ema.average, loader, tiny.schedule(), "v")
    plain, _ = validate(state.model, loader, tiny.schedule(), "v")
    assert rows[0]["val_loss"] == pytest.approx(average, rel=1e-6)
    assert average != pytest.approx(plain, rel=1e-3)  # else this could not tell


def step_losses(steps, batch):
    """Losses of `steps` steps on one small batch from fixed seeds."""
    images = tiny.shapes(batch)
    loader = [(to_model_range(images.images), images.labels)] * steps
    torch.manual_seed(0)
    model = tiny.make_model(tiny.CONFIG)
    losses = []
    train_one_epoch(
        *(model, loader, tiny.schedule(), make_optimizer(model, 4e-3), 10, "v"),
        on_step=lambda size, loss: losses.append(loss.item()),
    )
    return losses


def test_golden_numbers():
    """A change of any of these says that training has changed; other CPUs may differ by rounding.

    The tolerance is 1e-3: between one thread and two, the fifth loss differs by 4e-6.
    """
    assert step_losses(5, 10) == pytest.approx(GOLDEN, rel=1e-3)


GOLDEN = [0.696456, 0.674628, 0.592739, 0.701169, 0.486292]


def test_the_loss_falls():
    losses = step_losses(120, 10)
    assert sum(losses[-20:]) < 0.65 * sum(losses[:20])


def test_average_draws_from_a_copy_not_the_model():
    """Training on after the average was made must not move it."""
    model = small_net()
    ema = ExponentialMovingAverage(model, 0.9)
    before = copy.deepcopy(ema.average.state_dict())
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    assert all(torch.equal(before[k], v) for k, v in ema.average.state_dict().items())


def chapter_8(epochs, checkpoint=None, state=None, loaders=None):
    """Train with the loop of chapter 8 as long jobs do with theirs; returns state, loaders and metrics."""
    recipe = tiny.config(images=216)  # two epochs, for the learning rate
    if state is None:
        state, *loaders = tiny.make_state(recipe, tiny.shapes())
    rows = []
    training.fit(
        *(state, *loaders, tiny.schedule(), 10, epochs, "v"),
        label_dropout=recipe.train.label_dropout,
        grad_clip=recipe.train.grad_clip,
        checkpoint=checkpoint,
        on_epoch=lambda state, metrics: rows.append(metrics),
    )
    return state, loaders, rows


def test_chapter_8_has_the_loop_of_long_jobs():
    """The same weights to the bit, and the same losses."""
    theirs, expected = run_fit(tiny.config(images=216))
    ours, _, rows = chapter_8(epochs=2)
    for a, b in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(ours.ema.average.parameters(), theirs.ema.average.parameters(), strict=True):
        assert torch.equal(a, b)
    for row, other in zip(rows, expected, strict=True):
        assert {k: row[k] for k in ("epoch", "step", "images_seen")} == {
            k: other[k] for k in ("epoch", "step", "images_seen")
        }
        for name in ("train_loss", "val_loss"):
            assert row[name] == pytest.approx(other[name], rel=1e-5)


def test_chapter_8_goes_on_from_a_checkpoint_to_the_bit(tmp_path):
    straight, _, _ = chapter_8(epochs=2)
    path = tmp_path / "last.safetensors"
    chapter_8(epochs=1, checkpoint=path)
    assert tiny.tree(tmp_path).keys() == {"last.safetensors", "last.json"}
    fresh, *loaders = tiny.make_state(tiny.config(images=216), tiny.shapes(), seed=5)
    torch.rand(7)
    training.load_checkpoint(path, fresh)
    resumed, _, rows = chapter_8(2, state=fresh, loaders=loaders)
    assert [row["epoch"] for row in rows] == [2]
    for a, b in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_validate_is_the_mean_over_the_buckets():
    model, loader, schedule = small_net(), batches(40, 7), tiny.schedule()
    expected, _ = validate(model, loader, schedule, "v")
    assert training.validate(model, loader, schedule, "v") == pytest.approx(expected, rel=1e-6)


def test_channels_lie_last_where_16_bits_want_it():
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert memory_format(gpu, "bf16") == memory_format(gpu, "fp16") == torch.channels_last
    for device, precision in ((gpu, "fp32"), (cpu, "bf16"), (cpu, "fp32")):
        assert memory_format(device, precision) == torch.contiguous_format


def test_mixed_precision_by_name():
    for precision, scaled in (("fp32", False), ("bf16", False), ("fp16", True)):
        _, scaler = training.mixed_precision(torch.device("cpu"), precision)
        assert scaler.is_enabled() is scaled
    with pytest.raises(ValueError, match="fp8"):
        training.mixed_precision(torch.device("cpu"), "fp8")


NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


@pytest.mark.parametrize("kind", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_GPU])])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("whose", ["ddpm_ref.training", "solutions.ch08_training.training"])
def test_chapter_8_trains_for_real(whose, precision, kind, tmp_path, monkeypatch):
    """That of the reference and that of the solution; with a GPU at hand, on the GPU too."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent))
    module = importlib.import_module(whose)
    device = module.select_device(kind)
    torch.manual_seed(0)
    model = tiny.make_model(tiny.CONFIG).to(device)
    optimizer = module.make_optimizer(model, 2e-3)
    _, scaler = module.mixed_precision(device, precision)
    average = module.ExponentialMovingAverage(model, 0.9)
    state = module.TrainingState(model, optimizer, None, scaler, average)
    images = tiny.shapes()
    loader = [(to_model_range(images.images[k::4]), images.labels[k::4]) for k in range(4)]
    rows = []
    module.fit(
        *(state, loader, loader[:1], tiny.schedule(), 10, 5, "v"),
        precision=precision,
        checkpoint=tmp_path / "last.ckpt",
        on_epoch=lambda state, metrics: rows.append(metrics["val_loss"]),
    )
    assert all(map(math.isfinite, rows)) and rows[-1] < rows[0]
    module.load_checkpoint(tmp_path / "last.ckpt", state)
    assert next(state.model.parameters()).device.type == kind
