"""Regions such as lines of text: precision and recall at an IoU of 0.5, as ICDAR 2015 takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bmzoo.errors import SourceError
from bmzoo.measure.metrics.metric import Judged, MetricRow
from bmzoo.measure.truths.outlines import Outlines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.measure.truths.sample import Sample
    from bmzoo.runtime.predictions.regions import Regions

    Polygon = NDArray[np.float64]

# From here on a region is found; a found one that lies in an unreadable one by as much does not count.
MIN_IOU = 0.5


class RegionsJudge:
    """Each region is found once: those of the ground truth choose in their order, and take the first that fits."""

    def __init__(self, samples: Sequence[Sample], blank: Regions) -> None:
        if not any(any(sample.answer.wanted) for sample in samples):
            where = f"{samples[0].path.parent}: no region in any of {len(samples)} pictures"
            raise SourceError(f"{where}, so there is nothing to find")
        self._right = self._found = self._wanted = 0

    def add(self, sample: Sample, found: Regions) -> None:
        """Count a picture's regions."""
        answer: Outlines = sample.answer
        quads = [np.asarray(quad, np.float64) for quad in found.quads]
        common = np.array([[common_area(one, quad) for quad in quads] for one in answer.polygons])
        common = common.reshape(len(answer.polygons), len(quads))
        ours, theirs = (np.array([polygon_area(one) for one in some]) for some in (answer.polygons, quads))
        counted = ~_unreadable(common, theirs, np.array(answer.wanted, np.bool_))
        self._right += _matches(common / (ours[:, None] + theirs[None] - common), answer.wanted, counted)
        self._found += int(counted.sum())
        self._wanted += sum(answer.wanted)

    def score(self) -> Judged:
        """Over all pictures together; precision is 0 where nothing is found."""
        precision, recall = self._right / max(self._found, 1), self._right / max(self._wanted, 1)
        hmean = 2 * precision * recall / (precision + recall) if self._right else 0.0
        figures = {"hmean": hmean, "precision": precision, "recall": recall}
        return Judged(figures, {"found": self._found, "regions": self._wanted})


def polygon_area(corners: Polygon) -> float:
    """The area of a polygon [k,2]."""
    x, y = corners[:, 0], corners[:, 1]
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def common_area(one: Polygon, convex: Polygon) -> float:
    """The area that a polygon has in common with a convex one, cut along each of its sides (Sutherland-Hodgman)."""
    turned = np.cross(convex[1] - convex[0], convex[2] - convex[1]) < 0
    corners = convex[::-1] if turned else convex
    left = one
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if len(left):
            left = _cut(left, start, end)
    return polygon_area(left) if len(left) > 2 else 0.0


def _cut(polygon: Polygon, start: Polygon, end: Polygon) -> Polygon:
    """What lies to one side of a line."""
    side = np.cross(end - start, polygon - start)
    kept = []
    for index in range(len(polygon)):
        after = (index + 1) % len(polygon)
        if side[index] >= 0:
            kept.append(polygon[index])
        if (side[index] >= 0) != (side[after] >= 0):
            share = side[index] / (side[index] - side[after])
            kept.append(polygon[index] + share * (polygon[after] - polygon[index]))
    return np.array(kept).reshape(-1, 2)


def _unreadable(
    common: NDArray[np.float64], areas: NDArray[np.float64], wanted: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which found regions [m] lie by more than half in one that is not wanted."""
    shares = common / np.maximum(areas, 1e-9)
    hidden: NDArray[np.bool_] = (shares[~wanted] > MIN_IOU).any(axis=0)
    return hidden


def _matches(iou: NDArray[np.float64], wanted: Sequence[bool], counted: NDArray[np.bool_]) -> int:
    taken = ~counted
    for row, is_wanted in zip(iou, wanted, strict=True):
        near = np.flatnonzero((row > MIN_IOU) & ~taken)
        if is_wanted and near.size:
            taken[near[0]] = True
    return int(taken.sum() - (~counted).sum())


METRIC = MetricRow(RegionsJudge, 0.5)
