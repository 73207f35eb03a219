"""A submission that tries the sandbox from within. `checks.doctor` hands it in as chapter 2.

It prints, for each layer that is said to hold, what it could do all the same. It tries nothing that
would do harm where a layer does not hold.
"""

import json
import os

from .told import LAYERS, ROOT


def limits():
    yield "take 3 GiB of memory", lambda: bytearray(3 << 30)
    with open("large", "wb") as file:
        yield "write a file of 17 MiB", lambda: file.truncate(17 << 20)


def user():
    yield "stay root", lambda: _demand(os.geteuid() == 0)


def namespaces():
    # The first process of a namespace is number 1.
    yield "see other processes", lambda: _demand(os.getpid() != 1)


def files():
    yield "read the reference", lambda: open(f"{ROOT}/ddpm_ref/__init__.py").close()
    yield "write to the grader", lambda: open(f"{ROOT}/checks/__init__.py", "r+").close()


def calls():
    import socket

    yield "open a socket", lambda: socket.socket().close()
    yield "start a process", _fork


def _fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _demand(condition: bool) -> None:
    if not condition:
        raise PermissionError


def _succeeds(attempt) -> bool:
    try:
        attempt()
    except (OSError, MemoryError):
        return False
    return True


tried = {"limits": limits, "user": user, "namespaces": namespaces, "files": files, "calls": calls}
print(json.dumps({layer: [w for w, a in tried[layer]() if _succeeds(a)] for layer in LAYERS}))
