"""Inside a child: call an implementation, keep account of it, and turn what was seen into a frame."""

import builtins
import operator
import os
import random
import re
import traceback
import zlib
from contextlib import contextmanager
from pathlib import Path
from pickle import PicklingError
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from checks import lab


class _Untouched:
    """Torch and the lab as they were before the submission came: patched functions are put back.

    A patched Tensor.mean could otherwise make a number come out that an experiment computes.
    """

    def __init__(self):
        self._places = [torch, torch.Tensor, torch.nn.functional, nn.Module, torch.autograd, lab]
        self._places += [builtins, np]
        self.remember()

    def remember(self) -> None:
        """What is there now is untouched: experiments have been loaded, no submission has."""
        self._kept = [dict(vars(place)) for place in self._places]
        self._kept[-2].pop("_", None)  # of builtins: the last value of an interactive session

    def restore(self) -> None:
        for place, kept in zip(self._places, self._kept, strict=True):
            now = vars(place)
            # In the order of their definition, which is cheaper than looking each name up.
            untouched = len(now) >= len(kept) and all(
                map(operator.is_, now.values(), kept.values())
            )
            if not untouched:
                for name, value in kept.items():
                    if now.get(name) is not value:
                        setattr(place, name, value)
            if isinstance(place, type) and len(now) > len(kept):
                for name in now.keys() - kept.keys():  # it may hide a name that is inherited
                    if any(name in vars(base) for base in place.__mro__[1:]):
                        delattr(place, name)


UNTOUCHED = _Untouched()


class Missing(BaseException):
    """The implementation lacks a name. No `Exception`, which an experiment might wait for."""


class Implementation:
    """`impl` of the experiments: `impl.NAME` is a name of the graded module, and its calls are recorded.

    Args:
        load: makes the module; load(replacements) makes it anew, with names of the earlier chapters
            replaced.
        module: the one that is there already.
        other_chapter: gives the module of another chapter, by its number.
    """

    def __init__(self, load, module=None, other_chapter=None):
        self._load, self._other_chapter = load, other_chapter
        self._module = load({}) if module is None else module
        self.calls = Calls()

    def __getattr__(self, name: str):
        if not hasattr(self._module, name):
            raise Missing(name)
        return _Recorded(getattr(self._module, name), name, self.calls)

    def own(self, name: str):
        """What the chapter calls so, None if nothing: calls are not recorded."""
        return getattr(self._module, name, None)

    def rebuilt(self, **replacements) -> "Implementation":
        """The same chapter, importing other things: rebuilt(ResidualBlock=Probe)."""
        return self._beside(self._load(replacements))

    @contextmanager
    def lent(self, **functions):
        """These in place of the chapter's own of the same names, for what else in it calls them."""
        own = {
            name: getattr(self._module, name) for name in functions if hasattr(self._module, name)
        }
        for name in own:
            setattr(self._module, name, functions[name])
        try:
            yield
        finally:
            for name, function in own.items():
                setattr(self._module, name, function)

    def chapter(self, number: int) -> "Implementation":
        """Another chapter that this one builds on, from the same side: chapter(5).NoiseSchedule."""
        return self._beside(self._other_chapter(number))

    def module_of(self, number: int) -> ModuleType:
        """A chapter itself, from the same side: calls are not recorded, so that they cost nothing."""
        return self._other_chapter(number)

    def _beside(self, module) -> "Implementation":
        other = Implementation(self._load, module, self._other_chapter)
        other.calls = self.calls
        return other


class Calls:
    """Which calls were made, and whether their inputs are still what they were."""

    def __init__(self):
        self.made: list[str] = []
        self.nothing: list[str] = []  # names of what returned None
        self._inputs: list[tuple[str, str, Tensor, int]] = []

    def record(self, text: str, arguments) -> None:
        self.made.append(text)
        for value in arguments:
            for tensor in value if isinstance(value, tuple | list) else [value]:
                if isinstance(tensor, Tensor) and tensor.numel() <= 1 << 20:
                    name = lab.expression_of(tensor)
                    self._inputs.append((text, name, tensor, _digest(tensor)))

    def changed_inputs(self) -> list[list[str]]:
        """[call, argument] for every tensor that is no longer what it was when it was handed over."""
        return [[text, n] for text, n, tensor, was in self._inputs if _digest(tensor) != was]


