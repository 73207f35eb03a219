"""How fast does our U-Net train, beside other people's, at comparable FLOPs?

    make bench ARGS="train_throughput"               on the GPU if there is one, else on the CPU
    make bench ARGS="train_throughput --quick"       a minute, to see that it runs

One step is forward, mean squared error, backward, clipping to norm 1, fused AdamW. All networks have
width 64 and multipliers (1, 2, 4), and see the same random images of 3×32×32. FLOPs are counted by one
tool for all of them (torch.utils.flop_counter); those of a step are taken as three times the forward's.
The arms take turns, round after round, and every ratio is taken within a round before the median over
the rounds, so that a machine that slows down slows all of them. Around attention the settings are equal
for `ours` and `diffusers`: at 16×16 and once at 8×8, as many layers, heads of 32 channels (of 64 at 8×8
in ours). `diffusers, heads of 8` is what its UNet2DModel does when it is not told otherwise.

Writes benchmarks/results/train_throughput-DEVICE.json and .png.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ddpm_ref.files import write_json
from ddpm_ref.precision import autocast
from ddpm_ref.presets import preset
from ddpm_ref.training import make_optimizer, select_device
from ddpm_ref.unet import UNet

SIZE, WIDTH, MULTIPLIERS, CLASSES = 32, 64, (1, 2, 4), 10
BASELINE = "diffusers"  # what ratios are taken to
# Blocks that bring ours within 1 % of the FLOPs of layers_per_block=2 in diffusers, with as many
# attention layers: two on the way down and three on the way up at 16×16, one in the middle.
BLOCKS = dict(blocks=2, up_blocks=3, middle_blocks=11)

Network = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x_t, t, y) → prediction


@dataclass(frozen=True)
class Arm:
    """One thing to measure: a network and the way it is trained."""

    name: str
    make: Callable[[], tuple[nn.Module, Network]]
    precision: str = "fp32"
    tf32: bool = True  # on CUDA only
    channels_last: bool = False
    compile: bool = False
    fused: bool = True


def ours(heads: int = 4) -> tuple[nn.Module, Network]:
    """The reference, with classes."""
    model = UNet(
        base_width=WIDTH,
        multipliers=MULTIPLIERS,
        image_size=SIZE,
        attention_resolutions=(16, 8),
        heads=heads,
        num_classes=CLASSES,
        **BLOCKS,
    )
    return model, model


def plain() -> tuple[nn.Module, Network]:
    """The network of the `seed` preset: no attention, no residual path."""
    model = UNet(**asdict(preset("seed").model))
    return model, model


def diffusers(head_dim: int = 32) -> tuple[nn.Module, Network]:
    """UNet2DModel, with classes."""
    from diffusers import UNet2DModel

    model = UNet2DModel(
        sample_size=SIZE,
        block_out_channels=tuple(WIDTH * m for m in MULTIPLIERS),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=head_dim,
        num_class_embeds=CLASSES + 1,
    )
    return model, lambda x, t, y: model(x, t, class_labels=y, return_dict=False)[0]


def denoising_diffusion_pytorch() -> tuple[nn.Module, Network]:
    """Its Unet, which has no classes; full attention at 16×16, linear attention elsewhere."""
    from denoising_diffusion_pytorch import Unet

    model = Unet(dim=WIDTH, dim_mults=MULTIPLIERS, channels=3, full_attn=(False, True, True))
    return model, lambda x, t, y: model(x, t)


CPU_ARMS = (
    Arm("ours", ours),
    Arm("ours channels_last", ours, channels_last=True),
    Arm("ours bf16", ours, precision="bf16"),
    Arm("ours bf16 channels_last", ours, precision="bf16", channels_last=True),
    Arm("ours, heads of 8, channels_last", lambda: ours(heads=16), channels_last=True),
    Arm("diffusers", diffusers),
    Arm("diffusers channels_last", diffusers, channels_last=True),
    Arm("diffusers bf16", diffusers, precision="bf16"),
    Arm("diffusers, heads of 8", lambda: diffusers(head_dim=8)),
    Arm("denoising-diffusion-pytorch", denoising_diffusion_pytorch),
    Arm("seed preset", plain),
)
# In diffusers' training example: bf16 by autocast, layout and products as torch has them from the
# start, an AdamW that is not fused, nothing compiled. It is the baseline on a GPU.
EXAMPLE = Arm("diffusers", diffusers, precision="bf16", tf32=False, fused=False)
CUDA_ARMS = (
    Arm("ours tf32", ours),
    Arm("ours bf16", ours, precision="bf16"),
    Arm("ours bf16 channels_last", ours, precision="bf16", channels_last=True),
    Arm("ours bf16 compiled", ours, precision="bf16", compile=True),
    Arm(
        "ours bf16 channels_last compiled", ours, precision="bf16", channels_last=True, compile=True
    ),
    EXAMPLE,
    replace(EXAMPLE, name="diffusers fp32", precision="fp32"),
    replace(EXAMPLE, name="diffusers, heads of 8", make=lambda: diffusers(head_dim=8)),
    Arm("denoising-diffusion-pytorch bf16", denoising_diffusion_pytorch, precision="bf16"),
    Arm("seed preset bf16", plain, precision="bf16"),
)


class Bench:
    """An arm, ready to make training steps on one batch."""

    def __init__(self, arm: Arm, device: torch.device, batch: int):
        torch.manual_seed(0)
        self.arm, self.device, self.batch = arm, device, batch
        self.layout = torch.channels_last if arm.channels_last else torch.contiguous_format
        self.x, self.noise = torch.randn(2, batch, 3, SIZE, SIZE, device=device)
        self.x = self.x.contiguous(memory_format=self.layout)
        self.t = torch.randint(0, 1000, (batch,), device=device)
        self.y = torch.randint(0, CLASSES, (batch,), device=device)
        model, network = arm.make()
        self.model = model.to(device, memory_format=self.layout).train()
        self.forward_flops = self._forward_flops(network)
        self.parameters = sum(p.numel() for p in model.parameters())
        # Else torch takes the layout for one that varies, when the second arm has another one than the first.
        self.network = torch.compile(network, dynamic=False) if arm.compile else network
        if arm.fused:
            self.optimizer = make_optimizer(model, 1e-4)
        else:
            self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        self.seconds: list[float] = []  # of a step, one entry a round

    def _forward_flops(self, network: Network) -> int:
        """Multiplications and additions of one image's forward pass."""
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(self.x[:1], self.t[:1], self.y[:1])
        return counter.get_total_flops()

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.device, self.arm.precision):
            loss = F.mse_loss(self.network(self.x, self.t, self.y).float(), self.noise)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    def round(self, steps: int) -> float:
        """Seconds a step, over so many of them."""
        set_tf32(self.device, self.arm.tf32)
        synchronize(self.device)
        began = time.perf_counter()
        for _ in range(steps):
            self.step()
        synchronize(self.device)
        return (time.perf_counter() - began) / steps

    def profile(self, steps: int = 2) -> dict:
        """Where the time of a step goes (profiled apart from the timing, which it would disturb)."""
        set_tf32(self.device, self.arm.tf32)
        on_gpu = self.device.type == "cuda"
        activities = [torch.profiler.ProfilerActivity.CPU]
        if on_gpu:
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        with torch.profiler.profile(activities=activities) as run:
            for _ in range(steps):
                self.step()
            synchronize(self.device)
        kind = torch.autograd.DeviceType.CUDA if on_gpu else torch.autograd.DeviceType.CPU
        entries = [
            (e.key, e.self_device_time_total if on_gpu else e.self_cpu_time_total)
            for e in run.key_averages()
            if e.device_type == kind and not getattr(e, "is_user_annotation", False)
        ]
        total = sum(time for _, time in entries)
        top = sorted(entries, key=lambda entry: -entry[1])[:12]
        result: dict = {"shares": {name: time / total for name, time in top}}
        if on_gpu:
            result["idle_share"] = 1 - busy_seconds(run) / steps / median(self.seconds)
        return result


