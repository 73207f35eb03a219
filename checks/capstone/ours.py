"""The capstone's two ends, where `ddpm_ref` is at work: what is trained on, and what a judge sees.

python -m checks.capstone.ours give FOLDER EPOCHS IMAGES N      writes FOLDER/given.npz
python -m checks.capstone.ours judge FOLDER                     reads what was drawn, writes the report
"""

import sys
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from checks.capstone.trial import GIVEN
from ddpm_ref.datasets import load_dataset
from ddpm_ref.files import write_atomically, write_json
from ddpm_ref.pictures import encode, grid
from ddpm_ref.presets import DataConfig
from ddpm_ref.referee import appoint_referee
from ddpm_ref.report import embedded, page
from ddpm_ref.scores import class_accuracy, frechet_distance

BATCH = 64
TITLES = {"yours": "Your nine chapters", "reference": "The reference, same budget"}
COLOURS = {"yours": "tab:blue", "reference": "tab:gray"}


def give(folder: Path, epochs: int, images: int, n: int) -> None:
    """The images to train on, and the noise and labels to draw from: the same for both sides."""
    shapes = load_dataset("shapes", image_size=16, size=images)
    noise = torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    np.savez(
        folder / GIVEN,
        images=shapes.images.numpy(),
        labels=shapes.labels.numpy(),
        noise=noise.numpy(),
        y=(torch.arange(n) % len(shapes.classes)).numpy(),
        epochs=epochs,
        batch_size=BATCH,
    )


def judge(folder: Path) -> None:
    """Let the referee look at what each side drew; write scores.json, the grids and report.html."""
    referee = appoint_referee(DataConfig())
    y = torch.from_numpy(np.load(folder / GIVEN)["y"])
    scores, rows = {"n": len(y), "judge_accuracy": referee.accuracy}, {}
    for side in TITLES:
        if not (folder / f"{side}.npz").is_file():
            continue
        rows[side] = dict(np.load(folder / f"{side}.npz"))
        scores[side] = _scores(
            torch.from_numpy(rows[side].pop("pictures")), y, referee, folder, side
        )
        scores[side] |= {name: values.tolist() for name, values in rows[side].items()}
    write_json(folder / "scores.json", scores)
    _report(folder, scores)


def _scores(pictures: torch.Tensor, y: torch.Tensor, referee, folder: Path, side: str) -> dict:
    fits = pictures.shape == (len(y), 3, 16, 16) and bool(pictures.isfinite().all())
    if not fits:
        return {"class_accuracy": 0.0, "unusable": f"pictures of shape {tuple(pictures.shape)}"}
    classes = load_dataset("shapes", image_size=16, size=10).classes
    (folder / f"{side}.png").write_bytes(
        encode(grid(pictures[:60], len(classes), column_titles=classes))
    )
    features, guessed = referee.judge.look_at(pictures)
    accuracy, each = class_accuracy(guessed, y, len(classes))
    return {
        "class_accuracy": accuracy,
        "class_accuracies": dict(zip(classes, each, strict=True)),
        "frechet_distance": frechet_distance(features, referee.features),
    }


def _report(folder: Path, scores: dict) -> None:
    parts = [
        "<h1>Capstone</h1>",
        f"<p>Both sides were trained on the same shapes for as many steps, and drew from the same noise "
        f"(DDIM, 10 steps, no guidance). A judge that is right on {scores['judge_accuracy']:.1%} of real "
        f"held-out shapes says of {scores['n']:,} pictures how many show the class asked for.</p>",
    ]
    for side, title in TITLES.items():
        parts.append(f"<h2>{escape(title)}</h2>")
        if side not in scores:
            parts.append("<p>It did not come to its end.</p>")
            continue
        found = scores[side]
        parts.append(
            f"<p><b>{found['class_accuracy']:.1%}</b> after {found['steps']:,} steps in "
            f"{found['train_seconds']:.0f} s.</p>"
        )
        picture = folder / f"{side}.png"
        if picture.is_file():
            parts.append(embedded(picture.read_bytes(), f"{title}: one column a class"))
    parts += ["<h2>Loss</h2>", embedded(_curves(scores), "Loss of both sides by epoch", "curves")]
    write_atomically(folder / "report.html", page("Capstone", parts).encode())


def _curves(scores: dict) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    for side, title in TITLES.items():
        for name, style in (("train_loss", "o-"), ("val_loss", "o--")):
            values = scores.get(side, {}).get(name, [])
            label = f"{title}: {name.partition('_')[0].replace('val', 'validation')}"
            axes.plot(
                range(1, len(values) + 1), values, style, ms=3, color=COLOURS[side], label=label
            )
    axes.set(xlabel="epoch", ylabel="loss", yscale="log")
    axes.legend(fontsize=8)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


if __name__ == "__main__":
    command, folder, *numbers = sys.argv[1:]
    {"give": give, "judge": judge}[command](Path(folder), *map(int, numbers))
