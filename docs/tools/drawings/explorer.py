"""Chapter 4: the U-Net as its own forward pass shows it, for some recipes and sizes of picture."""

from docs.tools.drawings import svg
from docs.tools.stamped import figure

SOURCES = (
    "ddpm_ref/unet.py",
    "ddpm_ref/blocks.py",
    "ddpm_ref/embeddings.py",
    "ddpm_ref/presets.py",
    "checks/show/shapes.py",
    "docs/tools/drawings/explorer.py",
    "docs/tools/drawings/svg.py",
)
FIRST = "demo"
PRESETS = ("demo", "seed", "cifar10-small", "cifar10", "paper")
SIZES = (16, 32, 64)
BOX_W, BOX_H, GAP_X, GAP_Y = 158, 50, 124, 20


def calls(preset: str, size: int) -> list:
    """What the U-Net of a recipe calls for one picture of this size. Nothing is computed but shapes."""
    from dataclasses import asdict

    import torch

    from checks.show.shapes import walk
    from ddpm_ref.presets import preset as recipe
    from ddpm_ref.unet import UNet

    config = recipe(preset).model
    with torch.device("meta"):
        inputs = {
            "x": torch.zeros(1, config.channels, size, size),
            "t": torch.zeros(1, dtype=torch.int64),
            "y": torch.zeros(1, dtype=torch.int64),
        }
        return walk(UNet(**asdict(config)).eval(), inputs)


@figure("unet.json", *SOURCES)
def data() -> str:
    """By recipe: its drawing, its layers, and the shapes by size of the picture, layer by layer."""
    import json

    from ddpm_ref.presets import preset as recipe

    networks = {}
    for name in PRESETS:
        config, walks = recipe(name).model, {size: calls(name, size) for size in SIZES}
        networks[name] = {
            "size": config.image_size,
            "attention": config.attention_resolutions,
            "parameters": sum(call.parameters for call in walks[SIZES[0]]),
            "drawing": drawing(name),
            "layers": [about(call) for call in walks[SIZES[0]]],
            "shapes": {str(size): [shapes(call) for call in each] for size, each in walks.items()},
        }
    return json.dumps(networks, separators=(",", ":")) + "\n"


@figure("unet-shapes.svg", *SOURCES)
def still() -> str:
    return drawing(FIRST)


def about(call, inside: bool = True) -> dict:
    """What does not depend on the size of the picture; of a layer's parts nothing of what is inside them."""
    known = {"name": call.name, "kind": call.kind, "parameters": call.parameters}
    parts = [about(part, inside=False) for part in call.parts] if inside else []
    return known | {"of": [seen.of for seen in call.given], "parts": parts}


def shapes(call) -> list:
    """What does: the tensors given, those that came out, and those that came out of each part."""
    given, gave = (sizes(seen) for seen in (call.given, call.gave))
    return [given, gave, [sizes(part.gave) for part in call.parts]]


def sizes(seen: list) -> list[list[int]]:
    """Shapes without the batch."""
    return [list(each.shape[1:]) for each in seen]


