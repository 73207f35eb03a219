"""What happens to one batch, apart from the loop."""

import torch

from ..ch06_loss.loss import p_losses, training_step


class Place:
    """A device, and how things get there."""

    def __init__(self, model):
        self.device = {p.device for p in model.parameters()}.pop()

    def __call__(self, *things):
        return tuple(thing.to(self.device) for thing in things)


def measured(model, tables, batch, **options):
    return training_step(model, tables, *batch, **options)


def asked_again(model, tables, x, y, t, noise, target):
    return p_losses(model, tables, x, t, y, noise, target)


def shorten(model, limit):
    """Scale all gradients by one factor, where together they are longer than the limit."""
    with torch.no_grad():
        held = [p for p in model.parameters() if p.grad is not None]
        if held:
            length = torch.linalg.vector_norm(torch.cat([p.grad.reshape(-1) for p in held]))
            factor = torch.clamp(limit / (length + 1e-12), max=1.0)
            for p in held:
                p.grad = p.grad * factor
