"""Where a known mistake is made: in which functions of the reference's module.

A mistake in a function that an experiment does not reach cannot change what the experiment sees, and
need not be tried there. Most mistakes reach few of a chapter's experiments.
"""

import ast
from dataclasses import dataclass

from checks.catalogue import Chapter, Misconception


@dataclass(frozen=True)
class Place:
    """`functions`: those whose bodies are edited, such as "UNet.forward"; None: not in bodies alone."""

    functions: frozenset[str] | None

    def may_matter(self, reached: list[str]) -> bool:
        """Whether the mistake can change what an experiment sees that ran these functions."""
        return self.functions is None or not self.functions.isdisjoint(reached)


def places(chapter: Chapter) -> list[Place]:
    """The place of each of a chapter's misconceptions."""
    source = chapter.reference_file.read_text(encoding="utf-8")
    bodies = list(_bodies(ast.parse(source).body, ""))
    return [Place(_functions(mistake, source, bodies)) for mistake in chapter.misconceptions]


def _functions(mistake: Misconception, source: str, bodies: list) -> frozenset[str] | None:
    found = set()
    for old, new in mistake.edits:
        start = source.find(old)
        if start < 0:  # made by an earlier edit
            return None
        first = source.count("\n", 0, start) + 1
        last = first + old.rstrip("\n").count("\n")
        inside = [
            name
            for name, begin, end, indent in bodies
            if begin <= first and last <= end and _stays_inside(new, indent)
        ]
        if not inside:
            return None
        found.update(inside)
    return frozenset(found)


def _stays_inside(new: str, indent: int) -> bool:
    """Whether no line of the new text ends the function."""
    lines = [line for line in new.split("\n")[1:] if line.strip()]
    return all(len(line) - len(line.lstrip()) >= indent for line in lines)


def _bodies(statements: list[ast.stmt], prefix: str):
    """(name, first line, last line, indentation) of the body of each function and method."""
    for node in statements:
        if isinstance(node, ast.ClassDef):
            yield from _bodies(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and node.body[0].lineno > node.lineno:
            first = node.body[0]
            yield f"{prefix}{node.name}", first.lineno, node.end_lineno, first.col_offset
