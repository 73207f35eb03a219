"""The two children: one holds the learner's code, the other the reference. They answer requests.

A request names an experiment and the conditions; the answer is a frame with what was observed.
Neither child judges anything, and the learner's child knows nothing about the reference.
"""

import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import json
import marshal
import sys
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import torch

from checks import catalogue, channel, lab
from checks.observe import UNTOUCHED, Implementation, observe

# What a submission may not see. Hidden from `import` here, from `open` by the sandbox.
HIDDEN = ("ddpm_ref", "solutions", "checks")


def serve(job: dict, reader, writer, enter_sandbox) -> None:
    """Answer requests until the judge hangs up.

    Args:
        job: {"role": "learner" | "reference", "chapter": number, "folders": {chapter folder: path},
            "scratch": path}.
        reader, writer: binary streams from and to the judge.
        enter_sandbox: called when our own code is loaded and before the learner's is; returns the
            names of the layers that hold.
    """
    torch.set_num_threads(1)
    # oneDNN compiles a kernel for each new shape, which pays for large tensors only.
    torch.backends.mkldnn.set_flags(False)
    lab.compile_nothing()
    gc.freeze()  # torch's objects are no garbage: to look through them copies a forked child's memory
    chapter = catalogue.chapters()[job["chapter"]]
    experiments = _functions(job, chapter)
    UNTOUCHED.remember()
    if job["role"] == "learner":
        subject = _Learner(chapter, job["folders"])
    else:
        subject = _Reference(chapter)
    channel.write_frame(writer, {"layers": enter_sandbox()})
    for line in reader:  # a request without a function only imports
        request = json.loads(line)
        if request["function"] is None:
            header, pieces = _answer(request, lambda impl: None, subject)
            header["imports"] = subject.imports()
            with suppress(BaseException):  # what a module offers may be odder than a function
                header["parameters"] = subject.parameters()
        else:
            header, pieces = _answer(request, experiments[request["function"]], subject)
        if request.get("note_reached"):
            header["reached"] = sorted(subject.reached)
        with suppress(BaseException):  # sys.stdout may be whatever the learner has made of it
            sys.stdout.flush()
        serial = {"serial": request["serial"]}
        try:
            channel.write_frame(writer, {**header, **serial}, pieces)
        except (TypeError, ValueError) as error:  # before anything of it was written
            told = {"kind": "crashed", "type": type(error).__name__, "message": str(error)}
            channel.write_frame(writer, {**serial, "error": told})


def _answer(request: dict, experiment, subject) -> tuple:
    lab.conditions.fill = request["fill"]
    lab.conditions.shift_t = request.get("shift_t", 0)
    lab.conditions.train = request.get("train", False)
    lab.conditions.dtype = torch.float64 if request.get("double") else torch.float32
    with subject.answering(request):
        return observe(
            experiment, lambda: subject.implementation(request), request["name"], subject.own_files
        )


def _functions(job: dict, chapter) -> dict:
    """The functions of a file of experiments, which the judge has compiled and put into the scratch."""
    file = Path(job["scratch"]) / catalogue.COMPILED
    code = marshal.loads(file.read_bytes())
    file.unlink()
    space = {"__name__": f"checks.experiments.{chapter.folder}"}
    exec(code, space)
    return space


def _module_of(room: str, number: int) -> ModuleType:
    """A whole chapter, as the other chapters see it."""
    chapter = catalogue.lent(number)
    if room == "ddpm_ref":
        return importlib.import_module(f"{room}.{chapter.reference}")
    return importlib.import_module(f"{room}.{chapter.folder}.{chapter.module}")


class _Learner:
    """The graded chapter from the submission, the others from the solutions (or, all, the learner's)."""

    def __init__(self, chapter, folders: dict):
        self.name = f"chapters.{chapter.folder}.{chapter.module}"
        self.folder = chapter.folder
        self.own_files = Path(folders[chapter.folder])
        self._implementation = None
        for hook in list(sys.meta_path):  # those of editable installations know where ddpm_ref is
            if "editable" in getattr(hook, "__module__", "") + getattr(hook, "__name__", ""):
                sys.meta_path.remove(hook)
        root = str(catalogue.ROOT)
        sys.path[:] = [p for p in sys.path if p not in ("", root)] + [str(self.own_files)]
        sys.meta_path.insert(0, ChapterFinder(folders))
        sys.dont_write_bytecode = True

    def implementation(self, request) -> Implementation:
        if self._implementation is None:
            self._implementation = Implementation(
                self._load, other_chapter=lambda n: _module_of("chapters", n)
            )
        return self._implementation

    def imports(self) -> list[str]:
        """The folders of the other chapters that the graded one has imported."""
        found = {name.split(".")[1] for name in sys.modules if name.startswith("chapters.ch")}
        return sorted(found - {self.folder})

    def parameters(self) -> list[list[str]]:
        """[name, parameter, parameter, …] of each function and method in the graded module."""
        functions, found = {}, []
        for name, thing in dict(vars(sys.modules[self.name])).items():
            if not str(getattr(thing, "__module__", "")).startswith(f"chapters.{self.folder}"):
                continue  # imported: torch's own classes have thousands of methods
            if isinstance(thing, type):
                functions |= {f"{name}.{below}": method for below, method in vars(thing).items()}
            else:
                functions[name] = thing
        for name, function in functions.items():
            function = inspect.unwrap(getattr(function, "__func__", function))
            if isinstance(function, FunctionType):
                names = function.__code__.co_varnames[: function.__code__.co_argcount]
                found.append([name, *(n for n in names if n not in ("self", "cls"))])
        return found

    def _load(self, replacements: dict) -> ModuleType:
        if not replacements:
            return importlib.import_module(self.name)
        ours = [n for n in sys.modules if n.startswith(f"chapters.{self.folder}")]
        kept = {name: sys.modules.pop(name) for name in ours}
        try:
            with _replaced("chapters.", replacements):
                return importlib.import_module(self.name)
        finally:
            sys.modules.update(kept)

    @contextmanager
    def answering(self, request):
        yield  # a learner's code runs in float32: right modules fail in float64


