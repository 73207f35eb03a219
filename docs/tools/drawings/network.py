"""Figures of chapters 1 to 4 and 8: data, embeddings, the network and its training."""

import math
from itertools import pairwise

from docs.tools.drawings.pieces import BOLD, arrow, box
from docs.tools.drawings.plots import Plot
from docs.tools.drawings.svg import document, picture, text
from docs.tools.stamped import figure

HERE = "docs/tools/drawings/network.py"
PIECES = tuple(f"docs/tools/drawings/{name}.py" for name in ("pieces", "plots", "svg"))


def shapes_as_png(indices) -> list[bytes]:
    """Pictures of the embedded data set, each as a file."""
    import torch

    from ddpm_ref import shapes
    from ddpm_ref.data import to_model_range
    from ddpm_ref.pictures import encode, to_pil

    drawn = to_model_range(torch.from_numpy(shapes.draw(indices)))  # (N, 3, 16, 16)
    return [encode(to_pil(x), "png", optimize=True) for x in drawn]


@figure("shapes.svg", HERE, *PIECES, "ddpm_ref/shapes.py")
def shapes_and_captions() -> str:
    """The first picture of each class, with its caption."""
    from ddpm_ref.shapes import captions

    parts, indices, cell = [], list(range(10)), 88
    for k, (png, caption) in enumerate(zip(shapes_as_png(indices), captions(indices), strict=True)):
        x, y = k % 5 * cell, k // 5 * 142
        parts.append(picture(x + 6, y + 2, 76, 76, png))
        head, _, rest = caption.partition(" photo of ")
        colour, _, shape = rest.rpartition(" ")
        for line, words in enumerate((f"{head} photo of", colour, shape)):
            parts.append(text(x + cell / 2, y + 95 + 16 * line, words, "middle", 12))
    title = "Ten small pictures, one of each class, with the captions that stand below them"
    return document("shapes", title, 5 * cell, 2 * 142, parts)


@figure("mirrored.svg", HERE, *PIECES, "ddpm_ref/shapes.py", "ddpm_ref/data.py")
def mirrored() -> str:
    """The mean picture of some classes, and its mirror image."""
    import torch

    from ddpm_ref import shapes
    from ddpm_ref.data import to_model_range
    from ddpm_ref.pictures import encode, to_pil

    names, left, cell = ["heart", "star", "square", "crescent", "arrow"], 68, 74
    parts = [text(0, 56, "mean", "start"), text(0, 132, "mirrored", "start")]
    for k, name in enumerate(names):
        indices = range(shapes.CLASSES.index(name), 10_000, len(shapes.CLASSES))
        mean = to_model_range(torch.from_numpy(shapes.draw(list(indices)))).mean(0)  # (3, 16, 16)
        x = left + k * cell
        parts.append(text(x + 36, 12, name, "middle", 12))
        for y, shown in ((18, mean), (94, mean.flip(-1))):
            parts.append(picture(x, y, 70, 70, encode(to_pil(shown), "png")))
    title = (
        "The mean of a thousand pictures of a class, above its mirror image: heart, star and square look "
        "the same in both, crescent and arrow point the other way"
    )
    return document("mirrored", title, left + len(names) * cell, 166, parts)


