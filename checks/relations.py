"""What is wrong in general, when no known mistake fits: a sign, a factor, exchanged axes, a clamp.

A relation with k free numbers is only believed when there are at least eight numbers of it and two more
different values than k on both sides; without that, random outputs would often "be" related.
"""

from itertools import permutations

import numpy as np

from checks.compare import is_array

_CLOSE = 1e-4
CUT = "there is no gradient: it is not used, or the graph is cut (detach, no_grad, .data, .item())"
NOTHING = "None comes back: is there a return missing? (Or, of a gradient, is the graph cut?)"


def relation(expected, got, where: str = "") -> str | None:
    """How what was seen follows from what was expected, in words; None when nothing simple does."""
    if got is None and is_array(expected):
        return CUT if "gradient" in where else NOTHING
    if is_array(expected) and isinstance(got, dict) and "list" in got:
        return _one_of_several(expected, got["list"])
    if not is_array(expected) or not is_array(got):
        return None
    right, seen = (np.asarray(node["values"]) for node in (expected, got))
    if right.dtype.kind not in "fiu" or seen.dtype.kind not in "fiu":
        return None
    right, seen = right.astype(np.float64), seen.astype(np.float64)
    if not (np.isfinite(right).all() and np.isfinite(seen).all()) or right.size < 8:
        return None
    if right.shape != seen.shape:
        return _axes(right, seen) or _broadcast(right, seen)
    if _close(seen, right, 10 * _CLOSE):
        return None  # too small a difference to say anything about
    checks = (
        _zero,
        _sign,
        _ranges,
        _same_for_all,
        _axes,
        _reversed,
        _shifted,
        _clamped,
        _factor,
        _affine,
    )
    return next((says for check in checks if (says := check(right, seen))), None)


def _one_of_several(expected, items) -> str | None:
    shape, right = expected["shape"], np.asarray(expected["values"])
    for place, item in enumerate(items):
        if is_array(item) and item["shape"] == shape and _close(np.asarray(item["values"]), right):
            return f"{len(items)} things come back: the one at [{place}] is what is expected, alone"
    return None


def _close(a: np.ndarray, b: np.ndarray, share: float = _CLOSE) -> bool:
    return a.shape == b.shape and np.linalg.norm(a - b) <= share * np.linalg.norm(b)


def _enough(a: np.ndarray, b: np.ndarray, parameters: int) -> bool:
    return min(len(np.unique(a.round(6))), len(np.unique(b.round(6)))) >= parameters + 3


def _sign(right, seen):
    return "the sign is turned" if _enough(right, seen, 0) and _close(-seen, right) else None


def _ranges(right, seen):
    if not _enough(right, seen, 2):
        return None
    if _close(2 * seen - 1, right) and _within(seen, 0, 1):
        return "the values are in [0, 1] where [−1, 1] is meant"
    if _close((seen + 1) / 2, right) and _within(seen, -1, 1):
        return "the values are in [−1, 1] where [0, 1] is meant"
    if _close((seen + 1) / 2, right) and _within(right, -1, 1):
        return "the change from [0, 1] to [−1, 1] is made twice"
    return None


def _within(values, low, high) -> bool:
    return low - 1e-3 <= values.min() and values.max() <= high + 1e-3


def _zero(right, seen):
    return "it is 0 everywhere" if right.size and not seen.any() else None


def _same_for_all(right, seen):
    if right.ndim < 2 or len(right) < 2 or not _enough(right, right, 0):
        return None
    constant = [_close(a, np.broadcast_to(a[:1], a.shape)) for a in (seen, right)]
    return "every sample of the batch gets the same values" if constant == [True, False] else None


def _axes(right, seen):
    if not 2 <= right.ndim <= 5 or seen.ndim != right.ndim or not _enough(right, seen, 0):
        return None
    for order in permutations(range(right.ndim)):
        if order != tuple(range(right.ndim)) and _close(seen.transpose(order), right):
            moved = [k for k, n in enumerate(order) if n != k]
            return f"axes {', '.join(map(str, moved))} are in another order"
    return None


def _broadcast(right, seen):
    try:
        grown = np.broadcast_to(seen, right.shape)
    except ValueError:
        return None
    if not _enough(right, seen, 0) or not _close(grown, right):
        return None
    if seen.size == right.size:
        return "the values are right, but an axis of length 1 got lost"
    return "the values are right, but were not broadcast to the full shape"


def _reversed(right, seen):
    for axis in range(right.ndim):
        if right.shape[axis] > 2 and _enough(right, seen, 0) and _close(np.flip(seen, axis), right):
            return f"the order along axis {axis} is reversed"
    return None


def _shifted(right, seen):
    for axis in range(right.ndim):
        if right.shape[axis] < 8:
            continue
        a, b = np.moveaxis(right, axis, 0), np.moveaxis(seen, axis, 0)
        for says, x, y in (("one too far", a[1:], b[:-1]), ("one too short", a[:-1], b[1:])):
            if _enough(x, y, 0) and _close(y, x):
                return f"along axis {axis} everything is off by one: {says}"
    return None


def _clamped(right, seen):
    low, high = seen.min(), seen.max()
    clipped = _enough(right, seen, 2) and _close(seen, np.clip(right, low, high))
    return f"the values are cut off at {low:.4g} and {high:.4g}" if clipped else None


def _factor(right, seen):
    size = (right * right).sum()
    if not size or not _enough(right, seen, 1):
        return None
    factor = (right * seen).sum() / size
    fits = abs(factor) > 1e-3 and _close(seen / factor, right)
    return f"everything is {factor:.5g} times what it should be" if fits else None


def _affine(right, seen):
    if not _enough(right, seen, 2) or np.ptp(right) == 0:
        return None
    slope, offset = np.polyfit(right.ravel(), seen.ravel(), 1)
    fits = abs(slope) > 1e-3 and _close((seen - offset) / slope, right)
    return f"everything is {slope:.4g} · expected {offset:+.4g}" if fits else None
