"""What experiments are made of: inputs by seed, weights that do not depend on names, and small helpers.

Everything here can be used in a Python session too, so that a line of the grader's report can be pasted:

    from checks.lab import *; from chapters.ch03_residual_block.blocks import *
    ResidualBlock(16, 24, 32)(normal(2, 16, 6, 10), normal(2, 32, seed=1))
"""

import math
import zlib
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor, nn

__all__ = [
    "after_two_seeds",
    "descend",
    "distinct",
    "filled",
    "gradients",
    "images",
    "labels",
    "levelled",
    "near",
    "normal",
    "not_run",
    "noted",
    "projected",
    "raises",
    "short_schedule",
    "timesteps",
    "told",
    "torch",
    "toy_clip",
    "toy_model",
    "toy_texts",
    "toy_tokenizer",
    "twins",
    "uint8_images",
    "without_compiler",
]


@dataclass
class Conditions:
    """Under which an experiment runs; the grader sets them, an experiment does not.

    Attributes:
        fill: how `filled` recognises parameters: "names", "shapes" or "blocks"; outside the grader
            "any", which is by names where these are the reference's.
        dtype: of the inputs; float64 to learn how much the reference itself is rounded.
        shift_t: added to every timestep, to recognise code that is off by one.
        train: leave modules in training mode, to recognise code that forgets about it.
        signature: what `filled` saw: shapes of the parameters, a list for each call.
        calls: of the implementation, so far, as text.
    """

    fill: str = "any"
    dtype: torch.dtype = torch.float32
    shift_t: int = 0
    train: bool = False
    signature: list = field(default_factory=list)
    calls: list[str] = field(default_factory=list)


conditions = Conditions()
_expressions: dict[int, tuple[object, str]] = {}  # the object is kept, so that its id stays its own


class OtherNames(Exception):
    """The parameters are not called as in the reference."""


@dataclass(frozen=True)
class Near:
    """A number that may differ from the reference's by a margin (`near`)."""

    value: float
    margin: float


class Told(str):
    """A word about a call, with the call (`call`): a report then shows this one, not the last."""

    call: str | None = None


@dataclass(frozen=True)
class ToldOf:
    """The same for what is no word."""

    value: object
    call: str | None


def told(value, call: str | None = None) -> Told | ToldOf:
    """A word, a number or a dictionary of them, about a call: by itself the last one."""
    if call is None and conditions.calls:
        call = conditions.calls[-1]
    if not isinstance(value, str):
        return ToldOf(value, call)
    word = Told(value)
    word.call = call
    return word


def noted(value, expression: str):
    """Remember by which expression a value came about; returns the value."""
    _expressions[id(value)] = (value, expression)
    return value


