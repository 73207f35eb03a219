"""A pretended accelerator, for machines that have none: device mistakes show as they would on a GPU.

Its tensors keep their numbers in CPU tensors that only this module knows. An operation on them takes the
CPU tensors, does the work there, and wraps what comes out. Operands on two devices are an error, with the
exceptions that a GPU makes too: numbers without axes, and indices, may come from the CPU.

It rests on a part of torch that is called experimental: a Python backend on the device `privateuseone`
(torch 2.9 and later). After `plug_in()`, `AVAILABLE` says whether it is there. What it can do is pinned by
tests/grading/test_fake_device.py; where a right program asks for more, it raises `NotPretended`, which
experiments do not hold against the program. To be plugged in before the submission is imported: it gives
torch.Generator a second device.
"""

from contextlib import suppress
from functools import partial

import torch
from torch import Generator, Tensor

from checks.lab import not_run

NAME = "pretended"  # torch.device("pretended")


class NotPretended(Exception):
    """The pretended device lacks something that a GPU has. Nobody's mistake but ours."""


class _Generator(Generator):
    """torch.Generator, which exists on the pretended device too; the CPU's draws its numbers."""

    here: dict[
        int, "_Generator"
    ] = {}  # those of the device, by address; kept, like the storages below

    def __new__(cls, device="cpu"):
        if torch.device(device).type != NAME:
            return super().__new__(cls, device)
        made = super().__new__(cls, "cpu")
        cls.here[made._cdata] = made
        return made

    @property
    def device(self):
        here = self._cdata in self.here
        return torch.device(NAME, 0) if here else Generator.device.__get__(self)


class _Module:
    """What `torch.pretended` offers, as `torch.cuda` does for CUDA."""

    def is_initialized(self):
        return True

    def is_available(self):
        return True

    def current_device(self):
        return 0

    def device_count(self):
        return 1

    def set_device(self, device):
        pass

    def _is_in_bad_fork(self):
        return False

    def get_amp_supported_dtype(self):
        return [torch.float16, torch.bfloat16]

    def synchronize(self, device=None):
        pass

    def empty_cache(self):
        pass

    # The CPU's generator draws the numbers, which whoever saves random states has saved already.
    def manual_seed(self, seed):
        pass

    def manual_seed_all(self, seed):
        pass

    def get_rng_state(self, device=None):
        return torch.get_rng_state()

    def set_rng_state(self, state, device=None):
        pass


# Where the numbers of a wrapped tensor are, by the address of its storage: that is what copies share
# which torch makes without asking (`p.data`). The storage is kept too, so that no other takes its address.
_numbers: dict[int, tuple] = {}


def forget() -> None:
    """Free the memory of all tensors made so far; they cannot be used any more."""
    _numbers.clear()
    _Generator.here.clear()


def _wrap(plain: Tensor) -> Tensor:
    # In inference mode too: a view of an ordinary tensor has to be an ordinary one.
    with torch.inference_mode(False):
        made = torch._C._acc.create_empty_tensor(list(plain.shape), plain.dtype)
    storage = made.untyped_storage()
    _numbers[storage._cdata] = (storage, plain)
    return made


def _plain(wrapped: Tensor) -> Tensor:
    storage = wrapped.untyped_storage()._cdata
    if storage not in _numbers:
        raise NotPretended("a tensor that torch made without asking")
    plain = _numbers[storage][1]
    if plain.shape == wrapped.shape:
        return plain
    # Torch has laid another shape over the same storage without asking.
    if plain.numel() == wrapped.numel():
        return plain.reshape(wrapped.shape)
    return plain.as_strided(wrapped.shape, wrapped.stride(), wrapped.storage_offset())


def _is_here(value) -> bool:
    return isinstance(value, Tensor) and value.device.type == NAME


def _tensors(value) -> list[Tensor]:
    values = value if isinstance(value, list | tuple) else [value]
    return [v for v in values if isinstance(v, Tensor)]


