"""Shapes and text on images, in place, on every plane of whatever format."""

from __future__ import annotations

from typing import Any, Iterator, Sequence, Tuple

import cv2
import numpy as np

from bmzoo.sail.colour import samples
from bmzoo.sail.enums import Format, ImgDtype
from bmzoo.sail.errors import SailBMImageError
from bmzoo.sail.pixels import YUV, Pixels, Surface

Colour = Sequence[int]  # B, G, R in 0..255
Point = Tuple[int, int]


def draw_rectangle(image: Pixels, origin: Point, size: Point, colour: Colour, thickness: int) -> None:
    """A frame clamped to the image; filled for a negative thickness, nothing for a size of 0 or less."""
    left, top = max(0, origin[0]), max(0, origin[1])
    right = min(image.width, origin[0] + size[0]) - 1
    bottom = min(image.height, origin[1] + size[1]) - 1
    if min(size) <= 0 or right < left or bottom < top:
        _check(image)
        return
    for surface, ink in _inks(image, colour):
        corners = [_at(point, surface) for point in ((left, top), (right, bottom))]
        cv2.rectangle(surface.array, corners[0], corners[1], ink, _thin(thickness, surface))


def draw_text(image: Pixels, text: str, origin: Point, colour: Colour, scale: float, thickness: int) -> None:
    """Text whose lower left corner is `origin`."""
    for surface, ink in _inks(image, colour):
        line = _thin(thickness, surface)
        size = scale / surface.per_y
        cv2.putText(surface.array, text, _at(origin, surface), cv2.FONT_HERSHEY_SIMPLEX, size, ink, line)


def draw_lines(
    image: Pixels, lines: Sequence[Sequence[Point]], closed: bool, colour: Colour, thickness: int, shift: int
) -> None:
    """Lines through points, whose coordinates have `shift` fractional bits."""
    for surface, ink in _inks(image, colour):
        step = np.array([surface.per_x, surface.per_y])
        points = [(np.asarray(line).reshape(-1, 2) // step).astype(np.int32) for line in lines]
        cv2.polylines(surface.array, points, closed, ink, _thin(thickness, surface), cv2.LINE_8, shift)


def draw_point(image: Pixels, centre: Point, colour: Colour, radius: int) -> None:
    """A filled circle."""
    for surface, ink in _inks(image, colour):
        cv2.circle(surface.array, _at(centre, surface), radius // surface.per_x, ink, -1)


def takes_text(image: Pixels) -> bool:
    """Whether BMCV writes text and lines on this format."""
    return image.format in YUV or image.format is Format.FORMAT_GRAY


def _inks(image: Pixels, colour: Colour) -> Iterator[Tuple[Surface, Any]]:
    _check(image)
    for surface in image.surfaces():
        yield surface, samples(colour, surface)


def _check(image: Pixels) -> None:
    if image.dtype is not ImgDtype.DATA_TYPE_EXT_1N_BYTE or not image.data.size:
        raise SailBMImageError(f"drawing: needs an 8-bit image: {image}")


def _at(position: Sequence[int], surface: Surface) -> Point:
    return int(position[0]) // surface.per_x, int(position[1]) // surface.per_y


def _thin(thickness: int, surface: Surface) -> int:
    return thickness if thickness < 0 else max(1, thickness // surface.per_x)
