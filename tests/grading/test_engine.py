"""The grader at its seams: limits, paths, isolation, channels, comparison, naming, command line."""

import io
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from submissions import edited, solution

from checks import channel, diagnose, report, stubs
from checks.capstone import Outcome
from checks.catalogue import ROOT, chapters
from checks.compare import differences
from checks.grader import (
    CRASHED,
    FAILED,
    NOT_STARTED,
    PASSED,
    TIMED_OUT,
    ChapterResult,
    Grader,
    Limits,
    Result,
    _Attempt,
    submission_folder,
)
from checks.history import History
from checks.relations import relation
from checks.workers import Pool

WRONG = ("self.mlp(self.time(t) + self.label(y))", "self.mlp(self.time(t) * self.label(y))")


def by_name(result) -> dict[str, str]:
    return {name: each.verdict for name, each in by_name_results(result).items()}


def by_name_results(result) -> dict:
    return {each.experiment.name: each for each in result.results}


@pytest.mark.parametrize(("unwritten", "verdict"), [(set(), PASSED), ({"8.3"}, NOT_STARTED)])
def test_what_this_machine_cannot_run_gives_no_points_to_a_stub(grader, unwritten, verdict):
    """As all that needs a pretended GPU with an older torch: nothing is called that could say so."""
    chapter = chapters()[8]
    answer = {"observed": {"dict": [["not run", "this torch is too old"]]}}
    attempt = _Attempt(grader, chapter, ROOT / "chapters", own=False, unwritten=unwritten)
    attempt.reference = SimpleNamespace(observe=lambda e, **how: answer)
    e = next(e for e in chapter.experiments if e.id == "8.3")
    assert attempt._judge(e, answer, "names").verdict == verdict


def test_a_mistake_that_is_not_reached_is_not_tried_and_nothing_is_lost(grader):
    """What is answered without asking is what would have been answered, for one mistake and for two."""
    chapter = chapters()[5]
    reference = grader.reference(chapter)
    skipped = 0
    for e in chapter.experiments:
        for mistakes in [(k,) for k in range(0, 40, 2)] + [(0, 25), (3, 60), (20, 90)]:
            answer = reference.observe(e, mistakes)
            key = (e.name, mistakes, ("fill", "names"))
            if key in reference._answers:
                continue
            skipped += 1
            asked = reference._ask(reference._request(e, mistakes, {"fill": "names"}))
            assert "LookupError" in str(asked.get("error")) or not differences(answer, asked)
    assert skipped > 100


# Limits and accidents.


def test_a_hang_costs_its_own_experiments_only(impatient, submit):
    text = edited(solution(2), WRONG[0], "[t for t in iter(int, 1)]")
    verdicts = by_name(impatient.grade(2, submit(2, text)))
    assert {v for name, v in verdicts.items() if name.startswith("2.3")} == {TIMED_OUT}
    assert {v for name, v in verdicts.items() if not name.startswith("2.3")} == {PASSED}


def test_ending_the_process_costs_its_own_experiments_only(impatient, submit):
    text = edited(solution(2), WRONG[0], "__import__('os')._exit(0)")
    verdicts = by_name(impatient.grade(2, submit(2, text)))
    assert {v for name, v in verdicts.items() if name.startswith("2.3")} == {CRASHED}
    assert {v for name, v in verdicts.items() if not name.startswith("2.3")} == {PASSED}


def test_the_time_of_a_chapter_is_limited(submit):
    text = re.sub(r"return (self\.table\(y\)|self\.mlp.*)", "while True: pass", solution(2))
    with Grader(limits=Limits(experiment=1, importing=20, chapter=2)) as grader:
        result = grader.grade(2, submit(2, text))
    assert "used up" in result.results[-1].symptom
    assert result.max_points == chapters()[2].points


