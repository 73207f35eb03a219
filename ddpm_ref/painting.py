"""A trained model with all it takes to draw."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ddpm_ref.borrowed import is_borrowed
from ddpm_ref.diffusion import NoiseSchedule
from ddpm_ref.errors import UserError, closest_hint
from ddpm_ref.files import in_half_precision, load_weights, read_tensors, write_tensors
from ddpm_ref.guidance import IntervalGuidance
from ddpm_ref.precision import autocast, memory_format, select_precision
from ddpm_ref.presets import RunConfig, SampleConfig
from ddpm_ref.recipes import make_model, make_schedule, read_recipe
from ddpm_ref.runs import Run
from ddpm_ref.sampling import SAMPLERS
from ddpm_ref.shipped import MODELS, shipped_model

CHUNK = 100  # pictures drawn at once: more would only need more memory


@dataclass
class Painter:
    """A trained model with all it takes to draw: `load_painter` makes one from a run or a file.

    Attributes:
        model: in eval mode, averaged weights where there are any.
        schedule: the tables it was trained with.
        config: the recipe of its run.
        classes: names, in the order of the labels.
        source: the file it was read from.
        about: what else stands in that file's header.
    """

    model: nn.Module
    schedule: NoiseSchedule
    config: RunConfig
    classes: tuple[str, ...]
    source: Path
    about: dict

    def labels(self, names: list[str]) -> list[int]:
        """Positions of classes, given by name (in any case) or by number.

        Raises:
            UserError: when there is no such class.
        """
        lower = [name.lower() for name in self.classes]
        # Not where the names are numbers themselves.
        by_position = not any(name.isdecimal() for name in lower)
        found = []
        for name in names:
            if name in self.classes:  # "Cat" and "cat" may be two of them
                found.append(self.classes.index(name))
            elif name.lower() in lower:
                found.append(lower.index(name.lower()))
            elif by_position and name.isdecimal() and int(name) < len(lower):
                found.append(int(name))
            else:
                raise UserError(f"There is no class {name!r}: {closest_hint(name, self.classes)}.")
        return found

    def noise(self, n: int, seed: int) -> Tensor:
        """(n, C, H, W) of starting noise, the same for the same seed on every device."""
        size = self.config.model.image_size
        shape = (n, self.config.model.channels, size, size)
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    def draw(
        self,
        y: Tensor | None,
        noise: Tensor,
        how: SampleConfig,
        seed: int = 0,
        callback: Callable | None = None,
        advance: Callable[[int], None] | None = None,
        guide: Callable[[slice], nn.Module] | None = None,
        clip: bool = True,
    ) -> Tensor:
        """Draw pictures, `CHUNK` at a time; in half precision where the recipe allows it and the device
        is faster with it.

        Args:
            y: (N,) labels, or None for unconditional pictures.
            noise: (N, C, H, W) to start from.
            how: sampler, steps, eta, guidance scale and the interval of guidance.
            seed: of the noise that samplers add on the way.
            callback: as in `ddpm_ref.sampling`; called chunk by chunk.
            advance: told after each step how many pictures took it.
            guide: given which pictures come next, the model that draws them in place of this one: it
                predicts noise, and sees to classifier-free guidance itself.
            clip: clip each predicted x_0.

        Returns:
            (N, C, H, W) on the CPU.
        """
        generator = torch.Generator().manual_seed(seed + 1)
        model, scale = self.guided(how)
        options = {"ddim": {"steps": how.steps, "eta": how.eta}, "dpm": {"steps": how.steps}}

        def after_step(i, t, x_t, x_0):
            if advance:
                advance(len(x_t))
            if callback:
                callback(i, t, x_t, x_0)

        parts = []
        for first in range(0, len(noise), CHUNK):
            chosen = slice(first, first + CHUNK)
            part = noise[chosen].to(self.device)
            # CLIP's gradients stay whole.
            with autocast(self.device, "fp32" if guide else self.precision):
                drawn = SAMPLERS[how.sampler](
                    guide(chosen) if guide else model,
                    self.schedule,
                    part.shape,
                    None if y is None else y[chosen].to(self.device),
                    guidance_scale=1.0 if guide else scale,
                    target="noise" if guide else self.config.diffusion.target,
                    clip=clip,
                    noise=part,
                    generator=generator,
                    callback=after_step,
                    **options.get(how.sampler, {}),
                )
            parts.append(drawn.cpu())
        return torch.cat(parts)

    def guided(self, how: SampleConfig) -> tuple[nn.Module, float]:
        """The model to draw with, and the guidance scale to give to a sampler with it."""
        if how.guidance_interval is None:
            return self.model, how.guidance_scale
        return IntervalGuidance(self.model, how.guidance_scale, how.guidance_interval), 1.0

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def precision(self) -> str:
        """What suits this device, which need not be the one that it was trained on."""
        wanted = self.config.train.precision
        return wanted if wanted == "fp32" else select_precision("auto", self.device)


def load_painter(
    source: Path | str | None = None, checkpoint: str = "last", device="cpu"
) -> Painter:
    """The model of a run folder, of a checkpoint file, or one that comes with the package.

    Those are named as in `shipped.MODELS`, unless there is a run of that name; None is that of `demo`.

    Raises:
        UserError: when there is nothing, or something else, or it is damaged.
    """
    path = Path("demo" if source is None else source)
    if str(path) in MODELS and (source is None or not path.exists()):
        path = shipped_model(str(path))
    if not path.exists():
        raise UserError(
            f"There is no model {path}: give the folder of a run, a .safetensors file of one, or a name of "
            f"those that come with the package ({', '.join(MODELS)})."
        )
    if path.is_dir():
        path = Run(path).checkpoint(checkpoint)
        if not path.is_file():
            raise UserError(
                f"The run {source} has no checkpoint yet ({path.name} is missing): train it first."
            )
    tensors, header = read_tensors(path)
    about = header.get("about") if isinstance(header, dict) else None
    if not isinstance(about, dict) or not {"config", "classes"} <= about.keys():
        raise UserError(f"{path} holds no diffusion model of this program.")
    config, classes = read_recipe(about["config"], path), about["classes"]
    if not isinstance(classes, list) or not all(isinstance(c, str) for c in classes):
        raise UserError(f"{path} is damaged: what it names as classes is no list of names.")
    classes = tuple(classes)
    if len(classes) != config.model.num_classes:
        raise UserError(
            f"{path} is damaged: it names {len(classes)} classes for {config.model.num_classes}."
        )
    prefix = "ema." if any(k.startswith("ema.") for k in tensors) else "model."
    weights = {
        k.removeprefix(prefix): v.float() for k, v in tensors.items() if k.startswith(prefix)
    }
    # A model far larger than its weights would take all memory before it is seen not to fit.
    size, numbers = config.model, sum(v.numel() for v in weights.values())
    layers = max(size.blocks, size.up_blocks or 0, size.middle_blocks)
    width = size.base_width * max(size.multipliers, default=1)
    if layers > len(weights) or width**2 > numbers:
        raise UserError(f"{path} is damaged: its recipe is of a larger model than its weights.")
    model = make_model(config)
    if is_borrowed():
        fix = "they fit the names in the README of chapter 4, or train with --code a model of your own"
        load_weights(model, weights, path, fix)
    else:
        load_weights(model, weights, path)
    if not all(w.isfinite().all() for w in weights.values()):
        raise UserError(f"{path} holds weights that are no numbers: take another checkpoint.")
    schedule = make_schedule(config).to(device)
    painter = Painter(model.to(device).eval(), schedule, config, classes, path, about)
    model.to(memory_format=memory_format(painter.device, painter.precision))
    return painter


def export_weights(painter: Painter, path: Path, note: str = "") -> None:
    """Write only what drawing needs, in half precision: a file to pass on.

    Where the pictures lay on this machine is nobody else's business, and is left out.
    """
    halved = in_half_precision(painter.model.state_dict())
    tensors = {f"model.{k}": v for k, v in halved.items()}
    about = {k: v for k, v in painter.about.items() if k in ("config", "classes", "note")}
    data = about["config"]["data"] | {"data_dir": None}
    about |= {"config": about["config"] | {"data": data}} | ({"note": note} if note else {})
    write_tensors(path, tensors, {"about": about})
