"""Ways to draw with one model: how much guidance and when, which sampler with how many steps?

    make bench ARGS="drawing"                             the model of the preset demo
    make bench ARGS="drawing --model runs/small"          a run of CIFAR-10, where its pictures are
    make bench ARGS="drawing --only samplers"             one of the two questions

All ways begin from the same noise, and a referee judges. Right is what it says. The Fréchet distance, to
real held-out pictures in the referee's features, also tells whether pictures vary as real ones do. Calls
are those of the U-Net for one picture.

Writes benchmarks/results/drawing-NAME.json after each row.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from rich.table import Table

from ddpm_ref import console
from ddpm_ref.files import write_json
from ddpm_ref.painting import Painter, load_painter
from ddpm_ref.presets import SampleConfig
from ddpm_ref.referee import appoint_referee
from ddpm_ref.scores import class_accuracy, frechet_distance
from ddpm_ref.training import select_device

RESULTS = Path(__file__).parent / "results"
SCALES = (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
# Near the noise levels 0.28 and 2.9 of Kynkäänniemi et al. 2024, on the cosine schedule.
LOW, HIGH = 0.174, 0.788  # of T
INTERVALS = {"not early": (0, HIGH), "not late": (LOW, 1), "between": (LOW, HIGH)}
STRONG = (3.0, 6.0)  # what is tried within intervals
# Sampler, its eta, and numbers of steps.
SAMPLERS = {
    "DDIM": ("ddim", 0.0, (6, 12, 25, 50)),
    "DPM-Solver++": ("dpm", 0.0, (6, 12, 25, 50)),
    "DDIM, eta 1": ("ddim", 1.0, (12, 25, 50, 100)),
}


def guidance(painter: Painter) -> dict[str, SampleConfig]:
    """Scales, and scales within an interval of timesteps, by name."""
    own, last = painter.config.sample, painter.config.diffusion.timesteps - 1
    found = {
        f"scale {scale:g}": replace(own, guidance_scale=scale, guidance_interval=None)
        for scale in SCALES
    }
    for scale in STRONG:
        for name, (low, high) in INTERVALS.items():
            interval = round(low * last), round(high * last)
            found[f"scale {scale:g}, {name}"] = replace(
                own, guidance_scale=scale, guidance_interval=interval
            )
    return found


def samplers(painter: Painter) -> dict[str, SampleConfig]:
    """Samplers with growing numbers of steps, at the scale of the model's preset, by name."""
    return {
        f"{name}, {steps}": replace(painter.config.sample, sampler=sampler, eta=eta, steps=steps)
        for name, (sampler, eta, counts) in SAMPLERS.items()
        for steps in counts
    }


QUESTIONS = {"guidance": guidance, "samplers": samplers}


def measure(painter: Painter, referee, how: SampleConfig, n: int) -> dict:
    """Draw in one way, and let the referee look."""
    seen: list[int] = []  # pictures, one entry a call
    hook = painter.model.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    y, noise = torch.arange(n) % len(painter.classes), painter.noise(n, seed=0)
    x = painter.draw(y, noise, how)
    hook.remove()
    features, guessed = referee.judge.look_at(x)
    right, each = class_accuracy(guessed, y, len(painter.classes))
    return {
        "guidance_scale": how.guidance_scale,
        "guidance_interval": how.guidance_interval,
        "class_accuracy": right,
        "worst_class_accuracy": min(each),
        "frechet_distance": frechet_distance(features, referee.features),
        "calls": sum(seen) / n,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="demo", help="a run, a file, or a name (demo)")
    parser.add_argument("--n", type=int, default=1000, help="pictures for each row (1,000)")
    parser.add_argument("--only", choices=QUESTIONS, nargs="+", default=list(QUESTIONS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.n < 2:
        parser.error(f"--n must be at least 2, got {options.n}")
    painter = load_painter(options.model, device=select_device())
    referee = appoint_referee(painter.config.data, device=painter.device, drawn=painter.classes)
    out = options.out or RESULTS / f"drawing-{Path(options.model).name}.json"
    found = {"model": painter.config.preset, "n": options.n, "judge_accuracy": referee.accuracy}
    found |= {"sampler": painter.config.sample.sampler, "steps": painter.config.sample.steps}
    before = json.loads(out.read_text()) if out.is_file() else {}
    if all(before.get(name) == value for name, value in found.items()):
        found = before  # with what it says about the other question
    for question in options.only:
        table = Table(question, "right", "worst class", "Fréchet distance", "calls")
        found[question] = {}
        for name, how in QUESTIONS[question](painter).items():
            row = found[question][name] = measure(painter, referee, how, options.n)
            write_json(out, found)
            shares = (f"{row[key]:.1%}" for key in ("class_accuracy", "worst_class_accuracy"))
            table.add_row(name, *shares, f"{row['frechet_distance']:.2f}", f"{row['calls']:.0f}")
            console.out.print(f"{name}: right {row['class_accuracy']:.1%}")
        console.out.print(table)


if __name__ == "__main__":
    with console.told():
        main()
