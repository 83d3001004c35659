from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from bmzoo.runtime import nms as module
from bmzoo.runtime.nms import BLOCK, nms


def plain_nms(boxes: NDArray[Any], scores: NDArray[Any], threshold: float, plus_one: bool) -> list[int]:
    """The textbook loop, as in the published samples."""
    x1, y1, x2, y2 = boxes.T
    side = 1 if plus_one else 0
    areas = (x2 - x1 + side) * (y2 - y1 + side)
    order, keep = np.argsort(-scores, kind="stable"), []
    while order.size:
        i, order = order[0], order[1:]
        keep.append(int(i))
        w = np.maximum(0, np.minimum(x2[i], x2[order]) - np.maximum(x1[i], x1[order]) + side)
        h = np.maximum(0, np.minimum(y2[i], y2[order]) - np.maximum(y1[i], y1[order]) + side)
        with np.errstate(invalid="ignore", divide="ignore"):
            iou = w * h / (areas[i] + areas[order] - w * h)
        order = order[iou <= threshold]
    return keep


coordinates = st.integers(-3, 12).map(float) | st.floats(-50, 50, width=32)
scores = st.sampled_from([0.25, 0.5, 0.75]) | st.floats(0, 1, width=32)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(0, 25), st.sampled_from([0.0, 0.3, 0.4, 0.5, 1.0]), st.booleans())
def test_same_as_the_plain_loop(data: st.DataObject, n: int, threshold: float, plus_one: bool) -> None:
    # Corners come in any order: inverted and empty boxes are part of the test, and so are equal scores.
    boxes = data.draw(hnp.arrays(np.float32, (n, 4), elements=coordinates))
    confidences = data.draw(hnp.arrays(np.float32, n, elements=scores))
    kept = nms(boxes, confidences, threshold, plus_one)
    assert kept.dtype == np.int64
    assert kept.tolist() == plain_nms(boxes, confidences, threshold, plus_one)


@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 1, 1000])
@pytest.mark.parametrize("spread", [3, 100, 3000])
def test_same_as_the_plain_loop_across_blocks(n: int, spread: int) -> None:
    random = np.random.RandomState(n)
    corner = random.rand(n, 2) * spread
    boxes = np.concatenate([corner, corner + 5 + random.rand(n, 2) * 40], axis=1).astype(np.float32)
    confidences = random.randint(0, 50, n).astype(np.float32) / 50
    assert nms(boxes, confidences, 0.4).tolist() == plain_nms(boxes, confidences, 0.4, True)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(0, 40), st.sampled_from([0.0, 0.3, 0.4, 0.5, 1.0, 1.5]), st.booleans())
def test_same_as_the_plain_loop_by_pairs(data: st.DataObject, n: int, threshold: float, plus_one: bool) -> None:
    corner = data.draw(hnp.arrays(np.float32, (n, 2), elements=coordinates))
    size = data.draw(
        hnp.arrays(np.float32, (n, 2), elements=st.integers(0, 6).map(float) | st.floats(0, 30, width=32))
    )
    boxes = np.concatenate([corner, corner + size], axis=1)
    confidences = data.draw(hnp.arrays(np.float32, n, elements=scores))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", 1)
        patch.setattr(module, "CROWDED", 10**6)
        kept = nms(boxes, confidences, threshold, plus_one)
    assert kept.tolist() == plain_nms(boxes, confidences, threshold, plus_one)


