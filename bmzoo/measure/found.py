"""What two networks found in each picture, and which of it belongs together: for people to look at."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.comparisons.comparison import MatchRule
from bmzoo.measure.matching import match_detections
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.predictions.prediction import Prediction

# Past these nobody looks at single boxes.
MOST_FACES = 500


def pictures_compared(
    reference: Sequence[Prediction], test: Sequence[Prediction], rule: MatchRule
) -> list[dict[str, Any]] | None:
    """By picture: boxes of `reference` and `test`, the pairs among them, and which are missed or extra.

    Both are decoded down to `rule.confidence - rule.margin`, and the verdicts are those of the comparison. Boxes
    are xyxy in pixels of the network's input, best first, with their scores; pairs, missed and extra are indices.
    None for predictions that are no boxes.
    """
    boxes = [one for one in reference if isinstance(one, Detections)]
    others = [one for one in test if isinstance(one, Detections)]
    if len(boxes) < len(reference) or len(others) < len(test):
        return None
    return [_picture(a, b, rule) for a, b in zip(boxes, others, strict=True)]


def _picture(reference: Detections, test: Detections, rule: MatchRule) -> dict[str, Any]:
    match = match_detections(reference, test, rule.confidence, rule.margin, rule.iou)
    return {
        "onnx": _boxes(reference),
        "artifact": _boxes(test),
        "pairs": [list(pair) for pair in match.pairs if max(pair) < MOST_FACES],
        "missed": [index for index in match.missing if index < MOST_FACES],
        "extra": [index for index in match.extra if index < MOST_FACES],
    }


def _boxes(found: Detections) -> list[list[float]]:
    """[x1, y1, x2, y2, score] of each; what is not finite is no box."""
    rows: NDArray[np.float64] = np.column_stack([found.boxes, found.scores]).astype(np.float64)[:MOST_FACES]
    return [[round(value, 4) for value in row] for row in np.nan_to_num(rows, posinf=1e6, neginf=-1e6).tolist()]
