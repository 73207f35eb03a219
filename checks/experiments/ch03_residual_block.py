"""Chapter 3: the residual block.

The two switches take the block apart: `residual=False` and `conditioning="add"` leave the plain block
(3.1), then come scale and shift (3.2), then the skip path (3.3), with either conditioning. So each
exercise is observed with as little around it as possible.
"""

from checks import experiment
from checks.lab import *
from checks.lab import conditions, expression_of, noted

COND = 20  # length of the condition; no number of channels, rows, columns or images
ADD = {"conditioning": "add", "residual": False}
NO_SKIP = {"residual": False}
AS_ALONE = "works as in the branch alone"
OWNERS = ("norm1", "conv1", "cond", "norm2", "conv2", "skip")


def picture(seed=2):
    return normal(3, 16, 5, 7, seed=seed)


def telling_picture():
    """As many rows as images and columns as channels: (B, C) fits, and lands in the wrong place.

    Everywhere else a condition without its two axes is an error, which hides whatever else is wrong.
    """
    return normal(3, 16, 3, 16, seed=2)


def condition():
    return normal(3, COND, seed=1)


def weighted(impl, in_channels, out_channels, telling=False, **options):
    """A block with weights that depend on what each parameter does.

    Also by name where one of the layers is missing or needless: such a program would otherwise not be
    recognised as the reference with a mistake in it.
    """
    block = impl.ResidualBlock(in_channels, out_channels, COND, **options)
    present = {name.rpartition(".")[0] for name, _ in block.named_parameters()}
    names = " ".join(name for name in OWNERS if name in present)
    height, width = (3, 16) if telling else (5, 7)
    inputs = normal(3, in_channels, height, width), normal(3, COND, seed=1)
    if conditions.fill != "names":
        leave_out_what_is_unused(block, inputs)
    return filled(block, *inputs, names=names, width=out_channels)


def leave_out_what_is_unused(block, inputs):
    """A parameter too many does no harm; but among those of its shape it would push others aside."""
    block.to(conditions.dtype)(*inputs)  # lazy modules come into being here
    total, parameters = (
        projected(block(*inputs)),
        [p for p in block.parameters() if p.requires_grad],
    )
    if total.requires_grad:
        found = torch.autograd.grad(total, parameters, allow_unused=True)
        for p, gradient in zip(parameters, found, strict=True):
            p.requires_grad_(gradient is not None)


def tracked(x):
    """A tensor that gets a gradient, and one made of it to hand over: leaves refuse in-place edits."""
    text = expression_of(x)
    return x.requires_grad_(), noted(x * 1, text)


def size(x):
    """Root mean square."""
    return x.detach().square().mean().sqrt().item()


def felt(value):
    """0 or 0.02: whether there is anything, where initial values decide how much it is."""
    return near(min(value, 0.02), 0.005)


def x_or_0(out, x) -> str:
    if out.shape == x.shape and torch.allclose(out, x, atol=0.005):
        return "x"
    return "something else" if out.any() else "0"


@experiment(
    "3.1",
    "The plain block: norm, silu, convolution; the condition; norm, silu, convolution",
    points=3,
    hint=(
        "Take the formula in the docstring one layer at a time, from the inside out. What does each "
        "layer receive, and in which order do norm, silu and convolution come?",
        "The first half is conv1(silu(norm1(x))). The condition goes through silu before its linear "
        "layer, and is added before norm2, to all the pixels of its own image.",
        'For conditioning="add": c = self.cond(F.silu(cond))[:, :, None, None], then '
        "h = self.norm2(h + c), then self.conv2(self.dropout(F.silu(h))).",
    ),
)
def plain_block(impl):
    block, x, cond = weighted(impl, 16, 24, **ADD), picture(), condition()
    return {"three images": block(x, cond), "one image": block(x[:1], cond[:1])}


@experiment(
    "3.1",
    "With as many channels out as in, each of the four layers still has weights of its own",
    points=2,
    hint=(
        "Here all the layers would fit in each other's places, and no error tells you when one of them "
        "is used twice.",
        "Look for a self.conv1 where self.conv2 is meant, or a self.norm1 where self.norm2 is meant. And "
        "there are 8 groups, however many channels.",
    ),
)
def layers_of_its_own(impl):
    # More channels than in the other experiments: some norms have more groups then.
    block = weighted(impl, 64, 64, **ADD)
    (x, way_x), (cond, way_cond) = tracked(normal(3, 64, 5, 7, seed=2)), tracked(condition())
    return with_gradients(block(way_x, way_cond), x=x, cond=cond)


