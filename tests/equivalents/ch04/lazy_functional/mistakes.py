"""The chapter's mistakes, made with lazy layers and plain functions."""

MISTAKES = {
    "the skip is taken after halving: the detail that it should carry is gone": [
        ("return self.down(x), x", "x = self.down(x)\n        return x, x")
    ],
    "(skip, h) is returned where (h, skip) belongs": [
        ("return self.down(x), x", "return x, self.down(x)")
    ],
    "the skip is ignored: there are zeros where it belongs": [
        ("both[:, :c] = skip", "both[:, :c] = 0")
    ],
    "the block after the concatenation is made for in_channels only": [
        ("ResidualBlock(in_channels + skip_channels,", "ResidualBlock(in_channels,")
    ],
    "Tensor.repeat lays copies of the picture side by side; enlarging repeats each pixel": [
        ("F.interpolate(x, scale_factor=2.0)", "x.repeat(1, 1, 2, 2)")
    ],
    "the scale 1/√(C / heads) is missing": [("q / q.shape[-1] ** 0.5", "q")],
    "scaled by 1/√C where 1/√(C / heads) belongs: each head is narrower than C": [
        ("q / q.shape[-1] ** 0.5", "q / c**0.5")
    ],
    "the softmax runs over the queries, not over the keys": [
        (".softmax(dim=3)", ".softmax(dim=2)")
    ],
    "the softmax runs over the heads, not over the keys": [(".softmax(dim=3)", ".softmax(dim=1)")],
    "there is no residual path around the attention": [
        ("return x + F.linear(z", "return F.linear(z")
    ],
    "the heads are ignored: all channels in one head": [("self.heads = heads", "self.heads = 1")],
    "the norm before the projections is missing": [
        ("F.group_norm(x, 8, self.scale, self.shift).permute", "x.permute")
    ],
    "v is forgotten: the keys themselves are averaged": [
        ('bnij,bjnd->bind", a, v)', 'bnij,bjnd->bind", a, k)')
    ],
    "height and width are exchanged on the way back": [
        ("reshape(b, h, w, c)", "reshape(b, w, h, c).transpose(1, 2)")
    ],
    "the timestep is ignored, or all but (t goes in as it is, divided by nothing)": [
        ("self.cond(t, y)", "self.cond(0 * t, y)")
    ],
    "the class is ignored": [("self.cond(t, y)", "self.cond(t, None)")],
    "y=None is taken for class 0: the null class is label num_classes": [
        ("self.cond(t, y)", "self.cond(t, 0 * t if y is None else y)")
    ],
    "the residual blocks of the middle are told something else than cond": [
        (
            "isinstance(layer, SelfAttention2d) else layer(h, cond)",
            "isinstance(layer, SelfAttention2d) else layer(h, 0 * cond)",
        )
    ],
    "an activation on the output: noise is not confined to [−1, 1]": [
        (
            "return F.conv2d(h, self.kernel, self.bias, padding=1)",
            "return F.conv2d(h, self.kernel, self.bias, padding=1).tanh()",
        )
    ],
    "the head does not start at zero": [
        ("torch.zeros(channels, first, 3, 3)", "torch.randn(channels, first, 3, 3)")
    ],
    "the norm before the last convolution is missing": [
        ("F.silu(F.group_norm(h, 8, self.gain, self.offset))", "F.silu(h)")
    ],
    "the activation before the last convolution is missing": [
        (
            "F.silu(F.group_norm(h, 8, self.gain, self.offset))",
            "F.group_norm(h, 8, self.gain, self.offset)",
        )
    ],
    "a size that cannot be halved often enough is not refused": [
        ("if n % 2**self.halvings:", "if n < 0:")
    ],
    "2^levels is asked for: with so many levels, one halving fewer takes place": [
        ("if n % 2**self.halvings:", "if n % (2 * 2**self.halvings):"),
        ("multiple of {2**self.halvings}", "multiple of {2 * 2**self.halvings}"),
    ],
    "there is no attention, though it was asked for": [
        ("[heads if image_size // 2**k in attention_resolutions else 0", "[0 if image_size else 0")
    ],
    "attention is one level off": [
        ("[heads if image_size // 2**k in", "[heads if image_size // 2 ** (k + 1) in")
    ],
    "attention is forgotten in the middle": [
        ("if attends[self.halvings]:", "if attends[self.halvings] and False:")
    ],
    "the skips are detached: no gradient comes back through them": [
        ("(h, skip, cond)", "(h, skip.detach(), cond)")
    ],
}
