"""The questions, their keys, and `python -m checks quiz`."""

import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
import torch
from rich.console import Console

from checks.catalogue import ROOT
from checks.files import Problem
from checks.notation import Unreadable, plain
from checks.questions import KEYS, LETTERS, Choice, Numeric, Open, keys, load, numbers, numeric
from checks.quiz import Quiz
from ddpm_ref.blocks import ResidualBlock
from ddpm_ref.data import to_model_range
from ddpm_ref.datasets import load_dataset
from ddpm_ref.diffusion import predict_noise, predict_x0, q_sample
from ddpm_ref.judge import load_judge
from ddpm_ref.painting import load_painter
from ddpm_ref.sampling import ddim_sample_loop
from ddpm_ref.unet import UNet
from docs.tools import keys as tool

ALL = [question for number in numbers() for question in load(number)]
CHOICES = [question for question in ALL if isinstance(question, Choice)]
# What the course report asked, by what the questions are called here.
REPORT = {
    *("5-forward-process", "5-gradual-noise", "5-recognisability"),
    "7-recognisable-on-the-way-back",
    *("4-unet-suitability", "4-skip-connections", "4-class-conditioning"),
    *("6-loss-interpretation", "8-quality-over-epochs", "2-why-time"),
    *("9-what-a-clip-score-means", "9-cosine-and-chance", "9-generation-difficulty"),
    *("9-improve-with-clip", "9-applications", "9-limitations", "9-three-improvements"),
}

CHOICE = """
- id: 5-a
  kind: choice
  question: Which?
  options:
    - {text: this, right: true, why: so}
    - {text: that, right: false, why: not so}
"""
NUMBER = """
- id: 5-b
  kind: numeric
  question: How many?
  uses: import math
  key: math.sqrt(4)
  tolerance: 0.01
  unit: m
  why: so
"""
WORDS = """
- id: 5-c
  kind: open
  question: Why?
  model_answer: Because.
  rubric:
    - {points: 1, for: one thing}
    - {points: 2, for: another}
"""


@pytest.fixture
def folder(tmp_path):
    """folder(yaml) → a folder with these questions of chapter 5, and their keys."""

    def folder(content):
        (tmp_path / "ch05.yaml").write_text(content, encoding="utf-8")
        return tmp_path

    return folder


def test_every_chapter_has_questions_of_all_kinds():
    assert numbers() == list(range(10))  # 0 is the self-test, of choices only
    for number in numbers()[1:]:
        kinds = Counter(question.kind for question in load(number))
        assert sum(kinds.values()) >= 10, number
        assert kinds["choice"] >= 2 and kinds["numeric"] >= 2 and kinds["open"] >= 2, number


def test_all_that_the_report_asked_is_asked():
    assert {question.id for question in ALL if question.report} == REPORT


def test_no_question_is_there_twice():
    assert len({question.question for question in ALL}) == len(ALL)
    assert len({question.id for question in ALL}) == len(ALL)


def test_the_form_of_an_option_does_not_tell_whether_it_is_right():
    for question in CHOICES:
        lengths = [len(option.text) for option in question.options]
        wrong = [len(option.text) for option in question.options if not option.right]
        assert max(lengths) <= 2.2 * min(lengths) or max(lengths) < 30, question.id
        if len(question.right) == 1:
            assert max(lengths) <= 1.1 * max(wrong), question.id
    places = Counter(letter for question in CHOICES for letter in question.right)
    for letter in "abcd":
        assert 0.12 < places[letter] / sum(places.values()) < 0.4, places


def texts(question):
    """Everything in a question that is read by a person."""
    if isinstance(question, Choice):
        return [question.question, *(t for o in question.options for t in (o.text, o.why))]
    if isinstance(question, Numeric):
        return [question.question, question.why, question.unit]
    return [question.question, question.model_answer, *(c.what for c in question.rubric)]


@pytest.mark.parametrize("question", ALL, ids=[question.id for question in ALL])
def test_a_terminal_can_show_every_text(question):
    for text in texts(question):
        shown = re.sub(r"```.*?```|`[^`]*`", "", plain(text), flags=re.DOTALL)
        assert not re.search(r"[\\${}]", shown), shown
        assert "`" not in shown, "a backtick is not closed"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (r"$\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon$", "√ᾱ_t x_0 + √(1−ᾱ_t) ε"),
        (r"$\frac{a + b}{\sqrt{d}}$ and $x_{t-1}$", "(a + b)/√d and x_(t−1)"),
        (r"$10^{-4}$, $e^3$, $10000^{-i/(d/2 - 1)}$", "10⁻⁴, e³, 10000^(−i/(d/2 − 1))"),
        (r"$\lVert\epsilon-\epsilon_\theta\rVert^2$", "‖ε−ε_θ‖²"),
        (r"`a$b` stays, ${x}$ goes", "`a$b` stays, x goes"),
    ],
)
def test_maths_in_plain_characters(written, shown):
    assert plain(written) == shown


