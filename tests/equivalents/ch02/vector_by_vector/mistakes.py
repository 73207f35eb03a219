"""Known mistakes, made here."""

MISTAKES = {
    "cosines before sines: the sines come first": [
        (
            "[torch.sin(step * self.f), torch.cos(step * self.f)]",
            "[torch.cos(step * self.f), torch.sin(step * self.f)]",
        )
    ],
    "sines in both halves: the second half is the cosines": [
        ("torch.cos(step * self.f)", "torch.sin(step * self.f)")
    ],
    "i counted from 1: the first frequency, 1, is missing": [
        ("for i in range(half)]", "for i in range(1, half + 1)]")
    ],
    "base 100000 where 10000 belongs": [("10000 **", "100000 **")],
    "y=None gives row 0, which is a real class: the null class is row num_classes": [
        ("return self.vectors[-1][None]", "return self.vectors[0][None]")
    ],
    "y=None gives a vector without the batch axis: (1, dim) is wanted, (dim,) comes": [
        ("return self.vectors[-1][None]", "return self.vectors[-1]")
    ],
    "labels are shifted: class y gets row y − 1": [
        ("self.vectors[int(k)] for k in y", "self.vectors[int(k) - 1] for k in y")
    ],
    "the label num_classes is refused: it is the null class, and allowed": [
        ("y.max() >= len(self.vectors)", "y.max() >= len(self.vectors) - 1")
    ],
    "the class vectors are detached: the table is never learnt": [
        ("return self.vectors[-1][None]", "return self.vectors[-1][None].detach()"),
        ("self.vectors[int(k)] for k in y", "self.vectors[int(k)].detach() for k in y"),
    ],
    "the mean of time and class: they are added": [
        ("h += self.what(y)", "h = (h + self.what(y)) / 2")
    ],
    "the class is ignored": [("        h += self.what(y)\n", "")],
    "tanh for SiLU": [("nn.SiLU(inplace=True)", "nn.Tanh()")],
    "an activation before the first layer as well: the MLP begins with the Linear": [
        ("self.wide(h)", "self.wide(self.act(h))")
    ],
}
