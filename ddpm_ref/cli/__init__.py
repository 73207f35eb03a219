"""The command line: `ddpm`, or `python -m ddpm_ref`. Thin: each command is a few calls of the package."""

import os
import sys

# Importing a module adds its commands to `app`, and `ddpm --help` lists them in this order.
# isort: off
from ddpm_ref.cli import demo, train, draw, evaluate, files, rerank, guide, clip_train  # noqa: F401
from ddpm_ref.cli.common import app
# isort: on


def main() -> None:
    """Entry point of `ddpm` and `python -m ddpm_ref`."""
    # GNU OpenMP's threads spin for milliseconds while they wait for each other: five to ten times
    # slower as soon as another program wants a core. So short a spin costs nothing on an idle machine.
    # It has to be said before torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # where a letter cannot be shown, the rest still is
    try:
        app(prog_name="ddpm")
    except SystemExit as end:
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            from ddpm_ref.distributed import end_at_once

            end_at_once(end.code)
        raise