def with_gradients(out, **inputs):
    found = zip(inputs, gradients(out, *inputs.values()), strict=True)
    return {"out": out, **{f"gradient of {name}": g for name, g in found}}


@experiment(
    "3.1",
    "Numbers that are all but zero are normalised with eps 1e-5",
    points=1,
    hint=(
        "A norm divides by √(variance + eps). Where the variance is small, eps decides.",
        "nn.GroupNorm(8, channels) has eps 1e-5 by itself; code that comes from TensorFlow often has 1e-6.",
    ),
)
def quiet_numbers(impl):
    block = weighted(impl, 16, 16, telling=True, **ADD)
    shrink = ".apply(lambda m: [p.data.mul_(0.05) for p in m.parameters(recurse=False)])"
    text = expression_of(block) + shrink
    for p in block.parameters():
        p.data.mul_(0.05)
    return noted(block, text)(
        noted(0.02 * telling_picture(), "0.02 * normal(3, 16, 3, 16, seed=2)"), condition()
    )


@experiment(
    "3.1",
    "Dropout drops single numbers before conv2, in training only, and leaves the mean as it is",
    points=2,
    hint=(
        "Two passes in eval mode must agree; two passes in training mode with dropout=0.5 must not.",
        "self.dropout is an nn.Dropout and knows about the mode by itself; F.dropout has to be told: "
        "training=self.training.",
        "It stands between the second silu and conv2: self.conv2(self.dropout(F.silu(h))). No seed is set.",
    ),
)
def dropout_in_training(impl):
    return dropout_of(impl, **ADD)


def dropout_of(impl, **options):
    """What dropout does in a block with these options."""
    x = noted(
        normal(1, 16, 5, 7).expand(512, -1, -1, -1), "normal(1, 16, 5, 7).expand(512, -1, -1, -1)"
    )
    cond = noted(
        normal(1, COND, seed=1).expand(512, -1), f"normal(1, {COND}, seed=1).expand(512, -1)"
    )
    few, few_cond = x[:128], cond[:128]
    never = weighted(impl, 16, 16, **options)
    # Filled by way of another block: with dropout at work, no parameter could be told by what it does.
    block = impl.ResidualBlock(16, 16, COND, dropout=0.4, **options).eval()
    with torch.no_grad():
        block(x[:1], cond[:1])  # lazy modules come into being here
        for p, q in zip(block.parameters(), never.parameters(), strict=False):
            p.copy_(q)
        still = block(x, cond)
        again = block(few, few_cond) - still[:128]
        moving = block.train()(x, cond) - still
        first, second = (block(x[:8], cond[:8]) for _ in range(2))
        calm = never.train()(few, few_cond) - never.eval()(few, few_cond)
        state = after_two_seeds(lambda: block(x[:1], cond[:1]))
    unit = size(still)
    return {
        "how far apart two passes in eval mode are": near(size(again) / unit, 0.02),
        "how far training strays from eval": near(size(moving) / unit, 0.03),
        "how far the mean over many passes strays": near(size(moving.mean(0)) / unit, 0.015),
        "how far the mean over a picture strays": near(size(moving.mean((2, 3))) / unit, 0.008),
        "how far training strays without dropout": near(size(calm) / unit, 0.02),
        "a second pass in training drops": "the same" if first.equal(second) else "other numbers",
        "torch's random state afterwards, from two seeds": state,
    }


@experiment(
    "3.1",
    "Channels that 8 does not divide, and an unknown conditioning, are refused with a ValueError",
    points=1,
    hint=(
        "__init__ was given to you with these checks: has one of them been lost?",
        "raise ValueError(…) when in_channels or out_channels is no multiple of 8, and when conditioning "
        'is neither "scale_shift" nor "add".',
    ),
)
def wrong_arguments(impl):
    raises(lambda: impl.ResidualBlock(16, 16, COND, **ADD)(picture(), condition()))
    return {
        "15 channels in": raises(lambda: impl.ResidualBlock(15, 16, COND)),
        "21 channels out": raises(lambda: impl.ResidualBlock(16, 21, COND)),
        "conditioning": raises(lambda: impl.ResidualBlock(16, 16, COND, conditioning="film")),
    }


