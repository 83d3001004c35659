"""Raw network outputs -> predictions, by the decoder that a kind of heads has."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

import numpy as np

from bmzoo.errors import ConfigError, SessionError, nearest
from bmzoo.runtime.decoders.heads import BadOutputs, Candidates, DecoderRow, Heads, shapes
from bmzoo.runtime.decoders.registry import DECODERS
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.nms import nms
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.predictions.prediction import only

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.predictions.prediction import Prediction
    from bmzoo.runtime.resizing import Geometry

__all__ = ["BadOutputs", "DecoderSpec", "Detections", "decode", "decode_boxes", "load"]


def load(kind: str) -> DecoderRow:
    """The decoder of a row of DECODERS. Raises ConfigError for a kind that is not there."""
    if kind not in DECODERS:
        near = nearest(kind, DECODERS)
        hint = f"did you mean `{near}`?" if near else f"allowed: {', '.join(DECODERS)}"
        raise ConfigError(f"decoder: kind: unknown: {kind}", hint)
    decoder: DecoderRow = import_module(DECODERS[kind].module).DECODER
    return decoder


def decode(
    heads: Heads,
    spec: DecoderSpec,
    input_hw: Tuple[int, int],
    confidence: float,
    nms_iou: float,
    geometries: Optional[Sequence[Geometry]] = None,
) -> List[Prediction]:
    """What each image of the batch shows, of the kind that the decoder gives.

    Detections have scores >= `confidence` (0..1), and are left over from NMS at `nms_iou`.
    Without `geometries` in network pixels, one per slot. With them in pixels of the original images, one per
    geometry, so unused slots are dropped; the published samples suppress there too, and as their boxes are
    a pixel wider than their corners, the frame of reference changes which boxes survive.
    Raises ConfigError for an unknown decoder, SessionError for heads that do not fit the decoder, of these
    BadOutputs for values that are not finite.
    """
    row = load(spec.kind)
    if row.candidates is None:
        assert row.predictions is not None, f"{spec.kind}: a row has one of the two"
        found = row.predictions(heads, spec, input_hw, confidence)
        if geometries is None:
            return list(found)
        _check_slots(spec.kind, len(found), geometries, heads)
        return [found[i].to_original(geometry) for i, geometry in enumerate(geometries)]
    boxes = row.candidates(heads, spec, input_hw, confidence)
    if geometries is not None:
        _check_slots(spec.kind, len(boxes), geometries, heads)
        return [_suppressed(boxes[i], nms_iou, row, geometry) for i, geometry in enumerate(geometries)]
    return [_suppressed(some, nms_iou, row) for some in boxes]


def decode_boxes(
    heads: Heads,
    spec: DecoderSpec,
    input_hw: Tuple[int, int],
    confidence: float,
    nms_iou: float,
    geometries: Optional[Sequence[Geometry]] = None,
) -> List[Detections]:
    """The same from a decoder that gives detections. Raises ConfigError for one that gives something else."""
    return only(Detections, decode(heads, spec, input_hw, confidence, nms_iou, geometries), spec.kind)


def _check_slots(kind: str, slots: int, geometries: Sequence[Geometry], heads: Heads) -> None:
    if slots < len(geometries):
        message = f"{kind}: outputs hold fewer images than the {len(geometries)} fed: {shapes(heads)}"
        raise SessionError(message, hint="the model has a batch size baked in")


def _suppressed(
    some: Candidates, nms_iou: float, row: DecoderRow, geometry: Optional[Geometry] = None
) -> Detections:
    boxes = geometry.to_original(some.boxes) if geometry else some.boxes
    kept = _kept(boxes, some, nms_iou, row)
    landmarks = some.landmarks(kept)
    if geometry:
        landmarks = geometry.to_original(landmarks)
    # Decoders may compute in rows, coordinate by coordinate; what goes out is laid out as it is indexed.
    found = Detections(boxes.take(kept, 0), some.scores[kept], np.ascontiguousarray(landmarks))
    if some.labels is not None:
        found = replace(found, labels=some.labels[kept], names=some.names)
    return found if some.point_scores is None else replace(found, point_scores=some.point_scores[kept])


def _kept(boxes: NDArray[np.float32], some: Candidates, nms_iou: float, row: DecoderRow) -> NDArray[np.int64]:
    """Indices that stay, best score first; objects of different classes may lie in the same place."""
    if not row.suppress:
        return np.argsort(-some.scores, kind="stable")
    if some.labels is None:
        return nms(boxes, some.scores, nms_iou, row.plus_one)
    stay = []
    for label in np.unique(some.labels):
        at = np.flatnonzero(some.labels == label)
        stay.append(at[nms(boxes[at], some.scores[at], nms_iou, row.plus_one)])
    kept = np.sort(np.concatenate(stay)) if stay else np.empty(0, np.int64)
    return kept[np.argsort(-some.scores[kept], kind="stable")]
