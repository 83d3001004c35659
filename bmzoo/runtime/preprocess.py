"""Images from files, and the float32 NCHW tensors that networks take.

The arithmetic follows the published samples: resize, paste on a canvas of one colour, then (x - mean) * scale
in the model's channel order. Their two flavours differ in the resize: OpenCV's samples weigh neighbours and
round the size, BMCV's take the nearest pixel and cut the size off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from bmzoo.errors import ConfigError, SessionError, SourceError, nearest
from bmzoo.runtime.bmcv import nearest_pixels
from bmzoo.runtime.normalisation import why_not_mean, why_not_scale
from bmzoo.runtime.orientation import orientation, unturned, upright

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PIXEL_FORMATS = ("bgr", "rgb", "gray")
RESIZES = ("letterbox", "letterbox_center", "stretch", "original")
FLAVOURS = ("opencv", "bmcv")
_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


@dataclass(frozen=True)
class InputSpec:
    """What a network takes: y = (x - mean) * scale per channel, x in 0..255, channels as in `pixel_format`.

    `letterbox` keeps the aspect ratio and pastes at the top left, `letterbox_center` in the middle; the rest
    of the canvas is `pad_value` (0..255) before the mean is taken off. `stretch` ignores the aspect ratio.
    `original` does not resize: top left, and a picture larger than the network is refused. `flavour` is
    whose resize: `opencv` or `bmcv`.
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

    def __post_init__(self) -> None:
        _check_word("pixel_format", self.pixel_format, PIXEL_FORMATS)
        _check_word("resize", self.resize, RESIZES)
        _check_word("flavour", self.flavour, FLAVOURS)
        for key, values in (("mean", self.mean), ("scale", self.scale)):
            if len(values) != self.channels:
                raise ConfigError(
                    f"input: {key}: `{self.pixel_format}` takes {self.channels} number(s): {tuple(values)}"
                )
            for said in filter(None, map(why_not_mean if key == "mean" else why_not_scale, values)):
                raise ConfigError(f"input: {key}: {said}")
        if self.height < 1 or self.width < 1:
            raise ConfigError(f"input: size: must be at least 1x1: {self.height}x{self.width}")

    @property
    def channels(self) -> int:
        return 1 if self.pixel_format == "gray" else 3


