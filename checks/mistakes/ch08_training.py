"""Chapter 8, mistakes that the grader knows by name: training."""

from checks import misconception

# The device.

misconception(
    "8.1",
    "MPS is asked for before CUDA",
    edit=(
        """        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")""",
        """        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")""",
    ),
)
misconception(
    "8.1",
    "MPS is not asked for at all",
    edit=(
        'torch.device("mps" if torch.backends.mps.is_available() else "cpu")',
        'torch.device("cpu")',
    ),
)
misconception(
    "8.1",
    "CUDA is taken to be there without asking",
    edit=("        if torch.cuda.is_available():", "        if True:"),
)
misconception("8.1", "the name is ignored", edit=("    if name is None:", "    if True:"))
misconception(
    "8.1",
    "the best device comes back as a text, not as a torch.device",
    edit=(
        ('return torch.device("cuda")', 'return "cuda"'),
        (
            'torch.device("mps" if torch.backends.mps.is_available() else "cpu")',
            '"mps" if torch.backends.mps.is_available() else "cpu"',
        ),
    ),
)
misconception(
    "8.1",
    "only the name cpu is heard: on a machine with CUDA, mps gives CUDA",
    edit=(
        "    if name is None:",
        '    if name is None or (name == "mps" and torch.cuda.is_available()):',
    ),
)
misconception(
    "8.1",
    "the number behind a name is dropped: cuda:99 gives the first GPU",
    edit=("torch.empty(0, device=name)", 'torch.empty(0, device=name.partition(":")[0])'),
)
misconception(
    "8.1",
    "a device by name is not tried: torch.device(name) is made on any machine",
    edit=("torch.empty(0, device=name).device", "torch.device(name)"),
)
misconception(
    "8.1",
    "only the number behind a name is checked: cuda and mps are taken to be there without asking",
    edit=(
        "        device = torch.empty(0, device=name).device\n",
        "        device = torch.device(name)\n"
        "        if device.index:\n"
        "            torch.empty(0, device=name)\n",
    ),
)
misconception(
    "8.1",
    "a device that is not there ends with torch's own error, not with a ValueError",
    edit=("except (RuntimeError, AssertionError, NotImplementedError)", "except KeyError"),
)

# The optimiser.

misconception(
    "8.2",
    "Adam where AdamW is meant: its weight decay goes through the moments",
    edit=("return AdamW(", "return torch.optim.Adam("),
)
misconception("8.2", "the learning rate is not handed on", edit=(" lr=learning_rate,", ""))
misconception("8.2", "the betas are not handed on", edit=(" betas=betas,", ""))
misconception("8.2", "the two betas are exchanged", edit=("betas=betas,", "betas=betas[::-1],"))
misconception(
    "8.1",
    "only a RuntimeError is turned into a ValueError: without CUDA, torch ends with an AssertionError",
    edit=("except (RuntimeError, AssertionError, NotImplementedError)", "except RuntimeError"),
)
misconception(
    "8.2",
    "a weight decay of 0 is taken for none given: `or` puts the default in its place",
    edit=("weight_decay=weight_decay,", "weight_decay=weight_decay or 0.01,"),
)
misconception("8.2", "the weight decay is not handed on", edit=(" weight_decay=weight_decay,", ""))
misconception(
    "8.2",
    "a setting is changed that is not named here: eps stays as torch has it",
    edit=("fused=fused)", "fused=fused, eps=1e-6)"),
)
misconception(
    "8.2",
    "the optimiser goes uphill: maximize stays False",
    edit=("fused=fused)", "fused=fused, maximize=True)"),
)
misconception(
    "8.2",
    "only the model's own parameters are optimised, not those of the layers inside it",
    edit=(
        "parameters = list(model.parameters())",
        "parameters = list(model.parameters(recurse=False)) or list(model[0].parameters())",
    ),
)
misconception(
    "8.2",
    "only matrices are under the weight decay; here all parameters are",
    edit=(
        "return AdamW(parameters,",
        """parameters = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(parameters,""",
    ),
)

# The average.

