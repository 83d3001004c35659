"""Predictions as files: the text format of the published samples, and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

if TYPE_CHECKING:
    from bmzoo.runtime.detect import Result
    from bmzoo.runtime.predictions.prediction import Prediction

RESULTS_SCHEMA = 1


def as_text(name: str, found: Prediction) -> str:
    """One picture as the samples write it: its name, how many things were found, a line for each."""
    return "\n".join([name, *found.lines()]) + "\n"


def as_json(result: Result) -> Dict[str, Any]:
    """One picture or frame; coordinates are in pixels of the picture."""
    frame = result.frame
    height, width = frame.image.shape[:2]
    entry: Dict[str, Any] = {"file": str(frame.source.path), "name": frame.name, "width": width, "height": height}
    if frame.index is not None:
        entry["frame"] = frame.index
    return {**entry, **result.found.as_json()}
