"""Chapter 4, mistakes that the grader knows by name: blocks that go down and up, attention, and the U-Net."""

from checks import misconception

misconception(
    "4.1",
    "the skip is taken after halving: the detail that it should carry is gone",
    edit=("return self.down(x), x", "return (h := self.down(x)), h"),
)
misconception(
    "4.1",
    "h is made of x, not of what the residual block returned",
    edit=(
        "x = attention(block(x, cond))\n        return self.down(x), x",
        "h, x = x, attention(block(x, cond))\n"
        "        return self.down(h if h.shape == x.shape else x), x",
    ),
)
misconception(
    "4.1",
    "(skip, h) is returned where (h, skip) belongs",
    edit=("return self.down(x), x", "return x, self.down(x)"),
)
misconception(
    "4.1",
    "h is a quarter cut out of the picture: halving looks at all of it",
    edit=(
        "return self.down(x), x",
        "return x[..., : x.shape[-2] // 2, : x.shape[-1] // 2], x",
    ),
)
misconception(
    "4.1",
    "the skip is taken before the residual block, not after it",
    edit=(
        "x = attention(block(x, cond))\n        return self.down(x), x",
        "skip, x = x, attention(block(x, cond))\n        return self.down(x), skip",
    ),
)
misconception(
    "4.1",
    "nothing is halved on the way down",
    edit=("return self.down(x), x", "return x, x"),
)
misconception(
    "4.1",
    "the residual blocks of the way down are told something else than cond",
    edit=(
        "x = attention(block(x, cond))\n        return self.down(x), x",
        "x = attention(block(x, torch.zeros_like(cond)))\n        return self.down(x), x",
    ),
)
misconception(
    "4.2",
    "the skip is ignored: there are zeros where it belongs",
    edit=("[self.up(x), skip]", "[self.up(x), torch.zeros_like(skip)]"),
)
misconception(
    "4.2",
    "the skip is detached before it is concatenated: no gradient comes back through it",
    edit=("[self.up(x), skip]", "[self.up(x), skip.detach()]"),
)
misconception(
    "4.2",
    "the skip is changed before it is concatenated (divided by √2, say): it arrives as it is",
    edit=("[self.up(x), skip]", "[self.up(x), skip * 2**-0.5]"),
)
misconception(
    "4.2",
    "x and skip are concatenated along the batch: torch.cat needs dim=1",
    edit=("[self.up(x), skip], dim=1)", "[self.up(x), skip])"),
)
misconception(
    "4.2",
    "the skip is added once more after the residual blocks",
    edit=(
        "x = attention(block(x, cond))\n        return x",
        "x = attention(block(x, cond))\n        return x + skip if x.shape == skip.shape else x",
    ),
)
misconception(
    "4.2",
    "where the widths are equal, the skip is added to x as well: it is concatenated, and that is all",
    edit=(
        "x = torch.cat([self.up(x), skip], dim=1)",
        "x = self.up(x)\n"
        "        x = torch.cat([x + skip if x.shape == skip.shape else x, skip], dim=1)",
    ),
)
misconception(
    "4.2",
    "x is not enlarged before the concatenation",
    edit=("[self.up(x), skip]", "[x, skip]"),
)
misconception(
    "4.2",
    "enlarged after the concatenation: the skip was shrunk to fit, and its detail is gone",
    edit=(
        "torch.cat([self.up(x), skip], dim=1)",
        "F.interpolate(torch.cat([x, F.avg_pool2d(skip, 2)], dim=1), scale_factor=2.0)",
    ),
)
misconception(
    "4.2",
    "the block after the concatenation is made for in_channels only",
    edit=("widths = [in_channels + skip_channels] +", "widths = [in_channels] +"),
)
misconception(
    "4.2",
    "the block after the concatenation is made for twice skip_channels, as if x had as many",
    edit=("widths = [in_channels + skip_channels] +", "widths = [2 * skip_channels] +"),
)
misconception(
    "4.2",
    "the skip is added to x where it should be concatenated",
    edit=("torch.cat([self.up(x), skip], dim=1)", "self.up(x) + skip"),
)
misconception(
    "4.2",
    "Tensor.repeat lays copies of the picture side by side; enlarging repeats each pixel",
    edit=("[self.up(x), skip]", "[self.up[1](x.repeat(1, 1, 2, 2)), skip]"),
)
misconception(
    "4.2",
    "each number is repeated four times and the rows are cut anew: pixels do not stay at their places",
    edit=(
        "[self.up(x), skip]",
        "[self.up[1](x.repeat_interleave(4, -1).reshape(*x.shape[:2], *skip.shape[2:])), skip]",
    ),
)
misconception(
    "4.3",
    "SelfAttention2d has another number of heads by default than 4",
    edit=(
        "def __init__(self, channels: int, heads: int = 4):",
        "def __init__(self, channels: int, heads: int = 8):",
    ),
)
misconception(
    "4.3",
    "the scale 1/√(C / heads) is missing",
    edit=(
        "scaled_dot_product_attention(q, k, v)",
        "scaled_dot_product_attention(q, k, v, scale=1.0)",
    ),
)
misconception(
    "4.3",
    "scaled by 1/√C where 1/√(C / heads) belongs: each head is narrower than C",
    edit=(
        "scaled_dot_product_attention(q, k, v)",
        "scaled_dot_product_attention(q, k, v, scale=c**-0.5)",
    ),
)
misconception(
    "4.3",
    "divided by C / heads where its square root belongs (or scaled twice, which is the same)",
    edit=(
        "scaled_dot_product_attention(q, k, v)",
        "scaled_dot_product_attention(q, k, v, scale=self.heads / c)",
    ),
)
misconception(
    "4.3",
    "the scale is 1/√(H·W): it is the width of a head that counts, not the number of places",
    edit=(
        "scaled_dot_product_attention(q, k, v)",
        "scaled_dot_product_attention(q, k, v, scale=(h * w) ** -0.5)",
    ),
)
misconception(
    "4.3",
    "multiplied by √(C / heads) where it should be divided",
    edit=(
        "scaled_dot_product_attention(q, k, v)",
        "scaled_dot_product_attention(q, k, v, scale=(c // self.heads) ** 0.5)",
    ),
)
misconception(
    "4.3",
    "there is no softmax",
    edit=(
        "F.scaled_dot_product_attention(q, k, v)",
        "(q @ k.transpose(-1, -2)) * (c // self.heads) ** -0.5 @ v",
    ),
)
misconception(
    "4.3",
    "scaled after the softmax, not before it",
    edit=(
        "F.scaled_dot_product_attention(q, k, v)",
        "(q @ k.transpose(-1, -2)).softmax(dim=-1) * (c // self.heads) ** -0.5 @ v",
    ),
)
misconception(
    "4.3",
    "k is forgotten: the queries look at each other",
    edit=("scaled_dot_product_attention(q, k, v)", "scaled_dot_product_attention(q, q, v)"),
)
misconception(
    "4.3",
    "channels look at each other, not places: q, k and v have to be (…, H·W, C/heads)",
    edit=(
        "F.scaled_dot_product_attention(q, k, v)",
        "F.scaled_dot_product_attention(*(a.transpose(-1, -2) for a in (q, k, v))).transpose(-1, -2)",
    ),
)
misconception(
    "4.3",
    "the number of heads and the width of a head are exchanged",
    edit=(
        "qkv.reshape(b, 3, self.heads, c // self.heads, h * w)",
        "qkv.reshape(b, 3, c // self.heads, self.heads, h * w)",
    ),
)
misconception(
    "4.3",
    "the norm has a single group; here there are 8",
    edit=("nn.GroupNorm(GROUPS, channels)", "nn.GroupNorm(1, channels)"),
)
misconception(
    "4.3",
    "each group of the norm has 2 channels; here there are 8 groups",
    edit=("nn.GroupNorm(GROUPS, channels)", "nn.GroupNorm(channels // 2, channels)"),
)
misconception(
    "4.3",
    "the scale is 1/√8, as for heads of 8 channels, whatever their width: 1/√(C / heads) is meant",
    edit=(
        "scaled_dot_product_attention(q, k, v)",
        "scaled_dot_product_attention(q, k, v, scale=GROUPS**-0.5)",
    ),
)
misconception(
    "4.3",
    "the norm has eps 1e-6, not 1e-5",
    edit=("nn.GroupNorm(GROUPS, channels)", "nn.GroupNorm(GROUPS, channels, eps=1e-6)"),
)
misconception(
    "4.3",
    "q, k and v have no bias",
    edit=(
        "nn.Conv2d(channels, 3 * channels, 1)",
        "nn.Conv2d(channels, 3 * channels, 1, bias=False)",
    ),
)
misconception(
    "4.3",
    "the images of the batch look at each other, place by place (nn.MultiheadAttention: batch_first)",
    edit=(
        "F.scaled_dot_product_attention(q, k, v)",
        "F.scaled_dot_product_attention(*(a.transpose(0, 2) for a in (q, k, v))).transpose(0, 2)",
    ),
)
misconception(
    "4.3",
    "dropout in the attention",
    edit=(
        "scaled_dot_product_attention(q, k, v)",
        "scaled_dot_product_attention(q, k, v, dropout_p=0.1 * self.training)",
    ),
)
misconception(
    "4.3",
    "the softmax runs over the queries, not over the keys",
    edit=(
        "F.scaled_dot_product_attention(q, k, v)",
        "((q @ k.transpose(-1, -2)) * (c // self.heads) ** -0.5).softmax(dim=-2) @ v",
    ),
)
misconception(
    "4.3",
    "the softmax runs over the heads, not over the keys",
    edit=(
        "F.scaled_dot_product_attention(q, k, v)",
        "((q @ k.transpose(-1, -2)) * (c // self.heads) ** -0.5).softmax(dim=1) @ v",
    ),
)
misconception(
    "4.3",
    "there is no residual path around the attention",
    edit=("return x + self.out(", "return self.out("),
)
misconception(
    "4.3",
    "the residual path adds norm(x) where x belongs",
    edit=(
        "qkv = self.qkv(self.norm(x))  # (B, 3·C, H, W)",
        "qkv = self.qkv(x := self.norm(x))",
    ),
)
misconception(
    "4.3",
    "the heads are ignored: all channels in one head",
    edit=(
        "qkv.reshape(b, 3, self.heads, c // self.heads, h * w)",
        "qkv.reshape(b, 3, 1, c, h * w)",
    ),
)
misconception(
    "4.3",
    "the norm before the projections is missing",
    edit=("self.qkv(self.norm(x))", "self.qkv(x)"),
)
misconception(
    "4.3",
    "the output projection does not start at zero",
    edit=(
        "        nn.init.zeros_(self.out.weight)\n        nn.init.zeros_(self.out.bias)\n",
        "\n\n",
    ),
)
misconception(
    "4.3",
    "all projections start at zero, not only the last one: then none of them ever learns",
    edit=(
        "        nn.init.zeros_(self.out.bias)\n",
        "        nn.init.zeros_(self.out.bias)\n"
        "        nn.init.zeros_(self.qkv.weight)\n        nn.init.zeros_(self.qkv.bias)\n",
    ),
)
misconception(
    "4.3",
    "the output projection is not applied",
    edit=(
        "self.out(mixed.transpose(-1, -2).reshape(b, c, h, w))",
        "mixed.transpose(-1, -2).reshape(b, c, h, w)",
    ),
)
misconception(
    "4.3",
    "v is forgotten: the keys themselves are averaged",
    edit=("scaled_dot_product_attention(q, k, v)", "scaled_dot_product_attention(q, k, k)"),
)
misconception(
    "4.3",
    "q, k and v are reshaped to (…, H·W, C/heads) without transposing: places and channels are mixed up",
    edit=(
        "reshape(b, 3, self.heads, c // self.heads, h * w).permute(1, 0, 2, 4, 3)",
        "reshape(b, 3, self.heads, h * w, c // self.heads).permute(1, 0, 2, 3, 4)",
    ),
)
misconception(
    "4.3",
    "reshaped back without transposing: places and channels are mixed up",
    edit=("mixed.transpose(-1, -2).reshape(b, c, h, w)", "mixed.reshape(b, c, h, w)"),
)
misconception(
    "4.3",
    "places are read as channels: (B, H·W, C) needs a transpose before it becomes (B, C, H, W)",
    edit=(
        "mixed.transpose(-1, -2).reshape(b, c, h, w)",
        "mixed.transpose(1, 2).reshape(b, c, h, w)",
    ),
)
misconception(
    "4.3",
    "after the output projection, (B, H·W, C) becomes (B, C, H, W) without a transpose",
    edit=(
        "self.out(mixed.transpose(-1, -2).reshape(b, c, h, w))",
        "F.linear(mixed.transpose(1, 2).flatten(2), self.out.weight.flatten(1), self.out.bias)"
        ".reshape(b, c, h, w)",
    ),
)
misconception(
    "4.3",
    "height and width are exchanged on the way back",
    edit=(
        "mixed.transpose(-1, -2).reshape(b, c, h, w)",
        "mixed.transpose(-1, -2).reshape(b, c, w, h).transpose(-1, -2)",
    ),
)
misconception(
    "4.3",
    "masked as in a language model: a place sees only those before it",
    edit=(
        "scaled_dot_product_attention(q, k, v)",
        "scaled_dot_product_attention(q, k, v, is_causal=True)",
    ),
)
misconception(
    "4.4",
    "the skips are taken in the wrong order: pop(0) gives the first, not the last",
    edit=("skips.pop()", "skips.pop(0)"),
)
misconception(
    "4.4",
    "the same skip is used at every level: skips[-1] does not take it off the stack",
    edit=("skips.pop()", "skips[-1]"),
)
misconception(
    "4.4",
    "the skips come in the wrong order and are resized to fit",
    edit=(
        "h = up(h, skips.pop(), cond)",
        "h = up(h, F.interpolate(skips.pop(0), (2 * h.shape[2], 2 * h.shape[3])), cond)",
    ),
)
misconception(
    "4.4",
    "x is added once more around the attention of the way down: the layer does so itself",
    edit=(
        "x = attention(block(x, cond))\n        return self.down(x), x",
        "x = block(x, cond)\n"
        "            x = x if isinstance(attention, nn.Identity) else x + attention(x)\n"
        "        return self.down(x), x",
    ),
)
misconception(
    "4.4",
    "(skip, h) is taken from a DownBlock, which returns (h, skip)",
    edit=("h, skip = down(h, cond)", "skip, h = down(h, cond)"),
)
misconception(
    "4.4",
    "what was halved is kept as the skip",
    edit=("skips.append(skip)", "skips.append(h)"),
)
misconception(
    "4.4",
    "the way up begins at the top: its blocks are called in the order of the way down",
    edit=("for up in self.ups:", "for up in reversed(self.ups):"),
)
misconception(
    "4.4",
    "the residual blocks of the way up are told something else than cond",
    edit=("h = up(h, skips.pop(), cond)", "h = up(h, skips.pop(), torch.zeros_like(cond))"),
)
misconception(
    "4.4",
    "cond is changed (by an activation, say): residual blocks get it as it is, and have one of their own",
    edit=("self.condition(t, y)", "F.silu(self.condition(t, y))"),
)
misconception(
    "4.4",
    "residual blocks are told another timestep than the image has (t + 1, say, or none at all)",
    edit=("self.condition(t, y)", "self.condition(t + 1, y)"),
)
misconception(
    "4.4",
    "residual blocks are told another class than the image has (moved by one, say, or none at all)",
    edit=("h = up(h, skips.pop(), cond)", "h = up(h, skips.pop(), self.condition(t, None))"),
)
misconception(
    "4.4",
    "the network drops labels while it trains: that is for the training step of chapter 6",
    edit=(
        "self.condition(t, y)",
        "self.condition(t, y if y is None or not self.training "
        "else torch.where(torch.rand(y.shape) < 0.1, self.num_classes, y))",
    ),
)
misconception(
    "4.4",
    "cond is detached: the embeddings never learn",
    edit=("self.condition(t, y)", "self.condition(t, y).detach()"),
)
misconception(
    "4.4",
    "the timestep is ignored, or all but (t goes in as it is, divided by nothing)",
    edit=("self.condition(t, y)", "self.condition(torch.zeros_like(t), y)"),
    draws="timestep-ignored",
)
misconception(
    "4.4",
    "the class is ignored",
    edit=("self.condition(t, y)", "self.condition(t, None)"),
)
misconception(
    "4.4",
    "the whole batch gets the condition of its first image",
    edit=("self.condition(t, y)", "self.condition(t, y)[:1].expand(len(t), -1)"),
)
misconception(
    "4.4",
    "the whole batch gets one timestep",
    edit=("self.condition(t, y)", "self.condition(t.max().expand(len(t)), y)"),
)
misconception(
    "4.4",
    "the whole batch gets the timestep of its first image",
    edit=("self.condition(t, y)", "self.condition(t[:1].expand(len(t)), y)"),
)
misconception(
    "4.4",
    "in eval mode the class is ignored",
    edit=("self.condition(t, y)", "self.condition(t, y if self.training else None)"),
)
misconception(
    "4.4",
    "in eval mode the whole batch gets the timestep of its first image",
    edit=(
        "self.condition(t, y)",
        "self.condition(t if self.training else t[:1].expand(len(t)), y)",
    ),
)
misconception(
    "4.4",
    "in eval mode the output is clamped: what is predicted is noise, not a picture",
    edit=(
        "return self.head(F.silu(self.head_norm(h)))",
        "out = self.head(F.silu(self.head_norm(h)))\n"
        "        return out if self.training else out.clamp(-1, 1)",
    ),
)
misconception(
    "4.4",
    "a single null label in the batch wipes out all of its labels",
    edit=(
        "self.condition(t, y)",
        "self.condition(t, None if y is not None and (y == self.num_classes).any() else y)",
    ),
)
misconception(
    "4.4",
    "the input is clamped to [−1, 1]: noisy pictures reach further",
    edit=("h = self.stem(x)", "h = self.stem(x.clamp(-1, 1))"),
)
misconception(
    "4.4",
    "the input is standardised (mean 0, deviation 1): how noisy it is can no longer be seen",
    edit=(
        "h = self.stem(x)",
        "h = self.stem((x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True))",
    ),
)
misconception(
    "4.4",
    "the mean of each picture is taken away from it: how bright it is can no longer be seen",
    edit=("h = self.stem(x)", "h = self.stem(x - x.mean((1, 2, 3), keepdim=True))"),
)
misconception(
    "4.4",
    "the input is brought to another range, [0, 1] say: it goes into the stem as it is",
    edit=("h = self.stem(x)", "h = self.stem((x + 1) / 2)"),
)
misconception(
    "4.4",
    "the condition is added to what the stem returns: it is for the residual blocks alone",
    edit=(
        "h = self.stem(x)",
        "h = self.stem(x) + cond[:, : self.stem.out_channels, None, None]",
    ),
)
misconception(
    "4.4",
    "forward switches to eval mode: that is left to who calls it",
    edit=("h = self.stem(x)", "self.eval()\n        h = self.stem(x)"),
)
misconception(
    "4.4",
    "the middle is wider than its level: it has base_width · multipliers[−1] channels",
    edit=(
        (
            "[below] + [widths[-1]] * middle_blocks",
            "[below] + [2 * widths[-1]] * (middle_blocks - 1) + [widths[-1]]",
        ),
        (
            "_attention_layers(widths[-1], heads_at[-1], 1)",
            "_attention_layers(2 * widths[-1], heads_at[-1], 1)",
        ),
    ),
)
misconception(
    "4.4",
    "the multipliers are sorted, as if widths had to rise: they stay in their order",
    edit=(
        "up_blocks = blocks if up_blocks is None else up_blocks",
        "up_blocks, multipliers = up_blocks or blocks, sorted(multipliers)",
    ),
)
misconception(
    "4.4",
    "the input is rounded to bytes: noisy pictures are no files",
    edit=("h = self.stem(x)", "h = self.stem(((x + 1) * 127.5).round() / 127.5 - 1)"),
)
misconception(
    "4.4",
    "an activation after the stem: residual blocks begin with their own",
    edit=("h = self.stem(x)", "h = F.relu(self.stem(x))"),
)
misconception(
    "4.4",
    "a seed is set in forward (torch.manual_seed): everybody's random numbers restart at every call",
    edit=("h = self.stem(x)", "torch.manual_seed(0)\n        h = self.stem(x)"),
)
misconception(
    "4.4",
    "a seed is set in __init__ (torch.manual_seed): every network starts alike",
    edit=(
        "self.condition = ConditionEmbedding(",
        "torch.manual_seed(0)\n        self.condition = ConditionEmbedding(",
    ),
)
misconception(
    "4.4",
    "y=None is used as if it were labels",
    edit=("self.condition(t, y)", "self.condition(t, y.long())"),
)
misconception(
    "4.4",
    "y=None is taken for class 0: the null class is label num_classes",
    edit=("self.condition(t, y)", "self.condition(t, torch.zeros_like(t) if y is None else y)"),
)
misconception(
    "4.4",
    "the residual blocks of the middle are told something else than cond",
    edit=(
        "in enumerate(self.middle):\n            h = block(h, cond)",
        "in enumerate(self.middle):\n            h = block(h, torch.zeros_like(cond))",
    ),
)
misconception(
    "4.4",
    "an activation on the output: noise is not confined to [−1, 1]",
    edit=(
        "return self.head(F.silu(self.head_norm(h)))",
        "return torch.tanh(self.head(F.silu(self.head_norm(h))))",
    ),
)
misconception(
    "4.4",
    "the head does not start at zero",
    edit=(
        "        nn.init.zeros_(self.head.weight)\n        nn.init.zeros_(self.head.bias)\n",
        "\n\n",
    ),
)
misconception(
    "4.4",
    "the norm before the last convolution is missing",
    edit=("F.silu(self.head_norm(h))", "F.silu(h)"),
)
misconception(
    "4.4",
    "the activation before the last convolution is missing",
    edit=("F.silu(self.head_norm(h))", "self.head_norm(h)"),
)
misconception(
    "4.4",
    "ReLU before the last convolution, where SiLU belongs",
    edit=("F.silu(self.head_norm(h))", "F.relu(self.head_norm(h))"),
)
misconception(
    "4.4",
    "in the head the norm comes after the activation, not before it",
    edit=("F.silu(self.head_norm(h))", "self.head_norm(F.silu(h))"),
)
misconception(
    "4.4",
    "the last convolution is 1×1, not 3×3",
    edit=("multipliers[0], channels, 3, padding=1)", "multipliers[0], channels, 1)"),
)
misconception(
    "4.4",
    "the picture is added to the prediction: what is asked for is the noise alone",
    edit=(
        "return self.head(F.silu(self.head_norm(h)))",
        "return x + self.head(F.silu(self.head_norm(h)))",
    ),
)
misconception(
    "4.4",
    "BatchNorm where GroupNorm belongs: the images of a batch influence each other",
    edit=(
        "nn.GroupNorm(GROUPS, base_width * multipliers[0])",
        "nn.BatchNorm2d(base_width * multipliers[0])",
    ),
)
misconception(
    "4.4",
    "[block] * n is one block used n times, not n blocks",
    edit=(
        "self.middle_attention = _attention",
        "self.middle, self.middle_attention = nn.ModuleList("
        "[*self.middle[:-1]] + [self.middle[-1]] * 2), _attention",
    ),
)
misconception(
    "4.4",
    "two levels share the weights of what halves or doubles: each level has its own",
    edit=(
        "        self.head_norm = nn.GroupNorm",
        "        for a, b in pairwise(self.downs):\n"
        "            if a.down.weight.shape == b.down.weight.shape:\n"
        "                b.down.weight, b.down.bias = a.down.weight, a.down.bias\n"
        "        self.head_norm = nn.GroupNorm",
    ),
)
misconception(
    "4.4",
    "a plain list holds the blocks: the optimiser will never see them",
    edit=(
        ("self.downs = nn.ModuleList(", "self.downs = list("),
        ("self.ups = nn.ModuleList(", "self.ups = list("),
    ),
)
misconception(
    "4.4",
    "the size of the picture is built in: what comes out has image_size × image_size pixels",
    edit=(
        ("self.channels = channels\n", "self.channels, self.size = channels, (image_size,) * 2\n"),
        ("self.head_norm(h)", "self.head_norm(F.interpolate(h, self.size))"),
    ),
)
misconception(
    "4.4",
    "only pictures of 3 channels work: the stem and the head ignore `channels`",
    edit=(
        ("self.stem = nn.Conv2d(channels,", "self.stem = nn.Conv2d(3,"),
        ("multipliers[0], channels, 3, padding=1)", "multipliers[0], 3, 3, padding=1)"),
    ),
)
misconception(
    "4.4",
    "a size that cannot be halved often enough is not refused",
    edit=("self._check_size(*x.shape[-2:])", "pass"),
)
misconception(
    "4.4",
    "only the height is looked at, not the width",
    edit=("height % self.factor or width % self.factor or", "height % self.factor or"),
)
misconception(
    "4.4",
    "2^levels is asked for: with so many levels, one halving fewer takes place",
    edit=("2 ** (len(multipliers) - 1)", "2 ** len(multipliers)"),
)
misconception(
    "4.4",
    "4 is built in: with other numbers of levels it is another number, 2^(levels − 1)",
    edit=("2 ** (len(multipliers) - 1)", "4"),
)
misconception(
    "4.4",
    "there is no attention, though it was asked for",
    edit=("heads if r in attention_resolutions else 0", "0"),
)
misconception(
    "4.4",
    "the number of heads is not handed on to the attention",
    edit=("heads if r in attention_resolutions", "4 if r in attention_resolutions"),
)
misconception(
    "4.4",
    "the multipliers are ignored: the width doubles at every level",
    edit=(
        "up_blocks = blocks if up_blocks is None else up_blocks",
        "up_blocks, multipliers = up_blocks or blocks, [2**k for k in range(len(multipliers))]",
    ),
)
misconception(
    "4.4",
    "dropout between the blocks: only residual blocks may have some",
    edit=("return self.down(x), x", "return F.dropout(self.down(x), 0.1, self.training), x"),
)
misconception(
    "4.4",
    "in eval mode the images of a batch influence each other (a mean over the batch, say)",
    edit=(
        "return self.head(F.silu(self.head_norm(h)))",
        "h = h if self.training else h - 0.1 * h.mean(0, keepdim=True)\n"
        "        return self.head(F.silu(self.head_norm(h)))",
    ),
)
misconception(
    "4.4",
    "the arguments of UNet stand in another order than in the stub",
    edit=(
        "        channels: int = 3,\n        num_classes: int = 10,\n",
        "        num_classes: int = 10,\n        channels: int = 3,\n",
    ),
)
misconception(
    "4.4",
    "in eval mode the skips are left out: both modes use all of the network",
    edit=(
        "h = up(h, skips.pop(), cond)",
        "skip = skips.pop()\n            h = up(h, skip if self.training else 0 * skip, cond)",
    ),
)
misconception(
    "4.4",
    "x is detached: a gradient of the prediction has to come back to the picture (chapter 9 asks for it)",
    edit=("h = self.stem(x)", "h = self.stem(x.detach())"),
)
misconception(
    "4.4",
    "skips are kept from call to call: the list belongs into forward, where it begins empty",
    edit=(
        ("self.factor = 2 **", "self.skips = []\n        self.factor = 2 **"),
        ("        skips = []\n", "        skips = self.skips\n"),
        (
            "        for up in self.ups:\n            h = up(h, skips.pop(), cond)",
            "        for k, up in enumerate(self.ups):\n            h = up(h, skips[-1 - k], cond)",
        ),
    ),
)
misconception(
    "4.4",
    "in the middle h is added once more around a residual block, which has a skip path of its own",
    edit=("            h = block(h, cond)\n", "            h = block(h, cond) + (h if k else 0)\n"),
)
misconception(
    "4.4",
    "the stem makes base_width · multipliers[0] channels: it is a convolution to base_width",
    edit=(
        ("nn.Conv2d(channels, base_width,", "nn.Conv2d(channels, widths[0],"),
        ("zip([base_width, *widths]", "zip([widths[0], *widths]"),
    ),
)
misconception(
    "4.4",
    "the skips are detached: no gradient comes back through them",
    edit=("skips.append(skip)", "skips.append(skip.detach())"),
)
misconception(
    "4.4",
    "attention is one level off",
    edit=("heads if r in attention_resolutions", "heads if r // 2 in attention_resolutions"),
)
misconception(
    "4.4",
    "attention is at every level below the first that was asked for",
    edit=(
        "heads if r in attention_resolutions else 0",
        "heads if r <= max(attention_resolutions, default=0) else 0",
    ),
)
misconception(
    "4.4",
    "there is never attention at full resolution, though it was asked for",
    edit=(
        "heads if r in attention_resolutions else 0",
        "heads if r in attention_resolutions and r < image_size else 0",
    ),
)
misconception(
    "4.4",
    "on the way down or up attention has the default number of heads, whatever was asked for",
    edit=("widths[:-1], heads_at, strict", "widths[:-1], [4 * (h > 0) for h in heads_at], strict"),
)
misconception(
    "4.4",
    "an attention layer is used twice, such as on the way down and up: each place needs its own",
    edit=(
        "        self.head_norm = nn.GroupNorm",
        "        for down, up in zip(self.downs, reversed(self.ups), strict=True):\n"
        "            up.attention = down.attention\n"
        "        self.head_norm = nn.GroupNorm",
    ),
)
misconception(
    "4.4",
    "on the way down attention comes after halving: it belongs before, at the resolution asked for",
    edit=(
        "x = attention(block(x, cond))\n        return self.down(x), x",
        "x = block(x, cond)\n        return attention(self.down(x)), x",
    ),
)
misconception(
    "4.4",
    "there is attention at a resolution of its own where none is asked for: () means none",
    edit=(
        "heads if r in attention_resolutions else 0",
        "heads if r in (attention_resolutions or (16,)) else 0",
    ),
)
misconception(
    "4.4",
    "resolutions that no level has are refused only when all are such: a single one is enough",
    edit=(
        "if unknown := set(attention_resolutions) - set(resolutions):",
        "unknown = set(attention_resolutions) - set(resolutions)\n"
        "        if attention_resolutions and unknown == set(attention_resolutions):",
    ),
)
misconception(
    "4.4",
    "attention is at every level, asked for or not",
    edit=("heads if r in attention_resolutions else 0", "heads"),
)
misconception(
    "4.4",
    "attention is forgotten on the way down",
    edit=("widths[:-1], heads_at, strict", "widths[:-1], [0] * len(widths), strict"),
)
misconception(
    "4.4",
    "on the way up attention is one level off",
    edit=("widths[-2::-1], heads_at[-2::-1]", "widths[-2::-1], heads_at[:0:-1]"),
)
misconception(
    "4.4",
    "attention is forgotten in the middle",
    edit=("_attention_layers(widths[-1], heads_at[-1], 1)[0]", "nn.Identity()"),
)
misconception(
    "4.4",
    "attention is forgotten on the way up",
    edit=(
        "widths[-2::-1], heads_at[-2::-1], strict",
        "widths[-2::-1], [0] * len(self.downs), strict",
    ),
)
