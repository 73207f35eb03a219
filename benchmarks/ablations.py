"""What makes the difference: our recipe with one knob at a time turned back, the same images seen.

    make bench ARGS="ablations"                      every knob, two seeds each
    make bench ARGS="ablations --only noise raw"     some of them

    python benchmarks/ablations.py --preset cifar10-small --dataset folder --data-dir photos \\
        --images 100000 --seeds 0 --pictures runs/knobs

A short training shows differences that a long one hides: shapes are so easy that after the two minutes of
`ddpm demo` most knobs no longer matter. Right is what the referee says, without guidance and with the
preset's own. Writes benchmarks/results/ablations.json, for another preset ablations-PRESET.json, after each
training: stopped, it goes on with --resume.
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
from PIL import Image

from ddpm_ref import console
from ddpm_ref.datasets import DATASETS
from ddpm_ref.files import write_json
from ddpm_ref.launch import fit_to_dataset, train
from ddpm_ref.painting import load_painter
from ddpm_ref.pictures import grid, save_picture, stack
from ddpm_ref.presets import RunConfig, preset
from ddpm_ref.referee import appoint_referee
from ddpm_ref.runs import make_folder
from ddpm_ref.scores import class_accuracy, frechet_distance

RESULTS = Path(__file__).parent / "results"
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
    "wide": ("model", {}),  # twice the preset's
}


def recipe(name: str, options: argparse.Namespace, seed: int) -> RunConfig:
    """The preset, of another length, with one knob changed."""
    part, change = KNOBS[name]
    config = preset(options.preset)
    data = replace(config.data, dataset=options.dataset, data_dir=options.data_dir)
    config = replace(config, train=replace(config.train, images=options.images, seed=seed))
    if name == "wide":
        change = {"base_width": 2 * config.model.base_width}
    return replace(config, data=data, **{part: replace(getattr(config, part), **change)})


def measure(config: RunConfig, folder: Path, n: int, picture: Path | None) -> dict:
    """Train, draw from noise that is the same for all, and let the referee look."""
    config, images = fit_to_dataset(config)
    began = time.process_time()
    train(config, images, folder)
    row = {"train_cpu_seconds": time.process_time() - began}
    painter = load_painter(folder)
    referee = appoint_referee(config.data, drawn=painter.classes)
    classes = len(painter.classes)
    y = torch.arange(n) % classes
    noise = painter.noise(n, seed=0)
    for suffix, scale in (("", 1.0), ("_guided", config.sample.guidance_scale)):
        x = painter.draw(y, noise, replace(config.sample, guidance_scale=scale))
        features, guessed = referee.judge.look_at(x)
        row["class_accuracy" + suffix] = class_accuracy(guessed, y, classes)[0]
        row["frechet_distance" + suffix] = frechet_distance(features, referee.features)
    if picture:  # the first of each class, guided
        save_picture(grid(x[:classes], classes), picture)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=KNOBS, nargs="+", default=KNOBS)
    parser.add_argument("--preset", choices=("demo", "cifar10-small"), default="demo")
    parser.add_argument("--dataset", choices=DATASETS, help="the preset's, unless told otherwise")
    parser.add_argument("--data-dir", help="the download's folder, or that of the pictures")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--images", type=int, default=29_000, help="that each model sees")
    parser.add_argument("--n", type=int, default=1000, help="pictures to judge by")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder for a row of pictures of each model")
    parser.add_argument("--resume", action="store_true", help="keep what is measured already")
    options = parser.parse_args()
    if options.n < 2:
        parser.error(f"--n must be at least 2, got {options.n}")
    if options.images < 1:
        parser.error(f"--images must be at least 1, got {options.images}")
    options.dataset = options.dataset or preset(options.preset).data.dataset
    name = "ablations" if options.preset == "demo" else f"ablations-{options.preset}"
    out = options.out or RESULTS / f"{name}.json"
    pictures = options.pictures and make_folder(options.pictures)
    kept = options.resume and out.is_file()
    found = json.loads(out.read_text()) if kept else {"knobs": {}}
    found |= {"cpus": os.cpu_count(), "images": options.images, "n": options.n}
    found |= {"torch": torch.__version__.split("+")[0]}
    for name in options.only:
        seeds = found["knobs"].setdefault(name, {"seeds": {}})["seeds"]
        for seed in options.seeds:
            if str(seed) in seeds:
                continue
            config = recipe(name, options, seed)
            picture = pictures and pictures / f"{name}-{seed}.png"
            with tempfile.TemporaryDirectory() as folder:
                seeds[str(seed)] = measure(config, Path(folder) / name, options.n, picture)
            rows = list(seeds.values())
            found["knobs"][name]["mean"] = {key: mean(r[key] for r in rows) for key in rows[0]}
            write_json(out, found)
            told = ", ".join(f"{key} {value:.4g}" for key, value in seeds[str(seed)].items())
            print(f"{name}, seed {seed}: {told}", flush=True)
    if pictures:
        drawn = [(name, pictures / f"{name}-{options.seeds[0]}.png") for name in found["knobs"]]
        drawn = [(name, path) for name, path in drawn if path.is_file()]
        if drawn:
            names, paths = zip(*drawn, strict=True)
            save_picture(stack([Image.open(path) for path in paths], names), pictures / "knobs.png")


if __name__ == "__main__":
    with console.told():
        main()
