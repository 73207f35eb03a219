"""`python -m checks doctor`: is this machine fit? Whatever can be tried is tried.

Nothing but the standard library is imported here, so that it can tell what is missing when all else is.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from checks.catalogue import ROOT, chapters
from checks.files import Problem
from checks.stubs import is_stub, solution_of, stub_of

OK, NOTE, PROBLEM = "ok", "note", "problem"
GB = 1e9
LITTLE_MEMORY = 1.5 * GB  # torch, a child that is graded and its limit fit in
LITTLE_DISK, NO_DISK = 1 * GB, 0.1 * GB  # a run with its pictures; what grading writes meanwhile
SLOW = 5.0  # seconds for a chapter that is graded again
PATIENCE = 300.0  # seconds for an import of torch from the slowest disk
IMPORTED_AS = {"open_clip_torch": "open_clip", "pillow": "PIL", "pyyaml": "yaml"}
ON_ITS_OWN_LINE = ("torch", "torchvision", "open_clip_torch")
LAYERS = {
    "limits": "memory, processor time and files that a submission may take are bounded",
    "user": "a submission runs as nobody",
    "namespaces": "a submission sees no network and no other process",
    "files": "a submission reads no reference and writes in its scratch folder only (Landlock)",
    "calls": "a submission starts no program and opens no connection (seccomp)",
}


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        level: "ok", "note" (work is possible), "problem" (it is not).
        about: what was looked at, a word or two.
        says: what was found.
        do: what to do about it; "" when there is nothing to do.
    """

    level: str
    about: str
    says: str
    do: str = ""

    def __str__(self):
        says = f"{self.says}: {self.do}" if self.do else self.says
        return f"{self.level:8} {self.about:15} {says}"


def findings():
    """All that is to be told, in the order in which it is found; takes some seconds."""
    parts = (course, system, python, packages, processor, memory, disk, terminal, rooms)
    for part in (*parts, torch_and_device, grading, network):
        try:
            for finding in part():
                # What goes into a public question need not tell who asks it.
                yield Finding(*map(without_home, asdict(finding).values()))
        except Exception as error:  # the others are worth as much without this one
            about = part.__name__.partition("_")[0]
            yield Finding(NOTE, about, f"could not be found out ({type(error).__name__}: {error})")


def verdict(found: list[Finding]) -> Finding:
    """What it comes to."""
    problems = [f.about for f in found if f.level == PROBLEM]
    if not problems:
        return Finding(OK, "all in all", "nothing here prevents your work")
    names = ", ".join(dict.fromkeys(problems))
    return Finding(PROBLEM, "all in all", f"mend first what is called a problem above ({names})")


def as_json(found: list[Finding]) -> dict:
    """What `--json` writes."""
    return {"fit": verdict(found).level == OK, "findings": [asdict(f) for f in found]}


def plainly() -> int:
    """The same where what the command line is made of is missing."""
    found = []
    for finding in findings():
        found.append(finding)
        print(finding, flush=True)
    print(verdict(found))
    return 0 if verdict(found).level == OK else 1


def without_home(text: str) -> str:
    home = str(Path.home())
    return text.replace(home, "~") if len(Path(home).parts) > 1 else text


def course():
    said = f"{_settings()['project']['version']} in {ROOT}"
    if not (ROOT / ".git").exists() or not (commit := _git("log", "-1", "--format=%h of %cs")):
        yield Finding(OK, "course", f"{said}, not a git clone")
        return
    said += f", commit {commit}"
    lines = _git("status", "--porcelain", "--", "checks", "ddpm_ref", "solutions").splitlines()
    if not lines:
        yield Finding(OK, "course", f"{said}, grader, reference and solutions unchanged")
        return
    names = ", ".join(line.split()[-1] for line in lines[:4]) + (" …" if len(lines) > 4 else "")
    do = "if you did not mean that, git checkout takes them back"
    yield Finding(NOTE, "course", f"{said}, changed since: {names}", do)


def system():
    yield Finding(OK, "system", platform.platform())


