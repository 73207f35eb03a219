"""Submissions that mean harm, or do it. Each gets its own verdict, in time, and touches nothing else."""

import ctypes
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from submissions import edited, solution

from checks import report
from checks.catalogue import ROOT, chapters
from checks.files import write_json
from checks.grader import CRASHED, NOT_STARTED, PASSED, TIMED_OUT

NUMBER = 2


def verdicts(result) -> set[str]:
    return {each.verdict for each in result.results}


def at_import(code: str) -> str:
    return solution(NUMBER) + "\n\n" + code + "\n"


ENDS = {
    "exit": ("import sys; sys.exit(0)", "SystemExit"),
    "os_exit": ("import os; os._exit(0)", "ended"),
    "segmentation_fault": ("import ctypes; ctypes.string_at(0)", "signal 11"),
    "huge_tensor": ("import torch; x = torch.ones(100 * 2**30 // 4)", "allocate"),
    "huge_bytes": ("x = bytearray(100 * 2**30)", "MemoryError"),
    "channel": (
        "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'x' * 999)\n    except OSError: pass",
        "channel",
    ),
    "syntax": ("def f(:", "SyntaxError"),
    "asks": ("input()", "EOFError"),
    "recursion": ("def f(): return f()\nf()", "RecursionError"),
    "reference": ("import ddpm_ref.embeddings", "not available"),
    "solutions": ("import solutions.ch02_embeddings.embeddings", "not available"),
    "report": (
        "print('Chapter 2: 20/20 points. Everything passes.')\nimport sys; sys.exit(0)",
        "SystemExit",
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_ends_in_a_crash_that_is_explained(name, impatient, submit):
    code, says = ENDS[name]
    result = impatient.grade(NUMBER, submit(NUMBER, at_import(code)))
    assert verdicts(result) == {CRASHED}
    assert says in result.results[0].symptom
    assert result.points == 0 and result.max_points == chapters()[NUMBER].points


ENDLESS = {
    "loop": "while True: pass",
    "sleep": "import time; time.sleep(10**6)",
    "fork_bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "output": "while True: print('x' * 2**20)",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_is_stopped_in_time(name, impatient, submit):
    start = time.monotonic()
    result = impatient.grade(NUMBER, submit(NUMBER, at_import(ENDLESS[name])))
    assert verdicts(result) == {TIMED_OUT}
    assert time.monotonic() - start < 60
    assert len(result.printed) < 1 << 20
    assert_the_grader_still_works(impatient, submit)


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.kill(os.getppid(), 9)",
        "import os\nfor pid in range(2, 99999):\n    try: os.kill(pid, 9)\n    except OSError: pass",
    ],
)
def test_killing_others(code, impatient, submit):
    """Where the sandbox holds nothing is killed; elsewhere the submission harms only itself."""
    if "range" in code:
        needs_a_sandbox(impatient, submit)  # without one this would kill the test itself
    impatient.grade(NUMBER, submit(NUMBER, at_import(code)))
    assert_the_grader_still_works(impatient, submit)


@pytest.mark.parametrize(
    "code",
    [
        "import torch\ntorch.allclose = torch.equal = lambda *a, **k: True\n"
        "torch.Tensor.__eq__ = lambda *a: True\ntorch.Tensor.mean = lambda *a, **k: 0.5",
        "import builtins\nbuiltins.abs = builtins.max = lambda *a: 0",
        "import checks.lab\nchecks.lab.near = lambda v, m: v\nchecks.lab.raises = lambda c: 'ValueError'",
    ],
)
def test_patching_the_judges_tools_changes_nothing(code, impatient, submit):
    mistake = ("self.mlp(self.time(t) + ", "self.mlp(self.time(t) * ")
    assert verdicts(impatient.grade(NUMBER, submit(NUMBER, at_import(code)))) == {PASSED}
    honest = impatient.grade(NUMBER, submit(NUMBER, edited(solution(NUMBER), *mistake)))
    patched = impatient.grade(NUMBER, submit(NUMBER, edited(at_import(code), *mistake)))
    assert [r.verdict for r in patched.results] == [r.verdict for r in honest.results]
    assert honest.points < honest.max_points


def test_a_tensor_that_equals_everything_is_no_tensor(impatient, submit):
    code = (
        "class Same(torch.Tensor):\n"
        "    def __eq__(self, other): return True\n"
        "    @classmethod\n"
        "    def __torch_function__(cls, func, types, args=(), kwargs=None):\n"
        "        return torch.zeros(3, 10).as_subclass(cls)\n"
        "SinusoidalPositionEmbeddings.forward = lambda self, t: torch.zeros(3, 10).as_subclass(Same)\n"
    )
    result = impatient.grade(NUMBER, submit(NUMBER, at_import(code)), only="2.1")
    assert PASSED not in {
        r.verdict for r in result.results if r.experiment.function != "refuses_odd_lengths"
    }


def test_files_are_not_to_be_touched_or_read(impatient, submit, tmp_path):
    needs_a_sandbox(impatient, submit)
    precious, neighbour = tmp_path / "precious", tmp_path / "neighbour.py"
    precious.write_text("precious")
    neighbour.write_text("their work")
    reading = [
        neighbour,
        ROOT / "ddpm_ref" / "embeddings.py",
        ROOT / "solutions" / "ch02_embeddings" / "embeddings.py",
        ROOT / "checks" / "experiments" / "ch02_embeddings.py",
        ROOT / "checks" / "mistakes" / "ch02_embeddings.py",
    ]
    code = "import os, shutil\ndone = []\n"
    for attempt in (
        f"os.remove({str(precious)!r})",
        f"open({str(precious)!r}, 'w')",
        f"shutil.rmtree({str(tmp_path)!r})",
        f"os.chmod({str(precious)!r}, 0)",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        *(f"open({str(path)!r}).read()" for path in reading),
    ):
        code += f"try: {attempt}; done.append({attempt!r})\nexcept OSError: pass\n"
    code += "open('scratch', 'w').write('allowed')\nprint('DONE', done)"
    result = impatient.grade(NUMBER, submit(NUMBER, at_import(code)))
    assert "DONE []" in result.printed
    assert verdicts(result) == {PASSED}
    assert precious.read_text() == "precious"


def test_nothing_of_the_reference_is_in_memory(impatient, submit):
    """Neither expected values nor the sentences and edits that quote the reference's source."""
    quoted = chapters()[NUMBER].misconceptions[0].edits[0][1]
    code = (
        "import gc, sys, warnings\n"
        "def found():\n"
        "    warnings.simplefilter('ignore')\n"
        "    kinds = (str, tuple, dict, list)\n"
        "    words = [o for o in gc.get_objects() if isinstance(o, kinds) and len(o) < 1000]\n"
        # Spelt so that this program does not find itself.
        f"    quoted = ''.join(map(chr, {list(map(ord, quoted))}))\n"
        "    return any(quoted in str(o) for o in words)\n"
        "print('FOUND', found(), 'ddpm_ref' in sys.modules)"
    )
    result = impatient.grade(NUMBER, submit(NUMBER, at_import(code)))
    assert "FOUND False False" in result.printed


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
def test_nothing_of_the_instructors_environment_is_left(impatient, submit):
    code = (
        "import os\n"
        "try: first = open('/proc/self/environ').read().strip('\\0')\n"
        "except OSError: first = ''\n"
        "print('LEFT', first, '.', 'PATH' in os.environ, os.environ.keys() & {'USER', 'PWD'})"
    )
    result = impatient.grade(NUMBER, submit(NUMBER, at_import(code)))
    assert "LEFT  . True set()" in result.printed


def test_network_and_programs_are_out_of_reach(impatient, submit):
    needs_a_sandbox(impatient, submit)
    code = (
        "import socket, subprocess\n"
        "for name, call in {'net': socket.socket, 'run': lambda: subprocess.run(['true'])}.items():\n"
        "    try: call(); print('REACHED', name)\n"
        "    except PermissionError: print('REFUSED', name)\n"
    )
    result = impatient.grade(NUMBER, submit(NUMBER, at_import(code)))
    assert "REFUSED net" in result.printed and "REFUSED run" in result.printed
    assert verdicts(result) == {PASSED}


def test_no_process_is_left_behind(impatient, submit):
    code = (
        "import os, time\n"
        "try:\n    pid = os.fork()\n"
        "except OSError:\n    pid = None\n"
        "if pid == 0:\n    os.setsid()\n    open('/proc/self/comm', 'w').write('leftover')\n"
        "    time.sleep(600)\n"
    )
    impatient.grade(NUMBER, submit(NUMBER, at_import(code)))
    names = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            names.append(Path(f"/proc/{entry}/comm").read_text().strip())
        except OSError:
            continue
    assert "leftover" not in names


FORGED = {
    "calls": "{'observed': 1, 'calls': 5}",
    "dictionary": "{'observed': {'dict': 5}}",
    "pairs": "{'observed': {'dict': [1]}}",
    "list": "{'observed': {'list': 5}}",
    "bare_list": "{'observed': [[[]]]}",
    "margin": "{'observed': {'near': 'a', 'margin': 1}}",
    "array": "{'observed': {'values': [1], 'shape': [1]}}",
    "number": "{'observed': {'number': [1]}}",
    "huge_number": "{'observed': {'number': 10**400}}",
    "huge_int": "{'observed': 10**400}",
    "deep": "{'observed': deep}",
    "nothing": "{}",
    "other_names": "{'other_names': True}",
    "error": "{'error': 'x'}",
    "empty_error": "{'error': {}}",
    "frames": "{'error': {'kind': 'crashed', 'frames': 5}}",
    "message": "{'error': {'kind': 'not started', 'message': [1]}}",
    "changed": "{'observed': None, 'changed': {'a': 1}}",
    "signature": "{'observed': None, 'signature': 7}",
    "imports": "{'observed': None, 'imports': 3}",
    "parameters": "{'observed': None, 'parameters': [[]]}",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_answer_ends_no_judge(name, impatient, submit):
    """What a submission writes in the grader's place is refused when it is no answer at all."""
    code = (
        "import sys\n"
        "deep = None\nfor _ in range(400): deep = {'list': [deep]}\n"
        "channel = sys.modules['checks.channel']\n"
        "real = channel.write_frame\n"
        "def forged(stream, header, pieces=()):\n"
        "    if header['serial'] == 1: return real(stream, header, pieces)\n"
        f"    return real(stream, {{'serial': header['serial'], **{FORGED[name]}}})\n"
        "channel.write_frame = forged\n"
    )
    result = impatient.grade(NUMBER, submit(NUMBER, at_import(code)), only="2.1")
    assert verdicts(result) == {CRASHED}
    assert "channel" in result.results[0].symptom


ODD = {
    "half_characters": "raise RuntimeError('\\ud800')",
    "no_text": "raise Odd()",
    "much": "return torch.zeros(5000, 5000)",
}


@pytest.mark.parametrize("name", ODD)
def test_errors_and_results_that_cannot_be_told(name, impatient, submit, tmp_path):
    """They cost their own experiments, and every report about them can be written."""
    old = "return self.mlp(self.time(t) + self.label(y))"
    odd = "\n\nclass Odd(Exception):\n    def __str__(self): raise SystemExit\n    __repr__ = __str__\n"
    folder = submit(NUMBER, edited(solution(NUMBER), old, ODD[name]) + odd)
    result = impatient.grade(NUMBER, folder)
    wrong = {r.experiment.id for r in result.results if r.verdict != PASSED}
    assert wrong == {"2.3"}
    told = report.as_json([result])
    write_json(tmp_path / "results.json", told)
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8")) == told
    if name == "much":
        assert any("too much for one observation" in r.symptom for r in result.results)


SWITCHES = {
    "dtype": "torch.set_default_dtype(torch.float64)",
    "device": "torch.set_default_device('meta')",
    "gradients": "torch.set_grad_enabled(False)",
    "inference": "Left.mode = torch.inference_mode(); Left.mode.__enter__()",
    "autocast": "Left.mode = torch.autocast('cpu'); Left.mode.__enter__()",
    "threads": "torch.set_num_threads(2)",
    "anomaly": "torch.set_anomaly_enabled(True)",
    "seeds": "torch.manual_seed(0); np.random.seed(0); random.seed(0)",
    "function_mode": "Left.mode = Zeros(); Left.mode.__enter__()",
    "folder": "os.chdir('/'); sys.path.clear(); os.environ.clear()",
    "trace": "sys.settrace(lambda *a: None); sys.setrecursionlimit(50000)",
    "output": "sys.stdout = sys.stderr = Deaf()",
    "threads_that_stay": "threading.Thread(target=time.sleep, args=(1000,)).start()",
    "at_exit": "atexit.register(time.sleep, 1000)",
}


@pytest.mark.parametrize("name", SWITCHES)
def test_what_is_left_behind_does_not_reach_the_next_experiment(name, grader, submit):
    """What is set when a label is refused may harm the two experiments that try it, and none after them."""
    helpers = (
        "import atexit, os, random, sys, threading, time\n"
        "import numpy as np\n"
        "class Left: pass\n"
        "class Deaf:\n"
        "    def write(self, text): raise RuntimeError\n"
        "    def flush(self): raise SystemExit\n"
        "class Zeros(torch.overrides.TorchFunctionMode):\n"
        "    def __torch_function__(self, func, types, args=(), kwargs=None):\n"
        "        out = func(*args, **(kwargs or {}))\n"
        "        return out * 0 if isinstance(out, torch.Tensor) and out.is_floating_point() else out\n"
    )
    old = '            raise ValueError(\n                f"labels must'
    text = edited(solution(NUMBER), old, f"            {SWITCHES[name]}\n{old}") + helpers
    result = grader.grade(NUMBER, submit(NUMBER, text))
    harmed = {r.experiment.name for r in result.results if r.verdict != PASSED}
    assert harmed <= {"2.2-refuses-labels-outside", "2.3-depends-on-time-and-class"}


def test_the_disk_is_not_filled(impatient, submit):
    """Many files, each of a size that is allowed."""
    code = (
        "n = 0\n"
        "while True:\n"
        "    with open(f'file{n}', 'wb') as file: file.write(bytes(1 << 23))\n"
        "    n += 1\n"
    )
    before = shutil.disk_usage(tempfile.gettempdir()).free
    result = impatient.grade(NUMBER, submit(NUMBER, at_import(code)))
    assert verdicts(result) <= {CRASHED, TIMED_OUT}
    assert "more files" in result.results[0].symptom
    assert before - shutil.disk_usage(tempfile.gettempdir()).free < 1 << 30


@pytest.mark.parametrize("what", ["the folder", "the file", "itself", "a pipe", "a file as folder"])
def test_links_and_other_things_in_the_place_of_a_chapter(what, impatient, submit, tmp_path):
    """Somebody else's work, reached through a link, is not graded as one's own."""
    theirs = submit(NUMBER, solution(NUMBER), tmp_path / "theirs") / "ch02_embeddings"
    mine = tmp_path / "mine"
    place = mine / "ch02_embeddings"
    mine.mkdir()
    if what == "the folder":
        place.symlink_to(theirs)
    elif what == "itself":
        place.symlink_to(place)
    elif what == "a file as folder":
        place.write_text("not a folder")
    else:
        place.mkdir()
        if what == "a pipe":
            os.mkfifo(place / "embeddings.py")
        else:
            (place / "embeddings.py").symlink_to(theirs / "embeddings.py")
    result = impatient.grade(NUMBER, mine)
    assert verdicts(result) == {NOT_STARTED}
    assert ("a link leads out" in result.results[0].symptom) == what.startswith("the ")


@pytest.mark.skipif(os.name == "nt" or not os.geteuid(), reason="root may read everything")
def test_a_chapter_that_may_not_be_read_is_not_there(impatient, submit):
    folder = submit(NUMBER, solution(NUMBER)) / "ch02_embeddings"
    folder.chmod(0)
    try:
        result = impatient.grade(NUMBER, folder.parent)
    finally:
        folder.chmod(0o755)
    assert verdicts(result) == {NOT_STARTED}
    assert "may be read" in result.results[0].symptom


def needs_a_sandbox(grader, submit) -> None:
    """Skips where the kernel has no Landlock or no seccomp; where it has, the layers have to hold."""
    seccomp = Path("/proc/sys/kernel/seccomp/actions_avail").exists()
    if not seccomp or ctypes.CDLL(None).syscall(444, None, 0, 1) < 1:  # Landlock's version
        pytest.skip("needs a kernel with Landlock and seccomp")
    layers = grader.grade(NUMBER, submit(NUMBER, solution(NUMBER))).layers
    assert {"files", "calls"} <= set(layers)


def assert_the_grader_still_works(grader, submit):
    assert verdicts(grader.grade(NUMBER, submit(NUMBER, solution(NUMBER)))) == {PASSED}
