"""What two networks found in each picture, and which of it belongs together: for people to look at."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.degenerate import Heads
from bmzoo.measure.matching import match_detections
from bmzoo.measure.specs import decoder_spec
from bmzoo.runtime.decoders.decode import Detections, decode

# Past these nobody looks at single boxes.
MOST_FACES = 500


def pictures_compared(reference: Heads, test: Heads, request: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """By picture: boxes of `reference` and `test`, the pairs among them, and which are missed or extra.

    `request` has decoder, input, confidence, margin and iou, as for `detection_figures`, and the verdicts are the
    same. Boxes are xyxy in pixels of the network's input, best first, with their scores; pairs, missed and extra
    are indices. None for models without a decoder.
    """
    settings = request["decoder"]
    if settings["kind"] == "none":
        return None
    low = request["confidence"] - request["margin"]
    size = (request["input"]["height"], request["input"]["width"])
    both = [decode(heads, decoder_spec(settings), size, low, settings["nms"]) for heads in (reference, test)]
    return [_picture(a, b, request) for a, b in zip(*both, strict=True)]


def _picture(reference: Detections, test: Detections, request: Mapping[str, Any]) -> dict[str, Any]:
    match = match_detections(reference, test, request["confidence"], request["margin"], request["iou"])
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