def expression_of(value) -> str:
    """Python text that makes this value, for the line that a learner can paste."""
    if id(value) in _expressions:
        return _expressions[id(value)][1]
    if isinstance(value, Tensor):
        return _tensor_expression(value)
    if isinstance(value, tuple | list):
        inner = ", ".join(map(expression_of, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    if isinstance(value, Generator):
        return f"torch.Generator().manual_seed({value.initial_seed()})"
    if callable(value) and not isinstance(value, nn.Module):
        return getattr(value, "__name__", "…")
    return repr(value) if isinstance(value, int | float | str | bool | None) else "…"


def _tensor_expression(x: Tensor) -> str:
    """A tensor that nobody noted: its values when they are few, else others of its shape."""
    whole = not x.is_floating_point()
    if x.dtype == torch.int64 and x.ndim == 1 and torch.equal(x.cpu(), torch.arange(len(x))):
        return f"torch.arange({len(x)})"
    if x.numel() <= (64 if whole else 12):
        usual = x.dtype in (torch.int64, torch.float32, torch.bool)
        return f"torch.tensor({x.tolist()}{'' if usual else f', dtype={x.dtype}'})"
    if whole and x.dtype != torch.uint8:
        low, high = x.min().item(), x.max().item()
        return f"torch.randint({int(low)}, {int(high) + 1}, {tuple(x.shape)}, dtype={x.dtype})"
    kind = "uint8_images" if x.dtype == torch.uint8 else "normal"
    return f"{kind}({', '.join(map(str, x.shape))})"


def forget_expressions() -> None:
    _expressions.clear()


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, always the same for the same shape and seed."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(conditions.dtype)
    return _seeded("normal", x, seed)


def images(*shape: int, seed: int = 0) -> Tensor:
    """Numbers spread evenly over [−1, 1], such as (4, 3, 6, 10)."""
    x = torch.rand(shape, generator=torch.Generator().manual_seed(seed)).to(conditions.dtype)
    return _seeded("images", x * 2 - 1, seed)


def uint8_images(*shape: int, seed: int = 0) -> Tensor:
    """Bytes 0…255, such as (8, 3, 6, 10)."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return _seeded("uint8_images", x, seed)


def _seeded(name: str, x: Tensor, seed: int) -> Tensor:
    """Note that x is what name(*shape, seed=seed) gives."""
    sizes = ", ".join(map(str, x.shape))
    return noted(x, f"{name}({sizes}, seed={seed})" if seed else f"{name}({sizes})")


def timesteps(*t: int) -> Tensor:
    """(B,) int64 timesteps."""
    shifted = [step + conditions.shift_t for step in t]
    return noted(torch.tensor(shifted), f"torch.tensor({list(t)})")


def labels(*y: int) -> Tensor:
    """(B,) int64 labels."""
    return noted(torch.tensor(y), f"torch.tensor({list(y)})")


def short_schedule(impl):
    """Twelve steps with betas from 0.05 to 0.4, where float32 is exact enough to tell every mistake.

    The class is that of chapter 5 on the same side. It is lent, so no account of this call is kept.
    """
    betas = torch.linspace(0.05, 0.4, 12)
    schedule = impl.module_of(5).NoiseSchedule(betas)
    return noted(schedule, "NoiseSchedule(torch.linspace(0.05, 0.4, 12))")


class Account(list):
    """A list that its owner's copies share: who draws with a copy of the model is observed, too."""

    def __deepcopy__(self, memo):
        return self


class ToyModel(nn.Module):
    """What `toy_model` makes; `seen` has what it was called with, call after call."""

    def __init__(self, classes: int):
        super().__init__()
        self.classes = self.num_classes = classes
        self.scale = nn.Parameter(torch.tensor(1.5, dtype=conditions.dtype))
        self.seen: list[dict] = Account()

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        if not isinstance(t, Tensor) or t.shape != x.shape[:1]:
            raise ValueError(
                "the model wants t as an int64 tensor of shape (B,), one for each image"
            )
        y = torch.full_like(t, self.classes) if y is None else y
        if not isinstance(y, Tensor) or y.shape != x.shape[:1]:
            raise ValueError("the model wants y as an int64 tensor of shape (B,), or None")
        self.seen.append(
            {
                "x": x.detach().clone(),
                "t": t.clone(),
                "y": y.clone(),
                "training": self.training,
                "gradients": torch.is_grad_enabled(),
            }
        )
        t, y = (v.to(x.dtype).reshape(-1, 1, 1, 1) for v in (t, y))
        bent = torch.tanh(self.scale * x + torch.sin(0.9 * t + 0.4)) + 0.8 * torch.cos(1.7 * y + x)
        return 1.3 * bent if self.training else bent


def toy_model(classes: int = 5) -> ToyModel:
    """A model(x, t, y) in eval mode, with one parameter, that bends x by timestep and label.

    Each image is treated on its own, label `classes` is the null class (also as `num_classes`, and what
    None means), and in training mode it gives 1.3 times as much, as dropout might.
    """
    return noted(ToyModel(classes).eval(), f"toy_model({classes})")


class ToyClip(nn.Module):
    """What `toy_clip` makes; `batches` has how many pictures it was given, call after call."""

    def __init__(self, image_size, dimensions: int):
        super().__init__()
        height, width = (image_size,) * 2 if isinstance(image_size, int) else image_size
        self.visual = nn.Module()
        self.visual.image_size = image_size
        self.visual.image_mean = (0.45, 0.5, 0.35)
        self.visual.image_std = (0.3, 0.2, 0.25)
        self.wanted, self.batches = (3, height, width), Account()
        generator = torch.Generator().manual_seed(5)
        shapes = ((3 * height * width, 16), (16, dimensions), (64, dimensions))
        self.look, self.map, self.table = (
            nn.Parameter(torch.randn(shape, generator=generator).to(conditions.dtype))
            for shape in shapes
        )

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        if image.ndim != 4 or tuple(image.shape[1:]) != self.wanted:
            wanted = f"(N, {', '.join(map(str, self.wanted))})"
            raise ValueError(f"CLIP wants pictures of shape {wanted}, not {tuple(image.shape)}")
        self.batches.append(len(image))
        seen = torch.tanh(image.flatten(1) @ self.look / len(self.look) ** 0.5)  # (N, 16)
        return _of_length_1(3 * seen @ self.map, normalize)

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        if text.ndim != 2 or text.dtype != torch.int64:
            raise ValueError("CLIP wants tokens of shape (C, L), int64")
        places = torch.arange(1, text.shape[1] + 1).to(self.table)[:, None]  # (L, 1)
        letters = nn.functional.embedding(text % len(self.table), self.table)  # (C, L, D)
        said = torch.sin(places + letters).sum(1)
        return _of_length_1(said, normalize)


def _of_length_1(vectors: Tensor, wanted: bool) -> Tensor:
    return nn.functional.normalize(vectors, dim=-1) if wanted else vectors


def toy_clip(image_size=(6, 9), dimensions: int = 10) -> ToyClip:
    """A model with the interface of open_clip's, in eval mode, of (N, 3, *image_size) pictures.

    It bends what it sees, and the vectors that it gives are of any length.
    """
    return noted(ToyClip(image_size, dimensions).eval(), f"toy_clip({image_size}, {dimensions})")


def toy_tokenizer(texts) -> Tensor:
    """(C, 24) int64: the letters of each text."""
    texts = [texts] if isinstance(texts, str) else list(texts)
    return torch.tensor([[ord(letter) for letter in text[:24].ljust(24)] for text in texts])


def toy_texts(count: int, dimensions: int = 10) -> Tensor:
    """(count, dimensions): directions of length 1, as texts have them."""
    texts = nn.functional.normalize(normal(count, dimensions, seed=3), dim=-1)
    return noted(texts, f"toy_texts({count}, {dimensions})")


def near(value, margin: float) -> Near:
    """A number that chance moves: it may differ from the reference's by `margin` (six sigma, say)."""
    return Near(float(value), float(margin))


def twins(noise: Tensor) -> str:
    """Whether any two images of a batch have "the same" noise or "opposite" noise, or each "its own".

    Pictures need 24 numbers or more: of fewer, chance alone makes some that are as much alike.
    """
    each = nn.functional.normalize(noise.detach().double().reshape(len(noise), -1), dim=1)
    alike = (each @ each.T).fill_diagonal_(0)
    return "the same" if alike.max() > 0.98 else "opposite" if alike.min() < -0.98 else "its own"


def levelled(*draws: Tensor) -> list[str]:
    """What of several draws of noise is exact, and is so on average only when it is left to chance."""
    draws = [draw.detach().double() for draw in draws]
    found = []
    for name, parts in (
        ("each draw", draws),
        ("each image", [image for draw in draws for image in draw]),
    ):
        if max(part.mean().abs() for part in parts) < 2e-6:
            found.append(f"the mean of {name}")
        if any(max((part.std(correction=k) - 1).abs() for part in parts) < 2e-6 for k in (0, 1)):
            found.append(f"the spread of {name}")
    return found


def not_run(why: str) -> dict:
    """What an experiment returns that cannot be run on this machine, with any program.

    It counts as passed, unless the stub of its exercise is still there. The report says why.
    """
    return {NOT_RUN: why}


NOT_RUN = "not run"


def without_compiler() -> None:
    """Let optimisers be made, cleared and saved without torch's compiler, whose import takes a second.

    Torch marks some of their methods as not to be compiled, and imports the compiler for it on first use.
    The steps of torch's own optimisers still do. To be called when a file of experiments is loaded.
    """
    for method in vars(torch.optim.Optimizer).values():
        inner = getattr(method, "__wrapped__", None)
        if inner is not None:
            inner.__dynamo_disable = inner


def compile_nothing() -> None:
    """Let torch.compile hand back what it is given: the sandbox starts no compiler. Numbers are the same."""

    def compile(model=None, **options):
        return model if model is not None else lambda model: model

    torch.compile = compile
    nn.Module.compile = lambda self, *args, **kwargs: None


def after_two_seeds(call) -> str:
    """Whether torch's random state is "the same" after call(), whatever it was seeded with: it sets one."""
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        call()
        states.append(torch.get_rng_state())
    return "the same" if states[0].equal(states[1]) else "different"


def raises(call) -> str:
    """Name of the exception that call() ends with, or "nothing". A stub still counts as a stub.

    Some raise NotImplementedError for what they do not know, with words of their own: that is no stub.
    """
    return told(_raised(call))


def _raised(call) -> str:
    try:
        call()
    except NotImplementedError as error:
        if not error.args or "TODO" in str(error):
            raise
        return "NotImplementedError"
    except ValueError:
        return "ValueError"
    except Exception as error:
        return type(error).__name__
    return "nothing"


def projected(output, seed: int = 99) -> Tensor:
    """One number that depends on every element of a tensor (or of a tuple of tensors)."""
    outputs = output if isinstance(output, tuple | list) else (output,)
    return sum((o * normal(*o.shape, seed=seed)).sum() for o in outputs)


def gradients(output, *inputs: Tensor) -> list[Tensor | None]:
    """Gradients of `projected(output)` with respect to the inputs; None where there is no way back."""
    total = projected(output)
    if not total.requires_grad:
        return [None for _ in inputs]
    return list(torch.autograd.grad(total, inputs, allow_unused=True, retain_graph=True))


def descend(loss, parameters, steps: int, rate: float) -> list[float]:
    """Plain gradient descent on loss(); returns the loss before each step and after the last.

    Not torch.optim, whose first step imports a compiler for a second.
    """
    parameters = [p for p in parameters if p.requires_grad]
    values = []
    for _ in range(steps):
        value = loss()
        values.append(value.item())
        found = torch.autograd.grad(value, parameters, allow_unused=True) if parameters else ()
        for p, gradient in zip(parameters, found, strict=True):
            if gradient is not None:
                p.data.sub_(rate * gradient)
    with torch.no_grad():
        return [*values, loss().item()]


def distinct(module: nn.Module) -> dict[str, int]:
    """How many parameters a module has, and how many numbers in them, each counted once."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    return {"parameters": len(parameters), "numbers": sum(p.numel() for p in parameters)}


def filled(
    module: nn.Module,
    *inputs,
    names: str | None,
    width: int | None = None,
    seed: int = 0,
    turned=lambda p: False,
):
    """Give a module weights that depend on what each parameter does, not on what it is called.

    When the parameters are called as in the reference, each gets the values that go with its name.
    Otherwise parameters of one shape are told apart by what they do: all get the same values, the
    gradient of a fixed projection of the output is taken, its product with a fixed vector ranks them,
    and each gets the values that go with (shape, rank). Parameters that do not require gradients stay.

    Args:
        module: any module; afterwards in eval mode.
        inputs: what to call it with, for parameters that come into being on the first call.
        names: the modules of the reference that own parameters, such as "norm1 conv1 mlp.0"; None
            where even the order of the rows is free, which are then always told apart.
        width: rows that belong together where one layer may be written as several, or several as one.
        seed: of the values.
        turned: tells whether a weight is kept as (in, out), where torch's linear layers have (out, in).
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"{type(module).__name__} is not a torch.nn.Module")
    if place := _unregistered(module):
        raise TypeError(
            f"{place} holds layers or parameters that PyTorch does not find there: "
            "it takes an nn.ModuleList or an nn.ParameterList for that"
        )
    module.to(conditions.dtype).eval()
    with torch.no_grad():
        module(*inputs)
    parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
    weights = [_Weight(p, turned(p)) for p in parameters.values()]
    conditions.signature.append(sorted(str(_squeezed(w.values)) for w in weights))
    owners = {name.rpartition(".")[0] for name in parameters}
    named = names is not None and owners == set(names.split())
    if conditions.fill == "names" and names is not None and not named:
        raise OtherNames
    if named and conditions.fill in ("names", "any"):
        for name, weight in zip(parameters, weights, strict=True):
            _put(weight.values, f"{seed}/{name}")
    else:
        rows = None if conditions.fill == "shapes" and names is not None else width
        _fill_by_rank(module, inputs, weights, rows, seed)
    module.train(conditions.train)
    given = [expression_of(module), *map(expression_of, inputs), f"names={names!r}"]
    given += [f"width={width}"] if width else []
    given += [f"seed={seed}"] if seed else []
    return noted(module, f"filled({', '.join(given)})")


def _unregistered(module: nn.Module) -> str | None:
    """Where a module keeps layers or parameters in a plain list or dictionary: "ClassName.attribute"."""
    known = set(map(id, module.parameters()))
    for owner in module.modules():
        for name, value in vars(owner).items():
            if name.startswith("_") or not isinstance(value, list | tuple | dict):
                continue
            items = value.values() if isinstance(value, dict) else value
            for item in items:
                inside = item.parameters() if isinstance(item, nn.Module) else [item]
                if any(isinstance(p, nn.Parameter) and id(p) not in known for p in inside):
                    return f"{type(owner).__name__}.{name}"
    return None


def _squeezed(p: Tensor) -> tuple[int, ...]:
    return tuple(n for n in p.shape if n != 1)  # a 1×1 convolution is a linear layer


def _put(p: Tensor, key: str) -> None:
    """Fill a parameter, or some rows of one, with the values that go with a key and its shape."""
    shape = _squeezed(p)
    generator = torch.Generator().manual_seed(zlib.crc32(f"{key}/{shape}".encode()))
    values = torch.randn(p.numel(), generator=generator)
    if len(shape) > 1:
        values *= math.sqrt(shape[0] / p.numel())  # 1 / √(fan in): outputs as large as inputs
    else:
        values = 0.5 + 0.5 * values
    with torch.no_grad():
        p.copy_(values.reshape(p.shape))


def _fill_by_rank(module, inputs, weights: list["_Weight"], width: int | None, seed: int) -> None:
    units = [(w, slice(None)) for w in weights]
    if width:
        units = [
            (w, slice(start, start + width) if _splits(w.values, width) else slice(None))
            for w in weights
            for start in (range(0, len(w.values), width) if _splits(w.values, width) else [0])
        ]
    for w, rows in units:
        _put(w.values[rows], f"{seed}/")
    with torch.enable_grad():
        total = projected(module(*inputs))
    if total.requires_grad and weights:
        found = torch.autograd.grad(total, [w.parameter for w in weights], allow_unused=True)
        for w, gradient in zip(weights, found, strict=True):
            w.gradient = gradient.T if w.turned and gradient is not None else gradient
    by_shape: dict[tuple, list] = {}
    for w, rows in units:
        by_shape.setdefault(_squeezed(w.values[rows]), []).append((w, rows))
    for shape, alike in by_shape.items():
        vector = torch.randn(shape, generator=torch.Generator().manual_seed(seed + 7))

        def fingerprint(unit, vector=vector):
            w, rows = unit
            g = w.gradient
            return 0.0 if g is None else (g[rows].reshape(vector.shape) * vector).sum().item()

        for rank, (w, rows) in enumerate(sorted(alike, key=fingerprint)):
            _put(w.values[rows], f"{seed}/{rank}")


def _splits(values: Tensor, width: int) -> bool:
    return values.ndim > 0 and len(values) % width == 0


class _Weight:
    """A parameter, with its values and gradient as a layer of torch's would have them."""

    def __init__(self, parameter: nn.Parameter, turned: bool):
        self.parameter, self.turned, self.gradient = parameter, turned, None
        self.values = parameter.data.T if turned else parameter.data
