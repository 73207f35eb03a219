"""Chapter 6, mistakes that the grader knows by name: the loss."""

from checks import misconception

# Timesteps.

misconception(
    "6.1",
    "one timestep for the whole batch: each image has its own",
    edit=(
        "(batch_size,), device=device, generator=generator)",
        "(1,), device=device, generator=generator).expand(batch_size)",
    ),
)
misconception(
    "6.1",
    "a single timestep, of shape (1,): there is one for each image, (B,)",
    edit=("(batch_size,), device=device", "(1,), device=device"),
)
misconception(
    "6.1",
    "T is taken for 1000: it is an argument",
    edit=("torch.randint(0, timesteps,", "torch.randint(0, 1000,"),
)
misconception(
    "6.1",
    "T is among the timesteps: the last is T − 1",
    edit=("torch.randint(0, timesteps,", "torch.randint(0, timesteps + 1,"),
)
misconception(
    "6.1",
    "T − 1 never comes: randint leaves out its upper end by itself",
    edit=("torch.randint(0, timesteps,", "torch.randint(0, timesteps - 1,"),
)
misconception(
    "6.1",
    "t = 0 never comes: timesteps are counted from 0",
    edit=("torch.randint(0, timesteps,", "torch.randint(1, timesteps,"),
)
misconception(
    "6.1",
    "timesteps from 1 to T: they are counted from 0 to T − 1",
    edit=("torch.randint(0, timesteps,", "torch.randint(1, timesteps + 1,"),
)
misconception(
    "6.1",
    "t is a float: it is a whole number, int64, and an index",
    edit=(
        "torch.randint(0, timesteps, (batch_size,), device=device, generator=generator)",
        "torch.rand(batch_size, device=device, generator=generator) * timesteps",
    ),
)
misconception(
    "6.1",
    "t is int32: int64 is wanted",
    edit=(
        "(batch_size,), device=device, generator=generator)",
        "(batch_size,), device=device, generator=generator).int()",
    ),
)
misconception(
    "6.1",
    "t has the shape of something to multiply with, (B, 1, 1, 1): (B,) is wanted",
    edit=("(batch_size,), device=device", "(batch_size, 1, 1, 1), device=device"),
)
misconception(
    "6.1",
    "for a batch of one image t loses its axis (squeeze): its shape is (B,), also when B is 1",
    edit=(
        "(batch_size,), device=device, generator=generator)",
        "(batch_size,), device=device, generator=generator).squeeze()",
    ),
)
misconception(
    "6.1",
    "where a generator is given, the device is not used",
    edit=(
        "    return torch.randint(0, timesteps,",
        "    device = device if generator is None else generator.device\n"
        "    return torch.randint(0, timesteps,",
    ),
)
misconception(
    "6.1",
    "where a generator is given, there is one timestep for the whole batch",
    edit=(
        "    return torch.randint(0, timesteps,",
        "    if generator is not None:\n"
        "        one = torch.randint(0, timesteps, (1,), device=device, generator=generator)\n"
        "        return one.expand(batch_size)\n"
        "    return torch.randint(0, timesteps,",
    ),
)
misconception(
    "6.1",
    "the timesteps are sorted",
    edit=(
        "(batch_size,), device=device, generator=generator)",
        "(batch_size,), device=device, generator=generator).sort().values",
    ),
)
misconception(
    "6.1",
    "the timesteps are spread evenly from 0 to T − 1, the same in every batch: they are drawn",
    edit=(
        "torch.randint(0, timesteps, (batch_size,), device=device, generator=generator)",
        "torch.linspace(0, timesteps - 1, batch_size, device=device).round().long()",
    ),
)
misconception(
    "6.1",
    "no timestep comes twice in a batch (a permutation): each is drawn without regard to the others",
    edit=(
        "torch.randint(0, timesteps, (batch_size,), device=device, generator=generator)",
        "torch.randperm(timesteps, device=device, generator=generator)[:batch_size]",
    ),
)
misconception(
    "6.1",
    "t and T − 1 − t come in pairs: each is drawn without regard to the others",
    edit=(
        "return torch.randint(0, timesteps, (batch_size,), device=device, generator=generator)",
        "t = torch.randint(0, timesteps, ((batch_size + 1) // 2,), device=device, generator=generator)\n"
        "    return torch.cat([t, timesteps - 1 - t])[:batch_size]",
    ),
)
misconception(
    "6.1",
    "each image draws from a part of 0…T − 1 of its own (stratified): each may have any timestep",
    edit=(
        "return torch.randint(0, timesteps, (batch_size,), device=device, generator=generator)",
        "part = torch.randperm(batch_size, device=device, generator=generator)\n"
        "    u = torch.rand(batch_size, device=device, generator=generator)\n"
        "    return ((part + u) * timesteps / batch_size).long()",
    ),
)
misconception(
    "6.1",
    "`timesteps` is called otherwise: the names of arguments are fixed, like their order",
    edit=(
        ("    batch_size: int, timesteps: int, device", "    batch_size: int, T: int, device"),
        ("torch.randint(0, timesteps, (batch_size,)", "torch.randint(0, T, (batch_size,)"),
    ),
)
misconception(
    "6.1",
    "small timesteps are more likely than large ones: all are equally likely",
    edit=(
        "torch.randint(0, timesteps, (batch_size,), device=device, generator=generator)",
        "(torch.rand(batch_size, device=device, generator=generator) ** 2 * timesteps).long()",
    ),
)
misconception(
    "6.1",
    "t = 0 and T − 1 come half as often as the others (rounding): all are equally likely",
    edit=(
        "torch.randint(0, timesteps, (batch_size,), device=device, generator=generator)",
        "(torch.rand(batch_size, device=device, generator=generator) * (timesteps - 1)).round().long()",
    ),
)
misconception(
    "6.1",
    "the timesteps do not come from the generator",
    edit=("(batch_size,), device=device, generator=generator)", "(batch_size,), device=device)"),
)
misconception(
    "6.1",
    "randint is not told the device: with a generator on a GPU it stops, before .to(device) is reached",
    edit=(
        "(batch_size,), device=device, generator=generator)",
        "(batch_size,), generator=generator).to(device)",
    ),
)
misconception(
    "6.1",
    "sample_timesteps sets a seed: every batch gets the same timesteps",
    edit=(
        "return torch.randint(0, timesteps,",
        "torch.manual_seed(0)\n    return torch.randint(0, timesteps,",
    ),
)
misconception(
    "6.1",
    "the timesteps come from NumPy or Python: torch's generator and seed know nothing of these",
    edit=(
        "torch.randint(0, timesteps, (batch_size,), device=device, generator=generator)",
        'torch.from_numpy(__import__("numpy").random.randint(0, timesteps, batch_size)).to(device)',
    ),
)
misconception(
    "6.1",
    "the device is not used: on a GPU t would stay behind on the CPU",
    edit=(
        "(batch_size,), device=device, generator=generator)",
        "(batch_size,), generator=generator)",
    ),
)

