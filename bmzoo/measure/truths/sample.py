"""A picture of a ground truth, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmzoo.errors import SourceError
from bmzoo.measure.picture import inside
from bmzoo.runtime.listing import is_picture
from bmzoo.runtime.preprocess import read_image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture in a file, and the right answer, as the metric of its data set takes it."""

    name: str
    path: Path
    answer: Any

    def read(self) -> NDArray[np.uint8]:
        """The picture as uint8 [height,width,3] BGR. Raises SourceError."""
        return read_image(self.path)


def picture_file(folder: Path, name: str, where: str, below: Sequence[str] = (".", "images")) -> Path:
    """The file of a picture that a ground truth names, in its folder or in `images`. Raises SourceError."""
    inside(folder, name, where)
    places = [inside(folder / place, name, where) for place in below]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise SourceError(f"{where}: picture is missing: {places[0]}", "or take its entry out of the ground truth")
    return found


def pictures_below(folder: Path) -> list[Path]:
    """The pictures that lie in a folder, by name. Raises SourceError where there is no such folder."""
    try:
        found = sorted(path for path in folder.iterdir() if is_picture(path.name))
    except OSError as error:
        raise SourceError(f"{folder}: cannot be read: {error.strerror or error}") from error
    return found


def once_each(samples: Sequence[Sample], where: Path) -> tuple[Sample, ...]:
    """The samples. Raises SourceError where there is none, or a picture is there twice."""
    if not samples:
        raise SourceError(f"{where}: names no picture, so there is nothing to judge by")
    seen: set[Path] = set()
    for sample in samples:
        if sample.path in seen:
            raise SourceError(f"{where}: there twice: {sample.name}", "keep one")
        seen.add(sample.path)
    return tuple(samples)


def listed_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line of a list that says something, and where it stands; of UTF-8, with a mark or without, and any end.

    Raises SourceError for a file that cannot be read or is no text.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not text in UTF-8: {error.reason} at byte {error.start}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{path}:{number}", line.removesuffix("\r")
