"""The static figures: `python -m docs.tools.figures [--check] [NAME…]`, or `make figures`.

A figure is a function in docs/tools/drawings that returns the content of one file in docs/figures. Its
stamp, in stamps.json, is a hash of the function and of the files that it says it depends on; `--check` (and
a test) compares the stamps, so that a figure cannot outlive the code that drew it.
"""

import json
import sys

from docs.tools import drawings as drawings  # declares them
from docs.tools.stamped import FIGURES, FOLDER, Figure

__all__ = ["FIGURES", "Figure", "main", "stale", "write"]
STAMPS = FOLDER / "stamps.json"


def write(names: list[str]) -> None:
    """Draw these figures and note their stamps."""
    FOLDER.mkdir(exist_ok=True)
    stamps = _stamps()
    for name in names:
        content = FIGURES[name].draw()
        (FOLDER / name).write_bytes(content.encode() if isinstance(content, str) else content)
        stamps[name] = FIGURES[name].stamp()
        print(f"docs/figures/{name}")
    kept = {name: stamps[name] for name in sorted(stamps) if name in FIGURES}
    STAMPS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def stale() -> list[str]:
    """Figures that are missing, or older than what they were made from."""
    stamps = _stamps()
    return [
        name
        for name, each in FIGURES.items()
        if stamps.get(name) != each.stamp() or not (FOLDER / name).exists()
    ]


def _stamps() -> dict[str, str]:
    return json.loads(STAMPS.read_text(encoding="utf-8")) if STAMPS.exists() else {}


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        old = stale()
        if old:
            print(f"run `make figures`: {', '.join(old)}", file=sys.stderr)
        return 1 if old else 0
    if unknown := set(arguments) - set(FIGURES):
        print(
            f"no such figure: {', '.join(unknown)}; there are {', '.join(FIGURES)}", file=sys.stderr
        )
        return 2
    write(arguments or list(FIGURES))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
