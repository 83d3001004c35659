"""Ground truth of segmentation: pictures in `images`, and in `labels` a PNG of each with its pixels' classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from bmzoo.errors import SourceError
from bmzoo.measure.picture import size_of
from bmzoo.measure.truths.sample import Sample, once_each, pictures_below

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Grey and palette pictures: their values are classes. Palettes only colour them.
_MODES = ("L", "P", "I;16", "I;16B", "I", "1")


@dataclass(frozen=True)
class LabelMap:
    """A PNG of classes, width x height pixels."""

    path: Path
    width: int
    height: int

    def read(self) -> NDArray[np.int64]:
        """The class of each pixel, int64 [height,width]. Raises SourceError."""
        try:
            with Image.open(self.path) as file:
                return np.asarray(file, np.int64)
        except (OSError, ValueError, SyntaxError) as error:
            raise SourceError(f"{self.path}: cannot be decoded: {error}") from error


def load(folder: Path) -> tuple[Sample, ...]:
    """The pictures of `images`, by name, each with its label map of the same name and size.

    Raises SourceError for missing or foreign label maps, and for those of another size than the picture.
    """
    pictures, maps = pictures_below(folder / "images"), {p.stem: p for p in pictures_below(folder / "labels")}
    found = [Sample(path.name, path, _label_map(path, maps.pop(path.stem, None), folder)) for path in pictures]
    if maps:
        other = next(iter(maps.values()))
        raise SourceError(f"{other}: picture is missing: there is none of that name in {folder / 'images'}")
    return once_each(found, folder / "images")


def _label_map(picture: Path, path: Path | None, folder: Path) -> LabelMap:
    if path is None or path.suffix.lower() != ".png":
        raise SourceError(f"{picture}: label map is missing: {folder / 'labels' / picture.stem}.png")
    try:
        with Image.open(path) as file:
            mode, size = file.mode, file.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise SourceError(f"{path}: not a picture, or damaged: {error}") from error
    if mode not in _MODES:
        raise SourceError(f"{path}: must be grey or have a palette, its values are classes: {mode}")
    if (real := size_of(picture, str(path))) != size:
        raise SourceError(
            f"{path}: label map should be {real[0]}x{real[1]} as its picture, is: {size[0]}x{size[1]}"
        )
    return LabelMap(path, *size)