# Labels.

misconception(
    "6.2",
    "p is taken for the probability of keeping a label: it is that of dropping it",
    edit=("generator=generator) < p", "generator=generator) >= p"),
)
misconception(
    "6.2",
    "one coin for the whole batch: all of its labels are dropped or none",
    edit=("torch.rand(y.shape, device=y.device", "torch.rand((1,), device=y.device"),
)
misconception(
    "6.2",
    "where a generator is given, there is one coin for the whole batch",
    edit=(
        "    drop = torch.rand(y.shape,",
        "    if generator is not None:\n"
        "        coin = torch.rand((), device=y.device, generator=generator)\n"
        "        return torch.where(coin < p, null_label, y)\n"
        "    drop = torch.rand(y.shape,",
    ),
)
misconception(
    "6.2",
    "two labels at a time share a coin: each has its own",
    edit=(
        "torch.rand(y.shape, device=y.device, generator=generator) < p",
        "torch.rand((len(y) + 1) // 2, device=y.device, generator=generator) < p\n"
        "    drop = drop.repeat_interleave(2)[: len(y)]",
    ),
)
misconception(
    "6.2",
    "both halves of the batch get the same coins: each label has its own",
    edit=(
        "torch.rand(y.shape, device=y.device, generator=generator) < p",
        "torch.rand((len(y) + 1) // 2, device=y.device, generator=generator) < p\n"
        "    drop = drop.repeat(2)[: len(y)]",
    ),
)
misconception(
    "6.2",
    "of a single label comes a number without an axis (squeeze): the shape is (B,), also when B is 1",
    edit=("torch.where(drop, null_label, y)", "torch.where(drop, null_label, y).squeeze()"),
)
misconception(
    "6.2",
    "dropped labels become 0, which is a real class",
    edit=("torch.where(drop, null_label, y)", "torch.where(drop, 0, y)"),
)
misconception(
    "6.2",
    "dropped labels become −1: null_label is wanted",
    edit=("torch.where(drop, null_label, y)", "torch.where(drop, -1, y)"),
)
misconception(
    "6.2",
    "dropped labels become null_label − 1, which is the last real class",
    edit=("torch.where(drop, null_label, y)", "torch.where(drop, null_label - 1, y)"),
)
misconception(
    "6.2",
    "the null label is taken for 10: it is an argument",
    edit=("torch.where(drop, null_label, y)", "torch.where(drop, 10, y)"),
)
misconception(
    "6.2",
    "dropped labels become other labels by chance: null_label is wanted",
    edit=(
        "torch.where(drop, null_label, y)",
        "torch.where(drop, torch.randint_like(y, null_label), y)",
    ),
    draws="labels-by-chance",
)
misconception(
    "6.2",
    "the labels come back as they were: none is ever dropped",
    edit=("torch.where(drop, null_label, y)", "torch.where(drop, y, y)"),
)
misconception(
    "6.2",
    "the caller's labels are changed in place: after an epoch or two none would be left",
    edit=("return torch.where(drop, null_label, y)", "y[drop] = null_label\n    return y"),
)
misconception(
    "6.2",
    "the labels come back as floats",
    edit=("torch.where(drop, null_label, y)", "torch.where(drop, float(null_label), y.float())"),
)
misconception(
    "6.2",
    "every batch loses the same number of labels: each is dropped without regard to the others",
    edit=(
        "torch.rand(y.shape, device=y.device, generator=generator) < p",
        "torch.randperm(len(y), device=y.device, generator=generator) < round(p * len(y))",
    ),
)
misconception(
    "6.2",
    "always the first labels of the batch are dropped: chance decides",
    edit=(
        "torch.rand(y.shape, device=y.device, generator=generator) < p",
        "torch.arange(len(y), device=y.device) < round(p * len(y))",
    ),
)
misconception(
    "6.2",
    "p is not used: labels are dropped with a fixed probability of 0.1",
    edit=("generator=generator) < p", "generator=generator) < 0.1"),
)
misconception(
    "6.2",
    "p is rounded to tenths: 0.05 drops none at all",
    edit=(
        "torch.rand(y.shape, device=y.device, generator=generator) < p",
        "torch.randint(0, 10, y.shape, device=y.device, generator=generator) < int(10 * p)",
    ),
)
misconception(
    "6.2",
    "the coins are normal numbers (randn): uniform ones (rand) fall below p with probability p",
    edit=("drop = torch.rand(y.shape", "drop = torch.randn(y.shape"),
)
misconception(
    "6.2",
    "p is not looked at: −0.1 and 10 are accepted",
    edit=("if not 0 <= p <= 1:", "if False:"),
)
misconception(
    "6.2",
    "p = 1 is refused: it drops all of them, and is allowed",
    edit=("if not 0 <= p <= 1:", "if not 0 <= p < 1:"),
)
misconception(
    "6.2",
    "p = 0 is refused: it drops none, and is allowed",
    edit=("if not 0 <= p <= 1:", "if not 0 < p <= 1:"),
)
misconception(
    "6.2",
    "a p that is no probability is an AssertionError: a ValueError is wanted",
    edit=("if not 0 <= p <= 1:", "assert 0 <= p <= 1\n    if False:"),
)
misconception(
    "6.2",
    "the labels to be dropped do not come from the generator",
    edit=("y.device, generator=generator) < p", "y.device) < p"),
)
misconception(
    "6.2",
    "drop_labels sets a seed: the same places are dropped in every batch",
    edit=("drop = torch.rand(", "torch.manual_seed(0)\n    drop = torch.rand("),
)
misconception(
    "6.2",
    "the coins come from NumPy or Python: torch's generator and seed know nothing of these",
    edit=(
        "torch.rand(y.shape, device=y.device, generator=generator) < p",
        'torch.from_numpy(__import__("numpy").random.rand(len(y)) < p).to(y.device)',
    ),
)
misconception(
    "6.2",
    "the coins stay behind on the CPU when y is on another device",
    edit=(
        "y.shape, device=y.device, generator=generator) < p",
        "y.shape, generator=generator) < p",
    ),
)
misconception(
    "6.2",
    "where a generator is given, the coins stay behind on the CPU",
    edit=(
        "    drop = torch.rand(y.shape, device=y.device, generator=generator) < p",
        "    if generator is None:\n"
        "        coins = torch.rand(y.shape, device=y.device)\n"
        "    else:\n"
        "        coins = torch.rand(y.shape, generator=generator)\n"
        "    drop = coins < p",
    ),
)
misconception(
    "6.2",
    "<= p where < p would drop none at p = 0 without exception",
    edit=("generator=generator) < p", "generator=generator) <= p"),
    equal="torch.rand gives exactly 0 once in 16 million draws",
)

