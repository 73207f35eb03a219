"""The chapter's mistakes, made in this implementation: {says: [(old, new), …]}."""

CALL = "            callback(i, t, x, x_0)\n    model.train(training)\n    return x\n\n\n"
P_CALL, D_CALL = CALL + "def ddim_timesteps", CALL + "@torch.no_grad()\ndef dpm"

MISTAKES = {
    "the sign of the difference is turned: u − s · (c − u)": [
        ("torch.lerp(null, real, guidance_scale)", "torch.lerp(null, real, -guidance_scale)")
    ],
    "the guided prediction is clipped; it is noise or v, which have no such range": [
        (
            "torch.lerp(null, real, guidance_scale)",
            "torch.lerp(null, real, guidance_scale).clip(-1, 1)",
        )
    ],
    "it is computed without gradients, which chapter 9 needs": [
        ("def guided_prediction", "@torch.no_grad()\ndef guided_prediction")
    ],
    "the weights of x_0 and x_t are exchanged": [
        (
            'float(table["of_x_0"][t]) * x_0 + float(table["of_x_t"][t]) * x_t',
            'float(table["of_x_0"][t]) * x_t + float(table["of_x_t"][t]) * x_0',
        )
    ],
    "alpha_bar where alpha belongs, in the weight of x_t": [
        ("(1.0 - prev) * np.sqrt(alphas)", "(1.0 - prev) * np.sqrt(bars)")
    ],
    "alpha_bar where alpha_bar_prev belongs, in the weight of x_0": [
        ("(1.0 - alphas) * np.sqrt(prev) / rest", "(1.0 - alphas) * np.sqrt(bars) / rest")
    ],
    "alpha_bar where alpha_bar_prev belongs, in the weight of x_t": [
        ("(1.0 - prev) * np.sqrt(alphas)", "rest * np.sqrt(alphas)")
    ],
    "the weights of the mean lack their roots": [
        ("(1.0 - alphas) * np.sqrt(prev)", "(1.0 - alphas) * prev"),
        ("(1.0 - prev) * np.sqrt(alphas)", "(1.0 - prev) * alphas"),
    ],
    "the mean is not divided by 1 − alpha_bar": [
        ("np.sqrt(prev) / rest", "np.sqrt(prev)"),
        ("np.sqrt(alphas) / rest", "np.sqrt(alphas)"),
    ],
    "the ratio in beta-tilde is turned over": [
        ("(1.0 - alphas) * (1.0 - prev) / rest", "(1.0 - alphas) * rest / (1.0 - prev)")
    ],
    "the variance is always beta": [("table[variance]", 'table["beta"]')],
    "at t = 1 no noise is added either: papers count from 1, so their last step is 1, ours is 0": [
        ("    if t > 0:\n", "    if t > 1:\n")
    ],
    "the model gets t as float numbers": [
        (
            "many = torch.tensor([t] * len(x_t), device=x_t.device)",
            "many = torch.tensor([float(t)] * len(x_t), device=x_t.device)",
        )
    ],
    "x_t is changed in place": [
        (
            'out = float(table["of_x_0"][t]) * x_0 + float(table["of_x_t"][t]) * x_t',
            'x_t *= float(table["of_x_t"][t])\n    out = float(table["of_x_0"][t]) * x_0 + x_t',
        )
    ],
    "the timesteps rise: the walk goes from 0 to T − 1": [
        ("t = schedule.timesteps - 1 - i", "t = i")
    ],
    "the walk starts at t = T, which no table has": [
        ("t = schedule.timesteps - 1 - i", "t = schedule.timesteps - i")
    ],
    "the ancestral loop adds the noise of the start in every step again": [
        ("variance, clip, None, generator)", "variance, clip, noise, generator)")
    ],
    "the steps of the ancestral loop do not get the generator": [
        ("variance, clip, None, generator)", "variance, clip, None, None)")
    ],
    "the ancestral loop keeps gradients: memory grows with every step": [
        ("@torch.no_grad()\ndef p_sample_loop", "def p_sample_loop")
    ],
    "the ancestral loop leaves the model in eval mode": [
        (P_CALL, P_CALL.replace("    model.train(training)\n", ""))
    ],
    "the callback of the ancestral loop gets x_0 and x_t in the wrong order": [
        (P_CALL, P_CALL.replace("x, x_0", "x_0, x"))
    ],
    "rounded down, not to the nearest": [("np.rint(", "np.floor(1e-9 + ")],
    "the timesteps rise": [(".astype(int) - 1).tolist()", ".astype(int) - 1).tolist()[::-1]")],
    "as many steps as timesteps are refused": [("range(1, timesteps + 1)", "range(1, timesteps)")],
    "sigma² is not taken from the old noise: there is too much noise": [
        ("np.maximum(1 - b - np.square(sigma), 0)", "1 - b")
    ],
    "in sigma one factor is missing: √(1 − alpha_bar / alpha_bar_next)": [
        (" * np.sqrt(1 - a / b)", "")
    ],
    "alpha_bar and alpha_bar_next are exchanged": [
        ("a, b = bars[t], bars[t_next]", "b, a = bars[t], bars[t_next]")
    ],
    "x_0 is multiplied by alpha_bar_next, not by its root": [
        ("out = float(np.sqrt(b)) * x_0", "out = float(b) * x_0")
    ],
    "the DDIM loop leaves the model in eval mode": [
        (D_CALL, D_CALL.replace("    model.train(training)\n", ""))
    ],
    "the DDIM loop does not hand on clip": [
        ("prediction, eta, target, clip), generator", "prediction, eta, target), generator")
    ],
    "the ratio of the two steps is left out, as if all were equally long": [
        ("h / (2 * (lam[i] - lam[i - 1]))", "0.5")
    ],
}
