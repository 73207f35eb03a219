"""Chapter 3, mistakes that the grader knows by name: the residual block."""

from checks import misconception

# The condition.

misconception(
    "3.1",
    "the condition lacks its two axes of length 1, or has them in front: (B, C, 1, 1) fits (B, C, H, W)",
    edit=("self.cond(F.silu(cond))[:, :, None, None]", "self.cond(F.silu(cond))"),
)
misconception(
    "3.1",
    "every image gets the average condition of the batch",
    edit=(
        "self.cond(F.silu(cond))[:, :, None, None]",
        "self.cond(F.silu(cond)).mean(0, keepdim=True)[:, :, None, None]",
    ),
)
misconception(
    "3.1",
    "there is no SiLU before the condition's linear layer",
    edit=("self.cond(F.silu(cond))", "self.cond(cond)"),
)
misconception(
    "3.1",
    "the SiLU comes after the condition's linear layer, not before it",
    edit=("self.cond(F.silu(cond))", "F.silu(self.cond(cond))"),
)
misconception(
    "3.1",
    'with conditioning="add" the condition is ignored',
    edit=("self.norm2(h + cond)", "self.norm2(h)"),
)
misconception(
    "3.1",
    'with conditioning="add" the condition is added after norm2, not before it',
    edit=("self.norm2(h + cond)", "self.norm2(h) + cond"),
)
misconception(
    "3.1",
    'with conditioning="add" the condition is added to the wrong tensor: to what conv2 gives',
    edit=(
        ("h = self.norm2(h + cond)", "h = self.norm2(h)"),
        (
            "h = self.conv2(self.dropout(F.silu(h)))",
            "h = self.conv2(self.dropout(F.silu(h))) + (cond if self.conditioning == 'add' else 0)",
        ),
    ),
)
misconception(
    "3.1",
    'conditioning="add" is ignored: the condition becomes scale and shift all the same',
    edit=('        if self.conditioning == "scale_shift":', "        if True:"),
)
misconception(
    "3.2",
    "scale where 1 + scale belongs: with a scale of 0 nothing is left of h",
    edit=("self.norm2(h) * (1 + scale)", "self.norm2(h) * scale"),
)
misconception(
    "3.2",
    "scale and shift are exchanged: the first half of c is the scale",
    edit=("scale, shift = cond", "shift, scale = cond"),
)
misconception(
    "3.2",
    "the shift is added before the scale is multiplied: norm2(h) · (1 + scale) comes first",
    edit=("self.norm2(h) * (1 + scale) + shift", "(self.norm2(h) + shift) * (1 + scale)"),
)
misconception(
    "3.2",
    "scale and shift are taken in turn from c (every other number): the first half of c is the scale",
    edit=("cond.chunk(2, dim=1)", "(cond[:, 0::2], cond[:, 1::2])"),
)
misconception(
    "3.2",
    "the batch is cut in halves, not the channels: chunk and split need dim=1",
    edit=("cond.chunk(2, dim=1)", "cond.chunk(2)"),
)
misconception(
    "3.2",
    "chunk(2) makes two halves, split(2) makes pieces of two channels each",
    edit=("cond.chunk(2, dim=1)", "cond.split(2, dim=1)"),
)
misconception(
    "3.2",
    "the parentheses around 1 + scale are missing: the scale is added, not multiplied",
    edit=("self.norm2(h) * (1 + scale) + shift", "self.norm2(h) * 1 + scale + shift"),
)
misconception(
    "3.2",
    "an activation comes between norm2 and scale and shift",
    edit=("self.norm2(h) * (1 + scale)", "F.silu(self.norm2(h)) * (1 + scale)"),
)
misconception(
    "3.2",
    "the shift is forgotten",
    edit=("self.norm2(h) * (1 + scale) + shift", "self.norm2(h) * (1 + scale)"),
)
misconception("3.2", "the scale is forgotten", edit=(" * (1 + scale) + shift", " + shift"))
misconception(
    "3.2",
    "the condition is ignored: neither scale nor shift is used",
    edit=(" * (1 + scale) + shift", ""),
    draws="condition-ignored",
)
misconception(
    "3.2",
    "scale and shift come before norm2, which undoes most of them; they belong after it",
    edit=("self.norm2(h) * (1 + scale) + shift", "self.norm2(h * (1 + scale) + shift)"),
)
misconception(
    "3.2",
    "norm2 is missing: scale and shift work on h as conv1 left it",
    edit=("self.norm2(h) * (1 + scale)", "h * (1 + scale)"),
)
misconception(
    "3.2",
    "scale and shift work on the wrong tensor: on what conv2 gives",
    edit=(
        ("self.norm2(h) * (1 + scale) + shift", "self.norm2(h)"),
        (
            "        return h + self.skip(x)",
            """        if self.conditioning == "scale_shift":
            h = h * (1 + scale) + shift
        return h + self.skip(x)""",
        ),
    ),
)
misconception(
    "3.2",
    "the condition is detached: the embeddings before it never learn",
    edit=("self.cond(F.silu(cond))", "self.cond(F.silu(cond.detach()))"),
)

