"""What the tests of the site share: the site, built once; a server; a browser, started once.

The tests that use them are one group, so that with several workers one of them gets them all.
"""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Built:
    folder: Path
    seconds: float  # of processor time
    said: str

    def pages(self) -> list[str]:
        """Addresses of the pages, from the root of the site."""
        found = (p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*.html"))
        return sorted(p.removesuffix("index.html") for p in found if p != "404.html")


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Built:
    """The site, built strictly, in a folder of its own."""
    pytest.importorskip("material", reason="the site's tools are not installed: make docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    before = sum(os.times()[2:4])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return Built(folder, sum(os.times()[2:4]) - before, done.stderr)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="session")
def address(built):
    """Where the site is served: by what `python -m http.server` serves with."""
    handler = functools.partial(_Quiet, directory=str(built.folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """A browser of this machine's."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser here: none of {', '.join(BROWSERS)} is on the path")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """An empty tab that finds addresses from the root of the site."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()
