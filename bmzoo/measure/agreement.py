"""Agreement of a quantized network with the float one: AP with the float detections as ground truth.

And what it keeps of the float one's own AP, as far as that can be told without ground truth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.sureness import Kept, Ranked, RankedPicture

Scored = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]


# How near a thing has to be to answer another: as IoU, and of poses also as OKS.
AGREEING_IOU = 0.5


def ranked_evidence(pictures: Sequence[Scored], confidence: float, min_iou: float = AGREEING_IOU) -> Ranked:
    """The test's things against the reference's of at least `confidence`, ranked by score: what AP is made of.

    pictures: scores of the reference [n], of the test [m] and overlaps [n,m] in 0..1, or -1 for what cannot answer.
    Fainter ones of the reference are neither wanted nor wrong. Both sides are taken after NMS, down to a low
    confidence.
    """
    return Ranked(tuple(_picture(*one, confidence, min_iou) for one in pictures))


def _picture(
    expected: NDArray[np.float32],
    found: NDArray[np.float32],
    overlap: NDArray[np.float64],
    confidence: float,
    min_iou: float,
) -> RankedPicture:
    scores: list[float] = []
    right: list[float] = []
    sure = expected >= confidence
    taken: set[int] = set()
    for index in np.argsort(-found, kind="stable").tolist():
        best = int(overlap[:, index].argmax()) if len(overlap) else -1
        near = best >= 0 and bool(overlap[best, index] >= min_iou)
        if near and not sure[best]:
            continue
        scores.append(float(found[index]))
        right.append(float(near and best not in taken))
        taken.add(best)
    return RankedPicture(tuple(scores), tuple(right), int(sure.sum()))


def kept_evidence(pictures: Sequence[Scored], min_iou: float = AGREEING_IOU) -> Kept:
    """What is kept of the reference's AP where nobody knows the truth; pictures: as for `ranked_evidence`.

    Each thing of the reference is taken to be there as often as its score says, so that a faint one counts little,
    and what the reference misses is missed by both. A thing of the test is right as often as that which it answers,
    and never where it answers none, or one that is answered already: what the reference does not see is not there.
    """
    return Kept(
        Ranked(tuple(_expected(scores) for scores, _, _ in pictures)),
        Ranked(tuple(_answered(*one, min_iou) for one in pictures)),
    )


def _expected(scores: NDArray[np.float32]) -> RankedPicture:
    values = tuple(scores.tolist())
    return RankedPicture(values, values, sum(values))


def _answered(
    expected: NDArray[np.float32], found: NDArray[np.float32], overlap: NDArray[np.float64], min_iou: float
) -> RankedPicture:
    order = np.argsort(-found, kind="stable").tolist()
    right: list[float] = []
    taken: set[int] = set()
    for index in order:
        best = int(overlap[:, index].argmax()) if len(overlap) else -1
        hit = best >= 0 and bool(overlap[best, index] >= min_iou) and best not in taken
        right.append(float(expected[best]) if hit else 0.0)
        taken.update((best,) if hit else ())
    return RankedPicture(tuple(found[order].tolist()), tuple(right), float(expected.sum()))
