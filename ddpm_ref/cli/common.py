"""What the commands share: the app, options, checks of arguments."""

import math
import os
import re
from collections.abc import Sequence
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
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            where = f"Cannot use {error.filename}" if error.filename else "Cannot read or write"
            console.problem(f"{where} ({error.strerror or error}): choose another place.")
        except KeyboardInterrupt:
            console.problem("Stopped. What a run had finished is in its folder.")
            raise typer.Exit(130) from None
        except Exception as error:
            if not _out_of_memory(error):
                lines = borrowed.lines_of(error)
                if not lines:
                    raise
                console.problem(f"{type(error).__name__}: {error}".rstrip(": "))
                for line in lines:
                    console.out.print(f"  {line}")
                raise typer.Exit(1) from None
            console.problem(
                "There is not enough memory for this: take smaller batches or pictures, or fewer of them."
            )
        raise typer.Exit(2)


def _out_of_memory(error: Exception) -> bool:
    """torch has no exception of its own for it on a CPU."""
    said = ("out of memory", "not enough memory", "can't allocate memory")
    if isinstance(error, RuntimeError):
        return any(words in str(error) for words in said)
    return isinstance(error, MemoryError)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Train a class-conditional diffusion model, draw with it, measure it.\n\n"
    "Start with `ddpm demo` (two minutes on a laptop), or draw at once with the weights that come "
    "with the package: `ddpm sample --class star`.",
)


def at_least(option: str, value: float, least: float) -> None:
    """Raise UserError unless value ≥ least (a tiny `least` means: above 0)."""
    if not least <= value < 1e15:  # more is a slip of the finger, and no number can be nan
        wanted = f"at least {least:g}" if least >= 1 or least == 0 else "above 0"
        too_much = " and below 1e15" if value > least else ""
        raise UserError(f"{option} must be {wanted}{too_much}, got {str(value)[:20]}.")


def one_of(option: str, value: str | None, choices: tuple[str, ...]) -> str | None:
    """Raise UserError unless value is None or one of the choices; returns it."""
    if value is not None and value not in choices:
        raise UserError(f"{option} cannot be {value!r}: {closest_hint(value, choices)}.")
    return value


def scale(option: str, value: float | None) -> float | None:
    """Raise UserError unless value is None or a number that pictures survive being multiplied by."""
    if value is not None and not abs(value) <= 1e6:
        raise UserError(f"{option} must lie between -1e6 and 1e6, got {value:g}.")
    return value


def tell_skipped(images) -> None:
    """Name the files of an image set that could not be read."""
    if images.skipped:
        first = ", ".join(images.skipped[:3]) + (", …" if len(images.skipped) > 3 else "")
        count = len(images.skipped)
        some = f"{count:,} files that are no readable images"
        told = "1 file that is no readable image" if count == 1 else some
        console.out.print(f"Skipped {told}: {first}")


def _guidance(value: float | None) -> float | None:
    return scale("--guidance-scale", value)


def _checkpoint(name: str) -> str:
    return one_of("--checkpoint", name, ("last", "best"))


def place(option: str, path: Path | None) -> Path | None:
    """Before the work, not after it: can a file be written there?

    Raises:
        UserError: when it cannot.
    """
    if path is None:
        return None
    if not path.name:
        raise UserError(f"{option} needs the name of a file, got {str(path)!r}.")
    folder = next(up for up in path.parents if up.exists())
    if path.is_dir() or not folder.is_dir():
        raise UserError(f"{option} cannot write {path}: name a file in a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(
            f"{option} cannot write {path}: {folder} may not be written to, choose another place."
        )
    if _goes_on_by(path.absolute()):
        raise UserError(f"{path} belongs to a run, which could not go on: choose another name.")
    return path


def _goes_on_by(path: Path) -> bool:
    """Whether a training goes on by this file. Numbers and pictures of a run may be written anew."""
    if path.parent.name == "checkpoints":
        return (path.parent.parent / "config.json").is_file()
    is_run = (path.parent / "config.json").is_file() and (path.parent / "checkpoints").is_dir()
    return is_run and path.name in ("config.json", "metrics.csv")


def distinct(**paths: Path | None) -> None:
    """Raise UserError when two outputs would be written to one file."""
    seen: dict[Path, str] = {}
    for name, path in paths.items():
        option = f"--{name.replace('_', '-')}"
        if path is not None and (other := seen.setdefault(path.absolute(), option)) != option:
            raise UserError(f"{other} and {option} name the same file: give each its own.")


def file_name(title: str, titles: Sequence[str]) -> str:
    """The name of a class as that of a file; those that would be alike get a number."""
    names = [re.sub(r"[/\\ ]", "-", other) for other in titles]
    k = list(titles).index(title)
    return names[k] if names.count(names[k]) == 1 else f"{names[k]}-{k}"


def _place(param: typer.CallbackParam, path: Path | None) -> Path | None:
    return place(param.opts[0], path)


def _weights_file(path: Path) -> Path:
    if path.suffix != ".safetensors":
        raise UserError(f"The name of the file must end in .safetensors, got {path.name}.")
    place("The file", path)
    beside = path.with_suffix(".json")
    if beside.exists() and not path.exists():
        raise UserError(
            f"{beside} exists already, and what is in the file is written there: choose another name."
        )
    return path


def checked_seed(value: int) -> int:
    if not 0 <= value < 2**62:
        raise UserError(f"--seed must lie between 0 and {2**62 - 1}, got {value}.")
    return value


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
Seed = Annotated[
    int, typer.Option(help="The same seed draws the same pictures.", callback=checked_seed)
]
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
        "--json", help="Write the numbers to this file.", callback=_place, show_default=False
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
    from ddpm_ref import files
    from ddpm_ref.runs import make_folder

    make_folder(path.parent)
    files.write_json(path, _finite(values))


def _finite(value):
    """JSON has no word for what is not a number: null."""
    if isinstance(value, dict):
        return {key: _finite(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inside) for inside in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
