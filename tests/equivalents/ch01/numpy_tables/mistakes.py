"""The known mistakes, made in this implementation: what the report should say, and the edits."""

MISTAKES = {
    "bytes are only divided by 255: the images are in [0, 1]": [
        ("np.linspace(-1.0, 1.0, 256)", "np.linspace(0.0, 1.0, 256)")
    ],
    "bytes are divided by 128: white comes to 0.992 instead of 1": [
        ("np.linspace(-1.0, 1.0, 256)", "(np.arange(256) / 128 - 1)")
    ],
    "floats are left in [0, 1]": [("array * 2.0 - 1.0, dtype", "array, dtype")],
    "floats in [0, 1] are treated as bytes: everything is almost black": [
        ("array * 2.0 - 1.0, dtype", "array / 127.5 - 1.0, dtype")
    ],
    "floats keep their precision: float64 in, float64 out, where float32 is meant": [
        (", dtype=np.float32))", "))")
    ],
    "arithmetic in place after .float(), which for float32 is the caller's own tensor": [
        (
            "    return torch.from_numpy(np.asarray(array * 2.0 - 1.0, dtype=np.float32))",
            "    array = array.astype(np.float32, copy=False)\n"
            "    array *= 2\n    array -= 1\n    return torch.from_numpy(array)",
        )
    ],
    "integers other than uint8 are accepted in silence": [('array.dtype.kind != "f"', "False")],
    "nothing is clamped: what the sampler overshoots stays outside [0, 1]": [
        ("np.interp(x.numpy(), [-1.0, 1.0], [0.0, 1.0])", "(x.numpy() + 1) / 2")
    ],
    "clamped to [0, 1] before it is shifted: all that is darker than grey becomes grey": [
        ("[-1.0, 1.0], [0.0, 1.0]", "[0.0, 1.0], [0.5, 1.0]")
    ],
    "clamp_ with an underscore changes the tensor that was handed over": [
        (
            "    array = np.interp(",
            "    np.clip(x.numpy(), -1, 1, out=x.numpy())\n    array = np.interp(",
        )
    ],
    "every image is mirrored": [("torch.randint(0, 2,", "torch.randint(1, 2,")],
    "no image is ever mirrored": [("torch.randint(0, 2,", "torch.randint(0, 1,")],
    "fewer than half are mirrored: the probability is not 0.5": [
        ("torch.randint(0, 2,", "torch.randint(0, 4,")
    ],
    "more than half are mirrored (torch.randn(…) < 0.5, for one, is true 69 times in 100)": [
        ("torch.randint(0, 2,", "torch.randint(0, 3,"),
        ("coins == 1", "coins >= 1"),
    ],
    "images are turned upside down: the flip is along H, not W": [
        (
            "    if flip:\n        width = x.shape[-1]",
            "    if flip:\n        x = x.mT\n        width = x.shape[-1]",
        ),
        ("columns, axis=-1))", "columns, axis=-1)).mT"),
    ],
    "the training loader mirrors whole batches, by one coin each": [
        (
            "lambda batch: train_transform(batch, flip)",
            "lambda x: to_model_range(x.flip(-1) if flip and torch.rand(()) < 0.5 else x)",
        )
    ],
    "flip=False is ignored by train_transform": [("    if flip:\n", "    if flip is not None:\n")],
    "the generator is ignored: the coins come from torch's global random numbers": [
        (", generator=generator).numpy()", ").numpy()")
    ],
    "the coins come from NumPy or Python, which no torch seed and no generator reaches": [
        (
            "torch.randint(0, 2, (*x.shape[:-3], 1, 1, 1), generator=generator).numpy()",
            "np.random.randint(0, 2, tuple(x.shape[:-3]) + (1, 1, 1))",
        )
    ],
    "n_val is cut off, not rounded": [("round(val_fraction * n)", "int(val_fraction * n)")],
    "every call gives another split: the seed is not used": [
        ("np.random.default_rng(seed)", "np.random.default_rng()")
    ],
    "every seed gives the same split": [("default_rng(seed)", "default_rng(0)")],
    "nothing is shuffled: validation gets one end of the set, and sorted data lose whole classes": [
        ("np.random.default_rng(seed).permutation(n)", "np.arange(n)[::-1]")
    ],
    "the two parts are not the two pieces of one order: some images are in both, some in neither": [
        (
            "    return train.tolist(), val.tolist()",
            "    val = np.random.default_rng(seed + 1).permutation(n)[:n_val]\n"
            "    return train.tolist(), val.tolist()",
        )
    ],
    "training keeps the images of validation as well": [
        ("return train.tolist(),", "return order.tolist(),")
    ],
    "one data set with the training transform serves both loaders: flips reach validation": [
        (
            "_Collate(images, labels, eval_transform)",
            "_Collate(images, labels, for_training.transform)",
        )
    ],
    "make_loaders does not hand on flip=False": [
        ("train_transform(batch, flip)", "train_transform(batch)")
    ],
    "training is not shuffled anew each epoch": [("shuffle=True", "shuffle=False")],
    "validation is shuffled: it comes in another order each time": [
        ("shuffle=False", "shuffle=True")
    ],
    "training keeps its last, smaller batch": [(", drop_last=True", "")],
    "drop_last in validation: its last images are never looked at": [
        ("shuffle=False", "drop_last=True")
    ],
    "make_loaders uses another split than split_dataset gives for its seed: is the seed handed on?": [
        ("val_fraction, seed)\n    if batch", "val_fraction)\n    if batch")
    ],
    "a batch larger than the training part passes: an epoch then has no step at all": [
        ("batch_size < 1 or batch_size > len(train)", "batch_size < 1")
    ],
    "clamped to [0, 1] without being shifted: all that is darker than grey becomes black": [
        ("[-1.0, 1.0], [0.0, 1.0]", "[0.0, 1.0], [0.0, 1.0]")
    ],
    "training images go through eval_transform: nothing is ever mirrored": [
        ("collate_fn=for_training", "collate_fn=for_checking")
    ],
}
