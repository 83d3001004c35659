"""YOLO v8, v11 and their like: no objectness; sides as distances, each the mean of a distribution (GFL)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Tuple

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.decoders.grids import (
    Grid,
    as_probabilities,
    best_class,
    by_widths,
    cell_count,
    check_classes,
    corners,
    grids,
    objects,
)
from bmzoo.runtime.decoders.heads import Candidates, DecoderRow, Heads, finite, shapes
from bmzoo.runtime.decoders.yolov5 import YOLO_INPUT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.decoders.spec import DecoderSpec

    Array = NDArray[np.float32]

# Bins of the distribution of a side, and the numbers of a box in raw maps (Li et al., Generalized Focal Loss).
BINS = 16
RAW_BOX = 4 * BINS


def candidates(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Candidates]:
    """[B,4+C,A] (or [B,4,A] and [B,C,A]) decoded, or for each stride raw maps [B,64+C,H,W], or of 64 and C."""
    boxes, scores, _ = decoded("yolov8", heads, spec, input_hw)
    check_classes(spec, scores.shape[2])
    return [_slot(*slot, spec, confidence) for slot in zip(boxes, scores)]  # noqa: B905  # Python 3.8


def _slot(boxes: Array, scores: Array, spec: DecoderSpec, confidence: float) -> Candidates:
    labels, best = best_class(scores)
    at = np.flatnonzero(best >= confidence)
    return objects(corners(boxes[at, :2], boxes[at, 2:]), best[at], labels[at], spec)


def decoded(
    kind: str, heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], more: int = 0
) -> Tuple[Array, Array, Array]:
    """Boxes [B,A,4] (centre, size in network pixels), scores [B,A,C], and `more` further numbers [B,A,more] raw.

    `more` 0: none; all after the boxes are classes. Otherwise there is one class, and what follows it.
    """
    count = cell_count(spec.strides, input_hw)
    whole = [
        _rows_first(finite(kind, name, head), count)
        for name, head in heads.items()
        if head.ndim == 3 and count in head.shape[1:]
    ]
    if whole and len(whole) == len(heads):
        rows = np.concatenate(sorted(whole, key=lambda one: one.shape[2] != 4), axis=2)
        _check(kind, heads, rows.shape[2] - 4, more)
        end = 5 if more else rows.shape[2]
        return rows[..., :4], as_probabilities(rows[..., 4:end]), rows[..., end:]
    found = grids(kind, heads, spec.strides, input_hw)
    raw = [_raw(kind, grid, more) for grid in found]
    _check(kind, heads, raw[0].shape[2] - RAW_BOX, more)
    end = RAW_BOX + 1 if more else raw[0].shape[2]
    boxes = np.concatenate(
        [_boxes(one[..., :RAW_BOX], grid) for one, grid in zip(raw, found)],  # noqa: B905
        axis=1,
    )
    rest = np.concatenate([one[..., RAW_BOX:] for one in raw], axis=1)
    return boxes, as_probabilities(rest[..., : end - RAW_BOX]), rest[..., end - RAW_BOX :]


def _raw(kind: str, grid: Grid, more: int) -> Array:
    """All numbers of a stride: box, classes, and the rest."""
    if len(grid.heads) == 1:
        return grid.heads[0]
    widths = (RAW_BOX, 1, more) if more else (RAW_BOX,)
    known, others = by_widths(kind, grid, widths)
    return np.concatenate([*known, *others], axis=2)


def _check(kind: str, heads: Heads, left: int, more: int) -> None:
    if left < 1 or (more and left != 1 + more):
        raise SessionError(
            f"{kind}: boxes leave {left} numbers a cell for all else: {shapes(heads)}",
            "is this the model that the decoder was written for?",
        )


def _rows_first(head: Array, count: int) -> Array:
    """[B,A,width], whichever way around it is exported."""
    return head if head.shape[1] == count else head.transpose(0, 2, 1)


def _boxes(raw: Array, grid: Grid) -> Array:
    """[B,cells,64] -> [B,cells,4]: centre and size in network pixels."""
    bins = raw.reshape(*raw.shape[:2], 4, BINS)
    weights = np.exp(bins - bins.max(axis=-1, keepdims=True))
    distances = (weights * np.arange(BINS, dtype=np.float32)).sum(axis=-1) / weights.sum(axis=-1)
    middle = grid.cells() + np.float32(0.5)
    first, last = middle - distances[..., :2], middle + distances[..., 2:]
    boxes: Array = np.concatenate([(first + last) / 2, last - first], axis=-1) * np.float32(grid.stride)
    return boxes


def parts(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, Array]:
    """Classes, and boxes in network pixels."""
    boxes, scores, _ = decoded("yolov8", heads, spec, input_hw)
    return {"scores": scores[0], "boxes": boxes[0]}


DECODER = DecoderRow(candidates, parts, YOLO_INPUT, plus_one=False)
