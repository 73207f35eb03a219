"""What the commands share: the app, options, checks of arguments."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from ddpm_ref import borrowed, console
from ddpm_ref.errors import UserError, closest_hint

# torch takes seconds to import, and `--help` should not: the commands import what they use.


class _Commands(TyperGroup):
    """Turns what a user can put right into one sentence and exit code 2."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except UserError as error:
            console.problem(str(error))
        except KeyboardInterrupt:
            console.problem("Stopped. What a run had finished is in its folder.")
            raise typer.Exit(130) from None
        except Exception as error:
            lines = borrowed.lines_of(error)
            if not lines:
                raise
            console.problem(f"{type(error).__name__}: {error}".rstrip(": "))
            for line in lines:
                console.out.print(f"  {line}", markup=False)
            raise typer.Exit(1) from None
        raise typer.Exit(2)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Train a class-conditional diffusion model, draw with it, measure it.\n\n"
    "Start with `ddpm demo` (three minutes on a laptop), or draw at once with the weights that come "
    "with the package: `ddpm sample --class star`.",
)


def at_least(option: str, value: float, least: float) -> None:
    """Raise UserError unless value ≥ least (a tiny `least` means: above 0)."""
    if not value >= least or math.isinf(value):
        wanted = f"at least {least:g}" if least >= 1 or least == 0 else "above 0"
        raise UserError(f"{option} must be {wanted}, got {value:g}.")


def one_of(option: str, value: str | None, choices: tuple[str, ...]) -> str | None:
    """Raise UserError unless value is None or one of the choices; returns it."""
    if value is not None and value not in choices:
        raise UserError(f"{option} cannot be {value!r}: {closest_hint(value, choices)}.")
    return value


def finite(option: str, value: float | None) -> float | None:
    """Raise UserError unless value is None or finite; returns it."""
    if value is not None and not math.isfinite(value):
        raise UserError(f"{option} must be a finite number, got {value}.")
    return value


def _guidance(scale: float | None) -> float | None:
    return finite("--guidance-scale", scale)


def _checkpoint(name: str) -> str:
    return one_of("--checkpoint", name, ("last", "best"))


def _weights_file(path: Path) -> Path:
    if path.suffix != ".safetensors":
        raise UserError(f"The name of the file must end in .safetensors, got {path.name}.")
    return path


def _seed(value: int) -> int:
    if not 0 <= value < 2**62:
        raise UserError(f"--seed must lie between 0 and {2**62 - 1}, got {value}.")
    return value


def _json(path: Path | None) -> Path | None:
    """Before the work, not after it: is there a place for the numbers?"""
    if path is not None and (path.is_dir() or any(up.is_file() for up in path.parents)):
        raise UserError(f"--json cannot write {path}: name a file in a folder.")
    return path


def _code(folder: str | None) -> str | None:
    """Before anything else is done, so that all of it is done by that code."""
    if folder is not None:
        borrowed.borrow(folder)
    return folder


Model = Annotated[
    Path | None,
    typer.Argument(
        help="Folder of a run, a .safetensors file, or one that comes with the package: demo, undertrained, "
        "cifar10. Default: demo.",
        show_default=False,
    ),
]
Checkpoint = Annotated[
    str, typer.Option(help="Which checkpoint of a run: last or best.", callback=_checkpoint)
]
WeightsFile = Annotated[
    Path, typer.Argument(help="The file to write, NAME.safetensors.", callback=_weights_file)
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        help="A class by name or number; repeat it for more. Default: all.",
        show_default=False,
    ),
]
Code = Annotated[
    str | None,
    typer.Option(
        help="Run on the modules of this folder, in place of the reference's: chapters, for your own.",
        callback=_code,
        is_eager=True,
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(help="The same seed draws the same pictures.", callback=_seed)]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="ddpm (ancestral, all timesteps), ddim or dpm (DPM-Solver++ 2M). Default: the run's.",
        show_default=False,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(help="Sampling steps of ddim and dpm. Default: the run's.", show_default=False),
]
Eta = Annotated[
    float | None,
    typer.Option(
        help="Noise that ddim adds on the way: 0 none, 1 as the ancestral sampler.",
        show_default=False,
    ),
]
Guidance = Annotated[
    float | None,
    typer.Option(
        "--guidance-scale",
        help="0 ignores the class, 1 follows it, above 1 exaggerates it. Default: the run's.",
        callback=_guidance,
        show_default=False,
    ),
]
GuidanceInterval = Annotated[
    tuple[int, int] | None,
    typer.Option(
        metavar="LOWEST HIGHEST",
        help="Timesteps at which to guide, both included; elsewhere the class is followed plainly, in half "
        "the time. Default: the run's.",
        show_default=False,
    ),
]
Json = Annotated[
    Path | None,
    typer.Option(
        "--json", help="Write the numbers to this file.", callback=_json, show_default=False
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, cuda:1, mps … Default: the best there is.", show_default=False),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        help="shapes (drawn on the spot), cifar10, mnist, fashion-mnist, folder. Default: the preset's.",
        show_default=False,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Where downloads go; for folder: one sub-folder a class, or train/ and test/ of those.",
        show_default=False,
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        help="Pixels a side; images are resized. Default: the preset's.", show_default=False
    ),
]


def changed(settings, **given):
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def pick_device(name: str | None):
    from ddpm_ref.training import select_device

    return select_device(name)


def write_json(path: Path, values: dict) -> None:
    from ddpm_ref.files import write_atomically
    from ddpm_ref.runs import make_folder

    make_folder(path.parent)
    write_atomically(path, (json.dumps(values, indent=2) + "\n").encode())
