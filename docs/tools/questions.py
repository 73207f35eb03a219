"""Assessment questions as HTML forms that need no JavaScript.

With JavaScript (`docs/javascripts/questions.js`) a form answers at once; without it every answer with its
reasons is a click on "Answer and reasons" away. Nothing is told by colour alone.
"""

import html

import markdown

from checks.notation import plain
from checks.questions import Choice, Numeric, Open, Question, keys, load, shown


class Text:
    """Markdown with maths to HTML, as on the pages."""

    def __init__(self):
        settings = {"pymdownx.arithmatex": {"generic": True}}
        self._markdown = markdown.Markdown(
            extensions=["pymdownx.arithmatex", "pymdownx.superfences", "sane_lists", "tables"],
            extension_configs=settings,
        )

    def block(self, text: str) -> str:
        return self._markdown.reset().convert(text.strip())

    def inline(self, text: str) -> str:
        """One paragraph, without the tags around it.

        Raises:
            ValueError: when it is more than a paragraph.
        """
        made = self.block(text)
        if made.count("<p>") != 1 or not (made.startswith("<p>") and made.endswith("</p>")):
            raise ValueError(f"one paragraph is wanted here: {text.strip()[:60]!r}")
        return made[len("<p>") : -len("</p>")]


def render(number: int) -> str:
    """All questions of a chapter as HTML; chapter 0 is the self-test."""
    text, known = Text(), keys(number=number)
    forms = [
        _form(question, place, text, known) for place, question in enumerate(load(number), start=1)
    ]
    return (
        '<section class="questions" aria-label="Questions">\n'
        '<p class="questions-tools"><button type="button" class="md-button" data-open-answers hidden>'
        "Open all answers</button></p>\n" + "\n".join(forms) + "\n</section>"
    )


def _form(question: Question, number: int, text: Text, known: dict[str, float]) -> str:
    kind = type(question).__name__.lower()
    id = html.escape(f"q-{question.id}", quote=True)
    first, _, rest = question.question.strip().partition("\n\n")
    legend = f'<span class="question-number">{number}</span> {text.inline(first)}'
    more = text.block(rest) if rest.strip() else ""
    if kind == "numeric":
        inside, answer = _numeric(question, id, text, known[question.id])
    else:
        inside, answer = {"choice": _choice, "open": _open}[kind](question, id, text)
    return (
        f'<form class="question" id="{id}" data-kind="{kind}" autocomplete="off">\n'
        f"<fieldset><legend>{legend}</legend>\n{more}{inside}"
        '<p class="question-check"><button type="submit" class="md-button" hidden>Check</button></p>\n'
        '<p class="question-status" role="status"></p>\n</fieldset>\n'
        f'<details class="answer"><summary>Answer and reasons</summary>\n{answer}</details>\n</form>'
    )


def _spoken(text: str) -> str:
    """A name for a field whose label holds maths, which not every screen reader takes for text."""
    return f' aria-label="{html.escape(plain(text), quote=True)}"' if "$" in text else ""


def _choice(question: Choice, id: str, text: Text) -> tuple[str, str]:
    several = sum(option.right for option in question.options) > 1
    kind = "checkbox" if several else "radio"
    lines, reasons = [], []
    for k, option in enumerate(question.options):
        mark = " data-right" if option.right else ""
        lines.append(
            f'<label class="option"><input type="{kind}" name="{id}" value="{k}"{mark}'
            f"{_spoken(option.text)}> "
            f"<span>{text.inline(option.text)}</span></label>\n"
        )
        reasons.append(
            f'<li class="{"right" if option.right else "wrong"}">'
            f"<strong>{'Right' if option.right else 'Wrong'}:</strong> {text.inline(option.text)} "
            f'<span class="why">{text.inline(option.why)}</span></li>\n'
        )
    note = '<p class="question-note">More than one may be right.</p>\n' if several else ""
    return note + "".join(lines), f"<ul>\n{''.join(reasons)}</ul>\n"


def _numeric(question: Numeric, id: str, text: Text, value: float) -> tuple[str, str]:
    unit = f' <span class="unit">{text.inline(question.unit)}</span>' if question.unit else ""
    field = (
        f'<label class="number">Your answer: <input type="text" inputmode="decimal" name="{id}" size="12" '
        f'data-key="{value!r}" data-tolerance="{question.tolerance}"></label>{unit}\n'
        f'<p class="question-note">A number such as 0.25, 1e-4 or 1/3; '
        f"{_tolerance(question.tolerance)}</p>\n"
    )
    how = html.escape(question.key)
    answer = (
        f"<p><strong>{shown(value)}</strong>{unit}, computed by the reference: "
        f'<code class="key">{how}</code></p>\n'
        f'<div class="why">{text.block(question.why)}</div>\n'
    )
    return field, answer


def _tolerance(share: float) -> str:
    return f"{100 * share:g}% off still counts." if share else "it has to be exact."


def _open(question: Open, id: str, text: Text) -> tuple[str, str]:
    total = sum(criterion.points for criterion in question.rubric)
    field = (
        f'<label class="essay">Your answer, in a few sentences: <textarea name="{id}" rows="5">'
        "</textarea></label>\n"
    )
    criteria = "".join(
        f'<label class="option"><input type="checkbox" data-points="{c.points}"{_spoken(c.what)}> '
        f"<span>{c.points} {'point' if c.points == 1 else 'points'}: {text.inline(c.what)}</span></label>\n"
        for c in question.rubric
    )
    answer = (
        f'<div class="model-answer">{text.block(question.model_answer)}</div>\n'
        f'<fieldset class="rubric" data-total="{total}"><legend>Rubric: {total} points. '
        f'What of this is in your answer?</legend>\n{criteria}<p role="status" class="question-status">'
        "</p></fieldset>\n"
    )
    return field, answer
