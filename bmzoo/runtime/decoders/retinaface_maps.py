"""RetinaFace as first published for MXNet and Caffe (mnet.25): maps per stride, anchors counted in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Tuple

import numpy as np

from bmzoo.runtime.decoders.heads import Candidates, DecoderRow, Heads, Level, joined, levels, parts_of
from bmzoo.runtime.decoders.retinaface import MAX_LOG_SIZE
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.preprocess import InputSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray


def candidates(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Candidates]:
    """Per stride: probabilities [B,2*n,H,W] (all background maps first), boxes [B,4*n,H,W], points [B,10*n,H,W].

    `min_sizes` are the anchors' sides; in each cell the larger comes first, whatever their order in the spec.
    Offsets are not scaled by a variance.
    """
    found = levels("retinaface_maps", heads, spec, input_hw, (2, 4, 10))
    batch = len(found[0].heads[2])
    sides = [np.array(sorted(sizes, reverse=True), np.float32) for sizes in spec.min_sizes]
    return [
        joined([_level(level, sides[i], slot, confidence) for i, level in enumerate(found)])
        for slot in range(batch)
    ]


def _level(level: Level, sides: NDArray[np.float32], slot: int, confidence: float) -> Detections:
    scores = _faces(level, slot)
    at = np.flatnonzero(scores >= confidence)
    size = sides[at % level.anchors][:, None]
    # Anchors are centred on a 16-pixel square of pixels 0 to 15, whatever the stride.
    centre = level.corners()[at] + np.float32(7.5)
    loc = level.heads[4][slot, at]
    middle = centre + loc[:, :2] * size
    half = (np.exp(np.minimum(loc[:, 2:], MAX_LOG_SIZE)) * size - 1) / 2
    points = centre[:, None] + level.heads[10][slot, at].reshape(-1, 5, 2) * size[:, None]
    return Detections(np.concatenate([middle - half, middle + half], axis=1), scores[at], points)


def _faces(level: Level, slot: int) -> NDArray[np.float32]:
    # Channels are class by class, not anchor by anchor: background of each anchor, then face of each.
    scores: NDArray[np.float32] = level.heads[2][slot].reshape(-1, 2, level.anchors)[:, 1].reshape(-1)
    return scores


def parts(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, NDArray[np.float32]]:
    """Scores of the faces, box and, where there are, landmark offsets."""
    widths = (2, 4, 10) if len(heads) >= 3 * len(spec.strides) else (2, 4)
    strides = levels("retinaface_maps", heads, spec, input_hw, widths)
    return parts_of(strides, lambda level: _faces(level, 0)[:, None])


DECODER = DecoderRow(candidates, parts, InputSpec(640, 640, "rgb", (0.0,) * 3, (1.0,) * 3, "letterbox"))
