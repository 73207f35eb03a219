"""Chapter 2, mistakes that the grader knows by name: timesteps and labels become one vector."""

from checks import misconception

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
    "2.3",
    "ConditionEmbedding looks into the table by itself, where nothing refuses labels outside",
    edit=("+ self.label(y)", "+ (self.label(None) if y is None else self.label.table(y))"),
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
    "t is divided by 1000 on its way into the time embedding: it goes in unscaled",
    edit=("self.time(t) + self.label(y)", "self.time(t / 1000) + self.label(y)"),
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
    "without labels every image gets class 0: y=None means the null class",
    edit=("+ self.label(y)", "+ self.label(torch.zeros_like(t) if y is None else y)"),
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
misconception(
    "2.3",
    "the second Linear starts at zero: a fresh one tells no timestep and no class from another",
    edit=(
        "nn.Linear(4 * dim, 4 * dim))\n",
        "nn.Linear(4 * dim, 4 * dim))\n        nn.init.zeros_(self.mlp[2].weight)\n",
    ),
)
misconception(
    "2.3",
    "a seed is set in __init__ (torch.manual_seed): everybody's random numbers restart there",
    edit=(
        "        self.time = SinusoidalPositionEmbeddings(dim)\n",
        "        torch.manual_seed(0)\n        self.time = SinusoidalPositionEmbeddings(dim)\n",
    ),
)