@experiment(
    "3.2",
    "Scale and shift: norm2(h) · (1 + scale) + shift, scale being the first half",
    points=3,
    hint=(
        "What should the block do when scale and shift are both 0? Nothing at all to norm2(h).",
        "c has 2·out numbers an image. The first out of them are the scale, the others the shift.",
        "scale, shift = c.chunk(2, dim=1), then h = self.norm2(h) * (1 + scale) + shift.",
    ),
)
def scale_and_shift(impl):
    return weighted(impl, 16, 16, telling=True, **NO_SKIP)(telling_picture(), condition())


@experiment(
    "3.2",
    "Dropout works with scale and shift as it does in the plain block",
    points=1,
    hint=(
        "Which lines do both kinds of condition go through, and which does only one of them?",
        "self.conv2(self.dropout(F.silu(h))) comes after the if, for both; scale and shift themselves are "
        "the same in training as in eval mode.",
    ),
)
def dropout_with_scale_and_shift(impl):
    return dropout_of(impl, **NO_SKIP)


@experiment(
    "3.2",
    "Gradients reach the picture and the condition",
    points=1,
    hint=(
        "If there is no gradient, the graph is cut somewhere: detach(), no_grad(), .data, .item().",
        "The embeddings of chapter 2 learn only through the gradient of cond; earlier layers only "
        "through that of x.",
    ),
)
def gradients_flow(impl):
    block = weighted(impl, 16, 16, **NO_SKIP)
    (x, way_x), (cond, way_cond) = tracked(picture()), tracked(condition())
    return dict(
        zip(
            ["gradient of x", "gradient of cond"],
            gradients(block(way_x, way_cond), x, cond),
            strict=True,
        )
    )


@experiment(
    "3.3",
    "Where the number of channels changes, x is projected by a 1×1 convolution and added",
    points=2,
    hint=(
        "What is added to the branch: x itself as it came in, or something made of it on the way?",
        "self.skip has been made for this: a 1×1 convolution from in to out channels, with bias, wherever "
        "the two differ: more channels out, or fewer.",
        "h = h + self.skip(x), and nothing after it.",
    ),
)
def projected_skip(impl):
    x, way_x = tracked(picture())
    seen = with_gradients(weighted(impl, 16, 24)(way_x, condition()), x=x)
    wide = normal(3, 24, 7, 5, seed=2)  # taller than wide, where all others are wider
    return {**seen, "24 channels in, 16 out": weighted(impl, 24, 16)(wide, condition())}


@experiment(
    "3.3",
    "Where it does not change, x itself is added",
    points=2,
    hint=(
        "out = branch + x: neither divided by √2 nor activated afterwards.",
        "h = h + self.skip(x). Never write into x, or into what self.skip(x) gives: that may be x itself.",
    ),
)
def equal_widths(impl):
    x, way_x = tracked(normal(3, 32, 5, 7, seed=2))
    return with_gradients(weighted(impl, 32, 32)(way_x, condition()), x=x)


