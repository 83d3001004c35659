"""A picture with known faces, and what holds for it whatever data set it is from.

Everything is compared before the first picture is used: a ground truth that does not belong to the pictures
gives a plausible low figure and no error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from bmzoo.errors import SourceError
from bmzoo.runtime.orientation import size_in_header
from bmzoo.runtime.preprocess import decode_image, read_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OTHERS = "these are not the pictures that the ground truth was made for"


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and its faces: `boxes` float64 [n,4] as x, y, w, h in pixels of width x height.

    `kept` gives, by subset, the indices of the faces that count, int64; all others are ignored there. `path`
    is None for a picture that is not in a file. `file_size` is width and height of the file where it was stored
    stretched.
    """

    name: str
    path: Path | None
    width: int
    height: int
    boxes: NDArray[np.float64]
    kept: Mapping[str, NDArray[np.int64]]
    file_size: tuple[int, int] | None = None

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height that the file must have."""
        return self.file_size or (self.width, self.height)

    def read(self) -> NDArray[np.uint8]:
        """The picture as uint8 [height,width,3] BGR; one that was stored stretched is stretched back.

        Raises SourceError for what cannot be read, and for what is decoded to another size.
        """
        if self.path is None:
            raise SourceError(f"{self.name}: the picture is in no file")
        image = decode_image(read_bytes(self.path), self.path)
        check_size(self, (image.shape[1], image.shape[0]), str(self.path))
        if self.stored == (self.width, self.height):
            return image
        return np.asarray(cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_LINEAR), np.uint8)


def check_size(picture: Picture, found: tuple[int, int], where: str) -> None:
    """Check the width and height of a picture as it is read. Raises SourceError."""
    if found == picture.stored:
        return
    width, height = picture.stored
    turned = "sizes are those of the picture upright, as its EXIF orientation turns it"
    raise SourceError(
        f"{where}: picture should be {width}x{height}, is: {found[0]}x{found[1]}",
        turned if found == (height, width) else _OTHERS,
    )


def fitting(picture: Picture, where: str, first: int) -> Picture:
    """The picture, once its faces lie in it and its subsets name existing ones, counted from `first`.

    A face may be cut off by the border, so it is its centre that must lie inside.
    """
    boxes = picture.boxes
    names = [f"face {index + first}" for index in range(len(boxes))]
    check_boxes(boxes, (picture.width, picture.height), where, names)
    for subset, indices in picture.kept.items():
        wrong = indices[(indices < 0) | (indices >= len(boxes))]
        if wrong.size:
            value = int(wrong[0]) + first
            raise SourceError(f"{where}: {subset}: there are {len(boxes)} faces, none has the index: {value}")
    return picture


def check_boxes(boxes: NDArray[np.float64], size: tuple[int, int], where: str, names: Sequence[str]) -> None:
    """Check that boxes [n,4], x, y, w, h, lie in a picture of width and height. Raises SourceError naming one.

    One may be cut off by the border, so it is its centre that must lie inside.
    """
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    within = (centres >= 0) & (centres <= size)  # False for NaN
    bad = np.flatnonzero(~(within.all(axis=1) & (boxes[:, 2:] >= 0).all(axis=1)))
    shown = f"{size[0]}x{size[1]}"
    if bad.size:
        row = ", ".join(f"{value:g}" for value in boxes[bad[0]])
        raise SourceError(f"{where}: {names[bad[0]]} does not lie in the picture of {shown}: [{row}]", _OTHERS)
    if (unit := _in_one_pixel(boxes)).size:
        row = ", ".join(f"{value:g}" for value in boxes[unit[0]])
        hint = "boxes are x, y, w, h in pixels of the picture, not shares of its width and height"
        raise SourceError(f"{where}: {names[unit[0]]} is smaller than a pixel of {shown}: [{row}]", hint)


def _in_one_pixel(boxes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Faces given in shares of the picture: all are in its first pixel, or one is with a fraction."""
    inside = (boxes <= 1).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    if inside.all():
        return np.flatnonzero(inside)
    return np.flatnonzero(inside & (boxes != np.rint(boxes)).any(axis=1))


def comparable(pictures: Sequence[Picture], where: str) -> None:
    """Raises SourceError for a set of pictures that says nothing: one without a face, or with a picture twice."""
    if not any(len(indices) for picture in pictures for indices in picture.kept.values()):
        raise SourceError(
            f"{where}: no face in any of its {len(pictures)} pictures, so there is nothing to find",
            "what has no faces belongs below calibration, if anywhere",
        )
    names: dict[Path, str] = {}
    for picture in pictures:
        path = picture.path.resolve() if picture.path is not None else Path(picture.name)
        if path in names:
            raise SourceError(f"{where}: one picture under two names: {names[path]} and {picture.name}")
        names[path] = picture.name


def size_of(path: Path, where: str) -> tuple[int, int]:
    """Width and height of a picture as it is read: from the header alone where that is plain, else decoded."""
    if not path.exists():
        raise SourceError(f"{where}: picture is missing: {path}")
    try:
        data = read_bytes(path)
        size = size_in_header(data.tobytes())
        if size is None:
            height, width = decode_image(data, path).shape[:2]
            size = width, height
    except SourceError as error:
        problem = error.message.replace(f"{path}: cannot", "picture cannot").replace(f"{path}: ", "")
        raise SourceError(f"{where}: {problem}: {path}", error.hint) from error
    return size


def inside(folder: Path, name: str, where: str) -> Path:
    """A file that a ground truth names, below its folder. Raises SourceError for a name that leads elsewhere."""
    plain = normpath(name)
    if plain.startswith("/") or plain.split("/")[0] == ".." or not name.isprintable():
        raise SourceError(
            f"{where}: names no file below the ground truth's folder: {shortened(name)}",
            "pictures lie beside the file that names them, or below",
        )
    return folder / plain


def shortened(value: Any) -> str:
    """A value as messages show it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
