"""Pictures with known faces: a subset listed in JSON, or the complete validation set of WIDER FACE.

Everything is compared before the first picture is used: a ground truth that does not belong to the pictures
gives a plausible low figure and no error.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import cv2
import numpy as np

from bmzoo.errors import SourceError
from bmzoo.runtime.preprocess import read_image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SUBSETS = ("easy", "medium", "hard")
# The published samples leave this picture out of WIDER FACE, so their figures are without it.
LEFT_OUT = ("6_Funeral_Funeral_6_618",)
# Where the four .mat files may lie; the second is how WIDER FACE's archive of tools unpacks.
_MAT_FOLDERS = (".", "eval_tools/ground_truth", "ground_truth")
_TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and its faces: `boxes` float64 [n,4] as x, y, w, h in pixels of width x height.

    `kept` gives, by subset, the indices of the faces that count, int64; all others are ignored there. `path`
    is None for a picture that is not in a file.
    """

    name: str
    path: Path | None
    width: int
    height: int
    boxes: NDArray[np.float64]
    kept: Mapping[str, NDArray[np.int64]]

    def read(self) -> NDArray[np.uint8]:
        """The picture as uint8 [height,width,3] BGR; a file stored in another size is stretched back."""
        if self.path is None:
            raise SourceError(f"{self.name}: the picture is in no file")
        image = read_image(self.path)
        if image.shape[:2] == (self.height, self.width):
            return image
        return np.asarray(cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_LINEAR), np.uint8)


def load_json(path: Path) -> tuple[Picture, ...]:
    """Pictures listed in a JSON file, in name order: {name: {file, width, height, boxes, ...}}.

    `file` is relative to the JSON file. `file_size` [w,h] says that the file was stored stretched to that
    size; without it the file must be width x height. `easy`, `medium` and `hard` are lists of indices into
    `boxes`; where no entry has them, all faces count, in one subset `all`.
    Raises SourceError for a damaged file, a missing picture, and ground truth that does not fit the pictures.
    """
    entries = _entries(path)
    keys = {key for entry in entries.values() if isinstance(entry, dict) for key in entry}
    subsets = tuple(subset for subset in SUBSETS if subset in keys)
    return tuple(_listed(path, name, entries[name], subsets) for name in sorted(entries))


def load_wider(folder: Path, leave_out: Collection[str] = LEFT_OUT) -> tuple[Picture, ...]:
    """WIDER FACE's validation set, in its own order, without the pictures named (no suffix) in `leave_out`.

    Under `folder`: `WIDER_val/images/<event>/<name>.jpg` and `wider_face_val.mat`, `wider_easy_val.mat`,
    `wider_medium_val.mat` and `wider_hard_val.mat`, the latter also in `eval_tools/ground_truth`.
    Raises SourceError for missing or damaged files and ground truth that does not fit the pictures.
    """
    faces = _Mat(folder, "wider_face_val.mat")
    subsets = {subset: _Mat(folder, f"wider_{subset}_val.mat") for subset in SUBSETS}
    events = [faces.text(cell) for cell in faces.cells("event_list")]
    files = faces.nested("file_list", [None] * len(events))
    counts = [len(cells) for cells in files]
    boxes = faces.nested("face_bbx_list", counts)
    kept = {subset: mat.nested("gt_list", counts) for subset, mat in subsets.items()}
    pictures = []
    for i, event in enumerate(events):
        for j, cell in enumerate(files[i]):
            name = faces.text(cell)
            if name in leave_out:
                continue
            where = f"{faces.path}: {event}/{name}"
            indices = {subset: subsets[subset].integers(kept[subset][i][j], name) - 1 for subset in SUBSETS}
            path = folder / "WIDER_val" / "images" / event / f"{name}.jpg"
            width, height = _size(path, where)
            picture = Picture(name, path, width, height, faces.boxes(boxes[i][j], name), indices)
            pictures.append(_fitting(picture, where, first=1))
    return tuple(pictures)


