"""YOLO v5 (and v7): boxes relative to three anchors a cell, an objectness and scores of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.decoders.grids import (
    are_logits,
    best_class,
    check_classes,
    corners,
    objects,
    sigmoid,
)
from bmzoo.runtime.decoders.heads import Candidates, DecoderRow, Heads, finite, shapes
from bmzoo.runtime.preprocess import InputSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.decoders.spec import DecoderSpec

    Array = NDArray[np.float32]

_LEAST = 6  # x, y, w, h, objectness and one class


def candidates(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Candidates]:
    """[B,A,5+C] decoded, or raw maps [B,na,H,W,5+C] or [B,na*(5+C),H,W], with their Sigmoid or without."""
    return [_slot(rows, spec, confidence) for rows in _decoded(heads, spec, input_hw)]


def _slot(rows: Array, spec: DecoderSpec, confidence: float) -> Candidates:
    rows = rows[rows[:, 4] >= confidence]  # the product is no larger
    labels, scores = best_class(rows[:, 5:] * rows[:, 4:5])
    at = np.flatnonzero(scores >= confidence)
    return objects(corners(rows[at, :2], rows[at, 2:4]), scores[at], labels[at], spec)


def _decoded(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Array:
    """[B,A,5+C]: centre and size in network pixels, objectness, classes."""
    whole = [name for name, head in heads.items() if head.ndim == 3 and head.shape[2] >= _LEAST]
    if len(whole) == 1:  # exports may have the raw maps as well
        rows = finite("yolov5", whole[0], heads[whole[0]])
    else:
        rows = np.concatenate(_from_maps(heads, spec, input_hw), axis=1)
    check_classes(spec, rows.shape[2] - 5)
    return rows


def _from_maps(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> List[Array]:
    maps = []
    for stride, sizes in zip(spec.strides, spec.anchors):  # noqa: B905  # Python 3.8
        cells = (-(-input_hw[0] // stride), -(-input_hw[1] // stride))
        found = [_as_map(finite("yolov5", name, head), len(sizes) // 2, cells) for name, head in heads.items()]
        good = [one for one in found if one is not None]
        if len(good) != 1:
            shape = f"{len(sizes) // 2} * (5 + classes), {cells[0]}, {cells[1]}"
            raise SessionError(
                f"yolov5: needs one output [batch, anchors, boxes and classes], or one [batch, {shape}] "
                f"of stride {stride}: {shapes(heads)}",
                "is this the model that the decoder was written for, with this input size, strides and anchors?",
            )
        maps.append(good[0])
    squash = any(map(are_logits, maps))
    return [
        _rows(sigmoid(one) if squash else one, stride, np.array(sizes, np.float32).reshape(-1, 2))
        for one, stride, sizes in zip(maps, spec.strides, spec.anchors)  # noqa: B905
    ]


def _as_map(head: Array, anchors: int, cells: Tuple[int, int]) -> Optional[Array]:
    """[B,na,H,W,5+C]; None for what is no map of that size."""
    if head.ndim == 5 and head.shape[1:4] == (anchors, *cells):
        return head
    width, rest = divmod(head.shape[1], anchors)
    if head.ndim == 4 and head.shape[2:] == cells and width >= _LEAST and not rest:
        return head.reshape(len(head), anchors, -1, *cells).transpose(0, 1, 3, 4, 2)
    return None


def _rows(values: Array, stride: int, anchors: Array) -> Array:
    """A map of probabilities -> [B,na*H*W,5+C]."""
    _, _, rows, columns, width = values.shape
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    cells = np.stack([x, y], axis=-1)
    centres = (values[..., :2] * 2 - np.float32(0.5) + cells) * np.float32(stride)
    sizes = np.square(values[..., 2:4] * 2) * anchors[:, None, None]
    whole: Array = np.concatenate([centres, sizes, values[..., 4:]], axis=-1).reshape(len(values), -1, width)
    return whole


def parts(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, Array]:
    """Objectness times classes, and boxes in network pixels."""
    rows = _decoded(heads, spec, input_hw)[0]
    return {"scores": rows[:, 5:] * rows[:, 4:5], "boxes": rows[:, :4]}


YOLO_INPUT = InputSpec(640, 640, "rgb", (0.0,) * 3, (1 / 255,) * 3, "letterbox_center", 114)
DECODER = DecoderRow(candidates, parts, YOLO_INPUT, plus_one=False)