@pytest.mark.parametrize("wrong", ["a $ b", r"$\unknown$", "${x$", "$x}$", "$x_$", r"$\frac{1}$"])
def test_maths_that_a_terminal_cannot_show_is_refused(wrong):
    with pytest.raises(Unreadable):
        plain(wrong)


def test_keys_are_what_the_reference_computes():
    assert tool.stale() == []
    content = json.loads((ROOT / "docs" / "questions" / KEYS).read_text(encoding="utf-8"))
    assert set(content) == {question.id for question in numeric()}


def test_each_key_is_the_answer_that_its_reason_gives():
    """The prose beside a number and the number must not drift apart."""
    written = keys()
    for question in numeric():
        said = re.sub(r"(?<=\d)(\{,\}|,)(?=\d{3})", "", plain(question.why))
        found = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", said.replace("−", "-"))]
        key = written[question.id]
        room = max(question.tolerance, 0.006) * abs(key)
        assert any(abs(number - key) <= room for number in found), (question.id, key, found)


def test_a_key_that_drifts_is_found(folder):
    place = folder(NUMBER)
    assert tool.write(place) == 1
    assert keys(place) == {"5-b": 2.0} and tool.stale(place) == []
    content = json.loads((place / KEYS).read_text())
    content["5-b"]["value"] = 2.001
    (place / KEYS).write_text(json.dumps(content))
    assert tool.stale(place) == ["5-b"]


@pytest.mark.parametrize("key", ["math.sqrt(9)", "math.inf", "0 * 3", "1 / 0"])
def test_a_key_of_another_expression_or_of_no_use_is_refused(key, folder):
    place = folder(NUMBER)
    tool.write(place)
    folder(NUMBER.replace("math.sqrt(4)", key))
    with pytest.raises(Problem, match=r"docs\.tools\.keys"):
        keys(place)
    if key != "math.sqrt(9)":
        with pytest.raises(Problem, match="5-b"):
            tool.write(place)


@pytest.mark.parametrize("damaged", [None, "", "[]", "{", '{"5-b": 2}', '{"5-b": {"value": 2}}'])
def test_missing_or_damaged_keys_are_one_sentence(damaged, folder):
    place = folder(NUMBER)
    if damaged is not None:
        (place / KEYS).write_text(damaged)
    with pytest.raises(Problem, match=r"python -m docs\.tools\.keys"):
        keys(place)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("- id: [", "this is no YAML"),
        ("", "a list of questions"),
        ("- 3", "question 1: it should be fields"),
        (CHOICE.replace("5-a", "6-a"), "such as 5-"),
        (CHOICE.replace("5-a", "5_A"), "such as 5-"),
        (CHOICE + CHOICE, "5-a is there twice"),
        (CHOICE.replace("kind: choice", "kind: guess"), "choice, numeric, open"),
        (CHOICE.replace("right: true", "right: false"), "none of the options"),
        (CHOICE.replace("right: false", "right: true"), "all of the options"),
        (CHOICE.replace("text: that", "text: this"), "two of the options"),
        (CHOICE.replace("right: true", "right: 1"), "'right' should be true or false"),
        (CHOICE.replace(", why: not so", ""), "options 2: the field 'why' is missing"),
        (CHOICE.replace("why: not so", "why: ''"), "'why' is empty"),
        (CHOICE.replace("why: not so", "why: 3"), "put it in quotes"),
        (CHOICE.replace("why: not so", "why: 'a $ b'"), "a $ too many"),
        (CHOICE.replace("why: not so", "why: '```text a b ```'"), "line breaks"),
        (CHOICE.replace("why: not so", "wy: x, why: y"), "there is no field 'wy'"),
        (CHOICE.replace("  question: Which?\n", "  question: Which?\n" * 2), "is there twice"),
        (re.sub(r"    - \{text: that.*", "", CHOICE), "1 entries"),
        (NUMBER.replace("0.01", "2"), "tolerance is relative"),
        (NUMBER.replace("0.01", "true"), "'tolerance' should be a number"),
        (NUMBER.replace("math.sqrt(4)", "math.sqrt("), "no Python"),
        (NUMBER.replace("math.sqrt(4)", "torch.ones(1)"), "torch, which 'uses' does not import"),
        (NUMBER.replace("import math", "import os"), "may import from ddpm_ref"),
        (NUMBER.replace("import math", "print(1)"), "imports only"),
        (WORDS.replace("points: 2", "points: 0"), "at least 1"),
        (WORDS.replace("for: another", "what: another"), "'for' is missing"),
    ],
)
def test_a_mistake_in_a_file_is_one_sentence(content, says, folder):
    with pytest.raises(Problem) as problem:
        load(5, folder(content))
    assert says in str(problem.value)
    assert str(problem.value).startswith("ch05.yaml") and "\n" not in str(problem.value)


