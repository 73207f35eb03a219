"""The chapter's mistakes, made in this implementation: {says: [(old, new), …]}."""

WALK = "        with torch.no_grad():\n            model.train(False)\n"
P_FINISH = "finish(walk(model, shape, noise, generator, path, True, step), callback)\n\n\ndef ddim_timesteps"

MISTAKES = {
    "the difference to u is forgotten: u + s · c": [
        ("(None, 1 - guidance_scale)", "(None, 1)"),
        (
            "    if y is None:\n        guidance_scale = 0\n",
            "    if y is None:\n        return model(x_t, t, None)\n",
        ),
    ],
    "the scale counts from the conditional prediction, as the w of papers does: c + s · (c − u)": [
        (
            "(y, guidance_scale), (None, 1 - guidance_scale)",
            "(y, 1 + guidance_scale), (None, -guidance_scale)",
        ),
        (
            "    if y is None:\n        guidance_scale = 0\n",
            "    if y is None:\n        return model(x_t, t, None)\n",
        ),
    ],
    "label 0 stands for no label: that is a class like the others, the null class is None": [
        ("(None, 1 - guidance_scale)", "(torch.zeros_like(t), 1 - guidance_scale)"),
        (
            "    if y is None:\n        guidance_scale = 0\n",
            "    if y is None:\n        return model(x_t, t, None)\n",
        ),
    ],
    "noise is added at t = 0 too": [
        (
            "torch.addcmul(mean, z, new**0.5) if t_next >= 0 else mean, x_0",
            "torch.addcmul(mean, z, new**0.5), x_0",
        )
    ],
    "the noise that is drawn is uniform, not normal": [
        (
            "z = torch.randn(x_t.shape, generator=generator) if noise is None else noise\n    prediction",
            "z = torch.rand(x_t.shape, generator=generator) if noise is None else noise\n    prediction",
        )
    ],
    "all images of a batch get the same noise": [
        (
            "z = torch.randn(x_t.shape, generator=generator) if noise is None else noise\n    prediction",
            "z = torch.randn(x_t[0].shape, generator=generator) if noise is None else noise\n    prediction",
        )
    ],
    "the generator is ignored": [
        (
            "z = torch.randn(x_t.shape, generator=generator) if noise is None else noise\n    prediction",
            "z = torch.randn(x_t.shape) if noise is None else noise\n    prediction",
        )
    ],
    "the model gets t as a single number, not one for each image": [
        (
            "model, x_t, torch.tensor([t]).repeat(len(x_t)), y",
            "model, x_t, torch.tensor(t), y",
        )
    ],
    "the guidance scale is not handed on": [
        ("repeat(len(x_t)), y, guidance_scale", "repeat(len(x_t)), y")
    ],
    "the variance is always beta-tilde": [("(full, step)}", "(full, full)}")],
    "the walk starts at t = T, which no table has": [
        ("range(schedule.timesteps - 1, -1, -1)", "range(schedule.timesteps, -1, -1)")
    ],
    "one noise is drawn before the walk and added in every step": [
        (
            "    path = list(range(schedule.timesteps - 1, -1, -1))\n",
            "    path = list(range(schedule.timesteps - 1, -1, -1))\n"
            "    again = torch.randn(tuple(shape), generator=generator)\n",
        ),
        ("variance, clip, noise=z", "variance, clip, noise=again"),
        (P_FINISH, P_FINISH.replace("True", "False")),
    ],
    "no loop puts the model into eval mode": [("            model.train(False)\n", "")],
    "all the loops leave the model in eval mode": [("            model.train(was)\n", "")],
    "all the loops keep gradients: memory grows with every step": [
        (WALK, WALK.replace("torch.no_grad()", "torch.enable_grad()"))
    ],
    "the stride is rounded to a whole number before it is multiplied": [
        (
            "int(timesteps * (steps - step) / steps + 0.5) - 1",
            "timesteps - step * (timesteps // steps) - 1",
        )
    ],
    "leading spacing (0, T / steps, …): the walk starts below T − 1, where noise is not yet pure": [
        (
            "int(timesteps * (steps - step) / steps + 0.5) - 1",
            "timesteps // steps * (steps - 1 - step)",
        )
    ],
    "impossible numbers of steps are not refused": [
        ('    if steps < 1:\n        raise ValueError("no steps")\n', ""),
        ('        raise ValueError("more steps than timesteps")\n', "        pass\n"),
    ],
    "eta is inside the root of sigma": [
        ("return eta**2 * full, eta**2 * full", "return eta * full, eta * full")
    ],
    "sigma² is not taken from the old noise: there is too much noise": [
        ("return eta**2 * full, eta**2 * full", "return 0 * full, eta**2 * full")
    ],
    "the new noise is forgotten, while room is made for it": [
        ("return eta**2 * full, eta**2 * full", "return eta**2 * full, 0 * full")
    ],
    "sigma has the beta of a single step: between t and t_next there may be many": [
        (
            "        return eta**2 * full, eta**2 * full\n",
            "        new = eta**2 * full / step * schedule.betas[t]\n        return new, new\n",
        )
    ],
    "a t_next that is not below t is accepted in silence": [
        ("t_next < -1 or t_next >= t", "t_next < -1")
    ],
    "the DDIM loop does not hand on the labels": [
        (
            "model, x, batch, y, guidance_scale)\n        return ddim_step",
            "model, x, batch, None)\n        return ddim_step",
        )
    ],
    "the DDIM loop does not hand on the target": [
        ("prediction, eta, target, clip, noise=z", 'prediction, eta, "noise", clip, noise=z')
    ],
    "the difference of the two x_0 has the wrong sign: D lies behind, not ahead": [
        (").float() * (x_0 - x_0_before)", ").float() * (x_0_before - x_0)")
    ],
}
