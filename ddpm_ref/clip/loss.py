"""A CLIP loss in training: pull the x_0 that the model implies towards its caption.

    loss + weight · mean over labelled images of alpha_bar_t · (1 − cosine(x_0, caption))

An idea that lies near, though the captions say nothing that the labels do not: so it is off by default.
`make bench ARGS="clip_effects --only loss"` measures it, and docs/clip.md says what came out.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ddpm_ref.clip.clip import class_prompts, encode_images
from ddpm_ref.clip.drawing import texts_of
from ddpm_ref.clip.models import DEFAULT, ClipModel, load_clip
from ddpm_ref.diffusion import NoiseSchedule, per_image, predict_x0
from ddpm_ref.errors import UserError
from ddpm_ref.presets import RunConfig
from ddpm_ref.shipped import pictures_of


def _clip_of(pictures: str | None, device) -> ClipModel:
    """The small CLIP for the pictures, or open_clip's usual one."""
    try:
        return load_clip(pictures or DEFAULT, device=device)
    except UserError as error:  # it names options that a training does not have
        raise UserError(
            f"--clip-loss needs the CLIP {pictures or DEFAULT} for these pictures, which is not to be had "
            "here: connect to the network, or train without it."
        ) from error


class ClipLoss(nn.Module):
    """The model that is trained, remembering its last forward pass so that `loss` can look at it.

    Args:
        model: called as model(x_t, t, y).
        config: of the run; its `train.clip_loss` is the weight.
        classes: names, in the order of the labels; what is above them is the null label.
        schedule, device: as the training uses them.
    """

    def __init__(
        self,
        model: nn.Module,
        config: RunConfig,
        classes: Sequence[str],
        schedule: NoiseSchedule,
        device,
    ):
        super().__init__()
        self.model, self.schedule = model, schedule
        self.weight, self.target = config.train.clip_loss, config.diffusion.target
        known = _clip_of(pictures_of(config.data, classes), device)
        # In a tuple, so that neither is a part of what is trained and averaged.
        self._clip = (known.clip, texts_of(known, class_prompts(classes)))

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        prediction = self.model(x_t, t, y)
        self._last = (x_t, t, y, prediction)
        return prediction

    def loss(self) -> Tensor:
        """Of the last forward pass, weighted; 0 when none of its images had a label."""
        x_t, t, y, prediction = self._last
        clip, texts = self._clip
        labelled = y < len(texts)
        x_t, t, y, prediction = (v[labelled] for v in (x_t, t, y, prediction.float()))
        if not len(y):
            return prediction.sum()
        x_0 = predict_x0(self.schedule, x_t, t, prediction, self.target)
        cosine = (encode_images(clip, x_0) * texts[y]).sum(1)  # (B,)
        alpha_bar = per_image(self.schedule.alpha_bars, t).flatten()
        return self.weight * (alpha_bar * (1 - cosine)).mean()