class _Recorded:
    """A function or class of the implementation; calling it leaves a line in `Calls`."""

    def __init__(self, target, name: str, calls: Calls):
        self._target, self._name, self._calls = target, name, calls

    def __getattr__(self, name: str):
        if not hasattr(self._target, name):
            raise Missing(f"{self._name}.{name}")
        value = getattr(self._target, name)
        return _Recorded(value, f"{self._name}.{name}", self._calls) if callable(value) else value

    def __deepcopy__(self, memo):
        return self  # a module that is copied has us in its hooks

    def __call__(self, *args, **kwargs):
        text = _call_text(self._name, args, kwargs)
        self._calls.record(text, [*args, *kwargs.values()])
        try:
            result = self._target(*args, **kwargs)
        finally:
            UNTOUCHED.restore()
        if result is None:
            self._calls.nothing.append(self._name)
        if isinstance(result, nn.Module):
            if "_forward_hooks" not in vars(result):
                raise TypeError(f"{self._name}.__init__ does not call super().__init__()")
            result.register_forward_hook(self._after_forward, with_kwargs=True)
            result.register_forward_pre_hook(self._before_forward, with_kwargs=True)
        _note(result, text)
        return result

    def _before_forward(self, module, args, kwargs):
        text = _call_text(lab.expression_of(module), args, kwargs)
        self._calls.record(text, [*args, *kwargs.values()])

    def _after_forward(self, module, args, kwargs, output):
        UNTOUCHED.restore()
        if output is None:
            self._calls.nothing.append(f"{self._name}.forward")
        _note(output, _call_text(lab.expression_of(module), args, kwargs))


def _note(result, text: str) -> None:
    """Remember by which call a result came about, or each part of it when there are several."""
    if isinstance(result, tuple):
        for k, part in enumerate(result):
            if _can_be_noted(part):
                lab.noted(part, f"{text}[{k}]")
    elif _can_be_noted(result):
        lab.noted(result, text)


def _can_be_noted(value) -> bool:
    # Small integers, None and the like are shared: their id says nothing. An input that is handed
    # back keeps the expression it came with.
    return not isinstance(value, int | float | str | bool | None) and not (
        isinstance(value, Tensor) and id(value) in lab._expressions
    )


def _call_text(name: str, args, kwargs) -> str:
    parts = [lab.expression_of(a) for a in args]
    parts += [f"{k}={lab.expression_of(v)}" for k, v in kwargs.items()]
    return f"{name}({', '.join(parts)})"


def _digest(tensor: Tensor) -> int:
    return zlib.crc32(_bytes(tensor)) if tensor.device.type == "cpu" else 0


def _bytes(tensor: Tensor) -> bytes:
    # Of a single number any stride counts as contiguous, 0 as well, which `view` refuses.
    plain = tensor.detach().contiguous().as_strided((tensor.numel(),), (1,))
    return plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b""


def observe(experiment, load, name: str, own_files: Path) -> tuple:
    """Run one experiment.

    Args:
        experiment: the author's function.
        load: makes the implementation; errors of the import are reported like any other.
        name: of the experiment; seeds every global random state.
        own_files: tracebacks are cut to the files below this folder.

    Returns:
        The header and the pieces of a frame.
    """
    calls = Calls()
    lab.forget_expressions()
    lab.conditions.signature, lab.conditions.calls = [], calls.made
    seed = zlib.crc32(name.encode())
    header, writer = {}, _Writer()
    try:
        implementation = load()
        UNTOUCHED.restore()
        _reset_switches()
        random.seed(seed)
        np.random.seed(seed)
        # The processor's only: torch.manual_seed takes a millisecond to note it down for GPUs.
        torch.default_generator.manual_seed(seed)
        implementation.calls = calls
        with torch.inference_mode(False):  # which an earlier call may have left switched on
            observed = experiment(implementation)
        header["observed"] = writer.node(observed)
    except lab.OtherNames:
        return {"other_names": True}, []
    except NotImplementedError as error:
        header["error"] = _error("not started", error, own_files)
    except Missing as error:
        header["error"] = {"kind": "missing", "name": str(error)}
    except BaseException as error:
        # SystemExit and KeyboardInterrupt as well: sys.exit() in a submission ends nothing here.
        header["error"] = _error("crashed", error, own_files)
    if header.get("error"):
        writer = _Writer()
    header["calls"] = [c if len(c) <= 1000 else c[:1000] + "…" for c in calls.made[-3:]]
    header["changed"] = calls.changed_inputs()[:3]
    header["nothing"] = list(dict.fromkeys(calls.nothing))
    header["signature"] = lab.conditions.signature
    header["arrays"], header["said"] = writer.specs, writer.said
    return header, writer.pieces


