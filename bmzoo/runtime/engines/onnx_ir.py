"""The IR version that an ONNX file is stamped with, changed without the `onnx` package.

A newer stamp does not mean newer operators: exporters write the number of the `onnx` that they run with.
"""

from __future__ import annotations

from typing import Tuple

_IR_VERSION = 1  # field of ModelProto in onnx.proto
_VARINT, _EIGHT_BYTES, _COUNTED, _FOUR_BYTES = 0, 1, 2, 5  # wire types of protobuf


def stamped(model: bytes, version: int) -> bytes:
    """The model with another IR version. Raises ValueError for what is no ONNX file."""
    at = 0
    while at < len(model):
        tag, value = _varint(model, at)
        if tag >> 3 == _IR_VERSION and tag & 7 == _VARINT:
            _, end = _varint(model, value)
            return model[:value] + bytes([version]) + model[end:]
        at = _after(model, tag & 7, value)
    raise ValueError("no IR version")


def _after(model: bytes, wire: int, at: int) -> int:
    """Where the field whose value begins at `at` ends."""
    if wire == _VARINT:
        return _varint(model, at)[1]
    if wire == _COUNTED:
        size, start = _varint(model, at)
        return start + size
    if wire in (_EIGHT_BYTES, _FOUR_BYTES):
        return at + (8 if wire == _EIGHT_BYTES else 4)
    raise ValueError(f"no protobuf: wire type {wire}")


def _varint(model: bytes, at: int) -> Tuple[int, int]:
    """A number, and where it ends."""
    value = shift = 0
    while at < len(model):
        value |= (model[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not model[at - 1] & 0x80:
            return value, at
    raise ValueError("no protobuf: cut off")
