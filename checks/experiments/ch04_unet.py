"""Chapter 4: blocks that go down and up, attention, and the U-Net made of them.

A U-Net is never compared by values: too much of it is free. Two other ways lead to what is fixed.
*Provenance*: a probe in the place of chapter 3's ResidualBlock returns numbers that nothing else
returns, so that one can tell where they arrive. *Behaviour*: what moves the output, and what does not.
"""

import gc
import inspect
import re
import weakref
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from checks import experiment
from checks.lab import *
from checks.observe import Missing


@dataclass
class Call:
    """One call of a probe: what it got and what it gave; `leaf` is where its gradients end."""

    block: nn.Module
    x: torch.Tensor
    cond: torch.Tensor
    gave: torch.Tensor
    leaf: torch.Tensor

    @property
    def size(self) -> tuple[int, int]:
        return tuple(self.gave.shape[-2:])


class Misfit(RuntimeError):
    """Sizes or channels that do not go together: torch's error, in words that fit any program."""


Misfit.__name__ = "RuntimeError"  # for the report: it is one of torch's


class Calls(list):
    """Calls of the probes, in order. The lowest resolution is the middle, before it is the way down."""

    def way(self, which: str, size: tuple[int, int] | None = None) -> list[Call]:
        if not self:
            return []
        sizes = [call.size for call in self]
        first = sizes.index(min(sizes))
        last = len(sizes) - sizes[::-1].index(min(sizes))
        part = {"down": slice(first), "middle": slice(first, last), "up": slice(last, None)}[which]
        return [call for call in self[part] if size in (None, call.size)]


def probes(tag):
    """A class in the place of ResidualBlock, and the list of its calls.

    Args:
        tag: tag(number of the call, shape) is what the block returns, whatever it gets.
    """
    calls = Calls()

    class ResidualBlock(nn.Module):
        def __init__(self, in_channels, out_channels, cond_dim, *args, **kwargs):
            super().__init__()
            self.channels, self.out_channels = in_channels, out_channels

        def forward(self, x, cond, *args, **kwargs):
            if x.shape[1] != self.channels:
                raise Misfit(
                    f"a ResidualBlock made for {self.channels} channels got {x.shape[1]}, "
                    f"{too(x.shape[1], self.channels)}, at {by(x.shape[2:])}"
                )
            leaf = tag(len(calls), (len(x), self.out_channels, *x.shape[2:])).requires_grad_()
            # The learner gets a copy, which may be changed in place.
            calls.append(Call(self, x.clone(), cond.detach().clone(), leaf.detach(), leaf))
            return leaf * 1

    return ResidualBlock, calls


def rebuilt(impl, calls, **replacements):
    """With these in place; what the file calls while it is loaded (to try its network) is forgotten."""
    probed = impl.rebuilt(**replacements)
    calls.clear()
    return probed


def embeddings():
    """A class in the place of ConditionEmbedding, and the list of the conditions that it gave.

    The first half of a condition tells t, the second one y.
    """
    given = []

    class ConditionEmbedding(nn.Module):
        def __init__(self, num_classes, dim, *args, **kwargs):
            super().__init__()
            self.dim, self.num_classes = dim, num_classes
            self.label = nn.Module()  # some ask chapter 2's for the index of the null class
            self.label.num_classes = num_classes

        def forward(self, t, y=None):
            y = torch.full_like(t, self.num_classes) if y is None else y
            given.append(torch.cat([telling(v, 2 * self.dim) for v in (t, y)], dim=1))
            return given[-1].clone()

    return ConditionEmbedding, given


def telling(numbers, length):
    """(B, length): what tells each of these numbers."""
    return torch.sin(0.1 * numbers[:, None] + torch.arange(length))


def unlike(number, shape):
    """Other numbers at each call, each channel and each place."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1000 + number))


def levelled(number, shape):
    """Every channel with the same mean and variance: any number of groups norms it alike."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(7))
    mean, std = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True, unbiased=False)
    return 0.7 + 2 * (x - mean) / std


def required(calls):
    """The calls, of which there have to be some."""
    if not calls:
        raise RuntimeError("no ResidualBlock of chapter 3 is called: keep the import that is given")
    return calls


def same(a, b) -> bool:
    return a.shape == b.shape and torch.allclose(a.float(), b.float(), atol=1e-5)


def shape_of(x) -> str:
    return str(tuple(x.shape))


def too(got: int, wanted: int) -> str:
    return "too few" if got < wanted else "too many"


def by(size) -> str:
    return "×".join(map(str, size))


def channels_of(part, whole) -> int:
    """How many channels of `whole` are channels of `part`."""
    if part.shape[2:] != whole.shape[2:]:
        return 0
    part, whole = (x.detach().transpose(0, 1).flatten(1) for x in (part, whole))
    apart = (whole[:, None] - part[None]).abs().amax(-1)  # (channels of whole, channels of part)
    return int((apart < 1e-5).any(1).sum())


def source(tensor, calls, x) -> str:
    """Where a tensor comes from."""
    if calls and same(tensor, calls[-1].gave):
        return "what the last residual block returned"
    if any(same(tensor, call.gave) for call in calls):
        return "what an earlier residual block returned"
    return "x" if same(tensor, x) else "something else"


def condition_of(calls, cond) -> str:
    return "cond" if all(same(call.cond, cond) for call in calls) else "something else"


def reach(output, source) -> torch.Tensor:
    """|gradient| of the sum of `output` at each place of `source`: (H, W), zeros where there is no way."""
    if output.requires_grad:
        (g,) = torch.autograd.grad(output.sum(), source, allow_unused=True, retain_graph=True)
        if g is not None:
            return g.abs().sum((0, 1))
    return torch.zeros(source.shape[-2:])


