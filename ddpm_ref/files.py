"""Files that appear whole or not at all, and weights that cannot run code when they are read."""

import json
import os
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from ddpm_ref.errors import UserError


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the file and rename: whoever reads it finds the old content or the new, whole.

    A link stays one: what it points to is replaced. A device or a pipe is written to.
    """
    path = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            path.write_bytes(content)
            return
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:  # Ctrl-C too must leave nothing behind
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise UserError(
            f"Cannot write {path} ({error.strerror or error}): choose another place or make room."
        ) from error


def write_json(path: Path, values: dict) -> None:
    """Values that JSON knows, for programs and people alike."""
    write_atomically(path, (json.dumps(values, indent=2) + "\n").encode())


def write_tensors(path: Path, tensors: dict[str, Tensor], header: dict) -> None:
    """Tensors and a header to safetensors; the header again in a .json file beside it, for people."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    write_atomically(path, to_bytes(tensors, metadata={"ddpm": json.dumps(header)}))
    write_json(path.with_suffix(".json"), header)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """The tensors and the header of one of our safetensors files.

    Raises:
        UserError: when the file is missing, damaged, or not one of ours.
    """
    if not Path(path).is_file():
        raise UserError(
            f"There is no checkpoint {path}: give the folder of a run, or a .safetensors file of one."
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["ddpm"])
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, header
    except KeyError as error:
        raise UserError(
            f"{path} was not written by this program: it holds weights, but not what of."
        ) from error
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"{path} is damaged or no safetensors file ({error}): take another checkpoint."
        ) from error


def in_half_precision(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights to pass on: whole numbers stay as they are."""
    return {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}


def load_weights(
    model: nn.Module,
    weights: dict[str, Tensor],
    path: Path,
    fix: str = "use it with the configuration it was trained with",
) -> None:
    """`load_state_dict`, with one sentence for all that can be wrong; it ends with what to do, `fix`."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        own = model.state_dict()
        odd = [
            k
            for k in {**own, **weights}
            if k not in own or k not in weights or own[k].shape != weights[k].shape
        ]
        raise UserError(
            f"{path} holds the weights of another model: {len(odd)} tensors differ in name or shape "
            f"(the first is {odd[0]}); {fix}."
        ) from error
