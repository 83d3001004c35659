"""Raw network outputs -> detections. A new decoder is one function, one line in DECODERS and one test case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple

import numpy as np

from bmzoo.errors import ConfigError, SessionError, nearest
from bmzoo.runtime.decoders.heads import BadOutputs, Candidates, Decoder, DecoderSpec, Heads, one_head, shapes
from bmzoo.runtime.decoders.priors import prior_boxes
from bmzoo.runtime.decoders.retinaface_maps import decode_retinaface_maps
from bmzoo.runtime.decoders.scrfd import decode_scrfd
from bmzoo.runtime.decoders.ultraface import decode_ultraface
from bmzoo.runtime.detections import Detections, nothing
from bmzoo.runtime.nms import nms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.preprocess import Geometry

    _Array = NDArray[np.float32]

__all__ = ["DECODERS", "BadOutputs", "DecoderSpec", "Detections", "decode"]

# exp() of anything larger is no box but an overflow; real offsets stay below 3.
MAX_LOG_SIZE = 20.0


def decode(
    heads: Heads,
    spec: DecoderSpec,
    input_hw: Tuple[int, int],
    confidence: float,
    nms_iou: float,
    geometries: Optional[Sequence[Geometry]] = None,
) -> List[Detections]:
    """Detections per image of the batch, with score >= `confidence` (0..1), after NMS at `nms_iou`.

    Without `geometries` in network pixels, one per slot. With them in pixels of the original images, one per
    geometry, so unused slots are dropped; the published samples suppress there too, and as their boxes are
    a pixel wider than their corners, the frame of reference changes which boxes survive.
    Raises ConfigError for an unknown decoder, SessionError for heads that do not fit the decoder, of these
    BadOutputs for values that are not finite.
    """
    if spec.kind not in DECODERS:
        near = nearest(spec.kind, DECODERS)
        hint = f"did you mean `{near}`?" if near else f"allowed: {', '.join(DECODERS)}"
        raise ConfigError(f"decoder: kind: unknown: {spec.kind}", hint)
    found = DECODERS[spec.kind](heads, spec, input_hw, confidence)
    if geometries is not None:
        if len(found) < len(geometries):
            message = f"{spec.kind}: outputs hold fewer images than the {len(geometries)} fed: {shapes(heads)}"
            raise SessionError(message, hint="the model has a batch size baked in")
        return [_suppressed(found[i], nms_iou, geometry) for i, geometry in enumerate(geometries)]
    return [_suppressed(some, nms_iou) for some in found]


def _suppressed(some: Candidates, nms_iou: float, geometry: Optional[Geometry] = None) -> Detections:
    boxes = geometry.to_original(some.boxes) if geometry else some.boxes
    kept = nms(boxes, some.scores, nms_iou)
    landmarks = some.landmarks(kept)
    if geometry:
        landmarks = geometry.to_original(landmarks)
    # Decoders may compute in rows, coordinate by coordinate; what goes out is laid out as it is indexed.
    return Detections(boxes.take(kept, 0), some.scores[kept], np.ascontiguousarray(landmarks))


def decode_retinaface(
    heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float
) -> List[Candidates]:
    """RetinaFace in PyTorch's layout.

    Heads are told apart by their last dimension: scores [B,A,2] (softmax done in the network), box offsets
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


def decode_none(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Candidates]:
    """No detections, for models that are compared by their tensors only."""
    batch = len(next(iter(heads.values()))) if heads else 0
    return [Candidates.of(nothing())] * batch


DECODERS: Dict[str, Decoder] = {
    "retinaface": decode_retinaface,
    "retinaface_maps": decode_retinaface_maps,
    "scrfd": decode_scrfd,
    "ultraface": decode_ultraface,
    "none": decode_none,
}


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
