"""The kill matrix: every known mistake against every experiment of its chapter.

The mistakes are made in the reference itself, so that this needs nobody's submission. It shows that
each experiment can fail, that each mistake is seen by an experiment of its own exercise, and that it is
told apart from the others.
"""

import zlib
from dataclasses import dataclass
from itertools import combinations

from checks.catalogue import Chapter, Misconception
from checks.diagnose import Seen, explain, explains
from checks.reference import Reference


@dataclass(frozen=True)
class Row:
    """One mistake, or several at once.

    Attributes:
        mistakes: which.
        failed: names of the experiments that see it.
        named: for each of these, the mistakes that the diagnosis names.
        hides: whether one of several hides the others: made alone, it looks the same everywhere.
    """

    mistakes: tuple[Misconception, ...]
    failed: tuple[str, ...]
    named: dict[str, tuple[str, ...]]
    hides: bool = False

    @property
    def caught(self) -> bool:
        """Seen by an experiment of the exercise of each mistake."""
        exercises = {name.partition("-")[0] for name in self.failed}
        return {m.id for m in self.mistakes} <= exercises

    @property
    def says(self) -> set[str]:
        return {m.says for m in self.mistakes}

    @property
    def all_named(self) -> bool:
        """Every one of the mistakes is named somewhere, and nothing else anywhere."""
        return set().union(*self.named.values()) == self.says

    @property
    def wrongly_named(self) -> bool:
        """Something is named that was not done."""
        return bool(set().union(*self.named.values()) - self.says)


def rows(reference: Reference) -> list[Row]:
    """One row for each mistake of a chapter."""
    return [row(reference, (k,)) for k in range(len(reference.chapter.misconceptions))]


def row(reference: Reference, mistakes: tuple[int, ...]) -> Row:
    """What the experiments and the diagnosis make of these mistakes.

    Raises:
        LookupError: when an edit does not fit the source of the reference, or they exclude each other.
    """
    chapter = reference.chapter
    seen = []
    for e in chapter.experiments:
        answer, fill = reference.recognise(
            e, lambda fill, e=e: reference.observe(e, mistakes, fill=fill)
        )
        error = answer.get("error", {})
        if error.get("type") == "LookupError":
            raise LookupError(error["message"])
        seen.append(Seen(e, answer, fill, passed=not reference.touched(e, mistakes, fill)))
    named = explain(reference, seen, seconds=30)  # a busy machine is slower than a learner's
    made = tuple(chapter.misconceptions[k] for k in mistakes)
    hides = len(mistakes) > 1 and any(explains(reference, (k,), seen) for k in mistakes)
    return Row(made, tuple(s.experiment.name for s in seen if not s.passed), named, hides)


def pairs(chapter: Chapter, count: int) -> list[tuple[int, int]]:
    """Some pairs of mistakes that can be seen: as good as random, and a new mistake leaves most in place."""
    known = chapter.misconceptions
    visible = [k for k, m in enumerate(known) if not m.equal]
    every = combinations(visible, 2)
    return sorted(every, key=lambda p: zlib.crc32((known[p[0]].says + known[p[1]].says).encode()))[
        :count
    ]
