"""`python -m checks watch`: saved files are graded, whatever editors do to them."""

import os
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
from submissions import edited, solution

from checks import report, stubs
from checks import watch as watching
from checks.catalogue import ROOT, chapters
from checks.grader import FAILED
from checks.history import History
from checks.watch import Watch, Watched

RIGHT = "self.mlp(self.time(t) + self.label(y))"
WRONG = edited(solution(2), RIGHT, "self.mlp(self.time(t) * self.label(y))")
NAME = next(m.says for m in chapters()[2].misconceptions if "time(t) * self" in str(m.edits))
SECONDS = 60  # for what takes a fraction of one, on a machine that is busy
WAITS = "Waiting for the next save"


@pytest.fixture
def folder(submit):
    """A submission whose second chapter is still the stub."""
    return submit(2, stubs.stub(chapters()[2]))


@pytest.fixture
def file(folder):
    return folder / "ch02_embeddings" / "embeddings.py"


@pytest.fixture
def session(grader, folder, tmp_path, monkeypatch, capsys):
    """session(number, …) watches the folder in a thread; returns told(text): what was shown up to there."""
    ended, threads = threading.Event(), []

    def sleep(seconds):
        if ended.is_set():
            raise KeyboardInterrupt
        time.sleep(min(seconds, 0.02))

    def begin(number=2, own=False, only=None, feedback=None):
        history = History(folder, tmp_path / "history.json")

        def policy(experiment):
            return feedback or ("named" if history.failures(experiment.name) else "symptom")

        watch = Watch(grader, Watched(folder, number, own), only, policy, history, False, folder)
        threads.append(threading.Thread(target=run, args=[watch]))
        threads[0].start()
        shown = [""]

        def told(text=WAITS):
            until = time.monotonic() + SECONDS
            while text not in shown[0]:
                assert time.monotonic() < until, f"not told: {text!r}, but {shown[0]!r}"
                assert threads[0].is_alive(), shown[0]
                time.sleep(0.01)
                shown[0] += capsys.readouterr().out
            before, _, shown[0] = shown[0].partition(text)
            return before

        return told

    def run(watch):
        with suppress(KeyboardInterrupt):
            watch.run()

    monkeypatch.setattr(watching, "time", SimpleNamespace(sleep=sleep, strftime=time.strftime))
    yield begin
    ended.set()
    for thread in threads:
        thread.join(SECONDS)
    grader.outdated = lambda: False
    assert not any(thread.is_alive() for thread in threads)


def test_each_save_is_graded_and_remembered(session, file, tmp_path):
    told = session()
    beginning = told()
    assert "watching chapter 2" in beginning and "write TODO(2.1)" in beginning
    file.write_text(solution(2))
    complete = told()
    assert "ch02_embeddings/embeddings.py saved" in complete and "is complete" in complete
    file.write_text(WRONG)
    first = told()
    assert "expected float32" in first and NAME not in first
    assert "held before this save (2.3)" in first
    assert "mend 2.3" in first and "and save it" in first
    file.write_text(WRONG + "\n")
    second = told()
    assert NAME in second and "held before" not in second
    history = History(file.parent.parent, tmp_path / "history.json")
    assert max(history.failures(e.name) for e in chapters()[2].experiments) == 2


def test_files_that_are_replaced_broken_and_deleted(session, file):
    told = session()
    told()
    file.unlink()
    assert "embeddings.py deleted" in told("there is no ch02_embeddings/embeddings.py. Waiting")
    file.write_text("def half(:")
    assert "SyntaxError" in told()
    file.rename(file.with_name("embeddings.py~"))
    beside = file.with_name(".embeddings.py.new")
    beside.write_text(solution(2))
    os.replace(beside, file)
    assert "is complete" in told()
    file.parent.joinpath("helper.py").write_text("one = 1\n")
    assert "ch02_embeddings/helper.py saved" in told()


def test_a_loop_without_end_is_not_waited_for_once_it_is_mended(session, file):
    told = session()
    told()
    start = time.monotonic()
    file.write_text(solution(2) + "\nwhile True: pass\n")
    time.sleep(0.5)
    file.write_text(edited(solution(2), RIGHT, "[t for t in iter(int, 1)]"))
    time.sleep(0.5)
    file.write_text(solution(2))
    shown = told("is complete")
    assert "timed out" not in shown and time.monotonic() - start < 20


def test_without_a_number_it_follows_whoever_saves(session, submit, file):
    told = session(number=None)
    assert "watching chapter 2, then whichever you save" in told()
    submit(3, solution(3), file.parent.parent)
    assert "Chapter 3 is complete" in told()
    file.write_text(solution(2))
    assert "Chapter 2 is complete" in told()


def test_only_one_exercise(session, file):
    file.write_text(WRONG)
    shown = session(only="2.1")()
    assert "2.1" in shown and "2.2" not in shown and "This holds" in shown


