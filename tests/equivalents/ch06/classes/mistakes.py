"""The chapter's mistakes, made around classes: other text, the same behaviour."""

MISTAKES = {
    "one timestep for the whole batch: each image has its own": [
        (
            "[Coin(generator, device).whole(timesteps) for _ in range(batch_size)]",
            "[Coin(generator, device).whole(timesteps)] * batch_size",
        )
    ],
    "t = 0 never comes: timesteps are counted from 0": [
        (".whole(timesteps) for", ".whole(timesteps - 1) + 1 for")
    ],
    "T − 1 never comes: randint leaves out its upper end by itself": [
        (".whole(timesteps) for", ".whole(timesteps - 1) for")
    ],
    "the timesteps are sorted": [("torch.stack(drawn) if", "torch.stack(drawn).sort().values if")],
    "the timesteps do not come from the generator": [
        ("Coin(generator, device).whole", "Coin(None, device).whole")
    ],
    "p is taken for the probability of keeping a label: it is that of dropping it": [
        ("torch.where(dropped, nothing, y)", "torch.where(dropped, y, nothing)")
    ],
    "dropped labels become −1: null_label is wanted": [
        ("torch.tensor(null_label)", "torch.tensor(-1)")
    ],
    "the labels come back as floats": [
        ("torch.where(dropped, nothing, y)", "torch.where(dropped, nothing.float(), y.float())")
    ],
    "the labels to be dropped do not come from the generator": [
        ("Coin(generator, y.device).falls", "Coin(None, y.device).falls")
    ],
    "the model gets x_0: it should see the noisy x_t": [
        ("model(batch.x_t(), t, y)", "model(x_0, t, y)")
    ],
    "the labels are not handed to the model": [
        ("model(batch.x_t(), t, y)", "model(batch.x_t(), t, None)")
    ],
    "the noise that is given is not used": [
        (
            "Batch(schedule, x_0, t, noise)\n    squares",
            "Batch(schedule, x_0, t, None)\n    squares",
        )
    ],
    "the model is asked for x_0: it predicts the noise": [
        ("- goal(batch))", '- (x_0 if target == "noise" else goal(batch)))')
    ],
    'target="v" asks for x_0: it should ask for v_target(…)': [
        ("- goal(batch))", '- (x_0 if target == "v" else goal(batch)))')
    ],
    "the sum over the elements of each image: the mean over all elements is wanted": [
        ("flatten(start_dim=1).mean(1)", "flatten(start_dim=1).sum(1)")
    ],
    "the root of the mean: the mean itself is wanted": [
        (
            "torch.dot(losses, weights) / len(losses)",
            "(torch.dot(losses, weights) / len(losses)) ** 0.5",
        )
    ],
    "half of the mean of the squares: no 1/2 is wanted": [
        ("torch.dot(losses, weights) / len(losses)", "torch.dot(losses, weights) / len(losses) / 2")
    ],
    "the model sees the labels as they were: the dropped ones are not used": [
        ("        y = drop_labels(", "        gone = drop_labels(")
    ],
    "the step draws one timestep for all images": [
        (
            "sample_timesteps(x_0.size(0), len(schedule.betas), x_0.device, generator)",
            "sample_timesteps(1, len(schedule.betas), x_0.device, generator).repeat(x_0.size(0))",
        )
    ],
    "the step puts the model into training mode: that is the training loop's": [
        ("        t = sample", "        model.train()\n        t = sample")
    ],
    "the step clears the gradients: that is the training loop's": [
        ("        t = sample", "        model.zero_grad()\n        t = sample")
    ],
    "the weighted losses are divided by the sum of the weights: the mean is over all elements": [
        ("torch.dot(losses, weights) / len(losses)", "torch.dot(losses, weights) / weights.sum()")
    ],
    "p_losses does not hand min_snr_gamma on: the weights always have gamma = 5": [
        (
            "min_snr_weight(schedule, t, target, min_snr_gamma)",
            "min_snr_weight(schedule, t, target)",
        )
    ],
    "min_snr_gamma is not looked at in p_losses: nothing is weighed": [
        ("if min_snr_gamma is None:", "if True:")
    ],
}
