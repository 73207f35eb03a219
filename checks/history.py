"""What the grader remembers from one call to the next: failures in a row, and hints given.

It lies in `.checks.json` at the root of the repository. Where that cannot be written the grader works
as if it had never been called before.
"""

import os
from contextlib import suppress
from pathlib import Path

from checks.catalogue import ROOT
from checks.files import Problem, read_json, write_json
from checks.grader import NOT_STARTED, PASSED

FILE = ROOT / ".checks.json"


class History:
    """The memory of one submission."""

    def __init__(self, submission: Path, file: Path = FILE):
        # Not `resolve`, which raises where links go in a circle: that is for `check_submission` to say.
        self.key, self.file = os.path.realpath(submission), file

    def failures(self, name: str) -> int:
        """How often in a row an experiment has failed."""
        return self._count("failures", name)

    def hints(self, name: str) -> int:
        """How many hints have been given for it."""
        return self._count("hints", name)

    def note_results(self, results) -> None:
        """Count the failures of these results; passing starts anew, with hints as well."""
        changes = {"failures": {}, "hints": {}}
        for result in results:
            name = result.experiment.name
            if result.verdict == PASSED:
                changes["failures"][name] = changes["hints"][name] = 0
            elif result.verdict != NOT_STARTED:
                changes["failures"][name] = self.failures(name) + 1
        self._write(changes)

    def note_hint(self, name: str) -> int:
        """One more hint; returns how many that makes."""
        count = self.hints(name) + 1
        self._write({"hints": {name: count}})
        return count

    def _count(self, kind: str, name: str) -> int:
        value = self._mine(read_json(self.file)).get(kind, {}).get(name, 0)
        return value if isinstance(value, int) else 0

    def _mine(self, content: dict) -> dict:
        mine = content.get(self.key)
        mine = mine if isinstance(mine, dict) else {}
        return {kind: value for kind, value in mine.items() if isinstance(value, dict)}

    def _write(self, changes: dict) -> None:
        content = read_json(self.file)
        mine = self._mine(content)
        for kind, counts in changes.items():
            merged = {**mine.get(kind, {}), **counts}
            mine[kind] = {name: count for name, count in merged.items() if count}
        with suppress(Problem):  # a read-only place: no memory, and nothing else lost
            write_json(self.file, {**content, self.key: mine})
