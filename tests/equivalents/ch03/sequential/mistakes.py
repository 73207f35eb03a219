"""The chapter's mistakes, made in this implementation: {says: [(old, new), …]}."""

MISTAKES = {
    "the condition lacks its two axes of length 1, or has them in front: (B, C, 1, 1) fits (B, C, H, W)": [
        (", nn.Unflatten(1, (-1, 1, 1))", "")
    ],
    "the SiLU comes after the condition's linear layer, not before it": [
        (
            "nn.SiLU(), nn.Linear(cond_dim, numbers)",
            "nn.Linear(cond_dim, numbers), nn.SiLU()",
        )
    ],
    "scale and shift are exchanged: the first half of c is the scale": [
        ("scale, shift = torch", "shift, scale = torch")
    ],
    "scale and shift come before norm2, which undoes most of them; they belong after it": [
        ("torch.addcmul(shift, norm(h), scale + 1)", "norm(torch.addcmul(shift, h, scale + 1))")
    ],
    'with conditioning="add" the condition is added to the wrong tensor: to what conv2 gives': [
        ("self.bottom(h.add(c))", "self.bottom(h) + c")
    ],
    "silu and norm1 are exchanged: first the norm, then the activation": [
        ("h, c = self.top(x)", "h, c = self.top[3](self.top[0](self.top[1](x)))")
    ],
    "norm1 comes after conv1 (convolution, norm, silu); here it is norm, silu, convolution": [
        (
            "self.top = half(in_channels, out_channels)",
            "self.top = nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, padding=1), "
            "nn.GroupNorm(8, out_channels), nn.SiLU())",
        )
    ],
    "the norms have 4 groups, not 8": [("nn.GroupNorm(8,", "nn.GroupNorm(4,")],
    "the norms have eps 1e-6, not 1e-5": [("(8, channels)", "(8, channels, eps=1e-6)")],
    "the convolutions have no padding: the picture shrinks": [(", 3, padding=1)", ", 3)")],
    "whole channels are dropped (Dropout2d), not single numbers": [
        ("nn.Dropout(dropout)", "nn.Dropout2d(dropout)")
    ],
    "dropout comes before the activation, not after it": [
        (
            "        nn.SiLU(),\n        nn.Dropout(dropout),\n",
            "        nn.Dropout(dropout),\n        nn.SiLU(),\n",
        )
    ],
    "dropout comes after conv2, not before it": [
        (
            "        nn.Dropout(dropout),\n        nn.Conv2d(channels, out_channels, 3, padding=1),\n",
            "        nn.Conv2d(channels, out_channels, 3, padding=1),\n        nn.Dropout(dropout),\n",
        ),
        ("self.bottom[-1].weight", "self.bottom[-2].weight"),
        ("self.bottom[-1].bias", "self.bottom[-2].bias"),
    ],
    "the skip is a 3×3 convolution, not a 1×1": [
        (
            "nn.Conv2d(in_channels, out_channels, 1)",
            "nn.Conv2d(in_channels, out_channels, 3, padding=1)",
        )
    ],
    "what is skipped is the normalised x, not x itself": [
        ("self.skip(x)]", "self.skip(self.top[0](x))]")
    ],
    "residual=False is ignored: there is a skip path all the same": [
        ("        if residual:\n", "        if residual:\n            pass\n        if True:\n")
    ],
    "the condition's linear layer starts at zero, where conv2 should": [
        ("self.bottom[-1].weight", "self.embed[1].weight"),
        ("self.bottom[-1].bias", "self.embed[1].bias"),
    ],
}
