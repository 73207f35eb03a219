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
        header = json.loads(text)
        arrays = header.pop("arrays", [])
        decoded = [_array(spec, body) for spec in arrays]
        if sum(spec["bytes"] for spec in arrays) != len(body):
            raise Garbled("lengths that do not add up")
        return _place(header, decoded)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise Garbled(f"{type(error).__name__}: {error}") from error


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
    return {**spec, "values": values}


def _place(node, arrays: list):
    """The tree with its arrays in it; an array stays the dictionary that `_array` made."""
    if isinstance(node, dict):
        if "array" in node:
            return arrays[node["array"]]
        return {key: _place(value, arrays) for key, value in node.items()}
    if isinstance(node, list):
        return [_place(value, arrays) for value in node]
    return node
