"""How much faster does a CPU train when freed memory is kept? (`ddpm` keeps it: ddpm_ref/cli/__init__.py.)

    make bench ARGS="freed_memory"               the presets demo and cifar10-small
    make bench ARGS="freed_memory --quick"       to see that it runs

Two processes make the same training steps, one after the other, step by step; only one of them keeps
what it frees. Every ratio is taken between two neighbouring steps before the median. Page faults are those
that the system serves by clearing and mapping a page ("minor" ones).

Writes benchmarks/results/freed_memory.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
PRESETS = ("demo", "cifar10-small")
WAYS = ("given back", "kept")


def train_when_told(name: str, way: str) -> None:
    """The child: one training step for each line that comes in; its seconds, faults and size go out."""
    if way == "kept":
        from ddpm_ref.cli import keep_freed_memory

        keep_freed_memory()
    import resource

    import torch
    import torch.nn.functional as F

    from ddpm_ref.precision import autocast, memory_format, select_precision
    from ddpm_ref.presets import preset
    from ddpm_ref.training import make_optimizer
    from ddpm_ref.unet import UNet

    device, config = torch.device("cpu"), preset(name)
    precision = select_precision(config.train.precision, device)
    model = UNet(**asdict(config.model)).to(memory_format=memory_format(device, precision))
    optimizer = make_optimizer(model, 1e-4)
    batch, size = config.train.batch_size, config.model.image_size
    x, noise = torch.randn(2, batch, config.model.channels, size, size)
    t = torch.randint(1000, (batch,))
    y = torch.randint(config.model.num_classes, (batch,))
    for _ in sys.stdin:
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, precision):
            loss = F.mse_loss(model(x, t, y).float(), noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seconds = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_SELF)
        faults = after.ru_minflt - before.ru_minflt
        row = {"seconds": seconds, "faults": faults, "megabytes": after.ru_maxrss / 1e3}
        print(json.dumps(row | {"precision": precision}), flush=True)


def compare(name: str, steps: int) -> dict:
    """One preset, both ways: medians over the steps, and the median of the ratios."""
    here = [sys.executable, "-m", "benchmarks.freed_memory", "--child", name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = {way: subprocess.Popen([*here, way], **pipes) for way in WAYS}

    def step(way: str) -> dict:
        child = children[way]
        print("step", file=child.stdin, flush=True)
        return json.loads(child.stdout.readline())

    for _ in range(3):  # the first steps allocate what the later ones use again
        for way in WAYS:
            step(way)
    rows = [{way: step(way) for way in WAYS} for _ in range(steps)]
    for child in children.values():
        child.communicate()
    return {
        "precision": rows[0]["kept"]["precision"],
        "speedup": median(r["given back"]["seconds"] / r["kept"]["seconds"] for r in rows),
        **{
            way: {
                k: median(row[way][k] for row in rows) for k in ("seconds", "faults", "megabytes")
            }
            for way in WAYS
        },
    }


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two steps of the preset demo")
    parser.add_argument("--steps", type=int, default=20, help="of each way (20)")
    parser.add_argument("--out", type=Path, default=RESULTS / "freed_memory.json")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps < 1:
        parser.error(f"--steps must be at least 1, got {options.steps}")
    if options.child:
        train_when_told(*options.child)
        return
    presets, steps = (PRESETS[:1], 2) if options.quick else (PRESETS, options.steps)
    found = {name: compare(name, steps) for name in presets}
    table = Table("preset", "precision", "kept is faster", "page faults a step", "peak, MB")
    for name, row in found.items():
        before, after = (row[way] for way in WAYS)
        table.add_row(
            *(name, row["precision"], f"{row['speedup']:.3f} ×"),
            f"{before['faults']:,.0f} → {after['faults']:,.0f}",
            f"{before['megabytes']:,.0f} → {after['megabytes']:,.0f}",
        )
    Console().print(table)
    threads = os.environ.get("OMP_NUM_THREADS")
    about = {"processor": platform.processor() or platform.machine(), "cpus": os.cpu_count()}
    about |= {"threads": int(threads) if threads else None, "steps": steps}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(about | {"presets": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
