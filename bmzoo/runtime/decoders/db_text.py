"""Text detection by differentiable binarization (Liao et al. 2020): regions of a map of probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Tuple

import cv2
import numpy as np

from bmzoo.runtime.decoders.grids import as_probabilities, only_head
from bmzoo.runtime.decoders.heads import DecoderRow, Heads
from bmzoo.runtime.predictions.regions import Regions
from bmzoo.runtime.preprocess import InputSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.decoders.spec import DecoderSpec

    Array = NDArray[np.float32]

# As in the published post-processing: most outlines looked at, and shortest side of one and of its region.
MOST_OUTLINES = 1000
SHORTEST, SHORTEST_REGION = 3.0, 5.0


def predictions(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Regions]:
    """[B,1,H,W]: what is above `binarize`, as rectangles whose mean probability is at least the confidence.

    A network is trained to shrink text, so that lines stay apart: each rectangle grows on all sides by
    `unclip` * area / length of its outline.
    """
    fits = {name: head.ndim == 4 and head.shape[1] == 1 for name, head in heads.items()}
    head = as_probabilities(only_head("db_text", heads, "[batch, 1, height, width]", fits))
    unit = np.array([input_hw[1] / head.shape[3], input_hw[0] / head.shape[2]], np.float32)
    return [_regions(slot[0], spec, confidence, unit) for slot in head]


def _regions(shares: Array, spec: DecoderSpec, confidence: float, unit: Array) -> Regions:
    outlines = cv2.findContours((shares > spec.binarize).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[
        0
    ]
    found = [_region(shares, outline, spec, confidence) for outline in outlines[:MOST_OUTLINES]]
    good = sorted((one for one in found if one is not None), key=lambda one: -one[1])
    quads = np.array([quad for quad, _ in good], np.float32).reshape(-1, 4, 2)
    return Regions(quads * unit, np.array([score for _, score in good], np.float32))


def _region(
    shares: Array, outline: NDArray[np.int32], spec: DecoderSpec, confidence: float
) -> Optional[Tuple[Array, float]]:
    """The grown rectangle around an outline and its score; None where it is too small or too faint."""
    middle, (width, height), angle = cv2.minAreaRect(outline)
    if min(width, height) < SHORTEST:
        return None
    score = _mean_inside(shares, ordered(cv2.boxPoints((middle, (width, height), angle))))
    if score < confidence:
        return None
    # An outline moved out by d has this smallest rectangle around it, whatever its corners look like.
    grown = 2 * spec.unclip * width * height / (2 * (width + height))
    size = (width + grown, height + grown)
    return None if min(size) < SHORTEST_REGION else (ordered(cv2.boxPoints((middle, size, angle))), score)


def _mean_inside(shares: Array, quad: Array) -> float:
    """The mean probability inside a quad, of the pixels that cv2 fills."""
    rows, columns = shares.shape
    left, top = np.floor(quad.min(axis=0)).clip(0, (columns - 1, rows - 1)).astype(int).tolist()
    right, bottom = np.ceil(quad.max(axis=0)).clip(0, (columns - 1, rows - 1)).astype(int).tolist()
    inside = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(inside, [(quad - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(shares[top : bottom + 1, left : right + 1], inside)[0])


def ordered(corners: NDArray[np.floating]) -> Array:  # type: ignore[type-arg]
    """Four corners clockwise from the top left: of the two leftmost the upper, and so on."""
    by_x = np.asarray(corners, np.float32)[np.argsort(corners[:, 0], kind="stable")]
    left, right = (side[np.argsort(side[:, 1], kind="stable")] for side in (by_x[:2], by_x[2:]))
    return np.stack([left[0], right[0], right[1], left[1]])


_SCALE = (0.01712475, 0.017507, 0.01742919)  # ImageNet's, but PaddleOCR applies it to blue, green, red
_INPUT = InputSpec(640, 640, "bgr", (123.675, 116.28, 103.53), _SCALE, "letterbox")
DECODER = DecoderRow(input=_INPUT, predictions=predictions)
