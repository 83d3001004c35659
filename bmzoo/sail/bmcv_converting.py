"""Bmcv: conversion of values, formats and types."""

from __future__ import annotations

from typing import Any, Sequence

from bmzoo.sail.arrays import BMImageArray
from bmzoo.sail.batch import OVERLOADED, Images, code_of, each, fill, filled, first_of
from bmzoo.sail.binding import bound
from bmzoo.sail.colour import convert, convert_into
from bmzoo.sail.device import Handle
from bmzoo.sail.enums import IMAGE_OF_TENSOR, TENSOR_OF_IMAGE, Dtype, Format, ImgDtype
from bmzoo.sail.errors import SailBMImageError
from bmzoo.sail.image import BMImage
from bmzoo.sail.pixels import Pixels
from bmzoo.sail.resample import add_weighted, scale_into
from bmzoo.sail.vpp import check_vpp

Pairs = Sequence[Sequence[float]]
_PAIRS = "((float, float), (float, float), (float, float))"


class Converting:
    """y = a * x + b, format conversion, and the mapping between types of images and of tensors."""

    _handle: Handle

    @bound("dtype: Dtype, /")
    def get_bm_image_data_format(self, dtype: Dtype) -> ImgDtype:
        """The image type for a tensor type. Raises SailBMImageError for those that images do not have."""
        if dtype not in IMAGE_OF_TENSOR:
            raise SailBMImageError(f"images have no such type: {dtype}")
        return IMAGE_OF_TENSOR[dtype]

    @bound("fmt: ImgDtype, /")
    def get_bm_data_type(self, format: ImgDtype) -> Dtype:
        """The tensor type for an image type. Raises SailBMImageError."""
        if format not in TENSOR_OF_IMAGE:
            raise SailBMImageError(f"tensors have no such type: {format}")
        return TENSOR_OF_IMAGE[format]

    @bound(
        f"input: Images, alpha_beta: {_PAIRS}, /",
        *(f"input: {kind}, output: {kind}, alpha_beta: {_PAIRS}, /" for kind in OVERLOADED),
    )
    def convert_to(self, input: Images, *arguments: Any) -> Any:
        """`(input, pairs)` -> a new image, `(input, output, pairs)` -> code: y = a * x + b for each channel in
        memory order, pairs ((a0, b0), (a1, b1), (a2, b2)); integers are clipped, then rounded half away.
        """
        pairs = arguments[-1]
        if len(arguments) == 1:
            return each(input, lambda p: _scaled(p, pairs))
        output = arguments[0]
        return code_of(lambda: _scale_all(input, output, pairs))

    @bound("input: BMImage, image_format: Format = FORMAT_BGR_PLANAR", "input: BMImage, output: BMImage, /")
    def convert_format(self, input: BMImage, target: Any = Format.FORMAT_BGR_PLANAR, **named: Any) -> Any:
        """`(input, image_format=BGR_PLANAR)` -> a new image, or `(input, output)` -> code."""
        if isinstance(target, BMImage):
            return code_of(lambda: convert_into(input.pixels, target.pixels))
        return BMImage.of(convert(filled(input), target))

    @bound("input: BMImage, image_format: Format = FORMAT_BGR_PLANAR", "input: BMImage, output: BMImage, /")
    def vpp_convert_format(self, input: BMImage, target: Any = Format.FORMAT_BGR_PLANAR, **named: Any) -> Any:
        """The same, in sizes that the VPP takes."""

        def check() -> None:
            sizes = (input.width(), input.height())
            check_vpp(self._handle, "vpp_convert_format", *sizes, *sizes)

        if not isinstance(target, BMImage):
            check()
        return (code_of(check) if isinstance(target, BMImage) else 0) or self.convert_format(input, target)

    @bound("input: Images, /")
    def yuv2bgr(self, input: Images) -> Any:
        """BGR_PLANAR from any format."""
        return each(input, lambda p: convert(p, Format.FORMAT_BGR_PLANAR))

    @bound(
        "input1: BMImage, alpha: float, input2: BMImage, beta: float, gamma: float, /",
        "input1: BMImage, alpha: float, input2: BMImage, beta: float, gamma: float, output: BMImage, /",
    )
    def image_add_weighted(self, input1: BMImage, alpha: float, input2: BMImage, beta: float, *rest: Any) -> Any:
        """alpha * input1 + beta * input2 + gamma: `(..., gamma)` -> a new image, `(..., gamma, output)` -> code."""
        gamma = float(rest[0])

        def work() -> BMImage:
            return BMImage.of(add_weighted(filled(input1), alpha, filled(input2), beta, gamma))

        return work() if len(rest) == 1 else code_of(lambda: fill(rest[1], work()))


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
