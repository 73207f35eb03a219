"""The sampler of chapter 7 walks, with a model that has CLIP inside; tensors in place of loops."""

from contextlib import contextmanager

import torch
from torch import nn

from ..ch05_forward_noise.diffusion import NoiseSchedule, per_image, predict_x0
from ..ch07_sampling.sampling import ddim_sample_loop, guided_prediction

VOWELS = "aeiou"


def class_prompts(classes, template="a photo of a {class}"):
    _before, place, _after = template.partition("{class}")
    if not place:
        raise ValueError(template)
    result = []
    for name in classes:
        n = "n" if name.lower()[0] in VOWELS else ""
        words = template.split(" ")
        words = [
            "a" + n if word == "a" and following.startswith("{class}") else word
            for word, following in zip(words, [*words[1:], ""], strict=False)
        ]
        result.append(" ".join(words).replace("{class}", name))
    return result


def _directions(vectors):
    return torch.nn.functional.normalize(vectors, p=2.0, dim=1)


def encode_prompts(clip, prompts, tokenizer):
    tokens = tokenizer([*prompts]).to(next(iter(clip.parameters())).device)
    return _directions(clip.encode_text(tokens)).detach()


class _Prepare(nn.Module):
    """What CLIP's own preprocessing does, for tensors."""

    def __init__(self, visual, like):
        super().__init__()
        size = visual.image_size
        self.size = [size, size] if type(size) is int else list(size)
        self.register_buffer("scale", 1 / torch.as_tensor(visual.image_std).to(like))
        self.register_buffer("mean", torch.as_tensor(visual.image_mean).to(like))

    def forward(self, x):
        x = torch.clip(x, min=-1, max=1).add(1).div(2)
        x = nn.functional.interpolate(x, self.size, mode="bicubic", antialias=True)
        return torch.einsum("bchw,c->bchw", x - self.mean[:, None, None], self.scale)


def encode_images(clip, x, batch_size=100):
    prepare = _Prepare(clip.visual, x)
    portions = torch.split(x, batch_size, dim=0)
    return torch.vstack([_directions(clip.encode_image(prepare(p))) for p in portions])


def similarity_matrix(images, texts):
    try:
        return torch.einsum("nd,cd->nc", images, texts)
    except RuntimeError as error:
        raise ValueError("not of one model") from error


def clip_scores(similarity, labels):
    n, c = similarity.shape
    ok = labels.numel() == n > 0 and bool(((labels >= 0) & (labels < c)).all())
    if not ok:
        raise ValueError("labels")
    asked = nn.functional.one_hot(labels, c).bool()  # (N, C)
    top = similarity.max(dim=1)
    first = (similarity == top.values[:, None]).to(torch.uint8).argmax(1)
    return {
        "top1_similarity": float(top.values.sum() / n),
        "matching_accuracy": float((first == labels).sum() / n),
        "intended_similarity": float(similarity[asked].sum() / n),
    }


def rerank(similarity, label, keep):
    if label not in range(similarity.shape[1]) or keep not in range(1, similarity.shape[0] + 1):
        raise ValueError("no such text, or not as many candidates")
    _, order = torch.sort(-similarity[:, label], stable=True)
    return order.narrow(0, 0, keep)


@contextmanager
def _frozen(*modules):
    for module in modules:
        module.requires_grad_(False)
    try:
        yield
    finally:
        for module in modules:
            module.requires_grad_(True)


def clip_guidance(
    model,
    schedule: NoiseSchedule,
    x_t,
    t,
    clip,
    texts,
    y=None,
    clip_scale=30.0,
    guidance_scale=1.0,
    target="noise",
    through_model=True,
):
    alpha_bar = per_image(schedule.alpha_bars, t)
    signal, spread = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    with torch.no_grad():
        constant = guided_prediction(model, x_t, t, y, guidance_scale)
    x_0 = predict_x0(schedule, x_t, t, constant, target)
    noise = (x_t - signal * x_0) / spread

    def likeness(x):
        said = guided_prediction(model, x, t, y, guidance_scale) if through_model else constant
        seen = encode_images(clip, predict_x0(schedule, x, t, said, target))
        return (seen * texts).sum()

    with torch.enable_grad():
        _, slope = torch.autograd.functional.vjp(likeness, x_t.detach())
    return noise - clip_scale * spread * slope


class _Steered(nn.Module):
    def __init__(self, model, interval, **options):
        super().__init__()
        self.model, self.interval, self.options = model, interval, options

    def forward(self, x, t, y=None):
        first, last = self.interval
        options = dict(self.options)
        if not first <= t[0].item() <= last:
            options["clip_scale"] = 0.0
        return clip_guidance(self.model, x_t=x, t=t, y=y, **options)


def guided_sample_loop(
    model,
    schedule,
    shape,
    clip,
    texts,
    y=None,
    steps=50,
    eta=0.0,
    guidance_scale=1.0,
    clip_scale=30.0,
    interval=None,
    target="noise",
    through_model=True,
    noise=None,
    generator=None,
):
    everywhere = (0, schedule.timesteps - 1)
    low, high = everywhere if interval is None else interval
    if low > high or low < everywhere[0] or high > everywhere[1]:
        raise ValueError("an interval of timesteps")
    steered = _Steered(
        model,
        (low, high),
        schedule=schedule,
        clip=clip,
        texts=texts,
        clip_scale=clip_scale,
        guidance_scale=guidance_scale,
        target=target,
        through_model=through_model,
    )
    steered.train(model.training)
    return ddim_sample_loop(
        steered, schedule, shape, y, steps=steps, eta=eta, noise=noise, generator=generator
    )
