"""Raw network outputs -> detections, by the decoder that a kind of heads has."""

from __future__ import annotations

from importlib import import_module
from typing import List, Optional, Sequence, Tuple

import numpy as np

from bmzoo.errors import ConfigError, SessionError, nearest
from bmzoo.runtime.decoders.heads import BadOutputs, Candidates, DecoderRow, Heads, shapes
from bmzoo.runtime.decoders.registry import DECODERS
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.detections import Detections
from bmzoo.runtime.nms import nms
from bmzoo.runtime.preprocess import Geometry

__all__ = ["BadOutputs", "DecoderSpec", "Detections", "decode", "load"]


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
) -> List[Detections]:
    """Detections per image of the batch, with score >= `confidence` (0..1), after NMS at `nms_iou`.

    Without `geometries` in network pixels, one per slot. With them in pixels of the original images, one per
    geometry, so unused slots are dropped; the published samples suppress there too, and as their boxes are
    a pixel wider than their corners, the frame of reference changes which boxes survive.
    Raises ConfigError for an unknown decoder, SessionError for heads that do not fit the decoder, of these
    BadOutputs for values that are not finite.
    """
    found = load(spec.kind).candidates(heads, spec, input_hw, confidence)
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