def test_a_file_that_is_not_text_is_one_sentence(tmp_path):
    (tmp_path / "ch05.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Problem, match=r"ch05\.yaml"):
        load(5, tmp_path)


@pytest.fixture
def answer(folder):
    """answer(text) → what was shown, and the outcomes of the three questions above."""

    def answer(text, questions=CHOICE + NUMBER + WORDS):
        screen = Console(file=io.StringIO(), width=80, highlight=False)
        quiz = Quiz({"5-b": 2.0}, io.StringIO(text) if text is not None else None, screen)
        outcomes = quiz.ask(list(load(5, folder(questions))))
        quiz.summary(outcomes, "again")
        return screen.file.getvalue(), outcomes

    return answer


def test_all_right(answer):
    shown, outcomes = answer("a\n2\nmy words\n\ny\ny\n")
    assert [outcome.points for outcome in outcomes] == [1, 1, 3]
    assert all(outcome.right for outcome in outcomes)
    assert "5 of 5 points, 3 of 3 questions right" in shown and "again" not in shown


def test_wrong_answers_are_told_why(answer):
    shown, outcomes = answer("b\n3\n\nn\nyes\n")
    assert [outcome.points for outcome in outcomes] == [0, 0, 2]
    assert "not so  ← yours" in shown and "a ✔ so" in shown and "the answer is 2 m" in shown
    assert "Because." in shown and "2 of 5 points, 0 of 3 questions right" in shown


def test_some_right_names_what_to_ask_again(answer):
    shown, _ = answer("a\n3\n\ny\ny\n")
    assert "again --question 5-b\n" in shown


def test_what_is_no_answer_is_asked_again(answer):
    shown, outcomes = answer("\nz\nab\nA.\nmany\n1,000\n1/0\nnan\n2.0 m\n\nperhaps\nY\nyes\n")
    assert all(outcome.right for outcome in outcomes)
    assert shown.count("Please give one of the letters a, b.") == 3
    assert shown.count("Please give a number") == 4
    assert shown.count("Please answer y or n.") == 1


@pytest.mark.parametrize("text", [None, "", "a\n", "a\n2\nmy words", "a\n2\n\ny\n"])
def test_the_end_of_the_input_is_the_end(text, answer):
    shown, outcomes = answer(text)
    assert len(outcomes) == 3 and not outcomes[2].right
    assert "No more answers" in shown and "questions right" in shown


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("2", 1),
        ("2.019", 1),
        ("1.981", 1),
        ("2.03", 0),
        ("4/2", 1),
        ("200%", 1),
        ("2e0", 1),
        ("−2", 0),
    ],
)
def test_numbers_and_tolerance(said, right, answer):
    assert answer(f"{said}\n", NUMBER)[1][0].points == right


def test_an_exact_number_has_to_be_exact(answer):
    exact = NUMBER.replace("0.01", "0")
    assert answer("2.0\n", exact)[1][0].right and not answer("2.001\n", exact)[1][0].right


def test_a_key_of_zero_point_three_accepts_what_decimals_lose(folder):
    question = load(5, folder(NUMBER.replace("0.01", "0")))[0]
    assert question.accepts(0.1 + 0.2, 0.3) and not question.accepts(0.3001, 0.3)


@pytest.mark.parametrize(
    ("said", "right"),
    [("ab", 1), ("b, a", 1), ("(a) and (b)", 1), ("A B", 1), ("a", 0), ("abc", 0)],
)
def test_several_right_options_are_all_to_be_named(said, right, answer):
    third = "    - {text: third, right: false, why: 'no'}\n"
    several = CHOICE.replace("right: false", "right: true") + third
    shown, outcomes = answer(f"{said}\n", several)
    assert outcomes[0].points == right and "all letters that are right" in shown