misconception(
    "8.3",
    "average and model are exchanged: most of the model comes in, a little of the average stays",
    edit=("parameters, 1 - decay)", "parameters, decay)"),
)
misconception(
    "8.3",
    "there is no warm-up: the decay is the same from the start",
    edit=("min(self.decay, (1 + self.updates) / (10 + self.updates))", "self.decay"),
)
misconception(
    "8.3",
    "the warm-up never ends: `decay` is no limit to it",
    edit=(
        "min(self.decay, (1 + self.updates) / (10 + self.updates))",
        "(1 + self.updates) / (10 + self.updates)",
    ),
)
misconception(
    "8.3",
    "the warm-up ends after ten updates: it ends where it reaches `decay`",
    edit=(
        "min(self.decay, (1 + self.updates) / (10 + self.updates))",
        "min(self.decay, (1 + self.updates) / (10 + self.updates) if self.updates < 10 else 1.0)",
    ),
)
misconception(
    "8.3",
    "max where min is meant: the decay is never below its limit",
    edit=("decay = min(self.decay,", "decay = max(self.decay,"),
)
misconception(
    "8.3",
    "updates are counted from 1: the first one has i = 0",
    edit=("(1 + self.updates) / (10 + self.updates)", "(2 + self.updates) / (11 + self.updates)"),
)
misconception(
    "8.3",
    "updates are not counted: the decay stays at 1/10",
    edit=("        self.updates += 1\n", ""),
)
misconception(
    "8.3",
    "buffers are averaged like parameters",
    edit=("mine.copy_(its)", "mine.copy_(torch.lerp(mine.float(), its.float(), 1 - decay))"),
)
misconception(
    "8.3",
    "buffers are left as they were in the beginning",
    edit=("            mine.copy_(its)\n", "            pass\n"),
)
misconception(
    "8.3",
    "the average is the model itself, or shares its weights, as copy.copy does: copy.deepcopy copies them",
    edit=(
        ("copy.deepcopy(model).eval().requires_grad_(False)", "model"),
        # safetensors would refuse to write one tensor under two names.
        ('{f"{prefix}.{k}": v for k', '{f"{prefix}.{k}": torch.clone(v) for k'),
    ),
)
misconception(
    "8.3",
    "the average never moves: `=` makes a new tensor, the old one has to be written into (mul_, add_, copy_)",
    edit=(
        "torch._foreach_lerp_(averages, parameters, 1 - decay)",
        "averages = torch._foreach_lerp(averages, parameters, 1 - decay)",
    ),
)
misconception(
    "8.3",
    "only the model's own parameters are averaged, not those of the layers inside it",
    edit=(
        "averages = [p for p in self.average.parameters() if p.is_floating_point()]\n"
        "        parameters = [p for p in model.parameters() if",
        "averages = [p for p in self.average.parameters(recurse=False) if p.is_floating_point()]\n"
        "        parameters = [p for p in model.parameters(recurse=False) if",
    ),
)
misconception(
    "8.3",
    "the average keeps the graph of all its updates: torch.no_grad() is missing",
    edit=("    @torch.no_grad()\n    def update", "    def update"),
)
misconception(
    "8.3",
    "the average is kept on the CPU, wherever the model is",
    edit=("copy.deepcopy(model).eval()", "copy.deepcopy(model).cpu().eval()"),
)
misconception(
    "8.3",
    "the model itself is put into eval mode and frozen, not only its copy",
    edit=(
        "copy.deepcopy(model).eval().requires_grad_(False)",
        "copy.deepcopy(model.eval().requires_grad_(False))",
    ),
)
misconception(
    "8.3",
    "the average starts at zero, not as a copy",
    edit=(
        "        self.decay = decay\n",
        "        self.decay = decay\n        for p in self.average.parameters():\n            p.zero_()\n",
    ),
)
misconception(
    "8.3",
    "the update goes the wrong way: it is written into the model",
    edit=("lerp_(averages, parameters, 1 - decay)", "lerp_(parameters, averages, 1 - decay)"),
)
misconception(
    "8.3",
    "within `applied` the model still has its own weights",
    edit=("        model.load_state_dict(self.average.state_dict())\n", ""),
)
misconception(
    "8.3",
    "after `applied` the model is in eval mode, whatever mode it was in",
    edit=(
        "        model.load_state_dict(self.average.state_dict())\n",
        "        model.load_state_dict(self.average.state_dict())\n        model.eval()\n",
    ),
)
misconception(
    "8.3",
    "after `applied` the model is in training mode, whatever mode it was in",
    edit=(
        "            model.load_state_dict(own)\n",
        "            model.load_state_dict(own)\n            model.train()\n",
    ),
)
misconception(
    "8.3",
    "after `applied` the model keeps the average: its own numbers are not copied before, or not put back",
    edit=("            model.load_state_dict(own)\n", "            pass\n"),
)
misconception(
    "8.3",
    "the model's own numbers are kept the first time only: later on it is set back to what it was then",
    edit=(
        "own = copy.deepcopy(model.state_dict())",
        'own = vars(self).setdefault("own", copy.deepcopy(model.state_dict()))',
    ),
)
misconception(
    "8.3",
    "after an error inside `applied` the model keeps the average: there is no finally",
    edit=(
        """        try:
            yield model
        finally:
            model.load_state_dict(own)""",
        """        yield model
        model.load_state_dict(own)""",
    ),
)
misconception(
    "8.3",
    "an error inside `applied` is swallowed: whoever trains never hears of it",
    edit=(
        "        finally:\n            model.load_state_dict(own)",
        "        except Exception:\n            pass\n"
        "        finally:\n            model.load_state_dict(own)",
    ),
)
misconception(
    "8.3",
    "the model's parameters are replaced by new ones (assign=True): the optimiser still holds the old ones",
    edit=(
        (
            "model.load_state_dict(self.average.state_dict())",
            "model.load_state_dict(copy.deepcopy(self.average.state_dict()), assign=True)",
        ),
        ("model.load_state_dict(own)", "model.load_state_dict(own, assign=True)"),
    ),
)
misconception(
    "8.3",
    "`applied` puts the averaged parameters in place, but not the buffers",
    edit=(
        "model.load_state_dict(self.average.state_dict())",
        "model.load_state_dict(dict(self.average.named_parameters()), strict=False)",
    ),
)
misconception(
    "8.3", "any decay is accepted", edit=("        if not 0 <= decay < 1:", "        if False:")
)

# The loop.

