"""Chapter 2: timesteps and labels become one vector.

One mistake should not hide another: most mistakes in the frequencies leave t = 0 alone, so the MLP is
observed there by itself; and few experiments use the null label, which some programs refuse.
"""

from checks import experiment, misconception
from checks.elsewhere import DEVICE, brought_back, elsewhere
from checks.lab import *

THERE = "there, too"


def labelled(impl, classes, dim):
    """A class embedding with known rows."""
    module = filled(impl.ClassEmbedding(classes, dim), labels(0), names="table")
    if not list(module.parameters()):
        raise TypeError(
            "ClassEmbedding has no parameters: its vectors have to be an nn.Embedding or nn.Parameters"
        )
    return joined(module, classes, dim)


def weighted(impl, classes, dim, t, y):
    """A condition embedding with weights that depend on what each parameter does."""
    module = impl.ConditionEmbedding(classes, dim)
    names = "label.table mlp.0 mlp.2"
    module = filled(module, t, y, names=names, turned=kept_as_in_out(module, dim))
    return joined(module, classes, dim)


def kept_as_in_out(module, dim):
    """Which weights of the MLP are (in, out), for x @ w + b: both, where the first one shows it."""
    lazy = torch.nn.parameter.is_lazy
    shapes = [tuple(p.shape) for p in module.parameters() if not lazy(p)]
    first, second = (dim, 4 * dim), (4 * dim, 4 * dim)
    shown = first in shapes and first[::-1] not in shapes
    return lambda p: shown and tuple(p.shape) in (first, second)


def joined(module, classes, dim):
    """Where the class vectors are not the rows of one table: the values that those would have.

    They may be columns, for one-hot vectors, a table of the real classes and a null vector, or as
    many vectors as there are classes.
    """
    vectors = [p for p in module.parameters() if tuple(p.shape) in ((dim,), (1, dim))]
    shaped = {tuple(p.shape): p.data for p in module.parameters()}
    columns = shaped.get((dim, classes + 1))
    table, null = shaped.get((classes, dim)), shaped.get((dim,), shaped.get((1, dim)))
    one_by_one = len(vectors) == classes + 1
    if one_by_one or columns is not None or (table is not None and null is not None):
        rows = filled(torch.nn.Embedding(classes + 1, dim), labels(0), names="").weight.data
        if one_by_one:
            for vector, row in zip(vectors, rows, strict=True):
                vector.data.copy_(row.reshape(vector.shape))
        elif columns is not None:
            columns.copy_(rows.T)
        else:
            table.copy_(rows[:-1])
            null.copy_(rows[-1].reshape(null.shape))
    return module


def pulled(module, target, *inputs):
    """What a module gives after one step of gradient descent towards a target; None without a graph.

    For rows of a table the step of rate 1 lands on the target, whatever the table held before.
    """
    if not module(*inputs).requires_grad:
        return None
    descend(lambda: ((module(*inputs) - target) ** 2).sum() / 2, module.parameters(), 1, rate=1.0)
    return module(*inputs)


def away(module, t):
    """Where that lies which a module gives when it and t are on another device, in words."""
    try:
        with elsewhere():
            there = module.to(DEVICE)(None if t is None else t.to(DEVICE))
    except Exception as error:
        # Anything else is something that the stand-in for a GPU cannot do.
        return "an error: two devices meet" if "same device" in str(error) else THERE
    return THERE if isinstance(brought_back(there), torch.Tensor) else brought_back(there)


@experiment(
    "2.1",
    "At t = 0 every sine is 0 and every cosine 1: zeros first, then ones",
    points=1,
    hint=(
        "sin(0) = 0 and cos(0) = 1: where in the vector should the zeros be?",
        "All the sines stand in the first half, all the cosines in the second: [sin, sin, …, cos, cos, …].",
        "torch.cat([angles.sin(), angles.cos()], dim=1), with angles of shape (B, half).",
    ),
)
def begins_with_zeros_and_ones(impl):
    return impl.SinusoidalPositionEmbeddings(10)(timesteps(0, 0, 0))


