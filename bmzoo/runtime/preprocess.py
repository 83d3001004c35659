"""Images from files, and the tensors that networks take: float32, channels first or last.

The arithmetic follows the published samples: a resize (see resizing.py), then (x - mean) * scale in the model's
channel order. For a network that takes integers the result is rounded to those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Collection, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from bmzoo.errors import ConfigError, SessionError, SourceError, nearest
from bmzoo.runtime.normalisation import WHOLE_NUMBERS, why_not_integers, why_not_mean, why_not_scale
from bmzoo.runtime.orientation import orientation, unturned, upright
from bmzoo.runtime.picture_words import CHANNELS_OF
from bmzoo.runtime.resizing import RESIZES, Geometry, fitted_in

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# By pixel format: channels of an image that is B, G, R, opaque, in the network's order; gray is made of all.
PIXEL_FORMATS = {"bgr": (0, 1, 2), "rgb": (2, 1, 0), "gray": (), "bgra": (0, 1, 2, 3), "rgba": (2, 1, 0, 3)}
OPAQUE, OPAQUE_VALUE = 3, 255
FLAVOURS = ("opencv", "bmcv")
LAYOUTS = ("nchw", "nhwc")
VALUES = ("float32", "float16", "float64", *WHOLE_NUMBERS)
_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


@dataclass(frozen=True)
class InputSpec:
    """What a network takes: y = (x - mean) * scale per channel, x in 0..255, channels as in `pixel_format`.

    `letterbox` keeps the aspect ratio and pastes at the top left, `letterbox_center` in the middle; the rest
    of the canvas is `pad_value` (0..255) before the mean is taken off. `stretch` ignores the aspect ratio.
    `center_crop` covers the input enlarged by 1 / 0.875 and crops its middle. `fixed_height` is as high as the
    input and padded right. `original` does not resize: top left, and a picture larger than the network is
    refused. `flavour` is whose resize: `opencv` or `bmcv`. The fourth channel of `bgra` and `rgba` is 255
    everywhere: pictures are read without theirs.
    `layout` says where the channels are. `dtype` is what the network takes: for integers y is rounded, half to
    even, and no y may lie beyond them or within a few of their steps.
    Raises ConfigError for an unknown word, for a mean or scale that has not one number per channel, and for
    numbers that leave nothing of the picture.
    """

    height: int
    width: int
    pixel_format: str
    mean: Tuple[float, ...]
    scale: Tuple[float, ...]
    resize: str
    pad_value: int = 0
    flavour: str = "opencv"
    layout: str = "nchw"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        _check_word("pixel_format", self.pixel_format, PIXEL_FORMATS)
        _check_word("resize", self.resize, RESIZES)
        _check_word("flavour", self.flavour, FLAVOURS)
        _check_word("layout", self.layout, LAYOUTS)
        _check_word("dtype", self.dtype, VALUES)
        for key, values in (("mean", self.mean), ("scale", self.scale)):
            if len(values) != self.channels:
                raise ConfigError(
                    f"input: {key}: `{self.pixel_format}` takes {self.channels} number(s): {tuple(values)}"
                )
            for said in filter(None, map(why_not_mean if key == "mean" else why_not_scale, values)):
                raise ConfigError(f"input: {key}: {said}")
        if self.height < 1 or self.width < 1:
            raise ConfigError(f"input: size: must be at least 1x1: {self.height}x{self.width}")
        if said := why_not_integers(self.mean, self.scale, self.dtype):
            raise ConfigError(f"input: {said}", "mean and scale are for what the network takes")

    @property
    def channels(self) -> int:
        return CHANNELS_OF[self.pixel_format]

    @property
    def shape(self) -> Tuple[int, int, int]:
        """Of one picture, in the network's layout."""
        height, width, channels = self.height, self.width, self.channels
        return (height, width, channels) if self.layout == "nhwc" else (channels, height, width)


