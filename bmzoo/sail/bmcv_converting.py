"""Bmcv: conversion of values, formats and types."""

from __future__ import annotations

from typing import Any, Sequence

from bmzoo.sail.arrays import BMImageArray
from bmzoo.sail.batch import Images, code_of, each, fill, filled, first_of
from bmzoo.sail.colour import convert, convert_into
from bmzoo.sail.enums import IMAGE_OF_TENSOR, TENSOR_OF_IMAGE, Dtype, Format, ImgDtype
from bmzoo.sail.errors import SailBMImageError
from bmzoo.sail.image import BMImage
from bmzoo.sail.pixels import Pixels
from bmzoo.sail.resample import add_weighted, scale_into

Pairs = Sequence[Sequence[float]]


class Converting:
    """y = a * x + b, format conversion, and the mapping between types of images and of tensors."""

    def get_bm_image_data_format(self, dtype: Dtype) -> ImgDtype:
        """The image type for a tensor type. Raises SailBMImageError for those that images do not have."""
        if dtype not in IMAGE_OF_TENSOR:
            raise SailBMImageError(f"images have no such type: {dtype}")
        return IMAGE_OF_TENSOR[dtype]

    def get_bm_data_type(self, format: ImgDtype) -> Dtype:
        """The tensor type for an image type. Raises SailBMImageError."""
        if format not in TENSOR_OF_IMAGE:
            raise SailBMImageError(f"tensors have no such type: {format}")
        return TENSOR_OF_IMAGE[format]

    def convert_to(self, input: Images, *arguments: Any) -> Any:
        """`(input, pairs)` -> a new image, `(input, output, pairs)` -> code: y = a * x + b for each channel in
        memory order, pairs ((a0, b0), (a1, b1), (a2, b2)); integers are clipped, then rounded half away.
        """
        pairs = _pairs(arguments[-1])
        if len(arguments) == 1:
            return each(input, lambda p: _scaled(p, pairs))
        output = arguments[0]
        if type(input) is not type(output):
            raise TypeError(f"convert_to: input and output differ: {type(input)}, {type(output)}")
        return code_of(lambda: _scale_all(input, output, pairs))

    def convert_format(self, input: BMImage, *arguments: Any, **named: Any) -> Any:
        """`(input, image_format=BGR_PLANAR)` -> a new image, or `(input, output)` -> code."""
        if arguments and isinstance(arguments[0], BMImage):
            output = arguments[0]
            return code_of(lambda: convert_into(input.pixels, output.pixels))
        wanted = arguments[0] if arguments else named.get("image_format", Format.FORMAT_BGR_PLANAR)
        return BMImage.of(convert(filled(input), wanted))

    vpp_convert_format = convert_format

    def yuv2bgr(self, input: Images) -> Any:
        """BGR_PLANAR from any format."""
        return each(input, lambda p: convert(p, Format.FORMAT_BGR_PLANAR))

    def image_add_weighted(self, input1: BMImage, alpha: float, input2: BMImage, beta: float, *rest: Any) -> Any:
        """alpha * input1 + beta * input2 + gamma: `(..., gamma)` -> a new image, `(..., gamma, output)` -> code."""
        gamma = float(rest[0])

        def work() -> BMImage:
            return BMImage.of(add_weighted(filled(input1), alpha, filled(input2), beta, gamma))

        return work() if len(rest) == 1 else code_of(lambda: fill(rest[1], work()))


def _pairs(pairs: Any) -> Pairs:
    if len(pairs) != 3 or any(len(pair) != 2 for pair in pairs):
        raise TypeError(f"convert_to: must be three pairs ((a0, b0), (a1, b1), (a2, b2)): {pairs!r}")
    return [(float(a), float(b)) for a, b in pairs]


def _scaled(source: Pixels, pairs: Pairs) -> Pixels:
    target = Pixels.zeros(source.height, source.width, source.format, source.dtype)
    scale_into(source, target, pairs)
    return target


def _scale_all(input: Images, output: Images, pairs: Pairs) -> None:
    first_of(input)
    if isinstance(input, BMImage) and isinstance(output, BMImage):
        if output.pixels.data.size:
            scale_into(input.pixels, output.pixels, pairs)
        else:
            output.pixels = _scaled(input.pixels, pairs)
    elif isinstance(input, BMImageArray) and isinstance(output, BMImageArray):
        if not output.slots[0].data.size:
            first = input.slots[0]
            output.allocate(first.height, first.width, first.format, first.dtype)
        for i, source in enumerate(input.slots):
            scale_into(source, output.slots[i], pairs)
