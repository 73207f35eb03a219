"""The chapter's mistakes, made with a dictionary of averages and a loop that clears after the step."""

MISTAKES = {
    "MPS is asked for before CUDA": [
        (
            """        ("cuda", torch.cuda.is_available),
        ("mps", torch.backends.mps.is_available),
""",
            """        ("mps", torch.backends.mps.is_available),
        ("cuda", torch.cuda.is_available),
""",
        )
    ],
    "the weight decay is not handed on": [(', "weight_decay": weight_decay}', "}")],
    "the betas are not handed on": [(", betas=tuple(betas)", "")],
    "average and model are exchanged: most of the model comes in, a little of the average stays": [
        ("d * self.shadow[k] + (1 - d) * v", "(1 - d) * self.shadow[k] + d * v")
    ],
    "there is no warm-up: the decay is the same from the start": [
        ("        if d > self.limit:\n            d = self.limit", "        d = self.limit")
    ],
    "updates are not counted: the decay stays at 1/10": [("        self.n = self.n + 1\n", "")],
    "after `applied` the model keeps the average: its own numbers are not copied before, or not put back": [
        ("                v.data = kept[k]", "                pass")
    ],
    "after an error inside `applied` the model keeps the average: there is no finally": [
        (
            """        try:
            yield
        finally:
            for k, v in self._everything(model):
                v.data = kept[k]""",
            """        yield
        for k, v in self._everything(model):
            v.data = kept[k]""",
        )
    ],
    "gradients are never cleared: they add up": [
        ("    model.train(True)\n    optimizer.zero_grad()\n", "    model.train(True)\n"),
        (
            "        scaler.step(optimizer)\n        optimizer.zero_grad()\n",
            "        scaler.step(optimizer)\n",
        ),
    ],
    "the gradient is not clipped, or where it has no effect: before backward, after the step": [
        ("        clip(list(model.parameters()), grad_clip)\n", "")
    ],
    "the gradient is clipped before it is unscaled": [
        (
            "        scaler.unscale_(optimizer)\n        clip(list(model.parameters()), grad_clip)\n",
            "        clip(list(model.parameters()), grad_clip)\n        scaler.unscale_(optimizer)\n",
        )
    ],
    "the average is updated before the optimiser's step: it is one step behind": [
        ("        if ema:\n            ema.update(model)\n", ""),
        (
            "        scaler.step(optimizer)\n",
            "        if ema:\n            ema.update(model)\n        scaler.step(optimizer)\n",
        ),
    ],
    "each batch counts the same in the mean, the small last one too": [
        (
            "        summed += value * n\n        seen += n\n",
            "        summed += value\n        seen += 1\n",
        )
    ],
    "the labels are not moved to the model's device": [
        (
            "        x, y = [part.to(device) for part in batch]",
            "        x, y = batch\n        x = x.to(device)",
        )
    ],
    "the seed is set in torch's global generator and stays there": [
        ("torch.no_grad(), torch.random.fork_rng():", "torch.no_grad():")
    ],
    "after the validation the model is in training mode, whatever it was in before": [
        ("model.train(mode)", "model.train()")
    ],
    "the noise is not moved to the model's device": [
        ("noise = torch.randn_like(x).to(device)", "noise = torch.randn_like(x)")
    ],
    "the optimiser is forgotten: its moments start anew": [
        ('PARTS = ["model", "optimizer", ', 'PARTS = ["model", ')
    ],
    "the average's count of updates is forgotten: its warm-up begins again": [
        ('        self.n = state["n"]\n', "")
    ],
    "`epochs` more are made, however many there were before": [
        ("range(state.epoch, epochs)", "range(state.epoch, state.epoch + epochs)")
    ],
    "the model is validated, although there is an average": [
        ("        if state.ema is None:\n", "        if True:\n")
    ],
    "no checkpoint is written, or not into the file that is asked for": [
        ("        if checkpoint is not None:\n", "        if False:\n")
    ],
}
