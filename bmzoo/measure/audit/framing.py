"""Pictures shown so that a network shows what it hardly does otherwise: whether it minds shape and padding. Pure.

Letterboxed and stretched objects differ in size as well, and any network finds larger ones more easily. So shapes
are compared at one size: a picture made twice as wide for its height, or half as wide, beside itself, each of the
same area. Padding is compared where there is much of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

# Pictures of nearly the network's own shape are hardly stretched, and hardly padded.
_SAME_SHAPE = 1.1

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Framing:
    """`aspect`: by what width to height is multiplied, and the area kept. `margin`: the sides of what is shown, in
    those of the picture, which lies top left on the colour of the padding.
    """

    aspect: float = 1.0
    margin: float = 1.0

    def shown(self, picture: Picture, colour: int) -> tuple[Picture, tuple[int, int]]:
        """What to feed in place of a picture, uint8 [H,W,3], and the size of the picture there, width first."""
        if self == AS_GIVEN:
            return picture, (picture.shape[1], picture.shape[0])
        rows, columns = picture.shape[:2]
        size = (max(1, round(columns * sqrt(self.aspect))), max(1, round(rows / sqrt(self.aspect))))
        shape = (max(size[1], round(rows * self.margin)), max(size[0], round(columns * self.margin)), 3)
        canvas = np.full(shape, colour, np.uint8)
        canvas[: size[1], : size[0]] = picture if self.aspect == 1 else cv2.resize(picture, size)
        return canvas, size


AS_GIVEN = Framing()
MOSTLY_PADDING = Framing(margin=1 / 0.6)
KEPT, DISTORTED = Framing(margin=sqrt(2)), (Framing(2.0, sqrt(2)), Framing(0.5, sqrt(2)))


def are_distorted(pictures: Sequence[Picture], height: int, width: int) -> bool:
    """Whether most pictures are of another shape than the input, so that resize and padding matter at all."""
    changes = [abs(log(one.shape[1] * height / (one.shape[0] * width))) for one in pictures]
    return bool(np.median(changes) > log(_SAME_SHAPE))