def busy_seconds(run: torch.profiler.profile) -> float:
    """How long at least one kernel ran."""
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in run.events()
        if event.device_type == torch.autograd.DeviceType.CUDA
        and not getattr(event, "is_user_annotation", False)
    )
    busy, until = 0.0, float("-inf")
    for start, end in spans:  # kernels that overlap count once
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    return busy * 1e-6


def set_tf32(device: torch.device, allowed: bool) -> None:
    """As `ddpm train` does it, or as torch starts."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if allowed else "highest")


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def best_rates(device: torch.device) -> dict[str, dict[str, float]]:
    """FLOP/s of large products: what the device can do at best, in practice."""
    set_tf32(device, True)
    n, images = (8192, 512) if device.type == "cuda" else (2048, 32)
    rates: dict[str, dict[str, float]] = {}
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a = torch.randn(n, n, device=device, dtype=dtype)
        x = torch.randn(images, 256, 16, 16, device=device, dtype=dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        weight = torch.randn(256, 256, 3, 3, device=device, dtype=dtype)
        weight = weight.contiguous(memory_format=torch.channels_last)
        rates[precision] = {
            "matmul": 2 * n**3 / seconds_of(device, lambda a=a: a @ a),
            "convolution": 2
            * 9
            * weight[..., 0, 0].numel()
            * x[:, 0].numel()
            / seconds_of(device, lambda x=x, w=weight: F.conv2d(x, w, padding=1)),
        }
    return rates


def seconds_of(device: torch.device, work: Callable[[], Tensor], repeats: int = 8) -> float:
    """The shortest of some calls."""
    times = []
    for _ in range(repeats):
        synchronize(device)
        began = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - began)
    return min(times)


def measure(benches: list[Bench], rounds: int, steps: int, console: Console) -> None:
    """A warm-up round, then `rounds` in which the arms take turns, every other one backwards."""
    for k in range(rounds + 1):
        for bench in benches if k % 2 else benches[::-1]:
            with console.status(f"round {k} of {rounds}: {bench.arm.name}"):
                seconds = bench.round(steps)
            if k > 0:
                bench.seconds.append(seconds)


def ratios(bench: Bench, other: Bench) -> list[float]:
    """How many times as fast a step is as the other's, round by round."""
    return [b / s for s, b in zip(bench.seconds, other.seconds, strict=True)]


