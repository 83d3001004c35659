"""Ground truth as a JSON file that lists pictures and their faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from bmzoo.errors import SourceError
from bmzoo.measure.metrics.registry import SUBSETS
from bmzoo.measure.picture import Picture, check_size, fitting, inside, shortened, size_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def load(path: Path) -> tuple[Picture, ...]:
    """Pictures listed in a JSON file, in name order: {name: {file, width, height, boxes, ...}}.

    `file` is relative to the JSON file. `file_size` [w,h] says that the file was stored stretched to that
    size; without it the file must be width x height. `easy`, `medium` and `hard` are lists of indices into
    `boxes`; where no entry has them, all faces count, in one subset `all`.
    Raises SourceError for a damaged file, a missing picture, and ground truth that does not fit the pictures.
    """
    entries = json_entries(path)
    keys = {key for entry in entries.values() if isinstance(entry, dict) for key in entry}
    subsets = tuple(subset for subset in SUBSETS if subset in keys)
    return tuple(_listed(path, name, entries[name], subsets) for name in sorted(entries))


def json_entries(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises SourceError for what is none or empty, and for a key written twice."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
    except KeyError as error:
        raise SourceError(f"{path}: key written twice: {error.args[0]}", "keep one") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # not JSON, or not UTF-8
        raise SourceError(f"{path}: not JSON, or damaged: {error}") from error
    if not isinstance(entries, dict) or not entries:
        raise SourceError(f"{path}: must be an object that names at least one picture: {shortened(entries)}")
    return entries


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Raises KeyError for a key that is in it twice: the first picture of that name would vanish."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise KeyError(key)
        found[key] = value
    return found


def _listed(path: Path, name: str, entry: Any, subsets: tuple[str, ...]) -> Picture:
    where = f"{path}: {name}"
    if not isinstance(entry, dict):
        raise SourceError(f"{where}: must be an object: {shortened(entry)}")
    missing = [key for key in ("file", "width", "height", "boxes", *subsets) if key not in entry]
    if missing:
        raise SourceError(f"{where}: key is missing: `{missing[0]}`")
    if not isinstance(entry["file"], str):
        raise SourceError(f"{where}: file: must be a path: {shortened(entry['file'])}")
    width, height = _sides(f"{where}: width and height", [entry["width"], entry["height"]])
    stored = _sides(f"{where}: file_size", entry.get("file_size", [width, height]))
    file = inside(path.parent, entry["file"], where)
    boxes = _boxes(where, entry["boxes"])
    kept = {subset: _indices(f"{where}: {subset}", entry[subset]) for subset in subsets}
    kept = kept or {"all": np.arange(len(boxes), dtype=np.int64)}
    picture = Picture(name, file, width, height, boxes, kept, stored)
    check_size(picture, size_of(file, where), where)
    return fitting(picture, where, first=0)


def _boxes(where: str, rows: Any) -> NDArray[np.float64]:
    if not isinstance(rows, list):
        raise SourceError(f"{where}: boxes: must be a list of [x, y, w, h]: {shortened(rows)}")
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != 4 or not all(_number(value) for value in row):
            raise SourceError(f"{where}: boxes[{i}]: must be [x, y, w, h]: {shortened(row)}")
    return np.array(rows, np.float64).reshape(-1, 4)


def _indices(where: str, values: Any) -> NDArray[np.int64]:
    if not isinstance(values, list) or not all(_integer(value) for value in values):
        raise SourceError(f"{where}: must be a list of indices into `boxes`: {shortened(values)}")
    twice = [value for value in values if values.count(value) > 1] if len(set(values)) != len(values) else []
    if twice:
        raise SourceError(f"{where}: names a face twice: {twice[0]}")
    return np.array([min(max(value, -1), np.iinfo(np.int64).max) for value in values], np.int64)


def _sides(where: str, values: Any) -> tuple[int, int]:
    pair = isinstance(values, list) and len(values) == 2
    if not pair or not all(_integer(value) and value > 0 for value in values):
        raise SourceError(f"{where}: must be two positive integers: {shortened(values)}")
    return values[0], values[1]


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _integer(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
