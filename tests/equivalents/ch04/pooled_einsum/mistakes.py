"""The chapter's mistakes, made with pooling, bilinear enlargement and einsum."""

MISTAKES = {
    "the skip is taken after halving: the detail that it should carry is gone": [
        (
            "return F.avg_pool2d(before, kernel_size=2), before",
            "before = F.avg_pool2d(before, kernel_size=2)\n        return before, before",
        )
    ],
    "(skip, h) is returned where (h, skip) belongs": [
        (
            "return F.avg_pool2d(before, kernel_size=2), before",
            "return before, F.avg_pool2d(before, kernel_size=2)",
        )
    ],
    "the skip is taken before the residual block, not after it": [
        (
            "return F.avg_pool2d(before, kernel_size=2), before",
            "return F.avg_pool2d(before, kernel_size=2), x",
        )
    ],
    "nothing is halved on the way down": [
        ("return F.avg_pool2d(before, kernel_size=2), before", "return before, before")
    ],
    "the skip is ignored: there are zeros where it belongs": [
        ("torch.cat([larger, skip], 1)", "torch.cat([larger, torch.zeros_like(skip)], 1)")
    ],
    "x is not enlarged before the concatenation": [
        ("torch.cat([larger, skip], 1)", "torch.cat([x, skip], 1)")
    ],
    "the block after the concatenation is made for in_channels only": [
        ("ResidualBlock(in_channels + skip_channels,", "ResidualBlock(in_channels,")
    ],
    "the skip is added to x where it should be concatenated": [
        ("torch.cat([larger, skip], 1)", "larger + skip")
    ],
    "Tensor.repeat lays copies of the picture side by side; enlarging repeats each pixel": [
        (
            'F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)',
            "x.repeat(1, 1, 2, 2)",
        )
    ],
    "the scale 1/√(C / heads) is missing": [(" * q.shape[2] ** -0.5", "")],
    "scaled by 1/√C where 1/√(C / heads) belongs: each head is narrower than C": [
        ("q.shape[2] ** -0.5", "x.shape[1] ** -0.5")
    ],
    "the softmax runs over the heads, not over the keys": [
        ("scores.amax(-1, keepdim=True)", "scores.amax(1, keepdim=True)"),
        ("scores.sum(-1, keepdim=True)", "scores.sum(1, keepdim=True)"),
    ],
    "there is no residual path around the attention": [
        ("return torch.add(x, self.mix(seen.flatten(1, 2)))", "return self.mix(seen.flatten(1, 2))")
    ],
    "the residual path adds norm(x) where x belongs": [("torch.add(x,", "torch.add(normed,")],
    "the norm before the projections is missing": [
        ("normed = F.group_norm(x, 8, self.weight, self.bias)", "normed = x")
    ],
    "the output projection does not start at zero": [
        ("        self.mix.weight.data.zero_()\n        self.mix.bias.data.zero_()\n", "")
    ],
    "the output projection is not applied": [
        ("self.mix(seen.flatten(1, 2))", "seen.flatten(1, 2)")
    ],
    "v is forgotten: the keys themselves are averaged": [("split(self.value)", "split(self.key)")],
    "height and width are exchanged on the way back": [
        ("self.mix(seen.flatten(1, 2))", "self.mix(seen.reshape(*x.shape[:2], w, h).mT)"),
    ],
    "the skips come in the wrong order and are resized to fit": [
        (
            'h = self.levels[f"up{i}"](h, skips[i], cond)',
            "skip = F.interpolate(skips[self.depth - 2 - i], [2 * n for n in h.shape[2:]])\n"
            '            h = self.levels[f"up{i}"](h, skip, cond)',
        )
    ],
    "the timestep is ignored, or all but (t goes in as it is, divided by nothing)": [
        ("self.cond(t, y)", "self.cond(torch.zeros_like(t), y)")
    ],
    "the class is ignored": [("self.cond(t, y)", "self.cond(t, None)")],
    "the whole batch gets the condition of its first image": [
        ("self.cond(t, y)", "self.cond(t, y)[[0] * len(x)]")
    ],
    "y=None is used as if it were labels": [("self.cond(t, y)", "self.cond(t, y.long())")],
    "the residual blocks of the middle are told something else than cond": [
        ("self.bottom(h, cond)", "self.bottom(h, torch.zeros_like(cond))")
    ],
    "an activation on the output: noise is not confined to [−1, 1]": [
        ("return self.last(F.silu(self.norm(h)))", "return F.tanh(self.last(F.silu(self.norm(h))))")
    ],
    "the head does not start at zero": [
        ("        self.last.weight.data.fill_(0)\n        self.last.bias.data.fill_(0)\n", "")
    ],
    "the norm before the last convolution is missing": [("F.silu(self.norm(h))", "F.silu(h)")],
    "the activation before the last convolution is missing": [
        ("F.silu(self.norm(h))", "self.norm(h)")
    ],
    "only pictures of 3 channels work: the stem and the head ignore `channels`": [
        ("self.first = nn.Conv2d(channels,", "self.first = nn.Conv2d(3,"),
        ("nn.Conv2d(w[0], channels,", "nn.Conv2d(w[0], 3,"),
    ],
    "only the height is looked at, not the width": [
        ('zip(("height", "width"), x.shape[2:], strict=True)', '[("height", x.shape[2])]')
    ],
    "there is no attention, though it was asked for": [
        ("wanted.pop(image_size // 2**level, 0)", "0 * wanted.pop(image_size // 2**level, 0)")
    ],
    "attention is forgotten in the middle": [
        ("self.bottom_attention = attend(w[-1], at[-1])", "self.bottom_attention = nn.Identity()")
    ],
    "attention is forgotten on the way up": [
        ("w[i], w[i], 4 * base_width, at[i])", "w[i], w[i], 4 * base_width)")
    ],
}
