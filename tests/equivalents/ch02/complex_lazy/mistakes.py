"""The chapter's mistakes, made with complex numbers, powers of a ratio and lazy layers."""

MISTAKES = {
    "cosines before sines: the sines come first": [
        ("[turned.imag, turned.real]", "[turned.real, turned.imag]")
    ],
    "sines and cosines in turn (sin, cos, sin, cos, …): all the sines come first, "
    "then all the cosines": [
        (
            "torch.hstack([turned.imag, turned.real])",
            "torch.view_as_real(turned).flip(-1).flatten(1)",
        )
    ],
    "i divided by half (Vaswani's 2i/dim) where half − 1 belongs: the last frequency stays "
    "above 1/10000": [("(1 / (half - 1))", "(1 / half)")],
    "i divided by dim: the frequencies end near 1/100, half way down": [
        ("(1 / (half - 1))", "(1 / dim)")
    ],
    "i counted from 1: the first frequency, 1, is missing": [
        ("for i in range(half)", "for i in range(1, half + 1)")
    ],
    "the minus sign of the exponent is missing: the frequencies rise to 10000 instead of falling": [
        ("(1 / 10000) **", "10000 **")
    ],
    "base 1000 where 10000 belongs": [("1 / 10000", "1 / 1000")],
    "t is multiplied by 1000: it goes in unscaled": [
        ("t.to(torch.float32)", "1e3 * t.to(torch.float32)")
    ],
    "t is divided by 1000 (the number of timesteps): it goes in unscaled": [
        ("t.to(torch.float32)", "t.to(torch.float32) / 1e3")
    ],
    "the angles are taken for degrees: torch's sin and cos want radians": [
        (
            "torch.polar(torch.ones_like(angles), angles)",
            "torch.polar(torch.ones_like(angles), torch.deg2rad(angles))",
        )
    ],
    "a factor of 2π in the angles: the first frequency is 1, not 2π": [
        ("(torch.ones_like(angles), angles)", "(torch.ones_like(angles), angles * 2 * torch.pi)")
    ],
    "the result is cast to the type of t: whole numbers come out": [
        (
            "return torch.hstack([turned.imag, turned.real])",
            "return torch.hstack([turned.imag, turned.real]).type_as(t)",
        )
    ],
    "t in half precision (bfloat16): beyond 256 neighbouring timesteps become the same": [
        ("t.to(torch.float32)", "t.to(torch.bfloat16).to(torch.float32)")
    ],
    "the frequencies are an nn.Parameter: training would change them": [
        ("torch.tensor(frequencies), requires_grad=False", "torch.tensor(frequencies)")
    ],
    "padding_idx on the null class, and y=None looks it up as well: nothing ever trains it": [
        ("embedding_dim=dim)", "embedding_dim=dim, padding_idx=-1)")
    ],
    "the null class has no row: the table needs num_classes + 1 rows": [
        ("num_embeddings=num_classes + 1", "num_embeddings=num_classes")
    ],
    "`not y` where `y is None` is meant: class 0 counts as no label": [
        ("if y is None:", "if y is None or torch.count_nonzero(y) == 0:"),
        ("torch.full((1,)", "torch.full((1 if y is None else len(y),)"),
    ],
    "y=None gives row 0, which is a real class: the null class is row num_classes": [
        ("torch.full((1,), self.num_classes,", "torch.full((1,), 0,")
    ],
    "labels outside are clamped or wrapped around, and silently become other classes": [
        ("if wrong.any():", "y = y.clamp(0, self.num_classes)\n        if y is None:")
    ],
    "the label num_classes is refused: it is the null class, and allowed": [
        (
            "wrong = (y < 0) + (y > self.num_classes)",
            "wrong = (y < 0) + (y >= self.num_classes + (len(y) == 1 and y.sum() == 99))",
        ),
        (
            "if y is None:\n            y = torch.full((1,), self.num_classes, "
            "device=self.emb.weight.device)",
            "if y is None:\n            return self.emb.weight[-1:]",
        ),
    ],
    "the class vectors are detached: the table is never learnt": [
        ("return self.emb(y)", "return self.emb(y).detach()")
    ],
    "the product of time and class: they are added": [("torch.add(when", "torch.mul(when")],
    "time and class are concatenated: they are added": [
        ("torch.add(when, what)", "torch.hstack((when, what))")
    ],
    "the MLP runs on time and class apart, and the results are added: the sum comes first": [
        ("self.net(torch.add(when, what))", "self.net(when) + self.net(what)")
    ],
    "ReLU for SiLU": [("nn.SiLU()", "nn.ReLU()")],
    "GELU for SiLU": [("nn.SiLU()", "nn.GELU()")],
    "no activation between the layers: two Linears in a row are one": [
        ('layers += [("act", nn.SiLU())]', "layers += []")
    ],
    "the second Linear is missing": [('layers += [("out", nn.LazyLinear(4 * dim))]', "pass")],
    "the second Linear goes back to dim: cond has 4·dim numbers": [
        ('("out", nn.LazyLinear(4 * dim))', '("out", nn.LazyLinear(dim))')
    ],
    "the two embeddings are computed without gradients: the table is never learnt": [
        ("self.what(y).expand_as(when)", "self.what(y).expand_as(when).data")
    ],
}
