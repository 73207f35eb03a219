"""The chapter's mistakes, made in this implementation: {says: [(old, new), …]}."""

MISTAKES = {
    "every image gets the average condition of the batch": [
        ("cond = F.silu(cond)", "cond = F.silu(cond).mean(0, keepdim=True)")
    ],
    "scale where 1 + scale belongs: with a scale of 0 nothing is left of h": [
        ("(self.scale(cond) + 1)", "self.scale(cond)")
    ],
    "the shift is forgotten": [("            h = h + self.shift(cond)[..., None, None]\n", "")],
    "the scale is forgotten": [
        ("            h = h * (self.scale(cond) + 1)[..., None, None]\n", "")
    ],
    "the condition is detached: the embeddings before it never learn": [
        ("F.silu(cond)\n", "F.silu(cond.detach())\n")
    ],
    "silu and norm1 are exchanged: first the norm, then the activation": [
        ("F.silu(self.norm1(x))", "self.norm1(F.silu(x))")
    ],
    "norm1 comes after conv1 (convolution, norm, silu); here it is norm, silu, convolution": [
        ("self.conv1(F.silu(self.norm1(x)))", "F.silu(self.norm1(self.conv1(x)))"),
        ("nn.GroupNorm(8, in_channels)", "nn.GroupNorm(8, out_channels)"),
    ],
    "conv1 is used twice, where conv2 belongs": [("h = self.conv2(h)", "h = self.conv1(h)")],
    "norm1 is used twice, where norm2 belongs": [("h = self.norm2(h)", "h = self.norm1(h)")],
    "each channel is a group of its own, as in InstanceNorm; here there are 8 groups": [
        ("nn.GroupNorm(8, in_channels)", "nn.InstanceNorm2d(in_channels, affine=True)"),
        ("nn.GroupNorm(8, out_channels)", "nn.InstanceNorm2d(out_channels, affine=True)"),
    ],
    "dropout is active in eval mode too": [(", training=self.training)", ")")],
    "there is no skip path": [("            h += x\n", "            pass\n")],
    "the skip's convolution has no bias": [
        ("nn.Linear(in_channels, out_channels)", "nn.Linear(in_channels, out_channels, bias=False)")
    ],
    "the skip is not projected where the number of channels changes": [
        (
            "            if self.project:\n                x =",
            "            if False:\n                x =",
        )
    ],
    "the skip is projected although the number of channels does not change": [
        ("self.project = in_channels != out_channels", "self.project = True")
    ],
    "the sum is divided by √2": [("h += x", "h = (h + x) / 2**0.5")],
    "only the weight of conv2 starts at zero, its bias does not": [
        ("            self.conv2.bias.data.zero_()\n", "")
    ],
}
