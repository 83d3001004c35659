"""Faces: average precision by subset; see `measure/average_precision.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bmzoo.errors import ConfigError
from bmzoo.measure.evaluate import CONFIDENCE, evaluate
from bmzoo.measure.metrics.metric import Judged, MetricRow
from bmzoo.measure.picture import Picture
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.predictions.prediction import Prediction


class FacesJudge:
    """Average precision ranks the faces of all pictures together, so they are kept."""

    def __init__(self, pictures: Sequence[Picture], blank: Detections) -> None:
        self._all = pictures
        self._pictures: list[Picture] = []
        self._found: list[Detections] = []

    def add(self, sample: Picture, found: Detections) -> None:
        """Keep the faces found."""
        self._pictures.append(sample)
        self._found.append(found)

    def score(self) -> Judged:
        """By subset; one without faces has no average precision."""
        ap = evaluate(self._found, self._pictures)
        counts = {
            "detections": sum(len(faces) for faces in self._found),
            "faces": {key: sum(len(p.kept[key]) for p in self._all) for key in self._all[0].kept},
        }
        return Judged({k: v for k, v in ap.items() if math.isfinite(v)}, counts)


def _accepts(blank: Prediction) -> None:
    if isinstance(blank, Detections) and blank.names is not None:
        raise ConfigError(
            "evaluate: the ground truth lists faces, and the decoder tells classes apart",
            "annotations in COCO's format are needed: a JSON file with images, annotations and categories",
        )


METRIC = MetricRow(FacesJudge, CONFIDENCE, 0.4, _accepts)
