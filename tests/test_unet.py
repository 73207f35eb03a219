"""Chapter 4: attention, down, up and the whole U-Net, against a second writing of each."""

import pytest
import torch
import torch.nn.functional as F
from test_blocks import by_hand as residual_block
from test_blocks import group_norm, randomised

from ddpm_ref.unet import DownBlock, SelfAttention2d, UNet, UpBlock


def part(p: dict, prefix: str) -> dict:
    """The entries of a state dict below a module."""
    return {k[len(prefix) + 1 :]: v for k, v in p.items() if k.startswith(prefix + ".")}


def attention(p, x, heads):
    """softmax(q·kᵀ/√d)·v, one image and one head at a time."""
    b, c, h, w = x.shape
    d = c // heads
    normed = group_norm(x, p["norm.weight"], p["norm.bias"])
    out = torch.empty(b, c, h * w)
    for i in range(b):
        flat = normed[i].reshape(c, h * w).T  # (HW, C)
        q, k, v = (flat @ p["qkv.weight"][:, :, 0, 0].T + p["qkv.bias"]).split(c, dim=1)
        for head in range(heads):
            own = slice(head * d, (head + 1) * d)
            weights = torch.softmax(q[:, own] @ k[:, own].T / d**0.5, dim=1)  # rows: queries
            out[i, own] = (weights @ v[:, own]).T
    out = torch.einsum("oc,bcn->bon", p["out.weight"][:, :, 0, 0], out) + p["out.bias"][:, None]
    return x + out.reshape(b, c, h, w)