@experiment(
    "3.3",
    "A fresh block is its skip path alone",
    points=1,
    hint=(
        "conv2 starts at zero, weight and bias, when there is a skip path: what is left of the sum?",
        "nn.init.zeros_(self.conv2.weight) and nn.init.zeros_(self.conv2.bias), if residual. Without a "
        "skip path conv2 keeps its usual initial values.",
    ),
)
def fresh_block(impl):
    x, cond = picture(), condition()
    minus, other = noted(-x, f"-{expression_of(x)}"), noted(2 * cond, f"2 * {expression_of(cond)}")
    zero = noted(torch.zeros_like(x), "torch.zeros(3, 16, 5, 7)")
    # In training mode, as it is when fresh: dropout spares the skip path.
    same = impl.ResidualBlock(16, 16, COND, dropout=0.4)
    adding = impl.ResidualBlock(16, 16, COND, dropout=0.4, conditioning="add")
    wider = impl.ResidualBlock(16, 24, COND)
    plain = impl.ResidualBlock(16, 24, COND, **NO_SKIP)
    # By place, as the order of the arguments is fixed, too.
    plainest = impl.ResidualBlock(16, 24, COND, 0.0, "add", False)
    adding_wider = impl.ResidualBlock(16, 24, COND, dropout=0.4, conditioning="add")
    state = after_two_seeds(lambda: impl.ResidualBlock(16, 16, COND))
    out = wider(x, cond)
    parameters = [p for p in wider.parameters() if p.requires_grad]
    found = zip(parameters, gradients(out, *parameters), strict=True)
    begin = torch.cat([p.detach().flatten() for p, g in found if g is not None])
    # Of conv2 and of the biases of the norms; other biases may begin at 0, too.
    zeros = 24 * 24 * 9 + 24 + 16 + 24
    with torch.no_grad():
        straight = (out + wider(minus, cond)) / 2 - wider(zero, cond)
        return {
            "16 → 16, out − x": felt(size(same(x, cond) - x)),
            "16 → 16, out for x = 0": felt(size(same(zero, cond))),
            '16 → 16, conditioning="add", out is': x_or_0(adding(x, cond), x),
            "16 → 16, of one image, out is": x_or_0(same(x[:1], cond[:1]), x[:1]),
            "16 → 24, what the condition changes": felt(size(out - wider(x, other))),
            "16 → 24, how far from linear in x": felt(size(straight)),
            "16 → 24, what x changes": felt(size(out - wider(minus, cond))),
            '16 → 24, conditioning="add", out': felt(size(adding_wider(x, cond))),
            "16 → 24, what dropout changes": felt(
                size(adding_wider(x, cond) - adding_wider(x, cond))
            ),
            "residual=False, out": felt(size(plain(x, cond))),
            'residual=False, conditioning="add", out': felt(size(plainest(x, cond))),
            "how many numbers start at 1 (the 40 norm weights do)": int((begin == 1).sum()),
            "numbers that should start at 0 and do not (conv2, biases of the norms)": max(
                0, zeros - int((begin == 0).sum())
            ),
            "torch's random state after making a block, from two seeds": state,
        }


@experiment(
    "3.3",
    "After two steps every parameter learns, and the loss falls",
    points=1,
    hint=(
        "In a fresh block only conv2 gets a gradient, since it is zero; from the second step on "
        "everything before it gets one too.",
        "A parameter without a gradient is not used, or the graph is cut between it and the output. Dropout "
        "stands before conv2 with a skip path as without one.",
    ),
)
def everything_learns(impl):
    sizes = {"in_channels": 16, "out_channels": 16, "cond_dim": COND}
    block, x, cond = impl.ResidualBlock(**sizes), picture(), condition()
    target = normal(3, 16, 5, 7, seed=3)
    block(x, cond)  # lazy modules come into being here

    def loss():
        return (block(x, cond) - target).square().mean()

    def learning():
        parameters = [p for p in block.parameters() if p.requires_grad]
        found = torch.autograd.grad(loss(), parameters, allow_unused=True)
        # Row by row, so that half a layer counts as much as a layer of half the size.
        found = [torch.atleast_1d(g) for g in found if g is not None]
        rows = [g.reshape(len(g), -1) for g in found]
        return sum(int(g.any(dim=1).sum()) * g.shape[1] for g in rows)

    at_first = learning()
    before = descend(loss, block.parameters(), 2, rate=0.4)
    in_the_end = learning()
    after = descend(loss, block.parameters(), 4, rate=0.4)

    def again(block):
        return "the same" if block(x, cond).equal(block(x, cond)) else "other numbers"

    def dropout(**options):
        """What it changes from one pass to the next, in words."""
        block = impl.ResidualBlock(16, 16, COND, dropout=0.4, **options)
        block(x, cond)
        with torch.no_grad():
            for p in block.parameters():
                p.add_(0.05)  # conv2 starts at zero
            modes = {"training": block.train, "eval mode": block.eval}
            words = [f"{again(to())} in {mode}" for mode, to in modes.items()]
        return f"a second pass gives {' and '.join(words)}"

    # What dropout does in the branch is 3.1 and 3.2.
    with_skip, without = dropout(), dropout(**NO_SKIP)
    return {
        "numbers that learn at first": at_first,
        "numbers that learn after two steps": in_the_end,
        "loss in the end, of that at first": near(after[-1] / before[0], 0.3),
        "dropout, with a skip path": AS_ALONE if with_skip == without else with_skip,
    }
