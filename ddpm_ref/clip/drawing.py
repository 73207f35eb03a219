"""Drawing with CLIP: the best of several candidates, and pictures guided by text, portion by portion."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ddpm_ref.clip.clip import (
    ClipGuided,
    encode_images,
    encode_prompts,
    rerank,
    similarity_matrix,
)
from ddpm_ref.clip.models import ClipModel
from ddpm_ref.painting import Painter
from ddpm_ref.presets import SampleConfig

SCALE, NORMALISED_SCALE = 30.0, 0.1


@dataclass(frozen=True)
class Guide:
    """How CLIP guides; see `clip_guidance` for what each does.

    Attributes:
        clip_scale: strength; with `normalise` the size of the nudge, of which 0.1 is plenty.
        interval: (lowest, highest) timestep at which it has a say, both included; None for all.
        through_model: send the gradient back through the U-Net: exact, twice as slow.
        normalise: the same size of nudge everywhere.
        clip_x0: clip each predicted x_0; without it the pictures are destroyed.
        views: show CLIP so many random crops of each picture, in place of the picture.
    """

    clip_scale: float = SCALE
    interval: tuple[int, int] | None = None
    through_model: bool = True
    normalise: bool = False
    clip_x0: bool = True
    views: int = 0


@dataclass(frozen=True)
class Views:
    """Random crops, each enlarged to the size of the picture: one crop for the whole batch, k times.

    Args:
        k: how many.
        generator: for where they lie, on the CPU.
        smallest: side of the smallest crop, as a share of the picture's.
    """

    k: int
    generator: torch.Generator
    smallest: float = 0.8

    def __call__(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (k·B, C, H, W), one whole batch after another."""
        height, width = x.shape[-2:]
        crops = []
        for _ in range(self.k):
            share, top, left = torch.rand(3, generator=self.generator).tolist()
            share = self.smallest + (1 - self.smallest) * share
            h, w = round(share * height), round(share * width)
            top, left = round(top * (height - h)), round(left * (width - w))
            crop = x[..., top : top + h, left : left + w]
            crops.append(F.interpolate(crop, (height, width), mode="bilinear"))
        return torch.cat(crops)


def draw_guided(
    painter: Painter,
    model: ClipModel,
    texts: Tensor,
    y: Tensor | None,
    noise: Tensor,
    how: SampleConfig,
    guide: Guide,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
) -> Tensor:
    """Draw pictures whose every step is nudged towards a text, with any sampler.

    Args:
        painter: the model; it and CLIP are on one device.
        model: the CLIP that guides.
        texts: (N, D), or (1, D) for all pictures: rows of length 1.
        y, noise, how, seed, advance: as in `Painter.draw`; the guidance scale of `how` adds
            classifier-free guidance.
        guide: how strongly, and when.

    Returns:
        (N, C, H, W) on the CPU.
    """
    generator = torch.Generator().manual_seed(seed + 2)
    net, scale = painter.guided(how)

    def guided(chosen: slice) -> ClipGuided:
        # Named only where they are asked for: chapter 9 does not ask for them, and a learner's code
        # (`ddpm_ref.borrowed`) may not have them.
        extras = {"normalise": True} if guide.normalise else {}
        extras |= {"augment": Views(guide.views, generator)} if guide.views else {}
        return ClipGuided(
            net,
            painter.schedule,
            model.clip,
            texts if len(texts) == 1 else texts[chosen],
            guide.clip_scale,
            guide.interval,
            scale,
            painter.config.diffusion.target,
            through_model=guide.through_model,
            **extras,
        )

    return painter.draw(y, noise, how, seed, advance=advance, guide=guided, clip=guide.clip_x0)


@torch.no_grad()
def similarities(model: ClipModel, x: Tensor, texts: Tensor, batch_size: int = 100) -> Tensor:
    """(N, C) on the CPU, of pictures (N, C, H, W) that need not fit on the device all at once."""
    rows = []
    for part in x.split(batch_size):
        rows.append(similarity_matrix(encode_images(model.clip, part.to(texts.device)), texts))
    return torch.cat(rows).cpu()


def texts_of(model: ClipModel, prompts: list[str]) -> Tensor:
    """(C, D) directions of captions."""
    return encode_prompts(model.clip, prompts, model.tokenizer)


@dataclass(frozen=True)
class Best:
    """Candidates for one text, and which were kept.

    Attributes:
        x: (N, C, H, W), in the order they were drawn.
        similarity: (N,) with the text.
        kept: (K,) int64, best first.
    """

    x: Tensor
    similarity: Tensor
    kept: Tensor


def best_of(
    painter: Painter,
    model: ClipModel,
    text: Tensor,
    label: int | None,
    candidates: int,
    keep: int,
    how: SampleConfig,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
) -> Best:
    """Draw several pictures of one thing, and keep those that CLIP finds most like the text.

    However many candidates: they are drawn and looked at a hundred at a time.

    Args:
        text: (1, D), a row of length 1.
        label: the class to draw; None for none.
        how, seed, advance: as in `Painter.draw`.
    """
    y = None if label is None else torch.full((candidates,), label)
    x = painter.draw(y, painter.noise(candidates, seed), how, seed, advance=advance)
    similarity = similarities(model, x, text)
    return Best(x, similarity[:, 0], rerank(similarity, 0, keep))
