"""What all samplers do: a class each, with a step of its own."""

import torch

from ..ch05_forward_noise.diffusion import predict_x0


class Guide:
    """A model with its labels; both predictions come from one call of twice the batch."""

    def __init__(self, model, y, scale):
        self.model, self.y, self.scale = model, y, scale

    def __call__(self, x, t):
        if self.y is None:
            return self.model(x, t, None)
        null = torch.full_like(self.y, self.model.num_classes)
        twice = self.model(torch.cat((x, x)), torch.cat((t, t)), torch.cat((self.y, null)))
        c, u = twice.chunk(2)
        return u + self.scale * (c - u)


class Walk:
    """One walk from noise to picture."""

    def __init__(self, guide, schedule, target, clip, generator):
        self.guide, self.schedule, self.generator = guide, schedule, generator
        self.target, self.clip = target, clip

    def alpha_bar(self, t):
        return torch.ones(()) if t < 0 else self.schedule.alpha_bars[t]

    def picture(self, x, t, prediction=None):
        batch = torch.full((x.size(0),), t, dtype=torch.int64, device=x.device)
        if prediction is None:
            prediction = self.guide(x, batch)
        x_0 = predict_x0(self.schedule, x, batch, prediction, self.target)
        if self.clip:
            x_0 = torch.nn.functional.hardtanh(x_0)
        return x_0

    def draw(self, like, noise=None):
        if noise is None:
            noise = torch.randn(like.shape, generator=self.generator, device=like.device)
        return noise

    def run(self, shape, noise, path, callback):
        model = self.guide.model
        modes = {module: module.training for module in model.modules()}
        enabled = torch.is_grad_enabled()
        try:
            torch.set_grad_enabled(False)
            model.eval()
            if noise is not None and tuple(noise.shape) != tuple(shape):
                raise ValueError(f"noise of shape {tuple(noise.shape)} for pictures {tuple(shape)}")
            x = self.draw(torch.zeros(tuple(shape)), noise)
            for i in range(len(path)):
                t_next = path[i + 1] if i + 1 < len(path) else -1
                x, x_0 = self.step(x, path[i], t_next)
                if callback:
                    callback(i, path[i], x, x_0)
            return x
        finally:
            torch.set_grad_enabled(enabled)
            for module, mode in modes.items():
                module.training = mode


class Ancestral(Walk):
    variance = "posterior"

    def step(self, x, t, t_next, noise=None):
        x_0 = self.picture(x, t)
        now, before = self.alpha_bar(t), self.alpha_bar(t - 1)
        alpha = now / before
        tilde = (1 - alpha) * (1 - before) / (1 - now)
        mean = torch.sqrt(before) * (1 - alpha) / (1 - now) * x_0
        mean = mean + torch.sqrt(alpha) * (1 - before) / (1 - now) * x
        if t == 0:
            return mean, x_0
        sigma = torch.sqrt(tilde if self.variance == "posterior" else 1 - alpha)
        return mean + sigma * self.draw(x, noise), x_0


class Implicit(Walk):
    eta = 0.0

    def step(self, x, t, t_next, noise=None, prediction=None):
        x_0 = self.picture(x, t, prediction)
        now, then = self.alpha_bar(t), self.alpha_bar(t_next)
        eps = (x - now.sqrt() * x_0) / (1 - now).sqrt()
        sigma = self.eta * ((1 - then) / (1 - now)).sqrt() * (1 - now / then).sqrt()
        mean = then.sqrt() * x_0 + (1 - then - sigma**2).clamp(min=0).sqrt() * eps
        if self.eta == 0 or t_next < 0:
            return mean, x_0
        return mean + sigma * self.draw(x, noise), x_0


class Solver(Walk):
    last = None

    def step(self, x, t, t_next):
        x_0 = self.picture(x, t)
        if t_next < 0:
            return x_0, x_0
        now, then = self.alpha_bar(t).double(), self.alpha_bar(t_next).double()
        lam, lam_next = torch.logit(now) / 2, torch.logit(then) / 2
        d = x_0
        if self.last is not None:
            lam_before, x_0_before = self.last
            r = (lam - lam_before) / (lam_next - lam)
            d = (1 + 1 / (2 * r)).float() * x_0 - (1 / (2 * r)).float() * x_0_before
        self.last = lam, x_0
        ratio = ((1 - then) / (1 - now)).sqrt().float()
        weight = (then.sqrt() * -torch.expm1(lam - lam_next)).float()
        return ratio * x + weight * d, x_0
