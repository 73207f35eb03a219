"""How a figure is declared: a function, the file that it makes, and the sources that it depends on."""

import ast
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass

from docs.tools.sources import ROOT

FOLDER = ROOT / "docs" / "figures"


@dataclass(frozen=True)
class Figure:
    """`draw()` returns bytes or text; `sources` are files from the root of the repository."""

    name: str
    sources: tuple[str, ...]
    draw: Callable[[], bytes | str]

    def stamp(self) -> str:
        # What the function says, not how it is laid out.
        tree = ast.parse(inspect.getsource(self.draw))
        digest = hashlib.sha256(ast.dump(tree).encode())
        for source in self.sources:
            digest.update((ROOT / source).read_bytes())
        return digest.hexdigest()[:16]


FIGURES: dict[str, Figure] = {}


def figure(name: str, *sources: str):
    """Declare the function below as the one that draws docs/figures/NAME."""

    def declare(draw):
        FIGURES[name] = Figure(name, sources, draw)
        return draw

    return declare
