"""What CLIP is good for, measured by a referee that took no part: best of n, guidance, both, free text.

    make bench ARGS="clip_effects"                on the under-trained model that comes with the package
    make bench ARGS="clip_effects --only colour"  one part: ranking, guidance, failures, colour, loss

On another run, with a CLIP and a judge of its data (ranking, guidance and failures only):

    make bench ARGS="clip_effects --model RUN --clip FILE --judge FILE --out FILE --only ranking"

Every way of drawing begins from the same noise. Right is what the judge says (a classifier trained on
real pictures alone) or, for colours, what the pixels say; never the CLIP that ranked or guided. Writes
benchmarks/results/clip_effects.json after each way of drawing: stopped, it goes on with --resume.
"""

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ddpm_ref import console, shapes
from ddpm_ref.clip.clip import class_prompts, encode_images, rerank
from ddpm_ref.clip.drawing import (
    NORMALISED_SCALE,
    SCALE,
    Guide,
    draw_guided,
    similarities,
    texts_of,
)
from ddpm_ref.clip.models import DEFAULT, load_clip
from ddpm_ref.data import to_image, to_model_range
from ddpm_ref.files import write_json
from ddpm_ref.launch import fit_to_dataset, train
from ddpm_ref.painting import load_painter
from ddpm_ref.presets import preset
from ddpm_ref.referee import appoint_referee
from ddpm_ref.scores import class_accuracy, frechet_distance
from ddpm_ref.shipped import pictures_of

RESULTS = Path(__file__).parent / "results" / "clip_effects.json"
PARTS = ("ranking", "guidance", "failures", "colour", "loss")
BEST_OF = (2, 4, 8)