misconception(
    "8.4",
    "gradients are never cleared: they add up",
    edit=("        optimizer.zero_grad(set_to_none=True)\n", ""),
)
misconception(
    "8.4",
    "gradients are cleared between backward and step: nothing is learnt",
    edit=(
        ("        optimizer.zero_grad(set_to_none=True)\n", ""),
        (
            "(minimised).backward()\n",
            "(minimised).backward()\n        optimizer.zero_grad(set_to_none=True)\n",
        ),
    ),
)
misconception(
    "8.4",
    "gradients are cleared once an epoch, not with each batch",
    edit=(
        ("        optimizer.zero_grad(set_to_none=True)\n", ""),
        (
            "    for x_0, y in loader:\n        x_0, y = x_0.to(",
            "    optimizer.zero_grad()\n    for x_0, y in loader:\n        x_0, y = x_0.to(",
        ),
    ),
)
misconception(
    "8.4",
    "the optimiser steps before backward",
    edit=(
        (
            "        scaler.scale(minimised).backward()\n",
            "        scaler.step(optimizer)\n        scaler.scale(minimised).backward()\n",
        ),
        ("        scaler.step(optimizer)\n        scaler.update()", "        scaler.update()"),
    ),
)
misconception("8.4", "the optimiser never steps", edit=("        scaler.step(optimizer)\n", ""))
misconception(
    "8.4",
    "the model trains in whatever mode it is in: model.train() is missing",
    edit=("    model.train()\n", ""),
)
misconception(
    "8.4",
    "only the model itself is put into training mode, no layer inside it: model.train() reaches them",
    edit=("    model.train()\n", "    model.training = True\n"),
)
misconception(
    "8.4",
    "a seed is set, in a generator or for all: each epoch draws the same as the one before",
    edit=("    model.train()\n", "    torch.manual_seed(0)\n    model.train()\n"),
)
misconception(
    "8.4",
    "the function returns after the first batch: return stands inside the loop",
    edit=(
        "        # Here and not before the step: fetching a batch has already drawn its flips.\n"
        "        if should_stop and should_stop():\n            break\n",
        "        break\n",
    ),
)
misconception(
    "8.4",
    "the gradient is not clipped, or where it has no effect: before backward, after the step",
    edit=("        nn.utils.clip_grad_norm_(model.parameters(), grad_clip)\n", ""),
)
misconception(
    "8.4",
    "the loss is divided by the number of images before backward: it is a mean already",
    edit=("scaler.scale(minimised)", "scaler.scale(minimised / len(x_0))"),
)
misconception(
    "8.4",
    "each number of the gradient is clipped (clip_grad_value_), not the norm of the whole",
    edit=("nn.utils.clip_grad_norm_(model", "nn.utils.clip_grad_value_(model"),
)
misconception(
    "8.4",
    "each parameter's gradient is clipped by itself, not all together",
    edit=(
        "        nn.utils.clip_grad_norm_(model.parameters(), grad_clip)\n",
        "        for p in model.parameters():\n            nn.utils.clip_grad_norm_([p], grad_clip)\n",
    ),
)
misconception(
    "8.4",
    "the gradient is clipped to 1, whatever grad_clip says",
    edit=(
        "clip_grad_norm_(model.parameters(), grad_clip)",
        "clip_grad_norm_(model.parameters(), 1.0)",
    ),
)
misconception(
    "8.4",
    "a gradient shorter than grad_clip is made longer: it should stay as it is",
    edit=(
        "nn.utils.clip_grad_norm_(model.parameters(), grad_clip)",
        "[p.grad.mul_(1e3) for p in model.parameters()]\n"
        "        nn.utils.clip_grad_norm_(model.parameters(), grad_clip)",
    ),
)
misconception(
    "8.4",
    "the learning rate's schedule moves on once an epoch, not with each step",
    edit=(
        (
            "        if lr_schedule is not None:\n            lr_schedule.step()\n",
            "",
        ),
        (
            "    return float(total) / max(1, images)\n\n\n@torch.no_grad()\ndef validate",
            "    if lr_schedule is not None:\n        lr_schedule.step()\n"
            "    return float(total) / max(1, images)\n\n\n@torch.no_grad()\ndef validate",
        ),
    ),
)
misconception(
    "8.4",
    "the learning rate's schedule moves on before the optimiser's step: the first rate is never used",
    edit=(
        (
            ("        if lr_schedule is not None:\n            lr_schedule.step()\n"),
            "",
        ),
        (
            "        scaler.step(optimizer)\n",
            (
                "        if lr_schedule is not None:\n"
                "            lr_schedule.step()\n"
                "        scaler.step(optimizer)\n"
            ),
        ),
    ),
)
misconception(
    "8.4",
    "the learning rate's schedule is never moved on",
    edit=("        if lr_schedule is not None:\n            lr_schedule.step()\n", ""),
)
misconception(
    "8.4",
    "the average is updated before the optimiser's step: it is one step behind",
    edit=(
        ("        if ema is not None:\n            ema.update(model)\n", ""),
        (
            "        scaler.step(optimizer)\n",
            "        if ema is not None:\n            ema.update(model)\n        scaler.step(optimizer)\n",
        ),
    ),
)
misconception(
    "8.4",
    "the average is updated once an epoch, not with each step",
    edit=(
        ("        if ema is not None:\n            ema.update(model)\n", ""),
        (
            "    return float(total) / max(1, images)\n\n\n@torch.no_grad()\ndef validate",
            "    if ema is not None:\n        ema.update(model)\n"
            "    return float(total) / max(1, images)\n\n\n@torch.no_grad()\ndef validate",
        ),
    ),
)
misconception(
    "8.4",
    "the average is updated only where there is a schedule of the learning rate, too",
    edit=(
        "        if ema is not None:\n",
        "        if ema is not None and lr_schedule is not None:\n",
    ),
)
misconception(
    "8.4",
    "the learning rate's schedule is moved on only where there is an average, too",
    edit=(
        "        if lr_schedule is not None:\n            lr_schedule.step()\n        if ema",
        "        if lr_schedule is not None and ema is not None:\n"
        "            lr_schedule.step()\n        if ema",
    ),
)
misconception(
    "8.4",
    "the losses are weighted by min-SNR: nobody has asked for it",
    edit=(
        "null_label, label_dropout, target, min_snr_gamma\n",
        "null_label, label_dropout, target, min_snr_gamma or 5.0\n",
    ),
)
misconception(
    "8.4",
    "the average is never updated",
    edit=("        if ema is not None:\n            ema.update(model)\n", ""),
)
misconception(
    "8.4",
    "on_step is called before the optimiser's step: it comes last",
    edit=(
        ("        if on_step:\n            on_step(len(x_0), loss.detach())\n", ""),
        (
            "        scaler.step(optimizer)\n",
            "        if on_step:\n            on_step(len(x_0), loss.detach())\n"
            "        scaler.step(optimizer)\n",
        ),
    ),
)
misconception(
    "8.4",
    "on_step is told a plain number (.item()): it is promised a tensor, which makes no GPU wait",
    edit=("on_step(len(x_0), loss.detach())", "on_step(len(x_0), loss.item())"),
)
misconception(
    "8.4",
    "the loader is walked over twice in an epoch: all pictures are fetched twice",
    edit=(
        "    total, images = torch.zeros((), device=device), 0\n",
        "    total, images = torch.zeros((), device=device), 0 * sum(1 for _ in loader)\n",
    ),
)
misconception(
    "8.4",
    "only the first group of the optimiser's parameters is clipped, not all together",
    edit=(
        "clip_grad_norm_(model.parameters(), grad_clip)",
        'clip_grad_norm_(optimizer.param_groups[0]["params"], grad_clip)',
    ),
)
misconception(
    "8.4",
    "each batch counts the same in the mean, the small last one too",
    edit=(
        (
            "        total += loss.detach() * len(x_0)\n        images += len(x_0)\n",
            "        total += loss.detach()\n        images += 1\n",
        ),
    ),
)
misconception(
    "8.4",
    "the sum over images comes back, not their mean",
    edit=(
        "    return float(total) / max(1, images)\n\n\n@torch.no_grad()\ndef validate",
        "    return float(total)\n\n\n@torch.no_grad()\ndef validate",
    ),
)
misconception(
    "8.4",
    "the loss of the last batch comes back, not the mean of all",
    edit=(
        "        total += loss.detach() * len(x_0)\n        images += len(x_0)\n",
        "        total, images = loss.detach(), 1\n",
    ),
)
misconception(
    "8.4",
    "the mean loss comes back as a tensor, not as a number",
    edit=(
        "    return float(total) / max(1, images)\n\n\n@torch.no_grad()\ndef validate",
        "    return total / max(1, images)\n\n\n@torch.no_grad()\ndef validate",
    ),
)
misconception(
    "8.4",
    "the label dropout is not handed on",
    edit=(
        "model, schedule, x_0, y, null_label, label_dropout, target, min_snr_gamma",
        "model, schedule, x_0, y, null_label, 0.1, target, min_snr_gamma",
    ),
)
misconception(
    "8.4",
    "the target is not handed on",
    edit=(
        "model, schedule, x_0, y, null_label, label_dropout, target, min_snr_gamma",
        "model, schedule, x_0, y, null_label, label_dropout",
    ),
)
misconception(
    "8.4",
    "grad_clip has another value where none is given: it is 1",
    edit=(
        "    grad_clip: float = 1.0,\n    lr_schedule",
        "    grad_clip: float = 10.0,\n    lr_schedule",
    ),
)
misconception(
    "8.4",
    "on_step gets the loss with its graph",
    edit=("on_step(len(x_0), loss.detach())", "on_step(len(x_0), loss)"),
)
misconception(
    "8.4",
    "on_step is never called",
    edit=("        if on_step:\n", "        if False:\n"),
)
misconception(
    "8.4",
    "the sum of losses keeps the graph of every batch: the loss is added without detach()",
    edit=(
        "        total += loss.detach() * len(x_0)\n",
        "        total = total + loss * len(x_0)\n",
    ),
)
misconception(
    "8.4",
    "the pictures are not moved to the model's device",
    edit=("x_0, y = x_0.to(device, non_blocking=True), y", "x_0, y = x_0, y"),
)
misconception(
    "8.4",
    "the labels are not moved to the model's device",
    edit=(
        "(device, non_blocking=True), y.to(device, non_blocking=True)",
        "(device, non_blocking=True), y",
    ),
)
misconception(
    "8.4",
    "the schedule's tables are not moved to the model's device",
    edit=("    schedule = schedule.to(device)\n    context", "    context"),
)
misconception(
    "8.4",
    "the device is not the model's: it is chosen anew, by select_device() or by name",
    edit=(
        "    device = next(model.parameters()).device\n    schedule = schedule.to(device)\n    context",
        "    device = select_device()\n    schedule = schedule.to(device)\n    context",
    ),
)
misconception(
    "8.4",
    "the losses are added up in a tensor on the CPU, wherever the model is",
    edit=("torch.zeros((), device=device), 0", "torch.zeros(()), 0"),
)

