"""FID and KID by torchmetrics, for those who have it: its Inception network, its formulas."""

import warnings

import torch
from torch import Tensor

from ddpm_ref.data import to_image
from ddpm_ref.errors import UserError


def fid_and_kid(x: Tensor, real: Tensor, device="cpu", feature=2048, batch_size: int = 100) -> dict:
    """Distances between drawn and real pictures (Heusel et al. 2017; Bińkowski et al. 2018).

    FID shrinks with the number of pictures: between two halves of the real CIFAR-10 it is still 30 at
    n = 2,000. KID does not, so it is the one to look at when n is small. n always stands beside them.

    Args:
        x: (N, C, H, W) in [−1, 1], drawn.
        real: (M, C, H, W) in [−1, 1].
        feature: what torchmetrics takes: a layer of Inception, or a network of one's own that maps uint8
            (B, 3, H, W) to (B, D), with an attribute num_features.

    Returns:
        fid, kid, kid_std (over 50 random subsets) and fid_n, the two numbers of pictures.

    Raises:
        UserError: when torchmetrics or the weights of Inception are missing.
    """
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance
        from torchmetrics.image.kid import KernelInceptionDistance
    except ImportError as error:
        raise UserError(
            '--fid needs one more package: pip install "torchmetrics[image]".'
        ) from error
    subset = max(2, min(1000, len(x) // 2, len(real) // 2))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fid = FrechetInceptionDistance(feature=feature).to(device)
            kid = KernelInceptionDistance(feature=feature, subsets=50, subset_size=subset).to(
                device
            )
    except Exception as error:  # a package missing behind it, or a download
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UserError(
            f"--fid cannot get its Inception network ({reason}): connect to the network, or leave it out."
        ) from error
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)  # which subsets
        for pictures, is_real in ((x, False), (real, True)):
            for part in pictures.split(batch_size):
                pixels = (to_image(part) * 255).round().byte().expand(-1, 3, -1, -1).to(device)
                fid.update(pixels, real=is_real)
                kid.update(pixels, real=is_real)
        mean, std = kid.compute()
        return {
            "fid": fid.compute().item(),
            "kid": mean.item(),
            "kid_std": std.item(),
            "fid_n": [len(x), len(real)],
        }
