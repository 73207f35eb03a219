"""Chapter 4: the shipped weights, drawn through the learner's U-Net; or that U-Net, trained for a moment."""

import time
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from checks.show.shapes import table, walk
from ddpm_ref.datasets import load_dataset
from ddpm_ref.diffusion import predict_x0, q_sample
from ddpm_ref.loss import training_step
from ddpm_ref.painting import Painter, load_painter
from ddpm_ref.pictures import grid, save_picture, stack
from ddpm_ref.training import make_optimizer

SECONDS = 10.0  # of training, where the shipped weights do not fit
ALIKE = 1e-3  # norm-wise: more apart, and the weights do something else in this network
SHOWN = (0, 1, 3, 5)  # steps of the sampler whose guess is shown


def draw(module, out: Path) -> str:
    """Draw what the learner's U-Net makes of noise, with the shipped weights or with its own.

    Args:
        module: the learner's chapter.
        out: where the PNG goes.

    Returns:
        What is seen there, and a table: what goes into each layer of that U-Net, and what comes out.

    Raises:
        ValueError: when the network's prediction does not have the shape of its input.
    """
    painter = load_painter()
    torch.manual_seed(0)
    model = network(module, painter)
    return f"{told(module, model, painter, out)}\n\n{shapes(model, painter)}\n"


def shapes(model: nn.Module, painter: Painter) -> str:
    """What goes into each layer of a U-Net and what comes out, for one image."""
    x, t, y = (each[:1] for each in inputs_for(painter))
    with torch.no_grad():
        calls = walk(model.eval(), {"x": x, "t": t, "y": y})
    return "Its layers (channels × height × width, and where each comes from):\n" + table(calls)


def told(module, model: nn.Module, painter: Painter, out: Path) -> str:
    """Draw the picture; returns what is to be seen on it."""
    why_not = carry_over(painter.model, model, inputs_for(painter))
    if why_not is None:
        save_picture(from_noise(replace(painter, model=model)), out)
        return (
            "The shipped weights fit your U-Net: from the same noise as the reference's it draws these "
            "pictures, of ten classes, each row a guess at the final picture, made from less and less noise."
        )
    model = network(module, painter)
    picture, steps, before, after = after_a_moment(model, painter)
    save_picture(picture, out)
    return (
        f"Your U-Net is not the one whose weights are shipped ({why_not}). That is fine if the checks are "
        f"green: here it was trained from scratch, for {steps} steps. The error of its guesses went from "
        f"{before:.2f} to {after:.2f}; the outlines come first, details take minutes."
    )


def network(module, painter: Painter) -> nn.Module:
    """The learner's U-Net, of the size of the shipped one.

    Raises:
        ValueError: when its prediction does not have the shape of its input.
    """
    config = painter.config.model
    model = module.UNet(
        channels=config.channels,
        num_classes=config.num_classes,
        base_width=config.base_width,
        multipliers=config.multipliers,
        image_size=config.image_size,
        attention_resolutions=config.attention_resolutions,
        heads=config.heads,
    )
    x, t, y = inputs_for(painter)
    with torch.no_grad():
        prediction = model(x, t, y)
    if prediction.shape != x.shape:
        raise ValueError(
            f"your UNet gives {tuple(prediction.shape)} for images of {tuple(x.shape)}: "
            "see `python -m checks chapter 4`"
        )
    return model


def inputs_for(painter: Painter) -> tuple[Tensor, Tensor, Tensor]:
    labels = torch.arange(len(painter.classes))
    return painter.noise(len(labels), seed=1), torch.full_like(labels, 500), labels


