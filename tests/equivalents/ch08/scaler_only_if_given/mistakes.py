"""The chapter's mistakes, made where plain float32 has a path of its own, without any scaler."""

MISTAKES = {
    "CUDA is taken to be there without asking": [
        ("    if torch.cuda.is_available():\n", "    if not name:\n")
    ],
    "the learning rate is not handed on": [('        group["lr"] = learning_rate\n', "")],
    "there is no warm-up: the decay is the same from the start": [
        ("warmed(self.limit, self.steps)", "self.limit")
    ],
    "the average is kept on the CPU, wherever the model is": [
        ("self.slow = copy.deepcopy(model)\n", "self.slow = copy.deepcopy(model).cpu()\n")
    ],
    "the model itself is put into eval mode and frozen, not only its copy": [
        (
            "        self.slow = copy.deepcopy(model)\n        self.slow.eval()\n"
            "        for p in self.slow.parameters():\n            p.requires_grad = False\n",
            "        model.eval()\n        for p in model.parameters():\n"
            "            p.requires_grad = False\n        self.slow = copy.deepcopy(model)\n",
        )
    ],
    "`applied` puts the averaged parameters in place, but not the buffers": [
        (
            "        for a, b in zip(source.buffers(), target.buffers(), strict=True):\n"
            "            b.copy_(a)\n",
            "",
        )
    ],
    "gradients are cleared once an epoch, not with each batch": [
        ("        model.zero_grad()\n", ""),
        (
            "    total = count = 0\n    for x, y",
            "    total = count = 0\n    model.zero_grad()\n    for x, y",
        ),
    ],
    "each parameter's gradient is clipped by itself, not all together": [
        (
            "        nn.utils.clip_grad_norm_(model.parameters(), grad_clip)\n",
            "        for p in model.parameters():\n"
            "            nn.utils.clip_grad_norm_(p, grad_clip)\n",
        )
    ],
    "the learning rate's schedule moves on once an epoch, not with each step": [
        ("        if lr_schedule:\n            lr_schedule.step()\n", ""),
        (
            "loss.detach().clone())\n    return",
            "loss.detach().clone())\n    if lr_schedule:\n        lr_schedule.step()\n    return",
        ),
    ],
    "the function returns after the first batch: return stands inside the loop": [
        ("loss.detach().clone())\n    return", "loss.detach().clone())\n        return")
    ],
    "the scaler is never updated": [("            scaler.update()\n", "")],
    "the optimiser makes its step itself, past the scaler": [
        ("            scaler.step(optimizer)\n", "            optimizer.step()\n")
    ],
    "the training loss is not computed in the context": [
        (
            "        with mixed_precision(device, precision)[0]:\n            loss = training",
            "        if True:\n            loss = training",
        )
    ],
    "after the validation the model stays in eval mode": [
        ("    if was:\n        model.train()\n", "")
    ],
    "the seed is ignored": [("np.random.default_rng(seed)", "np.random.default_rng(0)")],
    "the timestep is always the one in the middle": [
        (
            "torch.from_numpy(rng.integers(schedule.timesteps, size=len(x)))",
            "torch.full((len(x),), schedule.timesteps // 2)",
        )
    ],
    "the timesteps are not moved to the model's device": [
        ("x.to(device), y.to(device), t.to(device), noise", "x.to(device), y.to(device), t, noise")
    ],
    "the best loss is forgotten": [
        (
            "        setattr(state, name, value)\n",
            '        if name != "best_loss":\n            setattr(state, name, value)\n',
        )
    ],
    "the scaler is forgotten: its scale starts anew": [
        ("    if state.scaler and saved", "    if False and saved")
    ],
    "the state of the generator that shuffles is forgotten": [
        ('        state.shuffling.set_state(torch.from_numpy(states["order"]))\n', "        pass\n")
    ],
    "the average is put into the model for good: training goes on from it": [
        (
            "    shown = state.ema.slow if state.ema else state.model\n",
            "    shown = state.model\n    if state.ema:\n"
            "        state.ema.give(state.ema.slow, state.model)\n",
        )
    ],
    "batches are counted as images": [
        ("state.images_seen += sum(tally)", "state.images_seen += len(tally)")
    ],
}
