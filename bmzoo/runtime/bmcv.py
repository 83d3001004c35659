"""What of BMCV's arithmetic is known, for all who play it. What it rests on: docs/runtime-and-sail.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def nearest_pixels(source: int, target: int) -> NDArray[np.intp]:
    """The row or column of `source` that BMCV_INTER_NEAREST takes for each of `target`, int [target].

    The whole part of the position, counted from the corner, in float32: a ratio of the sizes, a product for each.
    """
    ratio = np.float32(source) / np.float32(target)
    positions = (np.arange(target, dtype=np.float32) * ratio).astype(np.intp)
    return np.minimum(positions, source - 1)
