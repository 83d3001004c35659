"""Bmcv: crop, resize and pad."""

# ruff: noqa: PLR0913, PLR0917  # the signatures are sail's

from __future__ import annotations

from typing import Any, Sequence

from bmzoo.sail.batch import OVERLOADED, Images, code_of, each, fill, filled, first_of
from bmzoo.sail.binding import bound
from bmzoo.sail.colour import convert
from bmzoo.sail.device import Handle
from bmzoo.sail.enums import Format, bmcv_resize_algorithm
from bmzoo.sail.errors import SailBMImageError
from bmzoo.sail.image import U8, BMImage, PaddingAtrr
from bmzoo.sail.pixels import YUV, Pixels
from bmzoo.sail.resample import Box, Padding, pad, planar, resize
from bmzoo.sail.vpp import check_vpp

NEAREST = bmcv_resize_algorithm.BMCV_INTER_NEAREST
_CROP = "crop_x0: int, crop_y0: int, crop_w: int, crop_h: int"
_SIZE = "resize_w: int, resize_h: int"
_ALGORITHM = "resize_alg: Algorithm = BMCV_INTER_NEAREST"


class Resizing:
    """NEAREST unless asked; the output is RGB_PLANAR, BGR_PLANAR or GRAY like the input, else BGR_PLANAR."""

    _handle: Handle

    @bound(f"input: Images, {_CROP}, {_SIZE}, {_ALGORITHM}")
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

    @bound(f"input: Images, {_CROP}, {_SIZE}, {_ALGORITHM}")
    def vpp_crop_and_resize(
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
        """The same, in sizes that the VPP takes."""
        check_vpp(self._handle, "vpp_crop_and_resize", crop_w, crop_h, resize_w, resize_h)
        return self.crop_and_resize(input, crop_x0, crop_y0, crop_w, crop_h, resize_w, resize_h, resize_alg)

    @bound(f"input: Images, {_CROP}, /", "input: BMImage, rects: [[int]], /")
    def crop(self, input: Images, *where: Any) -> Any:
        """Part `(x, y, w, h)` of the image; or a list of parts in its own format, for a list of [x, y, w, h]."""
        if len(where) == 1:
            return [_part(input, rectangle) for rectangle in where[0]]
        box = Box(*where)
        return each(input, lambda p: resize(p, box, box.width, box.height, NEAREST, planar(p.format)))

    @bound(f"input: Images, {_CROP}, /")
    def vpp_crop(self, input: Images, crop_x0: int, crop_y0: int, crop_w: int, crop_h: int) -> Any:
        """Part of the image, in sizes that the VPP takes."""
        check_vpp(self._handle, "vpp_crop", crop_w, crop_h, crop_w, crop_h)
        return self.crop(input, crop_x0, crop_y0, crop_w, crop_h)

    @bound(f"input: Images, {_SIZE}, {_ALGORITHM}")
    def resize(
        self, input: Images, resize_w: int, resize_h: int, resize_alg: bmcv_resize_algorithm = NEAREST
    ) -> Any:
        """The whole image, stretched to resize_w x resize_h."""
        return each(input, lambda p: resize(p, _all(p), resize_w, resize_h, resize_alg, planar(p.format)))

    @bound(
        f"input: Images, {_SIZE}, {_ALGORITHM}",
        f"input: BMImage, output: BMImage, {_SIZE}, {_ALGORITHM}",
        *(f"input: {kind}, output: {kind}, {_SIZE}, resize_alg: Algorithm" for kind in OVERLOADED[1:]),
    )
    def vpp_resize(self, input: Images, *arguments: Any, **named: Any) -> Any:
        """`(input, w, h, alg)` -> a new image, or `(input, output, w, h, alg)` -> code; arrays need `alg`."""

        def work(width: int, height: int, algorithm: bmcv_resize_algorithm) -> Any:
            first = first_of(input)
            check_vpp(self._handle, "vpp_resize", first.width, first.height, width, height)
            return self.resize(input, width, height, algorithm)

        if len(arguments) == 3:
            return work(*arguments)
        return code_of(lambda: fill(arguments[0], work(*arguments[1:])))

    @bound(f"input: Images, {_CROP}, {_SIZE}, padding_in: PaddingAtrr, {_ALGORITHM}")
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
        check_vpp(self._handle, "vpp_crop_and_resize_padding", crop_w, crop_h, inner.width, inner.height)

        def work(source: Pixels) -> Pixels:
            resized = resize(source, box, inner.width, inner.height, resize_alg, planar(source.format))
            return pad(resized, resize_w, resize_h, padding)

        return each(input, work)

    @bound(f"input: BMImage, {_CROP}, {_SIZE}, padding_in: PaddingAtrr, {_ALGORITHM}")
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

    @bound(f"input: Images, {_SIZE}, padding_in: PaddingAtrr, {_ALGORITHM}")
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
    left, top, width, height, red, green, blue = attributes.numbers
    return Padding(Box(left, top, width, height), red, green, blue)


def _part(image: Any, rectangle: Sequence[int]) -> BMImage:
    """A copy of the part [x, y, w, h], in the image's format. Raises SailBMImageError."""
    source = filled(image)
    if len(rectangle) < 4:
        raise SailBMImageError(f"crop: must be [x, y, w, h]: {list(rectangle)}")
    if source.format in YUV:
        raise SailBMImageError(f"crop: a list of parts: not for this format: {source}")
    box = Box(*rectangle[:4])
    cut = resize(source, box, box.width, box.height, NEAREST, planar(source.format))
    return BMImage.of(convert(cut, source.format))