def python():
    asked = _settings()["project"]["requires-python"].lstrip(">=")
    said = f"{platform.python_version()} ({platform.python_implementation()}) in {sys.prefix}"
    if sys.version_info[:2] < tuple(map(int, asked.split("."))):
        do = f"make setup PYTHON=python{asked}"
        yield Finding(PROBLEM, "Python", f"{said}, and {asked} or newer is needed", do)
    elif sys.maxsize < 1 << 32:
        yield Finding(PROBLEM, "Python", f"{said}, of 32 bits", "torch needs one of 64 bits")
    else:
        yield Finding(OK, "Python", f"{said}; {asked} or newer is asked for")


def packages():
    """Those that pyproject.toml asks for; found, and not imported."""
    fine = []
    for asked in _settings()["project"]["dependencies"]:
        name, least = re.match(r"([\w.-]+)[^>]*>=\s*([\d.]+)", asked).groups()
        about = name if name in ON_ITS_OWN_LINE else "packages"
        try:
            there = version(name)
        except PackageNotFoundError:
            there = None
        if there is None or find_spec(IMPORTED_AS.get(name, name)) is None:
            yield Finding(PROBLEM, about, f"{name} is missing", how_to_install())
        elif _numbers(there) < _numbers(least):
            says = f"{name} {there} is older than {least}"
            yield Finding(PROBLEM, about, says, how_to_install())
        elif name in ON_ITS_OWN_LINE:
            yield Finding(OK, about, f"{there}; {least} or newer is asked for")
        else:
            fine.append(f"{name} {there}")
    if fine:
        yield Finding(OK, "packages", ", ".join(fine))


def how_to_install() -> str:
    """Most often what is missing is there, in the Python that was not asked."""
    windows = os.name == "nt"
    if (ROOT / ".venv").is_dir() and Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        return "activate .venv: " + (
            r".venv\Scripts\activate" if windows else ". .venv/bin/activate"
        )
    return "python make.py setup" if windows else "make setup"


def processor():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    said = f"{cores} cores" if cores != 1 else "1 core"
    quota, _, period = (_read("/sys/fs/cgroup/cpu.max") or "max").partition(" ")
    if quota != "max" and float(quota) / float(period) < cores:
        said += f", of which this container may use {float(quota) / float(period):g}"
    if threads := os.environ.get("OMP_NUM_THREADS"):
        said += f"; OMP_NUM_THREADS={threads} limits torch"
    yield Finding(OK, "processor", said)


def memory():
    free, total = _memory()
    if free is None:
        says = f"{total / GB:.1f} GB; how much of it is free cannot be told here"
        yield Finding(OK, "memory", says)
        return
    says = f"{free / GB:.1f} of {total / GB:.1f} GB free"
    if free < LITTLE_MEMORY:
        yield Finding(NOTE, "memory", says, "close other programs before you train")
    else:
        yield Finding(OK, "memory", says)


def _memory() -> tuple[float | None, float]:
    """Bytes that are free (None where the system does not tell), and all of them."""
    if text := _read("/proc/meminfo"):
        kilobytes = dict(re.findall(r"^(\w+):\s+(\d+)", text, re.MULTILINE))
        free, total = (int(kilobytes[name]) * 1024 for name in ("MemAvailable", "MemTotal"))
        limit = _read("/sys/fs/cgroup/memory.max") or "max"
        if limit != "max" and int(limit) < total:  # a container with a share of the machine
            used = int(_read("/sys/fs/cgroup/memory.current") or 0)
            total, free = int(limit), min(free, max(0, int(limit) - used))
        return free, total
    if os.name == "nt":
        import ctypes

        class Status(ctypes.Structure):
            _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
                (name, ctypes.c_ulonglong) for name in ("total", "free", *"abcde")
            ]

        status = Status(length=ctypes.sizeof(Status))
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return status.free, status.total
    return None, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def disk():
    try:
        scratch = Path(tempfile.gettempdir())
    except FileNotFoundError:
        says = "there is no folder for temporary files that can be written"
        yield Finding(PROBLEM, "disk", says, "set TMPDIR to one")
    else:
        yield _room(
            scratch, "temporary files, which grading needs", PROBLEM, "set TMPDIR to another"
        )
    yield _room(Path.cwd(), "runs/, here", NOTE, "give --out to what writes")
    if not os.access(ROOT / "chapters", os.W_OK):
        do = "copy chapters/ to a folder of yours and give --submission"
        yield Finding(NOTE, "disk", "chapters/ cannot be written", do)


