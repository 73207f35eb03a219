"""Do the solutions' nine chapters, trained by themselves, draw as well as the reference in as many steps?

    make bench ARGS="capstone"           both sides, side by side: minutes on two cores

It is `python -m checks capstone` on the solutions. At least the reference's accuracy minus 5 points is asked
for (n = 1,000). Writes benchmarks/results/capstone.json; the pictures and the report go to runs/capstone.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "capstone.json"


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    command = [sys.executable, "-m", "checks", "capstone", "--submission", "solutions"]
    command += ["--out", str(ROOT / "runs" / "capstone"), "--json", str(RESULTS)]
    return subprocess.run(command, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