@experiment(
    "2.1",
    "Each pair of columns turns at its own frequency, from 1 down to 1/10000",
    points=3,
    hint=(
        "Take dim = 4 and t = 1 and reckon by hand: the frequencies are 1 and 1/10000.",
        "i runs from 0 to half − 1 and is divided by half − 1, so that the exponent runs from 0 to −1, "
        "both ends included. t goes in as it is.",
        "frequencies = exp(−ln(10000) · i / (half − 1)), and angles[b, i] = t[b] · frequencies[i].",
    ),
)
def turns_at_its_frequency(impl):
    t = timesteps(0, 1, 2, 50, 7, 10, 7)
    modules = {dim: impl.SinusoidalPositionEmbeddings(dim) for dim in (4, 10, 16)}
    seen = {f"dim {dim}": module(t) for dim, module in modules.items()}
    return {**seen, "dim 10, then other timesteps": modules[10](timesteps(3, 50, 0, 9, 1, 2, 8))}


@experiment(
    "2.1",
    "The last of 1000 timesteps is no exception",
    points=1,
    hint=(
        "What happens to a large t on its way to the sine: is it cut off, wrapped, or rounded?",
        "The angles have to be float32 numbers: half precision cannot tell 998 from 999 radians, "
        "and int8 ends at 127.",
    ),
)
def goes_on_to_the_last_timestep(impl):
    embedded = impl.SinusoidalPositionEmbeddings(6)(timesteps(999, 998, 500))
    # Frequencies that are right in float32 still move the angle by 1e-4 here.
    return [[near(value, 0.01) for value in row] for row in embedded.tolist()]


@experiment(
    "2.1",
    "There is nothing to learn in it, and it gives float32, on the device of t",
    points=1,
    hint=(
        "The frequencies are constants. A tensor that optimisers leave alone is a buffer, or is made "
        "anew in each call.",
        "nn.Parameter is for what is learnt: use self.register_buffer(…). A numpy table needs "
        "torch.from_numpy(table).float(), because numpy counts in float64. What is made in the call needs "
        "device=t.device.",
    ),
)
def is_a_constant(impl):
    module = impl.SinusoidalPositionEmbeddings(8)
    embedded = module(timesteps(3))
    return {
        "type": str(embedded.dtype),
        "shape": list(embedded.shape),
        "learnable": distinct(module)["numbers"],
        "carries a gradient": embedded.requires_grad,
        "with t on another device": away(module, timesteps(3)),
    }


@experiment(
    "2.1",
    "Odd lengths and lengths below 4 are refused",
    points=1,
    hint=(
        "Half of the vector is sines and half is cosines: which dim cannot be halved? And what is "
        "half − 1 for dim = 2?",
        "raise ValueError(…) in __init__ when dim is odd or below 4.",
    ),
)
def refuses_odd_lengths(impl):
    dims = (4, 5, 6, 7, 2, 0)
    t = timesteps(1, 2)
    return {f"dim {d}": raises(lambda d=d: impl.SinusoidalPositionEmbeddings(d)(t)) for d in dims}


@experiment(
    "2.2",
    "Each label gets its own row, and the null class the last one",
    points=2,
    hint=(
        "Row y of the table is the vector of class y: nothing is added to the label.",
        "The table has num_classes + 1 rows; label num_classes is as good a label as any other, and so "
        "is 0: ask `y is None`, not `not y`.",
        "return self.table(y)",
    ),
)
def finds_the_rows(impl):
    y = labels(3, 0, 5, 1, 3, 4, 0, 2)
    module = labelled(impl, 5, 8)
    return {
        "a batch": module(y),
        "class 0 alone": module(labels(0)),
        "the null class alone": module(labels(5, 5, 5)),
    }


