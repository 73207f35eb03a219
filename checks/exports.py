"""Grades in the forms that course systems read: a table, Gradescope's JSON, JUnit's XML."""

import csv
import io
import json
import os
import unicodedata
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from checks.catalogue import ROOT
from checks.files import Problem
from checks.grader import NOT_STARTED, PASSED
from checks.report import clean, one_line, told

PER = ("chapter", "exercise", "check")
FORMATS = ("gradescope", "junit")


def written_as(format: str, content: dict, feedback: str) -> tuple[str, str]:
    """How the file's name ends, and what is in it.

    Args:
        format: one of `FORMATS`.
        content: all about one submission, as in its NAME.json.
        feedback: "pass": nothing about what failed, since its author may read the file.
    """
    tell = (lambda e: e["verdict"]) if feedback == "pass" else _told
    if format == "gradescope":
        return ".gradescope.json", json.dumps(_gradescope(content, tell), indent=1) + "\n"
    return ".xml", _junit(content, tell)


def _experiments(content: dict):
    for chapter in content["chapters"]:
        for e in chapter["experiments"]:
            yield chapter, e


def _told(e: dict) -> str:
    return told(e).replace(f"{ROOT}{os.sep}", "")


def _gradescope(content: dict, tell) -> dict:
    """The autograder's results.json. Optional work (★) is shown, and counts nothing."""
    tests = [
        {
            "name": f"{e['id']} {'★ ' * e['star']}{e['title']}",
            "score": 0 if e["star"] else e["points"],
            "max_score": 0 if e["star"] else e["max_points"],
            "status": "passed" if e["verdict"] == PASSED else "failed",
            "output": "" if e["verdict"] == PASSED else tell(e),
        }
        for _, e in _experiments(content)
    ]
    seconds = sum(chapter["seconds"] for chapter in content["chapters"])
    return {
        "score": content["points"],
        "execution_time": round(seconds),
        "output": clean(content["trouble"]),
        "tests": tests,
    }


def _junit(content: dict, tell) -> str:
    """A suite a chapter; what is not started is skipped."""
    suites = ET.Element("testsuites", name=_in_xml(content["submission"]))
    for chapter in content["chapters"]:
        verdicts = [e["verdict"] for e in chapter["experiments"]]
        skipped = verdicts.count(NOT_STARTED)
        failures = len(verdicts) - skipped - verdicts.count(PASSED)
        numbers = {"tests": len(verdicts), "failures": failures, "skipped": skipped, "errors": 0}
        suite = ET.SubElement(
            suites,
            "testsuite",
            {"name": f"ch{chapter['chapter']:02}", "time": str(chapter["seconds"])}
            | {key: str(number) for key, number in numbers.items()},
        )
        for e in chapter["experiments"]:
            case = ET.SubElement(suite, "testcase", classname=suite.get("name"), name=e["name"])
            given = ET.SubElement(case, "properties")
            for key in ("points", "max_points", "verdict", "star"):
                ET.SubElement(given, "property", name=key, value=str(e[key]))
            if e["verdict"] != PASSED:
                kind = "skipped" if e["verdict"] == NOT_STARTED else "failure"
                text = _in_xml(tell(e))
                ET.SubElement(case, kind, message=text.partition("\n")[0]).text = text
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _in_xml(text: str) -> str:
    return "".join(c if c not in "\ufffe\uffff" else "�" for c in clean(text))


def table(contents: list[dict], per: str, roster: "Roster | None" = None) -> str:
    """The grades as CSV, a line a submission.

    Args:
        contents: of the submissions graded so far.
        per: one of `PER`: what there is a column for. ★ is counted in a column of its own.
        roster: lines that the grades are added to; a submission of nobody in it comes last.
    """
    rows = [_row(content, per) for content in contents]
    heading = list(rows[0])
    people = roster or Roster([], [])
    lines, strangers = people.joined([content["submission"] for content in contents])
    text = io.StringIO()
    writer = csv.writer(text, delimiter=people.delimiter, lineterminator="\n")
    writer.writerow([*people.heading, *heading])
    for person, index in lines:
        writer.writerow(
            [*person, *(rows[index].values() if index is not None else [""] * len(heading))]
        )
    for index in strangers:
        if roster:
            remark = f"no line of its own in the roster; {rows[index]['remark']}"
            rows[index]["remark"] = remark.removesuffix("; ")
        writer.writerow([*[""] * len(people.heading), *rows[index].values()])
    return text.getvalue()