@figure("embedding.svg", HERE, *PIECES, "ddpm_ref/embeddings.py")
def embedding() -> str:
    """The sinusoidal embedding as a heat map, and how alike two timesteps are."""
    import numpy as np
    import torch
    from PIL import Image

    from ddpm_ref.embeddings import SinusoidalPositionEmbeddings
    from ddpm_ref.pictures import encode

    dim, shown = 64, 250
    table = SinusoidalPositionEmbeddings(dim)(torch.arange(1000))  # (1000, 64)
    low, middle, high = (np.array(c) for c in ((52, 76, 190), (244, 242, 236), (190, 74, 40)))
    value = table[:shown].T.numpy()[..., None]  # (64, shown, 1)
    rgb = middle + np.where(value < 0, -value * (low - middle), value * (high - middle))
    heat = Image.fromarray(rgb.round().astype(np.uint8)).quantize(48)
    rows = [(0.5, "0"), (16, "sin"), (31.5, "31"), (48, "cos"), (63.5, "63")]
    columns = [(t, str(t)) for t in range(0, shown + 1, 50)]
    upper = Plot((0, shown), (dim, 0), columns, rows, "component", "timestep t", size=(440, 276))
    place = (upper.left, upper.top, upper.right - upper.left, upper.bottom - upper.top)
    parts = [*upper.parts, picture(*place, encode(heat, "png", optimize=True))]
    alike = table[500] @ table.T / (dim // 2)  # (1000,)
    lower = Plot(
        (-200, 200),
        (0, 1),
        [(d, f"{d:+d}".replace("-", "−") if d else "0") for d in range(-200, 201, 100)],
        [(share, f"{share:g}") for share in (0, 0.5, 1)],
        "dot product, divided by its largest value",
        "difference of the two timesteps",
        size=(440, 206),
        start=282,
    )
    lower.curve(range(-200, 201), alike[300:701].tolist(), 0)
    parts += lower.parts
    title = (
        "Above, the 64 components of the embedding for the first 250 timesteps: the first sines and cosines "
        "change from step to step, the last ones hardly at all. Below, the dot product of two embeddings "
        "against the difference of their timesteps: a peak at 0 that falls off on both sides alike."
    )
    return document("embedding", title, 440, 488, parts)


def shapes_seen(module, *inputs) -> dict[str, tuple[list[int], list[int]]]:
    """By name of a part: the shapes of what goes in and of what comes out, without the batch."""
    import torch

    seen = {}

    def note(name):
        def hook(part, given, made):
            made = made[0] if isinstance(made, tuple) else made
            seen[name] = (list(given[0].shape[1:]), list(made.shape[1:]))

        return hook

    hooks = [part.register_forward_hook(note(name)) for name, part in module.named_modules()]
    with torch.no_grad():
        module(*inputs)
    for hook in hooks:
        hook.remove()
    return seen


def times(shape: list[int]) -> str:
    return " × ".join(str(n) for n in shape)


@figure("residual-block.svg", HERE, *PIECES, "ddpm_ref/blocks.py")
def residual_block() -> str:
    """The way through a residual block that widens 64 channels to 128."""
    import torch

    from ddpm_ref.blocks import ResidualBlock

    seen = shapes_seen(ResidualBlock(64, 128, 256), torch.zeros(1, 64, 16, 16), torch.zeros(1, 256))
    out = {name: times(made) for name, (_, made) in seen.items()}
    scale = times([seen["cond"][1][0] // 2, 1, 1])
    way = [
        ["norm1, SiLU", out["norm1"]],
        ["conv1, 3 × 3", out["conv1"]],
        ["norm2", out["norm2"]],
        ["· (1 + scale) + shift", f"each {scale}"],
        ["SiLU, dropout", out["dropout"]],
        ["conv2, 3 × 3, starts at 0", out["conv2"]],
    ]
    x, width, y = 128, 184, 40
    parts = [text(x + width / 2, 16, f"x: {times(seen[''][0])}", "middle", **BOLD)]
    tops = []
    for lines in way:
        parts.append(arrow((x + width / 2, y - 18), (x + width / 2, y)))
        drawn, height = box(x, y, width, lines)
        parts.append(drawn)
        tops.append(y)
        y += height + 18
    middle, sum_y = x + width / 2, y + 12
    parts += [
        arrow((middle, y - 18), (middle, y)),
        f'<circle class="box" stroke-width="1.5" cx="{middle:g}" cy="{sum_y:g}" r="12"/>',
        text(middle, sum_y + 5, "+", "middle", 16),
        arrow((middle, sum_y + 12), (middle, sum_y + 36)),
        text(middle, sum_y + 54, f"output: {out['']}", "middle", **BOLD),
    ]
    skip, height = box(330, tops[2], 108, ["skip, 1 × 1", out["skip"]])
    parts += [
        arrow((middle, 30), (384, 30), (384, tops[2])),
        skip,
        arrow((384, tops[2] + height), (384, sum_y), (middle + 12, sum_y)),
    ]
    linear, height = box(2, tops[2], 108, ["SiLU, linear", out["cond"]])
    at = tops[3] + 22
    parts += [
        text(56, tops[1] + 28, f"cond: {times([seen['cond'][0][0]])}", "middle", **BOLD),
        arrow((56, tops[1] + 36), (56, tops[2])),
        linear,
        arrow((56, tops[2] + height), (56, at), (x, at)),
    ]
    title = (
        "From x downwards: norm, SiLU, convolution, norm, times 1 plus scale plus shift, SiLU, dropout, "
        "convolution. From the left the condition enters through SiLU and a linear layer as scale and shift. "
        "On the right the skip path leads from x to the sum at the end."
    )
    return document("residual-block", title, 440, sum_y + 62, parts)


@figure(
    "unet.svg", HERE, *PIECES, "ddpm_ref/unet.py", "ddpm_ref/blocks.py", "ddpm_ref/embeddings.py"
)
def unet() -> str:
    """The way through the U-Net of 32×32 pictures, with the shapes that its layers really made."""
    import torch

    from ddpm_ref.unet import UNet

    zeros = torch.zeros(1, dtype=torch.int64)
    net = UNet(attention_resolutions=(16, 8))
    seen = shapes_seen(net, torch.zeros(1, 3, 32, 32), zeros, zeros)
    levels, parts, width, right = len(net.downs), [], 170, 268

    def put(x: float, y: float, lines: list[str], wide: float = width) -> None:
        drawn, height = box(x, y, wide, lines)
        assert height == 44
        parts.append(drawn)

    rows = [36 + 64 * k for k in range(2 + 2 * levels)]
    ends = [text(2 + width / 2, 16, f"x_t: {times(seen[''][0])}", "middle", **BOLD)]
    ends.append(text(right + width / 2, 16, f"prediction: {times(seen[''][1])}", "middle", **BOLD))
    put(2, rows[0], ["stem, 3 × 3", times(seen["stem"][1])])
    put(right, rows[0], ["norm, SiLU, head", times(seen["head"][0])])
    for k in range(levels):
        up = levels - 1 - k
        named = "block, attention" if f"downs.{k}.attention.0.qkv" in seen else "block"
        _, down_out = seen[f"downs.{k}.blocks.0"]
        up_in, up_out = seen[f"ups.{up}.blocks.0"]
        put(2, rows[1 + 2 * k], [named, times(down_out)])
        put(right, rows[1 + 2 * k], [named, f"{up_in[0]} → {times(up_out)}"])
        y = rows[1 + 2 * k] + 22
        parts += [
            arrow((2 + width, y), (right, y)),
            text(220, y - 8, f"skip: {down_out[0]}", "middle"),
        ]
        put(2, rows[2 + 2 * k], ["halve", times(seen[f"downs.{k}.down"][1])])
        put(right, rows[2 + 2 * k], ["double", times(seen[f"ups.{up}.up.1"][1])])
    named = "middle: block, attention, block" if "middle_attention.qkv" in seen else "middle"
    put(75, rows[-1], [named, times(seen[f"middle.{len(net.middle) - 1}"][1])], 290)
    for y1, y2 in pairwise([36 - 14 - 44, *rows]):
        parts.append(arrow((2 + width / 2, y1 + 44), (2 + width / 2, y2)))
        parts.append(arrow((right + width / 2, y2), (right + width / 2, y1 + 44)))
    cond = times(seen["condition"][1])
    note = text(
        220, rows[-1] + 68, f"Every block also gets cond, {cond} numbers from t and y.", "middle"
    )
    title = (
        "Down on the left: stem, block, halving, block, halving; the middle at the bottom; up on the right: "
        "doubling, block, doubling, block, head. At each resolution the skip leads from left to right."
    )
    return document("unet", title, 440, rows[-1] + 78, [*parts, *ends, note])


@figure("ema-weights.svg", HERE, *PIECES, "ddpm_ref/training.py")
def ema_weights() -> str:
    """How much each past step counts in the average at the end of the demo's training."""
    from ddpm_ref.presets import TrainConfig

    config = TrainConfig()
    steps = config.images // config.batch_size
    kinds = {
        "with warm-up": ema_profile(steps, config.ema_decay, True),
        f"fixed at {config.ema_decay}": ema_profile(steps, config.ema_decay, False),
        "fixed at 0.9999": ema_profile(steps, 0.9999, False),
    }
    top = 1.05 * max(weight for profile in kinds.values() for weight in profile[1:])
    plot = Plot(
        (0, 1.05 * steps),  # room for the name of the last mark
        (0, top),
        [(k, f"{k:,}") for k in (0, 250, 500, 750, 1000, steps)],
        [(k / 1000, f"{k / 1000:g}") for k in range(0, math.floor(1000 * top) + 1, 2)],
        "share in the average at the end of the demo",
        "step whose weights are averaged",
        size=(440, 270),
    )
    for kind, (name, profile) in enumerate(kinds.items()):
        seen = [j for j in range(1, len(profile)) if j % 10 == 0 or j == 1]
        at = (0.03 * steps, (0.92 - 0.1 * kind) * top)
        words = f"{name}; start {profile[0]:.0%}"
        plot.curve(seen, [profile[j] for j in seen], kind, words, at)
    title = (
        "The shares of the steps in the average. With warm-up they rise steeply towards the last steps, and "
        "the random start has none; fixed decays leave a share to the random start."
    )
    return plot.svg("ema-weights", title)


def ema_profile(steps: int, decay: float, warm: bool) -> list[float]:
    """Shares of the start (entry 0) and of the weights after step 1, 2, …, measured.

    A model of one parameter for each of them, in which step j sets the j-th to 1: what the average
    then holds is the share.
    """
    import torch
    from torch import nn

    from ddpm_ref.training import ExponentialMovingAverage

    model = nn.Module()
    model.weight = nn.Parameter(torch.zeros(steps + 1, dtype=torch.float64))
    with torch.no_grad():
        model.weight[0] = 1
        ema = ExponentialMovingAverage(model, decay)
        for j in range(1, steps + 1):
            model.weight.zero_()
            model.weight[j] = 1
            if not warm:
                ema.updates = 10**9  # long past the warm-up
            ema.update(model)
    return ema.average.weight.tolist()
