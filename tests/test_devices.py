"""The reference away from the CPU: all that trains, draws and judges, on a device that is no CPU.

There is a GPU on few machines; the pretended device (checks.fake_device) is on all of them, and takes no
tensor that was left behind. It cannot be taken back, hence the process of its own. What it says of CUDA's own
matters (streams, kernels, compiling) is nothing.
"""

import json
import subprocess
import sys
import textwrap

import pytest

from checks.catalogue import ROOT

BEGIN = f"""
import json
import sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from checks import fake_device
from checks.fake_device import NAME
fake_device.plug_in()
import torch
if not fake_device.AVAILABLE:
    sys.exit(3)
torch.set_num_threads(1)
import tiny
"""

# By name: what is computed on `device`, left in `result`. The same numbers are expected on the CPU.
WORK = {
    "training": """
        config, folder = tiny.config(images=108, min_snr_gamma=5.0), here / device
        launch.train(config, tiny.shapes(), folder, device)
        result = load_painter(folder).model.state_dict()
    """,
    "training, gone on with": """
        folder = here / f"resumed-{device}"
        launch.train(tiny.config(images=60), tiny.shapes(), folder, device)
        launch.train(tiny.config(images=120), tiny.shapes(), folder, device, resume=True)
        result = load_painter(folder).model.state_dict()
    """,
    "training with a CLIP loss": """
        folder = here / f"clip-{device}"
        launch.train(tiny.config(images=36, clip_loss=0.5), tiny.shapes(), folder, device)
        result = load_painter(folder).model.state_dict()
    """,
    "drawing": """
        launch.train(tiny.config(images=12), tiny.shapes(), here / f"new-{device}", "cpu")
        painter, result = load_painter(here / f"new-{device}", device=device), {}
        for sampler in ("ddim", "dpm", "ddpm"):
            for scale, interval in ((0.0, None), (1.0, None), (2.0, None), (2.0, (4, 12))):
                how, y = SampleConfig(sampler, 3, 0.5, scale, interval), torch.arange(3)
                x = painter.draw(y, painter.noise(3, 0), how)
                result[f"{sampler} {scale} {interval}"] = x
    """,
    "drawing with CLIP": """
        painter, model = load_painter("demo", device=device), load_clip("shapes", device=device)
        texts, how = texts_of(model, ["a photo of a red star"] * 2), SampleConfig("ddim", 3)
        y, noise, result = torch.tensor([3, 3]), painter.noise(2, 0), {}
        for name, guide in (("all", Guide()), ("fast", Guide(through_model=False, views=2))):
            result[name] = draw_guided(painter, model, texts, y, noise, how, guide)
    """,
    "a judge": """
        judge = load_judge(shipped_judge(DataConfig(), tiny.shapes().classes)).to(device)
        features, guessed = judge.look_at(to_model_range(pixels))
        result = {"features": features, "guessed": guessed}
        near, far = features[:60], features[60:]
        result["fréchet"] = torch.tensor(frechet_distance(near, far))
        result["kernel"] = torch.tensor(kernel_distance(near, far))
    """,
    "learning to judge": """
        judge = train_judge(tiny.shapes(), steps=2, device=device)
        result = judge.state_dict()
        # In 16 bits where there are units for them: no numbers to compare.
        judge = train_judge(tiny.shapes(), steps=2, device=device, kind="photo", width=8)
        x = to_model_range(pixels)
        result["photo"] = judge.to(device).look_at(x)[0].isfinite().all()
    """,
}

COMPARE = """
from ddpm_ref import launch
from ddpm_ref.clip.drawing import Guide, draw_guided, texts_of
from ddpm_ref.clip.models import load_clip
from ddpm_ref.data import to_model_range
from ddpm_ref.judge import load_judge
from ddpm_ref.referee import train_judge
from ddpm_ref.scores import frechet_distance, kernel_distance
from ddpm_ref.painting import load_painter
from ddpm_ref.presets import DataConfig, SampleConfig
from ddpm_ref.shipped import shipped_judge
here, pixels = Path(sys.argv[1]), tiny.shapes().images

def compare(work):
    found = []
    for device in ("cpu", NAME):
        torch.manual_seed(0)
        names = globals() | {"device": device}
        exec(work, names)
        found.append({k: v.detach().cpu() for k, v in names["result"].items()})
    expected, got = found
    assert expected.keys() == got.keys()
    return max((expected[k].double() - got[k].double()).abs().max().item() for k in expected)

outcomes = {}
for name, work in WORK.items():
    try:
        outcomes[name] = compare(work)
    except Exception as error:
        outcomes[name] = f"{type(error).__name__}: {error}"
    fake_device.forget()
print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """By work, how far the numbers are from the CPU's, or the error; all in one process."""
    work = {name: textwrap.dedent(text) for name, text in WORK.items()}
    script = BEGIN + f"WORK = {work!r}\n" + COMPARE
    here = str(tmp_path_factory.mktemp("devices"))
    done = subprocess.run([sys.executable, "-c", script, here], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip("this torch cannot pretend to have a GPU (2.9 and later can)")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("work", WORK)
def test_on_another_device_the_numbers_are_the_cpu_s(work, outcomes):
    assert isinstance(outcomes[work], float), outcomes[work]
    assert outcomes[work] < 2e-3