def _row(content: dict, per: str) -> dict[str, str | int]:
    columns: dict[str, int] = {}
    stars = 0
    for chapter, e in _experiments(content):
        name = {"chapter": f"chapter {chapter['chapter']}", "exercise": e["id"], "check": e["name"]}
        counted = 0 if e["star"] and per == "chapter" else e["points"]
        columns[name[per]] = columns.get(name[per], 0) + counted
        stars += e["points"] if e["star"] else 0
    about = {"points": content["points"], "of": content["max_points"], "optional": stars}
    name, remark = (_harmless(content[key]) for key in ("submission", "trouble"))
    return {"submission": name, **columns, **about, "remark": remark}


def _harmless(text: str) -> str:
    """One line, and no formula: a spreadsheet would run it."""
    text = one_line(text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


@dataclass(frozen=True)
class Roster:
    """The table of a class, as a course system exports it.

    A submission belongs to the line that has its name in a cell, or a part of its name between
    underscores: "Anna Muster_123456_assignsubmission_file" is that of "Anna Muster", of "Participant
    123456" and of anna.muster@… alike; "ddpm-annam", where all begin with "ddpm-", is that of "annam".
    What stands in two lines is nobody's. Of several submissions that belong to a line, it gets the last.
    """

    heading: list[str]
    people: list[list[str]]
    delimiter: str = ","

    @staticmethod
    def read(path: Path) -> "Roster":
        """From a file of CSV, whichever way a spreadsheet writes it.

        Raises:
            Problem: when there is no such table.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise Problem(
                f"Cannot read {path} ({error.strerror}): give --roster a CSV file."
            ) from error
        encodings = (
            ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
        )
        for encoding in encodings:
            try:
                text = data.decode(encoding)
                break
            except UnicodeDecodeError:
                text = ""
        first = text.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        try:
            lines = [*filter(any, csv.reader(io.StringIO(text), delimiter=delimiter))]
        except csv.Error:  # such as a quotation mark that is never closed
            lines = []
        if len(lines) < 2 or "\0" in text:
            raise Problem(
                f"{path} is no table of a class: give --roster a CSV file with a heading."
            )
        width = max(map(len, lines))
        heading, *people = (line + [""] * (width - len(line)) for line in lines)
        return Roster(heading, people, delimiter)

    def joined(self, names: list[str]) -> tuple[list[tuple[list[str], int | None]], list[int]]:
        """Each line with the index of its submission, or None; and the indices of those without a line.

        names: in order, so that of several attempts the newest is the last.
        """
        lines: dict[str, set[int]] = {}
        for number, person in enumerate(self.people):
            whole = [f"{a} {b}" for p in pairwise(person) for a, b in (p, p[::-1])]
            for cell in (*person, *whole):
                for known in _known_as(cell):
                    lines.setdefault(known, set()).add(number)
        whose: dict[int, int] = {}
        assignments = _assignments(names)
        for index, name in enumerate(names):
            inner = [name.removeprefix(a) for a in assignments if name.startswith(a)]
            ways = [[name, *name.split("_")], *([each] for each in inner)]
            found = next(filter(None, ({*_lines_of(way, lines)} for way in ways)), set())
            if len(found) == 1:
                # Of several attempts the last stays: course systems put the date into the name.
                whose[found.pop()] = index
        joined = [(person, whose.get(number)) for number, person in enumerate(self.people)]
        return joined, [index for index in range(len(names)) if index not in whose.values()]


def _assignments(names: list[str]) -> list[str]:
    """What GitHub Classroom puts before each name, if it does: "ddpm-" of ddpm-anna-m and ddpm-ben."""
    starts = Counter(n[: k + 1] for n in names for k, letter in enumerate(n) if letter == "-")
    return sorted(
        (s for s, count in starts.items() if count > 1 and 2 * count > len(names)), key=len
    )


def _lines_of(parts: list[str], lines: dict[str, set[int]]) -> Iterator[int]:
    """The lines that a part of a name has for itself."""
    for part in map(_plain, parts):
        if len(lines.get(part, ())) == 1:
            yield from lines[part]


def _known_as(cell: str) -> set[str]:
    """What a cell calls somebody: all of it, a number at its end, an address up to the @."""
    cell = _plain(cell)
    last = cell.rpartition(" ")[2]  # not if it is a word: a cell may be a remark on somebody
    return {cell, last if last.isdecimal() else "", cell.partition("@")[0]} - {""}


def _plain(text: str) -> str:
    # A Mac writes the names of files with the accents beside the letters.
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())