# Validation.

misconception(
    "8.5",
    "the model is validated in training mode",
    edit=("    model.eval()\n    device", "    device"),
)
misconception(
    "8.5",
    "only the model itself is put into eval mode, no layer inside it: model.eval() reaches them",
    edit=("    model.eval()\n    device", "    model.training = False\n    device"),
)
misconception(
    "8.5",
    "after the validation only the model itself has its mode back: the layers inside it stay in eval mode",
    edit=("    model.train(was_training)\n", "    model.training = was_training\n"),
)
misconception(
    "8.5",
    "after the validation the model stays in eval mode",
    edit=("    model.train(was_training)\n", ""),
)
misconception(
    "8.5",
    "after the validation the model is in training mode, whatever it was in before",
    edit=("model.train(was_training)", "model.train()"),
)
misconception(
    "8.5",
    "gradients are recorded during the validation",
    edit=("@torch.no_grad()\ndef validate", "def validate"),
)
misconception(
    "8.5",
    "the noise comes from torch's global generator: it is new each time",
    edit=("noise = torch.randn(x_0.shape, generator=generator)", "noise = torch.randn(x_0.shape)"),
)
misconception(
    "8.5",
    "the timesteps come from torch's global generator: they are new each time",
    edit=(
        "t = sample_timesteps(len(x_0), schedule.timesteps, generator=generator)",
        "t = sample_timesteps(len(x_0), schedule.timesteps)",
    ),
)
misconception(
    "8.5",
    "timesteps and noise depend on torch's global generator: they are new each time",
    edit=("generator = Generator().manual_seed(seed)", "generator = None"),
)
misconception(
    "8.5",
    "the seed is set in torch's global generator and stays there",
    edit=(
        ("generator = Generator().manual_seed(seed)", "generator = torch.manual_seed(seed)"),
        ("    torch.set_rng_state(random_state)\n    return", "    return"),
    ),
)
misconception(
    "8.5",
    "the global random state is not put back: the loader has drawn from it",
    edit=("    torch.set_rng_state(random_state)\n    return", "    return"),
)
misconception(
    "8.5",
    "the generator is seeded anew for each batch: all batches get the same timesteps and noise",
    edit=(
        "        t = sample_timesteps(len(x_0), schedule.timesteps, generator=generator)\n",
        "        generator.manual_seed(seed)\n"
        "        t = sample_timesteps(len(x_0), schedule.timesteps, generator=generator)\n",
    ),
)
misconception(
    "8.5",
    "the seed is ignored",
    edit=("Generator().manual_seed(seed)", "Generator().manual_seed(0)"),
)
misconception(
    "8.5",
    "the timesteps begin at 1: the first one, 0, is left out",
    edit=(
        "t = sample_timesteps(len(x_0), schedule.timesteps, generator=generator)",
        "t = 1 + sample_timesteps(len(x_0), schedule.timesteps - 1, generator=generator)",
    ),
)
misconception(
    "8.5",
    "the noise is not handed on to p_losses, which then draws some of its own",
    edit=(
        "p_losses(model, schedule, x_0, t, y, noise, target)",
        "p_losses(model, schedule, x_0, t, y, target=target)",
    ),
)
misconception(
    "8.5",
    "one noise for the whole batch",
    edit=(
        "noise = torch.randn(x_0.shape, generator=generator)",
        "noise = torch.randn(x_0[:1].shape, generator=generator).expand(x_0.shape)",
    ),
)
misconception(
    "8.5",
    "one noise for all channels of an image",
    edit=(
        "noise = torch.randn(x_0.shape, generator=generator)",
        "noise = torch.randn(x_0[:, :1].shape, generator=generator).expand(x_0.shape)",
    ),
)
misconception(
    "8.5",
    "the validation loss comes back as a tensor, not as a number",
    edit=(
        "    torch.set_rng_state(random_state)\n    return total / max(1, images)",
        "    torch.set_rng_state(random_state)\n    return torch.tensor(total / max(1, images))",
    ),
)
misconception(
    "8.5",
    "one timestep for the whole batch",
    edit=(
        "        t = sample_timesteps(len(x_0), schedule.timesteps, generator=generator)\n",
        "        t = sample_timesteps(1, schedule.timesteps, generator=generator).repeat(len(x_0))\n",
    ),
)
misconception(
    "8.5",
    "the timestep is always the one in the middle",
    edit=(
        "        t = sample_timesteps(len(x_0), schedule.timesteps, generator=generator)\n",
        "        t = torch.full((len(x_0),), schedule.timesteps // 2)\n",
    ),
)
misconception(
    "8.5",
    "the noise is uniform in [0, 1), not normal",
    edit=(
        "torch.randn(x_0.shape, generator=generator)",
        "torch.rand(x_0.shape, generator=generator)",
    ),
)
misconception(
    "8.5",
    "each batch counts the same in the mean of the validation",
    edit=(
        "        total += loss.item() * len(x_0)\n        images += len(x_0)\n",
        "        total += loss.item()\n        images += 1\n",
    ),
)
misconception(
    "8.5",
    "the validation gives the sum over images, not their mean",
    edit=(
        "    torch.set_rng_state(random_state)\n    return total / max(1, images)",
        "    torch.set_rng_state(random_state)\n    return total",
    ),
)
misconception(
    "8.5",
    "only the first batch is validated: return stands inside the loop",
    edit=(
        "        total += loss.item() * len(x_0)\n        images += len(x_0)\n",
        "        total += loss.item() * len(x_0)\n        images += len(x_0)\n        break\n",
    ),
)
misconception(
    "8.5",
    "the target is not handed on to p_losses",
    edit=(
        "p_losses(model, schedule, x_0, t, y, noise, target)",
        "p_losses(model, schedule, x_0, t, y, noise)",
    ),
)
misconception(
    "8.5",
    "the labels are left out: every picture is validated with the null class",
    edit=(
        "p_losses(model, schedule, x_0, t, y, noise, target)",
        "p_losses(model, schedule, x_0, t, None, noise, target)",
    ),
)
misconception(
    "8.5",
    "the labels are dropped as in training",
    edit=(
        "        with autocast(device, precision):\n            loss = p_losses",
        "        y = torch.full_like(y, int(y.max()) + 1)\n"
        "        with autocast(device, precision):\n            loss = p_losses",
    ),
)
misconception(
    "8.5",
    "the validation uses training_step, which drops labels and draws at random",
    edit=(
        "p_losses(model, schedule, x_0, t, y, noise, target)",
        "training_step(model, schedule, x_0, y, 7, target=target)",
    ),
)
misconception(
    "8.5",
    "the noise is not moved to the model's device",
    edit=(
        "        x_0, t, y, noise = (v.to(device) for v in (x_0, t, y, noise))\n        with autocast",
        "        x_0, t, y = (v.to(device) for v in (x_0, t, y))\n        with autocast",
    ),
)
misconception(
    "8.5",
    "the timesteps are not moved to the model's device",
    edit=(
        "        x_0, t, y, noise = (v.to(device) for v in (x_0, t, y, noise))\n        with autocast",
        "        x_0, y, noise = (v.to(device) for v in (x_0, y, noise))\n        with autocast",
    ),
)
misconception(
    "8.5",
    "pictures and labels of the validation are not moved to the model's device",
    edit=(
        "        x_0, t, y, noise = (v.to(device) for v in (x_0, t, y, noise))\n        with autocast",
        "        t, noise = (v.to(device) for v in (t, noise))\n        with autocast",
    ),
)
misconception(
    "8.5",
    "the device of the validation is not the model's: it is chosen anew, by select_device() or by name",
    edit=(
        "    device = next(model.parameters()).device\n    schedule = schedule.to(device)\n    generator",
        "    device = select_device()\n    schedule = schedule.to(device)\n    generator",
    ),
)
misconception(
    "8.5",
    "the schedule's tables are not moved to the model's device for the validation",
    edit=("    schedule = schedule.to(device)\n    generator", "    generator"),
)