# v.

misconception(
    "6.3",
    "x_0 and noise are exchanged: v is all but the noise where x_t is all but the picture",
    edit=(
        "alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x_0",
        "alpha_bar.sqrt() * x_0 - (1 - alpha_bar).sqrt() * noise",
    ),
)
misconception(
    "6.3",
    "the sign of v is turned: the noise has the plus, x_0 the minus",
    edit=(
        "alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x_0",
        "(1 - alpha_bar).sqrt() * x_0 - alpha_bar.sqrt() * noise",
    ),
)
misconception(
    "6.3",
    "a plus between the two: x_0 is subtracted",
    edit=("noise - (1 - alpha_bar).sqrt() * x_0", "noise + (1 - alpha_bar).sqrt() * x_0"),
)
misconception(
    "6.3",
    "the factors are exchanged: alpha_bar goes with the noise, 1 − alpha_bar with x_0",
    edit=(
        "alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x_0",
        "(1 - alpha_bar).sqrt() * noise - alpha_bar.sqrt() * x_0",
    ),
)
misconception(
    "6.3",
    "x_t where v is meant: √alpha_bar · x_0 + √(1 − alpha_bar) · noise is what the model sees",
    edit=(
        "alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x_0",
        "alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise",
    ),
)
misconception(
    "6.3",
    "alpha_bar without its root",
    edit=("return alpha_bar.sqrt() * noise", "return alpha_bar * noise"),
)
misconception(
    "6.3",
    "of one picture of one channel the axes of length 1 are lost (squeeze): (B, C, H, W) comes back",
    edit=(
        "return alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x_0",
        "return (alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x_0).squeeze()",
    ),
)
misconception(
    "6.3",
    "1 − alpha_bar without its root",
    edit=("noise - (1 - alpha_bar).sqrt() * x_0", "noise - (1 - alpha_bar) * x_0"),
)
misconception(
    "6.3",
    "1 − √alpha_bar where √(1 − alpha_bar) is meant",
    edit=("noise - (1 - alpha_bar).sqrt() * x_0", "noise - (1 - alpha_bar.sqrt()) * x_0"),
)
misconception(
    "6.3",
    "alpha_t where alpha_bar_t is meant: the product of all alphas up to t",
    edit=("per_image(schedule.alpha_bars, t)", "per_image(schedule.alphas, t)"),
)
misconception(
    "6.3",
    "every image gets the alpha_bar of the first one's t",
    edit=("per_image(schedule.alpha_bars, t)", "per_image(schedule.alpha_bars, t[:1])"),
)
misconception(
    "6.3",
    "alpha_bar at t − 1 where t is meant",
    edit=("per_image(schedule.alpha_bars, t)", "per_image(schedule.alpha_bars_prev, t)"),
)
misconception(
    "6.3",
    "alpha_bar lacks its three axes of length 1: (B,) does not fit (B, C, H, W)",
    edit=("per_image(schedule.alpha_bars, t)", "schedule.alpha_bars[t]"),
)