def drawing(preset: str) -> str:
    """The shape of a U: boxes of layers, down on the left, up on the right, skips across."""
    from ddpm_ref.presets import preset as recipe

    seen = calls(preset, recipe(preset).model.image_size)
    at = {call.name: k for k, call in enumerate(seen)}
    downs = [call for call in seen if call.name.startswith("downs.")]
    rows = len(downs) + 2
    right = BOX_W + GAP_X
    parts = []

    def corner(column: int, row: int) -> tuple[float, float]:
        return (1, right + 1, (right + 1) / 2)[column], row * (BOX_H + GAP_Y) + 1

    def box(place: tuple[float, float], title: str, names: list[str], shape: tuple) -> None:
        x, y = place
        first, last = at[names[0]], at[names[-1]]
        parts.append(
            f'<g class="layer" data-from="{first}" data-to="{last}">'
            f'<rect class="box" rx="5" x="{x:g}" y="{y:g}" width="{BOX_W}" height="{BOX_H}"/>'
            + svg.text(x + BOX_W / 2, y + 21, title, "middle", 14, font_weight=600)
            + svg.text(x + BOX_W / 2, y + 40, spoken(shape), "middle", 14, data_out=last)
            + "</g>"
        )

    def arrow(points: list[tuple[float, float]]) -> None:
        """To the last point, whose direction is that of the last piece."""
        (x1, y1), (x2, y2) = points[-2:]
        dx, dy = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
        parts.append(svg.curve([*points[:-1], (x2 - 6 * dx, y2 - 6 * dy)], "arrow"))
        tip = f"{x2},{y2} {x2 - 7 * dx + 4 * dy},{y2 - 7 * dy + 4 * dx}"
        parts.append(
            f'<polygon class="head" points="{tip} {x2 - 7 * dx - 4 * dy},{y2 - 7 * dy - 4 * dx}"/>'
        )

    for row, down in enumerate(["stem", *downs], start=0):
        call = seen[at["stem"]] if row == 0 else down
        x, y = corner(0, row)
        box((x, y), call.name, [call.name], call.gave[0].shape)
        if row < len(downs):
            arrow([(x + BOX_W / 2, y + BOX_H), (x + BOX_W / 2, y + BOX_H + GAP_Y)])
    for row, up in enumerate(reversed([c for c in seen if c.name.startswith("ups.")]), start=1):
        x, y = corner(1, row)
        box((x, y), up.name, [up.name], up.gave[0].shape)
        arrow([(x + BOX_W / 2, y), (x + BOX_W / 2, y - GAP_Y)])
        skip = next(s for s in up.given if s.of == downs[row - 1].name)
        arrow([(1 + BOX_W, y + BOX_H / 2), (x, y + BOX_H / 2)])
        middle = 1 + BOX_W + GAP_X / 2
        parts.append(
            svg.text(
                middle, y + BOX_H / 2 - 7, spoken(skip.shape), "middle", 13, data_skip=at[up.name]
            )
        )
        parts.append(svg.text(middle, y + BOX_H / 2 + 16, "skip", "middle", 12, class_="small"))
    box(corner(1, 0), "head", ["head_norm", "head"], seen[-1].gave[0].shape)
    middle = [call.name for call in seen if call.name.startswith("middle")]
    blocks = len([name for name in middle if "." in name])
    x, y = corner(2, rows - 1)
    title = f"middle, {blocks} block{'s' * (blocks > 1)}"
    box((x, y), title, middle, seen[at[middle[-1]]].gave[0].shape)
    side, bottom = BOX_W / 2, y + BOX_H / 2
    arrow([(1 + side, y - GAP_Y), (1 + side, bottom), (x, bottom)])
    arrow([(x + BOX_W, bottom), (right + 1 + side, bottom), (right + 1 + side, y - GAP_Y)])
    x, y = 1 + BOX_W + GAP_X / 2, BOX_H / 2
    parts.append(
        f'<g class="layer" data-from="{at["condition"]}" data-to="{at["condition"]}">'
        f'<rect class="box" rx="5" x="{x - 49}" y="1" width="98" height="{BOX_H}"/>'
        + svg.text(x, 22, "condition", "middle", 14, font_weight=600)
        + svg.text(x, 41, spoken(seen[at["condition"]].gave[0].shape), "middle", 14)
        + "</g>"
    )
    title = (
        f"The U-Net of the recipe {preset}: "
        + "; ".join(f"{c.name} gives {spoken(c.gave[0].shape)}" for c in seen)
        + ". A skip leads from each block on the way down to the one beside it on the way up"
    )
    return svg.document(
        f"unet-{preset}", title, 2 * BOX_W + GAP_X + 2, rows * (BOX_H + GAP_Y) - GAP_Y + 2, parts
    )


def spoken(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape[1:]))
