"""Classes of whole pictures compared: the best one must be the same.

A class within the margin of the best may be taken for it, so a picture is certain where only one is.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.comparisons.comparison import MatchRule, PredictionComparison, Tally
from bmzoo.measure.sureness import Means
from bmzoo.runtime.predictions.classes import Classes


def _compare(wanted: Sequence[Classes], found: Sequence[Classes], rule: MatchRule) -> list[Tally]:
    return [_tally(a, b, rule) for a, b in zip(wanted, found, strict=True)]


def _tally(wanted: Classes, found: Classes, rule: MatchRule) -> Tally:
    expected, given = _possible(wanted, rule.margin), _possible(found, rule.margin)
    differ = not expected & given
    return Tally(
        int(len(expected) == 1),
        int(len(expected) == 1 and differ),
        int(len(given) == 1 and differ),
        1 - float(np.abs(_by_label(wanted) - _by_label(found)).max(initial=0)),
    )


def _possible(one: Classes, margin: float) -> set[int]:
    """Classes that a little noise might put first."""
    return set(one.labels[one.scores >= one.scores[0] - margin].tolist())


def _by_label(one: Classes) -> NDArray[np.float32]:
    return one.scores[np.argsort(one.labels)]


def _evidence(wanted: Sequence[Classes], found: Sequence[Classes], sure: float) -> Means:
    pairs = zip(wanted, found, strict=True)
    return Means(tuple(float(a.labels[0] == b.labels[0]) if a.scores[0] >= sure else None for a, b in pairs))


COMPARISON = PredictionComparison(lambda _: "pictures", _compare, _evidence)
