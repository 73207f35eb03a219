"""CIFAR-10 from the report's recipe to ours, one knob at a time, judged by a referee. For one large GPU.

    make bench ARGS="cifar10 --only cifar10"     our recipe: train, draw, score
    make bench ARGS="cifar10"                    everything, ten minutes a call; repeat it until it is done
    make bench ARGS="cifar10 --quick"            every line of this, on a CPU, in minutes; measures nothing

With the pictures in folders (train/CLASS/*, test/CLASS/*): --dataset folder --data-dir FOLDER.
With --run RUN, what `ddpm train` made is measured in the same way, and nothing trained but the referees:
as it draws by itself, or with --draw-as PRESET as that one draws; with --only sampling in other ways too.
With --judge FILE, what `ddpm judge` made says what a picture shows, and one referee only is trained.

Two referees are trained first: one on all training images, which says what a picture shows; one on half of
them, whose features carry the Fréchet and kernel distances to the test images. The other half against
the test images is the floor. All arms draw from the same noise, by the same sampler, at the same scales.

After --minutes it stops (exit code 3) and says how to go on: trainings go on from their checkpoints, what is
drawn is drawn, what is measured stands in OUT/results.json and benchmarks/results/cifar10-DEVICE.json
(another file with --json FILE).
"""

import argparse
import json
import re
import shlex
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor

from ddpm_ref import console
from ddpm_ref.data import to_image, to_model_range
from ddpm_ref.datasets import DATASETS, ImageSet, has_test_part, load_dataset
from ddpm_ref.errors import UserError
from ddpm_ref.files import read_tensors, write_json, write_tensors
from ddpm_ref.jobs import Diverged, Hooks
from ddpm_ref.judge import Judge, load_judge, save_judge
from ddpm_ref.launch import train
from ddpm_ref.painting import Painter, load_painter
from ddpm_ref.pictures import grid, save_picture
from ddpm_ref.precision import allow_tf32, select_precision
from ddpm_ref.presets import PRESETS, RunConfig, SampleConfig, for_images, preset
from ddpm_ref.recipes import make_model
from ddpm_ref.referee import must_know, train_judge
from ddpm_ref.runs import Run, make_folder
from ddpm_ref.scores import class_accuracy, frechet_distance, kernel_distance
from ddpm_ref.training import select_device

RESULTS = Path(__file__).parent / "results"
PORTION = 200  # pictures that are drawn, then kept: at most so many are drawn in vain
MORE_TO_DO = 3  # exit code

# From the preset `seed` to `cifar10`: the name of the arm, what is new in it, and the settings that are
# taken over from `cifar10` for it. What each arm has, the later ones have as well.
KNOBS = (
    ("ema", "average of the weights", {"train": ["ema_decay"]}),
    (
        "rate",
        "learning rate: higher, with warm-up and fall, larger batches",
        {"train": ["learning_rate", "betas", "warmup_steps", "decay_from", "batch_size"]},
    ),
    ("residual", "residual paths", {"model": ["residual"]}),
    ("scale-shift", "condition as scale and shift", {"model": ["conditioning"]}),
    ("attention", "attention", {"model": ["attention_resolutions"]}),
    (
        "width",
        "a wider and deeper net, learnt resampling",
        {
            "model": [
                *("base_width", "multipliers", "blocks", "up_blocks", "middle_blocks"),
                *("attention_resolutions", "downsample", "upsample"),
            ]
        },
    ),
    ("cosine", "cosine schedule", {"diffusion": ["schedule"]}),
    ("cifar10", "v prediction: the preset cifar10", {"diffusion": ["target"]}),
)
# What matters most first.
ORDER = ("seed", "cifar10", *(name for name, *_ in KNOBS[:-1]), "min-snr", "cifar10-small")

# Ways to draw with one model, beside those of the arms: the sampler's settings, and whether a tenth of the
# pictures has to do.
WAYS = {
    "guidance 1.5": (dict(guidance_scale=1.5), False),
    "guidance 3": (dict(guidance_scale=3.0), False),
    "guidance 5": (dict(guidance_scale=5.0), False),
    # The levels of noise 0.28 to 2.9 of Kynkäänniemi et al. 2024, on the cosine schedule.
    "guidance 3, t 174 to 787": (dict(guidance_scale=3.0, guidance_interval=(174, 787)), False),
    "ddim 10": (dict(sampler="ddim", steps=10), False),
    "ddim 20": (dict(sampler="ddim", steps=20), False),
    "dpm 10": (dict(sampler="dpm", steps=10), False),
    "dpm 20": (dict(sampler="dpm", steps=20), False),
    "ddim 100": (dict(sampler="ddim", steps=100), False),
    "ancestral": (dict(sampler="ddpm"), True),
}


