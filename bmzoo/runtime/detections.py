"""What a detector found in one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.preprocess import Geometry


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


def nothing() -> Detections:
    """No detections, from a decoder without landmarks."""
    return Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 0, 2), np.float32))
