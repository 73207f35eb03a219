"""`pytest checks --submission DIR`: the same experiments as pytest items, points as properties.

Items are called `ch04-4.2-skip-order`, so that `-k`, `-x`, `-n` and `--junitxml` work as usual.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from checks import report
from checks.catalogue import Experiment, chapters, find
from checks.files import Problem
from checks.grader import CRASHED, FAILED, PASSED, Grader, check_submission

_GRADER = pytest.StashKey[Grader]()
_NAMED = pytest.StashKey[dict[int, dict[str, tuple[str, ...]]]]()


def pytest_configure(config):
    if config.option.help:
        return
    submission = config.getoption("--submission")
    if submission is None:
        raise pytest.UsageError("checks needs --submission DIR, the folder to be graded")
    try:
        check_submission(Path(submission))
        for number in config.getoption("--chapter") or []:
            find(number)
    except Problem as error:
        raise pytest.UsageError(str(error)) from error


def pytest_unconfigure(config):
    if grader := config.stash.get(_GRADER, None):
        grader.close()


def pytest_collect_file(file_path: Path, parent):
    asked = parent.config.getoption("--chapter") or list(chapters())
    if any(chapters()[number].file == file_path for number in asked):
        return Experiments.from_parent(parent, path=file_path)
    return None


class Experiments(pytest.File):
    """The experiments of one chapter, on the submission named on the command line."""

    def collect(self):
        (chapter,) = (c for c in chapters().values() if c.file == self.path)
        for e in chapter.experiments:
            name = f"ch{chapter.number:02}-{e.name}"
            yield Item.from_parent(self, name=name, number=chapter.number, experiment=e)


class NotPassed(Exception):
    """Carries the result of an experiment that did not pass."""


class Item(pytest.Item):
    """One experiment."""

    def __init__(self, *, number: int, experiment: Experiment, **kwargs):
        super().__init__(**kwargs)
        self.number, self.experiment = number, experiment

    def runtest(self):
        grader = self.config.stash.setdefault(_GRADER, None) or Grader()
        self.config.stash[_GRADER] = grader
        (result,) = grader.grade(
            self.number,
            Path(self.config.getoption("--submission")),
            own=self.config.getoption("--own"),
            only=self.experiment.name,
            naming=lambda experiment: False,
        ).results
        if result.verdict in (FAILED, CRASHED):
            result = replace(result, mistakes=self.mistakes(grader))
        self.user_properties += [
            ("points", result.points),
            ("max_points", self.experiment.points),
            ("verdict", result.verdict),
            ("star", self.experiment.star),
        ]
        if result.verdict != PASSED:
            raise NotPassed(result)

    def mistakes(self, grader: Grader) -> tuple[str, ...]:
        """What it looks like, judged by the whole chapter, which is graded once for this."""
        named = self.config.stash.setdefault(_NAMED, {})
        if self.number not in named:
            submission = Path(self.config.getoption("--submission"))
            whole = grader.grade(self.number, submission, own=self.config.getoption("--own"))
            named[self.number] = {r.experiment.name: r.mistakes for r in whole.results}
        return named[self.number][self.experiment.name]

    def repr_failure(self, excinfo, style=None):
        """What a learner reads, without our source."""
        if not isinstance(excinfo.value, NotPassed):
            return super().repr_failure(excinfo, style)
        return report.told(report.experiment_json(excinfo.value.args[0]))

    def reportinfo(self):
        return self.path, None, f"{self.name}: {self.experiment.title}"
