"""Bmcv: an image onto another one."""

# ruff: noqa: PLR0913, PLR0917  # the signatures are sail's

from __future__ import annotations

from typing import Callable, Mapping

import numpy as np

from bmzoo.sail.arrays import BMImageArray
from bmzoo.sail.batch import OVERLOADED, Images, code_of, first_of
from bmzoo.sail.binding import bound
from bmzoo.sail.colour import convert_into, saturate
from bmzoo.sail.enums import Format
from bmzoo.sail.errors import SailBMImageError
from bmzoo.sail.image import AnyImage, BMImage, bm_image
from bmzoo.sail.pixels import YUV, Pixels

_WHERE = "start_x: int = 0, start_y: int = 0"
_COLOUR = "padding_r: uint, padding_g: uint, padding_b: uint"


class Copying:
    """Each returns 0, or a code."""

    @bound(*(f"input: {kind}, output: {kind}, {_WHERE}" for kind in OVERLOADED))
    def image_copy_to(self, input: Images, output: Images, start_x: int = 0, start_y: int = 0) -> int:
        """Copy images into others of the same format and type, at (start_x, start_y)."""
        return code_of(
            lambda: _each(input, output, lambda source, target: _paste(source, target, start_x, start_y))
        )

    @bound(*(f"input: {kind}, output: {kind}, {_COLOUR}, {_WHERE}" for kind in OVERLOADED))
    def image_copy_to_padding(
        self,
        input: Images,
        output: Images,
        padding_r: int,
        padding_g: int,
        padding_b: int,
        start_x: int = 0,
        start_y: int = 0,
    ) -> int:
        """The same, with a colour on all that is not covered."""

        def work(source: Pixels, target: Pixels) -> None:
            _check(source, target, start_x, start_y)
            _fill(target, {"r": padding_r, "g": padding_g, "b": padding_b, "y": padding_r})
            _paste(source, target, start_x, start_y)

        return code_of(lambda: _each(input, output, work))

    @bound("input: BMImage, output: BMImage", "input: bm_image, output: bm_image")
    def convert_yuv420p_to_gray(self, input: AnyImage, output: AnyImage) -> int:
        """The luma of a YUV420P image, into a GRAY one of its size."""
        return code_of(lambda: _gray(input.pixels, output.pixels))

    @bound("input: bm_image, output: bm_image")
    def convert_yuv420p_to_gray_(self, input: bm_image, output: bm_image) -> int:
        """The same, of an array."""
        return code_of(lambda: _gray(input.pixels, output.pixels))


def _each(input: Images, output: Images, work: Callable[[Pixels, Pixels], None]) -> None:
    first_of(input)
    first_of(output)
    if isinstance(input, BMImage) and isinstance(output, BMImage):
        work(input.pixels, output.pixels)
    elif isinstance(input, BMImageArray) and isinstance(output, BMImageArray):
        for source, target in zip(input.slots, output.slots):  # noqa: B905
            work(source, target)


def _check(source: Pixels, target: Pixels, x: int, y: int) -> None:
    if (source.format, source.dtype) != (target.format, target.dtype):
        raise SailBMImageError(f"image_copy_to: must be of one format and type: {source}, {target}")
    if source.format in YUV:
        raise SailBMImageError(f"image_copy_to: not for this format: {source}")
    if min(x, y) < 0 or x + source.width > target.width or y + source.height > target.height:
        raise SailBMImageError(f"image_copy_to: reaches beyond the image: {source} at {x}, {y} of {target}")


def _paste(source: Pixels, target: Pixels, x: int, y: int) -> None:
    _check(source, target, x, y)
    for part, whole in zip(source.surfaces(), target.surfaces()):  # noqa: B905
        whole.array[y : y + source.height, x : x + source.width] = part.array


def _fill(target: Pixels, colour: Mapping[str, int]) -> None:
    for surface in target.surfaces():
        values = [colour[channel] for channel in surface.channels]
        surface.array[...] = saturate(np.array(values if len(values) > 1 else values[0]), surface.array.dtype)


def _gray(source: Pixels, target: Pixels) -> None:
    if source.format is not Format.FORMAT_YUV420P or target.format is not Format.FORMAT_GRAY:
        raise SailBMImageError(f"convert_yuv420p_to_gray: not for these formats: {source}, {target}")
    convert_into(source, target)