# The loss.

misconception(
    "6.4",
    "the model gets x_0: it should see the noisy x_t",
    edit=("model(q_sample(schedule, x_0, t, noise), t, y)", "model(x_0, t, y)"),
)
misconception(
    "6.4",
    "the model gets the noise alone: it should see x_t",
    edit=("model(q_sample(schedule, x_0, t, noise), t, y)", "model(noise, t, y)"),
)
misconception(
    "6.4",
    "t is divided by T before the model sees it",
    edit=("t, noise), t, y)", "t, noise), t / schedule.timesteps, y)"),
)
misconception(
    "6.4",
    "the model gets t + 1",
    edit=("t, noise), t, y)", "t, noise), t + 1, y)"),
)
misconception(
    "6.4",
    "t goes to the model as a float: it is a whole number",
    edit=("t, noise), t, y)", "t, noise), t.float(), y)"),
)
misconception(
    "6.4",
    "t and y are exchanged in the call of the model: model(x_t, t, y)",
    edit=("t, noise), t, y)", "t, noise), y, t)"),
)
misconception(
    "6.4",
    "x_t is cut off at −1 and 1: noise may reach beyond",
    edit=("t, noise), t, y)", "t, noise).clamp(-1, 1), t, y)"),
)
misconception(
    "6.4",
    "the labels are not handed to the model",
    edit=("t, noise), t, y)", "t, noise), t, None)"),
)
misconception(
    "6.4",
    "the noise that is mixed in is not the one that the model is asked for: q_sample draws its own",
    edit=(
        "model(q_sample(schedule, x_0, t, noise), t, y)",
        "model(q_sample(schedule, x_0, t), t, y)",
    ),
    draws="other-noise-mixed-in",
)
misconception(
    "6.4",
    "the model is asked for new noise, which nobody could know: it is the one that was mixed in",
    edit=(
        'if target == "noise":\n        wanted = noise',
        'if target == "noise":\n        wanted = torch.randn_like(x_0)',
    ),
)
misconception(
    "6.4",
    "the noise that is given is not used",
    edit=("    if noise is None:\n        noise = torch", "    if True:\n        noise = torch"),
)
misconception(
    "6.4",
    "the model is asked for x_0: it predicts the noise",
    edit=(
        'if target == "noise":\n        wanted = noise',
        'if target == "noise":\n        wanted = x_0',
    ),
)
misconception(
    "6.4",
    "the model is asked for the noise as it is mixed in, times √(1 − alpha_bar): it is noise of variance 1",
    edit=(
        'if target == "noise":\n        wanted = noise',
        'if target == "noise":\n        wanted = (1 - per_image(schedule.alpha_bars, t)).sqrt() * noise',
    ),
)
misconception(
    "6.4",
    'target="v" is ignored: the model is asked for the noise all the same',
    edit=("wanted = v_target(schedule, x_0, t, noise)", "wanted = noise"),
)
misconception(
    "6.4",
    'target="v" asks for x_0: it should ask for v_target(…)',
    edit=("wanted = v_target(schedule, x_0, t, noise)", "wanted = x_0"),
)
misconception(
    "6.4",
    "the model is asked for v whatever the target",
    edit=(
        'if target == "noise":\n        wanted = noise',
        'if target == "noise":\n        wanted = v_target(schedule, x_0, t, noise)',
    ),
)
misconception(
    "6.4",
    "the sum over everything: the mean is wanted",
    edit=(
        (".mean(dim=(1, 2, 3))", ".sum(dim=(1, 2, 3))"),
        ("    return losses.mean()", "    return losses.sum()"),
    ),
)
misconception(
    "6.4",
    "the sum over the elements of each image: the mean over all elements is wanted",
    edit=(".mean(dim=(1, 2, 3))", ".sum(dim=(1, 2, 3))"),
)
misconception(
    "6.4",
    'F.mse_loss has taken the mean already: reduction="none" keeps the images apart',
    edit=('wanted, reduction="none")', "wanted)"),
)
misconception(
    "6.4",
    "the losses of the images come back one by one: their mean is wanted",
    edit=("    return losses.mean()", "    return losses"),
)
misconception(
    "6.4",
    "absolute values (L1): squares are wanted",
    edit=("F.mse_loss(", "F.l1_loss("),
)
misconception(
    "6.4",
    "the Huber (smooth L1) loss: squares are wanted",
    edit=("F.mse_loss(", "F.smooth_l1_loss("),
)
misconception(
    "6.4",
    "losses of images are cut off at 10: the mean is that of all of them as they are",
    edit=("    return losses.mean()", "    return losses.clamp(max=10).mean()"),
)
misconception(
    "6.4",
    "a loss that is no number (NaN) counts as 0: nobody would see that the run has gone wrong",
    edit=("    return losses.mean()", "    return losses.nan_to_num(0).mean()"),
)
misconception(
    "6.4",
    "without noise=, q_sample is called before the noise is drawn, and mixes in some of its own",
    edit=(
        (
            "    if noise is None:\n        noise = torch",
            "    given = noise\n    if noise is None:\n        noise = torch",
        ),
        ("q_sample(schedule, x_0, t, noise), t, y)", "q_sample(schedule, x_0, t, given), t, y)"),
    ),
)
misconception(
    "6.4",
    'without noise= and with target="v", the noise that is mixed in is not the one in v',
    edit=(
        (
            "    if noise is None:\n        noise = torch",
            "    given = noise\n    if noise is None:\n        noise = torch",
        ),
        (
            "q_sample(schedule, x_0, t, noise), t, y)",
            'q_sample(schedule, x_0, t, given if target == "v" else noise), t, y)',
        ),
    ),
)
misconception(
    "6.4",
    "the root of the mean: the mean itself is wanted",
    edit=("    return losses.mean()", "    return losses.mean().sqrt()"),
)
misconception(
    "6.4",
    "half of the mean of the squares: no 1/2 is wanted",
    edit=("    return losses.mean()", "    return losses.mean() / 2"),
)
misconception(
    "6.4",
    "noise from 0 to 1 (rand): normal noise (randn) is wanted",
    edit=("torch.randn_like(x_0)", "torch.rand_like(x_0)"),
)
misconception(
    "6.4",
    "the noise that p_losses draws comes from NumPy or Python: torch's seed knows nothing of these",
    edit=(
        "torch.randn_like(x_0)",
        'torch.from_numpy(__import__("numpy").random.randn(*x_0.shape)).to(x_0)',
    ),
)
misconception(
    "6.4",
    "uniform noise from −1 to 1: normal noise is wanted",
    edit=("torch.randn_like(x_0)", "torch.rand_like(x_0) * 2 - 1"),
)
misconception(
    "6.4",
    "one noise for all images of the batch: each has its own",
    edit=("torch.randn_like(x_0)", "torch.randn_like(x_0[:1]).expand_as(x_0)"),
)
misconception(
    "6.4",
    "one number of noise for a whole image: each element has its own",
    edit=("torch.randn_like(x_0)", "torch.randn_like(x_0[:, :1, :1, :1]).expand_as(x_0)"),
)
misconception(
    "6.4",
    "the same noise for all channels: each element has its own",
    edit=("torch.randn_like(x_0)", "torch.randn_like(x_0[:, :1]).expand_as(x_0)"),
)
misconception(
    "6.4",
    "the noise that p_losses draws stays behind on the CPU when the pictures are on another device",
    edit=("torch.randn_like(x_0)", "torch.randn(x_0.shape)"),
)
misconception(
    "6.4",
    "other targets are accepted: they are a ValueError",
    edit=(
        '    else:\n        raise ValueError(f"target must be one of {TARGETS}, got {target!r}")',
        "    else:\n        wanted = v_target(schedule, x_0, t, noise)",
    ),
)
misconception(
    "6.4",
    "the model is called under no_grad: it would never learn",
    edit=(
        "    prediction = model(q_sample",
        "    with torch.no_grad():\n        prediction = model(q_sample",
    ),
)
misconception(
    "6.4",
    "loss or prediction is detached: the model would never learn",
    edit=("prediction.float()", "prediction.detach().float()"),
)
misconception(
    "6.4",
    "p_losses puts the model into training mode: the mode is the caller's",
    edit=("    prediction = model(q_sample", "    model.train()\n    prediction = model(q_sample"),
)
misconception(
    "6.4",
    "p_losses puts the model into eval mode: the mode is the caller's",
    edit=("    prediction = model(q_sample", "    model.eval()\n    prediction = model(q_sample"),
)

