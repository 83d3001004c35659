"""Objects of several classes: average precision as COCO takes it, by pycocotools."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bmzoo.errors import SourceError
from bmzoo.measure.metrics.metric import Judged, MetricRow
from bmzoo.measure.truths.class_words import by_order, class_numbers

if TYPE_CHECKING:
    from bmzoo.measure.truths.coco import Objects
    from bmzoo.measure.truths.sample import Sample
    from bmzoo.runtime.predictions.detections import Detections

Rows = list[dict[str, Any]]

# Of each class pycocotools counts the best 100 of a picture; YOLO's published figures keep 300 of a picture in all.
MOST = 300
# Only these have published sigmas.
_KEYPOINTS = 17
_FIGURES = ("mAP", "AP50", "AP75", "small", "medium", "large")


class ObjectsJudge:
    """Keeps the best boxes of each picture: average precision ranks those of all pictures together."""

    def __init__(self, samples: Sequence[Sample], blank: Detections) -> None:
        self._where = samples[0].path.parent
        self._categories: tuple[str, ...] = samples[0].answer.categories
        self._labels = _category_of(self._categories, blank)
        self._named = bool(blank.names)
        self._images: Rows = []
        self._truth: Rows = []
        self._found: Rows = []
        points = {one.answer.points.shape[1] for one in samples} | {blank.landmarks.shape[1]}
        self._points = points - {0} == {_KEYPOINTS} and blank.landmarks.shape[1] == _KEYPOINTS

    def add(self, sample: Sample, found: Detections) -> None:
        """Note the objects of a picture and what was found; classes that the ground truth lacks are left out."""
        number = len(self._images) + 1
        self._images.append({"id": number})
        self._truth += _truth_rows(sample.answer, number, len(self._truth))
        known = [i for i, label in enumerate(found.labels.tolist()) if self._category(label) is not None]
        best = np.array(known, np.int64)[np.argsort(-found.scores[known], kind="stable")][:MOST]
        for index in best.tolist():
            self._found.append(self._row(found, index, number))

    def score(self) -> Judged:
        """The six figures of the published tables, without those that no object is there for."""
        figures = dict(zip(_FIGURES, self._stats("bbox"), strict=False))
        if self._points:
            figures["keypoints"] = self._stats("keypoints")[0]
        counts = {
            "detections": len(self._found),
            "objects": len(self._truth),
            "classes": len(self._categories),
        }
        return Judged({key: float(value) for key, value in figures.items() if value >= 0}, counts)

    def _category(self, label: int) -> int | None:
        """The category of a class; None where the ground truth has none for it. Raises SourceError."""
        if not self._named and label >= len(self._categories):
            raise SourceError(
                f"{self._where}: {len(self._categories)} categories, and the network found class {label}",
                "without decoder.classes the categories must be the network's, in its order",
            )
        return self._labels.get(label)

    def _row(self, found: Detections, index: int, image: int) -> dict[str, Any]:
        x1, y1, x2, y2 = found.boxes[index].tolist()
        row = {
            "id": len(self._found) + 1,
            "image_id": image,
            "category_id": self._category(int(found.labels[index])),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
            "score": float(found.scores[index]),
        }
        if self._points:
            triples = np.concatenate([found.landmarks[index], np.ones((_KEYPOINTS, 1))], axis=1)
            row["keypoints"] = triples.ravel().tolist()
        return row

    def _stats(self, what: str) -> list[float]:
        with redirect_stdout(io.StringIO()):  # it tells how far it is
            truth = _indexed(self._images, self._truth, self._categories)
            found = _indexed(self._images, self._found, self._categories)
            evaluation = COCOeval(truth, found, what)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        stats: list[float] = evaluation.stats.tolist()
        return stats


def _category_of(categories: tuple[str, ...], blank: Detections) -> dict[int, int]:
    """Class of the network -> category, from 1 on; by name, or by order. Raises SourceError."""
    names = blank.names or ()
    if not names or by_order(categories, names, len(names)):
        return {index: index + 1 for index in range(len(categories))}
    where = {name: f"category {name}" for name in categories}
    numbers = class_numbers(where, names, len(names))
    return {number: categories.index(name) + 1 for name, number in numbers.items()}


def _truth_rows(objects: Objects, image: int, start: int) -> Rows:
    """Numbered from 1 on: pycocotools takes an id of 0 for no match."""
    return [
        {
            "id": start + index + 1,
            "image_id": image,
            "category_id": int(objects.classes[index]) + 1,
            "bbox": objects.boxes[index].tolist(),
            "area": float(objects.areas[index]),
            "iscrowd": int(objects.crowds[index]),
            "keypoints": objects.points[index].ravel().tolist(),
            "num_keypoints": int((objects.points[index, :, 2] > 0).sum()),
        }
        for index in range(len(objects.boxes))
    ]


def _indexed(images: Rows, rows: Rows, categories: Sequence[str]) -> COCO:
    coco = COCO()
    kinds = [{"id": index + 1, "name": name} for index, name in enumerate(categories)]
    coco.dataset = {"images": images, "annotations": [dict(row) for row in rows], "categories": kinds}
    coco.createIndex()
    return coco


# The lowest score and the overlap of the published figures of YOLO v5 and X lie at 0.001 and 0.01, 0.6 and 0.65.
METRIC = MetricRow(ObjectsJudge, 0.001, 0.65)