@torch.no_grad()
def carry_over(source: nn.Module, target: nn.Module, inputs) -> str | None:
    """Give a network the weights of another; returns why that cannot be, None when it went well.

    By name, else in the order of definition, else in the order in which they are used.
    """
    source.eval()
    target.eval()
    for ways in (by_name, by_definition, by_use):
        ours, theirs = ways(source, inputs), ways(target, inputs)
        if [key for key, _ in ours] != [key for key, _ in theirs]:
            continue
        for (_, a), (_, b) in zip(ours, theirs, strict=True):
            b.copy_(a.reshape(b.shape))
        right, seen = source(*inputs), target(*inputs)
        if (right - seen).norm() <= ALIKE * right.norm():
            return None
        return "its layers have the same shapes, but do other things"
    return "its layers have other shapes, or another order"


def by_name(model: nn.Module, inputs) -> list[tuple]:
    return sorted(((name, squeezed(p)), p) for name, p in model.named_parameters())


def by_definition(model: nn.Module, inputs) -> list[tuple]:
    return [(squeezed(p), p) for p in model.parameters()]


def by_use(model: nn.Module, inputs) -> list[tuple]:
    """Parameters in the order in which the layers that own them are called; none called is left out."""
    used: list[Tensor] = []

    def note(layer, *_):
        used.extend(p for p in layer.parameters(recurse=False) if all(p is not q for q in used))

    hooks = [layer.register_forward_hook(note) for layer in model.modules()]
    model(*inputs)
    for hook in hooks:
        hook.remove()
    return [(squeezed(p), p) for p in used]


def squeezed(p: Tensor) -> tuple[int, ...]:
    return tuple(n for n in p.shape if n != 1)  # a 1×1 convolution is a linear layer


def from_noise(painter: Painter) -> Image.Image:
    """Ten classes: the noise, some guesses on the way, and the end."""
    labels = torch.arange(len(painter.classes))
    noise = painter.noise(len(labels), seed=3)
    guesses = []
    final = painter.draw(
        labels,
        noise,
        painter.config.sample,
        callback=lambda i, t, x_t, x_0: guesses.append((t, x_0)),
    )
    shown = [guesses[i] for i in SHOWN]
    rows = grid(
        torch.cat([noise.clamp(-1, 1), *(x_0 for _, x_0 in shown), final]),
        columns=len(labels),
        zoom=5,
        column_titles=painter.classes,
        row_titles=["noise", *(f"guess at t = {t}" for t, _ in shown), "the end"],
    )
    return stack([rows], ["The shipped weights in your U-Net"])


def after_a_moment(model: nn.Module, painter: Painter) -> tuple[Image.Image, int, float, float]:
    """Train for some seconds; returns the picture, the steps taken, and the errors before and after."""
    size, null = painter.config.model.image_size, len(painter.classes)
    data = load_dataset("shapes", size=2000, image_size=size)
    x_0, labels = data.images.float() / 127.5 - 1, data.labels
    held_out = torch.stack([torch.nonzero(labels == k)[0, 0] for k in range(null)])
    rest = torch.ones(len(labels), dtype=torch.bool).index_fill(0, held_out, False).nonzero()[:, 0]
    noise, t = painter.noise(null, seed=3), torch.full((null,), 600)
    x_t = q_sample(painter.schedule, x_0[held_out], t, noise)

    @torch.no_grad()
    def guess() -> Tensor:
        v = model.eval()(x_t, t, labels[held_out])
        model.train()
        return predict_x0(painter.schedule, x_t, t, v, "v").clamp(-1, 1)

    before = guess()
    optimizer = make_optimizer(model, 2e-3, (0.9, 0.99), 0.01)
    steps, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        batch = rest[torch.randint(len(rest), (32,))]
        loss = training_step(
            model, painter.schedule, x_0[batch], labels[batch], null_label=null, target="v"
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps += 1
    after = guess()
    rows = grid(
        torch.cat([x_0[held_out], x_t.clamp(-1, 1), before, after]),
        columns=null,
        zoom=5,
        column_titles=painter.classes,
        row_titles=["picture", "with noise (t = 600)", "fresh network", f"after {steps} steps"],
    )
    errors = [(guessed - x_0[held_out]).square().mean().item() for guessed in (before, after)]
    return stack([rows], ["What your U-Net guesses the picture to be"]), steps, *errors
