"""The assessment questions of the chapters, read from `docs/questions/chNN.yaml` and looked over.

One source for the pages of the site and for `python -m checks quiz`; nothing here needs torch. A file is
a list of questions of three kinds:

    - id: 5-closed-form                    # chapter, hyphen, a name in small letters
      kind: choice
      question: Markdown, with maths between dollars.
      options:                             # one of them is right, or several
        - {text: …, right: true, why: …}   # a reason for every option, the wrong ones too
    - id: 5-halfway
      kind: numeric
      question: …
      uses: from ddpm_ref.diffusion import NoiseSchedule
      key: float(NoiseSchedule.linear().alpha_bars[500])
      tolerance: 0.01                      # relative; 0 for a number that has to be exact
      unit: …                              # optional, shown behind the number
      why: …
    - id: 5-forward
      kind: open
      question: …
      model_answer: …
      rubric:
        - {points: 1, for: …}

`report: true` marks what the course report asked that this course grew from. Keys of numeric questions
are not written by hand: `python -m docs.tools.keys` computes them with `ddpm_ref` and writes
`docs/questions/keys.json`, where each stands beside a hash of the expression that it is the value of.
"""

import ast
import builtins
import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from checks.catalogue import ROOT
from checks.files import Problem
from checks.notation import Unreadable, plain

FOLDER = ROOT / "docs" / "questions"
KEYS = "keys.json"
# What the expressions of keys may import: the reference, and what it is written in.
ROOMS = ("ddpm_ref", "torch", "math")
LETTERS = "abcdefgh"


@dataclass(frozen=True)
class Option:
    """One answer to choose, whether it is right, and why."""

    text: str
    right: bool
    why: str


@dataclass(frozen=True)
class Choice:
    """A question with answers to choose from; one or several are right."""

    id: str
    question: str
    options: tuple[Option, ...]
    report: bool = False

    kind = "choice"
    points = 1

    @property
    def right(self) -> frozenset[str]:
        """Letters of the right options; option k has the letter `LETTERS[k]`."""
        pairs = zip(LETTERS, self.options, strict=False)
        return frozenset(letter for letter, option in pairs if option.right)


@dataclass(frozen=True)
class Numeric:
    """A question with a number for an answer, which `ddpm_ref` computes.

    Attributes:
        key: a Python expression; `uses` are the imports that it needs.
        tolerance: by how much an answer may be off, as a share of the key.
        unit: shown behind the number; may be empty.
    """

    id: str
    question: str
    key: str
    uses: str
    tolerance: float
    unit: str
    why: str
    report: bool = False

    kind = "numeric"
    points = 1

    @property
    def stamp(self) -> str:
        """Changes with the expression: a key of another one is not this question's."""
        return hashlib.sha256(f"{self.uses}\n{self.key}".encode()).hexdigest()[:16]

    def accepts(self, answer: float, key: float) -> bool:
        """Whether an answer is near enough."""
        # Beyond the tolerance only what decimal fractions lose in binary.
        return abs(answer - key) <= (self.tolerance + 1e-9) * abs(key)


@dataclass(frozen=True)
class Criterion:
    """What a good answer to an open question says, and what that is worth."""

    points: int
    what: str


@dataclass(frozen=True)
class Open:
    """A question that is answered in words and marked by a rubric."""

    id: str
    question: str
    model_answer: str
    rubric: tuple[Criterion, ...]
    report: bool = False

    kind = "open"

    @property
    def points(self) -> int:
        return sum(criterion.points for criterion in self.rubric)


Question = Choice | Numeric | Open


def numbers(folder: Path = FOLDER) -> list[int]:
    """The chapters that have questions."""
    return sorted(int(file.stem[2:]) for file in folder.glob("ch[0-9][0-9].yaml"))


def load(number: int, folder: Path = FOLDER) -> tuple[Question, ...]:
    """The questions of a chapter, in the order of its file.

    Raises:
        Problem: when there are none, or the file is not what it should be.
    """
    file = folder / f"ch{number:02}.yaml"
    if number not in numbers(folder):
        known = ", ".join(map(str, numbers(folder))) or "none"
        raise Problem(f"There are no questions for chapter {number}: the chapters are {known}.")
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), _StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise Problem(f"{file.name}{where}: this is no YAML ({what}).") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{file.name} cannot be read ({error}).") from error
    if not isinstance(content, list) or not content:
        raise Problem(f"{file.name}: it should be a list of questions.")
    questions = tuple(
        _question(_Fields(entry, f"{file.name}, question {place}"), number)
        for place, entry in enumerate(content, start=1)
    )
    names = [question.id for question in questions]
    for name in names:
        if names.count(name) > 1:
            raise Problem(f"{file.name}: {name} is there twice; an id belongs to one question.")
    return questions


def keys(folder: Path = FOLDER, number: int | None = None) -> dict[str, float]:
    """The numbers that `docs.tools.keys` has computed, by question: of one chapter, or of all.

    Raises:
        Problem: when they are missing, damaged, or not those of the questions as they are now.
    """
    file = folder / KEYS
    remedy = "compute the keys again: python -m docs.tools.keys"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"{file.name} is missing or damaged; {remedy}.") from error
    found = {}
    for question in numeric(folder, number):
        entry = content.get(question.id) if isinstance(content, dict) else None
        if not isinstance(entry, dict) or entry.get("stamp") != question.stamp:
            raise Problem(f"The key of {question.id} is not up to date; {remedy}.")
        value = entry.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float) or not usable(value):
            raise Problem(f"The key of {question.id} is no number to compare with; {remedy}.")
        found[question.id] = float(value)
    return found


