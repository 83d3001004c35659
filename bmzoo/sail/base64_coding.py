"""Base64, which a card has hardware for."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from bmzoo.sail.binding import bound
from bmzoo.sail.errors import SailBMImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.sail.device import Handle

_KINDS = {"float": np.float32, "uint8": np.uint8, "int8": np.int8, "int16": np.int16, "int32": np.int32}
_KINDS["int64"] = np.int64


@bound("handle: Handle, input_bytes: bytes, /")
def base64_encode(handle: Handle, input_bytes: bytes) -> bytes:
    """Bytes -> text."""
    return base64.b64encode(input_bytes)


@bound("handle: Handle, encode_bytes: bytes, /")
def base64_decode(handle: Handle, encode_bytes: bytes) -> bytes:
    """Text -> bytes."""
    return base64.b64decode(encode_bytes)


@bound("handle: Handle, input_arr: any_array, /")
def base64_encode_array(handle: Handle, input_arr: NDArray[Any]) -> bytes:
    """The memory of an array -> text."""
    return base64.b64encode(np.ascontiguousarray(input_arr).tobytes())


@bound("handle: Handle, encode_arr_bytes: bytes, array_type: str = 'uint8'")
def base64_decode_asarray(handle: Handle, encode_arr_bytes: bytes, array_type: str = "uint8") -> NDArray[Any]:
    """Text -> a flat array of float, uint8, int8, int16, int32 or int64."""
    if array_type not in _KINDS:
        allowed = ", ".join(_KINDS)
        raise SailBMImageError(f"base64_decode_asarray: not supported: {array_type}; allowed: {allowed}")
    data, kind = base64.b64decode(encode_arr_bytes), np.dtype(_KINDS[array_type])
    return np.frombuffer(data[: len(data) // kind.itemsize * kind.itemsize], kind).copy()
