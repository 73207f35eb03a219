"""Chapter 1, mistakes that the grader knows by name: images become batches."""

from checks import misconception

misconception(
    "1.1",
    "bytes are only divided by 255: the images are in [0, 1]",
    edit=("image.float() / 127.5 - 1", "image.float() / 255"),
)
misconception(
    "1.1",
    "bytes are divided by 128: white comes to 0.992 instead of 1",
    edit=("image.float() / 127.5 - 1", "image.float() / 128 - 1"),
)
misconception(
    "1.1",
    "calculated in uint8, which wraps around at 256: convert to float first",
    edit=("image.float() / 127.5 - 1", "(image * 2).float() / 255 - 1"),
)
misconception(
    "1.1",
    "bytes become float64: float32 is meant",
    edit=("image.float() / 127.5 - 1", "image.double() / 127.5 - 1"),
)
misconception(
    "1.1",
    "bytes or floats is guessed from the largest value: an almost black image is taken for floats",
    edit=(
        ("if image.dtype == torch.uint8:", "if image.dtype == torch.uint8 and image.max() > 1:"),
        (
            "if not image.is_floating_point():",
            "if not image.is_floating_point() and image.dtype != torch.uint8:",
        ),
    ),
)
misconception(
    "1.1",
    "floats are left in [0, 1]",
    edit=("image.float() * 2 - 1", "image.float()"),
)
misconception(
    "1.1",
    "floats in [0, 1] are treated as bytes: everything is almost black",
    edit=("image.float() * 2 - 1", "image.float() / 127.5 - 1"),
)
misconception(
    "1.1",
    "floats keep their precision: float64 in, float64 out, where float32 is meant",
    edit=("image.float() * 2 - 1", "image * 2 - 1"),
)
misconception(
    "1.1",
    "arithmetic in place after .float(), which for float32 is the caller's own tensor",
    edit=("image.float() * 2 - 1", "image.float().mul_(2).sub_(1)"),
)
misconception(
    "1.1",
    "integers other than uint8 are accepted in silence",
    edit=("if not image.is_floating_point():", "if False:"),
)
misconception(
    "1.1",
    "some dtypes are refused by name, and others (uint16, say) are not: ask for those that are allowed",
    edit=(
        "if not image.is_floating_point():",
        "if image.dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.bool):",
    ),
)
misconception(
    "1.2",
    "axes of length 1 get lost (squeeze): the shape has to stay as it is, for one grey image too",
    edit=("return (x.clamp(-1, 1) + 1) / 2", "return ((x.clamp(-1, 1) + 1) / 2).squeeze()"),
)
misconception(
    "1.2",
    "nothing is clamped: what the sampler overshoots stays outside [0, 1]",
    edit=("(x.clamp(-1, 1) + 1) / 2", "(x + 1) / 2"),
)
misconception(
    "1.2",
    "clamped to [0, 1] before it is shifted: all that is darker than grey becomes grey",
    edit=("(x.clamp(-1, 1) + 1) / 2", "(x.clamp(0, 1) + 1) / 2"),
)
misconception(
    "1.2",
    "clamped to [0, 1] without being shifted: all that is darker than grey becomes black",
    edit=("(x.clamp(-1, 1) + 1) / 2", "x.clamp(0, 1)"),
)
misconception(
    "1.2",
    "stretched between its own minimum and maximum: brightness and contrast get lost",
    edit=("(x.clamp(-1, 1) + 1) / 2", "(x - x.min()) / (x.max() - x.min())"),
)
misconception(
    "1.2",
    "clamp_ with an underscore changes the tensor that was handed over",
    edit=("(x.clamp(-1, 1) + 1) / 2", "(x.clamp_(-1, 1) + 1) / 2"),
)
misconception(
    "1.2",
    "whether an image still has to be shifted is guessed from its values: one with nothing below 0 is not",
    edit=(
        "return (x.clamp(-1, 1) + 1) / 2",
        "return x.clamp(0, 1) if x.min() >= 0 else (x.clamp(-1, 1) + 1) / 2",
    ),
)
misconception(
    "1.2",
    "the argument of to_image has another name than x: names and order of the arguments are fixed",
    edit=(
        ("def to_image(x: Tensor)", "def to_image(image: Tensor)"),
        ("(x.clamp(-1, 1) + 1) / 2", "(image.clamp(-1, 1) + 1) / 2"),
    ),
)
misconception(
    "1.3",
    "single images are not mirrored with probability 0.5 (torch.randn(1) < 0.5 is true 69 times in 100)",
    edit=(
        "device=where).to(x.device) < 0.5",
        "device=where).to(x.device) < 0.5\n"
        "        if x.ndim == 3:\n"
        "            mirrored = torch.randn((), generator=generator) < 0.5",
    ),
)
misconception(
    "1.3",
    "the generator is ignored for single images: they have a draw of their own in the code",
    edit=(
        "torch.rand(x.shape[:-3], generator=generator, device=where)",
        "torch.rand(x.shape[:-3], generator=generator if x.ndim > 3 else None)",
    ),
)
misconception(
    "1.3",
    "the coins of single images come from Python or NumPy, which no torch seed and no generator reaches",
    edit=(
        ("import torch\n", "import numpy as np\nimport torch\n"),
        (
            "torch.rand(x.shape[:-3], generator=generator, device=where)",
            "(torch.rand(x.shape[:-3], generator=generator) if x.ndim > 3\n"
            "            else torch.as_tensor(np.random.rand()))",
        ),
    ),
)
misconception(
    "1.3",
    "train_transform takes every image for bytes, where to_model_range looks at the dtype",
    edit=(
        "    x = to_model_range(image)\n    if flip",
        "    x = image.float() / 127.5 - 1\n    if flip",
    ),
)
misconception(
    "1.3",
    "only bytes are mirrored, floats are not",
    edit=("    if flip:\n", "    if flip and image.dtype == torch.uint8:\n"),
)
misconception(
    "1.3",
    "with flip=False all images are taken for bytes: the dtype tells there, too",
    edit=(
        "    if flip:\n",
        "    if not flip:\n        return image.float() / 127.5 - 1\n    if flip:\n",
    ),
)
misconception(
    "1.3",
    "a batch of one image loses its batch axis (squeeze): ask for the number of axes, ndim",
    edit=(
        "x.flip(-1), x)\n    return x\n",
        "x.flip(-1), x)\n    return x.squeeze(0)\n",
    ),
)
misconception(
    "1.3",
    "three images are taken for one image of three channels: ask for the number of axes, ndim",
    edit=(
        "    if flip:\n",
        "    if flip and len(x) == 3:\n"
        "        return x.flip(-1) if torch.rand((), generator=generator) < 0.5 else x\n"
        "    if flip:\n",
    ),
)
misconception(
    "1.3",
    "the first image of a batch is never mirrored: all of them have a coin, from number 0",
    edit=(
        "device=where).to(x.device) < 0.5",
        "device=where).to(x.device) < 0.5\n"
        "        if x.ndim == 4:\n"
        "            mirrored = mirrored & (torch.arange(len(x)) > 0)",
    ),
)
misconception(
    "1.3",
    "a batch of one image is never mirrored: it has a coin like any other",
    edit=("    if flip:\n", "    if flip and not (x.ndim == 4 and len(x) == 1):\n"),
)
misconception(
    "1.3",
    "a single grey image is never mirrored: `flip` alone says whether mirrored images are wrong",
    edit=("    if flip:\n", "    if flip and not (x.ndim == 3 and len(x) == 1):\n"),
)
misconception(
    "1.3",
    "with flip=False images of floats are mirrored all the same",
    edit=("    if flip:\n", "    if flip or image.is_floating_point():\n"),
)
misconception(
    "1.3",
    "the arguments of train_transform stand in another order: (image, flip, generator) is meant",
    edit=(
        "image: Tensor, flip: bool = True, generator: Generator | None = None)",
        "image: Tensor, generator: Generator | None = None, flip: bool = True)",
    ),
)
misconception(
    "1.3",
    "every image is mirrored",
    edit=("device=where).to(x.device) < 0.5", "device=where).to(x.device) < 2"),
)
misconception(
    "1.3",
    "no image is ever mirrored",
    edit=("device=where).to(x.device) < 0.5", "device=where).to(x.device) < 0"),
)
misconception(
    "1.3",
    "more than half are mirrored (torch.randn(…) < 0.5, for one, is true 69 times in 100)",
    edit=("mirrored = torch.rand(x.shape[:-3]", "mirrored = torch.randn(x.shape[:-3]"),
)
misconception(
    "1.3",
    "fewer than half are mirrored: the probability is not 0.5",
    edit=("device=where).to(x.device) < 0.5", "device=where).to(x.device) < 0.25"),
)
misconception(
    "1.3",
    "images are turned upside down: the flip is along H, not W",
    edit=("x.flip(-1)", "x.flip(-2)"),
)
misconception(
    "1.3",
    "flip(2) is W for one image, but H for a batch: count from the end, flip(-1)",
    edit=("x.flip(-1)", "x.flip(2)"),
)
misconception(
    "1.3",
    "train_transform flips, but leaves the range as it is: to_model_range is missing",
    edit=("    x = to_model_range(image)\n    if flip", "    x = image\n    if flip"),
)
misconception(
    "1.3",
    "one coin for a whole batch: its images are all mirrored or none is",
    edit=("torch.rand(x.shape[:-3],", "torch.rand((),"),
)
misconception(
    "1.3",
    "flip=False is ignored by train_transform",
    edit=("    if flip:\n", "    if True:\n"),
)
misconception(
    "1.3",
    "the generator is ignored: the coins come from torch's global random numbers",
    edit=("generator=generator, device=where", "device=where"),
)
misconception(
    "1.3",
    "a seed is set inside train_transform: every call flips the same images",
    edit=("    if flip:\n", "    if flip:\n        torch.manual_seed(0)\n"),
)
misconception(
    "1.3",
    "a new torch.Generator() where None was given: all of them start alike, so every call flips the same",
    edit=(
        "    if flip:\n",
        "    if flip:\n        generator = torch.Generator() if generator is None else generator\n",
    ),
)
misconception(
    "1.3",
    "exactly half of each batch is mirrored: each image has a coin of its own",
    edit=(
        "device=where).to(x.device) < 0.5",
        "device=where).to(x.device) < 0.5\n"
        "        if x.ndim == 4:\n"
        "            mirrored = torch.randperm(len(x), generator=generator) < len(x) // 2",
    ),
)
misconception(
    "1.3",
    "the coins come from NumPy or Python, which no torch seed and no generator reaches",
    edit=(
        ("import torch\n", "import numpy as np\nimport torch\n"),
        (
            "torch.rand(x.shape[:-3], generator=generator, device=where)",
            "torch.as_tensor(np.random.rand(*x.shape[:-3]))",
        ),
    ),
)
misconception(
    "1.4",
    "evaluation flips too",
    edit=("    return to_model_range(image)\n", "    return train_transform(image)\n"),
)
misconception(
    "1.5",
    "n_val is cut off, not rounded",
    edit=("round(val_fraction * n)", "int(val_fraction * n)"),
)
misconception(
    "1.5",
    "a half is always rounded up (int(x + 0.5)): Python's round takes it to the even number",
    edit=("round(val_fraction * n)", "int(val_fraction * n + 0.5)"),
)
misconception(
    "1.5",
    "n_val is always rounded up, not to the nearest number",
    edit=("round(val_fraction * n)", "-int(-val_fraction * n // 1)"),
)
misconception(
    "1.5",
    "a split with nothing left to train on (n_val ≥ n) is accepted",
    edit=(" or not 0 < n_val < n:", ":"),
)
misconception(
    "1.5",
    "val_fraction is not looked at: a negative one is accepted",
    edit=("not 0 <= val_fraction < 1 or ", ""),
)
misconception(
    "1.5",
    "more images for validation than for training are refused: any val_fraction below 1 is allowed",
    edit=("not 0 <= val_fraction < 1 or", "not 0 <= val_fraction <= 0.5 or"),
)
misconception(
    "1.5",
    "n_val may become 0: max(1, …) is missing",
    edit=(
        ("max(1, round(val_fraction * n))", "round(val_fraction * n)"),
        ("or not 0 < n_val < n", "or not n_val < n"),
    ),
)
misconception(
    "1.5",
    "every call gives another split: the seed is not used",
    edit=(
        "torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()",
        "torch.randperm(n).tolist()",
    ),
)
misconception(
    "1.5",
    "the seed is set globally (torch.manual_seed, np.random.seed): everybody's random numbers restart",
    edit=(
        "    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()",
        "    torch.manual_seed(seed)\n    order = torch.randperm(n).tolist()",
    ),
)
misconception(
    "1.5",
    "every seed gives the same split",
    edit=("manual_seed(seed)).tolist()", "manual_seed(0)).tolist()"),
)
misconception(
    "1.5",
    "the seed decides the order only: the same images are for validation with every seed",
    edit=(
        "torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()\n"
        "    return order[n_val:], order[:n_val]",
        "torch.randperm(n, generator=torch.Generator().manual_seed(0)).tolist()\n"
        "    again = torch.randperm(n_val, generator=torch.Generator().manual_seed(seed)).tolist()\n"
        "    return order[n_val:], [order[i] for i in again]",
    ),
)
misconception(
    "1.5",
    "the lists are kept and handed out again (functools.cache): what one caller changes, the next one gets",
    edit=("def split_dataset(", "import functools\n\n\n@functools.cache\ndef split_dataset("),
)
misconception(
    "1.5",
    "nothing is shuffled: validation gets one end of the set, and sorted data lose whole classes",
    edit=(
        "torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()",
        "list(range(n))",
    ),
)
misconception(
    "1.5",
    "every k-th image is for validation, and nothing is drawn: in sorted data classes come in step",
    edit=(
        "torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()",
        "list(range(n))\n"
        "    val = order[:: n // n_val][:n_val]\n"
        "    return [i for i in order if i not in set(val)], val",
    ),
)
misconception(
    "1.5",
    "seed 0 is taken for no seed (`if seed:`): ask `seed is None`, if at all",
    edit=(
        "generator=torch.Generator().manual_seed(seed)).tolist()",
        "generator=torch.Generator().manual_seed(seed) if seed else None).tolist()",
    ),
)
misconception(
    "1.5",
    "the two parts are not the two pieces of one order: some images are in both, some in neither",
    edit=(
        "return order[n_val:], order[:n_val]",
        "order2 = torch.randperm(n, generator=torch.Generator().manual_seed(seed + 1)).tolist()\n"
        "    return order[n_val:], order2[:n_val]",
    ),
)
misconception(
    "1.5",
    "training keeps the images of validation as well",
    edit=("return order[n_val:], order[:n_val]", "return order, order[:n_val]"),
)
misconception(
    "1.5",
    "the two lists are returned the wrong way round",
    edit=("return order[n_val:], order[:n_val]", "return order[:n_val], order[n_val:]"),
)
misconception(
    "1.5",
    "tensors or arrays are returned where lists are meant: tolist() is missing",
    edit=(
        "manual_seed(seed)).tolist()",
        "manual_seed(seed))",
    ),
)
misconception(
    "1.6",
    "the training loader is an iterator, which is used up after one epoch",
    edit=(
        "        DataLoader(train_set, shuffle=True, drop_last=True, generator=shuffling, **shared),\n",
        "        iter(DataLoader(train_set, shuffle=True, drop_last=True, generator=shuffling, **shared)),\n",
    ),
)
misconception(
    "1.6",
    "the label that comes with an image is its number, not labels[index]",
    edit=(
        "return self.transform(self.images[index]), self.labels[index]",
        "return self.transform(self.images[index]), index",
    ),
)
misconception(
    "1.6",
    "a loader goes on where the last pass was broken off: each pass over it has to begin anew",
    edit=(
        (
            "    return (\n        DataLoader(train_set,",
            "    class Onwards:\n"
            "        def __init__(self, *args, **options):\n"
            "            self.loader, self.batches = DataLoader(*args, **options), None\n\n"
            "        def __len__(self):\n"
            "            return len(self.loader)\n\n"
            "        def __iter__(self):\n"
            "            return self\n\n"
            "        def __next__(self):\n"
            "            self.batches = self.batches or iter(self.loader)\n"
            "            try:\n"
            "                return next(self.batches)\n"
            "            except StopIteration:\n"
            "                self.batches = None\n"
            "                raise\n\n"
            "    return (\n        Onwards(train_set,",
        ),
        ("        DataLoader(val_set,", "        Onwards(val_set,"),
    ),
)
misconception(
    "1.6",
    "training images are mirrored less often than half of the time: there are two coins for each",
    edit=(
        "return train_transform(image, self.flip)",
        "return train_transform(image, self.flip and bool(torch.rand(()) < 0.5))",
    ),
)
misconception(
    "1.6",
    "make_loaders has another default of val_fraction or seed than split_dataset, which has 0.1 and 0",
    edit=(
        "    val_fraction: float = 0.1,\n    seed: int = 0,\n    flip: bool = True,",
        "    val_fraction: float = 0.2,\n    seed: int = 42,\n    flip: bool = True,",
    ),
)
misconception(
    "1.6",
    "the arguments of make_loaders stand in another order: seed comes before flip",
    edit=(
        "    seed: int = 0,\n    flip: bool = True,\n",
        "    flip: bool = True,\n    seed: int = 0,\n",
    ),
)
misconception(
    "1.6",
    "images are divided by their largest value, not by 255: what bytes mean does not depend on the data",
    edit=(
        "    train_set = ImageDataset(",
        "    images = images / images.max()\n    train_set = ImageDataset(",
    ),
)
misconception(
    "1.6",
    "flips in the loader come from NumPy or Python, which torch.manual_seed does not reach",
    edit=(
        ("import torch\n", "import numpy as np\nimport torch\n"),
        (
            "return train_transform(image, self.flip)",
            "mirrored = self.flip and np.random.rand() < 0.5\n"
            "        return eval_transform(image.flip(-1) if mirrored else image)",
        ),
    ),
)
misconception(
    "1.6",
    "a few orders are drawn once and come again: each epoch has a new one",
    edit=(
        "DataLoader(train_set, shuffle=True, drop_last=True, generator=shuffling, **shared)",
        "DataLoader(train_set, drop_last=True, sampler=type('Sampler', (), {\n"
        "            'orders': [torch.randperm(len(train)).tolist() for _ in range(3)],\n"
        "            '__len__': lambda self: len(train),\n"
        "            '__iter__': lambda self: iter(\n"
        "                self.orders.append(self.orders.pop(0)) or self.orders[0]),\n"
        "        })(), **shared)",
    ),
)
misconception(
    "1.6",
    "by default make_loaders mirrors nothing: flip=True is its default",
    edit=("    flip: bool = True,\n", "    flip: bool = False,\n"),
)
misconception(
    "1.6",
    "batches come as (y, x): images first, then labels",
    edit=(
        "return self.transform(self.images[index]), self.labels[index]",
        "return self.labels[index], self.transform(self.images[index])",
    ),
)
misconception(
    "1.6",
    "one data set with the training transform serves both loaders: flips reach validation",
    edit=(
        "ImageDataset(images, labels, val, eval_transform)",
        "ImageDataset(images, labels, val, _TrainTransform(flip))",
    ),
)
misconception(
    "1.6",
    "training images go through eval_transform: nothing is ever mirrored",
    edit=(
        "ImageDataset(images, labels, train, _TrainTransform(flip))",
        "ImageDataset(images, labels, train, eval_transform)",
    ),
)
misconception(
    "1.6",
    "make_loaders does not hand on flip=False",
    edit=("_TrainTransform(flip))", "_TrainTransform(True))"),
)
misconception(
    "1.6",
    "images are transformed once, when the set is made: every epoch repeats the same flips",
    edit=(
        "        return self.transform(self.images[index]), self.labels[index]",
        "        if not hasattr(self, 'made'):\n"
        "            self.made = [self.transform(image) for image in self.images]\n"
        "        return self.made[index], self.labels[index]",
    ),
)
misconception(
    "1.6",
    "the training loader mirrors whole batches, by one coin each",
    edit=(
        (
            "ImageDataset(images, labels, train, _TrainTransform(flip))",
            "ImageDataset(images, labels, train, eval_transform)",
        ),
        (
            "DataLoader(train_set, shuffle=True, drop_last=True, generator=shuffling, **shared)",
            "DataLoader(train_set, shuffle=True, drop_last=True, generator=shuffling, **shared,\n"
            "            collate_fn=lambda pairs: (\n"
            "                torch.stack([x for x, _ in pairs]).flip(-1)\n"
            "                if flip and torch.rand(()) < 0.5 else torch.stack([x for x, _ in pairs]),\n"
            "                torch.stack([y for _, y in pairs])))",
        ),
    ),
)
misconception(
    "1.6",
    "images and labels are taken at i: it counts within the part, indices[i] within the whole set",
    edit=("index = self.indices[i]", "index = i"),
)
misconception(
    "1.6",
    "a seed is set where loaders are made or used (torch.manual_seed): everybody's random numbers restart",
    edit=(
        "    train, val = split_dataset(len(images), val_fraction, seed)\n",
        "    train, val = split_dataset(len(images), val_fraction, seed)\n"
        "    torch.manual_seed(seed)\n",
    ),
)
misconception(
    "1.6",
    "the label is taken at i and the image at indices[i]: images get other images' labels",
    edit=("self.labels[index]", "self.labels[i]"),
)
misconception(
    "1.6",
    "training is not shuffled anew each epoch",
    edit=("train_set, shuffle=True", "train_set, shuffle=False"),
)
misconception(
    "1.6",
    "training is cut to full batches before it is shuffled: the same last images are never trained on",
    edit=(
        "ImageDataset(images, labels, train, _TrainTransform(flip))",
        "ImageDataset(images, labels, train[: len(train) // batch_size * batch_size],\n"
        "                             _TrainTransform(flip))",
    ),
)
misconception(
    "1.6",
    "batches are made once and only their order is shuffled: the same images always come together",
    edit=(
        (
            "    train_set = ImageDataset(",
            "    size, full = batch_size, len(train) // batch_size\n"
            "    class Blocks:\n"
            "        def __len__(self):\n"
            "            return full\n"
            "        def __iter__(self):\n"
            "            for k in torch.randperm(full).tolist():\n"
            "                yield list(range(k * size, (k + 1) * size))\n"
            "    train_set = ImageDataset(",
        ),
        (
            "DataLoader(train_set, shuffle=True, drop_last=True, generator=shuffling, **shared)",
            "DataLoader(train_set, batch_sampler=Blocks(), num_workers=num_workers)",
        ),
    ),
)
misconception(
    "1.6",
    "the order of training comes from NumPy or Python, which torch.manual_seed does not reach",
    edit=(
        ("import torch\n", "import numpy as np\nimport torch\n"),
        (
            "DataLoader(train_set, shuffle=True, drop_last=True, generator=shuffling, **shared)",
            "DataLoader(train_set, drop_last=True, sampler=type('Sampler', (), {\n"
            "            '__len__': lambda self: len(train),\n"
            "            '__iter__': lambda self: iter(np.random.permutation(len(train)).tolist()),\n"
            "        })(), **shared)",
        ),
    ),
)
misconception(
    "1.6",
    "validation is shuffled: it comes in another order each time",
    edit=("val_set, shuffle=False", "val_set, shuffle=True"),
)
misconception(
    "1.6",
    "drop_last in validation: its last images are never looked at",
    edit=("shuffle=False, drop_last=False", "shuffle=False, drop_last=True"),
)
misconception(
    "1.6",
    "training keeps its last, smaller batch",
    edit=("shuffle=True, drop_last=True", "shuffle=True, drop_last=False"),
)
misconception(
    "1.6",
    "the length of a part is that of the whole set: __len__ is len(self.indices)",
    edit=("return len(self.indices)", "return len(self.images)"),
)
misconception(
    "1.6",
    "make_loaders does not hand on val_fraction",
    edit=(
        "split_dataset(len(images), val_fraction, seed)",
        "split_dataset(len(images), seed=seed)",
    ),
)
misconception(
    "1.6",
    "make_loaders uses another split than split_dataset gives for its seed: is the seed handed on?",
    edit=(
        "split_dataset(len(images), val_fraction, seed)",
        "split_dataset(len(images), val_fraction)",
    ),
)
misconception(
    "1.6",
    "a batch larger than the training part passes: an epoch then has no step at all",
    edit=("if batch_size < 1 or len(train) < batch_size:", "if batch_size < 1:"),
)
misconception(
    "1.6",
    "a batch of all training images is refused: it is the largest that can be filled",
    edit=("len(train) < batch_size:", "len(train) <= batch_size:"),
)
misconception(
    "1.6",
    "the two loaders are returned the wrong way round",
    edit=(
        "generator=torch.Generator(), **shared),\n    )",
        "generator=torch.Generator(), **shared),\n    )[::-1]",
    ),
)