# Checkpoints.

misconception(
    "8.6",
    "the weights of the model are not loaded",
    edit=('    load_weights(state.model, _part(tensors, "model."), path)\n', ""),
)
misconception(
    "8.6",
    "what is saved as the model is its average",
    edit=(
        'tensors = _named("model", state.model.state_dict())',
        'tensors = _named("model", (state.ema.average if state.ema else state.model).state_dict())',
    ),
)
misconception(
    "8.6",
    "the optimiser is forgotten: its moments start anew",
    edit=(
        '    state.optimizer.load_state_dict({"state": moments, "param_groups": header["optimizer"]})\n',
        "",
    ),
)
misconception(
    "8.6",
    "the learning rate's schedule is forgotten: it starts anew",
    edit=(
        '        state.lr_schedule.load_state_dict(header["lr_schedule"] | functions)\n',
        "        pass\n",
    ),
)
misconception(
    "8.6",
    "the average is forgotten: it starts anew",
    edit=(
        '        load_weights(state.ema.average, _part(tensors, "ema."), path)\n'
        '        state.ema.updates = header["ema_updates"]\n',
        "        pass\n",
    ),
)
misconception(
    "8.6",
    "the average starts anew as a copy of the loaded model",
    edit=(
        'load_weights(state.ema.average, _part(tensors, "ema."), path)',
        'load_weights(state.ema.average, _part(tensors, "model."), path)',
    ),
)
misconception(
    "8.6",
    "what is loaded into the model is its average, where there is one",
    edit=(
        '        state.ema.updates = header["ema_updates"]\n',
        '        state.ema.updates = header["ema_updates"]\n'
        "        state.model.load_state_dict(state.ema.average.state_dict())\n",
    ),
)
misconception(
    "8.6",
    "the average's count of updates is forgotten: its warm-up begins again",
    edit=('        state.ema.updates = header["ema_updates"]\n', ""),
)
misconception(
    "8.6",
    "the scaler is forgotten: its scale starts anew",
    edit=('        state.scaler.load_state_dict(header["scaler"])\n', "        pass\n"),
)
misconception(
    "8.6",
    "the number of epochs is forgotten: training begins at 0 again",
    edit=('_COUNTERS = ("epoch", "batches",', '_COUNTERS = ("batches",'),
)
misconception(
    "8.6",
    "steps and images seen are forgotten: both begin at 0 again",
    edit=('"loss_sum", "step", "images_seen", "seconds")', '"loss_sum", "seconds")'),
)
misconception(
    "8.6",
    "the best loss is forgotten",
    edit=(
        '    state.best_loss = math.inf if header["best_loss"] is None else header["best_loss"]\n',
        "",
    ),
)
misconception(
    "8.6",
    "an average is taken to be there: without one, saving fails",
    edit=(
        '    if state.ema is not None:\n        tensors |= _named("ema"',
        '    if True:\n        tensors |= _named("ema"',
    ),
)

