"""A picture with known faces, and what holds for it whatever data set it is from.

Everything is compared before the first picture is used: a ground truth that does not belong to the pictures
gives a plausible low figure and no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from bmzoo.errors import SourceError
from bmzoo.runtime.preprocess import read_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and its faces: `boxes` float64 [n,4] as x, y, w, h in pixels of width x height.

    `kept` gives, by subset, the indices of the faces that count, int64; all others are ignored there. `path`
    is None for a picture that is not in a file.
    """

    name: str
    path: Path | None
    width: int
    height: int
    boxes: NDArray[np.float64]
    kept: Mapping[str, NDArray[np.int64]]

    def read(self) -> NDArray[np.uint8]:
        """The picture as uint8 [height,width,3] BGR; a file stored in another size is stretched back."""
        if self.path is None:
            raise SourceError(f"{self.name}: the picture is in no file")
        image = read_image(self.path)
        if image.shape[:2] == (self.height, self.width):
            return image
        return np.asarray(cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_LINEAR), np.uint8)


def fitting(picture: Picture, where: str, first: int) -> Picture:
    """The picture, once its faces lie in it and its subsets name existing ones, counted from `first`.

    A face may be cut off by the border, so it is its centre that must lie inside.
    """
    boxes, size = picture.boxes, f"{picture.width}x{picture.height}"
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    inside = (centres >= 0) & (centres <= (picture.width, picture.height))  # False for NaN
    bad = np.flatnonzero(~(inside.all(axis=1) & (boxes[:, 2:] >= 0).all(axis=1)))
    if bad.size:
        row = ", ".join(f"{value:g}" for value in boxes[bad[0]])
        hint = "these are not the pictures that the ground truth was made for"
        raise SourceError(f"{where}: face {bad[0] + first} does not lie in the picture of {size}: [{row}]", hint)
    for subset, indices in picture.kept.items():
        wrong = indices[(indices < 0) | (indices >= len(boxes))]
        if wrong.size:
            value = int(wrong[0]) + first
            raise SourceError(f"{where}: {subset}: there are {len(boxes)} faces, none has the index: {value}")
    return picture


def size_of(path: Path, where: str) -> tuple[int, int]:
    """Width and height as `read_image` gives them, from the header alone: thousands of pictures are checked."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            turned = image.getexif().get(0x0112) in _TURNED
            return image.size[::-1] if turned else image.size
    except FileNotFoundError:
        raise SourceError(f"{where}: picture is missing: {path}") from None
    except UnidentifiedImageError:
        raise SourceError(f"{where}: not a picture, or damaged: {path}") from None
    except (OSError, ValueError, SyntaxError) as error:  # as Pillow's readers report broken headers
        raise SourceError(f"{where}: picture cannot be read: {path}: {error}") from error


def shortened(value: Any) -> str:
    """A value as messages show it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
