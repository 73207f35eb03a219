"""The command line: `ddpm`, or `python -m ddpm_ref`. Thin: each command is a few calls of the package."""

import ctypes
import os
import sys

# Importing a module adds its commands to `app`, and `ddpm --help` lists them in this order.
# isort: off
from ddpm_ref.cli import demo, train, draw, evaluate, files, rerank, guide, clip_train  # noqa: F401
from ddpm_ref.cli.common import app
# isort: on

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h


def keep_freed_memory() -> None:
    """Let the process keep what it frees, for the next tensors, instead of handing it back.

    glibc gives every large block back at once, and a training asks for the same blocks at each step:
    the system clears and maps all their pages again. What keeping them gains on a CPU is measured by
    `benchmarks/freed_memory.py`. The price: the process stays as large as it ever was. Elsewhere than
    with glibc nothing changes.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (TypeError, OSError, AttributeError):  # Windows; no such library; a library without it
        return
    set_option(M_MMAP_MAX, 0)  # all blocks from the heap …
    set_option(M_TRIM_THRESHOLD, 2**31 - 1)  # … and the heap never shrinks


def main() -> None:
    """Entry point of `ddpm` and `python -m ddpm_ref`."""
    # GNU OpenMP's threads spin for milliseconds while they wait for each other: five to ten times
    # slower as soon as another program wants a core. So short a spin costs nothing on an idle machine.
    # It has to be said before torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    keep_freed_memory()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="replace")  # where a letter cannot be shown, the rest still is
    try:
        app(prog_name="ddpm")
    except SystemExit as end:
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            from ddpm_ref.distributed import end_at_once

            end_at_once(end.code)
        raise
