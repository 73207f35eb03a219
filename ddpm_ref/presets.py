"""Recipes: everything that decides how a run turns out, in one frozen dataclass a concern."""

import math
from dataclasses import asdict, dataclass, field, fields, replace
from types import UnionType
from typing import get_args, get_origin, get_type_hints

from ddpm_ref.errors import UserError, closest_hint


@dataclass(frozen=True)
class DataConfig:
    dataset: str = "shapes"
    data_dir: str | None = None
    image_size: int = 16
    size: int = 10_000  # images, of `shapes` only
    val_fraction: float = 0.1
    flip: bool = True  # mirror training images, where the data set's classes survive it
    num_workers: int = 0


@dataclass(frozen=True)
class ModelConfig:
    """The arguments of `UNet`, which explains them."""

    channels: int = 3
    num_classes: int = 10
    base_width: int = 16
    multipliers: tuple[int, ...] = (1, 2, 4)
    blocks: int = 1
    up_blocks: int | None = None
    middle_blocks: int = 2
    image_size: int = 16
    attention_resolutions: tuple[int, ...] = (8, 4)
    heads: int = 2
    dropout: float = 0.0
    conditioning: str = "scale_shift"
    residual: bool = True
    downsample: str = "conv"
    upsample: str = "nearest"


@dataclass(frozen=True)
class DiffusionConfig:
    timesteps: int = 1000
    schedule: str = "cosine"  # or "linear"
    target: str = "v"  # or "noise"


@dataclass(frozen=True)
class TrainConfig:
    images: int = 80_000  # how many the model sees in all, repeats counted: the one clock
    seconds: float | None = None  # stop by the clock, if that comes first; the rate falls in time
    batch_size: int = 64
    learning_rate: float = 4e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    warmup_steps: int = 50  # the learning rate rises over these …
    decay_from: float = 0.5  # … and from this share of the steps on falls to 0 by a half cosine
    grad_clip: float = 1.0  # largest norm of the gradient
    ema_decay: float | None = 0.998  # None: no moving average
    label_dropout: float = 0.1
    min_snr_gamma: float | None = None
    clip_loss: float = 0.0  # weight of the CLIP loss, see `ddpm_ref.clip.loss`
    precision: str = "auto"  # fp32, bf16, fp16, or what suits the device
    # torch.compile: a minute at the start, then faster on a GPU; None: on a GPU, where it works.
    compile: bool | None = False
    # Epochs between two checkpoints; None: one, or more where they are short (`launch.epochs_between`) …
    checkpoint_every: int | None = None
    checkpoint_seconds: float = 300.0  # … unless so much time has passed
    val_images: int = 1000  # at most so many are validated on after each epoch
    sample_every: int | None = None  # epochs between two pictures of progress; None: as above
    seed: int = 0

    @property
    def steps(self) -> int:
        """Of the optimiser, in all."""
        return math.ceil(self.images / self.batch_size)


@dataclass(frozen=True)
class SampleConfig:
    sampler: str = "ddim"
    steps: int = 10
    eta: float = 0.0
    guidance_scale: float = 1.5
    guidance_interval: tuple[int, int] | None = None  # timesteps at which to guide; None: all


@dataclass(frozen=True)
class RunConfig:
    """What `config.json` of a run holds."""

    preset: str = "demo"
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    sample: SampleConfig = field(default_factory=SampleConfig)

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "RunConfig":
        """The inverse of `to_dict`, also after a trip through JSON, which knows no tuples.

        Raises:
            UserError: when something is missing, unknown, or of another type.
        """
        parts = {f.name: f.default_factory for f in fields(cls) if f.name != "preset"}
        for name in ("preset", *parts):
            if not isinstance(values, dict) or not isinstance(
                values.get(name), str if name == "preset" else dict
            ):
                raise UserError(f"its recipe has no {name!r}.")
        made = {name: _part(name, kind, values[name]) for name, kind in parts.items()}
        return cls(preset=values["preset"], **made)


def _part(name: str, kind: type, values: dict):
    """One dataclass of a recipe, each value of it looked at."""
    types = get_type_hints(kind)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    for key, value in values.items():
        if key not in types:
            raise UserError(f"its recipe has {name}.{key}, which nobody knows here.")
        if not _is_a(value, types[key]):
            raise UserError(f"its recipe has {name}.{key} = {value!r}.")
    return kind(**values)


def _is_a(value, wanted) -> bool:
    """Whether a value is of a type as the dataclasses above name them: also `X | None` and tuples."""
    if get_origin(wanted) is UnionType:
        return any(_is_a(value, one) for one in get_args(wanted))
    if get_origin(wanted) is tuple:
        *each, last = get_args(wanted)
        if not isinstance(value, tuple):
            return False
        if last is ...:
            return all(_is_a(v, each[0]) for v in value)
        return len(value) == len(each) + 1 and all(map(_is_a, value, (*each, last)))
    if wanted in (int, float):
        if isinstance(value, float):
            return wanted is float and math.isfinite(value)
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, wanted)