def test_warnings_and_prints_cost_nothing(grader, submit):
    code = "import warnings, sys\nwarnings.warn('careful')\nprint('hello', file=sys.stderr)"
    result = grader.grade(2, submit(2, solution(2) + "\n" + code))
    assert result.passed
    assert "careful" in result.printed and "hello" in result.printed


def test_random_state_and_gradients_left_switched_off_do_no_harm(grader, submit):
    code = "\ntorch.manual_seed(1)\ntorch.set_grad_enabled(False)\n"
    assert grader.grade(2, submit(2, solution(2) + code)).passed


def test_a_changed_input_is_reported(grader, submit):
    text = edited(solution(2), WRONG[0], "self.mlp(self.time(t.mul_(1)) + self.label(y))")
    assert grader.grade(2, submit(2, text)).passed  # not a change: the values are the same
    text = edited(
        solution(2), WRONG[0], "self.mlp(self.time(t) + self.label(y)).add(0 * t.add_(1).sum())"
    )
    result = grader.grade(2, submit(2, text), naming=lambda e: False)
    assert any("changes its input" in r.symptom for r in result.results)


def test_a_crash_shows_the_learners_lines_only(grader, submit):
    text = edited(solution(2), WRONG[0], "self.mlp(self.time(t) @ self.label(y))")
    crashed = [r for r in grader.grade(2, submit(2, text)).results if r.verdict == CRASHED]
    assert crashed
    for result in crashed:
        assert result.frames[-1].startswith("embeddings.py, line ")
        assert "self.time(t) @ self.label(y)" in result.frames[-1]
        assert not any(
            "checks" in frame or "torch" in frame.split(":")[0] for frame in result.frames
        )


@pytest.mark.parametrize(
    "message, shown",
    [("word " * 200, "word word …"), ("x" * 900, "x" * 400 + " …")],
    ids=["words", "one"],
)
def test_a_long_message_is_cut_between_words(message, shown, grader, submit):
    text = edited(solution(2), f"return {WRONG[0]}", f"raise RuntimeError({message!r})")
    crashed = [r for r in grader.grade(2, submit(2, text)).results if r.verdict == CRASHED]
    assert crashed
    assert all(shown in r.symptom and len(r.symptom) < 600 for r in crashed)


def test_an_object_in_a_checkpoint_is_told(grader, submit):
    line = '    parts["random"] = random_states(state)\n'
    text = edited(solution(8), line, line + '    parts["how"] = state.optimizer\n')
    results = [r for r in grader.grade(8, submit(8, text)).results if r.verdict == CRASHED]
    assert {r.experiment.id for r in results} >= {"8.6", "8.7"}
    assert all("saved whole: save what its state_dict() returns" in r.symptom for r in results)


def test_a_worker_that_cannot_be_started_is_told(grader, submit):
    text = edited(solution(1), "num_workers=num_workers)", "num_workers=2)")
    result = grader.grade(1, submit(1, text))
    if "calls" not in result.layers:
        pytest.skip("workers can be started here")
    crashed = [r for r in result.results if r.verdict == CRASHED]
    assert crashed and all("num_workers has to stay the 0" in r.symptom for r in crashed)


def test_a_missing_name_is_a_failure_that_says_so(grader, submit):
    text = (
        solution(2)
        .replace("class ClassEmbedding", "class LabelEmbedding")
        .replace("ClassEmbedding(num_classes, dim)", "LabelEmbedding(num_classes, dim)")
    )
    result = grader.grade(2, submit(2, text))
    second = [r for r in result.results if r.experiment.id == "2.2"]
    assert {r.verdict for r in second} == {FAILED}
    assert "embeddings.py has no ClassEmbedding" in second[0].symptom