class Readable(TorchFunctionMode):
    """Within it, torch's errors about sizes say the same however the code is arranged.

    Attributes:
        parts: what torch.cat was last asked to join.
        axis: along which.
    """

    parts = ()
    axis = 1

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.cat, torch.concat, torch.concatenate):
            self.parts = list(args[0] if args else kwargs["tensors"])
            named = [(kwargs or {}).get(name) for name in ("dim", "axis")]
            self.axis = next((a for a in (*args[1:2], *named) if a is not None), 0)
        return func(*args, **(kwargs or {}))

    def __exit__(self, kind, error, trace):
        super().__exit__(kind, error, trace)
        text = str(error) if kind is RuntimeError else ""
        channels = re.search(r"expected input.* to have (\d+) channels, but got (\d+)", text)
        sizes = re.search(r"tensor a \((\d+)\) must match the size of tensor b \((\d+)\)", text)
        if sizes:
            a, b = sorted(map(int, sizes.groups()))
            says = f"something of size {a} is added to something of size {b}"
        elif channels:
            made, got = map(int, channels.groups())
            says = f"a convolution made for {made} channels got {got}, {too(got, made)}"
        elif "must match except in dimension" in text and self.axis not in (1, -3):
            says = (
                f"the channels are axis 1, and torch.cat was asked to join along axis {self.axis}"
            )
        elif "must match except in dimension" in text:
            parts = " and ".join(sorted({self.described(part) for part in self.parts}))
            says = f"{parts} cannot be joined: height and width differ"
        else:
            return
        raise Misfit(says).with_traceback(trace) from None

    def described(self, part) -> str:
        return by(part.shape[2:])


class Traced(Readable):
    """Says of what could not be joined which residual block it comes from."""

    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def described(self, part) -> str:
        for which in ("down", "middle", "up"):
            if any(same(part, call.gave) for call in self.calls.way(which)):
                return f"{by(part.shape[2:])} from a block ({which})"
        return by(part.shape[2:])


def awake(module, gain: float = 1.0):
    """Random weights everywhere, since much of a fresh network is zero."""
    generator = torch.Generator().manual_seed(0)
    for p in module.parameters():
        if nn.parameter.is_lazy(p):
            continue
        size = gain / p[0].numel() ** 0.5 if p.ndim > 1 else 1.0
        p.data.copy_(size * torch.randn(p.shape, generator=generator))
    return module


@experiment(
    "4.1",
    "DownBlock returns (h, skip): the skip at full resolution, h at half of it",
    points=2,
    hint=(
        "What should the way up get to see: the picture before it was halved, or after?",
        "The residual block takes x and cond. What it returns is the skip; h is the skip, halved.",
        "skip = self.attention(self.block(x, cond)), and then return self.down(skip), skip.",
    ),
)
def takes_the_skip_before_halving(impl):
    probe, calls = probes(unlike)
    x, cond = normal(2, 16, 6, 10), normal(2, 32, seed=1)
    h, skip = two_of(rebuilt(impl, calls, ResidualBlock=probe).DownBlock(16, 24, 32)(x, cond))
    shapes = {"h": told(shape_of(h)), "skip": told(shape_of(skip))}
    same_width, more = probes(unlike)
    start = x.clone().requires_grad_()
    # With as many channels out as in, h could be made of x by mistake, and no error would tell.
    given = noted(start * 1, "normal(2, 16, 6, 10)")  # a leaf refuses to be changed in place
    sizes = {"in_channels": 16, "out_channels": 16, "cond_dim": 32}
    block = rebuilt(impl, more, ResidualBlock=same_width).DownBlock(**sizes)
    halved, _ = two_of(block(given, cond))
    seen = reach(halved, required(more)[-1].leaf)
    return {
        **shapes,
        "skip is": source(skip, required(calls), x),
        "16 → 16, h has to do with the last block": "nowhere"
        if not seen.any()
        else "everywhere"
        if (F.max_pool2d(seen[None], 2) > 0).all()  # pooling may take one of four pixels
        else "in places",
        "16 → 16, h has to do with x": bool(reach(halved, start).any()),
        "the first residual block gets": source(calls[0].x, [], x),
        "the residual blocks are told": condition_of(calls, cond),
    }


def two_of(returned):
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise TypeError(f"DownBlock should return (h, skip), not a {type(returned).__name__}")
    return returned


