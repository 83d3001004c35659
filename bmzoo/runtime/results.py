"""Detections as files: the text format of the published samples, and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bmzoo.runtime.detect import Result
    from bmzoo.runtime.detections import Detections

RESULTS_SCHEMA = 1


def as_text(name: str, faces: Detections) -> str:
    """One picture as the samples write it: name, number of faces, `x y w h score ` for each.

    Corners are cut to whole pixels before the size is taken, and the space at the end belongs to the format.
    """
    lines = [name, str(len(faces))]
    for i in range(len(faces)):
        x1, y1, x2, y2 = (int(value) for value in faces.boxes[i])
        lines.append(f"{x1} {y1} {x2 - x1} {y2 - y1} {faces.scores[i]!s} ")
    return "\n".join(lines) + "\n"


def as_json(result: Result) -> Dict[str, Any]:
    """One picture or frame; boxes are x1, y1, x2, y2 and landmarks x, y in pixels of the picture."""
    frame, faces = result.frame, result.faces
    height, width = frame.image.shape[:2]
    entry: Dict[str, Any] = {"file": str(frame.source.path), "name": frame.name, "width": width, "height": height}
    if frame.index is not None:
        entry["frame"] = frame.index
    return {
        **entry,
        "boxes": _numbers(faces.boxes),
        "scores": _numbers(faces.scores),
        "landmarks": _numbers(faces.landmarks),
    }


def _numbers(array: NDArray[np.float32]) -> List[Any]:
    """Nested lists; each number with the few digits that make out a float32."""
    if array.ndim == 1:
        return [float(str(value)) for value in array]
    return [_numbers(row) for row in array]
