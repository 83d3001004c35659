"""Inputs and outputs of networks, and their values between the model's own types and the sessions' float32."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, Dict, Sequence, Tuple

import numpy as np

from bmzoo.sail.enums import ELEMENTS, Dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shapes = Dict[str, Tuple[int, ...]]  # by tensor
DTYPES = {
    "float32": Dtype.BM_FLOAT32,
    "float16": Dtype.BM_FLOAT16,
    "bfloat16": Dtype.BM_BFLOAT16,
    "int8": Dtype.BM_INT8,
    "uint8": Dtype.BM_UINT8,
    "int16": Dtype.BM_INT16,
    "uint16": Dtype.BM_UINT16,
    "int32": Dtype.BM_INT32,
    "uint32": Dtype.BM_UINT32,
}
_BYTES = (Dtype.BM_INT8, Dtype.BM_UINT8)


@dataclass(frozen=True)
class Port:
    """An input (integer = round(float * scale)) or output (float = integer * scale) of a network, in the largest
    shape that it takes; -1 where that is not known before the first run.
    """

    name: str
    shape: Tuple[int, ...]
    dtype: Dtype
    scale: float = 1.0
    zero_point: int = 0


def shapes_of(ports: Sequence[Port]) -> Shapes:
    """Shapes by name."""
    return {port.name: port.shape for port in ports}


def largest_of(stages: Sequence[Tuple[Port, ...]]) -> Tuple[Port, ...]:
    """The ports of the first stage, in the largest sizes of all."""
    found = []
    for i, port in enumerate(stages[0]):
        shapes = [ports[i].shape for ports in stages]
        same_rank = all(len(shape) == len(port.shape) for shape in shapes)
        largest = tuple(max(sizes) for sizes in zip(*shapes)) if same_rank else max(shapes, key=prod)  # noqa: B905
        found.append(replace(port, shape=largest))
    return tuple(found)


def to_session(raw: NDArray[Any], port: Port) -> NDArray[Any]:
    """Raw -> float32 that the simulator's worker quantizes back to exactly the same raw values."""
    if port.dtype in _BYTES and port.scale != 0:
        return (raw.astype(np.float32) - np.float32(port.zero_point)) / np.float32(port.scale)
    if port.dtype is Dtype.BM_FLOAT16:
        return raw.view(np.float16).astype(np.float32)
    if port.dtype is Dtype.BM_BFLOAT16:
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float32)


def from_session(values: NDArray[np.float32], port: Port) -> NDArray[Any]:
    """The float32 values that sessions give -> raw."""
    if port.dtype in _BYTES and port.scale != 0:
        values = np.rint(values / np.float32(port.scale) + np.float32(port.zero_point))
    if port.dtype is Dtype.BM_FLOAT16:
        return values.astype(np.float16).view(np.uint16)
    if port.dtype is Dtype.BM_BFLOAT16:
        return (np.ascontiguousarray(values).view(np.uint32) >> 16).astype(np.uint16)
    raw: NDArray[Any] = values.astype(ELEMENTS[port.dtype])
    return raw