def _reset_switches() -> None:
    """What a program has set for the whole of torch must not reach the next experiment."""
    if torch._C._len_torch_function_stack():
        while torch._C._len_torch_function_stack():
            torch._C._pop_torch_function_stack()
        torch._GLOBAL_DEVICE_CONTEXT.device_context = None  # of torch.set_default_device
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.set_anomaly_enabled(False)
    torch.set_autocast_enabled("cpu", False)
    torch._C._set_deterministic_algorithms(False)
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def _error(kind: str, error: BaseException, own_files: Path) -> dict:
    frames = [
        {"file": Path(f.filename).name, "line": f.lineno, "function": f.name, "text": f.line or ""}
        for f in traceback.extract_tb(error.__traceback__)
        if f.filename.startswith(str(own_files))
    ]
    if isinstance(error, SyntaxError) and error.filename:
        text = (error.text or "").strip()
        at = {"file": Path(error.filename).name, "line": error.lineno, "function": "", "text": text}
        frames = [*frames, at] if str(error.filename).startswith(str(own_files)) else frames
    try:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
    except BaseException:
        message = ""  # a learner's exception whose __str__ fails
    # Where the files lie on this machine says nothing about the mistake.
    message = message.replace(f"{own_files.parent}{os.sep}", "")
    message = " ".join(message.split())
    if len(message) > 400:
        message = message[:400].rpartition(" ")[0] or message[:400]
        message += " …"
    where = traceback.extract_tb(error.__traceback__)[-1].filename
    if isinstance(error, PermissionError) and "multiprocessing" in where:
        message = "the grader lets no process be started: num_workers has to stay the 0 it asks for"
    # What pickle says names classes of ours, and not what is wrong: no object belongs in a checkpoint.
    if isinstance(error, PicklingError) and (whole := re.search(r"(\w+)'>", message)):
        message = f"an object, {whole[1]}, is saved whole: save what its state_dict() returns"
    return {"kind": kind, "type": type(error).__name__, "message": message, "frames": frames[-4:]}


class _Writer:
    """Turns an observation into JSON values and pieces of bytes; see `checks.channel`."""

    def __init__(self):
        self.specs: list[dict] = []
        self.pieces: list[bytes] = []
        self.said: list[list[str]] = []  # [where, by which call] of what knows it

    def node(self, value, where: str = ""):
        if type(value) in (bool, int, str, type(None)):
            return value
        if isinstance(value, lab.Told | lab.ToldOf):
            self.said += [[where, value.call[:1000]]] if value.call else []
            return self.node(value.value, where) if isinstance(value, lab.ToldOf) else str(value)
        if isinstance(value, np.integer):
            return int(value)
        if isinstance(value, float):
            return {"number": value}
        if isinstance(value, lab.Near):
            return {"near": value.value, "margin": value.margin}
        if isinstance(value, dict):
            places = {key: f"{where}.{key}".lstrip(".") for key in value}
            return {"dict": [[str(k), self.node(item, places[k])] for k, item in value.items()]}
        if isinstance(value, tuple | list):
            return {"list": [self.node(item, f"{where}[{k}]") for k, item in enumerate(value)]}
        if type(value) in (Tensor, nn.Parameter):
            return self._array(value, "tensor")
        if isinstance(value, np.ndarray | np.generic):
            return self._array(torch.as_tensor(np.asarray(value)), "numpy array")
        return {"odd": type(value).__name__}  # a subclass of Tensor too: it may compare as it likes

    def _array(self, value: Tensor, kind: str):
        if value.device.type == "meta":
            return {"odd": "tensor without values"}
        plain = value.detach().cpu()
        data = _bytes(plain)
        self.specs.append(
            {
                "kind": kind,
                "dtype": str(plain.dtype).removeprefix("torch."),
                "shape": list(plain.shape),
                "device": value.device.type,
                "start": sum(map(len, self.pieces)),
                "bytes": len(data),
                "call": lab.expression_of(value)[:1000] if id(value) in lab._expressions else None,
            }
        )
        self.pieces.append(data)
        return {"array": len(self.specs) - 1}
