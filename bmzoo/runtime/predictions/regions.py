"""Slanted rectangles in one picture, such as lines of text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Dict, List

import cv2
import numpy as np

from bmzoo.runtime.predictions.drawing import BOX, line_width, on_canvas
from bmzoo.runtime.predictions.numbers import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.resizing import Geometry


@dataclass(frozen=True)
class Regions:
    """quads float32 [n,4,2] xy in pixels, clockwise from the top left; scores float32 [n] in 0..1, best first."""

    quads: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)

    def to_original(self, geometry: Geometry) -> Regions:
        """The same in pixels of the picture that `geometry` describes."""
        return replace(self, quads=geometry.to_original(self.quads))

    def drawn(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of `image`, uint8 [H,W,3] BGR, with an outline for each: a score would hide what lies inside."""
        canvas = image.copy()
        corners = [np.array(on_canvas(canvas, quad), np.int32) for quad in self.quads]
        cv2.polylines(canvas, corners, True, BOX, line_width(canvas), cv2.LINE_AA)
        return canvas

    def lines(self) -> List[str]:
        """How many, then `x1 y1 x2 y2 x3 y3 x4 y4 score` for each."""
        lines = [str(len(self))]
        for quad, score in zip(self.quads, self.scores):  # noqa: B905  # Python 3.8
            lines.append(f"{' '.join(str(int(value)) for value in quad.reshape(-1))} {score!s}")
        return lines

    def as_json(self) -> Dict[str, Any]:
        """Corners x, y of each, clockwise from the top left."""
        return {"quads": numbers(self.quads), "scores": numbers(self.scores)}