@experiment(
    "4.2",
    "UpBlock enlarges x, puts the skip beside it, and gives both to its residual block",
    points=2,
    hint=(
        "Three steps: enlarge, concatenate, block. What must agree before two tensors can be concatenated?",
        "x comes with in_channels at half the resolution, the skip with skip_channels at the full one: "
        "the block has to be made for in_channels + skip_channels.",
        "x = torch.cat([self.up(x), skip], dim=1), and then self.block(x, cond). To enlarge, repeat "
        "each pixel (nn.Upsample), not the whole picture (Tensor.repeat).",
    ),
)
def joins_the_skip_to_what_comes_from_below(impl):
    probe, calls = probes(unlike)
    x, skip, cond = normal(2, 24, 6, 8), normal(2, 16, 12, 16, seed=2), normal(2, 32, seed=1)
    below, beside = x.clone().requires_grad_(), skip.clone().requires_grad_()
    # Leaves refuse to be changed in place, so others are handed over.
    given = (
        noted(below * 1, "normal(2, 24, 6, 8)"),
        noted(beside * 1, "normal(2, 16, 12, 16, seed=2)"),
    )
    with Readable():
        out = rebuilt(impl, calls, ResidualBlock=probe).UpBlock(24, 16, 8, 32)(*given, cond)
    joined = required(calls)[0].x
    quarters = {
        "top left": joined[..., :6, :8],
        "top right": joined[..., :6, 8:],
        "bottom left": joined[..., 6:, :8],
        "bottom right": joined[..., 6:, 8:],
    }
    # Again with equal widths, where the skip could be added once more and no error would tell.
    same_width, more = probes(unlike)
    low, high = normal(2, 16, 6, 8), normal(2, 16, 12, 16, seed=2)
    sizes = {"in_channels": 16, "skip_channels": 16, "out_channels": 16, "cond_dim": 32}
    block = rebuilt(impl, more, ResidualBlock=same_width).UpBlock(**sizes)
    with Readable():
        block(low, normal(2, 16, 12, 16, seed=3), cond)
        with_another = required(more)[0].x
        more.clear()
        equal = block(low, high, cond)
    moved_by_it = (required(more)[0].x != with_another).any(0).flatten(1).any(1)
    return {
        "the first residual block gets": shape_of(joined),
        "channels of the skip in it": channels_of(skip, joined),
        "places of the skip in it": int((reach(joined, beside) > 0).sum()),
        "places of x in it": int((reach(joined, below) > 0).sum()),
        "the top left of x is found": [
            name for name, part in quarters.items() if reach(part, below)[0, 0]
        ],
        "pixels of x that are found at their place": sum(
            bool(reach(joined[..., 2 * i : 2 * i + 2, 2 * j : 2 * j + 2], below)[i, j])
            for i in range(6)
            for j in range(8)
        ),
        "the residual blocks are told": condition_of(calls, cond),
        "out": shape_of(out),
        "out is": source(out, calls, x),
        "with equal widths, out is": source(equal, more, low),
        "with equal widths, channels that another skip moves": int(moved_by_it.sum()),
    }


@experiment(
    "4.3",
    "Attention: softmax(q·kᵀ / √(C / heads)) · v in every head, plus x",
    points=2,
    hint=(
        "Print the shapes: where are the heads, where the places, and which axis does the softmax sum to 1?",
        "q, k and v are (B, heads, H·W, C/heads). In x the channels come before the places: exchange axes by "
        "transpose or permute, there and on the way back; a reshape alone mixes them up. q·kᵀ is (queries, "
        "keys): scaled by the width of one head, softmax over the last axis.",
        "F.scaled_dot_product_attention(q, k, v) does the scaling and the softmax. Its result needs "
        ".transpose(-1, -2) before .reshape(b, c, h, w).",
    ),
)
def attends_to_every_place(impl):
    x = normal(3, 24, 4, 5)
    module = attention(impl, x)
    x.requires_grad_()
    # A leaf refuses to be changed in place, so another is handed over.
    out = module(noted(x * 1, "normal(3, 24, 4, 5)"))
    learning = module.train()(noted(x * 1, "normal(3, 24, 4, 5)"))
    return {
        "out": out,
        "gradient": gradients(out, x)[0],
        "in training mode": "the same" if same(learning, out) else "something else",
    }


@experiment(
    "4.3",
    "Numbers that are all but zero are normalised with eps 1e-5",
    points=1,
    hint=(
        "A norm divides by √(variance + eps). Where the variance is small, eps decides.",
        "nn.GroupNorm(8, channels) has eps 1e-5 by itself; code that comes from latent diffusion has 1e-6.",
    ),
)
def attends_to_quiet_numbers(impl):
    x = normal(3, 24, 4, 5)
    return attention(impl, x)(noted(0.01 * x, "0.01 * normal(3, 24, 4, 5)"))


def attention(impl, x):
    """Attention with weights that depend on what each parameter does.

    The groups (8), the heads (6), the width of a head (4), half of the channels (12) and the places (20)
    all differ.
    """
    # Rows of one head: a fused projection may hold q, k, v of one head after the other.
    return filled(impl.SelfAttention2d(24, 6), x, names=None, width=4)


def unused(module, call) -> list[str]:
    """Shapes of the parameters that no gradient reaches (a gradient that is 0 counts as one)."""
    output = call()
    parameters = [p for p in module.parameters() if p.requires_grad]
    found = gradients(output, *parameters)
    return sorted(shape_of(p) for p, g in zip(parameters, found, strict=True) if g is None)


@experiment(
    "4.3",
    "A fresh attention layer is the identity, and everything in it can learn",
    points=1,
    hint=(
        "What comes out when the last projection gives zero?",
        "x + 0 = x: add x itself, not norm(x), and let the last projection start at zero.",
    ),
)
def starts_as_the_identity(impl):
    x = normal(2, 24, 4, 6)
    module = impl.SelfAttention2d(channels=24, heads=3)
    out = module(x)
    gives = "x" if same(out, x) else "0" if not out.any() else "something else"
    weights = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    found = [g for g in gradients(out, *weights) if g is not None]
    return {
        "it gives": gives,
        "other defaults than those given": other_defaults(
            impl.SelfAttention2d._target, {"heads": 4}
        ),
        "without a gradient": unused(module, lambda: module(x)),
        # At first only the last one has; when all of them start at zero, not even that.
        "a projection whose gradient is not 0": any(bool(g.any()) for g in found),
    }


def attention_leaves_unused(impl) -> list[str]:
    attention = impl.SelfAttention2d(8, 2)
    return unused(attention, lambda: attention(normal(8, 8, 4, 8)))


