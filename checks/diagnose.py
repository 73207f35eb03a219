"""Which known mistakes explain what was seen."""

import math
import re
import time
from dataclasses import dataclass
from itertools import combinations

from checks.catalogue import Experiment
from checks.compare import Difference, is_array, same
from checks.reference import Reference
from checks.relations import CUT, NOTHING, relation

SECONDS = 10.0  # for all the searching in one chapter


@dataclass(frozen=True)
class Seen:
    """What a learner's code gave in one experiment, and how its parameters were recognised."""

    experiment: Experiment
    answer: dict
    fill: str
    passed: bool


def explain(
    reference: Reference, seen: list[Seen], seconds: float = SECONDS
) -> dict[str, tuple[str, ...]]:
    """For each failed experiment, by name, the mistakes that explain it, as sentences; () for none.

    First one mistake, then several that have nothing to do with each other, then two that have: together
    they explain *everything* seen, what passed included. Where there are none, each experiment may still
    have one mistake all of whose effects are seen, or, if it tells enough, one or a pair that fits there.

    Args:
        seconds: for looking at pairs, of which there are many.
    """
    failed = [s for s in seen if not s.passed]
    # The quickest first, since most candidates fall at the first experiment.
    failed.sort(key=lambda s: reference.seconds(s.experiment) or 0.0)
    everything = [*failed, *(s for s in seen if s.passed)]
    search = _Search(reference, seconds)
    for candidate in search.singles:
        if search.fits(candidate, everything):
            return {s.experiment.name: search.says(candidate) for s in failed}
    apart = {s.experiment.name: search.all_of_one(s, everything) for s in failed}
    if all(apart.values()):
        return {name: search.says(candidate) for name, candidate in apart.items()}
    telling = [s for s in failed if "error" in s.answer or largest(s.answer["observed"]) >= 8]
    alone = {s.experiment.name: search.best(search.singles, s, everything) for s in telling}
    for candidate in search.pairs(everything):
        if search.fits(candidate, everything):
            sure = search.sure(candidate, everything)
            return {
                s.experiment.name: search.says(
                    tuple(k for k in search.needed(candidate, s) if k in sure)
                )
                for s in failed
            }
    for s in telling:
        # Numbers within a margin fit many pairs, and rule out none.
        if alone[s.experiment.name] is None and not left_to_chance(s.answer.get("observed")):
            alone[s.experiment.name] = search.best(search.pairs([s]), s, everything)
    return {name: search.says(alone.get(name) or candidate) for name, candidate in apart.items()}


def explains(reference: Reference, mistakes: tuple[int, ...], seen: list[Seen]) -> bool:
    """Whether these mistakes alone give everything that was seen."""
    return _Search(reference, 0).fits(mistakes, seen)


def largest(node) -> int:
    """How many numbers the largest array of an observation has. A few numbers fit many mistakes."""
    if is_array(node):
        return node["values"].size
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return max(map(largest, children), default=0)


def left_to_chance(node) -> bool:
    """Whether an observation holds numbers that are compared with a margin."""
    if isinstance(node, dict):
        return "near" in node or (not is_array(node) and any(map(left_to_chance, node.values())))
    return isinstance(node, list) and any(map(left_to_chance, node))


def only_words(node) -> bool:
    """Whether an observation has no number in it, other than in words."""
    if isinstance(node, dict):
        return (
            not (is_array(node) or node.keys() & {"number", "near"})
            and all(only_words(item) for _, item in node.get("dict", []))
            and all(map(only_words, node.get("list", [])))
        )
    return node is None or isinstance(node, str | bool)


def _in_order(id: str) -> tuple[int, ...]:
    return tuple(map(int, id.split(".")))


