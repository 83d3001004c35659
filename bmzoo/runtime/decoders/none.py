"""No detections, for models that are compared by their tensors only."""

from __future__ import annotations

from typing import List, Tuple

from bmzoo.runtime.decoders.heads import Candidates, DecoderRow, Heads
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.detections import nothing


def candidates(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Candidates]:
    """Nothing for each slot of the batch."""
    batch = len(next(iter(heads.values()))) if heads else 0
    return [Candidates.of(nothing())] * batch


DECODER = DecoderRow(candidates)
