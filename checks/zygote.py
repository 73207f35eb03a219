"""The process that has imported torch, and forks the children; and the keeper of each.

Run as a program, by path: `zygote.py FD` serves the judge at the other end of socket FD;
`zygote.py spare` (where forking is not safe) waits for one job and becomes the child itself.

    judge ── job, three descriptors ──► zygote ─fork─► keeper ─fork─► child (learner or reference)

The keeper waits for the end of the child or of the judge's patience, and leaves no process behind. The
zygote imports torch and the engine's own code, computes nothing, and holds nothing of the reference nor
of the experiments, so that a child finds nothing in its memory.
"""

import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    # The folder of this file is on no path: a submission's `import report` should not find ours.
    sys.path.insert(0, str(ROOT))
    from checks import child, sandbox  # torch with them

    if sys.argv[1] == "spare":
        _be_the_child(child, sandbox)
    else:
        _serve(socket.socket(fileno=int(sys.argv[1])), child, sandbox)


def _serve(control: socket.socket, child, sandbox) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the judge's affair
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 3)
        if not data:
            _reap(0)
            os._exit(0)  # taking torch apart would take longer than anything else here
        job = json.loads(data)
        for name in job["needs"]:  # once, here, and not in each child
            with suppress(ImportError):
                importlib.import_module(name)
        pid = os.fork()
        if pid == 0:
            control.close()
            _keep(job, *descriptors, child, sandbox)
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)
        _reap()


def _keep(job: dict, channel: int, output: int, lifeline: int, child, sandbox) -> None:
    """Fork the child and wait: for its end, for too much memory, or for the judge to hang up."""
    sandbox.adopt_orphans()
    layers = []
    if job["role"] == "learner":
        needed = [sys.prefix, sys.base_prefix, *job["folders"].values()]
        if "user" in job["layers"] and sandbox.become_nobody(job["scratch"], needed):
            layers.append("user")
        if "namespaces" in job["layers"] and sandbox.new_namespaces():
            layers.append("namespaces")
    pid = os.fork()
    if pid == 0:
        os.close(lifeline)
        _isolate(channel, output, sandbox)
        with os.fdopen(channel, "rb") as reader, os.fdopen(os.dup(channel), "wb") as writer:
            _run(job, reader, writer, child, sandbox, layers)
        os._exit(0)
    os.close(channel)
    os.close(output)
    reason = _wait(pid, lifeline, job["scratch"], sandbox)
    _kill_all(pid)
    with suppress(OSError):  # the judge may have hung up
        os.write(lifeline, reason.encode())


def _wait(child: int, lifeline: int, scratch: str, sandbox) -> str:
    ended = os.pidfd_open(child)
    limit = 0
    while True:
        ready, _, _ = select.select([ended, lifeline], [], [], 0.05)
        if ended in ready:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            return f"signal {-status}" if status < 0 else f"exit {status}"
        if lifeline in ready:
            # "?": the channel is closed, the child is about to end, and the judge wants to know how.
            if os.read(lifeline, 1) != b"?" or not select.select([ended], [], [], 2)[0]:
                return "killed"
            continue
        used = _memory(child)
        limit = limit or used + (3 << 30)  # shared memory too, which no resource limit counts
        if used > limit:
            return "memory"
        if _has_too_much(scratch, sandbox):
            return "files"


def _has_too_much(scratch: str, sandbox) -> bool:
    """Whether the files in the scratch folder take more room than they may: others need the disk."""
    size = count = 0
    for folder, _, names in os.walk(scratch):
        count += 1 + len(names)
        for name in names:
            with suppress(OSError):
                size += os.lstat(os.path.join(folder, name)).st_blocks * 512
        if size > sandbox.FILES or count > sandbox.FILES_COUNT:
            return True
    return False


def _memory(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, IndexError):
        return 0


def _kill_all(child: int) -> None:
    """Kill until there is nothing left to kill: orphans come to this process, their adopter."""
    _kill(child)
    with suppress(ChildProcessError):
        os.waitpid(child, 0)
        for _ in range(2000):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            for pid in _children():
                _kill(pid)
            time.sleep(0.002)


def _children() -> list[int]:
    """All processes, over several generations, that descend from this one."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                parents[int(entry)] = int(fields[1])
            except OSError:
                continue
    ours, found = {os.getpid()}, []
    while grown := [pid for pid, parent in parents.items() if parent in ours and pid not in ours]:
        ours |= set(grown)
        found += grown
    return found


def _kill(pid: int) -> None:
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def _reap(options: int = os.WNOHANG) -> None:
    try:
        while os.waitpid(-1, options)[0]:
            pass
    except ChildProcessError:
        pass


def _isolate(channel: int, output: int, sandbox) -> None:
    """Own session, no input, output into the judge's pipe, no descriptor but the channel."""
    os.setsid()
    sandbox.die_with_parent()
    empty = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((empty, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.closerange(3, channel)
    os.closerange(channel + 1, 1 << 16)


def _be_the_child(child, sandbox) -> None:
    """Without fork: this process takes one job from its input, its output being the channel."""
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(2, 1)
    line = reader.readline()
    if line:  # the judge may end without ever having had a use for its spare
        _run(json.loads(line), reader, writer, child, sandbox, [])


def _run(job: dict, reader, writer, child, sandbox, layers: list) -> None:
    """Become the child of this job: load the experiments, lock the doors, answer requests."""

    def enter_sandbox():
        os.chdir(job["scratch"])
        # Python remembers where it found room for temporary files; what lies here is removed in the end.
        tempfile.tempdir = job["scratch"]
        if job["role"] == "learner":
            _forget_environment(job["scratch"], sandbox)
            layers.extend(_lock(job, sandbox))
        return layers

    try:
        child.serve(job, reader, writer, enter_sandbox)
    except BaseException:
        traceback.print_exc()  # before the channel closes, which tells the judge that it is over
        sys.stderr.flush()
        os._exit(1)


def _forget_environment(scratch: str, sandbox) -> None:
    """Whoever grades may have passwords in it, and what is raised stands in a text for its author."""
    for name, value in dict(os.environ).items():
        if name in {"PATH", "LANG", "LC_ALL", "SYSTEMROOT", "GOMP_SPINCOUNT"}:
            os.environ[name] = value  # elsewhere in memory
        else:
            del os.environ[name]
    sandbox.wipe_first_environment()
    for name in ("HOME", "TMPDIR", "TEMP", "TMP"):
        os.environ[name] = scratch


def _lock(job: dict, sandbox) -> list[str]:
    """The layers that the system has, of those that the job asks for."""
    layers = []
    if "limits" in job["layers"] and sandbox.limit_resources(job["cpu_seconds"]):
        layers.append("limits")
    readable = [sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/etc", "/proc", "/sys"]
    readable += ["/dev/urandom", "/dev/random", "/dev/zero"]
    readable += [place for place in sys.path if place != str(ROOT)]
    readable += job["folders"].values()
    hidden = [str(ROOT / "ddpm_ref"), str(ROOT / "checks"), *job["hidden"]]
    if "files" in job["layers"] and sandbox.hide_files(readable, hidden, job["scratch"]):
        layers.append("files")
    if "calls" in job["layers"] and sandbox.forbid_system_calls():
        layers.append("calls")
    return layers


if __name__ == "__main__":
    main()
