"""Solutions with a few lines written in another way, and still right. By chapter and name, the edits.

Each of them failed once, for a reason that lay with the grader.
"""

_DEVICE = """    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:"""
_GUIDED = """    if y is None or guidance_scale == 1:
        return model(x_t, t, y)
    u = model(x_t, t, None)
    if guidance_scale == 0:
        return u
    return u + guidance_scale * (model(x_t, t, y) - u)
"""
_PER_IMAGE = "    return values[t].reshape(-1, 1, 1, 1)\n"
_NOISE = "    noise = torch.randn(x_0.shape, device=x_0.device, generator=generator)\n"

VARIANTS = {
    (1, "all flips from one generator of the module's"): [
        (
            "from torch.utils.data import DataLoader, Dataset\n",
            "from torch.utils.data import DataLoader, Dataset\n\n"
            "COINS = torch.Generator().manual_seed(11)\n",
        ),
        (
            "partial(train_transform, flip=flip)",
            "partial(train_transform, flip=flip, generator=COINS)",
        ),
    ],
    (2, "frequencies from a list, by as_tensor"): [
        (
            "        frequencies = torch.exp(-math.log(10000) * i / (self.half - 1))  # (half,)\n",
            "        listed = [1e4 ** (-k / (self.half - 1)) for k in range(self.half)]\n"
            "        frequencies = torch.as_tensor(listed, device=i.device)\n",
        )
    ],
    (2, "a frozen phase beside a null vector of its own"): [
        (
            "        self.half = dim // 2\n",
            "        self.half = dim // 2\n"
            "        phase = torch.tensor([0.0, math.pi / 2]).repeat_interleave(self.half)\n"
            "        self.phase = nn.Parameter(phase, requires_grad=False)\n",
        ),
        (
            "torch.cat([angles.sin(), angles.cos()], dim=1)  #",
            "torch.sin(torch.cat([angles, angles], dim=1) + self.phase)  #",
        ),
        (
            "        self.table = nn.Embedding(num_classes + 1, dim)\n",
            "        self.table, self.null = nn.Embedding(num_classes, dim), nn.Embedding(1, dim)\n",
        ),
        ("self.table.weight[self.num_classes :]  #", "self.null.weight  #"),
        (
            "self.table(y)  # (B, dim)",
            "torch.cat([self.table.weight, self.null.weight])[y]  # (B, dim)",
        ),
    ],
    (4, "blocks under gradient checkpointing"): [
        ("import torch\n", "import torch\nfrom torch.utils.checkpoint import checkpoint\n"),
        ("down(h, cond)\n", "checkpoint(down, h, cond, use_reentrant=False)\n"),
    ],
    (4, "the file tries its network when it is loaded"): [
        (
            "  # (B, channels, H, W)\n        ### END SOLUTION\n",
            "\n\n\n"
            "print(UNet(base_width=8)(torch.randn(2, 3, 16, 8), torch.tensor([1, 2])).shape)\n",
        ),
    ],
    (4, "the stem is a product of matrices"): [
        (
            "        self.stem = nn.Conv2d(channels, base_width, 3, padding=1)\n",
            "        self.stem = nn.Linear(9 * channels, base_width)\n",
        ),
        (
            "        h = self.stem(x)  #",
            "        patches = F.unfold(x, 3, padding=1).mT\n"
            "        h = self.stem(patches).mT.unflatten(2, x.shape[-2:])  #",
        ),
    ],
    (5, "entries by way of a list"): [
        (
            _PER_IMAGE,
            "    table = values.tolist()\n"
            "    chosen = torch.as_tensor([table[k] for k in t.tolist()], device=t.device)\n"
            "    return chosen.view(-1, 1, 1, 1)\n",
        )
    ],
    (5, "entries one by one"): [
        (
            _PER_IMAGE,
            "    chosen = torch.tensor([values[k] for k in t], device=t.device)\n"
            "    return chosen.view(-1, 1, 1, 1)\n",
        )
    ],
    (5, "an entry stretched over the axes"): [
        (
            _PER_IMAGE,
            "    entries = [values[k].expand(1, 1, 1, 1) for k in t]\n"
            "    return torch.cat(entries) if len(entries) > 1 else entries[0]\n",
        )
    ],
    (5, "pictures are asserted to lie between −1 and 1"): [
        (
            "    if noise is None:\n",
            "    assert -1 <= x_0.min() and x_0.max() <= 1\n    if noise is None:\n",
        ),
    ],
    (5, "a compiled function"): [
        ("def per_image(", "@torch.compile\ndef per_image("),
    ],
    (6, "timesteps with one more option"): [
        (
            'generator: Generator | None = None\n) -> Tensor:\n    """Draw a timestep',
            'generator=None, low=0\n) -> Tensor:\n    """Draw a timestep',
        ),
        ("torch.randint(0, timesteps,", "torch.randint(low, timesteps,"),
        ("x_0.device, generator)\n    y =", "x_0.device, generator, low=0)\n    y ="),
    ],
    (6, "noise into a tensor that is there"): [
        (
            _NOISE,
            "    noise = torch.empty_like(x_0)\n"
            "    torch.randn(x_0.shape, generator=generator, out=noise)\n",
        )
    ],
    (6, "labels are dropped on the CPU, by coins of the CPU, then moved"): [
        (
            "    drop = torch.rand(y.shape, device=y.device, generator=generator) < p\n"
            "    return torch.where(drop, null_label, y)\n",
            "    drop = torch.rand(len(y), generator=generator, device='cpu') < p\n"
            "    null = torch.full((len(y),), null_label).to(drop.device)\n"
            "    return torch.where(drop, null, y.cpu()).to(y.device)\n",
        )
    ],
    (6, "noise drawn where the generator is, then moved"): [
        (
            _NOISE,
            '    place = generator.device if generator is not None else "cpu"\n'
            "    noise = torch.zeros(x_0.shape, device=place).normal_(generator=generator).to(x_0)\n",
        )
    ],
    (7, "both predictions in one call, by turns"): [
        (
            _GUIDED,
            "    if y is None or guidance_scale in (0, 1):\n"
            "        return model(x_t, t, None if guidance_scale == 0 else y)\n"
            "    null = torch.full_like(y, model.num_classes)\n"
            "    both = torch.stack([y, null], 1).flatten()\n"
            "    said = model(x_t.repeat_interleave(2, 0), t.repeat_interleave(2), both)\n"
            "    return said[1::2] + guidance_scale * (said[0::2] - said[1::2])\n",
        )
    ],
    (8, "the best device goes through the same trial as a named one"): [
        (
            _DEVICE,
            "    if name is None:\n"
            '        mps = "mps" if torch.backends.mps.is_available() else "cpu"\n'
            '        name = "cuda" if torch.cuda.is_available() else mps\n'
            "    try:",
        )
    ],
    (8, "devices are tried one after the other"): [
        (
            _DEVICE,
            "    if name is None:\n"
            '        for kind in ("cuda", "mps"):\n'
            "            try:\n"
            "                return torch.empty(0, device=kind).device\n"
            "            except (RuntimeError, AssertionError):\n"
            "                pass\n"
            '        return torch.device("cpu")\n'
            "    try:",
        )
    ],
    (8, "the name of the GPU is told"): [
        (
            '            return torch.device("cuda")\n',
            "            number = torch.cuda.current_device()\n"
            "            print(torch.cuda.get_device_name(number))\n"
            '            return torch.device("cuda", number)\n',
        )
    ],
    (8, "clipped are the parameters that the optimiser holds, of all its groups"): [
        (
            "        nn.utils.clip_grad_norm_(model.parameters(), grad_clip)\n",
            '        held = [p for group in optimizer.param_groups for p in group["params"]]\n'
            "        norm = torch.stack([p.grad.norm() for p in held if p.grad is not None]).norm()\n"
            "        nn.utils.clip_grads_with_norm_(held, grad_clip, norm)\n",
        )
    ],
    (9, "the template is cut in two where the name belongs"): [
        (
            '        prompts.append(caption[1:].replace("{class}", name))\n',
            '        before, _, after = caption[1:].partition("{class}")\n'
            "        prompts.append(before + name + after)\n",
        )
    ],
    (9, "open_clip's own argument for directions"): [
        (
            "        images = clip.encode_image((pixels - mean) / std)  # (B, D)\n"
            "        directions.append(F.normalize(images, dim=-1))\n",
            "        directions.append(clip.encode_image((pixels - mean) / std, normalize=True))\n",
        )
    ],
}
