"""Chapter 4 · The U-Net: from a noisy picture to the noise (or the velocity) in it.

x ─ stem ─► DownBlock ──────────── skip ───────────► UpBlock ─► head ─► prediction
                └► DownBlock ───── skip ──────► UpBlock ┘
                       └► middle (blocks, attention) ┘

Write the four classes in the order of the file. Every one of them is checked with non-square
pictures, so keep H and W apart. B is the batch size, C the number of channels.

What is fixed stands in the docstrings. Free is everything else: names of attributes, pooling or a
convolution with stride 2, nearest or bilinear, the order of the concatenation, how many residual
blocks a level has, one skip a level or one a block. The residual blocks are those of chapter 3 and
the condition is that of chapter 2, by the imports below (a class of your own that inherits from
ResidualBlock is one as well): the grader puts blocks of its own in their place, to see what arrives
where.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ch02_embeddings.embeddings import ConditionEmbedding
from ..ch03_residual_block.blocks import ResidualBlock

GROUPS = 8  # of every GroupNorm


class DownBlock(nn.Module):
    """Residual blocks at one resolution, then half of it.

    One ResidualBlock or several, all of them with cond; the first takes x and goes from in_channels
    to out_channels. The skip is what the last of them returns (after attention, if there is any), at
    full resolution: it is taken *before* halving, since what halving throws away is what the skip is
    for. h is the skip at half the height and width, by a convolution with stride 2 or by pooling.

    Args:
        in_channels, out_channels: before and after, multiples of 8.
        cond_dim: length of the condition.
        heads: attention heads after the residual block; 0 for no attention. (Only your UNet uses
            this argument: the grader makes DownBlock(in_channels, out_channels, cond_dim).)
    """

    def __init__(self, in_channels: int, out_channels: int, cond_dim: int, heads: int = 0):
        super().__init__()
        # TODO(4.1): a ResidualBlock; SelfAttention2d(out_channels, heads) if heads, else
        # nn.Identity(); and something that halves height and width. (Names are yours; the README has
        # those that the shipped weights fit.)
        raise NotImplementedError("TODO(4.1)")

    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Go down one level.

        Args:
            x: (B, in_channels, H, W), H and W even.
            cond: (B, cond_dim), for every residual block.

        Returns:
            h: (B, out_channels, H/2, W/2), and skip: (B, out_channels, H, W), in this order.
        """
        # TODO(4.1): block, attention, then h and the skip. Which of the two is taken first?
        raise NotImplementedError("TODO(4.1)")


class UpBlock(nn.Module):
    """Twice the resolution, the skip beside it, residual blocks over both.

    x is enlarged first (nearest or bilinear, with or without a convolution after it, or a transposed
    convolution). Then the skip, as it is, is concatenated to it along the channels, in whichever
    order: in_channels + skip_channels channels. The first ResidualBlock takes all of them and
    returns out_channels.

    Args:
        in_channels: of what comes from below.
        skip_channels: of the skip.
        out_channels: after. All three are multiples of 8, and all three may differ.
        cond_dim: length of the condition.
        heads: as for DownBlock.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        cond_dim: int,
        heads: int = 0,
    ):
        super().__init__()
        # TODO(4.2): something that doubles height and width; a ResidualBlock (from how many
        # channels?); attention or nn.Identity(), as in DownBlock.
        raise NotImplementedError("TODO(4.2)")

    def forward(self, x: Tensor, skip: Tensor, cond: Tensor) -> Tensor:
        """Go up one level.

        Args:
            x: (B, in_channels, H/2, W/2), from below.
            skip: (B, skip_channels, H, W), from the way down.
            cond: (B, cond_dim), for every residual block.

        Returns:
            (B, out_channels, H, W): what the last residual block returns (after attention, if any).
        """
        # TODO(4.2): enlarge, concatenate along the channels, block, attention.
        raise NotImplementedError("TODO(4.2)")


class SelfAttention2d(nn.Module):
    """Every place looks at every other place, and the result is added to what was there.

    The H·W places of an image are the sequence, and the C channels of a place its vector:

        q, k, v = projections of norm(x)                        # C channels each, then split into heads
        each head: softmax(q·kᵀ / √(C / heads)) · v             # the softmax is over the keys
        out = x + projection(the heads side by side)            # x itself, not norm(x)

    The norm is a GroupNorm with 8 groups and eps 1e-5. Each head has C / heads channels. All four
    projections (q, k, v, out) have a bias. The one at the end starts at zero: a fresh layer is the
    identity. There is no mask, no dropout, no position embedding.
    Source: Vaswani et al. 2017, section 3.2 (equation 1); Ho et al. 2020, appendix B.

    `__init__` is given, and `self.qkv` gives q, k and v in one product: its 3·C channels are q, then
    k, then v, of C channels each, and within each the heads one after the other. You may write it
    another way. Accepted are fused projections in this layout or head after head ([q k v] of head 1,
    [q k v] of head 2, …), three separate ones, nn.Conv2d with kernel 1 or nn.Linear, and
    nn.MultiheadAttention; softmax by hand, einsum, or F.scaled_dot_product_attention.

    Args:
        channels: C, a multiple of 8 and of `heads`.
        heads: number of heads.

    Raises:
        ValueError: when 8 or `heads` does not divide `channels`.
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
        # TODO(4.3): q, k and v of shape (B, heads, H·W, C/heads); attention; back to (B, C, H, W)
        # (mind the order of the axes); the projection; plus x.
        raise NotImplementedError("TODO(4.3)")