def usable(key: float) -> bool:
    """Whether a relative tolerance means something here."""
    return math.isfinite(key) and key != 0


def numeric(folder: Path = FOLDER, number: int | None = None) -> list[Numeric]:
    """The numeric questions of one chapter, or of all."""
    asked = numbers(folder) if number is None else [number]
    everything = [question for each in asked for question in load(each, folder)]
    return [question for question in everything if isinstance(question, Numeric)]


def shown(value: float) -> str:
    """A key as one would write it: whole numbers as they are, others with four digits."""
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.4g}"


# libyaml, where it is there, reads ten times as fast.
class _StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML's loader takes the last of two equal names in silence; this one does not."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for name, _ in node.value:
            if name.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name.value!r} is there twice", name.start_mark
                )
            seen.add(name.value)
        return super().construct_mapping(node, deep)


class _Fields:
    """The fields of one entry, each asked for by name and type; what is left over is a mistake."""

    def __init__(self, entry, where: str):
        self.where = where
        if not isinstance(entry, dict):
            raise self.wrong("it should be fields with a name each")
        self.left = dict(entry)

    def wrong(self, what: str) -> Problem:
        return Problem(f"{self.where}: {what}.")

    def take(self, name: str, kind: type, kind_name: str, default=None):
        if name not in self.left:
            if default is not None:
                return default
            raise self.wrong(f"the field {name!r} is missing")
        value = self.left.pop(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.wrong(f"{name!r} should be {kind_name}, not {value!r}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """Markdown, stripped; it has to be readable on a terminal too."""
        value = self.take(name, str, "text (put it in quotes)", default).strip()
        if not value and default is None:
            raise self.wrong(f"{name!r} is empty")
        if re.search(r"```\w+ |\S ```", value):
            raise self.wrong(f"the code in {name!r} lost its line breaks: write |- in place of >-")
        try:
            plain(value)
        except Unreadable as error:
            raise self.wrong(f"{name!r} {error}") from error
        return value

    def code(self, name: str) -> str:
        return self.take(name, str, "Python (put it in quotes)").strip()

    def flag(self, name: str, default: bool | None = None) -> bool:
        return self.take(name, bool, "true or false", default)

    def entries(self, name: str, least: int) -> list["_Fields"]:
        value = self.take(name, list, "a list")
        if not least <= len(value) <= len(LETTERS):
            raise self.wrong(f"{name!r} has {len(value)} entries, not {least} to {len(LETTERS)}")
        return [_Fields(v, f"{self.where}, {name} {i}") for i, v in enumerate(value, start=1)]

    def done(self) -> None:
        for name in self.left:
            raise self.wrong(f"there is no field {name!r} here")


def _question(given: _Fields, number: int) -> Question:
    id = given.code("id")
    given.where += f" ({id})"
    if not re.fullmatch(rf"{number}(-[a-z0-9]+)+", id):
        raise given.wrong(f"an id here is such as {number}-small-letters")
    kind = given.code("kind")
    if kind not in _MAKERS:
        raise given.wrong(f"kind is one of {', '.join(_MAKERS)}, not {kind!r}")
    shared = dict(id=id, question=given.text("question"), report=given.flag("report", False))
    made = _MAKERS[kind](given, shared)
    given.done()
    return made


def _choice(given: _Fields, shared: dict) -> Choice:
    options = []
    for entry in given.entries("options", least=2):
        options.append(Option(entry.text("text"), entry.flag("right"), entry.text("why")))
        entry.done()
    if not any(option.right for option in options):
        raise given.wrong("none of the options is right")
    if all(option.right for option in options):
        raise given.wrong("all of the options are right")
    if len({option.text for option in options}) < len(options):
        raise given.wrong("two of the options are the same")
    return Choice(**shared, options=tuple(options))


def _numeric(given: _Fields, shared: dict) -> Numeric:
    tolerance = given.take("tolerance", (int, float), "a number")
    if not 0 <= tolerance < 0.5:
        raise given.wrong(f"tolerance is relative, from 0 to below 0.5, not {tolerance}")
    key, uses = given.code("key"), given.code("uses")
    if complaint := _complaint(key, uses):
        raise given.wrong(complaint)
    unit, why = given.text("unit", ""), given.text("why")
    return Numeric(**shared, key=key, uses=uses, tolerance=float(tolerance), unit=unit, why=why)


def _complaint(key: str, uses: str) -> str | None:
    """What is wrong with the Python of a key, as far as can be said without running it."""
    known = set(dir(builtins))
    try:
        for node in ast.parse(uses).body:
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            else:
                return "'uses' should hold imports only"
            if any(module.split(".")[0] not in ROOMS for module in modules):
                return f"'uses' may import from {', '.join(ROOMS)} only"
            known |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        tree = ast.parse(key, mode="eval")
    except SyntaxError as error:
        return f"this is no Python ({error.msg}): {(error.text or '').strip()}"
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    known |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
    known |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    unknown = sorted({node.id for node in names} - known)
    return f"the key uses {', '.join(unknown)}, which 'uses' does not import" if unknown else None


def _open(given: _Fields, shared: dict) -> Open:
    rubric = []
    for entry in given.entries("rubric", least=1):
        points = entry.take("points", int, "a whole number")
        if points < 1:
            raise entry.wrong(f"points should be at least 1, not {points}")
        rubric.append(Criterion(points, entry.text("for")))
        entry.done()
    return Open(**shared, model_answer=given.text("model_answer"), rubric=tuple(rubric))


_MAKERS = {"choice": _choice, "numeric": _numeric, "open": _open}
