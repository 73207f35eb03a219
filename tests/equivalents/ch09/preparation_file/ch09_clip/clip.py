"""Preparation in a file of its own, errors in one place, one batch through CLIP."""

from itertools import pairwise

import torch
from torch import Tensor

from ..ch05_forward_noise.diffusion import predict_x0
from ..ch07_sampling.sampling import ddim_step, ddim_timesteps, guided_prediction
from .prepare import prepare, to_unit_length


def _demand(condition, message):
    if not condition:
        raise ValueError(message)


def class_prompts(classes: list[str], template: str = "a photo of a {class}") -> list[str]:
    _demand("{class}" in template, "there is no {class} in the template")
    with_an = (" " + template).replace(" a {class}", " an {class}")[1:]
    begins_with_vowel = ("a", "e", "i", "o", "u", "A", "E", "I", "O", "U")
    return [
        (with_an if name.startswith(begins_with_vowel) else template).replace("{class}", name)
        for name in classes
    ]


@torch.no_grad
def encode_prompts(clip, prompts, tokenizer):
    (device,) = {p.device for p in clip.parameters()}
    return to_unit_length(clip.encode_text(tokenizer(list(prompts)).to(device=device)))


def encode_images(clip, x: Tensor, batch_size: int = 100):
    out = None
    for k, batch in enumerate(x.split(batch_size)):
        directions = to_unit_length(clip.encode_image(prepare(clip.visual, batch)))
        out = directions if k == 0 else torch.cat((out, directions))
    return out


def similarity_matrix(images, texts):
    _demand(images.shape[1] == texts.shape[1], "two different models")
    return torch.nn.functional.linear(images, texts)


def clip_scores(similarity, labels):
    count = similarity.shape[0]
    _demand(count and labels.shape == (count,), "one label a picture")
    _demand(not ((labels < 0) | (labels >= similarity.shape[1])).any(), "no such class")
    order = similarity.sort(dim=1, descending=True, stable=True)
    asked = similarity[range(count), labels]
    return dict(
        top1_similarity=order.values[:, 0].mean(),
        matching_accuracy=(order.indices[:, 0] == labels).double().mean(),
        intended_similarity=asked.mean(),
    )


def rerank(similarity, label, keep):
    _demand(0 < keep <= len(similarity), "keep")
    _demand(0 <= label < similarity.shape[1], "label")
    column = similarity[:, label].detach().numpy()
    return torch.from_numpy((-column).argsort(kind="stable")[:keep].copy())


def clip_guidance(
    model,
    schedule,
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
    x_t = x_t.detach()
    leaf = x_t.clone()
    leaf.requires_grad = True
    before = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    try:
        source = leaf if through_model else x_t
        prediction = guided_prediction(model, source, t, y, guidance_scale)
        if not through_model:
            prediction = prediction.detach()
        picture = predict_x0(schedule, leaf, t, prediction, target)
        total = torch.einsum("bd,bd->", encode_images(clip, picture), texts.expand(len(leaf), -1))
        gradient = torch.autograd.grad([total], [leaf])[0]
    finally:
        torch.set_grad_enabled(before)
    share = schedule.alpha_bars[t].view(-1, *[1] * (x_t.ndim - 1))
    rest = torch.sqrt(1 - share)
    if target == "noise":
        noise = prediction.detach()
    else:
        noise = share.sqrt() * prediction.detach() + rest * x_t  # of v
    return noise - rest * (clip_scale * gradient)


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
    allowed = range(schedule.timesteps)
    if interval is not None:
        low, high = interval
        _demand(low in allowed and high in allowed and low <= high, f"{interval} is no interval")
        allowed = range(low, high + 1)
    training = model.training
    try:
        model.eval()
        device = next(model.parameters()).device
        x = noise if noise is not None else torch.randn(*shape, generator=generator).to(device)
        for t, t_next in pairwise([*ddim_timesteps(schedule.timesteps, steps), -1]):
            eps = clip_guidance(
                model,
                schedule,
                x,
                torch.full((shape[0],), t, device=device),
                clip,
                texts,
                y=y,
                clip_scale=clip_scale * (t in allowed),
                guidance_scale=guidance_scale,
                target=target,
                through_model=through_model,
            )
            x = ddim_step(schedule, x, t, t_next, eps, eta, generator=generator)[0].detach()
    finally:
        model.train(training)
    return x
