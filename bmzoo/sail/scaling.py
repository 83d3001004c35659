"""Quantization between floats and tensor types, as in sail: one scale, no zero point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union

import numpy as np

from bmzoo.sail.enums import ELEMENTS, Dtype
from bmzoo.sail.errors import SailTensorError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SCALED = {
    Dtype.BM_INT8: (-128, 127),
    Dtype.BM_UINT8: (0, 255),
    Dtype.BM_INT32: (-(2**31), 2**31 - 1),
}


def quantize(values: NDArray[Any], dtype: Dtype, scale: float) -> NDArray[Any]:
    """Float -> a tensor's type: x * scale, rounded half to even, clipped; float32 is only cast.

    Raises SailTensorError for the types that sail does not convert.
    """
    if dtype is Dtype.BM_FLOAT32:
        return values.astype(np.float32)
    if dtype not in _SCALED:
        raise SailTensorError(f"no conversion from float to: {dtype.name}")
    lowest, highest = _SCALED[dtype]
    scaled = np.rint(values.astype(np.float32) * np.float32(scale)).astype(np.float64)
    quantized: NDArray[Any] = np.clip(scaled, lowest, highest).astype(ELEMENTS[dtype])
    return quantized


def dequantize(values: NDArray[Any], dtype: Dtype, scale: float) -> NDArray[np.float32]:
    """A tensor's type -> float32: q * scale; float32 is only copied. Raises SailTensorError."""
    if dtype is Dtype.BM_FLOAT32:
        return values.astype(np.float32)
    if dtype not in _SCALED:
        raise SailTensorError(f"no conversion to float from: {dtype.name}")
    return values.astype(np.float32) * np.float32(scale)


def element_bits(value: Union[int, float], dtype: Dtype) -> Any:
    """`value` as an element; 16-bit floats as bits."""
    if dtype is Dtype.BM_FLOAT16:
        return np.float16(value).view(np.uint16)
    if dtype is Dtype.BM_BFLOAT16:
        return np.uint16(int(np.float32(value).view(np.uint32)) >> 16)
    return value
