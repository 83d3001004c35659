"""Decoder: frames of a video, or one picture repeatedly."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, List, Optional

import cv2
import numpy as np

from bmzoo.sail.binding import bound
from bmzoo.sail.bmcv_files import decode
from bmzoo.sail.colour import convert, convert_into
from bmzoo.sail.device import LOGGER, Handle
from bmzoo.sail.enums import Format, bmcv_resize_algorithm
from bmzoo.sail.errors import FAILED, Partial, SailBMImageError, SailDecoderError
from bmzoo.sail.image import BMImage, bm_image
from bmzoo.sail.pixels import Pixels
from bmzoo.sail.resample import Box, resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURE_ENDINGS = tuple(ending for name in ("jpg", "jpeg", "bmp", "png") for ending in (name, name.upper()))
OTHER_DEVICE = 1004
_LINEAR = bmcv_resize_algorithm.BMCV_INTER_LINEAR


@bound("env_name: str, env_value: str, /")
def set_decoder_env(env_name: str, env_value: str) -> None:
    """Accepted: options of the card's own decoder for streams."""


class Decoder(Partial):
    """Frames of the file or stream at `file_path`; `compressed` has no visible effect.

    A path that ends in jpg, jpeg, bmp or png is a picture: every read decodes it again, as BGR_PACKED, and it
    counts as open even when it is missing. Anything else is a video, whose frames are BGR_PLANAR.
    Raises RuntimeError when a video cannot be opened.
    """

    LEFT_OUT: ClassVar = frozenset({"enable_dump", "disable_dump", "dump"})

    @bound("file_path: str, compressed: bool = True, tpu_id: int = 0, /")
    def __init__(self, file_path: str, compressed: bool = True, dev_id: int = 0) -> None:
        self._path, self._device = file_path, Handle(dev_id).get_device_id()
        self._picture = file_path.endswith(PICTURE_ENDINGS)
        self._video: Optional[Any] = None
        self._ended = False
        self._pts_dts = [0.0, 0.0]
        if not self._picture:
            self._open()

    def _open(self) -> None:
        # A slash keeps FFmpeg from taking what stands before a colon for a protocol; streams do have one.
        path = os.path.abspath(self._path) if os.path.exists(self._path) else self._path  # noqa: PTH100, PTH110
        video = cv2.VideoCapture(path)
        if not video.isOpened():
            raise RuntimeError(f"Decoder: cannot be opened: {self._path}")
        self._video, self._ended = video, False

    def is_opened(self) -> bool:
        """Whether frames can be read; always for a picture."""
        return self._picture or self._video is not None

    @bound("handle: Handle, /", "handle: Handle, image: BMImage, /")
    def read(self, handle: Handle, image: Optional[BMImage] = None) -> Any:
        """The next frame: `(handle, image)` -> 0, or a code at the end or after an error; `(handle)` -> a new
        BMImage, or raises SailDecoderError. An image that has a size already gets the frame resized into it.
        """
        if image is None:
            made = BMImage()
            code = self._read(handle, made)
            if code:
                raise SailDecoderError(f"no frame could be read, code {code}: {self._path}")
            return made
        return self._read(handle, image)

    @bound("handle: Handle, image: bm_image, /")
    def read_(self, handle: Handle, image: bm_image) -> int:
        """The next frame into an image of an array. 0, or a code."""
        if not image.pixels.data.size:
            raise SailBMImageError("Decoder.read_: the image has no memory")
        return self._read(handle, BMImage.of(image.pixels))

    def _read(self, handle: Handle, image: BMImage) -> int:
        if handle.get_device_id() != self._device:
            return OTHER_DEVICE
        try:
            frame = self._frame()
        except (OSError, SailBMImageError) as error:
            LOGGER.error("Decoder: %s: %s", self._path, error)
            return FAILED
        if frame is None:
            return FAILED
        if image.pixels.data.size:
            _fit(frame, image.pixels)
        else:
            image.pixels = frame
        image.pts_dts = list(self._pts_dts)
        return 0

    def _frame(self) -> Optional[Pixels]:
        if self._picture:
            return Pixels.of(decode(np.fromfile(self._path, np.uint8)), Format.FORMAT_BGR_PACKED)
        if self._video is None:
            return None
        found, frame = self._video.read()
        if not found:
            self._ended = True
            return None
        stamp = float(self._video.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        self._pts_dts = [stamp, stamp]
        planes: NDArray[np.uint8] = np.asarray(frame, np.uint8).transpose(2, 0, 1)
        return Pixels.of(planes, Format.FORMAT_BGR_PLANAR)

    def get_frame_shape(self) -> List[int]:
        """[1, 3, height, width] in pixels. Raises SailDecoderError for a picture that cannot be read."""
        if self._picture:
            frame = self.read(Handle(self._device))
            return [1, 3, frame.height(), frame.width()]
        sides = (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)
        return [1, 3, *(int(self._video.get(side)) if self._video else 0 for side in sides)]

    def get_fps(self) -> float:
        """Frames a second; 0 for a picture."""
        return float(self._video.get(cv2.CAP_PROP_FPS)) if self._video else 0.0

    def get_pts_dts(self) -> List[float]:
        """Time stamps of the last frame, in seconds."""
        return list(self._pts_dts)

    def is_eof(self) -> bool:
        """Whether a read came to the end; never for a picture."""
        return self._ended

    def release(self) -> None:
        """Close the video."""
        if self._video is not None:
            self._video.release()
        self._video = None

    def reconnect(self) -> int:
        """Start again from the first frame. 0, or a code."""
        if self._picture:
            return 0
        self.release()
        try:
            self._open()
        except RuntimeError as error:
            LOGGER.error("%s", error)
            return FAILED
        return 0


def _fit(frame: Pixels, target: Pixels) -> None:
    """Resize a frame into an image's memory, in the image's format."""
    box = Box(0, 0, frame.width, frame.height)
    planar = convert(frame, Format.FORMAT_BGR_PLANAR)
    convert_into(resize(planar, box, target.width, target.height, _LINEAR, planar.format), target)