# Norms, activations, convolutions.

misconception(
    "3.1",
    "ReLU where SiLU belongs",
    edit=(
        ("F.silu(self.norm1(x))", "F.relu(self.norm1(x))"),
        ("F.silu(cond)", "F.relu(cond)"),
        ("F.silu(h)", "F.relu(h)"),
    ),
)
misconception(
    "3.1",
    "GELU where SiLU belongs",
    edit=(
        ("F.silu(self.norm1(x))", "F.gelu(self.norm1(x))"),
        ("F.silu(cond)", "F.gelu(cond)"),
        ("F.silu(h)", "F.gelu(h)"),
    ),
)
misconception(
    "3.1",
    "ReLU where SiLU belongs, before the condition's linear layer",
    edit=("F.silu(cond)", "F.relu(cond)"),
)
misconception(
    "3.1",
    "an activation in place (inplace=True) writes into the caller's cond",
    edit=("F.silu(cond)", "F.silu(cond, inplace=True)"),
)
misconception(
    "3.1",
    "there is no SiLU between norm1 and conv1",
    edit=("F.silu(self.norm1(x))", "self.norm1(x)"),
)
misconception(
    "3.1", "there is no SiLU before conv2", edit=("self.dropout(F.silu(h))", "self.dropout(h)")
)
misconception(
    "3.1",
    "norm1 comes after conv1 (convolution, norm, silu); here it is norm, silu, convolution",
    edit=(
        ("self.conv1(F.silu(self.norm1(x)))", "F.silu(self.norm1(self.conv1(x)))"),
        ("nn.GroupNorm(GROUPS, in_channels)", "nn.GroupNorm(GROUPS, out_channels)"),
    ),
)
misconception(
    "3.1",
    "norm1 stands behind conv1, whose number of channels it was not made for",
    edit=("self.conv1(F.silu(self.norm1(x)))", "F.silu(self.norm1(self.conv1(x)))"),
)
misconception(
    "3.1",
    "silu and norm1 are exchanged: first the norm, then the activation",
    edit=("F.silu(self.norm1(x))", "self.norm1(F.silu(x))"),
)
misconception(
    "3.1", "norm1 is missing", edit=("self.conv1(F.silu(self.norm1(x)))", "self.conv1(F.silu(x))")
)
misconception(
    "3.1",
    "conv1 is used twice, where conv2 belongs",
    edit=("self.conv2(self.dropout", "self.conv1(self.dropout"),
)
misconception(
    "3.1",
    "norm1 is used twice, where norm2 belongs",
    edit=(("self.norm2(h + cond)", "self.norm1(h + cond)"), ("self.norm2(h) *", "self.norm1(h) *")),
)
misconception(
    "3.1",
    "the norms have 4 groups, not 8",
    edit=(
        ("nn.GroupNorm(GROUPS, in_channels)", "nn.GroupNorm(4, in_channels)"),
        ("nn.GroupNorm(GROUPS, out_channels)", "nn.GroupNorm(4, out_channels)"),
    ),
)
misconception(
    "3.1",
    "the norms have 32 groups, as large networks have; here there are 8",
    edit=(
        ("nn.GroupNorm(GROUPS, in_channels)", "nn.GroupNorm(32, in_channels)"),
        ("nn.GroupNorm(GROUPS, out_channels)", "nn.GroupNorm(32, out_channels)"),
    ),
)
misconception(
    "3.1",
    "the norms have 32 groups where there are 64 channels or more: there are 8, however many channels",
    edit=(
        (
            "nn.GroupNorm(GROUPS, in_channels)",
            "nn.GroupNorm(32 if in_channels >= 64 else GROUPS, in_channels)",
        ),
        (
            "nn.GroupNorm(GROUPS, out_channels)",
            "nn.GroupNorm(32 if out_channels >= 64 else GROUPS, out_channels)",
        ),
    ),
)
misconception(
    "3.1",
    "the norms have a single group, as LayerNorm has; here there are 8",
    edit=(
        ("nn.GroupNorm(GROUPS, in_channels)", "nn.GroupNorm(1, in_channels)"),
        ("nn.GroupNorm(GROUPS, out_channels)", "nn.GroupNorm(1, out_channels)"),
    ),
)
misconception(
    "3.1",
    "each group has 8 channels, where there should be 8 groups",
    edit=(
        ("nn.GroupNorm(GROUPS, in_channels)", "nn.GroupNorm(in_channels // 8, in_channels)"),
        ("nn.GroupNorm(GROUPS, out_channels)", "nn.GroupNorm(out_channels // 8, out_channels)"),
    ),
)
misconception(
    "3.1",
    "norm2 has no weight and no bias (affine=False)",
    edit=(
        "nn.GroupNorm(GROUPS, out_channels)",
        "nn.GroupNorm(GROUPS, out_channels, affine=False)",
    ),
)
misconception(
    "3.1",
    "the condition's linear layer has no bias",
    edit=("per_channel * out_channels)", "per_channel * out_channels, bias=False)"),
)
misconception(
    "3.1",
    "each channel is a group of its own, as in InstanceNorm; here there are 8 groups",
    edit=(
        ("nn.GroupNorm(GROUPS, in_channels)", "nn.GroupNorm(in_channels, in_channels)"),
        ("nn.GroupNorm(GROUPS, out_channels)", "nn.GroupNorm(out_channels, out_channels)"),
    ),
)
misconception(
    "3.1",
    "BatchNorm where GroupNorm belongs: images of a batch influence each other",
    edit=(
        ("nn.GroupNorm(GROUPS, in_channels)", "nn.BatchNorm2d(in_channels)"),
        ("nn.GroupNorm(GROUPS, out_channels)", "nn.BatchNorm2d(out_channels)"),
    ),
)
misconception(
    "3.1",
    "the norms have eps 1e-6, not 1e-5",
    edit=(
        ("nn.GroupNorm(GROUPS, in_channels)", "nn.GroupNorm(GROUPS, in_channels, eps=1e-6)"),
        ("nn.GroupNorm(GROUPS, out_channels)", "nn.GroupNorm(GROUPS, out_channels, eps=1e-6)"),
    ),
)
misconception(
    "3.1",
    "conv1 has no bias",
    edit=(
        "out_channels, 3, padding=1)\n        per_",
        "out_channels, 3, padding=1, bias=False)\n        per_",
    ),
)
misconception(
    "3.1",
    "the convolutions have no padding: the picture shrinks",
    edit=(
        ("out_channels, 3, padding=1)\n        per_", "out_channels, 3)\n        per_"),
        (
            "nn.Conv2d(out_channels, out_channels, 3, padding=1)",
            "nn.Conv2d(out_channels, out_channels, 3)",
        ),
    ),
)

