"""Drawing on a part of a picture, supersampled for small shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Points = NDArray[np.float64]
Colour = tuple[float, float, float]

_SHIFT = 4  # cv2 takes coordinates as integers of 1/16 pixel
_FAR = 20000.0
UINT8 = 0  # cv2.CV_8U, which is missing in OpenCV's type stubs


class Canvas:
    """A window on a picture [H,W,3] in which shapes are drawn, and pasted back by `paste`.

    Coordinates are those of the picture, x to the right and y down; pixel i covers i to i + 1. `zoom` >= 1 canvas
    pixels per picture pixel: enlarging repeats pixels and pasting averages them, so that untouched pixels stay
    unchanged, and edges of small shapes are antialiased.
    """

    def __init__(self, image: Image, window: tuple[float, float, float, float], zoom: int = 1) -> None:
        height, width = image.shape[:2]
        left, top, right, bottom = window
        self._left, self._top = min(max(math.floor(left), 0), width), min(max(math.floor(top), 0), height)
        right, bottom = (
            max(min(math.ceil(right), width), self._left),
            max(min(math.ceil(bottom), height), self._top),
        )
        self._origin = np.array([self._left, self._top], np.float64)
        self._target = image[self._top : bottom, self._left : right]
        self.zoom = zoom
        self.pixels = self._target
        if zoom > 1:
            self.pixels = np.repeat(np.repeat(self._target, zoom, 0), zoom, 1)
        elif self._target.size:
            self.pixels = np.ascontiguousarray(self._target)  # cv2 draws only on contiguous arrays

    @property
    def empty(self) -> bool:
        """Whether the window lies outside the picture."""
        return self.pixels.size == 0

    def paste(self) -> None:
        """Copy the window back into the picture."""
        if self.empty:
            return
        if self.zoom > 1:
            rows, columns = self._target.shape[:2]
            self._target[:] = cv2.resize(self.pixels, (columns, rows), interpolation=cv2.INTER_AREA)
        elif self.pixels is not self._target:
            self._target[:] = self.pixels

    def place(self, points: Points) -> Points:
        """Picture -> canvas coordinates in cv2's convention: pixel centres are integers."""
        moved: Points = (points - self._origin) * self.zoom - 0.5
        return moved

    def fill(self, points: Points, colour: Colour) -> None:
        """A polygon [n,2], convex or not."""
        cv2.fillPoly(self.pixels, [self._fixed(points)], colour, cv2.LINE_AA, _SHIFT)

    def line(self, points: Points, colour: Colour, thickness: float) -> None:
        """A polyline [n,2] that is `thickness` of the picture's pixels wide, at least one of the canvas."""
        width = max(1, round(thickness * self.zoom))
        cv2.polylines(self.pixels, [self._fixed(points)], False, colour, width, cv2.LINE_AA, _SHIFT)

    def ellipse(
        self, centre: Sequence[float] | Points, axes: tuple[float, float], angle: float, colour: Colour
    ) -> None:
        """A filled ellipse with half axes `axes`, turned by `angle` (radians, clockwise on the screen)."""
        size = (self._length(axes[0]), self._length(axes[1]))
        turn = math.degrees(angle)
        cv2.ellipse(self.pixels, self._point(centre), size, turn, 0, 360, colour, -1, cv2.LINE_AA, _SHIFT)

    def ring(self, centre: Sequence[float] | Points, radius: float, colour: Colour, thickness: float) -> None:
        """A circle's line."""
        width = max(1, round(thickness * self.zoom))
        cv2.circle(self.pixels, self._point(centre), self._length(radius), colour, width, cv2.LINE_AA, _SHIFT)

    def shade(self, factors: NDArray[np.float32], corners: Points, within: Points | None = None) -> None:
        """Multiply pixels by a map [h,w] stretched over the rectangle `corners` [[left, top], [right, bottom]].

        Only inside the polygon `within`, where one is given.
        """
        rows, columns = self.pixels.shape[:2]
        low, high = self.place(corners) + 0.5
        scale = (high - low) / factors.shape[::-1]
        x1, y1 = max(0, math.floor(low[0])), max(0, math.floor(low[1]))
        x2, y2 = min(columns, math.ceil(high[0])), min(rows, math.ceil(high[1]))
        if x2 <= x1 or y2 <= y1:
            return
        matrix = np.array([[1 / scale[0], 0, (x1 + 0.5 - low[0]) / scale[0] - 0.5], [0, 1 / scale[1], 0]])
        matrix[1, 2] = (y1 + 0.5 - low[1]) / scale[1] - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (x2 - x1, y2 - y1)
        stretched = cv2.warpAffine(factors, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        if within is not None:
            mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
            fixed = np.round((self.place(within) - (x1, y1)) * (1 << _SHIFT)).astype(np.int32)
            cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SHIFT)
            stretched = 1 + (stretched - 1) * (mask * np.float32(1 / 255))
        region = self.pixels[y1:y2, x1:x2]
        region[:] = scaled(region, stretched)

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        # Far outside nothing is visible, but cv2's integers would overflow. (np.clip is slow for a few points.)
        placed = np.minimum(np.maximum(self.place(points), -_FAR), _FAR)
        fixed: NDArray[np.int32] = np.rint(placed * (1 << _SHIFT)).astype(np.int32)
        return fixed

    def _point(self, centre: Sequence[float] | Points) -> tuple[int, int]:
        x = (float(centre[0]) - self._left) * self.zoom - 0.5
        y = (float(centre[1]) - self._top) * self.zoom - 0.5
        return round(min(max(x, -_FAR), _FAR) * (1 << _SHIFT)), round(min(max(y, -_FAR), _FAR) * (1 << _SHIFT))

    def _length(self, length: float) -> int:
        return max(1, round(abs(length) * self.zoom * (1 << _SHIFT)))


def scaled(image: Image, factors: NDArray[np.float32]) -> Image:
    """The picture [H,W,3] times a map [H,W], rounded, and cut off at 255."""
    return np.asarray(cv2.multiply(image, cv2.merge([factors] * 3), dtype=UINT8), np.uint8)
