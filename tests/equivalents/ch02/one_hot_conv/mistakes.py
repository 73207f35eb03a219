"""The chapter's mistakes, made with one-hot vectors, convolutions and float64 angles."""

FREQUENCIES = "torch.linspace(0, -4 * math.log(10), dim // 2, dtype=torch.float64)"

MISTAKES = {
    "cosines before sines: the sines come first": [
        (" = torch.sin(angles)", " = torch.cos(angles)"),
        ("len(self.freq) :] = torch.cos(angles)", "len(self.freq) :] = torch.sin(angles)"),
    ],
    "sines and cosines in turn (sin, cos, sin, cos, …): all the sines come first, "
    "then all the cosines": [
        ("result[:, : len(self.freq)] =", "result[:, 0::2] ="),
        ("result[:, len(self.freq) :] =", "result[:, 1::2] ="),
    ],
    "i divided by half (Vaswani's 2i/dim) where half − 1 belongs: the last frequency stays "
    "above 1/10000": [
        (FREQUENCIES, f"{FREQUENCIES.replace('dim // 2,', 'dim // 2 + 1,')}[:-1]"),
    ],
    "i counted from 1: the first frequency, 1, is missing": [
        (FREQUENCIES, f"({FREQUENCIES} - 4 * math.log(10) / (dim // 2 - 1))"),
    ],
    "the minus sign of the exponent is missing: the frequencies rise to 10000 instead of falling": [
        ("-4 * math.log(10)", "4 * math.log(10)")
    ],
    "log10 where the natural logarithm belongs: exp and ln go together": [
        ("-4 * math.log(10)", "-4 * math.log10(10)")
    ],
    "base 1000 where 10000 belongs": [("-4 * math.log(10)", "-3 * math.log(10)")],
    "a factor of 2π in the angles: the first frequency is 1, not 2π": [
        ("torch.outer(t.double()", "torch.outer(math.tau * t.double()")
    ],
    "float64 comes out: a table made by numpy or in double precision was not cast to float32": [
        ("dtype=torch.float32", "dtype=torch.float64"),
        ("cond = self.mlp(total", "cond = self.mlp(total.float()"),
    ],
    "a dim below 4 is accepted: half − 1 is then zero, or there is nothing to return": [
        ("if dim < 4 or dim / 2", "if dim / 2")
    ],
    "an odd dim is accepted: the vector comes out one too short": [
        ("if dim < 4 or dim / 2 != dim // 2:", "if dim < 4:")
    ],
    "labels are shifted: class y gets row y − 1": [
        ("F.one_hot(y, self.rows)", "F.one_hot((y - 1) % self.rows, self.rows)"),
        (
            "y = self.table.new_tensor([self.rows - 1], dtype=torch.long)",
            "y = self.table.new_tensor([0], dtype=torch.long)",
        ),
        ("torch.full_like(t, self.label.rows - 1)", "torch.zeros_like(t)"),
    ],
    "labels outside end in torch's IndexError: look at them before the table does, "
    "and raise a ValueError": [
        ("if y.lt(0).any():", "if y is None:"),
        ("if y.ge(self.rows).any():", "if y is None:"),
        ("F.one_hot(y, self.rows).to(self.table.dtype) @ self.table", "F.embedding(y, self.table)"),
    ],
    "negative labels are accepted: they count from the end of the table": [
        ("if y.lt(0).any():", "if y.lt(-self.rows).any():"),
        ("F.one_hot(y, self.rows)", "F.one_hot(y % self.rows, self.rows)"),
    ],
    "the product of time and class: they are added": [
        ("sum([self.time(t), self.label(y)])", "self.time(t).mul(self.label(y))")
    ],
    "the class is ignored": [("sum([self.time(t), self.label(y)])", "self.time(t)")],
    "the time is ignored": [("sum([self.time(t), self.label(y)])", "self.label(y)")],
    "the MLP runs on the time alone, and the class is added after it": [
        ("ClassEmbedding(num_classes, dim)", "ClassEmbedding(num_classes, 4 * dim)"),
        ("sum([self.time(t), self.label(y)])", "self.time(t)"),
        ("return cond.squeeze(-1)", "return cond.squeeze(-1) + self.label(y)"),
    ],
    "an activation after the second layer: the MLP ends with the Linear": [
        ("nn.Conv1d(4 * dim, 4 * dim, 1),", "nn.Conv1d(4 * dim, 4 * dim, 1), nn.SiLU(),")
    ],
    "GELU for SiLU": [("nn.SiLU()", "nn.GELU()")],
    "the second Linear has no bias": [
        ("nn.Conv1d(4 * dim, 4 * dim, 1)", "nn.Conv1d(4 * dim, 4 * dim, 1, bias=False)")
    ],
    "the two embeddings are computed without gradients: the table is never learnt": [
        ("sum([self.time(t), self.label(y)])", "sum([self.time(t), self.label(y).detach()])")
    ],
}
