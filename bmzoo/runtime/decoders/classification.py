"""Classifiers: a score for each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Tuple

import numpy as np

from bmzoo.runtime.decoders.grids import check_classes, only_head, softmax
from bmzoo.runtime.decoders.heads import DecoderRow, Heads
from bmzoo.runtime.predictions.classes import Classes
from bmzoo.runtime.preprocess import InputSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.decoders.spec import DecoderSpec


def predictions(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Classes]:
    """[B,C], or [B,C,1,1]; a Softmax is applied to what is not one's result. All classes, the best first."""
    scores = _scores(heads)
    check_classes(spec, scores.shape[1])
    orders = np.argsort(-scores, axis=1, kind="stable").astype(np.int64)
    return [Classes(order, row[order], spec.classes) for order, row in zip(orders, scores)]  # noqa: B905


def _scores(heads: Heads) -> NDArray[np.float32]:
    fits = {name: head.ndim >= 2 and all(side == 1 for side in head.shape[2:]) for name, head in heads.items()}
    head = only_head("classification", heads, "[batch, classes]", fits)
    return softmax(head.reshape(len(head), -1), axis=1)


def parts(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, NDArray[np.float32]]:
    """The scores as an output of one row."""
    return {"classes": _scores(heads)}


_SCALE = (0.01712475, 0.017507, 0.01742919)  # 1 / (255 * 0.229), ...: ImageNet's
IMAGENET_INPUT = InputSpec(224, 224, "rgb", (123.675, 116.28, 103.53), _SCALE, "stretch")
DECODER = DecoderRow(None, parts, IMAGENET_INPUT, predictions)
