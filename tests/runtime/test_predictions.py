"""Every kind of prediction: drawn, listed, and taken to the pixels of the picture."""

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from bmzoo.errors import ConfigError
from bmzoo.runtime.decoders.registry import DECODERS
from bmzoo.runtime.predictions.classes import Classes
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.predictions.mask import OUTSIDE, Mask
from bmzoo.runtime.predictions.points import PointSet
from bmzoo.runtime.predictions.prediction import Prediction, only
from bmzoo.runtime.predictions.regions import Regions
from bmzoo.runtime.predictions.registry import PREDICTIONS
from bmzoo.runtime.predictions.tensors import Tensors
from bmzoo.runtime.predictions.text import Text
from bmzoo.runtime.resizing import Geometry

NAMES = ("cat", "dog", "bird")
# A picture of 200x100 at half its size, 10 pixels from the left and 5 from the top.
HALF = Geometry(0.5, 0.5, 10, 5, 200, 100)


def f32(values: Any) -> Any:
    return np.array(values, np.float32)


def mask(labels: Any, **more: Any) -> Mask:
    cells = np.array(labels, np.int16)
    return Mask(
        cells, np.zeros_like(cells), np.ones(cells.shape, np.float32), (cells.shape[0], cells.shape[1]), **more
    )


EXAMPLES: Mapping[str, Prediction] = {
    "detections": Detections(
        f32([[20, 15, 60, 40], [0, 0, 30, 30]]),
        f32([0.9, 0.25]),
        np.zeros((2, 0, 2), np.float32),
        np.array([1, 2]),
        names=NAMES,
    ),
    "classes": Classes(np.array([2, 0, 1]), f32([0.75, 0.25, 0]), NAMES),
    "mask": mask(np.pad(np.ones((60, 60)), ((0, 0), (0, 60)), constant_values=0), names=NAMES),
    "regions": Regions(f32([[[20, 15], [60, 15], [60, 35], [20, 35]]]), f32([0.5])),
    "text": Text(np.array([1, 0, 1]), f32([0.5, 1, 0.75]), f32([0.5, 1, 0.5]), ("a", "b")),
    "points": PointSet(f32([[20, 15], [60, 35]])),
    "tensors": Tensors({"y": f32([[-1, 2]])}),
}
LINES = {
    "detections": ["2", "20 20 80 50 0.9 dog", "-20 -10 60 60 0.25 bird"],
    "classes": ["3", "0.75 bird", "0.25 cat", "0.0 dog"],
    "mask": ["2", "0.5000 cat", "0.5000 dog"],
    "regions": ["1", "20 20 100 20 100 60 20 60 0.5"],
    "text": ["1", "0.7500 bab"],
    "points": ["2", "20.00 20.00", "100.00 60.00"],
    "tensors": ["1", "y [1, 2] -1 2"],
}


def test_every_kind_has_an_example_and_a_class() -> None:
    assert set(PREDICTIONS) == set(EXAMPLES) == set(LINES)
    for kind, row in PREDICTIONS.items():
        assert type(EXAMPLES[kind]) is getattr(import_module(row.module), row.name)
    assert {row.gives for row in DECODERS.values()} <= set(PREDICTIONS)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_it_is_listed_in_pixels_of_the_picture(kind: str) -> None:
    moved = EXAMPLES[kind].to_original(HALF)
    if kind == "mask":  # the network of 60x120 saw the picture from (10, 5) to (110, 55)
        assert isinstance(moved, Mask)
        assert moved.spread().shape == (100, 200) and OUTSIDE not in moved.spread()
    assert moved.lines() == LINES[kind]
    json.dumps(moved.as_json(), allow_nan=False)


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("size", [(100, 200), (1, 1), (3, 400), (400, 3)])
def test_it_draws_on_a_copy(kind: str, size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 90, np.uint8)
    geometry = Geometry(0.5, 0.5, 10, 5, size[1], size[0])
    drawn = EXAMPLES[kind].to_original(geometry).drawn(image)
    assert (image == 90).all() and drawn.dtype == np.uint8 and drawn.shape[1:] == image.shape[1:]
    if size == (100, 200):
        assert (drawn.shape != image.shape or (drawn != image).any()) == (kind != "tensors")


def test_faces_are_listed_as_ever_and_other_classes_with_their_labels() -> None:
    boxes, scores, points = f32([[1, 2, 3, 4]]), f32([0.5]), np.zeros((1, 5, 2), np.float32)
    faces = Detections(boxes, scores, points)
    assert set(faces.as_json()) == {"boxes", "scores", "landmarks"}
    assert faces.lines() == ["1", "1 2 2 2 0.5 "]
    unnamed = Detections(boxes, scores, points, np.array([7]), names=())
    assert unnamed.as_json()["labels"] == [7] and "names" not in unnamed.as_json()
    assert unnamed.lines() == ["1", "1 2 2 2 0.5 7"]


def test_a_mask_goes_back_through_letterbox_and_a_coarser_grid() -> None:
    """Independent: each pixel's centre, by the geometry's own arithmetic, one by one."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 5, (6, 8)).astype(np.int16)
    geometry = Geometry(0.4, 0.5, 3, 7, 61, 43)
    moved = Mask(cells, cells, np.ones(cells.shape, np.float32), (48, 32), geometry=geometry)
    spread, compared = moved.spread(), 0
    for y in range(43):
        for x in range(61):
            cell_x = ((x + 0.5) * 0.4 + 3) * 8 / 32
            cell_y = ((y + 0.5) * 0.5 + 7) * 6 / 48
            near_edge = min(cell_x % 1, 1 - cell_x % 1, cell_y % 1, 1 - cell_y % 1) < 0.05  # cv2 rounds to 1/32
            if near_edge:
                continue
            compared += 1
            inside = cell_x < 8 and cell_y < 6
            assert spread[y, x] == (cells[int(cell_y), int(cell_x)] if inside else OUTSIDE), (x, y)
    assert compared > 1500


def test_a_body_is_drawn_without_the_points_that_are_not_sure() -> None:
    points = f32([[[10 + 9 * i, 20 + (i % 5) * 30] for i in range(17)]])
    sure = f32([[1.0] * 17])
    hidden = f32([[0.0] * 17])
    image = np.zeros((200, 200, 3), np.uint8)
    box, score = f32([[5, 5, 190, 190]]), f32([0.9])
    with_body, without = (Detections(box, score, points, point_scores=s).drawn(image) for s in (sure, hidden))
    assert (with_body != without).any()
    empty = Detections(box, score, np.zeros((1, 0, 2), np.float32)).drawn(image)
    np.testing.assert_array_equal(without, empty)


def test_predictions_of_another_kind_are_refused() -> None:
    assert only(PointSet, [EXAMPLES["points"]], "landmarks") == [EXAMPLES["points"]]
    with pytest.raises(ConfigError, match="decoder: none gives tensors, not detections"):
        only(Detections, [EXAMPLES["tensors"]], "none")


def test_a_text_shows_what_it_has_no_character_for() -> None:
    assert str(Text(np.array([0, 5]), f32([1, 1]), f32([1, 1]), ("a",))) == "a\N{REPLACEMENT CHARACTER}"
    assert Text(np.empty(0, np.int64), f32([]), f32([])).lines() == ["0"]
