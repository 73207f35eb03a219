"""The referee: its arithmetic against scipy and by hand, itself against pictures it has not seen."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import tiny
import torch
from PIL import Image

from ddpm_ref import referee as referee_module
from ddpm_ref.data import to_model_range
from ddpm_ref.datasets import load_dataset
from ddpm_ref.errors import UserError
from ddpm_ref.evaluation import evaluate
from ddpm_ref.files import read_tensors, write_tensors
from ddpm_ref.judge import Judge, LargeJudge, PhotoJudge, load_judge, save_judge
from ddpm_ref.presets import DataConfig
from ddpm_ref.referee import Referee, appoint_referee, train_judge
from ddpm_ref.scores import class_accuracy, frechet_distance, kernel_distance


def cloud(n, d, seed, scale=1.0, shift=0.0):
    """(n, d) of correlated numbers."""
    g = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=g)
    return torch.randn(n, d, generator=g) @ mix * scale + shift


def exactly(mean, cov, n=50):
    """(n, d) whose sample mean and sample covariance are exactly these."""
    d = len(mean)
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    x = x - x.mean(0)
    white = x @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T
    return white @ torch.linalg.cholesky(cov).T + mean


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_frechet_distance_against_scipy(seed):
    a, b = cloud(300, 6, seed), cloud(200, 6, seed + 10, scale=0.5, shift=1.0)
    cov_a, cov_b = np.cov(a.double().numpy().T), np.cov(b.double().numpy().T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b)
    apart = (a.double().mean(0) - b.double().mean(0)).square().sum().item()
    expected = apart + np.trace(cov_a) + np.trace(cov_b) - 2 * np.trace(root).real
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_of_known_gaussians():
    """For covariances that commute: |difference of means|² + Σ(σ_a − σ_b)²."""
    mean_a, mean_b = torch.zeros(3).double(), torch.tensor([1.0, -2.0, 0.5]).double()
    sigma_a, sigma_b = (
        torch.tensor([1.0, 2.0, 3.0]).double(),
        torch.tensor([2.0, 2.0, 0.5]).double(),
    )
    a, b = exactly(mean_a, torch.diag(sigma_a**2)), exactly(mean_b, torch.diag(sigma_b**2))
    assert frechet_distance(a, b) == pytest.approx(5.25 + 1 + 0 + 6.25, rel=1e-9)
    correlated = torch.tensor([[2.0, 0.6], [0.6, 1.0]]).double()
    zero = torch.zeros(2).double()  # four times the covariance is twice the size: trace(C) remains
    a, b = exactly(zero, correlated), exactly(zero, 4 * correlated)
    assert frechet_distance(a, b) == pytest.approx(3.0, rel=1e-9)


@pytest.mark.parametrize("n", [400, 5])  # with 5 the covariance has no full rank
def test_frechet_distance_to_itself_is_zero(n):
    a = cloud(n, 16, 0)
    size = torch.cov(a.T).trace().item()
    assert 0 <= frechet_distance(a, a) < 1e-6 * size
    assert frechet_distance(a, a + 1) == pytest.approx(16, rel=1e-3)


def test_frechet_distance_needs_two_samples():
    with pytest.raises(ValueError, match="2 samples"):
        frechet_distance(torch.zeros(1, 4), torch.zeros(9, 4))


def by_pairs(a, b):
    """The unbiased estimate as its definition says it, pair by pair."""
    a, b = a.double().tolist(), b.double().tolist()

    def k(x, y):
        return (sum(p * q for p, q in zip(x, y, strict=True)) / len(x) + 1) ** 3

    def among(c):
        pairs = [(i, j) for i in range(len(c)) for j in range(len(c)) if i != j]
        return sum(k(c[i], c[j]) for i, j in pairs) / len(pairs)

    across = sum(k(x, y) for x in a for y in b) / (len(a) * len(b))
    return among(a) + among(b) - 2 * across


@pytest.mark.parametrize("block", [1, 4, 7, 1000])  # 7 divides neither number of samples
def test_kernel_distance_is_its_definition(block):
    a, b = cloud(12, 3, 0), cloud(9, 3, 1, scale=0.7, shift=0.5)
    assert kernel_distance(a, b, block) == pytest.approx(by_pairs(a, b), rel=1e-9)
    assert kernel_distance(b, a, block) == pytest.approx(by_pairs(a, b), rel=1e-9)


def test_kernel_distance_of_four_points():
    """k(0, x) = 1, k(2, 2) = 125, k(2, −2) = −27, in one dimension."""
    a, b = torch.tensor([[2.0], [-2.0]]), torch.tensor([[0.0], [0.0]])
    assert kernel_distance(a, b) == pytest.approx(-27 + 1 - 2)
    assert kernel_distance(a[:1].repeat(2, 1), b) == pytest.approx(125 + 1 - 2)


def test_kernel_distance_does_not_depend_on_the_number_of_samples():
    """Of one distribution it is 0 on average at any n, where the Fréchet distance falls with n."""
    few, many = (
        [(cloud_of_one(n, 2 * k), cloud_of_one(n, 2 * k + 1)) for k in range(60)] for n in (10, 80)
    )
    for pairs in (few, many):
        values = torch.tensor([kernel_distance(a, b) for a, b in pairs])
        assert abs(values.mean()) < 3 * values.std() / math.sqrt(len(values))
        assert (values < 0).any()
    frechet = [np.mean([frechet_distance(a, b) for a, b in pairs]) for pairs in (few, many)]
    assert frechet[0] > 3 * frechet[1]
    assert kernel_distance(cloud_of_one(80, 0), cloud_of_one(80, 1) + 1) > 1


def cloud_of_one(n, seed):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))


def test_kernel_distance_needs_two_samples():
    with pytest.raises(ValueError, match="2 samples"):
        kernel_distance(torch.zeros(9, 4), torch.zeros(1, 4))


def test_class_accuracy_by_hand():
    guessed = torch.tensor([0, 0, 1, 2, 1, 1])
    asked = torch.tensor([0, 0, 0, 1, 1, 1])
    over_all, each = class_accuracy(guessed, asked, 3)
    assert over_all == pytest.approx(4 / 6)
    assert each[:2] == pytest.approx([2 / 3, 2 / 3])
    assert math.isnan(each[2])  # never asked for


@pytest.fixture(scope="module")
def small_judge():
    """Trained for a second on little pictures."""
    return train_judge(load_dataset("shapes", image_size=8, size=1000), steps=60, seed=0)


def test_a_little_training_beats_chance(small_judge):
    unseen = load_dataset("shapes", image_size=8, size=500, test=True)
    _, guessed = small_judge.look_at(to_model_range(unseen.images))
    accuracy, _ = class_accuracy(guessed, unseen.labels, 10)
    assert accuracy > 0.5  # chance is 0.1
    assert not small_judge.training


@pytest.mark.parametrize("kind", ["photo", "large"])
def test_a_little_training_of_the_kinds_for_photographs_beats_chance(kind):
    """On photographs it is measured (docs/models.md); here it has to learn at all."""
    images = load_dataset("shapes", image_size=16, size=600)
    judge = train_judge(images, steps=25, kind=kind, width=16)
    unseen = load_dataset("shapes", image_size=16, size=300, test=True)
    features, guessed = judge.look_at(to_model_range(unseen.images))
    assert class_accuracy(guessed, unseen.labels, 10)[0] > 0.5  # chance is 0.1
    assert features.shape == (300, 64)
    assert not judge.training and not judge.mirror  # an arrow in a mirror is another class


def test_the_first_layer_for_photographs_makes_pixels_independent():
    x = to_model_range(load_dataset("shapes", image_size=16, size=200).images)
    judge = PhotoJudge(3, 10, 8)
    judge.whiten_by(x)
    found = judge.whiten(x).detach().transpose(0, 1).flatten(1)  # (24, B · places)
    torch.testing.assert_close(found[:12], -found[12:])
    products = found[:12] @ found[:12].T / found.shape[1]
    assert (products - products.diag().diag()).abs().max() < 1e-3
    assert 0.5 < products.diag().max() <= 1  # less than 1 only for what hardly varies


@pytest.mark.parametrize("kind", [PhotoJudge, LargeJudge])
def test_the_kinds_for_photographs_look_into_the_mirror_where_classes_survive_it(kind):
    x = torch.randn(3, 3, 16, 16)
    for mirror in (True, False):
        judge = kind(3, 10, 8, mirror).eval()
        same = torch.allclose(judge(x), judge(x.flip(-1)), atol=1e-6)
        assert same == mirror


def test_channels_lie_last_where_gradients_come_out_right():
    layouts = {"cpu": torch.channels_last, "cuda": torch.channels_last}
    layouts["mps"] = torch.contiguous_format
    assert all(
        referee_module._layout(torch.device(kind)) == layout for kind, layout in layouts.items()
    )


def test_the_kind_for_photographs_needs_some_pixels():
    with pytest.raises(UserError, match="16×16 pixels and more, not at 8×8"):
        train_judge(load_dataset("shapes", image_size=8, size=20), steps=3, kind="photo", width=8)


def test_crops_are_cut_out_of_mirrored_borders():
    """Each is the picture moved by at most a sixteenth, and mirrored where that is asked."""
    image = torch.arange(32 * 32).reshape(1, 1, 32, 32)
    wide = referee_module._with_border(image, 1 / 16)
    assert wide.shape == (1, 1, 36, 36)
    expected = torch.nn.functional.pad(image.double(), (2, 2, 2, 2), mode="reflect")
    assert torch.equal(wide.double(), expected)
    chosen = torch.zeros(400, dtype=torch.int64)
    mirrored = torch.arange(400) % 2 == 0
    crops = referee_module._random_crops(wide, chosen, image.shape[-2:], mirrored)
    places = {
        (y, x, flip): window.flip(-1) if flip else window
        for y in range(5)
        for x in range(5)
        for flip in (False, True)
        for window in [wide[0, 0, y : y + 32, x : x + 32]]
    }
    found = [place for crop in crops for place, w in places.items() if torch.equal(crop[0], w)]
    assert len(found) == 400
    assert set(found) == set(places)
    assert [flip for _, _, flip in found] == mirrored.tolist()


def test_a_square_of_each_image_is_covered():
    x = torch.rand(300, 3, 16, 32) + 1  # nowhere 0
    covered = referee_module._cover(x, 1 / 4) == 0
    assert (covered.sum((1, 2, 3)) == 3 * 4 * 8).all()
    assert torch.equal(covered[:, 0], covered[:, 2])
    rows, columns = covered[:, 0].any(2), covered[:, 0].any(1)
    assert (rows.sum(1) == 4).all() and (columns.sum(1) == 8).all()
    assert set(rows.int().argmax(1).tolist()) == set(range(13))
    assert set(columns.int().argmax(1).tolist()) == set(range(25))
    assert torch.equal(referee_module._cover(x, 0), x)


@pytest.mark.parametrize("kind", ["small", "photo", "large"])
def test_training_a_judge_leaves_the_random_state_and_repeats(kind):
    images = load_dataset("shapes", image_size=16, size=100)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (
        train_judge(images, steps=3, seed=seed, kind=kind, width=8) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.to_logits.weight, again.to_logits.weight)
    assert not torch.equal(first.to_logits.weight, other.to_logits.weight)


def test_looking_in_batches_is_looking_at_once(small_judge):
    x = to_model_range(load_dataset("shapes", image_size=8, size=23).images)
    features, guessed = small_judge.look_at(x)
    in_parts = small_judge.look_at(x, batch=5)
    assert features.shape == (23, 64)
    torch.testing.assert_close(in_parts[0], features, rtol=1e-4, atol=1e-4)
    assert torch.equal(guessed, small_judge(x).argmax(1))
    assert torch.equal(in_parts[1], guessed)


def test_a_judge_comes_back_from_its_file(tmp_path, small_judge):
    save_judge(small_judge, tmp_path / "judge.safetensors", {"seed": 0})
    loaded = load_judge(tmp_path / "judge.safetensors")
    x = to_model_range(load_dataset("shapes", image_size=8, size=7).images)
    assert torch.equal(loaded.look_at(x)[0], small_judge.look_at(x)[0])
    assert loaded.state_dict().keys() == small_judge.state_dict().keys()
    save_judge(small_judge, tmp_path / "half.safetensors", half=True)
    half = load_judge(tmp_path / "half.safetensors")
    torch.testing.assert_close(half.look_at(x)[0], small_judge.look_at(x)[0], rtol=0.01, atol=0.05)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "judge")]
    assert sizes[0] < 0.6 * sizes[1]


@pytest.mark.parametrize(
    "judge",
    [Judge(1, 4), PhotoJudge(1, 4, 8), LargeJudge(1, 4, 8)],
    ids=["small", "photo", "large"],
)
def test_a_judge_of_other_images_comes_back_too(tmp_path, judge):
    save_judge(judge, tmp_path / "judge.safetensors")
    loaded = load_judge(tmp_path / "judge.safetensors")
    assert type(loaded) is type(judge)
    assert loaded.shape == judge.shape
    x = torch.randn(2, 1, 28, 28)
    assert torch.equal(loaded.look_at(x)[0], judge.look_at(x)[0])
    assert loaded(x).shape == (2, 4)


def test_the_header_names_the_kind_and_an_old_one_that_does_not_is_small(tmp_path):
    path = tmp_path / "judge.safetensors"
    save_judge(PhotoJudge(3, 10, 8), path)
    assert read_tensors(path)[1]["judge"]["kind"] == "photo"
    save_judge(Judge(3, 10), path)
    tensors, header = read_tensors(path)
    assert header["judge"].pop("kind") == "small"
    write_tensors(path, tensors, header)
    assert type(load_judge(path)) is Judge


_SHAPE = {"channels": 3, "num_classes": 10}
_NO_JUDGES = [
    *({"about": {}}, {"judge": {}}, {"judge": {"kind": "later"}}, {"judge": "small"}, []),
    *({"judge": _SHAPE | odd} for odd in ({"num_classes": -1}, {"channels": 2.5}, {"kind": []})),
    *({"judge": _SHAPE, "about": about} for about in ("frogs", {"classes": 10})),
]


@pytest.mark.parametrize("header", _NO_JUDGES, ids=repr)
def test_a_file_that_is_no_judge_is_one_sentence(tmp_path, header):
    path = tmp_path / "judge.safetensors"
    write_tensors(path, {"model.w": torch.zeros(1)}, header)
    with pytest.raises(UserError, match=r"judge\.safetensors"):
        load_judge(path)


def test_an_unknown_kind_is_one_sentence():
    with pytest.raises(UserError, match="small, photo"):
        train_judge(load_dataset("shapes", image_size=8, size=20), steps=1, kind="vit")


def test_a_given_judge_is_taken_and_nothing_is_read_to_train_one(tmp_path, monkeypatch):
    save_judge(PhotoJudge(3, 10, 8), tmp_path / "given.safetensors")
    monkeypatch.setattr(referee_module, "train_judge", None)
    referee = appoint_referee(DataConfig(), held_out=20, given=tmp_path / "given.safetensors")
    assert referee.features.shape == (20, 32)
    save_judge(PhotoJudge(3, 7, 8), tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"other\.safetensors judges 7 classes"):
        appoint_referee(DataConfig(), held_out=20, given=tmp_path / "other.safetensors")


def pictures(folder, colours, n, seed):
    """Class folders of n noisy 8×8 pictures each, all different."""
    rng = np.random.default_rng(seed)
    for name, colour in colours.items():
        (folder / name).mkdir(parents=True)
        for k in range(n):
            pixels = np.clip(rng.normal(colour, 20, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{k}.png")


COLOURS = {"dark": 60, "light": 190}


def as_set(images):
    return {bytes(image.numpy().tobytes()) for image in images}


@pytest.mark.parametrize("with_test_part", [True, False])
def test_the_referee_of_a_folder(tmp_path, monkeypatch, with_test_part):
    """It learns from one part and is measured on the other; a second call remembers it."""
    data = tmp_path / "data"
    pictures(data / "train" if with_test_part else data, COLOURS, 20, seed=0)
    if with_test_part:
        pictures(data / "test", COLOURS, 6, seed=1)
    learnt_from, train = [], referee_module.train_judge

    def briefly(images, **options):
        learnt_from.append(images)
        return train(images, steps=20, **options)

    looked_at, look_at = [], Judge.look_at
    monkeypatch.setattr(referee_module, "train_judge", briefly)
    monkeypatch.setattr(
        Judge, "look_at", lambda self, x: (looked_at.append(x), look_at(self, x))[1]
    )
    config = DataConfig(dataset="folder", data_dir=str(data), image_size=8)
    referee = appoint_referee(config, keep_in=tmp_path)
    again = appoint_referee(config, keep_in=tmp_path)

    (learnt,) = learnt_from  # the second call found the file of the first
    learnt, measured = as_set(to_model_range(learnt.images)), as_set(looked_at[0])
    assert learnt.isdisjoint(measured)
    assert (len(learnt), len(measured)) == ((40, 12) if with_test_part else (36, 4))
    assert referee.n == len(measured)
    assert referee.features.shape == (referee.n, 64)
    assert referee.accuracy > 0.9
    assert torch.equal(again.features, referee.features)
    assert (tmp_path / "judge.safetensors").is_file()


@pytest.mark.parametrize("flip", [True, False])
def test_the_referee_looks_into_the_mirror_only_where_the_training_does(
    tmp_path, monkeypatch, flip
):
    """Left and right may be two classes, which a judge that learns from mirrored images cannot tell."""
    pictures(tmp_path, COLOURS, 20, seed=0)
    mirrored = []
    monkeypatch.setattr(
        referee_module,
        "train_judge",
        lambda images, **_: (mirrored.append(images.flip), Judge(3, 2))[1],
    )
    data = DataConfig(dataset="folder", data_dir=str(tmp_path), image_size=8, flip=flip)
    appoint_referee(data)
    assert mirrored == [flip]


def test_too_few_pictures_to_measure_by_are_told_before_a_judge_is_trained(tmp_path, monkeypatch):
    pictures(tmp_path, {"dark": 60}, 10, seed=0)
    monkeypatch.setattr(referee_module, "train_judge", None)
    with pytest.raises(UserError, match=r"at least 2 pictures .* there are 1"):
        appoint_referee(DataConfig(dataset="folder", data_dir=str(tmp_path)))


def test_a_referee_is_measured_on_at_most_so_many():
    assert appoint_referee(DataConfig(), held_out=50).n == 50


def test_the_shipped_judge_knows_shapes():
    referee = appoint_referee(DataConfig())
    assert referee.n == 2000
    assert referee.accuracy >= 0.99
    assert isinstance(referee, Referee)


class Copier:
    """A painter that draws real pictures of the classes asked for; `wrong` of every ten are another's."""

    def __init__(self, wrong=0):
        self.config, self.wrong, self.asked = tiny.CONFIG, wrong, []
        self.real = load_dataset("shapes", image_size=16, size=200, test=True)
        self.classes = self.real.classes

    def noise(self, n, seed):
        return torch.full((n, 3, 16, 16), float(seed))

    def draw(self, y, noise, how, seed, advance=None):
        self.asked.append((how.guidance_scale, float(noise.mean()), seed))
        shown = torch.where(y < self.wrong, (y + 1) % 10, y)
        chosen = shown + 10 * (torch.arange(len(y)) // 10)  # image i shows class i % 10
        return to_model_range(self.real.images[chosen])


def test_evaluation_scores_what_was_asked_for():
    referee = appoint_referee(DataConfig(), held_out=500)
    perfect = evaluate(Copier(), referee, tiny.CONFIG.sample, n=100, seed=7)
    assert perfect["n"] == 100
    assert perfect["class_accuracy"] >= 0.97
    assert perfect["frechet_n"] == [100, 500]
    assert perfect["guidance_scale"] == 1.5
    assert perfect["class_accuracy_guided"] == perfect["class_accuracy"]
    painter = Copier(wrong=3)
    wrong = evaluate(painter, referee, tiny.CONFIG.sample, n=100, seed=7)
    assert wrong["class_accuracy"] == pytest.approx(perfect["class_accuracy"] - 0.3, abs=0.03)
    assert wrong["worst_class"] in painter.classes[:3]
    assert wrong["worst_class_accuracy"] <= 0.1
    assert wrong["class_accuracies"]["arrow"] >= 0.9
    assert painter.asked == [(1.0, 7.0, 7), (1.5, 7.0, 7)]  # the same noise without and with


def test_evaluation_without_guidance_draws_once():
    painter, how = Copier(), replace(tiny.CONFIG.sample, guidance_scale=1.0)
    result = evaluate(painter, appoint_referee(DataConfig(), held_out=50), how, n=13)
    assert len(painter.asked) == 1
    assert not any(key.endswith("_guided") for key in result)
    # 13 pictures of ten classes: three of them twice
    assert len(result["class_accuracies"]) == 10


def test_evaluation_of_fewer_pictures_than_classes_has_no_nan():
    how = replace(tiny.CONFIG.sample, guidance_scale=1.0)
    result = evaluate(Copier(), appoint_referee(DataConfig(), held_out=50), how, n=4)
    assert list(result["class_accuracies"]) == ["circle", "square", "triangle", "star"]
    assert all(value == value for value in result["class_accuracies"].values())
