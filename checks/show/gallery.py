"""One picture of the gallery of symptoms: what a model draws, and its loss beside the right program's."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from PIL import Image

COLOURS = {"this": "tab:red", "right": "tab:gray"}


def compose(grid: Path, found: dict, right: dict, out: Path) -> None:
    """Draw it.

    Args:
        grid: the pictures drawn, as a PNG.
        found, right: entries of gallery.json, of the mistake and of the right program.
        out: where the PNG goes.
    """
    figure, (left, curve) = plt.subplots(
        1, 2, figsize=(7.2, 1.5), dpi=100, layout="constrained", width_ratios=(2.6, 1)
    )
    left.imshow(Image.open(grid), interpolation="nearest")
    left.set_axis_off()
    left.set_title(f"{found['class_accuracy']:.0%} show the class asked for", fontsize=9)
    for name, entry in (("right", right), ("this", found)):
        curve.plot(entry["images_seen"], entry["val_loss"], color=COLOURS[name], label=name, lw=1.3)
    curve.set(yscale="log")
    curve.set_title("validation loss", fontsize=9)
    curve.tick_params(labelsize=6, which="both")
    curve.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:.0f}k")
    figure.savefig(out)
    plt.close(figure)
    with Image.open(out) as picture:  # a palette makes it a third as large
        picture.convert("RGB").quantize(128).save(out, optimize=True)
