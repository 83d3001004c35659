"""How near poses are to each other: object keypoint similarity (OKS), as COCO measures keypoints.

https://cocodataset.org/#keypoints-eval: 1 for equal points, 0.5 the loosest that COCO counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.predictions.detections import Detections

# The points of a face are an extra of its box; more of them are what a network was asked for.
MOST_OF_A_FACE = 5
# How far people who mark a point lie apart, by the root of the object's area: nose, eyes, ears, shoulders, elbows,
# wrists, hips, knees, ankles; from pycocotools.
_SIGMAS = (0.026, *(0.025,) * 2, *(0.035,) * 2, *(0.079,) * 2, *(0.072,) * 2, *(0.062,) * 2)
COCO_SIGMAS = np.array((*_SIGMAS, *(0.107,) * 2, *(0.087,) * 2, *(0.089,) * 2))
_SEEN = 0.5  # least score of a point of the reference that counts
# Of a box, what an object fills of it: COCO divides by the area of the object.
_FILLED = 0.53


def are_poses(reference: Detections, test: Detections) -> bool:
    """Whether both have points that are compared: more than a face's, and as many."""
    points = {side.landmarks.shape[1] for side in (reference, test)}
    return len(points) == 1 and points.pop() > MOST_OF_A_FACE


def similarity(reference: Detections, test: Detections) -> NDArray[np.float64]:
    """OKS of every pose of the reference with every pose of the test, [n,m] in 0..1; of equal numbers of points.

    Points that the reference is not sure of do not count; a pose without any that is sure agrees with all. Other
    sets of points than COCO's 17 take the mean of its sigmas for each.
    """
    wanted, found = (np.asarray(side.landmarks, np.float64) for side in (reference, test))
    count = wanted.shape[1]
    sigmas = COCO_SIGMAS if count == len(COCO_SIGMAS) else np.full(count, COCO_SIGMAS.mean())
    sides = np.maximum(np.asarray(reference.boxes[:, 2:] - reference.boxes[:, :2], np.float64), 0)
    areas = np.maximum(sides.prod(axis=1) * _FILLED, 1e-9)
    away = ((wanted[:, None] - found[None]) ** 2).sum(axis=3)
    near = np.exp(-away / (2 * areas[:, None, None] * (2 * sigmas) ** 2))
    seen = np.ones(wanted.shape[:2]) if reference.point_scores is None else reference.point_scores >= _SEEN
    total = np.einsum("nmk,nk->nm", near, seen.astype(np.float64))
    number = seen.sum(axis=1, dtype=np.float64)[:, None]
    result: NDArray[np.float64] = np.divide(total, number, out=np.ones_like(total), where=number > 0)
    return result
