"""The chapter's mistakes, made in this implementation: {says: [(old, new), …]}."""

MISTAKES = {
    "there is no SiLU before the condition's linear layer": [("layers.swish(cond) @", "cond @")],
    "the SiLU comes after the condition's linear layer, not before it": [
        ("layers.swish(cond) @ self.wc.T + self.cc", "layers.swish(cond @ self.wc.T + self.cc)")
    ],
    "scale where 1 + scale belongs: with a scale of 0 nothing is left of h": [
        ("h + shift, 1 + scale)", "h + shift, scale)")
    ],
    "scale and shift are exchanged: the first half of c is the scale": [
        ("scale, shift = torch", "shift, scale = torch")
    ],
    'with conditioning="add" the condition is added after norm2, not before it': [
        (
            "layers.group_norm(h + c, 8, self.g2, self.b2)",
            "c + layers.group_norm(h, 8, self.g2, self.b2)",
        )
    ],
    'with conditioning="add" the condition is ignored': [
        ("layers.group_norm(h + c,", "layers.group_norm(h,")
    ],
    "conv1 is used twice, where conv2 belongs": [
        ("layers.convolution(h, self.w2, self.c2)", "layers.convolution(h, self.w1, self.c1)")
    ],
    "norm1 is used twice, where norm2 belongs": [
        (
            "layers.group_norm(h + c, 8, self.g2, self.b2)",
            "layers.group_norm(h + c, 8, self.g1, self.b1)",
        ),
        ("layers.group_norm(h, 8, self.g2, self.b2)", "layers.group_norm(h, 8, self.g1, self.b1)"),
    ],
    "the norms have a single group, as LayerNorm has; here there are 8": [
        ("group_norm(x, 8,", "group_norm(x, 1,"),
        ("group_norm(h + c, 8,", "group_norm(h + c, 1,"),
        ("group_norm(h, 8,", "group_norm(h, 1,"),
    ],
    "dropout is active in eval mode too": [("self.p, self.training)", "self.p, True)")],
    "dropout comes before the activation, not after it": [
        (
            "layers.drop(layers.swish(h), self.p, self.training)",
            "layers.swish(layers.drop(h, self.p, self.training))",
        )
    ],
    "an unknown conditioning is accepted in silence": [
        ("            raise ValueError(conditioning)", "            pass")
    ],
    "the skip's convolution has no bias": [
        (" + self.cs[:, None, None]", ""),
        ("            self.cs = nn.Parameter(torch.zeros(out_channels))\n", ""),
    ],
    "what is skipped is the normalised x, not x itself": [
        ("self.skip(x) if", "self.skip(layers.group_norm(x, 8, self.g1, self.b1)) if")
    ],
    "the sum goes through an activation; the skip path has to stay free of it": [
        ("h + self.skip(x) if", "layers.swish(h + self.skip(x)) if")
    ],
    "residual=False is ignored: there is a skip path all the same": [
        ("h + self.skip(x) if self.residual else h", "h + self.skip(x)")
    ],
}