def test_no_temporary_file_is_left(tmp_path, monkeypatch):
    """Chapter 8 writes checkpoints, those of the reference too."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with Grader() as grader:
        assert grader.grade(8, ROOT / "solutions").points == chapters()[8].points
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_mistakes_in_three_exercises_are_named_one_by_one(grader, submit):
    """As many as somebody makes who grades a whole chapter at the end; few numbers tell of any of them."""
    text = edited(solution(8), "except (RuntimeError, AssertionError)", "except RuntimeError")
    text = edited(text, "betas=betas, weight_decay=weight_decay)", "betas=betas)")
    text = edited(text, "total += loss.detach() * len(x_0)", "total += loss.detach()")
    text = edited(text, "return float(total) / images", "return float(total) / len(loader)")
    failed = [r for r in grader.grade(8, submit(8, text)).results if r.verdict == FAILED]
    says = {r.experiment.id: " ".join(r.mistakes) for r in failed}
    assert "only a RuntimeError" in says["8.1"]
    assert "weight decay is not handed on" in says["8.2"]
    assert "each batch counts the same" in says["8.4"]


def test_a_mistake_at_the_edge_of_rounding_is_named_in_a_program_with_names_of_its_own(
    grader, submit
):
    """There another experiment passes that this mistake fails in the reference, by a hair."""
    own = ROOT / "tests/equivalents/ch03/sequential/ch03_residual_block/blocks.py"
    text = edited(own.read_text(encoding="utf-8"), "(8, channels)", "(8, channels, eps=1e-6)")
    failed = [r for r in grader.grade(3, submit(3, text)).results if r.verdict != PASSED]
    assert failed and {r.mistakes for r in failed} == {("the norms have eps 1e-6, not 1e-5",)}


@pytest.mark.parametrize(
    ("number", "old", "new", "name", "call"),
    [
        (
            5,
            ".cumprod(0)",
            ".cumsum(0)",
            "running-product",
            "torch.linspace(0.05, 0.4, 12)).alpha_bars",
        ),
        (
            5,
            "betas.float()",
            "betas.double()",
            "tables-are-float32",
            "(torch.linspace(0.05, 0.4, 12))",
        ),
        (
            1,
            "x.shape[:-3], generator=generator)",
            "x.shape[:-3])",
            "coins-come-from",
            "(uint8_images(8, 3, 4, 6), gen",
        ),
    ],
)
def test_the_call_that_is_shown_is_the_one_that_failed(
    number, old, new, name, call, grader, submit
):
    result = grader.grade(number, submit(number, edited(solution(number), old, new)))
    (failed,) = (r for r in result.results if r.experiment.name.endswith(name))
    assert failed.verdict == FAILED and call in failed.call


def test_a_missing_return_is_told(grader, submit):
    text = edited(solution(5), "    return torch.linspace(", "    torch.linspace(")
    text = edited(text, "return cls(linear_beta", "cls(linear_beta")
    by_name = {r.experiment.name: r for r in grader.grade(5, submit(5, text)).results}
    told = by_name["5.1-equal-steps"]
    assert told.symptom == "linear_beta_schedule returns nothing (None): is a `return` missing?"
    (named,) = told.mistakes  # and not that a gradient is missing
    assert named.startswith("a `return` is missing")
    assert by_name["5.1-linear-refuses"].verdict == PASSED


def test_not_implemented_with_words_of_its_own_is_no_stub(grader, submit):
    text = edited(solution(5), 'raise ValueError(f"target', 'raise NotImplementedError(f"target')
    by_name = {r.experiment.name: r for r in grader.grade(5, submit(5, text)).results}
    told = by_name["5.6-targets"]
    assert told.verdict == FAILED and "got 'NotImplementedError'" in told.symptom


def test_a_todo_of_somebody_s_own_is_no_exercise_that_is_waited_for(grader, submit):
    text = edited(
        solution(5),
        "    return torch.linspace(",
        "    raise NotImplementedError('TODO(12.3)')\n    return torch.linspace(",
    )
    result = grader.grade(5, submit(5, text))
    assert {r.needs for r in result.results} == {""} and result.results[0].verdict == NOT_STARTED
    report.next_step([result])


def test_who_draws_with_a_copy_of_the_model_is_seen(grader, submit):
    text = f"{solution(7)}\nimport copy\n"
    for loop in ("p_sample_loop", "ddim_sample_loop", "dpm_solver_2m"):
        text += f"{loop} = lambda m, *a, f={loop}, **k: f(copy.deepcopy(m), *a, **k)\n"
    result = grader.grade(7, submit(7, text))
    assert [r.symptom for r in result.results if r.verdict != PASSED] == []


def test_a_missing_name_is_no_exception_that_an_experiment_waits_for(grader, submit):
    text = solution(1).replace("to_model_range", "to_range")
    result = grader.grade(1, submit(1, text), only="1.1")
    assert {r.symptom for r in result.results} == {"data.py has no to_model_range"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "nn.Sequential(nn.Linear(dim, 4 * dim), nn.SiLU(), nn.Linear(4 * dim, 4 * dim))",
            "[nn.Linear(dim, 4 * dim), nn.SiLU(), nn.Linear(4 * dim, 4 * dim)]",
            "ConditionEmbedding.mlp holds layers",
        ),
        (
            "super().__init__()\n        if dim < 4",
            "if dim < 4",
            "SinusoidalPositionEmbeddings.__init__ does not call super().__init__()",
        ),
    ],
)
def test_what_torch_cannot_know_of_is_told(old, new, says, grader, submit):
    text = edited(solution(2), old, new)
    text = (
        text.replace("self.mlp(self.time", "self.mlp[2](self.mlp[0](self.time")
        if "[" in new
        else text
    )
    text = text.replace("+ self.label(y))", "+ self.label(y)))") if "[" in new else text
    result = grader.grade(2, submit(2, text))
    assert any(says in r.symptom for r in result.results)


@pytest.mark.parametrize(
    ("number", "old", "new", "says"),
    [
        (
            *(3, "def forward(self, x: Tensor, cond: Tensor)"),
            "def forward(self, cond: Tensor, x: Tensor)",
            "the parameters of ResidualBlock.forward stand as (cond, x), and it is called with (x, cond)",
        ),
        (
            *(5, "x_0: Tensor, t: Tensor, noise: Tensor | None = None"),
            "x_0: Tensor, noise: Tensor | None, t: Tensor",
            "(schedule, x_0, noise, t), and it is called with (schedule, x_0, t, noise)",
        ),
    ],
)
def test_parameters_in_another_order_are_told(number, old, new, says, grader, submit):
    result = grader.grade(number, submit(number, edited(solution(number), old, new)))
    failed = [r for r in result.results if r.verdict != PASSED]
    assert failed and all(says in r.mistakes[0] for r in failed if r.mistakes)


def test_parameters_of_other_names_may_have_any_order(grader, submit):
    """And more of them may stand behind; what a module offers besides may be odd."""
    text = solution(3).replace(
        "def forward(self, x: Tensor, cond: Tensor)", "def forward(self, cond, x, more=None)"
    )
    text = text.replace("(F.silu(self.norm1(x)))", "(F.silu(self.norm1(cond)))")
    text = text.replace("self.cond(F.silu(cond))", "self.cond(F.silu(x))")
    text = text.replace("self.skip(x)", "self.skip(cond)")
    text += "\n\nclass Odd:\n    def __getattr__(self, name):\n        raise SystemExit\n\n\nodd = Odd()\n"
    assert grader.grade(3, submit(3, text)).passed


def test_layers_in_a_list_beside_their_registration_are_fine(grader, submit):
    text = edited(
        solution(2),
        "nn.Linear(4 * dim, 4 * dim))\n",
        "nn.Linear(4 * dim, 4 * dim))\n        self.all = [self.time, self.label, *self.mlp]\n",
    )
    assert grader.grade(2, submit(2, text)).passed


def test_the_name_of_an_exception_is_no_shifted_timestep(grader, submit):
    text = edited(solution(6), 'wanted, reduction="none")', "wanted)[:, 0]")
    results = by_name_results(grader.grade(6, submit(6, text)))
    assert results["6.4-refuses-other-targets"].mistakes == ()


def test_no_file_is_not_started(grader, tmp_path):
    (tmp_path / "ch02_embeddings").mkdir()
    result = grader.grade(2, tmp_path)
    assert {r.verdict for r in result.results} == {NOT_STARTED}
    assert "ch02_embeddings/embeddings.py" in result.results[0].symptom


@pytest.mark.parametrize("place", ["", "chapters", "chapters/ch02_embeddings", "ch02_embeddings"])
def test_a_submission_is_found_where_it_may_be(place, tmp_path):
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "embeddings.py").write_text("")
    found = submission_folder(tmp_path, chapters()[2])
    assert found == folder or (place == "chapters" and not (found / "embeddings.py").exists())


def test_spaces_unicode_and_helpers(grader, submit, tmp_path):
    folder = tmp_path / "Zoë's work — ü 1"
    text = edited(solution(2), "import math\n", "import math\nfrom .hilfe import nothing\n")
    submit(2, text, folder)
    (folder / "ch02_embeddings" / "hilfe.py").write_text("nothing = 'ä'\n", encoding="utf-8")
    assert grader.grade(2, folder).passed
    submit(2, text.replace("from .hilfe", "from hilfe"), folder)
    assert grader.grade(2, folder).passed


def test_an_edit_in_the_same_second_is_seen(grader, submit):
    """Bytecode beside a file must not be believed: same length, same second."""
    folder = submit(2, solution(2))
    file = folder / "ch02_embeddings" / "embeddings.py"
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder)], check=True)
    stamp = file.stat()
    file.write_text(edited(solution(2), *WRONG))
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert not grader.grade(2, folder).passed


def test_two_graders_at_once(submit, tmp_path):
    folders = [
        submit(2, edited(solution(2), *WRONG), tmp_path / "a"),
        submit(2, solution(2), tmp_path / "b"),
    ]
    results = {}

    def grade(k):
        with Grader() as grader:
            results[k] = grader.grade(2, folders[k]).passed

    threads = [threading.Thread(target=grade, args=(k,)) for k in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {0: False, 1: True}


def test_without_fork_by_a_spare_process(submit, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    right, wrong = (
        submit(2, solution(2), tmp_path / "a"),
        submit(2, edited(solution(2), *WRONG), tmp_path / "b"),
    )
    hang = submit(2, solution(2) + "\nwhile True: pass\n", tmp_path / "c")
    with Grader(Pool(fork=False), Limits(experiment=5, importing=5)) as grader:
        assert grader.grade(2, right).passed
        result = grader.grade(2, wrong)
        assert any(r.mistakes for r in result.results)
        assert {r.verdict for r in grader.grade(2, hang).results} == {TIMED_OUT}
    frames = list((tmp_path / "cache").rglob("*.frame"))
    assert len(frames) >= len(chapters()[2].experiments)
    for frame in frames:
        frame.write_bytes(b"damaged")  # is not believed, but made again
    with Grader(Pool(fork=False)) as grader:
        assert grader.grade(2, right).passed


def test_without_any_layer_of_the_sandbox(submit):
    with Grader(Pool(layers=())) as grader:
        result = grader.grade(2, submit(2, solution(2)))
        assert result.passed and result.layers == ()


# Isolation.


def test_one_mistake_costs_one_chapter(grader, submit):
    folder = submit(2, edited(solution(2), *WRONG))
    for number in (3, 4):
        submit(number, solution(number))
    assert not grader.grade(2, folder).passed
    assert grader.grade(4, folder).passed


def test_own_blames_the_earliest_failing_chapter(grader, submit, capsys):
    folder = submit(2, solution(2))
    submit(
        3,
        edited(solution(3), "            h = h + self.skip(x)\n", "            h = h.flatten(1)\n"),
    )
    submit(4, solution(4))
    result = grader.grade(4, folder, own=True)
    assert not result.passed
    notes = [r.note for r in result.results if r.verdict != PASSED]
    assert notes and all("chapter 3" in note for note in notes)
    report.chapter(result, lambda e: "symptom", verbose=False)
    report.next_step([result], folder)
    said = capsys.readouterr().out
    assert f"Next: python -m checks chapter 3 --submission {folder}" in said
    # Chapter 4 is right: nothing in it is to be mended, asked about or named.
    assert "mend" not in said and "hint" not in said and "why" not in said


def test_the_own_stack_gives_the_points_with_a_note(grader, submit):
    """A block that was extended for the U-Net: the solutions' block does not know the argument."""
    folder = submit(2, solution(2))
    block = edited(
        solution(3),
        "        dropout: float = 0.0,\n",
        "        dropout: float = 0.0,\n        *,\n        extra: int = 0,\n",
    )
    block = re.sub(r"extra: int = 0,\n(\s*)(conditioning)", r"extra: int = 0,\n\1\2", block)
    submit(3, block)
    submit(
        4,
        re.sub(
            r"ResidualBlock\((\w+), (\w+), cond_dim",
            r"ResidualBlock(\1, \2, cond_dim, extra=1",
            solution(4),
        ),
    )
    result = grader.grade(4, folder)
    assert result.passed, [(r.verdict, r.symptom) for r in result.results]
    assert any("your own other chapters" in r.note for r in result.results)


