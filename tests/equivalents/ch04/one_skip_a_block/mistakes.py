"""The chapter's mistakes, made with flat lists, a skip after every block, fused nn.Linear.

This U-Net does without its own DownBlock and UpBlock: what is wrong there shows nowhere else.
"""

MISTAKES = {
    "the skip is taken after halving: the detail that it should carry is gone": [
        ("return self.smaller(skip), skip", "skip = self.smaller(skip)\n        return skip, skip")
    ],
    "the skip is ignored: there are zeros where it belongs": [
        ("(self.larger(x), skip)", "(self.larger(x), 0 * skip)")
    ],
    "Tensor.repeat lays copies of the picture side by side; enlarging repeats each pixel": [
        ("x.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)", "x.repeat(1, 1, 2, 2)")
    ],
    "the scale 1/√(C / heads) is missing": [(" / math.sqrt(self.width)", "")],
    "scaled by 1/√C where 1/√(C / heads) belongs: each head is narrower than C": [
        ("math.sqrt(self.width)", "math.sqrt(x.shape[1])")
    ],
    "the softmax runs over the queries, not over the keys": [
        ("torch.softmax(weights, dim=-1)", "torch.softmax(weights, dim=-2)")
    ],
    "after the output projection, (B, H·W, C) becomes (B, C, H, W) without a transpose": [
        (
            "self.proj_out(tokens).transpose(1, 2).unflatten(2, size)",
            "self.proj_out(tokens).view_as(x)",
        )
    ],
    "there is no residual path around the attention": [
        (".unflatten(2, size) + x", ".unflatten(2, size)")
    ],
    "the heads are ignored: all channels in one head": [
        (
            "self.n_head, self.width = heads, channels // heads",
            "self.n_head, self.width = 1, channels",
        )
    ],
    "the norm before the projections is missing": [
        ("self.group_norm(x).flatten(2)", "x.flatten(2)")
    ],
    "the output projection does not start at zero": [
        ("nn.init.constant_(parameter, 0.0)", "nn.init.normal_(parameter, 0.0, 0.02)")
    ],
    "v is forgotten: the keys themselves are averaged": [
        ("torch.matmul(weights, value)", "torch.matmul(weights, key)")
    ],
    "the timestep is ignored, or all but (t goes in as it is, divided by nothing)": [
        ("self.embedding(t, y)", "self.embedding(t * 0, y)")
    ],
    "the class is ignored": [("self.embedding(t, y)", "self.embedding(t)")],
    "y=None is taken for class 0: the null class is label num_classes": [
        ("self.embedding(t, y)", "self.embedding(t, t * 0 if y is None else y)")
    ],
    "an activation on the output: noise is not confined to [−1, 1]": [
        ("return self.output(h)", "return self.output(h).tanh()")
    ],
    "the activation before the last convolution is missing": [("nn.SiLU(), final", "final")],
    "the norm before the last convolution is missing": [
        ("nn.GroupNorm(8, width), nn.SiLU()", "nn.SiLU()")
    ],
    "BatchNorm where GroupNorm belongs: the images of a batch influence each other": [
        ("nn.GroupNorm(8, width), nn.SiLU()", "nn.BatchNorm2d(width), nn.SiLU()")
    ],
    "a size that cannot be halved often enough is not refused": [
        ("if x.size(2) % multiple or x.size(3) % multiple:", "if multiple < 1:")
    ],
    "only the height is looked at, not the width": [
        ("if x.size(2) % multiple or x.size(3) % multiple:", "if x.size(2) % multiple:")
    ],
    "2^levels is asked for: with so many levels, one halving fewer takes place": [
        ("1 << self.last_level", "2 << self.last_level")
    ],
    "there is no attention, though it was asked for": [
        ("if sizes[level] in attention_resolutions:", "if level < 0:")
    ],
    "the number of heads is not handed on to the attention": [
        ("return SelfAttention2d(width, heads)", "return SelfAttention2d(width)")
    ],
    "the multipliers are ignored: the width doubles at every level": [
        ("out = base_width * multiplier\n", "out = base_width * 2**level\n"),
        ("out = base_width * multipliers[level]", "out = base_width * 2**level"),
    ],
    "the skips are detached: no gradient comes back through them": [
        ("stack.append(h)", "stack.append(h.detach())")
    ],
}
