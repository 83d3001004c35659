"""Average precision by WIDER FACE's own protocol, as its published evaluation tools apply it.

- Scores are stretched so that the lowest of the whole set is 0 and the highest 1.
- Best score first, each prediction goes to the face that it overlaps most, of all faces of the picture; the
  overlap counts pixels, inclusive: a side is w + 1. From an IoU of 0.5 on it is a hit.
- A hit on a face outside the subset takes the prediction out of the count. The first hit on a face of the
  subset finds it; later ones, and predictions without a hit, are false.
- A picture without any face adds nothing, whatever was found there.
- Precision and recall at 1000 thresholds; AP is the area under precision's envelope, over all points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

IOU = 0.5
COUNT = 1000
# 0.999 down to 0, in the arithmetic of the published tools: a score may lie exactly on one.
SCORE_THRESHOLDS = 1 - np.arange(1, COUNT + 1) / COUNT


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions in one picture, in any order: boxes [n,4] as x, y, w, h in pixels, scores [n]."""

    boxes: NDArray[np.floating[Any]]
    scores: NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Truth:
    """Faces of one picture [m,4] as x, y, w, h in pixels, and the indices of those that count, by subset."""

    boxes: NDArray[np.floating[Any]]
    kept: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall, float64 [1000], at falling thresholds; precision is 0 where nothing is predicted.

    `faces` is how many there are to find; recall is NaN, and so is `ap`, when there are none.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    faces: int

    @property
    def ap(self) -> float:
        return area(np.append(self.precision, 0), np.append(self.recall, 1))


def area(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    """The area under precision's envelope, the most that is reached at this recall or more: 0..1.

    Both [n], in the order of falling thresholds.
    """
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0) * envelope))


def curves(found: Sequence[Predictions], truths: Sequence[Truth]) -> dict[str, Curve]:
    """The curve of each subset that `truths` name; `found` and `truths` go picture by picture.

    Scores that are all equal count as 1, where the published tools divide by zero.
    """
    scores, target = _hits(found, truths)
    # How many thresholds a score does not reach: it counts from there on.
    start = COUNT - np.searchsorted(SCORE_THRESHOLDS[::-1], _stretched(scores), side="right")
    return {
        subset: _curve(start, target, _counted(truths, subset), sum(len(truth.kept[subset]) for truth in truths))
        for subset in (truths[0].kept if truths else ())
    }


def _hits(found: Sequence[Predictions], truths: Sequence[Truth]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of all predictions, best first within a picture: the score, and the face hit.

    Faces are numbered through the whole set; -1 stands for no face, -2 for a picture that has none to hit.
    """
    scores, targets, faces = [np.empty(0)], [np.empty(0, np.int64)], 0
    for one, truth in zip(found, truths, strict=True):
        score = np.asarray(one.scores, np.float64)
        order = np.argsort(-score, kind="stable")
        scores.append(score[order])
        targets.append(_nearest(np.asarray(one.boxes, np.float64)[order], truth.boxes, faces))
        faces += len(truth.boxes)
    return np.concatenate(scores), np.concatenate(targets)


def _nearest(boxes: NDArray[np.float64], faces: NDArray[np.floating[Any]], offset: int) -> NDArray[np.int64]:
    """For each box the face it overlaps most, the first of equals, counted from `offset`; or a negative code."""
    if not len(faces) or not len(boxes):
        return np.full(len(boxes), -2, np.int64)
    overlap = _iou(boxes, np.asarray(faces, np.float64))
    best = overlap.argmax(axis=1)
    hit = overlap[np.arange(len(boxes)), best] >= IOU
    return np.where(hit, best + offset, -1)


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of a [n,4] with b [m,4], both x, y, w, h with inclusive pixels: [n,m]."""
    common = np.ones((len(a), len(b)))
    for x, w in ((0, 2), (1, 3)):
        low = np.maximum(a[:, None, x], b[None, :, x])
        # The end is a coordinate, x + w, before it is compared: the rounding is then that of the tools.
        high = np.minimum((a[:, x] + a[:, w])[:, None], (b[:, x] + b[:, w])[None])
        common *= np.maximum(high - low + 1, 0)
    areas = [np.prod(box[:, :2] + box[:, 2:] - box[:, :2] + 1, axis=1) for box in (a, b)]
    overlap: NDArray[np.float64] = common / (areas[0][:, None] + areas[1][None] - common)
    return overlap


def _stretched(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = scores.min(initial=1), scores.max(initial=0)
    if not scores.size or low == high:
        return np.ones_like(scores)
    stretched: NDArray[np.float64] = (scores - low) / (high - low)
    return stretched


def _counted(truths: Sequence[Truth], subset: str) -> NDArray[np.bool_]:
    """Whether a face, numbered through the whole set, belongs to the subset."""
    masks = [np.zeros(len(truth.boxes), np.bool_) for truth in truths]
    for mask, truth in zip(masks, truths, strict=True):
        mask[truth.kept[subset]] = True
    return np.concatenate(masks)


def _curve(start: NDArray[np.int64], target: NDArray[np.int64], counted: NDArray[np.bool_], faces: int) -> Curve:
    hits = np.flatnonzero(target >= 0)
    of_subset = counted[target[hits]]
    proposals = target == -1
    proposals[hits] = of_subset
    hits = hits[of_subset]
    firsts = hits[np.unique(target[hits], return_index=True)[1]]
    proposed, right = (
        np.cumsum(np.bincount(at, minlength=COUNT))[:COUNT] for at in (start[proposals], start[firsts])
    )
    precision = np.divide(right, proposed, out=np.zeros(COUNT), where=proposed > 0)
    recall = right / faces if faces else np.full(COUNT, np.nan)
    return Curve(precision, recall, faces)
