"""The known mistakes, made in this implementation: what the report should say, and the edits."""

MISTAKES = {
    "bytes are only divided by 255: the images are in [0, 1]": [
        (
            "    return (unit - 0.5) / 0.5",
            "    return unit if image.dtype == torch.uint8 else 2 * unit - 1",
        )
    ],
    "bytes are divided by 128: white comes to 0.992 instead of 1": [("div(255)", "div(256)")],
    "floats in [0, 1] are treated as bytes: everything is almost black": [
        (
            "        unit = image.to(torch.float32)\n",
            "        unit = image.to(torch.float32).div(255)\n",
        )
    ],
    "integers other than uint8 are accepted in silence": [
        (
            "elif image.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):",
            "elif True:",
        )
    ],
    "nothing is clamped: what the sampler overshoots stays outside [0, 1]": [
        ("torch.clamp(x * 0.5 + 0.5, min=0.0, max=1.0)", "x * 0.5 + 0.5")
    ],
    "images are turned upside down: the flip is along H, not W": [
        ("dims=(2,)", "dims=(1,)"),
        ("dims=(3,)", "dims=(2,)"),
    ],
    "every image is mirrored": [
        ("torch.tensor(0.5)", "torch.tensor(1.0)"),
        ("(len(x),), 0.5)", "(len(x),), 1.0)"),
    ],
    "no image is ever mirrored": [
        ("torch.tensor(0.5)", "torch.tensor(0.0)"),
        ("(len(x),), 0.5)", "(len(x),), 0.0)"),
    ],
    "fewer than half are mirrored: the probability is not 0.5": [
        ("torch.tensor(0.5)", "torch.tensor(0.25)"),
        ("(len(x),), 0.5)", "(len(x),), 0.25)"),
    ],
    "one coin for a whole batch: its images are all mirrored or none is": [
        (
            "torch.bernoulli(torch.full((len(x),), 0.5), generator=generator).bool()",
            "torch.bernoulli(torch.tensor(0.5), generator=generator).bool().expand(len(x))",
        )
    ],
    "flip=False is ignored by train_transform": [
        ("    if not flip:\n        return x\n", ""),
        ("return train_transform(image, flip=False)", "return to_model_range(image)"),
    ],
    "the generator is ignored: the coins come from torch's global random numbers": [
        ("torch.tensor(0.5), generator=generator", "torch.tensor(0.5)"),
        ("0.5), generator=generator).bool", "0.5)).bool"),
    ],
    "evaluation flips too": [("train_transform(image, flip=False)", "train_transform(image)")],
    "n_val is cut off, not rounded": [("round(n * val_fraction)", "int(n * val_fraction)")],
    "n_val may become 0: max(1, …) is missing": [(" or 1\n", "\n")],
    "every call gives another split: the seed is not used": [
        ("random.Random(seed).sample", "random.sample")
    ],
    "every seed gives the same split": [("random.Random(seed)", "random.Random(42)")],
    "nothing is shuffled: validation gets one end of the set, and sorted data lose whole classes": [
        ("set(random.Random(seed).sample(range(n), n_val))", "set(range(n_val))")
    ],
    "training keeps the images of validation as well": [
        ("[i for i in range(n) if i not in chosen]", "list(range(n))")
    ],
    "the two lists are returned the wrong way round": [
        (
            "return [i for i in range(n) if i not in chosen], sorted(chosen)",
            "return sorted(chosen), [i for i in range(n) if i not in chosen]",
        )
    ],
    "one data set with the training transform serves both loaders: flips reach validation": [
        ("Subset(plain, val_indices)", "Subset(augmented, val_indices)")
    ],
    "make_loaders does not hand on flip=False": [
        ("lambda image: train_transform(image, flip)", "train_transform")
    ],
    "images are transformed once, when the set is made: every epoch repeats the same flips": [
        (
            "        self.images = images\n",
            "        self.images = [transform(image) for image in images]\n",
        ),
        (
            "        image = self.transform(self.images[index])\n",
            "        image = self.images[index]\n",
        ),
    ],
    "training is not shuffled anew each epoch": [("shuffle=True", "shuffle=False")],
    "validation is shuffled: it comes in another order each time": [
        ("DataLoader(val_part, batch_size, ", "DataLoader(val_part, batch_size, shuffle=True, ")
    ],
    "drop_last in validation: its last images are never looked at": [
        ("DataLoader(val_part, batch_size, ", "DataLoader(val_part, batch_size, drop_last=True, ")
    ],
    "training keeps its last, smaller batch": [(", drop_last=True", "")],
    "make_loaders uses another split than split_dataset gives for its seed: is the seed handed on?": [
        (
            "split_dataset(images.shape[0], val_fraction, seed)",
            "split_dataset(images.shape[0], val_fraction)",
        )
    ],
    "a batch larger than the training part passes: an epoch then has no step at all": [
        ("batch_size > len(train_indices)", "False")
    ],
    "the two loaders are returned the wrong way round": [
        ("return train_loader, val_loader", "return val_loader, train_loader")
    ],
    "clamped to [0, 1] without being shifted: all that is darker than grey becomes black": [
        ("x * 0.5 + 0.5, min", "x, min")
    ],
    "training images go through eval_transform: nothing is ever mirrored": [
        ("Subset(augmented, train_indices)", "Subset(plain, train_indices)")
    ],
    "a seed is set inside train_transform: every call flips the same images": [
        ("    if x.ndim == 3:\n", "    torch.manual_seed(0)\n    if x.ndim == 3:\n")
    ],
}
