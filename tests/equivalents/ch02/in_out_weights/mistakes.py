"""The chapter's mistakes, made with weights that are kept as (in, out)."""

WAVES = "torch.concatenate([torch.sin(t * w), torch.cos(t * w)])"
TOTAL = "total = self.t(t) + self.c(y)"
MLP = "dense(self.second, swish(dense(self.first, total)))"

MISTAKES = {
    "cosines before sines: the sines come first": [
        (WAVES, "torch.concatenate([torch.cos(t * w), torch.sin(t * w)])"),
    ],
    "sines in both halves: the second half is the cosines": [
        (WAVES, "torch.concatenate([torch.sin(t * w), torch.sin(t * w)])"),
    ],
    "base 1000 where 10000 belongs": [("10000.0 **", "1000.0 **")],
    "the minus sign of the exponent is missing: the frequencies rise to 10000 instead of falling": [
        ("-torch.linspace", "torch.linspace"),
    ],
    "t is divided by 1000 (the number of timesteps): it goes in unscaled": [
        ("self.embed(t.float())", "self.embed(t.float() / 1000)"),
    ],
    "the frequencies stay behind on the CPU when t is on another device": [
        (", device=t.device)", ")"),
    ],
    "y=None gives row 0, which is a real class: the null class is row num_classes": [
        ("table[None, -1]", "table[None, 0]"),
    ],
    "y=None gives a vector without the batch axis: (1, dim) is wanted, (dim,) comes": [
        ("table[None, -1]", "table[-1]"),
    ],
    "the product of time and class: they are added": [(TOTAL, TOTAL.replace("+", "*"))],
    "the class is ignored": [(TOTAL, "total = self.t(t)")],
    "ReLU for SiLU": [(MLP, MLP.replace("swish", "torch.relu"))],
    "sigmoid for SiLU, which is x · sigmoid(x)": [(MLP, MLP.replace("swish", "torch.sigmoid"))],
    "no activation between the layers: two Linears in a row are one": [
        (MLP, MLP.replace("swish", "")),
    ],
    "an activation after the second layer: the MLP ends with the Linear": [(MLP, f"swish({MLP})")],
}