def test_an_answer_cannot_steer_the_terminal(answer):
    shown, _ = answer("\x1b[31m\na\n", CHOICE)
    assert "\x1b" not in shown


def run(*arguments, given="", **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = [sys.executable, "-m", "checks", "quiz", *map(str, arguments)]
    options = {"input": given, "capture_output": True, "text": True, "timeout": 60} | options
    return subprocess.run(command, cwd=ROOT, env=environment, **options)


def solved(number):
    """The answers to a chapter that are all right, as one would pipe them in."""
    lines = []
    for question in load(number):
        if isinstance(question, Choice):
            lines.append("".join(sorted(question.right)))
        elif isinstance(question, Numeric):
            lines.append(repr(keys()[question.id]))
        else:
            lines += ["something", "", *("y" for _ in question.rubric)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("number", [1, 5])
def test_a_whole_chapter_answered_right(number):
    done = run(number, given=solved(number))
    assert done.returncode == 0, done.stdout + done.stderr
    points = sum(question.points for question in load(number))
    assert f"{points} of {points} points" in done.stdout and done.stderr == ""


def test_one_question_and_a_wrong_answer():
    question = next(q for q in load(5) if isinstance(q, Choice))
    wrong = next(letter for letter in LETTERS if letter not in question.right)
    done = run(5, "--question", question.id, given=f"{wrong}\n")
    assert done.returncode == 1 and "0 of 1 points" in done.stdout
    reason = plain(question.options[LETTERS.index(wrong)].why)[:30]
    assert reason in re.sub(r"\s+", " ", done.stdout)


def test_the_list_names_all_and_asks_nothing():
    done = run(5, "--list")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == [question.id for question in load(5)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((99,), "no questions for chapter 99"),
        ((5, "--question", "5-nonsense"), "quiz 5 --list"),
        ((5, "--question", "1-pixel-200"), "quiz 5 --list"),
    ],
)
def test_a_wrong_question_is_one_sentence(arguments, says):
    done = run(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert says in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="file descriptors are closed another way there")
def test_without_any_standard_input():
    def close():
        os.close(0)

    done = run(5, input=None, stdin=None, preexec_fn=close)
    assert done.returncode == 1 and "No more answers" in done.stdout and done.stderr == ""


def test_it_needs_no_torch():
    code = (
        "import sys; sys.argv = ['checks', 'quiz', '5']\n"
        "from checks.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 1\n"
        "assert not {'torch', 'ddpm_ref'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input="", capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


class Terminal:
    """The quiz on a terminal of its own."""

    def __init__(self, *arguments):
        pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
            os.chdir(ROOT)
            command = [sys.executable, "-m", "checks", "quiz", *map(str, arguments)]
            os.execve(sys.executable, command, environment)
        self.shown = ""

    def wait_for(self, text):
        """Read until the text has come; everything before it is forgotten."""
        until = time.monotonic() + 60
        while text not in self.shown:
            assert time.monotonic() < until, self.shown
            if not select.select([self.file], [], [], 0.1)[0]:
                continue
            try:
                self.shown += os.read(self.file, 4096).decode(errors="replace")
            except OSError:  # the other side has ended
                break
        assert text in self.shown, self.shown
        self.shown = self.shown.partition(text)[2]

    def type(self, text):
        os.write(self.file, text.encode())

    def end(self):
        """The exit code."""
        try:
            while os.read(self.file, 4096):
                pass
        except OSError:
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.file)
        return code


def test_on_a_terminal():
    quiz = Terminal(5, "--question", "5-signal-below-noise", "--question", "5-closed-form")
    quiz.wait_for("Your answer")
    quiz.type("about a quarter\n")
    quiz.wait_for("Please give a number")
    quiz.type("259\n")
    quiz.wait_for("✔")
    quiz.wait_for("Your answer (a letter)")
    quiz.type("d\n")
    quiz.wait_for("2 of 2 points")
    assert quiz.end() == 0


@pytest.mark.parametrize(
    "key, code, says", [("\x03", 130, "Stopped."), ("\x04", 1, "No more answers")]
)
def test_control_c_and_control_d(key, code, says):
    quiz = Terminal(5, "--question", "5-closed-form")
    quiz.wait_for("Your answer")
    quiz.type(key)
    quiz.wait_for(says)
    assert quiz.end() == code


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent another way there")
def test_sigint_while_answers_are_piped():
    process = subprocess.Popen(
        [sys.executable, "-m", "checks", "quiz", "5"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    shown = ""
    while "Your answer" not in shown and process.poll() is None:
        shown += process.stdout.read(1)  # the prompt ends without a line break
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and "Stopped." in error and "Traceback" not in error


# What follows makes sure that what the reasons claim is so, where running it can tell.


def test_claim_a_condition_is_erased_by_groups_of_one_channel():
    block = ResidualBlock(8, 8, 20, conditioning="add", residual=False)
    x = torch.randn(2, 8, 5, 7)
    one, other = block(x, torch.randn(2, 20)), block(x, torch.randn(2, 20))
    assert (one - other).abs().max() < 1e-5
    block = ResidualBlock(16, 16, 20, conditioning="add", residual=False)
    x = torch.randn(2, 16, 5, 7)
    one, other = block(x, torch.randn(2, 20)), block(x, torch.randn(2, 20))
    assert (one - other).abs().max() > 1e-3


def test_claim_only_conv2_and_skip_get_a_first_gradient():
    block = ResidualBlock(16, 32, 64)
    block(torch.randn(2, 16, 6, 6), torch.randn(2, 64)).square().sum().backward()
    learning = {name for name, p in block.named_parameters() if p.grad.abs().max() > 0}
    assert learning == {"conv2.weight", "conv2.bias", "skip.weight", "skip.bias"}


def test_claim_norms_let_far_pixels_in():
    block = ResidualBlock(16, 16, 8)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(1, 16, 20, 20, requires_grad=True)
    block(x, torch.randn(1, 8))[0, 0, 0, 0].backward()
    assert x.grad[0, :, 15:, 15:].abs().max() > 0


@pytest.mark.parametrize(
    ("size", "fits"), [((28, 28), False), ((40, 16), True), ((24, 24), True), ((32, 36), False)]
)
def test_claim_sizes_that_three_halvings_allow(size, fits):
    model = UNet(multipliers=(1, 2, 4, 4), base_width=8)
    if fits:
        assert (model(torch.randn(1, 3, *size), torch.tensor([3])) == 0).all()
    else:
        with pytest.raises(ValueError, match="multiples of 8"):
            model(torch.randn(1, 3, *size), torch.tensor([3]))


def test_claim_the_loss_of_noise_prediction_falls_with_t():
    painter = load_painter()
    data = load_dataset("shapes", test=True, size=100)
    x_0, noise = to_model_range(data.images), torch.randn(100, 3, 16, 16)
    found = []
    for t in (0, 500, 999):
        steps = torch.full((100,), t)
        x_t = q_sample(painter.schedule, x_0, steps, noise)
        with torch.no_grad():
            v = painter.model(x_t, steps, data.labels)
        guess = predict_noise(
            painter.schedule, x_t, steps, predict_x0(painter.schedule, x_t, steps, v, "v")
        )
        found.append((guess - noise).square().mean().item())
    for measured, claimed in zip(found, (0.46, 0.015), strict=False):
        assert measured == pytest.approx(claimed, rel=0.15)
    assert found[2] < 1e-4


@pytest.mark.slow
def test_claim_x_0_is_recognised_long_before_x_t():
    painter = load_painter()
    judge = load_judge(ROOT / "ddpm_ref" / "weights" / "judge-shapes.safetensors")
    y, seen = torch.arange(50) % 10, {}

    def look(i, t, x_t, x_0):
        if t in (999, 899, 519, 199):
            seen[t] = [(judge.look_at(x)[1] == y).double().mean().item() for x in (x_t, x_0)]

    ddim_sample_loop(
        *(painter.model, painter.schedule, (50, 3, 16, 16), y, 50), target="v", callback=look
    )
    assert seen[999][0] < 0.3 < 0.75 < seen[999][1]
    assert seen[899][0] < 0.35 and seen[899][1] > 0.85
    assert 0.3 < seen[519][0] < 0.7 and seen[519][1] > 0.97
    assert seen[199][0] > 0.9


def test_open_questions_have_answers_worth_reading():
    for question in ALL:
        if isinstance(question, Open):
            assert len(question.model_answer) > 3 * len(question.rubric[0].what), question.id
            assert len(question.rubric) >= 2, question.id
