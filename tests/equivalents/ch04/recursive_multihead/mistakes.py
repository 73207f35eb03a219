"""The chapter's mistakes, made in a U-Net inside a U-Net, with nn.MultiheadAttention."""

MISTAKES = {
    "the skip is taken after halving: the detail that it should carry is gone": [
        ("return self.halve(h), h", "h = self.halve(h)\n        return h, h")
    ],
    "(skip, h) is returned where (h, skip) belongs": [
        ("return self.halve(h), h", "return h, self.halve(h)")
    ],
    "the skip is taken before the residual block, not after it": [
        ("return self.halve(h), h", "return self.halve(h), x")
    ],
    "the residual blocks of the way down are told something else than cond": [
        ("h = self.blocks(x, cond)", "h = self.blocks(x, torch.zeros_like(cond))")
    ],
    "the skip is ignored: there are zeros where it belongs": [
        ("[skip, self.doubled(x)]", "[torch.zeros_like(skip), self.doubled(x)]")
    ],
    "x is not enlarged before the concatenation": [("[skip, self.doubled(x)]", "[skip, x]")],
    "the block after the concatenation is made for in_channels only": [
        ("[skip_channels + in_channels, out_channels]", "[in_channels, out_channels]")
    ],
    "the block after the concatenation is made for twice skip_channels, as if x had as many": [
        ("[skip_channels + in_channels, out_channels]", "[2 * skip_channels, out_channels]")
    ],
    "there is no residual path around the attention": [
        (
            "mixed.permute(0, 2, 1).reshape(b, c, h, w) + x",
            "mixed.permute(0, 2, 1).reshape(b, c, h, w)",
        )
    ],
    "the residual path adds norm(x) where x belongs": [
        ("reshape(b, c, h, w) + x", "reshape(b, c, h, w) + self.ln(x)")
    ],
    "the heads are ignored: all channels in one head": [
        ("nn.MultiheadAttention(channels, heads,", "nn.MultiheadAttention(channels, 1,")
    ],
    "the norm before the projections is missing": [
        ("self.ln(x).view(b, c, h * w)", "x.reshape(b, c, h * w)")
    ],
    "the output projection does not start at zero": [
        (
            "        nn.init.zeros_(self.mha.out_proj.weight)\n"
            "        nn.init.zeros_(self.mha.out_proj.bias)\n",
            "",
        )
    ],
    "after the output projection, (B, H·W, C) becomes (B, C, H, W) without a transpose": [
        ("mixed.permute(0, 2, 1).reshape(b, c, h, w)", "mixed.reshape(b, c, h, w)")
    ],
    "height and width are exchanged on the way back": [
        ("reshape(b, c, h, w) + x", "reshape(b, c, w, h).mT + x")
    ],
    "the timestep is ignored, or all but (t goes in as it is, divided by nothing)": [
        ("self.condition(t, y)", "self.condition(torch.zeros_like(t), y)")
    ],
    "the class is ignored": [("self.condition(t, y)", "self.condition(t)")],
    "y=None is taken for class 0: the null class is label num_classes": [
        ("self.condition(t, y)", "self.condition(t, torch.zeros_like(t) if y is None else y)")
    ],
    "the residual blocks of the middle are told something else than cond": [
        ("return self.middle(x, cond)", "return self.middle(x, torch.zeros_like(cond))")
    ],
    "an activation on the output: noise is not confined to [−1, 1]": [
        (
            "return self.head(self.body(self.stem(x), self.condition(t, y)))",
            "return torch.tanh(self.head(self.body(self.stem(x), self.condition(t, y))))",
        )
    ],
    "the head does not start at zero": [("p.zero_()", "p.mul_(1)")],
    "the activation before the last convolution is missing": [
        ("nn.SiLU(), nn.Conv2d", "nn.Conv2d")
    ],
    "BatchNorm where GroupNorm belongs: the images of a batch influence each other": [
        ("nn.GroupNorm(4, widths[0])", "nn.BatchNorm2d(widths[0])")
    ],
    "only pictures of 3 channels work: the stem and the head ignore `channels`": [
        ("self.stem = nn.Conv2d(channels,", "self.stem = nn.Conv2d(3,"),
        ("nn.Conv2d(widths[0], channels,", "nn.Conv2d(widths[0], 3,"),
    ],
    "a size that cannot be halved often enough is not refused": [("if bad:", "if bad and False:")],
    "only the height is looked at, not the width": [("in x.shape[-2:] if", "in x.shape[-2:-1] if")],
    "there is no attention, though it was asked for": [
        ("[heads * (r in attention_resolutions) for r in resolutions]", "[0 for _ in resolutions]")
    ],
    "the number of heads is not handed on to the attention": [
        ("[heads * (r in attention_resolutions)", "[4 * (r in attention_resolutions)")
    ],
    "attention is one level off": [
        ("[heads * (r in attention_resolutions)", "[heads * (r // 2 in attention_resolutions)")
    ],
    "the multipliers are ignored: the width doubles at every level": [
        (
            "[base_width * m for m in multipliers]",
            "[base_width << k for k, _ in enumerate(multipliers)]",
        )
    ],
    "the skips are detached: no gradient comes back through them": [
        (
            "return self.up(self.inner(h, cond), skip, cond)",
            "return self.up(self.inner(h, cond), skip.detach(), cond)",
        )
    ],
}
