"""Parameters in another order than the contract has them, which no observation can tell by itself."""

import ast
from functools import cache

from checks.catalogue import ROOT, Chapter


def swapped(parameters: list[list[str]], chapter: Chapter) -> str | None:
    """What a learner has in another order than the solution, as a sentence.

    Only where the names are the solution's: others may mean anything.

    Args:
        parameters: [name, parameter, parameter, …] of each function and method of the learner's.
    """
    wanted = _parameters(chapter)
    for name, *found in parameters:
        right = wanted.get(name, [])
        # What the learner has added behind is their own business.
        if found[: len(right)] != right and sorted(found[: len(right)]) == sorted(right):
            return (
                f"the parameters of {name} stand as ({', '.join(found)}), "
                f"and it is called with ({', '.join(right)}): the order counts"
            )
    return None


@cache
def _parameters(chapter: Chapter) -> dict[str, list[str]]:
    """Of the solution: the parameters of each function and method, in their order."""
    file = ROOT / "solutions" / chapter.folder / f"{chapter.module}.py"
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        is_class = isinstance(node, ast.ClassDef)
        for function in node.body if is_class else [node]:
            if isinstance(function, ast.FunctionDef):
                name = f"{node.name}.{function.name}" if is_class else function.name
                names = [a.arg for a in function.args.args]
                found[name] = [n for n in names if n not in ("self", "cls")]
    return found
