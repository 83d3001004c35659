"""Raw network outputs -> detections. A new decoder is one function and one line in DECODERS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from bmzoo.errors import ConfigError, SessionError, nearest
from bmzoo.runtime.nms import nms
from bmzoo.runtime.priors import prior_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.preprocess import Geometry

# exp() of anything larger is no box but an overflow; real offsets stay below 3.
MAX_LOG_SIZE = 20.0


@dataclass(frozen=True)
class Detections:
    """What was found in one image, best score first.

    boxes float32 [n,4] xyxy in pixels, scores float32 [n] in 0..1, landmarks float32 [n,5,2] xy in pixels,
    or [n,0,2] from a decoder that has none.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, indices: NDArray[np.int64]) -> Detections:
        """The detections at `indices`, in that order."""
        return Detections(self.boxes[indices], self.scores[indices], self.landmarks[indices])

    def to_original(self, geometry: Geometry, clip: bool = False) -> Detections:
        """The same in pixels of the image that `geometry` describes."""
        boxes = geometry.to_original(self.boxes, clip)
        return Detections(boxes, self.scores, geometry.to_original(self.landmarks, clip))


@dataclass(frozen=True)
class DecoderSpec:
    """Which decoder, and the anchors that the network was trained with; `variance` scales centre and size."""

    kind: str
    strides: Tuple[int, ...] = (8, 16, 32)
    min_sizes: Tuple[Tuple[int, ...], ...] = ((16, 32), (64, 128), (256, 512))
    variance: Tuple[float, float] = (0.1, 0.2)


def decode(
    heads: Mapping[str, NDArray[np.float32]],
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
    Raises ConfigError for an unknown decoder, SessionError for heads that do not fit the decoder.
    """
    if spec.kind not in DECODERS:
        near = nearest(spec.kind, DECODERS)
        hint = f"did you mean `{near}`?" if near else f"allowed: {', '.join(DECODERS)}"
        raise ConfigError(f"decoder: kind: unknown: {spec.kind}", hint)
    found = DECODERS[spec.kind](heads, spec, input_hw, confidence)
    if geometries is not None:
        found = [found[i].to_original(geometry) for i, geometry in enumerate(geometries)]
    return [faces.take(nms(faces.boxes, faces.scores, nms_iou)) for faces in found]


def decode_retinaface(
    heads: Mapping[str, NDArray[np.float32]], spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float
) -> List[Detections]:
    """Candidates of RetinaFace before NMS.

    Heads are told apart by their last dimension: scores [B,A,2] (softmax done in the network), box offsets
    [B,A,4], landmark offsets [B,A,10]; A is the number of priors.
    """
    priors = prior_boxes(input_hw[0], input_hw[1], spec.strides, spec.min_sizes)
    by_width = {width: _head(heads, width, len(priors)) for width in (2, 4, 10)}
    if len({len(head) for head in by_width.values()}) != 1:
        raise SessionError(f"retinaface: batch differs between heads: {_shapes(heads)}")
    found = []
    for conf, loc, landm in zip(by_width[2], by_width[4], by_width[10]):  # noqa: B905
        at = np.flatnonzero(conf[:, 1] >= confidence)
        anchors = priors[at]
        boxes = _boxes(loc[at], anchors, spec.variance, input_hw)
        found.append(Detections(boxes, conf[at, 1], _landmarks(landm[at], anchors, spec.variance, input_hw)))
    return found


def decode_none(
    heads: Mapping[str, NDArray[np.float32]], spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float
) -> List[Detections]:
    """No detections, for models that are compared by their tensors only."""
    batch = len(next(iter(heads.values()))) if heads else 0
    boxes, scores, landmarks = (np.empty(shape, np.float32) for shape in ((0, 4), (0,), (0, 0, 2)))
    return [Detections(boxes, scores, landmarks)] * batch


# Candidates per slot, in network pixels, unsorted and before NMS.
Heads = Mapping[str, "NDArray[np.float32]"]
Decoder = Callable[[Heads, DecoderSpec, Tuple[int, int], float], List[Detections]]

DECODERS: Dict[str, Decoder] = {"retinaface": decode_retinaface, "none": decode_none}


def _head(heads: Mapping[str, NDArray[np.float32]], width: int, anchors: int) -> NDArray[np.float32]:
    """The one head [B,anchors,width], checked and as float32."""
    names = [name for name, head in heads.items() if head.ndim == 3 and head.shape[2] == width]
    if len(names) != 1:
        raise SessionError(
            f"retinaface: needs exactly one output [batch, {anchors}, {width}]: {_shapes(heads)}",
            hint="is this the model that the decoder was written for?",
        )
    head = np.asarray(heads[names[0]], np.float32)
    if head.shape[1] != anchors:
        raise SessionError(
            f"retinaface: output `{names[0]}`: needs {anchors} anchors, has: {head.shape[1]}",
            hint="input size, strides or min_sizes are not the model's, or it has a batch size baked in",
        )
    if not np.isfinite(head).all():
        raise SessionError(f"retinaface: output `{names[0]}`: has values that are not finite: {_bad(head)}")
    return head


def _boxes(
    loc: NDArray[np.float32],
    priors: NDArray[np.float32],
    variance: Tuple[float, float],
    input_hw: Tuple[int, int],
) -> NDArray[np.float32]:
    size_wh = np.array(input_hw[::-1], np.float32)
    centre = priors[:, :2] + loc[:, :2] * np.float32(variance[0]) * priors[:, 2:]
    half = priors[:, 2:] * np.exp(np.minimum(loc[:, 2:] * np.float32(variance[1]), MAX_LOG_SIZE)) / 2
    return np.concatenate([(centre - half) * size_wh, (centre + half) * size_wh], axis=1)


def _landmarks(
    landm: NDArray[np.float32],
    priors: NDArray[np.float32],
    variance: Tuple[float, float],
    input_hw: Tuple[int, int],
) -> NDArray[np.float32]:
    offsets = landm.reshape(-1, 5, 2) * np.float32(variance[0])
    points = priors[:, None, :2] + offsets * priors[:, None, 2:]
    scaled: NDArray[np.float32] = points * np.array(input_hw[::-1], np.float32)
    return scaled


def _shapes(heads: Mapping[str, NDArray[np.float32]]) -> str:
    return ", ".join(f"{name} {list(head.shape)}" for name, head in heads.items()) or "no outputs"


def _bad(head: NDArray[np.float32]) -> str:
    bad = ~np.isfinite(head)
    return f"{int(bad.sum())} of {head.size}, the first at {[int(i) for i in np.argwhere(bad)[0]]}"
