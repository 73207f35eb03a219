"""How good is `ddpm demo`, over several seeds, and how does the plain recipe do in the same time?

    make bench ARGS="demo_quality"            three seeds, then the `seed` preset with the same seconds

Writes benchmarks/results/demo_quality.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

KEYS = (
    "class_accuracy",
    "worst_class_accuracy",
    "class_accuracy_guided",
    "worst_class_accuracy_guided",
    "frechet_distance",
    "frechet_distance_guided",
    "train_seconds",
    "total_seconds",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--n", type=int, default=1000)
    options = parser.parse_args()
    if options.n < 2:
        parser.error(f"--n must be at least 2, got {options.n}")
    with tempfile.TemporaryDirectory() as folder:
        ours = [demo(Path(folder), f"demo-{k}", options.n, "--seed", str(k)) for k in options.seeds]
        seconds = max(result["train_seconds"] for result in ours)
        plain = demo(
            Path(folder), "seed", options.n, "--preset", "seed", "--seconds", f"{seconds:.0f}"
        )
    print(f"{'':30}" + "".join(f"seed {k:<8}" for k in options.seeds) + f"{'mean':13}plain recipe")
    for key in KEYS:
        values = [result[key] for result in ours]
        row = [*values, mean(values), plain[key]]
        print(f"{key:30}" + "".join(f"{value:<13.4g}" for value in row))
    path = Path(__file__).parent / "results" / "demo_quality.json"
    path.parent.mkdir(exist_ok=True)
    summary = {"cpus": os.cpu_count(), "seeds": options.seeds, "n": options.n}
    summary["mean"] = {key: mean(result[key] for result in ours) for key in KEYS}
    summary["worst"] = {
        "class_accuracy": min(r["class_accuracy"] for r in ours),
        "worst_class_accuracy": min(r["worst_class_accuracy"] for r in ours),
        "worst_class_accuracy_guided": min(r["worst_class_accuracy_guided"] for r in ours),
        "total_seconds": max(r["total_seconds"] for r in ours),
    }
    summary |= {"runs": ours, "plain_recipe": plain}
    path.write_text(json.dumps(summary, indent=2) + "\n")


def demo(folder: Path, name: str, n: int, *options: str) -> dict:
    """One `ddpm demo`, as a user would start it; its JSON."""
    result = folder / f"{name}.json"
    command = [sys.executable, "-m", "ddpm_ref", "demo", "--out", folder / name, "--json", result]
    subprocess.run([*command, "--n", str(n), *options], check=True)
    return json.loads(result.read_text())


if __name__ == "__main__":
    main()
