"""Recipes: whole through JSON, right in size, and the plain one as plain as it should be."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from ddpm_ref.errors import UserError
from ddpm_ref.presets import PRESETS, RunConfig, for_images, preset
from ddpm_ref.recipes import make_model, make_schedule
from ddpm_ref.sampling import SAMPLERS

NAMES = sorted(PRESETS)


def parameters(recipe):
    with torch.device("meta"):  # the count without the memory
        return sum(p.numel() for p in make_model(recipe).parameters())


def test_there_are_five():
    assert NAMES == ["cifar10", "cifar10-small", "demo", "paper", "seed"]


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_survives_json(name):
    recipe = preset(name)
    assert recipe.preset == name
    again = RunConfig.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe
    assert hash(again) == hash(recipe)  # tuples are tuples again


def test_a_changed_recipe_survives_json():
    changed = replace(preset("demo"), train=replace(preset("demo").train, ema_decay=None, seed=9))
    again = RunConfig.from_dict(json.loads(json.dumps(changed.to_dict())))
    assert again == changed != preset("demo")


def test_recipes_are_frozen():
    with pytest.raises(FrozenInstanceError):
        preset("demo").train.seed = 1


def test_an_unknown_recipe_is_one_sentence():
    with pytest.raises(UserError, match='did you mean "paper"'):
        preset("papers")


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_can_be_made(name):
    """On one small picture: the model is built, its attention lies on levels that it has."""
    recipe = preset(name)
    size = recipe.model.image_size
    with torch.device("meta"):
        x, t = torch.zeros(1, 3, size, size), torch.zeros(1, dtype=torch.int64)
        assert make_model(recipe)(x, t).shape == x.shape
    assert make_schedule(recipe).timesteps == recipe.diffusion.timesteps
    assert recipe.sample.sampler in SAMPLERS
    assert 1 <= recipe.sample.steps <= recipe.diffusion.timesteps


def test_the_paper_s_size():
    assert parameters(preset("paper")) == pytest.approx(35.7e6, rel=0.05)


def test_the_demo_is_small():
    assert parameters(preset("demo")) < 1.5e6


def test_the_seed_is_the_report_s_recipe():
    recipe = preset("seed")
    model, knobs = recipe.model, recipe.train
    assert (model.base_width, model.multipliers) == (64, (1, 2, 4))
    assert (model.downsample, model.upsample, model.conditioning) == ("pool", "bilinear", "add")
    assert (model.attention_resolutions, model.residual) == ((), False)
    assert (recipe.diffusion.schedule, recipe.diffusion.target) == ("linear", "noise")
    assert recipe.diffusion.timesteps == 1000
    assert (knobs.learning_rate, knobs.batch_size, knobs.grad_clip) == (1e-4, 128, 1.0)
    assert knobs.ema_decay is None
    assert knobs.images == 50 * 45_000  # 50 epochs of nine tenths of CIFAR-10
    assert recipe.data.dataset == "cifar10"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("size", "channels"), [(64, 3), (32, 1)])
def test_recipes_move_to_other_images(name, size, channels):
    recipe = for_images(preset(name), size, channels, 7)
    assert (recipe.model.image_size, recipe.data.image_size) == (size, size)
    assert (recipe.model.channels, recipe.model.num_classes) == (channels, 7)
    before = preset(name).model
    levels = [before.image_size // r for r in before.attention_resolutions]
    assert [size // r for r in recipe.model.attention_resolutions] == levels
    with torch.device("meta"):
        assert make_model(recipe).channels == channels
    assert recipe.train == preset(name).train
