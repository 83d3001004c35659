"""Ground truth of regions as ICDAR has it: a text file for each picture, `x1,y1,x2,y2,x3,y3,x4,y4,text` a line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bmzoo.errors import SourceError
from bmzoo.measure.truths.outlines import outlines, polygon
from bmzoo.measure.truths.sample import Sample, listed_lines, once_each, pictures_below

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CORNERS = 4


def load(folder: Path) -> tuple[Sample, ...]:
    """The pictures of the folder and of its `images`, by name, each with `gt_NAME.txt` or `NAME.txt`.

    The text files lie beside them or in `labels`. A text of `###` says that a region does not count.
    Raises SourceError for missing or damaged files and for regions outside of their picture.
    """
    pictures = pictures_below(folder) + (pictures_below(folder / "images") if (folder / "images").is_dir() else [])
    files = {p.stem.removeprefix("gt_"): p for place in (folder, folder / "labels") for p in place.glob("*.txt")}
    found = []
    for picture in sorted(pictures, key=lambda path: path.name):
        if picture.stem not in files:
            raise SourceError(f"{picture}: ground truth is missing: gt_{picture.stem}.txt or {picture.stem}.txt")
        path = files[picture.stem]
        rows = [_row(where, line) for where, line in listed_lines(path)]
        answer = outlines([corners for corners, _ in rows], [text for _, text in rows], picture, str(path))
        found.append(Sample(picture.name, picture, answer))
    if missing := files.keys() - {picture.stem for picture in pictures}:
        raise SourceError(f"{files[min(missing)]}: picture is missing: {min(missing)}")
    return once_each(found, folder)


def _row(where: str, line: str) -> tuple[NDArray[np.float64], str]:
    cells = line.split(",", 2 * _CORNERS)
    try:
        numbers = [float(cell) for cell in cells[: 2 * _CORNERS]]
    except ValueError:
        numbers = []
    if len(numbers) != 2 * _CORNERS:
        raise SourceError(f"{where}: must be four points and a text, x1,y1,x2,y2,x3,y3,x4,y4,text: {line.strip()}")
    points = [numbers[i : i + 2] for i in range(0, 2 * _CORNERS, 2)]
    return polygon(points, where), cells[2 * _CORNERS].strip() if len(cells) > 2 * _CORNERS else ""
