"""What there is to check, read from `checks/experiments` and `checks/mistakes` without running them.

The judge has no torch.
"""

import ast
import inspect
import marshal
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from checks import experiment, misconception
from checks.files import Problem

ROOT = Path(__file__).resolve().parent.parent
# Python 3.11 loses count of its recursion when two threads parse at once (a SystemError, now and then).
_PARSING = threading.Lock()
COMPILED = "experiments"  # name of the file in which a child finds them
EXPERIMENTS = Path(__file__).resolve().parent / "experiments"
MISTAKES = Path(__file__).resolve().parent / "mistakes"


@dataclass(frozen=True)
class Experiment:
    """One experiment; see `checks.experiment` for the fields. `name` is such as "4.2-skip-order"."""

    id: str
    title: str
    points: int
    hints: tuple[str, ...]
    star: bool
    function: str

    @property
    def name(self) -> str:
        return f"{self.id}-{self.function.replace('_', '-')}"


@dataclass(frozen=True)
class Misconception:
    """A known mistake; see `checks.misconception`. `edits` are (old, new) pairs of source text."""

    id: str
    says: str
    edits: tuple[tuple[str, str], ...]
    equal: str | None
    draws: str | None


@dataclass(frozen=True)
class Chapter:
    """A chapter: `folder` under chapters/ and solutions/, `module` there and in `ddpm_ref`.

    `minutes` is what its core work takes a junior who follows the README (with the reading).

    Where the reference has a package of that name, `inside` is the module in it. `needs` are modules
    that are slow to import: the children find them imported.
    """

    number: int
    title: str
    folder: str
    module: str
    minutes: int
    inside: str = ""
    needs: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """The module in `ddpm_ref`, such as "unet" or "clip.clip"."""
        return f"{self.module}.{self.inside}" if self.inside else self.module

    @property
    def reference_file(self) -> Path:
        return ROOT.joinpath("ddpm_ref", *self.reference.split(".")).with_suffix(".py")

    @property
    def file(self) -> Path:
        """Where its experiments are."""
        return EXPERIMENTS / f"{self.folder}.py"

    @property
    def mistakes_file(self) -> Path:
        """Where its known mistakes are."""
        return MISTAKES / f"{self.folder}.py"

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        return _experiments(self.file)

    @property
    def misconceptions(self) -> tuple[Misconception, ...]:
        return _misconceptions(self.mistakes_file)

    @property
    def points(self) -> int:
        """What can be reached without the optional work."""
        return sum(e.points for e in self.experiments if not e.star)

    def chosen(self, only: str | None) -> tuple[Experiment, ...]:
        """The experiments of one exercise ("4.2"), or the one of that name; all of them for None."""
        if only is None:
            return self.experiments
        return tuple(e for e in self.experiments if only in (e.id, e.name))


FAKE_DEVICE = "checks.fake_device"

ALL = (
    Chapter(1, "Datasets", "ch01_datasets", "data", 50),
    Chapter(2, "Embeddings", "ch02_embeddings", "embeddings", 40),
    Chapter(3, "The residual block", "ch03_residual_block", "blocks", 45),
    Chapter(4, "The U-Net", "ch04_unet", "unet", 110),
    Chapter(5, "Forward noise", "ch05_forward_noise", "diffusion", 55),
    Chapter(6, "Loss", "ch06_loss", "loss", 60),
    Chapter(7, "Sampling", "ch07_sampling", "sampling", 110),
    Chapter(8, "Training", "ch08_training", "training", 110, needs=(FAKE_DEVICE,)),
    Chapter(9, "CLIP", "ch09_clip", "clip", 70, inside="clip", needs=(FAKE_DEVICE, "open_clip")),
)


def chapters() -> dict[int, Chapter]:
    """The chapters that exist so far, by number."""
    return {chapter.number: chapter for chapter in ALL if chapter.file.exists()}


def lent(number: int) -> Chapter:
    """A chapter that others build on, by its number: it may have no experiments yet."""
    return ALL[number - 1]


def find(number: int) -> Chapter:
    """A chapter by its number.

    Raises:
        Problem: when there is none.
    """
    if number not in chapters():
        raise Problem(f"There is no chapter {number}: there are {', '.join(map(str, chapters()))}.")
    return chapters()[number]


def spoilt(source: str, edits) -> str:
    """The source with these edits made, (old, new) each.

    Raises:
        LookupError: when a text to be replaced does not occur exactly once.
    """
    for old, new in edits:
        if source.count(old) != 1:
            raise LookupError(f"{source.count(old)} times in the source, not once: {old!r}")
        source = source.replace(old, new)
    return source


@cache
def compiled(file: Path) -> bytes:
    """A file of experiments as code, for a child: the judge compiles while torch is still being imported."""
    with _PARSING:
        return marshal.dumps(compile(file.read_text(encoding="utf-8"), str(file), "exec"))


@cache
def _experiments(file: Path) -> tuple[Experiment, ...]:
    found = []
    for node in _statements(file):
        for call in getattr(node, "decorator_list", ()):
            if _is_call_of(experiment, call):
                given = _arguments(experiment, call, file)
                hint = given.pop("hint")
                hints = (hint,) if isinstance(hint, str) else tuple(hint)
                found.append(Experiment(**given, hints=hints, function=node.name))
    return tuple(found)


@cache
def _misconceptions(file: Path) -> tuple[Misconception, ...]:
    found = []
    for node in _statements(file):
        if isinstance(node, ast.Expr) and _is_call_of(misconception, node.value):
            given = _arguments(misconception, node.value, file)
            edit = given.pop("edit")
            edits = (edit,) if isinstance(edit[0], str) else tuple(edit)
            found.append(Misconception(**given, edits=edits))
    return tuple(found)


def _statements(file: Path) -> list[ast.stmt]:
    with _PARSING:
        return ast.parse(file.read_text(encoding="utf-8"), str(file)).body


def _is_call_of(function, node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == function.__name__


def _arguments(function, call: ast.Call, file: Path) -> dict:
    """The literal arguments of a call, with the defaults of the function."""
    try:
        positional = [ast.literal_eval(a) for a in call.args]
        bound = inspect.signature(function).bind(
            *positional, **{k.arg: ast.literal_eval(k.value) for k in call.keywords}
        )
    except (ValueError, TypeError) as error:
        raise SystemExit(
            f"{file}, line {call.lineno}: the arguments of {function.__name__} must be literals ({error})."
        ) from error
    bound.apply_defaults()
    return dict(bound.arguments)