_CIFAR_DATA = DataConfig(dataset="cifar10", image_size=32)

PRESETS = {
    # Shapes in minutes on two CPU cores. The net is too small to gain from bf16 there, and in fp32 it
    # comes out alike on every machine.
    "demo": RunConfig(train=TrainConfig(precision="fp32", val_images=500)),
    # The plain recipe of the report that this course grew from: nothing recognisable in 50 epochs.
    "seed": RunConfig(
        preset="seed",
        data=_CIFAR_DATA,
        model=ModelConfig(
            base_width=64,
            multipliers=(1, 2, 4),
            image_size=32,
            attention_resolutions=(),
            heads=4,
            conditioning="add",
            residual=False,
            downsample="pool",
            upsample="bilinear",
        ),
        diffusion=DiffusionConfig(schedule="linear", target="noise"),
        train=TrainConfig(
            images=50 * 45_000,
            batch_size=128,
            learning_rate=1e-4,
            betas=(0.9, 0.999),
            warmup_steps=0,
            decay_from=1.0,
            ema_decay=None,
            sample_every=5,
        ),
        sample=SampleConfig(sampler="ddpm", steps=1000, guidance_scale=1.0),
    ),
    # The best recipe for CIFAR-10 known to us, made for ten minutes of one H200 at the report's budget of
    # images. It is not measured on a GPU yet: it is drawn from small trials on a CPU (what to predict, the
    # rate and its fall) and from papers (the size). benchmarks/cifar10.py measures it.
    "cifar10": RunConfig(
        preset="cifar10",
        data=_CIFAR_DATA,
        model=ModelConfig(
            base_width=96,
            multipliers=(1, 2, 2, 2),
            blocks=2,
            up_blocks=3,
            middle_blocks=7,
            image_size=32,
            attention_resolutions=(16, 4),
            heads=4,
        ),
        train=TrainConfig(
            images=50 * 45_000,
            batch_size=256,
            learning_rate=5e-4,
            warmup_steps=300,
            decay_from=0.6,
            ema_decay=0.999,
            compile=None,
            checkpoint_every=5,  # 300 MB each: after every epoch, they would cost more than a tenth
            sample_every=5,
        ),
        sample=SampleConfig(steps=50, guidance_scale=2.0),
    ),
    # CIFAR-10 without a GPU: eight epochs of a small net, a good hour of one core that has bf16
    # units. The weights that come with the package saw more than six times as many images.
    "cifar10-small": RunConfig(
        preset="cifar10-small",
        data=_CIFAR_DATA,
        model=ModelConfig(
            base_width=32,
            multipliers=(1, 2, 4, 4),
            image_size=32,
            attention_resolutions=(8, 4),
            heads=4,
        ),
        train=TrainConfig(
            images=350_000,
            batch_size=128,
            learning_rate=2e-3,
            warmup_steps=200,
            decay_from=0.6,
            ema_decay=0.999,
        ),
        sample=SampleConfig(sampler="dpm", steps=12, guidance_scale=3.0),
    ),
    # The size and the recipe of Ho et al. 2020 (appendix B), with classes.
    "paper": RunConfig(
        preset="paper",
        data=_CIFAR_DATA,
        model=ModelConfig(
            base_width=128,
            multipliers=(1, 2, 2, 2),
            blocks=2,
            up_blocks=3,
            middle_blocks=9,  # what the paper spends at 4×4 on the way down and up is here
            image_size=32,
            attention_resolutions=(16, 4),
            heads=1,
            dropout=0.1,
        ),
        diffusion=DiffusionConfig(schedule="linear", target="noise"),
        train=TrainConfig(
            images=800_000 * 128,
            batch_size=128,
            learning_rate=2e-4,
            betas=(0.9, 0.999),
            warmup_steps=5000,
            decay_from=1.0,
            ema_decay=0.9999,
            sample_every=20,
            compile=None,
        ),
        sample=SampleConfig(sampler="ddpm", steps=1000, guidance_scale=1.0),
    ),
}


def preset(name: str) -> RunConfig:
    """A recipe by name.

    Raises:
        UserError: when there is none of that name.
    """
    if name not in PRESETS:
        raise UserError(f"There is no preset {name!r}: {closest_hint(name, PRESETS)}.")
    return PRESETS[name]


def for_images(config: RunConfig, image_size: int, channels: int, num_classes: int) -> RunConfig:
    """The recipe for other images than it was made for; attention moves to the same levels."""
    model = config.model
    moved = tuple(r * image_size // model.image_size for r in model.attention_resolutions)
    model = replace(
        model,
        image_size=image_size,
        channels=channels,
        num_classes=num_classes,
        attention_resolutions=moved,
    )
    return replace(config, data=replace(config.data, image_size=image_size), model=model)
