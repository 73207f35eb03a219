"""Texts of submissions: solutions, and solutions with something changed."""

from checks.catalogue import ROOT, chapters


def solution(number: int) -> str:
    """The text of a chapter's solution."""
    chapter = chapters()[number]
    file = ROOT / "solutions" / chapter.folder / f"{chapter.module}.py"
    return file.read_text(encoding="utf-8")


def edited(text: str, old: str, new: str) -> str:
    """The text with its only `old` replaced."""
    assert text.count(old) == 1, f"{text.count(old)} times: {old!r}"
    return text.replace(old, new)
