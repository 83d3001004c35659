"""The table of data sets: pictures with what is known of them. To add one: a module with a `load`, and a row here.

Plain data, so that what to read can be planned where nothing is read; `load` imports the module.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from bmzoo.errors import ConfigError
from bmzoo.measure.metrics.registry import FACES_AP

if TYPE_CHECKING:
    from bmzoo.measure.picture import Picture


@dataclass(frozen=True)
class DataSet:
    """A layout of ground truth: the module whose `load` reads it, and how it is known.

    `suffix`: of the file that a config names, with the pictures beside it or below. Without one a config names the
    folder of everything, in which there is a `mark`. `lists`: keys of a JSON file that hold lists, if it is this.
    `judges`: the row of PREDICTIONS that it is for; `metric`: the row of METRICS that comes of it.
    """

    module: str
    suffix: str = ""
    mark: str = ""
    lists: tuple[str, ...] = ()
    judges: str = "detections"
    metric: str = FACES_AP


_HERE = "bmzoo.measure.truths"

# A folder without any mark is taken for the first that is one: its module says what is missing.
DATA_SETS: dict[str, DataSet] = {
    "coco": DataSet(f"{_HERE}.coco", suffix=".json", lists=("images", "annotations", "categories"), metric="COCO"),
    "listed": DataSet("bmzoo.measure.listed", suffix=".json"),
    "wider": DataSet("bmzoo.measure.wider", mark="WIDER_val"),
    "class_list": DataSet(f"{_HERE}.class_list", suffix=".txt", judges="classes", metric="classification"),
    "class_folders": DataSet(f"{_HERE}.class_folders", judges="classes", metric="classification"),
    "label_maps": DataSet(f"{_HERE}.label_maps", judges="mask", metric="segmentation"),
    "text_lines": DataSet(f"{_HERE}.text_lines", suffix=".txt", judges="text", metric="text"),
    "region_json": DataSet(f"{_HERE}.region_json", suffix=".json", judges="regions", metric="regions"),
    "region_files": DataSet(f"{_HERE}.region_files", judges="regions", metric="regions"),
}


def load(path: Path) -> tuple[Picture, ...]:
    """The pictures of a ground truth of faces, in its order.

    Raises SourceError for damaged files, missing pictures, and ground truth that does not fit the pictures, has no
    face, or one picture twice; ConfigError for ground truth of something else.
    """
    row = data_set(path, "detections")
    if row.metric != FACES_AP:
        raise ConfigError(f"{path}: must list faces, and holds annotations for {row.metric}")
    found: tuple[Picture, ...] = tuple(known_pictures(path, row))
    return found


def known_pictures(path: Path, row: DataSet) -> Sequence[Any]:
    """The pictures of a ground truth of that layout, in its order. Raises SourceError."""
    found: Sequence[Any] = import_module(row.module).load(path)
    if row.metric == FACES_AP:
        import_module("bmzoo.measure.picture").comparable(found, str(path))
    return found


def data_set(path: Path, judges: str) -> DataSet:
    """The layout of a ground truth for a kind of prediction. Raises ConfigError where there is none for it."""
    rows = [row for row in DATA_SETS.values() if row.judges == judges]
    if not rows:
        raise ConfigError(
            f"evaluate: there is no metric for a decoder that gives {judges}",
            "leave `evaluate` out, or name the decoder that reads the outputs: see `decoder` in docs/config.md",
        )
    files = [row for row in rows if row.suffix and row.suffix == path.suffix]
    listing = [row for row in files if row.lists and _holds_lists(path, row.lists)]
    plain = [row for row in files if not row.lists]
    folders = [row for row in rows if not row.suffix]
    marked = [row for row in folders if row.mark and (path / row.mark).exists()]
    found = listing or plain or files or marked or folders
    if not found:
        allowed = ", ".join(sorted({row.suffix for row in rows}))
        raise ConfigError(f"evaluate: truth: for {judges} it is a file of {allowed}, and not: {path.name}")
    return found[0]


def tree(truth: str) -> tuple[str, str]:
    """A config's path of ground truth as the folder of all its files, and the path in it: "" for the folder."""
    path = PurePosixPath(truth)
    if any(row.suffix and row.suffix == path.suffix for row in DATA_SETS.values()):
        return str(path.parent), path.name
    return str(path), ""


def _holds_lists(path: Path, keys: Sequence[str]) -> bool:
    """Whether a JSON file has a list under one of the keys; what is damaged is told by the module that reads it."""
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(told, dict) and any(isinstance(told.get(key), list) for key in keys)
