"""YOLO v10 and v26: the network itself picks the best boxes, nothing is left to suppress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Tuple

import numpy as np

from bmzoo.runtime.decoders.grids import objects, only_head
from bmzoo.runtime.decoders.heads import Candidates, DecoderRow, Heads
from bmzoo.runtime.decoders.yolov5 import YOLO_INPUT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.decoders.spec import DecoderSpec

    Array = NDArray[np.float32]


def candidates(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Candidates]:
    """[B,n,6]: corners in network pixels, score, class."""
    return [_slot(rows[rows[:, 4] >= confidence], spec) for rows in _rows(heads)]


def _slot(rows: Array, spec: DecoderSpec) -> Candidates:
    return objects(rows[:, :4], rows[:, 4], rows[:, 5].round().astype(np.int64), spec)


def _rows(heads: Heads) -> Array:
    fits = {name: head.ndim == 3 and head.shape[2] == 6 for name, head in heads.items()}
    return only_head("yolov10", heads, "[batch, boxes, 6]", fits)


def parts(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, Array]:
    """Scores and corners, by rank."""
    rows = _rows(heads)[0]
    return {"scores": rows[:, 4:5], "boxes": rows[:, :4]}


DECODER = DecoderRow(candidates, parts, YOLO_INPUT, suppress=False)
