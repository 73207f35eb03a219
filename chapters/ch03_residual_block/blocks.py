"""Chapter 3 · The residual block: where picture and condition meet.

x ─► norm1 ─ silu ─ conv1 ─► norm2 · (1 + scale) + shift ─ silu ─ dropout ─ conv2 ─► + ─►
│                                      ▲                                             ▲
│                   cond ─ silu ─ linear                                             │
└──────────────────────────────── skip (identity or 1×1) ────────────────────────────┘

This is the brick of which chapter 4 builds the whole U-Net. You write `forward`, in three steps, each
of them checked: the plain block (3.1), scale and shift (3.2), the skip path (3.3).
"""

import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 8  # of every GroupNorm
CONDITIONINGS = ("scale_shift", "add")


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with the condition in between, around them a skip path.

        h = conv1(silu(norm1(x)))
        c = Linear(silu(cond))                     # one vector an image, the same for all its pixels
        h = norm2(h) · (1 + scale) + shift         # scale: the first half of c, shift: the second
        out = conv2(dropout(silu(h))) + skip(x)

    In this order, and with every layer used once. The convolutions have 3×3 kernels, padding 1 and a
    bias, so height and width stay what they are. Each GroupNorm has 8 groups and eps 1e-5. The skip is
    the identity exactly when in_channels = out_channels, else a 1×1 convolution with bias. What is
    added is neither divided by √2 nor activated. Dropout drops each number for itself (not whole
    channels), in training mode only. Nothing is changed in place: x and cond stay as they were.

    `conv2` starts at zero, weight and bias, so a fresh block is its skip path alone, and a deep stack
    of such blocks trains from the first step. A norm starts with weight 1 and bias 0. No seed is set,
    here or in `forward`.

    Two switches turn it into a plain block:

        conditioning="add"     h = norm2(h + c) in place of scale and shift; c has as many numbers as
                               h has channels
        residual=False         no skip path: out = conv2(dropout(silu(h))); conv2 is then initialised
                               like any convolution (starting at zero, nothing would ever flow through)

    Everything is float32. Source: Ho et al. 2020, appendix B (the block, with "add"); Dhariwal &
    Nichol 2021, section 3.1 (scale and shift); He et al. 2016 (the skip path).

    Args:
        in_channels, out_channels: multiples of 8.
        cond_dim: length of the condition.
        dropout: probability of dropping a number in training, 0 ≤ dropout < 1.
        conditioning: "scale_shift" or "add".
        residual: whether there is a skip path.

    Raises:
        ValueError: on channels that 8 does not divide, or an unknown conditioning.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        cond_dim: int,
        dropout: float = 0.0,
        conditioning: str = "scale_shift",
        residual: bool = True,
    ):
        super().__init__()
        if in_channels % GROUPS or out_channels % GROUPS:
            raise ValueError(
                f"channels must be multiples of {GROUPS} (the groups of GroupNorm), "
                f"got {in_channels} in and {out_channels} out"
            )
        if conditioning not in CONDITIONINGS:
            raise ValueError(f"conditioning must be one of {CONDITIONINGS}, got {conditioning!r}")
        self.conditioning = conditioning
        self.residual = residual
        self.norm1 = nn.GroupNorm(GROUPS, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        per_channel = 2 if conditioning == "scale_shift" else 1
        self.cond = nn.Linear(cond_dim, per_channel * out_channels)
        self.norm2 = nn.GroupNorm(GROUPS, out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        if in_channels == out_channels or not residual:
            self.skip = nn.Identity()
        else:
            self.skip = nn.Conv2d(in_channels, out_channels, 1)
        if residual:
            nn.init.zeros_(self.conv2.weight)
            nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """One pass through the block.

        Args:
            x: (B, in, H, W), of any height and width.
            cond: (B, cond_dim), one condition an image.

        Returns:
            (B, out, H, W).
        """
        # TODO(3.1), first of three: h, from x through norm1, silu and conv1; and c, from cond through
        # silu and the linear layer, with two more axes of length 1, so that each of its numbers meets
        # a whole channel of h: (B, out or 2·out, 1, 1).
        raise NotImplementedError("TODO(3.1)")
        if self.conditioning == "add":
            # TODO(3.1), second: c is added to h, before norm2.
            raise NotImplementedError("TODO(3.1)")
        else:
            # TODO(3.2): the two halves of c, scale and shift (B, out, 1, 1), and what they do to
            # norm2(h).
            raise NotImplementedError("TODO(3.2)")
        # TODO(3.1), third: silu, dropout and conv2.
        raise NotImplementedError("TODO(3.1)")
        if self.residual:
            # TODO(3.3): the skip path is added.
            raise NotImplementedError("TODO(3.3)")
        return h
