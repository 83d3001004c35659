"""What the network is trained towards: anchors matched with faces, and the loss over boxes, classes, landmarks.

Source: Liu et al., "SSD: Single Shot MultiBox Detector", with the landmark term of the RetinaFace paper and the
anchors, variances and weights of Pytorch_Retinaface.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

VARIANCE = (0.1, 0.2)
MATCH = 0.35  # an anchor answers for a face from this IoU on
NEGATIVES = 7  # background anchors for each that answers for a face
FEWEST_NEGATIVES = 48  # in a picture, so that those without faces count
BOX_WEIGHT = 2.0
# In units of a tenth of an anchor. What is judged is a landmark's mean distance, so errors count in proportion to
# their size almost down to nothing; with the usual 1, nearly all would count by their square.
LANDMARK_BETA = 0.2
LANDMARK_WEIGHT = 2.0
FACES = 12  # in a picture, about; a constant, so that a face in a crowd counts as much as one that is alone
BACKGROUND, FACE, IGNORED = 0, 1, -1

Array = NDArray[np.float32]


class Targets(NamedTuple):
    """For each anchor of a picture: class int64 [A]; offsets float32 [A,4] and [A,10], zero without a face.

    weights: float32 [A], of the anchor's landmarks: zero without a face.
    """

    classes: NDArray[np.int64]
    boxes: Array
    landmarks: Array
    weights: Array


def match(boxes: Array, landmarks: Array, known: NDArray[np.bool_], priors: Array) -> Targets:
    """Faces [n,4] x1 y1 x2 y2 and [n,5,2], in shares of the picture, to anchors [A,4] as cx, cy, w, h.

    Every known face has at least its best anchor, however small it is. Anchors on faces that are not `known`,
    bool [n], are left out of the loss: nobody can say what should be found there.
    """
    classes = np.zeros(len(priors), np.int64)
    if not len(boxes):
        return Targets(classes, *(np.zeros((len(priors), *more), np.float32) for more in ((4,), (10,), ())))
    overlaps = _overlaps(boxes, priors)
    classes[(overlaps[~known] > 0.15).any(0)] = IGNORED
    overlaps[~known] = -1
    owner, best = overlaps.argmax(0), overlaps.max(0)
    at = np.flatnonzero(known)
    # Of anchors that hold the whole of a small face, all with one IoU, the one around its centre.
    centres = (boxes[at, :2] + boxes[at, 2:]) / 2
    distance = np.abs(centres[:, None] - priors[None, :, :2]).sum(2) / priors[:, 2]
    favourite = (overlaps[at] - 0.01 * distance).argmax(1)
    owner[favourite], best[favourite] = at, 1
    classes[best >= MATCH] = FACE
    offsets = np.zeros((len(priors), 4), np.float32), np.zeros((len(priors), 10), np.float32)
    at = np.flatnonzero(classes == FACE)
    offsets[0][at], offsets[1][at] = _offsets(boxes[owner[at]], landmarks[owner[at]], priors[at])
    return Targets(classes, *offsets, _landmark_weights(boxes, owner, at, priors))


def loss(
    predicted: tuple[Tensor, Tensor, Tensor], classes: Tensor, boxes: Tensor, landmarks: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """Terms of the loss: means over the batch's anchors with faces, and for landmarks a sum over its faces.

    predicted: boxes [B,A,4], class logits [B,A,2], landmarks [B,A,10]; targets as in Targets, stacked.
    """
    offsets, logits, points = predicted
    face = classes == FACE
    count = face.sum().clamp(min=1)
    entropy = functional.cross_entropy(logits.flatten(0, 1), classes.clamp(min=0).flatten(), reduction="none")
    entropy = entropy.view_as(classes)
    # Hard negatives: of each picture's background, what the network is most wrong about.
    hardness = entropy.detach().masked_fill(classes != BACKGROUND, -1.0)
    rank = hardness.argsort(1, descending=True).argsort(1)
    wanted = (NEGATIVES * face.sum(1, keepdim=True)).clamp(min=FEWEST_NEGATIVES)
    hard = (rank < wanted) & (classes == BACKGROUND)
    # Landmarks are of use where the face is found, and NMS leaves those of the anchor that is surest of it.
    sure = logits.detach()[face].softmax(1)[:, FACE]
    apart = functional.smooth_l1_loss(points[face], landmarks[face], reduction="none", beta=LANDMARK_BETA)
    return {
        "classes": entropy[face | hard].sum() / count,
        "boxes": BOX_WEIGHT * functional.smooth_l1_loss(offsets[face], boxes[face], reduction="sum") / count,
        "landmarks": LANDMARK_WEIGHT * (apart.sum(1) * weights[face] * sure).sum() / (FACES * len(classes)),
    }


def _overlaps(boxes: Array, priors: Array) -> Array:
    """IoU of boxes [n,4] as corners with anchors [A,4] as centres and sizes: [n,A]."""
    low = np.maximum(boxes[:, None, :2], priors[None, :, :2] - priors[None, :, 2:] / 2)
    high = np.minimum(boxes[:, None, 2:], priors[None, :, :2] + priors[None, :, 2:] / 2)
    common = np.maximum(high - low, 0).prod(2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)[:, None] + priors[:, 2:].prod(1)[None]
    overlaps: Array = common / (areas - common)
    return overlaps


def _offsets(boxes: Array, landmarks: Array, priors: Array) -> tuple[Array, Array]:
    """What decoding turns back into the face, for each anchor: [A,4] and [A,10]."""
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    moved = (centres - priors[:, :2]) / (VARIANCE[0] * priors[:, 2:])
    grown = np.log(np.maximum(sizes / priors[:, 2:], 1e-4)) / VARIANCE[1]
    points = (landmarks - priors[:, None, :2]) / (VARIANCE[0] * priors[:, None, 2:])
    encoded = np.concatenate([moved, grown], axis=1).astype(np.float32)
    return encoded, points.reshape(len(priors), 10).astype(np.float32)


def _landmark_weights(boxes: Array, owner: NDArray[np.int64], at: NDArray[np.int64], priors: Array) -> Array:
    """What is judged is the mean over faces of the distance in shares of the face: so faces count alike, however
    many anchors answer for them, and a pixel counts as much as the face is small."""
    weights = np.zeros(len(priors), np.float32)
    face = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))
    count = np.bincount(owner[at], minlength=len(boxes))
    weights[at] = np.sqrt(priors[at, 2:].prod(1)) / face[owner[at]] / count[owner[at]]
    return weights


def total(terms: dict[str, Tensor]) -> Tensor:
    """The sum of all terms."""
    return torch.stack(list(terms.values())).sum()
