"""What decoders share: what each has to offer, and finding the heads it wants among a network's outputs.

Heads are told apart by shape, since compilers rename outputs; only what shapes cannot decide goes by order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.decoders.spec import DecoderSpec
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.preprocess import InputSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.predictions.prediction import Prediction


@dataclass(frozen=True)
class Candidates:
    """What may be an object in one slot, before suppression: unsorted, in network pixels.

    boxes float32 [n,4] xyxy, scores float32 [n]; `landmarks` gives those of the candidates at the indices asked
    for, float32 [k,K,2] xy or [k,0,2], as most candidates are suppressed and need none. labels int64 [n] where the
    network tells classes apart, `names` theirs, and point_scores float32 [n,K] where it scores points.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: Callable[[NDArray[np.int64]], NDArray[np.float32]]
    labels: Optional[NDArray[np.int64]] = None
    names: Tuple[str, ...] = ()
    point_scores: Optional[NDArray[np.float32]] = None

    @staticmethod
    def of(faces: Detections) -> Candidates:
        """The same where the landmarks are there already, of one class."""
        return Candidates(faces.boxes, faces.scores, lambda at: faces.landmarks.take(at, 0))


# Outputs by name, in network order.
Heads = Mapping[str, "NDArray[np.float32]"]


def by_name(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, NDArray[np.float32]]:
    """Outputs whose meaning is not known."""
    return dict(heads)


@dataclass(frozen=True)
class DecoderRow:
    """One kind of heads, as its module offers it under the name DECODER: with `candidates` or `predictions`.

    Both take outputs, settings, the network's size (height, width) and the lowest score 0..1. `candidates` are
    boxes of each slot of the batch, which `decode` suppresses: class by class, with sides that count pixels where
    `plus_one` says so, not at all without `suppress`. `predictions` gives whatever else there is for each slot, in
    network pixels. They raise SessionError for heads that are not of this kind, of these BadOutputs for values that
    are not finite.
    `parts` takes the outputs for one picture, and gives them by meaning, anchors first: scores [A,C], boxes [A,4],
    landmarks [A,2K] where there are; a quantized network is judged by them. Raises SessionError.
    `input` is what the published networks of this kind take.
    """

    candidates: Optional[Callable[[Heads, DecoderSpec, Tuple[int, int], float], List[Candidates]]] = None
    parts: Callable[[Heads, DecoderSpec, Tuple[int, int]], Dict[str, NDArray[np.float32]]] = by_name
    input: InputSpec = InputSpec(640, 640, "bgr", (104.0, 117.0, 123.0), (1.0,) * 3, "letterbox")  # noqa: RUF009
    predictions: Optional[Callable[[Heads, DecoderSpec, Tuple[int, int], float], Sequence[Prediction]]] = None
    plus_one: bool = True
    suppress: bool = True


class BadOutputs(SessionError):
    """The network gave values that are no numbers; the next input may be fine."""


@dataclass(frozen=True)
class Level:
    """The heads of one stride as rows: [B,A,width] by width, A = rows * columns * anchors per cell."""

    stride: int
    rows: int
    columns: int
    anchors: int
    heads: Dict[int, NDArray[np.float32]]

    def corners(self) -> NDArray[np.float32]:
        """Where each anchor's cell begins, top left in network pixels: float32 [A,2] xy."""
        y, x = np.mgrid[: self.rows, : self.columns]
        cells = np.stack([x, y], axis=-1).reshape(-1, 2) * self.stride
        corners: NDArray[np.float32] = np.repeat(cells, self.anchors, axis=0).astype(np.float32)
        return corners


def one_head(kind: str, heads: Heads, width: int, anchors: Optional[int] = None) -> NDArray[np.float32]:
    """The only head [B,anchors,width], checked and as float32; any number of anchors when left out."""
    names = [name for name, head in heads.items() if head.ndim == 3 and head.shape[2] == width]
    if len(names) != 1:
        wanted = f"[batch, {'anchors' if anchors is None else anchors}, {width}]"
        raise SessionError(
            f"{kind}: needs exactly one output {wanted}: {shapes(heads)}",
            hint="is this the model that the decoder was written for?",
        )
    head = heads[names[0]]
    if anchors not in (None, head.shape[1]):
        raise SessionError(
            f"{kind}: output `{names[0]}`: needs {anchors} anchors, has: {head.shape[1]}",
            hint="input size, strides or min_sizes are not the model's, or it has a batch size baked in",
        )
    return finite(kind, names[0], head)


