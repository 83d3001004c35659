"""Anchor boxes ("priors") of single-shot detectors such as RetinaFace."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Sequence, Tuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@lru_cache(maxsize=16)
def prior_boxes(
    height: int,
    width: int,
    strides: Tuple[int, ...] = (8, 16, 32),
    min_sizes: Tuple[Tuple[int, ...], ...] = ((16, 32), (64, 128), (256, 512)),
) -> NDArray[np.float32]:
    """Priors of a network input of height x width pixels: float32 [A,4] as cx, cy, w, h in 0..1, read-only.

    Stride by stride; in each, ceil(size / stride) cells in row-major order; in each cell the sizes in order.
    16,800 at 640x640. Layout: the RetinaFace paper's reference implementation.
    """
    levels = [_level(height, width, stride, sizes) for stride, sizes in zip(strides, min_sizes)]  # noqa: B905
    priors = np.concatenate(levels).astype(np.float32)
    priors.flags.writeable = False  # the cache hands the same array to everyone
    return priors


def _level(height: int, width: int, stride: int, sizes: Sequence[int]) -> NDArray[np.float64]:
    rows, columns = math.ceil(height / stride), math.ceil(width / stride)
    boxes = np.empty((rows, columns, len(sizes), 4), np.float64)
    boxes[..., 0] = ((np.arange(columns) + 0.5) * stride / width)[None, :, None]
    boxes[..., 1] = ((np.arange(rows) + 0.5) * stride / height)[:, None, None]
    boxes[..., 2] = np.asarray(sizes) / width
    boxes[..., 3] = np.asarray(sizes) / height
    return boxes.reshape(-1, 4)