class _Reference:
    """The chapter's module of `ddpm_ref`, as it is or with the edits of known mistakes.

    `reached` has the functions of that module (such as "UNet.forward") that ran for the last answer that
    was asked to note them, and those that ran when it was imported: an edit of any other cannot matter.
    """

    own_files = catalogue.ROOT / "ddpm_ref"

    def __init__(self, chapter):
        self.name, self.path = f"ddpm_ref.{chapter.reference}", chapter.reference_file
        self._made: dict[tuple, Implementation] = {}
        self._code: dict[tuple, CodeType] = {}
        if str(catalogue.ROOT) not in sys.path:
            sys.path.insert(0, str(catalogue.ROOT))
        self.reached: set[str] = set()
        with self._noting():
            self.original = importlib.import_module(self.name)
        self._at_import = frozenset(self.reached)

    def implementation(self, request) -> Implementation:
        edits = tuple(map(tuple, request.get("edits", ())))
        if edits not in self._made:
            self._made[edits] = Implementation(
                lambda other: self._load(edits, other),
                other_chapter=lambda n: _module_of("ddpm_ref", n),
            )
        return self._made[edits]

    def _load(self, edits: tuple, replacements: dict) -> ModuleType:
        if not edits and not replacements:
            return self.original
        if edits not in self._code:
            source = catalogue.spoilt(self.path.read_text(encoding="utf-8"), edits)
            self._code[edits] = compile(source, str(self.path), "exec")
        module = ModuleType(self.name)
        module.__package__, module.__file__ = self.name.rpartition(".")[0], str(self.path)
        sys.modules[self.name] = module
        try:
            with _replaced("ddpm_ref.", replacements):
                exec(self._code[edits], module.__dict__)
        finally:
            sys.modules[self.name] = self.original
        return module

    @contextmanager
    def answering(self, request):
        """In double precision, when asked to: the reference's own casts to float32 become float64."""
        single = torch.Tensor.float
        if request.get("double"):
            torch.Tensor.float = torch.Tensor.double
        self.reached = set(self._at_import)
        try:
            with self._noting() if request.get("note_reached") else nullcontext():
                yield
        finally:
            torch.Tensor.float = single

    @contextmanager
    def _noting(self):
        file, reached = str(self.path), self.reached

        def note(frame, event, _):
            if event == "call" and frame.f_code.co_filename == file:
                reached.add(frame.f_code.co_qualname.partition(".<locals>")[0])

        sys.setprofile(note)
        try:
            yield
        finally:
            sys.setprofile(None)


@contextmanager
def _replaced(prefix: str, replacements: dict):
    """Within it, the imported modules with this prefix offer other things under these names."""
    changed = [
        (module, name, getattr(module, name))
        for key, module in list(sys.modules.items())
        for name in replacements
        if key.startswith(prefix) and name in vars(module)
    ]
    for module, name, _ in changed:
        setattr(module, name, replacements[name])
    try:
        yield
    finally:
        for module, name, value in changed:
            setattr(module, name, value)


class ChapterFinder(importlib.abc.MetaPathFinder):
    """`chapters.chNN_…` from the folders of the job; the reference and the grader do not exist."""

    def __init__(self, folders: dict, hidden=HIDDEN):
        self.folders, self.hidden = folders, hidden

    def find_spec(self, name, path=None, target=None):
        top, _, rest = name.partition(".")
        if top in self.hidden:
            raise ImportError(f"{top} is not available to the code that is graded")
        if top != "chapters":
            return None
        if not rest:
            return importlib.machinery.ModuleSpec(name, None, is_package=True)
        folder, *below = rest.split(".")
        base = self.folders.get(folder)
        if base is None:  # a helper beside the chapters
            base, below = self.folders.get("", "/nowhere"), rest.split(".")
        place = Path(base).joinpath(*below)
        for file, is_package in ((place.with_suffix(".py"), False), (place / "__init__.py", True)):
            if below and file.is_file():
                loader = _FreshSource(name, str(file))
                return importlib.util.spec_from_file_location(
                    name, file, loader=loader, submodule_search_locations=[] if is_package else None
                )
        if place.is_dir():
            return importlib.machinery.ModuleSpec(name, None, is_package=True)
        return None


class _FreshSource(importlib.machinery.SourceFileLoader):
    """Compiles the file that is there: bytecode beside it may be stale after two edits in one second."""

    compiled: dict[str, CodeType] = {}

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        if path not in self.compiled:
            self.compiled[path] = self.source_to_code(self.get_data(path), path)
        return self.compiled[path]
