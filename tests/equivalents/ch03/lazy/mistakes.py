"""The chapter's mistakes, made in this implementation: {says: [(old, new), …]}."""

MISTAKES = {
    "the condition is ignored: neither scale nor shift is used": [
        ("shift + self.out_norm(h) * (1.0 + scale)", "self.out_norm(h)")
    ],
    "scale and shift come before norm2, which undoes most of them; they belong after it": [
        ("shift + self.out_norm(h) * (1.0 + scale)", "self.out_norm(shift + h * (1.0 + scale))")
    ],
    "the condition is detached: the embeddings before it never learn": [
        ("silu(cond)", "silu(cond).detach()")
    ],
    'with conditioning="add" the condition is added after norm2, not before it': [
        ("self.out_norm(h + emb[0])", "self.out_norm(h) + emb[0]")
    ],
    "there is no SiLU before conv2": [("self.drop(silu(h))", "self.drop(h)")],
    "conv1 is used twice, where conv2 belongs": [
        ("self.out_layer(self.drop", "self.in_layer(self.drop")
    ],
    "norm1 is used twice, where norm2 belongs": [
        ("self.out_norm(h + emb[0])", "self.in_norm(h + emb[0])"),
        ("self.out_norm(h) *", "self.in_norm(h) *"),
    ],
    "the norms have a single group, as LayerNorm has; here there are 8": [
        ("nn.GroupNorm(8, in_channels)", "nn.GroupNorm(1, in_channels)"),
        ("nn.GroupNorm(8, out_channels)", "nn.GroupNorm(1, out_channels)"),
    ],
    "the norms have eps 1e-6, not 1e-5": [
        ("nn.GroupNorm(8, in_channels)", "nn.GroupNorm(8, in_channels, 1e-6)"),
        ("nn.GroupNorm(8, out_channels)", "nn.GroupNorm(8, out_channels, 1e-6)"),
    ],
    "dropout comes after conv2, not before it": [
        ("self.out_layer(self.drop(silu(h)))", "self.drop(self.out_layer(silu(h)))")
    ],
    "there is no skip path": [('h + (self.skip(x) if hasattr(self, "skip") else x)', "h")],
    "the skip is a 3×3 convolution, not a 1×1": [("(1, 1))", "3, padding=1)")],
    "conv2 does not start at zero": [
        ("(ZeroConv if residual else nn.LazyConv2d)", "nn.LazyConv2d")
    ],
    "conv2 starts at zero without a skip path too: nothing ever flows through": [
        ("(ZeroConv if residual else nn.LazyConv2d)", "ZeroConv")
    ],
    "only the weight of conv2 starts at zero, its bias does not": [
        ("            nn.init.zeros_(self.bias)\n", "")
    ],
}
