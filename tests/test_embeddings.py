"""Chapter 2: the condition, against loops in plain Python."""

import math

import pytest
import torch
import torch.nn.functional as F

from ddpm_ref.embeddings import ClassEmbedding, ConditionEmbedding, SinusoidalPositionEmbeddings


def sinusoids(t: int, dim: int) -> list[float]:
    half = dim // 2
    angles = [t * 10000 ** (-i / (half - 1)) for i in range(half)]
    return [math.sin(a) for a in angles] + [math.cos(a) for a in angles]


@pytest.mark.parametrize("dim", [4, 6, 64, 128])
def test_sinusoids_are_the_formula(dim):
    t = torch.tensor([0, 1, 2, 10, 50])
    expected = torch.tensor([sinusoids(int(k), dim) for k in t])
    embedded = SinusoidalPositionEmbeddings(dim)(t)
    assert embedded.dtype == torch.float32
    torch.testing.assert_close(embedded, expected, rtol=0, atol=5e-6)


def test_sinusoids_at_the_end_of_a_long_schedule():
    expected = torch.tensor([sinusoids(999, 64)])
    embedded = SinusoidalPositionEmbeddings(64)(torch.tensor([999]))
    torch.testing.assert_close(embedded, expected, rtol=0, atol=2e-4)  # float32 angles up to 999


def test_sinusoids_by_hand():
    """dim 4: frequencies 1 and 1/10000, sines before cosines."""
    embedded = SinusoidalPositionEmbeddings(4)(torch.tensor([0, 5000]))
    by_hand = [[0, 0, 1, 1], [math.sin(5000), math.sin(0.5), math.cos(5000), math.cos(0.5)]]
    torch.testing.assert_close(embedded, torch.tensor(by_hand), rtol=0, atol=1e-4)


def test_sinusoids_have_nothing_to_learn_or_to_save():
    module = SinusoidalPositionEmbeddings(8)
    assert not list(module.parameters()) and not module.state_dict()
    assert SinusoidalPositionEmbeddings(8).to("meta")(torch.arange(3, device="meta")).is_meta


@pytest.mark.parametrize("dim", [0, 2, 5, 7, -4])
def test_sinusoids_need_an_even_dim_of_at_least_four(dim):
    with pytest.raises(ValueError, match=f"got {dim}"):
        SinusoidalPositionEmbeddings(dim)


def test_each_label_has_its_row():
    module = ClassEmbedding(5, 6)
    (table,) = module.parameters()
    assert table.shape == (6, 6)  # the null class has one too
    y = torch.tensor([3, 0, 5, 3])
    assert torch.equal(module(y), table[y])


def test_no_labels_means_the_null_class():
    module = ClassEmbedding(5, 6)
    null = module(torch.full((3,), 5))
    assert torch.equal(module(None).expand(3, -1), null)
    assert not torch.equal(module(torch.tensor([4])), null[:1])


@pytest.mark.parametrize("y", [None, torch.tensor([5])])
def test_the_null_class_is_learnt(y):
    module = ClassEmbedding(5, 6)
    module(y).sum().backward()
    (table,) = module.parameters()
    assert table[5].abs().max() > 0  # padding_idx would start it at zero ...
    assert table.grad[5].tolist() == [1] * 6  # ... and keep it there
    assert not table.grad[:5].any()


@pytest.mark.parametrize("y, names", [([0, -1], "0…5.*-1…0"), ([6, 2], "0…5.*2…6")])
def test_labels_outside_are_an_error_that_names_them(y, names):
    with pytest.raises(ValueError, match=names):
        ClassEmbedding(5, 6)(torch.tensor(y))


def test_no_classes_are_an_error():
    with pytest.raises(ValueError, match="got 0"):
        ClassEmbedding(0, 6)


def test_an_empty_batch_has_an_empty_embedding():
    assert ClassEmbedding(5, 6)(torch.empty(0, dtype=torch.int64)).shape == (0, 6)


def test_condition_is_an_mlp_over_the_sum():
    module = ConditionEmbedding(5, 8)
    table, w1, b1, w2, b2 = module.parameters()
    assert [tuple(p.shape) for p in (w1, w2)] == [(32, 8), (32, 32)]
    t, y = torch.tensor([0, 7, 7]), torch.tensor([2, 2, 5])
    total = torch.tensor([sinusoids(int(k), 8) for k in t]) + table[y]
    expected = F.linear(F.silu(F.linear(total, w1, b1)), w2, b2)
    torch.testing.assert_close(module(t, y), expected)


def test_condition_without_labels():
    module, t = ConditionEmbedding(5, 8), torch.tensor([0, 7, 7])
    torch.testing.assert_close(module(t), module(t, torch.full((3,), 5)))
    assert not torch.allclose(module(t), module(t, torch.tensor([0, 1, 2])))