def _room(place: Path, what_for: str, without: str, do: str) -> Finding:
    """Is there room, and may one write?

    Args:
        without: the level when there is not.
    """
    try:
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        return Finding(without, "disk", f"{place} cannot be written ({error.strerror})", do)
    free = shutil.disk_usage(place).free
    says = f"{free / GB:.1f} GB free for {what_for} ({place})"
    if free < NO_DISK:
        return Finding(without, "disk", says, do)
    return Finding(NOTE, "disk", says, do) if free < LITTLE_DISK else Finding(OK, "disk", says)


def terminal():
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    where = (
        f"{shutil.get_terminal_size().columns} columns" if sys.stdout.isatty() else "a file or pipe"
    )
    try:
        "✔ ✘ ★ √ᾱ".encode(encoding)
    except UnicodeEncodeError:
        says = f"{encoding}, {where}: marks and formulas become question marks"
        yield Finding(NOTE, "terminal", says, "set PYTHONUTF8=1")
    else:
        yield Finding(OK, "terminal", f"{encoding}, {where}")


def rooms():
    """Is everything there that grading needs, and what of the learner's?"""
    every = chapters().values()
    files = [file for c in every for file in (c.reference_file, solution_of(c))]
    missing = [str(file.relative_to(ROOT)) for file in files if not file.is_file()]
    if missing:
        do = "take it from the course again (git checkout)"
        yield Finding(PROBLEM, "files", f"there is no {', '.join(missing)}", do)
        return
    for each in every:
        if not stub_of(each).is_file():
            says = f"there is no {stub_of(each).relative_to(ROOT)}"
            yield Finding(NOTE, "chapters", says, f"python -m checks reset {each.number}")
    begun = [str(c.number) for c in every if stub_of(c).is_file() and not is_stub(c)]
    says = f"{len(every)}, begun: {', '.join(begun) or 'none'}"
    yield Finding(OK, "chapters", says)


def torch_and_device():
    """What `ddpm train` would take. In a process of its own: a broken torch may end it."""
    facts, failure = _facts()
    if "torch" not in facts:
        yield Finding(PROBLEM, "torch", f"cannot be imported ({failure})", how_to_install())
        return
    yield Finding(OK, "torch", f"imported in {facts['seconds']:.1f} s, {facts['build']}")
    if "device" not in facts:
        yield Finding(PROBLEM, "device", f"none could be chosen ({failure})", how_to_install())
        return
    name = facts["device"]
    if facts["trouble"]:
        do = "give ddpm --device cpu, or mend the driver"
        yield Finding(NOTE, "device", f"{name} is there and fails ({facts['trouble']})", do)
    elif facts["device"].startswith("cpu") and has_nvidia():
        do = "install a torch with CUDA that is no newer than the driver"
        yield Finding(NOTE, "device", f"{name}, though there is an NVIDIA driver", do)
    else:
        yield Finding(OK, "device", f"{name}: ddpm train takes this")
    units = "there are bf16 units" if facts["bf16"] else "there are no bf16 units"
    yield Finding(OK, "precision", f"{facts['precision']}: {units}")
    if failure:  # after all the rest: only torchvision is left
        yield Finding(PROBLEM, "torchvision", f"does not fit torch ({failure})", how_to_install())
    yield _installed(facts["ddpm_ref"])


