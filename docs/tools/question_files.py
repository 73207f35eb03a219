"""A stand-in for `checks.questions`: what the site needs of it, until it is there."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

FOLDER = Path(__file__).resolve().parent.parent / "questions"


@dataclass(frozen=True)
class Option:
    text: str
    right: bool
    why: str


@dataclass(frozen=True)
class Choice:
    id: str
    question: str
    options: tuple[Option, ...]
    report: bool = False


@dataclass(frozen=True)
class Numeric:
    """`key` is a Python expression; its value stands in keys.json, computed by `ddpm_ref`."""

    id: str
    question: str
    key: str
    why: str
    uses: str = ""
    tolerance: float = 0.01  # relative
    unit: str = ""
    report: bool = False


@dataclass(frozen=True)
class Criterion:
    points: int
    what: str


@dataclass(frozen=True)
class Open:
    id: str
    question: str
    model_answer: str
    rubric: tuple[Criterion, ...]
    report: bool = False


Question = Choice | Numeric | Open


def numbers() -> list[int]:
    """The chapters that have questions; 0 is the self-test."""
    return sorted(int(file.stem[2:]) for file in FOLDER.glob("ch[0-9][0-9].yaml"))


def load(number: int) -> tuple[Question, ...]:
    """The questions of a chapter."""
    path = FOLDER / f"ch{number:02}.yaml"
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(_question(entry, path.name) for entry in entries)


@cache
def keys() -> dict[str, float]:
    """The numeric answers by id of the question."""
    content = json.loads((FOLDER / "keys.json").read_text(encoding="utf-8"))
    return {id: entry["value"] for id, entry in content.items()}


def shown(value: float) -> str:
    """A key as one would write it."""
    return f"{value:.4g}"


def _question(entry: dict, file: str) -> Question:
    fields = dict(entry)
    try:
        kind = fields.pop("kind")
        if kind == "choice":
            options = tuple(Option(**option) for option in fields.pop("options"))
            if not any(o.right for o in options) or all(o.right for o in options):
                raise ValueError("some options have to be right, and some wrong")
            return Choice(**fields, options=options)
        if kind == "numeric":
            return Numeric(**fields)
        if kind == "open":
            rubric = tuple(Criterion(c["points"], c["for"]) for c in fields.pop("rubric"))
            return Open(**fields, rubric=rubric)
        raise ValueError(f"no such kind: {kind}")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file}, question {entry.get('id')!r}: {error}") from error
