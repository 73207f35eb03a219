"""Compute the answers to the numeric questions with `ddpm_ref`: `python -m docs.tools.keys`.

Writes `docs/questions/keys.json`, so that neither the pages nor the terminal's quiz need torch for them.
"""

import argparse
import sys
from pathlib import Path

from checks.files import Problem, write_json
from checks.questions import FOLDER, KEYS, Numeric, keys, numeric, usable

DIGITS = 6  # of a key that is written down: more would differ between machines


def compute(question: Numeric) -> float:
    """The value of a question's key.

    Raises:
        Problem: when there is none that an answer could be compared with.
    """
    # One dictionary for both, as in a module: what is in a lambda or a loop looks there.
    names: dict = {}
    try:
        exec(question.uses, names)
        value = float(eval(question.key, names))
    except Exception as error:
        raise Problem(
            f"The key of {question.id} cannot be computed ({type(error).__name__}: {error})."
        ) from error
    if not usable(value):
        raise Problem(f"The key of {question.id} is {value}: a relative tolerance needs another.")
    return float(f"{value:.{DIGITS}g}")


def agrees(question: Numeric, written: float, computed: float) -> bool:
    """Whether a key that was written down is still the one of the reference."""
    # A hundredth of what an answer may be off; rounding to DIGITS digits is far below that.
    return abs(written - computed) <= max(question.tolerance / 100, 1e-5) * abs(computed)


def write(folder: Path = FOLDER) -> int:
    """Compute all keys and write them; returns how many there are."""
    content = {q.id: {"stamp": q.stamp, "value": compute(q)} for q in numeric(folder)}
    write_json(folder / KEYS, content)
    return len(content)


def stale(folder: Path = FOLDER) -> list[str]:
    """Ids of the questions whose written key is not what the reference computes now."""
    written = keys(folder)
    return [q.id for q in numeric(folder) if not agrees(q, written[q.id], compute(q))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    try:
        if parser.parse_args().check:
            wrong = stale()
            if wrong:
                raise Problem(f"These keys are not what ddpm_ref computes: {', '.join(wrong)}.")
            print("All keys are what ddpm_ref computes.")
        else:
            print(f"{write()} keys written to {(FOLDER / KEYS).relative_to(Path.cwd())}")
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
