"""The referee: a small classifier, trained on the data set alone, that says what a picture shows.

It takes no part in making the pictures, so it can score them. Its features, 64 numbers a picture,
also carry a Fréchet distance; figures of that kind compare with each other at the same n and the
same judge, not with FID figures from papers, which use another network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_ref.data import ImageSet, has_test_part, load_dataset, split_dataset, to_model_range
from ddpm_ref.errors import UserError
from ddpm_ref.files import load_weights, read_tensors, write_tensors
from ddpm_ref.presets import DataConfig

BATCH = 128
SHIPPED_JUDGE = Path(str(files("ddpm_ref") / "weights" / "judge-shapes.safetensors"))


class Judge(nn.Module):
    """Three convolutions, 64 features, one logit a class; for images of 8×8 and larger.

    Args:
        channels: of the images.
        num_classes: how many.
    """

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        layers, width = [], channels
        for out in (32, 64, 64):
            layers += [
                nn.Conv2d(width, out, 3, padding=1),
                nn.BatchNorm2d(out),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            width = out
        self.convolutions = nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.to_features = nn.Linear(64 * 4 * 4, 64)
        self.to_logits = nn.Linear(64, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) in [−1, 1] → (B, 64)."""
        return self.to_features(self.convolutions(x))

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) in [−1, 1] → logits (B, num_classes)."""
        return self.to_logits(F.relu(self.features(x)))

    @torch.no_grad()
    def look_at(self, x: Tensor, batch: int = 500) -> tuple[Tensor, Tensor]:
        """Features (N, 64) and predicted classes (N,) of (N, C, H, W) images, in batches, on the CPU."""
        self.eval()
        device = next(self.parameters()).device
        features = torch.cat(
            [self.features(portion.to(device)).cpu() for portion in x.split(batch)]
        )
        return features, self.to_logits(F.relu(features.to(device))).argmax(1).cpu()


def train_judge(
    images: ImageSet,
    steps: int | None = None,
    seed: int = 0,
    device="cpu",
    progress: Callable = iter,
) -> Judge:
    """Train a referee on (the training part of) a data set; about ten seconds on a CPU.

    Args:
        images: what to learn from.
        steps: of 128 images each; None for four passes over the images, at least 600 steps.
        seed: of everything random in it; the global random state is left alone.
        device: where to train.
        progress: wraps the range of steps.
    """
    if steps is None:
        steps = max(600, 4 * len(images.labels) // BATCH)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        judge = Judge(images.images.shape[1], len(images.classes)).to(device).train()
        optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
        for _ in progress(range(steps)):
            chosen = torch.randint(len(images.labels), (BATCH,))
            x = to_model_range(images.images[chosen])
            if images.flip:
                x = torch.where(torch.rand(BATCH, 1, 1, 1) < 0.5, x.flip(-1), x)
            # A little noise: samples are never as clean as data, and should not be failed for that.
            x = x + 0.1 * torch.rand(BATCH, 1, 1, 1) * torch.randn_like(x)
            loss = F.cross_entropy(judge(x.to(device)), images.labels[chosen].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
    return judge.eval()


@dataclass(frozen=True)
class Referee:
    """A judge, and the real pictures that nobody has trained on to measure it and the samples by.

    Attributes:
        judge: the classifier.
        accuracy: its share of right answers on the held-out pictures.
        n: how many those are.
        features: (n, 64) of the held-out pictures.
        real: the held-out pictures, None where nobody needs them.
    """

    judge: Judge
    accuracy: float
    n: int
    features: Tensor
    real: ImageSet | None = None


def appoint_referee(
    data: DataConfig,
    keep_in: Path | None = None,
    held_out: int = 2000,
    split_seed: int = 0,
    device="cpu",
    progress: Callable[[str], Callable] = lambda what: iter,
) -> Referee:
    """The referee for a data set: shipped (shapes at 16×16), kept from an earlier call, or trained now.

    Args:
        data: the data set.
        keep_in: folder that remembers the trained judge as `judge.safetensors`; None for nowhere.
        held_out: at most so many real pictures to measure by.
        split_seed: where there is no test part, the seed of the split that the model trained with: its
            validation images are the real pictures to measure by.
        device: where to train a judge, and where it looks at pictures.
        progress: given a title, what wraps the steps or files of that piece of work.
    """
    reading = progress("reading images")
    size = dict(data_dir=data.data_dir, image_size=data.image_size)
    kept = keep_in / "judge.safetensors" if keep_in else None
    if data.dataset == "shapes" and data.image_size == 16:
        judge = load_judge(SHIPPED_JUDGE)
        real = load_dataset("shapes", **size, test=True, size=held_out)
    else:
        if has_test_part(data.dataset, data.data_dir):
            learn = load_dataset(data.dataset, **size, size=data.size, progress=reading)
            real = load_dataset(data.dataset, **size, test=True, size=held_out, progress=reading)
        else:
            everything = load_dataset(data.dataset, **size, progress=reading)
            train, val = split_dataset(len(everything.labels), data.val_fraction, split_seed)
            learn, real = everything.subset(train), everything.subset(val)
        if kept and kept.is_file():
            judge = load_judge(kept)
        else:
            judge = train_judge(learn, device=device, progress=progress("training the judge"))
            if kept:
                save_judge(judge, kept)
    judge = judge.to(device)
    order = torch.randperm(len(real.labels), generator=torch.Generator().manual_seed(0))[:held_out]
    features, guessed = judge.look_at(to_model_range(real.images[order]))
    right = (guessed == real.labels[order]).double()
    return Referee(judge, right.mean().item(), len(right), features, real.subset(order.tolist()))


def save_judge(judge: Judge, path: Path, about: dict | None = None) -> None:
    """Write a judge as safetensors, with its shape in the header."""
    shape = {
        "channels": judge.convolutions[0].in_channels,
        "num_classes": judge.to_logits.out_features,
    }
    write_tensors(path, judge.state_dict(), {"judge": shape, "about": about or {}})


def load_judge(path: Path) -> Judge:
    """Read what `save_judge` wrote."""
    tensors, header = read_tensors(path)
    if "judge" not in header:
        raise UserError(f"{path} holds no judge: remove it, or give one that `ddpm judge` wrote.")
    judge = Judge(**header["judge"])
    load_weights(judge, tensors, path)
    return judge.eval()


def class_accuracy(guessed: Tensor, asked: Tensor, num_classes: int) -> tuple[float, list[float]]:
    """Share of pictures that show what was asked for: over all, and for each class (NaN if never asked).

    Args:
        guessed, asked: (N,) int64.
    """
    right = (guessed == asked).double()
    return right.mean().item(), [right[asked == k].mean().item() for k in range(num_classes)]


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Distance between two clouds of features, each taken as a Gaussian (Heusel et al. 2017, equation 6).

        |mean_a − mean_b|² + trace(C_a + C_b − 2 · (C_a · C_b)^½)

    It shrinks with the number of samples: always name n beside it.

    Args:
        a, b: (N, D) and (M, D), N and M at least 2.
    """
    if len(a) < 2 or len(b) < 2:
        raise ValueError(f"a covariance needs at least 2 samples, got {len(a)} and {len(b)}")
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    # The trace of (C_a C_b)^½ through the symmetric matrix A C_b A with A = C_a^½, which has the same
    # eigenvalues: all of it stays real, and rounding cannot push it off.
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    root_trace = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp(min=0).sqrt().sum()
    apart = (a.mean(0) - b.mean(0)).square().sum()
    return (apart + cov_a.trace() + cov_b.trace() - 2 * root_trace).clamp(min=0).item()
