import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.errors import VerifyFailed
from bmzoo.measure.matching import Match, iou_matrix, match_detections
from bmzoo.measure.tensors import cosine, max_error, sqnr_db
from bmzoo.runtime.decoders.decode import Detections

Metric = Callable[[NDArray[Any], NDArray[Any]], float]


def faces(*boxes_and_scores: tuple[list[float], float]) -> Detections:
    boxes = np.array([box for box, _ in boxes_and_scores], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in boxes_and_scores], np.float32)
    return Detections(boxes, scores, np.zeros((len(scores), 0, 2), np.float32))


A, B, C = [0.0, 0, 10, 10], [20.0, 0, 30, 10], [40.0, 0, 50, 10]


def test_tensor_metrics() -> None:
    reference, test = np.array([3, 4, 0], np.float32), np.array([3, 4, 0.5], np.float32)
    assert cosine(reference, reference * 7) == pytest.approx(1)
    assert cosine(reference, -reference) == pytest.approx(-1)
    assert sqnr_db(reference, test) == pytest.approx(20)
    assert max_error(reference, test) == 0.5


def test_limits_of_tensor_metrics() -> None:
    zero, one = np.zeros(3), np.ones(3)
    assert (cosine(zero, zero), cosine(zero, one)) == (1, 0)
    assert (sqnr_db(one, one), sqnr_db(zero, one)) == (math.inf, -math.inf)
    assert max_error(np.empty(0), np.empty(0)) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("metric", [cosine, sqnr_db])
def test_values_that_are_not_finite_give_nan(metric: Metric, value: float) -> None:
    bad = np.array([1, value])
    assert math.isnan(metric(np.ones(2), bad))
    assert math.isnan(metric(bad, np.ones(2)))
    assert math.isnan(metric(bad, bad))


@pytest.mark.parametrize("metric", [cosine, sqnr_db, max_error])
def test_shapes_must_agree(metric: Metric) -> None:
    with pytest.raises(VerifyFailed, match=r"\[2\] and \[3\]"):
        metric(np.ones(2), np.ones(3))


def test_iou_matrix() -> None:
    boxes = np.array([A, [5, 0, 15, 10], [3, 3, 3, 3]], np.float32)
    np.testing.assert_allclose(iou_matrix(boxes, boxes), np.array([[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 0]]))
    assert iou_matrix(np.empty((0, 4), np.float32), boxes).shape == (0, 3)


def match(reference: Detections, test: Detections) -> Match:
    return match_detections(reference, test, threshold=0.5, margin=0.1, min_iou=0.5)


def test_same_faces_in_another_order() -> None:
    result = match(faces((A, 0.9), (B, 0.8)), faces((B, 0.95), (A, 0.7)))
    assert sorted(result.pairs) == [(0, 1), (1, 0)]
    assert result.agrees
    assert result.mean_iou == 1


def test_missing_and_extra() -> None:
    result = match(faces((A, 0.9), (B, 0.8)), faces((A, 0.9), (C, 0.7)))
    assert (result.pairs, result.missing, result.extra) == (((0, 0),), (1,), (1,))
    assert not result.agrees


def test_scores_near_the_threshold_are_nobodys_fault() -> None:
    assert match(faces((A, 0.55)), faces()).agrees
    assert match(faces(), faces((A, 0.59))).agrees
    assert match(faces((A, 0.61)), faces((A, 0.41))).pairs == ((0, 0),)
    assert match(faces((A, 0.61)), faces((A, 0.39))).missing == (0,)
    assert match(faces((A, 0.39)), faces((A, 0.61))).extra == (0,)


def test_one_face_answers_for_one() -> None:
    shifted = [1.0, 0, 11, 10]
    assert match(faces((A, 0.9), (shifted, 0.9)), faces((A, 0.9))).missing == (1,)


def test_a_doubtful_face_does_not_take_the_partner_of_a_certain_one() -> None:
    shifted = [2.0, 0, 12, 10]
    result = match(faces((shifted, 0.9), (A, 0.5)), faces((A, 0.9)))
    assert result.agrees
    assert result.pairs == ((0, 0),)


def test_nothing_at_all_agrees() -> None:
    assert match(faces(), faces()).mean_iou == 1