class UNet(nn.Module):
    """The noise predictor: prediction = model(x, t, y), of the shape of x.

    Level l has base_width · multipliers[l] channels at 1/2^l of the resolution. All levels but the
    last are a DownBlock and, on the way up, an UpBlock (or the same parts, put together by you). The
    last one is the middle: ResidualBlocks, at least one.

        cond = ConditionEmbedding(t, y)     # as it is, for every residual block, the middle's too
        h = stem(x)                         # a convolution to base_width channels
        the way down                        # each level but the last leaves a skip
        the middle
        the way up                          # the last skip taken is the first one used
        prediction = conv(silu(norm(h)))    # the head

    On the way up, the first residual block of a level gets, beside what comes from below, what the
    last residual block of the same resolution returned on the way down. Each skip is used once.
    The head is GroupNorm (8 groups, say), SiLU, and a 3×3 convolution with bias that starts at zero,
    with no activation after it: a fresh network gives exactly 0, a trained one is unbounded. Nothing
    mixes the images of a batch (no BatchNorm). What is made is used, and used once: there are no
    layers left over, and none that does the work of two. All of this is the same in training and in
    eval mode, and nothing is kept from one call to the next.

    Height and width need not be equal, nor equal to image_size: anything that 2^(levels − 1) divides
    will do. `image_size` only tells which levels are meant by attention_resolutions: level l has the
    resolution image_size / 2^l. There, and nowhere else, attention follows residual blocks, on the
    way down, in the middle and on the way up (after each block or after the last one of the level).

    Source: Ronneberger et al. 2015, figure 1; Ho et al. 2020, appendix B.

    Args:
        channels: of the images, 1 or 3.
        num_classes: real classes; label `num_classes` is the null class.
        base_width: channels at full resolution, a multiple of 8.
        multipliers: of base_width, one a level, two or more.
        image_size: the resolution that attention_resolutions refers to.
        attention_resolutions: where attention is, such as (16, 8).
        heads: attention heads.

    Raises:
        ValueError: on channels other than 1 or 3, on a resolution that no level has, and (when
            called) on a height or width that 2^(levels − 1) does not divide; the message names that
            height or width and 2^(levels − 1).
    """

    def __init__(
        self,
        channels: int = 3,
        num_classes: int = 10,
        base_width: int = 64,
        multipliers: tuple[int, ...] = (1, 2, 4),
        image_size: int = 32,
        attention_resolutions: tuple[int, ...] = (),
        heads: int = 4,
    ):
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"images have 1 or 3 channels, got {channels}")
        levels = len(multipliers)
        resolutions = [image_size // 2**level for level in range(levels)]
        if unknown := set(attention_resolutions) - set(resolutions):
            raise ValueError(f"no level has resolution {sorted(unknown)}: they have {resolutions}")
        widths = [base_width * m for m in multipliers]  # channels, a number for each level
        heads_at = [heads if r in attention_resolutions else 0 for r in resolutions]
        cond_dim = 4 * base_width  # what ConditionEmbedding(num_classes, base_width) returns

        # TODO(4.4): the parts, from stem to head. nn.ModuleList, not a plain list, holds the blocks:
        # DownBlocks from `base_width` through `widths`, the middle (block, attention, block), and
        # UpBlocks in reverse. Write the channels of each block on paper first.
        raise NotImplementedError("TODO(4.4)")

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Predict.

        Args:
            x: (B, channels, H, W) float32.
            t: (B,) int64, values 0…T−1.
            y: (B,) int64, values 0…num_classes, or None: every image has the null class.

        Returns:
            (B, channels, H, W). Gradients come back from it to x, too (chapter 9 asks for them).
        """
        # TODO(4.4): refuse sizes that cannot be halved often enough; then from stem to head, as in
        # the formula above. A list serves as the stack of skips.
        raise NotImplementedError("TODO(4.4)")