class Bench:
    """The models, the noise, and the table that grows."""

    def __init__(self, options: argparse.Namespace):
        self.painter = load_painter(options.model)
        small = pictures_of(self.painter.config.data, self.painter.classes)
        self.clip = load_clip(small or DEFAULT, options.clip)
        self.referee = appoint_referee(self.painter.config.data, given=options.judge)
        self.n = n = options.n
        self.y = torch.arange(n) % len(self.painter.classes)
        self.noise = self.painter.noise(n, seed=0)
        self.texts = texts_of(self.clip, class_prompts(self.painter.classes))
        self.plain = replace(self.painter.config.sample, guidance_scale=1.0)
        self.results = results = options.out
        self.rows: dict[str, dict] = json.loads(results.read_text()) if results.is_file() else {}
        self.resume = options.resume

    def has(self, part: str, name: str) -> bool:
        """Whether an interrupted run has measured this already."""
        return self.resume and name in self.rows.get(part, {})

    def note(self, part: str, name: str, **row) -> None:
        self.rows.setdefault(part, {})[name] = row
        self.rows |= {"cpus": os.cpu_count(), "torch": torch.__version__.split("+")[0]}
        self.results.parent.mkdir(exist_ok=True)
        write_json(self.results, self.rows)
        told = ", ".join(
            f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()
        )
        print(f"{part}: {name}: {told}", flush=True)

    def score(self, x: Tensor, seconds: float, calls: float) -> dict:
        """Calls: evaluations of the U-Net a picture, forward and backward."""
        y = self.y[: len(x)]
        features, guessed = self.referee.judge.look_at(x)
        right, each = class_accuracy(guessed, y, len(self.painter.classes))
        seen = similarities(self.clip, x, self.texts)
        return {
            "n": len(x),
            "class_accuracy": right,
            "worst_class_accuracy": min(each),
            "frechet_distance": frechet_distance(features, self.referee.features),
            "clip_similarity": seen.gather(1, y[:, None]).mean().item(),
            "clip_matching_accuracy": (seen.argmax(1) == y).double().mean().item(),
            "ms_per_image": 1000 * seconds / len(x),
            "unet_passes": calls,
        }

    def real(self) -> None:
        x, y = to_model_range(self.referee.real.images), self.referee.real.labels
        seen = similarities(self.clip, x, self.texts)
        self.note(
            *("ceiling", "real held-out pictures"),
            n=len(x),
            class_accuracy=self.referee.accuracy,
            clip_similarity=seen.gather(1, y[:, None]).mean().item(),
            clip_matching_accuracy=(seen.argmax(1) == y).double().mean().item(),
        )

    def draw(self, part: str, name: str, how, n: int | None = None) -> None:
        if self.has(part, name):
            return
        n = n or self.n
        began = time.process_time()
        x = self.painter.draw(self.y[:n], self.noise[:n], how)
        calls = how.steps * (1 if how.guidance_scale == 1 else 2)
        self.note(part, name, **self.score(x, time.process_time() - began, calls))

    def guide(self, part: str, name: str, how, guide: Guide, n: int | None = None) -> None:
        if self.has(part, name):
            return
        n = n or self.n
        began = time.process_time()
        texts = self.texts[self.y[:n]]
        x = draw_guided(self.painter, self.clip, texts, self.y[:n], self.noise[:n], how, guide)
        calls = how.steps * (1 if how.guidance_scale == 1 else 2)
        calls *= 2 if guide.through_model else 1
        self.note(part, name, **self.score(x, time.process_time() - began, calls))

    def ranking(self) -> None:
        """The first candidate of each picture is the one drawn without ranking, from the same noise."""
        if self.has("ranking", f"best of {max(BEST_OF)}"):
            return
        began = time.process_time()
        candidates = [self.painter.draw(self.y, self.noise, self.plain)]
        self.note(
            *("ranking", "plain"),
            **self.score(candidates[0], time.process_time() - began, self.plain.steps),
        )
        for k in range(1, max(BEST_OF)):
            candidates.append(
                self.painter.draw(self.y, self.painter.noise(self.n, seed=1000 + k), self.plain)
            )
        together = torch.stack(candidates, 1)  # (N, K, C, H, W)
        flat = together.flatten(0, 1)
        seen = similarities(self.clip, flat, self.texts).view(self.n, len(candidates), -1)
        seconds = (time.process_time() - began) / len(candidates)
        for k in BEST_OF:
            best = [int(rerank(seen[i, :k], int(self.y[i]), 1)) for i in range(self.n)]
            x = together[torch.arange(self.n), best]
            self.note("ranking", f"best of {k}", **self.score(x, k * seconds, k * self.plain.steps))

    def guidance(self) -> None:
        self.draw("guidance", "plain", self.plain)
        free = replace(self.plain, guidance_scale=2.0)
        self.draw("guidance", "classifier-free, 2", free)
        default = Guide()
        self.guide("guidance", f"CLIP, {SCALE:g} (default)", self.plain, default)
        self.guide("guidance", f"CLIP, {SCALE:g}, and classifier-free, 2", free, default)
        for scale in (10.0, 100.0):
            self.guide("guidance", f"CLIP, {scale:g}", self.plain, Guide(scale))
        self.guide(
            *("guidance", f"CLIP, {SCALE:g}, not through the model", self.plain),
            Guide(through_model=False),
        )
        self.guide("guidance", f"CLIP, {SCALE:g}, t ≤ 600", self.plain, Guide(interval=(0, 600)))

    def failures(self, n: int = 200) -> None:
        self.guide("failures", f"CLIP, {SCALE:g}", self.plain, Guide(), n)
        self.guide("failures", "scale 3000", self.plain, Guide(3000.0), n)
        self.guide("failures", "x_0 not clipped", self.plain, Guide(clip_x0=False), n)
        for size in (NORMALISED_SCALE, 0.3):
            guide = Guide(size, normalise=True)
            self.guide("failures", f"normalised, {size:g}", self.plain, guide, n)
        self.guide(
            *("failures", "normalised, 0.3, t ≥ 150", self.plain),
            *(Guide(0.3, normalise=True, interval=(150, 999)), n),
        )

    def colour(self) -> None:
        """ "a photo of a blue heart" of a model that knows hearts, but not what blue is."""
        painter = load_painter()  # the good one: colour is what is asked for, not a mended class
        names = [f"{c} {k}" for c in shapes.COLOURS for k in painter.classes]
        texts = texts_of(self.clip, class_prompts(names))  # (80, D)
        wanted = torch.arange(self.n) % len(names)
        y, colour = wanted % len(painter.classes), wanted // len(painter.classes)
        how = painter.config.sample
        for name, guide in (("without", None), (f"CLIP, {SCALE:g} (default)", Guide())):
            if self.has("colour", name):
                continue
            began = time.process_time()
            if guide is None:
                x = painter.draw(y, self.noise, how)
            else:
                x = draw_guided(painter, self.clip, texts[wanted], y, self.noise, how, guide)
            seconds = time.process_time() - began
            pixels = (to_image(x) * 255).round().byte().numpy()
            reached = torch.from_numpy(shapes.colour_seen(pixels)) == colour
            seen = similarities(self.clip, x, texts)
            self.note(
                *("colour", name),
                n=self.n,
                colour_accuracy=reached.double().mean().item(),
                by_colour={
                    c: reached[colour == k].double().mean().item()
                    for k, c in enumerate(shapes.COLOURS)
                },
                class_accuracy=class_accuracy(self.referee.judge.look_at(x)[1], y, 10)[0],
                clip_similarity=seen.gather(1, wanted[:, None]).mean().item(),
                ms_per_image=1000 * seconds / self.n,
            )
        real = self.referee.real.images
        x = to_model_range(real)
        index = 10**9 + torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
        true = torch.from_numpy(shapes.colour_of(index.numpy()))
        with torch.no_grad():
            rows = encode_images(self.clip.clip, x) @ texts.T
        truth = true * 10 + self.referee.real.labels
        measured = torch.from_numpy(shapes.colour_seen(real.numpy())) == true
        self.note(
            *("colour", "real held-out pictures"),
            n=len(x),
            colour_accuracy=measured.double().mean().item(),
            clip_similarity=rows.gather(1, truth[:, None]).mean().item(),
        )

    def loss(self, folder: Path, images: int = 29_000) -> None:
        """The under-trained model's recipe with a CLIP loss, and without it for as long a time."""
        for seed in (1, 2):
            for weight, seen in ((0, images), (0, 3 * images // 2), (0.1, images), (1, images)):
                longer = ", half as many images again" if seen > images else ""
                name = f"weight {weight}{longer}, seed {seed}"
                if self.has("loss", name):
                    continue
                config = preset("demo")
                knobs = replace(config.train, images=seen, seed=seed, clip_loss=weight)
                config, pictures = fit_to_dataset(replace(config, train=knobs))
                began = time.process_time()
                train(config, pictures, folder / name)
                seconds = time.process_time() - began
                self.painter = load_painter(folder / name)
                x = self.painter.draw(self.y, self.noise, self.plain)
                row = self.score(x, 0.0, self.plain.steps)
                row = {k: v for k, v in row.items() if k not in ("ms_per_image", "unet_passes")}
                self.note("loss", name, **row, train_cpu_seconds=seconds, images=seen)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="undertrained")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS)
    parser.add_argument("--clip", help="a file that `ddpm clip-train` wrote")
    parser.add_argument("--judge", type=Path, help="a file that `ddpm judge` wrote")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--resume", action="store_true", help="keep what is measured already")
    options = parser.parse_args()
    if options.n < 2:
        parser.error(f"--n must be at least 2, got {options.n}")
    bench = Bench(options)
    bench.real()
    for part in options.only:
        if part == "loss":
            import tempfile

            with tempfile.TemporaryDirectory() as folder:
                bench.loss(Path(folder))
        else:
            getattr(bench, part)()


if __name__ == "__main__":
    with console.told():
        main()