def test_the_chapter_saved_last_comes_first(submit, folder):
    assert Watched(folder).first().number == 2  # nothing has been begun
    submit(1, stubs.stub(chapters()[1]))
    assert Watched(folder).first().number == 1
    submit(3, "mine", folder)
    submit(5, "mine", folder)
    place = folder / "ch05_forward_noise" / "diffusion.py"
    os.utime(place, (1, 1))
    assert Watched(folder).first().number == 3
    os.utime(place, (2**32, 2**32))
    assert Watched(folder).first().number == 5
    assert Watched(folder, 7).first().number == 7


def test_what_is_looked_at(submit, folder):
    submit(3, "mine", folder)
    for name in (
        "common.py",
        "common/deep/tool.py",
        "ch02_embeddings/helper.py",
        "ch02_embeddings/.embeddings.py.swp.py",
        "ch02_embeddings/notes.txt",
        "ch02_embeddings/__pycache__/helper.py",
        "ch02_embeddings/venv/lib.py",
        "ch02_embeddings/venv/pyvenv.cfg",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")

    def looked(**of):
        return {str(p.relative_to(folder)) for p in Watched(folder, **of).look()}

    mine = {"common.py", "common/deep/tool.py", "ch02_embeddings/helper.py"}
    mine = {os.path.normpath(name) for name in (*mine, "ch02_embeddings/embeddings.py")}
    third = {os.path.normpath("ch03_residual_block/blocks.py")}
    assert looked(number=2) == mine
    assert looked() == looked(number=2, own=True) == mine | third


def test_a_file_that_is_being_written_is_waited_for(folder, file):
    watched = Watched(folder, 2)
    before, text = watched.look(), solution(2)
    piece = len(text) // 10 + 1

    def write():
        with open(file, "w", encoding="utf-8") as stream:
            for start in range(0, len(text), piece):
                stream.write(text[start : start + piece])
                stream.flush()
                time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    now = watched.wait(before)
    writer.join()
    assert now[file] == file.read_bytes() and len(now[file]) > piece * 5


def test_the_grader_stops_when_nobody_wants_the_result(grader, submit):
    folder = submit(2, edited(solution(2), RIGHT, "[t for t in iter(int, 1)]"))
    start = time.monotonic()
    grader.outdated = lambda: time.monotonic() > start + 1
    try:
        result = grader.grade(2, folder, naming=lambda e: False)
    finally:
        grader.outdated = lambda: False
    assert time.monotonic() - start < 20
    assert {r.verdict for r in result.results} != {FAILED}
    assert grader.grade(2, submit(2, solution(2))).passed  # and is as good as before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["99"], "no chapter 99"),
        (["2", "--only", "3.1"], "chapter 2 has 2.1"),
        (["--only", "2.99"], "chapter 2 has 2.1"),
        (["--submission", "/nowhere"], "no folder /nowhere"),
        (["--feedback", "loud"], "auto, pass, symptom, named"),
    ],
)
def test_bad_input_is_one_sentence(arguments, says):
    command = [sys.executable, "-m", "checks", "watch", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 2 and says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_on_a_terminal_until_ctrl_c(folder, file):
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "checks", "watch", "2", "--submission", str(folder)]
    # In a session of its own whose terminal this is, as a shell's is: Ctrl-C is a key there.
    starts = "import os, sys; os.setsid(); os.close(os.open(os.ttyname(0), os.O_RDWR)); "
    starts += "os.execv(sys.executable, sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", starts, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "PYTHONUTF8": "1"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""

    def told(text: str) -> str:
        nonlocal shown
        until = time.monotonic() + SECONDS
        while text.encode() not in shown:
            assert time.monotonic() < until, shown
            if select.select([ours], [], [], 0.1)[0]:
                shown += os.read(ours, 1 << 16)
        before, _, shown = shown.partition(text.encode())
        return before.decode()

    try:
        first = told(WAITS)
        assert "checking" in first and "\x1b[2J" in first and "0/20 points" in first
        file.write_text(solution(2))
        assert "20/20 points" in told(WAITS)
        os.write(ours, b"\x03")
        assert "Traceback" not in told("No longer watching.")
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_the_words_of_what_was_saved(tmp_path):
    watched = Watched(tmp_path)
    a, b = tmp_path / "a.py", tmp_path / "b.py"
    assert watched.says([a, b], {a: b""}) == "a.py saved, b.py deleted"
    many = [tmp_path / f"{k}.py" for k in range(6)]
    assert watched.says(many, dict.fromkeys(many, b"")).endswith("5.py saved and 3 more")


def test_names_of_files_do_not_steer_the_terminal(tmp_path, capsys):
    report.say(Watched(tmp_path).says([tmp_path / "a\x1b[2Jb.py"], {}))
    assert "\x1b" not in capsys.readouterr().out
