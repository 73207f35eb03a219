"""What a recipe stands for: the network, the tables of noise, the way of drawing."""

from dataclasses import asdict, replace
from pathlib import Path

from ddpm_ref.borrowed import accepted
from ddpm_ref.diffusion import TARGETS, NoiseSchedule
from ddpm_ref.errors import UserError, closest_hint, readable
from ddpm_ref.presets import RunConfig, SampleConfig
from ddpm_ref.sampling import SAMPLERS
from ddpm_ref.unet import UNet


def read_recipe(values: dict, source: Path) -> RunConfig:
    """The recipe that stands in a file, all that draws by it made once.

    Raises:
        UserError: when something is missing, unknown, of another type or out of range.
    """
    try:
        config = RunConfig.from_dict(values)
        if config.diffusion.target not in TARGETS:
            raise UserError(f"its recipe has diffusion.target = {config.diffusion.target!r}.")
        make_schedule(config)
        with_sampling(config)
    except ValueError as error:
        raise UserError(f"{source} cannot be used: {str(error).rstrip('.')}.") from error
    return config


def make_model(config: RunConfig) -> UNet:
    with readable("This model cannot be built"):
        return UNet(**accepted(UNet, asdict(config.model)))


def make_schedule(config: RunConfig) -> NoiseSchedule:
    kinds = {"linear": NoiseSchedule.linear, "cosine": NoiseSchedule.cosine}
    if config.diffusion.schedule not in kinds:
        raise UserError(
            f"There is no schedule {config.diffusion.schedule!r}: {closest_hint('', kinds)}."
        )
    if config.diffusion.timesteps > 10**6:
        raise UserError(
            f"There can be at most a million timesteps, and the recipe has {config.diffusion.timesteps:,}."
        )
    return kinds[config.diffusion.schedule](config.diffusion.timesteps)


def with_sampling(config: RunConfig, **changes) -> SampleConfig:
    """The run's own way of sampling, with what the user asked for instead.

    Raises:
        UserError: when the sampler is unknown, or steps, eta or the interval are out of range.
    """
    how = replace(config.sample, **{k: v for k, v in changes.items() if v is not None})
    if how.sampler not in SAMPLERS:
        raise UserError(
            f"There is no sampler {how.sampler!r}: {closest_hint(how.sampler, SAMPLERS)}."
        )
    if how.sampler == "ddpm" and changes.get("steps") is not None:
        raise UserError(
            "--steps goes with ddim and dpm; the ancestral sampler visits every timestep."
        )
    if how.sampler != "ddim" and changes.get("eta"):
        raise UserError(f"--eta goes with ddim: {how.sampler} knows no such thing.")
    limit = config.diffusion.timesteps
    if how.sampler != "ddpm" and not 1 <= how.steps <= limit:
        raise UserError(
            f"--steps must lie between 1 and the {limit} timesteps of the model, got {how.steps}."
        )
    if not 0 <= how.eta <= 1:
        raise UserError(
            f"--eta must lie between 0 (deterministic) and 1 (ancestral), got {how.eta}."
        )
    lowest, highest = how.guidance_interval or (0, limit - 1)
    if not 0 <= lowest <= highest < limit:
        raise UserError(
            f"--guidance-interval must lie within 0 and {limit - 1}, lowest first, got {lowest} {highest}."
        )
    return how


def steps_of(how: SampleConfig, config: RunConfig) -> int:
    """How many steps a sampler takes; the ancestral one visits every timestep."""
    return config.diffusion.timesteps if how.sampler == "ddpm" else how.steps
