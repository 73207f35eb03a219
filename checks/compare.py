"""Are two observations the same, and if not, where do they first differ?

First structure (names, shapes, types, device, finite numbers), then whether inputs were changed, then
values. Values are compared norm-wise, for each tensor and each sample of it: a largest relative error
of single elements says nothing near zero.
"""

import re
from dataclasses import dataclass

import numpy as np

TOLERANCE = 1e-5  # of ‖got − expected‖ / ‖expected‖

# The kinds of difference, the most telling first.
KINDS = ("nothing", "crash", "structure", "shape", "dtype", "device", "finite", "changed", "value")


@dataclass(frozen=True)
class Difference:
    """One difference: where (such as "x_t" or "losses[2]"), of which kind, what to say about it."""

    where: str
    kind: str
    says: str
    expected: object = None
    got: object = None
    call: str | None = None


def differences(expected: dict, got: dict, slack: dict | None = None) -> list[Difference]:
    """All differences between what should be observed and what was, the most telling first.

    Args:
        expected, got: answers of the reference's and of the learner's child.
        slack: by place, how much the reference itself differs between float32 and float64; twenty times
            that much is allowed besides `TOLERANCE`.
    """
    if "error" in expected or "error" in got:
        same = _signature(expected.get("error")) == _signature(got.get("error"))
        crash = _crash(expected.get("error"), got.get("error"))
        return [] if same else [*_nothing(expected, got), crash]
    found = list(_compare(expected["observed"], got["observed"], "", slack or {}))
    was = _changed(expected)
    found += [
        Difference(
            "", "changed", f"it changes its input {name} in place; make a new tensor", call=call
        )
        for call, name in got.get("changed", [])
        if name not in was
    ]
    found += _nothing(expected, got) if found else []
    return sorted(found, key=lambda d: KINDS.index(d.kind))


def _nothing(expected: dict, got: dict) -> list[Difference]:
    """What returned None where the reference returned something: it explains all that follows."""
    names = [name for name in got.get("nothing", []) if name not in expected.get("nothing", [])]
    says = "returns nothing (None): is a `return` missing?"
    return [Difference("", "nothing", f"{name} {says}") for name in names]


def same(one: dict, other: dict) -> bool:
    """Whether two observations are equal, to name a mistake: not finite in the same places counts."""
    if _changed(one) != _changed(other):
        return False
    if "other_names" in one or "other_names" in other:
        return False  # parameters of other names: not to be compared under this fill
    if "error" in one or "error" in other:
        return _signature(one.get("error")) == _signature(other.get("error"))
    return not any(True for _ in _compare(one["observed"], other["observed"], "", {}, naming=True))


def rounding(single: dict, double: dict) -> dict:
    """By place, the norm-wise difference between the reference in float32 and in float64."""
    found: dict[str, float] = {}
    if "error" not in single and "error" not in double:
        _rounding(single["observed"], double["observed"], "", found)
    return found


def is_array(node) -> bool:
    return isinstance(node, dict) and "values" in node


def _changed(answer: dict) -> set[str]:
    """The inputs that were written into."""
    return {name for _, name in answer.get("changed") or []}


def _signature(error: dict | None):
    """What makes two crashes the same crash."""
    if error is None:
        return None
    message = re.sub(r"0x[0-9a-f]+|'[^']*' object", "…", error.get("message", ""))
    frames = error.get("frames") or [{"text": ""}]
    if frames[-1]["text"].startswith("raise "):
        message = ""  # raised by the code itself, in words of its own
    # Torch names the two sizes that do not fit in the order of the operands, which is free.
    numbers = sorted(re.findall(r"\d+", message))
    message = re.sub(r"\d+", "#", message)
    return (error["kind"], error.get("type"), error.get("name"), message, *numbers)


def _crash(expected: dict | None, got: dict | None) -> Difference:
    if got is None:
        return Difference("", "crash", f"an error was expected: {expected.get('type')}")
    return Difference("", "crash", f"{got.get('type')}: {got.get('message')}")


def _compare(expected, got, where: str, slack: dict, naming: bool = False):
    if isinstance(expected, dict) and "near" in expected:
        yield from _compare_near(expected, got, where)
    elif is_array(expected):
        yield from _compare_arrays(expected, got, where, slack, naming)
    elif isinstance(expected, dict) and ("dict" in expected or "list" in expected):
        pairs, others = _children(expected), _children(got)
        if others is None or [k for k, _ in pairs] != [k for k, _ in others]:
            yield Difference(
                where, "structure", f"expected {describe(expected)}, got {describe(got)}"
            )
            return
        for (key, item), (_, other) in zip(pairs, others, strict=True):
            name = f"{where}[{key}]" if "list" in expected else f"{where}.{key}".lstrip(".")
            yield from _compare(item, other, name, slack, naming)
    elif isinstance(expected, dict) and "number" in expected:
        value = got.get("number") if isinstance(got, dict) else got
        if not isinstance(value, int | float) or not np.isclose(
            value, expected["number"], rtol=1e-4, atol=1e-6, equal_nan=naming
        ):
            yield _plain(where, "value", expected, got)
    elif expected != got or type(expected) is not type(got):
        yield _plain(where, "value", expected, got)


def _plain(where, kind, expected, got, says=None) -> Difference:
    says = says or f"expected {describe(expected)}, got {describe(got)}"
    if describe(expected) == describe(got) and not is_array(got):
        says += f" (of type {_type(got)}, not {_type(expected)})"
    call = got.get("call") if is_array(got) else None
    return Difference(where, kind, says, expected, got, call)


def _type(node) -> str:
    return "float" if isinstance(node, dict) and "number" in node else type(node).__name__


