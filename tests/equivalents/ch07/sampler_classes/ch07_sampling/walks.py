"""What all walks have in common."""

import torch

from ..ch05_forward_noise.diffusion import predict_x0


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