# Channel, comparison, relations.


def frame(header: bytes, body: bytes = b"", magic=channel.MAGIC) -> io.BytesIO:
    return io.BytesIO(struct.pack("<4sIQ", magic, len(header), len(body)) + header + body)


def spec(**changes) -> bytes:
    one = {"dtype": "float32", "shape": [2], "start": 0, "bytes": 8, "kind": "tensor", **changes}
    return json.dumps({"arrays": [one], "observed": {"array": 0}}).encode()


def test_a_frame_goes_through():
    read = channel.read_frame(frame(spec(), np.array([1, 2], "f4").tobytes()))
    assert read["observed"]["values"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "stream",
    [
        frame(b"{}", magic=b"nope"),
        frame(b"[" * 100_000),
        frame(b"not json"),
        frame(b"[]"),
        frame(spec(shape=[3]), bytes(8)),
        frame(spec(shape=[-2]), bytes(8)),
        frame(spec(shape=[2.0]), bytes(8)),
        frame(spec(shape=[1] * 99), bytes(8)),
        frame(spec(dtype="object"), bytes(8)),
        frame(spec(start=4), bytes(8)),
        frame(spec(bytes=4, shape=[1]), bytes(8)),
        frame(json.dumps({"observed": {"array": 7}}).encode()),
        io.BytesIO(struct.pack("<4sIQ", channel.MAGIC, 2**31, 0)),
        io.BytesIO(struct.pack("<4sIQ", channel.MAGIC, 2, 2**60) + b"{}"),
    ],
)
def test_what_is_not_a_frame_is_refused(stream):
    with pytest.raises(channel.Garbled):
        channel.read_frame(stream)


