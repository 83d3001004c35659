from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.runtime.predictions.detections import Detections, nothing
from bmzoo.runtime.predictions.drawing import BOX


def faces_at(*boxes: Sequence[float]) -> Detections:
    corners = np.array(boxes, np.float32)
    points = np.repeat(corners[:, None, :2], 5, axis=1) + np.float32(5)
    return Detections(corners, np.linspace(0.99, 0.5, len(boxes), dtype=np.float32), points)


def is_box(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    painted: NDArray[np.bool_] = (image == BOX).all(axis=2)
    return painted


def test_the_picture_given_stays_as_it_is() -> None:
    image = np.zeros((100, 120, 3), np.uint8)
    drawn = faces_at([20, 40, 80, 90]).drawn(image)
    assert not image.any()
    assert is_box(drawn)[40, 20:80].any() and is_box(drawn)[60, 20]
    np.testing.assert_array_equal(nothing().drawn(image), image)


def test_lines_grow_with_the_picture() -> None:
    widths = []
    for side in (200, 1600, 4000):
        box = [side * 0.4, side * 0.4, side * 0.6, side * 0.6]
        drawn = faces_at(box).drawn(np.zeros((side, side, 3), np.uint8))
        widths.append(int(is_box(drawn)[side // 2, : side // 2].sum()))
    assert widths == sorted(widths) and widths[0] == 1 and 8 <= widths[-1] <= 14


@pytest.mark.parametrize("box", [[10, 0, 90, 60], [-30, -20, 40, 50], [60, 60, 130, 130], [0, 0, 100, 100]])
def test_labels_lie_inside_the_picture(box: list[float]) -> None:
    drawn = faces_at(box).drawn(np.zeros((100, 100, 3), np.uint8))
    plate = is_box(drawn).sum()
    outline = is_box(faces_at([box[0], box[1], box[0] + 8, box[3]]).drawn(np.zeros((100, 100, 3), np.uint8))).sum()
    assert plate > outline, "there is a plate, and not only lines"


def test_labels_do_not_cover_each_other() -> None:
    alone = [is_box(faces_at(box).drawn(np.zeros((200, 300, 3), np.uint8))).sum() for box in ([100, 80, 150, 140],)]
    both = faces_at([100, 80, 150, 140], [110, 80, 160, 140]).drawn(np.zeros((200, 300, 3), np.uint8))
    assert is_box(both).sum() > 1.8 * alone[0] - 60


@pytest.mark.parametrize("shape", [(1, 300, 3), (300, 1, 3), (1, 1, 3), (9, 9, 3), (40, 12000, 3)])
def test_odd_pictures_and_absurd_boxes(shape: tuple[int, int, int]) -> None:
    image = np.zeros(shape, np.uint8)
    faces = faces_at([-1e30, -1e9, 1e30, 1e9], [0, 0, 5, 1], [3, 3, 3, 3], [5, 5, 2, 2])
    assert faces.drawn(image).shape == shape