# All of it.

misconception(
    "8.7",
    "`epochs` more are made, however many there were before",
    edit=("    while state.epoch < epochs:", "    for _ in range(epochs):"),
)
misconception(
    "8.7",
    "fit stops early, after three epochs without a better validation loss: all epochs are to be made",
    edit=(
        (
            "    while state.epoch < epochs:\n",
            "    worse = 0\n    while state.epoch < epochs and worse < 3:\n",
        ),
        (
            "        state.best_loss = min(",
            "        worse = 0 if val_loss < state.best_loss else worse + 1\n"
            "        state.best_loss = min(",
        ),
    ),
)
misconception(
    "8.7",
    "in the end the model has the weights of its best epoch, not of the last one",
    edit=(
        ("    while state.epoch < epochs:\n", "    best = None\n    while state.epoch < epochs:\n"),
        (
            "        state.best_loss = min(",
            "        if val_loss <= state.best_loss:\n"
            "            best = copy.deepcopy(state.model.state_dict())\n"
            "        state.best_loss = min(",
        ),
        (
            "            save_checkpoint(checkpoint, state)\n",
            "            save_checkpoint(checkpoint, state)\n"
            "    if best is not None:\n"
            "        state.model.load_state_dict(best)\n",
        ),
    ),
)
misconception(
    "8.7",
    "fit sets a seed: each training draws the same timesteps, noise and dropped labels",
    edit=(
        "    while state.epoch < epochs:\n",
        "    torch.manual_seed(0)\n    while state.epoch < epochs:\n",
    ),
)
misconception(
    "8.7",
    "the generator that shuffles is seeded in each epoch: the pictures always come in the same order",
    edit=(
        "    while state.epoch < epochs:\n",
        "    while state.epoch < epochs:\n"
        "        if state.shuffling is not None:\n"
        "            state.shuffling.manual_seed(0)\n",
    ),
)
misconception(
    "8.7",
    "the metrics have the best validation loss so far, not that of the epoch",
    edit=('"val_loss": val_loss}', '"val_loss": state.best_loss}'),
)
misconception(
    "8.7",
    "all epochs share one dictionary of metrics: whoever keeps them has the last one's numbers in each",
    edit=(
        '        metrics = {"epoch": state.epoch, "step"',
        '        metrics = vars(state).setdefault("metrics", {})\n'
        '        metrics |= {"epoch": state.epoch, "step"',
    ),
)
misconception(
    "8.7",
    "steps are not counted",
    edit=(
        "        state.step += 1\n        state.images_seen += batch_size\n",
        "        state.images_seen += batch_size\n",
    ),
)
misconception(
    "8.7",
    "batches are counted as images",
    edit=("state.images_seen += batch_size", "state.images_seen += 1"),
)
misconception(
    "8.7",
    "metrics and callback come before the epoch is counted",
    edit=(
        ("        state.epoch += 1\n        state.best_loss", "        state.best_loss"),
        (
            "            on_epoch(state, metrics)\n",
            "            on_epoch(state, metrics)\n        state.epoch += 1\n",
        ),
    ),
)
misconception(
    "8.7",
    "training loss and validation loss are exchanged",
    edit=(
        '{"train_loss": train_loss, "val_loss": val_loss}',
        '{"train_loss": val_loss, "val_loss": train_loss}',
    ),
)
misconception(
    "8.7",
    "on_epoch is never called",
    edit=("        if on_epoch:\n", "        if False:\n"),
)
misconception(
    "8.7",
    "the model is validated, although there is an average",
    edit=("state.ema.applied(state.model) if state.ema else nullcontext()", "nullcontext()"),
)
misconception(
    "8.7",
    "each epoch is validated with another seed: two validation losses do not compare",
    edit=(
        "val_loader, schedule, target, precision=precision)",
        "val_loader, schedule, target, state.epoch, precision)",
    ),
)
misconception(
    "8.7",
    "the average is put into the model for good: training goes on from it",
    edit=(
        "        average = state.ema.applied(state.model) if state.ema else nullcontext()\n",
        "        average = nullcontext()\n        if state.ema:\n"
        "            state.model.load_state_dict(state.ema.average.state_dict())\n",
    ),
)
misconception(
    "8.7",
    "the learning rate's schedule is not handed on",
    edit=(
        "            state.lr_schedule,\n            state.ema,\n",
        "            None,\n            state.ema,\n",
    ),
)
misconception(
    "8.7",
    "fit moves the learning rate's schedule on once more in each epoch: train_one_epoch has done it already",
    edit=(
        "        state.epoch += 1\n        state.best_loss",
        "        if state.lr_schedule:\n            state.lr_schedule.step()\n"
        "        state.epoch += 1\n        state.best_loss",
    ),
)
misconception(
    "8.7",
    "the average is not handed on: it is never updated",
    edit=(
        "            state.lr_schedule,\n            state.ema,\n",
        "            state.lr_schedule,\n            None,\n",
    ),
)
misconception(
    "8.7",
    "grad_clip is not handed on: it is always 1",
    edit=("            grad_clip,\n            state.lr", "            1.0,\n            state.lr"),
)
misconception(
    "8.7",
    "label_dropout is not handed on: it is always 0.1",
    edit=(
        "            label_dropout,\n            min_snr_gamma,\n            grad_clip,\n            state",
        "            0.1,\n            min_snr_gamma,\n            grad_clip,\n            state",
    ),
)
misconception(
    "8.7",
    "the target is not handed on to the training: it is always noise",
    edit=(
        "            null_label,\n            target,\n            label",
        '            null_label,\n            "noise",\n            label',
    ),
)
misconception(
    "8.7",
    "the target is not handed on to the validation: it is always noise",
    edit=(
        "val_loader, schedule, target, precision=precision)",
        "val_loader, schedule, precision=precision)",
    ),
)
misconception(
    "8.7",
    "validated are the training images",
    edit=("validate(state.model, val_loader,", "validate(state.model, train_loader,"),
)
misconception(
    "8.7",
    "the best loss is that of the last epoch",
    edit=("state.best_loss = min(state.best_loss, val_loss)", "state.best_loss = val_loss"),
)
misconception(
    "8.7",
    "the best loss is brought up to date after the callback, which sees that of the epoch before",
    edit=(
        ("        state.best_loss = min(state.best_loss, val_loss)\n", ""),
        (
            "            on_epoch(state, metrics)\n",
            "            on_epoch(state, metrics)\n"
            "        state.best_loss = min(state.best_loss, val_loss)\n",
        ),
    ),
)
misconception(
    "8.7",
    "the best loss is brought up to date after the checkpoint, which holds that of the epoch before",
    edit=(
        ("        state.best_loss = min(state.best_loss, val_loss)\n", ""),
        (
            "            save_checkpoint(checkpoint, state)\n",
            "            save_checkpoint(checkpoint, state)\n"
            "        state.best_loss = min(state.best_loss, val_loss)\n",
        ),
    ),
)
misconception(
    "8.7",
    "the callback is called while the average is applied: it finds the average in place of the model",
    edit=(
        "            on_epoch(state, metrics)\n",
        "            with state.ema.applied(state.model) if state.ema else nullcontext():\n"
        "                on_epoch(state, metrics)\n",
    ),
)
misconception(
    "8.7",
    "the best loss is not kept",
    edit=("        state.best_loss = min(state.best_loss, val_loss)\n", ""),
)
misconception(
    "8.7",
    "the best loss is the largest one",
    edit=(
        "state.best_loss = min(state.best_loss, val_loss)",
        "state.best_loss = val_loss if state.best_loss == math.inf else max(state.best_loss, val_loss)",
    ),
)
misconception(
    "8.7",
    "no checkpoint is written, or not into the file that is asked for",
    edit=("        if checkpoint is not None:\n", "        if False:\n"),
)
misconception(
    "8.7",
    "the checkpoint is written while the average is applied: the model in it is the average",
    edit=(
        "            save_checkpoint(checkpoint, state)\n",
        "            with state.ema.applied(state.model) if state.ema else nullcontext():\n"
        "                save_checkpoint(checkpoint, state)\n",
    ),
)
misconception(
    "8.7",
    "a checkpoint is written only when the validation loss is the best so far",
    edit=(
        "        if checkpoint is not None:\n",
        "        if checkpoint is not None and val_loss <= state.best_loss:\n",
    ),
)
misconception(
    "8.7",
    "fit loads a checkpoint that it finds: it goes on from the state that it is given",
    edit=(
        "    while state.epoch < epochs:\n",
        "    if checkpoint is not None and checkpoint.exists():\n"
        "        load_checkpoint(checkpoint, state)\n"
        "    while state.epoch < epochs:\n",
    ),
)
misconception(
    "8.7",
    "a checkpoint is written only when all epochs are done",
    edit=(
        "        if checkpoint is not None:\n            save",
        "    if checkpoint is not None:\n            save",
    ),
)
misconception(
    "8.7",
    "the checkpoint is written before the epoch is counted",
    edit=(
        (
            "        state.epoch += 1\n        state.best_loss",
            "        if checkpoint is not None:\n            save_checkpoint(checkpoint, state)\n"
            "        state.epoch += 1\n        state.best_loss",
        ),
        (
            "            on_epoch(state, metrics)\n        if checkpoint is not None:\n"
            "            save_checkpoint(checkpoint, state)\n",
            "            on_epoch(state, metrics)\n",
        ),
    ),
)