@experiment(
    "2.2",
    "Without labels it is the null class",
    points=1,
    hint=(
        "y = None means the null class: the row that label num_classes has, not zeros.",
        "The result for None has one row, shape (1, dim): it broadcasts over any batch. An index that you "
        "make for it has to be where the table is (device=…).",
        "self.table.weight[self.num_classes :] keeps the axis that weight[self.num_classes] would drop.",
    ),
)
def none_is_the_null_class(impl):
    module = labelled(impl, 4, 6)
    return {
        "None": module(None),
        "with the module on another device, the result is": away(module, None),
    }


@experiment(
    "2.2",
    "Every row is learnt, the null row too",
    points=1,
    hint=(
        "After one step of gradient descent every row should have moved to its target. Which has not?",
        "padding_idx keeps a row at zero for ever; detach(), .data and no_grad() cut the graph.",
        "nn.Embedding(num_classes + 1, dim), and hand out its rows just as they are.",
    ),
)
def every_row_learns(impl):
    return pulled(impl.ClassEmbedding(5, 8), normal(6, 8), labels(3, 0, 5, 1, 4, 2))


@experiment(
    "2.2",
    "What is learnt without labels is learnt by the null class, and by it alone",
    points=1,
    hint=(
        "Training drops some labels by writing num_classes; sampling passes None. Both must meet in "
        "one row, and this row must be learnt.",
        "For None, hand out the null row itself: not a copy, not zeros, not another class.",
    ),
)
def none_teaches_the_null_class(impl):
    module = impl.ClassEmbedding(4, 6)
    y = labels(4, 2, 0, 3, 1)
    pulled(module, normal(5, 6), y)
    without = pulled(module, normal(1, 6, seed=1), None)
    return {"y=None": without, "with labels": None if without is None else module(y)}


@experiment(
    "2.2",
    "Labels outside are a ValueError",
    points=1,
    hint=(
        "Allowed are 0, 1, … num_classes, both ends included. What does your code do with −1, and with "
        "num_classes + 1?",
        "Look at the smallest and the largest label before the table is used; the table's own "
        "IndexError says nothing about classes, and indexing takes −1 for the last row.",
        "if y.min() < 0 or y.max() > self.num_classes: raise ValueError(…)",
    ),
)
def refuses_labels_outside(impl):
    module = impl.ClassEmbedding(5, 6)
    cases = [(0, 5), (0, -1), (6, 2), (3, 1, 700), (-6, 4), (-1, 6)]
    return {str(list(case)): raises(lambda c=case: module(labels(*c))) for case in cases}


@experiment(
    "2.3",
    "It is Linear, SiLU, Linear on the sum (seen at t = 0)",
    points=2,
    hint=(
        "Time and class are added before the MLP; there is one MLP, and it sees only the sum.",
        "Linear(dim, 4·dim), SiLU, Linear(4·dim, 4·dim), and nothing after it.",
        "return self.mlp(self.time(t) + self.label(y))",
    ),
)
def is_an_mlp_of_the_sum(impl):
    t, y = timesteps(0, 0, 0, 0), labels(2, 0, 3, 2)
    return weighted(impl, 4, 6, t, y)(t, y)


@experiment(
    "2.3",
    "Every timestep with every class is a condition of its own",
    points=2,
    hint=(
        "If 2.1 and 2.2 pass: does each row b use t[b] and y[b], both of them?",
        "Print the condition for two timesteps and one class, then for one timestep and two classes: "
        "the rows must differ.",
    ),
)
def depends_on_time_and_class(impl):
    t, y = timesteps(1, 10, 50, 1, 2, 10, 1), labels(2, 0, 2, 3, 1, 3, 0)
    module = weighted(impl, 4, 8, t, y)
    return {"a batch": module(t, y), "one image": module(timesteps(9), labels(1))}