@dataclass(frozen=True)
class Geometry:
    """Where an image went: network pixel = image pixel * scale + pad; width and height are the image's."""

    scale_x: float
    scale_y: float
    pad_left: int
    pad_top: int
    width: int
    height: int

    def to_original(self, coordinates: NDArray[np.float32], clip: bool = False) -> NDArray[np.float32]:
        """Network pixels -> image pixels, same shape, float32: boxes [n,4] xyxy or points [n,k,2] xy.

        With `clip` the result stays within 0..width and 0..height.
        """
        shape = np.shape(coordinates)
        points = np.asarray(coordinates, np.float32).reshape(*shape[:-1], shape[-1] // 2, 2)
        moved = np.empty_like(points)
        # One axis at a time, since numpy is slow along pairs.
        axes = ((self.pad_left, self.scale_x, self.width), (self.pad_top, self.scale_y, self.height))
        for axis, (pad, scale, end) in enumerate(axes):
            # float64 inside, as in the samples: a float32 division would move truncated corners by a pixel.
            values = np.subtract(points[..., axis], pad, dtype=np.float64)
            values /= scale
            moved[..., axis] = values.clip(0, end) if clip else values
        return moved.reshape(shape)


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
    """One BGR image uint8 [H,W,3] -> float32 [C,height,width] and where it went. Raises SessionError."""
    tensor = np.empty((spec.channels, spec.height, spec.width), np.float32)
    return tensor, prepare_into(image, spec, tensor)


def prepare_batch(
    images: Sequence[NDArray[np.uint8]],
    spec: InputSpec,
    slots: int,
    out: Optional[NDArray[np.float32]] = None,
) -> Tuple[NDArray[np.float32], List[Geometry]]:
    """BGR images uint8 [H,W,3] -> float32 [slots,C,height,width] and one Geometry per image.

    Unused slots are zero after the mean is taken off, as in the published OpenCV samples. `out` is the tensor of
    an earlier batch, to be filled again: it takes less time than a new one, whose memory the kernel hands out
    page by page. A session is done with a tensor once `run` has returned.
    Raises SessionError for more images than slots, and for an `out` of another shape or type.
    """
    if len(images) > slots:
        raise SessionError(f"batch: more images than the {slots} slot(s) of the model: {len(images)}")
    shape = (slots, spec.channels, spec.height, spec.width)
    batch = np.empty(shape, np.float32) if out is None else out
    if batch.shape != shape or batch.dtype != np.float32:
        raise SessionError(f"batch: out must be float32 {list(shape)}: {batch.dtype} {list(batch.shape)}")
    geometries = [prepare_into(image, spec, batch[i]) for i, image in enumerate(images)]
    batch[len(images) :] = 0
    return batch, geometries


def prepare_into(image: NDArray[np.uint8], spec: InputSpec, out: NDArray[np.float32]) -> Geometry:
    """Write one BGR image uint8 [H,W,3] into `out`, float32 [C,height,width]. Raises SessionError."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise SessionError(f"image: must be uint8 [H,W,3] in BGR order: {image.dtype} {list(image.shape)}")
    canvas, geometry = _place(image, spec)
    if spec.pixel_format == "gray":
        planes = [cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY)]
    else:
        order = (0, 1, 2) if spec.pixel_format == "bgr" else (2, 1, 0)
        planes = [canvas[..., channel] for channel in order]
    for i, plane in enumerate(planes):
        np.subtract(plane, np.float32(spec.mean[i]), out=out[i], dtype=np.float32)
        if spec.scale[i] != 1:
            out[i] *= np.float32(spec.scale[i])
    return geometry


def _place(image: NDArray[np.uint8], spec: InputSpec) -> Tuple[NDArray[np.uint8], Geometry]:
    """Resize onto a canvas of the network's size, uint8 [height,width,3]."""
    height, width = image.shape[:2]
    if spec.resize == "stretch":
        resized = _resize(image, spec.width, spec.height, spec.flavour)
        return resized, Geometry(spec.width / width, spec.height / height, 0, 0, width, height)
    if spec.resize == "original":
        resized, scale_x, scale_y = _unscaled(image, spec), 1.0, 1.0
    else:
        ratio = min(spec.width / width, spec.height / height)
        resized, scale_x, scale_y = _resize_by_ratio(image, ratio, spec.flavour)
    rows, columns = resized.shape[:2]
    centred = spec.resize == "letterbox_center"
    left = (spec.width - columns) // 2 if centred else 0
    top = (spec.height - rows) // 2 if centred else 0
    canvas = np.full((spec.height, spec.width, 3), spec.pad_value, np.uint8)
    canvas[top : top + rows, left : left + columns] = resized
    return canvas, Geometry(scale_x, scale_y, left, top, width, height)


def _unscaled(image: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if height > spec.height or width > spec.width:
        size = f"{spec.height}x{spec.width}"
        hint = "resize: letterbox shrinks what is too large"
        raise SessionError(
            f"image: larger than the network's {size}, and resize is `original`: {height}x{width}", hint
        )
    return image


def _resize_by_ratio(
    image: NDArray[np.uint8], ratio: float, flavour: str
) -> Tuple[NDArray[np.uint8], float, float]:
    """The resized image and the scale really applied to x and y."""
    height, width = image.shape[:2]
    to_int = round if flavour == "opencv" else int  # round: half to even, as cv2 rounds fx and fy
    columns, rows = to_int(width * ratio), to_int(height * ratio)
    if not columns or not rows:
        columns, rows = max(1, columns), max(1, rows)
        return _resize(image, columns, rows, flavour), columns / width, rows / height
    if flavour == "bmcv":
        return _resize(image, columns, rows, flavour), ratio, ratio
    # fx and fy, not a size: cv2 then samples at 1/ratio exactly, as the samples do.
    resized = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_LINEAR)
    return _as_uint8(resized), ratio, ratio


def _resize(image: NDArray[np.uint8], columns: int, rows: int, flavour: str) -> NDArray[np.uint8]:
    if flavour == "bmcv":
        height, width = image.shape[:2]
        return image.take(nearest_pixels(height, rows), axis=0).take(nearest_pixels(width, columns), axis=1)
    return _as_uint8(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR))


def _as_uint8(image: object) -> NDArray[np.uint8]:
    return np.asarray(image, np.uint8)  # cv2's stubs know neither dtype nor shape


def _check_word(key: str, word: str, allowed: Sequence[str]) -> None:
    if word not in allowed:
        near = nearest(word, allowed)
        hint = f"did you mean `{near}`?" if near else f"allowed: {', '.join(allowed)}"
        raise ConfigError(f"input: {key}: unknown: {word}", hint)