# ★ Mixed precision.

misconception(
    "8.8",
    "the gradient is clipped before it is unscaled",
    edit=(
        "        scaler.unscale_(optimizer)\n"
        "        nn.utils.clip_grad_norm_(model.parameters(), grad_clip)\n",
        "        nn.utils.clip_grad_norm_(model.parameters(), grad_clip)\n"
        "        scaler.unscale_(optimizer)\n",
    ),
)
misconception("8.8", "the scaler is never updated", edit=("        scaler.update()\n", ""))
misconception(
    "8.8",
    "the optimiser makes its step itself, past the scaler",
    edit=("        scaler.step(optimizer)\n", "        optimizer.step()\n"),
)
misconception(
    "8.8",
    "only a scaler that is given is used: without one, fp16 is not scaled",
    edit=(
        "scaler = scaler or own_scaler",
        "scaler = scaler or GradScaler(device.type, enabled=False)",
    ),
)
misconception(
    "8.8",
    "where none is given, each batch gets a new scaler: a scale that was halved is forgotten",
    edit=(
        "        scaler.scale(minimised).backward()\n",
        "        if scaler is own_scaler:\n"
        "            own_scaler = scaler = mixed_precision(device, precision)[1]\n"
        "        scaler.scale(minimised).backward()\n",
    ),
)
misconception(
    "8.8",
    "the loss is not scaled before backward",
    edit=("scaler.scale(minimised).backward()", "minimised.backward()"),
)
misconception(
    "8.8",
    "the scaler that is given is not used",
    edit=("scaler = scaler or own_scaler", "scaler = own_scaler"),
)
misconception(
    "8.8",
    "the scaled loss is what is added up and reported",
    edit=(
        "        scaler.scale(minimised).backward()\n",
        "        loss = scaler.scale(minimised)\n        loss.backward()\n",
    ),
)
misconception(
    "8.8",
    "bf16 is scaled too",
    edit=(
        "make_scaler(device, precision)",
        'make_scaler(device, "fp32" if precision == "fp32" else "fp16")',
    ),
)
misconception(
    "8.8",
    "fp16 is not scaled",
    edit=("make_scaler(device, precision)", 'make_scaler(device, "fp32")'),
)
misconception(
    "8.8",
    "fp16 where bf16 is asked for",
    edit=(
        "return autocast(device, precision)",
        'return autocast(device, "fp32" if precision == "fp32" else "fp16")',
    ),
)
misconception(
    "8.8",
    "bf16 where fp16 is asked for",
    edit=(
        "return autocast(device, precision)",
        'return autocast(device, "fp32" if precision == "fp32" else "bf16")',
    ),
)
misconception(
    "8.8",
    "the context is never enabled",
    edit=("return autocast(device, precision)", 'return autocast(device, "fp32")'),
)
misconception(
    "8.8",
    "the context is always that of the CPU: on a GPU it changes nothing",
    edit=("return autocast(device, precision)", 'return autocast(torch.device("cpu"), precision)'),
)
misconception(
    "8.8",
    "an unknown precision is accepted in silence",
    edit=('    if precision not in ("fp32", "bf16", "fp16"):', "    if False:"),
)
misconception(
    "8.8",
    "the training loss is not computed in the context",
    edit=("        with context:\n", "        with nullcontext():\n"),
)
misconception(
    "8.8",
    "one context around the whole epoch: it keeps 16-bit copies of the weights, which no step changes",
    edit=(
        (
            "    total, images = torch.zeros((), device=device), 0\n    for x_0, y in loader:\n",
            "    total, images = torch.zeros((), device=device), 0\n\n"
            "    def within():\n        with context:\n            yield from loader\n\n"
            "    for x_0, y in within():\n",
        ),
        (
            "        with context:\n            loss =",
            "        with nullcontext():\n            loss =",
        ),
    ),
)
misconception(
    "8.8",
    "the model itself is put into 16 bits: its weights stay in 32, the context is enough",
    edit=(
        "    model.train()\n",
        '    model.to(torch.bfloat16 if precision == "bf16" else torch.float32)\n    model.train()\n',
    ),
)
misconception(
    "8.8",
    "the validation is always in fp32",
    edit=(
        "        with autocast(device, precision):\n            loss = p_losses",
        "        with nullcontext():\n            loss = p_losses",
    ),
)
misconception(
    "8.8",
    "fit does not hand the precision on to the validation",
    edit=("val_loader, schedule, target, precision=precision)", "val_loader, schedule, target)"),
)
misconception(
    "8.8",
    "fit does not hand the precision on to the training",
    edit=(
        "            state.ema,\n            precision,\n",
        '            state.ema,\n            "fp32",\n',
    ),
)
misconception(
    "8.8",
    "fit does not hand the scaler of the state on",
    edit=(
        "            precision,\n            state.scaler,\n",
        "            precision,\n            None,\n",
    ),
)