@dataclass(frozen=True)
class Arm:
    """One training: `config` differs from that of the arm `after` in what `what` says, and nothing else."""

    name: str
    what: str
    after: str | None
    config: RunConfig


def arms(images: int, quick: bool = False) -> dict[str, Arm]:
    """All trainings by name, from `seed` to `cifar10` and beyond.

    What has nothing to do with a recipe (compiling, when to save, how to draw) is that of `cifar10`
    in all of them, so that their seconds and their pictures compare.
    """
    ours, seed = preset("cifar10"), preset("seed")
    housekeeping = ("compile", "checkpoint_every", "sample_every")
    same = {name: getattr(ours.train, name) for name in housekeeping}
    config = replace(
        seed, train=replace(seed.train, images=images, **same), sample=ours.sample, data=ours.data
    )
    found = {"seed": Arm("seed", "the plain recipe of the report", None, config)}
    for name, what, settings in KNOBS:
        for part, fields in settings.items():
            taken = {field: getattr(getattr(ours, part), field) for field in fields}
            config = replace(config, **{part: replace(getattr(config, part), **taken)})
        levels = [32 // 2**level for level in range(len(config.model.multipliers))]
        here = tuple(r for r in config.model.attention_resolutions if r in levels)
        config = replace(
            config, preset=name, model=replace(config.model, attention_resolutions=here)
        )
        found[name] = Arm(name, what, list(found)[-1], config)
    weighted = replace(config, preset="min-snr", train=replace(config.train, min_snr_gamma=5.0))
    found["min-snr"] = Arm("min-snr", "loss weighed by min-SNR, gamma 5", "cifar10", weighted)
    # The net that comes with the package, trained for less long than the others.
    small = preset("cifar10-small")
    small = replace(small, train=replace(small.train, images=min(images, small.train.images)))
    found["cifar10-small"] = Arm("cifar10-small", "a net for processors", None, small)
    if quick:
        found = {name: replace(arm, config=_tiny(arm.config)) for name, arm in found.items()}
    return found


def _tiny(config: RunConfig) -> RunConfig:
    """The recipe with a net and a training that a CPU is done with in seconds."""
    model, knobs = config.model, config.train
    return replace(
        config,
        data=replace(config.data, image_size=16),
        model=replace(model, base_width=8 * max(1, model.base_width // 48), middle_blocks=2),
        diffusion=replace(config.diffusion, timesteps=100),
        train=replace(
            knobs,
            batch_size=knobs.batch_size // 16,
            warmup_steps=knobs.warmup_steps // 100,
            val_images=20,
            precision="fp32",
            compile=False,
        ),
        sample=replace(config.sample, steps=4),
    )


class OutOfTime(Exception):
    """The minutes are over, or somebody wants it to stop."""


class Clock:
    """Says when to stop: after so many minutes, or on Ctrl-C."""

    def __init__(self, minutes: float, signals: list[int]):
        self.began, self.minutes, self.signals = time.monotonic(), minutes, signals

    def passed(self) -> float:
        return (time.monotonic() - self.began) / 60

    def over(self) -> bool:
        return bool(self.signals) or self.passed() > self.minutes

    def check(self, *_) -> None:
        if self.over():
            raise OutOfTime

    def watch(self, things):
        """What wraps a loop that can be stopped."""
        for thing in things:
            self.check()
            yield thing


def _some(images: ImageSet, count: int) -> ImageSet:
    """So many of a set, always the same ones."""
    order = torch.randperm(len(images.labels), generator=torch.Generator().manual_seed(0))
    return images.subset(order[:count].tolist())


class Bench:
    """The pictures, the referees, and the results that grow."""

    def __init__(self, options: argparse.Namespace, clock: Clock):
        self.options, self.clock, self.n = options, clock, options.n
        self.out = make_folder(options.out)
        self.device = select_device(options.device)
        gpu = self.device.type == "cuda"
        if gpu:
            allow_tf32()
        self.kind = options.referee or ("large" if gpu else "photo")
        self.machine = torch.cuda.get_device_name(self.device) if gpu else str(self.device)
        self.results = self._begin()
        self.arms = arms(options.images, options.quick)
        self.images, self.test = self._pictures()
        self.first_half, self.second_half = self.images.split(0.5)
        self.judge = self._referee("referee", self.images, options.judge)
        self.half_judge = self._referee("referee-half", self.first_half)
        self.real, _ = self.half_judge.look_at(to_model_range(self.test.images))
        self._floor()

    def _begin(self) -> dict:
        """The results so far; an error when they were measured in another way."""
        o, path = self.options, self.out / "results.json"
        settings = {"n": o.n, "images": o.images, "dataset": o.dataset, "quick": o.quick}
        settings["referee"] = f"{o.judge.name} and {self.kind}" if o.judge else self.kind
        settings["device"] = self.machine  # seconds of two machines do not compare
        if not path.is_file():
            about = {"settings": settings, "torch": torch.__version__.split("+")[0]}
            return about | {"arms": {}, "sampling": {}}
        try:
            results = json.loads(path.read_text(encoding="utf-8"))
            before = results["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged: remove it, or choose another --out.") from error
        if before != settings:
            odd = next(name for name in settings if before.get(name) != settings[name])
            raise UserError(
                f"{self.out} was begun with {odd} {before.get(odd)}, not {settings[odd]}: "
                f"ask for the same, or choose another --out."
            )
        return results

    def _pictures(self) -> tuple[ImageSet, ImageSet]:
        """All training images and all test images; some of them, and small, with --quick."""
        o, quick = self.options, self.options.quick
        if o.data_dir and not has_test_part(o.dataset, o.data_dir):
            raise UserError(f"{o.data_dir} has no test part: it needs train/ and test/ of classes.")
        common = dict(data_dir=o.data_dir, image_size=16 if quick else 32)
        reading = console.tracker("reading images", "files")
        images = load_dataset(o.dataset, **common, size=50_000, progress=reading)
        test = load_dataset(o.dataset, **common, test=True, size=10_000, progress=reading)
        if quick:
            images, test = _some(images, 500), _some(test, 100)
        return images, test

    def _referee(self, name: str, images: ImageSet, given: Path | None = None) -> Judge:
        """The referee that learns from these images: given, kept from an earlier call, or trained now."""
        path, tiny = given or self.out / f"{name}.safetensors", self.options.quick
        if given is None and not path.is_file():
            watched = console.tracker(f"training {name}")
            began = time.monotonic()
            judge = train_judge(
                images,
                steps=12 if tiny else None,
                device=self.device,
                progress=lambda steps: self.clock.watch(watched(steps)),
                kind=self.kind,
                width=8 if tiny else None,
            )
            save_judge(judge, path, {"classes": list(images.classes), "images": len(images.labels)})
            self.note("referees", name, train_seconds=time.monotonic() - began)
        judge = load_judge(path).to(self.device)
        must_know(judge, images, path, self.options.dataset)
        if "accuracy" not in self.results.get("referees", {}).get(name, {}):
            _, guessed = judge.look_at(to_model_range(self.test.images))
            accuracy, _ = class_accuracy(guessed, self.test.labels, len(self.test.classes))
            seen, n = len(images.labels), len(guessed)
            self.note("referees", name, accuracy=accuracy, n=n, images=seen)
            console.out.print(f"{name}: right on {accuracy:.2%} of {n:,} test images")
        return judge

    def _floor(self) -> None:
        """Real against real: the half that no referee of distances has seen, against the test images."""
        if "floor" in self.results:
            return
        real = _some(self.second_half, self.n)
        features, _ = self.half_judge.look_at(to_model_range(real.images))
        self.results["floor"] = {"n": len(features), "n_real": len(self.real)}
        self.results["floor"] |= self._distances(features)
        self._write()

    def _distances(self, features: Tensor) -> dict:
        # Not every accelerator has numbers of 64 bits.
        where = self.device if self.device.type == "cuda" else "cpu"
        drawn, real = features.to(where), self.real.to(where)
        return {
            "frechet_distance": frechet_distance(drawn, real),
            "kernel_distance": kernel_distance(drawn, real),
        }

    def note(self, part: str, name: str, **values) -> None:
        """Add numbers to the results, and write them."""
        self.results.setdefault(part, {}).setdefault(name, {}).update(values)
        self._write()

    def _write(self) -> None:
        write_json(self.out / "results.json", self.results)
        machine = re.sub(r"[^a-z0-9]+", "-", self.machine.lower()).strip("-")
        usual = None if self.options.quick else make_folder(RESULTS) / f"cifar10-{machine}.json"
        if (path := self.options.json or usual) is not None:
            write_json(path, self.results)

    def train(self, arm: Arm) -> bool:
        """Train an arm, or go on with it; whether there is a trained model in the end."""
        folder = self.out / arm.name
        _, channels, size, _ = self.images.images.shape
        config = for_images(arm.config, size, channels, len(self.images.classes))
        where = dict(dataset=self.options.dataset, data_dir=self.options.data_dir)
        config = replace(config, data=replace(config.data, **where))
        if known := (folder / "config.json").is_file():
            before = Run(folder).config()
            if replace(before, data=config.data) != config:  # the pictures may have moved
                raise UserError(
                    f"{folder} was begun with another recipe: remove it, or choose another --out."
                )
            if "diverged" in self.results["arms"].get(arm.name, {}):
                return False
        if (last := _last_checkpoint(folder)) is None or last["images_seen"] < config.train.images:
            self.clock.check()
            console.out.print(f"{arm.name}: {'going on' if known else 'training'}: {arm.what}")
            hooks = Hooks(on_epoch=_tell, interrupted=self.clock.over)
            try:
                finished = train(
                    *(config, self.images, folder, self.device), hooks=hooks, resume=known
                )
            except UserError as error:
                if not isinstance(error.__cause__, Diverged):
                    raise
                self.note("arms", arm.name, what=arm.what, diverged=str(error.__cause__))
                return False
            if not finished:
                raise OutOfTime
            last = _last_checkpoint(folder)
        if "train_seconds" not in self.results["arms"].get(arm.name, {}):
            self.note(
                *("arms", arm.name),
                what=arm.what,
                after=arm.after,
                parameters=sum(p.numel() for p in make_model(config).parameters()),
                precision=select_precision(config.train.precision, self.device),
                images_seen=last["images_seen"],
                train_seconds=last["seconds"],
            )
        return True

    def arm(self, arm: Arm) -> None:
        """Train it, draw and score at both scales."""
        if not self.train(arm):
            return
        for scale in (1.0, arm.config.sample.guidance_scale):
            title = f"guidance {scale:g}"
            if title not in self.results["arms"][arm.name]:
                how = replace(arm.config.sample, guidance_scale=scale)
                self.note("arms", arm.name, **{title: self.measure(arm.name, title, how, self.n)})

    def sampling(self) -> None:
        """Other ways to draw, with the model of --sampling-of; and the plain recipe by its own sampler."""
        best = self.options.sampling_of or "cifar10"
        if self.train(self.arms[best]):
            self.ways(best, self.arms[best].config.sample, WAYS)
        if self.train(self.arms["seed"]):
            own = replace(preset("seed").sample, guidance_scale=1.0)
            self.ways("seed", own, {"ancestral": ({}, True)})

    def ways(self, name: str, usual: SampleConfig, ways: dict, model: Path | None = None) -> None:
        """Draw with one model as it usually does but for one thing, and score."""
        for title, (changes, few) in ways.items():
            key, how = f"{name}, {title}", replace(usual, **changes)
            if key not in self.results["sampling"]:
                n = max(2, self.n // 10) if few else self.n
                self.note("sampling", key, **self.measure(name, title, how, n, model))

    def run(self, folder: Path) -> None:
        """Draw and score with a run that somebody trained, at scale 1 and at its own, or in all ways."""
        last = _checkpoint_of(folder)
        painter, name = load_painter(folder, device=self.device), folder.resolve().name
        drawn_as = self.options.draw_as
        how = preset(drawn_as).sample if drawn_as else painter.config.sample
        seen = last["images_seen"]
        before = self.results["arms"].get(name, {"images_seen": seen})
        if before["images_seen"] != seen:
            raise UserError(f"{self.out} has numbers of another {name}: choose another --out.")
        self.note("arms", name, what="a run", images_seen=seen, train_seconds=last["seconds"])
        for scale in sorted({1.0, how.guidance_scale}):
            title = f"guidance {scale:g}"
            if title not in self.results["arms"][name]:
                row = self.measure(name, title, replace(how, guidance_scale=scale), self.n, folder)
                self.note("arms", name, **{title: row})
        if "sampling" in self.options.only:
            most = max(changes.get("steps", 1) for changes, _ in WAYS.values())
            if (timesteps := painter.config.diffusion.timesteps) < most:
                raise UserError(
                    f"{name} has {timesteps} timesteps, too few for the ways that take {most} steps."
                )
            self.ways(name, how, WAYS, folder)

    def measure(
        self, name: str, title: str, how: SampleConfig, n: int, model: Path | None = None
    ) -> dict:
        """Draw n pictures with a model, that of the arm when it is None; the referees look at them."""
        painter = load_painter(model or self.out / name, device=self.device)
        images, seconds = self.draw(painter, self.out / name / title.replace(" ", "-"), how, n)
        x, y = to_model_range(images), torch.arange(n) % len(painter.classes)
        columns = len(painter.classes)
        picture = grid(x[: 8 * columns], columns, column_titles=painter.classes)
        save_picture(picture, self.out / f"{name}-{title.replace(' ', '-')}.png")
        _, guessed = self.judge.look_at(x)
        features, _ = self.half_judge.look_at(x)
        accuracy, each = class_accuracy(guessed, y, columns)
        asked = dict(zip(painter.classes[:n], each, strict=False))
        row = {
            "n": n,
            "n_real": len(self.real),
            **asdict(how),
            "class_accuracy": accuracy,
            "class_accuracies": asked,
            **self._distances(features),
            "draw_seconds": seconds,
        }
        console.out.print(
            f"{name}, {title}: accuracy {accuracy:.1%}, Fréchet distance {row['frechet_distance']:.3f}, "
            f"kernel distance {row['kernel_distance']:.4f} (n = {n:,})"
        )
        return row

    def draw(
        self, painter: Painter, folder: Path, how: SampleConfig, n: int
    ) -> tuple[Tensor, float]:
        """n pictures (n, 3, H, W) as uint8 and the seconds they took; kept, a portion a file."""
        make_folder(folder)
        y, noise = torch.arange(n) % len(painter.classes), painter.noise(n, seed=0)
        portions, seconds = [], 0.0
        for first in range(0, n, PORTION):
            path, chosen = folder / f"{first:06d}.safetensors", slice(first, first + PORTION)
            if not path.is_file():
                began = time.monotonic()
                x = painter.draw(
                    *(y[chosen], noise[chosen], how), seed=first, advance=self.clock.check
                )
                pixels = (to_image(x) * 255).round().byte()
                took = {"seconds": time.monotonic() - began, "how": asdict(how), "n": len(pixels)}
                write_tensors(path, {"images": pixels}, took)
            tensors, header = read_tensors(path)
            portions.append(tensors["images"])
            seconds += header["seconds"]
        return torch.cat(portions), seconds

    def show(self) -> None:
        """The table of all that is measured."""
        titles = ("", "M seen", "training", "n", "guidance", "right", "Fréchet", "kernel")
        table = Table(*titles, box=None, padding=(0, 1))
        table.columns[0].no_wrap = True
        for name, row in self.results.get("referees", {}).items():
            table.add_row(name, "", "", f"{row['n']:,}", "", f"{row['accuracy']:.2%}")
        if floor := self.results.get("floor"):
            table.add_row("real against real", "", "", f"{floor['n']:,}", *("", ""), *_both(floor))
        for name in {**self.arms, **self.results["arms"]}:
            row = self.results["arms"].get(name, {})
            if "diverged" in row:
                table.add_row(name, "diverged")
            if "train_seconds" in row:
                trained = f"{row['images_seen'] / 1e6:.2f}", f"{row['train_seconds']:.0f} s"
                for title in [key for key in row if key.startswith("guidance")]:
                    table.add_row(name, *trained, *_cells(row[title]))
        for name, row in self.results["sampling"].items():
            table.add_row(name, "", "", *_cells(row))
        console.out.print(table)


def _cells(row: dict) -> tuple[str, ...]:
    right = f"{row['class_accuracy']:.1%}"
    return f"{row['n']:,}", f"{row['guidance_scale']:g}", right, *_both(row)


def _both(row: dict) -> tuple[str, str]:
    return f"{row['frechet_distance']:.3f}", f"{row['kernel_distance']:.4f}"


def _checkpoint_of(folder: Path) -> dict:
    last = _last_checkpoint(folder)
    if last is None:
        raise UserError(f"{folder} is no run with a checkpoint: give the folder of one.")
    return last


def _last_checkpoint(folder: Path) -> dict | None:
    """Its numbers; None for a folder that is no run yet, or has no checkpoint."""
    return Run(folder).last_checkpoint() if (folder / "config.json").is_file() else None


def _tell(state, row: dict) -> None:
    console.out.print(
        f"  epoch {state.epoch}: {state.images_seen:,} images, {row['seconds']:.0f} s, "
        f"training loss {row['train_loss']:.4f}, validation loss {row['val_loss']:.4f}"
    )


def options_from(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = (*ORDER, "sampling")
    parser.add_argument("--only", nargs="+", choices=parts, metavar="ARM", help=", ".join(parts))
    parser.add_argument(
        "--run", type=Path, help="measure this run; others only if --only names them"
    )
    parser.add_argument("--draw-as", choices=PRESETS, help="how --run draws (as it does by itself)")
    parser.add_argument("--minutes", type=float, default=10.0, help="of this call (10)")
    parser.add_argument("--images", type=int, help="that each arm sees (2,250,000)")
    parser.add_argument("--n", type=int, help="pictures to score by (10,000)")
    kinds = ("photo", "large")
    parser.add_argument("--referee", choices=kinds, help="their kind (large on a GPU, else photo)")
    parser.add_argument("--judge", type=Path, help="a referee that is trained already")
    parser.add_argument("--sampling-of", choices=ORDER, metavar="ARM", help="(cifar10)")
    parser.add_argument("--dataset", default="cifar10", choices=DATASETS)
    parser.add_argument("--data-dir", help="the download's folder (data), or that of the pictures")
    parser.add_argument("--out", type=Path, help="folder of all it makes (runs/cifar10-ladder)")
    parser.add_argument("--json", type=Path, help="the numbers go there, beside OUT/results.json")
    parser.add_argument("--device", help="cpu, cuda, …: the best there is")
    parser.add_argument("--quick", action="store_true", help="a tiny everything; measures nothing")
    options = parser.parse_args(arguments)
    quick = options.quick
    if options.run is not None and options.sampling_of is not None:
        parser.error("--sampling-of names an arm, but with --run it is the run that is measured")
    if options.only is None:
        options.only = parts if options.run is None else ()
    options.out = options.out or Path("runs/cifar10-quick" if quick else "runs/cifar10-ladder")
    options.images = (96 if quick else 50 * 45_000) if options.images is None else options.images
    options.n = (100 if quick else 10_000) if options.n is None else options.n
    if quick and options.device is None:
        options.device = "cpu"
    for name, least in (("minutes", 0), ("images", 1), ("n", 2)):
        if not getattr(options, name) >= least:
            parser.error(f"--{name} must be at least {least}, got {getattr(options, name)}")
    return options


def main(arguments: list[str]) -> int:
    options, bench = options_from(arguments), None
    with console.signals() as signals:
        clock = Clock(options.minutes, signals)
        try:
            if options.run is not None:  # asked before the referees are trained, which takes long
                _checkpoint_of(options.run)
            bench = Bench(options, clock)
            if options.run is not None:
                bench.run(options.run)
            for name in ORDER:
                if name in options.only:
                    bench.arm(bench.arms[name])
            if "sampling" in options.only and options.run is None:
                bench.sampling()
            bench.show()
        except OutOfTime:
            if bench:
                bench.show()
            console.out.print(
                f"Stopped after {clock.passed():.1f} minutes; what is finished is in {options.out}. "
                f"To go on:\n  python benchmarks/cifar10.py {shlex.join(arguments)}"
            )
            return 128 + signals[0] if signals else MORE_TO_DO
        except KeyboardInterrupt:
            console.problem(f"Stopped at once; what is finished is in {options.out}.")
            return 130
        except UserError as error:
            console.problem(str(error))
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
