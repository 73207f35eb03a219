"""Chapter 7, mistakes that the grader knows by name: from noise back to pictures."""

from checks import misconception

# Guidance.

misconception(
    "7.1",
    "the scale counts from the conditional prediction, as the w of papers does: c + s · (c − u)",
    edit=(
        ("if y is None or guidance_scale == 1:", "if y is None:"),
        ("    if guidance_scale == 0:\n        return u\n", ""),
        (
            "return u + guidance_scale * (model(x_t, t, y) - u)",
            "return u + (1 + guidance_scale) * (model(x_t, t, y) - u)",
        ),
    ),
)
misconception(
    "7.1",
    "u and c are exchanged: the scale leads away from the labels",
    edit=(
        ("if y is None or guidance_scale == 1:", "if y is None:"),
        ("    if guidance_scale == 0:\n        return u\n", ""),
        (
            "return u + guidance_scale * (model(x_t, t, y) - u)",
            "c = model(x_t, t, y)\n    return c + guidance_scale * (u - c)",
        ),
    ),
)
misconception(
    "7.1",
    "u and c are exchanged; scale 1 is right only because it is a case of its own",
    edit=(
        ("    if guidance_scale == 0:\n        return u\n", ""),
        (
            "return u + guidance_scale * (model(x_t, t, y) - u)",
            "c = model(x_t, t, y)\n    return c + guidance_scale * (u - c)",
        ),
    ),
)
misconception(
    "7.1",
    "u and c are exchanged; scales 0 and 1 are right only because they are cases of their own",
    edit=(
        "return u + guidance_scale * (model(x_t, t, y) - u)",
        "c = model(x_t, t, y)\n    return c + guidance_scale * (u - c)",
    ),
)
misconception(
    "7.1",
    "labels and timesteps have changed places: the model is called as model(x, t, y)",
    edit=(
        (
            "if y is None or guidance_scale == 1:\n        return model(x_t, t, y)",
            "if y is None:\n        return model(x_t, t, y)",
        ),
        ("(model(x_t, t, y) - u)", "(model(x_t, y, t) - u)"),
    ),
)
misconception(
    "7.1",
    "the sign of the difference is turned: u − s · (c − u)",
    edit=(
        ("if y is None or guidance_scale == 1:", "if y is None:"),
        ("    if guidance_scale == 0:\n        return u\n", ""),
        (
            "return u + guidance_scale * (model(x_t, t, y) - u)",
            "return u - guidance_scale * (model(x_t, t, y) - u)",
        ),
    ),
)
misconception(
    "7.1",
    "the difference to u is forgotten: u + s · c",
    edit=(
        ("if y is None or guidance_scale == 1:", "if y is None:"),
        ("    if guidance_scale == 0:\n        return u\n", ""),
        (
            "return u + guidance_scale * (model(x_t, t, y) - u)",
            "return u + guidance_scale * model(x_t, t, y)",
        ),
    ),
)
misconception(
    "7.1",
    "there is no guidance: the scale is ignored",
    edit=(
        ("    if guidance_scale == 0:\n        return u\n", ""),
        ("return u + guidance_scale * (model(x_t, t, y) - u)", "return model(x_t, t, y)"),
    ),
)
misconception(
    "7.1",
    "up to scale 1 the prediction is taken to be c; at 0 it is u, and at 0.5 half-way between them",
    edit=("if y is None or guidance_scale == 1:", "if y is None or guidance_scale <= 1:"),
)
misconception(
    "7.1",
    "scale 0 is taken to mean no guidance, that is c; it means u",
    edit=(
        "    if guidance_scale == 0:\n        return u\n",
        "    if guidance_scale == 0:\n        return model(x_t, t, y)\n",
    ),
)
misconception(
    "7.1",
    "label 0 stands for no label: that is a class like the others, the null class is None",
    edit=("u = model(x_t, t, None)", "u = model(x_t, t, torch.zeros_like(t))"),
)
misconception(
    "7.1",
    "without labels the prediction is that of class 0",
    edit=(
        "if y is None or guidance_scale == 1:",
        "y = torch.zeros_like(t) if y is None else y\n    if guidance_scale == 1:",
    ),
)
misconception(
    "7.1",
    "the labels are ignored: c is predicted without them",
    edit=(
        "if y is None or guidance_scale == 1:",
        "y = None\n    if y is None or guidance_scale == 1:",
    ),
)
misconception(
    "7.1",
    "the guided prediction is clipped; it is noise or v, which have no such range",
    edit=(
        "return u + guidance_scale * (model(x_t, t, y) - u)",
        "return (u + guidance_scale * (model(x_t, t, y) - u)).clamp(-1, 1)",
    ),
)
misconception(
    "7.1",
    "guided_prediction puts the model into eval mode: that is the loops' to do, which put it back",
    edit=(
        "    if y is None or guidance_scale == 1:",
        "    model.eval()\n    if y is None or guidance_scale == 1:",
    ),
)
misconception(
    "7.1",
    "guided_prediction asks the model in eval mode: that is the loops' to turn on",
    edit=(
        "    u = model(x_t, t, None)\n    if guidance_scale == 0:\n        return u\n"
        "    return u + guidance_scale * (model(x_t, t, y) - u)",
        "    with _eval_mode(model):\n"
        "        u = model(x_t, t, None)\n"
        "        return u + guidance_scale * (model(x_t, t, y) - u)",
    ),
)
misconception(
    "7.1",
    "it is computed without gradients, which chapter 9 needs",
    edit=("def guided_prediction(", "@torch.no_grad()\ndef guided_prediction("),
)

# One ancestral step.

