"""The networks that say what a picture shows, small and larger, and their files.

Their features also carry the distances of `ddpm_ref.scores`.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_ref.errors import UserError, telling
from ddpm_ref.files import in_half_precision, load_weights, read_tensors, write_tensors


class Judge(nn.Module):
    """The small kind: three convolutions, 64 features, one logit a class; for images of 8×8 and larger.

    Args:
        channels: of the images.
        num_classes: how many.
    """

    kind = "small"
    classes: tuple[str, ...] = ()  # their names, where the file that it was read from tells them

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.shape = {"channels": channels, "num_classes": num_classes}
        layers, width = [], channels
        for out in (32, 64, 64):
            layers += [
                nn.Conv2d(width, out, 3, padding=1),
                nn.BatchNorm2d(out),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            width = out
        self.convolutions = nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.to_features = nn.Linear(64 * 4 * 4, 64)
        self.to_logits = nn.Linear(64, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) in [−1, 1] → (B, D)."""
        return self.to_features(self.convolutions(x))

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) in [−1, 1] → logits (B, num_classes)."""
        return self.to_logits(F.relu(self.features(x)))

    @torch.no_grad()
    def look_at(self, x: Tensor, batch: int = 500) -> tuple[Tensor, Tensor]:
        """Features (N, D) and predicted classes (N,) of (N, C, H, W) images, in batches, on the CPU."""
        self.eval()
        device = next(self.parameters()).device
        features = torch.cat(
            [self.features(portion.to(device)).cpu() for portion in x.split(batch)]
        )
        return features, self.to_logits(F.relu(features.to(device))).argmax(1).cpu()


class PhotoJudge(Judge):
    """The kind for photographs: seven convolutions, for images of 16×16 and larger.

    The first, of 2×2 pixels, is fixed: it makes pixels independent of their neighbours, and of one size.
    Three groups of 3×3 convolutions follow, a maximum over the places, one linear layer: the net of
    Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU". Once trained, it takes the mean over
    a picture and its mirror image.

    Args:
        channels: of the images.
        num_classes: how many.
        width: channels of the first group; the others have `multiples` of it, the features as many as
            the last.
        mirror: whether a mirrored picture shows the same class.
    """

    kind = "photo"
    depth, multiples = 2, (1, 4, 4)  # convolutions of each group
    # Of the training (`_train_photo`): passes over the images; learning rate and decay of the weights;
    # how far images move, and how much of them is covered, as parts of their width.
    passes, rate, decay, moves, covered = 16, 11.5, 0.0153, 1 / 16, 0.0

    def __init__(self, channels: int, num_classes: int, width: int = 64, mirror: bool = True):
        nn.Module.__init__(self)
        self.shape = {"channels": channels, "num_classes": num_classes, "width": width}
        self.shape["mirror"] = self.mirror = mirror
        self.whiten = nn.Conv2d(channels, 2 * 4 * channels, 2)
        self.whiten.weight.requires_grad_(False)
        nn.init.zeros_(self.whiten.bias)
        widths = 8 * channels, *(width * multiple for multiple in self.multiples)
        self.convolutions = nn.Sequential(
            nn.GELU(),
            *_group(*widths[0:2], self.depth),
            *_group(*widths[1:3], self.depth),
            *_group(*widths[2:4], self.depth),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.to_logits = nn.Linear(widths[-1], num_classes, bias=False)

    @torch.no_grad()
    def whiten_by(self, x: Tensor) -> None:
        """Set the first layer by the 2×2 patches of some images, (B, C, H, W) in [−1, 1].

        Its channels are the principal components of a patch, each divided by its standard deviation,
        and the same with the other sign.
        """
        patches = F.unfold(x, 2).transpose(1, 2).flatten(0, 1)  # (B · places, 4·C)
        variances, components = torch.linalg.eigh(patches.T @ patches / len(patches))
        # What hardly varies is left small: in JPEGs the finest differences of colour are noise.
        components = (components / (variances + 5e-4).sqrt()).T
        self.whiten.weight.copy_(torch.cat([components, -components]).view_as(self.whiten.weight))

    def features(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) in [−1, 1] → (B, 4·width)."""
        if min(x.shape[-2:]) < 16:
            raise UserError(
                f"A judge of the kind {self.kind} looks at 16×16 pixels and more, not at {x.shape[-2]}×"
                f"{x.shape[-1]}: take one of the kind small."
            )
        # A ninth: the classes would be too certain from the start.
        found = self.convolutions(self.whiten(x)) / 9
        if self.training or not self.mirror:
            return found
        return (found + self.convolutions(self.whiten(x.flip(-1))) / 9) / 2


class LargeJudge(PhotoJudge):
    """The kind for photographs where time matters less: ten convolutions, wider, trained for longer.

    The second and third of a group have a path around them: the net that Jordan 2024 trains to 96%.
    """

    kind = "large"
    depth, multiples = 3, (1, 3, 4)
    passes, rate, decay, moves, covered = 36, 9.0, 0.012, 1 / 8, 1 / 4

    def __init__(self, channels: int, num_classes: int, width: int = 128, mirror: bool = True):
        super().__init__(channels, num_classes, width, mirror)


def _group(channels: int, out: int, depth: int) -> list[nn.Module]:
    """2 or 3 convolutions, half of the resolution after the first; a path around those after it, if two."""
    first = [_convolution(channels, out), nn.MaxPool2d(2), _norm(out), nn.GELU()]
    second = [_convolution(out, out), _norm(out)]
    if depth == 3:
        second = [_Residual(*second, nn.GELU(), _convolution(out, out), _norm(out))]
    return [*first, *second, nn.GELU()]


class _Residual(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def _convolution(channels: int, out: int) -> nn.Conv2d:
    """It starts by passing through what comes."""
    convolution = nn.Conv2d(channels, out, 3, padding=1, bias=False)
    nn.init.dirac_(convolution.weight.data[:channels])
    return convolution


def _norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, momentum=0.4)
    norm.weight.requires_grad_(False)  # the next layer can scale by itself
    return norm


KINDS = {kind.kind: kind for kind in (Judge, PhotoJudge, LargeJudge)}


def save_judge(judge: Judge, path: Path, about: dict | None = None, half: bool = False) -> None:
    """Write a judge as safetensors, kind and shape in the header; in half precision to pass it on."""
    header = {"judge": {"kind": judge.kind, **judge.shape}, "about": about or {}}
    tensors = judge.state_dict()
    write_tensors(path, in_half_precision(tensors) if half else tensors, header)


def load_judge(path: Path) -> Judge:
    """Read what `save_judge` wrote; a file that names no kind holds a small judge."""
    if not Path(path).is_file():
        raise UserError(f"There is no judge {path}: `ddpm judge {path}` would make one.")
    tensors, header = read_tensors(path)
    with telling(
        f"{path} holds no judge that this version knows: remove it, or give one that `ddpm judge` wrote."
    ):
        shape = dict(header["judge"])
        judge = KINDS[shape.pop("kind", Judge.kind)](**shape)
        judge.classes = tuple((header.get("about") or {}).get("classes", ()))
    load_weights(judge, tensors, path)
    return judge.eval()
