"""What a detector found in one picture: boxes, with keypoints where the network has some."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

import numpy as np

from bmzoo.runtime.predictions.drawing import draw_boxes
from bmzoo.runtime.predictions.numbers import named, numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.resizing import Geometry

_UNSET = np.empty(0, np.int64)


@dataclass(frozen=True)
class Detections:
    """What was found in one image, best score first.

    boxes float32 [n,4] xyxy in pixels, scores float32 [n] in 0..1, landmarks float32 [n,K,2] xy in pixels,
    or [n,0,2] from a decoder that has none; `point_scores` float32 [n,K] in 0..1 where the network scores them.
    labels int64 [n]: the classes, 0 where left out. `names` are those of the classes, empty where they are not
    known, and None from decoders of a single class, which list and draw no labels.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    labels: NDArray[np.int64] = _UNSET
    point_scores: Optional[NDArray[np.float32]] = None
    names: Optional[Tuple[str, ...]] = None

    def __post_init__(self) -> None:
        if self.labels is _UNSET:
            object.__setattr__(self, "labels", np.zeros(len(self.scores), np.int64))

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, indices: NDArray[np.int64]) -> Detections:
        """The detections at `indices`, in that order."""
        sure = None if self.point_scores is None else self.point_scores[indices]
        return replace(
            self,
            boxes=self.boxes[indices],
            scores=self.scores[indices],
            landmarks=self.landmarks[indices],
            labels=self.labels[indices],
            point_scores=sure,
        )

    def to_original(self, geometry: Geometry, clip: bool = False) -> Detections:
        """The same in pixels of the image that `geometry` describes."""
        boxes = geometry.to_original(self.boxes, clip)
        return replace(self, boxes=boxes, landmarks=geometry.to_original(self.landmarks, clip))

    def drawn(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of `image`, uint8 [H,W,3] BGR, with boxes, points and scores, the best on top."""
        labels = None if self.names is None else self.labels.tolist()
        names = None if self.names is None else [named(label, self.names) for label in self.labels.tolist()]
        texts = [f"{score:.2f}" for score in self.scores]
        if names is not None:
            texts = [f"{name} {text}" for name, text in zip(names, texts)]  # noqa: B905  # Python 3.8
        return draw_boxes(image, self.boxes, self.landmarks, texts, labels, self.point_scores)

    def lines(self) -> List[str]:
        """As the published samples write them: how many, then `x y w h score ` for each, and its class if any.

        Corners are cut to whole pixels before the size is taken, and the space at the end belongs to the format.
        """
        lines = [str(len(self))]
        for i in range(len(self)):
            x1, y1, x2, y2 = (int(value) for value in self.boxes[i])
            label = "" if self.names is None else named(int(self.labels[i]), self.names)
            lines.append(f"{x1} {y1} {x2 - x1} {y2 - y1} {self.scores[i]!s} {label}")
        return lines

    def as_json(self) -> Dict[str, Any]:
        """Boxes are x1, y1, x2, y2 and landmarks x, y."""
        told: Dict[str, Any] = {
            "boxes": numbers(self.boxes),
            "scores": numbers(self.scores),
            "landmarks": numbers(self.landmarks),
        }
        if self.names is not None:
            told["labels"] = self.labels.tolist()
        if self.names:
            told["names"] = [named(label, self.names) for label in told["labels"]]
        if self.point_scores is not None:
            told["point_scores"] = numbers(self.point_scores)
        return told


def nothing() -> Detections:
    """No detections, from a decoder without landmarks."""
    return Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 0, 2), np.float32))
