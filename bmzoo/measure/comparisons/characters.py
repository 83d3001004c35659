"""Lines of text compared, character by character along the cheapest alignment (Levenshtein).

A character that leads the next best by less than the margin is doubtful: it is neither wanted nor wrong.
"""

from collections.abc import Sequence

import numpy as np

from bmzoo.measure.comparisons.comparison import MatchRule, PredictionComparison, Tally
from bmzoo.measure.sureness import Means
from bmzoo.runtime.predictions.text import Text

_Pair = tuple[int | None, int | None]


def aligned_text(a: Sequence[int], b: Sequence[int]) -> tuple[int, list[_Pair]]:
    """The edit distance of two sequences, and their positions side by side; None where one has nothing."""
    cost = np.zeros((len(a) + 1, len(b) + 1), np.int64)
    cost[:, 0], cost[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            same = cost[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            cost[i, j] = min(same, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    pairs: list[_Pair] = []
    i, j = len(a), len(b)
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (a[i - 1] != b[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return int(cost[-1, -1]), pairs[::-1]


def _compare(wanted: Sequence[Text], found: Sequence[Text], rule: MatchRule) -> list[Tally]:
    return [_tally(a, b, rule.margin) for a, b in zip(wanted, found, strict=True)]


def _tally(wanted: Text, found: Text, margin: float) -> Tally:
    distance, pairs = aligned_text(wanted.labels.tolist(), found.labels.tolist())
    ours, theirs = wanted.lead >= margin, found.lead >= margin
    missed = extra = 0
    for i, j in pairs:
        if i is not None and j is not None and (wanted.labels[i] == found.labels[j] or not (ours[i] and theirs[j])):
            continue  # the same, or one of the two is doubtful
        missed += int(i is not None and bool(ours[i]))
        extra += int(j is not None and bool(theirs[j]))
    return Tally(int(ours.sum()), missed, extra, _closeness(distance, wanted, found))


def _closeness(distance: int, wanted: Text, found: Text) -> float:
    return 1 - distance / max(len(wanted), len(found), 1)


def _evidence(wanted: Sequence[Text], found: Sequence[Text], sure: float) -> Means:
    return Means(tuple(_nearness(a, b) if len(a) else None for a, b in zip(wanted, found, strict=True)))


def _nearness(wanted: Text, found: Text) -> float:
    distance, _ = aligned_text(wanted.labels.tolist(), found.labels.tolist())
    return _closeness(distance, wanted, found)


COMPARISON = PredictionComparison(lambda _: "characters", _compare, _evidence)
