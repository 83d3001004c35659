"""Keypoints of what fills the picture, such as a face that was cut out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Tuple

import numpy as np

from bmzoo.runtime.decoders.grids import only_head
from bmzoo.runtime.decoders.heads import DecoderRow, Heads
from bmzoo.runtime.predictions.points import PointSet
from bmzoo.runtime.preprocess import InputSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.decoders.spec import DecoderSpec


def predictions(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[PointSet]:
    """[B,2K] as x, y in turn, or [B,K,2]; in shares of the network's width and height, or in its pixels."""
    unit = np.array(input_hw[::-1] if spec.points == "normalized" else (1, 1), np.float32)
    return [PointSet(points * unit) for points in _points(heads)]


def _points(heads: Heads) -> NDArray[np.float32]:
    fits = {
        name: (head.ndim == 3 and head.shape[2] == 2) or (head.ndim == 2 and head.shape[1] % 2 == 0)
        for name, head in heads.items()
    }
    head = only_head("landmarks", heads, "[batch, 2 * points] or [batch, points, 2]", fits)
    return head.reshape(len(head), -1, 2)


def parts(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, NDArray[np.float32]]:
    """The points."""
    return {"points": _points(heads)[0]}


DECODER = DecoderRow(None, parts, InputSpec(112, 112, "rgb", (0.0,) * 3, (1 / 255,) * 3, "stretch"), predictions)
