"""Outputs whose meaning is not known, for models that are compared by their tensors only."""

from __future__ import annotations

from typing import List, Tuple

from bmzoo.runtime.decoders.heads import DecoderRow, Heads
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.predictions.tensors import Tensors


def predictions(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Tensors]:
    """The outputs of each slot of the batch; those that do not begin with the batch are every slot's."""
    batch = len(next(iter(heads.values()))) if heads else 0
    return [
        Tensors({name: head[i] if len(head) == batch else head for name, head in heads.items()})
        for i in range(batch)
    ]


DECODER = DecoderRow(predictions=predictions)
