"""YOLOX: no anchors; centres and sizes in units of the stride, an objectness and scores of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Tuple

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.decoders.grids import (
    LARGEST_EXPONENT,
    Grid,
    as_probabilities,
    best_class,
    by_widths,
    cell_count,
    check_classes,
    corners,
    grids,
    objects,
)
from bmzoo.runtime.decoders.heads import Candidates, DecoderRow, Heads, finite, shapes
from bmzoo.runtime.preprocess import InputSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.decoders.spec import DecoderSpec

    Array = NDArray[np.float32]


def candidates(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Candidates]:
    """[B,A,5+C] of all strides as it is exported, or for each stride a map [B,5+C,H,W] or maps of 4, 1 and C.

    What comes without its Sigmoid gets it here.
    """
    rows = _decoded(heads, spec, input_hw)
    return [_slot(slot, spec, confidence) for slot in rows]


def _slot(rows: Array, spec: DecoderSpec, confidence: float) -> Candidates:
    rows = rows[rows[:, 4] >= confidence]
    labels, scores = best_class(rows[:, 5:] * rows[:, 4:5])
    at = np.flatnonzero(scores >= confidence)
    return objects(corners(rows[at, :2], rows[at, 2:4]), scores[at], labels[at], spec)


def _decoded(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Array:
    """[B,A,5+C]: centre and size in network pixels, objectness, classes."""
    found = _split(heads, spec, input_hw)
    raw = np.concatenate([np.concatenate(grid.heads, axis=2) for grid in found], axis=1)
    if raw.shape[2] < 6:
        raise SessionError(f"yolox: needs boxes, an objectness and classes: {shapes(heads)}")
    check_classes(spec, raw.shape[2] - 5)
    cells = np.concatenate([grid.cells() for grid in found])
    strides = np.concatenate([np.full((grid.rows * grid.columns, 1), grid.stride, np.float32) for grid in found])
    centres = (raw[..., :2] + cells) * strides
    sizes = np.exp(np.minimum(raw[..., 2:4], LARGEST_EXPONENT)) * strides
    return np.concatenate([centres, sizes, as_probabilities(raw[..., 4:])], axis=2)


def _split(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> List[Grid]:
    """The outputs of each stride, in the order boxes, objectness, classes."""
    if len(heads) == 1 and len(spec.strides) > 1:
        ((name, head),) = heads.items()
        count = cell_count(spec.strides, input_hw)
        if head.ndim != 3 or head.shape[1] != count:
            raise SessionError(
                f"yolox: needs an output [batch, {count}, 5 + classes]: {shapes(heads)}",
                "is this the model that the decoder was written for, and are input size and strides right?",
            )
        return _cut(finite("yolox", name, head), spec, input_hw)
    return [_in_order(grid) for grid in grids("yolox", heads, spec.strides, input_hw)]


def _in_order(grid: Grid) -> Grid:
    if len(grid.heads) == 1:
        return grid
    known, classes = by_widths("yolox", grid, (4, 1))
    return Grid(grid.stride, grid.rows, grid.columns, [*known, *classes])


def _cut(rows: Array, spec: DecoderSpec, input_hw: Tuple[int, int]) -> List[Grid]:
    found, start = [], 0
    for stride in spec.strides:
        height, width = (-(-side // stride) for side in input_hw)
        found.append(Grid(stride, height, width, [rows[:, start : start + height * width]]))
        start += height * width
    return found


def parts(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, Array]:
    """Objectness times classes, and boxes in network pixels."""
    rows = _decoded(heads, spec, input_hw)[0]
    return {"scores": rows[:, 5:] * rows[:, 4:5], "boxes": rows[:, :4]}


_INPUT = InputSpec(640, 640, "bgr", (0.0,) * 3, (1.0,) * 3, "letterbox", 114)
DECODER = DecoderRow(candidates, parts, _INPUT, plus_one=False)
