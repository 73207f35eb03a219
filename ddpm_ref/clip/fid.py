"""FID and KID by torchmetrics, for those who have it: its Inception network, its formulas."""

import warnings

import torch
from torch import Tensor

from ddpm_ref.data import to_image
from ddpm_ref.errors import UserError, first_line


class FidAndKid:
    """FID and KID against some real pictures (Heusel et al. 2017; Bińkowski et al. 2018).

    FID shrinks with the number of pictures: between two halves of the real CIFAR-10 it is still 30 at
    n = 2,000. KID does not, so it is the one to look at when n is small. n always stands beside them.

    Args:
        real: (M, C, H, W) in [−1, 1].
        device: where the network runs.
        feature: what torchmetrics takes: a layer of Inception, or a network of one's own that maps uint8
            (B, 3, H, W) to (B, D), with an attribute num_features.

    Raises:
        UserError: when torchmetrics or the weights of Inception are missing.
    """

    def __init__(self, real: Tensor, device="cpu", feature=2048):
        try:
            from torchmetrics.image.fid import FrechetInceptionDistance
            from torchmetrics.image.kid import KernelInceptionDistance
        except ImportError as error:
            raise UserError(
                '--fid needs one more package: pip install "torchmetrics[image]".'
            ) from error
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fid = FrechetInceptionDistance(feature=feature, reset_real_features=False)
                kid = KernelInceptionDistance(
                    feature=feature, reset_real_features=False, subsets=50
                )
        except Exception as error:  # a package missing behind it, or a download
            raise UserError(
                f"--fid cannot get its Inception network ({first_line(error)}): connect to the network, "
                "or leave it out."
            ) from error
        self.metrics, self.device, self.real_n = (fid.to(device), kid.to(device)), device, len(real)
        self._show(real, real=True)

    def __call__(self, x: Tensor) -> dict:
        """Of drawn pictures (N, C, H, W) in [−1, 1]: fid, kid, kid_std (over 50 random subsets), fid_n."""
        fid, kid = self.metrics
        for metric in self.metrics:
            metric.reset()  # forgets what was drawn, not what is real
        self._show(x, real=False)
        kid.subset_size = max(2, min(1000, len(x) // 2, self.real_n // 2))
        with torch.random.fork_rng():
            torch.manual_seed(0)  # which subsets
            mean, std = kid.compute()
        return {
            "fid": fid.compute().item(),
            "kid": mean.item(),
            "kid_std": std.item(),
            "fid_n": [len(x), self.real_n],
        }

    @torch.no_grad()
    def _show(self, pictures: Tensor, real: bool, batch_size: int = 100) -> None:
        for part in pictures.split(batch_size):
            pixels = (to_image(part) * 255).round().byte().expand(-1, 3, -1, -1).to(self.device)
            for metric in self.metrics:
                metric.update(pixels, real=real)
