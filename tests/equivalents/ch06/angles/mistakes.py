"""The chapter's mistakes, made with angles: other text, the same behaviour."""

MISTAKES = {
    "timesteps from 1 to T: they are counted from 0 to T − 1": [
        (
            "t.random_(0, timesteps, generator=generator)",
            "t.random_(1, timesteps + 1, generator=generator)",
        )
    ],
    "t is int32: int64 is wanted": [("dtype=torch.long", "dtype=torch.int32")],
    "sample_timesteps sets a seed: every batch gets the same timesteps": [
        ("    t = torch.empty(", "    torch.manual_seed(0)\n    t = torch.empty(")
    ],
    "t has the shape of something to multiply with, (B, 1, 1, 1): (B,) is wanted": [
        ("torch.empty(batch_size, dtype", "torch.empty(batch_size, 1, 1, 1, dtype")
    ],
    "the caller's labels are changed in place: after an epoch or two none would be left": [
        ("y.masked_fill(", "y.masked_fill_(")
    ],
    "one coin for the whole batch: all of its labels are dropped or none": [
        ("torch.empty(y.size(), device", "torch.empty(1, device")
    ],
    "dropped labels become null_label − 1, which is the last real class": [
        ("fate.lt(p), null_label)", "fate.lt(p), null_label - 1)")
    ],
    "the coins are normal numbers (randn): uniform ones (rand) fall below p with probability p": [
        (".uniform_(generator", ".normal_(generator")
    ],
    "p = 0 is refused: it drops none, and is allowed": [
        ("if not (p >= 0 and", "if not (p > 0 and")
    ],
    "x_t where v is meant: √alpha_bar · x_0 + √(1 − alpha_bar) · noise is what the model sees": [
        ("t, noise, quarter=True)", "t, noise, quarter=False)")
    ],
    "a plus between the two: x_0 is subtracted": [("(-sine, cosine)", "(sine, cosine)")],
    "the sign of v is turned: the noise has the plus, x_0 the minus": [
        ("(-sine, cosine)", "(sine, -cosine)")
    ],
    "the factors are exchanged: alpha_bar goes with the noise, 1 − alpha_bar with x_0": [
        ("(-sine, cosine)", "(-cosine, sine)")
    ],
    "the model gets t + 1": [("quarter=False), t, y)", "quarter=False), t + 1, y)")],
    "the model gets the noise alone: it should see x_t": [
        ("model(turned(schedule, x_0, t, noise, quarter=False), t, y)", "model(noise, t, y)")
    ],
    "the sum over everything: the mean is wanted": [
        (
            "functional.mse_loss(prediction, goal)",
            'functional.mse_loss(prediction, goal, reduction="sum")',
        ),
        (".square()).mean()", ".square()).sum()"),
    ],
    "the Huber (smooth L1) loss: squares are wanted": [
        ("functional.mse_loss(prediction", "functional.smooth_l1_loss(prediction"),
        (
            "(weight * prediction.sub_(goal).square()).mean()",
            '(weight * functional.smooth_l1_loss(prediction, goal, reduction="none")).mean()',
        ),
    ],
    "the model is called under no_grad: it would never learn": [
        ("    prediction = model(", "    with torch.no_grad():\n        prediction = model(")
    ],
    "noise from 0 to 1 (rand): normal noise (randn) is wanted": [
        ("torch.randn(x_0.size(), dtype", "torch.rand(x_0.size(), dtype")
    ],
    "one noise for all images of the batch: each has its own": [
        ("noise = torch.randn(x_0.size(), dtype", "noise = torch.randn(x_0[:1].size(), dtype")
    ],
    "p_losses puts the model into training mode: the mode is the caller's": [
        ("    prediction = model(", "    model.train()\n    prediction = model(")
    ],
    "the step draws one noise for all images: each has its own": [
        (
            "torch.randn(x_0.size(), generator=generator, device=device)",
            "torch.randn(x_0[0].size(), generator=generator, device=device).expand_as(x_0)",
        )
    ],
    "the step takes 10 for the null label: it is an argument": [
        ("drop_labels(y, label_dropout, null_label, gen", "drop_labels(y, label_dropout, 10, gen")
    ],
    "the step detaches its loss: nothing could be learnt from it": [
        ("    return loss\n", "    return loss.detach()\n")
    ],
    "noise is mixed in twice: p_losses wants x_0, not x_t": [
        (
            "loss = p_losses(model, schedule, x_0, t,",
            "loss = p_losses(model, schedule, turned(schedule, x_0, t, noise, False), t,",
        )
    ],
    "v gets the weight of noise: for v it is divided by SNR + 1": [
        ('cut / share if target == "noise" else cut', "cut / share")
    ],
    "p_losses does not hand the target on: v is weighed like noise": [
        ("min_snr_weight(schedule, t, target, min", 'min_snr_weight(schedule, t, "noise", min')
    ],
    "the losses are divided by the weights: they are multiplied": [
        (
            "(weight * prediction.sub_(goal).square()).mean()",
            "(prediction.sub_(goal).square() / weight).mean()",
        )
    ],
}
