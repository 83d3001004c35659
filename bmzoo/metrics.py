"""How near a test result is to its reference: tensors by numbers, detections by matching."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bmzoo.errors import VerifyFailed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from bmzoo.runtime.decode import Detections


def cosine(a: ArrayLike, b: ArrayLike) -> float:
    """Cosine of the angle between two tensors of one shape, -1..1.

    1 for two tensors of zeros, 0 when only one is; NaN when a value is not finite. Raises VerifyFailed when
    the shapes differ.
    """
    x, y = _flat_pair(a, b)
    norms = float(np.linalg.norm(x)) * float(np.linalg.norm(y))
    if norms == 0:
        return 1.0 if np.array_equal(x, y) else 0.0
    with np.errstate(invalid="ignore"):
        return float(np.clip(np.dot(x, y) / norms, -1, 1))


def sqnr_db(reference: ArrayLike, test: ArrayLike) -> float:
    """Signal to quantization noise, dB: 10 log10(sum ref^2 / sum (ref - test)^2); inf when equal.

    -inf for noise on a reference of zeros, NaN when a value is not finite. Unlike TPU-MLIR's own figure it
    does not take the means off, so a constant offset counts as noise. Raises VerifyFailed like `cosine`.
    """
    x, y = _flat_pair(reference, test)
    with np.errstate(invalid="ignore"):
        signal, noise = float(np.sum(x * x)), float(np.sum((x - y) ** 2))
    if not math.isfinite(signal + noise):
        return math.nan
    if noise == 0:
        return math.inf
    return 10 * (math.log10(signal) - math.log10(noise)) if signal else -math.inf


def max_error(a: ArrayLike, b: ArrayLike) -> float:
    """Largest absolute difference, 0 for empty tensors, NaN when a value is not finite."""
    x, y = _flat_pair(a, b)
    with np.errstate(invalid="ignore"):
        return float(np.max(np.abs(x - y))) if x.size else 0.0


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
    """Which detections of two results are the same: pairs (reference index, test index), best IoU first.

    `missing` are indices of reference faces not found, `extra` of test faces that should not be there;
    `mean_iou` is over the pairs, 1 when there are none.
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
    """Match one to one by IoU, greedily, best first; a pair needs an IoU of at least `min_iou`.

    A quantized model moves scores a little, so a face whose score lies within `margin` of `threshold` may
    appear or vanish: it may serve as a partner and is otherwise ignored. A face is certain from
    threshold + margin on; a certain reference face must have a partner in `test` with a score of at least
    threshold - margin, or it is missing; a certain test face without such a partner in `reference` is extra.
    Certain faces choose each other first, so that a doubtful one never takes a partner away from a pair of
    certain ones. Both sides must be decoded at a confidence of at most threshold - margin.
    """
    low, high = threshold - margin, threshold + margin
    certain_ref, certain_test = reference.scores >= high, test.scores >= high
    overlap = iou_matrix(reference.boxes, test.boxes)
    allowed = (reference.scores >= low)[:, None] & (test.scores >= low)[None] & (overlap >= min_iou)
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


def _flat_pair(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if x.shape != y.shape:
        raise VerifyFailed(f"tensors differ in shape: {list(x.shape)} and {list(y.shape)}")
    return x.ravel(), y.ravel()
