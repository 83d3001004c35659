"""Slanted rectangles compared: one-to-one by the IoU of their areas."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.agreement import Scored, kept_evidence, ranked_evidence
from bmzoo.measure.comparisons.comparison import MatchRule, PredictionComparison, Tally
from bmzoo.measure.matching import match_scored
from bmzoo.measure.sureness import Kept, Ranked
from bmzoo.runtime.predictions.regions import Regions


def quad_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intersection over union of every convex quad of `a` [n,4,2] with every one of `b` [m,4,2]: [n,m] in 0..1."""
    overlap = np.zeros((len(a), len(b)))
    hulls = [[cv2.convexHull(quad.astype(np.float32)) for quad in side] for side in (a, b)]
    areas = [[cv2.contourArea(hull) for hull in side] for side in hulls]
    for i, one in enumerate(hulls[0]):
        for j, other in enumerate(hulls[1]):
            common = cv2.intersectConvexConvex(one, other)[0]
            union = areas[0][i] + areas[1][j] - common
            overlap[i, j] = common / union if union > 0 else 0
    return overlap


def _compare(wanted: Sequence[Regions], found: Sequence[Regions], rule: MatchRule) -> list[Tally]:
    return [_tally(a, b, rule) for a, b in zip(wanted, found, strict=True)]


def _tally(wanted: Regions, found: Regions, rule: MatchRule) -> Tally:
    overlap = quad_iou(wanted.quads, found.quads)
    match = match_scored(overlap, (wanted.scores, found.scores), rule.confidence, rule.margin, rule.iou)
    expected = int((wanted.scores >= rule.confidence + rule.margin).sum())
    return Tally(expected, len(match.missing), len(match.extra), match.mean_iou)


def _evidence(wanted: Sequence[Regions], found: Sequence[Regions], sure: float) -> Ranked:
    return ranked_evidence(_scored(wanted, found), sure)


def _kept(wanted: Sequence[Regions], found: Sequence[Regions]) -> Kept:
    return kept_evidence(_scored(wanted, found))


def _scored(wanted: Sequence[Regions], found: Sequence[Regions]) -> list[Scored]:
    return [(a.scores, b.scores, quad_iou(a.quads, b.quads)) for a, b in zip(wanted, found, strict=True)]


COMPARISON = PredictionComparison(lambda _: "regions", _compare, _evidence, "mean_iou", _kept)
