"""Where CLIP models come from: open_clip's, by name, from a file, or the small ones in the package.

Each is of open_clip's own class with open_clip's own tokenizer, so nothing downstream knows which it is.
"""

import importlib.util
import logging
import os
import re
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ddpm_ref.errors import UserError, closest_hint, first_line, telling
from ddpm_ref.files import in_half_precision, load_weights, read_tensors, write_tensors
from ddpm_ref.shipped import PICTURES, WEIGHTS, shipped_clip

# open_clip takes seconds to import: only where a model is made.

DEFAULT, DEFAULT_WEIGHTS = "ViT-B-32", "openai"
PATIENCE = 3.0  # seconds that a server has to answer in
VOCABULARY = 49408  # tokens of open_clip's tokenizer


@dataclass(frozen=True)
class ClipModel:
    """A CLIP model, in eval mode and frozen, with its tokenizer.

    Attributes:
        clip: of open_clip's class, on one device.
        tokenizer: strings → (N, L) int64.
        name: for people: "ViT-B-32, openai".
        words: the only words it has learnt, or None where it knows all of English.
    """

    clip: nn.Module
    tokenizer: Callable[[list[str]], Tensor]
    name: str
    words: frozenset[str] | None = None

    def unknown_words(self, prompt: str) -> list[str]:
        """The words of a prompt that this model has never seen, and so ignores."""
        if self.words is None:
            return []
        return [w for w in re.findall(r"[a-z0-9]+", prompt.lower()) if w not in self.words]


def load_clip(
    name: str = DEFAULT, weights: str | None = DEFAULT_WEIGHTS, device="cpu"
) -> ClipModel:
    """A CLIP model by name and weights.

    Args:
        name: "shapes" or "cifar10" for a small one in the package, or a name that open_clip knows, such
            as "ViT-B-32", "hf-hub:ORG/REPO", "local-dir:FOLDER".
        weights: a tag that open_clip knows for that name, such as "openai"; or a file, in open_clip's
            format or written by `ddpm clip-train` (whatever the name says then). None: the default tag.
        device: where to.

    Raises:
        UserError: when there is no such model, or its weights are neither here nor to be fetched. Without a
            network that is said at once: open_clip itself would try for most of a minute.
    """
    if name in PICTURES and weights in (None, DEFAULT_WEIGHTS):
        return read_small(shipped_clip(name), device)
    if name not in PICTURES and ":" not in name and name not in (known := _names()):
        raise UserError(
            f"open_clip has no model {name!r}: {closest_hint(name, _few(name, known))}."
        )
    weights = weights or DEFAULT_WEIGHTS
    looks_like_a_file = Path(weights).suffix or os.sep in weights or "/" in weights
    if Path(weights).is_file():
        if is_small(Path(weights)):
            return read_small(Path(weights), device)
    elif looks_like_a_file:
        raise UserError(f"There is no file {weights}: --clip-weights takes a file or a tag.")
    elif name in PICTURES:
        raise UserError(
            f"The CLIP {name!r} has no weights {weights!r}: leave --clip-weights out, or give a file "
            "that `ddpm clip-train` wrote."
        )
    elif not name.startswith("local-dir:") and nothing_was_ever_fetched() and not reachable():
        raise _not_to_be_had(name, weights)  # before open_clip is imported, which takes longer
    return _from_open_clip(name, weights, device)


def _from_open_clip(name: str, weights: str, device) -> ClipModel:
    import open_clip

    made_of = name
    if ":" in name:  # a repository or a folder that holds all it takes
        options: dict = {}
        if name.startswith("hf-hub:") and not reachable():
            file = _fetched({"hf_hub": f"{name[7:]}/"})
            if file is None:
                raise _not_to_be_had(name, weights)
            made_of = f"local-dir:{file.parent}"
    elif Path(weights).is_file():
        options = {"pretrained": weights}
    else:
        options = _tagged(name, weights)
    try:
        with _quiet():
            clip = open_clip.create_model(made_of, require_pretrained=True, **options)
            tokenizer = open_clip.get_tokenizer(made_of)
    except Exception as error:  # from a dozen libraries; whatever it is, there is no model
        reason = first_line(error).rstrip(".: ")
        # A RuntimeError tells how the weights do not fit; of other files torch says how to run their code.
        if Path(weights).is_file() and not isinstance(error, RuntimeError):
            reason = "no weights can be read from that file"
        raise UserError(
            f"Cannot make the CLIP {name} of {weights} ({reason}): take other --clip-weights, or "
            f"--clip-model {' or '.join(PICTURES)}."
        ) from error
    title = name if ":" in name else f"{name}, {Path(weights).name}"
    return ClipModel(clip.to(device).eval().requires_grad_(False), tokenizer, title)