def attention_runs(impl) -> bool:
    """Whether a U-Net can be asked for attention: where there is none yet, or it crashes, that is for 4.3."""
    with suppress(Exception, Missing), torch.no_grad():
        return isinstance(impl.SelfAttention2d(8, 2)(normal(2, 8, 4, 6)), torch.Tensor)
    return False


@experiment(
    "4.4",
    "Any size that can be halved often enough, with any multipliers",
    points=1,
    hint=(
        "Follow the channels of each block on paper, for multipliers (1, 3, 2).",
        "A DownBlock takes the width of the level above; an UpBlock takes the width from below and, as its "
        "skip, the width of its own level.",
        "No size belongs into __init__: torch's layers work at any. image_size only says at which "
        "levels attention is.",
    ),
)
def works_at_any_size(impl):
    some = {"attention_resolutions": (16,), "heads": 2} if attention_runs(impl) else {}
    some["image_size"] = 32

    def shape(multipliers, *size, **options):
        model = impl.UNet(num_classes=5, base_width=8, multipliers=multipliers, **options)
        b = size[0]
        with Readable(), torch.no_grad():
            return shape_of(model(images(*size), timesteps(*range(b)), labels(*range(b))))

    return {
        "3 levels": shape((1, 3, 2), 2, 3, 8, 16, image_size=16),
        "2 levels": shape((2, 1), 4, 3, 10, 6, **some),
        "4 levels": shape((1, 2, 1, 3), 2, 3, 8, 16, image_size=16),
    }


def trouble_of(model, calls, *inputs) -> str:
    """Call the model; what does not fit in it, or "none". What happened before is in the calls."""
    try:
        with Traced(calls):
            model(*inputs)
    except Misfit as error:
        return str(error)
    return "none"


def starts_right(impl) -> bool:
    """Whether fresh attention is the identity (which is for 4.3): then skips come through it unchanged."""
    x = normal(2, 8, 4, 6)
    with suppress(Exception, Missing), torch.no_grad():
        return same(impl.SelfAttention2d(8, 2)(x), x)
    return False


def provenance(impl, multipliers, attention_resolutions=(), train=True):
    """What arrives at the residual blocks of a U-Net with these multipliers."""
    probe, calls = probes(unlike)
    embedding, given = embeddings()
    probed = rebuilt(impl, calls, ResidualBlock=probe, ConditionEmbedding=embedding)
    model = probed.UNet(
        channels=3,
        num_classes=5,
        base_width=8,
        multipliers=multipliers,
        image_size=16,
        attention_resolutions=attention_resolutions if starts_right(probed) else (),
        heads=2,
    )
    inputs = images(2, 3, 16, 24), timesteps(3, 40), labels(1, 4)
    used, hooks = counted_layers(model.train(not train))
    with torch.no_grad():  # lazy layers come into being, too
        trouble_of(model, calls, *inputs)
    in_the_other_mode = Calls(calls)
    calls.clear()
    used.clear()
    trouble = trouble_of(model.train(train), calls, *inputs)
    for hook in hooks:
        hook.remove()
    # A block under torch.utils.checkpoint is asked again on the way back of a gradient.
    calls = Calls(required(calls))
    names = [(way, call) for way in ("down", "middle", "up") for call in calls.way(way)]
    times = Counter(id(call.block) for call in calls)
    inside = set(model.modules())
    middle = [call.gave.shape[1] for call in calls.way("middle")]
    idle = [m for m in inside if isinstance(m, probe) and id(m) not in times]
    return {
        "trouble": trouble,
        "widths": {by(c.size): c.gave.shape[1] for way, c in names if way != "up"},
        "widest block of the middle": max(middle),
        "channels after the stem": calls[0].x.shape[1],
        **{f"way up at {by(size)}": arrival(calls, size) for size in halvings(multipliers)},
        "without cond": sorted(
            {
                f"{way} at {by(c.size)}"
                for way, c in names
                if not any(same(c.cond, g) for g in given)
            }
        ),
        "the blocks get the same in training as in eval mode": all(
            same(a.x, b.x) for a, b in zip(calls, in_the_other_mode, strict=False)
        ),
        "a block is called twice": max(times.values()) > 1,
        # Those behind the place where something does not fit are for what did not fit.
        "blocks that are not called": 0 if trouble != "none" else len(idle),
        "what an earlier block gave is added at": [
            f"{way} at {by(size)}" for way, size in added(calls)
        ],
        "other weights used twice": twice(used),
        "all blocks are in model.modules()": all(call.block in inside for call in calls),
    }


def added(calls):
    """Where a block gets, beside what the last one gave and skips, what one before that gave."""
    order = [(way, call) for way in ("down", "middle", "up") for call in calls.way(way)]
    for k, (way, call) in enumerate(order[2:], 2):
        earlier = [
            c.leaf
            for before, c in order[: k - 1]
            # Of the way down all may be skips; of the middle what stands beside the rest, unchanged.
            if (before != "down" or way == "down") and not channels_of(c.gave, call.x)
        ]
        if earlier and any(g is not None for g in gradients(call.x, *earlier)):
            yield way, call.size


def counted_layers(model):
    """How often each weight of a convolution or norm is used from now on, and the hooks that count.

    Weights, not layers: two layers may share theirs.
    """
    used = Counter()
    hooks = [
        layer.register_forward_hook(lambda layer, *_: used.update([layer.weight]))
        for layer in model.modules()
        if isinstance(layer, nn.modules.conv._ConvNd | nn.GroupNorm)
    ]
    return used, hooks


