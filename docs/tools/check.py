"""Before the site is built: is what the pages show still what the project is? `python -m docs.tools.check`

A block of code on a page is included from its source, or executed by the tests, or it is a command that
exists. Figures are not older than what drew them.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.tools.figures import stale
from docs.tools.sources import ROOT

DOCS = ROOT / "docs"
OWN = ("questions", "mistakes", "exercises", "source", "interactive", "measured")
_FENCE = re.compile(
    r"^(?P<indent>[ ]*)```(?P<language>[^\n`]*)\n(?P<body>.*?)^[ ]*```[ ]*$", re.M | re.S
)
_INCLUDE = re.compile(r'--8<-- "[^"]+"')


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    body: str

    @property
    def included(self) -> bool:
        return all(
            _INCLUDE.fullmatch(line.strip()) for line in self.body.splitlines() if line.strip()
        )

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}, line {self.line}"


def pages() -> list[Path]:
    """The Markdown of the site."""
    return sorted(DOCS.rglob("*.md"))


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        indent = len(match["indent"])
        body = "\n".join(line[indent:] for line in match["body"].splitlines())
        language = match["language"].split()[0] if match["language"].strip() else ""
        yield Block(page, text.count("\n", 0, match.start()) + 1, language, body)


def executed(page: Path) -> list[Block]:
    """The blocks that the tests run, one after the other, in one namespace."""
    return [b for b in blocks(page) if b.language == "python" and not b.included]


def commands(page: Path) -> list[str]:
    """What a reader of the page is told to type."""
    return [
        line.strip()
        for block in blocks(page)
        if block.language == "console"
        for line in block.body.splitlines()
        if line.strip()
    ]


def problems() -> list[str]:
    """What has to be mended before the site is built, a sentence each."""
    found = [
        f"{block}: a block of {block.language or 'nothing'} that is neither included nor executed; "
        "use ```source, an include, ```python (the tests run it) or ```console"
        for page in pages()
        for block in blocks(page)
        if block.language not in (*OWN, "python", "console") and not block.included
    ]
    return found + [f"docs/figures/{name} is out of date: run `make figures`" for name in stale()]


if __name__ == "__main__":
    for problem in problems():
        print(problem, file=sys.stderr)
    sys.exit(1 if problems() else 0)
