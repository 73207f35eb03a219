"""One walk through all pages of the site, in both colour schemes, and what was seen on the way."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

AXE = Path(__file__).resolve().parent / "axe" / "axe.min.js"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 375, "height": 750}

# What is wider than the column that it stands in, and does not scroll by itself.
TOO_WIDE = """() => [...document.querySelectorAll('.md-typeset :is(.arithmatex, pre, table, img, svg)')]
    .filter((element) => element.getClientRects().length && !element.closest('[hidden]'))
    .filter((element) => {
        const column = element.closest('article').getBoundingClientRect();
        let seen = element.getBoundingClientRect().right;
        for (let up = element.parentElement; up.tagName !== 'ARTICLE'; up = up.parentElement)
            if (getComputedStyle(up).overflowX !== 'visible')
                seen = Math.min(seen, up.getBoundingClientRect().right);
        // On a phone Material lets blocks of code reach the edges of the screen.
        return seen > (innerWidth < 600 ? innerWidth : column.right) + 1;
    })
    .map((element) => element.textContent.trim().slice(0, 60) || element.tagName)"""

# An equation, typeset, against the box that it is in: what sticks out can only be scrolled to.
WIDE_EQUATIONS = """() => [...document.querySelectorAll('.katex-display')]
    .filter((box) => box.scrollWidth > box.clientWidth + 1)
    .map((box) => box.querySelector('annotation').textContent.slice(0, 80))"""

# Everything a page asks for, also what the browser has kept from another page.
ASKED_FOR = """() => performance.getEntriesByType('resource').map((entry) => entry.name)"""

FAULTS = """async () => {
    const tell = (node) => `${node.html.slice(0, 160)} (${node.any.map((a) => a.message)})`;
    const found = await axe.run(document, {resultTypes: ['violations']});
    return found.violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map(tell).join(' | ')}`);
}"""


@dataclass
class Walk:
    """What was seen: by kind, sentences that name the page. Empty lists are good news."""

    console: list[str] = field(default_factory=list)
    strangers: list[str] = field(
        default_factory=list
    )  # requests to other hosts, and ones that failed
    maths: list[str] = field(default_factory=list)
    wide: list[str] = field(default_factory=list)
    sideways: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    asked_for: dict[str, set[str]] = field(default_factory=dict)  # files, by page
    schemes: dict[tuple[str, str], str] = field(
        default_factory=dict
    )  # background, by page and scheme


def walk(browser, address: str, pages: list[str]) -> Walk:
    """Open every page in light and in dark."""
    seen = Walk()
    axe = AXE.read_text(encoding="utf-8")
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport=DESKTOP, color_scheme=scheme)
        page = context.new_page()
        _listen(page, address, scheme, seen)
        for name in pages:
            page.set_viewport_size(DESKTOP)
            page.goto(address + name)
            wait_for_ready(page)
            _look(page, name, scheme, axe, seen)
        context.close()
    return seen


def wait_for_ready(page) -> None:
    """Until the maths of a page is set and Material's scripts have run."""
    page.wait_for_selector("html[data-ready]", state="attached", timeout=30_000)


def _listen(page, address: str, scheme: str, seen: Walk) -> None:
    def request(it):
        if not it.url.startswith((address, "data:", "blob:")):
            seen.strangers.append(f"{page.url} ({scheme}): {it.url}")

    def response(it):
        if it.status >= 400:
            seen.strangers.append(f"{page.url} ({scheme}): {it.url} answers {it.status}")

    def message(it):
        if it.type in ("error", "warning"):
            seen.console.append(f"{page.url} ({scheme}): {it.text}")

    page.on("request", request)
    page.on("response", response)
    page.on("console", message)
    page.on("pageerror", lambda error: seen.console.append(f"{page.url} ({scheme}): {error}"))


def _look(page, name: str, scheme: str, axe: str, seen: Walk) -> None:
    where = f"{name or 'index'} ({scheme})"
    for kind in (".katex-error", ".arithmatex:not(:has(.katex))"):
        seen.maths += [f"{where}: {text}" for text in page.locator(kind).all_text_contents()]
    seen.schemes[name, scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.evaluate(axe)
    seen.faults += [f"{where}: {fault}" for fault in page.evaluate(FAULTS)]
    if scheme == "dark":
        return
    asked_for = {urlsplit(url).path.lstrip("/") for url in page.evaluate(ASKED_FOR)}
    seen.asked_for[name] = asked_for | {f"{name}index.html"}
    seen.wide += [
        f"{where}: {text}" for text in page.evaluate(TOO_WIDE) + page.evaluate(WIDE_EQUATIONS)
    ]
    page.set_viewport_size(PHONE)
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > PHONE["width"]:
        seen.sideways.append(f"{where} is {width} wide")
    seen.sideways += [f"{where}, phone: {text}" for text in page.evaluate(TOO_WIDE)]
