"""Semantic segmentation: scores of classes for every cell of a grid, or the classes themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Tuple

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.decoders.classification import IMAGENET_INPUT
from bmzoo.runtime.decoders.grids import as_probabilities, check_classes, softmax
from bmzoo.runtime.decoders.heads import DecoderRow, Heads, finite, shapes
from bmzoo.runtime.predictions.mask import Mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.decoders.spec import DecoderSpec

    Array = NDArray[np.float32]

# How much the sides of a grid may differ from the input's, as rounding makes them.
_SAME_SHAPE = 0.1


def predictions(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Mask]:
    """[B,C,H,W] or [B,H,W,C] of scores, for one class of its probability, or [B,H,W] of classes.

    Which axis has the classes is told by the shape of the input, and by `classes` where that fits both.
    """
    names = [name for name, head in heads.items() if head.ndim == 4]
    names = names or [name for name, head in heads.items() if head.ndim == 3]
    if len(names) != 1:
        raise SessionError(
            f"segmentation: needs exactly one output [batch, classes, height, width]: {shapes(heads)}",
            "is this the model that the decoder was written for?",
        )
    head = finite("segmentation", names[0], heads[names[0]])
    if head.ndim == 4:
        axis = _class_axis(head, spec, input_hw)
        head = head if axis == 1 else np.moveaxis(head, axis, 1)
        single = head.shape[1] == 1
        if not single or not _are_labels(head):
            check_classes(spec, 2 if single and len(spec.classes) == 2 else head.shape[1])
            return [_of_scores(slot, spec, input_hw) for slot in head]
        head = head[:, 0]
    return [_of_labels(slot, spec, input_hw) for slot in head]


def _class_axis(head: Array, spec: DecoderSpec, input_hw: Tuple[int, int]) -> int:
    found = [axis for axis, sides in ((1, head.shape[2:]), (3, head.shape[1:3])) if _alike(sides, input_hw)]
    if len(found) == 2:
        known, fewer = len(spec.classes), 1 if head.shape[1] <= head.shape[3] else 3
        found = [axis for axis in found if head.shape[axis] == known] or [fewer]
    if not found:
        size = f"{input_hw[0]}x{input_hw[1]}"
        raise SessionError(f"segmentation: the output is not shaped like the input, {size}: {list(head.shape)}")
    return found[0]


def _alike(sides: Tuple[int, ...], input_hw: Tuple[int, int]) -> bool:
    ratio = (sides[0] / input_hw[0]) / (sides[1] / input_hw[1])
    return abs(ratio - 1) < _SAME_SHAPE


def _are_labels(head: Array) -> bool:
    return bool((head == np.round(head)).all()) and head.max() > 1


def _of_scores(scores: Array, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Mask:
    """[C,H,W], where one class is that against all else."""
    if len(scores) == 1:
        shown = as_probabilities(scores)
        shares = np.concatenate([1 - shown, shown])
    else:
        shares = softmax(scores, axis=0).copy()
    labels = shares.argmax(axis=0)
    best = shares.max(axis=0)
    np.put_along_axis(shares, labels[None], -1, axis=0)
    second = shares.argmax(axis=0)
    lead = best - shares.max(axis=0)
    return _mask(labels, second, lead, spec, input_hw)


def _of_labels(labels: Array, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Mask:
    """[H,W] of numbers of classes, without a doubt."""
    return _mask(labels.round(), labels.round(), None, spec, input_hw)


def _mask(
    labels: NDArray[np.generic],
    second: NDArray[np.generic],
    lead: Optional[Array],
    spec: DecoderSpec,
    input_hw: Tuple[int, int],
) -> Mask:
    sure = np.ones(labels.shape, np.float32) if lead is None else lead.astype(np.float32)
    return Mask(labels.astype(np.int16), second.astype(np.int16), sure, input_hw, spec.classes)


DECODER = DecoderRow(input=IMAGENET_INPUT, predictions=predictions)
