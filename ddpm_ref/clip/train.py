"""The small CLIP: open_clip's own class, trained in minutes on pictures whose captions are known.

Two things are not as in the paper. Captions repeat within a batch ("a photo of a star"), so a picture may
agree with several of them: the target of each row is shared by all that are true. And only the words
that occur are learnt, so the token table in the file holds only these.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_ref import shapes
from ddpm_ref.clip.clip import class_prompts, encode_images, encode_prompts, similarity_matrix
from ddpm_ref.clip.models import ClipModel, make_small, make_tokenizer
from ddpm_ref.data import to_model_range
from ddpm_ref.datasets import ImageSet

SETTINGS = {
    "embed_dim": 64,
    "vision_cfg": {"layers": [1, 1, 1, 1], "width": 16, "head_width": 64, "image_size": 32},
    "text_cfg": {"context_length": 16, "width": 64, "heads": 4, "layers": 2},
}
BATCH = 128
FRAMES = ("a photo of {}", "a picture of {}", "an image of {}", "a drawing of {}", "{}")
PLAIN_SHARE = 0.3  # of captions that name the class alone
ANY_CLASS = ("shape", "thing", "object")  # captions that name the colour alone
ANY_CLASS_SHARE = 0.15
STRANGER_SHARE = 0.15  # of captions with a word in them that says nothing


@dataclass(frozen=True)
class Captioned:
    """Pictures and what can be said of each.

    Attributes:
        images: as a data set gives them.
        colours: (N,) int64, positions in `shapes.COLOURS`; None where nobody knows the colours.
    """

    images: ImageSet
    colours: Tensor | None = None

    @classmethod
    def of(cls, dataset: str, images: ImageSet, first: int = 0) -> "Captioned":
        """The captions of a data set: of `shapes` also the colours, of others the classes."""
        if dataset != "shapes":
            return cls(images)
        indices = np.arange(first, first + len(images.labels))
        return cls(images, torch.from_numpy(shapes.colour_of(indices)))


def caption(classes: Sequence[str], label: int, colour: int, rng: np.random.Generator) -> tuple:
    """One true caption of a picture, and what it says: (text, label or −1, colour or −1)."""
    frame = FRAMES[rng.integers(len(FRAMES))]
    noun, names = classes[label], list(shapes.COLOURS)
    u = rng.random()
    if colour < 0 or u < PLAIN_SHARE:
        return frame.format(shapes.with_article(noun)), label, -1
    if u < PLAIN_SHARE + ANY_CLASS_SHARE:
        noun, label = ANY_CLASS[rng.integers(len(ANY_CLASS))], -1
    if rng.random() < 0.15:
        text = f"{shapes.with_article(noun)} that is {names[colour]}"
    else:
        text = shapes.with_article(f"{names[colour]} {noun}")
    return frame.format(text), label, colour


def vocabulary(captioned: Captioned) -> set[str]:
    """Every word that these pictures' captions are made of."""
    colours = () if captioned.colours is None else (*ANY_CLASS, *shapes.COLOURS, "that is")
    text = " ".join([*FRAMES, *captioned.images.classes, *colours, "a an"])
    return set("".join(c if c.isalnum() else " " for c in text.lower()).split())


