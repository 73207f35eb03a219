"""Chapter 9 · CLIP: one space for pictures and words, to score by, to choose by, to steer by.

classes ─ class_prompts ─ encode_prompts ─► texts (C, D) ──┐
                                                           similarity_matrix (N, C) ─► clip_scores, rerank
pictures ─────────────── encode_images ──► images (N, D) ──┘
                               └─ ★ its gradient steers the sampler: clip_guidance, guided_sample_loop

CLIP (Radford et al. 2021) is two encoders trained so that a picture and its caption point in the same
direction. Whatever model it is, it is used here through

    clip.encode_image(image)    (N, 3, H, W), of the size and with the mean and spread it wants → (N, D)
    clip.encode_text(tokens)    (C, L) int64 → (C, D)
    clip.visual                 .image_size (an int, or height and width), .image_mean and .image_std (three
                                numbers each, of pictures in [0, 1])

which is what open_clip's models have. It is in eval mode, and its weights are never changed. What the two
encoders give is of any length; only its direction counts. N is the number of pictures, C that of texts, D
that of the dimensions of the common space.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..ch05_forward_noise.diffusion import NoiseSchedule, per_image, predict_x0
from ..ch07_sampling.sampling import ddim_step, ddim_timesteps, guided_prediction

TEMPLATE = "a photo of a {class}"


def class_prompts(classes: Sequence[str], template: str = TEMPLATE) -> list[str]:
    """A caption for each class: "a photo of a star", "a photo of an arrow".

    CLIP has read captions, not labels: a name in a sentence is nearer to what it knows than a name alone
    (Radford et al. 2021, section 3.1.4).

    Args:
        classes: C names.
        template: a caption with {class} in it. Where the word "a" stands directly before {class}, it
            becomes "an" for names that begin with a vowel letter (a, e, i, o, u, capital or not).

    Returns:
        C captions, in the order of the classes.

    Raises:
        ValueError: when the template has no {class}.
    """
    # TODO(9.1): refuse a template without {class}; then a caption for each name. Only an "a" that is a
    # word of its own becomes "an", also at the very beginning: "pizza {class}" stays as it is.
    raise NotImplementedError("TODO(9.1)")


def encode_prompts(
    clip: nn.Module, prompts: Sequence[str], tokenizer: Callable[[list[str]], Tensor]
) -> Tensor:
    """Captions as directions.

    Args:
        clip: the model.
        prompts: C captions.
        tokenizer: the one that goes with the model: a list of C strings → (C, L) int64, on the CPU.

    Returns:
        (C, D), each row of length 1, without a graph, on the device of the model's parameters. 9.7 computes
        gradients with them, so torch.inference_mode, whose tensors refuse that, is not for here.
    """
    # TODO(9.2): tokens, to the model's device; encode_text without gradients; every row to length 1.
    raise NotImplementedError("TODO(9.2)")


def encode_images(clip: nn.Module, x: Tensor, batch_size: int = 100) -> Tensor:
    """Pictures as directions, differentiable with respect to x.

        [−1, 1] → (x + 1)/2, clamped to [0, 1] → bicubic interpolation with antialiasing to image_size
                → minus image_mean, divided by image_std → encode_image → length 1

    In this order. What CLIP was trained on was prepared like this; prepared otherwise, a picture is another
    picture to it. (align_corners stays False, as it is in `F.interpolate`.)

    Args:
        clip: the model.
        x: (N, 3, H, W), meant for [−1, 1].
        batch_size: how many pictures go through the model at once, so that a thousand of them need no
            more memory than a hundred. It changes nothing else.

    Returns:
        (N, D), each row of length 1.
    """
    # TODO(9.3): F.interpolate(…, mode="bicubic", antialias=True); mean and std as tensors of (3, 1, 1) on
    # the device of x; x.split(batch_size). No no_grad here: 9.7 needs the gradient.
    raise NotImplementedError("TODO(9.3)")


def similarity_matrix(images: Tensor, texts: Tensor) -> Tensor:
    """The cosine of each picture with each text. No logit scale, no softmax: numbers to be compared.

    Args:
        images: (N, D), rows of length 1.
        texts: (C, D), rows of length 1.

    Returns:
        (N, C), in [−1, 1]: row n belongs to picture n, column c to text c.

    Raises:
        ValueError: when the two have not the same D, and so are not of one model.
    """
    # TODO(9.4): two lines.
    raise NotImplementedError("TODO(9.4)")


def clip_scores(similarity: Tensor, labels: Tensor) -> dict[str, float]:
    """What CLIP says of pictures whose classes are known.

    The first of the three is all that can be said without labels. It says little: noise looks a little
    like something, too. The other two ask whether a picture looks like what it was *asked* to show.

    Args:
        similarity: (N, C), of N pictures with the texts of C classes.
        labels: (N,) int64, the class that each picture was asked to show.

    Returns:
        A dictionary of three Python floats:

        "top1_similarity"      mean over pictures of the largest similarity
        "matching_accuracy"    share of pictures whose most similar text is that of their label; where
                               several are equally similar, the lowest class counts
        "intended_similarity"  mean over pictures of the similarity with the text of their label

    Raises:
        ValueError: when `labels` is not one number in 0…C−1 for each picture, or there is no picture.
    """
    # TODO(9.5): the error first, since −1 would be a class to an index; then three means.
    raise NotImplementedError("TODO(9.5)")


def rerank(similarity: Tensor, label: int, keep: int) -> Tensor:
    """Best of n: of many candidates, those most similar to the text that was asked for.

    Args:
        similarity: (N, C), of N candidates.
        label: the column of the text that was asked for.
        keep: how many to keep.

    Returns:
        (keep,) int64: positions of candidates, the best first; of equals the one that came first stays first.

    Raises:
        ValueError: unless 1 ≤ keep ≤ N and 0 ≤ label < C.
    """
    # TODO(9.6): argsort knows `descending` and `stable`; topk promises no order among equals.
    raise NotImplementedError("TODO(9.6)")


def clip_guidance(
    model: nn.Module,
    schedule: NoiseSchedule,
    x_t: Tensor,
    t: Tensor,
    clip: nn.Module,
    texts: Tensor,
    y: Tensor | None = None,
    clip_scale: float = 30.0,
    guidance_scale: float = 1.0,
    target: str = "noise",
    through_model: bool = True,
) -> Tensor:
    """★ The noise estimate, nudged so that the picture it implies looks more like a text.

        prediction = guided_prediction(model, x_t, t, y, guidance_scale)
        x_0        = predict_x0(x_t, prediction)                    not clipped
        S          = Σ over the batch of cosine(encode_images(x_0), text)
        noise      = (x_t − √alpha_bar · x_0) / √(1 − alpha_bar)     of either target
        result     = noise − clip_scale · √(1 − alpha_bar) · ∇_{x_t} S

    The gradient is with respect to x_t, through `predict_x0` and through the model. S is a sum, not a mean:
    a picture's nudge does not depend on how many others there are. A prediction of v becomes noise first,
    so that the nudge means the same for both targets. The noise is minus the score times √(1 − alpha_bar),
    hence the root and the sign (Dhariwal & Nichol 2021, equation 14; Nichol et al. 2022, section 2.3).

    Args:
        model: called as model(x_t, t, y).
        schedule: the tables.
        x_t: (B, C, H, W).
        t: (B,) int64.
        clip: looks at the pictures.
        texts: (B, D), a text for each picture, or (1, D), one for all; rows of length 1.
        y: (B,) labels, or None.
        clip_scale: the strength of the nudge; 0 for none.
        guidance_scale: of classifier-free guidance, as in chapter 7: the two combine.
        target: what the model predicts, "noise" or "v".
        through_model: False takes the prediction as a constant: x_0 then depends on x_t through
            `predict_x0` alone, which is quicker and less exact.

    Returns:
        (B, C, H, W) noise without a graph. It also works where gradients are switched off around it, and
        leaves no gradients in the parameters of the model or of CLIP.
    """
    # TODO(9.7): torch.enable_grad(); x_t.detach().requires_grad_(True); torch.autograd.grad of the sum.
    raise NotImplementedError("TODO(9.7)")


def guided_sample_loop(
    model: nn.Module,
    schedule: NoiseSchedule,
    shape: Sequence[int],
    clip: nn.Module,
    texts: Tensor,
    y: Tensor | None = None,
    steps: int = 50,
    eta: float = 0.0,
    guidance_scale: float = 1.0,
    clip_scale: float = 30.0,
    interval: tuple[int, int] | None = None,
    target: str = "noise",
    through_model: bool = True,
    noise: Tensor | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """★ DDIM in which a text has a say.

    Chapter 7's walk over `ddim_timesteps(T, steps)`. At each visited t inside the interval, the noise is that
    of `clip_guidance`; outside, that of `guided_prediction` alone (as with clip_scale = 0). `ddim_step` then
    takes it as a prediction of *noise*, and clips the x_0 that the nudged noise implies to [−1, 1]: without
    that, the walk leaves the range of pictures within a few steps.

    Args:
        shape: (B, C, H, W) of the pictures to draw.
        texts: (B, D), or (1, D) for all pictures: rows of length 1.
        interval: (lowest, highest) timestep at which the text has a say, both included; None for all.
        steps, eta: as in `ddim_sample_loop`.
        noise: (B, C, H, W) to start from; drawn when None, on the device of the model.
        generator: for every random draw; torch's own when None. No seed is set.
        The others are those of `clip_guidance`.

    Returns:
        (B, C, H, W), without a graph. The model is in eval mode meanwhile, then in the mode it was in.

    Raises:
        ValueError: unless 0 ≤ lowest ≤ highest < T.
    """
    # TODO(9.8): the error; the mode; the start; the walk.
    raise NotImplementedError("TODO(9.8)")
