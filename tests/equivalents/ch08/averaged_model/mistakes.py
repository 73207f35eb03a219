"""The chapter's mistakes, made with torch's AveragedModel, safetensors and draws on the device."""

MISTAKES = {
    "MPS is not asked for at all": [
        ('            else "mps"\n            if torch.backends.mps.is_available()\n', "")
    ],
    "Adam where AdamW is meant: its weight decay goes through the moments": [
        ("torch.optim.AdamW(", "torch.optim.Adam(")
    ],
    "the learning rate is not handed on": [("        lr=learning_rate,\n", "")],
    "average and model are exchanged: most of the model comes in, a little of the average stays": [
        ("torch.lerp(parameter, average, d)", "torch.lerp(average, parameter, d)")
    ],
    "the warm-up never ends: `decay` is no limit to it": [
        ("min(decay, (1 + i) / (10 + i))", "(1 + i) / (10 + i)")
    ],
    "updates are counted from 1: the first one has i = 0": [
        ("i = self.count", "i = self.count + 1")
    ],
    "within `applied` the model still has its own weights": [
        ("        self._exchange(model)\n        try:", "        try:"),
        (
            "        finally:\n            self._exchange(model)",
            "        finally:\n            pass",
        ),
    ],
    "the optimiser never steps": [("        scaler.step(optimizer)\n", "")],
    "the model trains in whatever mode it is in: model.train() is missing": [
        ("    model.train()\n    losses", "    losses")
    ],
    "each number of the gradient is clipped (clip_grad_value_), not the norm of the whole": [
        (
            "clip_grad_norm_(list(model.parameters()), max_norm=grad_clip)",
            "clip_grad_value_(list(model.parameters()), grad_clip)",
        )
    ],
    "the average is never updated": [
        ("        if ema is not None:\n            ema.update(model)\n", "")
    ],
    "the sum of losses keeps the graph of every batch: the loss is added without detach()": [
        ("losses.append(loss.detach())", "losses.append(loss)"),
        ("on_step(sizes[-1], losses[-1])", "on_step(sizes[-1], losses[-1].detach())"),
    ],
    "the pictures are not moved to the model's device": [("        x_0 = x_0.to(where)\n", "")],
    "the target is not handed on": [
        ("                target=target,\n            )", "            )")
    ],
    "the model is validated in training mode": [("        model.train(False)\n", "")],
    "gradients are recorded during the validation": [
        (
            "        with torch.inference_mode():\n            yield",
            "        if True:\n            yield",
        )
    ],
    "the seed is ignored": [("generator.manual_seed(seed)", "generator.manual_seed(0)")],
    "one timestep for the whole batch": [
        (
            "chapter6.sample_timesteps(len(x_0), schedule.timesteps, where, generator)",
            "chapter6.sample_timesteps(1, schedule.timesteps, where, generator).expand(len(x_0))",
        )
    ],
    "the labels are left out: every picture is validated with the null class": [
        ("x_0, t, y, noise=noise", "x_0, t, None, noise=noise")
    ],
    "the learning rate's schedule is forgotten: it starts anew": [
        ('        state.lr_schedule.last_epoch = told["rate"]\n', "        pass\n")
    ],
    "the average starts anew as a copy of the loaded model": [
        ('load_state_dict(below("ema/"))', 'load_state_dict(below("model/"))')
    ],
    "steps are not counted": [("            state.step += 1\n", "")],
    "the best loss is that of the last epoch": [
        ("state.best_loss = min(loss, state.best_loss)", "state.best_loss = loss")
    ],
    "the average is not handed on: it is never updated": [("            ema=state.ema,\n", "")],
}