def train_clip(
    captioned: Captioned,
    steps: int = 1200,
    seed: int = 0,
    device="cpu",
    progress: Callable = iter,
) -> tuple[nn.Module, Tensor]:
    """Train the small CLIP.

    Args:
        captioned: what to learn from.
        steps: of 128 pictures each.
        seed: of everything random in it; the global random state is left alone.
        device: where to train.
        progress: wraps the range of steps.

    Returns:
        The model, whose token table has only the rows of (second) these tokens, (V,) int64.
    """
    images, classes = captioned.images, captioned.images.classes
    tokenizer = make_tokenizer(SETTINGS["text_cfg"]["context_length"])
    # Token 0 is "!" and what captions are filled up with; here it also stands for unknown words.
    tokens = torch.unique(torch.cat([tokenizer([w]).flatten() for w in vocabulary(captioned)]))
    row_of = torch.zeros(int(tokens.max()) + 1, dtype=torch.int64)
    row_of[tokens] = torch.arange(len(tokens))
    settings = SETTINGS | {"text_cfg": SETTINGS["text_cfg"] | {"vocab_size": len(tokens)}}
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        clip = make_small(settings).to(device).train()
        optimizer = torch.optim.AdamW(clip.parameters(), lr=1e-3, betas=(0.9, 0.98))
        rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
        for _ in progress(range(steps)):
            chosen = torch.randint(len(images.labels), (BATCH,))
            labels = images.labels[chosen]
            colours = (
                captioned.colours[chosen] if captioned.colours is not None else -1 - 0 * labels
            )
            said = [
                caption(classes, int(y), int(c), rng) for y, c in zip(labels, colours, strict=True)
            ]
            rows = _with_strangers(row_of[tokenizer([text for text, _, _ in said])], rng)
            true = _agreement(labels, colours, said)
            x, true = _mixed(_worn(to_model_range(images.images[chosen])), true)
            loss = contrastive_loss(clip, x.to(device), rows.to(device), true.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
            with torch.no_grad():
                clip.token_embedding.weight[0] = 0  # an unknown word says nothing
                clip.logit_scale.clamp_(max=np.log(100))
    return clip.eval().requires_grad_(False), tokens


def contrastive_loss(clip: nn.Module, x: Tensor, rows: Tensor, true: Tensor) -> Tensor:
    """Cross-entropy over pictures and over captions (Radford et al. 2021, figure 3), targets shared.

    Args:
        x: (B, 3, H, W) in [−1, 1].
        rows: (B, L) int64, captions as rows of the token table.
        true: (B, B), whether (1 or 0), or how far, caption j is true of picture i.
    """
    texts = F.normalize(clip.encode_text(rows), dim=-1)  # (B, D)
    logits = clip.logit_scale.exp() * encode_images(clip, x, batch_size=len(x)) @ texts.T
    by_picture = -(F.log_softmax(logits, 1) * true / true.sum(1, keepdim=True)).sum(1)
    by_caption = -(F.log_softmax(logits, 0) * true / true.sum(0, keepdim=True)).sum(0)
    return (by_picture.mean() + by_caption.mean()) / 2


def zero_shot(model: ClipModel, captioned: Captioned) -> dict[str, float]:
    """How often the most similar prompt is the right one, over classes, and over colours and classes.

    Args:
        captioned: pictures that were not trained on.
    """
    x, classes = to_model_range(captioned.images.images), captioned.images.classes
    device = next(model.clip.parameters()).device
    with torch.no_grad():
        seen = torch.cat([encode_images(model.clip, part.to(device)) for part in x.split(500)])
    labels = captioned.images.labels

    def accuracy(names: list[str], right: Tensor) -> float:
        texts = encode_prompts(model.clip, class_prompts(names), model.tokenizer)
        best = similarity_matrix(seen, texts).argmax(1).cpu()
        return (best == right).double().mean().item()

    result = {"class_accuracy": accuracy(list(classes), labels), "n": len(labels)}
    if captioned.colours is not None:
        names = [f"{colour} {name}" for colour in shapes.COLOURS for name in classes]
        right = captioned.colours * len(classes) + labels
        result["colour_and_class_accuracy"] = accuracy(names, right)
    return result


def _agreement(labels: Tensor, colours: Tensor, said: list[tuple]) -> Tensor:
    """(B, B) bool: whether caption j is true of picture i."""
    _, named, coloured = zip(*said, strict=True)
    named, coloured = torch.tensor(named), torch.tensor(coloured)
    same_class = (named == -1) | (named == labels[:, None])
    same_colour = (coloured == -1) | (coloured == colours[:, None])
    return same_class & same_colour


def _with_strangers(rows: Tensor, rng: np.random.Generator) -> Tensor:
    """Put an unknown word somewhere into some of the captions, so that free text does not confuse."""
    rows = rows.clone()
    for k in np.flatnonzero(rng.random(len(rows)) < STRANGER_SHARE):
        # After the beginning, before the end.
        place = int(rng.integers(1, int(rows[k].argmax()) + 1))
        rows[k, place + 1 :] = rows[k, place:-1].clone()
        rows[k, place] = 0
    return rows


def _worn(x: Tensor) -> Tensor:
    """Pictures with a little noise, some of them blurred: what a sampler shows on its way is never clean."""
    x = x + 0.15 * torch.rand(len(x), 1, 1, 1) * torch.randn_like(x)
    soft = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    some = torch.rand(len(x), 1, 1, 1) < 0.5
    return torch.lerp(x, soft, 0.9 * torch.rand(len(x), 1, 1, 1) * some)


def _mixed(x: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """Half of the pictures laid over another one, and agreeing with the captions of both by their shares.

    So that similarity rises all the way from one picture to another (Zhang et al. 2018): a guide has to
    know which way to go from where nothing is right yet.
    """
    other = torch.randperm(len(x))
    share = 0.5 * torch.rand(len(x)) * (torch.rand(len(x)) < 0.5)  # (B,), of the other picture
    mixed = torch.lerp(x, x[other], share[:, None, None, None])
    return mixed, torch.lerp(true.float(), true[other].float(), share[:, None])
