"""Somebody else's code in the place of ours: `ddpm … --code chapters` runs on what a learner has written.

Every function and class that the learner's chapter defines and that the chapter's module here has too takes
the place of ours, wherever in this package it is used. What only the reference has (reading images, the
folder of a run, pictures, the judge, the command line) stays ours.
"""

import importlib
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType

from ddpm_ref.errors import UserError

# The learner's folder and file of each chapter, and the module of ours that it stands for.
CHAPTERS = {
    "ch01_datasets.data": "data",
    "ch02_embeddings.embeddings": "embeddings",
    "ch03_residual_block.blocks": "blocks",
    "ch04_unet.unet": "unet",
    "ch05_forward_noise.diffusion": "diffusion",
    "ch06_loss.loss": "loss",
    "ch07_sampling.sampling": "sampling",
    "ch08_training.training": "training",
    "ch09_clip.clip": "clip.clip",
}
# What uses them; imported first, so that nothing keeps a name of ours.
_USERS = (
    "jobs",
    "launch",
    "painting",
    "evaluation",
    "report",
    "clip.loss",
    "clip.drawing",
    "clip.scores",
)

_room: list[Path] = []  # the folder, once there is one


def borrow(code: str) -> None:
    """Put the chapters of a folder in the place of ours, for the rest of this process.

    Args:
        code: the folder that holds ch01_datasets … ch09_clip: "chapters" and "solutions" are found beside
            this package too. A chapter that is not there stays ours.

    Raises:
        UserError: when there is no such folder, or a chapter cannot be imported.
    """
    places = [Path(code), Path(__file__).resolve().parent.parent / code]
    room = next((p.resolve() for p in places if any(p.glob("ch0?_*"))), None)
    if room is None:
        raise UserError(f"--code {code}: there is no folder of that name with chapters in it.")
    if room in _room:
        return
    ours = {name: importlib.import_module(f"ddpm_ref.{name}") for name in CHAPTERS.values()}
    for name in _USERS:
        importlib.import_module(f"ddpm_ref.{name}")
    sys.path.insert(0, str(room.parent))
    _room.append(room)
    exchanged: dict[int, object] = {}
    for theirs, name in CHAPTERS.items():
        if (room / f"{theirs.replace('.', '/')}.py").is_file():
            exchanged |= _exchange(ours[name], _imported(f"{room.name}.{theirs}"))
    for key, module in list(sys.modules.items()):
        if key.split(".")[0] == "ddpm_ref":
            _replace(vars(module), exchanged)


def is_borrowed() -> bool:
    """Whether somebody else's code is at work."""
    return bool(_room)


def lines_of(error: BaseException) -> list[str]:
    """The lines of the borrowed code that an error went through, the last one last."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if any(Path(f.filename).is_relative_to(room) for room in _room)]
    return [f"{Path(f.filename).name}, line {f.lineno}, in {f.name}: {f.line}" for f in theirs]


def accepted(function, values: dict) -> dict:
    """Those of the values that a function has parameters for: a learner's network has fewer options."""
    parameters = inspect.signature(function).parameters
    if any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
        return values
    return {name: value for name, value in values.items() if name in parameters}


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        reason = "; ".join([f"{type(error).__name__}: {error}", *lines_of(error)[-1:]])
        raise UserError(f"{name} cannot be imported ({reason}): see `python -m checks`.") from error


def _exchange(ours: ModuleType, theirs: ModuleType) -> dict[int, object]:
    """By the id of our function or class, the learner's of that name."""
    return {
        id(mine): getattr(theirs, name)
        for name, mine in vars(ours).items()
        if getattr(mine, "__module__", None) == ours.__name__
        and getattr(getattr(theirs, name, None), "__module__", None) == theirs.__name__
    }


def _replace(names: dict, exchanged: dict[int, object]) -> None:
    for name, value in list(names.items()):
        if id(value) in exchanged:
            names[name] = exchanged[id(value)]
        elif isinstance(value, dict) and name.isupper():  # a table of functions, such as SAMPLERS
            _replace(value, exchanged)