# The step.

misconception(
    "6.5",
    "the model sees the labels as they were: the dropped ones are not used",
    edit=("    y = drop_labels(", "    dropped = drop_labels("),
)
misconception(
    "6.5",
    "labels are dropped in training mode only: the step does not look at the mode",
    edit=(
        "    y = drop_labels(y, label_dropout, null_label, generator)",
        "    dropped = drop_labels(y, label_dropout, null_label, generator)\n"
        "    y = dropped if model.training else y",
    ),
)
misconception(
    "6.5",
    "one random number decides on timestep and dropped label: each needs one of its own",
    edit=(
        (
            "t = sample_timesteps(len(x_0), schedule.timesteps, x_0.device, generator)",
            "coin = torch.rand(len(x_0), device=x_0.device, generator=generator)\n"
            "    t = (coin * schedule.timesteps).long()",
        ),
        (
            "y = drop_labels(y, label_dropout, null_label, generator)",
            "y = torch.where(coin < label_dropout, null_label, y)",
        ),
    ),
)
misconception(
    "6.5",
    "the step sets a seed: every batch gets the same timesteps, coins and noise",
    edit=(
        "    t = sample_timesteps(len(x_0), schedule.timesteps,",
        "    torch.manual_seed(0)\n    t = sample_timesteps(len(x_0), schedule.timesteps,",
    ),
)
misconception(
    "6.5",
    "without a generator the step makes one of a fixed seed: every batch gets the same",
    edit=(
        "    t = sample_timesteps(len(x_0), schedule.timesteps,",
        "    generator = generator or torch.Generator().manual_seed(0)\n"
        "    t = sample_timesteps(len(x_0), schedule.timesteps,",
    ),
)
misconception(
    "6.5",
    "training_step takes v for the target when none is named: noise is",
    edit=(
        'label_dropout: float = 0.1,\n    target: str = "noise",',
        'label_dropout: float = 0.1,\n    target: str = "v",',
    ),
)
misconception(
    "6.5",
    "the step sorts its timesteps: they come in no order",
    edit=(
        "schedule.timesteps, x_0.device, generator)",
        "schedule.timesteps, x_0.device, generator).sort().values",
    ),
)
misconception(
    "6.5",
    "the step draws noise for half of the images, and the others get the same: each has its own",
    edit=(
        "    noise = torch.randn(x_0.shape, device=x_0.device, dtype=x_0.dtype, generator=generator)",
        "    half = x_0[: (len(x_0) + 1) // 2]\n"
        "    noise = torch.randn(half.shape, device=x_0.device, generator=generator)\n"
        "    noise = noise.repeat(2, 1, 1, 1)[: len(x_0)]",
    ),
)
misconception(
    "6.5",
    "label_dropout is not used: labels are dropped with a fixed probability of 0.1",
    edit=("drop_labels(y, label_dropout, null_label,", "drop_labels(y, 0.1, null_label,"),
)
misconception(
    "6.5",
    "the step takes the largest label of the batch, plus 1, for the null label: it is an argument",
    edit=(
        "drop_labels(y, label_dropout, null_label, generator)",
        "drop_labels(y, label_dropout, int(y.max()) + 1, generator)",
    ),
)
misconception(
    "6.5",
    "the step takes 10 for the null label: it is an argument",
    edit=("drop_labels(y, label_dropout, null_label,", "drop_labels(y, label_dropout, 10,"),
)
misconception(
    "6.5",
    "the step drops all labels of a batch or none: each has a coin of its own",
    edit=(
        "y = drop_labels(y, label_dropout, null_label, generator)",
        "coin = torch.rand((), device=y.device, generator=generator)\n"
        "    y = torch.full_like(y, null_label) if coin < label_dropout else y",
    ),
)
misconception(
    "6.5",
    "the step draws one timestep for all images",
    edit=(
        "sample_timesteps(len(x_0), schedule.timesteps, x_0.device, generator)",
        "sample_timesteps(1, schedule.timesteps, x_0.device, generator).expand(len(x_0))",
    ),
)
misconception(
    "6.5",
    "the step never draws the last timestep: there are schedule.timesteps of them",
    edit=(
        "len(x_0), schedule.timesteps, x_0.device",
        "len(x_0), schedule.timesteps - 1, x_0.device",
    ),
)
misconception(
    "6.5",
    "the step takes 1000 for T: it is schedule.timesteps",
    edit=("len(x_0), schedule.timesteps, x_0.device", "len(x_0), 1000, x_0.device"),
)
misconception(
    "6.5",
    "batch size and T are exchanged in the call of sample_timesteps",
    edit=("len(x_0), schedule.timesteps, x_0.device", "schedule.timesteps, len(x_0), x_0.device"),
)
misconception(
    "6.5",
    "the step draws one noise for all images: each has its own",
    edit=(
        "torch.randn(x_0.shape, device=x_0.device, dtype=x_0.dtype, generator=generator)",
        "torch.randn(x_0[:1].shape, device=x_0.device, generator=generator).expand_as(x_0)",
    ),
)
misconception(
    "6.5",
    "the step draws noise from 0 to 1 (rand): normal noise (randn) is wanted",
    edit=("noise = torch.randn(x_0.shape", "noise = torch.rand(x_0.shape"),
)
misconception(
    "6.5",
    "where a generator is given, the step draws one noise for all images: each has its own",
    edit=(
        "    noise = torch.randn(x_0.shape, device=x_0.device, dtype=x_0.dtype, generator=generator)",
        "    shape = x_0.shape if generator is None else x_0[:1].shape\n"
        "    noise = torch.randn(shape, device=x_0.device, generator=generator).expand_as(x_0)",
    ),
)
misconception(
    "6.5",
    "where a generator is given, the step draws noise from 0 to 1 (rand): normal noise is wanted",
    edit=(
        "    noise = torch.randn(x_0.shape,",
        "    draw = torch.randn if generator is None else torch.rand\n    noise = draw(x_0.shape,",
    ),
)
misconception(
    "6.5",
    "where a generator is given, the noise stays behind on the CPU",
    edit=(
        "    noise = torch.randn(x_0.shape, device=x_0.device, dtype=x_0.dtype, generator=generator)",
        "    if generator is None:\n"
        "        noise = torch.randn_like(x_0)\n"
        "    else:\n"
        "        noise = torch.randn(x_0.shape, generator=generator)",
    ),
)
misconception(
    "6.5",
    "each image's noise has an offset of its own (offset noise): its numbers are independent of each other",
    edit=(
        "    return p_losses(model, schedule, x_0, t,",
        "    noise = noise + 0.1 * torch.randn(\n"
        "        *x_0.shape[:2], 1, 1, device=x_0.device, generator=generator)\n"
        "    return p_losses(model, schedule, x_0, t,",
    ),
)
misconception(
    "6.5",
    "noise is mixed in twice: p_losses wants x_0, not x_t",
    edit=(
        "return p_losses(model, schedule, x_0, t,",
        "return p_losses(model, schedule, q_sample(schedule, x_0, t, noise), t,",
    ),
)
misconception(
    "6.5",
    "the pictures are moved from [0, 1] to [−1, 1] once more: they are there already",
    edit=(
        "return p_losses(model, schedule, x_0, t,",
        "return p_losses(model, schedule, 2 * x_0 - 1, t,",
    ),
)
misconception(
    "6.5",
    "target is not handed on: the loss is always about the noise",
    edit=("t, y, noise, target, min_snr_gamma)\n", 't, y, noise, "noise", min_snr_gamma)\n'),
)
misconception(
    "6.5",
    "neither target nor min_snr_gamma is handed on: the loss is always about the noise, and never weighed",
    edit=("t, y, noise, target, min_snr_gamma)\n", "t, y, noise)\n"),
)
misconception(
    "6.5",
    "the noise does not come from the generator (randn_like takes none), or is not handed on",
    edit=(
        "torch.randn(x_0.shape, device=x_0.device, dtype=x_0.dtype, generator=generator)",
        "torch.randn_like(x_0)",
    ),
)
misconception(
    "6.5",
    "the generator is not handed to sample_timesteps",
    edit=("schedule.timesteps, x_0.device, generator)", "schedule.timesteps, x_0.device)"),
)
misconception(
    "6.5",
    "the generator is not handed to drop_labels",
    edit=("label_dropout, null_label, generator)", "label_dropout, null_label)"),
)
misconception(
    "6.5",
    "the generator is not used at all",
    edit=(
        ("schedule.timesteps, x_0.device, generator)", "schedule.timesteps, x_0.device)"),
        ("label_dropout, null_label, generator)", "label_dropout, null_label)"),
        ("dtype=x_0.dtype, generator=generator)", "dtype=x_0.dtype)"),
    ),
)
misconception(
    "6.5",
    "the step calls backward(): that is the training loop's",
    edit=(
        "return p_losses(model, schedule, x_0, t, y, noise, target, min_snr_gamma)",
        "loss = p_losses(model, schedule, x_0, t, y, noise, target, min_snr_gamma)\n"
        "    loss.backward(retain_graph=True)\n    return loss",
    ),
)
misconception(
    "6.5",
    "the step changes the weights: that is the training loop's",
    edit=(
        "return p_losses(model, schedule, x_0, t, y, noise, target, min_snr_gamma)",
        "loss = p_losses(model, schedule, x_0, t, y, noise, target, min_snr_gamma)\n"
        "    found = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)\n"
        "    for p, g in zip(model.parameters(), found):\n"
        "        p.data = p.data - 0.1 * g\n    return loss",
    ),
)
misconception(
    "6.5",
    "the step clears the gradients: that is the training loop's",
    edit=("    t = sample_timesteps(len", "    model.zero_grad()\n    t = sample_timesteps(len"),
)
misconception(
    "6.5",
    "the step puts the model into training mode: that is the training loop's",
    edit=("    t = sample_timesteps(len", "    model.train()\n    t = sample_timesteps(len"),
)
misconception(
    "6.5",
    "the step puts the model into eval mode: that is the training loop's",
    edit=("    t = sample_timesteps(len", "    model.eval()\n    t = sample_timesteps(len"),
)
misconception(
    "6.5",
    "the step detaches its loss: nothing could be learnt from it",
    edit=("noise, target, min_snr_gamma)\n", "noise, target, min_snr_gamma).detach()\n"),
)
misconception(
    "6.5",
    "the step returns a number (.item()): a tensor with its graph is wanted",
    edit=("noise, target, min_snr_gamma)\n", "noise, target, min_snr_gamma).item()\n"),
)
misconception(
    "6.5",
    "the timesteps stay behind on the CPU when the pictures are on another device",
    edit=("schedule.timesteps, x_0.device, generator)", "schedule.timesteps, generator=generator)"),
)
misconception(
    "6.5",
    "the noise stays behind on the CPU when the pictures are on another device",
    edit=("x_0.shape, device=x_0.device, dtype=x_0.dtype,", "x_0.shape, dtype=x_0.dtype,"),
)

