"""Weights of a `.caffemodel`: protobuf's wire format, of which only layers' names and blobs are read.

Source of the field numbers: caffe.proto (BVLC). NetParameter has its layers in 100 (LayerParameter: name 1,
blobs 7), those of files before 2014 in 2 (V1LayerParameter: name 4, blobs 6). BlobProto: num, channels, height,
width 1 to 4, data 5 (float), shape 7 (dims in its 1), double_data 8.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmzoo.errors import SourceError
from bmzoo.onnx_import.external import PROTOBUF_LIMIT

Blob = NDArray[np.float32]
_LAYERS = {100: (1, 7), 2: (4, 6)}  # field of the layers -> fields of a layer's name and blobs
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LEGACY_DIMS = (1, 2, 3, 4)
_DATA, _SHAPE, _DOUBLES = 5, 7, 8
_MAX_DIMS = 8
_MAX_DIM = 1 << 31


class _Damaged(Exception):
    """What is wrong, in the words of people."""


def read_blobs(path: Path, where: str) -> dict[str, list[Blob]]:
    """Layer -> its blobs, of layers that have some. Raises SourceError for what is damaged or no caffemodel."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size < PROTOBUF_LIMIT else b""
    except OSError as err:
        raise SourceError(f"{where}: cannot be read: {err.strerror or err}", "check the path") from None
    if size >= PROTOBUF_LIMIT:
        raise SourceError(f"{where}: too large: {size} bytes", "the limit is 2 GiB")
    try:
        return _layers(memoryview(content))
    except _Damaged as err:
        hint = "fetch it again; is it the .caffemodel itself, not a page or a .prototxt?"
        raise SourceError(f"{where}: not a caffemodel, or cut short: {err}", hint) from None


def _layers(content: memoryview) -> dict[str, list[Blob]]:
    found: dict[str, list[Blob]] = {}
    number = 0
    for field, value in _fields(content):
        if field not in _LAYERS or not isinstance(value, memoryview):
            continue
        number += 1
        name, blobs = _layer(value, *_LAYERS[field])
        if blobs and name in found:
            raise _Damaged(f"two layers named {name!r}")
        if blobs:
            found[name] = blobs
    if not number:
        raise _Damaged(f"no layers in {len(content)} bytes")
    return found


def _layer(content: memoryview, name_field: int, blobs_field: int) -> tuple[str, list[Blob]]:
    name, raw = "", []
    for field, value in _fields(content):
        if field == name_field and isinstance(value, memoryview):
            name = bytes(value).decode("utf-8", "replace")
        elif field == blobs_field and isinstance(value, memoryview):
            raw.append(value)
    return name, [_blob(blob, f"blob {i} of {name!r}") for i, blob in enumerate(raw)]


def _blob(content: memoryview, where: str) -> Blob:
    shape: list[int] = []
    legacy: dict[int, int] = {}
    raw = {_DATA: bytearray(), _DOUBLES: bytearray()}
    for field, value in _fields(content):
        if field == _SHAPE and isinstance(value, memoryview):
            shape = _dims(value)
        elif field in _LEGACY_DIMS and isinstance(value, int):
            legacy[field] = value
        elif field in raw and isinstance(value, memoryview):
            raw[field] += value
    dims = shape or [legacy.get(field, 1) for field in _LEGACY_DIMS if legacy]
    values = np.concatenate([_numbers(raw[_DATA], "<f4", where), _numbers(raw[_DOUBLES], "<f8", where)])
    if len(dims) > _MAX_DIMS or max(dims, default=0) > _MAX_DIM or math.prod(dims) != values.size:
        raise _Damaged(f"{where} holds {values.size} numbers where its shape is {dims[: _MAX_DIMS + 1]}")
    return values.reshape(dims)


def _numbers(value: bytearray, dtype: str, where: str) -> Blob:
    if len(value) % np.dtype(dtype).itemsize:
        raise _Damaged(f"{where} ends within a number")
    return np.frombuffer(value, dtype).astype(np.float32)


def _dims(content: memoryview) -> list[int]:
    """Dimensions of a BlobShape, packed or one by one."""
    dims: list[int] = []
    for field, value in _fields(content):
        if field == 1 and isinstance(value, memoryview):
            at = 0
            while at < len(value) and len(dims) <= _MAX_DIMS:
                dim, at = _varint(value, at)
                dims.append(dim)
        elif field == 1 and isinstance(value, int):
            dims.append(value)
    return dims


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message; fixed-size values as bytes, as packed numbers are."""
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            number, at = _varint(content, at)
            yield field, number
            continue
        if kind == _BYTES:
            length, at = _varint(content, at)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise _Damaged(f"a field of no known kind: {kind}")
        if not field or length > len(content) - at:
            raise _Damaged(f"field {field} says {length} bytes, and {len(content) - at} follow")
        yield field, content[at : at + length]
        at += length


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """A number of at most 64 bits, and where what follows it begins."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise _Damaged("it ends within a number")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _Damaged("a number of more than 64 bits")
