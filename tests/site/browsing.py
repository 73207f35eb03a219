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

# The insides of formulas are left out: KaTeX makes hundreds of elements of each, in the colour of the text
# around. Rules about colour alone are asked again in the dark, where nothing but colours has changed.
FAULTS = """async (rules) => {
    const tell = (node) => `${node.html.slice(0, 160)} (${node.any.map((a) => a.message)})`;
    const options = {resultTypes: ['violations']};
    if (rules) options.runOnly = rules;
    const found = await axe.run({exclude: [['.katex']]}, options);
    return found.violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map(tell).join(' | ')}`);
}"""

OF_COLOUR = ["color-contrast", "link-in-text-block"]
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"


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
    """Open every page, look at it in light and in dark, and on a phone."""
    seen = Walk()
    axe = AXE.read_text(encoding="utf-8")
    context = browser.new_context(viewport=DESKTOP, color_scheme="light")
    page = context.new_page()
    _listen(page, address, seen)
    for name in pages:
        page.goto(address + name)
        wait_for_ready(page)
        page.add_style_tag(content=STILL)
        _look(page, name, axe, seen)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(DESKTOP)
    context.close()
    return seen


def wait_for_ready(page) -> None:
    """Until the maths of a page is set and Material's scripts have run."""
    page.wait_for_selector("html[data-ready]", state="attached", timeout=30_000)


def _listen(page, address: str, seen: Walk) -> None:
    def request(it):
        if not it.url.startswith((address, "data:", "blob:")):
            seen.strangers.append(f"{page.url}: {it.url}")

    def response(it):
        if it.status >= 400:
            seen.strangers.append(f"{page.url}: {it.url} answers {it.status}")

    def message(it):
        if it.type in ("error", "warning"):
            seen.console.append(f"{page.url}: {it.text}")

    page.on("request", request)
    page.on("response", response)
    page.on("console", message)
    page.on("pageerror", lambda error: seen.console.append(f"{page.url}: {error}"))


def _look(page, name: str, axe: str, seen: Walk) -> None:
    where = name or "index"
    for kind in (".katex-error", ".arithmatex:not(:has(.katex))"):
        seen.maths += [f"{where}: {text}" for text in page.locator(kind).all_text_contents()]
    asked_for = {urlsplit(url).path.lstrip("/") for url in page.evaluate(ASKED_FOR)}
    seen.asked_for[name] = asked_for | {f"{name}index.html"}
    wide = page.evaluate(TOO_WIDE) + page.evaluate(WIDE_EQUATIONS)
    seen.wide += [f"{where}: {text}" for text in wide]
    page.evaluate(axe)
    seen.faults += [f"{where}, light: {fault}" for fault in page.evaluate(FAULTS, None)]
    seen.schemes[name, "light"] = page.evaluate(BACKGROUND)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.body.dataset.mdColorScheme === 'slate'")
    seen.schemes[name, "dark"] = page.evaluate(BACKGROUND)
    seen.faults += [f"{where}, dark: {fault}" for fault in page.evaluate(FAULTS, OF_COLOUR)]
    page.set_viewport_size(PHONE)
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > PHONE["width"]:
        seen.sideways.append(f"{where} is {width} wide")
    seen.sideways += [f"{where}, phone: {text}" for text in page.evaluate(TOO_WIDE)]
