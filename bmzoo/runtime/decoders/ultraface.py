"""UltraFace (Ultra-Light-Fast-Generic-Face-Detector): boxes come decoded, there are no landmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Tuple

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.decoders.heads import Candidates, DecoderRow, Heads, one_head, shapes
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.preprocess import InputSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray


def candidates(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Candidates]:
    """Scores [B,A,2] (background, face) and boxes [B,A,4], corners in 0..1 of the network's size."""
    scores = one_head("ultraface", heads, 2)
    boxes = one_head("ultraface", heads, 4, scores.shape[1])
    if len(heads) != 2:  # RetinaFace has these two as well, but its boxes are offsets
        raise SessionError(f"ultraface: needs two outputs, scores and boxes: {shapes(heads)}")
    if len(scores) != len(boxes):
        raise SessionError(f"ultraface: batch differs between heads: {shapes(heads)}")
    size = np.array([*input_hw[::-1], *input_hw[::-1]], np.float32)
    found = []
    for i in range(len(scores)):
        at = np.flatnonzero(scores[i, :, 1] >= confidence)
        landmarks = np.empty((len(at), 0, 2), np.float32)
        found.append(Candidates.of(Detections(boxes[i, at] * size, scores[i, at, 1], landmarks)))
    return found


def parts(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, NDArray[np.float32]]:
    """Scores of the faces, and boxes."""
    scores, boxes = (one_head("ultraface", heads, width)[0] for width in (2, 4))
    return {"scores": scores[:, 1:], "boxes": boxes}


DECODER = DecoderRow(candidates, parts, InputSpec(240, 320, "rgb", (127.0,) * 3, (1 / 128,) * 3, "stretch"))
