"""Does training in 16 bits learn as well as in 32? Learning curves of one recipe, several seeds each.

    make bench ARGS="precision_curves"                        the preset demo, fp32 and bf16
    make bench ARGS="precision_curves --precisions fp32 fp16 --images 200000"

For each seed all precisions start from the same weights and see the same pictures and noise. After each epoch
the averaged weights are validated on the same pictures. Reported: the difference to fp32 at the same seed,
beside the spread of fp32 over seeds, which is how far two equally good trainings are apart.

Writes benchmarks/results/precision_curves-DEVICE.json.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import torch
from rich.console import Console
from rich.table import Table

from ddpm_ref import console
from ddpm_ref.files import write_json
from ddpm_ref.launch import fit_to_dataset, train
from ddpm_ref.precision import PRECISIONS
from ddpm_ref.presets import preset
from ddpm_ref.runs import Run
from ddpm_ref.training import select_device

RESULTS = Path(__file__).parent / "results"


def curve(name: str, precision: str, seed: int, images: int, device: torch.device) -> list[float]:
    """The validation loss after each epoch."""
    config = preset(name)
    knobs = replace(config.train, precision=precision, seed=seed, images=images, sample_every=1000)
    config, pictures = fit_to_dataset(replace(config, train=knobs))
    with tempfile.TemporaryDirectory() as folder:
        train(config, pictures, Path(folder) / "run", device)
        return [row["val_loss"] for row in Run(Path(folder) / "run").metrics()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS[1:], default=["fp32", "bf16"])
    parser.add_argument("--seeds", type=int, default=3, help="how many (3)")
    parser.add_argument("--images", type=int, default=45_000, help="that each training sees")
    parser.add_argument("--device", help="cpu, cuda, …: the best there is")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {options.seeds}")
    if options.images < 1:
        parser.error(f"--images must be at least 1, got {options.images}")
    if "fp32" not in options.precisions or options.seeds < 2:
        parser.error("differences are to fp32, and a spread takes two --seeds")
    device = select_device(options.device)
    curves = {
        precision: [
            curve(options.preset, precision, seed, options.images, device)
            for seed in range(options.seeds)
        ]
        for precision in options.precisions
    }
    last = {precision: [losses[-1] for losses in those] for precision, those in curves.items()}
    spread = stdev(last["fp32"])
    found = {"preset": options.preset, "images": options.images, "seeds": options.seeds}
    found |= {"device": str(device), "spread_of_fp32": spread, "precisions": {}}
    table = Table("precision", "last loss", "difference to fp32", "of the spread over seeds")
    for precision, losses in last.items():
        apart = mean(a - b for a, b in zip(losses, last["fp32"], strict=True))
        row = {"loss": mean(losses), "difference": apart, "difference_in_spreads": apart / spread}
        found["precisions"][precision] = row | {"curves": curves[precision]}
        table.add_row(*(precision, f"{row['loss']:.4f}", f"{apart:+.5f}", f"{apart / spread:+.2f}"))
    Console().print(table)
    out = options.out or RESULTS / f"precision_curves-{device.type}.json"
    write_json(out, found)


if __name__ == "__main__":
    with console.told():
        main()
