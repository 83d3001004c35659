"""RetinaFace in PyTorch's layout: three heads for all strides, offsets from anchor boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Tuple

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.decoders.heads import Candidates, DecoderRow, Heads, one_head, shapes
from bmzoo.runtime.decoders.priors import prior_boxes
from bmzoo.runtime.decoders.spec import DecoderSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Array = NDArray[np.float32]

# exp() of anything larger is no box but an overflow; real offsets stay below 3.
MAX_LOG_SIZE = 20.0


def candidates(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Candidates]:
    """Heads are told apart by their last dimension: scores [B,A,2] (softmax done in the network), box offsets
    [B,A,4], landmark offsets [B,A,10]; A is the number of priors.
    """
    priors = prior_boxes(input_hw[0], input_hw[1], spec.strides, spec.min_sizes)
    by_width = {width: one_head("retinaface", heads, width, len(priors)) for width in (2, 4, 10)}
    if len({len(head) for head in by_width.values()}) != 1:
        raise SessionError(f"retinaface: batch differs between heads: {shapes(heads)}")
    size_wh = np.array(input_hw[::-1], np.float32)[:, None]

    def slot(conf: _Array, loc: _Array, landm: _Array) -> Candidates:
        at = (conf >= confidence)[:, 1].nonzero()[0]  # both columns, as one alone is compared in strides

        def landmarks(kept: NDArray[np.int64]) -> _Array:
            some = at[kept]
            return _landmarks(_rows(landm, some), _rows(priors, some), spec.variance, size_wh)

        boxes = _boxes(_rows(loc, at), _rows(priors, at), spec.variance, size_wh)
        return Candidates(boxes, conf[:, 1][at], landmarks)

    return [slot(*rows) for rows in zip(by_width[2], by_width[4], by_width[10])]  # noqa: B905


def parts(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, _Array]:
    """Scores of the faces, box and landmark offsets."""
    names = {"scores": 2, "boxes": 4, "landmarks": 10}
    found = {name: one_head("retinaface", heads, width)[0] for name, width in names.items()}
    return {**found, "scores": found["scores"][:, 1:]}


def _boxes(loc: _Array, priors: _Array, variance: Tuple[float, float], size_wh: _Array) -> _Array:
    """Offsets and priors as rows, [4,n], and the network's size [2,1] -> boxes [n,4] in network pixels."""
    boxes = np.empty_like(loc)
    centre = priors[:2] + loc[:2] * np.float32(variance[0]) * priors[2:]
    half = priors[2:] * np.exp(np.minimum(loc[2:] * np.float32(variance[1]), MAX_LOG_SIZE)) / 2
    np.multiply(centre - half, size_wh, out=boxes[:2])
    np.multiply(centre + half, size_wh, out=boxes[2:])
    return boxes.T


def _landmarks(landm: _Array, priors: _Array, variance: Tuple[float, float], size_wh: _Array) -> _Array:
    """Offsets as rows, [10,n], the same priors and size -> landmarks [n,5,2] in network pixels."""
    points: _Array = landm.reshape(5, 2, -1) * np.float32(variance[0])
    points *= priors[2:]
    points += priors[:2]
    points *= size_wh
    return points.transpose(2, 0, 1)


def _rows(array: _Array, at: NDArray[np.int64]) -> _Array:
    """[A,width] -> [width,n]: numpy is slow along axes as short as a box."""
    return np.ascontiguousarray(array.take(at, 0).T)


DECODER = DecoderRow(candidates, parts)
