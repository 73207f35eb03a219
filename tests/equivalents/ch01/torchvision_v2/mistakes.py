"""The known mistakes, made in this implementation: what the report should say, and the edits."""

MISTAKES = {
    "bytes or floats is guessed from the largest value: an almost black image is taken for floats": [
        (
            "    return _TO_MODEL(image)",
            "    return _TO_MODEL(image if image.max() > 1 else image.float())",
        )
    ],
    "integers other than uint8 are accepted in silence": [
        (
            "    if image.dtype != torch.uint8 and not torch.is_floating_point(image):\n"
            '        raise ValueError("bytes or floats, please")\n',
            "    if not torch.is_floating_point(image):\n        image = image.to(torch.uint8)\n",
        )
    ],
    "nothing is clamped: what the sampler overshoots stays outside [0, 1]": [(".clip(0, 1)", "")],
    "clamped to [0, 1] before it is shifted: all that is darker than grey becomes grey": [
        ("F.normalize(x[None", "F.normalize(x.relu()[None")
    ],
    "stretched between its own minimum and maximum: brightness and contrast get lost": [
        (
            "F.normalize(x[None, None, None], [-1.0], [2.0])[0, 0, 0].clip(0, 1)",
            "(x - x.amin()) / (x.amax() - x.amin())",
        )
    ],
    "every image is mirrored": [("generator=generator) < 0.5", "generator=generator) >= 0")],
    "no image is ever mirrored": [("generator=generator) < 0.5", "generator=generator) > 1")],
    "more than half are mirrored (torch.randn(…) < 0.5, for one, is true 69 times in 100)": [
        ("torch.rand(1", "torch.randn(1")
    ],
    "images are turned upside down: the flip is along H, not W": [
        ("F.horizontal_flip(x)", "F.vertical_flip(x)")
    ],
    "one coin for a whole batch: its images are all mirrored or none is": [
        ("    if x.ndim > 3:\n", "    if x.ndim > 9:\n")
    ],
    "flip=False is ignored by train_transform": [("    if not flip:\n        return x\n", "")],
    "the generator is ignored: the coins come from torch's global random numbers": [
        ("torch.rand(1, generator=generator) < 0.5", "torch.rand(1) < 0.5")
    ],
    "the coins come from NumPy or Python, which no torch seed and no generator reaches": [
        (
            "    if torch.rand(1, generator=generator) < 0.5",
            "    import random\n\n    if random.random() < 0.5",
        )
    ],
    "evaluation flips too": [
        (
            "def eval_transform(image):\n    return to_model_range",
            "def eval_transform(image):\n    return train_transform",
        )
    ],
    "n_val is cut off, not rounded": [("round(val_fraction * n)", "int(val_fraction * n)")],
    "n_val may become 0: max(1, …) is missing": [
        ("max(round(val_fraction * n), 1)", "round(val_fraction * n)")
    ],
    "every call gives another split: the seed is not used": [
        (", generator=torch.Generator().manual_seed(seed)\n", "\n")
    ],
    "the seed is set globally (torch.manual_seed, np.random.seed): everybody's random numbers restart": [
        ("generator=torch.Generator().manual_seed(seed)", "generator=torch.manual_seed(seed)")
    ],
    "every seed gives the same split": [("manual_seed(seed)", "manual_seed(1234)")],
    "the two lists are returned the wrong way round": [
        (
            "list(parts[0].indices), list(parts[1].indices)",
            "list(parts[1].indices), list(parts[0].indices)",
        )
    ],
    "training keeps the images of validation as well": [
        ("return list(parts[0].indices),", "return list(range(n)),")
    ],
    "one data set with the training transform serves both loaders: flips reach validation": [
        ("Pictures(images[val], eval_transform)", "Pictures(images[val], learnt.transform)")
    ],
    "images are transformed once, when the set is made: every epoch repeats the same flips": [
        (
            "self.images, self.transform = images, transform",
            "self.images = [transform(x) for x in images]",
        ),
        ("return self.transform(self.images[i])", "return self.images[i]"),
    ],
    "the label is taken at i and the image at indices[i]: images get other images' labels": [
        ("labels[train].tolist()", "labels[: len(train)].tolist()"),
        ("labels[val].tolist()", "labels[: len(val)].tolist()"),
    ],
    "training is not shuffled anew each epoch": [
        ("RandomSampler(learning)", "torch.utils.data.SequentialSampler(learning)")
    ],
    "drop_last in validation: its last images are never looked at": [
        ("DataLoader(checking, ", "DataLoader(checking, drop_last=True, ")
    ],
    "training keeps its last, smaller batch": [("drop_last=True", "drop_last=False")],
    "make_loaders does not hand on val_fraction": [
        ("split_dataset(len(images), val_fraction, seed)", "split_dataset(len(images), 0.1, seed)")
    ],
}
