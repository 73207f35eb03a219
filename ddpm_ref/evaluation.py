"""Measuring a model: does a picture that was asked to be a star show a star?"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ddpm_ref.painting import Painter
from ddpm_ref.presets import SampleConfig
from ddpm_ref.recipes import steps_of
from ddpm_ref.referee import Referee
from ddpm_ref.scores import class_accuracy, frechet_distance


def evaluate(
    painter: Painter,
    referee: Referee,
    how: SampleConfig,
    n: int = 1000,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
    look: Callable[[Tensor, Tensor, str], dict] | None = None,
) -> dict:
    """Draw n pictures of known classes, equally many of each, and let the referee look at them.

    The same noise is drawn twice: without guidance (scale 1) and, when `how` asks for another scale,
    with it.

    Args:
        painter: the model.
        referee: who judges.
        how: sampler, steps, eta and guidance scale.
        n: how many pictures, at least 2.
        seed: of the noise.
        advance: told after each sampling step how many pictures took it.
        look: called as look(x, y, suffix) with the pictures of each way of drawing, the suffix "" or
            "_guided"; what it returns is added to the result.

    Returns:
        What `ddpm evaluate --json` writes: n, class_accuracy, worst_class, worst_class_accuracy,
        class_accuracies, frechet_distance, frechet_n (drawn and real), the same with `_guided` at
        guidance_scale (and guidance_interval), then judge_accuracy and judge_n (the judge on held-out
        real pictures), sampler, steps, eta, seed.
    """
    y = torch.arange(n) % len(painter.classes)
    noise = painter.noise(n, seed)
    result: dict = {"n": n}
    plain = painter.draw(y, noise, replace(how, guidance_scale=1.0), seed, advance=advance)
    result |= _scores(plain, y, referee, painter.classes, "")
    result |= look(plain, y, "") if look else {}
    if how.guidance_scale != 1:
        guided = painter.draw(y, noise, how, seed, advance=advance)
        result["guidance_scale"] = how.guidance_scale
        if how.guidance_interval is not None:
            result["guidance_interval"] = list(how.guidance_interval)
        result |= _scores(guided, y, referee, painter.classes, "_guided")
        result |= look(guided, y, "_guided") if look else {}
    return result | {
        "judge_accuracy": referee.accuracy,
        "judge_n": referee.n,
        "sampler": how.sampler,
        "steps": steps_of(how, painter.config),
        "eta": how.eta,
        "seed": seed,
    }


def _scores(x: Tensor, y: Tensor, referee: Referee, classes: tuple[str, ...], suffix: str) -> dict:
    features, guessed = referee.judge.look_at(x)
    accuracy, each = class_accuracy(guessed, y, len(classes))
    pairs = zip(classes, each, strict=True)
    asked = {name: share for name, share in pairs if not math.isnan(share)}
    worst = min(asked, key=asked.get)
    scores = {
        "class_accuracy": accuracy,
        "worst_class": worst,
        "worst_class_accuracy": asked[worst],
        "class_accuracies": asked,
        "frechet_distance": frechet_distance(features, referee.features),
        "frechet_n": [len(features), referee.n],
    }
    return {name + suffix: value for name, value in scores.items()}
