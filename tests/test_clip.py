"""Chapter 9's functions: by hand, against open_clip's own preprocessing, against finite differences."""

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import nn

from ddpm_ref.clip import (
    ClipGuided,
    class_prompts,
    clip_guidance,
    clip_scores,
    encode_classes,
    encode_images,
    encode_prompts,
    guided_sample_loop,
    rerank,
    similarity_matrix,
)
from ddpm_ref.clip.drawing import Guide, Views, best_of, draw_guided
from ddpm_ref.clip.models import ClipModel
from ddpm_ref.clip.scores import class_table
from ddpm_ref.data import to_model_range
from ddpm_ref.diffusion import predict_noise, predict_x0
from ddpm_ref.sampling import SAMPLERS, ddim_sample_loop


class FakeClip(nn.Module):
    """Smooth, nonlinear, of no weight; in the form of open_clip's class."""

    def __init__(self, size=12, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25)):
        super().__init__()
        self.visual = nn.Module()
        self.visual.image_size, self.visual.image_mean, self.visual.image_std = size, mean, std
        self.look = nn.Conv2d(3, 8, 3, stride=3)
        self.read = nn.Embedding(128, 8)
        self.seen = []

    def encode_image(self, image):
        self.seen.append(image.detach())
        return 3 * self.look(image).tanh().mean((2, 3))

    def encode_text(self, text):
        return self.read(text).sum(1)


def letters(captions):
    return torch.tensor([[ord(c) % 128 for c in f"{caption:60}"[:60]] for caption in captions])


