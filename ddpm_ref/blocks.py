"""Chapter 3 · The residual block: where picture and condition meet.

The way through it:

    x ─► norm ─ silu ─ conv ─► norm · (1 + scale) + shift ─ silu ─ dropout ─ conv ─► + ─►
    │                                  ▲                                             ▲
    │                cond ─ silu ─ linear                                            │
    └────────────────────────────── skip (identity or 1×1) ──────────────────────────┘
"""

import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 8
CONDITIONINGS = ("scale_shift", "add")


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with the condition in between, around them a skip path.

        h = conv1(silu(norm1(x)))
        scale, shift = Linear(silu(cond))          # the first half is the scale
        h = norm2(h) · (1 + scale) + shift
        out = conv2(dropout(silu(h))) + skip(x)

    `conv2` starts at zero, so a fresh block is its skip path alone and a deep stack of them trains
    from the first step. The skip is the identity exactly when in_channels = out_channels, else a
    1×1 convolution with bias. GroupNorm has 8 groups and eps 1e-5; there is no division by √2.
    Source: Ho et al. 2020 (block), Dhariwal & Nichol 2021, section 3 (scale and shift).

    Two switches turn it into the plain block of the `seed` preset: `conditioning="add"` adds
    Linear(silu(cond)) to h between the convolutions, before norm2, in place of scale and shift;
    `residual=False` leaves the skip path out (conv2 is then initialised like any convolution:
    starting at zero, nothing would ever flow through).

    Args:
        in_channels, out_channels: multiples of 8.
        cond_dim: length of the condition.
        dropout: probability of dropping an activation in training.
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
        """x: (B, in, H, W), cond: (B, cond_dim) → (B, out, H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))  # (B, out, H, W)
        cond = self.cond(F.silu(cond))[:, :, None, None]  # (B, 2·out or out, 1, 1)
        if self.conditioning == "scale_shift":
            scale, shift = cond.chunk(2, dim=1)  # (B, out, 1, 1) each
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + cond)
        h = self.conv2(self.dropout(F.silu(h)))  # (B, out, H, W)
        return h + self.skip(x) if self.residual else h
