"""How many bits a number gets: which precision suits a device, and what it takes to train in it.

fp32   everything in 32 bits; on NVIDIA cards since 2020 its products run as TF32
bf16   products in 16 bits with the range of fp32: needs nothing else
fp16   products in 16 bits with a small range: gradients are scaled up so that none becomes 0
"""

from contextlib import AbstractContextManager

import torch

from ddpm_ref.errors import UserError, closest_hint

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def select_precision(name: str, device: torch.device) -> str:
    """ "auto" becomes what is fastest and safe on the device; any other name is checked and kept.

    auto: bf16 on GPUs with bf16 units (A100, H100 and later) and on CPUs with AVX-512 or AMX bf16;
    fp16 on older NVIDIA GPUs (T4, V100); fp32 elsewhere.

    Raises:
        UserError: on an unknown name.
    """
    if name not in PRECISIONS:
        raise UserError(f"There is no precision {name!r}: {closest_hint(name, PRECISIONS)}.")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device)[0] >= 8 else "fp16"
    if device.type == "cpu" and cpu_has_bf16():
        return "bf16"
    return "fp32"


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 numbers itself; emulated, they are slower than fp32."""
    # The questions have no public name in torch; a torch that renames them gets fp32.
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in questions)


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """The context in which loss and samples are computed; does nothing for fp32."""
    dtype = _DTYPES.get(precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def memory_format(device: torch.device, precision: str) -> torch.memory_format:
    """How weights lie in memory: with the channels last where 16-bit convolutions want it, on GPUs.

    On a CPU it costs as often as it helps (measured: `benchmarks/train_throughput.py`).
    """
    wanted = device.type == "cuda" and precision in _DTYPES
    return torch.channels_last if wanted else torch.contiguous_format


def make_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """What keeps fp16 gradients above 0; for the other precisions it passes everything through."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def allow_tf32() -> None:
    """Let fp32 products on NVIDIA GPUs run as TF32: several times faster, ten bits of mantissa.

    A CPU that knows TF32 is allowed it as well: to be called only where a GPU computes.
    """
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