def _entries(path: Path) -> dict[str, Any]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # not JSON, or not UTF-8
        raise SourceError(f"{path}: not JSON, or damaged: {error}") from error
    if not isinstance(entries, dict) or not entries:
        raise SourceError(f"{path}: must be an object that names at least one picture: {_short(entries)}")
    return entries


def _listed(path: Path, name: str, entry: Any, subsets: tuple[str, ...]) -> Picture:
    where = f"{path}: {name}"
    if not isinstance(entry, dict):
        raise SourceError(f"{where}: must be an object: {_short(entry)}")
    missing = [key for key in ("file", "width", "height", "boxes", *subsets) if key not in entry]
    if missing:
        raise SourceError(f"{where}: key is missing: `{missing[0]}`")
    if not isinstance(entry["file"], str):
        raise SourceError(f"{where}: file: must be a path: {_short(entry['file'])}")
    width, height = _sides(f"{where}: width and height", [entry["width"], entry["height"]])
    stored = _sides(f"{where}: file_size", entry.get("file_size", [width, height]))
    file = path.parent / entry["file"]
    if (found := _size(file, where)) != stored:
        hint = "these are not the pictures that the ground truth was made for"
        raise SourceError(f"{where}: picture should be {stored[0]}x{stored[1]}, is: {found[0]}x{found[1]}", hint)
    boxes = _boxes(where, entry["boxes"])
    kept = {subset: _indices(f"{where}: {subset}", entry[subset]) for subset in subsets}
    kept = kept or {"all": np.arange(len(boxes), dtype=np.int64)}
    return _fitting(Picture(name, file, width, height, boxes, kept), where, first=0)


def _boxes(where: str, rows: Any) -> NDArray[np.float64]:
    if not isinstance(rows, list):
        raise SourceError(f"{where}: boxes: must be a list of [x, y, w, h]: {_short(rows)}")
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != 4 or not all(_number(value) for value in row):
            raise SourceError(f"{where}: boxes[{i}]: must be [x, y, w, h]: {_short(row)}")
    return np.array(rows, np.float64).reshape(-1, 4)


def _indices(where: str, values: Any) -> NDArray[np.int64]:
    if not isinstance(values, list) or not all(_integer(value) for value in values):
        raise SourceError(f"{where}: must be a list of indices into `boxes`: {_short(values)}")
    twice = [value for value in values if values.count(value) > 1] if len(set(values)) != len(values) else []
    if twice:
        raise SourceError(f"{where}: names a face twice: {twice[0]}")
    return np.array([min(max(value, -1), np.iinfo(np.int64).max) for value in values], np.int64)