def for_picture(spec: InputSpec, height: int, width: int, multiple: int = 32) -> InputSpec:
    """The spec of a network as large as the picture, sides rounded up to a multiple, at original scale."""
    rows, columns = (-(-side // multiple) * multiple for side in (height, width))
    return replace(spec, height=rows, width=columns, resize="original")


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture as uint8 [H,W,3] BGR: upright by its EXIF orientation, whatever the format, alpha dropped,
    grey repeated three times, 16 bits reduced to 8. Paths need not be ASCII.

    A JPEG that breaks off is filled with grey by the codec: `breaks_off` tells.
    Raises SourceError when the file is missing, empty or not a picture.
    """
    return decode_image(read_bytes(path), path)


def read_bytes(path: Path) -> NDArray[np.uint8]:
    """What a file holds, uint8 [n]. Raises SourceError."""
    try:
        return np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error


def breaks_off(data: NDArray[np.uint8]) -> bool:
    """Whether a file is a JPEG whose last scan has no end."""
    file = data.tobytes()
    # Inside a scan 0xFF is always escaped, so these two are markers; a thumbnail's lie before the last scan.
    return file.startswith(b"\xff\xd8") and file.rfind(b"\xff\xd9") < file.rfind(b"\xff\xda")


def decode_image(data: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    """The picture in a file's bytes, as `read_image` gives it; `path` is for messages. Raises SourceError."""
    if not data.size:
        raise SourceError(f"{path}: not a picture: the file is empty")
    file = data.tobytes()
    if file[4:8] == b"ftyp":  # how it lies is told in boxes that no OpenCV looks at
        raise SourceError(f"{path}: not read: AVIF, HEIC or a video", "convert it to PNG or JPEG")
    try:
        image = cv2.imdecode(np.frombuffer(unturned(file), np.uint8), _AS_STORED)
    except cv2.error as error:  # raised for absurd sizes in a header
        raise SourceError(f"{path}: cannot be decoded: {error}") from error
    if image is None:
        hint = "JPEG, PNG, BMP, TIFF and WebP are known to work"
        raise SourceError(f"{path}: not a picture, or damaged: {data.size} bytes", hint)
    return upright(_as_uint8(image), orientation(file))


def prepare(image: NDArray[np.uint8], spec: InputSpec) -> Tuple[NDArray[np.float32], Geometry]:
    """One BGR image uint8 [H,W,3] -> float32 of the spec's shape, and where it went. Raises SessionError."""
    tensor = np.empty(spec.shape, np.float32)
    return tensor, prepare_into(image, spec, tensor)


def prepare_batch(
    images: Sequence[NDArray[np.uint8]],
    spec: InputSpec,
    slots: int,
    out: Optional[NDArray[np.float32]] = None,
) -> Tuple[NDArray[np.float32], List[Geometry]]:
    """BGR images uint8 [H,W,3] -> float32 [slots, *spec.shape] and one Geometry per image.

    Unused slots are zero after the mean is taken off, as in the published OpenCV samples. `out` is the tensor of
    an earlier batch, to be filled again: it takes less time than a new one, whose memory the kernel hands out
    page by page. A session is done with a tensor once `run` has returned.
    Raises SessionError for more images than slots, and for an `out` of another shape or type.
    """
    if len(images) > slots:
        raise SessionError(f"batch: more images than the {slots} slot(s) of the model: {len(images)}")
    shape = (slots, *spec.shape)
    batch = np.empty(shape, np.float32) if out is None else out
    if batch.shape != shape or batch.dtype != np.float32:
        raise SessionError(f"batch: out must be float32 {list(shape)}: {batch.dtype} {list(batch.shape)}")
    geometries = [prepare_into(image, spec, batch[i]) for i, image in enumerate(images)]
    batch[len(images) :] = 0
    return batch, geometries


def prepare_into(image: NDArray[np.uint8], spec: InputSpec, out: NDArray[np.float32]) -> Geometry:
    """Write one BGR image uint8 [H,W,3] into `out`, float32 of the spec's shape. Raises SessionError."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise SessionError(f"image: must be uint8 [H,W,3] in BGR order: {image.dtype} {list(image.shape)}")
    canvas, geometry = fitted_in(image, spec)
    planes = out.transpose(2, 0, 1) if spec.layout == "nhwc" else out
    for i, plane in enumerate(_planes(canvas, spec.pixel_format)):
        np.subtract(plane, np.float32(spec.mean[i]), out=planes[i], dtype=np.float32)
        if spec.scale[i] != 1:
            planes[i] *= np.float32(spec.scale[i])
        if spec.dtype in WHOLE_NUMBERS:
            np.rint(planes[i], out=planes[i])
    return geometry


def _planes(canvas: NDArray[np.uint8], pixel_format: str) -> List[NDArray[np.uint8]]:
    """Channels in the network's order, uint8 [height,width] each."""
    order = PIXEL_FORMATS[pixel_format]
    if not order:
        return [_as_uint8(cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY))]
    opaque = np.broadcast_to(np.uint8(OPAQUE_VALUE), canvas.shape[:2])
    return [opaque if channel == OPAQUE else canvas[..., channel] for channel in order]


def _as_uint8(image: object) -> NDArray[np.uint8]:
    return np.asarray(image, np.uint8)  # cv2's stubs know neither dtype nor shape


def _check_word(key: str, word: str, allowed: Collection[str]) -> None:
    if word not in allowed:
        near = nearest(word, allowed)
        hint = f"did you mean `{near}`?" if near else f"allowed: {', '.join(allowed)}"
        raise ConfigError(f"input: {key}: unknown: {word}", hint)
