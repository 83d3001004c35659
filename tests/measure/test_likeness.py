"""What two views of a picture have in common, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from bmzoo.measure.audit.likeness import LIKENESSES, Seen, mirrored, moved
from bmzoo.runtime.predictions.classes import Classes
from bmzoo.runtime.predictions.detections import Detections
from bmzoo.runtime.predictions.mask import Mask
from bmzoo.runtime.predictions.regions import Regions
from bmzoo.runtime.predictions.text import Text
from bmzoo.runtime.resizing import Geometry

SIZE = (100, 50)


def boxes(*rows: tuple[float, ...], labels: tuple[int, ...] = ()) -> Detections:
    """Rows of x1, y1, x2, y2, score."""
    values = np.array(rows, np.float32).reshape(-1, 5)
    known = np.array(labels or (0,) * len(rows), np.int64)
    return Detections(values[:, :4], values[:, 4], np.empty((len(rows), 0, 2), np.float32), known)


def alike(one: object, other: object, mirror: bool = True, size: tuple[int, int] = SIZE) -> float:
    return LIKENESSES[type(one)].alike(Seen(one, size), Seen(other, size, mirror))


def test_an_object_is_found_again_on_the_other_side() -> None:
    left, right = boxes((10, 10, 30, 30, 0.9)), boxes((70, 10, 90, 30, 0.6))
    assert alike(left, right) == pytest.approx(0.6)
    assert alike(left, right, mirror=False) == 0
    assert alike(left, boxes()) == 0


def test_each_object_counts_once_and_only_for_its_class() -> None:
    two = boxes((10, 10, 30, 30, 0.9), (11, 10, 31, 30, 0.8))
    assert alike(two, boxes((70, 10, 90, 30, 0.7))) == pytest.approx(0.7)
    assert alike(boxes((10, 10, 30, 30, 0.9), labels=(3,)), boxes((70, 10, 90, 30, 0.7), labels=(4,))) == 0


def test_boxes_that_are_no_numbers_are_none() -> None:
    odd = boxes((np.inf, 0, 1, 1, 0.9), (np.nan, 0, 1, 1, 0.8), (0, 0, 3e38, 1, 0.7), (10, 10, 30, 30, 0.6))
    assert alike(odd, odd, mirror=False) == pytest.approx(0.6)


def test_pictures_of_other_sizes_are_compared_by_shares() -> None:
    one = Seen(boxes((10, 10, 30, 30, 0.9)), (100, 50))
    other = Seen(boxes((20, 20, 60, 60, 0.9)), (200, 100))
    assert LIKENESSES[Detections].alike(one, other) == pytest.approx(0.9)


def test_regions_are_their_upright_boxes() -> None:
    quad = np.array([[[10, 10], [30, 10], [30, 30], [10, 30]]], np.float32)
    flipped = np.array([[[70, 10], [90, 10], [90, 30], [70, 30]]], np.float32)
    scores = np.array([0.8], np.float32)
    assert alike(Regions(quad, scores), Regions(flipped, scores)) == pytest.approx(0.8)


def mask(labels: list[list[int]], lead: float = 0.5) -> Mask:
    values = np.array(labels, np.int16)
    return Mask(values, values, np.full(values.shape, lead, np.float32), (2, 2))


def test_background_in_both_is_nothing_found() -> None:
    assert alike(mask([[0, 0], [0, 0]]), mask([[0, 0], [0, 0]])) == 0
    assert alike(mask([[1, 0], [0, 0]], 0.5), mask([[0, 1], [0, 0]], 0.4)) == pytest.approx(0.1)
    assert alike(mask([[1, 0], [0, 0]]), mask([[0, 2], [0, 0]])) == 0


def test_masks_are_compared_over_the_picture_and_not_its_padding() -> None:
    """A picture twice as wide as high, in the upper half of the input: its left is the other view's right."""
    left = np.zeros((64, 64), np.int16)
    left[:32, :32] = 1
    right = np.ascontiguousarray(left[:, ::-1])
    at = Geometry(0.64, 0.64, 0, 0, 100, 50)
    lead = np.ones((64, 64), np.float32)
    one, other = (Mask(labels, labels, lead, (64, 64), geometry=at) for labels in (left, right))
    assert alike(one, other) == pytest.approx(0.5)
    sideways = Geometry(0.64, 0.64, 0, 0, 50, 100)  # and in the left half: what lies right of it is padding
    one, other = (replace(mask, geometry=sideways) for mask in (one, one))
    assert alike(one, other, size=(50, 100)) == pytest.approx(0.5)


def test_masks_are_compared_over_the_picture_and_not_what_it_was_framed_with() -> None:
    """A picture of 50x50 in the left upper quarter of the 100x100 that were shown."""
    labels = np.zeros((64, 64), np.int16)
    labels[:32, :32] = 1
    mask = Mask(
        labels, labels, np.ones((64, 64), np.float32), (64, 64), geometry=Geometry(0.64, 0.64, 0, 0, 100, 100)
    )
    assert alike(mask, mask, size=(50, 50)) == pytest.approx(1.0)
    assert alike(mask, mask, size=(100, 50), mirror=False) == pytest.approx(0.5)


def test_classes_agree_by_how_likely_both_are_the_same() -> None:
    one = Classes(np.array([2, 0, 1]), np.array([0.7, 0.2, 0.1], np.float32))
    other = Classes(np.array([0, 2, 1]), np.array([0.5, 0.4, 0.1], np.float32))
    assert alike(one, other) == pytest.approx(0.7 * 0.4 + 0.2 * 0.5 + 0.01)


def test_characters_count_in_the_same_order() -> None:
    def text(labels: list[int], score: float) -> Text:
        scores = np.full(len(labels), score, np.float32)
        return Text(np.array(labels), scores, scores)

    assert alike(text([1, 2, 3], 0.9), text([1, 3], 0.6)) == pytest.approx(1.2)
    assert alike(text([1, 2], 0.9), text([], 0.6)) == 0


def test_views_are_of_the_same_picture() -> None:
    picture = np.arange(200 * 100 * 3, dtype=np.uint8).reshape(200, 100, 3)
    np.testing.assert_array_equal(mirrored(picture)[:, 0], picture[:, -1])
    np.testing.assert_array_equal(moved(picture), picture[6:-6, 3:-3])
    tiny = np.zeros((8, 8, 3), np.uint8)
    assert moved(tiny).shape == tiny.shape