def twice(used: Counter) -> list[str]:
    return sorted(shape_of(weight) for weight, times in used.items() if times > 1)


def halvings(multipliers) -> list[tuple[int, int]]:
    """The sizes of the levels above the middle, from below, of a picture of 16×24."""
    return [(16 >> level, 24 >> level) for level in reversed(range(len(multipliers) - 1))]


def arrival(calls, size) -> str:
    """What of the way down arrives at the first residual block of this size on the way up."""
    down, up = calls.way("down", size), calls.way("up", size)
    if not down or not up:
        return f"no residual block on the way {'up' if down else 'down'}"
    wanted = down[-1].gave
    arrived = channels_of(wanted, up[0].x)
    if arrived != wanted.shape[1]:
        return f"{arrived} of {wanted.shape[1]} channels of the skip"
    if not reach(up[0].x, down[-1].leaf).all():
        return "the skip, cut off from its gradient"
    # What was halved may be a skip too, at the resolution below, which is over by now.
    later = calls[next(k for k, call in enumerate(calls) if call is up[0]) + 1 :]
    again = any(channels_of(wanted, call.x) or reach(call.x, down[-1].leaf).any() for call in later)
    return "the skip, more than once" if again else "the skip"


@experiment(
    "4.4",
    "On the way up every level gets the skip of its own resolution, once",
    points=3,
    hint=(
        "Which skip is taken last on the way down, and which is needed first on the way up?",
        "The skips are a stack: append on the way down, pop() on the way up. If a size does not fit, do not "
        "resize: the order is wrong.",
        "for up in self.ups: h = up(h, skips.pop(), cond). And every block is an object of its own, in "
        "an nn.ModuleList, and gets cond.",
    ),
)
def brings_every_skip_to_its_level(impl):
    return {
        "widths 8, 24, 16": provenance(impl, (1, 3, 2), attention_resolutions=(8,)),
        "equal widths, four levels, in eval mode": provenance(impl, (2, 2, 2, 2), train=False),
    }


def four(channels: int = 3):
    """Four images, with t and y."""
    return images(4, channels, 4, 8), timesteps(3, 3, 40, 7), labels(1, 4, 0, 2)


def simplest(impl, channels: int = 3):
    """The simplest U-Net, called once, and four images with their t and y.

    It has one level, so that what is wrong with the skips does not hide the rest; two where a
    program does not know U-Nets of one level, which nobody asks for.
    """
    for multipliers in ((1,), (1, 2)):
        try:
            return network(impl, multipliers, channels), *four(channels)
        except NotImplementedError:
            raise
        except Exception:
            if multipliers != (1,):
                raise


def network(impl, multipliers, channels: int = 3):
    """A small U-Net, called once, so that lazy layers are there."""
    model = impl.UNet(
        channels=channels, num_classes=5, base_width=16, multipliers=multipliers, image_size=8
    )
    with torch.no_grad(), Readable():
        model(*four(channels))
    return model


def drawn(model, *inputs):
    """What comes out, with the same draws each time: dropout inside of the residual blocks is free."""
    torch.manual_seed(0)
    return model(*inputs)


def moved(a, b, share: float = 1e-2) -> list[int]:
    """Which images differ, by more than a share of their size.

    In a network that is awake with gain 3, t and y move the output by 4 % or more, t / 1000 by less
    than 0.1 %.
    """
    return [i for i in range(len(a)) if (a[i] - b[i]).norm() > share * a[i].norm()]


def which(images_moved: list[int], meant: int) -> str:
    if meant not in images_moved:
        return "nothing" if not images_moved else "other images"
    return "it alone" if images_moved == [meant] else "others, too"


@experiment(
    "4.4",
    "Time and class move the image that they belong to",
    points=1,
    hint=(
        "Where do t and y enter?",
        "cond = self.condition(t, y), as they are, and cond goes to every residual block.",
    ),
)
def listens_to_time_and_class(impl):
    model, x, t, y = simplest(impl)
    awake(model, gain=3.0)
    arrives = told_to_many(impl)

    def moves():
        out = drawn(model, x, t, y)
        return {
            "another t for the third image moves": which(
                moved(out, drawn(model, x, timesteps(3, 3, 49, 7), y)), 2
            ),
            "another t for the first image moves": which(
                moved(out, drawn(model, x, timesteps(12, 3, 40, 7), y)), 0
            ),
            "another y for the second image moves": which(
                moved(out, drawn(model, x, t, labels(1, 3, 0, 2))), 1
            ),
        }

    return {"in training, 64 images are told their own": arrives, **in_both_modes(model, moves)}


def told_to_many(impl) -> list[str]:
    """Which of t and y every residual block is told, of so many images that dropped labels show."""
    probe, calls = probes(unlike)
    embedding, _ = embeddings()
    t, y = timesteps(*range(0, 960, 15)), labels(*(i % 5 for i in range(64)))
    with suppress(Exception), torch.no_grad():  # what does not fit together is for the skips
        probed = rebuilt(impl, calls, ResidualBlock=probe, ConditionEmbedding=embedding)
        model = probed.UNet(num_classes=5, base_width=8, multipliers=(1, 2), image_size=8)
        model(images(64, 3, 2, 4), t, y)
    half = 2 * 8
    return [
        name
        for name, part, numbers in (("t", slice(half), t), ("y", slice(half, None), y))
        if all(same(call.cond[:, part], telling(numbers, half)) for call in calls)
    ]


def in_both_modes(model, observed):
    """What is observed in training and what in eval mode, without gradients."""
    with torch.no_grad():
        model.train()
        training = observed()
        model.eval()
        return {"in training": training, "in eval mode": observed()}


