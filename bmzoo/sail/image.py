"""BMImage, views of it, and where padding puts one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, List, Optional, Sequence, Union

import numpy as np

from bmzoo.sail.binding import bound
from bmzoo.sail.colour import saturate, to_bgr
from bmzoo.sail.device import Handle
from bmzoo.sail.enums import Format, ImgDtype
from bmzoo.sail.errors import Partial, SailBMImageError
from bmzoo.sail.pixels import PACKED, PLANAR, YUV, Pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

U8 = ImgDtype.DATA_TYPE_EXT_1N_BYTE


class bm_image:
    """A view of an image that shares its memory. Scripts get it from BMImage.data() and from arrays."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels

    def width(self) -> int:
        """In pixels."""
        return self.pixels.width

    def height(self) -> int:
        """In pixels."""
        return self.pixels.height

    def format(self) -> Format:
        """Order of the channels in memory."""
        return self.pixels.format

    def dtype(self) -> ImgDtype:
        """Type of a sample."""
        return self.pixels.dtype


class BMImage(Partial):
    """An image in device memory: `BMImage()`, `(bm_image)`, `(handle, height, width, format, dtype)`, or
    `(handle, buffer, height, width, format, dtype=u8, strides=[], offset=0)`, strides in bytes a plane's row.
    """

    LEFT_OUT: ClassVar = frozenset({"align", "check_align", "unalign"})

    @bound(
        "",
        "image: bm_image, /",
        "handle: Handle, h: int, w: int, format: Format, dtype: ImgDtype, /",
        "handle: Handle, buffer: buffer, h: int, w: int, format: Format, "
        "dtype: ImgDtype = DATA_TYPE_EXT_1N_BYTE, strides: [int] = [], offset: size = 0",
    )
    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.pixels = empty()
        self.pts_dts = [0.0, 0.0]
        self._handle: Optional[Handle] = None
        if len(arguments) == 1:
            self.pixels = arguments[0].pixels
        elif arguments:
            self._handle = arguments[0]
            make = _blank if len(arguments) == 5 else _from_buffer
            self.pixels = make(*arguments[1:])

    @classmethod
    def of(cls, pixels: Pixels) -> BMImage:
        """An image with this memory."""
        image = cls()
        image.pixels = pixels
        return image

    def width(self) -> int:
        """In pixels."""
        return self.pixels.width

    def height(self) -> int:
        """In pixels."""
        return self.pixels.height

    def format(self) -> Format:
        """Order of the channels in memory."""
        return self.pixels.format

    def dtype(self) -> ImgDtype:
        """Type of a sample."""
        return self.pixels.dtype

    def data(self) -> bm_image:
        """A view that shares the memory."""
        return bm_image(self.pixels)

    def asmat(self) -> NDArray[np.uint8]:
        """A copy as uint8 [H,W,3] in BGR order, whatever the format."""
        if not self.pixels.data.size:
            raise SailBMImageError("asmat: the image is empty")
        bgr = to_bgr(self.pixels)
        copy: NDArray[np.uint8] = np.array(bgr if bgr.dtype == np.uint8 else saturate(bgr, np.uint8), order="C")
        return copy

    def asnumpy(self) -> NDArray[Any]:
        """A copy as it lies in memory: planar [3,H,W], packed [H,W,3], gray [1,H,W], others flat."""
        return self.pixels.native().copy()

    def get_plane_num(self) -> int:
        """Planes of memory: 1 packed, planar or gray, 2 for NV formats, 3 for YUV planes and separate ones."""
        format = self.pixels.format
        separate = (Format.FORMAT_BGRP_SEPARATE, Format.FORMAT_RGBP_SEPARATE)
        return len(self.pixels.surfaces()) if format in YUV else 3 if format in separate else 1

    def get_device_id(self) -> int:
        """Number of the device."""
        return self._handle.get_device_id() if self._handle else 0

    def get_handle(self) -> Handle:
        """The device."""
        return self._handle or Handle(0)

    def need_to_free(self) -> bool:
        """True when the image has memory."""
        return bool(self.pixels.data.size)

    def empty_check(self) -> int:
        """1 when there is an image, 0 when it is empty."""
        return int(self.pixels.data.size > 0)

    def check_contiguous_memory(self) -> int:
        """1: planes always lie in one block."""
        return 1

    def get_pts_dts(self) -> List[float]:
        """Time stamps of a video frame."""
        return list(self.pts_dts)


class PaddingAtrr:
    """Where the resized part goes in the output (offset and size in pixels) and the colour around it."""

    __slots__ = ("_numbers",)

    @bound("", "stx: uint, sty: uint, w: uint, h: uint, r: uint, g: uint, b: uint, /")
    def __init__(self, *numbers: int) -> None:
        self._numbers = list(numbers or [0] * 7)

    @property
    def numbers(self) -> Sequence[int]:
        """Left, top, width, height, red, green, blue."""
        return self._numbers

    @bound("stx: uint, /")
    def set_stx(self, stx: int) -> None:
        """Left edge of the part."""
        self._numbers[0] = stx

    @bound("sty: uint, /")
    def set_sty(self, sty: int) -> None:
        """Top edge of the part."""
        self._numbers[1] = sty

    @bound("w: uint, /")
    def set_w(self, w: int) -> None:
        """Width of the part."""
        self._numbers[2] = w

    @bound("h: uint, /")
    def set_h(self, h: int) -> None:
        """Height of the part."""
        self._numbers[3] = h

    @bound("r: uint, /")
    def set_r(self, r: int) -> None:
        """Red around the part."""
        self._numbers[4] = r

    @bound("g: uint, /")
    def set_g(self, g: int) -> None:
        """Green around the part."""
        self._numbers[5] = g

    @bound("b: uint, /")
    def set_b(self, b: int) -> None:
        """Blue around the part."""
        self._numbers[6] = b


def empty() -> Pixels:
    """Memory of an image without a size."""
    return Pixels.zeros(0, 0, Format.FORMAT_BGR_PLANAR, U8)


def _blank(h: int, w: int, format: Format, dtype: ImgDtype) -> Pixels:
    return Pixels.zeros(h, w, format, dtype)


def _from_buffer(  # noqa: PLR0913, PLR0917  # sail's signature
    buffer: Any,
    h: int,
    w: int,
    format: Format,
    dtype: ImgDtype = U8,
    strides: Sequence[int] = (),
    offset: int = 0,
) -> Pixels:
    pixels = Pixels.zeros(h, w, format, dtype)
    given = np.frombuffer(buffer, np.uint8)[offset:]
    if len(set(strides)) > 1:
        raise SailBMImageError(f"BMImage(): all strides must be equal: {list(strides)}")
    rows = h if format in PACKED else 3 * h if format in PLANAR else h
    row = pixels.data.nbytes // max(1, rows)
    stride = strides[0] if strides else row
    if stride != row and format in YUV:
        raise SailBMImageError(f"BMImage(): strides are not supported for {format.name}: {list(strides)}")
    needed = pixels.data.nbytes if stride == row else stride * (rows - 1) + row
    if stride < row or given.size < needed:
        raise SailBMImageError(f"BMImage(): the buffer is too small for {pixels}: {given.size} bytes")
    if stride != row:
        given = np.lib.stride_tricks.as_strided(given, (rows, row), (stride, 1)).reshape(-1)
    pixels.data.view(np.uint8)[:] = given[: pixels.data.nbytes]
    return pixels


AnyImage = Union[BMImage, bm_image]