# ★ Exact resume.

misconception(
    "8.9",
    "the state of torch's own generator is forgotten",
    edit=('        torch.set_rng_state(states[f"torch.{rank}"])\n', "        pass\n"),
)
misconception(
    "8.9",
    "the state of the generator that shuffles is forgotten",
    edit=('        state.shuffling.set_state(states["shuffling"])\n', "        pass\n"),
)
misconception(
    "8.9",
    "load_checkpoint does not put the generators back",
    edit=('    restore_random_states(_part(tensors, "rng."), state)\n', ""),
)
misconception(
    "8.3",
    "the average is the model of the moment: each update copies it",
    edit=(
        "torch._foreach_lerp_(averages, parameters, 1 - decay)",
        "torch._foreach_lerp_(averages, parameters, 1.0)",
    ),
)
misconception(
    "8.3",
    "`decay` is overwritten by that of the first update, 1/10: it is the limit of all later ones",
    edit=("decay = min(self.decay,", "decay = self.decay = min(self.decay,"),
)
misconception(
    "8.3",
    "the average has the model's own buffers, not copies of them",
    edit=("            mine.copy_(its)\n", "            mine.data = its.data\n"),
)
misconception(
    "8.4",
    "gradients are not cleared before the first batch: those of the epoch before are still there",
    edit=(
        "        optimizer.zero_grad(set_to_none=True)\n",
        "        optimizer.zero_grad(set_to_none=True) if images else None\n",
    ),
)
misconception(
    "8.4",
    "the gradient is never longer than 1, whatever grad_clip says",
    edit=(
        "clip_grad_norm_(model.parameters(), grad_clip)",
        "clip_grad_norm_(model.parameters(), min(grad_clip, 1.0))",
    ),
)
misconception(
    "8.6",
    "the file has a name of its own: all checkpoints of a folder are one",
    edit=(
        (
            "    if state.world.is_main:\n        write_tensors(path,",
            "    if state.world.is_main:\n        write_tensors(path.with_name('last.pt'),",
        ),
        (
            "    tensors, header = read_tensors(path)\n",
            "    tensors, header = read_tensors(path.with_name('last.pt'))\n",
        ),
    ),
)
misconception(
    "8.6",
    "a file that is there already is not written again",
    edit=(
        "    if state.world.is_main:\n        write",
        "    if state.world.is_main and not path.exists():\n        write",
    ),
)
misconception(
    "8.7",
    "on_epoch is called where there is none",
    edit=(
        "        if on_epoch:\n            on_epoch(state, metrics)\n",
        "        on_epoch(state, metrics)\n",
    ),
)
misconception(
    "8.8",
    "fp16 is computed in bfloat16, whatever the context of mixed_precision",
    edit=(
        "    context, own_scaler = mixed_precision(device, precision)\n",
        "    own_scaler = mixed_precision(device, precision)[1]\n"
        '    in_16_bits = "fp32" if precision == "fp32" else "bf16"\n'
        "    context = mixed_precision(device, in_16_bits)[0]\n",
    ),
)
misconception(
    "8.7",
    "without `checkpoint` a file is written all the same",
    edit=(
        "        if checkpoint is not None:\n            save_checkpoint(checkpoint, state)",
        "        save_checkpoint(checkpoint or Path('last.ckpt'), state)",
    ),
)
