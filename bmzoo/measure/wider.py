"""Ground truth as WIDER FACE publishes it: folders of pictures, and MATLAB files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bmzoo.errors import SourceError
from bmzoo.measure.metrics.registry import SUBSETS
from bmzoo.measure.picture import Picture, fitting, inside, shortened, size_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The published samples leave this picture out of WIDER FACE, so their figures are without it.
LEFT_OUT = ("6_Funeral_Funeral_6_618",)
# Where the four .mat files may lie; the second is how WIDER FACE's archive of tools unpacks.
_MAT_FOLDERS = (".", "eval_tools/ground_truth", "ground_truth")


def load(folder: Path, leave_out: Collection[str] = LEFT_OUT) -> tuple[Picture, ...]:
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
            path = inside(folder / "WIDER_val" / "images", f"{event}/{name}.jpg", where)
            width, height = size_of(path, where)
            picture = Picture(name, path, width, height, faces.boxes(boxes[i][j], name), indices)
            pictures.append(fitting(picture, where, first=1))
    return tuple(pictures)


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
            raise SourceError(f"{self.path}: should be one name: {shortened(words)}")
        return words[0]

    def boxes(self, cell: Any, name: str) -> NDArray[np.float64]:
        values = self._numbers(cell, name)
        if values.size and (values.ndim != 2 or values.shape[1] != 4):
            raise SourceError(f"{self.path}: {name}: boxes should be [n, 4], are: {list(values.shape)}")
        return values.reshape(-1, 4)

    def integers(self, cell: Any, name: str) -> NDArray[np.int64]:
        values = self._numbers(cell, name).ravel()
        if not np.array_equal(values, np.rint(values)):  # NaN differs from itself
            raise SourceError(f"{self.path}: {name}: indices should be whole numbers: {shortened(values.tolist())}")
        return values.astype(np.int64)

    def _numbers(self, cell: Any, name: str) -> NDArray[np.float64]:
        array = np.asarray(cell)
        if array.dtype.kind not in "iuf":
            raise SourceError(f"{self.path}: {name}: should be numbers, is: {shortened(cell)}")
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
