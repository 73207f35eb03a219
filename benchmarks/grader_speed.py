"""How long does a learner wait for the grader? Everything as a ratio, measured side by side in one run.

    make bench ARGS="grader_speed"

- cold: `python -m checks chapter 4` on the solution against a bare `python -c "import torch"`;
- warm: the same chapter graded again by a grader that is still there;
- all: processor seconds of `python -m checks all` on all solutions, beyond those of the import.

Writes benchmarks/results/grader_speed.json. The machine has to be quiet.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from checks.catalogue import chapters  # noqa: E402 (the benchmark runs from its own folder)
from checks.grader import Grader  # noqa: E402

IMPORT = ["-c", "import torch"]
SOLUTIONS = ["--submission", str(ROOT / "solutions")]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    if repeats < 1:
        parser.error(f"--repeats must be at least 1, got {repeats}")
    last = max(chapters())
    shown = 4 if 4 in chapters() else last
    commands = {
        "import torch": IMPORT,
        f"chapter {shown}": ["-m", "checks", "chapter", str(shown), *SOLUTIONS],
        "all": ["-m", "checks", "all", *SOLUTIONS],
    }
    for command in commands.values():  # once for the caches of the file system
        timed(command)
    rows = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            rows[name].append(timed(command))
    wall = {name: median(w for w, _ in row) for name, row in rows.items()}
    cpu = {name: median(c for _, c in row) for name, row in rows.items()}
    result = {
        "cpus": os.cpu_count(),
        "repeats": repeats,
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "cold_ratio": wall[f"chapter {shown}"] / wall["import torch"],
        "cpu_seconds_a_chapter": (cpu["all"] - cpu["import torch"]) / len(chapters()),
        "warm_seconds": warm(repeats),
    }
    print(
        f"chapter {shown}, cold: {result['cold_ratio']:.2f} × a bare import of torch (at most 1.3)"
    )
    for number, seconds in result["warm_seconds"].items():
        print(f"chapter {number}, warm: {seconds:.3f} s (at most 0.3)")
    print(f"all: {result['cpu_seconds_a_chapter']:.2f} processor seconds a chapter (at most 2)")
    path = Path(__file__).parent / "results" / "grader_speed.json"
    path.write_text(json.dumps(result, indent=2) + "\n")


def timed(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one Python."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    wall = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def warm(repeats: int) -> dict[int, float]:
    """Seconds to grade a chapter again, by chapter."""
    seconds = {}
    with Grader() as grader:
        for number in chapters():
            grader.grade(number, ROOT / "solutions")
            seconds[number] = median(
                grader.grade(number, ROOT / "solutions").seconds for _ in range(repeats)
            )
    return seconds


if __name__ == "__main__":
    main()
