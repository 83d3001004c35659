"""Agreement of a quantized network with the float one: AP with the float detections as ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bmzoo.measure.sureness import Ranked, RankedPicture

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    right: list[bool] = []
    sure = expected >= confidence
    taken: set[int] = set()
    for index in np.argsort(-found, kind="stable").tolist():
        best = int(overlap[:, index].argmax()) if len(overlap) else -1
        near = best >= 0 and bool(overlap[best, index] >= min_iou)
        if near and not sure[best]:
            continue
        scores.append(float(found[index]))
        right.append(near and best not in taken)
        taken.add(best)
    return RankedPicture(tuple(scores), tuple(right), int(sure.sum()))