@experiment(
    "4.4",
    "Grey pictures as well as coloured ones, and the stem sees them as they are",
    points=1,
    hint=(
        "Grey pictures have 1 channel, coloured ones 3. Where do they enter, and where do they leave?",
        "`channels` is used twice: the stem goes from `channels`, the head's convolution to `channels`.",
        "A noisy picture reaches far beyond −1 and 1: h = self.stem(x), a convolution with nothing before "
        "and nothing after it.",
    ),
)
def takes_grey_and_coloured_pictures(impl):
    shapes = {}
    for channels in (1, 3):
        model, x, t, y = simplest(impl, channels)
        start = x.clone().requires_grad_()
        out = model(start * 1, t, y)  # a leaf refuses to be changed in place
        shapes[f"{channels} channels"] = shape_of(out)
    back = "a gradient" if gradients(out, start)[0] is not None else "none"
    return {**shapes, **entrance(impl), "from the prediction back to x there is": back}


class FirstConvolution(TorchFunctionMode):
    """Keeps the range of what the first 2d convolution gets, if there is one before the residual blocks."""

    range = None

    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.conv2d and self.range is None and not self.calls:
            self.range = extremes((args or (kwargs["input"],))[0])
        return func(*args, **(kwargs or {}))


def extremes(x) -> tuple[float, float]:
    return x.min().item(), x.max().item()


def entrance(impl):
    """What of a noisy picture, which reaches far beyond −1 and 1, arrives at the first residual block."""
    probe, calls = probes(unlike)
    model, _, t, y = simplest(impl.rebuilt(ResidualBlock=probe))

    def arrives(x, t=t, y=y):
        calls.clear()
        with torch.no_grad():
            model(x, t, y)
        return required(calls)[0].x

    x, other = 3 * normal(4, 3, 4, 8), 3 * normal(4, 3, 4, 8, seed=1)
    with FirstConvolution(calls) as first:
        h = arrives(x)
    zero = arrives(0 * x, t.flip(0), y.flip(0))  # the stem is told neither
    less = {
        "what lies beyond −1 and 1": x.clamp(-1, 1),
        "less than a step of a byte": ((x + 1) * 127.5).round() / 127.5 - 1,
        "contrast": 2 * x,
        "brightness": x + 0.5,
    }
    added = arrives(x + other) - zero
    return {
        # Another range would be made up for by the weights, but for their size at the start.
        "the first convolution gets numbers": "of the range of x"
        if first.range in (None, extremes(x))
        else "of another range",
        "of pictures does not see": [what for what, y in less.items() if same(h, arrives(y))],
        "negative numbers after the stem": bool((h < 0).any()),
        "the stem is a convolution alone": torch.allclose(
            added, h + arrives(other) - 2 * zero, rtol=1e-4, atol=1e-4
        ),
    }


@experiment(
    "4.4",
    "y=None is the null class, and labels beside null labels still count",
    points=1,
    hint=(
        "Chapter 2 has done this already: what does ConditionEmbedding do with y=None?",
        "Pass y on as it is: self.condition(t, y). The null class is label num_classes, not class 0.",
    ),
)
def takes_no_class_for_the_null_class(impl):
    model, x, t, _ = simplest(impl)
    awake(model, gain=3.0)

    def moves():
        none = drawn(model, x, t)
        return {
            "against the null label moves": moved(none, drawn(model, x, t, labels(5, 5, 5, 5))),
            "against class 0 moves": moved(none, drawn(model, x, t, labels(0, 0, 0, 0))),
            # As in training, where some labels of a batch are dropped.
            "against real labels of the first and third moves": moved(
                none, drawn(model, x, t, labels(1, 5, 0, 5))
            ),
        }

    return in_both_modes(model, moves)


@experiment(
    "4.4",
    "No image of a batch touches another",
    points=1,
    hint=(
        "Does anything in your network look at the whole batch?",
        "GroupNorm takes mean and variance of one image at a time, BatchNorm those of all of them.",
    ),
)
def keeps_the_images_apart(impl):
    model, *_ = simplest(impl)
    seen = {"in the middle and at the ends": touched(model)}
    try:
        seen["on the way down and up"] = touched(network(impl, (1, 2)))
    except Misfit as error:
        seen["on the way down and up"] = str(error)
    return seen


def touched(model) -> str:
    """Which images another first image moves."""
    awake(model, gain=3.0)
    x, t, y = four()
    other = torch.cat([images(1, 3, 4, 8, seed=5), x[1:]])
    others = set()
    with torch.no_grad():
        for train in (False, True):
            model.train(train)
            others |= set(moved(drawn(model, x, t, y), drawn(model, other, t, y), share=1e-4))
    others -= {0}
    return "another image moves, too" if others else "no other image moves"


@experiment(
    "4.4",
    "The head: norm, SiLU, a 3×3 convolution that starts at zero, and nothing after it",
    points=1,
    hint=(
        "What the network predicts is noise: how large can it be? And what should a fresh network predict?",
        "self.head(F.silu(self.head_norm(h))), where head is nn.Conv2d(widths[0], channels, 3, padding=1).",
        "nn.init.zeros_ for the weight and the bias of that convolution.",
    ),
)
def ends_with_norm_silu_convolution(impl):
    probe, calls = probes(levelled)
    model, *inputs = simplest(rebuilt(impl, calls, ResidualBlock=probe))
    required(calls)  # else the values are another network's
    fresh = model(*inputs)
    for p in model.parameters():  # of the last convolution, which alone has 3 outputs
        if p.ndim and p.shape[0] == 3:
            p.data.copy_(normal(*p.shape))
    return {
        "fresh": "not 0" if fresh.any() else "0",
        "with random weights": model(*inputs),
        "in eval mode": model.eval()(*inputs),
    }


