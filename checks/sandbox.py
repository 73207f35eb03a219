"""What keeps a submission from doing harm. Every layer is optional: it is used where the system has it.

Written with the standard library and ctypes, since it runs between fork and the learner's code. The
full set exists on Linux only; time limits hold everywhere.
"""

import ctypes
import os
import platform
import struct
import sys
from contextlib import suppress
from pathlib import Path

MEMORY = 2 << 30  # bytes that a submission may allocate
FILE = 16 << 20  # bytes of the largest file it may write
FILES = 256 << 20  # bytes of all files that it may keep
FILES_COUNT = 5000
NOBODY = 65534

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 36, 38, 22


def die_with_parent() -> None:
    """SIGKILL when the parent ends."""
    if _LIBC:
        _LIBC.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)


def adopt_orphans() -> None:
    """Orphaned descendants become children of this process, where they can be found and killed."""
    if _LIBC:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def limit_resources(cpu_seconds: int) -> bool:
    """Bounds on memory (beyond what is there), processor time, file size, processes, core dumps."""
    try:
        import resource
    except ImportError:
        return False
    limits = {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: FILE,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 256,
    }
    if sys.platform == "linux":
        # Not RLIMIT_AS: CUDA reserves far more addresses than it uses.
        pages = int(Path("/proc/self/statm").read_text().split()[5])
        limits[resource.RLIMIT_DATA] = pages * resource.getpagesize() + MEMORY
        # All threads of the user count, a desktop's too; it never binds root.
        limits[resource.RLIMIT_NPROC] = 8192
    for which, value in limits.items():
        _, hard = resource.getrlimit(which)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))
    return True


def wipe_first_environment() -> None:
    """What the process began with, which /proc/self/environ goes on showing when it is unset."""
    with suppress(OSError):  # without /proc nobody can read it there
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[47]), int(fields[48])  # env_start and env_end, see proc(5)
        ctypes.memset(start, 0, end - start)


def become_nobody(scratch: str, needed: list[str]) -> bool:
    """As root: another user, if that user can read what the submission needs."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not all(map(_open_to_all, needed)):
        return False
    os.chown(scratch, NOBODY, NOBODY)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    return True


def _open_to_all(path: str) -> bool:
    place = Path(path).resolve()
    try:
        return all(p.stat().st_mode & 0o001 for p in [place, *place.parents]) and bool(
            place.stat().st_mode & 0o004
        )
    except OSError:
        return False


def new_namespaces() -> bool:
    """No network, no sight of other processes, no rights over the system: for the next child."""
    if not _LIBC:
        return False
    user, pid, net, ipc = 0x10000000, 0x20000000, 0x40000000, 0x08000000
    return _LIBC.unshare(user | pid | net | ipc) == 0


def hide_files(readable: list[str], hidden: list[str], scratch: str) -> bool:
    """Landlock: read `readable` but not what of `hidden` lies in it, write in `scratch` only."""
    if not _LIBC or not _no_new_privileges():
        return False
    version = _LIBC.syscall(444, None, 0, 1)  # landlock_create_ruleset, asked for its version
    if version < 1:
        return False
    everything = (1 << (13 + (version >= 2) + (version >= 3) + (version >= 5))) - 1
    attributes = struct.pack("QQQ", everything, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _LIBC.syscall(444, ctypes.c_char_p(attributes), size, 0)
    if ruleset < 0:
        return False
    read_file, read_folder = 0b0101, 0b1101  # execute (to map libraries), read, list
    for path in _without(readable, [Path(h).resolve() for h in hidden]):
        _allow(ruleset, path, read_folder if path.is_dir() else read_file)
    _allow(ruleset, Path(scratch), everything)
    _allow(ruleset, Path("/dev/null"), everything & ~0b1101 & 0b10 | 0b0100)
    done = _LIBC.syscall(446, ruleset, 0) == 0  # landlock_restrict_self
    os.close(ruleset)
    return done


def _without(paths, hidden: list[Path]):
    """The paths, replaced by their contents where something hidden lies below."""
    for path in {Path(p).resolve() for p in paths}:
        if path in hidden or not path.exists():
            continue
        if any(path in h.parents for h in hidden):
            yield from _without(path.iterdir(), hidden)
        else:
            yield path


def _allow(ruleset: int, path: Path, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rule = struct.pack("=Qi", access, fd)
    _LIBC.syscall(445, ruleset, 1, ctypes.c_char_p(rule), 0)  # landlock_add_rule
    os.close(fd)


def _no_new_privileges() -> bool:
    return bool(_LIBC) and _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0


# Numbers of system calls, x86-64 and 64-bit ARM (None where there is none).
_CALLS = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "sendto": (44, 206),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "reboot": (169, 142),
    "setpriority": (141, 140),
    "chmod": (90, None),
    "fchmodat": (268, 53),
}
_OWN_PROCESS_ONLY = {"kill": (62, 129), "tgkill": (234, 131)}
_SELF_OR_OWN = {"prlimit64": (302, 261), "sched_setaffinity": (203, 122)}
_CLONE, _CLONE3 = (56, 220), (435, 435)
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "arm64": (1, 0xC00000B7)}


def forbid_system_calls() -> bool:
    """seccomp: no programs, no processes (threads are fine), no sockets, no signals to others."""
    if not _LIBC or platform.machine() not in _MACHINES or not _no_new_privileges():
        return False
    column, architecture = _MACHINES[platform.machine()]
    program = _filter(column, architecture, os.getpid())
    data = b"".join(struct.pack("HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(data, len(data))
    header = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(buffer))
    return _LIBC.prctl(_PR_SET_SECCOMP, 2, ctypes.c_char_p(header), 0, 0) == 0


def _filter(column: int, architecture: int, pid: int) -> list[tuple[int, int, int, int]]:
    """A classic BPF program: (operation, jump if true, jump if false, constant) a line."""
    load, equal, at_least, test, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill = 0x7FFF0000, 0x80000000
    refuse, unknown = 0x00050000 | 1, 0x00050000 | 38  # EPERM; ENOSYS
    number, machine, first_argument = 0, 4, 16
    lines = [(load, 0, 0, machine), (equal, 1, 0, architecture), (answer, 0, 0, kill)]
    lines += [(load, 0, 0, number)]
    if column == 0:  # the x32 calls of x86-64 would go round the list
        lines += [(at_least, 0, 1, 0x40000000), (answer, 0, 0, refuse)]
    for numbers in _CALLS.values():
        if numbers[column] is not None:
            lines += [(equal, 0, 1, numbers[column]), (answer, 0, 0, refuse)]
    # The C library asks for clone3 first, whose flags cannot be looked at, and falls back to clone.
    lines += [(equal, 0, 1, _CLONE3[column]), (answer, 0, 0, unknown)]
    argument = (load, 0, 0, first_argument)
    threads = 0x00010000
    lines += [(equal, 0, 4, _CLONE[column]), argument, (test, 1, 0, threads)]
    lines += [(answer, 0, 0, refuse), (answer, 0, 0, allow)]
    for numbers in _OWN_PROCESS_ONLY.values():
        lines += [(equal, 0, 4, numbers[column]), argument, (equal, 1, 0, pid)]
        lines += [(answer, 0, 0, refuse), (answer, 0, 0, allow)]
    for numbers in _SELF_OR_OWN.values():
        lines += [(equal, 0, 5, numbers[column]), argument, (equal, 2, 0, pid), (equal, 1, 0, 0)]
        lines += [(answer, 0, 0, refuse), (answer, 0, 0, allow)]
    return [*lines, (answer, 0, 0, allow)]
