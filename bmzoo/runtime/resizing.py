"""How a picture comes to the size of a network's input, and back: one function a way, and the table of them.

The arithmetic follows the published samples of each way: resize, then paste on a canvas of one colour, or crop.
Their two flavours differ in the resize: OpenCV's samples weigh neighbours and round the size, BMCV's take the
nearest pixel and cut the size off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Dict, Protocol, Tuple

import cv2
import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.bmcv import nearest_pixels
from bmzoo.runtime.picture_words import CROPPED_TO

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Geometry:
    """Where an image went: network pixel = image pixel * scale + pad; width and height are the image's.

    Pads are negative where the image was cropped.
    """

    scale_x: float
    scale_y: float
    pad_left: int
    pad_top: int
    width: int
    height: int

    def to_original(self, coordinates: NDArray[np.float32], clip: bool = False) -> NDArray[np.float32]:
        """Network pixels -> image pixels, same shape, float32: boxes [n,4] xyxy or points [n,k,2] xy.

        With `clip` the result stays within 0..width and 0..height.
        """
        shape = np.shape(coordinates)
        points = np.asarray(coordinates, np.float32).reshape(*shape[:-1], shape[-1] // 2, 2)
        moved = np.empty_like(points)
        # One axis at a time, since numpy is slow along pairs.
        axes = ((self.pad_left, self.scale_x, self.width), (self.pad_top, self.scale_y, self.height))
        for axis, (pad, scale, end) in enumerate(axes):
            # float64 inside, as in the samples: a float32 division would move truncated corners by a pixel.
            values = np.subtract(points[..., axis], pad, dtype=np.float64)
            values /= scale
            moved[..., axis] = values.clip(0, end) if clip else values
        return moved.reshape(shape)


class ResizeSettings(Protocol):
    """What of an InputSpec a resize looks at."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def resize(self) -> str: ...

    @property
    def pad_value(self) -> int: ...

    @property
    def flavour(self) -> str: ...


Placed = Tuple["NDArray[np.uint8]", Geometry]


def fitted_in(image: NDArray[np.uint8], spec: ResizeSettings) -> Placed:
    """An image, uint8 [H,W,3], in the network's size, uint8 [height,width,3]. Raises SessionError."""
    return RESIZES[spec.resize](image, spec)


def _letterbox(image: NDArray[np.uint8], spec: ResizeSettings) -> Placed:
    resized, scale_x, scale_y = _by_ratio(image, spec)
    return _pasted(resized, spec), Geometry(scale_x, scale_y, 0, 0, image.shape[1], image.shape[0])


def _letterbox_center(image: NDArray[np.uint8], spec: ResizeSettings) -> Placed:
    resized, scale_x, scale_y = _by_ratio(image, spec)
    top, left = (spec.height - resized.shape[0]) // 2, (spec.width - resized.shape[1]) // 2
    at = Geometry(scale_x, scale_y, left, top, image.shape[1], image.shape[0])
    return _pasted(resized, spec, top, left), at


def _stretch(image: NDArray[np.uint8], spec: ResizeSettings) -> Placed:
    height, width = image.shape[:2]
    resized = _resize(image, spec.width, spec.height, spec.flavour)
    return resized, Geometry(spec.width / width, spec.height / height, 0, 0, width, height)


def _original(image: NDArray[np.uint8], spec: ResizeSettings) -> Placed:
    height, width = image.shape[:2]
    if height > spec.height or width > spec.width:
        size = f"{spec.height}x{spec.width}"
        hint = "resize: letterbox shrinks what is too large"
        raise SessionError(
            f"image: larger than the network's {size}, and resize is `original`: {height}x{width}", hint
        )
    return _pasted(image, spec), Geometry(1.0, 1.0, 0, 0, width, height)


def _center_crop(image: NDArray[np.uint8], spec: ResizeSettings) -> Placed:
    """torchvision's Resize and CenterCrop: the longer side is cut off, an odd pixel to crop goes half to even.

    For an input that is not square the picture covers height and width, each divided by CROPPED_TO.
    """
    height, width = image.shape[:2]
    rows, columns = round(spec.height / CROPPED_TO), round(spec.width / CROPPED_TO)
    if rows * width <= columns * height:  # the width decides
        rows = max(rows, int(columns * height / width))
    else:
        columns = max(columns, int(rows * width / height))
    resized = _resize(image, columns, rows, spec.flavour)
    top, left = round((rows - spec.height) / 2), round((columns - spec.width) / 2)
    cropped = resized[top : top + spec.height, left : left + spec.width]
    return cropped, Geometry(columns / width, rows / height, -left, -top, width, height)


def _fixed_height(image: NDArray[np.uint8], spec: ResizeSettings) -> Placed:
    """PaddleOCR's resize of a text line: as high as the input, its width rounded up and at most the input's."""
    height, width = image.shape[:2]
    columns = min(spec.width, math.ceil(spec.height * (width / height)))
    resized = _resize(image, columns, spec.height, spec.flavour)
    return _pasted(resized, spec), Geometry(columns / width, spec.height / height, 0, 0, width, height)


Resize = Callable[["NDArray[np.uint8]", ResizeSettings], Placed]
RESIZES: Dict[str, Resize] = {
    "letterbox": _letterbox,
    "letterbox_center": _letterbox_center,
    "stretch": _stretch,
    "center_crop": _center_crop,
    "fixed_height": _fixed_height,
    "original": _original,
}


def _pasted(resized: NDArray[np.uint8], spec: ResizeSettings, top: int = 0, left: int = 0) -> NDArray[np.uint8]:
    """A resized image on a canvas of the network's size."""
    rows, columns = resized.shape[:2]
    canvas = np.full((spec.height, spec.width, 3), spec.pad_value, np.uint8)
    canvas[top : top + rows, left : left + columns] = resized
    return canvas


def _by_ratio(image: NDArray[np.uint8], spec: ResizeSettings) -> Tuple[NDArray[np.uint8], float, float]:
    """The image as large as fits into the input, and the scale really applied to x and y."""
    height, width = image.shape[:2]
    ratio = min(spec.width / width, spec.height / height)
    to_int = round if spec.flavour == "opencv" else int  # round: half to even, as cv2 rounds fx and fy
    columns, rows = to_int(width * ratio), to_int(height * ratio)
    if not columns or not rows:
        columns, rows = max(1, columns), max(1, rows)
        return _resize(image, columns, rows, spec.flavour), columns / width, rows / height
    if spec.flavour == "bmcv":
        return _resize(image, columns, rows, spec.flavour), ratio, ratio
    # fx and fy, not a size: cv2 then samples at 1/ratio exactly, as the samples do.
    resized = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8), ratio, ratio


def _resize(image: NDArray[np.uint8], columns: int, rows: int, flavour: str) -> NDArray[np.uint8]:
    if flavour == "bmcv":
        height, width = image.shape[:2]
        return image.take(nearest_pixels(height, rows), axis=0).take(nearest_pixels(width, columns), axis=1)
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR), np.uint8)
