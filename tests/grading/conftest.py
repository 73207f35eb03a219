"""What the tests of the grader share: one warm grader for each worker, and submissions to give it."""

from pathlib import Path

import pytest

from checks.catalogue import chapters
from checks.grader import Grader, Limits


@pytest.fixture(scope="session")
def grader():
    with Grader(limits=Limits(experiment=20, importing=60, chapter=120)) as grader:
        yield grader


@pytest.fixture(scope="session")
def impatient():
    """For submissions that never end."""
    with Grader(limits=Limits(experiment=2, importing=4, chapter=20)) as grader:
        yield grader


@pytest.fixture
def submit(tmp_path):
    """submit(number, text) → a folder whose chapter has this text."""

    def submit(number: int, text: str, folder: Path = tmp_path / "submission") -> Path:
        chapter = chapters()[number]
        (folder / chapter.folder).mkdir(parents=True, exist_ok=True)
        (folder / chapter.folder / f"{chapter.module}.py").write_text(text, encoding="utf-8")
        return folder

    return submit
