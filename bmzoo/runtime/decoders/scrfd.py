"""SCRFD: three heads per stride, distances to the sides instead of anchor boxes."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from bmzoo.runtime.decoders.heads import Candidates, DecoderSpec, Heads, Level, joined, levels
from bmzoo.runtime.detections import Detections


def decode_scrfd(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Candidates]:
    """Scores, box distances (left, top, right, bottom) and, in nine-output models, five points per anchor.

    All in units of the stride, from the corner of the anchor's cell: so the published networks were trained.
    """
    widths = (1, 4, 10) if len(heads) >= 3 * len(spec.strides) else (1, 4)
    found = levels("scrfd", heads, spec, input_hw, widths)
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