class _Search:
    def __init__(self, reference: Reference, seconds: float):
        self.reference, self.deadline = reference, time.monotonic() + seconds
        self.known = reference.chapter.misconceptions
        self.visible = [k for k, mistake in enumerate(self.known) if not mistake.equal]
        self.singles = [(k,) for k in self.visible]

    def pairs(self, seen: list[Seen]):
        """Pairs that are worth a try, until time is up.

        Most pairs are ruled out by what each of the two does alone: an experiment that only one of
        them touches has to look as if that one had been made alone.
        """
        yield from self.worth_a_try(combinations(self.visible, 2), seen)

    def worth_a_try(self, pairs, seen: list[Seen]):
        for pair in pairs:
            if time.monotonic() > self.deadline:
                return
            if all(self.may_give(pair, s) for s in seen):
                yield pair

    def sure(self, pair: tuple[int, int], seen: list[Seen]) -> list[int]:
        """Those of a pair that fits which no other mistake could stand in for.

        Where whole numbers come out, for one, most mistakes in the frequencies look alike.
        """

        def replaceable(k: int) -> bool:
            (partner,) = (j for j in pair if j != k)
            others = [tuple(sorted((x, partner))) for x in self.visible if x not in pair]
            return any(self.fits(other, seen) for other in self.worth_a_try(others, seen))

        return [k for k in pair if not replaceable(k)]

    def may_give(self, pair: tuple[int, int], s: Seen) -> bool:
        if "error" in s.answer:  # one of the two raises it, whatever the other does
            return any(self.gives((k,), s) for k in pair)
        if left_to_chance(s.answer.get("observed")):
            return True  # what stays within a margin alone need not do so in company
        touching = [k for k in pair if self.touches(k, s)]
        if len(touching) == 1:
            return self.gives((touching[0],), s)
        return self.gives(pair, s) if touching else s.passed

    def touches(self, k: int, s: Seen) -> bool:
        """Whether the mistake changes anything in this experiment."""
        return self.reference.touched(s.experiment, (k,), s.fill)

    def fits(self, candidate: tuple[int, ...], seen: list[Seen]) -> bool:
        return all(self.gives(candidate, s) for s in seen)

    def gives(self, candidate: tuple[int, ...], s: Seen) -> bool:
        """Whether the reference with these mistakes shows what the learner's code showed."""
        answer = self.reference.observe(s.experiment, candidate, fill=s.fill)
        if answer.get("error", {}).get("type") == "LookupError":
            return False  # two edits of the same place
        if answer.get("other_names"):
            # A mistake in the layers themselves, which the learner's code does not make.
            return False
        if s.passed and not self.reference.touched(s.experiment, candidate, s.fill):
            return True
        # What passed may show the mistake, too, at the edge of what rounding may change.
        return same(answer, s.answer)

    def contradicted(self, candidate: tuple[int, ...], failed: list[Seen]) -> bool:
        """Whether in its own exercises, or in earlier ones, something else is seen than it gives.

        One experiment may look by chance as if a mistake had been made that was not: two sines are
        zero at t = 0, as if the time were ignored. Later exercises may fail for more reasons than one.
        """
        last = max(_in_order(self.known[k].id) for k in candidate)
        return any(
            _in_order(s.experiment.id) <= last
            and any(self.touches(k, s) for k in candidate)
            and not self.gives(candidate, s)
            for s in failed
        )

    def needed(self, candidate: tuple[int, ...], s: Seen) -> tuple[int, ...]:
        """Those of the candidate without which this experiment would look different."""
        needed = tuple(
            k for k in candidate if not self.gives(tuple(j for j in candidate if j != k), s)
        )
        return needed or candidate

    def best(self, candidates, s: Seen, everything: list[Seen]) -> tuple[int, ...] | None:
        """The candidate that fits this experiment, and of several the one that fits most besides.

        Returns:
            () when that is not just one; None when none fits.
        """
        passed = [other for other in everything if other.passed]
        failed = [other for other in everything if not other.passed]
        fitting = [
            c
            for c in candidates
            if self.gives(c, s) and self.fits(c, passed) and not self.contradicted(c, failed)
        ]
        if not fitting:
            return None
        scores = {c: sum(self.gives(c, other) for other in everything) for c in fitting}
        best = [c for c in fitting if scores[c] == max(scores.values())]
        return self.needed(best[0], s) if len(best) == 1 else ()

    def all_of_one(self, s: Seen, everything: list[Seen]) -> tuple[int, ...]:
        """The one mistake that gives what is seen here and wherever it changes anything, else ().

        What else has failed then has other reasons.
        """
        found = [
            (k,)
            for k in self.visible
            if self.gives((k,), s)
            and all(self.gives((k,), other) for other in everything if self.touches(k, other))
        ]
        return found[0] if len(found) == 1 else ()

    def says(self, candidate: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(self.known[k].says for k in candidate)


def in_general(reference: Reference, s: Seen, difference: Difference) -> str | None:
    """The general relation between expected and got, when there is one."""
    if difference.kind == "nothing":
        return "a `return` is missing, at the end or in one of the branches"
    base = reference.observe(s.experiment, fill=s.fill)
    if "observed" in s.answer and only_words(s.answer["observed"]):
        return None  # the name of an exception, for one, is the same for many reasons
    for conditions, says in (
        ({"shift_t": 1}, "this is what comes out for t + 1: a timestep is off by one"),
        ({"shift_t": -1}, "this is what comes out for t − 1: a timestep is off by one"),
        ({"train": True}, "this is what comes out in training mode: eval mode is not respected"),
    ):
        other = reference.observe(s.experiment, fill=s.fill, **conditions)
        if not same(other, base) and same(other, s.answer):
            return says
    if difference.kind in ("shape", "value", "structure"):
        found = relation(difference.expected, difference.got, difference.where)
        return found or parameters(base, s.answer)
    return trouble(s.answer["error"]) if "error" in s.answer else None


def parameters(expected: dict, got: dict) -> str | None:
    """What the shapes of the parameters tell that were filled, where another program was not told apart."""
    right, seen = (answer.get("signature") or [] for answer in (expected, got))
    for one, other in zip(right, seen, strict=False):
        ours, theirs = ([_sizes(shape) for shape in shapes] for shapes in (one, other))
        wanted, found = (sum(math.prod(shape) for shape in shapes) for shapes in (ours, theirs))
        if wanted != found:
            why = (
                "a layer or a bias is missing, stands in a plain list, or is made anew in forward"
                if found < wanted
                else "there is a layer or a bias too many"
            )
            return f"parameters() gives {found} numbers where {wanted} are expected: {why}"
        if ours != theirs and sorted(map(sorted, ours)) == sorted(map(sorted, theirs)):
            return "a weight is laid out in another way than in torch's layers: (out, in, …)"
    return None


def _sizes(shape: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d{1,9}", shape)]


def trouble(error: dict) -> str | None:
    """What an error tells that happened in the experiment, with what the learner's code returned."""
    message = error.get("message") or ""
    if not error.get("frames") and "'NoneType'" in message:
        return NOTHING
    return CUT if "does not require grad" in message else None
