import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bmzoo.runtime.nms import BLOCK, nms


def plain_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float, plus_one: bool) -> list[int]:
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
        patch.setattr("bmzoo.runtime.nms.BLOCK", 1)
        patch.setattr("bmzoo.runtime.nms.CROWDED", 10**6)
        kept = nms(boxes, confidences, threshold, plus_one)
    assert kept.tolist() == plain_nms(boxes, confidences, threshold, plus_one)


@pytest.mark.parametrize("far", [0, 1e4, 1e7])
def test_far_from_the_origin_pairs_are_not_overlooked(far: float) -> None:
    random = np.random.RandomState(1)
    corner = far + random.rand(3000, 2) * 4000
    boxes = np.concatenate([corner, corner + 20 + random.rand(3000, 2) * 200], axis=1).astype(np.float32)
    confidences = random.rand(3000).astype(np.float32)
    assert nms(boxes, confidences, 0.4).tolist() == plain_nms(boxes, confidences, 0.4, True)


def test_infinite_boxes_do_not_warn() -> None:
    boxes = np.float32([[0, 0, np.inf, np.inf], [0, 0, 5, 5], [np.nan, 0, 1, 1]])
    assert nms(boxes, np.float32([0.9, 0.8, 0.7]), 0.5)[0] == 0