# min-SNR.

misconception(
    "6.6",
    "SNR is turned around: it is alpha_bar / (1 − alpha_bar)",
    edit=("alpha_bar / (1 - alpha_bar)", "(1 - alpha_bar) / alpha_bar"),
)
misconception(
    "6.6",
    "SNR is the ratio of the roots: it is the ratio of the variances",
    edit=("alpha_bar / (1 - alpha_bar)", "(alpha_bar / (1 - alpha_bar)).sqrt()"),
)
misconception(
    "6.6",
    "alpha_bar where SNR is meant",
    edit=("snr = alpha_bar / (1 - alpha_bar)", "snr = alpha_bar"),
)
misconception(
    "6.6",
    "alpha_t where alpha_bar_t is meant in SNR",
    edit=("schedule.alpha_bars.to(t.device)[t]", "schedule.alphas.to(t.device)[t]"),
)
misconception(
    "6.6",
    "the larger of SNR and gamma (clamp(min=…)): the smaller is wanted, clamp(max=…)",
    edit=(
        ("return snr.clamp(max=gamma) / snr", "return snr.clamp(min=gamma) / snr"),
        ("return snr.clamp(max=gamma) / (snr + 1)", "return snr.clamp(min=gamma) / (snr + 1)"),
    ),
)
misconception(
    "6.6",
    "of one image comes a weight without an axis (squeeze): the shape is (B,), also when B is 1",
    edit=(
        "return snr.clamp(max=gamma) / snr\n",
        "return (snr.clamp(max=gamma) / snr).squeeze()\n",
    ),
)
misconception(
    "6.6",
    "gamma is not used: SNR is always cut off at 5",
    edit=(
        ("return snr.clamp(max=gamma) / snr", "return snr.clamp(max=5) / snr"),
        ("return snr.clamp(max=gamma) / (snr + 1)", "return snr.clamp(max=5) / (snr + 1)"),
    ),
)
misconception(
    "6.6",
    "for noise min(SNR, gamma) is not divided by SNR (that is the weight for x_0)",
    edit=("snr.clamp(max=gamma) / snr", "snr.clamp(max=gamma)"),
)
misconception(
    "6.6",
    "for v min(SNR, gamma) is not divided by SNR + 1",
    edit=("snr.clamp(max=gamma) / (snr + 1)", "snr.clamp(max=gamma)"),
)
misconception(
    "6.6",
    "v gets the weight of noise: for v it is divided by SNR + 1",
    edit=("snr.clamp(max=gamma) / (snr + 1)", "snr.clamp(max=gamma) / snr + 0"),
)
misconception(
    "6.6",
    "noise gets the weight of v: for noise it is divided by SNR",
    edit=("snr.clamp(max=gamma) / snr", "snr.clamp(max=gamma) / (1 + snr)"),
)
misconception(
    "6.6",
    "the weight is turned around: min(SNR, gamma) is divided by SNR, or by SNR + 1",
    edit=(
        ("return snr.clamp(max=gamma) / snr", "return snr / snr.clamp(max=gamma)"),
        ("return snr.clamp(max=gamma) / (snr + 1)", "return (snr + 1) / snr.clamp(max=gamma)"),
    ),
)
misconception(
    "6.6",
    "clamp_ with its underscore changes SNR itself: for noise every weight is then 1",
    edit=(
        ("return snr.clamp(max=gamma) / snr", "return snr.clamp_(max=gamma) / snr"),
        ("return snr.clamp(max=gamma) / (snr + 1)", "return snr.clamp_(max=gamma) / (snr + 1)"),
    ),
)
misconception(
    "6.6",
    "any other target gets the weight of v: it is a ValueError",
    edit=(
        '    if target == "v":\n        return snr',
        "    if True:\n        return snr",
    ),
)
misconception(
    "6.6",
    "the weights come after the mean, where each image can no longer have its own",
    edit=(
        "losses = losses * min_snr_weight(schedule, t, target, min_snr_gamma)",
        "losses = losses.mean() * min_snr_weight(schedule, t, target, min_snr_gamma)",
    ),
)
misconception(
    "6.6",
    "the losses are divided by the weights: they are multiplied",
    edit=("losses * min_snr_weight(", "losses / min_snr_weight("),
)
misconception(
    "6.6",
    "the weighted losses are divided by the sum of the weights: the mean is over all elements",
    edit=(
        "losses = losses * min_snr_weight(schedule, t, target, min_snr_gamma)",
        "w = min_snr_weight(schedule, t, target, min_snr_gamma)\n        losses = losses * w / w.mean()",
    ),
)
misconception(
    "6.6",
    "p_losses does not hand min_snr_gamma on: the weights always have gamma = 5",
    edit=(
        "min_snr_weight(schedule, t, target, min_snr_gamma)",
        "min_snr_weight(schedule, t, target)",
    ),
)
misconception(
    "6.6",
    "p_losses does not hand the target on: v is weighed like noise",
    edit=(
        "min_snr_weight(schedule, t, target, min_snr_gamma)",
        'min_snr_weight(schedule, t, "noise", min_snr_gamma)',
    ),
)
misconception(
    "6.6",
    "min_snr_gamma is not looked at in p_losses: nothing is weighed",
    edit=("if min_snr_gamma is not None:", "if False:"),
)
misconception(
    "6.6",
    "training_step does not hand min_snr_gamma on",
    edit=("t, y, noise, target, min_snr_gamma)\n", "t, y, noise, target)\n"),
)