def unet(p, x, t, y, levels, heads, pool, middle_blocks=2, **options):
    """A U-Net with one residual block down and one up a level, attention (if heads > 0) in the middle."""
    width = p["stem.weight"].shape[0]
    frequencies = 10000 ** (-torch.arange(width // 2) / (width // 2 - 1))
    angles = t[:, None] * frequencies
    cond = torch.cat([angles.sin(), angles.cos()], 1) + p["condition.label.table.weight"][y]
    cond = F.linear(cond, p["condition.mlp.0.weight"], p["condition.mlp.0.bias"])
    cond = F.linear(F.silu(cond), p["condition.mlp.2.weight"], p["condition.mlp.2.bias"])

    h, skips = F.conv2d(x, p["stem.weight"], p["stem.bias"], padding=1), []
    for level in range(levels - 1):
        h = residual_block(part(p, f"downs.{level}.blocks.0"), h, cond, **options)
        skips.append(h)
        q = part(p, f"downs.{level}")
        h = F.max_pool2d(h, 2) if pool else F.conv2d(h, q["down.weight"], q["down.bias"], 2, 1)
    h = residual_block(part(p, "middle.0"), h, cond, **options)
    if heads:
        h = attention(part(p, "middle_attention"), h, heads)
    for k in range(1, middle_blocks):
        h = residual_block(part(p, f"middle.{k}"), h, cond, **options)
    for level in range(levels - 1):
        q = part(p, f"ups.{level}")
        if pool:
            h = F.interpolate(h, scale_factor=2, mode="bilinear", align_corners=False)
        else:
            h = h.repeat_interleave(2, 2).repeat_interleave(2, 3)
            h = F.conv2d(h, q["up.1.weight"], q["up.1.bias"], padding=1)
        h = torch.cat([h, skips[-1 - level]], 1)
        h = residual_block(part(q, "blocks.0"), h, cond, **options)
    h = F.silu(group_norm(h, p["head_norm.weight"], p["head_norm.bias"]))
    return F.conv2d(h, p["head.weight"], p["head.bias"], padding=1)


def small(**options):
    options = dict(base_width=16, multipliers=(1, 2), image_size=16, num_classes=4) | options
    return randomised(UNet(**options))


def batch(channels=3, height=12, width=8):
    x = torch.randn(3, channels, height, width)
    return x, torch.tensor([0, 3, 40]), torch.tensor([1, 4, 0])


def assert_same(a, b):
    assert a.shape == b.shape
    assert ((a - b).norm() / b.norm()).item() < 1e-5


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_is_the_formula(heads):
    module = randomised(SelfAttention2d(16, heads))
    x = torch.randn(2, 16, 3, 5)
    assert_same(module(x), attention(module.state_dict(), x, heads))


def test_attention_in_bf16_is_nearly_that_in_fp32_and_so_are_its_gradients():
    """On a CPU it goes another way in training, and a third one without gradients."""
    torch.manual_seed(0)
    layer = randomised(SelfAttention2d(16, 2))
    x = torch.randn(2, 16, 4, 4)

    def run(enabled):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = layer(x) - x
            with torch.no_grad():
                torch.testing.assert_close(layer(x) - x, y, rtol=0.05, atol=0.05)
        y.float().square().sum().backward()
        return y.float(), [p.grad.clone() for p in layer.parameters()]

    (y, gradients), (y_16, gradients_16) = run(False), run(True)
    assert not torch.equal(y, y_16)
    for exact, rounded in zip([y, *gradients], [y_16, *gradients_16], strict=True):
        assert (rounded - exact).norm() < 0.03 * exact.norm()


def test_attention_starts_as_the_identity():
    x = torch.randn(2, 16, 3, 5)
    assert torch.equal(SelfAttention2d(16)(x), x)


def test_attention_looks_everywhere_but_not_into_other_images():
    module, x = randomised(SelfAttention2d(16, 2)), torch.randn(2, 16, 3, 5)
    changed = x.clone()
    changed[0, :, 0, 0] += 1
    difference = (module(changed) - module(x)).abs().amax(1)  # (B, H, W)
    assert difference[0].min() > 1e-4 and difference[1].max() == 0


@pytest.mark.parametrize("channels, heads", [(16, 3), (12, 4)])
def test_attention_needs_channels_for_heads_and_groups(channels, heads):
    with pytest.raises(ValueError, match=f"{channels} channels.*{heads} heads"):
        SelfAttention2d(channels, heads)


@pytest.mark.parametrize("downsample", ["conv", "pool"])
def test_down_block_keeps_the_skip_before_it_halves(downsample):
    block = randomised(DownBlock(8, 16, 12, downsample=downsample))
    x, cond = torch.randn(2, 8, 6, 10), torch.randn(2, 12)
    h, skip = block(x, cond)
    p = block.state_dict()
    expected = residual_block(part(p, "blocks.0"), x, cond)
    assert_same(skip, expected)
    if downsample == "pool":
        assert_same(h, expected.reshape(2, 16, 3, 2, 5, 2).amax((3, 5)))
    else:
        assert_same(h, F.conv2d(expected, p["down.weight"], p["down.bias"], stride=2, padding=1))


def test_down_block_runs_its_blocks_and_attention_in_turn():
    block = randomised(DownBlock(8, 16, 12, blocks=2, heads=2))
    x, cond = torch.randn(2, 8, 6, 10), torch.randn(2, 12)
    p = block.state_dict()
    expected = x
    for i in range(2):
        expected = residual_block(part(p, f"blocks.{i}"), expected, cond)
        expected = attention(part(p, f"attention.{i}"), expected, 2)
    assert_same(block(x, cond)[1], expected)


@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
def test_up_block_doubles_and_joins(upsample):
    block = randomised(UpBlock(16, 8, 24, 12, blocks=2, upsample=upsample))
    x, skip, cond = torch.randn(2, 16, 3, 5), torch.randn(2, 8, 6, 10), torch.randn(2, 12)
    p = block.state_dict()
    if upsample == "nearest":
        up = x[:, :, torch.arange(6) // 2][..., torch.arange(10) // 2]
        up = F.conv2d(up, p["up.1.weight"], p["up.1.bias"], padding=1)
    else:
        up = F.interpolate(x, (6, 10), mode="bilinear", align_corners=False)
    expected = residual_block(part(p, "blocks.0"), torch.cat([up, skip], 1), cond)
    expected = residual_block(part(p, "blocks.1"), expected, cond)
    assert_same(block(x, skip, cond), expected)


@pytest.mark.parametrize("block, name", [(DownBlock, "downsample"), (UpBlock, "upsample")])
def test_unknown_ways_of_resizing_are_named(block, name):
    widths = (8, 16, 12) if block is DownBlock else (16, 8, 8, 12)
    with pytest.raises(ValueError, match=f"{name} must be .* got 'magic'"):
        block(*widths, **{name: "magic"})


@pytest.mark.parametrize(
    "options, layout",
    [
        (dict(multipliers=(1, 2, 3)), dict(levels=3, heads=0, pool=False)),
        (
            dict(multipliers=(1, 2), attention_resolutions=(8,), heads=2),
            dict(levels=2, heads=2, pool=False),
        ),
        (
            dict(downsample="pool", upsample="bilinear", conditioning="add", residual=False),
            dict(levels=2, heads=0, pool=True, conditioning="add", residual=False),
        ),
        (
            dict(multipliers=(2,), middle_blocks=1),
            dict(levels=1, heads=0, pool=False, middle_blocks=1),
        ),
    ],
)
def test_unet_is_its_parts_in_the_right_order(options, layout):
    model = small(**options)
    x, t, y = batch()
    assert_same(model(x, t, y), unet(model.state_dict(), x, t, y, **layout))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("height, width", [(16, 16), (4, 4), (8, 20), (28, 12)])
def test_any_size_that_can_be_halved(channels, height, width):
    model = small(channels=channels, multipliers=(1, 1, 2))
    x, t, y = batch(channels, height, width)
    out = model(x, t, y)
    assert out.shape == x.shape and out.dtype == torch.float32 and out.isfinite().all()


@pytest.mark.parametrize("height, width", [(14, 16), (16, 18), (15, 15)])
def test_other_sizes_are_an_error_that_names_the_numbers(height, width):
    x, t, y = batch(3, height, width)
    with pytest.raises(ValueError, match=f"{height}×{width}.*multiples of 4"):
        small(multipliers=(1, 1, 1))(x, t, y)


@pytest.mark.parametrize(
    "options, names",
    [
        (dict(channels=2), "1 or 3 channels, got 2"),
        (dict(image_size=18, multipliers=(1, 2, 4)), "18×18.*multiples of 4"),
        (dict(image_size=0), "0×0"),
        (dict(attention_resolutions=(5,)), r"\[5\].*image_size 16.*\[16, 8\]"),
        (dict(base_width=12), "12"),
        (dict(conditioning="film"), "film"),
        (dict(downsample="stride"), "stride"),
    ],
)
def test_models_that_cannot_be_built_say_why(options, names):
    with pytest.raises(ValueError, match=names):
        small(**options)


def test_pictures_with_other_channels_are_an_error():
    x, t, y = batch(channels=1)
    with pytest.raises(ValueError, match="built for 3 channels, got 1"):
        small()(x, t, y)


def test_a_fresh_model_predicts_zero():
    model = UNet(base_width=16, multipliers=(1, 2), image_size=16)
    assert not model(*batch()).any()


def test_images_of_a_batch_do_not_meet():
    model, (x, t, y) = small(attention_resolutions=(8,)), batch()
    alone = torch.cat([model(x[i : i + 1], t[i : i + 1], y[i : i + 1]) for i in range(3)])
    assert_same(model(x, t, y), alone)


@pytest.mark.parametrize("what", ["t", "y"])
@pytest.mark.parametrize("conditioning", ["scale_shift", "add"])
def test_each_image_depends_on_its_own_t_and_y(what, conditioning):
    model, (x, t, y) = small(conditioning=conditioning), batch()
    other = {"t": t.clone(), "y": y.clone()}
    other[what][1] = 2
    difference = (model(x, **other) - model(x, t, y)).abs().amax((1, 2, 3))
    assert difference[1] > 1e-3 and difference[0] == difference[2] == 0


def test_no_labels_means_the_null_label():
    model, (x, t, y) = small(), batch()
    null = model(x, t, torch.full_like(y, 4))
    assert_same(model(x, t, None), null)
    assert_same(model(x, t), null)
    assert not torch.allclose(model(x, t, y)[0], null[0], atol=1e-3)


def test_the_prediction_is_unbounded():
    model, (x, t, y) = small(), batch()
    before = model(x, t, y)
    with torch.no_grad():
        model.head.weight *= 100
        model.head.bias *= 100
    assert_same(model(x, t, y), 100 * before)


def test_inputs_are_left_alone():
    model, (x, t, y) = small(), batch()
    copies = x.clone(), t.clone(), y.clone()
    model(x, t, y)
    assert all(torch.equal(a, b) for a, b in zip((x, t, y), copies, strict=True))


@pytest.mark.parametrize("residual", [True, False])
def test_gradients_reach_every_parameter(residual):
    model = small(multipliers=(1, 2, 2), blocks=2, attention_resolutions=(16, 4), residual=residual)
    x, t, y = batch()
    model(x, t, y).square().mean().backward()
    silent = [
        n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0
    ]
    assert silent == []


def test_blocks_up_may_differ_from_blocks_down():
    model = small(blocks=1, up_blocks=3)
    assert [len(b.blocks) for b in (*model.downs, *model.ups)] == [1, 3]
    model = small(blocks=2)
    assert [len(b.blocks) for b in (*model.downs, *model.ups)] == [2, 2]


def test_dropout_reaches_the_blocks():
    model, (x, t, y) = small(dropout=0.5), batch()
    assert not torch.equal(model(x, t, y), model(x, t, y))
    model.eval()
    assert torch.equal(model(x, t, y), model(x, t, y))


def test_a_small_model_learns_eight_pictures():
    model = UNet(channels=1, num_classes=8, base_width=16, multipliers=(1, 2), image_size=8)
    x, y = torch.randn(8, 1, 8, 8), torch.arange(8)
    t = torch.full((8,), 5)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    losses = []
    for _ in range(100):
        loss = F.mse_loss(model(torch.zeros_like(x), t, y), x)  # all that it can go by is y
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.9 and losses[-1] < 0.3