def _children(node):
    """(key, node) pairs of a dictionary or a list, None for anything else."""
    if isinstance(node, dict) and "dict" in node:
        return [(key, item) for key, item in node["dict"]]
    if isinstance(node, dict) and "list" in node:
        return list(enumerate(node["list"]))
    return None


def _compare_near(expected, got, where):
    value = got.get("near") if isinstance(got, dict) else None
    if (
        not isinstance(value, int | float)
        or not abs(value - expected["near"]) <= expected["margin"]
    ):
        says = f"expected {expected['near']:.4g} ± {expected['margin']:.2g}, got {describe(got)}"
        yield _plain(where, "value", expected, got, says)


def _compare_arrays(expected, got, where, slack, naming):
    if not is_array(got):
        yield _plain(where, "structure", expected, got)
        return
    for kind, field in (("structure", "kind"), ("shape", "shape"), ("dtype", "dtype")):
        if expected[field] != got[field]:
            yield _plain(where, kind, expected, got)
            return
    if expected["device"] != got["device"]:
        says = f"expected a tensor on {expected['device']}, got one on {got['device']}"
        yield _plain(where, "device", expected, got, says)
        return
    right, seen = expected["values"], got["values"]
    if right.dtype.kind not in "fc":
        if not np.array_equal(right, seen):
            yield _plain(where, "value", expected, got)
        return
    finite, seen_finite = np.isfinite(right), np.isfinite(seen)
    if not np.array_equal(finite, seen_finite):
        count = int((~seen_finite).sum())
        says = f"{count} of its {seen.size} numbers are not finite (NaN or infinite)"
        yield _plain(where, "finite", expected, got, says)
        return
    if not np.array_equal(right[~finite], seen[~finite], equal_nan=True):
        yield _plain(where, "value", expected, got)
        return
    allowed = 2e-5 if naming else TOLERANCE + 20 * slack.get(where, 0.0)
    if _distance(np.where(finite, right, 0), np.where(finite, seen, 0)) > allowed:
        yield _plain(where, "value", expected, got)


def _distance(right: np.ndarray, seen: np.ndarray) -> float:
    """The largest ‖seen − right‖ / ‖right‖ over the samples (rows of the first axis, from 2-D on).

    A sample that should be all but zero is measured by the size of the others.
    """
    if right.size == 0:
        return 0.0
    rows = (len(right), -1) if right.ndim > 1 else (1, -1)
    right, seen = (a.reshape(rows).astype(np.complex128) for a in (right, seen))
    if right.shape[1] == 0:
        return 0.0
    size = np.linalg.norm(right, axis=1)
    floor = max(1e-2 * np.sqrt((size**2).mean()), 1e-2 * np.sqrt(right.shape[1]))
    return float((np.linalg.norm(seen - right, axis=1) / np.maximum(size, floor)).max())


def _rounding(single, double, where, found):
    if is_array(single) and is_array(double):
        if single["values"].dtype.kind == "f" and single["shape"] == double["shape"]:
            found[where] = _distance(double["values"].astype(float), single["values"].astype(float))
        return
    pairs, others = _children(single), _children(double)
    for (key, item), (_, other) in zip(pairs or [], others or [], strict=False):
        name = f"{where}[{key}]" if "list" in single else f"{where}.{key}".lstrip(".")
        _rounding(item, other, name, found)


def describe(node) -> str:
    """An observed value in a few words."""
    if is_array(node):
        return _describe_array(node)
    if isinstance(node, dict):
        if "number" in node or "near" in node:
            return f"{node.get('number', node.get('near')):.6g}"
        if "dict" in node:
            return "{" + ", ".join(str(key) for key, _ in node["dict"]) + "}"
        if "list" in node:
            items = node["list"]
            return (
                f"a list of {len(items)}"
                if len(items) > 6
                else f"[{', '.join(map(describe, items))}]"
            )
        if "odd" in node:
            return f"something of type {node['odd']}"
    return repr(node)


def _describe_array(node) -> str:
    values, kind = node["values"], node["dtype"]
    if values.size == 1:
        shape = "" if values.ndim == 0 else f" of shape {tuple(node['shape'])}"
        return f"{values.reshape(-1)[0]:.6g} ({kind}{shape})"
    text = f"{kind} {tuple(node['shape'])}"
    if node["kind"] != "tensor":
        text = f"a {node['kind']}, {text}"
    if not values.size:
        return text
    if values.size <= 6:
        return f"{text} {np.array2string(values, precision=4, separator=', ')}"
    if values.dtype.kind == "f" and np.isfinite(values).any():
        finite = values[np.isfinite(values)]
        return f"{text} in [{finite.min():.4g}, {finite.max():.4g}]"
    if values.dtype.kind in "iu":
        return f"{text} in [{values.min()}, {values.max()}]"
    return text


def first_place(expected, got) -> str:
    """Where two arrays of one shape first differ, such as "at [0, 2, 1]: expected 0.5, got 0.25"."""
    right, seen = expected["values"], got["values"]
    if right.size <= 1:
        return ""
    wide = np.complex128 if right.dtype.kind == "c" else np.float64
    gap = np.abs(seen.astype(wide) - right.astype(wide))
    scale = np.sqrt((np.abs(right.astype(wide)) ** 2).mean()) or 1.0
    places = np.argwhere(~(gap <= 1e-4 * scale)) if right.dtype.kind in "fc" else np.argwhere(gap)
    if not len(places):
        places = [np.unravel_index(int(gap.argmax()), gap.shape)]
    place = tuple(int(i) for i in places[0])
    return f"first at {list(place)}: expected {right[place]:.5g}, got {seen[place]:.5g}"
