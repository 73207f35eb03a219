"""What CLIP says of pictures whose classes are known, for `ddpm evaluate --clip` and the report."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ddpm_ref.clip.clip import TEMPLATE, clip_scores, encode_classes
from ddpm_ref.clip.drawing import similarities
from ddpm_ref.clip.models import ClipModel


class ClipJury:
    """A CLIP model with the prompts of some classes, ready to look at pictures.

    Args:
        model: the CLIP.
        classes: names, in the order of the labels.
        templates: captions with {class} in them; several are averaged (prompt ensembling).
    """

    def __init__(
        self, model: ClipModel, classes: Sequence[str], templates: Sequence[str] = (TEMPLATE,)
    ):
        self.model, self.classes, self.templates = model, tuple(classes), tuple(templates)
        self.texts = encode_classes(model.clip, classes, model.tokenizer, templates)  # (C, D)

    def look(self, x: Tensor) -> Tensor:
        """(N, C) similarities of pictures (N, C, H, W) in [−1, 1]."""
        return similarities(self.model, x, self.texts)

    def scores(self, x: Tensor, y: Tensor, suffix: str = "") -> dict:
        """What `ddpm evaluate --clip --json` adds for one way of drawing; names begin with clip_."""
        found = class_table(self.look(x), y, self.classes)
        return {f"clip_{name}{suffix}": value for name, value in found.items()}

    def about(self) -> dict:
        return {"clip_model": self.model.name, "clip_templates": list(self.templates)}


def class_table(similarity: Tensor, y: Tensor, classes: Sequence[str]) -> dict:
    """The scores over all pictures and class by class.

    Args:
        similarity: (N, C).
        y: (N,) int64, what was asked for.

    Returns:
        top1_similarity, matching_accuracy, intended_similarity as in `clip_scores`; score, the CLIPScore
        (Hessel et al. 2021, equation 1: the mean of 2.5 · max(cosine, 0)); matching_accuracies and
        intended_similarities by class; confusion, how many pictures of each class asked for (rows) are
        most like each class (columns); mean_similarities, of the pictures of each class with each prompt.
        Classes that were not asked for are left out, and have None in mean_similarities.
    """
    best, count = similarity.argmax(1), len(classes)
    intended = similarity.gather(1, y[:, None])[:, 0]  # (N,)
    confusion = torch.bincount(y * count + best, minlength=count * count).reshape(count, count)
    asked = [k for k in range(count) if (y == k).any()]
    means = {k: similarity[y == k].mean(0) for k in asked}
    return clip_scores(similarity, y) | {
        "score": 2.5 * intended.clamp(min=0).mean().item(),
        "matching_accuracies": {
            classes[k]: (best[y == k] == k).float().mean().item() for k in asked
        },
        "intended_similarities": {classes[k]: means[k][k].item() for k in asked},
        "confusion": confusion.tolist(),
        "mean_similarities": [
            means[k].tolist() if k in means else [None] * count for k in range(count)
        ],
    }


# The lines of a table of them: title, key, form.
CLIP_ROWS = (
    ("intended similarity", "intended_similarity", "{:.4f}"),
    ("average top-1 similarity", "top1_similarity", "{:.4f}"),
    ("CLIPScore", "score", "{:.4f}"),
    ("matching accuracy", "matching_accuracy", "{:.1%}"),
)


def clip_ways(result: dict) -> list[tuple[str, str]]:
    """The columns of a table of CLIP scores: titles, and what their keys end in."""
    ways = [("no guidance", "")]
    if "guidance_scale" in result:
        ways.append((f"guidance {result['guidance_scale']:g}", "_guided"))
    return [*ways, (f"{result['clip_real_n']:,} real pictures", "_real")]
