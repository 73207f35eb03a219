"""What makes the difference: our recipe on shapes with one knob at a time turned back, the same images seen.

    make bench ARGS="ablations"                      every knob, two seeds each
    make bench ARGS="ablations --only noise raw"     some of them

A short training shows differences that a long one hides: shapes are so easy that after the three minutes of
`ddpm demo` most knobs no longer matter. Right is what the referee says, without guidance. Writes
benchmarks/results/ablations.json after each training: stopped, it goes on with --resume.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean

import torch

from ddpm_ref.files import write_atomically
from ddpm_ref.judge import appoint_referee, class_accuracy, frechet_distance
from ddpm_ref.presets import DataConfig, RunConfig, preset
from ddpm_ref.runs import fit_to_dataset, load_painter, train

RESULTS = Path(__file__).parent / "results" / "ablations.json"
# name: (part of the recipe, what is changed in it)
KNOBS = {
    "ours": ("train", {}),
    "noise": ("diffusion", {"target": "noise"}),
    "linear": ("diffusion", {"schedule": "linear"}),
    "slow": ("train", {"learning_rate": 1e-4}),
    "constant": ("train", {"warmup_steps": 0, "decay_from": 1.0}),
    "raw": ("train", {"ema_decay": None}),
    "min_snr": ("train", {"min_snr_gamma": 5.0}),
    "no_residual": ("model", {"residual": False}),
    "add": ("model", {"conditioning": "add"}),
    "no_attention": ("model", {"attention_resolutions": ()}),
    "wide": ("model", {"base_width": 32}),
}


def recipe(name: str, images: int, seed: int) -> RunConfig:
    """The preset `demo`, shortened, with one knob changed."""
    part, change = KNOBS[name]
    config = preset("demo")
    config = replace(config, train=replace(config.train, images=images, seed=seed))
    return replace(config, **{part: replace(getattr(config, part), **change)})


def measure(config: RunConfig, folder: Path, n: int) -> dict:
    """Train, draw from noise that is the same for all, and let the referee look."""
    config, pictures = fit_to_dataset(config)
    began = time.process_time()
    train(config, pictures, folder)
    row = {"train_cpu_seconds": time.process_time() - began}
    painter, referee = load_painter(folder), appoint_referee(DataConfig())
    y = torch.arange(n) % len(painter.classes)
    noise = painter.noise(n, seed=0)
    for suffix, scale in (("", 1.0), ("_guided", 1.5)):
        x = painter.draw(y, noise, replace(config.sample, guidance_scale=scale))
        features, guessed = referee.judge.look_at(x)
        row["class_accuracy" + suffix] = class_accuracy(guessed, y, len(painter.classes))[0]
        row["frechet_distance" + suffix] = frechet_distance(features, referee.features)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=KNOBS, nargs="+", default=KNOBS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--images", type=int, default=29_000, help="that each model sees")
    parser.add_argument("--n", type=int, default=1000, help="pictures to judge by")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--resume", action="store_true", help="keep what is measured already")
    options = parser.parse_args()
    kept = options.resume and options.out.is_file()
    found = json.loads(options.out.read_text()) if kept else {"knobs": {}}
    found |= {"cpus": os.cpu_count(), "images": options.images, "n": options.n}
    found |= {"torch": torch.__version__.split("+")[0]}
    for name in options.only:
        seeds = found["knobs"].setdefault(name, {"seeds": {}})["seeds"]
        for seed in options.seeds:
            if str(seed) in seeds:
                continue
            config = recipe(name, options.images, seed)
            with tempfile.TemporaryDirectory() as folder:
                seeds[str(seed)] = measure(config, Path(folder) / name, options.n)
            rows = list(seeds.values())
            found["knobs"][name]["mean"] = {key: mean(r[key] for r in rows) for key in rows[0]}
            write_atomically(options.out, (json.dumps(found, indent=2) + "\n").encode())
            told = ", ".join(f"{key} {value:.4g}" for key, value in seeds[str(seed)].items())
            print(f"{name}, seed {seed}: {told}", flush=True)


if __name__ == "__main__":
    main()
