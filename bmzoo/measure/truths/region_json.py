"""Ground truth of regions as a JSON file: {picture: [{"points": [[x, y], ...], "transcription": text}, ...]}."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bmzoo.errors import SourceError
from bmzoo.measure.listed import json_entries
from bmzoo.measure.picture import shortened
from bmzoo.measure.truths.outlines import Outlines, outlines, polygon
from bmzoo.measure.truths.sample import Sample, once_each, picture_file


def load(path: Path) -> tuple[Sample, ...]:
    """The pictures of the file, by name, which lie beside it or in `images`.

    A transcription of `###`, or `illegibility`, says that a region does not count.
    Raises SourceError for a damaged file, a missing picture and regions outside of their picture.
    """
    found = []
    for name, rows in sorted(json_entries(path).items()):
        picture = picture_file(path.parent, name, f"{path}: {name}")
        found.append(Sample(name, picture, _answer(rows, picture, f"{path}: {name}")))
    return once_each(found, path)


def _answer(rows: Any, picture: Path, where: str) -> Outlines:
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "points" in row for row in rows):
        raise SourceError(f"{where}: must be a list of objects with `points`: {shortened(rows)}")
    polygons = [polygon(row["points"], f"{where}[{index}]: points") for index, row in enumerate(rows)]
    texts = ["###" if row.get("illegibility") is True else str(row.get("transcription", "")) for row in rows]
    return outlines(polygons, texts, picture, where)
