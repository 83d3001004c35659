"""Bmcv: shapes and text, in place on 8-bit images."""

# ruff: noqa: PLR0913, PLR0917  # the signatures are sail's

from __future__ import annotations

from typing import Any, Sequence, Tuple

from bmzoo.sail.batch import code_of
from bmzoo.sail.binding import bound
from bmzoo.sail.device import LOGGER
from bmzoo.sail.drawing import draw_lines, draw_point, draw_rectangle, draw_text, takes_text
from bmzoo.sail.image import AnyImage
from bmzoo.sail.pixels import Pixels

_TEXT = "text: str, x: int, y: int, color: (int, int, int), fontScale: float, thickness: int = 1"
NO_TEXT = 4008  # sail's error code for text or lines on an unsupported format


class Drawing:
    """Each returns 0, or a code. Positions and sizes in pixels, colours (B, G, R) in 0..255."""

    @bound("image: AnyImage, x0: int, y0: int, w: int, h: int, color: (int, int, int), thickness: int = 1")
    def rectangle(
        self,
        image: AnyImage,
        x0: int,
        y0: int,
        w: int,
        h: int,
        color: Sequence[int],
        thickness: int = 1,
    ) -> int:
        """A frame, clamped to the image; w or h of 0 or less draws nothing."""
        return code_of(lambda: draw_rectangle(image.pixels, (x0, y0), (w, h), color, thickness))

    @bound("image: bm_image, x0: int, y0: int, w: int, h: int, color: (int, int, int), thickness: int = 1")
    def rectangle_(self, *arguments: Any) -> int:
        """The same, on an image of an array."""
        return self.rectangle(*arguments)

    @bound("image: AnyImage, x0: int, y0: int, w: int, h: int, color: (int, int, int), /")
    def fillRectangle(self, image: AnyImage, x0: int, y0: int, w: int, h: int, color: Sequence[int]) -> int:
        """A filled rectangle, clamped to the image."""
        return self.rectangle(image, x0, y0, w, h, color, -1)

    @bound("image: bm_image, x0: int, y0: int, w: int, h: int, color: (int, int, int), /")
    def fillRectangle_(self, *arguments: Any) -> int:
        """The same, on an image of an array."""
        return self.fillRectangle(*arguments)

    @bound(f"image: AnyImage, {_TEXT}")
    def putText(
        self,
        image: AnyImage,
        text: str,
        x: int,
        y: int,
        color: Sequence[int],
        fontScale: float,
        thickness: int = 1,
    ) -> int:
        """Text with its lower left corner at (x, y), on GRAY, YUV and NV formats only, else 4008."""
        if not takes_text(image.pixels):
            return _refuse("putText", image.pixels)
        return code_of(lambda: draw_text(image.pixels, text, (x, y), color, fontScale, thickness))

    @bound(f"image: bm_image, {_TEXT}")
    def putText_(self, *arguments: Any) -> int:
        """The same, on an image of an array."""
        return self.putText(*arguments)

    @bound(
        "img: BMImage, pts: [[(int, int)]], isClosed: bool, color: (byte, byte, byte), "
        "thickness: int = 1, shift: int = 0"
    )
    def polylines(
        self,
        img: AnyImage,
        pts: Sequence[Sequence[Tuple[int, int]]],
        isClosed: bool,
        color: Sequence[int],
        thickness: int = 1,
        shift: int = 0,
    ) -> int:
        """Lines through points, on GRAY, YUV and NV formats only, else 4008."""
        if not takes_text(img.pixels):
            return _refuse("polylines", img.pixels)
        return code_of(lambda: draw_lines(img.pixels, pts, isClosed, color, thickness, shift))

    @bound("image: AnyImage, center: (int, int), color: (byte, byte, byte), radius: int")
    def drawPoint(self, image: AnyImage, center: Tuple[int, int], color: Sequence[int], radius: int) -> int:
        """A filled circle."""
        return code_of(lambda: draw_point(image.pixels, center, color, radius))

    @bound("image: bm_image, center: (int, int), color: (byte, byte, byte), radius: int")
    def drawPoint_(self, *arguments: Any) -> int:
        """The same, on an image of an array."""
        return self.drawPoint(*arguments)


def _refuse(what: str, image: Pixels) -> int:
    LOGGER.error("%s: only on GRAY, YUV and NV formats: %s", what, image)
    return NO_TEXT
