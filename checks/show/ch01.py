"""Chapter 1: a training batch as it comes out of the learner's loaders, and a validation batch."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch

from ddpm_ref.datasets import load_dataset

COLUMNS, ROWS = 8, 2


def draw(module, out: Path) -> str:
    """Draw both batches, each training image with the one that it was made of.

    Raises:
        ValueError: when what comes out of the loaders is no batch of pictures.
    """
    data = load_dataset("shapes", size=200, image_size=32)
    batch_size = COLUMNS * ROWS
    # The labels are numbers of images here, so that it can be seen what each was made of.
    numbers = torch.arange(len(data.images))
    train, val = module.make_loaders(data.images, numbers, batch_size, val_fraction=0.1, seed=1)
    learnt, checked = first_batch(train, data), first_batch(val, data)
    plain = module.eval_transform(data.images[learnt[1]])
    mirrored = flipped(learnt[0], plain)
    titles = [data.classes[data.labels[k]] for k in learnt[1].tolist()]
    marked = [
        f"{name} ⇄" if turned else name for name, turned in zip(titles, mirrored, strict=True)
    ]
    blocks = (
        ("A training batch, as it comes out of your loader (⇄ mirrored)", learnt[0], marked),
        ("The same images through your eval_transform", plain, titles),
        (
            "A validation batch",
            checked[0][:COLUMNS],
            [data.classes[data.labels[k]] for k in checked[1].tolist()][:COLUMNS],
        ),
    )
    draw_blocks(blocks, module.to_image, out)
    low, high = learnt[0].min().item(), learnt[0].max().item()
    return (
        f"{sum(mirrored)} of the {batch_size} images of this training batch are mirrored, and their values "
        f"lie between {low:.2f} and {high:.2f} (−1 is black, 1 is white)."
    )


def first_batch(loader, data):
    for x, y in loader:
        if not isinstance(x, torch.Tensor) or x.shape[1:] != data.images.shape[1:]:
            raise ValueError(
                f"a batch of x should be a tensor (B, 3, 32, 32), but is {tuple(getattr(x, 'shape', ()))}"
            )
        return x.detach(), torch.as_tensor(y).long()
    raise ValueError("a loader of yours gives no batch at all")


def flipped(x, plain) -> list[bool]:
    """Which of the images are nearer to the mirror image than to the image."""
    if x.shape != plain.shape:
        raise ValueError(f"eval_transform makes {tuple(plain.shape)} of a batch {tuple(x.shape)}")
    as_it_is, turned = ((x.float() - p).square().sum((1, 2, 3)) for p in (plain, plain.flip(-1)))
    return (turned < as_it_is).tolist()


def draw_blocks(blocks, to_image, out: Path) -> None:
    """Rows of pictures with their names, a headline above each block."""
    heights = [0.45 + 1.2 * -(-len(x) // COLUMNS) for _, x, _ in blocks]
    figure = plt.figure(figsize=(1.05 * COLUMNS, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(blocks), 1, height_ratios=heights)
    for part, (headline, x, names) in zip(parts, blocks, strict=True):
        part.suptitle(headline, fontsize=11)
        shown = to_image(x).clamp(0, 1).movedim(1, -1).numpy()  # (B, H, W, C)
        axes = part.subplots(-(-len(x) // COLUMNS), COLUMNS).ravel()
        for axis in axes:
            axis.axis("off")
        for axis, picture, name in zip(axes, shown, names, strict=False):
            axis.imshow(picture)
            axis.set_title(name, fontsize=8, pad=3, color="C3" if name.endswith("⇄") else "black")
    figure.savefig(out, dpi=110)
    plt.close(figure)
