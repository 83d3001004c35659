"""Bmcv: image operations on the device. Overloads that return a new object raise on errors; overloads that fill an
output argument return 0 or an error code.
"""

from __future__ import annotations

from typing import ClassVar

from bmzoo.sail.binding import bound
from bmzoo.sail.bmcv_converting import Converting
from bmzoo.sail.bmcv_copying import Copying
from bmzoo.sail.bmcv_drawing import Drawing
from bmzoo.sail.bmcv_files import Files
from bmzoo.sail.bmcv_resizing import Resizing
from bmzoo.sail.bmcv_tensors import Attaching
from bmzoo.sail.device import Handle
from bmzoo.sail.errors import Partial

_LEFT_OUT = """warp warp_perspective drawLines mosaic transpose watermark_superpose gaussian_blur Sobel stft istft
fft bmcv_overlay"""


class Bmcv(Resizing, Copying, Converting, Attaching, Drawing, Files, Partial):
    """Image operations on one device. Sizes and positions are in pixels, colours (B, G, R) in 0..255."""

    LEFT_OUT: ClassVar = frozenset(_LEFT_OUT.split())

    @bound("handle: Handle, /")
    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def get_handle(self) -> Handle:
        """The device."""
        return self._handle
