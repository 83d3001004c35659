"""Picture files that lie in every way that EXIF knows, in every format that can say so."""

import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

WAYS = tuple(range(1, 9))


def upright(height: int = 24, width: int = 40) -> NDArray[np.uint8]:
    """A picture, uint8 [H,W,3] BGR, that no turn brings to itself, of soft edges, as codecs that lose like them."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = (255 * columns / (width - 1), 255 * rows / (height - 1), 127 + 100 * np.sin(rows / 9 + columns / 5))
    return np.asarray(np.stack(planes, axis=-1), np.uint8)


def stored(image: NDArray[np.uint8], way: int) -> NDArray[np.uint8]:
    """How an upright picture lies in a file of that orientation."""
    turn: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
        1: lambda x: x,
        2: np.fliplr,
        3: lambda x: np.rot90(x, 2),
        4: np.flipud,
        5: lambda x: x.swapaxes(0, 1),
        6: lambda x: np.rot90(x, 1),
        7: lambda x: np.rot90(x.swapaxes(0, 1), 2),
        8: lambda x: np.rot90(x, -1),
    }
    return np.ascontiguousarray(turn[way](image))


def exif(way: int, order: str = "<", kind: str = "H") -> bytes:
    """EXIF of a few tags, as cameras write it: a TIFF without a picture."""
    code = {"B": 1, "H": 3, "I": 4}[kind]
    make = struct.pack(f"{order}HHI4s", 0x010F, 2, 4, b"abc\0")
    turn = struct.pack(f"{order}HHI", 0x0112, code, 1) + struct.pack(f"{order}{kind}", way).ljust(4, b"\0")
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(f"{order}IH", 8, 2) + make + turn + bytes(4)


def _png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _written(suffix: str, image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(suffix, image, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()


def _jpeg(image: NDArray[np.uint8], *segments: bytes) -> bytes:
    file = _written(".jpg", image)
    return file[:2] + b"".join(struct.pack(">BBH", 0xFF, 0xE1, len(s) + 2) + s for s in segments) + file[2:]


def _png(image: NDArray[np.uint8], way: int, before: bool) -> bytes:
    file, chunk = _written(".png", image), _png_chunk(b"eXIf", exif(way, ">"))
    at = file.index(b"IDAT") - 4 if before else len(file) - 12
    return file[:at] + chunk + file[at:]


def _pillow(image: NDArray[np.uint8], format: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., ::-1]).save(file, format, **options)
    return file.getvalue()


def _jp2(image: NDArray[np.uint8], way: int) -> bytes:
    content = b"uuid" + b"JpgTiffExif->JP2" + exif(way)
    return _pillow(image, "JPEG2000") + struct.pack(">I", len(content) + 4) + content


def _long_in_tiff(image: NDArray[np.uint8], way: int) -> bytes:
    """A TIFF whose orientation is a LONG, which libtiff passes over."""
    file = bytearray(_pillow(image, "TIFF", tiffinfo={0x0112: way}))
    at = file.index(struct.pack("<HHI", 0x0112, 3, 1))
    file[at : at + 12] = struct.pack("<HHII", 0x0112, 4, 1, way)
    return bytes(file)


_XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
# By format and how it is written: a picture as it lies and its orientation -> a file.
FILES: dict[str, Callable[[NDArray[np.uint8], int], bytes]] = {
    "a.jpg": lambda image, way: _jpeg(image, b"Exif\0\0" + exif(way)),
    "motorola.jpg": lambda image, way: _jpeg(image, b"Exif\0\0" + exif(way, ">")),
    "long.jpg": lambda image, way: _jpeg(image, b"Exif\0\0" + exif(way, ">", "I")),
    "xmp_first.jpg": lambda image, way: _jpeg(image, _XMP, b"Exif\0\0" + exif(way)),
    "a.png": lambda image, way: _png(image, way, before=True),
    "at_the_end.png": lambda image, way: _png(image, way, before=False),
    "a.webp": lambda image, way: _pillow(image, "WEBP", lossless=True, exif=exif(way)),
    "prefixed.webp": lambda image, way: _pillow(image, "WEBP", lossless=True, exif=b"Exif\0\0" + exif(way)),
    "lossy.webp": lambda image, way: _pillow(image, "WEBP", quality=100, exif=exif(way)),
    "a.tif": lambda image, way: _pillow(image, "TIFF", tiffinfo={0x0112: way}),
    "lzw.tiff": lambda image, way: _pillow(image, "TIFF", compression="tiff_lzw", tiffinfo={0x0112: way}),
    "big.tif": lambda image, way: _pillow(image, "TIFF", big_tiff=True, tiffinfo={0x0112: way}),
    "long.tif": _long_in_tiff,
    "a.jp2": _jp2,
}
LOSSLESS = tuple(name for name in FILES if not name.endswith(".jpg") and not name.startswith("lossy"))
