"""What goes between judge and children: frames of plain values and raw tensors. Nothing is unpickled.

A frame is `MAGIC`, the length of a JSON header, the length of a body, header, body. Observations are
trees of JSON values in which an array stands as {"array": k, "dtype": …, "shape": …}, its bytes being
the k-th piece of the body. The judge believes nothing: lengths are bounded, types are from a list, and
sizes have to add up. Whoever writes a frame of his own making only says what he observed, and the
judge compares it with the reference like any other.
"""

import json
import struct
from math import prod

import numpy as np

MAGIC = b"ddpm"
HEADER_LIMIT = 4 << 20
BODY_LIMIT = 64 << 20
DEPTH = 50  # of what is observed
_LENGTHS = struct.Struct("<4sIQ")
_DTYPES = {
    **{name: np.dtype(name) for name in ("float32", "float64", "float16", "complex64")},
    **{name: np.dtype(name) for name in ("int8", "int16", "int32", "int64", "uint8", "bool")},
    "bfloat16": np.dtype("uint16"),  # numpy has none: the judge widens it to float32
}


class Garbled(Exception):
    """What came is not a frame."""


class Ended(Exception):
    """The other side is gone."""


def write_frame(stream, header: dict, pieces=()) -> None:
    """Write one frame to a binary stream.

    Args:
        header: JSON values.
        pieces: of bytes, the arrays that the header speaks of, in its order.
    """
    text = json.dumps(header).encode()
    length = sum(len(piece) for piece in pieces)
    if len(text) > HEADER_LIMIT or length > BODY_LIMIT:
        raise ValueError(f"{len(text) + length:,} bytes are too much for one observation")
    stream.write(_LENGTHS.pack(MAGIC, len(text), length) + text)
    for piece in pieces:
        stream.write(piece)
    stream.flush()


def read_frame(stream) -> dict:
    """Read one frame, with numpy arrays in the places of its arrays.

    Raises:
        Ended: at the end of the stream.
        Garbled: when it is not a frame.
    """
    return decode(*read_raw(stream))


def read_raw(stream) -> tuple[bytes, bytes]:
    """Header and body of one frame as they came; raises as `read_frame` does."""
    magic, length, body_length = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    if magic != MAGIC or length > HEADER_LIMIT or body_length > BODY_LIMIT:
        raise Garbled("not a frame of the grader")
    return _exactly(stream, length), _exactly(stream, body_length)


def write_raw(stream, text: bytes, body: bytes) -> None:
    """Write again what `read_raw` has read."""
    stream.write(_LENGTHS.pack(MAGIC, len(text), len(body)) + text + body)


def decode(text: bytes, body: bytes) -> dict:
    """The header of a frame, with numpy arrays in the places of its arrays.

    Raises:
        Garbled: when these are not the header and body of a frame.
    """
    try:
        header = _readable(json.loads(text))
        arrays = header.pop("arrays", [])
        decoded = [_array(spec, body) for spec in arrays]
        if sum(spec["bytes"] for spec in arrays) != len(body):
            raise Garbled("lengths that do not add up")
        for name, fits in _FIELDS.items():
            if name in header and not fits(header[name]):
                raise Garbled(f"{name} is not what it should be")
        if "observed" in header:
            header["observed"] = _tree(header["observed"], decoded)
        return header
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Garbled(f"{type(error).__name__}: {error}") from error
    except RecursionError as error:
        raise Garbled("too deep") from error


def _exactly(stream, length: int) -> bytes:
    data = stream.read(length)
    if data is None or len(data) < length:
        raise Ended
    return data


def _array(spec: dict, body: bytes) -> dict:
    """One array: what its spec says (dtype, shape, kind, device, call) with its values as numpy."""
    dtype, shape, start = _DTYPES[spec["dtype"]], spec["shape"], spec["start"]
    if not all(type(n) is int and n >= 0 for n in [*shape, start]) or len(shape) > 16:
        raise Garbled("a shape that is none")
    if prod(shape) * dtype.itemsize != spec["bytes"] or start + spec["bytes"] > len(body):
        raise Garbled("a size that does not fit its shape")
    values = np.frombuffer(body, dtype, prod(shape), start).reshape(shape)
    if spec["dtype"] == "bfloat16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    told = {"kind": spec["kind"], "device": spec.get("device", "cpu"), "dtype": spec["dtype"]}
    call = spec.get("call")
    if not _is_texts([*told.values(), call or ""]):
        raise Garbled("an array that does not say what it is")
    return {**told, "shape": shape, "call": call, "values": values}


def _readable(node):
    """The same without half characters (lone surrogates), which no terminal and no file takes."""
    if isinstance(node, str):
        return node.encode("utf-8", "replace").decode()
    if isinstance(node, list):
        return [_readable(item) for item in node]
    if isinstance(node, dict):
        return {_readable(key): _readable(item) for key, item in node.items()}
    return node


def _tree(node, arrays: list, depth: int = 0):
    """What was observed, with its arrays in it; an array stays the dictionary that `_array` made."""
    if depth > DEPTH:
        raise Garbled("too deep")
    if node is None or isinstance(node, str | bool):
        return node
    if type(node) is int and abs(node) < 1 << 63:
        return node
    if not isinstance(node, dict):
        raise Garbled(f"a {type(node).__name__} stands where something observed should")
    if set(node) == {"array"} and type(node["array"]) is int and node["array"] >= 0:
        return arrays[node["array"]]
    if set(node) == {"list"} and isinstance(node["list"], list):
        return {"list": [_tree(item, arrays, depth + 1) for item in node["list"]]}
    if set(node) == {"dict"} and _is_texts([key for key, _ in node["dict"]]):
        return {"dict": [[key, _tree(item, arrays, depth + 1)] for key, item in node["dict"]]}
    if set(node) in ({"number"}, {"near", "margin"}):
        return {key: float(value) for key, value in node.items()}
    if set(node) == {"odd"} and isinstance(node["odd"], str):
        return node
    raise Garbled("nothing that can be observed")


def _is_texts(value) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _are_pairs(value) -> bool:
    return isinstance(value, list) and all(_is_texts(pair) and len(pair) == 2 for pair in value)


def _is_error(value) -> bool:
    """{"kind", "type", "message", "name": texts, "frames": [{"file", "line", "function", "text"}]}."""
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return False
    frames = value.get("frames", [])
    texts = [item for key, item in value.items() if key != "frames"]
    return _is_texts(texts) and isinstance(frames, list) and all(map(_is_frame, frames))


def _is_frame(value) -> bool:
    if not isinstance(value, dict) or set(value) != {"file", "line", "function", "text"}:
        return False
    line = value["line"]
    others = [value[key] for key in ("file", "function", "text")]
    return _is_texts(others) and (line is None or (type(line) is int and 0 <= line < 1 << 31))


_FIELDS = {
    "serial": lambda value: type(value) is int,
    "other_names": lambda value: value is True,
    "error": _is_error,
    "calls": _is_texts,
    "changed": _are_pairs,
    "said": _are_pairs,
    "signature": lambda value: isinstance(value, list) and all(map(_is_texts, value)),
    "parameters": lambda value: (
        isinstance(value, list) and all(_is_texts(names) and names for names in value)
    ),
    "nothing": _is_texts,
    "imports": _is_texts,
    "layers": _is_texts,
}
