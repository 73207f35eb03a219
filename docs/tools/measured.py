"""Numbers from `benchmarks/results/*.json`, so that none on the pages is typed by hand."""

import html
import json
from functools import cache

import yaml

from docs.tools.markup import markdown_code
from docs.tools.sources import ROOT

RESULTS = ROOT / "benchmarks" / "results"


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
    file, rest = where.split(maxsplit=1)
    path, form = rest.rsplit(maxsplit=1)
    return format(value(file, path.split(".")), form)


def value(file: str, path: list[str]) -> float:
    """The number at the end of a way through a file of results."""
    found = _read(file)
    for part in path:
        try:
            if isinstance(found, list) and "=" in part:
                key, _, wanted = part.partition("=")
                found = next(entry for entry in found if str(entry.get(key)) == wanted)
            else:
                found = found[int(part) if isinstance(found, list) else part]
        except (KeyError, IndexError, ValueError, StopIteration, TypeError) as error:
            raise ValueError(f"benchmarks/results/{file}.json has no {'.'.join(path)}") from error
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(f"{'.'.join(path)} of benchmarks/results/{file}.json is no number")
    return found


def table(text: str) -> str:
    """A table described in YAML, with a way and a format for each row:

        file: demo_quality
        caption: what is compared
        columns: {Plain recipe: plain_recipe, Ours: mean}
        rows:
          - [Right class, class_accuracy, .1%]

    or for each column:

        columns: {Right class: [class_accuracy, .1%]}
        rows:
          - [Plain recipe, plain_recipe]

    A way is as in `number`, or a list of its parts when one of them has a dot in it. In the second form
    a row may end with `partial`: what the file does not have of it stays empty.
    """
    about = yaml.safe_load(text)
    columns = about["columns"]
    head = "".join(f'<th scope="col">{markdown_code(title)}</th>' for title in columns)
    body = []
    for label, path, *more in about["rows"]:
        cells = []
        for column in columns.values():
            if isinstance(column, list):
                way, form = _parts(path) + _parts(column[0]), column[1]
            else:
                way, form = _parts(column) + _parts(path), more[0]
            cells.append(_cell(about["file"], way, form, optional=more == ["partial"]))
        body.append(f'<tr><th scope="row">{markdown_code(label)}</th>{"".join(cells)}</tr>\n')
    return (
        f'<div class="scrolls"><table class="measured"><caption>{html.escape(about["caption"])}</caption>\n'
        f"<thead><tr><td></td>{head}</tr></thead>\n<tbody>{''.join(body)}</tbody></table></div>"
    )


def _parts(path: str | list[str]) -> list[str]:
    return path.split(".") if isinstance(path, str) else path


def _cell(file: str, path: list[str], form: str, optional: bool) -> str:
    try:
        return f"<td>{format(value(file, path), form)}</td>"
    except ValueError:
        if optional:
            return "<td></td>"
        raise