class Painting(nn.Module):
    """A small smooth model, different for each t and y; None is a class of its own."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.by_class = nn.Embedding(4, 3)

    def forward(self, x, t, y=None):
        y = torch.full_like(t, 3) if y is None else y
        shift = self.by_class(y) + t[:, None] / 10
        return torch.sin(self.conv(x) + shift[:, :, None, None].to(x))


@pytest.fixture
def clip():
    return FakeClip().eval()


@pytest.fixture
def painting():
    return Painting().eval()


def pictures(n=3, seed=0, **kind):
    return 0.6 * torch.randn(n, 3, 8, 6, generator=torch.Generator().manual_seed(seed)).to(**kind)


def directions(n, seed=1, **kind):
    x = torch.randn(n, 8, generator=torch.Generator().manual_seed(seed))
    return F.normalize(x, dim=1).to(**kind)


def test_prompts_have_their_article():
    names = ["star", "arrow", "Umbrella", "t-shirt"]
    assert class_prompts(names) == [
        "a photo of a star",
        "a photo of an arrow",
        "a photo of an Umbrella",
        "a photo of a t-shirt",
    ]
    assert class_prompts(["arrow"], "a {class}, extra {class}") == ["an arrow, extra arrow"]
    assert class_prompts([""]) == ["a photo of a "]
    with pytest.raises(ValueError, match="class"):
        class_prompts(names, "a photo")


def test_prompts_become_directions(clip):
    texts = encode_prompts(clip, ["a star", "an arrow"], letters)
    assert texts.shape == (2, 8) and not texts.requires_grad
    expected = clip.read(letters(["a star", "an arrow"])).sum(1).detach()
    assert torch.allclose(texts, expected / expected.norm(dim=1, keepdim=True))


def test_an_ensemble_is_the_direction_of_the_mean(clip):
    templates = ["a photo of a {class}", "the {class}"]
    each = [encode_prompts(clip, class_prompts(["star"], t), letters) for t in templates]
    found = encode_classes(clip, ["star"], letters, templates)
    assert torch.allclose(found.norm(dim=1), torch.ones(1))
    assert torch.allclose(found, F.normalize((each[0] + each[1]) / 2, dim=1))
    assert torch.allclose(encode_classes(clip, ["star"], letters, templates[:1]), each[0])


def test_pictures_become_directions(clip):
    x = pictures() * 2  # some of it outside [−1, 1]
    found = encode_images(clip, x)
    pixels = F.interpolate(((x + 1) / 2).clamp(0, 1), (12, 12), mode="bicubic", antialias=True)
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.25])
    expected = clip.encode_image((pixels - mean[:, None, None]) / std[:, None, None])
    assert torch.allclose(found, expected / expected.norm(dim=1, keepdim=True), atol=1e-6)
    assert torch.allclose(encode_images(clip, x, batch_size=2), found, atol=1e-6)


def test_grey_pictures_and_sizes_that_are_pairs():
    clip = FakeClip(size=(9, 15))
    encode_images(clip, pictures()[:, :1])
    (seen,) = clip.seen
    assert seen.shape == (3, 3, 9, 15)
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.25])
    pixels = seen * std[:, None, None] + mean[:, None, None]
    assert torch.allclose(pixels[:, 0], pixels[:, 2], atol=1e-6)


def test_preparation_is_that_of_open_clip():
    import open_clip
    from PIL import Image

    clip = FakeClip(size=32)
    images = tiny.shapes(4).images
    encode_images(clip, to_model_range(images))
    prepare = open_clip.image_transform(32, False, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))
    theirs = [prepare(Image.fromarray(image.permute(1, 2, 0).numpy())) for image in images]
    # Theirs rounds to whole pixel values and cuts what overshoots at an edge.
    assert (clip.seen[0] - torch.stack(theirs)).abs().mean() < 0.02


def test_the_gradient_reaches_the_pixels(clip):
    x = pictures().requires_grad_(True)
    (encode_images(clip, x) @ directions(1).T).sum().backward()
    inside = x.detach().abs() < 1
    assert (x.grad[inside] != 0).float().mean() > 0.9
    assert (x.grad[~inside] == 0).all()


def test_similarity(clip):
    images, texts = directions(3), directions(2, seed=2)
    found = similarity_matrix(images, texts)
    assert found.shape == (3, 2)
    assert found[2, 1].item() == pytest.approx((images[2] @ texts[1]).item())
    with pytest.raises(ValueError, match="dimensions"):
        similarity_matrix(images, texts[:, :5])


SIMILARITY = torch.tensor([[0.9, 0.1, 0.2], [0.4, 0.4, 0.1], [0.1, 0.3, 0.3], [0.0, 0.2, 0.7]])


def test_scores_by_hand():
    scores = clip_scores(SIMILARITY, torch.tensor([0, 1, 1, 0]))
    assert scores["top1_similarity"] == pytest.approx((0.9 + 0.4 + 0.3 + 0.7) / 4)
    assert scores["intended_similarity"] == pytest.approx((0.9 + 0.4 + 0.3 + 0.0) / 4)
    # Rows 1 and 2 are ties, which go to the lowest: once against the label, once for it.
    assert scores["matching_accuracy"] == 0.5
    for labels in ([0, 1, 2], [0, 1, 2, 3], [0, -1, 0, 0]):
        with pytest.raises(ValueError, match="labels"):
            clip_scores(SIMILARITY, torch.tensor(labels))


def test_scores_class_by_class():
    found = class_table(SIMILARITY, torch.tensor([0, 0, 1, 0]), ("a", "b", "c"))
    assert found["matching_accuracies"] == {"a": pytest.approx(2 / 3), "b": 1.0}
    assert found["confusion"] == [[2, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert found["mean_similarities"][0] == pytest.approx([1.3 / 3, 0.7 / 3, 1.0 / 3])
    assert found["mean_similarities"][2] == [None] * 3
    assert found["intended_similarities"]["b"] == pytest.approx(0.3)
    assert found["score"] == pytest.approx(2.5 * (0.9 + 0.4 + 0.3 + 0.0) / 4)
    below = class_table(-SIMILARITY, torch.tensor([0, 0, 1, 0]), ("a", "b", "c"))
    assert below["score"] == 0


def test_rerank():
    assert rerank(SIMILARITY, 0, 3).tolist() == [0, 1, 2]
    assert rerank(SIMILARITY, 2, 4).tolist() == [3, 2, 0, 1]
    tied = torch.tensor([[0.1], [0.5], [0.1], [0.5]] * 50)
    odd, even = list(range(1, 200, 2)), list(range(0, 200, 2))
    assert rerank(tied, 0, 200).tolist() == odd + even  # of equals, the first stays first
    for keep, label in ((0, 0), (5, 0), (1, 3), (1, -1)):
        with pytest.raises(ValueError, match="must lie"):
            rerank(SIMILARITY, label, keep)


def total_similarity(model, clip, schedule, x, t, texts, y, guidance, target):
    c, u = model(x, t, y), model(x, t, None)
    x_0 = predict_x0(schedule, x, t, u + guidance * (c - u), target)
    return (encode_images(clip, x_0) * texts).sum(1)  # (B,)


@pytest.mark.parametrize("target", ["noise", "v"])
@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_guidance_against_finite_differences(clip, painting, schedule, target, guidance):
    clip, painting = clip.double(), painting.double()
    x, t, y = pictures(dtype=torch.float64), torch.tensor([0, 5, 11]), torch.tensor([2, 0, 1])
    texts = directions(3, dtype=torch.float64)
    settings = dict(guidance_scale=guidance, target=target)
    plain = clip_guidance(painting, schedule, x, t, clip, texts, y, clip_scale=0.0, **settings)
    found = clip_guidance(painting, schedule, x, t, clip, texts, y, clip_scale=7.0, **settings)
    nudge = (plain - found) / 7 / (1 - schedule.alpha_bars[t]).sqrt()[:, None, None, None]
    towards = torch.randn(x.shape, generator=torch.Generator().manual_seed(3)).double()
    step = 1e-4

    def at(moved):
        return total_similarity(painting, clip, schedule, moved, t, texts, y, guidance, target)

    slope = (at(x + step * towards) - at(x - step * towards)) / (2 * step)  # (B,), each its own
    assert torch.allclose((nudge * towards).sum((1, 2, 3)), slope, rtol=2e-3, atol=1e-6)


def test_without_a_nudge_it_is_the_noise(clip, painting, schedule):
    x, t, y = pictures(), torch.tensor([1, 5, 11]), torch.tensor([2, 0, 1])
    texts = directions(1)
    noise = clip_guidance(painting, schedule, x, t, clip, texts, y, clip_scale=0.0)
    assert torch.allclose(noise, painting(x, t, y), atol=1e-5)
    noise = clip_guidance(painting, schedule, x, t, clip, texts, y, clip_scale=0.0, target="v")
    x_0 = predict_x0(schedule, x, t, painting(x, t, y), "v")
    assert torch.allclose(noise, predict_noise(schedule, x, t, x_0), atol=1e-5)


def test_guidance_leaves_everything_as_it_was(clip, painting, schedule):
    x, t = pictures(), torch.tensor([1, 5, 11])
    before = x.clone()
    with torch.no_grad():
        noise = clip_guidance(painting, schedule, x, t, clip, directions(3))
    assert torch.equal(x, before) and not x.requires_grad and not noise.requires_grad
    assert all(p.grad is None for m in (clip, painting) for p in m.parameters())


def test_pictures_do_not_share_a_nudge(clip, painting, schedule):
    x, t, texts = pictures(), torch.tensor([1, 5, 11]), directions(3)
    together = clip_guidance(painting, schedule, x, t, clip, texts)
    for k in range(3):
        one = slice(k, k + 1)
        alone = clip_guidance(painting, schedule, x[one], t[one], clip, texts[one])
        assert torch.allclose(together[one], alone, atol=1e-4)


def test_the_prediction_held_constant(clip, painting, schedule):
    """Without the model in between, x_0 = √ab · x_t − √(1 − ab) · v has the slope √ab."""
    x, t, texts = pictures(), torch.tensor([1, 5, 9]), directions(3)
    settings = dict(y=torch.tensor([0, 1, 2]), target="v")
    plain = clip_guidance(painting, schedule, x, t, clip, texts, clip_scale=0.0, **settings)
    found = clip_guidance(painting, schedule, x, t, clip, texts, through_model=False, **settings)
    x_0 = predict_x0(schedule, x, t, painting(x, t, settings["y"]), "v").detach()
    x_0.requires_grad_(True)
    (encode_images(clip, x_0) * texts).sum().backward()
    alpha_bar = schedule.alpha_bars[t][:, None, None, None]
    expected = plain - 30 * (1 - alpha_bar).sqrt() * alpha_bar.sqrt() * x_0.grad
    assert torch.allclose(found, expected, atol=1e-4)


def test_a_normalised_nudge_has_the_size_of_its_scale(clip, painting, schedule):
    x, t, texts = pictures(), torch.tensor([1, 5, 11]), directions(1)
    plain = clip_guidance(painting, schedule, x, t, clip, texts, clip_scale=0.0)
    found = clip_guidance(painting, schedule, x, t, clip, texts, clip_scale=0.1, normalise=True)
    size = (plain - found).square().mean((1, 2, 3)).sqrt()
    assert torch.allclose(size, 0.1 * (1 - schedule.alpha_bars[t]).sqrt(), rtol=1e-3)


def test_views_are_averaged(clip, painting, schedule):
    x, t, texts = pictures(), torch.tensor([1, 5, 11]), directions(3)
    plain = clip_guidance(painting, schedule, x, t, clip, texts)
    twice = clip_guidance(
        painting, schedule, x, t, clip, texts, augment=lambda x: torch.cat([x, x])
    )
    assert torch.allclose(plain, twice, atol=1e-4)
    views = Views(3, torch.Generator().manual_seed(0))
    crops = views(x)
    assert crops.shape == (9, 3, 8, 6)
    assert not torch.equal(crops[:3], crops[3:6])
    cropped = clip_guidance(painting, schedule, x, t, clip, texts, augment=views)
    assert not torch.allclose(plain, cropped, atol=1e-3)


@pytest.mark.parametrize("target", ["noise", "v"])
def test_a_loop_without_a_nudge_is_ddim(clip, painting, schedule, target):
    shape, noise, y = (3, 3, 8, 6), pictures(seed=4), torch.tensor([0, 1, 2])
    how = dict(steps=5, guidance_scale=2.0, target=target, noise=noise)
    plain = ddim_sample_loop(painting, schedule, shape, y, **how)
    texts = directions(3)
    same = guided_sample_loop(painting, schedule, shape, clip, texts, y, clip_scale=0.0, **how)
    assert torch.allclose(plain, same, atol=1e-4)
    guided = guided_sample_loop(painting, schedule, shape, clip, texts, y, **how)
    assert not torch.allclose(plain, guided, atol=1e-2)


def test_the_interval(clip, painting, schedule):
    """Five steps of twelve visit 11, 9, 6, 4, 1: the nudge falls on those inside, ends included."""
    shape, texts = (3, 3, 8, 6), directions(3)
    walks = {}
    for interval in (None, (0, 11), (6, 9), (7, 8), (4, 4)):
        seen = []
        guided_sample_loop(
            *(painting, schedule, shape, clip, texts),
            steps=5,
            interval=interval,
            noise=pictures(seed=4),
            callback=lambda i, t, x_t, x_0, seen=seen: seen.append(x_0.clone()),
        )
        walks[interval] = seen
    plain = walks[(7, 8)]  # nothing is visited there
    assert all(torch.equal(a, b) for a, b in zip(walks[None], walks[(0, 11)], strict=True))
    moved = {
        k: [not torch.allclose(a, b, atol=1e-4) for a, b in zip(v, plain, strict=True)]
        for k, v in walks.items()
    }
    assert moved[(6, 9)] == [False, True, True, True, True]
    assert moved[(4, 4)] == [False, False, False, True, True]
    for wrong in ((5, 4), (-1, 3), (0, 12)):
        with pytest.raises(ValueError, match="interval"):
            guided_sample_loop(painting, schedule, shape, clip, texts, interval=wrong)


def test_x0_is_clipped_after_the_nudge(clip, painting, schedule):
    shape, texts, largest = (3, 3, 8, 6), directions(3), {}
    for clip_x0 in (True, False):
        sizes = []
        guided_sample_loop(
            *(painting, schedule, shape, clip, texts),
            steps=5,
            clip_scale=200.0,
            clip_x0=clip_x0,
            noise=pictures(seed=4),
            callback=lambda i, t, x_t, x_0, sizes=sizes: sizes.append(x_0.abs().max().item()),
        )
        largest[clip_x0] = max(sizes)
    assert largest[True] <= 1 and largest[False] > 2


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_every_sampler_can_be_guided(clip, painting, schedule, name):
    shape, texts = (3, 3, 8, 6), directions(3)
    options = {"ddpm": {}, "ddim": {"steps": 6}, "dpm": {"steps": 6}}[name]
    means = {}
    painting.train()
    for scale in (0.0, 30.0):
        guided = ClipGuided(painting, schedule, clip, texts, clip_scale=scale)
        generator = torch.Generator().manual_seed(0)
        x = SAMPLERS[name](
            guided, schedule, shape, noise=pictures(seed=4), generator=generator, **options
        )
        means[scale] = (encode_images(clip, x) * texts).sum(1).mean().item()
    assert means[30.0] > means[0.0] + 0.02
    assert painting.training  # as it was


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny.make_run(tmp_path_factory.mktemp("clip") / "run")


def test_drawing_in_portions(run, clip, monkeypatch):
    """A hundred at a time or two: the same pictures, each guided by its own text."""
    from ddpm_ref import painting

    painter = painting.load_painter(run.folder)
    model = ClipModel(clip, letters, "fake")
    y, noise = torch.arange(5), painter.noise(5, 0)
    how, texts = painter.config.sample, directions(5)
    whole = draw_guided(painter, model, texts, y, noise, how, Guide())
    monkeypatch.setattr(painting, "CHUNK", 2)
    parts = draw_guided(painter, model, texts, y, noise, how, Guide())
    assert torch.allclose(whole, parts, atol=1e-3)
    one = draw_guided(painter, model, texts[3:4], y[3:4], noise[3:4], how, Guide())
    assert torch.allclose(whole[3:4], one, atol=1e-3)


def test_memory_stays_flat(run, clip, monkeypatch):
    """However many candidates, a hundred at a time: no batch is larger, and none is held."""
    from ddpm_ref.painting import load_painter

    painter, largest = load_painter(run.folder), []
    forward = painter.model.forward
    monkeypatch.setattr(
        painter.model, "forward", lambda x, *rest: largest.append(len(x)) or forward(x, *rest)
    )
    best = best_of(
        *(painter, ClipModel(clip, letters, "fake"), directions(1), 3),
        candidates=250,
        keep=4,
        how=painter.config.sample,
    )
    assert best.x.shape[0] == 250 and max(largest) == 100
    assert max(len(seen) for seen in clip.seen) == 100
    assert np.all(np.diff(best.similarity[best.kept].numpy()) <= 0)
    assert best.similarity[best.kept[0]] == best.similarity.max()
