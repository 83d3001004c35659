"""Bmcv: picture files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from bmzoo.errors import SourceError
from bmzoo.runtime.orientation import unturned
from bmzoo.runtime.preprocess import decode_image
from bmzoo.sail.batch import code_of
from bmzoo.sail.binding import bound
from bmzoo.sail.colour import convert
from bmzoo.sail.enums import Format
from bmzoo.sail.errors import NotSupport, SailBMImageError
from bmzoo.sail.image import AnyImage, BMImage, bm_image
from bmzoo.sail.pixels import Pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Files:
    """Pictures are read and written by OpenCV."""

    @bound("file_name: str, image: AnyImage, /")
    def imwrite(self, file_name: str, image: AnyImage) -> int:
        """Write a picture of any format; 0, or a code."""
        return code_of(lambda: _write(file_name, image))

    @bound("file_name: str, image: bm_image, /")
    def imwrite_(self, file_name: str, image: bm_image) -> int:
        """The same."""
        return code_of(lambda: _write(file_name, image))

    @bound("filename: str")
    def imread(self, filename: str) -> BMImage:
        """A picture as it lies in its file: YUV420P or GRAY from .jpg and .jpeg, BGR_PACKED or GRAY from others."""
        try:
            file = unturned(Path(filename).read_bytes())
            image = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED) if file else None
        except (OSError, cv2.error) as error:
            raise SailBMImageError(f"imread: {filename}: {error}") from error
        if image is None:
            raise SailBMImageError(f"imread: not a picture: {filename}")
        array = np.asarray(image)
        if array.ndim == 2:
            return BMImage.of(Pixels.of(_eight_bits(array)[None], Format.FORMAT_GRAY))
        if array.shape[2] == 4 or array.dtype != np.uint8:
            raise NotSupport(f"imread: pictures with alpha or 16 bits: not in bmzoo.sail: {filename}")
        packed = Pixels.of(array, Format.FORMAT_BGR_PACKED)
        jpeg = Path(filename).suffix.lower() in (".jpg", ".jpeg")
        return BMImage.of(convert(packed, Format.FORMAT_YUV420P) if jpeg else packed)

    @bound("data: bytes, /")
    def imdecode(self, data_bytes: bytes) -> BMImage:
        """A picture in a file's bytes, as BGR_PACKED."""
        return BMImage.of(Pixels.of(decode(np.frombuffer(data_bytes, np.uint8)), Format.FORMAT_BGR_PACKED))

    @bound("ext: str, img: BMImage, /")
    def imencode(self, ext: str, img: BMImage) -> NDArray[np.uint8]:
        """A picture file as uint8 [n]; `ext` such as ".jpg"."""
        return encode(ext, img)


def encode(ext: str, image: AnyImage) -> NDArray[np.uint8]:
    """A picture file's bytes. Raises SailBMImageError."""
    try:
        done, data = cv2.imencode(ext, BMImage.of(image.pixels).asmat())
    except cv2.error as error:
        raise SailBMImageError(f"imencode: {ext}: {error}") from error
    if not done:
        raise SailBMImageError(f"imencode: failed: {ext}")
    return np.asarray(data, np.uint8).reshape(-1)


def decode(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture file's bytes -> uint8 [H,W,3] in BGR order, read as the runtime does. Raises SailBMImageError."""
    try:
        return decode_image(data, Path("imdecode"))
    except SourceError as error:
        raise SailBMImageError(error.message) from error


def _eight_bits(array: NDArray[Any]) -> NDArray[np.uint8]:
    return (array >> 8).astype(np.uint8) if array.dtype == np.uint16 else array.astype(np.uint8)


def _write(path: str, image: AnyImage) -> None:
    """Encoded here and written by Python: cv2.imwrite says nothing of a full disk for some formats."""
    try:
        done, data = cv2.imencode(path[path.rfind(".") :], BMImage.of(image.pixels).asmat())
    except cv2.error as error:
        raise SailBMImageError(f"imwrite: {path}: {error}") from error
    if not done:
        raise SailBMImageError(f"imwrite: cannot be written: {path}")
    try:
        Path(path).write_bytes(np.asarray(data).tobytes())
    except OSError as error:
        raise SailBMImageError(f"imwrite: cannot be written: {path}: {error.strerror}") from error
