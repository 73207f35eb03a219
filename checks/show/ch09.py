"""Chapter 9: what the learner's functions make of sixteen candidates, and which they keep."""

from pathlib import Path

import torch

from ddpm_ref.clip.models import load_clip
from ddpm_ref.painting import load_painter
from ddpm_ref.pictures import grid, save_picture, stack
from ddpm_ref.presets import SampleConfig

CLASS, CANDIDATES, KEEP = "heart", 16, 4


def draw(module, out: Path) -> str:
    """Draw candidates with a model that was stopped early, and let the learner's chapter choose.

    Args:
        module: the learner's chapter.
        out: where the PNG goes.

    Raises:
        ValueError: when re-ranking does not return positions of candidates.
    """
    painter, small = load_painter("undertrained"), load_clip("shapes")
    label = painter.labels([CLASS])[0]
    y = torch.full((CANDIDATES,), label)
    x = painter.draw(y, painter.noise(CANDIDATES, 1), SampleConfig(guidance_scale=1.0))
    prompts = module.class_prompts(painter.classes)
    texts = module.encode_prompts(small.clip, prompts, small.tokenizer)
    with torch.no_grad():
        similarity = module.similarity_matrix(module.encode_images(small.clip, x), texts)
    kept = module.rerank(similarity, label, KEEP)
    if sorted(set(kept.tolist())) != sorted(kept.tolist()) or len(kept) != KEEP:
        raise ValueError(f"rerank should return {KEEP} different positions, not {kept.tolist()}")
    order = module.rerank(similarity, label, CANDIDATES)
    values = [f"{v:.2f}" for v in similarity[order, label].tolist()]
    rows = [
        grid(x[order], CANDIDATES // 2, zoom=4, column_titles=values[: CANDIDATES // 2]),
        grid(x[kept], KEEP, zoom=6, column_titles=values[:KEEP]),
    ]
    titles = [
        f"all {CANDIDATES}, by their similarity with “{prompts[label]}”",
        f"the {KEEP} that are kept",
    ]
    save_picture(stack(rows, titles), out)
    scores = module.clip_scores(similarity, y)
    return (
        f"{CANDIDATES} tries of a model that was stopped early at {prompts[label]}. CLIP says that "
        f"{scores['matching_accuracy']:.0%} match, and would keep the {KEEP} below. The average top-1 "
        f"similarity is {scores['top1_similarity']:.3f}, the intended {scores['intended_similarity']:.3f}."
    )
