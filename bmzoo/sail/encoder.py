"""Encoder: a video file from images, or one image as a picture file's bytes."""

# ruff: noqa: PLR0913, PLR0917  # the signatures are sail's

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence, Tuple

import cv2
import numpy as np

from bmzoo.runtime.album import read_back
from bmzoo.sail.binding import bound
from bmzoo.sail.bmcv_files import encode
from bmzoo.sail.colour import convert, to_bgr
from bmzoo.sail.device import LOGGER, Handle
from bmzoo.sail.enums import Format, ImgDtype, bmcv_resize_algorithm
from bmzoo.sail.errors import NotSupport, SailEncoderError
from bmzoo.sail.image import AnyImage
from bmzoo.sail.resample import Box, resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What sail takes where the parameters do not say it.
DEFAULTS = {
    **{"width": 1920, "height": 1080, "framerate": 25, "bitrate": 2000, "gop": 32, "gop_preset": 3},
    **{"mb_rc": 0, "qp": -1, "bg": 0, "nr": 0, "weightp": 0},
}
FORMATS = ("h264_bm", "h265_bm", "hevc_bm")
STREAMS = ("rtsp://", "rtmp://")
# OpenCV's wheels have no encoder for H.264; these come closest for each kind of file.
_CODECS: Dict[str, Sequence[str]] = {".avi": ("MJPG",), ".mkv": ("mp4v", "MJPG"), ".ts": ("mp2v", "mp4v")}
_ANY = ("mp4v", "MJPG")
NOT_WRITTEN = -2  # sail's code for a frame that could not be encoded
_LINEAR = bmcv_resize_algorithm.BMCV_INTER_LINEAR
_ARGUMENTS = "enc_fmt: str, pix_fmt: str, enc_params: str, cache_buffer_length: int = 5, abort_policy: int = 0, /"


class Encoder:
    """`()` for pictures, or `(path, device or handle, enc_fmt, pix_fmt, enc_params, ...)` for a video file.

    The video's codec is one that OpenCV has, not the chip's H.264; streams raise NotSupport. Raises RuntimeError
    when it cannot be opened, as sail does.
    """

    @bound("", f"output_path: str, device_id: int, {_ARGUMENTS}", f"output_path: str, handle: Handle, {_ARGUMENTS}")
    def __init__(self, *arguments: Any) -> None:
        self._video: Optional[Any] = None
        self._written = 0
        if arguments:
            self._open(*arguments[:5])

    def _open(self, path: str, device: Any, enc_fmt: str, pix_fmt: str, enc_params: str) -> None:
        if not isinstance(device, Handle):
            Handle(device)
        if path.startswith(STREAMS):
            raise NotSupport(f"Encoder: streams are not in bmzoo.sail, needs a real card: {path}")
        if path.startswith(("tcp://", "udp://")):
            raise RuntimeError("Not support tcp/udp stream yet.")
        if enc_fmt not in FORMATS:
            raise RuntimeError(f"Failed to find encoder.: {enc_fmt}; allowed: {', '.join(FORMATS)}")
        if pix_fmt not in ("I420", "NV12"):
            raise RuntimeError(f"Not support encode pix format.: {pix_fmt}; allowed: I420, NV12")
        parameters = parsed(enc_params)
        self._path, self._size = path, (parameters["width"], parameters["height"])
        self._video = _writer(path, parameters["framerate"], self._size)

    def is_opened(self) -> bool:
        """Whether frames can be written."""
        return self._video is not None

    @bound("image: AnyImage, /")
    def video_write(self, image: AnyImage) -> int:
        """Add an image of any size, which is stretched to the video's. 0, or a negative code."""
        if self._video is None or not image.pixels.data.size:
            LOGGER.error("Encoder: %s", "is not open" if self._video is None else "the image is empty")
            return NOT_WRITTEN
        pixels = image.pixels
        if pixels.dtype is not ImgDtype.DATA_TYPE_EXT_1N_BYTE:
            LOGGER.error("Encoder: must be an 8-bit image: %s", pixels)
            return NOT_WRITTEN
        planar = convert(pixels, Format.FORMAT_BGR_PLANAR)
        box = Box(0, 0, pixels.width, pixels.height)
        frame = to_bgr(resize(planar, box, *self._size, _LINEAR, planar.format))
        self._video.write(np.ascontiguousarray(frame))
        self._written += 1
        return 0

    @bound("ext: str, image: AnyImage, /")
    def pic_encode(self, ext: str, image: AnyImage) -> NDArray[np.uint8]:
        """A picture file as uint8 [n]; `ext` such as ".jpg"."""
        return encode(ext, image)

    def release(self) -> None:
        """Finish the file. Raises SailEncoderError when what was written cannot be read again."""
        if self._video is None:
            return
        self._video.release()
        self._video = None
        if not self._written:
            return
        found, problem = read_back(Path(self._path), self._size[::-1])
        if found != self._written or problem:
            size = Path(self._path).stat().st_size if Path(self._path).exists() else 0
            said = problem or f"{found or 'no'} frame{'s' if found > 1 else ''} of {self._written} was written"
            raise SailEncoderError(f"Encoder: {said}: {self._path}: {size} bytes")


def parsed(text: str) -> Dict[str, int]:
    """Parameters such as "width=1280:height=720". Raises ValueError, as sail does."""
    found = dict(DEFAULTS)
    for part in text.split(":"):
        key, _, value = part.partition("=")
        if not value.lstrip("-").isdigit():
            raise ValueError(f"Encoder: parameters: must be name=number:...: {part}")
        found[key] = int(value)
    for key in ("width", "height", "framerate"):
        if found[key] < 1:
            raise RuntimeError(f"avcodec_open failed.: {key}: {found[key]}")
    return found


def _writer(path: str, framerate: int, size: Tuple[int, int]) -> Any:
    suffix = Path(path).suffix.lower()
    if not suffix or suffix in (".264", ".h264", ".265", ".h265", ".hevc"):
        raise NotSupport(f"Encoder: raw streams are not in bmzoo.sail, needs a real card: {path}")
    for codec in _CODECS.get(suffix, _ANY):
        video = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*codec), framerate, size)
        if video.isOpened():
            return video
    raise RuntimeError(f"avio_open2 failed.: {path}")
