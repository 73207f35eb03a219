"""What a person does with the pages: answers by keyboard, reads without JavaScript, searches, prints."""

import re

import pytest
from browsing import PHONE, wait_for_ready

from checks.questions import Choice, Numeric, Open, keys, load, numbers

pytestmark = [pytest.mark.xdist_group("site"), pytest.mark.slow]


# Formulas in a line after which a comma or the like begins the next line.
TORN = r"""(formulas) => formulas
    .filter((formula) => /^[.,;:!?)\]]/.test(formula.nextSibling?.nodeValue ?? ''))
    .filter((formula) => {
        const mark = document.createRange();
        mark.selectNodeContents(formula.nextSibling);
        const end = [...formula.querySelectorAll('.katex-base')].at(-1).getBoundingClientRect();
        return mark.getClientRects()[0].width && mark.getClientRects()[0].left < end.left;
    })
    .map((formula) => formula.querySelector('annotation').textContent)"""


def form_of(page, question):
    return page.locator(f'form.question[id="q-{question.id}"]')


def status_of(form):
    return form.locator(":scope > fieldset > .question-status")


def first(kind, several=False):
    """A question of a kind, and the page that it is on."""
    for number in numbers():
        for question in load(number):
            fits = isinstance(question, kind)
            if fits and (kind is not Choice or (len(question.right) > 1) == several):
                return question, f"chapters/ch{number:02}/" if number else "learn/"
    raise AssertionError(f"there is no question of the kind {kind}")


def opened(page, address):
    page.goto(address)
    wait_for_ready(page)


def press(page, *names):
    for name in names:
        page.keyboard.press(name)


def test_a_choice_is_answered_wrong_and_then_right_by_keyboard(page):
    question, address = first(Choice)
    opened(page, address)
    form = form_of(page, question)
    right = [option.right for option in question.options].index(True)
    wrong = (right + 1) % len(question.options)
    # Radio buttons: the keyboard comes in at the first one, and arrows move the choice.
    form.locator("input").first.focus()
    press(page, "Space", *["ArrowDown"] * wrong, "Tab", "Enter")
    said = status_of(form)
    assert said.text_content().startswith("✘ Not yet.")
    assert said.get_attribute("data-right") == "false"
    # A wrong answer can be changed, and the keyboard finds back to it.
    press(page, "Shift+Tab")
    steps = (right - wrong) % len(question.options)
    press(page, *["ArrowDown"] * steps, "Tab", "Enter")
    assert said.text_content().startswith("✔ Right.")
    assert len(said.text_content()) > len("✔ Right. ") + 10, "the reason is told, too"


def test_several_right_options_want_all_of_them(page):
    question, address = first(Choice, several=True)
    opened(page, address)
    form, said = form_of(page, question), status_of(form_of(page, question))
    boxes = form.locator(":scope > fieldset > .option input")
    right = [place for place, option in enumerate(question.options) if option.right]
    press_on = lambda place: (boxes.nth(place).focus(), press(page, "Space"))  # noqa: E731
    press_on(right[0])
    press(page, "Enter")
    assert "more to be found" in said.text_content()
    for place in right[1:]:
        press_on(place)
    press(page, "Enter")
    assert said.text_content().startswith("✔ Right.")
    press_on(next(p for p, option in enumerate(question.options) if not option.right))
    press(page, "Enter")
    assert said.text_content().startswith("✘ Not yet.")


def test_a_number_is_answered_by_keyboard(page):
    question, address = first(Numeric)
    opened(page, address)
    form, key = form_of(page, question), keys()[question.id]
    said, field = status_of(form), form.locator("input[data-key]")

    def answer(text):
        field.focus()
        press(page, "Control+a")
        page.keyboard.type(text)
        press(page, "Enter")
        return said.text_content()

    assert answer(repr(key)).startswith("✔ Right.")
    assert answer(repr(key).replace(".", ",")).startswith("✔ Right.")
    assert answer(f"{2 * key}/2").startswith("✔ Right.")
    assert answer(repr(2 * key)).startswith("✘ Not yet.")
    assert answer("many").startswith("✘ Not yet. That is not a number")
    assert answer("").startswith("✘ Not yet.")