def summary(bench: Bench, baseline: Bench, rates: dict[str, dict[str, float]]) -> dict:
    """The numbers of one arm."""
    arm, images_per_second = bench.arm, bench.batch / median(bench.seconds)
    times_baseline = ratios(bench, baseline)
    low, _, high = quantiles(times_baseline, n=4)
    flops_per_second = images_per_second * 3 * bench.forward_flops
    best = rates["fp32" if arm.precision == "fp32" else "bf16"]
    return {
        "arm": arm.name,
        "precision": arm.precision,
        "channels_last": arm.channels_last,
        "compiled": arm.compile,
        "parameters": bench.parameters,
        "forward_flops_per_image": bench.forward_flops,
        "seconds_per_step": median(bench.seconds),
        "images_per_second": images_per_second,
        "flops_per_second": flops_per_second,
        "images_ratio": median(times_baseline),
        "images_ratio_quartiles": [low, high],
        "flops_ratio": median(times_baseline) * bench.forward_flops / baseline.forward_flops,
        "share_of_matmul_rate": flops_per_second / best["matmul"],
        "share_of_best_rate": flops_per_second / max(best.values()),
        "rounds": bench.seconds,
        **bench.profile(),
    }


def headlines(benches: list[Bench], baseline: Bench) -> dict[str, float]:
    """What the targets of the project are about: our fastest ways against the baseline and fp32."""
    mine = [b for b in benches if b.arm.make is ours]
    fastest = {
        precision: min(ways, key=lambda b: median(b.seconds))
        for precision in ("fp32", "bf16")
        if (ways := [b for b in mine if b.arm.precision == precision])
    }
    per_image = {name: median(ratios(b, baseline)) for name, b in fastest.items()}
    result = {f"images_ratio_{name}": value for name, value in per_image.items()}
    for name, bench in fastest.items():
        result[f"flops_ratio_{name}"] = (
            per_image[name] * bench.forward_flops / baseline.forward_flops
        )
    if len(fastest) == 2:
        result["bf16_over_fp32"] = median(ratios(fastest["bf16"], fastest["fp32"]))
    return result


def print_results(about: dict, console: Console) -> None:
    results = about["arms"]
    columns = [
        "arm",
        "M params",
        "GFLOP/img",
        "img/s",
        "GFLOP/s",
        "img/s ×",
        "FLOP/s ×",
        "of best",
    ]
    with_idle = "idle_share" in results[0]
    table = Table(*columns, *(["idle"] if with_idle else []), title=f"×: times {BASELINE}")
    table.columns[0].no_wrap = True
    for r in results:
        low, high = r["images_ratio_quartiles"]
        cells = [
            r["arm"],
            f"{r['parameters'] / 1e6:.1f}",
            f"{r['forward_flops_per_image'] / 1e9:.2f}",
            f"{r['images_per_second']:.4g}",
            f"{r['flops_per_second'] / 1e9:.4g}",
            f"{r['images_ratio']:.2f} ({low:.2f}–{high:.2f})",
            f"{r['flops_ratio']:.2f}",
            f"{r['share_of_best_rate']:.0%}",
        ]
        table.add_row(*cells, *([f"{r['idle_share']:.0%}"] if with_idle else []))
    console.print(table)
    console.print(
        f"{about['processor']}, {about['threads']} threads, batch {about['batch']}, "
        f"torch {about['torch']}"
    )
    for precision, best in about["best_flops_per_second"].items():
        shown = ", ".join(f"{name} {rate / 1e9:.4g} GFLOP/s" for name, rate in best.items())
        console.print(f"best {precision}: {shown}")
    for name, value in about["headlines"].items():
        console.print(f"{name}: {value:.2f}")


