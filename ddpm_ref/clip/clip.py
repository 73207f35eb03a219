"""Chapter 9 · CLIP: one space for pictures and words, to score by, to choose by, to steer by.

CLIP (Radford et al. 2021) is two encoders trained so that a picture and its caption point in the same
direction. Here it measures what was drawn, picks the best of several candidates, and (★) guides the
sampler towards a text, which may ask for what no class label can.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ddpm_ref.diffusion import NoiseSchedule, per_image, predict_noise, predict_x0
from ddpm_ref.sampling import Callback, ddim_sample_loop, guided_prediction

TEMPLATE = "a photo of a {class}"


class Clip(Protocol):
    """What is asked of a CLIP model; open_clip's own class has it. In eval mode.

    `visual` has image_size (an int, or height and width), image_mean and image_std (a number a channel,
    of pictures in [0, 1]). A tokenizer, which goes with it, turns C strings into (C, L) int64.
    """

    visual: nn.Module

    def encode_image(self, image: Tensor) -> Tensor:
        """(N, 3, image_size, image_size), normalised by mean and std → (N, D)."""

    def encode_text(self, text: Tensor) -> Tensor:
        """(C, L) int64 → (C, D)."""


def class_prompts(classes: Sequence[str], template: str = TEMPLATE) -> list[str]:
    """A caption for each class: "a photo of a star", "a photo of an arrow".

    Args:
        classes: names.
        template: a caption with {class} in it. The word "a" directly before {class} becomes "an" where
            the name begins with a vowel letter (a, e, i, o, u, in any case).

    Raises:
        ValueError: when the template has no {class}.
    """
    if "{class}" not in template:
        raise ValueError(f"the template needs {{class}} where the name belongs, got {template!r}")
    prompts = []
    for name in classes:
        caption = f" {template}"  # so that an article at the very beginning is found too
        if name.lower().startswith(("a", "e", "i", "o", "u")):
            caption = caption.replace(" a {class}", " an {class}")
        prompts.append(caption[1:].replace("{class}", name))
    return prompts


@torch.no_grad()
def encode_prompts(
    clip: Clip, prompts: Sequence[str], tokenizer: Callable[[list[str]], Tensor]
) -> Tensor:
    """Captions as directions: (C, D), each row of length 1, without gradients.

    Args:
        clip: the model.
        prompts: C captions.
        tokenizer: the model's own: C strings → (C, L) int64.
    """
    tokens = tokenizer(list(prompts))  # (C, L)
    device = next((p.device for p in clip.parameters()), tokens.device)
    return F.normalize(clip.encode_text(tokens.to(device)), dim=-1)  # (C, D)


def encode_classes(
    clip: Clip,
    classes: Sequence[str],
    tokenizer: Callable[[list[str]], Tensor],
    templates: Sequence[str] = (TEMPLATE,),
) -> Tensor:
    """Prompt ensembling: for each class the mean over several templates (Radford et al. 2021, section 3.1.4).

    The mean of directions is shorter than 1, so it is brought back to length 1: (C, D).
    """
    each = [encode_prompts(clip, class_prompts(classes, t), tokenizer) for t in templates]
    return F.normalize(torch.stack(each).mean(0), dim=-1)


def encode_images(clip: Clip, x: Tensor, batch_size: int = 100) -> Tensor:
    """Pictures as directions: (N, D), each row of length 1. Differentiable with respect to x.

        [−1, 1] → (x + 1)/2, clamped to [0, 1] → bicubic with antialiasing to image_size
                → minus image_mean, divided by image_std → encode_image → length 1

    Args:
        clip: the model.
        x: (N, C, H, W) in [−1, 1]; C = 3, or 1: grey, repeated three times.
        batch_size: pictures encoded at once: the memory that one batch needs is all that is needed.
    """
    size, mean, std = clip.visual.image_size, clip.visual.image_mean, clip.visual.image_std
    size = (size, size) if isinstance(size, int) else tuple(size)
    mean, std = (x.new_tensor(values).view(3, 1, 1) for values in (mean, std))
    directions = []
    for batch in x.split(batch_size):
        pixels = ((batch + 1) / 2).clamp(0, 1).expand(-1, 3, -1, -1)  # (B, 3, H, W)
        pixels = F.interpolate(pixels, size, mode="bicubic", antialias=True)  # (B, 3, *size)
        embedded = clip.encode_image((pixels - mean) / std)  # (B, D)
        directions.append(F.normalize(embedded, dim=-1))
    return torch.cat(directions)  # (N, D)


def similarity_matrix(images: Tensor, texts: Tensor) -> Tensor:
    """Cosine of each picture with each text: (N, C), in [−1, 1]. No logit scale, no softmax.

    Args:
        images: (N, D), rows of length 1.
        texts: (C, D), rows of length 1.

    Raises:
        ValueError: when the two have not the same D.
    """
    if images.shape[-1] != texts.shape[-1]:
        raise ValueError(
            f"images have {images.shape[-1]} dimensions, texts {texts.shape[-1]}: not of one model"
        )
    return images @ texts.T  # (N, C)


def clip_scores(similarity: Tensor, labels: Tensor) -> dict[str, float]:
    """What CLIP says of pictures whose classes are known.

    Args:
        similarity: (N, C), of N pictures with the texts of C classes.
        labels: (N,) int64, the class that each picture was asked to show.

    Returns:
        top1_similarity: mean over pictures of the largest similarity. It is high for anything that looks
            a little like something: noise has it too.
        matching_accuracy: share of pictures whose most similar text is that of their label; a tie goes
            to the lowest class.
        intended_similarity: mean similarity with the text of the label.

    Raises:
        ValueError: when there is not one label in 0…C−1 for each picture.
    """
    n, classes = similarity.shape
    if labels.shape != (n,) or n == 0 or not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"labels must be {n} numbers in 0…{classes - 1}, one a picture")
    best = similarity.argmax(dim=1)  # (N,), the first of equals
    intended = similarity[torch.arange(n, device=labels.device), labels]  # (N,)
    return {
        "top1_similarity": similarity.amax(dim=1).mean().item(),
        "matching_accuracy": (best == labels).float().mean().item(),
        "intended_similarity": intended.mean().item(),
    }


def rerank(similarity: Tensor, label: int, keep: int) -> Tensor:
    """Best of n: the pictures most similar to one text, best first.

    Args:
        similarity: (N, C).
        label: the column of the text that was asked for.
        keep: how many to keep, 1…N.

    Returns:
        (keep,) int64, positions of pictures; of equals the one that came first stays first.

    Raises:
        ValueError: when `keep` or `label` is out of range.
    """
    n, classes = similarity.shape
    if not 1 <= keep <= n:
        raise ValueError(f"keep must lie between 1 and the {n} candidates, got {keep}")
    if not 0 <= label < classes:
        raise ValueError(f"label must lie between 0 and {classes - 1}, got {label}")
    return similarity[:, label].argsort(descending=True, stable=True)[:keep]


def clip_guidance(
    model: nn.Module,
    schedule: NoiseSchedule,
    x_t: Tensor,
    t: Tensor,
    clip: Clip,
    texts: Tensor,
    y: Tensor | None = None,
    clip_scale: float = 30.0,
    guidance_scale: float = 1.0,
    target: str = "noise",
    through_model: bool = True,
    normalise: bool = False,
    augment: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """★ The noise estimate, nudged so that the picture it implies looks more like a text.

        x_0    = predict_x0(guided_prediction(x_t))                 not clipped; what `encode_images` sees
        S      = Σ over the batch of cosine(x_0, text)               a sum: pictures do not share one nudge
        noise  = predict_noise(x_0) − s · √(1 − alpha_bar) · ∇_{x_t} S

    The noise is minus the score times √(1 − alpha_bar): S enters as a log-probability would
    (Dhariwal & Nichol 2021, equation 14; with CLIP: Nichol et al. 2022, section 2.3). A prediction of v
    is converted to noise first, so that the nudge means the same for both targets.

    Args:
        model: called as model(x_t, t, y).
        schedule: the tables.
        x_t: (B, C, H, W).
        t: (B,) int64.
        clip: scores the pictures.
        texts: (B, D), or (1, D) for all: rows of length 1.
        y: (B,) labels, or None; with `guidance_scale` as in `guided_prediction`: both guides combine.
        clip_scale: s; 0 for no nudge.
        target: what the model predicts, "noise" or "v".
        through_model: whether the gradient runs back through the model. False holds the prediction, as
            it came out of the model, constant: twice as fast, and less exact.
        normalise: divide each picture's gradient by its root mean square: s is then the size of the nudge.
        augment: maps (B, C, H, W) to k views of it, (k·B, C, H, W), one whole batch after another; their
            similarities are averaged. What only fools CLIP seldom survives being moved.

    Returns:
        (B, C, H, W) noise, without a graph. Parameters get no gradients.
    """
    with torch.set_grad_enabled(through_model):
        x_t = x_t.detach().requires_grad_(True)
        prediction = guided_prediction(model, x_t, t, y, guidance_scale)
    with torch.enable_grad():
        x_0 = predict_x0(schedule, x_t, t, prediction, target)
        views = x_0 if augment is None else augment(x_0)  # (k·B, C, H, W)
        k = len(views) // len(x_0)
        texts = texts.expand(len(x_0), -1).repeat(k, 1)  # (k·B, D)
        similarity = (encode_images(clip, views) * texts).sum() / k
        (gradient,) = torch.autograd.grad(similarity, x_t)
    if normalise:
        gradient = gradient / gradient.square().mean((1, 2, 3), True).sqrt().clamp(min=1e-12)
    noise = predict_noise(schedule, x_t.detach(), t, x_0.detach())
    return noise - clip_scale * (1 - per_image(schedule.alpha_bars, t)).sqrt() * gradient


class ClipGuided(nn.Module):
    """★ A model whose predicted noise is nudged: whichever sampler walks with it is guided by CLIP.

    Both kinds of guidance happen in here: the sampler has to be given target "noise" and guidance
    scale 1.

    Args:
        model: the one to guide; `target` is what it predicts.
        schedule: the tables.
        clip, texts, clip_scale, guidance_scale, target, nudge: as in `clip_guidance`; nudge holds what
            else is given to it.
        interval: (lowest, highest) timestep at which it is nudged, both included; None for all.
    """

    def __init__(
        self,
        model: nn.Module,
        schedule: NoiseSchedule,
        clip: Clip,
        texts: Tensor,
        clip_scale: float = 30.0,
        interval: tuple[int, int] | None = None,
        guidance_scale: float = 1.0,
        target: str = "noise",
        **nudge,
    ):
        super().__init__()
        self.model, self.schedule, self.target = model, schedule, target
        self.lowest, self.highest = interval or (0, schedule.timesteps - 1)
        self.guidance_scale = guidance_scale
        self.nudge = dict(clip=clip, texts=texts, clip_scale=clip_scale, **nudge)

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        if self.nudge["clip_scale"] and self.lowest <= int(t[0]) <= self.highest:
            return clip_guidance(
                *(self.model, self.schedule, x_t, t),
                y=y,
                guidance_scale=self.guidance_scale,
                target=self.target,
                **self.nudge,
            )
        prediction = guided_prediction(self.model, x_t, t, y, self.guidance_scale)
        x_0 = predict_x0(self.schedule, x_t, t, prediction, self.target)
        return predict_noise(self.schedule, x_t, t, x_0)


def guided_sample_loop(
    model: nn.Module,
    schedule: NoiseSchedule,
    shape: Sequence[int],
    clip: Clip,
    texts: Tensor,
    y: Tensor | None = None,
    steps: int = 50,
    eta: float = 0.0,
    guidance_scale: float = 1.0,
    clip_scale: float = 30.0,
    interval: tuple[int, int] | None = None,
    target: str = "noise",
    through_model: bool = True,
    clip_x0: bool = True,
    noise: Tensor | None = None,
    generator: Generator | None = None,
    device=None,
    callback: Callback | None = None,
    progress=iter,
) -> Tensor:
    """★ DDIM in which the text has a say: at each step in the interval the noise is that of `clip_guidance`.

    The x_0 that the nudged noise implies is clipped, as without CLIP. Without that clipping the walk
    leaves the range of pictures within a few steps, and what comes out is no picture.

    Args:
        texts: (B, D), or (1, D) for all pictures: rows of length 1.
        interval: (lowest, highest) timestep at which the text has a say, both included; None for all.
        clip_x0: clip each predicted x_0 to [−1, 1].
        clip, clip_scale, through_model: as in `clip_guidance`.

    The other arguments, and what is returned, are those of `ddim_sample_loop`.

    Raises:
        ValueError: unless 0 ≤ lowest ≤ highest < T.
    """
    if interval is not None and not 0 <= interval[0] <= interval[1] < schedule.timesteps:
        raise ValueError(
            f"the interval must lie within 0…{schedule.timesteps - 1}, lowest first, got {interval}"
        )
    guided = ClipGuided(
        *(model, schedule, clip, texts, clip_scale, interval, guidance_scale, target),
        through_model=through_model,
    )
    return ddim_sample_loop(
        *(guided, schedule, shape, y, steps, eta),
        target="noise",
        clip=clip_x0,
        noise=noise,
        generator=generator,
        device=device,
        callback=callback,
        progress=progress,
    )