misconception(
    "7.1",
    "the usual scale is 2: when none is given it is 1",
    edit=(
        "y: Tensor | None, guidance_scale: float = 1.0\n",
        "y: Tensor | None, guidance_scale: float = 2.0\n",
    ),
)
misconception(
    "7.1",
    "`guidance_scale` is called otherwise: the names of arguments are fixed, like their order",
    edit=(
        ("y: Tensor | None, guidance_scale: float = 1.0\n", "y: Tensor | None, s: float = 1.0\n"),
        (
            "    if y is None or guidance_scale == 1:\n",
            "    guidance_scale = s\n    if y is None or guidance_scale == 1:\n",
        ),
    ),
)
misconception(
    "7.1",
    "labels that are all 0 are taken for none: `not y.any()` asks for values, no labels are None",
    edit=(
        "    if y is None or guidance_scale == 1:",
        "    if y is not None and not y.any():\n        y = None\n    if y is None or guidance_scale == 1:",
    ),
)
misconception(
    "7.2", "x_0 is not clipped", edit=("x_0 = x_0.clamp(-1, 1) if clip else x_0", "x_0 = x_0 * 1")
)
misconception(
    "7.2",
    "x_0 is clipped to [0, 1]; pictures lie in [−1, 1]",
    edit=("x_0 = x_0.clamp(-1, 1) if clip else x_0", "x_0 = x_0.clamp(0, 1) if clip else x_0"),
)
misconception(
    "7.2",
    'with variance="beta" x_0 is not clipped: the variance decides about the noise only',
    edit=(
        "x_0 = x_0.clamp(-1, 1) if clip else x_0\n",
        'x_0 = x_0.clamp(-1, 1) if clip and variance != "beta" else x_0\n',
    ),
)
misconception(
    "7.2",
    "clip=False is ignored",
    edit=("x_0 = x_0.clamp(-1, 1) if clip else x_0", "x_0 = x_0.clamp(-1, 1)"),
)
misconception(
    "7.2",
    "the prediction is clipped, not x_0",
    edit=(
        (
            "prediction = guided_prediction(model, x_t, steps, y, guidance_scale)",
            """prediction = guided_prediction(model, x_t, steps, y, guidance_scale)
    prediction = prediction.clamp(-1, 1) if clip else prediction""",
        ),
        ("x_0 = x_0.clamp(-1, 1) if clip else x_0", "x_0 = x_0 * 1"),
    ),
)
misconception(
    "7.2",
    "the mean is made of the x_0 before clipping, or of the predicted noise, which comes to the same",
    edit=(
        (
            "x_0 = x_0.clamp(-1, 1) if clip else x_0",
            "raw, x_0 = x_0, x_0.clamp(-1, 1) if clip else x_0",
        ),
        (
            "mean = (prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)",
            "mean = (prev.sqrt() * beta * raw + alpha.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)",
        ),
    ),
)
misconception(
    "7.2",
    "x_(t−1) is clipped; it is a noisy picture, and only x_0 has a range",
    edit=("return mean + sigma * z, x_0", "return (mean + sigma * z).clamp(-1, 1), x_0"),
)
misconception(
    "7.2",
    "x_0 and x_(t−1) are returned in the wrong order",
    edit=(
        ("return mean, x_0", "return x_0, mean"),
        ("return mean + sigma * z, x_0", "return x_0, mean + sigma * z"),
    ),
)
misconception(
    "7.2",
    "the target is ignored: v is taken for noise",
    edit=(
        "x_0 = predict_x0(schedule, x_t, steps, prediction, target)",
        'x_0 = predict_x0(schedule, x_t, steps, prediction, "noise")',
    ),
)
misconception(
    "7.2",
    "with clip=False the mean is made of the prediction as if it were noise, of a predicted v too",
    edit=(
        "    if t == 0:\n        return mean, x_0\n    sigma",
        "    if not clip:\n"
        "        mean = (x_t - beta / (1 - alpha_bar).sqrt() * prediction) / alpha.sqrt()\n"
        "    if t == 0:\n        return mean, x_0\n    sigma",
    ),
)
misconception(
    "7.2",
    "a predicted v goes into the mean as if it were noise, clipped or not",
    edit=(
        "    if t == 0:\n        return mean, x_0\n    sigma",
        '    if target == "v":\n'
        "        mean = (x_t - beta / (1 - alpha_bar).sqrt() * prediction) / alpha.sqrt()\n"
        "    if t == 0:\n        return mean, x_0\n    sigma",
    ),
)
misconception(
    "7.2",
    'with target="v" the scale is not handed on',
    edit=(
        "prediction = guided_prediction(model, x_t, steps, y, guidance_scale)",
        "scale = guidance_scale if target == 'noise' else 1\n"
        "    prediction = guided_prediction(model, x_t, steps, y, scale)",
    ),
)
misconception(
    "7.2",
    "p_sample puts the model into eval mode: that is the loops' to do, which put it back",
    edit=(
        "    x_0 = predict_x0(schedule, x_t, steps,",
        "    model.eval()\n    x_0 = predict_x0(schedule, x_t, steps,",
    ),
)
misconception(
    "7.2",
    "p_sample asks the model in eval mode: that is the loops' to turn on",
    edit=(
        "    prediction = guided_prediction(model, x_t, steps, y, guidance_scale)",
        "    with _eval_mode(model):\n"
        "        prediction = guided_prediction(model, x_t, steps, y, guidance_scale)",
    ),
)
misconception(
    "7.2",
    "at t = 0 the result is clipped also with clip=False",
    edit=(
        "    if t == 0:\n        return mean, x_0\n",
        "    if t == 0:\n        return mean.clamp(-1, 1), x_0\n",
    ),
)
misconception(
    "7.2",
    "at t = 0 the scale is not handed on: every step is guided",
    edit=(
        "prediction = guided_prediction(model, x_t, steps, y, guidance_scale)",
        "scale = guidance_scale if t > 0 else 1.0\n"
        "    prediction = guided_prediction(model, x_t, steps, y, scale)",
    ),
)
misconception(
    "7.2",
    "where a generator is given, all images of a batch get the same noise",
    edit=(
        "z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        "like = x_t if generator is None else x_t[:1]\n"
        "    z = _normal(like.shape, x_t.device, generator) if noise is None else noise",
    ),
)
misconception(
    "7.2",
    "where a generator is given, p_sample forgets the noise that is given too",
    edit=(
        "z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        "drawn = noise is None or generator is not None\n"
        "    z = _normal(x_t.shape, x_t.device, generator) if drawn else noise",
    ),
)
misconception(
    "7.2",
    "where a generator is given, the noise that is drawn is uniform, not normal",
    edit=(
        "z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        "draw = torch.randn if generator is None else torch.rand\n"
        "    z = draw(x_t.shape, generator=generator) if noise is None else noise",
    ),
)
misconception(
    "7.2",
    "p_sample draws noise for half of the images, and the others get the same: each has its own",
    edit=(
        "z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        "half = _normal(x_t[: (len(x_t) + 1) // 2].shape, x_t.device, generator)\n"
        "    z = half.repeat(2, 1, 1, 1)[: len(x_t)] if noise is None else noise",
    ),
)
misconception(
    "7.2",
    "the weights of x_0 and x_t are exchanged",
    edit=(
        "mean = (prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)",
        "mean = (prev.sqrt() * beta * x_t + alpha.sqrt() * (1 - prev) * x_0) / (1 - alpha_bar)",
    ),
)
misconception(
    "7.2",
    "alpha_bar where alpha belongs, in the weight of x_t",
    edit=(
        "mean = (prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)",
        "mean = (prev.sqrt() * beta * x_0 + alpha_bar.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)",
    ),
)
misconception(
    "7.2",
    "alpha_bar where alpha_bar_prev belongs, in the weight of x_0",
    edit=(
        "mean = (prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)",
        "mean = (alpha_bar.sqrt() * beta * x_0 + alpha.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)",
    ),
)
misconception(
    "7.2",
    "alpha_bar where alpha_bar_prev belongs, in the weight of x_t",
    edit=(
        "mean = (prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)",
        "mean = (prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - alpha_bar) * x_t) / (1 - alpha_bar)",
    ),
)
misconception(
    "7.2",
    "alpha_bar_prev is alpha_bars[t - 1], which at t = 0 is the last row of the table: there it is 1",
    edit=(
        "per_image(schedule.alpha_bars_prev, steps)",
        "per_image(schedule.alpha_bars, steps - 1)",
    ),
)
misconception(
    "7.2",
    "alpha_bar and alpha_bar_prev are exchanged",
    edit=(
        (
            "alpha_bar = per_image(schedule.alpha_bars, steps)",
            "prev = per_image(schedule.alpha_bars, steps)",
        ),
        (
            "prev = per_image(schedule.alpha_bars_prev, steps)",
            "alpha_bar = per_image(schedule.alpha_bars_prev, steps)",
        ),
    ),
)
misconception(
    "7.2",
    "the weights of the mean lack their roots",
    edit=(
        "mean = (prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)",
        "mean = (prev * beta * x_0 + alpha * (1 - prev) * x_t) / (1 - alpha_bar)",
    ),
)
misconception(
    "7.2",
    "the mean is not divided by 1 − alpha_bar",
    edit=(
        "mean = (prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)",
        "mean = (prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - prev) * x_t)",
    ),
)
misconception(
    "7.2",
    "the tables are read at t − 1: papers count timesteps from 1, the tables from 0",
    edit=(
        "x_0 = x_0.clamp(-1, 1) if clip else x_0",
        "x_0 = x_0.clamp(-1, 1) if clip else x_0\n    steps = steps - 1",
    ),
)
misconception(
    "7.2",
    "the noise is multiplied by the variance, not by its root",
    edit=(
        'sigma = (beta if variance == "beta" else beta * (1 - prev) / (1 - alpha_bar)).sqrt()',
        'sigma = (beta if variance == "beta" else beta * (1 - prev) / (1 - alpha_bar))',
    ),
)
misconception(
    "7.2",
    "the two variances are exchanged",
    edit=(
        'sigma = (beta if variance == "beta" else beta * (1 - prev) / (1 - alpha_bar)).sqrt()',
        'sigma = (beta if variance != "beta" else beta * (1 - prev) / (1 - alpha_bar)).sqrt()',
    ),
)
misconception(
    "7.2",
    "the variance is always beta",
    edit=(
        'sigma = (beta if variance == "beta" else beta * (1 - prev) / (1 - alpha_bar)).sqrt()',
        "sigma = beta.sqrt()",
    ),
)
misconception(
    "7.2",
    "the variance is always beta-tilde",
    edit=(
        'sigma = (beta if variance == "beta" else beta * (1 - prev) / (1 - alpha_bar)).sqrt()',
        "sigma = (beta * (1 - prev) / (1 - alpha_bar)).sqrt()",
    ),
)
misconception(
    "7.2",
    "the ratio in beta-tilde is turned over",
    edit=(
        'sigma = (beta if variance == "beta" else beta * (1 - prev) / (1 - alpha_bar)).sqrt()',
        'sigma = (beta if variance == "beta" else beta * (1 - alpha_bar) / (1 - prev)).sqrt()',
    ),
)
misconception(
    "7.2", "noise is added at t = 0 too", edit=("    if t == 0:\n        return mean, x_0\n", "")
)
misconception(
    "7.2",
    "at t = 1 no noise is added either: papers count from 1, so their last step is 1, ours is 0",
    edit=(
        "    if t == 0:\n        return mean, x_0\n",
        "    if t <= 1:\n        return mean, x_0\n",
    ),
)
misconception(
    "7.2",
    "noise is added at t = 0 alone, where none belongs (the mask is turned over)",
    edit=(
        "    if t == 0:\n        return mean, x_0\n",
        "    if t != 0:\n        return mean, x_0\n",
    ),
)
misconception(
    "7.2", "no noise is added at all", edit=("return mean + sigma * z, x_0", "return mean, x_0")
)
misconception(
    "7.2",
    "the noise that is given is ignored",
    edit=(
        "z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        "z = _normal(x_t.shape, x_t.device, generator)",
    ),
)
misconception(
    "7.2",
    "all images of a batch get the same noise",
    edit=(
        "z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        "z = _normal(x_t[:1].shape, x_t.device, generator) if noise is None else noise",
    ),
)
misconception(
    "7.2",
    "the noise that is drawn is uniform, not normal",
    edit=(
        "z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        "z = torch.rand(x_t.shape, generator=generator) if noise is None else noise",
    ),
)
misconception(
    "7.2",
    "the generator is ignored",
    edit=(
        "z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        "z = _normal(x_t.shape, x_t.device, None) if noise is None else noise",
    ),
)
misconception(
    "7.2",
    "the step takes from the generator its seed alone, which does not move on: all steps draw the same",
    edit=(
        "z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        """seed = None if generator is None else generator.initial_seed()
    generator = seed if seed is None else Generator().manual_seed(seed)
    z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise""",
    ),
)
misconception(
    "7.2",
    'with target="v" the variance is beta, whatever was asked for',
    edit=(
        '(beta if variance == "beta" else',
        '(beta if variance == "beta" or target == "v" else',
    ),
)
misconception(
    "7.2",
    "the mean is taken from the noise that is drawn: it is 0 on average, not each time",
    edit=(
        "z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise\n    return",
        "z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise\n"
        "    z = z - z.mean() if noise is None else z\n    return",
    ),
)
misconception(
    "7.2",
    "a seed is set in the step: it draws the same noise each time",
    edit=(
        "z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        """torch.manual_seed(0)
    z = _normal(x_t.shape, x_t.device, generator) if noise is None else noise""",
    ),
)
misconception(
    "7.2",
    "the model gets t as a single number, not one for each image",
    edit=(
        "prediction = guided_prediction(model, x_t, steps, y, guidance_scale)",
        "prediction = guided_prediction(model, x_t, torch.tensor(t), y, guidance_scale)",
    ),
)
misconception(
    "7.2",
    "the model gets t as float numbers",
    edit=(
        "prediction = guided_prediction(model, x_t, steps, y, guidance_scale)",
        "prediction = guided_prediction(model, x_t, steps.float(), y, guidance_scale)",
    ),
)
misconception(
    "7.2",
    "the labels do not reach the model",
    edit=(
        "prediction = guided_prediction(model, x_t, steps, y, guidance_scale)",
        "prediction = guided_prediction(model, x_t, steps, None, guidance_scale)",
    ),
)
misconception(
    "7.2",
    "the guidance scale is not handed on",
    edit=(
        "prediction = guided_prediction(model, x_t, steps, y, guidance_scale)",
        "prediction = guided_prediction(model, x_t, steps, y)",
    ),
)
misconception(
    "7.2",
    "two x_0 are clipped and then guided; what is guided is the prediction",
    edit=(
        (
            "prediction = guided_prediction(model, x_t, steps, y, guidance_scale)",
            "kept = steps, target, (-1, 1) if clip else (None, 9e9)",
        ),
        (
            "x_0 = predict_x0(schedule, x_t, steps, prediction, target)",
            """c, u = (
        predict_x0(schedule, x_t, steps, model(x_t, steps, label), target).clamp(*kept[2])
        for label in (y, None)
    )""",
        ),
        ("x_0 = x_0.clamp(-1, 1) if clip else x_0", "x_0 = u + guidance_scale * (c - u)"),
    ),
)
misconception(
    "7.2",
    "x_t is changed in place",
    edit=(
        "mean = (prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - prev) * x_t) / (1 - alpha_bar)",
        """x_t.mul_(alpha.sqrt() * (1 - prev)).add_(prev.sqrt() * beta * x_0)
    mean = x_t.div_(1 - alpha_bar) * 1""",
    ),
)
misconception(
    "7.2",
    "an unknown variance is accepted in silence",
    edit=("if variance not in VARIANCES:", "if False:"),
)

# The ancestral loop.

misconception(
    "7.2",
    "a scale of 0 becomes 1 in the step: guidance_scale or 1.0",
    edit=(
        "guided_prediction(model, x_t, steps, y, guidance_scale)",
        "guided_prediction(model, x_t, steps, y, guidance_scale or 1.0)",
    ),
)
misconception(
    "7.3",
    "where a generator is given, the loop forgets the noise that it should start from",
    edit=(
        "x_t = _start(model, shape, noise, generator, device)",
        "x_t = _start(model, shape, noise if generator is None else None, generator, device)",
    ),
)
misconception(
    "7.3",
    "the timesteps rise: the walk goes from 0 to T − 1",
    edit=("range(schedule.timesteps - 1, -1, -1)", "range(schedule.timesteps)"),
)
misconception(
    "7.3",
    "the walk ends at t = 1: range stops before its second number",
    edit=("range(schedule.timesteps - 1, -1, -1)", "range(schedule.timesteps - 1, 0, -1)"),
)
misconception(
    "7.3",
    "the walk takes no step: range counts down only when its third number is −1",
    edit=("range(schedule.timesteps - 1, -1, -1)", "range(schedule.timesteps - 1, -1)"),
)
misconception(
    "7.3",
    "the walk does not go on from the new x: every step starts from x_T, and x_T is what it returns",
    edit=(
        "x_t, x_0 = p_sample(model, schedule, x_t, t, y, *options, generator=generator)",
        "new, x_0 = p_sample(model, schedule, x_t, t, y, *options, generator=generator)",
    ),
)
misconception(
    "7.3",
    "the ancestral loop returns pictures in [0, 1]: they stay in [−1, 1]",
    edit=(
        "    return x_t\n\n\ndef ddim_timesteps",
        "    return (x_t.clamp(-1, 1) + 1) / 2\n\n\ndef ddim_timesteps",
    ),
)
misconception(
    "7.3",
    "the walk starts at t = T, which no table has",
    edit=("range(schedule.timesteps - 1, -1, -1)", "range(schedule.timesteps, -1, -1)"),
)
misconception(
    "7.3",
    "the ancestral loop ignores the noise it should start from",
    edit=(
        "x_t = _start(model, shape, noise, generator, device)",
        "x_t = _start(model, shape, None, generator, device)",
    ),
)
misconception(
    "7.3",
    "of the noise to start from only the batch is compared with shape: any other shape is a ValueError",
    edit=(
        "if tuple(noise.shape) != tuple(shape):",
        "if len(noise) != shape[0]:",
    ),
)
misconception(
    "7.3",
    "in the ancestral loop all images start from the same noise",
    edit=(
        "x_t = _start(model, shape, noise, generator, device)",
        """x_t = _start(model, shape, noise, generator, device)
    x_t = x_t[:1].expand(shape) * 1 if noise is None else x_t""",
    ),
)
misconception(
    "7.3",
    "the start of the ancestral loop is not drawn from the generator",
    edit=(
        "x_t = _start(model, shape, noise, generator, device)",
        "x_t = _start(model, shape, noise, None, device)",
    ),
)
misconception(
    "7.3",
    "the steps of the ancestral loop do not get the generator",
    edit=(
        "x_t, x_0 = p_sample(model, schedule, x_t, t, y, *options, generator=generator)",
        "x_t, x_0 = p_sample(model, schedule, x_t, t, y, *options)",
    ),
)
misconception(
    "7.3",
    "the ancestral loop adds the noise of the start in every step again",
    edit=(
        "x_t, x_0 = p_sample(model, schedule, x_t, t, y, *options, generator=generator)",
        "x_t, x_0 = p_sample(model, schedule, x_t, t, y, *options, noise=noise, generator=generator)",
    ),
)
misconception(
    "7.3",
    "one noise is drawn before the walk and added in every step",
    edit=(
        (
            "x_t = _start(model, shape, noise, generator, device)",
            """x_t = _start(model, shape, noise, generator, device)
    again = _normal(shape, x_t.device, generator)""",
        ),
        (
            "x_t, x_0 = p_sample(model, schedule, x_t, t, y, *options, generator=generator)",
            "x_t, x_0 = p_sample(model, schedule, x_t, t, y, *options, noise=again)",
        ),
    ),
)
misconception(
    "7.3",
    "the ancestral loop does not hand on the labels",
    edit=(
        "x_t, x_0 = p_sample(model, schedule, x_t, t, y, *options, generator=generator)",
        "x_t, x_0 = p_sample(model, schedule, x_t, t, None, *options, generator=generator)",
    ),
)
misconception(
    "7.3",
    "the ancestral loop does not hand on the guidance scale",
    edit=(
        "options = guidance_scale, target, variance, clip",
        "options = 1.0, target, variance, clip",
    ),
)
misconception(
    "7.3",
    "the ancestral loop does not hand on the target",
    edit=(
        "options = guidance_scale, target, variance, clip",
        'options = guidance_scale, "noise", variance, clip',
    ),
)
misconception(
    "7.3",
    "the ancestral loop does not hand on the variance",
    edit=(
        "options = guidance_scale, target, variance, clip",
        'options = guidance_scale, target, "posterior", clip',
    ),
)
misconception(
    "7.3",
    "the ancestral loop does not hand on clip, or clips its result, also with clip=False",
    edit=(
        "options = guidance_scale, target, variance, clip",
        "options = guidance_scale, target, variance, True",
    ),
)
misconception(
    "7.3",
    "the ancestral loop keeps gradients: memory grows with every step",
    edit=("@torch.no_grad()\ndef p_sample_loop", "def p_sample_loop"),
)
misconception(
    "7.3",
    "the ancestral loop turns gradients on at its end: the caller may have had them off",
    edit=(
        ("@torch.no_grad()\ndef p_sample_loop", "def p_sample_loop"),
        (
            "x_t = _start(model, shape, noise, generator, device)",
            "torch.set_grad_enabled(False)\n    x_t = _start(model, shape, noise, generator, device)",
        ),
        (
            "    return x_t\n\n\ndef ddim_timesteps",
            "    torch.set_grad_enabled(True)\n    return x_t\n\n\ndef ddim_timesteps",
        ),
    ),
)
misconception(
    "7.3",
    "the ancestral loop freezes the weights (requires_grad) and leaves them so: nobody can train on",
    edit=(
        "            options = guidance_scale, target, variance, clip\n",
        "            model.requires_grad_(False)\n"
        "            options = guidance_scale, target, variance, clip\n",
    ),
)
misconception(
    "7.3",
    "the ancestral loop runs in inference mode, in which no model can turn gradients on again",
    edit=("@torch.no_grad()\ndef p_sample_loop", "@torch.inference_mode()\ndef p_sample_loop"),
)
misconception(
    "7.3",
    "the ancestral loop leaves the model in the mode in which it finds it: training mode, perhaps",
    edit=(
        "with _eval_mode(model):\n        for i, t in enumerate(progress(range(",
        "if True:\n        for i, t in enumerate(progress(range(",
    ),
)
misconception(
    "7.3",
    "the ancestral loop leaves the model in eval mode",
    edit=(
        "with _eval_mode(model):\n        for i, t in enumerate(progress(range(",
        "if model.eval():\n        for i, t in enumerate(progress(range(",
    ),
)
misconception(
    "7.3",
    "after the ancestral loop the model is in training mode, whatever its mode was",
    edit=(
        "with _eval_mode(model):\n        for i, t in enumerate(progress(range(",
        "with _eval_mode(model.train()):\n        for i, t in enumerate(progress(range(",
    ),
)
misconception(
    "7.3",
    "the callback of the ancestral loop is never called",
    edit=(
        "if callback is not None:\n                callback(i, t, x_t, x_0)",
        "if False:\n                callback(i, t, x_t, x_0)",
    ),
)
misconception(
    "7.3",
    "the callback of the ancestral loop gets its arguments by name: their order is agreed, their names not",
    edit=(
        "if callback is not None:\n                callback(i, t, x_t, x_0)",
        "if callback is not None:\n                callback(i=i, t=t, x_t=x_t, x_0=x_0)",
    ),
)
misconception(
    "7.3",
    "the callback of the ancestral loop gets the x_t from before the step",
    edit=(
        (
            "if callback is not None:\n                callback(i, t, x_t, x_0)",
            "if callback is not None:\n                callback(i, t, before, x_0)",
        ),
        (
            "x_t, x_0 = p_sample(model, schedule, x_t, t, y, *options, generator=generator)",
            """before = x_t
            x_t, x_0 = p_sample(model, schedule, x_t, t, y, *options, generator=generator)""",
        ),
    ),
)
misconception(
    "7.3",
    "the callback of the ancestral loop gets x_0 and x_t in the wrong order",
    edit=(
        "if callback is not None:\n                callback(i, t, x_t, x_0)",
        "if callback is not None:\n                callback(i, t, x_0, x_t)",
    ),
)
misconception(
    "7.3",
    "the callback of the ancestral loop gets the timestep that comes next, not the one just left",
    edit=(
        "if callback is not None:\n                callback(i, t, x_t, x_0)",
        "if callback is not None:\n                callback(i, t - 1, x_t, x_0)",
    ),
)
misconception(
    "7.3",
    "the ancestral loop returns every x_t of the walk, not the last one",
    edit=(
        (
            "x_t = _start(model, shape, noise, generator, device)",
            "x_t = _start(model, shape, noise, generator, device)\n    kept = [x_t]",
        ),
        (
            "x_t, x_0 = p_sample(model, schedule, x_t, t, y, *options, generator=generator)",
            """x_t, x_0 = p_sample(model, schedule, x_t, t, y, *options, generator=generator)
            kept.append(x_t)""",
        ),
        ("    return x_t\n\n\ndef ddim_timesteps", "    return kept\n\n\ndef ddim_timesteps"),
    ),
)
misconception(
    "7.3", "no loop puts the model into eval mode", edit=("    model.eval()\n    try", "    try")
)
misconception(
    "7.3",
    "all the loops leave the model in eval mode",
    edit=("            module.training = training", "            module.training = False"),
)
misconception(
    "7.3",
    "after all the loops the model is in training mode, whatever its mode was",
    edit=("            module.training = training", "            module.training = True"),
)
misconception(
    "7.3",
    "model.training = … puts only the outermost module back into its mode: those inside stay in eval mode",
    edit=("for module, training in modes:", "for module, training in modes[:1]:"),
)
misconception(
    "7.3",
    "all the loops keep gradients: memory grows with every step",
    edit=(
        ("@torch.no_grad()\ndef p_sample_loop", "def p_sample_loop"),
        ("@torch.no_grad()\ndef ddim_sample_loop", "def ddim_sample_loop"),
        ("@torch.no_grad()\ndef dpm_solver_2m", "def dpm_solver_2m"),
    ),
)

# Timesteps.

misconception(
    "7.3",
    "axes of length 1 are lost in the loop (squeeze): one picture of one channel is no batch any more",
    edit=(
        "                callback(i, t, x_t, x_0)\n    return x_t\n\n\ndef ddim_timesteps",
        "                callback(i, t, x_t, x_0)\n    return x_t.squeeze()\n\n\ndef ddim_timesteps",
    ),
)
misconception(
    "7.4",
    "leading spacing (0, T / steps, …): the walk starts below T − 1, where noise is not yet pure",
    edit=(
        "return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]",
        "return [i * (timesteps // steps) for i in range(steps)][::-1]",
    ),
)
misconception(
    "7.4",
    "spaced from T − 1 to 0, both included: the walk has to end at −1, below its last timestep",
    edit=(
        "return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]",
        "return [round((timesteps - 1) * (1 - i / max(1, steps - 1))) for i in range(steps)]",
    ),
)
misconception(
    "7.4",
    "the timesteps rise",
    edit=(
        "return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]",
        "return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)][::-1]",
    ),
)
misconception(
    "7.4",
    "every timestep is one too high: it is round(T − i · T / steps) − 1",
    edit=(
        "return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]",
        "return [round(timesteps - i * timesteps / steps) for i in range(steps)]",
    ),
)
misconception(
    "7.4",
    "rounded down, not to the nearest",
    edit=(
        "return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]",
        "return [math.floor(timesteps - i * timesteps / steps) - 1 for i in range(steps)]",
    ),
)
misconception(
    "7.4",
    "the stride is rounded to a whole number before it is multiplied",
    edit=(
        "return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]",
        "return [round(timesteps - i * (timesteps // steps)) - 1 for i in range(steps)]",
    ),
)
misconception(
    "7.4",
    "there is one timestep too many: −1 is on the list",
    edit=(
        "return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]",
        "return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps + 1)]",
    ),
)
misconception(
    "7.4",
    "range with the stride T // steps: where steps does not divide T, that is not as many as were asked for",
    edit=(
        "return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]",
        "return list(range(timesteps - 1, -1, -(timesteps // steps)))",
    ),
)
misconception(
    "7.4",
    "T − 1 is divided into equal parts, not T",
    edit=(
        "return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]",
        "return [round(timesteps - 1 - i * (timesteps - 1) / steps) for i in range(steps)]",
    ),
)
misconception(
    "7.4",
    "arange with a stride that is no whole number: by its rounding there may be one timestep too many",
    edit=(
        "return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]",
        "t = torch.arange(timesteps, 0, -timesteps / steps, dtype=torch.float64)\n"
        "    return (t.round().long() - 1).tolist()",
    ),
)
misconception(
    "7.4",
    "impossible numbers of steps are not refused",
    edit=("if not 1 <= steps <= timesteps:", "steps = max(steps, 1)\n    if False:"),
)
misconception(
    "7.4",
    "more steps than timesteps are not refused",
    edit=("if not 1 <= steps <= timesteps:", "if not 1 <= steps:"),
)
misconception(
    "7.4",
    "as many steps as timesteps are refused",
    edit=("if not 1 <= steps <= timesteps:", "if not 1 <= steps < timesteps:"),
)

# One DDIM step.

misconception(
    "7.5",
    "the noise is not computed again after clipping: the predicted one is used",
    edit=(
        "noise_t = predict_noise(schedule, x_t, at_t, x_0)",
        """x = predict_x0(schedule, x_t, at_t, prediction, target)
    noise_t = predict_noise(schedule, x_t, at_t, x)""",
    ),
)
misconception(
    "7.5",
    "the prediction itself is used as the noise: after clipping it no longer fits, and it may be v",
    edit=("noise_t = predict_noise(schedule, x_t, at_t, x_0)", "noise_t = prediction"),
    draws="prediction-as-noise",
)
misconception(
    "7.5",
    "in ddim_step x_0 is not clipped",
    edit=("x_0 = torch.clamp(x_0, -1, 1) if clip else x_0", "x_0 = x_0 * 1"),
    draws="x0-not-clipped",
)
misconception(
    "7.5",
    "in ddim_step clip=False is ignored",
    edit=("x_0 = torch.clamp(x_0, -1, 1) if clip else x_0", "x_0 = torch.clamp(x_0, -1, 1)"),
)
misconception(
    "7.5",
    "ddim_step clips the prediction, not x_0",
    edit=(
        (
            "x_0 = predict_x0(schedule, x_t, at_t, prediction, target)",
            """prediction = prediction.clamp(-1, 1) if clip else prediction
    x_0 = predict_x0(schedule, x_t, at_t, prediction, target)""",
        ),
        ("x_0 = torch.clamp(x_0, -1, 1) if clip else x_0", "x_0 = x_0 * 1"),
    ),
)
misconception(
    "7.5",
    "ddim_step clips x_next; it is a noisy picture, and only x_0 has a range",
    edit=(
        "x_next = math.sqrt(after) * x_0 + direction * noise_t",
        "x_next = (math.sqrt(after) * x_0 + direction * noise_t).clamp(-1, 1)",
    ),
    draws="x-next-clipped",
)
misconception(
    "7.5",
    "ddim_step ignores the target: v is taken for noise",
    edit=(
        "x_0 = predict_x0(schedule, x_t, at_t, prediction, target)",
        'x_0 = predict_x0(schedule, x_t, at_t, prediction, "noise")',
    ),
    draws="target-ignored",
)
misconception(
    "7.5", "ddim_step returns x_0 before x_next", edit=("return x_next, x_0", "return x_0, x_next")
)
misconception(
    "7.5",
    "the step goes to t − 1, whatever t_next is",
    edit=(
        "now, after = _alpha_bar(schedule, t), _alpha_bar(schedule, t_next)",
        "now, after = _alpha_bar(schedule, t), _alpha_bar(schedule, t - 1)",
    ),
)
misconception(
    "7.5",
    "at the end alpha_bar is taken from row −1, the last of the table; it is 1",
    edit=(
        "now, after = _alpha_bar(schedule, t), _alpha_bar(schedule, t_next)",
        "now, after = _alpha_bar(schedule, t), float(schedule.alpha_bars[t_next])",
    ),
)
misconception(
    "7.5",
    "at the end alpha_bar is taken from row 0; it is 1",
    edit=(
        "now, after = _alpha_bar(schedule, t), _alpha_bar(schedule, t_next)",
        "now, after = _alpha_bar(schedule, t), _alpha_bar(schedule, max(0, t_next))",
    ),
)
misconception(
    "7.5",
    "alpha_bar and alpha_bar_next are exchanged: sigma becomes the root of a negative number",
    edit=(
        "now, after = _alpha_bar(schedule, t), _alpha_bar(schedule, t_next)",
        "after, now = _alpha_bar(schedule, t), _alpha_bar(schedule, t_next)",
    ),
)
misconception(
    "7.5",
    "alpha_bar and alpha_bar_next are exchanged: sigma is no number then",
    edit=(
        (
            "now, after = _alpha_bar(schedule, t), _alpha_bar(schedule, t_next)",
            "after, now = _alpha_bar(schedule, t), _alpha_bar(schedule, t_next)",
        ),
        (
            "sigma = eta * math.sqrt((1 - after) / (1 - now) * (1 - now / after))",
            """sigma = (1 - after) / (1 - now) * (1 - now / after)
    sigma = eta * torch.tensor(sigma).sqrt().item()""",
        ),
        (
            "direction = math.sqrt(max(0.0, 1 - after - sigma**2))",
            "direction = math.sqrt(1 - after - sigma**2)",
        ),
    ),
)
misconception(
    "7.5",
    "at the end alpha_bar is taken from row −1, the last of the table, not as 1: sigma is no number then",
    edit=(
        (
            "now, after = _alpha_bar(schedule, t), _alpha_bar(schedule, t_next)",
            "now, after = _alpha_bar(schedule, t), float(schedule.alpha_bars[t_next])",
        ),
        (
            "sigma = eta * math.sqrt((1 - after) / (1 - now) * (1 - now / after))",
            """sigma = (1 - after) / (1 - now) * (1 - now / after)
    sigma = eta * torch.tensor(sigma).sqrt().item()""",
        ),
        (
            "direction = math.sqrt(max(0.0, 1 - after - sigma**2))",
            "direction = math.sqrt(1 - after - sigma**2)",
        ),
    ),
)
misconception(
    "7.5",
    "alpha where alpha_bar belongs: alpha is about one step, alpha_bar about all so far",
    edit=(
        "now, after = _alpha_bar(schedule, t), _alpha_bar(schedule, t_next)",
        "now, after = (float(schedule.alphas[k]) if k >= 0 else 1.0 for k in (t, t_next))",
    ),
)
misconception(
    "7.5",
    "x_0 is multiplied by alpha_bar_next, not by its root",
    edit=(
        "x_next = math.sqrt(after) * x_0 + direction * noise_t",
        "x_next = after * x_0 + direction * noise_t",
    ),
    draws="alpha-bar-next-without-its-root",
)
misconception(
    "7.5",
    "the old noise is multiplied by the variance, not by its root",
    edit=(
        "direction = math.sqrt(max(0.0, 1 - after - sigma**2))",
        "direction = max(0.0, 1 - after - sigma**2)",
    ),
)
misconception(
    "7.5",
    "the old noise has the spread of t, not of t_next",
    edit=(
        "direction = math.sqrt(max(0.0, 1 - after - sigma**2))",
        "direction = math.sqrt(max(0.0, 1 - now - sigma**2))",
    ),
)
misconception(
    "7.5",
    "sigma² is not taken from the old noise: there is too much noise",
    edit=(
        "direction = math.sqrt(max(0.0, 1 - after - sigma**2))",
        "direction = math.sqrt(max(0.0, 1 - after))",
    ),
)
misconception(
    "7.5",
    "sigma is taken from the variance of the old noise, where sigma² belongs",
    edit=("1 - after - sigma**2", "1 - after - sigma"),
)
misconception(
    "7.5",
    "sigma lacks its roots",
    edit=(
        "sigma = eta * math.sqrt((1 - after) / (1 - now) * (1 - now / after))",
        "sigma = eta * ((1 - after) / (1 - now) * (1 - now / after))",
    ),
)
misconception(
    "7.5",
    "in sigma the ratio of 1 − alpha_bar_next to 1 − alpha_bar is turned over",
    edit=(
        "sigma = eta * math.sqrt((1 - after) / (1 - now) * (1 - now / after))",
        "sigma = eta * math.sqrt((after < 1) * (1 - now) / max(1e-9, 1 - after) * (1 - now / after))",
    ),
)
misconception(
    "7.5",
    "in sigma one factor is missing: √((1 − alpha_bar_next) / (1 − alpha_bar))",
    edit=(
        "sigma = eta * math.sqrt((1 - after) / (1 - now) * (1 - now / after))",
        "sigma = eta * math.sqrt((after < 1) * (1 - now / after))",
    ),
)
misconception(
    "7.5",
    "in sigma one factor is missing: √(1 − alpha_bar / alpha_bar_next)",
    edit=(
        "sigma = eta * math.sqrt((1 - after) / (1 - now) * (1 - now / after))",
        "sigma = eta * math.sqrt((1 - after) / (1 - now))",
    ),
)
misconception(
    "7.5",
    "sigma has the beta of a single step: between t and t_next there may be many",
    edit=(
        "sigma = eta * math.sqrt((1 - after) / (1 - now) * (1 - now / after))",
        "sigma = eta * math.sqrt((1 - after) / (1 - now) * float(schedule.betas[t]))",
    ),
)
misconception(
    "7.5",
    "eta is inside the root of sigma",
    edit=(
        "sigma = eta * math.sqrt((1 - after) / (1 - now) * (1 - now / after))",
        "sigma = math.sqrt(eta * (1 - after) / (1 - now) * (1 - now / after))",
    ),
)
misconception(
    "7.5",
    "eta is ignored: no noise is ever added",
    edit=("sigma = eta * math.sqrt((1 - after) / (1 - now) * (1 - now / after))", "sigma = 0.0"),
)
misconception(
    "7.5",
    "the new noise is forgotten, while room is made for it",
    edit=("    if sigma > 0:", "    if False:"),
)
misconception(
    "7.5",
    "ddim_step ignores the noise that is given",
    edit=(
        "fresh = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        "fresh = _normal(x_t.shape, x_t.device, generator)",
    ),
)
misconception(
    "7.5",
    "ddim_step gives all images of a batch the same noise",
    edit=(
        "fresh = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        "fresh = _normal(x_t[:1].shape, x_t.device, generator) if noise is None else noise",
    ),
)
misconception(
    "7.5",
    "the step to −1 clips its result also with clip=False",
    edit=(
        "    return x_next, x_0",
        "    return (x_next.clamp(-1, 1) if t_next < 0 else x_next), x_0",
    ),
)
misconception(
    "7.5",
    "where a generator is given, ddim_step forgets the noise that is given too",
    edit=(
        "fresh = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        "drawn = noise is None or generator is not None\n"
        "        fresh = _normal(x_t.shape, x_t.device, generator) if drawn else noise",
    ),
)
misconception(
    "7.5",
    "where a generator is given, ddim_step gives all images of a batch the same noise",
    edit=(
        "fresh = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        "like = x_t if generator is None else x_t[:1]\n"
        "        fresh = _normal(like.shape, x_t.device, generator) if noise is None else noise",
    ),
)
misconception(
    "7.5",
    "ddim_step ignores the generator",
    edit=(
        "fresh = _normal(x_t.shape, x_t.device, generator) if noise is None else noise",
        "fresh = _normal(x_t.shape, x_t.device, None) if noise is None else noise",
    ),
)
misconception(
    "7.5",
    "ddim_step changes x_t in place",
    edit=(
        "noise_t = predict_noise(schedule, x_t, at_t, x_0)",
        """noise_t = predict_noise(schedule, x_t, at_t, x_0)
    noise_t = x_t.copy_(noise_t) * 1""",
    ),
)
misconception(
    "7.5",
    "a t_next that is not below t is accepted in silence",
    edit=(
        ("if not -1 <= t_next < t:", "if False:"),
        (
            "sigma = eta * math.sqrt((1 - after) / (1 - now) * (1 - now / after))",
            "sigma = eta * math.sqrt((1 - after) / (1 - now) * abs(1 - now / after))",
        ),
    ),
)
misconception(
    "7.5", "an eta outside 0…1 is accepted in silence", edit=("if not 0 <= eta <= 1:", "if False:")
)
misconception(
    "7.5",
    "with eta above 0 the prediction is taken for the old noise: it has to be computed again, from x_0",
    edit=(
        "noise_t = predict_noise(schedule, x_t, at_t, x_0)",
        "noise_t = prediction if eta > 0 else predict_noise(schedule, x_t, at_t, x_0)",
    ),
)

# The DDIM loop.

misconception(
    "7.6",
    "more steps than timesteps are lowered in silence: they are a ValueError",
    edit=(
        "visited = ddim_timesteps(schedule.timesteps, steps)\n    x_t = _start(model, shape, noise=noise",
        "steps = min(steps, schedule.timesteps)\n"
        "    visited = ddim_timesteps(schedule.timesteps, steps)\n    x_t = _start(model, shape, noise=noise",
    ),
)
misconception(
    "7.6",
    "the DDIM loop makes 20 steps when it is not told how many: they are 50",
    edit=("steps: int = 50,", "steps: int = 20,"),
)
misconception(
    "7.6",
    "where there is guidance, the DDIM loop does not hand on eta",
    edit=("options = eta, target, clip", "options = eta * (guidance_scale == 1), target, clip"),
)
misconception(
    "7.6",
    "with eta above 0 the DDIM loop leaves guidance out",
    edit=(
        "said = guided_prediction(model, x_t, at_t, y, guidance_scale)",
        "said = guided_prediction(model, x_t, at_t, y, guidance_scale if eta == 0 else 1.0)",
    ),
)
misconception(
    "7.6",
    "where a generator is given, the DDIM loop forgets the noise that it should start from",
    edit=(
        "x_t = _start(model, shape, noise=noise, generator=generator, device=device)",
        "noise = noise if generator is None else None\n"
        "    x_t = _start(model, shape, noise=noise, generator=generator, device=device)",
    ),
)
misconception(
    "7.6",
    "each step goes to t − 1, not to the next timestep on the list",
    edit=("t_next = visited[i + 1] if i + 1 < steps else -1", "t_next = t - 1"),
    draws="steps-too-short",
)
misconception(
    "7.6",
    "the last step goes to 0, not to −1",
    edit=(
        "t_next = visited[i + 1] if i + 1 < steps else -1",
        "t_next = visited[i + 1] if i + 1 < steps else min(0, t - 1)",
    ),
)
misconception(
    "7.6",
    "the last step goes to 0, not to −1, also from 0 itself",
    edit=(
        "t_next = visited[i + 1] if i + 1 < steps else -1",
        "t_next = visited[i + 1] if i + 1 < steps else 0",
    ),
)
misconception(
    "7.6",
    "the last step is missing: −1 has to be put behind the timesteps, before they are taken in pairs",
    edit=(
        "t_next = visited[i + 1] if i + 1 < steps else -1",
        """t_next = visited[i + 1] if i + 1 < steps else -1
            if t_next < 0:
                break""",
    ),
)
misconception(
    "7.6",
    "the DDIM loop clips its result, also with clip=False",
    edit=(
        "    return x_t\n\n\n@torch.no_grad()\ndef dpm_solver_2m",
        "    return x_t.clamp(-1, 1)\n\n\n@torch.no_grad()\ndef dpm_solver_2m",
    ),
)
misconception(
    "7.6",
    "the DDIM loop returns pictures in [0, 1]: they stay in [−1, 1]",
    edit=(
        "    return x_t\n\n\n@torch.no_grad()\ndef dpm_solver_2m",
        "    return (x_t.clamp(-1, 1) + 1) / 2\n\n\n@torch.no_grad()\ndef dpm_solver_2m",
    ),
)
misconception(
    "7.6",
    "the last step is missing: the walk ends at its last timestep, not at −1",
    edit=(
        "t_next = visited[i + 1] if i + 1 < steps else -1",
        """t_next = visited[i + 1] if i + 1 < steps else -1
            if t_next < 0 < i:
                break""",
    ),
)
misconception(
    "7.6",
    "the model is asked at t_next, not at t",
    edit=(
        """at_t = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)
            said""",
        """at_t = torch.full((len(x_t),), max(0, t_next), dtype=torch.int64, device=x_t.device)
            said""",
    ),
)
misconception(
    "7.6",
    "the DDIM loop ignores the noise it should start from",
    edit=(
        "x_t = _start(model, shape, noise=noise, generator=generator, device=device)",
        "x_t = _start(model, shape, noise=None, generator=generator, device=device)",
    ),
)
misconception(
    "7.6",
    "in the DDIM loop all images start from the same noise",
    edit=(
        "x_t = _start(model, shape, noise=noise, generator=generator, device=device)",
        """x_t = _start(model, shape, noise=noise, generator=generator, device=device)
    x_t = x_t[:1].expand(shape) * 1 if noise is None else x_t""",
    ),
)
misconception(
    "7.6",
    "the start of the DDIM loop is not drawn from the generator",
    edit=(
        "x_t = _start(model, shape, noise=noise, generator=generator, device=device)",
        "x_t = _start(model, shape, noise=noise, generator=None, device=device)",
    ),
)
misconception(
    "7.6",
    "the steps of the DDIM loop do not get the generator",
    edit=(
        "x_t, x_0 = ddim_step(schedule, x_t, t, t_next, said, *options, generator=generator)",
        "x_t, x_0 = ddim_step(schedule, x_t, t, t_next, said, *options)",
    ),
)
misconception(
    "7.6",
    "the DDIM loop adds the noise of the start in every step again",
    edit=(
        "x_t, x_0 = ddim_step(schedule, x_t, t, t_next, said, *options, generator=generator)",
        "x_t, x_0 = ddim_step(schedule, x_t, t, t_next, said, *options, noise=noise, generator=generator)",
    ),
)
misconception(
    "7.6",
    "the DDIM loop does not hand on the labels",
    edit=(
        "said = guided_prediction(model, x_t, at_t, y, guidance_scale)",
        "said = guided_prediction(model, x_t, at_t, None, guidance_scale)",
    ),
)
misconception(
    "7.6",
    "the DDIM loop does not hand on the guidance scale",
    edit=(
        "said = guided_prediction(model, x_t, at_t, y, guidance_scale)",
        "said = guided_prediction(model, x_t, at_t, y)",
    ),
)
misconception(
    "7.6",
    "the DDIM loop does not hand on eta",
    edit=("options = eta, target, clip", "options = 0.0, target, clip"),
)
misconception(
    "7.6",
    "the DDIM loop does not hand on the target",
    edit=("options = eta, target, clip", 'options = eta, "noise", clip'),
)
misconception(
    "7.6",
    "the DDIM loop does not hand on clip",
    edit=("options = eta, target, clip", "options = eta, target, True"),
)
misconception(
    "7.6",
    "the DDIM loop keeps gradients: memory grows with every step",
    edit=("@torch.no_grad()\ndef ddim_sample_loop", "def ddim_sample_loop"),
)
misconception(
    "7.6",
    "the DDIM loop freezes the weights (requires_grad) and leaves them so: nobody can train on",
    edit=(
        "            options = eta, target, clip\n",
        "            model.requires_grad_(False)\n            options = eta, target, clip\n",
    ),
)
misconception(
    "7.6",
    "the DDIM loop runs in inference mode, in which no model can turn gradients on again",
    edit=(
        "@torch.no_grad()\ndef ddim_sample_loop",
        "@torch.inference_mode()\ndef ddim_sample_loop",
    ),
)
misconception(
    "7.6",
    "the DDIM loop leaves the model in the mode in which it finds it: training mode, perhaps",
    edit=(
        """with _eval_mode(model):
        for i, t in enumerate(progress(visited)):
            t_next""",
        "if True:\n        for i, t in enumerate(progress(visited)):\n            t_next",
    ),
)
misconception(
    "7.6",
    "the DDIM loop leaves the model in eval mode",
    edit=(
        """with _eval_mode(model):
        for i, t in enumerate(progress(visited)):
            t_next""",
        "if model.eval():\n        for i, t in enumerate(progress(visited)):\n            t_next",
    ),
)
misconception(
    "7.6",
    "after the DDIM loop the model is in training mode, whatever its mode was",
    edit=(
        """with _eval_mode(model):
        for i, t in enumerate(progress(visited)):
            t_next""",
        """with _eval_mode(model.train()):
        for i, t in enumerate(progress(visited)):
            t_next""",
    ),
)
misconception(
    "7.6",
    "the callback of the DDIM loop is never called",
    edit=(
        """x_t, x_0 = ddim_step(schedule, x_t, t, t_next, said, *options, generator=generator)
            if callback:
                callback(i, t, x_t, x_0)""",
        """x_t, x_0 = ddim_step(schedule, x_t, t, t_next, said, *options, generator=generator)
            if False:
                callback(i, t, x_t, x_0)""",
    ),
)
misconception(
    "7.6",
    "the callback of the DDIM loop gets the x_t from before the step",
    edit=(
        """x_t, x_0 = ddim_step(schedule, x_t, t, t_next, said, *options, generator=generator)
            if callback:
                callback(i, t, x_t, x_0)""",
        """before = x_t
            x_t, x_0 = ddim_step(schedule, x_t, t, t_next, said, *options, generator=generator)
            if callback:
                callback(i, t, before, x_0)""",
    ),
)
misconception(
    "7.6",
    "the callback of the DDIM loop gets x_0 and x_t in the wrong order",
    edit=(
        """x_t, x_0 = ddim_step(schedule, x_t, t, t_next, said, *options, generator=generator)
            if callback:
                callback(i, t, x_t, x_0)""",
        """x_t, x_0 = ddim_step(schedule, x_t, t, t_next, said, *options, generator=generator)
            if callback:
                callback(i, t, x_0, x_t)""",
    ),
)
misconception(
    "7.6",
    "the callback of the DDIM loop gets the timestep that comes next, not the one just left",
    edit=(
        """x_t, x_0 = ddim_step(schedule, x_t, t, t_next, said, *options, generator=generator)
            if callback:
                callback(i, t, x_t, x_0)""",
        """x_t, x_0 = ddim_step(schedule, x_t, t, t_next, said, *options, generator=generator)
            if callback:
                callback(i, t_next, x_t, x_0)""",
    ),
)

# DPM-Solver++.

misconception(
    "7.6",
    "with as many steps as timesteps the walk is an ancestral one: DDIM adds no noise there either",
    edit=(
        "    visited = ddim_timesteps(schedule.timesteps, steps)\n    x_t = _start(model, shape, noise=noise",
        "    visited = ddim_timesteps(schedule.timesteps, steps)\n    if steps == schedule.timesteps:\n"
        '        options = guidance_scale, target, "posterior", clip, noise, generator, device, callback\n'
        "        return p_sample_loop(model, schedule, shape, y, *options)\n"
        "    x_t = _start(model, shape, noise=noise",
    ),
)
misconception(
    "7.7",
    "the x_0 of the step before is not used: that is DDIM, of first order",
    edit=("d = x_0 + (h / h_before / 2) * (x_0 - x_0_before)", "d = x_0"),
)
misconception(
    "7.7",
    "the ratio of the two steps is left out, as if all were equally long",
    edit=(
        "d = x_0 + (h / h_before / 2) * (x_0 - x_0_before)",
        "d = x_0 + (1 / 2) * (x_0 - x_0_before)",
    ),
)
misconception(
    "7.7",
    "the half is missing: D goes on by a whole step, not to its middle",
    edit=(
        "d = x_0 + (h / h_before / 2) * (x_0 - x_0_before)",
        "d = x_0 + (h / h_before) * (x_0 - x_0_before)",
    ),
)
misconception(
    "7.7",
    "the difference of the two x_0 has the wrong sign: D lies behind, not ahead",
    edit=(
        "d = x_0 + (h / h_before / 2) * (x_0 - x_0_before)",
        "d = x_0 - (h / h_before / 2) * (x_0 - x_0_before)",
    ),
)
misconception(
    "7.7",
    "h is twice as large: λ = log(a / σ) is half of log(alpha_bar / (1 − alpha_bar))",
    edit=("math.log(a / sigma)", "2 * math.log(a / sigma)"),
)
misconception(
    "7.7",
    "the part with D has the wrong sign: e^h where e^(−h) belongs, or a plus before a_next",
    edit=("math.expm1(-h)", "math.expm1(h)"),
)
misconception(
    "7.7",
    "x_0_before and h_before stay those of the first step: they are those of the step before",
    edit=(
        "                x_0_before, h_before = x_0, h\n",
        "                if x_0_before is None:\n                    x_0_before, h_before = x_0, h\n",
    ),
)
misconception(
    "7.7",
    "the ratio of the two steps is turned over: h_before / h",
    edit=(
        "d = x_0 + (h / h_before / 2) * (x_0 - x_0_before)",
        "d = x_0 + (h_before / h / 2) * (x_0 - x_0_before)",
    ),
    equal="the errors of neighbouring steps cancel in the sum: it is of second order too",
)
misconception(
    "7.7",
    "the last step leaves its noise in: the end is the predicted picture",
    edit=("x_t = x_0  # alpha_bar = 1: no noise is left, so what is left is x_0", "pass"),
)
misconception(
    "7.7",
    "the solver does not clip x_0",
    edit=("            if clip:\n", "            if False:\n"),
)
misconception(
    "7.7",
    "the solver ignores labels and scale",
    edit=(
        "guided_prediction(model, x_t, batch_t, y, guidance_scale)",
        "guided_prediction(model, x_t, batch_t, None)",
    ),
)
misconception(
    "7.7",
    "the solver makes 50 steps when it is not told how many: they are 20",
    edit=("steps: int = 20,", "steps: int = 50,"),
)
misconception(
    "7.7",
    "the solver ignores the target",
    edit=("batch_t, prediction, target)", "batch_t, prediction)"),
)
misconception(
    "7.7",
    "the solver keeps gradients",
    edit=("@torch.no_grad()\ndef dpm_solver_2m", "def dpm_solver_2m"),
)
misconception(
    "7.7",
    "the solver leaves the model in eval mode",
    edit=(
        "x_0_before, h_before = None, None\n    with _eval_mode(model):",
        "x_0_before, h_before = None, None\n    if model.eval():",
    ),
)
misconception(
    "7.7",
    "the solver ignores the noise it should start from",
    edit=(
        "x_t = _start(model, shape, noise, device=device, generator=generator)",
        "x_t = _start(model, shape, None, device=device, generator=generator)",
    ),
)
misconception(
    "7.7",
    "only the first step of the solver gets the labels",
    edit=(
        "guided_prediction(model, x_t, batch_t, y, guidance_scale)",
        "guided_prediction(model, x_t, batch_t, y if i == 0 else None, guidance_scale)",
    ),
)
misconception(
    "7.7",
    "only the first step of the solver is guided",
    edit=(
        "guided_prediction(model, x_t, batch_t, y, guidance_scale)",
        "guided_prediction(model, x_t, batch_t, y, 1.0 if i else guidance_scale)",
    ),
)
misconception(
    "7.7",
    "only in the first step the solver takes the prediction for v",
    edit=("batch_t, prediction, target)", 'batch_t, prediction, "noise" if i else target)'),
)
misconception(
    "7.7",
    "the solver clips D: only x_0 has a range",
    edit=(
        "a_next * math.expm1(-h) * d",
        "a_next * math.expm1(-h) * (d.clamp(-1, 1) if clip else d)",
    ),
)
misconception(
    "7.7",
    "the x_0 of the step before is kept as it was before clipping",
    edit=(
        (
            "            if clip:\n                x_0 = x_0.clamp(-1, 1)\n",
            "            raw, x_0 = x_0, x_0.clamp(-1, 1) if clip else x_0\n",
        ),
        ("x_0_before, h_before = x_0, h", "x_0_before, h_before = raw, h"),
    ),
)
misconception(
    "7.7",
    "the solver sets a seed",
    edit=(
        "    x_0_before, h_before = None, None\n",
        "    x_0_before, h_before = None, None\n    torch.manual_seed(0)\n",
    ),
)
