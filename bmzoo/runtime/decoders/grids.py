"""Outputs sorted by the stride whose cells they have, and what detectors on grids share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.decoders.heads import Candidates, Heads, finite, shapes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.decoders.spec import DecoderSpec

    Array = NDArray[np.float32]

# How far quantized probabilities, and their sums, may lie from what they should be.
BEYOND = 0.1
# exp() of anything larger is no box but an overflow.
LARGEST_EXPONENT = 20.0


@dataclass(frozen=True)
class Grid:
    """The outputs of one stride as rows [B,cells,width], in the network's order."""

    stride: int
    rows: int
    columns: int
    heads: List[Array]

    def cells(self) -> Array:
        """Column and row of each cell, float32 [cells,2]."""
        y, x = np.mgrid[: self.rows, : self.columns]
        cells: Array = np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)
        return cells


def grids(kind: str, heads: Heads, strides: Sequence[int], input_hw: Tuple[int, int]) -> List[Grid]:
    """A Grid for each stride, of outputs [B,cells,width] and maps [B,width,H,W].

    Raises SessionError for a stride without any, and for outputs of no stride.
    """
    found, left = [], {name: finite(kind, name, head) for name, head in heads.items()}
    for stride in strides:
        rows, columns = (-(-side // stride) for side in input_hw)
        own = {name: some for name, head in left.items() if (some := _as_cells(head, rows, columns)) is not None}
        if not own:
            raise SessionError(
                f"{kind}: no output has the {rows}x{columns} cells of stride {stride}: {shapes(heads)}",
                "is this the model that the decoder was written for, and are input size and strides right?",
            )
        found.append(Grid(stride, rows, columns, list(own.values())))
        left = {name: head for name, head in left.items() if name not in own}
    if left:
        raise SessionError(
            f"{kind}: outputs that belong to no stride: {shapes(left)}", "strides are not the model's"
        )
    if len({len(head) for grid in found for head in grid.heads}) != 1:
        raise SessionError(f"{kind}: batch differs between outputs: {shapes(heads)}")
    return found


def _as_cells(head: Array, rows: int, columns: int) -> Optional[Array]:
    if head.ndim == 4 and head.shape[2:] == (rows, columns):
        return head.transpose(0, 2, 3, 1).reshape(len(head), rows * columns, head.shape[1])
    return head if head.ndim == 3 and head.shape[1] == rows * columns else None


def cell_count(strides: Sequence[int], input_hw: Tuple[int, int]) -> int:
    """How many cells all strides have together."""
    return sum((-(-input_hw[0] // stride)) * (-(-input_hw[1] // stride)) for stride in strides)


def by_widths(kind: str, grid: Grid, widths: Sequence[int]) -> Tuple[List[Array], List[Array]]:
    """The first head of each width, and the other heads. Raises SessionError where one is missing."""
    left, found = list(grid.heads), []
    for width in widths:
        at = next((i for i, head in enumerate(left) if head.shape[2] == width), None)
        if at is None:
            have = [head.shape[2] for head in grid.heads]
            raise SessionError(f"{kind}: stride {grid.stride}: no output has {width} numbers a cell: {have}")
        found.append(left.pop(at))
    return found, left


def as_probabilities(values: Array) -> Array:
    """What a Sigmoid gives; applied to what the network left without it."""
    return sigmoid(values) if are_logits(values) else values


def are_logits(values: Array) -> bool:
    """Whether values lie well beyond 0..1; those that were quantized may lie a little beyond."""
    return bool(values.size) and bool(values.min() < -BEYOND or values.max() > 1 + BEYOND)


def softmax(values: Array, axis: int) -> Array:
    """What a Softmax gives; applied to what the network left without it: what is negative, or adds up to no 1."""
    sums = values.sum(axis=axis)
    if not are_logits(values) and (np.abs(sums - 1) < BEYOND).all():
        return values
    weights = np.exp(values - values.max(axis=axis, keepdims=True))
    shares: Array = weights / weights.sum(axis=axis, keepdims=True)
    return shares


def sigmoid(values: Array) -> Array:
    """1 / (1 + exp(-x)), float32."""
    probabilities: Array = 1 / (1 + np.exp(np.minimum(-values, 80)))
    return probabilities


def best_class(scores: Array) -> Tuple[NDArray[np.int64], Array]:
    """[n,C] -> the best class of each and its score."""
    labels = scores.argmax(axis=1).astype(np.int64)
    return labels, scores[np.arange(len(labels)), labels]


def objects(boxes: Array, scores: Array, labels: NDArray[np.int64], spec: DecoderSpec) -> Candidates:
    """Candidates with classes and no keypoints."""
    no_points = np.empty((len(scores), 0, 2), np.float32)
    return Candidates(boxes, scores, lambda at: no_points[at], labels, spec.classes)


def check_classes(spec: DecoderSpec, count: int) -> None:
    """Raises SessionError where there are names, and not as many as the network has classes."""
    if spec.classes and len(spec.classes) != count:
        raise SessionError(
            f"decoder: classes: {len(spec.classes)} names, the network has {count} classes",
            "one name for each class, in the order of the network's outputs",
        )


def corners(centres: Array, sizes: Array) -> Array:
    """[n,2] and [n,2] -> boxes [n,4] xyxy."""
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


def only_head(kind: str, heads: Heads, wanted: str, fits: Dict[str, bool]) -> Array:
    """The one output that fits. Raises SessionError."""
    names = [name for name, good in fits.items() if good]
    if len(names) != 1:
        raise SessionError(
            f"{kind}: needs exactly one output {wanted}: {shapes(heads)}",
            "is this the model that the decoder was written for?",
        )
    return finite(kind, names[0], heads[names[0]])
