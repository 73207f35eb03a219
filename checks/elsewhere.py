"""Another device, on a machine that has none: tensors that claim to be elsewhere and still hold numbers.

Code that forgets to move a tensor, or makes one on the CPU, fails on a GPU and nowhere else. Within
`elsewhere()` the device "meta" stands for the GPU: `x.to("meta")` takes x there, what is computed there
stays there, and mixing the two places is the error that it is with a GPU. Unlike torch's own meta tensors
these can be looked at (`.item()`, `if (betas > 0).all()`), so that right code runs.
"""

from contextlib import contextmanager

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = "meta"


@contextmanager
def elsewhere():
    """Within it the device "meta" is another device, with numbers."""
    with _Operations(), _Literals():
        yield


def brought_back(value):
    """The numbers of a tensor from elsewhere; of anything else, where or what it is."""
    if isinstance(value, _There):
        return value.numbers
    return f"on the {value.device.type}" if isinstance(value, Tensor) else type(value).__name__


class _There(Tensor):
    """A tensor that says it is on "meta"; its numbers are kept beside, on the CPU."""

    @staticmethod
    def __new__(cls, numbers: Tensor):
        self = Tensor._make_wrapper_subclass(
            cls, numbers.shape, strides=numbers.stride(), dtype=numbers.dtype, device=DEVICE
        )
        self.numbers = numbers
        return self

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _call(function, args, kwargs or {})

    def tolist(self):
        return self.numbers.tolist()

    def __format__(self, spec):
        return format(self.numbers, spec)


class _Literals(TorchFunctionMode):
    """torch.tensor([1.0], device=…) and its like, which the mode below does not get to see."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        literal = function in (torch.tensor, Tensor.new_tensor)
        if function in (torch.as_tensor, torch.asarray):
            given = args or [kwargs.get("data"), kwargs.get("obj")]
            literal = not any(isinstance(x, Tensor) for x in given)
        if not literal:
            return function(*args, **kwargs)
        device = kwargs.pop("device", None)
        if device is None and function is Tensor.new_tensor:
            device = args[0].device
        made = function(*tree_map(_numbers, args), **tree_map(_numbers, kwargs))
        return made if device is None else made.to(device)


class _Operations(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # if so, torch would import its compiler here, for two seconds

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _call(function, args, kwargs or {})


def _call(function, args, kwargs):
    """Do it on the CPU, and put the result where it would be."""
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    there = any(isinstance(x, _There) for x in tensors)
    asked = kwargs.get("device")
    if asked is not None:
        there = asked.type == DEVICE
        kwargs = {**kwargs, "device": torch.device("cpu")}
    elif there and not _may_mix(function, args, tensors):
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{DEVICE} and cpu!"
        )
    result = function(*tree_map(_numbers, args), **tree_map(_numbers, kwargs))
    if not there:
        return result
    return tree_map(lambda x: _There(x) if isinstance(x, Tensor) else x, result)


def _may_mix(function, args, tensors) -> bool:
    """A single number may be on the CPU, and so may t in x[t]; copies go from anywhere to anywhere."""
    if function is torch.ops.aten.index.Tensor:
        return isinstance(args[0], _There)
    if function is torch.ops.aten.copy_.default:
        return True
    return all(isinstance(x, _There) or not x.ndim for x in tensors)


def _numbers(x):
    return x.numbers if isinstance(x, _There) else x