def plot(about: dict, path: Path) -> None:
    """Two bar charts: images and FLOPs a second, both as multiples of the baseline's."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    results = about["arms"]
    names = [r["arm"] for r in results][::-1]
    figure, axes = plt.subplots(1, 2, figsize=(11, 1.2 + 0.36 * len(names)), sharey=True)
    for axis, key, title in zip(
        axes,
        ("images_ratio", "flops_ratio"),
        ("images per second", "FLOPs per second"),
        strict=True,
    ):
        values = [r[key] for r in results][::-1]
        colours = ["#2a6f97" if name.startswith("ours") else "#b8bfc6" for name in names]
        bars = axis.barh(names, values, color=colours)
        axis.bar_label(bars, [f"{v:.2f}" for v in values], padding=3, fontsize=9)
        axis.axvline(1, color="#444", linewidth=0.8, linestyle=":")
        axis.set_title(f"{title}, {BASELINE} = 1", fontsize=10)
        axis.set_xlim(0, 1.15 * max(values))
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        f"A training step on {about['processor']}, batch {about['batch']}, torch {about['torch']}",
        fontsize=11,
    )
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def processor(device: torch.device) -> str:
    """What the device is called."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", help="cpu, cuda …; default: the best there is")
    parser.add_argument("--threads", type=int, help="of the CPU; default: torch's")
    parser.add_argument("--batch", type=int, help="images a step; default: 32, on CUDA 256")
    parser.add_argument("--rounds", type=int, default=7, help="at least 2")
    parser.add_argument("--steps", type=int, help="a round; default: 1, on CUDA 20")
    parser.add_argument("--arms", nargs="+", metavar="NAME", help="only these, and the baseline")
    parser.add_argument("--quick", action="store_true", help="batch 8, two rounds; writes nothing")
    options = parser.parse_args()
    options.device = select_device(options.device)
    on_gpu = options.device.type == "cuda"
    options.batch = options.batch or (8 if options.quick else 256 if on_gpu else 32)
    options.rounds = 2 if options.quick else max(2, options.rounds)
    options.steps = options.steps or (20 if on_gpu and not options.quick else 1)
    arms = {arm.name: arm for arm in (CUDA_ARMS if on_gpu else CPU_ARMS)}
    if unknown := set(options.arms or ()) - set(arms):
        parser.error(f"no arm {sorted(unknown)}; there are: {list(arms)}")
    wanted = {*options.arms, BASELINE} if options.arms else arms
    options.arms = [arm for name, arm in arms.items() if name in wanted]
    return options


def write(about: dict) -> None:
    path = Path(__file__).parent / "results" / f"train_throughput-{about['device']}.json"
    path.parent.mkdir(exist_ok=True)
    write_json(path, about)
    plot(about, path.with_suffix(".png"))


def main() -> None:
    options = parse()
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console.width = 120
    device = options.device
    torch.set_num_threads(options.threads or torch.get_num_threads())
    rates = best_rates(device)
    benches = [Bench(arm, device, options.batch) for arm in options.arms]
    baseline = next(bench for bench in benches if bench.arm.name == BASELINE)
    measure(benches, options.rounds, options.steps, console)
    about = {
        "device": device.type,
        "processor": processor(device),
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "torch": torch.__version__,
        "diffusers": version("diffusers"),
        "denoising_diffusion_pytorch": version("denoising-diffusion-pytorch"),
        "batch": options.batch,
        "rounds": options.rounds,
        "steps_per_round": options.steps,
        "baseline": BASELINE,
        "best_flops_per_second": rates,
        "headlines": headlines(benches, baseline),
        "arms": [summary(bench, baseline, rates) for bench in benches],
    }
    print_results(about, console)
    if not options.quick:
        write(about)


if __name__ == "__main__":
    main()
