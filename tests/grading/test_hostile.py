"""Submissions that mean harm, or do it. Each gets its own verdict, in time, and touches nothing else."""

import ctypes
import os
import time
from pathlib import Path

import pytest
from submissions import edited, solution

from checks.catalogue import ROOT, chapters
from checks.grader import CRASHED, PASSED, TIMED_OUT

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


def needs_a_sandbox(grader, submit) -> None:
    """Skips where the kernel has no Landlock or no seccomp; where it has, the layers have to hold."""
    seccomp = Path("/proc/sys/kernel/seccomp/actions_avail").exists()
    if not seccomp or ctypes.CDLL(None).syscall(444, None, 0, 1) < 1:  # Landlock's version
        pytest.skip("needs a kernel with Landlock and seccomp")
    layers = grader.grade(NUMBER, submit(NUMBER, solution(NUMBER))).layers
    assert {"files", "calls"} <= set(layers)


def assert_the_grader_still_works(grader, submit):
    assert verdicts(grader.grade(NUMBER, submit(NUMBER, solution(NUMBER)))) == {PASSED}
