"""Crop, resize, pad and scale images, with the arithmetic of the chips' VPP and BMCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Sequence

import cv2
import numpy as np

from bmzoo.runtime.bmcv import nearest_pixels
from bmzoo.sail.colour import convert, saturate
from bmzoo.sail.enums import Format, ImgDtype, bmcv_resize_algorithm
from bmzoo.sail.errors import SailBMImageError
from bmzoo.sail.pixels import PACKED, PLANAR, YUV, Pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CV2 = {
    bmcv_resize_algorithm.BMCV_INTER_LINEAR: cv2.INTER_LINEAR,
    bmcv_resize_algorithm.BMCV_INTER_BICUBIC: cv2.INTER_CUBIC,
}
_KEPT = (Format.FORMAT_RGB_PLANAR, Format.FORMAT_BGR_PLANAR, Format.FORMAT_GRAY)


@dataclass(frozen=True)
class Box:
    """Part of an image, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Padding:
    """Where in the output the resized part lies, in pixels, and the colour around it."""

    box: Box
    red: int
    green: int
    blue: int


def planar(format: Format) -> Format:
    """The format that resizing gives for an input's format."""
    return format if format in _KEPT else Format.FORMAT_BGR_PLANAR


def resize(
    source: Pixels, box: Box, width: int, height: int, algorithm: bmcv_resize_algorithm, format: Format
) -> Pixels:
    """`box` of the image, stretched to width x height, in a planar or gray `format`. Raises SailBMImageError."""
    if not isinstance(algorithm, bmcv_resize_algorithm):
        raise TypeError(f"resize_alg: must be a sail.bmcv_resize_algorithm: {algorithm!r}")
    if min(width, height, box.width, box.height) < 1 or min(box.x, box.y) < 0:
        raise SailBMImageError(f"resize: sizes must be at least 1: {box}, {width}x{height}")
    if box.x + box.width > source.width or box.y + box.height > source.height:
        raise SailBMImageError(f"crop: reaches beyond the image: {box}, {source}")
    planes = convert(source, format).native()
    planes = planes[:, box.y : box.y + box.height, box.x : box.x + box.width]
    return Pixels.of(_stretch(planes, width, height, algorithm), format)


def pad(resized: Pixels, width: int, height: int, padding: Padding) -> Pixels:
    """A canvas of width x height in the padding's colour, with the image on it. Raises SailBMImageError."""
    box = padding.box
    if box.x + box.width > width or box.y + box.height > height:
        raise SailBMImageError(f"padding: {box} does not fit into the output: {width}x{height}")
    target = Pixels.zeros(height, width, resized.format, resized.dtype)
    fill = {"r": padding.red, "g": padding.green, "b": padding.blue, "y": padding.red}
    planes, names = target.native(), PLANAR.get(target.format, "y")
    for i, plane in enumerate(planes):
        plane[:] = saturate(np.array(fill[names[i]]), planes.dtype)
    planes[:, box.y : box.y + box.height, box.x : box.x + box.width] = resized.native()
    return target


def scale_into(source: Pixels, target: Pixels, pairs: Sequence[Sequence[float]]) -> None:
    """y = a * x + b for each channel in memory order, in the target's type. Raises SailBMImageError."""
    if source.format in PACKED or source.format in YUV or target.format in PACKED or target.format in YUV:
        raise SailBMImageError(f"convert_to: not supported for this format: {source}, {target}")
    inputs, outputs = source.native(), target.native()
    if inputs.shape != outputs.shape:
        raise SailBMImageError(f"convert_to: sizes differ: {source}, {target}")
    for i, plane in enumerate(inputs):
        a, b = (np.float32(value) for value in pairs[i])
        outputs[i] = saturate(plane.astype(np.float32) * a + b, outputs.dtype)


def add_weighted(first: Pixels, a: float, second: Pixels, b: float, c: float) -> Pixels:
    """a * first + b * second + c, sample by sample. Raises SailBMImageError."""
    if not first.fits(second):
        raise SailBMImageError(f"image_add_weighted: images differ: {first}, {second}")
    if first.dtype is not ImgDtype.DATA_TYPE_EXT_1N_BYTE:
        raise SailBMImageError(f"image_add_weighted: must be 8-bit: {first}")
    total = first.data.astype(np.float32) * np.float32(a)
    total += second.data.astype(np.float32) * np.float32(b) + np.float32(c)
    return Pixels(first.height, first.width, first.format, first.dtype, saturate(total, np.uint8))


def _stretch(planes: NDArray[Any], width: int, height: int, algorithm: bmcv_resize_algorithm) -> NDArray[Any]:
    """[c,h,w] -> [c,height,width]."""
    _, rows, columns = planes.shape
    if (rows, columns) == (height, width):
        return planes
    if algorithm is bmcv_resize_algorithm.BMCV_INTER_NEAREST:
        return planes[:, nearest_pixels(rows, height)[:, None], nearest_pixels(columns, width)]
    kind = planes.dtype
    if kind == np.int8:  # cv2 has no resize for it
        planes = planes.astype(np.float32)
    stretched = [
        np.asarray(cv2.resize(np.ascontiguousarray(plane), (width, height), interpolation=_CV2[algorithm]))
        for plane in planes
    ]
    return saturate(np.stack(stretched), kind) if kind == np.int8 else np.stack(stretched)
