"""The chapter's mistakes, made in loops: other text, the same behaviour."""

MISTAKES = {
    "the timesteps stay behind on the CPU when the pictures are on another device": [
        (
            "torch.randint(schedule.timesteps, (len(x_0),), **where)",
            'torch.randint(schedule.timesteps, (len(x_0),), device="cpu", generator=generator)',
        )
    ],
    "p is rounded to tenths: 0.05 drops none at all": [
        (
            "torch.rand(1, device=y.device, generator=generator)[0]",
            "torch.randint(0, 10, (1,), device=y.device, generator=generator)[0]",
        ),
        ("if coin < p else", "if coin < int(10 * p) else"),
    ],
    "one timestep for the whole batch: each image has its own": [
        ("torch.multinomial(chances, batch_size,", "torch.multinomial(chances, 1,"),
        ("replacement=True, generator=generator)", "True, generator=generator).expand(batch_size)"),
        (
            "torch.randint(schedule.timesteps, (len(x_0),), **where)",
            "sample_timesteps(len(x_0), schedule.timesteps, **where)",
        ),
    ],
    "t = 0 never comes: timesteps are counted from 0": [
        ("    return torch.multinomial(", "    chances[0] = 0\n    return torch.multinomial("),
        ("torch.randint(schedule", "torch.randint(1, schedule"),
    ],
    "the timesteps are sorted": [
        ("replacement=True, generator=generator)", "True, generator=generator).sort()[0]")
    ],
    "p is taken for the probability of keeping a label: it is that of dropping it": [
        ("if coin < p else", "if coin > p else"),
        ("< label_dropout", "> label_dropout"),
    ],
    "dropped labels become 0, which is a real class": [
        ("torch.full_like(label, null_label)", "torch.zeros_like(label)"),
        ("seen[unlabelled] = null_label", "seen[unlabelled] = 0"),
    ],
    "one coin for the whole batch: all of its labels are dropped or none": [
        ("    kept = []\n", "    kept = []\n    coin = torch.rand(1, generator=generator)[0]\n"),
        ("        coin = torch.rand(1, device=y.device, generator=generator)[0]\n", ""),
        ("torch.rand(len(y), **where) < label", "torch.rand(1, **where).expand(len(y)) < label"),
    ],
    "p is not looked at: −0.1 and 10 are accepted": [("if p < 0 or p > 1:", "if p != p:")],
    "x_0 and noise are exchanged: v is all but the noise where x_t is all but the picture": [
        (
            "share**0.5 * grain - (1 - share) ** 0.5 * image",
            "share**0.5 * image - (1 - share) ** 0.5 * grain",
        )
    ],
    "a plus between the two: x_0 is subtracted": [
        ("* grain - (1 - share)", "* grain + (1 - share)")
    ],
    "alpha_bar without its root": [
        (
            "share**0.5 * grain - (1 - share) ** 0.5 * image",
            "share * grain - (1 - share) ** 0.5 * image",
        )
    ],
    "the model is asked for x_0: it predicts the noise": [
        ('wanted = grain if target == "noise"', 'wanted = x_0[one] if target == "noise"')
    ],
    "the model gets x_0: it should see the noisy x_t": [
        ("model(x_t, t[one]", "model(x_0[one], t[one]")
    ],
    "t is divided by T before the model sees it": [
        ("model(x_t, t[one],", "model(x_t, t[one] / schedule.timesteps,")
    ],
    "the sum over the elements of each image: the mean over all elements is wanted": [
        ("torch.mean((wanted", "torch.sum((wanted")
    ],
    "absolute values (L1): squares are wanted": [
        ("torch.mean((wanted - answer) ** 2)", "torch.mean((wanted - answer).abs())")
    ],
    "uniform noise from −1 to 1: normal noise is wanted": [
        ("torch.normal(torch.zeros_like(x_0[one]))", "torch.empty_like(x_0[one]).uniform_(-1, 1)")
    ],
    "the model sees the labels as they were: the dropped ones are not used": [
        ("x_0, t, seen, noise", "x_0, t, y, noise")
    ],
    "the noise does not come from the generator (randn_like takes none), or is not handed on": [
        (".normal_(generator=generator)", ".normal_()")
    ],
    "target is not handed on: the loss is always about the noise": [
        ("seen, noise, target, min_snr_gamma)", 'seen, noise, "noise", min_snr_gamma)')
    ],
    "the noise stays behind on the CPU when the pictures are on another device": [
        ("torch.empty_like(x_0)", "torch.empty(x_0.shape)")
    ],
    "the step calls backward(): that is the training loop's": [
        ("    return p_losses(model", "    loss = p_losses(model"),
        (
            "seen, noise, target, min_snr_gamma)\n",
            "seen, noise, target, min_snr_gamma)\n    loss.backward(retain_graph=True)\n    return loss\n",
        ),
    ],
    "for noise min(SNR, gamma) is not divided by SNR (that is the weight for x_0)": [
        ("min(snr, gamma) / snr)", "min(snr, gamma))")
    ],
    "SNR is turned around: it is alpha_bar / (1 − alpha_bar)": [
        ("snr = share / (1 - share)", "snr = (1 - share) / share")
    ],
    "gamma is not used: SNR is always cut off at 5": [
        ("min(snr, gamma) / snr)", "min(snr, 5) / snr)"),
        ("min(snr, gamma) / (snr + 1)", "min(snr, 5) / (snr + 1)"),
    ],
}
