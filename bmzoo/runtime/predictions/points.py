"""Keypoints of what fills the picture, such as the landmarks of a face that was cut out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List

from bmzoo.runtime.predictions.drawing import draw_points, line_width
from bmzoo.runtime.predictions.numbers import numbers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bmzoo.runtime.resizing import Geometry


@dataclass(frozen=True)
class PointSet:
    """points float32 [K,2] xy in pixels."""

    points: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.points)

    def to_original(self, geometry: Geometry) -> PointSet:
        """The same in pixels of the picture that `geometry` describes."""
        return PointSet(geometry.to_original(self.points))

    def drawn(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of `image`, uint8 [H,W,3] BGR, with a dot for each."""
        canvas = image.copy()
        draw_points(canvas, self.points, 2 * line_width(canvas))
        return canvas

    def lines(self) -> List[str]:
        """How many, then `x y` for each."""
        return [str(len(self)), *(f"{x:.2f} {y:.2f}" for x, y in self.points.tolist())]

    def as_json(self) -> Dict[str, Any]:
        """x, y of each."""
        return {"points": numbers(self.points)}
