"""Set up this project and run its commands: `python make.py TARGET [arguments...]`.

The Makefile is a short name for this file, which also works where there is no make. Each target
first makes sure that `.venv`, next to this file, holds what the target needs, then runs the
target's commands with that Python from the root of the repository. No third-party module is used
here, and the syntax stays that of Python 3.6, so that an old Python can say that it is too old.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
UNFINISHED = VENV / "unfinished"  # there from the creation of .venv to the end of its first install
NEEDED = (3, 11)
LOOK_ABOVE = "The log above says why; if it is the network, connect and run the same command again."

LINT = [["-m", "ruff", "check", "."], ["-m", "ruff", "format", "--check", "."]]
FORMAT = [["-m", "ruff", "check", "--fix", "."], ["-m", "ruff", "format", "."]]
# Each worker imports torch anew, so a machine with many cores gets eight of them, not all.
# Tests that share a costly thing (the built site and its browser) are a group, which one worker gets.
PYTEST = ["-m", "pytest", "-n", "auto", "--maxprocesses", "8", "--dist", "loadgroup"]
FIGURES = [["-m", "docs.tools.figures"], ["-m", "docs.tools.keys"]]
DOCS = [
    ["-m", "docs.tools.check"],
    ["-m", "mkdocs", "build", "--strict"],
    ["-m", "docs.tools.links"],
]

# target: (what it does, the extras that it needs, its arguments -> what to give to .venv's Python)
TARGETS = {
    "setup": ("install everything that a learner needs", ["test"], lambda args: []),
    "demo": ("draw pictures", [], lambda args: [["-m", "ddpm_ref", "demo", *args]]),
    "test": (
        "lint, then run the tests, the slow ones only when asked to: ARGS=tests is all of them",
        ["test", "docs"],
        lambda args: [*LINT, [*PYTEST, *(args or ["-m", "not slow"])]],
    ),
    "lint": ("check style and formatting", ["test"], lambda args: LINT),
    "format": ("mend style and formatting", ["test"], lambda args: FORMAT),
    "stubs": ("cut the chapters' stubs from solutions/", [], lambda args: [["-m", "checks.stubs"]]),
    "docs": ("build the site into site/", ["docs"], lambda args: DOCS),
    "docs-serve": (
        "show the site, and build it anew at each change",
        ["docs"],
        lambda args: [["-m", "mkdocs", "serve", "--livereload", "--open", *args]],
    ),
    "figures": ("draw the site's figures, compute its numbers", [], lambda args: FIGURES),
    "bench": ("run benchmarks/NAME.py", ["bench"], lambda args: [benchmark(*args)]),
}


def main(argv):
    if not argv or argv[0] in ("help", "-h", "--help"):
        print(usage())
        return 0
    if argv[0] not in TARGETS:
        stop(f"there is no target {argv[0]!r}; the targets are {', '.join(TARGETS)}.")
    _, extras, commands_for = TARGETS[argv[0]]
    commands = commands_for(argv[1:])
    install(extras)
    if not commands:
        say(f"ready: {VENV_PYTHON}")
    codes = [call([VENV_PYTHON, *command]) for command in commands]
    return next((code for code in codes if code != 0), 0)


def usage():
    lines = [f"  {name:10} {target[0]}" for name, target in TARGETS.items()]
    start = "python make.py TARGET [arguments...]      or: make TARGET ARGS='arguments...'"
    return "\n".join([start, "", *lines])


def benchmark(name=None, *args):
    """The command of one benchmark; without a known name, an error that lists them."""
    names = sorted(path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py"))
    if name not in names:
        stop(f"name a benchmark: {', '.join(names) or 'there are none yet'}.")
    return [f"benchmarks/{name}.py", *args]


def install(extras):
    """Bring `.venv` up to date; costs nothing when the stamps in it say that it is."""
    create_venv()
    now = fingerprint()
    stamps = [VENV / ("installed-" + name) for name in ["base", *extras]]
    if all(stamp.exists() and stamp.read_text() == now for stamp in stamps):
        return
    for stamp in stamps:
        if stamp.exists():
            stamp.unlink()
    if call(install_command(extras)) != 0:
        stop(f"the installation failed. {LOOK_ABOVE}")
    for stamp in stamps:
        stamp.write_text(now)
    if UNFINISHED.exists():
        UNFINISHED.unlink()


def create_venv():
    """Make `.venv`, unless a usable one is there (whoever made it)."""
    if UNFINISHED.exists() or ((VENV / "pyvenv.cfg").exists() and not VENV_PYTHON.exists()):
        say("the .venv that is here was not finished, or its Python is gone: making it again.")
        shutil.rmtree(VENV)
    if VENV_PYTHON.exists():
        major, minor = venv_version()
        if (major, minor) < NEEDED:
            stop(f"the .venv here has Python {major}.{minor}: delete it and run this again.")
        return
    uv = find_uv()
    if not uv and not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        stop("this Python cannot make virtual environments; on Debian: apt install python3-venv.")
    VENV.mkdir(exist_ok=True)
    UNFINISHED.touch()
    # With --seed the environment has pip, and so still works on the day that uv is gone.
    with_uv = [uv, "venv", "--quiet", "--seed", "--allow-existing", "--python", sys.executable]
    command = with_uv if uv else [sys.executable, "-m", "venv"]
    if call([*command, VENV]) != 0:
        stop(f"could not create {VENV}. {LOOK_ABOVE}")


def venv_version():
    return tuple(map(int, re.search(r"version\w* = (\d+)\.(\d+)", venv_config()).groups()))


def venv_config():
    return (VENV / "pyvenv.cfg").read_text(encoding="utf-8")


def fingerprint():
    """Changes with the project's metadata, the Python of `.venv`, and the place of the clone."""
    import tomllib  # not at the top: Python 3.11 brought it

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [settings["build-system"], settings["project"], settings["tool"]["setuptools"]]
    text = json.dumps([parts, venv_config(), str(ROOT)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def install_command(extras):
    """The command that installs the project, editable, with these extras."""
    project = ["--editable", f".[{','.join(extras)}]" if extras else "."]
    uv = find_uv()
    if uv:
        say("installing with uv.")
        command = [uv, "pip", "install", "--python", VENV_PYTHON, *project]
        return command + torch_backend(command)
    if sys.platform == "linux":
        say("installing with pip, torch for NVIDIA included: 3 GB the first time (less with uv).")
    else:
        say("installing with pip.")
    pip = [VENV_PYTHON, "-m", "pip"]
    if quietly([*pip, "--version"]).returncode != 0:
        call([VENV_PYTHON, "-m", "ensurepip"])  # an environment that a plain `uv venv` made
    return [*pip, "--disable-pip-version-check", "install", *project]


def torch_backend(command):
    """The option for the small CPU build of torch, where it is wanted and can be reached."""
    first = UNFINISHED.exists()  # later on, the torch that is there stays
    if not first or sys.platform == "darwin" or has_nvidia() or "UV_TORCH_BACKEND" in os.environ:
        return []
    # A rehearsal, so that a failure leaves nothing behind.
    rehearsal = quietly([*command, "--torch-backend=cpu", "--dry-run"])
    if rehearsal.returncode == 0:
        return ["--torch-backend=cpu"]
    reason = (rehearsal.stderr.strip().splitlines() or ["no reason given"])[-1].strip()
    say(f"no CPU build of torch to be had ({reason}): taking the default one.")
    return []


def has_nvidia():
    return bool(shutil.which("nvidia-smi")) or os.path.exists("/proc/driver/nvidia/version")


def find_uv():
    """The path of uv, or None; a shim that finds no uv behind it counts as none."""
    uv = shutil.which("uv")
    return uv if uv and quietly([uv, "--version"]).returncode == 0 else None


def environment():
    """This process's environment, without what would lead Python, pip or uv to another one.

    The programs of `.venv` come first: mkdocstrings looks for ruff, to lay out long signatures.
    """
    strangers = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_USER")
    kept = {name: value for name, value in os.environ.items() if name not in strangers}
    kept["PATH"] = os.pathsep.join([str(VENV_PYTHON.parent), kept.get("PATH", os.defpath)])
    return kept


def call(command):
    """Run a command and return its exit code."""
    process = subprocess.Popen(command, cwd=ROOT, env=environment())
    interrupted = False
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:
            # Ctrl-C has reached the command too; it may be saving its work, so wait for it.
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return code if code >= 0 else 128 - code  # ended by a signal: the number a shell would give


def quietly(command):
    """Run a command and keep its output."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def say(sentence):
    print("make.py: " + sentence, file=sys.stderr, flush=True)


def stop(sentence):
    say(sentence)
    sys.exit(2)


if __name__ == "__main__":
    if sys.version_info < NEEDED:
        major, minor = sys.version_info[:2]
        stop(
            f"Python 3.11 or newer is needed, and this is {major}.{minor}: "
            "name a newer one, as in `make setup PYTHON=python3.12`."
        )
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
