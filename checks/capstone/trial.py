"""What both sides of the capstone do: train and draw with the nine chapters' own code, nothing else.

It runs in a child of the grader, like an experiment: once with the learner's chapters, once with the
reference's. What it works on lies in the child's working directory (`checks.capstone.ours` made it).
"""

import time

import numpy as np
import torch

GIVEN = "given.npz"


def trial(impl):
    """Train on the images given, then draw pictures of the labels given from the noise given."""
    # Long work on large tensors: what the grader switches off for its short experiments pays here.
    torch.backends.mkldnn.set_flags(True)
    given = {name: torch.from_numpy(values) for name, values in np.load(GIVEN).items()}
    data, _, _, unet, diffusion, _, sampling, training = (impl.module_of(n) for n in range(1, 9))
    classes, size = int(given["y"].max()) + 1, given["images"].shape[-1]
    epochs, batch_size = int(given["epochs"]), int(given["batch_size"])

    train_loader, val_loader = data.make_loaders(
        given["images"], given["labels"], batch_size, flip=False
    )
    model = unet.UNet(
        channels=given["images"].shape[1],
        num_classes=classes,
        base_width=16,
        multipliers=(1, 2, 4),
        image_size=size,
        attention_resolutions=(size // 2, size // 4),
        heads=2,
    )
    schedule = diffusion.NoiseSchedule.cosine(1000)
    optimizer = training.make_optimizer(model, 4e-3, betas=(0.9, 0.99))
    # Up in 50 steps, then level, then down to 0 over the second half: torch's own, whoever's chapter 8.
    total = epochs * len(train_loader)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 50, 2 * (total - step) / total)
    )
    ema = training.ExponentialMovingAverage(model, 0.998)
    state = training.TrainingState(model, optimizer, lr_schedule=rate, ema=ema)
    rows = []

    def tell(state, metrics: dict) -> None:
        rows.append({name: float(metrics[name]) for name in ("train_loss", "val_loss")})
        print(f"epoch {len(rows)} of {epochs}: loss {rows[-1]['train_loss']:.4f}", flush=True)

    torch.manual_seed(0)
    start = time.perf_counter()
    training.fit(
        *(state, train_loader, val_loader, schedule),
        null_label=classes,
        epochs=epochs,
        target="v",
        on_epoch=tell,
    )
    seconds = time.perf_counter() - start

    drawn = []
    with ema.applied(model):
        for noise, y in zip(given["noise"].split(100), given["y"].split(100), strict=True):
            x = sampling.ddim_sample_loop(
                *(model, schedule, noise.shape, y), steps=10, target="v", noise=noise
            )
            drawn.append(x.detach())
            print(f"{100 * len(drawn)} pictures", flush=True)
    return {
        "pictures": torch.cat(drawn).float(),
        "train_loss": torch.tensor([row["train_loss"] for row in rows]),
        "val_loss": torch.tensor([row["val_loss"] for row in rows]),
        "steps": epochs * len(train_loader),
        "train_seconds": seconds,
    }
