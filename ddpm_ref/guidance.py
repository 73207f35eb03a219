"""Classifier-free guidance at some timesteps only."""

from torch import Tensor, nn

from ddpm_ref.sampling import guided_prediction


class IntervalGuidance(nn.Module):
    """A model that is guided where it helps: called like the model itself, so its own scale is 1.

        u + s · (c − u)   for lowest ≤ t ≤ highest
        c                 elsewhere, by one call of the model instead of two

    At large t guidance makes the pictures of a class alike, at small t it changes nothing that anybody
    sees. Source: Kynkäänniemi et al. 2024, "Applying guidance in a limited interval improves sample and
    distribution quality in diffusion models", section 3; their noise levels are timesteps here.

    Args:
        model: called as model(x_t, t, y).
        guidance_scale: s, as in `guided_prediction`.
        interval: lowest and highest timestep, both included.
    """

    def __init__(self, model: nn.Module, guidance_scale: float, interval: tuple[int, int]):
        super().__init__()
        self.model, self.guidance_scale, self.interval = model, guidance_scale, interval

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """x_t: (B, C, H, W), t: (B,) int64, the same for all, y: (B,) int64 or None → (B, C, H, W)."""
        lowest, highest = self.interval
        inside = lowest <= int(t[0]) <= highest
        return guided_prediction(self.model, x_t, t, y, self.guidance_scale if inside else 1.0)