@experiment(
    "4.4",
    "Everything in the network is used, once, and learns eight images",
    points=1,
    hint=(
        "Are there layers that are made but not used, or used twice?",
        "[block] * n is one block n times: make each of them in a loop. A parameter without a gradient "
        "belongs to something that forward leaves out, or that is cut off by detach or no_grad.",
        "Attention is a layer, too: each level has its own, on the way down and on the way up. And no seed "
        "is set, neither in __init__ nor in forward.",
    ),
)
def uses_everything_and_learns(impl):
    attends = attention_runs(impl)

    def made():
        return impl.UNet(
            channels=3,
            num_classes=5,
            base_width=8,
            multipliers=(1, 1),
            image_size=8,
            attention_resolutions=(8, 4) if attends else (),
            heads=2,
        )

    model = made()
    x, t = images(8, 3, 4, 8), timesteps(1, 2, 5, 10, 20, 40, 3, 7)
    y, noise = labels(0, 1, 2, 3, 4, 5, 0, 1), normal(8, 3, 4, 8, seed=1)
    used, hooks = counted_layers(model)

    def counted():
        out = model(x, t, y)
        for hook in hooks:  # a block under torch.utils.checkpoint is asked again on the way back
            hook.remove()
        return out

    with Readable():
        found = unused(model.train(), counted)
        training = all(layer.training for layer in model.modules())
        # What attention by itself leaves unused is for 4.3.
        spared = attention_leaves_unused(impl) if attends else []
        another = made()
        state, kept = after_two_calls(another, x, t, y)
    pairs = zip(model.parameters(), another.parameters(), strict=True)
    alike = all(a.equal(b) for a, b in pairs)
    losses = descend(
        lambda: ((model(x, t, y) - noise) ** 2).mean(), model.parameters(), steps=3, rate=0.3
    )
    return {
        "without a gradient": [shape for shape in found if shape not in spared],
        "layers used twice": twice(used),
        "after a call all of it is still in training mode": training,
        # Right networks come down to 0.7–0.95 of the first loss, whatever they are made of.
        "torch's random state after a call, from two seeds": state,
        "two fresh networks": "the same" if alike else "different",
        "after the next call the one before is": "kept" if kept else "forgotten",
        "loss after three steps": "falls" if min(losses) < 0.99 * losses[0] else "does not fall",
    }


def after_two_calls(model, *inputs):
    """Torch's random state then, in words; and whether anything of the first call is still kept."""
    first = []

    def remember(layer, given, gave):
        parts = gave if isinstance(gave, tuple) else (gave,)
        first.extend(weakref.ref(part) for part in parts if isinstance(part, torch.Tensor))

    hooks = [layer.register_forward_hook(remember) for layer in model.modules()]

    def call():
        out = model(*inputs)
        for hook in hooks:
            hook.remove()
        first[:] = [gave for gave in first if gave() is not out]  # that one the grader keeps

    with torch.no_grad():
        state = after_two_seeds(call)
    if any(gave() is not None for gave in first):
        gc.collect()  # what a function holds that calls itself goes no earlier
    return state, any(gave() is not None for gave in first)


