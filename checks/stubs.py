"""Stubs are the solutions with the bodies taken out: `make stubs` cuts them.

In a solution, the lines between `### BEGIN SOLUTION` and `### END SOLUTION` are what a learner writes.
The comment `# TODO(4.2): …` above them stays, and says what that is.
"""

import re
import subprocess
import sys
from pathlib import Path

from checks.catalogue import ROOT, Chapter, chapters

_REGION = re.compile(
    r"^(?P<indent>[ ]*)### BEGIN SOLUTION\n(?P<body>.*?)^[ ]*### END SOLUTION\n", re.M | re.S
)
TODO = re.compile(r"TODO\((\d+\.\d+)\)")


def cut(solution: str) -> str:
    """The stub of a solution's text.

    Raises:
        ValueError: when a mark has no partner, or no TODO above it.
    """

    def hole(match) -> str:
        above = TODO.findall(solution[: match.start()])
        if not above:
            raise ValueError("### BEGIN SOLUTION without a TODO(n.m) above it")
        return f'{match["indent"]}raise NotImplementedError("TODO({above[-1]})")\n'

    stub = _REGION.sub(hole, solution)
    if "### " in stub:
        raise ValueError("a mark without its partner: ### BEGIN SOLUTION … ### END SOLUTION")
    return stub


def stub(chapter: Chapter) -> str:
    """The text of a chapter's stub."""
    return cut(solution_of(chapter).read_text(encoding="utf-8"))


def solution_of(chapter: Chapter) -> Path:
    return ROOT / "solutions" / chapter.folder / f"{chapter.module}.py"


def stub_of(chapter: Chapter) -> Path:
    return ROOT / "chapters" / chapter.folder / f"{chapter.module}.py"


def parts(chapter: Chapter) -> dict[str, str]:
    """By exercise, what the solution writes there, each with the signature it stands under."""
    text = solution_of(chapter).read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for match in _REGION.finditer(text):
        id = TODO.findall(text[: match.start()])[-1]
        found.setdefault(id, []).append(_signature(text[: match.start()]) + match["body"].rstrip())
    return {id: "\n\n".join(pieces) for id, pieces in found.items()}


def _signature(above: str) -> str:
    """The `class` and `def` lines that the end of this text is inside of."""
    lines, indent = [], len(above) and 10**6
    for line in reversed(above.splitlines()):
        depth = len(line) - len(line.lstrip())
        if re.match(r"\s*(def|class) ", line) and depth < indent:
            lines.append(line)
            indent = depth
    return "".join(line + "\n" for line in reversed(lines))


def write(chapter: Chapter, keep: bool) -> Path | None:
    """Put the stub in its place.

    Args:
        keep: keep what is there beside it, under a name that `aside` chooses.

    Returns:
        Where the former file is kept; None when it is not.
    """
    file, text = stub_of(chapter), stub(chapter)  # cut first: a mark that is wrong changes nothing
    kept = aside(file) if keep and file.exists() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return kept


def is_stub(chapter: Chapter) -> bool:
    """Whether the chapter's file is the stub as it would be cut now."""
    file = stub_of(chapter)
    return file.exists() and file.read_text(encoding="utf-8") == stub(chapter)


def aside(file: Path) -> Path:
    """Move a file aside to the first free name of the form blocks.py.1.bak; returns the new place."""
    number = 1
    while (kept := file.with_name(f"{file.name}.{number}.bak")).exists():
        number += 1
    return file.rename(kept)


def _is_committed(file: Path) -> bool:
    command = ["git", "diff", "--quiet", "HEAD", "--", str(file)]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    for each in chapters().values():
        # A stub of an earlier commit is nobody's work; anything else may be.
        if kept_at := write(each, keep=not is_stub(each) and not _is_committed(stub_of(each))):
            print(f"{each.folder}: what was there is now {kept_at.name}", file=sys.stderr)
