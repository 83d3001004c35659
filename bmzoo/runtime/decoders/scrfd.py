"""SCRFD: three heads per stride, distances to the sides instead of anchor boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Tuple

import numpy as np

from bmzoo.runtime.decoders.heads import Candidates, DecoderRow, Heads, Level, joined, levels, parts_of
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.preprocess import InputSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray


def candidates(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Candidates]:
    """Scores, box distances (left, top, right, bottom) and, in nine-output models, five points per anchor.

    All in units of the stride, from the corner of the anchor's cell: so the published networks were trained.
    """
    found = levels("scrfd", heads, spec, input_hw, _widths(heads, spec))
    batch = len(found[0].heads[1])
    return [joined([_level(level, slot, confidence) for level in found]) for slot in range(batch)]


def _level(level: Level, slot: int, confidence: float) -> Detections:
    scores = level.heads[1][slot, :, 0]
    at = np.flatnonzero(scores >= confidence)
    origin = level.corners()[at]
    sides = level.heads[4][slot, at] * np.float32(level.stride)
    boxes = np.concatenate([origin - sides[:, :2], origin + sides[:, 2:]], axis=1)
    landmarks = np.empty((len(at), 0, 2), np.float32)
    if 10 in level.heads:
        landmarks = origin[:, None] + level.heads[10][slot, at].reshape(-1, 5, 2) * np.float32(level.stride)
    return Detections(boxes, scores[at], landmarks)


def parts(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, NDArray[np.float32]]:
    """Scores, distances to the sides and, where there are, points."""
    return parts_of(levels("scrfd", heads, spec, input_hw, _widths(heads, spec)), lambda level: level.heads[1][0])


def _widths(heads: Heads, spec: DecoderSpec) -> Tuple[int, ...]:
    return (1, 4, 10) if len(heads) >= 3 * len(spec.strides) else (1, 4)


DECODER = DecoderRow(candidates, parts, InputSpec(640, 640, "rgb", (127.5,) * 3, (1 / 128,) * 3, "letterbox"))
