"""The chapter's mistakes, made with a block of one's own and pixel shuffles."""

MISTAKES = {
    "the skip is taken after halving: the detail that it should carry is gone": [
        ("return self.shrink(halved(x)), x", "x = self.shrink(halved(x))\n        return x, x")
    ],
    "(skip, h) is returned where (h, skip) belongs": [
        ("return self.shrink(halved(x)), x", "return x, self.shrink(halved(x))")
    ],
    "the residual blocks of the way down are told something else than cond": [
        (
            "x = block(x, cond)\n        return self.shrink(halved(x)), x",
            "x = block(x, torch.zeros_like(cond))\n        return self.shrink(halved(x)), x",
        )
    ],
    "the skip is ignored: there are zeros where it belongs": [
        ("(self.grow(x), 2), skip]", "(self.grow(x), 2), skip * 0]")
    ],
    "x is not enlarged before the concatenation": [
        ("F.pixel_shuffle(self.grow(x), 2), skip", "x, skip")
    ],
    "the block after the concatenation is made for in_channels only": [
        ("AttentiveBlock(in_channels + skip_channels,", "AttentiveBlock(in_channels,")
    ],
    "the skips are taken in the wrong order: pop(0) gives the first, not the last": [
        ("kept.insert(0, skip)", "kept.append(skip)")
    ],
    "the same skip is used at every level: skips[-1] does not take it off the stack": [
        ("x = up(x, skip, cond)", "x = up(x, kept[0], cond)")
    ],
    "the skips come in the wrong order and are resized to fit": [
        ("kept.insert(0, skip)", "kept.append(skip)"),
        (
            "x = up(x, skip, cond)",
            "x = up(x, F.interpolate(skip, (2 * x.shape[2], 2 * x.shape[3])), cond)",
        ),
    ],
    "the skips are detached: no gradient comes back through them": [
        ("kept.insert(0, skip)", "kept.insert(0, skip.detach())")
    ],
    "the timestep is ignored, or all but (t goes in as it is, divided by nothing)": [
        ("self.condition(t, y)", "self.condition(torch.zeros_like(t), y)")
    ],
    "y=None is used as if it were labels": [
        ("self.condition(t, y)", "self.condition(t, y.long())")
    ],
    "the residual blocks of the middle are told something else than cond": [
        ("x = self.middle(x, cond)", "x = self.middle(x, 0 * cond)")
    ],
    "an activation on the output: noise is not confined to [−1, 1]": [
        (
            "return self.leave(F.silu(self.norm(x)))",
            "return self.leave(F.silu(self.norm(x))).tanh()",
        )
    ],
    "the head does not start at zero": [("zero(nn.Conv2d(w[1],", "(nn.Conv2d(w[1],")],
    "the norm before the last convolution is missing": [("F.silu(self.norm(x))", "F.silu(x)")],
    "the activation before the last convolution is missing": [
        ("F.silu(self.norm(x))", "self.norm(x)")
    ],
    "[block] * n is one block used n times, not n blocks": [
        (
            "        self.way_up =",
            "        self.more = [AttentiveBlock(w[-1], w[-1], n)] * 2\n"
            "        self.registered = nn.ModuleList(self.more)\n"
            "        self.way_up =",
        ),
        (
            "x = self.middle(x, cond)",
            "for block in [self.middle, *self.more]:\n            x = block(x, cond)",
        ),
    ],
    "a plain list holds the blocks: the optimiser will never see them": [
        ("self.way_down = nn.ModuleList(", "self.way_down = list("),
        ("self.way_up = nn.ModuleList(", "self.way_up = list("),
    ],
    "a size that cannot be halved often enough is not refused": [
        (
            "if height % self.multiple != 0 or width % self.multiple != 0:",
            "if min(height, width) < 1:",
        )
    ],
    "2^levels is asked for: with so many levels, one halving fewer takes place": [
        ("2 ** (levels - 1)", "2**levels")
    ],
    "attention is forgotten in the middle": [
        ("AttentiveBlock(w[-2], w[-1], n, heads_at[levels - 1])", "AttentiveBlock(w[-2], w[-1], n)")
    ],
    "attention is forgotten on the way up": [
        ("w[k + 1], w[k + 1], n, heads_at[k], depth)", "w[k + 1], w[k + 1], n, 0, depth)")
    ],
}
