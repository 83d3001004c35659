"""One-to-one matching of two sets of detections, or of anything with scores, by IoU."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.poses import are_poses, similarity
from bmzoo.runtime.predictions.detections import Detections


def iou_matrix(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intersection over union of every box of `a` [n,4] with every box of `b` [m,4], xyxy: [n,m] in 0..1.

    Sides are x2 - x1, without the extra pixel of NMS. 0 where both boxes are empty.
    """
    first, second = np.asarray(a, np.float64)[:, None], np.asarray(b, np.float64)[None]
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    inter = np.prod(np.maximum(high - low, 0), axis=2)
    union = _areas(first) + _areas(second) - inter
    iou: NDArray[np.float64] = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    return iou


@dataclass(frozen=True)
class Match:
    """Matched detections as pairs (reference index, test index), best IoU first.

    `missing` are indices of reference faces without a match, `extra` of test faces without one; `mean_iou` is
    over the pairs, 1 when there are none.
    """

    pairs: tuple[tuple[int, int], ...]
    missing: tuple[int, ...]
    extra: tuple[int, ...]
    mean_iou: float

    @property
    def agrees(self) -> bool:
        return not self.missing and not self.extra


def match_detections(
    reference: Detections, test: Detections, threshold: float, margin: float, min_iou: float
) -> Match:
    """Match one to one by IoU, greedily, best first; a pair needs an IoU of at least `min_iou`, poses an OKS too.

    A quantized model moves scores a little, so a face whose score lies within `margin` of `threshold` may
    appear or vanish: it may serve as a partner and is otherwise ignored. A face is certain from
    threshold + margin on; a certain reference face must have a partner in `test` with a score of at least
    threshold - margin, or it is missing; a certain test face without such a partner in `reference` is extra.
    Certain faces choose each other first, so that a doubtful one never takes a partner away from a pair of
    certain ones. Both sides must be decoded at a confidence of at most threshold - margin.
    """
    overlap = class_overlap(reference, test, min_iou)
    return match_scored(overlap, (reference.scores, test.scores), threshold, margin, min_iou)


def class_overlap(reference: Detections, test: Detections, min_oks: float) -> NDArray[np.float64]:
    """IoU of every reference box with every test box of its class, [n,m]; -1 for those of other classes.

    Where they are poses, also for those whose points are further away than an OKS of `min_oks`.
    """
    overlap = iou_matrix(reference.boxes, test.boxes)
    alike = reference.labels[:, None] == test.labels[None]
    if are_poses(reference, test):
        alike &= similarity(reference, test) >= min_oks
    return np.where(alike, overlap, -1)


def match_scored(
    overlap: NDArray[np.float64],
    scores: tuple[NDArray[np.float32], NDArray[np.float32]],
    threshold: float,
    margin: float,
    min_iou: float,
) -> Match:
    """The same for anything with scores, of the reference [n] and the test [m], and an overlap [n,m]."""
    low, high = threshold - margin, threshold + margin
    certain_ref, certain_test = (side >= high for side in scores)
    near = (overlap >= min_iou) & (overlap >= 0)
    allowed = (scores[0] >= low)[:, None] & (scores[1] >= low)[None] & near
    both = certain_ref[:, None] & certain_test[None]
    either = certain_ref[:, None] | certain_test[None]
    pairs = _pair_up(overlap, allowed & both, [])
    pairs = _pair_up(overlap, allowed & either, pairs)
    found_ref, found_test = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    return Match(
        tuple(pairs),
        tuple(int(i) for i in np.flatnonzero(certain_ref) if i not in found_ref),
        tuple(int(i) for i in np.flatnonzero(certain_test) if i not in found_test),
        float(np.mean([overlap[pair] for pair in pairs])) if pairs else 1.0,
    )


def _pair_up(
    overlap: NDArray[np.float64], allowed: NDArray[np.bool_], pairs: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """`pairs` and those that can be added to them, best overlap first; ties by lower indices."""
    rows, columns = np.nonzero(allowed)
    order = np.argsort(-overlap[rows, columns], kind="stable")
    taken_rows, taken_columns = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    result = list(pairs)
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in taken_rows and column not in taken_columns:
            taken_rows.add(row)
            taken_columns.add(column)
            result.append((row, column))
    return result


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=2)
    return areas