def _operation(operation, *args, **kwargs):
    """Any operation that has an operand on the device, or is asked for a result there."""
    name, arguments = operation.name(), operation._schema.arguments
    given = dict(zip((a.name for a in arguments), args, strict=False)) | kwargs
    written = [a.name for a in arguments if a.alias_info and a.alias_info.is_write]
    _check_devices(name, given, written)
    inside = {key: _inside(value) for key, value in given.items()}
    for a in arguments:  # torch hands on `mask & True` as it was written
        if str(a.type) == "Tensor" and isinstance(inside.get(a.name), bool | int | float):
            inside[a.name] = torch.tensor(inside[a.name])
    try:
        with torch.inference_mode(False), torch.no_grad():
            result = _SPECIAL.get(name, _as_it_is)(operation, inside)
    except NotImplementedError as error:
        raise NotPretended(f"{name}: {error}") from None
    for key in written:
        for wrapped, plain in zip(_tensors(given[key]), _tensors(inside[key]), strict=True):
            if plain.shape != wrapped.shape:
                wrapped.data = _wrap(plain)
    targets = [given[key] for key in written]
    if written and isinstance(result, Tensor):
        return targets[0]
    if written and isinstance(result, tuple):
        return tuple(targets)
    return _outside(result)


def _check_devices(name: str, given: dict, written: list[str]) -> None:
    """Refuse what a GPU would refuse.

    Raises:
        RuntimeError: in torch's words.
    """
    for key, value in given.items():
        if isinstance(value, Generator) and value._cdata not in _Generator.here:
            raise RuntimeError(f"Expected a '{NAME}' device type for generator but found 'cpu'")
        if name.startswith(_COPIES) or (key == "indices" and name.startswith(_INDEXING)):
            continue
        alone = not isinstance(value, list | tuple)
        for tensor in _tensors(value):
            a_number = tensor.ndim == 0 and alone and key not in written
            if not _is_here(tensor) and not a_number:
                raise RuntimeError(
                    f"Expected all tensors to be on the same device, but found at least two devices, "
                    f"{NAME}:0 and {tensor.device}! (in {name})"
                )


_COPIES = ("aten::_copy_from", "aten::copy_", "aten::_to_copy")
_INDEXING = ("aten::index", "aten::_index_put", "aten::_unsafe_index")


def _inside(value):
    if isinstance(value, list | tuple):
        return [_inside(v) for v in value]
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return _plain(value) if _is_here(value) else value


def _outside(value):
    if isinstance(value, list | tuple):
        return type(value)(map(_outside, value))
    return _wrap(value) if isinstance(value, Tensor) else value


def _as_it_is(operation, inside: dict):
    arguments = operation._schema.arguments
    plain = [inside[a.name] for a in arguments if a.name in inside and not a.kwarg_only]
    named = {a.name: inside[a.name] for a in arguments if a.name in inside and a.kwarg_only}
    if "pin_memory" in named:
        named["pin_memory"] = None
    return operation(*plain, **named)


def _view(_, inside: dict) -> Tensor:
    """Wrapped tensors all claim to lie densely; their numbers need not."""
    if "dtype" in inside:
        return inside["self"].contiguous().view(inside["dtype"])
    return inside["self"].reshape(inside["size"])


def _as_strided(_, inside: dict) -> Tensor:
    return _laid_out(*inside.values())


def _as_strided_in_place(_, inside: dict) -> Tensor:
    """What the likes of `squeeze_` come down to."""
    return inside["self"].set_(_laid_out(*inside.values()))


def _laid_out(plain: Tensor, size: list, stride: list, offset: int | None = None) -> Tensor:
    """`as_strided` of a wrapped tensor, which claims to lie densely, done to its numbers, which need not.

    The result shares its memory with them wherever that can be, so that `x[:, 1:3, 1:3] = 0` arrives.
    """
    if plain.is_contiguous():
        return plain.as_strided(size, stride, plain.storage_offset() + (offset or 0))
    claimed = torch.arange(plain.numel()).as_strided(size, stride, offset or 0)
    where = torch.zeros_like(claimed)  # in the memory of `plain`
    for length, real in zip(reversed(plain.shape), reversed(plain.stride()), strict=True):
        where += claimed % length * real
        claimed = claimed // length
    first = where.flatten()[:1].sum().item()
    strides = [
        (where.select(k, 1).flatten()[0] - first).item() if where.numel() and n > 1 else 0
        for k, n in enumerate(where.shape)
    ]
    regular = first + sum(
        (torch.arange(n) * real).reshape(-1, *[1] * (len(size) - 1 - k))
        for k, (n, real) in enumerate(zip(size, strides, strict=True))
    )
    if torch.equal(where, torch.as_tensor(regular).expand(where.shape)):
        return plain.as_strided(size, strides, plain.storage_offset() + first)
    return plain.contiguous().as_strided(size, stride, offset or 0)


