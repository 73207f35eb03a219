"""The known mistakes, made in this implementation: what the report should say, and the edits."""

MISTAKES = {
    "bytes are divided by 128: white comes to 0.992 instead of 1": [
        ("white = 255.0", "white = 256.0")
    ],
    "calculated in uint8, which wraps around at 256: convert to float first": [
        ("    x = image.to(torch.float32, copy=True)\n", "    x = (image * 2).to(torch.float32)\n"),
        ("x *= 2.0 / white", "x *= 1.0 / white"),
    ],
    "bytes or floats is guessed from the largest value: an almost black image is taken for floats": [
        ("255.0 if image.dtype is torch.uint8 else", "255.0 if image.max() > 1 else")
    ],
    "floats in [0, 1] are treated as bytes: everything is almost black": [
        ("255.0 if image.dtype is torch.uint8 else 1.0", "255.0")
    ],
    "arithmetic in place after .float(), which for float32 is the caller's own tensor": [
        (", copy=True", "")
    ],
    "integers other than uint8 are accepted in silence": [
        (
            "    _check(image)\n    white",
            "    image = image if image.is_floating_point() else image.byte()\n    white",
        )
    ],
    "nothing is clamped: what the sampler overshoots stays outside [0, 1]": [
        (", x.minimum(half * 2).maximum(half * -2))", ", x)")
    ],
    "clamped to [0, 1] before it is shifted: all that is darker than grey becomes grey": [
        (".maximum(half * -2)", ".maximum(half * 0)")
    ],
    "every image is mirrored": [("1, 1, 1) > 0", "1, 1, 1) > -99")],
    "no image is ever mirrored": [("1, 1, 1) > 0", "1, 1, 1) > 99")],
    "more than half are mirrored (torch.randn(…) < 0.5, for one, is true 69 times in 100)": [
        ("1, 1, 1) > 0", "1, 1, 1) < 0.5")
    ],
    "images are turned upside down: the flip is along H, not W": [
        ("x @ torch.eye(x.shape[-1]).flip(0)", "torch.eye(x.shape[-2]).flip(0) @ x")
    ],
    "flip=False is ignored by train_transform": [("    if not flip:\n        return x\n", "")],
    "the generator is ignored: the coins come from torch's global random numbers": [
        ("x.shape[:-3], generator=generator", "x.shape[:-3]")
    ],
    "evaluation flips too": [
        (
            "def eval_transform(image):\n    return to_model_range",
            "def eval_transform(image):\n    return train_transform",
        )
    ],
    "n_val is cut off, not rounded": [("round(val_fraction * n)", "int(val_fraction * n)")],
    "n_val may become 0: max(1, …) is missing": [
        ("min(n - round(val_fraction * n), n - 1)", "n - round(val_fraction * n)")
    ],
    "every call gives another split: the seed is not used": [
        ("keys = torch.rand(n, generator=dice, dtype", "keys = torch.rand(n, dtype")
    ],
    "the seed is set globally (torch.manual_seed, np.random.seed): everybody's random numbers restart": [
        (
            "    dice = torch.Generator()\n    dice.manual_seed(seed)\n",
            "    dice = torch.manual_seed(seed)\n",
        )
    ],
    "every seed gives the same split": [("dice.manual_seed(seed)", "dice.manual_seed(7)")],
    "the two parts are not the two pieces of one order: some images are in both, some in neither": [
        (
            "    return order[:n_train], order[n_train:]",
            "    other = torch.randperm(n, generator=dice).tolist()\n"
            "    return order[:n_train], other[n_train:]",
        )
    ],
    "training keeps the images of validation as well": [
        ("return order[:n_train], order[n_train:]", "return order, order[n_train:]")
    ],
    "the two lists are returned the wrong way round": [
        ("return order[:n_train], order[n_train:]", "return order[n_train:], order[:n_train]")
    ],
    "one data set with the training transform serves both loaders: flips reach validation": [
        ("batch_size, eval_transform)", "batch_size, mirrored)")
    ],
    "make_loaders does not hand on flip=False": [
        ("train_transform(batch, flip, dice)", "train_transform(batch, True, dice)")
    ],
    "images are transformed once, when the set is made: every epoch repeats the same flips": [
        (
            "Batches(images[train], labels[train], batch_size, mirrored, dice)",
            "Batches(mirrored(images[train]), labels[train], batch_size, torch.clone, dice)",
        )
    ],
    "the label is taken at i and the image at indices[i]: images get other images' labels": [
        ("labels[train]", "labels[: len(train)]"),
        ("labels[val]", "labels[: len(val)]"),
    ],
    "a batch larger than the training part passes: an epoch then has no step at all": [
        ("1 <= batch_size <= len(train)", "1 <= batch_size")
    ],
    "the two loaders are returned the wrong way round": [
        (
            "    train, val = map(torch.tensor, split",
            "    return make_pair(images, labels, batch_size, val_fraction, seed, flip)[::-1]\n\n\n"
            "def make_pair(images, labels, batch_size, val_fraction, seed, flip):\n"
            "    train, val = map(torch.tensor, split",
        )
    ],
    "make_loaders does not hand on val_fraction": [
        ("split_dataset(len(images), val_fraction, seed)", "split_dataset(len(images), seed=seed)")
    ],
}
