"""Ground truth in COCO's format: a JSON file of images, annotations and categories."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bmzoo.errors import SourceError
from bmzoo.measure.listed import json_entries
from bmzoo.measure.picture import check_boxes, shortened, size_of
from bmzoo.measure.truths.sample import Sample, once_each, picture_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LISTS = ("images", "annotations", "categories")


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of one picture: boxes float64 [n,4] as x, y, w, h, areas float64 [n]; pixels.

    classes int64 [n] number `categories`, the names in the order of their ids. `crowds` bool [n]: boxes of many,
    which are neither wanted nor wrong. `points` float64 [n,K,3]: x, y, and 0 where a point is not known, 1 where it
    is hidden, 2 where it is seen; K is 0 where nothing has points.
    """

    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    classes: NDArray[np.int64]
    crowds: NDArray[np.bool_]
    points: NDArray[np.float64]
    categories: tuple[str, ...]


def load(path: Path) -> tuple[Sample, ...]:
    """The images, in the order of their ids; the files lie beside the JSON file or in `images`.

    Raises SourceError for a file that is not in this format, ids that are there twice or not at all, missing
    pictures, those of another size, and boxes outside of theirs.
    """
    told = _document(path)
    categories = _by_id(told["categories"], f"{path}: categories")
    images = _by_id(told["images"], f"{path}: images")
    order = {number: index for index, number in enumerate(sorted(categories))}
    names = tuple(_text(categories[number], "name", f"{path}: categories: id {number}") for number in order)
    if twice := [name for name in names if names.count(name) > 1]:
        raise SourceError(f"{path}: categories: name is there twice: {twice[0]}")
    rows: dict[int, list[_Row]] = {number: [] for number in images}
    for number, entry in _by_id(told["annotations"], f"{path}: annotations").items():
        where = f"{path}: annotations: id {number}"
        rows[_known(entry, "image_id", images, where)].append(_row(entry, number, order, where))
    return once_each([_sample(path, images[number], rows[number], names) for number in sorted(images)], path)


@dataclass(frozen=True, eq=False)
class _Row:
    number: int
    box: list[float]
    area: float
    label: int
    crowd: bool
    points: list[float]


def _document(path: Path) -> dict[str, Any]:
    told = json_entries(path)
    for key in _LISTS:
        rows = told.get(key)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            said = shortened(rows) if key in told else "missing"
            raise SourceError(f"{path}: not in COCO's format: {key}: must be a list of objects: {said}")
        if not rows:
            raise SourceError(f"{path}: {key}: empty, so there is nothing to find")
    return told


def _by_id(rows: list[dict[str, Any]], where: str) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for index, row in enumerate(rows):
        number = row.get("id")
        if not isinstance(number, int) or isinstance(number, bool):
            raise SourceError(f"{where}[{index}]: id: must be a whole number: {shortened(number)}")
        if number in found:
            raise SourceError(f"{where}: id is there twice: {number}")
        found[number] = row
    return found


def _known(entry: dict[str, Any], key: str, ids: dict[int, Any], where: str) -> int:
    number = entry.get(key)
    if not isinstance(number, int) or number not in ids:
        raise SourceError(f"{where}: {key}: there is none of that id: {shortened(number)}")
    return number


def _row(entry: dict[str, Any], number: int, order: dict[int, int], where: str) -> _Row:
    label = order[_known(entry, "category_id", order, where)]
    box = _numbers(entry.get("bbox"), f"{where}: bbox")
    if len(box) != 4:
        raise SourceError(f"{where}: bbox: must be [x, y, w, h]: {shortened(box)}")
    (area,) = _numbers([entry.get("area", box[2] * box[3])], f"{where}: area")
    crowd = entry.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise SourceError(f"{where}: iscrowd: must be 0 or 1: {shortened(crowd)}")
    points = _numbers(entry.get("keypoints", []), f"{where}: keypoints")
    if len(points) % 3:
        raise SourceError(f"{where}: keypoints: must be x, y and 0, 1 or 2 for each: {shortened(points)}")
    return _Row(number, box, area, label, bool(crowd), points)


def _numbers(values: Any, where: str) -> list[float]:
    good = isinstance(values, list) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if not good or not np.isfinite(np.array(values, np.float64)).all():
        raise SourceError(f"{where}: must be numbers: {shortened(values)}")
    return [float(value) for value in values]


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise SourceError(f"{where}: {key}: must be a text: {shortened(value)}")
    return value


def _sample(path: Path, image: dict[str, Any], rows: list[_Row], names: tuple[str, ...]) -> Sample:
    where = f"{path}: images: id {image['id']}"
    name = _text(image, "file_name", where)
    file = picture_file(path.parent, name, where)
    size = size_of(file, where)
    told = (image.get("width", size[0]), image.get("height", size[1]))
    if told != size:
        hint = "sizes are those of the picture upright, as its EXIF orientation turns it"
        raise SourceError(f"{where}: picture should be {told[0]}x{told[1]}, is: {size[0]}x{size[1]}: {file}", hint)
    objects = _objects(rows, names, where)
    check_boxes(objects.boxes, size, where, [f"the box of annotation {row.number}" for row in rows])
    return Sample(name, file, objects)


def _objects(rows: list[_Row], names: tuple[str, ...], where: str) -> Objects:
    counts = {len(row.points) for row in rows if row.points} or {0}
    if len(counts) > 1:
        raise SourceError(f"{where}: keypoints: as many for each object: {', '.join(map(str, sorted(counts)))}")
    width = max(counts)
    points = [row.points or [0.0] * width for row in rows]
    return Objects(
        boxes=np.array([row.box for row in rows], np.float64).reshape(-1, 4),
        areas=np.array([row.area for row in rows], np.float64),
        classes=np.array([row.label for row in rows], np.int64),
        crowds=np.array([row.crowd for row in rows], np.bool_),
        points=np.array(points, np.float64).reshape(len(rows), width // 3, 3),
        categories=names,
    )
