"""What a segmentation network says of one picture: a class for every pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

import cv2
import numpy as np

from bmzoo.runtime.predictions.drawing import Plate, colour, write
from bmzoo.runtime.predictions.numbers import named

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.resizing import Geometry

# How much of the picture shows through a class, and the smallest share of it that is named.
THROUGH, NAMED_SHARE = 0.45, 0.01
OUTSIDE = -1


@dataclass(frozen=True)
class Mask:
    """labels int16 [h,w]: the class of each cell of a grid over the network's input, which is `input_hw` pixels.

    `second` int16 [h,w] is the next best class, and `lead` float32 [h,w] in 0..1 by how much of the score the best
    is before it. With a `geometry` the mask is meant for the picture that it describes.
    """

    labels: NDArray[np.int16]
    second: NDArray[np.int16]
    lead: NDArray[np.float32]
    input_hw: Tuple[int, int]
    names: Tuple[str, ...] = ()
    geometry: Optional[Geometry] = None

    def __len__(self) -> int:
        return len(np.unique(self.labels))

    def to_original(self, geometry: Geometry) -> Mask:
        """The same for the picture; its cells stay those of the network until they are drawn or counted."""
        return replace(self, geometry=geometry)

    def spread(self) -> NDArray[np.int16]:
        """The class of each pixel of the picture, int16 [H,W]; OUTSIDE where the network did not see it."""
        geometry = self.geometry
        rows, columns = self.labels.shape
        if geometry is None:
            return self.labels
        by_x, by_y = columns / self.input_hw[1], rows / self.input_hw[0]
        scale_x, scale_y = geometry.scale_x * by_x, geometry.scale_y * by_y
        # Centres of pixels go to centres of cells.
        to_cells = np.array(
            [
                [scale_x, 0, geometry.pad_left * by_x + 0.5 * scale_x - 0.5],
                [0, scale_y, geometry.pad_top * by_y + 0.5 * scale_y - 0.5],
            ]
        )
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        size = (geometry.width, geometry.height)
        spread = cv2.warpAffine(
            self.labels, to_cells, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=(OUTSIDE,)
        )
        return np.asarray(spread, np.int16)

    def drawn(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of `image`, uint8 [H,W,3] BGR, coloured by class but for class 0, with their names."""
        spread = self.spread()
        canvas = image.copy()
        plates: List[Plate] = []
        shown = [(label, share) for label, share in self._shares(spread) if label > 0]
        for label, _ in shown:
            at = spread == label
            paint = np.array(colour(label)) * (1 - THROUGH)
            canvas[at] = (canvas[at] * THROUGH + paint).astype(np.uint8)
        for label, share in shown:
            if share >= NAMED_SHARE:
                y, x = (int(values.mean()) for values in np.nonzero(spread == label))
                width = image.shape[1] // 4
                write(
                    canvas, named(label, self.names), (x - width // 2, y, x + width // 2, y), plates, colour(label)
                )
        return canvas

    def lines(self) -> List[str]:
        """`share class` for each class seen, the largest first."""
        shares = self._shares(self.spread())
        return [str(len(shares)), *(f"{share:.4f} {named(label, self.names)}" for label, share in shares)]

    def as_json(self) -> Dict[str, Any]:
        """What share of the picture each class takes."""
        shares = self._shares(self.spread())
        told: Dict[str, Any] = {
            "labels": [label for label, _ in shares],
            "shares": [round(share, 6) for _, share in shares],
        }
        if self.names:
            told["names"] = [named(label, self.names) for label, _ in shares]
        return told

    def _shares(self, spread: NDArray[np.int16]) -> List[Tuple[int, float]]:
        labels, counts = np.unique(spread[spread != OUTSIDE], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return [(int(labels[i]), float(counts[i] / spread.size)) for i in order]
