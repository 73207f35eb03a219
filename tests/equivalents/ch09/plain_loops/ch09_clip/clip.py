"""Everything picture by picture, with Python's own lists; the walk with DDIM's formula written out."""

import itertools
import math
import re

import torch

from ..ch05_forward_noise.diffusion import predict_x0
from ..ch07_sampling.sampling import ddim_timesteps, guided_prediction


def class_prompts(classes, template="a photo of a {class}"):
    if template.count("{class}") == 0:
        raise ValueError("where does the name belong?")
    vowels = set("aeiouAEIOU")

    def caption(name):
        article = r"\ban {class}" if name[0] in vowels else r"\ba {class}"
        return re.sub(r"(?<![^\s])a {class}", article[2:], template).replace("{class}", name)

    return [caption(name) for name in classes]


def unit(vector):
    return vector / math.sqrt(sum(float(v) ** 2 for v in vector.detach()))


def encode_prompts(clip, prompts, tokenizer):
    found, device = [], next(clip.parameters()).device
    with torch.inference_mode(False), torch.no_grad():
        for prompt in prompts:
            vector = clip.encode_text(tokenizer([prompt]).to(device))[0]
            found.append(unit(vector))
    return torch.stack(found)


def encode_images(clip, x, batch_size=100):
    shape = clip.visual.image_size
    high, wide = shape if hasattr(shape, "__len__") else (shape, shape)
    rows = []
    for first in range(0, x.shape[0], batch_size):
        white = 0.5 * x[first : first + batch_size] + 0.5
        white = torch.minimum(torch.maximum(white, torch.zeros(())), torch.ones(()))
        small = torch.nn.functional.interpolate(
            white, size=(high, wide), mode="bicubic", align_corners=False, antialias=True
        )
        colours = [
            (small[:, c] - clip.visual.image_mean[c]) / clip.visual.image_std[c] for c in range(3)
        ]
        vectors = clip.encode_image(torch.stack(colours, 1))
        rows.extend(v / v.pow(2).sum().sqrt() for v in vectors)
    return torch.stack(rows)


def similarity_matrix(images, texts):
    if images.size(1) != texts.size(1):
        raise ValueError("two models")
    return torch.stack([torch.mv(texts, image) for image in images])


def clip_scores(similarity, labels):
    table, wanted = similarity.tolist(), labels.tolist()
    if not table or len(wanted) != len(table):
        raise ValueError("a label for each picture")
    for label in wanted:
        if label not in range(len(table[0])):
            raise ValueError(f"no class {label}")
    right = sum(row.index(max(row)) == label for row, label in zip(table, wanted, strict=False))
    return {
        "intended_similarity": sum(row[c] for row, c in zip(table, wanted, strict=True))
        / len(table),
        "matching_accuracy": right / len(table),
        "top1_similarity": sum(map(max, table)) / len(table),
    }


def rerank(similarity, label, keep):
    if keep < 1 or keep > len(similarity) or label < 0 or label >= similarity.shape[1]:
        raise ValueError("out of range")
    column = similarity[:, label].tolist()
    order = sorted(range(len(column)), key=lambda k: -column[k])
    return torch.tensor(order[:keep])


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
    given = x_t.detach().clone()
    with torch.enable_grad():
        x = given.clone().requires_grad_()
        said = guided_prediction(model, x, t, y, guidance_scale)
        if not through_model:
            said = said.detach()
        picture = predict_x0(schedule, x, t, said, target)
        likeness = torch.cosine_similarity(encode_images(clip, picture), texts, dim=-1)
        slope = torch.autograd.grad(likeness, x, torch.ones_like(likeness))[0]
    nudged = []
    for b in range(len(given)):
        share = float(schedule.alpha_bars[t[b]])
        eps = (given[b] - math.sqrt(share) * picture[b].detach()) / math.sqrt(1 - share)
        nudged.append(eps - clip_scale * math.sqrt(1 - share) * slope[b])
    return torch.stack(nudged)


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
    T = schedule.timesteps
    if interval is None:
        interval = (0, T - 1)
    if not (interval[0] >= 0 and interval[1] < T and interval[0] <= interval[1]):
        raise ValueError("no such interval")
    mode = model.training
    model.train(False)
    device = next(model.parameters()).device
    x = (
        torch.empty(shape).normal_(generator=generator).to(device)
        if noise is None
        else noise.clone()
    )
    walk = [*ddim_timesteps(T, steps), -1]
    for here, there in itertools.pairwise(walk):
        t = torch.tensor([here] * len(x), device=device)
        scale = clip_scale if interval[0] <= here <= interval[1] else 0
        eps = clip_guidance(
            model, schedule, x, t, clip, texts, y, scale, guidance_scale, target, through_model
        )
        now = float(schedule.alpha_bars[here])
        after = float(schedule.alpha_bars[there]) if there >= 0 else 1.0
        picture = ((x - math.sqrt(1 - now) * eps) / math.sqrt(now)).clamp(-1, 1)
        eps = (x - math.sqrt(now) * picture) / math.sqrt(1 - now)
        sigma = eta * math.sqrt((1 - after) / (1 - now)) * math.sqrt(1 - now / after)
        x = math.sqrt(after) * picture + math.sqrt(max(0, 1 - after - sigma**2)) * eps
        if sigma:
            x = x + sigma * torch.empty(shape).normal_(generator=generator).to(device)
    model.train(mode)
    return x