@experiment(
    "4.4",
    "Attention where it was asked for and nowhere else, with the heads that were asked for",
    points=1,
    hint=(
        "How far can one pixel reach through 3×3 convolutions alone?",
        "Attention is needed on the way down, in the middle, and on the way up.",
        "heads_at[level] is 0 or the number of heads of a level: hand it to the DownBlock and the UpBlock of "
        "that level; the last one is for the middle.",
    ),
)
def attends_where_it_should(impl):
    """Whether the top left corner of what a block returns reaches the bottom right at the next block."""
    turned = []
    probe, calls = probes(lambda number, shape: unlike_or_turned(number, shape, turned))
    probed = impl.rebuilt(ResidualBlock=probe)
    heads = heads_of(probed)
    options = dict(num_classes=5, base_width=8, multipliers=(1, 2, 1), image_size=16)

    def places(**asked):
        way, model, inputs, sizes = attention_of(probed, calls, **options, **asked)
        last = way("up", (8, 40))
        levels = [16 // r for r in asked.get("attention_resolutions", ())]
        return {
            "its layers also get pictures of": sorted(
                sizes - {by((8 // n, 40 // n)) for n in levels}
            ),
            "way down, level 0": way("down", (8, 40)),
            "way down, level 1": way("down", (4, 20)),
            "middle": way("middle", (2, 10)),
            "way up, level 1": way("up", (4, 20)),
            "way up, level 0": last
            if last == "attention"
            else at_the_end(model, calls, turned, inputs),
        }

    return {
        **places(attention_resolutions=(8, 4), heads=2),
        "asked for at level 0 only": places(attention_resolutions=(16,), heads=2),
        "asked for nowhere": places(),
        "other numbers of heads where 2 were asked for": sorted(set(heads) - {2}),
        # With which error is the matter of the sizes below.
        "3 heads for 8 channels": "accepted"
        if raises(lambda: probed.UNet(**options, attention_resolutions=(4,), heads=3)) == "nothing"
        else "refused",
    }


def heads_of(probed) -> list[int]:
    """A list into which every SelfAttention2d that is made from now on puts its number of heads."""
    seen = []
    made = type(probed.SelfAttention2d(8, 2))
    start = made.__init__
    signature = inspect.signature(start)

    def recorded(self, *args, **kwargs):
        start(self, *args, **kwargs)
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        seen.append(given.arguments.get("heads", 2))

    if not made.__module__.startswith("torch"):
        made.__init__ = recorded
    return seen


def unlike_or_turned(number, shape, turned):
    """`unlike`; of the calls in `turned`, the upper half of every second channel is mirrored.

    No norm sees that, since the numbers of a channel stay the same.
    """
    x = unlike(number, shape)
    if number in turned:
        half = shape[-2] // 2
        x[:, ::2, :half] = x[:, ::2, :half].flip(-1)
    return x


def at_the_end(model, calls, turned, inputs) -> str:
    """Whether the upper half of what the last block returns reaches the last pixel of the prediction."""
    corners = []
    for turn in (False, True):
        turned[:] = [len(calls) - 1] if turn else []
        calls.clear()
        with torch.no_grad():
            corners.append(model(*inputs)[..., -1, -1])
    turned.clear()
    return "none" if torch.allclose(*corners, rtol=1e-4, atol=1e-4) else "attention"


def attention_of(probed, calls, **options):
    """Make a U-Net; a function: on which way, at which size → what is there; the U-Net, and what it
    was called with; and the sizes of what layers of SelfAttention2d get, where it has any.

    Raises:
        Misfit: something does not fit in it. How far it came then depends on how it is built.
    """
    model = probed.UNet(**options)
    inputs = images(1, 3, 8, 40), timesteps(3), labels(1)
    calls.clear()
    with torch.no_grad():
        trouble_of(model, calls, *inputs)  # lazy layers come into being
    awake(model).eval()  # in training mode BatchNorm, another matter, would look like attention
    calls.clear()
    sizes, kind = set(), type(probed.SelfAttention2d(8, 2))
    for layer in model.modules():
        if isinstance(layer, kind):
            layer.register_forward_pre_hook(lambda _, given: sizes.add(by(given[0].shape[2:])))
    with Traced(calls):
        model(*inputs)
    seen = Calls(required(calls))  # of this network, whatever is built after it
    following = dict(zip(map(id, seen), seen[1:], strict=False))  # but for the last one

    def reaches(call):
        return bool(reach(following[id(call)].x[..., -1, -1], call.leaf)[0, 0])

    def way(which, size):
        blocks = [call for call in seen.way(which, size) if id(call) in following]
        return "attention" if any(map(reaches, blocks)) else "none" if blocks else "no block"

    return way, model, inputs, sizes


@experiment(
    "4.4",
    "A size that cannot be halved often enough is a ValueError that names the numbers",
    points=1,
    hint=(
        "With three levels, height and width are halved twice. What does that ask of each of them?",
        "Both must be multiples of 2 ** (levels − 1), else raise ValueError, at the beginning of "
        "forward, with a message that holds the wrong size and that number.",
    ),
)
def refuses_sizes_that_cannot_be_halved(impl):
    model = impl.UNet(channels=3, num_classes=5, base_width=8, multipliers=(1, 2, 1), image_size=16)

    def complaint(height, width, wrong=None):
        try:
            model(images(2, 3, height, width), timesteps(1, 2), labels(0, 1))
        except NotImplementedError:
            raise
        except ValueError as error:
            numbers = [int(n) for n in re.findall(r"\d+", str(error))]
            return [told("ValueError"), *(n for n in (wrong, 4) if n in numbers)]
        except AssertionError:
            return told("an AssertionError")
        except Exception:
            return told("no ValueError")
        return told("no ValueError")

    return {
        "8×12": complaint(8, 12),
        "10×16": complaint(10, 16, wrong=10),
        "16×14": complaint(16, 14, wrong=14),
        "2 channels": raises(lambda: impl.UNet(channels=2, base_width=8)),
        "4 channels": raises(lambda: impl.UNet(channels=4, base_width=8)),
        "other defaults than those given": other_defaults(impl.UNet._target, UNET_DEFAULTS),
        "arguments in another order": other_order(impl.UNet._target, UNET_DEFAULTS),
        "attention at 5": raises(lambda: impl.UNet(base_width=8, attention_resolutions=(5,))),
        "attention at 16 and 5": raises(
            lambda: impl.UNet(base_width=8, attention_resolutions=(16, 5))
        ),
        "3 heads of 16 channels": uneven_heads(impl),
    }


UNET_DEFAULTS = {
    "channels": 3,
    "num_classes": 10,
    "base_width": 64,
    "multipliers": (1, 2, 4),
    "image_size": 32,
    "attention_resolutions": (),
    "heads": 4,
}


def other_defaults(made, given: dict) -> list[str]:
    """Arguments with another default than in the stub; None stands for whatever it is later."""
    found = inspect.signature(made).parameters
    return sorted(
        name
        for name, default in given.items()
        if name in found
        and found[name].default not in (None, inspect.Parameter.empty)
        and not same_default(found[name].default, default)
    )


def other_order(made, given) -> bool:
    """Whether those of the arguments that are named stand in another order than in the stub."""
    found = list(inspect.signature(made).parameters)
    return [n for n in found if n in given] != [n for n in given if n in found]


def same_default(a, b) -> bool:
    return list(a) == list(b) if isinstance(a, list | tuple) else a == b


def uneven_heads(impl) -> str:
    """What 3 heads of 16 channels are; where there is no attention yet, that is for 4.3."""
    with suppress(Missing):
        return raises(lambda: impl.SelfAttention2d(16, 3))
    return told("ValueError")
