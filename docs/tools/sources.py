"""Pieces of the project's own source files, found by name, so that a page never shows a stale copy."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def piece(file: str, name: str) -> tuple[str, int]:
    """The text of a function, class or method of a file, and the number of its first line.

    Args:
        file: from the root of the repository, such as "ddpm_ref/diffusion.py".
        name: such as "q_sample" or "NoiseSchedule.to".

    Raises:
        ValueError: when there is no such file or no such name in it.
    """
    path = ROOT / file
    if not path.is_file():
        raise ValueError(f"there is no file {file}")
    text = path.read_text(encoding="utf-8")
    node: ast.AST = ast.parse(text)
    for part in name.split("."):
        found = [n for n in ast.iter_child_nodes(node) if getattr(n, "name", None) == part]
        found += [n for n in ast.iter_child_nodes(node) if _assigns(n, part)]
        if not found:
            raise ValueError(f"{file} has no {name}")
        node = found[0]
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    lines = text.splitlines()[first - 1 : node.end_lineno]
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] for line in lines) + "\n", first


def statement(file: str, words: str) -> tuple[str, int]:
    """The first top-level statement of a file with these words in it, and the number of its first line.

    Raises:
        ValueError: when there is none.
    """
    text = (ROOT / file).read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.parse(text).body:
        found = "\n".join(lines[node.lineno - 1 : node.end_lineno])
        if words in found:
            return found + "\n", node.lineno
    raise ValueError(f"no statement of {file} says {words!r}")


def without_docstring(text: str) -> str:
    """The same function or class without the docstring that the page says in its own words."""
    node = ast.parse(text).body[0]
    if not getattr(node, "body", None) or ast.get_docstring(node) is None or len(node.body) == 1:
        return text
    doc, lines = node.body[0], text.splitlines()
    kept = lines[: doc.lineno - 1] + lines[doc.end_lineno :]
    return "\n".join(kept) + "\n"


def _assigns(node: ast.AST, name: str) -> bool:
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    return isinstance(node, ast.Assign | ast.AnnAssign) and any(
        isinstance(t, ast.Name) and t.id == name for t in targets
    )
