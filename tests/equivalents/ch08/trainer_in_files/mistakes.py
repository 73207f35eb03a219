"""The chapter's mistakes, made in a trainer class; clipping and losses are in a file beside it."""

MISTAKES = {
    "a device that is not there ends with torch's own error, not with a ValueError": [
        ('    raise ValueError(f"{name}: {error}")', "    raise error")
    ],
    "the two betas are exchanged": [
        ("learning_rate, betas, weight", "learning_rate, betas[::-1], weight")
    ],
    "only matrices are under the weight decay; here all parameters are": [
        ('{"params": others}]', '{"params": others, "weight_decay": 0.0}]')
    ],
    "max where min is meant: the decay is never below its limit": [
        ("yield min(limit,", "yield max(limit,")
    ],
    "updates are counted from 1: the first one has i = 0": [
        ("    i = start\n", "    i = start + 1\n")
    ],
    "the average is the model itself, or shares its weights, as copy.copy does: copy.deepcopy copies them": [
        ("copy.deepcopy(model)", "model")
    ],
    "any decay is accepted": [("if decay not in _Range(0, 1):", "if decay not in _Range(-9, 9):")],
    "gradients are cleared between backward and step: nothing is learnt": [
        ("        self.optimizer.zero_grad(set_to_none=False)\n", ""),
        (
            "        self.scaler.scale(loss).backward()\n",
            "        self.scaler.scale(loss).backward()\n        self.optimizer.zero_grad()\n",
        ),
    ],
    "the gradient is clipped to 1, whatever grad_clip says": [
        ("shorten(self.model, grad_clip)", "shorten(self.model, 1.0)")
    ],
    "the learning rate's schedule is never moved on": [
        ("lr_schedule and lr_schedule.step):", "None):")
    ],
    "on_step is never called": [("        if on_step:\n", "        if False:\n")],
    "the label dropout is not handed on": [('"label_dropout": label_dropout, ', "")],
    "the schedule's tables are not moved to the model's device": [
        ("        (self.tables,) = self.place(schedule)\n", "        self.tables = schedule\n")
    ],
    "the loss is not scaled before backward": [
        ("self.scaler.scale(loss).backward()", "loss.backward()")
    ],
    "after the validation the model stays in eval mode": [
        ("        stack.callback(model.train, model.training)\n", "")
    ],
    "the global random state is not put back: the loader has drawn from it": [
        ("    torch.set_rng_state(before)\n", "")
    ],
    "the noise is uniform in [0, 1), not normal": [
        ("torch.empty(shape).normal_(", "torch.empty(shape).uniform_(")
    ],
    "each batch counts the same in the mean of the validation": [
        (
            "sum(float(loss) * n for loss, n in zip(losses, sizes, strict=True)) / sum(sizes)",
            "sum(float(loss) for loss in losses) / len(losses)",
        )
    ],
    "the average is forgotten: it starts anew": [
        (
            '        parts["average"] = [state.ema.made, state.ema.target.state_dict()]\n',
            "        pass\n",
        )
    ],
    "the state of torch's own generator is forgotten": [
        (
            "    for k, generator in enumerate(generators):\n        generator.set_state",
            "    for k, generator in list(enumerate(generators))[1:]:\n        generator.set_state",
        )
    ],
    "training loss and validation loss are exchanged": [
        (
            '{"train_loss": train_loss, "val_loss": val_loss}',
            '{"train_loss": val_loss, "val_loss": train_loss}',
        )
    ],
    "the learning rate's schedule is not handed on": [
        ("            lr_schedule=state.lr_schedule,\n", "")
    ],
}
