"""The built site, without a browser: its links, its size, what it is made of."""

import hashlib
import re

import pytest

from docs.tools import links
from docs.tools.sources import ROOT

pytestmark = pytest.mark.xdist_group("site")

MEGABYTE = 1_000_000


def test_every_link_and_anchor_is_alive(built):
    assert list(links.problems(built.folder)) == []


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ('<a href="other.html">', "leads nowhere"),
        ('<a href="#gone">', "names no place"),
        ('<a href="/page/">', "absolute"),
        ('<img src="https://example.org/x.png">', "another host"),
        ('<script src="//example.org/x.js">', "another host"),
        ('<link rel="stylesheet" href="https://example.org/x.css">', "another host"),
    ],
)
def test_a_dead_link_is_found(tmp_path, html, complaint):
    (tmp_path / "index.html").write_text(f"<h1 id='here'>{html}", encoding="utf-8")
    assert [complaint in problem for problem in links.problems(tmp_path)] == [True]


def test_a_living_link_is_not(tmp_path):
    page = "<h1 id='here'><a href='#here'><a href='sub/#there'><a href='https://example.org'>"
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "index.html").write_text("<a id='there' href='..'>", encoding="utf-8")
    assert list(links.problems(tmp_path)) == []


def test_the_build_is_quick_and_the_site_small(built):
    assert built.seconds < 60
    assert (
        sum(file.stat().st_size for file in built.folder.rglob("*") if file.is_file())
        < 25 * MEGABYTE
    )


def test_nothing_is_left_that_should_have_become_something_else(built):
    for page in built.folder.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        seen = re.sub(r"(?s)<(pre|code)\b.*?</\1>", "", text)
        assert re.findall(r"#!number.{0,40}|--8&lt;--|```.{0,20}|:::.{0,20}", seen) == [], page.name


def test_what_builds_the_site_is_not_in_it(built):
    kinds = {file.suffix for file in built.folder.rglob("*") if file.is_file()}
    assert kinds.isdisjoint({".py", ".yaml", ".md"})


def test_katex_is_what_was_taken_from_its_package(built):
    folder = built.folder / "katex"
    sums = dict(
        reversed(line.split())
        for line in (ROOT / "docs" / "katex" / "SHA256SUMS").read_text().splitlines()
    )
    found = {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }
    assert found == sums
    assert "LICENSE" in found and sum(name.endswith(".woff2") for name in found) == 20
