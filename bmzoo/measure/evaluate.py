"""Evaluation against ground truth: what a network says of a set of pictures, and average precision of faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bmzoo.measure.average_precision import Curve, Predictions, Truth, curves
from bmzoo.runtime.decoders.decode import decode
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.predictions.prediction import only
from bmzoo.runtime.preprocess import prepare_batch
from bmzoo.runtime.settings import fitted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.measure.picture import Picture
    from bmzoo.runtime.engines.session import Session
    from bmzoo.runtime.predictions.prediction import Prediction
    from bmzoo.runtime.settings import Settings

# The confidence of the published figures. Average precision needs the uncertain detections, too.
CONFIDENCE = 0.02


class Readable(Protocol):
    """A picture of a ground truth."""

    def read(self) -> NDArray[np.uint8]:
        """uint8 [height,width,3] BGR. Raises SourceError."""


def predict_each(
    session: Session,
    pictures: Sequence[Readable],
    settings: Settings,
    confidence: float,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Prediction]:
    """What the network says of each picture, in its pixels; `confidence` stands in for that of `settings`.

    NMS runs in pixels of the picture, as in the published samples; in network pixels it would keep other boxes.
    `progress` is called after each batch with the pictures done and their total. Raises SourceError for a
    picture that cannot be read, SessionError and ConfigError for a network that does not fit.
    """
    tensor, settings = fitted(settings, session)
    size = (settings.input.height, settings.input.width)
    batch: NDArray[np.float32] | None = None
    for start in range(0, len(pictures), settings.batch):
        images = [picture.read() for picture in pictures[start : start + settings.batch]]
        batch, geometries = prepare_batch(images, settings.input, settings.batch, batch)
        heads = session.run({tensor.name: batch.astype(tensor.dtype, copy=False)})
        yield from decode(heads, settings.decoder, size, confidence, settings.nms, geometries)
        if progress is not None:
            progress(start + len(images), len(pictures))


def detect_all(
    session: Session,
    pictures: Sequence[Readable],
    settings: Settings,
    confidence: float = CONFIDENCE,
    progress: Callable[[int, int], None] | None = None,
) -> list[Detections]:
    """The same of a network that detects. Raises ConfigError for another."""
    found = list(predict_each(session, pictures, settings, confidence, progress))
    return only(Detections, found, settings.decoder.kind)


def evaluate(
    predictions: Sequence[Detections], pictures: Sequence[Picture], whole_pixels: bool = False
) -> dict[str, float]:
    """Average precision 0..1 by subset; NaN for one without faces. `predictions` go picture by picture.

    With `whole_pixels` corners are cut to integers towards zero first, as in the result files of the
    published samples: to compare with a figure of theirs to the last digit.
    """
    return {subset: curve.ap for subset, curve in evaluation_curves(predictions, pictures, whole_pixels).items()}


def evaluation_curves(
    predictions: Sequence[Detections], pictures: Sequence[Picture], whole_pixels: bool = False
) -> dict[str, Curve]:
    """Like `evaluate`, with precision and recall at each threshold."""
    found = [Predictions(_xywh(faces.boxes, whole_pixels), faces.scores) for faces in predictions]
    return curves(found, [Truth(picture.boxes, picture.kept) for picture in pictures])


def _xywh(boxes: NDArray[np.float32], whole_pixels: bool) -> NDArray[np.float64]:
    corners = np.asarray(boxes, np.float64)
    if whole_pixels:
        corners = np.trunc(corners)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