def _tagged(name: str, tag: str) -> dict:
    """What `create_model` has to be given for weights with a tag."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag not in tags:
        raise UserError(f"{name} has no weights {tag!r}: {closest_hint(tag, tags)}.")
    settings = get_pretrained_cfg(name, tag)
    # Weights that were trained with the quick GELU need it, whatever the name stands for.
    options = {"pretrained": tag, "force_quick_gelu": bool(settings.get("quick_gelu"))}
    if (file := _fetched(settings)) is not None:
        # By its path: by its tag, the server would be asked whether there is a newer one.
        ranges = {key: settings[key] for key in ("mean", "std") if settings.get(key)}
        options |= {"pretrained": str(file), "force_preprocess_cfg": ranges}
    elif not reachable():
        raise _not_to_be_had(name, tag)
    return options


def _names() -> list[str]:
    """The models that open_clip knows, told without importing it."""
    (package,) = importlib.util.find_spec("open_clip").submodule_search_locations
    return sorted(path.stem for path in (Path(package) / "model_configs").glob("*.json"))


def _few(name: str, known: list[str]) -> list[str]:
    """The names worth telling, of a hundred."""
    import difflib

    return difflib.get_close_matches(name, known, n=3, cutoff=0.3) or [*PICTURES, DEFAULT, "RN50"]


def _not_to_be_had(name: str, weights: str) -> UserError:
    return UserError(
        f"The weights {weights} of {name} are not on this machine and cannot be fetched: connect to the "
        f"network, give --clip-weights FILE, or take --clip-model {' or '.join(PICTURES)}, "
        "which come with the package."
    )


@contextmanager
def _quiet():
    """Without open_clip's page of log and its warnings: what matters is said in one sentence of ours."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _fetched(settings: dict) -> Path | None:
    """The file with these weights, where it has been fetched before."""
    from huggingface_hub import constants

    repo, _, file = settings.get("hf_hub", "").rpartition("/")
    folder = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}" / "snapshots"
    endings = (".safetensors", ".bin", ".pt", ".pth")
    there = [path for path in folder.glob("*/*") if path.suffix in endings]
    if file:
        there = [path for path in there if path.stem == Path(file).stem]
    there.sort(key=lambda path: endings.index(path.suffix))
    return there[0] if there else None


def _clip_cache() -> Path:
    return Path.home() / ".cache" / "clip"


def nothing_was_ever_fetched() -> bool:
    """Whether the folders that downloads go to are empty or missing, told without importing anything."""
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    hub = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    folders = (Path(hub or Path(home) / "hub"), _clip_cache())
    return not any(any(f.glob("models--*")) or any(f.glob("*.pt")) for f in folders if f.is_dir())


def reachable() -> bool:
    """Whether the server that weights come from answers, whatever it says, within `PATIENCE` seconds.

    Through the proxy that the environment names, if it names one. In a thread, because looking up a
    name cannot be given a limit of time.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    server = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(server, method="HEAD")
            urllib.request.urlopen(request, timeout=PATIENCE).close()
        except urllib.error.HTTPError:
            answered.set()  # a refusal is an answer
        except (OSError, ValueError):
            return
        answered.set()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return answered.is_set()


def make_small(settings: dict) -> nn.Module:
    """A CLIP of open_clip's class with these settings of its two towers, weights as initialised."""
    import open_clip

    clip = open_clip.CLIP(**settings)
    clip.visual.image_mean, clip.visual.image_std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    return clip


def make_tokenizer(context_length: int):
    """open_clip's own tokenizer, for captions of so many tokens, beginning and end included."""
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer(context_length=context_length)


def is_small(path: Path) -> bool:
    """Whether a file is one that `ddpm clip-train` wrote."""
    if path.suffix != ".safetensors":
        return False
    try:
        return "clip" in read_tensors(path)[1]
    except UserError:
        return False


def write_small(
    path: Path, clip: nn.Module, tokens: Tensor, settings: dict, words, about: dict
) -> None:
    """Write a small CLIP in half precision, without the rows of the token table that it never learnt.

    Args:
        clip: with a token table of len(tokens) rows.
        tokens: (V,) int64, rising: which tokens of open_clip's vocabulary these are.
        settings: of the towers; vocab_size is left to the reader.
        words: what it has learnt, for people.
        about: anything that JSON can hold.
    """
    tensors = in_half_precision(clip.state_dict())
    header = {"settings": settings, "tokens": tokens.tolist(), "words": sorted(words)}
    write_tensors(path, tensors, {"clip": header, "about": about})


def read_small(path: Path, device="cpu") -> ClipModel:
    """Read what `write_small` wrote. Tokens that it never learnt get rows of zeros: they say nothing."""
    tensors, header = read_tensors(path)
    with telling(f"{path} holds no CLIP: give a file that `ddpm clip-train` wrote."):
        about = header["clip"]
        settings, words = about["settings"], frozenset(about["words"])
        tensors = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
        learnt = tensors["token_embedding.weight"]
        table = learnt.new_zeros(VOCABULARY, learnt.shape[1])
        table[torch.tensor(about["tokens"])] = learnt
        tensors["token_embedding.weight"] = table
        clip = make_small(settings)
    load_weights(clip, tensors, path)
    name = path.stem.removeprefix("clip-") if path.parent == WEIGHTS else path.name
    tokenizer = make_tokenizer(settings["text_cfg"]["context_length"])
    clip = clip.to(device).eval().requires_grad_(False)
    return ClipModel(clip, tokenizer, name, words)