@experiment(
    "2.3",
    "Without labels every image has the null class",
    points=1,
    hint=(
        "y may be None, and may be left out: both mean the null class for the whole batch.",
        "Leave None to ClassEmbedding: its (1, dim) is added to the (B, dim) of the time by broadcasting. "
        "Do not skip the class. Labels that you make yourself need device=t.device.",
    ),
)
def without_labels(impl):
    t = timesteps(0, 9, 2)
    module = weighted(impl, 4, 6, t, labels(3, 1, 2))
    zeros = labels(0, 0, 0)
    seen = {"y left out": module(t), "y=None": module(t, None), "class 0": module(t, zeros)}
    # Where one of the two stays behind by itself, that has cost its points already.
    parts = away(impl.SinusoidalPositionEmbeddings(6), t), away(impl.ClassEmbedding(4, 6), None)
    place = away(module, t) if parts == (THERE, THERE) else THERE
    return {**seen, "with module and t on another device, the result is": place}


@experiment(
    "2.3",
    "The gradient reaches the class vectors and both layers",
    points=1,
    hint=(
        "Everything between the loss and the table has to stay in the graph.",
        "Look for detach(), .data, torch.no_grad() and torch.tensor(…) around the two embeddings; is "
        "there a weight that your forward never uses?",
    ),
)
def gradients_arrive(impl):
    t, y = timesteps(1, 8, 3, 5), labels(2, 5, 0, 2)
    module = weighted(impl, 5, 8, t, y)
    parameters = [p for p in module.parameters() if p.requires_grad]
    places = [f"norm in the {place}" for place in ("class vectors", "layers")]
    squares = {place + which: 0.0 for which in ("", ", without labels") for place in places}
    for which, out in (("", module(t, y)), (", without labels", module(t))):
        for p, g in zip(parameters, gradients(out, *parameters), strict=True):
            place = places[0] if p.numel() in (6 * 8, 5 * 8, 8) else places[1]
            squares[place + which] += 0.0 if g is None else g.square().sum().item()
    return {place: total**0.5 for place, total in squares.items()}


@experiment(
    "2.3",
    "A fresh one has the right size, and learns",
    points=1,
    hint=(
        "Count: a table of (num_classes + 1) × dim, two layers with their biases, nothing else.",
        "Zeroed or hugely scaled layers keep it from learning: leave them as torch starts them. There is "
        "no dropout in it either, and no seed is set.",
    ),
)
def starts_ready_to_learn(impl):
    module, table = impl.ConditionEmbedding(4, 8), impl.ClassEmbedding(4, 8)
    t, y = timesteps(1, 10, 50, 1, 2, 10), labels(2, 0, 2, 3, 1, 3)
    target = normal(6, 32)
    fresh, another = module(t, y), impl.ConditionEmbedding(4, 8)(t, y)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    again = module(t, y)
    after = torch.get_rng_state()
    without = module(t)
    module.eval()
    calm = max((module(t, y) - fresh).abs().max(), (module(t) - without).abs().max())
    module.train()
    table(y)
    losses = descend(
        lambda: ((module(t, y) - target) ** 2).mean(), module.parameters(), 40, rate=0.5
    )
    return {
        "numbers in the class embedding": distinct(table)["numbers"],
        "numbers in all": distinct(module)["numbers"],
        "moves from call to call": (again - fresh).abs().max().item(),
        "differs in eval mode": calm.item(),
        "torch's random state over a call": "the same" if before.equal(after) else "different",
        "two fresh ones": "the same" if fresh.equal(another) else "different",
        "log10 of its standard deviation": near(fresh.std().clamp(min=1e-9).log10().item(), 1.5),
        "loss left": near(losses[-1] / losses[0], 0.75),
    }