def _sides(where: str, values: Any) -> tuple[int, int]:
    pair = isinstance(values, list) and len(values) == 2
    if not pair or not all(_integer(value) and value > 0 for value in values):
        raise SourceError(f"{where}: must be two positive integers: {_short(values)}")
    return values[0], values[1]


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _integer(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fitting(picture: Picture, where: str, first: int) -> Picture:
    """The picture, once its faces lie in it and its subsets name existing ones, counted from `first`.

    A face may be cut off by the border, so it is its centre that must lie inside.
    """
    boxes, size = picture.boxes, f"{picture.width}x{picture.height}"
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    inside = (centres >= 0) & (centres <= (picture.width, picture.height))  # False for NaN
    bad = np.flatnonzero(~(inside.all(axis=1) & (boxes[:, 2:] >= 0).all(axis=1)))
    if bad.size:
        row = ", ".join(f"{value:g}" for value in boxes[bad[0]])
        hint = "these are not the pictures that the ground truth was made for"
        raise SourceError(f"{where}: face {bad[0] + first} does not lie in the picture of {size}: [{row}]", hint)
    for subset, indices in picture.kept.items():
        wrong = indices[(indices < 0) | (indices >= len(boxes))]
        if wrong.size:
            value = int(wrong[0]) + first
            raise SourceError(f"{where}: {subset}: there are {len(boxes)} faces, none has the index: {value}")
    return picture


def _size(path: Path, where: str) -> tuple[int, int]:
    """Width and height as `read_image` gives them, from the header alone: thousands of pictures are checked."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            turned = image.getexif().get(0x0112) in _TURNED
            return image.size[::-1] if turned else image.size
    except FileNotFoundError:
        raise SourceError(f"{where}: picture is missing: {path}") from None
    except UnidentifiedImageError:
        raise SourceError(f"{where}: not a picture, or damaged: {path}") from None
    except (OSError, ValueError, SyntaxError) as error:  # as Pillow's readers report broken headers
        raise SourceError(f"{where}: picture cannot be read: {path}: {error}") from error


class _Mat:
    """A MATLAB file of cell arrays, one cell an event, in it one cell a picture."""

    def __init__(self, folder: Path, name: str) -> None:
        places = [folder / place / name for place in _MAT_FOLDERS]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            hint = "it comes with WIDER FACE's evaluation tools (eval_tools.zip)"
            raise SourceError(f"{folder}: ground truth is missing: {name}", hint)
        from scipy.io import loadmat  # takes long to import, and few tasks evaluate

        self.path = found
        try:
            self._content = loadmat(found)
        except Exception as error:  # a damaged file raises anything from zlib.error to TypeError
            raise SourceError(f"{found}: not a MATLAB file, or damaged: {error}") from error

    def cells(self, key: str) -> list[Any]:
        if key not in self._content:
            raise SourceError(f"{self.path}: variable is missing: `{key}`")
        return self._unpack(self._content[key], key)

    def nested(self, key: str, counts: Sequence[int | None]) -> list[list[Any]]:
        """Cells by event and picture; `counts` says how many pictures each event has, None when not known."""
        events = [self._unpack(cell, f"{key}[{i}]") for i, cell in enumerate(self.cells(key))]
        if len(events) != len(counts):
            raise SourceError(f"{self.path}: {key}: should have {len(counts)} events, has: {len(events)}")
        for i, (event, count) in enumerate(zip(events, counts, strict=True)):
            if count is not None and len(event) != count:
                raise SourceError(f"{self.path}: {key}[{i}]: should have {count} pictures, has: {len(event)}")
        return events

    def text(self, cell: Any) -> str:
        words = list(_flat(cell))
        if len(words) != 1 or not isinstance(words[0], str):
            raise SourceError(f"{self.path}: should be one name: {_short(words)}")
        return words[0]

    def boxes(self, cell: Any, name: str) -> NDArray[np.float64]:
        values = self._numbers(cell, name)
        if values.size and (values.ndim != 2 or values.shape[1] != 4):
            raise SourceError(f"{self.path}: {name}: boxes should be [n, 4], are: {list(values.shape)}")
        return values.reshape(-1, 4)

    def integers(self, cell: Any, name: str) -> NDArray[np.int64]:
        values = self._numbers(cell, name).ravel()
        if not np.array_equal(values, np.rint(values)):  # NaN differs from itself
            raise SourceError(f"{self.path}: {name}: indices should be whole numbers: {_short(values.tolist())}")
        return values.astype(np.int64)

    def _numbers(self, cell: Any, name: str) -> NDArray[np.float64]:
        array = np.asarray(cell)
        if array.dtype.kind not in "iuf":
            raise SourceError(f"{self.path}: {name}: should be numbers, is: {_short(cell)}")
        return array.astype(np.float64)

    def _unpack(self, value: Any, where: str) -> list[Any]:
        array = np.asarray(value)
        if array.dtype != object:
            found = f"{array.dtype} {list(array.shape)}"
            raise SourceError(f"{self.path}: {where}: should be a cell array, is: {found}")
        return list(array.ravel())


def _flat(value: Any) -> Iterator[Any]:
    """What lies in nested arrays: a name comes as an array of one string, or as one in a cell of its own."""
    if isinstance(value, np.ndarray):
        for item in value.ravel().tolist():
            yield from _flat(item)
    else:
        yield value