def crowd(random: np.random.RandomState, faces: int, each: int, spread: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Candidates as detectors give them: many for each face, a little beside one another, with equal scores."""
    centre = np.repeat(random.rand(faces, 2) * spread, each, axis=0)
    size = np.repeat(10 + random.rand(faces, 1) ** 3 * 150, each, axis=0)
    centre += random.randn(*centre.shape) * size * 0.12
    size = size * np.exp(random.randn(*size.shape) * 0.15)
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1).astype(np.float32)
    return boxes, random.randint(1, 40, len(boxes)).astype(np.float32) / 40


# Blocks and buckets so small that every layer has to correct the one before it.
@pytest.mark.parametrize(("block", "buckets"), [(BLOCK, 1 << 14), (8, 1 << 14), (8, 1), (2, 4), (1, 64)])
@pytest.mark.parametrize(("faces", "each"), [(3, 60), (60, 12), (300, 5), (600, 1)])
@pytest.mark.parametrize("spread", [60, 1000])
def test_same_as_the_plain_loop_in_crowds(
    block: int, buckets: int, faces: int, each: int, spread: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(module, "BUCKETS", buckets)
    boxes, confidences = crowd(np.random.RandomState(faces), faces, each, spread)
    for threshold in (0.0, 0.4, 0.7):
        assert nms(boxes, confidences, threshold).tolist() == plain_nms(boxes, confidences, threshold, True)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(2, 40), st.sampled_from([1, 2, 1 << 14]), st.sampled_from([1, 4]))
def test_leaders_that_do_not_stay_free_their_followers(
    data: st.DataObject, n: int, buckets: int, block: int
) -> None:
    # Chains along x: each box overlaps the next ones, so whether one stays turns on all that are better.
    starts = data.draw(hnp.arrays(np.float32, n, elements=st.integers(0, 3 * n).map(float)))
    boxes = np.stack([starts, starts * 0, starts + 9, starts * 0 + 9], axis=1).astype(np.float32)
    confidences = data.draw(hnp.arrays(np.float32, n, elements=scores))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BUCKETS", buckets)
        patch.setattr(module, "BLOCK", block)
        kept = nms(boxes, confidences, 0.4)
    assert kept.tolist() == plain_nms(boxes, confidences, 0.4, True)


@pytest.mark.parametrize("limit", ["CROWDED", "MOST_PAIRS"])
def test_what_is_too_thick_for_pairs_goes_by_blocks(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes, confidences = crowd(np.random.RandomState(0), 100, 8, 400)
    expected = nms(boxes, confidences, 0.4).tolist()
    assert expected == plain_nms(boxes, confidences, 0.4, True)
    tried: list[bool] = []
    near = module._near

    def spy(*args: Any) -> Any:
        tried.append((found := near(*args)) is None)
        return found

    monkeypatch.setattr(module, "_near", spy)
    monkeypatch.setattr(module, "BLOCK", 16)
    monkeypatch.setattr(module, limit, -(10**6))
    assert nms(boxes, confidences, 0.4).tolist() == expected
    assert len(tried) > 1 and all(tried)


@pytest.mark.parametrize("far", [0, 1e4, 1e7])
def test_far_from_the_origin_pairs_are_not_overlooked(far: float) -> None:
    random = np.random.RandomState(1)
    corner = far + random.rand(3000, 2) * 4000
    boxes = np.concatenate([corner, corner + 20 + random.rand(3000, 2) * 200], axis=1).astype(np.float32)
    confidences = random.rand(3000).astype(np.float32)
    assert nms(boxes, confidences, 0.4).tolist() == plain_nms(boxes, confidences, 0.4, True)


def test_an_overlap_that_is_just_too_large_is_not_rounded_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 1)
    random = np.random.RandomState(0)
    for _ in range(300):
        far = 10.0 ** random.randint(1, 8)
        side = far * 10.0 ** random.uniform(-3, 0)
        boxes = np.array([[far, 0, far + side, side]] * 2, np.float32)
        boxes[1, [0, 2]] += np.float32(side * random.uniform(0.05, 0.9))
        width = boxes[0, 2] - boxes[1, 0]
        areas = (boxes[:, 2] - boxes[:, 0]) * boxes[:, 3]
        iou = width * boxes[0, 3] / (areas[0] + areas[1] - width * boxes[0, 3])
        threshold = float(np.nextafter(iou, np.float32(0)))
        assert nms(boxes, np.array([0.9, 0.8], np.float32), threshold, plus_one=False).tolist() == [0]
        assert nms(boxes, np.array([0.9, 0.8], np.float32), float(iou), plus_one=False).tolist() == [0, 1]


@pytest.mark.parametrize(("faces", "each"), [(1, 1), (8, 20), (60, 12), (300, 5)])
def test_opencv_keeps_the_same_of_what_no_rounding_decides(faces: int, each: int) -> None:
    random = np.random.RandomState(faces)
    boxes, confidences = crowd(random, faces, each, 500)
    rects = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2] + 1], axis=1).astype(np.float64)
    for threshold in (0.2, 0.4, 0.7):
        kept = cv2.dnn.NMSBoxes(rects.tolist(), confidences.tolist(), 0.0, threshold)
        assert nms(boxes, confidences, threshold).tolist() == list(kept)


def test_infinite_boxes_do_not_warn() -> None:
    boxes = np.array([[0, 0, np.inf, np.inf], [0, 0, 5, 5], [np.nan, 0, 1, 1]], np.float32)
    assert nms(boxes, np.array([0.9, 0.8, 0.7], np.float32), 0.5)[0] == 0
