"""CLIP: scores with known labels, best of n, guidance by text. `clip.clip` is chapter 9.

`models` loads CLIP models, `train` makes the small one that comes with the package, `loss` puts one into
training; `drawing`, `scores`, `pictures` and `fid` are what the commands do, `ddpm_ref.cli` calls them.
"""

from ddpm_ref.clip.clip import (
    ClipGuided,
    class_prompts,
    clip_guidance,
    clip_scores,
    encode_classes,
    encode_images,
    encode_prompts,
    guided_sample_loop,
    rerank,
    similarity_matrix,
)

__all__ = [
    "ClipGuided",
    "class_prompts",
    "clip_guidance",
    "clip_scores",
    "encode_classes",
    "encode_images",
    "encode_prompts",
    "guided_sample_loop",
    "rerank",
    "similarity_matrix",
]
