"""The chapter's mistakes, made with tables: other text, the same behaviour."""

MISTAKES = {
    "T is among the timesteps: the last is T − 1": [
        (
            "(spread * timesteps).floor().long().clamp_(max=timesteps - 1)",
            "(spread * (timesteps + 1)).long()",
        )
    ],
    "T − 1 never comes: randint leaves out its upper end by itself": [
        ("(spread * timesteps).floor()", "(spread * (timesteps - 1)).floor()")
    ],
    "t is a float: it is a whole number, int64, and an index": [
        ("(spread * timesteps).floor().long().clamp_(max=timesteps - 1)", "spread * timesteps")
    ],
    "the timesteps do not come from the generator": [
        (
            "torch.rand(batch_size, device=device, generator=generator)",
            "torch.rand(batch_size, device=device)",
        )
    ],
    "the device is not used: on a GPU t would stay behind on the CPU": [
        ("torch.rand(batch_size, device=device, ", "torch.rand(batch_size, ")
    ],
    "dropped labels become −1: null_label is wanted": [("+ null_label * mask", "- mask")],
    "dropped labels become 0, which is a real class": [
        ("* (1 - mask) + null_label * mask", "* (1 - mask)")
    ],
    "p is not used: labels are dropped with a fixed probability of 0.1": [
        ("float(p), device", "0.1, device")
    ],
    "the labels come back as floats": [("    mask = mask.to(y.dtype)\n", "")],
    "p = 1 is refused: it drops all of them, and is allowed": [("if p > 1.0 or", "if p >= 1.0 or")],
    "the coins stay behind on the CPU when y is on another device": [
        ("float(p), device=y.device)", "float(p))")
    ],
    "the sign of v is turned: the noise has the plus, x_0 the minus": [
        (
            'return extract(table["signal"], t, noise) * noise - extract(',
            'return -extract(table["signal"], t, noise) * noise + extract(',
        )
    ],
    "the factors are exchanged: alpha_bar goes with the noise, 1 − alpha_bar with x_0": [
        (
            'extract(table["signal"], t, noise) * noise - extract(table["grain"], t, x_0)',
            'extract(table["grain"], t, noise) * noise - extract(table["signal"], t, x_0)',
        )
    ],
    "the model is asked for v whatever the target": [
        ('"noise": noise, "v"', '"noise": v_target(schedule, x_0, t, noise), "v"')
    ],
    'target="v" is ignored: the model is asked for the noise all the same': [
        ('"v": v_target(schedule, x_0, t, noise)}', '"v": noise}')
    ],
    "the model is asked for new noise, which nobody could know: it is the one that was mixed in": [
        ('"noise": noise, "v"', '"noise": torch.randn_like(x_0), "v"')
    ],
    "the sum over everything: the mean is wanted": [
        (" / each.numel()", ""),
        ("return values.mean(dim", "return values.sum(dim"),
    ],
    "the losses of the images come back one by one: their mean is wanted": [
        ('torch.einsum("b->", each) / each.numel()', "each")
    ],
    "the labels are not handed to the model": [("model(x_t, t, y)", "model(x_t, t)")],
    "other targets are accepted: they are a ValueError": [
        ("each = mean_flat((targets[target]", "each = mean_flat((targets.get(target, noise)"),
        ("    if target not in targets:", "    if not targets:"),
    ],
    "loss or prediction is detached: the model would never learn": [
        ('torch.einsum("b->", each) / each.numel()', "each.detach().mean()")
    ],
    "label_dropout is not used: labels are dropped with a fixed probability of 0.1": [
        ("drop_labels(y, label_dropout, null", "drop_labels(y, 0.1, null")
    ],
    "the timesteps stay behind on the CPU when the pictures are on another device": [
        (
            "schedule.timesteps, generator=generator, device=x_0.device)",
            "schedule.timesteps, generator=generator)",
        )
    ],
    "the generator is not handed to drop_labels": [
        (
            "drop_labels(y, label_dropout, null_label, generator=generator)",
            "drop_labels(y, label_dropout, null_label)",
        )
    ],
    "the step returns a number (.item()): a tensor with its graph is wanted": [
        ("    return p_losses(", "    return float(p_losses("),
        ("min_snr_gamma=min_snr_gamma,\n    )", "min_snr_gamma=min_snr_gamma,\n    ))"),
    ],
    "the larger of SNR and gamma (clamp(min=…)): the smaller is wanted, clamp(max=…)": [
        ('"noise": np.minimum(snr', '"noise": np.maximum(snr'),
        ('"v": np.minimum(snr', '"v": np.maximum(snr'),
    ],
    "the weights come after the mean, where each image can no longer have its own": [
        ("each = each * min", "each = each.mean() * min")
    ],
    "training_step does not hand min_snr_gamma on": [
        ("        min_snr_gamma=min_snr_gamma,\n", "")
    ],
}
