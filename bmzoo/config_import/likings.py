"""How much a network finds in a picture, by the kind of its head: what it shows for being fed the right way.

Each takes the outputs for one picture, without the batch: for what finds things the sum of their scores, for maps
the share of the picture. None is for classifiers: one that is fed wrongly is as sure of something, or surer.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_LOWEST = 0.3  # scores below are noise

Outputs = Sequence[NDArray[np.float32]]
Liking = Callable[[Outputs], float]


def _scores(values: NDArray[np.float32]) -> float:
    """The sum of all scores that are more than noise."""
    return float(values[values > _LOWEST].sum()) if np.isfinite(values).all() else 0.0


def _likelihood(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Softmax, unless the values are probabilities already."""
    if values.min() >= 0 and np.allclose(values.sum(axis), 1, atol=0.01):
        return values
    powers = np.exp(values - values.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True), np.float32)


def _last(outputs: Outputs, size: int) -> list[NDArray[np.float32]]:
    """The outputs [.., size], each flat [n, size]."""
    return [each.reshape(-1, size) for each in outputs if each.shape[-1] == size]


def _of_yunet(outputs: Outputs) -> float:
    scores = _last(outputs, 1)
    half = len(scores) // 2
    products = (np.clip(one * two, 0, 1) for one, two in zip(scores[:half], scores[half:], strict=True))
    return sum(_scores(np.sqrt(each)) for each in products)


def _of_pairs(outputs: Outputs) -> float:
    """Scores of background and face, after softmax or before."""
    return sum(_scores(_likelihood(each, 1)[:, 1]) for each in _last(outputs, 2))


def _of_singles(outputs: Outputs) -> float:
    return sum(_scores(each) for each in _last(outputs, 1))


def _of_rows(outputs: Outputs) -> float:
    """Rows of a box, whether there is an object, and classes: as probabilities, or before the sigmoid."""
    rows = np.concatenate([each.reshape(-1, each.shape[-1]) for each in outputs])[:, 4:]
    if rows.size and not 0 <= rows.min() <= rows.max() <= 1:
        rows = np.asarray(1 / (1 + np.exp(-rows.clip(-50, 50))), np.float32)
    return _scores(rows[:, 0] * rows[:, 1:].max(1))


def _of_columns(outputs: Outputs) -> float:
    return _scores(outputs[0][4:].max(0))


def _of_pose(outputs: Outputs) -> float:
    return _scores(outputs[0][4])


def _of_finished(outputs: Outputs) -> float:
    return _scores(outputs[0][:, 4])


def _of_text(outputs: Outputs) -> float:
    """Hundredths of the picture that are text."""
    return _scores(outputs[0]) / outputs[0].size * 100


def _of_masks(outputs: Outputs) -> float:
    """Hundredths of the picture that are something, which is any class but the first, background."""
    mask = outputs[0]
    axis = int(np.argmin(mask.shape))
    likely = _likelihood(mask, axis)
    return float((likely.max(axis) * (likely.argmax(axis) != 0)).mean()) * 100


LIKINGS: Mapping[str, Liking] = {
    "retinaface": _of_pairs,
    "ultraface": _of_pairs,
    "scrfd": _of_singles,
    "yunet": _of_yunet,
    "yolov5": _of_rows,
    "yolox": _of_rows,
    "yolov8": _of_columns,
    "yolov8_pose": _of_pose,
    "yolov10": _of_finished,
    "segmentation": _of_masks,
    "db_text": _of_text,
}
