"""The data of the interactive figures are what the project computes now."""

import dataclasses
import json

import pytest
import torch

from checks.catalogue import chapters
from checks.gallery import pictured
from ddpm_ref.diffusion import NoiseSchedule
from ddpm_ref.presets import preset
from ddpm_ref.unet import UNet
from docs.tools import fences, interactive
from docs.tools.stamped import FOLDER


def data(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_the_dial_has_the_tables_of_the_reference(name):
    written = torch.tensor(data("noise-dial.json")["alpha_bar"][name], dtype=torch.float64)
    table = getattr(NoiseSchedule, name)().alpha_bars.double()
    torch.testing.assert_close(written, table, rtol=1e-6, atol=0)
    # What is shown of it, to three digits, also at the ends.
    for shown in ((1 - written).sqrt() - (1 - table).sqrt(), written.sqrt() - table.sqrt()):
        assert shown.abs().max() < 1e-4


def test_the_dial_s_picture_is_in_range_and_its_noise_is_normal():
    known = data("noise-dial.json")
    x_0, noise = (torch.tensor(known[name]) for name in ("x_0", "noise"))
    assert len(x_0) == len(noise) == 3 * known["size"] ** 2
    assert x_0.abs().max() <= 1 and x_0.std() > 0.1
    assert abs(noise.mean()) < 0.15 and abs(noise.std() - 1) < 0.1


def test_the_scrubber_s_sheet_has_a_row_a_walk():
    from PIL import Image

    known = data("scrubber.json")
    size = (2 * len(known["timesteps"]) * known["size"], len(known["rows"]) * known["size"])
    sheet = Image.open(FOLDER / "scrubber.png").convert("RGB")
    assert sheet.size == size
    # At scale 0 the class is ignored: one walk for all.
    walks = {(kind if s else None, s) for kind in known["classes"] for s in known["scales"]}
    assert len(known["rows"]) == len(walks) and {*map(tuple, known["rows"])} == walks
    assert (FOLDER / "scrubber.png").stat().st_size < 150_000
    schedule = NoiseSchedule.cosine()
    for t, alpha_bar in zip(known["timesteps"], known["alpha_bar"], strict=True):
        assert alpha_bar == pytest.approx(schedule.alpha_bars[t].item(), rel=1e-5)


@pytest.mark.parametrize("name", data("unet.json"))
def test_the_explorer_has_the_shapes_of_a_fresh_network(name):
    """Computed here, on numbers, not on shapes alone; a hook of torch's own for each layer."""
    known, config = data("unet.json")[name], preset(name).model
    torch.manual_seed(0)
    model = UNet(**dataclasses.asdict(config)).eval()
    assert known["size"] == config.image_size
    assert known["parameters"] == sum(p.numel() for p in model.parameters())
    seen = {}
    for layer in known["layers"]:
        module = model.get_submodule(layer["name"])
        assert layer["kind"] == type(module).__name__
        assert layer["parameters"] == sum(p.numel() for p in module.parameters())
        module.register_forward_hook(lambda m, a, out, n=layer["name"]: seen.update({n: (a, out)}))
    size = min(config.image_size, 32)
    with torch.no_grad():
        model(torch.zeros(1, 3, size, size), torch.tensor([7]), torch.tensor([1]))

    def sizes(value):
        return [list(tensor.shape[1:]) for tensor in (value if type(value) is tuple else (value,))]

    for layer, (given, gave, _) in zip(known["layers"], known["shapes"][str(size)], strict=True):
        inputs, outputs = seen[layer["name"]]
        assert (given, gave) == (sizes(inputs), sizes(outputs)), layer["name"]


def test_the_explorer_knows_which_skip_goes_where():
    layers = {layer["name"]: layer["of"] for layer in data("unet.json")["demo"]["layers"]}
    assert layers["ups.0"] == ["middle.1", "downs.1", "condition"]
    assert layers["ups.1"] == ["ups.0", "downs.0", "condition"]
    assert layers["stem"] == ["x"] and layers["condition"] == ["t", "y"]
    assert layers["head"] == ["forward"], "the SiLU before it is no layer"


def test_the_gallery_shows_every_mistake_that_has_a_picture():
    made = interactive.gallery()
    assert len(pictured()) >= 12
    for name, (chapter, mistake) in pictured().items():
        assert made.count(f'id="{name}"') == made.count(f'src="{name}.png"') == 1
        assert f"checks chapter {chapter.number} --only {mistake.id}" in made
    assert 'src="right.png"' in made


def test_every_pictured_mistake_is_seen_by_checks_of_its_exercise():
    experiments = {e.name: e for chapter in chapters().values() for e in chapter.experiments}
    seen = data("symptoms.json")
    assert list(seen) == list(pictured())
    for name, (_, mistake) in pictured().items():
        assert seen[name] and {experiments[each].id for each in seen[name]} == {mistake.id}


def test_a_figure_that_does_not_exist_is_an_error():
    from pymdownx.superfences import SuperFencesException

    with pytest.raises(SuperFencesException, match="there are noise-dial"):
        fences.interactive("noise-dail")