def test_half_a_frame_is_an_end():
    with pytest.raises(channel.Ended):
        channel.read_frame(io.BytesIO(frame(spec(), bytes(8)).getvalue()[:-1]))


def array(values, dtype="float32") -> dict:
    values = np.asarray(values, dtype)
    return {
        "kind": "tensor",
        "dtype": dtype,
        "shape": list(values.shape),
        "device": "cpu",
        "values": values,
    }


RIGHT = np.random.default_rng(0).normal(size=(4, 3, 5))


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (-RIGHT, "sign"),
        (RIGHT * 2.5, "2.5 times"),
        ((RIGHT + 1) / 2, "0.5 · expected +0.5"),
        (RIGHT * 1.5 + 3, "1.5"),
        (RIGHT.transpose(0, 2, 1), "axes 1, 2"),
        (RIGHT[::-1], "reversed"),
        (RIGHT.clip(-0.5, 0.5), "cut off"),
        (np.broadcast_to(RIGHT[:1], RIGHT.shape), "every sample"),
        (np.random.default_rng(1).normal(size=(4, 3, 5)), None),
    ],
)
def test_general_relations(seen, says):
    found = relation(array(RIGHT), array(seen))
    assert (found is None) if says is None else (says in found)


def test_general_relations_between_ranges():
    """Ranges are only spoken of when the values lie in them."""
    right = np.random.default_rng(0).uniform(-1, 1, size=(4, 3, 5))
    assert "in [0, 1] where [−1, 1] is meant" in relation(array(right), array((right + 1) / 2))
    assert "in [−1, 1] where [0, 1] is meant" in relation(array((right + 1) / 2), array(right))
    assert "made twice" in relation(array(right), array(2 * right - 1))


