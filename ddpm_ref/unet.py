"""Chapter 4 · The U-Net: from a noisy picture to the noise (or the velocity) in it.

The way through it, with three levels:

    x ─ stem ─► DownBlock ──────────── skip ───────────► UpBlock ─► head ─► prediction
                    └► DownBlock ───── skip ──────► UpBlock ┘
                           └► middle (blocks, attention) ┘
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_ref.blocks import GROUPS, ResidualBlock
from ddpm_ref.embeddings import ConditionEmbedding


class SelfAttention2d(nn.Module):
    """Every place looks at every other place, and the result is added to what was there.

    For each head, over the H·W places: softmax(q·kᵀ / √(C / heads)) · v, the softmax over the keys.
    q, k, v and the output are 1×1 convolutions (on a CPU the same product as nn.Linear, faster);
    `qkv` holds the three in the order q, k, v, each of C channels, head after head. The output
    projection starts at zero: a fresh layer is the identity. Source: Vaswani et al. 2017, equation 1.

    Args:
        channels: C, a multiple of 8 and of `heads`.
        heads: number of heads.
    """

    def __init__(self, channels: int, heads: int = 4):
        super().__init__()
        if channels % heads or channels % GROUPS:
            raise ValueError(
                f"{channels} channels must be a multiple of {heads} heads and of {GROUPS}"
            )
        self.heads = heads
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) → (B, C, H, W)."""
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x))  # (B, 3·C, H, W)
        qkv = qkv.reshape(b, 3, self.heads, c // self.heads, h * w).permute(1, 0, 2, 4, 3)
        q, k, v = qkv.contiguous()  # (B, heads, H·W, C/heads) each; contiguous for the fast kernel
        if q.is_cpu and q.dtype == torch.bfloat16 and q.requires_grad:
            mixed = _attention_by_products(q, k, v)  # (B, heads, H·W, C/heads)
        else:
            mixed = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(mixed.transpose(-1, -2).reshape(b, c, h, w))


def _attention_by_products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same, for training in bf16 on a CPU: torch's kernel for it goes backward many times slower."""
    scores = q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)  # (B, heads, H·W, H·W)
    return scores.softmax(-1) @ v


class DownBlock(nn.Module):
    """Residual blocks at one resolution, then half of it.

    Args:
        in_channels, out_channels: before and after.
        cond_dim: length of the condition.
        blocks: how many residual blocks.
        heads: attention heads after each block; 0 for no attention.
        downsample: "conv" (3×3, stride 2) or "pool" (2×2 maximum).
        block_options: `dropout`, `conditioning`, `residual` of the residual blocks.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        cond_dim: int,
        blocks: int = 1,
        heads: int = 0,
        downsample: str = "conv",
        **block_options,
    ):
        super().__init__()
        widths = [in_channels] + [out_channels] * blocks
        self.blocks = nn.ModuleList(
            ResidualBlock(i, o, cond_dim, **block_options) for i, o in pairwise(widths)
        )
        self.attention = _attention_layers(out_channels, heads, blocks)
        if downsample == "conv":
            self.down = nn.Conv2d(out_channels, out_channels, 3, stride=2, padding=1)
        elif downsample == "pool":
            self.down = nn.MaxPool2d(2)
        else:
            raise ValueError(f'downsample must be "conv" or "pool", got {downsample!r}')

    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, in, H, W) → h: (B, out, H/2, W/2) and skip: (B, out, H, W), taken before halving."""
        for block, attention in zip(self.blocks, self.attention, strict=True):
            x = attention(block(x, cond))
        return self.down(x), x


