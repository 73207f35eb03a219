"""The chapter's mistakes, made in embeddings.py beside a right file of formulas."""

MISTAKES = {
    "t is multiplied by 1000: it goes in unscaled": [
        ("return wave(t, self.dim)", "return wave(t * 1000, self.dim)"),
        ("total = wave(t, self.dim)", "total = wave(1000 * t, self.dim)"),
    ],
    "t is divided by 1000 (the number of timesteps): it goes in unscaled": [
        ("return wave(t, self.dim)", "return wave(t / 1000, self.dim)"),
        ("total = wave(t, self.dim)", "total = wave(t * 0.001, self.dim)"),
    ],
    "t is divided by the largest t of the batch: an embedding then depends on its neighbours": [
        ("return wave(t, self.dim)", "return wave(t / max(1, *t.tolist(), 1), self.dim)"),
        ("total = wave(t, self.dim)", "total = wave(t / max(1, *t.tolist(), 1), self.dim)"),
    ],
    "t is counted from 1: t + 1 goes into the sines": [
        ("return wave(t, self.dim)", "return wave(t + 1, self.dim)"),
        ("total = wave(t, self.dim)", "total = wave(1 + t, self.dim)"),
    ],
    "an odd dim is accepted: the vector comes out one too short": [
        ("range(4, 1 << 20, 2)", "range(4, 1 << 20)"),
        ("return wave(t, self.dim)", "return wave(t, self.dim - self.dim % 2)"),
    ],
    "y=None gives zeros: the null class is a learnt row": [
        ("return null[None]", "return torch.zeros(1, len(null))")
    ],
    "`not y` where `y is None` is meant: class 0 counts as no label": [
        ("if y is None:", "if y is None or set(y.tolist()) == {0}:")
    ],
    "y=None gives row 0, which is a real class: the null class is row num_classes": [
        ("return null[None]", "return table[:1]")
    ],
    "y=None gives the row of the last real class: the null class is one further, row num_classes": [
        ("return null[None]", "return table[-1:]")
    ],
    "y=None gives a vector without the batch axis: (1, dim) is wanted, (dim,) comes": [
        ("return null[None]", "return null")
    ],
    "labels are shifted: class y gets row y − 1": [
        ("torch.vstack([table, null])", "torch.vstack([null, table])")
    ],
    "labels are shifted: class y gets row y + 1, and the null class wraps around to row 0": [
        ("torch.vstack([table, null])", "torch.vstack([table[1:], null, table[0]])")
    ],
    "labels outside end in torch's IndexError: look at them before the table does, "
    "and raise a ValueError": [("if label < 0 or label > len(table):", "if label is None:")],
    "negative labels are accepted: they count from the end of the table": [
        ("if label < 0 or label > len(table):", "if label > len(table):"),
        ("F.embedding(y, torch.vstack([table, null]))", "torch.vstack([table, null])[y]"),
    ],
    "the label num_classes is refused: it is the null class, and allowed": [
        ("label > len(table):", "label >= len(table):")
    ],
    "the class vectors are detached: the table is never learnt": [
        ("torch.vstack([table, null]))", "torch.vstack([table, null]).detach())"),
        ("return null[None]", "return null[None].detach()"),
    ],
    "the product of time and class: they are added": [
        ("wave(t, self.dim) + rows", "wave(t, self.dim) * rows")
    ],
    "the MLP runs on time and class apart, and the results are added: the sum comes first": [
        ("total = wave(t, self.dim) + rows", "layers = self.w1, self.b1, self.w2, self.b2"),
        (
            "return perceptron(total, self.w1, self.b1, self.w2, self.b2)",
            "return perceptron(rows, *layers) + perceptron(wave(t, self.dim), *layers)",
        ),
    ],
    "the class is ignored": [("wave(t, self.dim) + rows", "wave(t, self.dim)")],
    "the time is ignored": [
        ("total = wave(t, self.dim) + rows", "total = rows.expand(len(t), -1)")
    ],
    "without labels the class is left out: y=None means the null class": [
        ("self.dim) + rows", "self.dim) + (rows if y is not None else 0)")
    ],
    "an activation after the second layer: the MLP ends with the Linear": [
        (
            "return perceptron(total, self.w1, self.b1, self.w2, self.b2)",
            "return F.silu(perceptron(total, self.w1, self.b1, self.w2, self.b2))",
        )
    ],
    "the second Linear has no bias": [
        ("self.w2, self.b2 = layer(4 * dim, 4 * dim)", "self.w2, _ = layer(4 * dim, 4 * dim)"),
        ("self.w2, self.b2)", "self.w2, None)"),
    ],
    "the two embeddings are computed without gradients: the table is never learnt": [
        ("        rows =", "        with torch.no_grad():\n            rows =")
    ],
}
