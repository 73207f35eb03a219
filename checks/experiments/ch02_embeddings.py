"""Chapter 2: timesteps and labels become one vector.

One mistake should not hide another: most mistakes in the frequencies leave t = 0 alone, so the MLP is
observed there by itself; and few experiments use the null label, which some programs refuse.
"""

from checks import experiment
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
    learnt = [p for p in module.parameters() if p.requires_grad]  # frozen ones are frequencies
    vectors = [p for p in learnt if tuple(p.shape) in ((dim,), (1, dim))]
    shaped = {tuple(p.shape): p.data for p in learnt}
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
    module = impl.SinusoidalPositionEmbeddings(dim=8)
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
    return pulled(impl.ClassEmbedding(num_classes=5, dim=8), normal(6, 8), labels(3, 0, 5, 1, 4, 2))


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
    seen = {str(list(case)): raises(lambda c=case: module(labels(*c))) for case in cases}
    module.eval()
    return {
        **seen,
        "[0, 6] in eval mode": raises(lambda: module(labels(0, 6))),
        "num_classes 1": raises(lambda: impl.ClassEmbedding(1, 6)(labels(1))),
    }


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
    seen = {"a batch": module(t, y), "one image": module(timesteps(9), labels(1))}
    # Where labels outside are refused nowhere, that has cost its points in 2.2.
    alone = raises(lambda: impl.ClassEmbedding(4, 8)(labels(0, 5)))
    here = raises(lambda: module(timesteps(1, 2), labels(0, 5)))
    return {**seen, "a label outside": "is as in ClassEmbedding" if here == alone else here}


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
    module = impl.ConditionEmbedding(num_classes=4, dim=8)
    table = impl.ClassEmbedding(4, 8)
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
        "torch's random state after making one, from two seeds": after_two_seeds(
            lambda: impl.ConditionEmbedding(4, 8)
        ),
        "all its rows": "the same" if (fresh - fresh[:1]).abs().max() < 1e-6 else "different",
        "log10 of its standard deviation": near(fresh.std().clamp(min=1e-9).log10().item(), 1.5),
        "loss left": near(losses[-1] / losses[0], 0.75),
    }
