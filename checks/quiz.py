"""Asking the questions of a chapter on a terminal, or from answers that are piped in."""

import math
import re
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.text import Text

from checks.catalogue import chapters
from checks.files import Problem
from checks.notation import plain
from checks.questions import LETTERS, Choice, Numeric, Open, Question, load, shown
from checks.report import clean

MARGIN = 3
WIDTH = 92  # prose wider than this is hard to read


@dataclass(frozen=True)
class Outcome:
    """What one question brought."""

    question: Question
    points: int

    @property
    def right(self) -> bool:
        return self.points == self.question.points


class _NoMoreAnswers(Exception):
    """The end of the input: Ctrl-D, a file that is over, a terminal that is gone."""


class Quiz:
    """Asks questions, one after the other.

    Args:
        keys: of the numeric questions, by id.
        answers: where to read, a line an answer; None for nowhere (a closed standard input).
        screen: where to write; the terminal when None.
    """

    def __init__(
        self, keys: dict[str, float], answers: TextIO | None, screen: Console | None = None
    ):
        self.keys, self.answers = keys, answers
        self.screen = screen or Console(highlight=False)
        self.screen.width = min(self.screen.width, WIDTH)

    def title(self, number: int, questions: list[Question]) -> None:
        count = f"{len(questions)} question{'s' * (len(questions) > 1)}"
        name = f" · {chapters()[number].title}" if number in chapters() else ""
        self._say(f"Chapter {number}{name}: {count}", "bold", margin=0)

    def ask(self, questions: list[Question]) -> list[Outcome]:
        """Ask them all; those that no answer is left for bring nothing."""
        outcomes = []
        try:
            for place, question in enumerate(questions, start=1):
                self._pose(question, f"{place}/{len(questions)}")
                outcomes.append(Outcome(question, self._points(question)))
        except _NoMoreAnswers:
            self.screen.print()
            self._say("No more answers: what is left counts as not answered.", "yellow", margin=0)
            outcomes += [Outcome(question, 0) for question in questions[len(outcomes) :]]
        return outcomes

    def summary(self, outcomes: list[Outcome], command: str) -> None:
        """The score, and how to be asked again what was not right."""
        points = sum(outcome.points for outcome in outcomes)
        most = sum(outcome.question.points for outcome in outcomes)
        missed = [outcome.question.id for outcome in outcomes if not outcome.right]
        right = len(outcomes) - len(missed)
        score = f"{points} of {most} points, {right} of {len(outcomes)} questions right"
        self.screen.print()
        self._say(score, "bold yellow" if missed else "bold green", margin=0)
        if missed:
            only = [f" --question {name}" for name in missed] if right else []
            self.screen.print(Text(f"Again: {command}{''.join(only)}", "dim"), soft_wrap=True)

    def _points(self, question: Question) -> int:
        if isinstance(question, Choice):
            return self._choice(question)
        return self._numeric(question) if isinstance(question, Numeric) else self._open(question)

    def _pose(self, question: Question, place: str) -> None:
        heading = Text(f"{place}  ", "dim") + Text(question.id, "bold cyan")
        worth = f"  {question.points} point{'s' * (question.points > 1)}"
        self.screen.print()
        self.screen.print(heading + Text(worth, "dim"))
        self._say(question.question, "bold")

    def _choice(self, question: Choice) -> int:
        letters = LETTERS[: len(question.options)]
        for letter, option in zip(letters, question.options, strict=True):
            self._say(option.text, label=f"{letter}) ")
        several = len(question.right) > 1
        wanted = "all letters that are right" if several else "a letter"
        chosen = self._until(
            f"Your answer ({wanted}): ",
            lambda line: _letters(line, letters, several),
            f"Please give {'one or more' if several else 'one'} of the letters {', '.join(letters)}.",
        )
        right = chosen == question.right
        self._verdict(right, f"right: {', '.join(sorted(question.right))}")
        for letter, option in zip(letters, question.options, strict=True):
            mark, style = ("✔", "green") if option.right else ("✘", "red")
            yours = "  ← yours" if letter in chosen else ""
            label = Text(f"{letter} {mark} ", style)
            self._say(option.why + yours, "" if letter in chosen or option.right else "dim", label)
        return question.points if right else 0

    def _numeric(self, question: Numeric) -> int:
        key = self.keys[question.id]
        prompt = (
            f"Your answer (a number{', in ' + plain(question.unit) if question.unit else ''}): "
        )
        answer = self._until(
            prompt,
            lambda line: _number(line, plain(question.unit)),
            "Please give a number, such as 0.25, 1e-4 or 3/4, with a point and no commas.",
        )
        right = question.accepts(answer, key)
        room = f", give or take {100 * question.tolerance:g} %" if question.tolerance else ""
        unit = f" {question.unit}" if question.unit else ""
        self._verdict(right, f"the answer is {shown(key)}{unit}{room}")
        self._say(question.why)
        return question.points if right else 0

    def _open(self, question: Open) -> int:
        self._say("In your own words; an empty line ends the answer.", "dim")
        while self._line("> ").strip():
            pass  # it is the learner who judges it
        self._say("One good answer:", "bold")
        self._say(question.model_answer)
        self._say("Does yours say this? Be strict with yourself.", "bold")
        points = 0
        for criterion in question.rubric:
            worth = f"{criterion.points} point{'s' * (criterion.points > 1)}: "
            self._say(criterion.what, label=worth)
            said = self._until("(y/n) ", _yes, "Please answer y or n.")
            points += criterion.points * said
        self._verdict(points == question.points, f"{points} of {question.points} points")
        return points

    def _until(self, prompt: str, read, remark: str):
        """Ask until `read` makes something of the line."""
        while True:
            value = read(self._line(prompt))
            if value is not None:
                return value
            self._say(remark, "yellow")

    def _line(self, prompt: str) -> str:
        self.screen.print(" " * MARGIN + prompt, style="bold", end="")
        self.screen.file.flush()
        try:
            line = self.answers.readline() if self.answers else ""
        except (OSError, ValueError):  # closed, or no text
            line = ""
        except KeyboardInterrupt:
            self.screen.print()
            raise
        if not line:
            raise _NoMoreAnswers
        if not self._typed:
            self.screen.print(Text(clean(line.rstrip())))
        return line

    @property
    def _typed(self) -> bool:
        """Whether somebody types the answers, and so has made the line end too."""
        return self.answers is not None and self.answers.isatty()

    def _verdict(self, right: bool, rest: str) -> None:
        mark = Text("✔ ", "bold green") if right else Text("✘ ", "bold red")
        self._say(rest, "bold green" if right else "bold red", mark)

    def _say(
        self, text: str, style: str = "", label: str | Text = "", margin: int = MARGIN
    ) -> None:
        """A paragraph with its label in the margin."""
        label = Text(label) if isinstance(label, str) else label
        body = _styled(plain(text), style)
        indent = margin + label.cell_len
        lines = body.wrap(self.screen, max(20, self.screen.width - indent))
        for place, line in enumerate(lines):
            line.rstrip()
            front = Text(" " * margin) + label if place == 0 else Text(" " * indent)
            self.screen.print(front + line, soft_wrap=True)


