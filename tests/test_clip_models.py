"""Where CLIP models come from: the small one, open_clip's real architecture from a file, and no network."""

import contextlib
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from ddpm_ref.clip import class_prompts, encode_images, encode_prompts, similarity_matrix
from ddpm_ref.clip import models as models_module
from ddpm_ref.clip.loss import ClipLoss
from ddpm_ref.clip.models import load_clip, reachable, read_small, write_small
from ddpm_ref.clip.train import SETTINGS, Captioned, contrastive_loss, train_clip, zero_shot
from ddpm_ref.data import to_model_range
from ddpm_ref.datasets import load_dataset
from ddpm_ref.errors import UserError
from ddpm_ref.files import read_tensors, write_tensors
from ddpm_ref.recipes import make_schedule
from ddpm_ref.shipped import WEIGHTS

HELD_OUT = 10**9


@pytest.fixture(scope="module")
def small():
    return load_clip("shapes")


def test_the_small_clip_names_what_it_has_not_seen(small):
    images = load_dataset("shapes", test=True, size=500)
    found = zero_shot(small, Captioned.of("shapes", images, first=HELD_OUT))
    assert found["class_accuracy"] >= 0.995
    assert found["colour_and_class_accuracy"] >= 0.99


def test_the_small_clip_is_open_clip_s_own(small):
    import open_clip

    assert type(small.clip) is open_clip.CLIP
    assert type(small.tokenizer) is type(open_clip.get_tokenizer("ViT-B-32"))
    assert not any(p.requires_grad for p in small.clip.parameters()) and not small.clip.training


def test_free_text(small):
    """Words in another order, words that it has never seen: still the right picture."""
    images = load_dataset("shapes", test=True, size=400)
    x = to_model_range(images.images)
    captioned = Captioned.of("shapes", images, first=HELD_OUT)
    blue_hearts = (captioned.colours == 5) & (images.labels == 6)
    assert blue_hearts.sum() >= 3
    with torch.no_grad():
        seen = encode_images(small.clip, x)
    for prompt in ("a heart that is blue", "please draw a lovely blue heart", "blue heart"):
        similarity = similarity_matrix(seen, encode_prompts(small.clip, [prompt], small.tokenizer))
        best = similarity[:, 0].topk(int(blue_hearts.sum())).indices
        assert blue_hearts[best].float().mean() >= 0.6, prompt
    assert small.unknown_words("please draw a lovely blue heart!") == ["please", "draw", "lovely"]
    assert small.unknown_words("a photo of a Blue heart.") == []


