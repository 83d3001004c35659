"""Predictions from the plain dicts that a decoder of the user's own gives, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from bmzoo.errors import ConfigError, nearest
from bmzoo.runtime.predictions.classes import Classes
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.predictions.mask import Mask
from bmzoo.runtime.predictions.points import PointSet
from bmzoo.runtime.predictions.regions import Regions
from bmzoo.runtime.predictions.text import Text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.decoders.spec import DecoderSpec
    from bmzoo.runtime.predictions.prediction import Prediction

    Array = NDArray[np.float32]

Size = Tuple[int, int]


class PluginValues:
    """What is given for one picture: arrays by key, taken one by one, each with its shape. Raises ConfigError."""

    def __init__(self, where: str, values: Any) -> None:
        if not isinstance(values, Mapping):
            raise ConfigError(f"{where}: decode must give a dict for each picture: {type(values).__name__}")
        self._where, self._values = where, dict(values)
        self._sizes: Dict[str, int] = {}

    def take(self, key: str, shape: Sequence[Any]) -> Array:
        """A key's values as float32; letters in the shape stand for sizes, the same for all keys."""
        found = self.take_if(key, shape)
        if found is None:
            have = ", ".join(map(str, self._values)) or "nothing"
            raise ConfigError(f"{self._where}: decode gives no `{key}`: {have}")
        return found

    def take_if(self, key: str, shape: Sequence[Any]) -> Optional[Array]:
        """The same, None where it is left out."""
        if key not in self._values:
            return None
        try:
            values = np.asarray(self._values.pop(key), np.float32)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{self._where}: `{key}` is not an array of numbers: {error}") from None
        if not values.size and shape[0] == "n":  # [] says nothing of the other sides
            others = [self._sizes.get(side, 0) if isinstance(side, str) else side for side in shape[1:]]
            values = np.empty([0, *others], np.float32)
        fits = values.ndim == len(shape)
        for side, size in zip(shape, values.shape):  # noqa: B905  # Python 3.8
            fits = fits and size == (self._sizes.setdefault(side, size) if isinstance(side, str) else side)
        if not fits:
            wanted = ", ".join(str(self._sizes.get(side, side)) for side in shape)
            raise ConfigError(f"{self._where}: `{key}` must be [{wanted}]: {list(values.shape)}")
        if not np.isfinite(values).all():
            raise ConfigError(f"{self._where}: `{key}` has values that are not finite")
        return values

    def finish(self, known: Sequence[str]) -> None:
        """Raises ConfigError for a key that nobody took."""
        for key in self._values:
            near = nearest(str(key), known)
            raise ConfigError(f"{self._where}: unknown key: `{key}`", f"did you mean `{near}`?" if near else "")


def _detections(given: PluginValues, spec: DecoderSpec, size: Size) -> Prediction:
    scores = given.take("scores", ("n",))
    boxes = given.take("boxes", ("n", 4))
    labels = given.take_if("labels", ("n",))
    points = given.take_if("landmarks", ("n", "k", 2))
    sure = given.take_if("point_scores", ("n", "k"))
    given.finish(("scores", "boxes", "labels", "landmarks", "point_scores"))
    points = np.empty((len(scores), 0, 2), np.float32) if points is None else points
    found = Detections(boxes, scores, points, point_scores=sure)
    if labels is not None or spec.classes:
        numbers = np.zeros(len(scores)) if labels is None else labels
        found = Detections(boxes, scores, points, numbers.astype(np.int64), sure, spec.classes)
    return found.take(np.argsort(-scores, kind="stable"))


def _classes(given: PluginValues, spec: DecoderSpec, size: Size) -> Prediction:
    scores = given.take("scores", ("c",))
    given.finish(("scores",))
    order = np.argsort(-scores, kind="stable").astype(np.int64)
    return Classes(order, scores[order], spec.classes)


def _mask(given: PluginValues, spec: DecoderSpec, size: Size) -> Prediction:
    labels = given.take("labels", ("h", "w")).astype(np.int16)
    given.finish(("labels",))
    return Mask(labels, labels, np.ones(labels.shape, np.float32), size, spec.classes)


def _regions(given: PluginValues, spec: DecoderSpec, size: Size) -> Prediction:
    scores = given.take("scores", ("n",))
    quads = given.take("quads", ("n", 4, 2))
    given.finish(("scores", "quads"))
    order = np.argsort(-scores, kind="stable")
    return Regions(quads[order], scores[order])


def _text(given: PluginValues, spec: DecoderSpec, size: Size) -> Prediction:
    scores, labels = given.take("scores", ("n",)), given.take("labels", ("n",))
    given.finish(("scores", "labels"))
    return Text(labels.astype(np.int64), scores, scores, spec.characters)


def _points(given: PluginValues, spec: DecoderSpec, size: Size) -> Prediction:
    points = given.take("points", ("k", 2))
    given.finish(("points",))
    return PointSet(points)


BUILDERS: Dict[str, Callable[[PluginValues, DecoderSpec, Size], Prediction]] = {
    "detections": _detections,
    "classes": _classes,
    "mask": _mask,
    "regions": _regions,
    "text": _text,
    "points": _points,
}