# Dropout.

misconception(
    "3.1",
    "dropout is active in eval mode too",
    edit=("self.dropout(F.silu(h))", "F.dropout(F.silu(h), self.dropout.p)"),
)
misconception("3.1", "dropout is missing", edit=("self.dropout(F.silu(h))", "F.silu(h)"))
misconception(
    "3.2",
    "with scale and shift there is no dropout: it stands in the other branch only",
    edit=(
        "self.dropout(F.silu(h))",
        'self.dropout(F.silu(h)) if self.conditioning == "add" else F.silu(h)',
    ),
)
misconception(
    "3.1",
    "a seed is set in forward (torch.manual_seed): every call drops the same numbers",
    edit=(
        "        h = self.conv2(self.dropout",
        "        import torch\n        torch.manual_seed(0)\n        h = self.conv2(self.dropout",
    ),
)
misconception(
    "3.1",
    "dropout comes before the activation, not after it",
    edit=("self.dropout(F.silu(h))", "F.silu(self.dropout(h))"),
)
misconception(
    "3.1",
    "dropout comes before conv1, not before conv2",
    edit=(
        ("self.conv1(F.silu(self.norm1(x)))", "self.conv1(self.dropout(F.silu(self.norm1(x))))"),
        ("self.dropout(F.silu(h))", "F.silu(h)"),
    ),
)
misconception(
    "3.1",
    "dropout comes twice, before conv1 too",
    edit=("self.conv1(F.silu(self.norm1(x)))", "self.conv1(self.dropout(F.silu(self.norm1(x))))"),
)
misconception(
    "3.1",
    "what dropout leaves is not divided by 1 − dropout",
    edit=(
        "self.dropout(F.silu(h))",
        "self.dropout(F.silu(h)) * (1 - self.dropout.p * self.training)",
    ),
)
misconception(
    "3.1",
    "`dropout` is taken for the probability of keeping a number",
    edit=("nn.Dropout(dropout)", "nn.Dropout(1 - dropout)"),
)
misconception(
    "3.1",
    "dropout comes after conv2, not before it",
    edit=("self.conv2(self.dropout(F.silu(h)))", "self.dropout(self.conv2(F.silu(h)))"),
)
misconception(
    "3.1",
    "whole channels are dropped (Dropout2d), not single numbers",
    edit=("nn.Dropout(dropout)", "nn.Dropout2d(dropout)"),
)
misconception(
    "3.1",
    "the argument `dropout` is not handed on: nn.Dropout() drops every second number",
    edit=("nn.Dropout(dropout)", "nn.Dropout()"),
)

