"""PointSet compared: each must lie near its own, measured by the size of what they mark.

Closeness falls from 1 to 0 over a tenth of the diagonal of the reference's points, so that an `iou` of 0.5 stands
for a twentieth of it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.comparisons.comparison import MatchRule, PredictionComparison, Tally
from bmzoo.measure.sureness import Means
from bmzoo.runtime.predictions.points import PointSet

FARTHEST = 0.1


def point_closeness(wanted: PointSet, found: PointSet) -> NDArray[np.float64]:
    """Of each point, 0..1: float64 [K]."""
    diagonal = float(np.hypot(*np.ptp(wanted.points, axis=0))) if len(wanted) else 0.0
    away = np.linalg.norm(np.asarray(wanted.points, np.float64) - found.points, axis=1)
    closeness: NDArray[np.float64] = np.clip(1 - away / max(FARTHEST * diagonal, 1e-9), 0, 1)
    return closeness


def _compare(wanted: Sequence[PointSet], found: Sequence[PointSet], rule: MatchRule) -> list[Tally]:
    return [_tally(point_closeness(a, b), rule.iou) for a, b in zip(wanted, found, strict=True)]


def _tally(closeness: NDArray[np.float64], near: float) -> Tally:
    return Tally(
        len(closeness), int((closeness < near).sum()), 0, float(closeness.mean()) if len(closeness) else 1.0
    )


def _evidence(wanted: Sequence[PointSet], found: Sequence[PointSet], sure: float) -> Means:
    return Means(tuple(float(point_closeness(a, b).mean()) for a, b in zip(wanted, found, strict=True)))


COMPARISON = PredictionComparison(lambda _: "points", _compare, _evidence)
