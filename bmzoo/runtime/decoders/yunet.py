"""YuNet: faces with five points, by cell (since 2022), or from anchors in three heads (before)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Tuple

import numpy as np

from bmzoo.runtime.decoders.grids import LARGEST_EXPONENT, as_probabilities, by_widths, corners, grids
from bmzoo.runtime.decoders.heads import Candidates, DecoderRow, Heads, one_head
from bmzoo.runtime.decoders.priors import prior_boxes
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.preprocess import InputSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.decoders.spec import DecoderSpec

    Array = NDArray[np.float32]

# Of the version with three heads, as its publisher's own decoder has them.
OLD_STRIDES = (8, 16, 32, 64)
OLD_SIZES = ((10, 16, 24), (32, 48), (64, 96), (128, 192, 256))
OLD_WIDTHS = (14, 2, 1)


def candidates(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Candidates]:
    """For each stride a class and an objectness [B,A,1], boxes [B,A,4] and points [B,A,10].

    Or for all anchors offsets of boxes and points [B,A,14], classes [B,A,2] and an IoU [B,A,1]. A score is the root
    of the product of both scores.
    """
    scores, boxes, points = _faces(heads, spec, input_hw)
    found = []
    for slot in range(len(scores)):
        at = np.flatnonzero(scores[slot] >= confidence)
        shown = points[slot, at].reshape(-1, 5, 2)
        found.append(Candidates.of(Detections(boxes[slot, at], scores[slot, at], shown)))
    return found


def _faces(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Tuple[Array, Array, Array]:
    """Scores [B,A], boxes [B,A,4] xyxy and points [B,A,10], all in network pixels."""
    if sorted(head.shape[-1] for head in heads.values()) == sorted(OLD_WIDTHS):
        return _from_anchors(heads, input_hw)
    scores, boxes, points = [], [], []
    for grid in grids("yunet", heads, spec.strides, input_hw):
        (one, other, box, dots), _ = by_widths("yunet", grid, (1, 1, 4, 10))
        cells, stride = grid.cells(), np.float32(grid.stride)
        both = [np.clip(as_probabilities(each[..., 0]), 0, 1) for each in (one, other)]
        scores.append(np.sqrt(both[0] * both[1]))
        centres = (box[..., :2] + cells) * stride
        half = np.exp(np.minimum(box[..., 2:], LARGEST_EXPONENT)) * stride / 2
        boxes.append(np.concatenate([centres - half, centres + half], axis=-1))
        points.append((dots + np.tile(cells, 5)) * stride)
    return np.concatenate(scores, axis=1), np.concatenate(boxes, axis=1), np.concatenate(points, axis=1)


def _from_anchors(heads: Heads, input_hw: Tuple[int, int]) -> Tuple[Array, Array, Array]:
    priors = prior_boxes(input_hw[0], input_hw[1], OLD_STRIDES, OLD_SIZES)
    loc, classes, overlap = (one_head("yunet", heads, width, len(priors)) for width in OLD_WIDTHS)
    size = np.array(input_hw[::-1], np.float32)
    scores = np.sqrt(np.clip(classes[..., 1], 0, 1) * np.clip(overlap[..., 0], 0, 1))
    centres = priors[:, :2] + loc[..., :2] * np.float32(0.1) * priors[:, 2:]
    sizes = priors[:, 2:] * np.exp(np.minimum(loc[..., 2:4] * np.float32(0.2), LARGEST_EXPONENT))
    boxes = [corners(centre * size, whole * size) for centre, whole in zip(centres, sizes)]  # noqa: B905
    points = np.tile(priors[:, :2], 5) + loc[..., 4:] * np.float32(0.1) * np.tile(priors[:, 2:], 5)
    return scores, np.stack(boxes), points * np.tile(size, 5)


def parts(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, Array]:
    """Scores, boxes and points, in network pixels."""
    scores, boxes, points = (found[0] for found in _faces(heads, spec, input_hw))
    return {"scores": scores[:, None], "boxes": boxes, "landmarks": points}


_INPUT = InputSpec(320, 320, "bgr", (0.0,) * 3, (1.0,) * 3, "letterbox")
DECODER = DecoderRow(candidates, parts, _INPUT, plus_one=False)
