"""Outlines of regions as ground truth has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bmzoo.errors import SourceError
from bmzoo.measure.picture import shortened, size_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# What cannot be read: neither wanted nor wrong.
UNREADABLE = ("###", "*")


@dataclass(frozen=True, eq=False)
class Outlines:
    """The regions of one picture: polygons float64 [k,2], xy in its pixels, and which of them are wanted."""

    polygons: tuple[NDArray[np.float64], ...]
    wanted: tuple[bool, ...]


def polygon(points: Any, where: str) -> NDArray[np.float64]:
    """A polygon [k,2] of three points or more. Raises SourceError."""
    try:
        corners = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        corners = np.empty(0)
    if corners.ndim != 2 or corners.shape[1:] != (2,) or len(corners) < 3 or not np.isfinite(corners).all():
        raise SourceError(f"{where}: must be the points of a polygon, [[x, y], ...]: {shortened(points)}")
    return corners


def outlines(polygons: Sequence[NDArray[np.float64]], texts: Sequence[str], path: Path, where: str) -> Outlines:
    """The regions of a picture. Raises SourceError for one whose middle lies outside of it."""
    width, height = size_of(path, where)
    for index, corners in enumerate(polygons):
        middle = corners.mean(axis=0)
        if not ((middle >= 0) & (middle <= (width, height))).all():
            hint = "these are not the pictures that the ground truth was made for"
            raise SourceError(f"{where}: region {index} does not lie in the picture of {width}x{height}", hint)
    return Outlines(tuple(polygons), tuple(text not in UNREADABLE for text in texts))