def _facts() -> tuple[dict, str]:
    """What `checks/device.py` tells, and why it stopped ("" when it came to its end)."""
    command = [sys.executable, "-P", str(ROOT / "checks" / "device.py"), str(ROOT)]
    try:
        done = subprocess.run(
            command,
            cwd=tempfile.gettempdir(),  # where it would find no ddpm_ref by chance
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return {}, f"not done after {PATIENCE:.0f} seconds"
    facts = {}
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith("{"):
            facts |= json.loads(line)
    if not done.returncode:
        return facts, ""
    last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return facts, last[0] if last else f"it ended with code {done.returncode}"


def has_nvidia() -> bool:
    return bool(shutil.which("nvidia-smi")) or os.path.exists("/proc/driver/nvidia/version")


def _installed(origin: str | None) -> Finding:
    """Is the command `ddpm` the one of this checkout?"""
    if origin is None:
        says = (
            "the command ddpm is not installed in this Python; python -m ddpm_ref works from here"
        )
        return Finding(NOTE, "ddpm_ref", says, how_to_install())
    place = Path(origin).resolve().parent
    if place == ROOT / "ddpm_ref":
        return Finding(OK, "ddpm_ref", "the command ddpm is the one of this folder")
    says = f"the command ddpm takes it from {place}, not from this folder"
    return Finding(NOTE, "ddpm_ref", says, how_to_install())


def grading():
    """Chapter 2's solution, as `python -m checks chapter 2` would; then, what the sandbox lets through."""
    try:
        from checks.grader import PASSED, Grader
        from checks.workers import Pool
    except ModuleNotFoundError as error:
        yield Finding(PROBLEM, "grading", f"it cannot run ({error})", how_to_install())
        return
    try:
        start = time.monotonic()
        with Grader(Pool()) as grader:
            first = grader.grade(2, ROOT / "solutions", naming=lambda e: False)
            cold = time.monotonic() - start
            if not first.passed:
                bad = next(r for r in first.results if r.verdict != PASSED)
                says = f"chapter 2's solution fails ({bad.experiment.name}: {bad.symptom})"
                yield Finding(PROBLEM, "grading", says, "has something been changed?")
                return
            warm = grader.grade(2, ROOT / "solutions").seconds
            says = (
                f"chapter 2's solution passes: {cold:.1f} s with torch's import, then {warm:.2f} s"
            )
            slow = "does a virus scanner, or another program, take its time?" if warm > SLOW else ""
            yield Finding(NOTE if slow else OK, "grading", says, slow)
            how = (
                "forked from one that holds torch"
                if grader.pool.fork
                else "a spare one, kept ready"
            )
            yield Finding(OK, "processes", how)
            yield from sandbox(first.layers, grader)
    except Problem as error:
        yield Finding(PROBLEM, "grading", str(error))


def sandbox(layers: tuple[str, ...], grader):
    """Each layer, tried from within: `checks/probe.py` is graded as if somebody had handed it in."""
    with tempfile.TemporaryDirectory(prefix="checks-") as place:
        os.chmod(place, 0o755)  # another user has to be able to read it
        file = Path(place) / chapters()[2].folder / f"{chapters()[2].module}.py"
        file.parent.mkdir()
        shutil.copy(ROOT / "checks" / "probe.py", file)
        told = f"ROOT, LAYERS = {str(ROOT)!r}, {list(layers)!r}\n"
        file.with_name("told.py").write_text(told, encoding="utf-8")
        first = chapters()[2].experiments[0].name
        probed = grader.grade(2, Path(place), only=first, naming=lambda e: False)
    lines = [line for line in probed.printed.splitlines() if line.startswith("{")]
    for layer, meaning in LAYERS.items():
        if layer not in layers:
            yield _without(layer)
        elif not lines:
            yield Finding(NOTE, "sandbox", f"{layer}: on, but it could not be tried")
        elif broken := json.loads(lines[-1])[layer]:
            says = f"{layer}: on, and yet a submission could {', '.join(broken)}"
            yield Finding(PROBLEM, "sandbox", says, "grade nobody else's code here, and tell us")
        else:
            yield Finding(OK, "sandbox", f"{layer}: {meaning}")


def _without(layer: str) -> Finding:
    if layer == "user" and sys.platform == "linux" and os.geteuid() != 0:
        return Finding(OK, "sandbox", "user: not needed, since you are not root")
    why = "this system does not offer it"
    if layer == "user" and sys.platform == "linux":
        why = "the user nobody cannot read this folder, or this Python"
    do = "your own code needs none of it; other people's is better graded elsewhere"
    return Finding(NOTE, "sandbox", f"{layer}: off ({why})", do)


def network():
    yield Finding(OK, "network", "not needed, but for CIFAR-10, MNIST and larger CLIPs")


def _settings() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.match(r"\d+(?:\.\d+)*", text)[0].split(".")))


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _git(*arguments: str) -> str:
    """What git says; "" where there is none, or none that wants to."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""
