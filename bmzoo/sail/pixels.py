"""An image's memory: one flat array without stride padding, and the layout of each format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

import numpy as np

from bmzoo.sail.enums import PIXELS, Format, ImgDtype
from bmzoo.sail.errors import NotSupport, SailBMImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Order of the channels in memory.
PLANAR = {
    Format.FORMAT_BGR_PLANAR: "bgr",
    Format.FORMAT_RGB_PLANAR: "rgb",
    Format.FORMAT_BGRP_SEPARATE: "bgr",
    Format.FORMAT_RGBP_SEPARATE: "rgb",
}
PACKED = {Format.FORMAT_BGR_PACKED: "bgr", Format.FORMAT_RGB_PACKED: "rgb"}
# Pixels to a chroma sample along x and along y; how U and V interleave, empty for planes of their own.
YUV: Dict[Format, Tuple[int, int, str]] = {
    Format.FORMAT_YUV420P: (2, 2, ""),
    Format.FORMAT_YUV422P: (2, 1, ""),
    Format.FORMAT_YUV444P: (1, 1, ""),
    Format.FORMAT_NV12: (2, 2, "uv"),
    Format.FORMAT_NV21: (2, 2, "vu"),
    Format.FORMAT_NV16: (2, 1, "uv"),
    Format.FORMAT_NV61: (2, 1, "vu"),
    Format.FORMAT_NV24: (1, 1, "uv"),
}


@dataclass(frozen=True)
class Surface:
    """A part of an image to draw on, in place: array [h,w] or [h,w,k], the channels that it holds ("b", "uv",
    ...), and how many pixels of the image one of its samples stands for.
    """

    array: NDArray[Any]
    channels: str
    per_x: int = 1
    per_y: int = 1


@dataclass(eq=False)
class Pixels:
    """height x width pixels in `data`, flat and contiguous; several images may share it."""

    height: int
    width: int
    format: Format
    dtype: ImgDtype
    data: NDArray[Any]

    @classmethod
    def zeros(cls, height: int, width: int, format: Format, dtype: ImgDtype) -> Pixels:
        """Memory for an image. Raises NotSupport for a format or type that is not emulated."""
        return cls(height, width, format, dtype, np.zeros(length(height, width, format), element(dtype)))

    @classmethod
    def of(cls, array: NDArray[Any], format: Format) -> Pixels:
        """A copy of `array`, in the layout that `native` gives: [3,h,w], [h,w,3] or [1,h,w]."""
        height, width = array.shape[:2] if format in PACKED else array.shape[1:]
        dtypes = [dtype for dtype, kind in PIXELS.items() if kind == array.dtype]
        return cls(height, width, format, dtypes[0], np.array(array, order="C").reshape(-1))

    def native(self) -> NDArray[Any]:
        """The memory as planar [3,h,w], packed [h,w,3], gray [1,h,w], or flat for the others."""
        if self.format in PACKED:
            return self.data.reshape(self.height, self.width, 3)
        if self.format in YUV:
            return self.data
        return self.data.reshape(-1, self.height, self.width)

    def surfaces(self) -> List[Surface]:
        """Every sample of the image, in memory order."""
        if self.format in PACKED:
            return [Surface(self.native(), PACKED[self.format])]
        if self.format not in YUV:
            names = PLANAR.get(self.format, "y")
            return [Surface(plane, names[i]) for i, plane in enumerate(self.native())]
        per_x, per_y, order = YUV[self.format]
        rows, columns = -(-self.height // per_y), -(-self.width // per_x)
        luma = self.height * self.width
        parts = [Surface(self.data[:luma].reshape(self.height, self.width), "y")]
        if order:
            return [*parts, Surface(self.data[luma:].reshape(rows, columns, 2), order, per_x, per_y)]
        planes = self.data[luma:].reshape(2, rows, columns)
        return [*parts, Surface(planes[0], "u", per_x, per_y), Surface(planes[1], "v", per_x, per_y)]

    def fits(self, other: Pixels) -> bool:
        """Same size, format and type."""
        mine = (self.height, self.width, self.format, self.dtype)
        return mine == (other.height, other.width, other.format, other.dtype)

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.format.name} {self.dtype.name}"


def length(height: int, width: int, format: Format) -> int:
    """Samples of an image."""
    if not isinstance(format, Format):
        raise TypeError(f"image format: must be a sail.Format: {format!r}")
    if height < 0 or width < 0:
        raise SailBMImageError(f"image size: must not be negative: {width}x{height}")
    if format in PLANAR or format in PACKED:
        return 3 * height * width
    if format is Format.FORMAT_GRAY:
        return height * width
    if format not in YUV:
        raise NotSupport(f"image format: not in bmzoo.sail: {format.name}")
    per_x, per_y, _ = YUV[format]
    return height * width + 2 * -(-height // per_y) * -(-width // per_x)


def element(dtype: ImgDtype) -> Any:
    """numpy type of a sample."""
    if not isinstance(dtype, ImgDtype):
        raise TypeError(f"image type: must be a sail.ImgDtype: {dtype!r}")
    if dtype not in PIXELS:
        raise NotSupport(f"image type: not in bmzoo.sail: {dtype.name}")
    return PIXELS[dtype]
