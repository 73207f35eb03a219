"""What comes with the package, in `weights/`: models, and a judge and a small CLIP for their pictures."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from ddpm_ref.datasets import CIFAR10_CLASSES
from ddpm_ref.errors import UserError
from ddpm_ref.presets import DataConfig, preset

WEIGHTS = Path(str(files("ddpm_ref") / "weights"))

# File by name. `undertrained` is wrong often enough to show what re-ranking mends; the preset `cifar10` is
# drawn by the net of another one, small enough to come along.
MODELS = {
    "demo": "shapes",
    "undertrained": "shapes-undertrained",
    "cifar10": "cifar10-small",
    "cifar10-small": "cifar10-small",
}
PICTURES = ("shapes", "cifar10")  # those that a judge and a CLIP come for


def shipped_model(name: str) -> Path:
    """The weights of a preset that come with the package.

    Raises:
        UserError: when there is no such preset, or none of its weights come with this version.
    """
    if name not in MODELS:
        preset(name)
        raise UserError(
            f"No weights of the preset {name!r} come with this version: train your own with "
            f"`ddpm train --preset {name} --out runs/{name}`, then draw with `ddpm sample runs/{name}`."
        )
    return WEIGHTS / f"{MODELS[name]}.safetensors"


def pictures_of(data: DataConfig, classes: Sequence[str]) -> str | None:
    """Which of `PICTURES` a model draws, None for others: CIFAR-10 may lie in folders just as well."""
    if data.dataset == "shapes":
        return "shapes"
    return "cifar10" if tuple(classes) == CIFAR10_CLASSES else None


def shipped_clip(pictures: str) -> Path:
    """The small CLIP for pictures of `PICTURES`."""
    return WEIGHTS / f"clip-{pictures}.safetensors"


def shipped_judge(data: DataConfig, classes: Sequence[str]) -> Path | None:
    """The judge for what a model draws, where one comes for it: each for one size of pictures."""
    pictures = pictures_of(data, classes)
    size = {"shapes": 16, "cifar10": 32}.get(pictures)
    return WEIGHTS / f"judge-{pictures}.safetensors" if data.image_size == size else None
