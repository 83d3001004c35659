"""Masks compared, cell by cell.

The class that most cells of the reference have is the background: where both sides say so, nothing is counted, or
a network that sees nothing but background would agree with most. A cell whose best class leads by less than the
margin is doubtful, and may be taken for its second best.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.comparisons.comparison import MatchRule, PredictionComparison, Tally
from bmzoo.measure.sureness import Means
from bmzoo.runtime.predictions.mask import Mask


def background(masks: Sequence[Mask]) -> int:
    """The class of most cells; of equal ones the lower."""
    labels, counts = np.unique(np.concatenate([mask.labels.reshape(-1) for mask in masks]), return_counts=True)
    return int(labels[counts.argmax()])


def _compare(wanted: Sequence[Mask], found: Sequence[Mask], rule: MatchRule) -> list[Tally]:
    ground = background(wanted)
    return [_tally(a, b, rule.margin, ground) for a, b in zip(wanted, found, strict=True)]


def _tally(wanted: Mask, found: Mask, margin: float, ground: int) -> Tally:
    differ = surely_differ(wanted, found, margin)
    expected = (wanted.lead >= margin) & (wanted.labels != ground)
    extra = (found.lead >= margin) & (found.labels != ground) & differ
    return Tally(int(expected.sum()), int((expected & differ).sum()), int(extra.sum()), _mean_iou(wanted, found))


def surely_differ(wanted: Mask, found: Mask, margin: float) -> NDArray[np.bool_]:
    """Where neither could be taken for the other, by cell [h,w]."""
    alike: NDArray[np.bool_] = _allows(wanted, found.labels, margin) | _allows(found, wanted.labels, margin)
    return ~alike


def _allows(mask: Mask, labels: NDArray[np.int16], margin: float) -> NDArray[np.bool_]:
    """Where a label is the best of `mask`, or the second best of a doubtful cell."""
    allowed: NDArray[np.bool_] = (mask.labels == labels) | ((mask.second == labels) & (mask.lead < margin))
    return allowed


def _mean_iou(wanted: Mask, found: Mask) -> float:
    """Over the classes that either has."""
    shares = []
    for label in np.union1d(wanted.labels, found.labels):
        ours, theirs = wanted.labels == label, found.labels == label
        shares.append((ours & theirs).sum() / (ours | theirs).sum())
    return float(np.mean(shares))


def _evidence(wanted: Sequence[Mask], found: Sequence[Mask], sure: float) -> Means:
    return Means(tuple(_mean_iou(a, b) for a, b in zip(wanted, found, strict=True)))


COMPARISON = PredictionComparison(lambda _: "pixels", _compare, _evidence, "mean_iou")
