"""Agreement of a quantized network with the float one: AP with the float detections as ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bmzoo.measure.average_precision import area
from bmzoo.measure.matching import class_overlap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.predictions.detections import Detections

    Scored = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]


def agreement(
    reference: Sequence[Detections], test: Sequence[Detections], confidence: float, min_iou: float = 0.5
) -> float:
    """0..1: the test's detections against the reference's of at least `confidence`, ranked by score; 1 without any.

    Average precision with all-point interpolation (Pascal VOC 2010) over all pictures together. Fainter ones of
    the reference are neither wanted nor wrong. Objects of different classes do not answer each other. Both sides
    are detections after NMS, down to a low confidence.
    """
    pairs = zip(reference, test, strict=True)
    rows = [(a.scores, b.scores, class_overlap(a, b, min_iou)) for a, b in pairs]
    return ranked_agreement(rows, confidence, min_iou)


def ranked_agreement(pictures: Sequence[Scored], confidence: float, min_iou: float = 0.5) -> float:
    """The same for anything: scores of the reference [n], of the test [m] and overlaps [n,m], by picture."""
    scores: list[float] = []
    right: list[bool] = []
    wanted = 0
    for expected, found, overlap in pictures:
        sure = expected >= confidence
        wanted += int(sure.sum())
        taken: set[int] = set()
        for index in np.argsort(-found, kind="stable").tolist():
            best = int(overlap[:, index].argmax()) if len(overlap) else -1
            near = best >= 0 and bool(overlap[best, index] >= min_iou)
            if near and not sure[best]:
                continue
            scores.append(float(found[index]))
            right.append(near and best not in taken)
            taken.add(best)
    return _average_precision(np.array(scores), np.array(right, bool), wanted) if wanted else 1.0


def _average_precision(scores: NDArray[np.float64], right: NDArray[np.bool_], wanted: int) -> float:
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    precision = hits / np.arange(1, len(hits) + 1)
    return area(precision, hits / wanted)
