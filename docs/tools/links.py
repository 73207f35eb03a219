"""After the site is built: is every link and anchor alive, and does nothing come from another host?

`python -m docs.tools.links [FOLDER]`. The strict build looks at links in Markdown; this also sees those in
raw HTML, in the theme's templates and in what mkdocstrings makes.
"""

import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from docs.tools.sources import ROOT

FETCHED = {
    ("img", "src"),
    ("script", "src"),
    ("link", "href"),
    ("source", "src"),
    ("iframe", "src"),
}
FETCHED |= {
    ("video", "src"),
    ("audio", "src"),
    ("object", "data"),
    ("image", "href"),
    ("use", "href"),
}
NO_FETCH = {"canonical", "prev", "next", "alternate"}  # kinds of <link> that load nothing


class _Page(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[tuple[str, bool]] = []  # address, whether the browser fetches it by itself
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.links.append((given["href"], False))
        for kind, name in FETCHED:
            if tag == kind and name in given and given.get("rel") not in NO_FETCH:
                self.links.append((given[name], True))


def problems(site: Path) -> Iterator[str]:
    """What is wrong in a built site, a sentence each."""

    @cache
    def read(path: Path) -> _Page:
        return _Page(path.read_text(encoding="utf-8"))

    for path in sorted(site.rglob("*.html")):
        if path.name == "404.html":
            continue  # its links are those of the place where the site is published
        where = path.relative_to(site)
        for address, fetched in read(path).links:
            parts = urlsplit(address)
            if parts.scheme in ("data", "mailto", "javascript"):
                continue
            if parts.scheme or parts.netloc:
                if fetched:
                    yield f"{where}: {address} is fetched from another host"
                continue
            if parts.path.startswith("/"):
                yield f"{where}: {address} is absolute: the site could not be put into a folder"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                yield f"{where}: {address} leads nowhere"
            elif parts.fragment and unquote(parts.fragment) not in read(target).ids:
                yield f"{where}: {address} names no place on that page"


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "site"
    found = list(problems(folder.resolve()))
    for problem in found:
        print(problem, file=sys.stderr)
    sys.exit(1 if found else 0)