def test_an_open_question_shows_the_model_answer_and_counts_points(page):
    question, address = first(Open)
    opened(page, address)
    form = form_of(page, question)
    form.locator("textarea").focus()
    press(page, "Tab", "Enter")
    assert "Write something first" in status_of(form).text_content()
    assert not form.locator(".model-answer").is_visible()
    form.locator("textarea").focus()
    page.keyboard.type("Noise is added.")
    press(page, "Tab", "Enter")
    assert form.locator(".model-answer").is_visible()
    boxes = form.locator(".rubric input")
    for place in range(boxes.count()):
        boxes.nth(place).focus()
        press(page, "Space")
    total = f"{question.points} of {question.points} points."
    assert form.locator(".rubric .question-status").text_content() == total


ANSWER_ALL = """(answers) => {
    const answer = (form) => {
        const given = answers[form.id.slice(2)];
        const boxes = [...form.querySelectorAll(':scope > fieldset > .option input')];
        if (form.dataset.kind === 'open') return [form.id, null];
        if (form.dataset.kind === 'numeric') form.querySelector('input').value = given;
        for (const [place, box] of boxes.entries()) box.checked = given[place];
        form.requestSubmit();
        return [form.id, form.querySelector(':scope > fieldset > .question-status').dataset.right];
    };
    return Object.fromEntries([...document.querySelectorAll('form.question')].map(answer));
}"""


def test_the_pages_and_the_terminal_agree_on_every_question(page):
    """What is right in the file is right on the page, and all of the file is there."""
    for number in numbers():
        questions, known = load(number), keys()
        opened(page, f"chapters/ch{number:02}/" if number else "learn/")
        right = {
            q.id: known[q.id] if isinstance(q, Numeric) else [option.right for option in q.options]
            for q in questions
            if not isinstance(q, Open)
        }
        wrong = {
            id: 3 * answer + 1 if isinstance(answer, float) else [not chosen for chosen in answer]
            for id, answer in right.items()
        }
        # Of radio buttons the one that is set last wins, a wrong one as well.
        for answers, verdict in ((right, "true"), (wrong, "false")):
            said = page.evaluate(ANSWER_ALL, answers)
            assert set(said) == {f"q-{q.id}" for q in questions}
            assert {said[f"q-{id}"] for id in answers} == {verdict}, number


def test_every_answer_can_be_read_without_javascript(browser, address):
    context = browser.new_context(base_url=address, java_script_enabled=False, viewport=PHONE)
    page = context.new_page()
    for number in numbers():
        page.goto(f"chapters/ch{number:02}/" if number else "learn/")
        for question in load(number)[:: 3 if number else 1]:
            form = form_of(page, question)
            answer = form.locator("details.answer")
            assert not form.get_by_role("button", name="Check").is_visible()
            answer.locator("summary").focus()
            press(page, "Enter")
            reasons = answer.locator(".why, .model-answer")
            wanted = len(question.options) if isinstance(question, Choice) else 1
            assert reasons.count() == wanted
            assert all(reasons.nth(k).is_visible() for k in range(wanted))
            assert all(len(text) > 10 for text in reasons.all_text_contents())
    # Maths stays readable as TeX, and the rest of the page is there.
    assert "\\(" in page.locator("article").inner_text()
    assert page.get_by_role("heading", name="Common mistakes").is_visible()
    context.close()


def test_the_bar_above_an_equation_is_not_cut_off(page):
    """A box that scrolls sideways cuts what stands out above; without its bar an alpha is another number."""
    opened(page, "chapters/ch05/")
    room = "(boxes) => boxes.map((box) => parseFloat(getComputedStyle(box).paddingTop))"
    assert min(page.locator(".katex-display").evaluate_all(room)) >= 5


