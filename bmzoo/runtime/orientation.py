"""How a picture lies in its file: the EXIF orientation, by the bytes of every format that can have one.

Which formats a build of OpenCV turns upright differs from version to version, and so it is asked to turn none.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Callable, Iterator, Optional, Tuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

UPRIGHT = 1
_TAG = 0x0112
# Types that a tag of one whole number may have: BYTE, SHORT and LONG.
_INTEGERS = {1: "B", 3: "H", 4: "I"}
# Orientation: rows and columns exchanged, then the step along rows and along columns.
_TURNS = {
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}
_PNG, _JP2 = b"\x89PNG\r\n\x1a\n", b"\0\0\0\x0cjP  "
_JP2_EXIF = b"JpgTiffExif->JP2"


def orientation(file: bytes) -> int:
    """1 to 8, as EXIF counts; 1 where the file says nothing, or nothing that EXIF knows."""
    where = _place(file)
    value = int(struct.unpack_from(where[1], file, where[0])[0]) if where else UPRIGHT
    return value if value in _TURNS else UPRIGHT


def upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A picture as it lies in its file, [H,W,...], turned to how it is to be seen."""
    exchanged, along_rows, along_columns = _TURNS.get(orientation, (False, 1, 1))
    turned = image.swapaxes(0, 1) if exchanged else image
    return np.ascontiguousarray(turned[::along_rows, ::along_columns])


def unturned(file: bytes) -> bytes:
    """The file with an orientation of 1 where its codec would turn it unasked, as that of TIFF does."""
    where = _place(file) if _is_tiff(file) else None
    if where is None:
        return file
    changed = bytearray(file)
    struct.pack_into(where[1], changed, where[0], UPRIGHT)
    return bytes(changed)


def size_in_header(file: bytes) -> Optional[Tuple[int, int]]:
    """Width and height upright, for JPEG and PNG, whose headers are plain; None for what has to be decoded."""
    size = _png_size(file) if file.startswith(_PNG) else _jpeg_size(file)
    exchanged = size is not None and _TURNS.get(orientation(file), (False,))[0]
    return (size[1], size[0]) if size is not None and exchanged else size


def _place(file: bytes) -> Optional[Tuple[int, str]]:
    """Where in the file the number is, and what struct calls it."""
    tiff = next((find(file) for begins, find in _FORMATS if begins(file)), None)
    if tiff is None:
        return None
    try:
        return _in_tiff(file, tiff)
    except (struct.error, OverflowError):  # it breaks off, or leads out of the file
        return None


def _in_tiff(file: bytes, start: int) -> Optional[Tuple[int, str]]:
    """The same in the first directory of a TIFF, which is also how EXIF is written; `start` is its first byte."""
    order = {b"II": "<", b"MM": ">"}.get(file[start : start + 2])
    if order is None:
        return None
    big = struct.unpack_from(f"{order}H", file, start + 2)[0] == 43
    at_first, count, entry, inline = ("8xQ", "Q", "HHQ", 20) if big else ("4xI", "H", "HHI", 12)
    first = start + struct.unpack_from(f"{order}{at_first}", file, start)[0]
    entries = struct.unpack_from(f"{order}{count}", file, first)[0]
    at = first + struct.calcsize(f"{order}{count}")
    for _ in range(min(entries, 0xFFFF)):
        tag, kind, values = struct.unpack_from(f"{order}{entry}", file, at)
        if tag == _TAG:
            fits = kind in _INTEGERS and values == 1
            value = at + struct.calcsize(f"{order}{entry}"), f"{order}{_INTEGERS.get(kind, 'H')}"
            return value if fits and len(file) >= at + inline else None
        at += inline
    return None


def _is_tiff(file: bytes) -> bool:
    return file[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _jpeg_exif(file: bytes) -> Optional[int]:
    found = (at for marker, at in _segments(file) if marker == 0xE1 and file[at : at + 6] == b"Exif\0\0")
    return next((at + 6 for at in found), None)


def _jpeg_size(file: bytes) -> Optional[Tuple[int, int]]:
    # C4, C8 and CC are no frames; there is one of the rest.
    frames = (at for marker, at in _segments(file) if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC))
    at = next(frames, None)
    if at is None or len(file) < at + 5:
        return None
    height, width = struct.unpack_from(">xHH", file, at)
    return (width, height) if width and height else None  # a height may follow the first scan


def _segments(file: bytes) -> Iterator[Tuple[int, int]]:
    """Marker and first byte of every segment of a JPEG before its first scan."""
    at = 2 if file.startswith(b"\xff\xd8") else len(file)
    while at + 4 <= len(file) and file[at] == 0xFF:
        marker = file[at + 1]
        if marker == 0xFF:  # any number of them may stand before a marker
            at += 1
            continue
        if marker in (0xD9, 0xDA):
            return
        alone = marker == 0x01 or 0xD0 <= marker <= 0xD7
        if not alone:
            yield marker, at + 4
        at += 2 if alone else 2 + struct.unpack_from(">H", file, at + 2)[0]


def _png_exif(file: bytes) -> Optional[int]:
    return next((at for name, at in _chunks(file, len(_PNG), ">I4s", 12, 1) if name == b"eXIf"), None)


def _png_size(file: bytes) -> Optional[Tuple[int, int]]:
    if file[12:16] != b"IHDR" or len(file) < 24:
        return None
    width, height = struct.unpack_from(">II", file, 16)
    return width, height


def _webp_exif(file: bytes) -> Optional[int]:
    at = next((at for name, at in _chunks(file, 12, "<4sI", 8, 2) if name == b"EXIF"), None)
    prefixed = at is not None and file[at : at + 6] == b"Exif\0\0"  # as some write it
    return at + 6 if at is not None and prefixed else at


def _chunks(file: bytes, at: int, header: str, around: int, even: int) -> Iterator[Tuple[bytes, int]]:
    """Name and first byte of chunks; `around`: bytes of one beside its content, filled to a multiple of `even`."""
    while at + 8 <= len(file):
        pair = struct.unpack_from(header, file, at)
        name, length = pair if isinstance(pair[0], bytes) else pair[::-1]
        yield name, at + 8
        at += around + length + length % even


def _jp2_exif(file: bytes) -> Optional[int]:
    at = file.find(_JP2_EXIF)
    return at + len(_JP2_EXIF) if at >= 0 else None


_FORMATS: Tuple[Tuple[Callable[[bytes], bool], Callable[[bytes], Optional[int]]], ...] = (
    (lambda file: file.startswith(b"\xff\xd8"), _jpeg_exif),
    (lambda file: file.startswith(_PNG), _png_exif),
    (lambda file: file.startswith(b"RIFF") and file[8:12] == b"WEBP", _webp_exif),
    (_is_tiff, lambda file: 0),
    (lambda file: file.startswith(_JP2), _jp2_exif),
)
