"""The table of kinds of predictions. To add one: a module with a class that is a `Prediction`, and a row here.

Plain data, so that a config can be checked where nothing is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict


@dataclass(frozen=True)
class PredictionKind:
    """The module and its class, what it is for people, and what the length of one counts."""

    module: str
    name: str
    summary: str
    counts: str


_HERE = "bmzoo.runtime.predictions"

PREDICTIONS: Dict[str, PredictionKind] = {
    "detections": PredictionKind(
        f"{_HERE}.detections", "Detections", "boxes, with keypoints or without", "objects"
    ),
    "classes": PredictionKind(f"{_HERE}.classes", "Classes", "one class for the whole picture", "labels"),
    "mask": PredictionKind(f"{_HERE}.mask", "Mask", "a class for every pixel", "classes seen"),
    "regions": PredictionKind(f"{_HERE}.regions", "Regions", "slanted rectangles", "regions"),
    "text": PredictionKind(f"{_HERE}.text", "Text", "a line of text", "characters"),
    "points": PredictionKind(f"{_HERE}.points", "PointSet", "keypoints of what fills the picture", "points"),
    "tensors": PredictionKind(f"{_HERE}.tensors", "Tensors", "outputs whose meaning is not known", "outputs"),
}
