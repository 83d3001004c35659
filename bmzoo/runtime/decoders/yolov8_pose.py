"""Poses of YOLO v8 and v11: one class, and keypoints with a score each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Tuple

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.decoders.grids import as_probabilities, cell_count, check_classes, corners
from bmzoo.runtime.decoders.heads import Candidates, DecoderRow, Heads, shapes
from bmzoo.runtime.decoders.yolov5 import YOLO_INPUT
from bmzoo.runtime.decoders.yolov8 import RAW_BOX, decoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.decoders.spec import DecoderSpec

    Array = NDArray[np.float32]


def candidates(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Candidates]:
    """[B,5+3K,A] decoded, or for each stride raw maps [B,64+1+3K,H,W], or of 64, 1 and 3K."""
    boxes, scores, points = _poses(heads, spec, input_hw)
    check_classes(spec, 1)
    return [_slot(*slot, spec, confidence) for slot in zip(boxes, scores, points)]  # noqa: B905  # Python 3.8


def _slot(boxes: Array, scores: Array, points: Array, spec: DecoderSpec, confidence: float) -> Candidates:
    at = np.flatnonzero(scores[:, 0] >= confidence)
    shown = points[at]
    labels = np.zeros(len(at), np.int64)
    box = corners(boxes[at, :2], boxes[at, 2:])
    return Candidates(box, scores[at, 0], lambda kept: shown[kept, :, :2], labels, spec.classes, shown[..., 2])


def _poses(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Tuple[Array, Array, Array]:
    """Boxes [B,A,4], scores [B,A,1], points [B,A,K,3] as x, y in network pixels and score."""
    more, raw = _numbers_of_points(heads, spec, input_hw)
    boxes, scores, points = decoded("yolov8_pose", heads, spec, input_hw, more)
    points = points.reshape(*points.shape[:2], more // 3, 3)
    if raw:
        points = np.concatenate([_placed(points[..., :2], spec, input_hw), points[..., 2:]], axis=-1)
    return boxes, scores, np.concatenate([points[..., :2], as_probabilities(points[..., 2:])], axis=-1)


def _placed(points: Array, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Array:
    """Raw points -> network pixels: (2 * x + cell) * stride."""
    cells, strides = [], []
    for stride in spec.strides:
        y, x = np.mgrid[: -(-input_hw[0] // stride), : -(-input_hw[1] // stride)].astype(np.float32)
        cells.append(np.stack([x, y], axis=-1).reshape(-1, 1, 2))
        strides.append(np.full((x.size, 1, 1), stride, np.float32))
    placed: Array = (points * 2 + np.concatenate(cells)) * np.concatenate(strides)
    return placed


def _numbers_of_points(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Tuple[int, bool]:
    """3K, by the widths of the outputs, and whether they are raw maps. Raises SessionError."""
    count = cell_count(spec.strides, input_hw)
    widths = [sum(head.shape[1:]) - count for head in heads.values() if head.ndim == 3 and count in head.shape[1:]]
    raw = not widths
    if raw:
        widths = [head.shape[1] for head in heads.values() if head.ndim == 4]
        widths = widths[: len(widths) // len(spec.strides)] if len(widths) >= len(spec.strides) else []
    more = sum(widths) - (RAW_BOX if raw else 4) - 1
    if more < 3 or more % 3:
        raise SessionError(
            f"yolov8_pose: needs a box, a class and three numbers a point for each cell: {shapes(heads)}",
            "is this the model that the decoder was written for, and is the input size right?",
        )
    return more, raw


def parts(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, Array]:
    """Scores, boxes and points in network pixels."""
    boxes, scores, points = (found[0] for found in _poses(heads, spec, input_hw))
    return {"scores": scores, "boxes": boxes, "landmarks": points[..., :2].reshape(len(points), -1)}


DECODER = DecoderRow(candidates, parts, YOLO_INPUT, plus_one=False)
