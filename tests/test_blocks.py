"""Chapter 3: the residual block, against the same formula written a second time."""

import pytest
import torch
import torch.nn.functional as F

from ddpm_ref.blocks import ResidualBlock


def group_norm(x, weight, bias):
    """Eight groups, eps 1e-5, from the definition."""
    b, c = x.shape[:2]
    groups = x.reshape(b, 8, -1)
    centred = groups - groups.mean(-1, keepdim=True)
    normed = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return normed.reshape(x.shape) * weight.reshape(1, c, 1, 1) + bias.reshape(1, c, 1, 1)


def by_hand(p, x, cond, conditioning="scale_shift", residual=True):
    """The block from the weights in its state dict `p`."""
    h = group_norm(x, p["norm1.weight"], p["norm1.bias"])
    h = F.conv2d(h * h.sigmoid(), p["conv1.weight"], p["conv1.bias"], padding=1)
    c = F.linear(cond * cond.sigmoid(), p["cond.weight"], p["cond.bias"])[..., None, None]
    if conditioning == "add":
        h = group_norm(h + c, p["norm2.weight"], p["norm2.bias"])
    else:
        width = h.shape[1]
        h = group_norm(h, p["norm2.weight"], p["norm2.bias"])
        h = h * (1 + c[:, :width]) + c[:, width:]
    h = F.conv2d(h * h.sigmoid(), p["conv2.weight"], p["conv2.bias"], padding=1)
    if not residual:
        return h
    return h + (F.conv2d(x, p["skip.weight"], p["skip.bias"]) if "skip.weight" in p else x)


def randomised(module):
    """All parameters normal: what starts at 0 or 1 could hide that it is used wrongly."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.3)
    return module


@pytest.mark.parametrize("channels", [(16, 16), (16, 24), (32, 8)])
@pytest.mark.parametrize("conditioning", ["scale_shift", "add"])
@pytest.mark.parametrize("residual", [True, False])
def test_block_is_the_formula(channels, conditioning, residual):
    block = ResidualBlock(*channels, 12, conditioning=conditioning, residual=residual)
    randomised(block)
    x, cond = 0.01 * torch.randn(3, channels[0], 5, 7), torch.randn(3, 12)  # small: eps shows
    expected = by_hand(block.state_dict(), x, cond, conditioning, residual)
    torch.testing.assert_close(block(x, cond), expected, rtol=1e-4, atol=1e-4)


def test_eps_matters_to_that_comparison():
    x, one, zero = 0.01 * torch.randn(3, 16, 5, 7), torch.ones(16), torch.zeros(16)
    with_eps_of_torch = F.group_norm(x, 8, one, zero, eps=1e-6)
    assert (group_norm(x, one, zero) - with_eps_of_torch).abs().max() > 1e-2


def test_a_fresh_block_is_its_skip_path():
    x, cond = torch.randn(2, 16, 5, 7), torch.randn(2, 12)
    assert torch.equal(ResidualBlock(16, 16, 12)(x, cond), x)
    block = ResidualBlock(16, 24, 12)
    p = block.state_dict()
    expected = F.conv2d(x, p["skip.weight"], p["skip.bias"])
    torch.testing.assert_close(block(x, cond), expected)
    assert expected.std() > 0.1


def test_without_a_skip_path_nothing_starts_at_zero():
    block = ResidualBlock(16, 24, 12, residual=False)
    assert block(torch.randn(2, 16, 5, 7), torch.randn(2, 12)).std() > 0.01
    assert "skip.weight" not in block.state_dict()


def count(block):
    return sum(p.numel() for p in block.parameters())


def test_the_skip_is_the_identity_exactly_when_the_widths_agree():
    convolutions = 16 * 16 * 9 + 16 + 16 * 16 * 9 + 16
    norms_and_condition = 2 * 2 * 16 + 12 * 32 + 32
    assert count(ResidualBlock(16, 16, 12)) == convolutions + norms_and_condition
    wider = 16 * 24 * 9 + 24 + 24 * 24 * 9 + 24 + 2 * 16 + 2 * 24 + 12 * 48 + 48
    assert count(ResidualBlock(16, 24, 12)) == wider + 16 * 24 + 24  # 1×1 with bias
    assert (
        count(ResidualBlock(16, 24, 12, conditioning="add")) == wider - 12 * 24 - 24 + 16 * 24 + 24
    )


def test_each_image_has_its_own_condition():
    block = randomised(ResidualBlock(16, 16, 12))
    x, cond = torch.randn(1, 16, 5, 7).expand(3, -1, -1, -1), torch.randn(3, 12)
    out = block(x, cond)
    alone = torch.cat([block(x[:1], c[None]) for c in cond])
    torch.testing.assert_close(out, alone, rtol=1e-4, atol=1e-4)
    assert (out[0] - out[1]).abs().max() > 0.1


def test_dropout_works_on_the_branch_in_training_only():
    block = randomised(ResidualBlock(16, 16, 12, dropout=0.5))
    x, cond = torch.randn(2, 16, 5, 7), torch.randn(2, 12)
    assert not torch.equal(block(x, cond), block(x, cond))
    block.eval()
    torch.testing.assert_close(
        block(x, cond), by_hand(block.state_dict(), x, cond), rtol=1e-4, atol=1e-4
    )


def test_dropping_everything_leaves_skip_and_last_bias():
    """Dropout sits right before the second convolution, after the activation."""
    block = randomised(ResidualBlock(16, 16, 12, dropout=1.0))
    x = torch.randn(2, 16, 5, 7)
    expected = x + block.state_dict()["conv2.bias"].reshape(1, -1, 1, 1)
    torch.testing.assert_close(block(x, torch.randn(2, 12)), expected)


def test_inputs_are_left_alone_and_gradients_reach_everything():
    block = randomised(ResidualBlock(16, 24, 12))
    x, cond = torch.randn(2, 16, 5, 7, requires_grad=True), torch.randn(2, 12, requires_grad=True)
    before = x.detach().clone(), cond.detach().clone()
    block(x, cond).square().sum().backward()
    assert torch.equal(x, before[0]) and torch.equal(cond, before[1])
    assert all(p.grad.abs().max() > 0 for p in [*block.parameters(), x, cond])


@pytest.mark.parametrize(
    "arguments, options, names",
    [
        ((12, 16, 8), {}, "12 in and 16 out"),
        ((16, 20, 8), {}, "16 in and 20 out"),
        ((16, 16, 8), {"conditioning": "film"}, "film"),
    ],
)
def test_wrong_arguments_are_named(arguments, options, names):
    with pytest.raises(ValueError, match=names):
        ResidualBlock(*arguments, **options)
