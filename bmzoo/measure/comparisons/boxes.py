"""Detections compared: one-to-one by IoU, and only within a class."""

from collections.abc import Sequence

from bmzoo.measure.agreement import AGREEING_IOU, Scored, kept_evidence, ranked_evidence
from bmzoo.measure.comparisons.comparison import MatchRule, PredictionComparison, Tally
from bmzoo.measure.matching import class_overlap, match_detections
from bmzoo.measure.nouns import FACES
from bmzoo.measure.sureness import Kept, Ranked
from bmzoo.runtime.predictions.detections import Detections


def _compare(wanted: Sequence[Detections], found: Sequence[Detections], rule: MatchRule) -> list[Tally]:
    return [_tally(a, b, rule) for a, b in zip(wanted, found, strict=True)]


def _tally(wanted: Detections, found: Detections, rule: MatchRule) -> Tally:
    match = match_detections(wanted, found, rule.confidence, rule.margin, rule.iou)
    expected = int((wanted.scores >= rule.confidence + rule.margin).sum())
    return Tally(expected, len(match.missing), len(match.extra), match.mean_iou)


def _evidence(wanted: Sequence[Detections], found: Sequence[Detections], sure: float) -> Ranked:
    """Objects of different classes do not answer each other."""
    return ranked_evidence(_scored(wanted, found), sure)


def _kept(wanted: Sequence[Detections], found: Sequence[Detections]) -> Kept:
    return kept_evidence(_scored(wanted, found))


def _scored(wanted: Sequence[Detections], found: Sequence[Detections]) -> list[Scored]:
    return [(a.scores, b.scores, class_overlap(a, b, AGREEING_IOU)) for a, b in zip(wanted, found, strict=True)]


def _what(one: Detections) -> str:
    return FACES if one.names is None else "objects"


COMPARISON = PredictionComparison(_what, _compare, _evidence, "mean_iou", _kept)
