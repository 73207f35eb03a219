"""What torch finds on this machine, as a JSON object a line. Run by path, by `checks.doctor`.

    device.py ROOT

What was found before something breaks has been told by then.
"""

import importlib.util
import json
import sys
import time


def main(root: str) -> None:
    installed = importlib.util.find_spec("ddpm_ref")  # before this checkout's can be found
    _tell(ddpm_ref=installed and installed.origin)
    start = time.perf_counter()
    import torch

    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    _tell(torch=torch.__version__, build=build, seconds=time.perf_counter() - start)
    sys.path.insert(0, root)
    from ddpm_ref.precision import cpu_has_bf16, select_precision
    from ddpm_ref.training import select_device

    device = select_device()
    name, bf16 = device.type, False
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        name += f" ({about.name}, {about.total_memory / 1e9:.0f} GB)"
        bf16 = about.major >= 8
    elif device.type == "cpu":
        threads = torch.get_num_threads()
        name += f" ({threads} thread{'s' * (threads != 1)})"
        bf16 = cpu_has_bf16()
    precision = select_precision("auto", device)
    _tell(device=name, precision=precision, bf16=bf16, trouble=_trouble(torch, device))
    import torchvision  # noqa: F401 (chapter 1 and open_clip do; one built for another torch fails)


def _trouble(torch, device) -> str:
    """What goes wrong when the device is made to compute; "" when nothing does."""
    try:
        x = torch.randn(2, 8, 16, 16, device=device)
        weight = torch.randn(8, 8, 3, 3, device=device)
        torch.nn.functional.conv2d(x, weight).flatten(1).mm(x.flatten(1)[:, :1568].T).sum().item()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return ""


def _tell(**facts) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
