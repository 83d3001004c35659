"""sail's enumerations, with its numbers, and the numpy types that stand for them."""

from __future__ import annotations

from enum import Enum
from typing import Any, Dict

import numpy as np


class Number(Enum):
    """As pybind11 makes them: int(member) works, a plain number is never equal to a member."""

    def __int__(self) -> int:
        return int(self.value)

    def __index__(self) -> int:
        return int(self.value)


class Dtype(Number):
    """Element type of a tensor."""

    BM_FLOAT32 = 0
    BM_FLOAT16 = 1
    BM_INT8 = 2
    BM_UINT8 = 3
    BM_INT16 = 4
    BM_UINT16 = 5
    BM_INT32 = 6
    BM_UINT32 = 7
    BM_BFLOAT16 = 8


class IOMode(Number):
    """Which side of a network also has system memory: inputs, outputs, both or none."""

    SYSI = 0
    SYSO = 1
    SYSIO = 2
    DEVIO = 3


class ImgDtype(Number):
    """Element type of an image."""

    DATA_TYPE_EXT_FLOAT32 = 0
    DATA_TYPE_EXT_1N_BYTE = 1
    DATA_TYPE_EXT_4N_BYTE = 2
    DATA_TYPE_EXT_1N_BYTE_SIGNED = 3
    DATA_TYPE_EXT_4N_BYTE_SIGNED = 4


class Format(Number):
    """Order of an image's channels in memory."""

    FORMAT_YUV420P = 0
    FORMAT_YUV422P = 1
    FORMAT_YUV444P = 2
    FORMAT_NV12 = 3
    FORMAT_NV21 = 4
    FORMAT_NV16 = 5
    FORMAT_NV61 = 6
    FORMAT_NV24 = 7
    FORMAT_RGB_PLANAR = 8
    FORMAT_BGR_PLANAR = 9
    FORMAT_RGB_PACKED = 10
    FORMAT_BGR_PACKED = 11
    FORMAT_RGBP_SEPARATE = 12
    FORMAT_BGRP_SEPARATE = 13
    FORMAT_GRAY = 14
    FORMAT_COMPRESSED = 15
    FORMAT_ARGB_PACKED = 17
    FORMAT_ABGR_PACKED = 18


class bmcv_resize_algorithm(Number):
    """Interpolation method."""

    BMCV_INTER_NEAREST = 0
    BMCV_INTER_LINEAR = 1
    BMCV_INTER_BICUBIC = 2


class LogLevel(Number):
    """How much `set_loglevel` lets through."""

    TRACE = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4
    CRITICAL = 5
    OFF = 6


class DecoderStatus(Number):
    """State of a decoder; no function here reports it."""

    NONE = 0
    OPENED = 1
    CLOSED = 2
    STATUS_MAX = 3


class sail_resize_type(Number):
    """How EngineImagePreProcess brings a picture to the network's size: on which unit, stretched or padded."""

    BM_RESIZE_VPP_NEAREST = 0
    BM_RESIZE_TPU_NEAREST = 1
    BM_RESIZE_TPU_LINEAR = 2
    BM_RESIZE_TPU_BICUBIC = 3
    BM_PADDING_VPP_NEAREST = 4
    BM_PADDING_TPU_NEAREST = 5
    BM_PADDING_TPU_LINEAR = 6
    BM_PADDING_TPU_BICUBIC = 7


# Their members are names of the module, too.
EXPORTED = (Dtype, IOMode, ImgDtype, Format, bmcv_resize_algorithm, LogLevel, DecoderStatus, sail_resize_type)
MEMBERS: Dict[str, Number] = {name: member for kind in EXPORTED for name, member in kind.__members__.items()}

# 16-bit floats are kept as bits, which is how sail hands them to numpy.
ELEMENTS: Dict[Dtype, Any] = {
    Dtype.BM_FLOAT32: np.float32,
    Dtype.BM_FLOAT16: np.uint16,
    Dtype.BM_INT8: np.int8,
    Dtype.BM_UINT8: np.uint8,
    Dtype.BM_INT16: np.int16,
    Dtype.BM_UINT16: np.uint16,
    Dtype.BM_INT32: np.int32,
    Dtype.BM_UINT32: np.uint32,
    Dtype.BM_BFLOAT16: np.uint16,
}
PIXELS: Dict[ImgDtype, Any] = {
    ImgDtype.DATA_TYPE_EXT_FLOAT32: np.float32,
    ImgDtype.DATA_TYPE_EXT_1N_BYTE: np.uint8,
    ImgDtype.DATA_TYPE_EXT_1N_BYTE_SIGNED: np.int8,
}
# The types that images and tensors share.
IMAGE_OF_TENSOR = {
    Dtype.BM_FLOAT32: ImgDtype.DATA_TYPE_EXT_FLOAT32,
    Dtype.BM_UINT8: ImgDtype.DATA_TYPE_EXT_1N_BYTE,
    Dtype.BM_INT8: ImgDtype.DATA_TYPE_EXT_1N_BYTE_SIGNED,
}
TENSOR_OF_IMAGE = {image: tensor for tensor, image in IMAGE_OF_TENSOR.items()}
