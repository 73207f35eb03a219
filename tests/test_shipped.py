"""What comes with the package, and which of it suits a model."""

from dataclasses import replace

import pytest

from ddpm_ref import shipped
from ddpm_ref.clip.models import load_clip
from ddpm_ref.datasets import CIFAR10_CLASSES
from ddpm_ref.errors import UserError
from ddpm_ref.judge import load_judge
from ddpm_ref.painting import load_painter
from ddpm_ref.presets import DataConfig
from ddpm_ref.shapes import CLASSES

PHOTOS = DataConfig(dataset="folder", image_size=32)


@pytest.mark.parametrize("name", shipped.MODELS)
def test_each_model_comes_with_a_judge_and_a_clip(name):
    painter = load_painter(name)
    data, classes = painter.config.data, painter.classes
    assert painter.source == shipped.shipped_model(name)
    judge = load_judge(shipped.shipped_judge(data, classes))
    assert judge.shape["num_classes"] == len(classes)
    clip = load_clip(shipped.pictures_of(data, classes))
    assert clip.name == shipped.pictures_of(data, classes)
    assert not clip.unknown_words(" ".join(classes))


def test_without_a_name_it_is_the_demo():
    assert load_painter().source == shipped.shipped_model("demo")


def test_a_run_of_the_name_of_a_model_comes_first(tmp_path, monkeypatch):
    (tmp_path / "undertrained").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"config\.json"):
        load_painter("undertrained")


def test_cifar10_is_known_by_its_classes_wherever_it_lies():
    assert shipped.pictures_of(PHOTOS, list(CIFAR10_CLASSES)) == "cifar10"
    assert shipped.pictures_of(PHOTOS, CIFAR10_CLASSES[::-1]) is None
    assert shipped.pictures_of(replace(PHOTOS, dataset="mnist"), tuple("0123456789")) is None
    assert shipped.pictures_of(DataConfig(), CLASSES) == "shapes"


def test_a_judge_comes_for_one_size_of_pictures():
    assert shipped.shipped_judge(PHOTOS, CIFAR10_CLASSES).is_file()
    assert shipped.shipped_judge(replace(PHOTOS, image_size=16), CIFAR10_CLASSES) is None
    assert shipped.shipped_judge(DataConfig(image_size=16), CLASSES).is_file()
    assert shipped.shipped_judge(DataConfig(image_size=32), CLASSES) is None
    assert shipped.shipped_judge(PHOTOS, ("cat", "dog")) is None


def test_models_that_do_not_come_are_one_sentence():
    with pytest.raises(UserError, match="ddpm train --preset paper"):
        shipped.shipped_model("paper")
    with pytest.raises(UserError, match='did you mean "cifar10"'):
        shipped.shipped_model("cifar")