def levels(
    kind: str, heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], widths: Sequence[int]
) -> List[Level]:
    """One Level per stride, with a head for each of `widths` numbers per anchor.

    Outputs may be rows [A,width] or [B,A,width], or maps [B,anchors*width,H,W].
    """
    left, found = dict(heads), []
    for stride, sizes in zip(spec.strides, spec.min_sizes):  # noqa: B905  # Python 3.8
        level = Level(stride, -(-input_hw[0] // stride), -(-input_hw[1] // stride), len(sizes), {})
        for width in widths:
            level.heads[width] = _take(kind, left, level, width, heads)
        found.append(level)
    if len({len(head) for level in found for head in level.heads.values()}) != 1:
        raise SessionError(f"{kind}: batch differs between heads: {shapes(heads)}")
    return found


def joined(parts: Sequence[Detections]) -> Candidates:
    """The candidates of several levels as one."""
    boxes, scores = (np.concatenate([getattr(part, key) for part in parts]) for key in ("boxes", "scores"))
    return Candidates.of(Detections(boxes, scores, np.concatenate([part.landmarks for part in parts])))


def parts_of(
    strides: Sequence[Level], scores: Callable[[Level], NDArray[np.float32]]
) -> Dict[str, NDArray[np.float32]]:
    """`Decoder.parts` of heads by stride; `scores` takes one stride's out of its heads, [A,1]."""
    parts = {"scores": np.concatenate([scores(level) for level in strides])}
    for name, width in (("boxes", 4), ("landmarks", 10)):
        if width in strides[0].heads:
            parts[name] = np.concatenate([level.heads[width][0] for level in strides])
    return parts


def finite(kind: str, name: str, head: NDArray[Any]) -> NDArray[np.float32]:
    """The head as float32. Raises BadOutputs for NaN and infinity."""
    values = np.asarray(head, np.float32)
    if not np.isfinite(values).all():
        bad = ~np.isfinite(values)
        count = f"{int(bad.sum())} of {bad.size}, the first at {[int(i) for i in np.argwhere(bad)[0]]}"
        raise BadOutputs(f"{kind}: output `{name}`: has values that are not finite: {count}")
    return values


def shapes(heads: Heads) -> str:
    """Names and shapes, for messages."""
    return ", ".join(f"{name} {list(head.shape)}" for name, head in heads.items()) or "no outputs"


def _take(
    kind: str, left: Dict[str, NDArray[np.float32]], level: Level, width: int, heads: Heads
) -> NDArray[np.float32]:
    """Remove from `left` the first head that fits, and give it as rows [B,A,width]."""
    for name, head in left.items():
        rows = _as_rows(head, level, width)
        if rows is not None:
            del left[name]
            return finite(kind, name, rows)
    count = level.rows * level.columns * level.anchors
    flat, maps = f"[batch, {count}, {width}]", f"[batch, {level.anchors * width}, {level.rows}, {level.columns}]"
    raise SessionError(
        f"{kind}: no output is {flat} or {maps}, as stride {level.stride} needs: {shapes(heads)}",
        hint="is this the model that the decoder was written for, and are input size and strides right?",
    )


def _as_rows(head: NDArray[np.float32], level: Level, width: int) -> Optional[NDArray[np.float32]]:
    count = level.rows * level.columns * level.anchors
    if head.ndim in (2, 3) and head.shape[-2:] == (count, width):
        return head.reshape(-1, count, width)
    if head.ndim == 4 and head.shape[1:] == (level.anchors * width, level.rows, level.columns):
        return head.transpose(0, 2, 3, 1).reshape(-1, count, width)
    return None
