"""The chapter's mistakes, made with numpy and a look-up table: other text, the same behaviour."""

MISTAKES = {
    "cosines before sines: the sines come first": [
        ("[np.sin(angles), np.cos(angles)]", "[np.cos(angles), np.sin(angles)]")
    ],
    "sines and cosines in turn (sin, cos, sin, cos, …): all the sines come first, "
    "then all the cosines": [
        (
            "np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)",
            "np.dstack([np.sin(angles), np.cos(angles)]).reshape(LONGEST, -1)",
        )
    ],
    "i divided by half (Vaswani's 2i/dim) where half − 1 belongs: the last frequency stays "
    "above 1/10000": [("np.logspace(0, 4, dim // 2)", "10000 ** (np.arange(0, dim, 2) / dim)")],
    "i counted from 1: the first frequency, 1, is missing": [
        (
            "np.logspace(0, 4, dim // 2)",
            "10000.0 ** (np.arange(1, dim // 2 + 1) / (dim // 2 - 1))",
        )
    ],
    "the minus sign of the exponent is missing: the frequencies rise to 10000 instead of falling": [
        ("[:, None] / wavelengths", "[:, None] * wavelengths")
    ],
    "base 1000 where 10000 belongs": [("np.logspace(0, 4,", "np.logspace(0, 3,")],
    "the angles are taken for degrees: torch's sin and cos want radians": [
        ("[:, None] / wavelengths", "[:, None] / wavelengths * np.pi / 180")
    ],
    "t divided as a whole number (//) by the wavelengths: the angles come in steps": [
        ("[:, None] / wavelengths", "[:, None] // wavelengths")
    ],
    "t is counted from 1: t + 1 goes into the sines": [
        ("np.arange(LONGEST)", "np.arange(1, LONGEST + 1)")
    ],
    "float64 comes out: a table made by numpy or in double precision was not cast to float32": [
        ("torch.from_numpy(table.astype(np.float32))", "torch.from_numpy(table)")
    ],
    "an odd dim is accepted: the vector comes out one too short": [
        ("if dim % 2 != 0:", "if dim != dim:")
    ],
    "a dim below 4 is accepted: half − 1 is then zero, or there is nothing to return": [
        ("if dim < 4:", "if dim != dim:")
    ],
    "y=None gives zeros: the null class is a learnt row": [
        (
            "y = torch.tensor([self.null], device=self.vectors.device)",
            "return torch.zeros(1, self.vectors.shape[1])",
        )
    ],
    "`not y` where `y is None` is meant: class 0 counts as no label": [
        ("if y is None:", "if y is None or max(y) == 0:")
    ],
    "y=None gives row 0, which is a real class: the null class is row num_classes": [
        ("torch.tensor([self.null],", "torch.tensor([0],")
    ],
    "y=None gives the row of the last real class: the null class is one further, row num_classes": [
        ("torch.tensor([self.null],", "torch.tensor([self.null - 1],")
    ],
    "labels are shifted: class y gets row y − 1": [
        (
            "return self.vectors[y]",
            "return self.vectors[self.null] if given is None else self.vectors[y - 1]",
        ),
        ("        if y is None:", "        given = y\n        if y is None:"),
        ("self.vectors[self.null] if", "self.vectors[self.null :] if"),
    ],
    "labels outside are clamped or wrapped around, and silently become other classes": [
        ("if not set(y.tolist()) <= known:", "y = y.clamp(min(known), self.null)\n        if 0:")
    ],
    "negative labels are accepted: they count from the end of the table": [
        ("known = set(range(self.null + 1))", "known = set(range(-self.null - 1, self.null + 1))")
    ],
    "the label num_classes is refused: it is the null class, and allowed": [
        (
            "if y is None:",
            "if y is not None and (y == self.null).any():\n"
            '            raise ValueError("only real classes")\n        if y is None:',
        )
    ],
    "the class vectors are detached: the table is never learnt": [
        ("return self.vectors[y]", "return self.vectors.data[y]")
    ],
    "the product of time and class: they are added": [
        ("self.time_embedding(t) + h", "self.time_embedding(t) * h")
    ],
    "time and class are concatenated: they are added": [
        ("nn.Linear(dim, width)", "nn.Linear(2 * dim, width)"),
        (
            "h = self.time_embedding(t) + h",
            "h = torch.cat([self.time_embedding(t), h.expand(len(t), -1)], 1)",
        ),
    ],
    "the MLP runs on the time alone, and the class is added after it": [
        ("ClassEmbedding(num_classes, dim)", "ClassEmbedding(num_classes, width)"),
        ("h = self.class_embedding(y)", "c = self.class_embedding(y)"),
        ("self.time_embedding(t) + h", "self.time_embedding(t)"),
        ("return self.mix(h)", "return self.mix(h) + c"),
    ],
    "the class is ignored": [("self.time_embedding(t) + h", "self.time_embedding(t)")],
    "the time is ignored": [("h = self.time_embedding(t) + h", "h = h.expand(len(t), -1)")],
    "ReLU for SiLU": [("nn.SiLU()", "nn.ReLU()")],
    "GELU for SiLU": [("nn.SiLU()", "nn.GELU()")],
    "no activation between the layers: two Linears in a row are one": [
        ("h = self.act(h)", "h = +h")
    ],
    "an activation after the second layer: the MLP ends with the Linear": [
        ("return self.mix(h)", "return self.act(self.mix(h))")
    ],
    "the second Linear is missing": [
        ("self.mix = nn.Linear(width, width)", "self.mix = nn.Identity()")
    ],
    "the second Linear has no bias": [
        ("nn.Linear(width, width)", "nn.Linear(width, width, bias=False)")
    ],
}