def test_general_relations_on_long_axes_and_without_gradients():
    right = np.random.default_rng(0).normal(size=(12, 2))
    assert "off by one" in relation(array(right[:-1]), array(right[1:]))
    assert "no gradient" in relation(array(right), None, "gradient of x")
    assert "return missing" in relation(array(right), None)
    assert relation(array(right), array(0 * right)) == "it is 0 everywhere"
    assert relation(array(right), array(right * (1 + 5e-4))) is None  # too small to be believed


def test_what_shapes_of_parameters_and_errors_tell():
    def answer(*shapes):
        return {"signature": [[str(shape) for shape in shapes]]}

    right = answer((4, 2), (4,))
    assert diagnose.parameters(right, right) is None
    assert "12 are expected: a layer or a bias is missing" in diagnose.parameters(
        right, answer((4, 2))
    )
    assert "too many" in diagnose.parameters(right, answer((4, 2), (4,), (1,)))
    assert "laid out" in diagnose.parameters(right, answer((2, 4), (4,)))
    nothing = {"message": "unsupported operand type(s) for -: 'NoneType' and 'Tensor'"}
    assert "return missing" in diagnose.trouble(nothing)
    assert diagnose.trouble({**nothing, "frames": ["in the learner's file"]}) is None


def test_no_relation_is_read_into_random_numbers():
    """Two tensors that have nothing to do with each other, of every size: never a relation."""
    rng = np.random.default_rng(0)
    for size in range(1, 40):
        for _ in range(20):
            right, seen = rng.normal(size=(2, size))
            assert relation(array(right), array(seen)) is None
        few = rng.integers(0, 2, size=(2, size)).astype(float)
        found = relation(array(few[0]), array(few[1]))
        assert found is None or np.allclose(few[0], few[1])