def test_no_line_begins_with_the_comma_after_a_formula(page):
    opened(page, "chapters/ch07/")
    for width in (1240, 375, 360, 320):
        page.set_viewport_size({"width": width, "height": 750})
        assert page.locator("article span.arithmatex:visible").evaluate_all(TORN) == [], width


def test_a_part_of_a_formula_that_is_wider_than_its_line_scrolls(page):
    opened(page, "chapters/ch07/")
    wide = page.locator("span.arithmatex.wide")
    assert wide.count() == 0
    page.set_viewport_size({"width": 150, "height": 750})
    wide.first.wait_for(state="attached")


def test_search_finds_a_page(page):
    asked = []
    page.on("request", lambda it: asked.append(it.url))
    opened(page, "faq/")
    press(page, "/")
    page.keyboard.type("cosine schedule")
    found = page.locator(".md-search-result__link")
    found.first.wait_for(state="visible", timeout=20_000)
    assert any("search_index.json" in url for url in asked)
    assert any("ch05" in (link.get_attribute("href") or "") for link in found.all())


def test_colours_are_changed_by_keyboard_and_remembered(page):
    opened(page, "faq/")
    body = page.locator("body")
    before = body.evaluate("(element) => getComputedStyle(element).backgroundColor")
    page.locator("input#__palette_0").focus()
    press(page, "ArrowRight", "ArrowRight")
    page.wait_for_function(
        "(before) => getComputedStyle(document.body).backgroundColor !== before", arg=before
    )
    after = body.evaluate("(element) => getComputedStyle(element).backgroundColor")
    opened(page, "glossary/")
    assert body.evaluate("(element) => getComputedStyle(element).backgroundColor") == after


def test_paper_holds_the_text_and_what_is_open(page):
    for other in ("learn/", "", "chapters/ch05/"):
        page.emulate_media(media="screen")
        opened(page, other)
        page.emulate_media(media="print", color_scheme="dark")
        page.set_viewport_size({"width": 718, "height": 1000})  # A4 less its margins
        assert page.evaluate("document.documentElement.scrollWidth") <= 718, other
    for gone in (".md-header", ".md-sidebar--primary", ".md-footer", ".question-check"):
        assert not page.locator(gone).first.is_visible(), gone
    looks = (
        "(element) => [getComputedStyle(element).backgroundColor, getComputedStyle(element).color]"
    )
    colours = page.locator("body").evaluate(looks)
    paper, ink = (sum(map(int, re.findall(r"\d+", c)[:3])) for c in colours)
    assert paper > 700 and ink < 300, "black on white, also for who reads in the dark"


def test_answers_that_are_closed_stay_off_the_paper(page):
    opened(page, "chapters/ch05/")
    answers = page.locator("details.answer")

    def on_paper():
        page.emulate_media(media="print")
        # As the browser does it; Material then unfolds whatever can be unfolded.
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.wait_for_function("document.querySelector('details.answer').open")
        shown = [answers.nth(k).is_visible() for k in range(answers.count())]
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.emulate_media(media="screen")
        return shown

    assert not any(on_paper())
    answers.nth(1).locator("summary").click()
    assert [k for k, shown in enumerate(on_paper()) if shown] == [1]
    page.get_by_role("button", name="Open all answers").click()
    assert all(on_paper())
    assert len(page.pdf(format="A4")) > 50_000


def test_a_phone_has_the_menu(browser, address):
    context = browser.new_context(base_url=address, viewport=PHONE, has_touch=True)
    page = context.new_page()
    opened(page, "chapters/ch03/")
    page.locator(".md-header label[for=__drawer]").tap()
    page.get_by_role("link", name="4 · The U-Net").first.tap()
    page.wait_for_url("**/chapters/ch04/")
    context.close()
