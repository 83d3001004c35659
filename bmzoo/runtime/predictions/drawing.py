"""Boxes, points and words drawn on a picture; lines and letters grow with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Colour = Tuple[int, int, int]

# BGR. Landmarks: left eye, right eye, nose, left and right corner of the mouth, as seen in the picture.
BOX, TEXT = (80, 200, 40), (0, 0, 0)
POINTS = ((255, 120, 0), (0, 60, 255), (0, 230, 255), (255, 0, 220), (255, 230, 0))
FONT = cv2.FONT_HERSHEY_SIMPLEX
# The keypoints of COCO's persons, and which of them a skeleton joins; fainter ones than this are not shown.
BODY = (
    *("nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow"),
    *("right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee"),
    *("left ankle", "right ankle"),
)
BONES = (
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9)),
    *((8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
)
POINT_SCORE = 0.5
# A line is one pixel for each this many of the picture's size, the root of its area.
PIXELS_PER_LINE = 400
# Letters may be a little wider than the face, but never smaller than can be read; then they are left out.
SMALLEST_TEXT, WIDEST_TEXT = 0.3, 1.4
# Names of classes are longer than scores.
WIDEST_NAME = 4.0

# left, top, right, bottom in pixels
Plate = Tuple[int, int, int, int]


def draw_boxes(
    image: NDArray[np.uint8],
    corners: NDArray[np.float32],
    landmarks: NDArray[np.float32],
    texts: Sequence[str],
    labels: Optional[Sequence[int]] = None,
    sure: Optional[NDArray[np.float32]] = None,
) -> NDArray[np.uint8]:
    """A copy of `image`, uint8 [H,W,3] BGR, with boxes [n,4], points [n,K,2] and a text for each, the first on top.

    `labels` choose colours; `sure` [n,K] leaves out the points below POINT_SCORE.
    """
    canvas = image.copy()
    line = line_width(canvas)
    boxes = on_canvas(canvas, corners)
    for i in reversed(range(len(boxes))):
        x1, y1, x2, y2 = boxes[i]
        cv2.rectangle(canvas, (x1, y1), (x2, y2), BOX if labels is None else colour(labels[i]), line)
        shown = landmarks[i]
        if len(shown) == len(BODY):
            good = np.ones(len(BODY), bool) if sure is None else sure[i] >= POINT_SCORE
            _skeleton(canvas, shown, good, line)
            shown = shown[good]
        draw_points(canvas, shown, max(1, round(min((x2 - x1) / 30, 3.0 * line))))
    plates: List[Plate] = []
    for i, text in enumerate(texts):  # after all boxes: no line crosses a number
        if labels is None:
            write(canvas, text, boxes[i], plates)
        else:
            write(canvas, text, boxes[i], plates, colour(labels[i]), WIDEST_NAME)
    return canvas


def line_width(image: NDArray[np.uint8]) -> int:
    """Of lines on a picture, in pixels."""
    return max(1, round(float(np.sqrt(image.shape[0] * image.shape[1])) / PIXELS_PER_LINE))


def on_canvas(image: NDArray[np.uint8], coordinates: NDArray[np.float32]) -> List[List[int]]:
    """Whole pixels: beyond a frame around the picture nothing shows, and cv2 takes no more than 32 bits."""
    height, width = image.shape[:2]
    held: List[List[int]] = np.clip(coordinates, -width - height, 2 * (width + height)).round().astype(int).tolist()
    return held


def colour(label: int) -> Colour:
    """BGR of a class: neighbours are a golden angle apart."""
    hue = (72 + label * 137.508) % 360 / 2
    b, g, r = cv2.cvtColor(np.array([[[hue, 190, 235]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return b, g, r


def draw_points(canvas: NDArray[np.uint8], points: NDArray[np.float32], radius: int) -> None:
    """Dots in the colours of POINTS; those outside the picture are left out."""
    height, width = canvas.shape[:2]
    for i, (x, y) in enumerate(points):
        if 0 <= x < width and 0 <= y < height:
            cv2.circle(canvas, (round(float(x)), round(float(y))), radius, POINTS[i % len(POINTS)], -1, cv2.LINE_AA)


def _skeleton(canvas: NDArray[np.uint8], points: NDArray[np.float32], good: NDArray[np.bool_], line: int) -> None:
    ends = on_canvas(canvas, points)
    for i, (a, b) in enumerate(BONES):
        if good[a] and good[b]:
            cv2.line(canvas, tuple(ends[a]), tuple(ends[b]), POINTS[i % len(POINTS)], line, cv2.LINE_AA)


def write(
    canvas: NDArray[np.uint8],
    text: str,
    box: Sequence[int],
    plates: List[Plate],
    paint: Colour = BOX,
    widest: float = WIDEST_TEXT,
) -> None:
    """Text on a plate at a box, added to `plates`; left out where it cannot be read or would cover another.

    It may be as wide as the box times `widest`.
    """
    line = line_width(canvas)
    (unit, _), _ = cv2.getTextSize(text, FONT, 1.0, 1)
    usual, share = 0.22 + 0.2 * line, (box[2] - box[0]) / unit
    scale = min(max(usual, 0.15 * share), 2 * usual, widest * share)
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
    canvas[top:bottom, left:right] = paint
    cv2.putText(canvas, text, (left + pad, top + pad + rows), FONT, scale, TEXT, stroke, cv2.LINE_AA)


def banner(image: NDArray[np.uint8], texts: Sequence[str], paint: Colour, above: bool = False) -> NDArray[np.uint8]:
    """A copy of `image`, uint8 [H,W,3] BGR, with lines of text at its top, or in a strip put above it."""
    width = image.shape[1]
    scale = 0.25 + 0.25 * line_width(image)
    unit = max([1, *(cv2.getTextSize(text, FONT, 1.0, 1)[0][0] for text in texts)])
    scale = max(SMALLEST_TEXT, min(scale, 0.95 * width / unit))
    stroke = max(1, round(1.4 * scale))
    (_, rows), below = cv2.getTextSize("Ag", FONT, scale, stroke)
    step = rows + below + 2 * stroke
    canvas = image.copy()
    if above:
        strip = np.full((step * len(texts), width, 3), 255, np.uint8)
        canvas = np.concatenate([strip, canvas])
    for i, text in enumerate(texts):
        if not above:
            canvas[i * step : (i + 1) * step, : cv2.getTextSize(text, FONT, scale, stroke)[0][0] + 2 * stroke] = (
                paint
            )
        cv2.putText(canvas, text, (stroke, i * step + rows + stroke), FONT, scale, TEXT, stroke, cv2.LINE_AA)
    return canvas


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