class UpBlock(nn.Module):
    """Twice the resolution, the skip beside it, residual blocks over both.

    Args:
        in_channels: of what comes from below.
        skip_channels: of the skip.
        out_channels: after.
        cond_dim, blocks, heads, block_options: as for `DownBlock`.
        upsample: "nearest" (followed by a 3×3 convolution) or "bilinear" (alone).
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        cond_dim: int,
        blocks: int = 1,
        heads: int = 0,
        upsample: str = "nearest",
        **block_options,
    ):
        super().__init__()
        if upsample == "nearest":
            self.up = nn.Sequential(
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv2d(in_channels, in_channels, 3, padding=1),
            )
        elif upsample == "bilinear":
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        else:
            raise ValueError(f'upsample must be "nearest" or "bilinear", got {upsample!r}')
        widths = [in_channels + skip_channels] + [out_channels] * blocks
        self.blocks = nn.ModuleList(
            ResidualBlock(i, o, cond_dim, **block_options) for i, o in pairwise(widths)
        )
        self.attention = _attention_layers(out_channels, heads, blocks)

    def forward(self, x: Tensor, skip: Tensor, cond: Tensor) -> Tensor:
        """x: (B, in, H/2, W/2), skip: (B, skip, H, W) → (B, out, H, W)."""
        x = torch.cat([self.up(x), skip], dim=1)  # (B, in + skip, H, W)
        for block, attention in zip(self.blocks, self.attention, strict=True):
            x = attention(block(x, cond))
        return x


class UNet(nn.Module):
    """The noise predictor: prediction = model(x, t, y), of the shape of x.

    Level l has base_width · multipliers[l] channels at 1/2^l of the resolution. All levels but the
    last are a DownBlock and, on the way up, an UpBlock; the last is the middle. Any height and width
    that 2^(levels − 1) divides will do, whatever `image_size` says: that only tells at which levels
    the attention resolutions lie. The head's convolution starts at zero and has no activation after
    it: what is predicted is unbounded. Source: Ronneberger et al. 2015; Ho et al. 2020, appendix B.

    Args:
        channels: of the images, 1 or 3.
        num_classes: real classes; label `num_classes` is the null class.
        base_width: channels at full resolution, a multiple of 8.
        multipliers: of base_width, one a level.
        blocks: residual blocks in each DownBlock.
        up_blocks: residual blocks in each UpBlock; None for as many as `blocks`.
        middle_blocks: residual blocks in the middle, attention (if any) after the first.
        image_size: the resolution that attention_resolutions refers to.
        attention_resolutions: where attention follows each residual block, such as (16, 8).
        heads: attention heads.
        dropout, conditioning, residual: of every residual block.
        downsample, upsample: as in `DownBlock` and `UpBlock`.

    Raises:
        ValueError: on channels other than 1 or 3, a resolution that no level has, and (on calling it)
            sizes that cannot be halved often enough.
    """

    def __init__(
        self,
        channels: int = 3,
        num_classes: int = 10,
        base_width: int = 64,
        multipliers: tuple[int, ...] = (1, 2, 4),
        blocks: int = 1,
        up_blocks: int | None = None,
        middle_blocks: int = 2,
        image_size: int = 32,
        attention_resolutions: tuple[int, ...] = (),
        heads: int = 4,
        dropout: float = 0.0,
        conditioning: str = "scale_shift",
        residual: bool = True,
        downsample: str = "conv",
        upsample: str = "nearest",
    ):
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"images have 1 or 3 channels, got {channels}")
        if not multipliers or min(blocks, middle_blocks, 1 if up_blocks is None else up_blocks) < 1:
            raise ValueError("a U-Net needs at least one level, and one block everywhere")
        if heads < 1:
            raise ValueError(f"heads must be at least 1, got {heads}")
        self.channels = channels
        self.num_classes = num_classes
        self.factor = 2 ** (len(multipliers) - 1)
        self._check_size(image_size, image_size)
        up_blocks = blocks if up_blocks is None else up_blocks
        resolutions = [image_size // 2**level for level in range(len(multipliers))]
        if unknown := set(attention_resolutions) - set(resolutions):
            raise ValueError(
                f"attention at {sorted(unknown)} is not possible: "
                f"with image_size {image_size} the levels have {resolutions}"
            )
        heads_at = [heads if r in attention_resolutions else 0 for r in resolutions]
        widths = [base_width * m for m in multipliers]
        cond_dim = 4 * base_width
        block_options = dict(dropout=dropout, conditioning=conditioning, residual=residual)

        self.condition = ConditionEmbedding(num_classes, base_width)
        self.stem = nn.Conv2d(channels, base_width, 3, padding=1)
        self.downs = nn.ModuleList(
            DownBlock(i, o, cond_dim, blocks, h, downsample, **block_options)
            for i, o, h in zip([base_width, *widths], widths[:-1], heads_at, strict=False)
        )
        below = widths[-2] if len(widths) > 1 else base_width
        middle_widths = [below] + [widths[-1]] * middle_blocks
        self.middle = nn.ModuleList(
            ResidualBlock(i, o, cond_dim, **block_options) for i, o in pairwise(middle_widths)
        )
        self.middle_attention = _attention_layers(widths[-1], heads_at[-1], 1)[0]
        self.ups = nn.ModuleList(
            UpBlock(i, o, o, cond_dim, up_blocks, h, upsample, **block_options)
            for i, o, h in zip(widths[:0:-1], widths[-2::-1], heads_at[-2::-1], strict=True)
        )
        self.head_norm = nn.GroupNorm(GROUPS, base_width * multipliers[0])
        self.head = nn.Conv2d(base_width * multipliers[0], channels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """x: (B, C, H, W) float, t: (B,) int64, y: (B,) int64 or None → (B, C, H, W)."""
        if x.shape[1] != self.channels:
            raise ValueError(f"the model was built for {self.channels} channels, got {x.shape[1]}")
        self._check_size(*x.shape[-2:])
        cond = self.condition(t, y)  # (B, 4·base_width)
        h = self.stem(x)  # (B, base_width, H, W)
        skips = []
        for down in self.downs:
            h, skip = down(h, cond)
            skips.append(skip)
        for k, block in enumerate(self.middle):
            h = block(h, cond)
            if k == 0:
                h = self.middle_attention(h)
        for up in self.ups:
            h = up(h, skips.pop(), cond)  # the last skip taken is the first one used
        return self.head(F.silu(self.head_norm(h)))  # (B, C, H, W)

    def _check_size(self, height: int, width: int) -> None:
        if height % self.factor or width % self.factor or not height or not width:
            raise ValueError(
                f"image size {height}×{width} cannot be halved often enough: "
                f"height and width must be multiples of {self.factor}"
            )


def _attention_layers(channels: int, heads: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(
        SelfAttention2d(channels, heads) if heads else nn.Identity() for _ in range(count)
    )