def test_training_learns_and_a_file_keeps_it(tmp_path):
    images = load_dataset("shapes", size=600)
    captioned = Captioned.of("shapes", images)
    before = torch.random.get_rng_state()
    clip, tokens = train_clip(captioned, steps=8, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    write_small(tmp_path / "a.safetensors", clip, tokens, SETTINGS, {"star"}, {})
    model = load_clip("ViT-B-32", str(tmp_path / "a.safetensors"))  # the file says what it is
    assert model.name == "a.safetensors" and model.words == {"star"}
    known = clip.token_embedding.weight[1:]
    table = model.clip.token_embedding.weight
    assert table.shape[0] == 49408
    assert torch.allclose(table[tokens[1:]], known, atol=2e-3)
    assert (table.abs().sum(1) > 0).sum() == len(tokens) - 1
    with pytest.raises(UserError, match="clip-train"):
        read_small(Path(models_module.__file__).parents[1] / "weights" / "shapes.safetensors")


@pytest.mark.slow
def test_a_minute_of_training_learns_classes_and_colours(tmp_path):
    clip, tokens = train_clip(Captioned.of("shapes", load_dataset("shapes", size=3000)), steps=60)
    write_small(tmp_path / "a.safetensors", clip, tokens, SETTINGS, set(), {})
    held_out = Captioned.of("shapes", load_dataset("shapes", test=True, size=300), first=HELD_OUT)
    found = zero_shot(read_small(tmp_path / "a.safetensors"), held_out)
    assert found["class_accuracy"] > 0.5 and found["colour_and_class_accuracy"] > 0.2


def test_the_loss_knows_that_captions_repeat():
    """Two pictures of one class with the same caption: no penalty for agreeing with each other's."""

    class Ideal:
        logit_scale = torch.tensor(4.0)

        def encode_text(self, rows):
            return rows.float()

        def encode_image(self, image):
            return image[:, :2, 0, 0]

        visual = type("V", (), dict(image_size=4, image_mean=(0.5,) * 3, image_std=(0.5,) * 3))

    x = torch.zeros(3, 3, 4, 4) - 1
    x[0, 0] = x[1, 0] = x[2, 1] = 1
    rows = torch.tensor([[1, -1], [1, -1], [-1, 1]])
    true = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
    right = contrastive_loss(Ideal(), x, rows, true)
    # The best there is: each of two equal captions has half of the probability.
    assert right.item() == pytest.approx((2 * torch.log(torch.tensor(2.0)).item()) / 3, abs=1e-3)
    assert contrastive_loss(Ideal(), x, rows.flip(1), true) > right + 10


@pytest.mark.slow
def test_the_real_architecture_from_a_local_file(tmp_path):
    """ViT-B-32 with random weights in the real format: the way that downloaded ones go."""
    import open_clip

    torch.manual_seed(3)
    theirs = open_clip.create_model("ViT-B-32-quickgelu").eval()
    file = tmp_path / "vit.safetensors"
    save_file({k: v.half() for k, v in theirs.state_dict().items()}, file)
    theirs.load_state_dict({k: v.half().float() for k, v in theirs.state_dict().items()})
    model = load_clip("ViT-B-32-quickgelu", str(file))
    assert model.name == "ViT-B-32-quickgelu, vit.safetensors" and model.words is None
    assert model.clip.visual.image_size in (224, (224, 224))
    assert model.clip.visual.image_mean[0] == pytest.approx(0.4815, abs=1e-3)
    x = to_model_range(tiny.shapes(2).images).requires_grad_(True)
    texts = encode_prompts(model.clip, class_prompts(["star", "arrow"]), model.tokenizer)
    tokens = open_clip.get_tokenizer("ViT-B-32")(["a photo of a star", "a photo of an arrow"])
    with torch.no_grad():
        assert torch.allclose(texts, F.normalize(theirs.encode_text(tokens), dim=-1), atol=1e-4)
    seen = encode_images(model.clip, x)
    (gradient,) = torch.autograd.grad(similarity_matrix(seen, texts).sum(), x)
    assert gradient.abs().sum() > 0
    with pytest.raises(UserError, match="Cannot make the CLIP RN50"):
        load_clip("RN50", str(file))


@pytest.mark.parametrize(
    "where, value",
    [
        (("settings", "vision_cfg"), "large"),
        (("settings", "text_cfg", "width"), None),
        (("settings", "text_cfg", "heads"), 5),
        (("settings", "vision_cfg", "layers"), []),
        (("settings", "embed_dim"), -1),
        (("tokens",), [10**9]),
        (("words",), 7),
    ],
)
def test_a_small_clip_with_a_damaged_header_is_one_sentence(where, value, tmp_path):
    tensors, header = read_tensors(WEIGHTS / "clip-shapes.safetensors")
    *path, last = where
    part = header["clip"]
    for name in path:
        part = part[name]
    part[last] = value
    write_tensors(tmp_path / "odd.safetensors", tensors, header)
    with pytest.raises(UserError, match=r"odd\.safetensors holds no CLIP"):
        read_small(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("content", [b"", b"junk\n" * 99, b"\x89PNG\r\n\x1a\n" * 99, b'{"a": 1}'])
def test_a_file_that_holds_no_weights_is_said_to_be_one(content, tmp_path):
    """In our words: torch's are several sentences, on how to run the code that a file may hold."""
    file = tmp_path / "weights.pt"
    file.write_bytes(content)
    with pytest.raises(UserError, match="no weights can be read from that file"):
        load_clip("ViT-B-32", str(file))


@pytest.fixture
def nothing_fetched(tmp_path, monkeypatch):
    """A machine that never fetched anything and has no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(models_module, "reachable", lambda: False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(models_module, "_clip_cache", lambda: tmp_path / "clip")
    return tmp_path


WITHOUT_NETWORK = [
    ("ViT-B-32", None, "--clip-weights FILE"),
    ("ViT-B-32", "laion2b_s34b_b79k", "cannot be fetched"),
    ("hf-hub:org/model", None, "cannot be fetched"),
    ("ViT-B-32", "no/such.safetensors", "There is no file"),
    ("ViT-B-33", None, "ViT-B-32"),
    ("shapes", "laion2b", "clip-train"),
    ("local-dir:nowhere", None, "Cannot make"),
]


@pytest.mark.parametrize(("name", "weights", "says"), WITHOUT_NETWORK)
def test_without_network_one_sentence_at_once(nothing_fetched, name, weights, says):
    import open_clip  # noqa: F401  (its import is not what is timed)

    began = time.monotonic()
    with pytest.raises(UserError, match=says):
        load_clip(name, weights)
    assert time.monotonic() - began < 5


def test_without_network_but_with_a_cache_of_something_else(nothing_fetched):
    (nothing_fetched / "hub" / "models--some--thing" / "snapshots" / "1").mkdir(parents=True)
    for name, weights in (("ViT-B-32", "openai"), ("hf-hub:org/model", None)):
        with pytest.raises(UserError, match="cannot be fetched"):
            load_clip(name, weights)
    with pytest.raises(UserError, match="no weights 'opeani': did you mean"):
        load_clip("ViT-B-32", "opeani")


def test_what_was_fetched_before_is_found(nothing_fetched, monkeypatch):
    """By its path, so that the hub is not asked whether there is a newer one."""
    import open_clip

    repo = nothing_fetched / "hub" / "models--timm--vit_base_patch32_clip_224.openai"
    folder = repo / "snapshots" / "abc"
    folder.mkdir(parents=True)
    for name in ("open_clip_model.bin", "open_clip_model.safetensors", "README.md"):
        (folder / name).write_bytes(b"")
    asked = []
    monkeypatch.setattr(
        open_clip, "create_model", lambda name, **options: asked.append(options) or tiny.Dial()
    )
    load_clip("ViT-B-32", "openai")
    (options,) = asked
    assert options["pretrained"] == str(folder / "open_clip_model.safetensors")
    assert options["force_quick_gelu"] is True
    assert options["force_preprocess_cfg"]["mean"][0] == pytest.approx(0.4815, abs=1e-3)


@contextlib.contextmanager
def server(answer: bytes | None):
    """Listens; answers each caller with these bytes, or never."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        callers = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    caller, _ = listening.accept()
                    callers.append(caller)
                    if answer is not None:
                        caller.recv(1000)
                        caller.sendall(answer)
                        caller.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        for caller in callers:
            caller.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 403 Forbidden\r\n\r\n", True),
        (None, False),
    ],
    ids=["answers", "refuses", "is silent"],
)
def test_whether_the_hub_answers(monkeypatch, answer, expected):
    for name in ("http_proxy", "HTTP_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(models_module, "PATIENCE", 1.0)
    with server(answer) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        began = time.monotonic()
        assert reachable() is expected
        assert time.monotonic() - began < 3
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert not reachable()


def test_nobody_listens(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert not reachable()


def test_a_clip_loss_that_has_no_clip_names_no_option_of_other_commands(monkeypatch):
    monkeypatch.setattr(models_module, "nothing_was_ever_fetched", lambda: True)
    monkeypatch.setattr(models_module, "reachable", lambda: False)
    recipe = tiny.config(clip_loss=0.5)
    recipe = replace(recipe, data=replace(recipe.data, dataset="folder"))
    with pytest.raises(UserError, match="--clip-loss needs the CLIP ViT-B-32") as told:
        ClipLoss(tiny.Dial(0.3), recipe, ("cat", "dog"), make_schedule(recipe), "cpu")
    assert "--clip-weights" not in str(told.value)


def test_the_clip_loss_by_hand(small):
    recipe = tiny.config(clip_loss=0.5)
    schedule = make_schedule(recipe)
    dial = tiny.Dial(0.3)
    loss = ClipLoss(dial, recipe, tiny.shapes(10).classes, schedule, "cpu")
    x, t, y = torch.randn(4, 3, 16, 16), torch.tensor([0, 3, 9, 19]), torch.tensor([3, 10, 0, 10])
    assert torch.equal(loss(x, t, y), 0.3 * x)
    found = loss.loss()
    expected = 0.0
    for k in (0, 2):  # 10 is the null label
        alpha_bar = schedule.alpha_bars[t[k]]
        x_0 = alpha_bar.sqrt() * x[k] - (1 - alpha_bar).sqrt() * 0.3 * x[k]
        (name,) = class_prompts([tiny.shapes(10).classes[int(y[k])]])
        text = encode_prompts(small.clip, [name], small.tokenizer)
        cosine = similarity_matrix(encode_images(small.clip, x_0[None]), text).item()
        expected += 0.5 * alpha_bar.item() * (1 - cosine) / 2
    assert found.item() == pytest.approx(expected, rel=1e-4)
    found.backward()
    assert dial.number.grad.abs() > 0
    assert list(loss.parameters()) == [dial.number]
    loss(x, t, torch.full((4,), 10))
    assert loss.loss().item() == 0


def test_fid_and_kid():
    """With torchmetrics, where it is installed, and a network of our own in place of Inception."""
    pytest.importorskip("torchmetrics")
    from ddpm_ref.clip.fid import FidAndKid
    from ddpm_ref.scores import frechet_distance

    class Means(torch.nn.Module):
        num_features = 6

        def forward(self, image):
            assert image.dtype == torch.uint8
            image = image.float() / 255
            return torch.cat([image.mean((2, 3)), image.std((2, 3))], 1)

    x, real = (to_model_range(load_dataset("shapes", size=n).images) for n in (60, 90))
    x = (x * 0.7).clamp(-1, 1)
    measure = FidAndKid(real, feature=Means())
    found = measure(x)
    assert measure(real)["fid"] == pytest.approx(0, abs=1e-4)
    assert measure(x) == found  # one set of pictures leaves nothing behind for the next
    assert found["fid_n"] == [60, 90]
    features = [Means()(((v + 1) * 127.5).round().byte()) for v in (x, real)]
    assert found["fid"] == pytest.approx(frechet_distance(*features), rel=1e-2, abs=1e-4)
    assert found["kid"] > FidAndKid(real[45:], feature=Means())(real[:45])["kid"]


def test_fid_without_torchmetrics(monkeypatch):
    import sys

    from ddpm_ref.clip.fid import FidAndKid

    monkeypatch.setitem(sys.modules, "torchmetrics.image.fid", None)
    with pytest.raises(UserError, match="pip install"):
        FidAndKid(torch.zeros(4, 3, 8, 8))