def _copy_from(_, inside: dict) -> Tensor:
    return inside["dst"].copy_(inside["self"])


def _convolution(_, inside: dict) -> Tensor:
    return torch.ops.aten.convolution(*inside.values())


def _convolution_backward(_, inside: dict) -> tuple:
    gradient, image, weight, *how, mask = inside.values()
    return torch.ops.aten.convolution_backward(
        gradient, image, weight, [weight.shape[0]] if mask[2] else None, *how, mask
    )


_SPECIAL = {
    "aten::_fused_sdp_choice": lambda *_: 0,  # attention by products, of which each is done here
    "aten::view": _view,
    "aten::view.dtype": _view,
    "aten::_unsafe_view": _view,
    "aten::_reshape_alias": _view,
    "aten::as_strided": _as_strided,
    "aten::as_strided_": _as_strided_in_place,
    "aten::_copy_from": _copy_from,
    "aten::convolution_overrideable": _convolution,
    "aten::convolution_backward_overrideable": _convolution_backward,
}


# These have a kernel of torch's own, which goes before a fallback.
_NATIVE = ("convolution_overrideable", "convolution_backward_overrideable", "as_strided_")


def is_to_blame(error: BaseException) -> bool:
    """Whether a program ended because the device lacks something, not because of a mistake of its own."""
    if isinstance(error, NotPretended):
        return True
    text = str(error)
    # Torch's words for an operation that a device does not have, for generators, for storages.
    return isinstance(error, RuntimeError) and (
        (isinstance(error, NotImplementedError) and (NAME in text or "PrivateUse1" in text))
        or ("storage" in text and (NAME in text or "size 0" in text))
        or "inference tensor" in text
    )


_deepcopy_elsewhere = Tensor.__deepcopy__


def _deepcopy(self: Tensor, memo: dict) -> Tensor:
    """torch would copy the storage, which is empty."""
    if not _is_here(self):
        return _deepcopy_elsewhere(self, memo)
    if id(self) not in memo:
        copied = memo[id(self)] = self.detach().clone().requires_grad_(self.requires_grad)
        copied.grad = None if self.grad is None else self.grad.detach().clone()
    return memo[id(self)]


def _answer_for_it() -> list:
    """Have torch hand us all operations of the device that nobody has yet; slow, and seen by nobody.

    Returns what has to be kept for it to stay, nothing where torch lacks the means.
    """
    try:
        everything = torch.library.Library("_", "IMPL")
        everything.fallback(_operation, "PrivateUse1")
        everything.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")  # no effect
        single = torch.library.Library("aten", "IMPL")
        for name in _NATIVE:
            operation = getattr(torch.ops.aten, name).default
            single.impl(name, partial(_operation, operation), "PrivateUse1")
        return [everything, single]
    except Exception:
        return []


_kept = _answer_for_it()
AVAILABLE = False


def plug_in() -> None:
    """From now on this process has the device, unless torch lacks the means: see `AVAILABLE`."""
    global AVAILABLE
    if AVAILABLE or not _kept:
        return
    with suppress(Exception):
        from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

        _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
        torch.Generator, Tensor.__deepcopy__ = _Generator, _deepcopy
        # Backward through `x[:, 1:] = y` repeats the slicing, in place of trusting the strides claimed.
        torch.autograd._force_original_view_tracking(True)
        moved = torch.ones(2).to(NAME)
        AVAILABLE = (moved + moved).sum().item() == 4


def on_the_device(run, right):
    """What run() finds on the pretended device.

    Where torch has none, nothing is run. Where the device lacks what a GPU has, nothing is held against
    the program: `right` is what a right one shows.
    """
    if not AVAILABLE:
        return not_run("this torch cannot pretend to have a GPU (2.9 and later can)")
    try:
        return run()
    except Exception as error:
        if is_to_blame(error):
            return right
        raise
    finally:
        forget()