misconception(
    "3.1",
    "without a skip path a batch of one image loses its batch axis (squeeze)",
    edit=("if self.residual else h", "if self.residual else h.squeeze(0)"),
)

# Arguments.
misconception(
    "3.3",
    "the arguments stand in another order: dropout, conditioning, residual is meant",
    edit=(
        '        conditioning: str = "scale_shift",\n        residual: bool = True,\n',
        '        residual: bool = True,\n        conditioning: str = "scale_shift",\n',
    ),
)
misconception(
    "3.1",
    "an unknown conditioning is accepted in silence",
    edit=("if conditioning not in CONDITIONINGS:", "if False:"),
)
misconception(
    "3.1",
    "channels that 8 does not divide are not looked at",
    edit=("if in_channels % GROUPS or out_channels % GROUPS:", "if False:"),
    equal="nn.GroupNorm refuses them with a ValueError of its own",
)

# The skip path.

misconception(
    "3.3",
    "there is no skip path",
    edit=("return h + self.skip(x)", "return h"),
    draws="no-skip-path",
)
misconception(
    "3.3",
    "the skip is not projected where the number of channels changes",
    edit=("h + self.skip(x)", "h + x"),
)
misconception(
    "3.3",
    "where there are fewer channels out than in, the first of them are the skip: x is projected there, too",
    edit=(
        (
            "if in_channels == out_channels or not residual:",
            "if in_channels >= out_channels or not residual:",
        ),
        ("h + self.skip(x)", "h + self.skip(x)[:, : h.shape[1]]"),
    ),
)
misconception(
    "3.3",
    "the skip is projected although the number of channels does not change",
    edit=("if in_channels == out_channels or not residual:", "if not residual:"),
)
misconception(
    "3.3",
    "the skip is a 3×3 convolution, not a 1×1",
    edit=(
        "nn.Conv2d(in_channels, out_channels, 1)",
        "nn.Conv2d(in_channels, out_channels, 3, padding=1)",
    ),
)
misconception(
    "3.3",
    "the skip's convolution has no bias",
    edit=(
        "nn.Conv2d(in_channels, out_channels, 1)",
        "nn.Conv2d(in_channels, out_channels, 1, bias=False)",
    ),
)
misconception(
    "3.3",
    "what is skipped is the normalised x, not x itself",
    edit=("h + self.skip(x)", "h + self.skip(self.norm1(x))"),
)
misconception(
    "3.3",
    "what is skipped is silu(norm1(x)), as when x is written over on the way; it should be x itself",
    edit=("h + self.skip(x)", "h + self.skip(F.silu(self.norm1(x)))"),
)
misconception(
    "3.3",
    "where the number of channels changes, there is no skip path",
    edit=("if self.residual else h", "if self.residual and x.shape == h.shape else h"),
)
misconception(
    "3.3",
    "where the number of channels does not change, there is no skip path",
    edit=("if self.residual else h", "if self.residual and x.shape != h.shape else h"),
)
misconception(
    "3.3",
    'with conditioning="add" there is no skip path',
    edit=("if self.residual else h", 'if self.residual and self.conditioning != "add" else h'),
)
misconception(
    "3.3",
    "the sum goes through an activation; the skip path has to stay free of it",
    edit=("h + self.skip(x) if", "F.silu(h + self.skip(x)) if"),
)
misconception(
    "3.3",
    "a ReLU after the sum, as in the first ResNets; the skip path has to stay free of it",
    edit=("h + self.skip(x) if", "F.relu(h + self.skip(x)) if"),
)
misconception(
    "3.3",
    "the sum is divided by 2: h and the skip are added, not averaged",
    edit=("h + self.skip(x) if", "(h + self.skip(x)) / 2 if"),
)
misconception(
    "3.3",
    "the sum is divided by √2",
    edit=("h + self.skip(x) if", "(h + self.skip(x)) / 2**0.5 if"),
)
misconception(
    "3.3",
    "the sum is written into x itself, which the caller still needs",
    edit=("h + self.skip(x) if", "self.skip(x).add_(h) if"),
)
misconception(
    "3.3",
    "residual=False is ignored: there is a skip path all the same",
    edit=(
        "        return h + self.skip(x) if self.residual else h",
        "        return h + self.skip(x)",
    ),
)
misconception(
    "3.3",
    "with a skip path there is no dropout: it stands before conv2 all the same",
    edit=(
        "self.dropout(F.silu(h))",
        "(F.silu(h) if self.residual else self.dropout(F.silu(h)))",
    ),
)
misconception(
    "3.3",
    "the skip is projected only where there are more channels out than in: it is wherever they differ",
    edit=(
        "if in_channels == out_channels or not residual:",
        "if in_channels >= out_channels or not residual:",
    ),
)
misconception(
    "3.3",
    "with a skip path dropout is active in eval mode, too",
    edit=(
        "self.dropout(F.silu(h))",
        "(F.dropout(F.silu(h), self.dropout.p) if self.residual else self.dropout(F.silu(h)))",
    ),
)
misconception(
    "3.3",
    "dropout works on the skip path, too: it stands before conv2 only",
    edit=("h + self.skip(x) if", "h + self.skip(self.dropout(x)) if"),
)
misconception(
    "3.3",
    "a batch of one image loses its batch axis (squeeze)",
    edit=("h + self.skip(x) if", "(h + self.skip(x)).squeeze(0) if"),
)
misconception(
    "3.3",
    'with conditioning="add" conv2 starts at zero without a skip path, too: nothing ever flows through',
    edit=(
        "        if residual:\n            nn.init",
        '        if residual or conditioning == "add":\n            nn.init',
    ),
)
misconception(
    "3.3",
    "a seed is set in __init__ (torch.manual_seed): every block starts alike",
    edit=(
        "        self.conditioning = conditioning\n",
        "        import torch\n        torch.manual_seed(0)\n        self.conditioning = conditioning\n",
    ),
)
misconception(
    "3.3",
    "conv2 does not start at zero",
    edit=(
        "            nn.init.zeros_(self.conv2.weight)\n            nn.init.zeros_(self.conv2.bias)\n",
        "            pass\n",
    ),
)
misconception(
    "3.3",
    "conv1 starts at zero, where conv2 should",
    edit=(
        ("zeros_(self.conv2.weight)", "zeros_(self.conv1.weight)"),
        ("zeros_(self.conv2.bias)", "zeros_(self.conv1.bias)"),
    ),
)
misconception(
    "3.3",
    "conv2 starts at zero without a skip path only: it should with one",
    edit=(
        "        if residual:\n            nn.init",
        "        if not residual:\n            nn.init",
    ),
)
misconception(
    "3.3",
    "the skip's convolution starts at zero too: nothing ever comes out where channels change",
    edit=(
        "            nn.init.zeros_(self.conv2.bias)\n",
        "            for p in (self.conv2.bias, *self.skip.parameters()):\n"
        "                nn.init.zeros_(p)\n",
    ),
)
misconception(
    "3.3",
    "the bias of a norm does not start at 0",
    edit=(
        "            nn.init.zeros_(self.conv2.bias)\n",
        "            nn.init.zeros_(self.conv2.bias)\n            nn.init.ones_(self.norm1.bias)\n",
    ),
)
misconception(
    "3.3",
    "only the weight of conv2 starts at zero, its bias does not",
    edit=("            nn.init.zeros_(self.conv2.bias)\n", ""),
)
misconception(
    "3.3",
    "the condition's linear layer starts at zero, where conv2 should",
    edit=(
        ("zeros_(self.conv2.weight)", "zeros_(self.cond.weight)"),
        ("zeros_(self.conv2.bias)", "zeros_(self.cond.bias)"),
    ),
)
misconception(
    "3.3",
    "conv2 starts at zero without a skip path too: nothing ever flows through",
    edit=("        if residual:\n            nn.init", "        if True:\n            nn.init"),
)
