"""How much of what a network says of a picture it also says of another: what is there, and surely, in both.

Of a picture and another view of it (mirrored, or a little moved) it is the judge of how a network is fed: one that
is fed rightly finds the same again. What it finds in any picture is no find, so the same of two different pictures
is taken off. Neither needs to be told what is there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.runtime.predictions.classes import Classes
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.predictions.mask import Mask
from bmzoo.runtime.predictions.regions import Regions
from bmzoo.runtime.predictions.text import Text

_IOU = 0.5  # the loosest that COCO counts
_CUT = 0.03  # of each side, where a view is moved
_BACKGROUND = 0
_GRID = 64  # cells a side in which masks are compared
_FARTHEST = 100.0  # sides of the picture: a box beyond is none
_MOST = 200  # objects of a picture that are looked at, the surest first: a network that babbles sees thousands

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Seen:
    """What a network said of a view of a picture. `size`: its pixels, width first, top left in what was fed."""

    what: Any
    size: tuple[int, int]
    mirrored: bool = False


@dataclass(frozen=True)
class Likeness:
    """How a kind of prediction is judged. `view`: the picture again; `mirrored`: whether it is the other way round.

    `alike`: how much two have in common, in `unit`; `least`: where something was found. `turned`: whether the
    network speaks of the whole picture, which is then shown upside down as well.
    """

    view: Callable[[Picture], Picture]
    alike: Callable[[Seen, Seen], float]
    least: float
    unit: str
    mirrored: bool = False
    turned: bool = False


def mirrored(picture: Picture) -> Picture:
    """The picture the other way round, uint8 [H,W,3]."""
    return np.ascontiguousarray(picture[:, ::-1])


def moved(picture: Picture) -> Picture:
    """The picture without its edges, uint8 [h,w,3]: nearer, and what is in it lies elsewhere."""
    rows, columns = (int(side * _CUT) for side in picture.shape[:2])
    return np.ascontiguousarray(picture[rows : picture.shape[0] - rows, columns : picture.shape[1] - columns])


def _boxes(one: Seen, other: Seen) -> float:
    """Sure objects of both, by the lower score of each pair: an IoU of a half, one class, the surest first."""
    (a, scores_a, labels_a), (b, scores_b, labels_b) = _flat(one), _flat(other)
    if not len(a) or not len(b):
        return 0.0
    pairs = (_overlaps(a, b) >= _IOU) & (labels_a[:, None] == labels_b[None])
    shared = np.where(pairs, np.minimum(scores_a[:, None], scores_b[None]), 0.0)
    total = 0.0
    while (best := shared.max()) > 0:
        row, column = np.unravel_index(shared.argmax(), shared.shape)
        total += float(best)
        shared[row], shared[:, column] = 0.0, 0.0
    return total


def _flat(seen: Seen) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.int64]]:
    """Boxes [n,4] as shares of the picture, scores and labels [n]."""
    what = seen.what
    if isinstance(what, Regions):
        corners = np.concatenate([what.quads.min(axis=1), what.quads.max(axis=1)], axis=1)
        labels = np.zeros(len(what), np.int64)
    else:
        corners, labels = what.boxes, what.labels
    corners, labels, scores = corners[:_MOST], labels[:_MOST], what.scores[:_MOST]
    boxes = corners.reshape(-1, 4).astype(np.float64) / np.array([*seen.size, *seen.size])
    sound = np.abs(boxes).max(axis=1, initial=0.0) < _FARTHEST  # neither infinite nor no number
    boxes, scores, labels = boxes[sound], scores[sound], labels[sound]
    if seen.mirrored:
        boxes[:, [0, 2]] = 1 - boxes[:, [2, 0]]
    return boxes, scores, labels


def _overlaps(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of all pairs of boxes."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(one[:, 2:] - one[:, :2], 0, None).prod(axis=1) for one in (a, b)]
    union = areas[0][:, None] + areas[1][None] - both
    return np.asarray(np.divide(both, union, out=np.zeros_like(both), where=union > 0), np.float64)


def _pixels(one: Seen, other: Seen) -> float:
    """The share of the picture that is the same in both, and not background, by how sure both are of it."""
    (first, lead_first), (second, lead_second) = _cells(one), _cells(other)
    same = (first == second) & (first != _BACKGROUND)
    return float((same * np.minimum(lead_first, lead_second)).mean())


def _cells(seen: Seen) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Labels and leads over the picture alone, without what was padded: [_GRID,_GRID] both."""
    mask: Mask = seen.what
    rows, columns = (_covered(mask, axis, seen.size[1 - axis]) for axis in (0, 1))
    at = np.ix_(rows, columns[::-1] if seen.mirrored else columns)
    return mask.labels[at], mask.lead[at]


def _covered(mask: Mask, axis: int, size: int) -> NDArray[np.int64]:
    """Which cells of a mask lie below _GRID even steps over the picture, of that size, along an axis."""
    cells, side, at = mask.labels.shape[axis], mask.input_hw[axis], mask.geometry
    start, length = 0.0, float(side)
    if at is not None:
        start = float((at.pad_top, at.pad_left)[axis])
        length = size * (at.scale_y, at.scale_x)[axis]
    low, high = max(start, 0.0), min(start + length, float(side))  # what is cropped off is not seen
    steps = low + (np.arange(_GRID) + 0.5) * (high - low) / _GRID
    return np.asarray(np.clip(steps * cells / side, 0, cells - 1), np.int64)


def _class(one: Seen, other: Seen) -> float:
    """How likely both are to be of one class."""
    scores = [np.zeros(len(seen.what.labels)) for seen in (one, other)]
    for values, seen in zip(scores, (one, other), strict=True):
        values[seen.what.labels] = seen.what.scores
    return float(scores[0] @ scores[1])


def _characters(one: Seen, other: Seen) -> float:
    """Characters that both read in the same order, by the lower score of each."""
    first, second = one.what, other.what
    blocks = SequenceMatcher(None, first.labels.tolist(), second.labels.tolist(), False).get_matching_blocks()
    return sum(
        float(np.minimum(first.scores[b.a : b.a + b.size], second.scores[b.b : b.b + b.size]).sum()) for b in blocks
    )


# By the class of predictions; those that are not here do not show how they are fed.
LIKENESSES: Mapping[type, Likeness] = {
    Detections: Likeness(mirrored, _boxes, 0.25, "objects", mirrored=True),
    Regions: Likeness(mirrored, _boxes, 0.25, "regions", mirrored=True),
    Mask: Likeness(mirrored, _pixels, 0.005, "of the picture", mirrored=True),
    Classes: Likeness(moved, _class, 0.1, "of a class", turned=True),
    Text: Likeness(moved, _characters, 0.5, "characters"),
}