misconception(
    "2.1",
    "cosines before sines: the sines come first",
    edit=("[angles.sin(), angles.cos()]", "[angles.cos(), angles.sin()]"),
)
misconception(
    "2.1",
    "sines and cosines in turn (sin, cos, sin, cos, …): all the sines come first, then all the cosines",
    edit=(
        "torch.cat([angles.sin(), angles.cos()], dim=1)",
        "torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)",
    ),
)
misconception(
    "2.1",
    "sines and cosines are put below each other (dim=0): they go side by side, dim=1",
    edit=("angles.cos()], dim=1)", "angles.cos()], dim=0)"),
)
misconception(
    "2.1",
    "the frequencies stay behind on the CPU when t is on another device",
    edit=("self.frequencies[None, :]", "self.frequencies.cpu()[None, :]"),
)
misconception(
    "2.1",
    "i divided by half (Vaswani's 2i/dim) where half − 1 belongs: the last frequency stays above 1/10000",
    edit=("/ (half - 1)", "/ half"),
)
misconception(
    "2.1",
    "i divided by dim: the frequencies end near 1/100, half way down",
    edit=("/ (half - 1)", "/ dim"),
)
misconception(
    "2.1",
    "i counted from 1: the first frequency, 1, is missing",
    edit=("torch.arange(half, ", "torch.arange(1, half + 1, "),
)
misconception(
    "2.1",
    "whole-number division in the exponent (//): all frequencies but the last are 1",
    edit=("/ (half - 1)", "// (half - 1)"),
)
misconception(
    "2.1",
    "the minus sign of the exponent is missing: the frequencies rise to 10000 instead of falling",
    edit=("-math.log(10000)", "math.log(10000)"),
)
misconception(
    "2.1",
    "log10 where the natural logarithm belongs: exp and ln go together",
    edit=("math.log(10000)", "math.log10(10000)"),
)
misconception(
    "2.1",
    "base 1000 where 10000 belongs",
    edit=("math.log(10000)", "math.log(1000)"),
)
misconception(
    "2.1",
    "t is multiplied by 1000: it goes in unscaled",
    edit=("t[:, None].float()", "t[:, None].float() * 1000"),
)
misconception(
    "2.1",
    "t is divided by 1000 (the number of timesteps): it goes in unscaled",
    edit=("t[:, None].float()", "t[:, None].float() / 1000"),
)
misconception(
    "2.1",
    "t is divided by the largest t of the batch: an embedding then depends on its neighbours",
    edit=("t[:, None].float()", "t[:, None].float() / t.max().clamp(min=1)"),
)
misconception(
    "2.1",
    "what one call gave is kept for the next with as many timesteps, whatever t is then",
    edit=(
        "return torch.cat([angles.sin(), angles.cos()], dim=1)",
        "kept = vars(self).setdefault('kept', {})\n"
        "        return kept.setdefault(len(t), torch.cat([angles.sin(), angles.cos()], dim=1))",
    ),
)
misconception(
    "2.1",
    "t is counted from 1: t + 1 goes into the sines",
    edit=("t[:, None].float()", "(t[:, None].float() + 1)"),
)
misconception(
    "2.1",
    "the angles are taken for degrees: torch's sin and cos want radians",
    edit=("self.frequencies[None, :]", "self.frequencies[None, :] * (math.pi / 180)"),
)
misconception(
    "2.1",
    "a factor of 2π in the angles: the first frequency is 1, not 2π",
    edit=("self.frequencies[None, :]", "self.frequencies[None, :] * (2 * math.pi)"),
)
misconception(
    "2.1",
    "t divided as a whole number (//) by the wavelengths: the angles come in steps",
    edit=(
        "t[:, None].float() * self.frequencies[None, :]",
        'torch.div(t[:, None], 1 / self.frequencies, rounding_mode="floor").float()',
    ),
)
misconception(
    "2.1",
    "float64 comes out: a table made by numpy or in double precision was not cast to float32",
    edit=(".float()\n        self.register_buffer", "\n        self.register_buffer"),
)
misconception(
    "2.1",
    "the result is cast to the type of t: whole numbers come out",
    edit=("angles.cos()], dim=1)", "angles.cos()], dim=1).to(t.dtype)"),
)
misconception(
    "2.1",
    "t in half precision (bfloat16): beyond 256 neighbouring timesteps become the same",
    edit=("t[:, None].float()", "t[:, None].bfloat16().float()"),
)
misconception(
    "2.1",
    "the frequencies are an nn.Parameter: training would change them",
    edit=(
        'self.register_buffer("frequencies", frequencies, persistent=False)',
        "self.frequencies = nn.Parameter(frequencies)",
    ),
)
misconception(
    "2.1",
    "an odd dim is accepted: the vector comes out one too short",
    edit=("if dim < 4 or dim % 2:", "if dim < 4:"),
)
misconception(
    "2.1",
    "a dim below 4 is accepted: half − 1 is then zero, or there is nothing to return",
    edit=("if dim < 4 or dim % 2:", "if dim % 2:"),
)
misconception(
    "2.1",
    "t is divided by T − 1 (999): it goes in unscaled",
    edit=("t[:, None].float()", "t[:, None].float() / 999"),
)
misconception(
    "2.1",
    "sines in both halves: the second half is the cosines",
    edit=("[angles.sin(), angles.cos()]", "[angles.sin(), angles.sin()]"),
)
misconception(
    "2.1",
    "base 100000 where 10000 belongs",
    edit=("math.log(10000)", "math.log(100000)"),
)
misconception(
    "2.2",
    "padding_idx on the null class: its row is zero and is never learnt",
    edit=("num_classes + 1, dim)", "num_classes + 1, dim, padding_idx=num_classes)"),
)
misconception(
    "2.2",
    "max_norm in the table: longer vectors are cut down as soon as they are looked up",
    edit=("num_classes + 1, dim)", "num_classes + 1, dim, max_norm=1.0)"),
)
misconception(
    "2.2",
    "padding_idx on the null class, and y=None looks it up as well: nothing ever trains it",
    edit=(
        ("num_classes + 1, dim)", "num_classes + 1, dim, padding_idx=num_classes)"),
        (
            "self.table.weight[self.num_classes :]",
            "self.table(torch.tensor([self.num_classes], device=self.table.weight.device))",
        ),
    ),
)
misconception(
    "2.2",
    "the null class has no row: the table needs num_classes + 1 rows",
    edit=(
        ("nn.Embedding(num_classes + 1, dim)", "nn.Embedding(num_classes, dim)"),
        (
            "self.table.weight[self.num_classes :]",
            "self.table(torch.tensor([self.num_classes], device=self.table.weight.device))",
        ),
    ),
)
misconception(
    "2.2",
    "y=None gives zeros: the null class is a learnt row",
    edit=("self.table.weight[self.num_classes :]", "torch.zeros_like(self.table.weight[:1])"),
)
misconception(
    "2.2",
    "y=None has a vector of its own, which label num_classes does not share",
    edit=(
        (
            "self.table = nn.Embedding(num_classes + 1, dim)",
            "self.table = nn.Embedding(num_classes + 1, dim)\n"
            "        self.nothing = nn.Parameter(torch.ones(1, dim))",
        ),
        ("self.table.weight[self.num_classes :]", "self.nothing"),
    ),
)
misconception(
    "2.2",
    "the class vectors are multiplied by √dim, as Transformers do with words: they go out as they are",
    edit=(
        ("return self.table(y)", "return self.table(y) * self.table.embedding_dim**0.5"),
        (
            "self.table.weight[self.num_classes :]",
            "self.table.weight[self.num_classes :] * self.table.embedding_dim**0.5",
        ),
    ),
)
misconception(
    "2.2",
    "`not y` where `y is None` is meant: class 0 counts as no label",
    edit=("if y is None:", "if y is None or not y.any():"),
)
misconception(
    "2.2",
    "y=None gives row 0, which is a real class: the null class is row num_classes",
    edit=("self.table.weight[self.num_classes :]", "self.table.weight[:1]"),
)
misconception(
    "2.2",
    "y=None gives the row of the last real class: the null class is one further, row num_classes",
    edit=(
        "self.table.weight[self.num_classes :]",
        "self.table.weight[self.num_classes - 1 : self.num_classes]",
    ),
)
misconception(
    "2.2",
    "y=None gives a vector without the batch axis: (1, dim) is wanted, (dim,) comes",
    edit=("self.table.weight[self.num_classes :]", "self.table.weight[self.num_classes]"),
)
misconception(
    "2.2",
    "for y=None an index is made on the CPU, wherever the table is: torch.tensor needs device=…",
    edit=(
        "self.table.weight[self.num_classes :]",
        "self.table(torch.tensor([self.num_classes]))",
    ),
)
misconception(
    "2.2",
    "labels are shifted: class y gets row y − 1",
    edit=("return self.table(y)", "return self.table.weight[y - 1]"),
)
misconception(
    "2.2",
    "labels are shifted: class y gets row y + 1, and the null class wraps around to row 0",
    edit=("return self.table(y)", "return self.table((y + 1) % (self.num_classes + 1))"),
)
misconception(
    "2.2",
    "labels outside end in torch's IndexError: look at them before the table does, and raise a ValueError",
    edit=('if y.device.type == "cpu" and y.numel() and', "if False and"),
)
misconception(
    "2.2",
    "refused only when all labels of a batch are outside: a single one is enough (any, not all)",
    edit=(
        "not 0 <= y.min() <= y.max() <= self.num_classes",
        "((y < 0) | (y > self.num_classes)).all()",
    ),
)
misconception(
    "2.2",
    "labels outside are clamped or wrapped around, and silently become other classes",
    edit=(
        ('if y.device.type == "cpu" and y.numel() and', "if False and"),
        ("return self.table(y)", "return self.table(y.clamp(0, self.num_classes))"),
    ),
)
misconception(
    "2.2",
    "negative labels are accepted: they count from the end of the table",
    edit=(
        ("not 0 <= y.min() <= y.max() <= self.num_classes", "y.max() > self.num_classes"),
        ("return self.table(y)", "return self.table.weight[y]"),
    ),
)
misconception(
    "2.2",
    "the label num_classes is refused: it is the null class, and allowed",
    edit=("<= y.max() <= self.num_classes", "<= y.max() < self.num_classes"),
)
misconception(
    "2.2",
    "the class vectors are detached: the table is never learnt",
    edit=(
        ("return self.table(y)", "return self.table(y).detach()"),
        ("self.table.weight[self.num_classes :]", "self.table.weight[self.num_classes :].detach()"),
    ),
)
misconception(
    "2.3",
    "the product of time and class: they are added",
    edit=("self.time(t) + self.label(y)", "self.time(t) * self.label(y)"),
)
misconception(
    "2.3",
    "time and class are concatenated: they are added",
    edit=(
        ("nn.Linear(dim, 4 * dim), nn.SiLU()", "nn.Linear(2 * dim, 4 * dim), nn.SiLU()"),
        (
            "self.time(t) + self.label(y)",
            "torch.cat([self.time(t), self.label(y).expand(len(t), -1)], dim=1)",
        ),
    ),
)
misconception(
    "2.3",
    "the mean of time and class: they are added",
    edit=("self.time(t) + self.label(y)", "(self.time(t) + self.label(y)) / 2"),
)
misconception(
    "2.3",
    "the MLP runs on the time alone, and the class is added after it",
    edit=(
        ("ClassEmbedding(num_classes, dim)", "ClassEmbedding(num_classes, 4 * dim)"),
        ("self.mlp(self.time(t) + self.label(y))", "self.mlp(self.time(t)) + self.label(y)"),
    ),
)
misconception(
    "2.3",
    "the MLP runs on time and class apart, and the results are added: the sum comes first",
    edit=(
        "self.mlp(self.time(t) + self.label(y))",
        "self.mlp(self.time(t)) + self.mlp(self.label(y))",
    ),
)
misconception(
    "2.3",
    "the class is ignored",
    edit=("self.time(t) + self.label(y)", "self.time(t)"),
)
misconception(
    "2.3",
    "the time is ignored",
    edit=("self.time(t) + self.label(y)", "self.label(y).expand(len(t), -1)"),
)
misconception(
    "2.3",
    "without labels the class is left out: y=None means the null class",
    edit=("+ self.label(y)", "+ (0 if y is None else self.label(y))"),
)
misconception(
    "2.3",
    "without labels nothing is learnt by the null class: its vector is detached",
    edit=("+ self.label(y)", "+ (self.label(None).detach() if y is None else self.label(y))"),
)
misconception(
    "2.3",
    "the labels for y=None are made on the CPU, wherever t is: torch.full needs device=t.device",
    edit=(
        "+ self.label(y)",
        "+ self.label(torch.full(t.shape, self.label.num_classes) if y is None else y)",
    ),
)
misconception(
    "2.3",
    "the class is left out in training mode when there are no labels: y=None means the null class there, too",
    edit=("+ self.label(y)", "+ (0 if y is None and self.training else self.label(y))"),
)
misconception(
    "2.3",
    "a batch of one image loses its batch axis (squeeze)",
    edit=(
        "self.mlp(self.time(t) + self.label(y))",
        "self.mlp(self.time(t) + self.label(y)).squeeze(0)",
    ),
)
misconception(
    "2.3",
    "ReLU for SiLU",
    edit=("nn.SiLU()", "nn.ReLU()"),
)
misconception(
    "2.3",
    "GELU for SiLU",
    edit=("nn.SiLU()", "nn.GELU()"),
)
misconception(
    "2.3",
    "sigmoid for SiLU, which is x · sigmoid(x)",
    edit=("nn.SiLU()", "nn.Sigmoid()"),
)
misconception(
    "2.3",
    "tanh for SiLU",
    edit=("nn.SiLU()", "nn.Tanh()"),
)
misconception(
    "2.3",
    "an activation before the first layer as well: the MLP begins with the Linear",
    edit=(
        "self.mlp(self.time(t) + self.label(y))",
        "self.mlp(nn.functional.silu(self.time(t) + self.label(y)))",
    ),
)
misconception(
    "2.3",
    "no activation between the layers: two Linears in a row are one",
    edit=("nn.SiLU()", "nn.Identity()"),
)
misconception(
    "2.3",
    "an activation after the second layer: the MLP ends with the Linear",
    edit=("nn.Linear(4 * dim, 4 * dim))", "nn.Linear(4 * dim, 4 * dim), nn.SiLU())"),
)
misconception(
    "2.3",
    "the second Linear is missing",
    edit=("nn.SiLU(), nn.Linear(4 * dim, 4 * dim))", "nn.SiLU())"),
)
misconception(
    "2.3",
    "the second Linear goes back to dim: cond has 4·dim numbers",
    edit=("nn.Linear(4 * dim, 4 * dim))", "nn.Linear(4 * dim, dim))"),
)
misconception(
    "2.3",
    "the MLP is not used: the sum itself comes back",
    edit=("self.mlp(self.time(t) + self.label(y))", "self.time(t) + self.label(y)"),
)
misconception(
    "2.3",
    "the layer between has 2·dim numbers: both layers end with 4·dim",
    edit=(
        "nn.Linear(dim, 4 * dim), nn.SiLU(), nn.Linear(4 * dim, 4 * dim))",
        "nn.Linear(dim, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, 4 * dim))",
    ),
)
misconception(
    "2.3",
    "the first Linear has no bias",
    edit=("nn.Linear(dim, 4 * dim), nn.SiLU()", "nn.Linear(dim, 4 * dim, bias=False), nn.SiLU()"),
)
misconception(
    "2.3",
    "the second Linear has no bias",
    edit=("nn.Linear(4 * dim, 4 * dim))", "nn.Linear(4 * dim, 4 * dim, bias=False))"),
)
misconception(
    "2.3",
    "a seed is set in forward (torch.manual_seed): everybody's random numbers restart at every call",
    edit=("return self.mlp(", "torch.manual_seed(0)\n        return self.mlp("),
)
misconception(
    "2.3",
    "the two embeddings are computed without gradients: the table is never learnt",
    edit=(
        "self.mlp(self.time(t) + self.label(y))",
        "self.mlp((self.time(t) + self.label(y)).detach())",
    ),
)
