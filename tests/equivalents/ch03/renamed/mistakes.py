"""The chapter's mistakes, made in this implementation: {says: [(old, new), …]}."""

MISTAKES = {
    "every image gets the average condition of the batch": [
        ("reshape(len(emb), -1, 1, 1)", "mean(0).reshape(1, -1, 1, 1)")
    ],
    "scale where 1 + scale belongs: with a scale of 0 nothing is left of h": [
        ("h + gamma * h + beta", "gamma * h + beta")
    ],
    "scale and shift are exchanged: the first half of c is the scale": [
        ("gamma, beta = emb", "beta, gamma = emb")
    ],
    "the shift is forgotten": [("h + gamma * h + beta", "h + gamma * h")],
    'with conditioning="add" the condition is added after norm2, not before it': [
        ("self.after(emb + h)", "emb + self.after(h)")
    ],
    "norm2 is missing: scale and shift work on h as conv1 left it": [
        ("            h = self.after(h)\n", "")
    ],
    "ReLU where SiLU belongs": [("nn.SiLU()", "nn.ReLU()")],
    "conv1 is used twice, where conv2 belongs": [("h = self.second(h)", "h = self.first(h)")],
    "norm1 is used twice, where norm2 belongs": [
        ("h = self.after(h)", "h = self.before(h)"),
        ("self.after(emb + h)", "self.before(emb + h)"),
    ],
    "the norms have 4 groups, not 8": [
        ("num_groups=8, num_channels=out_channels", "num_groups=4, num_channels=out_channels"),
        ("num_groups=8, num_channels=in_channels", "num_groups=4, num_channels=in_channels"),
    ],
    "the convolutions have no padding: the picture shrinks": [
        (
            'in_channels, out_channels, kernel_size=3, padding="same"',
            "in_channels, out_channels, kernel_size=3",
        ),
        (
            'out_channels, out_channels, kernel_size=3, padding="same"',
            "out_channels, out_channels, kernel_size=3",
        ),
    ],
    "dropout comes before the activation, not after it": [
        (
            "        h = self.act(h)\n        h = self.drop(h)\n",
            "        h = self.drop(h)\n        h = self.act(h)\n",
        )
    ],
    "there is no skip path": [("return self.shortcut(x) + h", "return h")],
    "the skip is not projected where the number of channels changes": [
        ("return self.shortcut(x) + h", "return x + h")
    ],
    "the skip is projected although the number of channels does not change": [
        ("if in_channels != out_channels:", "if True:")
    ],
    "the sum goes through an activation; the skip path has to stay free of it": [
        ("self.shortcut(x) + h", "self.act(self.shortcut(x) + h)")
    ],
    "conv2 does not start at zero": [("nn.init.constant_(p, 0.0)", "pass")],
    "conv2 starts at zero without a skip path too: nothing ever flows through": [
        ("        if residual:\n            for p", "        if True:\n            for p")
    ],
}
