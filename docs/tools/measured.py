"""Numbers from `benchmarks/results/*.json`, so that none on the pages is typed by hand."""

import html
import json
from functools import cache
from pathlib import Path

import yaml

from docs.tools.markup import markdown_code

RESULTS = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "results"


@cache
def _read(name: str):
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"there is no benchmarks/results/{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))


def number(where: str) -> str:
    """A number in words of a page: "demo_quality mean.class_accuracy .1%".

    That is a file, the way to the number in it (keys and positions, or key=value to pick out of a list),
    and Python's format for it.

    Raises:
        ValueError: when a part is missing.
    """
    file, path, form = where.split()
    return format(value(file, path), form)


def value(file: str, path: str) -> float:
    """The number at the end of a way through a file of results."""
    found = _read(file)
    for part in path.split("."):
        try:
            if isinstance(found, list) and "=" in part:
                key, _, wanted = part.partition("=")
                found = next(entry for entry in found if str(entry.get(key)) == wanted)
            else:
                found = found[int(part) if isinstance(found, list) else part]
        except (KeyError, IndexError, ValueError, StopIteration, TypeError) as error:
            raise ValueError(f"benchmarks/results/{file}.json has no {path}") from error
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(f"{path} of benchmarks/results/{file}.json is no number")
    return found


def table(text: str) -> str:
    """A table described in YAML:

        file: demo_quality
        caption: what is compared
        columns: {Plain recipe: plain_recipe, Ours: mean}
        rows:
          - [Right class, class_accuracy, .1%]

    A cell is the number at COLUMN.ROW; with `transpose: true` that at ROW.COLUMN.
    """
    about = yaml.safe_load(text)
    columns = about["columns"]
    head = "".join(f'<th scope="col">{html.escape(title)}</th>' for title in columns)
    body = []
    for label, path, form in about["rows"]:
        ways = [
            (path, start) if about.get("transpose") else (start, path) for start in columns.values()
        ]
        cells = "".join(f"<td>{format(value(about['file'], '.'.join(w)), form)}</td>" for w in ways)
        body.append(f'<tr><th scope="row">{markdown_code(label)}</th>{cells}</tr>\n')
    return (
        f'<table class="measured"><caption>{html.escape(about["caption"])}</caption>\n'
        f"<thead><tr><td></td>{head}</tr></thead>\n<tbody>{''.join(body)}</tbody></table>"
    )
