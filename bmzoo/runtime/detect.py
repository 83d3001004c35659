"""Pictures in, predictions out: reading, batching, inference and decoding as one stream that keeps the order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterable, Iterator, List, Optional

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.decoders.decode import BadOutputs, decode
from bmzoo.runtime.decoders.heads import Heads
from bmzoo.runtime.pictures import Frame, Source, read_frames
from bmzoo.runtime.preprocess import InputSpec, prepare_into
from bmzoo.runtime.report import Report
from bmzoo.runtime.resizing import Geometry
from bmzoo.runtime.settings import Settings, fitted

if TYPE_CHECKING:
    from bmzoo.runtime.engines.session import Session
    from bmzoo.runtime.predictions.prediction import Prediction


@dataclass(frozen=True)
class Result:
    """A picture or frame and what was found in it, in its own pixels, not cut off at its edges."""

    frame: Frame
    found: Prediction


def detect(
    session: Session,
    inputs: Iterable[Source],
    settings: Settings,
    report: Optional[Report] = None,
    every: int = 1,
) -> Iterator[Result]:
    """Results in the order of `inputs` (from `pictures.find`), of videos each `every`-th frame.

    What is damaged is skipped in `report`, which also takes the stages' times; the rest comes all the same.
    Raises SessionError and ConfigError when model and settings do not fit each other.
    """
    report = report or Report()
    return detect_frames(session, read_frames(inputs, report, every), settings, report)


def detect_frames(
    session: Session, frames: Iterable[Frame], settings: Settings, report: Optional[Report] = None
) -> Iterator[Result]:
    """The same for pictures that are in memory."""
    report = report or Report()
    tensor, settings = fitted(settings, session)
    batch: Optional[_Batch] = None
    for frame in frames:
        spec = settings.spec_for(*frame.image.shape[:2])
        if batch is not None and batch.spec != spec:
            yield from _finish(session, batch, settings, report)
            batch = None
        try:
            with report.times.stage("preprocess"):
                batch = batch or _Batch(spec, settings.batch, tensor.name, tensor.dtype)
                batch.add(frame)
        except SessionError as error:
            report.skip(frame.name, SessionError(f"{frame.name}: {error.message}", error.hint))
            continue
        if len(batch.frames) == settings.batch:
            yield from _finish(session, batch, settings, report)
            batch.clear()
    if batch is not None:
        yield from _finish(session, batch, settings, report)


class _Batch:
    """Slots of one run of the network, then of the next: a new tensor would cost more than filling it."""

    def __init__(self, spec: InputSpec, slots: int, name: str, dtype: str) -> None:
        self.spec, self.name, self.dtype = spec, name, dtype
        self.array = np.empty((slots, *spec.shape), np.float32)
        self.clear()

    def clear(self) -> None:
        self.frames: List[Frame] = []
        self.geometries: List[Geometry] = []

    def add(self, frame: Frame) -> None:
        self.geometries.append(prepare_into(frame.image, self.spec, self.array[len(self.frames)]))
        self.frames.append(frame)


def _finish(session: Session, batch: _Batch, settings: Settings, report: Report) -> Iterator[Result]:
    if not batch.frames:
        return
    images = len(batch.frames)
    batch.array[images:] = 0  # slots not used, with pictures of an earlier run or nothing in them
    with report.times.stage("inference", images):
        heads = session.run({batch.name: batch.array.astype(batch.dtype, copy=False)})
    with report.times.stage("postprocess", images):
        found = _decode(heads, batch, settings, report)
    for i, frame in enumerate(batch.frames):
        one = found[i]
        if one is not None:
            yield Result(frame, one)


def _decode(heads: Heads, batch: _Batch, settings: Settings, report: Report) -> List[Optional[Prediction]]:
    """Predictions by frame; where one frame's outputs are no numbers, None for that one alone."""
    try:
        return [*_decode_slots(heads, batch, settings, slice(0, len(batch.frames)))]
    except BadOutputs:
        return [_decode_one(heads, batch, i, settings, report) for i in range(len(batch.frames))]


def _decode_one(heads: Heads, batch: _Batch, i: int, settings: Settings, report: Report) -> Optional[Prediction]:
    alone = {name: head[i : i + 1] for name, head in heads.items()} if len(batch.array) > 1 else heads
    try:
        return _decode_slots(alone, batch, settings, slice(i, i + 1))[0]
    except BadOutputs as error:
        name = batch.frames[i].name
        report.skip(name, BadOutputs(f"{name}: {error.message}", error.hint))
        return None


def _decode_slots(heads: Heads, batch: _Batch, settings: Settings, slots: slice) -> List[Prediction]:
    size = (batch.spec.height, batch.spec.width)
    geometries = batch.geometries[slots]
    return decode(heads, settings.decoder, size, settings.confidence, settings.nms, geometries)
