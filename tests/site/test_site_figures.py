"""The interactive figures: by keyboard, without JavaScript or data, in both schemes, on a phone, on paper."""

import gzip
import json
import re

import pytest
import torch
from browsing import AXE, DESKTOP, FAULTS, OF_COLOUR, PHONE, STILL, TOO_WIDE, wait_for_ready

from checks.gallery import pictured
from ddpm_ref.diffusion import NoiseSchedule, q_sample
from docs.tools.stamped import FOLDER

pytestmark = [pytest.mark.xdist_group("site"), pytest.mark.slow]

PAGES = {
    "noise-dial": "chapters/ch05/",
    "scrubber": "chapters/ch07/",
    "unet": "chapters/ch04/",
    "gallery": "gallery/",
}
WITH_DATA = [name for name in PAGES if name != "gallery"]
PIXELS = """(canvas) => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"""


def awake(page, name):
    """The figure, in sight and ready."""
    page.goto(PAGES[name])
    wait_for_ready(page)
    figure = page.locator(f'.interactive[data-figure="{name}"]')
    figure.scroll_into_view_if_needed()
    page.wait_for_selector(".interactive.is-live")
    return figure


def pixels(figure, name):
    """What a canvas shows, (3, H, W) of bytes."""
    canvas = figure.locator(f'canvas[data-show="{name}"]')
    flat = torch.tensor(canvas.evaluate(PIXELS))
    side = round((len(flat) // 4) ** 0.5)
    return flat.reshape(side, side, 4)[..., :3].permute(2, 0, 1)


def told(figure):
    """What the slider says, which is the same for eyes and ears."""
    text = figure.locator("output").text_content()
    assert figure.locator("input[type=range]").get_attribute("aria-valuetext") == text
    return text


def press(page, *names):
    for name in names:
        page.keyboard.press(name)


def choose(page, select, words):
    """By keyboard, as it works in a closed list: type what it begins with."""
    select.focus()
    page.keyboard.type(words)


def test_the_dial_mixes_as_q_sample_does(page):
    figure = awake(page, "noise-dial")
    known = json.loads((FOLDER / "noise-dial.json").read_text(encoding="utf-8"))
    x_0, noise = (torch.tensor(known[name]).reshape(1, 3, 16, 16) for name in ("x_0", "noise"))

    def right(schedule, t):
        x_t = q_sample(schedule, x_0, torch.tensor([t]), noise)[0].clamp(-1, 1)
        return ((x_t + 1) * 127.5).round()

    figure.locator("input[type=range]").focus()
    press(page, "Home")
    assert told(figure).startswith("t = 0: x_t = 1.000 · x_0 + 0.006 · ε")
    press(page, "ArrowRight", "ArrowRight", "ArrowRight")
    press(page, *["PageUp"] * 3)
    text = told(figure)
    t = int(re.match(r"t = (\d+):", text)[1])
    alpha_bar = NoiseSchedule.cosine().alpha_bars[t]
    assert 200 < t < 500
    assert f"{alpha_bar.sqrt():.3f} · x_0 + {(1 - alpha_bar).sqrt():.3f} · ε" in text
    ratio = float(re.search(r"ratio ([\d.]+)", text)[1])
    assert ratio == pytest.approx((alpha_bar / (1 - alpha_bar)).item(), rel=0.01)
    assert (pixels(figure, "x_t") - right(NoiseSchedule.cosine(), t)).abs().max() <= 1
    before = figure.locator(".mark.signal").get_attribute("cy")
    figure.locator('input[value="cosine"]').focus()
    press(page, "ArrowRight")
    assert told(figure) != text
    assert (pixels(figure, "x_t") - right(NoiseSchedule.linear(), t)).abs().max() <= 1
    assert figure.locator(".mark.signal").get_attribute("cy") != before
    figure.locator("input[type=range]").focus()
    press(page, "End")
    assert re.search(r"t = 999: .*ratio 4\.0 · 10⁻⁵$", told(figure))


def test_the_scrubber_walks_by_class_and_scale(page):
    figure = awake(page, "scrubber")
    figure.locator("input[type=range]").focus()
    start = {name: pixels(figure, name) for name in ("x_t", "x_0")}
    assert "step 1 of 12: t = 999" in told(figure)
    press(page, "ArrowRight")
    assert "step 2 of 12" in told(figure)
    assert all((pixels(figure, name) != start[name]).any() for name in start)
    press(page, "End")
    assert told(figure).endswith("this guess is the end of the walk")
    star = pixels(figure, "x_0")
    # Near the end of the walk x_t is nearly the picture.
    assert (pixels(figure, "x_t") - star).abs().float().mean() < 40
    choose(page, figure.get_by_role("combobox", name="Class"), "heart")
    heart = pixels(figure, "x_0")
    assert (heart != star).any()
    choose(page, figure.get_by_role("combobox", name="Guidance scale"), "6")
    assert (pixels(figure, "x_0") != heart).any()
    press(page, "Home")
    ignored = pixels(figure, "x_0")
    choose(page, figure.get_by_role("combobox", name="Class"), "ring")
    assert (pixels(figure, "x_0") == ignored).all()
    assert "ring, guidance scale 0" in figure.locator("canvas").last.get_attribute("aria-label")


def test_the_explorer_goes_through_the_network(page):
    figure = awake(page, "unet")
    slider, details = figure.locator("input[type=range]"), figure.locator(".layer-details")
    slider.focus()
    press(page, "Home")
    seen = [told(figure)]
    for _ in range(int(slider.get_attribute("max"))):
        press(page, "ArrowRight")
        assert figure.locator(".layer.chosen").count() == 1
        seen.append(told(figure))
    assert "layer 2 of 11: stem (Conv2d), 3 × 16 × 16 → 16 × 16 × 16" in seen
    assert len(set(seen)) == len(seen) == 11
    press(page, "ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert "32 × 8 × 8 from downs.1" in details.text_content(), "the skip of ups.0"
    choose(page, figure.get_by_role("combobox", name="Picture"), "64")
    assert "32 × 32 × 32 from downs.1" in details.text_content()
    choose(page, figure.get_by_role("combobox", name="Recipe"), "paper")
    assert (
        "of 20: " in told(figure)
        and figure.get_by_role("combobox", name="Picture").input_value() == "32"
    )
    assert figure.locator("svg").count() == 1
    figure.locator(".layer", has_text="downs.2").click()
    assert ": downs.2 (DownBlock)" in told(figure)


def test_the_gallery_shows_one_mistake_or_all(page):
    figure = awake(page, "gallery")
    items, choice = (
        figure.locator(".symptoms > figure"),
        figure.get_by_role("combobox", name="Mistake"),
    )
    shown = lambda: [  # noqa: E731
        item.get_attribute("id") for item in items.all() if item.is_visible()
    ]
    names = list(pictured())
    assert shown() == names[:1] and figure.locator("#right").is_visible()
    choice.focus()
    press(page, "ArrowDown")
    assert shown() == names[1:2]
    press(page, "Tab", "Tab", "Enter")
    assert shown() == names[2:3]
    press(page, "Shift+Tab", "Enter")
    assert shown() == names[1:2]
    choose(page, choice, "all")
    assert shown() == names
    figure.locator("#x-next-clipped summary").focus()
    press(page, "Enter")
    assert figure.get_by_text("clamp(-1, 1)").first.is_visible()
    page.goto("gallery/#other-noise-mixed-in")
    assert shown() == ["other-noise-mixed-in"]
    picture = figure.locator("#other-noise-mixed-in img")
    page.wait_for_function("(img) => img.naturalWidth > 0", arg=picture.element_handle())


def remains_still(page, name):
    """The picture and its sentence are there, and no control that would do nothing."""
    figure = page.locator(f'.interactive[data-figure="{name}"]')
    assert not figure.locator(".live").is_visible()
    if name == "gallery":
        pictures = page.locator(".symptom img")
        assert pictures.count() == len(pictured()) + 1
        return all(pictures.nth(k).is_visible() for k in range(pictures.count()))
    sentence = figure.locator(".without")
    assert figure.locator("svg").first.is_visible() and sentence.is_visible()
    return sentence.text_content()


def test_without_javascript_the_still_picture_and_a_sentence_remain(browser, address):
    context = browser.new_context(base_url=address, java_script_enabled=False, viewport=PHONE)
    page = context.new_page()
    for name, where in PAGES.items():
        page.goto(where)
        assert remains_still(page, name)
    context.close()


@pytest.mark.parametrize("name", WITH_DATA)
def test_without_a_server_too(browser, built, name):
    page = browser.new_page()
    page.goto((built.folder / PAGES[name] / "index.html").as_uri())
    page.locator(f"#{name}").scroll_into_view_if_needed()
    page.wait_for_function(
        f"document.querySelector('#{name} .without').textContent.includes('served')"
    )
    assert "python -m http.server" in remains_still(page, name)
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_data_are_fetched_when_the_figure_comes_near_and_are_light(page, built, address, name):
    asked = []
    page.on("request", lambda it: asked.append(it.url))
    page.set_viewport_size({"width": 1280, "height": 200})  # the figure is far below
    page.goto(PAGES[name])
    wait_for_ready(page)
    page.wait_for_load_state("networkidle")
    if name != "gallery":
        assert not any("/figures/" in url for url in asked), "with the page, far above the figure"
    page.locator(".interactive").scroll_into_view_if_needed()
    page.wait_for_selector(".interactive.is-live")
    page.wait_for_load_state("networkidle")
    assert all(url.startswith((address, "data:")) for url in asked)
    if name != "gallery":
        assert any(url.endswith(".json") and "/figures/" in url for url in asked)
    own = [
        url.removeprefix(address).partition("#")[0] for url in set(asked) if url.startswith(address)
    ]
    files = [built.folder / url / ("index.html" if url.endswith("/") else "") for url in own]
    assert sum(map(sent, files)) < 600_000


def sent(file) -> int:
    """Bytes that cross the wire: servers compress what is text."""
    content = file.read_bytes()
    return min(len(content), len(gzip.compress(content)))


@pytest.mark.parametrize("name", PAGES)
def test_awake_it_has_no_fault_in_either_scheme_and_fits_a_phone(page, name):
    wrong = []
    page.on("console", lambda it: wrong.append(it.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    awake(page, name)
    page.add_style_tag(content=STILL)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for scheme, rules in (("light", None), ("dark", OF_COLOUR)):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(FAULTS, rules) == [], scheme
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert page.evaluate(TOO_WIDE) == []
        live = page.locator(".interactive .live :is(select, input, button, canvas, output)")
        for part in live.all():
            box = part.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= size["width"] + 1
    assert wrong == []


@pytest.mark.parametrize("name", PAGES)
def test_paper_shows_the_still_picture(page, name):
    figure = awake(page, name)
    still = figure.locator(".still, .symptoms > figure")
    if name in ("scrubber", "gallery"):
        assert not still.last.is_visible()
    page.emulate_media(media="print")
    assert figure.locator("svg").first.is_visible() or name == "gallery"
    if name in ("scrubber", "gallery"):
        assert still.first.is_visible() and still.last.is_visible()
    assert not figure.locator(".live").is_visible()


def test_nothing_moves_by_itself(page):
    figure = awake(page, "scrubber")
    before = pixels(figure, "x_t"), told(figure)
    page.wait_for_timeout(1500)
    assert (pixels(figure, "x_t") == before[0]).all() and told(figure) == before[1]
