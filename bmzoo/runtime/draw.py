"""Boxes, scores and landmarks drawn on a picture; lines and letters grow with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.detections import Detections

# BGR. Landmarks: left eye, right eye, nose, left and right corner of the mouth, as seen in the picture.
BOX, TEXT = (80, 200, 40), (0, 0, 0)
POINTS = ((255, 120, 0), (0, 60, 255), (0, 230, 255), (255, 0, 220), (255, 230, 0))
FONT = cv2.FONT_HERSHEY_SIMPLEX
# A line is one pixel for each this many of the picture's size, the root of its area.
PIXELS_PER_LINE = 400
# Letters may be a little wider than the face, but never smaller than can be read; then they are left out.
SMALLEST_TEXT, WIDEST_TEXT = 0.3, 1.4

# left, top, right, bottom in pixels
Plate = Tuple[int, int, int, int]


def draw(image: NDArray[np.uint8], faces: Detections) -> NDArray[np.uint8]:
    """A copy of `image`, uint8 [H,W,3] BGR, with what is in `faces`, the best on top."""
    canvas = image.copy()
    height, width = canvas.shape[:2]
    line = max(1, round(float(np.sqrt(height * width)) / PIXELS_PER_LINE))
    # Beyond these corners nothing shows, and cv2 takes no coordinates past 32 bits.
    boxes = np.clip(faces.boxes, -width - height, 2 * (width + height)).round().astype(int).tolist()
    for i in reversed(range(len(faces))):
        x1, y1, x2, y2 = boxes[i]
        cv2.rectangle(canvas, (x1, y1), (x2, y2), BOX, line)
        _points(canvas, faces.landmarks[i], max(1, round(min((x2 - x1) / 30, 3.0 * line))))
    plates: List[Plate] = []
    for box, score in zip(boxes, faces.scores):  # noqa: B905  # after all boxes: no line crosses a number
        _label(canvas, f"{score:.2f}", box, line, plates)
    return canvas


def _points(canvas: NDArray[np.uint8], landmarks: NDArray[np.float32], radius: int) -> None:
    height, width = canvas.shape[:2]
    for i, (x, y) in enumerate(landmarks):
        if 0 <= x < width and 0 <= y < height:
            cv2.circle(canvas, (round(float(x)), round(float(y))), radius, POINTS[i % len(POINTS)], -1, cv2.LINE_AA)


def _label(canvas: NDArray[np.uint8], text: str, box: Sequence[int], line: int, plates: List[Plate]) -> None:
    """Text on a plate, added to `plates`; left out where it cannot be read or would cover another."""
    (unit, _), _ = cv2.getTextSize(text, FONT, 1.0, 1)
    usual, share = 0.22 + 0.2 * line, (box[2] - box[0]) / unit
    scale = min(max(usual, 0.15 * share), 2 * usual, WIDEST_TEXT * share)
    if scale < SMALLEST_TEXT:
        return
    stroke = max(1, round(1.4 * scale))
    (columns, rows), below = cv2.getTextSize(text, FONT, scale, stroke)
    pad = max(1, stroke)
    plate = _place(box, (columns + 2 * pad, rows + 2 * pad + below // 2), canvas.shape[:2], line, plates)
    if plate is None:
        return
    plates.append(plate)
    left, top, right, bottom = plate
    canvas[top:bottom, left:right] = BOX
    cv2.putText(canvas, text, (left + pad, top + pad + rows), FONT, scale, TEXT, stroke, cv2.LINE_AA)


def _place(
    box: Sequence[int], size: Tuple[int, int], picture: Tuple[int, ...], line: int, plates: Sequence[Plate]
) -> Optional[Plate]:
    """Above the box, below it, or within; the first of these inside the picture that covers no other plate."""
    x1, y1, x2, y2 = box
    edge = (line + 1) // 2
    for top in (y1 - size[1], y2 + edge, y1 + edge, y2 - size[1]):
        for wanted in (x1 - edge, x2 + edge - size[0]):
            left = min(max(wanted, 0), picture[1] - size[0])
            plate = (left, top, left + size[0], top + size[1])
            inside = left >= 0 and top >= 0 and plate[3] <= picture[0]
            if inside and not any(_overlap(plate, other) for other in plates):
                return plate
    return None


def _overlap(a: Plate, b: Plate) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
