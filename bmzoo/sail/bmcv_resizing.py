"""Bmcv: crop, resize and pad."""

# ruff: noqa: PLR0913, PLR0917  # the signatures are sail's

from __future__ import annotations

from typing import Any

from bmzoo.sail.arrays import BMImageArray
from bmzoo.sail.batch import Images, code_of, each, fill, first_of
from bmzoo.sail.enums import Format, bmcv_resize_algorithm
from bmzoo.sail.errors import SailBMImageError
from bmzoo.sail.image import U8, BMImage, PaddingAtrr
from bmzoo.sail.pixels import Pixels
from bmzoo.sail.resample import Box, Padding, pad, planar, resize

NEAREST = bmcv_resize_algorithm.BMCV_INTER_NEAREST
_BOX = {"crop_x0": "x", "crop_y0": "y", "crop_w": "width", "crop_h": "height"}


class Resizing:
    """NEAREST unless asked; the output is RGB_PLANAR, BGR_PLANAR or GRAY like the input, else BGR_PLANAR."""

    def crop_and_resize(
        self,
        input: Images,
        crop_x0: int,
        crop_y0: int,
        crop_w: int,
        crop_h: int,
        resize_w: int,
        resize_h: int,
        resize_alg: bmcv_resize_algorithm = NEAREST,
    ) -> Any:
        """A part of the image, stretched to resize_w x resize_h."""
        box = Box(crop_x0, crop_y0, crop_w, crop_h)
        return each(input, lambda p: resize(p, box, resize_w, resize_h, resize_alg, planar(p.format)))

    vpp_crop_and_resize = crop_and_resize

    def crop(self, input: Images, *where: Any, **named: int) -> Any:
        """Part `(x, y, w, h)` of the image, or a list of parts for a list of [x, y, w, h]."""
        if len(where) == 1 and not named:
            return [self.crop(input, *box) for box in where[0]]
        box = Box(*where, **{_BOX[key]: value for key, value in named.items()})
        return each(input, lambda p: resize(p, box, box.width, box.height, NEAREST, planar(p.format)))

    vpp_crop = crop

    def resize(
        self, input: Images, resize_w: int, resize_h: int, resize_alg: bmcv_resize_algorithm = NEAREST
    ) -> Any:
        """The whole image, stretched to resize_w x resize_h."""
        return each(input, lambda p: resize(p, _all(p), resize_w, resize_h, resize_alg, planar(p.format)))

    def vpp_resize(self, input: Images, *arguments: Any, **named: Any) -> Any:
        """`(input, w, h, alg)` -> a new image, or `(input, output, w, h, alg)` -> code."""
        output = named.pop("output", None)
        if arguments and isinstance(arguments[0], (BMImage, BMImageArray)):
            output, arguments = arguments[0], arguments[1:]
        if output is None:
            return self.resize(input, *arguments, **named)
        return code_of(lambda: fill(output, self.resize(input, *arguments, **named)))

    def vpp_crop_and_resize_padding(
        self,
        input: Images,
        crop_x0: int,
        crop_y0: int,
        crop_w: int,
        crop_h: int,
        resize_w: int,
        resize_h: int,
        padding_in: PaddingAtrr,
        resize_alg: bmcv_resize_algorithm = NEAREST,
    ) -> Any:
        """A part of the image, stretched to the size in `padding_in` and put where that says on a canvas of
        resize_w x resize_h.
        """
        padding = _padding(padding_in)
        box, inner = Box(crop_x0, crop_y0, crop_w, crop_h), padding.box

        def work(source: Pixels) -> Pixels:
            resized = resize(source, box, inner.width, inner.height, resize_alg, planar(source.format))
            return pad(resized, resize_w, resize_h, padding)

        return each(input, work)

    def crop_and_resize_padding(
        self,
        input: BMImage,
        crop_x0: int,
        crop_y0: int,
        crop_w: int,
        crop_h: int,
        resize_w: int,
        resize_h: int,
        padding_in: PaddingAtrr,
        resize_alg: bmcv_resize_algorithm = NEAREST,
    ) -> BMImage:
        """The same for one 8-bit image; the output is RGB_PLANAR for RGB_PLANAR, else BGR_PLANAR."""
        padding = _padding(padding_in)
        box, inner = Box(crop_x0, crop_y0, crop_w, crop_h), padding.box
        rgb = input.format() is Format.FORMAT_RGB_PLANAR
        format = Format.FORMAT_RGB_PLANAR if rgb else Format.FORMAT_BGR_PLANAR
        if input.dtype() is not U8:
            raise SailBMImageError(f"crop_and_resize_padding: must be 8-bit: {input.pixels}")
        resized = resize(input.pixels, box, inner.width, inner.height, resize_alg, format)
        return BMImage.of(pad(resized, resize_w, resize_h, padding))

    def vpp_resize_padding(
        self,
        input: Images,
        resize_w: int,
        resize_h: int,
        padding_in: PaddingAtrr,
        resize_alg: bmcv_resize_algorithm = NEAREST,
    ) -> Any:
        """The whole image, stretched and put on a canvas as vpp_crop_and_resize_padding does."""
        first = first_of(input)
        size = (0, 0, first.width, first.height, resize_w, resize_h)
        return self.vpp_crop_and_resize_padding(input, *size, padding_in, resize_alg)


def _all(image: Pixels) -> Box:
    return Box(0, 0, image.width, image.height)


def _padding(attributes: PaddingAtrr) -> Padding:
    box = Box(attributes.stx, attributes.sty, attributes.w, attributes.h)
    return Padding(box, attributes.r, attributes.g, attributes.b)