def _styled(text: str, style: str) -> Text:
    """Markdown's emphasis and code as styles, its marks taken away; code in blocks as it stands."""
    made = Text(style=style)
    for piece in re.split(
        r"(```\w*\n.*?```|`[^`]+`|\*\*.+?\*\*|\*[^*\s][^*]*\*)", text, flags=re.S
    ):
        if piece.startswith("```"):
            block = re.sub(r"^```\w*\n|\s*```$", "", piece)
            made.append("\n".join(f"    {line}" for line in block.splitlines()), "cyan")
        elif piece.startswith("`"):
            made.append(piece, "cyan")
        elif piece.startswith("**"):
            made.append(piece[2:-2], "bold")
        elif piece.startswith("*") and len(piece) > 2:
            made.append(piece[1:-1], "italic")
        else:
            # In Markdown a single line break is a space.
            made.append(re.sub(r"(?<!\n)\n(?![\n\-0-9])", " ", piece))
    return made


def _letters(line: str, letters: str, several: bool) -> frozenset[str] | None:
    chosen = frozenset(re.sub(r"[\s,;.()]+|\band\b", "", line.lower()))
    if not chosen or not chosen <= set(letters) or (len(chosen) > 1 and not several):
        return None
    return chosen


def _number(line: str, unit: str) -> float | None:
    text = line.strip().replace("−", "-").removesuffix(unit).strip()
    percent = text.endswith("%")
    above, slash, below = text.removesuffix("%").partition("/")
    try:
        value = float(above) / (float(below) if slash else 1)
    except (ValueError, ZeroDivisionError):
        return None
    if not math.isfinite(value):
        return None
    return value / 100 if percent else value


def _yes(line: str) -> bool | None:
    return {"y": True, "yes": True, "n": False, "no": False}.get(line.strip().lower())


def chosen(number: int, names: list[str]) -> list[Question]:
    """The questions of a chapter with these names, in its order; all of them when none is named.

    Raises:
        Problem: when there is no such question.
    """
    questions = load(number)
    for name in names:
        if name not in [question.id for question in questions]:
            raise Problem(
                f"There is no question {name!r} in chapter {number}: "
                f"python -m checks quiz {number} --list shows those that there are."
            )
    return [question for question in questions if not names or question.id in names]
