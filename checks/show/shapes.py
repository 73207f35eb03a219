"""What goes into each layer of a network and what comes out, as its own forward pass shows it.

Works with any `nn.Module`: hooks note every call, and which layer made a tensor that another one is given.
"""

from dataclasses import dataclass, field

from torch import Tensor, nn

LARGE = 1 / 3  # share of all parameters: a layer that holds more is told of part by part
OUTSIDE = "forward"  # where a tensor comes from that no layer made: code between the layers


@dataclass(frozen=True)
class Seen:
    """A tensor that a layer was given or gave.

    Attributes:
        shape: with the batch.
        of: the layer that made it, or the name of the network's own input, or `OUTSIDE`.
    """

    shape: tuple[int, ...]
    of: str


@dataclass
class Call:
    """One call of a layer.

    Attributes:
        name: as in `named_modules`.
        kind: its class.
        parameters: how many numbers it learns, with all that is in it.
        given, gave: tensors.
        parts: the calls that it made in turn.
    """

    name: str
    kind: str
    parameters: int
    given: list[Seen] = field(default_factory=list)
    gave: list[Seen] = field(default_factory=list)
    parts: list["Call"] = field(default_factory=list)


def walk(model: nn.Module, inputs: dict[str, Tensor]) -> list[Call]:
    """Call the network once, in order of `inputs`; returns the calls of its own layers, in the order made."""
    root = Call("", type(model).__name__, 0)
    stack, kept, made = [root], [], {}

    def origin(tensor: Tensor) -> Seen:
        return Seen(tuple(tensor.shape), made.get(id(tensor), OUTSIDE))

    def note(value, name: str) -> list[Seen]:
        for tensor in tensors(value):
            kept.append(tensor)  # as long as it lives no other one has its id
            made[id(tensor)] = name
        return [origin(tensor) for tensor in tensors(value)]

    def before(name):
        def hook(layer, args, kwargs):
            count = sum(p.numel() for p in layer.parameters())
            given = [origin(tensor) for tensor in tensors([args, kwargs])]
            call = Call(name, type(layer).__name__, count, given)
            stack[-1].parts.append(call)
            stack.append(call)

        return hook

    def after(name):
        def hook(layer, args, kwargs, gave):
            stack.pop().gave = note(gave, name)

        return hook

    for name, tensor in inputs.items():
        note(tensor, name)
    hooks = []
    for name, layer in model.named_modules():
        if name:
            hooks.append(layer.register_forward_pre_hook(before(name), with_kwargs=True))
            hooks.append(layer.register_forward_hook(after(name), with_kwargs=True))
    try:
        model(*inputs.values())
    finally:
        for hook in hooks:
            hook.remove()
    return root.parts


def tensors(value) -> list[Tensor]:
    """The tensors in nested tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [tensor for each in value for tensor in tensors(each)]
    return []


def spoken(shape: tuple[int, ...]) -> str:
    """A shape without its batch: "16×8×8", and "1" for a number alone."""
    return "×".join(map(str, shape[1:])) or "1"


def unfolded(calls: list[Call], most: float) -> list[Call]:
    """The calls, with a large one replaced by its parts, and so on: a U-Net may hold itself in one layer.

    Args:
        most: parameters that one line may hold, unless it has no parts.
    """
    made = []
    for call in calls:
        large = call.parameters > most and call.parts
        made += unfolded(call.parts, most) if large else [call]
    return made


def table(calls: list[Call]) -> str:
    """The calls as lines of text: layer, what goes in, what comes out, parameters."""
    rows = [("layer", "in", "out", "parameters")]
    for call in unfolded(calls, LARGE * sum(call.parameters for call in calls)):
        given = ", ".join(f"{spoken(s.shape)} ({s.of})" for s in call.given)
        gave = ", ".join(spoken(s.shape) for s in call.gave)
        rows.append((call.name, given, gave, f"{call.parameters:,}"))
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]])
        for row in rows
    )