# Telling.


def test_the_call_can_be_pasted(grader, submit, tmp_path):
    """The line in the report runs, in a new Python at the root of the repository."""
    calls = set()
    for number in chapters():
        text = solution(number)
        names = re.findall(r"^(?:def|class) (\w+)", text, re.M)
        broken = text + "".join(
            f"\n{n} = (lambda f: lambda *a, **k: f(*a, **k) and 0)({n})"
            for n in names
            if n[0].islower()
        )
        broken += "".join(
            f"\n{n}.forward = lambda self, *a, **k: 0 * a[0]\n"
            for n in names
            if n[0].isupper() and "forward" in text
        )
        folder = submit(number, broken, tmp_path / str(number))
        for result in grader.grade(number, folder, naming=lambda e: False).results:
            told = report.told(report.experiment_json(result))
            if result.verdict == FAILED and f">>> {result.call}" in told:
                calls.add(result.call)
    assert len(calls) >= 8
    # A call that has to be refused is refused when pasted, too.
    script = "".join(
        f"try: exec({call.replace('chapters.', 'solutions.')!r}, {{}})\nexcept ValueError: pass\n"
        for call in sorted(calls)
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_of_several_calls_the_one_that_was_not_refused_is_shown(grader, submit):
    text = edited(solution(1), " or n_val >= n:", ":")
    (result,) = grader.grade(1, submit(1, text), only="1.5-impossible-splits").results
    assert result.symptom == "n=0, 0.1: expected 'ValueError', got 'nothing'"
    assert result.call.endswith("; split_dataset(0, 0.1)")


@pytest.mark.parametrize("only", [None, "2.3-without-labels"])
def test_no_name_is_given_that_other_experiments_contradict(only, grader, submit):
    """For dim = 6, i / (half + 1) is what two known mistakes together give; elsewhere it is not."""
    text = edited(solution(2), "i / (self.half - 1)", "i / (self.half + 1)")
    result = grader.grade(2, submit(2, text), only=only)
    assert not result.passed
    assert {r.mistakes for r in result.results} == {()}


def test_control_characters_do_not_reach_the_terminal():
    assert report.clean("a\x1b[31mb\x07\x9b") == "a�[31mb��"
    assert report.clean("a\u202eb\u2066") == "a�b�"  # what turns the direction of the text


def test_history_counts_failures_and_survives_damage(tmp_path):
    file = tmp_path / "history.json"
    history = History(tmp_path, file)
    assert history.failures("2.1-x") == 0
    file.write_text("{ damaged")
    assert history.note_hint("2.1-x") == 1 and history.hints("2.1-x") == 1
    file.write_text(json.dumps({str(tmp_path.resolve()): {"failures": 3, "hints": [1]}}))
    assert history.failures("2.1-x") == 0
    unwritable = History(tmp_path, tmp_path / "no" / "where.json")
    assert unwritable.note_hint("2.1-x") == 1


def test_stub_marks_have_to_fit():
    with pytest.raises(ValueError, match="TODO"):
        stubs.cut("def f():\n    ### BEGIN SOLUTION\n    pass\n    ### END SOLUTION\n")
    with pytest.raises(ValueError, match="partner"):
        stubs.cut("# TODO(1.1): x\n### BEGIN SOLUTION\npass\n")


def test_the_judge_has_no_torch():
    code = (
        "import sys, checks.cli, checks.conftest, checks.matrix\n"
        "bad = {'torch', 'ddpm_ref', 'chapters', 'solutions', 'torchvision'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_a_chapter_needs_disturbs_no_other():
    """Chapter 9 has open_clip imported for all children; the files of chapter 8 still find their place."""
    with Grader() as grader:
        assert grader.grade(9, ROOT / "solutions", only="9.1").passed
        assert grader.grade(8, ROOT / "solutions", only="8.6").passed


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        (chapters(), "Next: python -m checks capstone"),
        ([max(chapters())], "Next: python -m checks\n"),
    ],
)
def test_after_the_last_chapter_there_is_a_next_step_too(numbers, says, tmp_path, capsys):
    done = []
    for chapter in map(chapters().get, numbers):
        passed = tuple(Result(e, PASSED) for e in chapter.experiments)
        done.append(ChapterResult(chapter, tmp_path, passed, False, "", (), 0))
    report.next_step(done)
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("lent", [(), (1, 2)])
def test_the_capstone_says_which_chapters_were_lent(lent, tmp_path, capsys):
    found = {"class_accuracy": 0.9, "val_loss": [0.1], "steps": 5, "train_seconds": 3}
    scores = {"yours": found, "reference": found}
    outcome = Outcome(scores, "", (), tmp_path, margin=0.1, lent=lent)
    report.capstone(outcome)
    said = capsys.readouterr().out
    assert ("all of it" in said) == (not lent)
    assert ("lent by the solutions: chapter 1, 2." in said) == bool(lent)
