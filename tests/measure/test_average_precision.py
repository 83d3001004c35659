import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bmzoo.measure.average_precision import Predictions, Truth, curves

Box = tuple[float, float, float, float]


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """IoU of two boxes x, y, w, h: corners x, y, x + w, y + h, and every length one pixel longer."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]) + 1
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    area_a, area_b = ((c[0] + c[2] - c[0] + 1) * (c[1] + c[3] - c[1] + 1) for c in (a, b))
    return width * height / (area_a + area_b - width * height)


def literal(found: Sequence[Predictions], truths: Sequence[Truth], subset: str) -> float:
    """The protocol word by word, without any thought for time."""
    low, high = 1.0, 0.0
    for one in found:
        for score in one.scores.tolist():
            low, high = min(low, score), max(high, score)
    matches, proposals, faces = [0] * 1000, [0] * 1000, 0
    for one, truth in zip(found, truths, strict=True):
        kept = set(truth.kept[subset].tolist())
        faces += len(kept)
        if not len(truth.boxes) or not len(one.boxes):
            continue
        by_score = sorted(range(len(one.scores)), key=lambda i: -one.scores[i])
        taken: set[int] = set()
        counted, recalled, normal = [], [], []
        for i in by_score:
            score = float(one.scores[i])
            normal.append((score - low) / (high - low) if high > low else 1.0)
            ious = [overlap(one.boxes[i].tolist(), box) for box in truth.boxes.tolist()]
            best = ious.index(max(ious))
            counted.append(ious[best] < 0.5 or best in kept)
            if ious[best] >= 0.5 and best in kept:
                taken.add(best)
            recalled.append(len(taken))
        for k in range(1000):
            reached = [i for i, score in enumerate(normal) if score >= 1 - (k + 1) / 1000]
            if reached:
                proposals[k] += sum(counted[: reached[-1] + 1])
                matches[k] += recalled[reached[-1]]
    return area(matches, proposals, faces) if faces else float("nan")


def area(matches: Sequence[int], proposals: Sequence[int], faces: int) -> float:
    recall = [0.0, *(match / faces for match in matches), 1.0]
    ratios = [match / all_ if all_ else 0.0 for match, all_ in zip(matches, proposals, strict=True)]
    precision = [0.0, *ratios, 0.0]
    for i in range(len(precision) - 1, 0, -1):
        precision[i - 1] = max(precision[i - 1], precision[i])
    return sum((recall[i + 1] - recall[i]) * precision[i + 1] for i in range(len(recall) - 1))


def found_of(boxes: Sequence[Box], scores: Sequence[float]) -> Predictions:
    return Predictions(np.array(boxes, np.float64).reshape(-1, 4), np.array(scores, np.float64))


def truth_of(boxes: Sequence[Box], **kept: Sequence[int]) -> Truth:
    indices: Mapping[str, NDArray[Any]] = {key: np.array(value, np.int64) for key, value in kept.items()}
    return Truth(np.array(boxes, np.float64).reshape(-1, 4), indices)


def aps(found: Sequence[Predictions], truths: Sequence[Truth]) -> dict[str, float]:
    return {subset: curve.ap for subset, curve in curves(found, truths).items()}


# A coarse grid, so that hits, ties, double hits and an IoU of exactly one half are common.
sides = st.sampled_from([0, 1, 3, 4, 7])
boxes = st.tuples(st.integers(0, 8), st.integers(0, 4), sides, sides)
scores = st.sampled_from([0.02, 0.3, 0.301, 0.5, 0.999, 1.0]) | st.floats(0, 1)


@st.composite
def pictures(draw: st.DrawFn) -> tuple[Predictions, Truth]:
    faces = draw(st.lists(boxes, max_size=5))
    near = st.sampled_from(faces) | boxes if faces else boxes
    predicted = draw(st.lists(st.tuples(near, scores), max_size=8))
    subset = st.sets(st.integers(0, len(faces) - 1)) if faces else st.just(set())
    truth = truth_of(faces, easy=sorted(draw(subset)), hard=range(len(faces)), none=[])
    return found_of([box for box, _ in predicted], [score for _, score in predicted]), truth


@settings(max_examples=60, deadline=None)
@given(st.lists(pictures(), min_size=1, max_size=4))
def test_same_as_the_protocol_word_by_word(sample: list[tuple[Predictions, Truth]]) -> None:
    found, truths = zip(*sample, strict=True)
    figures = aps(found, truths)
    assert list(figures) == ["easy", "hard", "none"]
    for subset, ap in figures.items():
        assert ap == pytest.approx(literal(found, truths, subset), abs=1e-12, nan_ok=True)


def random_set(count: int, predictions: int, faces: int) -> tuple[list[Predictions], list[Truth]]:
    random = np.random.default_rng(0)
    found, truths = [], []
    for _ in range(count):
        real = np.concatenate([random.integers(0, 900, (faces, 2)), random.integers(5, 90, (faces, 2))], axis=1)
        guess = real[random.integers(0, faces, predictions)] + random.integers(-6, 7, (predictions, 4))
        kept = {
            s: np.flatnonzero(random.random(faces) < p) for s, p in (("easy", 0.2), ("medium", 0.5), ("hard", 0.9))
        }
        truths.append(Truth(real.astype(np.float64), kept))
        found.append(Predictions(np.maximum(guess, 0).astype(np.float64), random.random(predictions, np.float32)))
    return found, truths


def test_same_as_the_protocol_on_larger_pictures() -> None:
    found, truths = random_set(6, 60, 12)
    for subset, ap in aps(found, truths).items():
        assert 0 < ap < 1
        assert ap == pytest.approx(literal(found, truths, subset), abs=1e-12)


def test_the_complete_set_takes_less_than_two_seconds() -> None:
    found, truths = random_set(806, 300, 12)  # a quarter of WIDER FACE's validation set
    start = time.process_time()
    curves(found, truths)
    assert time.process_time() - start < 0.5


def test_all_found_and_nothing_else() -> None:
    faces = [(0, 0, 9, 9), (50, 50, 20, 20)]
    assert aps([found_of(faces, [0.9, 0.4])], [truth_of(faces, all=[0, 1])]) == {"all": 1.0}


def test_half_found_before_and_after_a_false_one() -> None:
    faces: list[Box] = [(0, 0, 9, 9), (50, 50, 20, 20)]
    truth = [truth_of(faces, all=[0, 1])]
    false: Box = (200, 200, 9, 9)
    assert aps([found_of([faces[0], false], [0.9, 0.5])], truth) == {"all": 0.5}
    assert aps([found_of([faces[0], false], [0.5, 0.9])], truth) == {"all": 0.25}


def test_a_face_outside_the_subset_neither_counts_nor_costs() -> None:
    faces: list[Box] = [(0, 0, 9, 9), (50, 50, 20, 20)]
    found = [found_of([faces[1], faces[0]], [0.9, 0.5])]
    assert aps(found, [truth_of(faces, easy=[0], hard=[0, 1])]) == {"easy": 1.0, "hard": 1.0}


def test_the_second_hit_on_a_face_is_false() -> None:
    faces: list[Box] = [(0, 0, 9, 9), (50, 50, 20, 20)]
    found = [found_of([faces[0], faces[0], faces[1]], [0.9, 0.8, 0.7])]
    assert aps(found, [truth_of(faces, all=[0, 1])])["all"] == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_pixels_count_inclusively() -> None:
    # 1x2 of 2x2 pixels is one half, hence a hit; without the extra pixel both would be empty.
    assert aps([found_of([(0, 0, 0, 1)], [0.9])], [truth_of([(0, 0, 1, 1)], all=[0])]) == {"all": 1.0}


def test_what_is_found_where_no_face_is_adds_nothing() -> None:
    face: Box = (0, 0, 9, 9)
    found = [found_of([face], [0.4]), found_of([(5, 5, 9, 9)], [0.9])]
    assert aps(found, [truth_of([face], all=[0]), truth_of([], all=[])]) == {"all": 1.0}


def test_nothing_found_and_nothing_to_find() -> None:
    truth = [truth_of([(0, 0, 9, 9)], easy=[], hard=[0])]
    figures = curves([found_of([], [])], truth)
    assert figures["hard"].ap == 0
    assert np.isnan(figures["easy"].ap)
    assert (figures["easy"].faces, figures["hard"].faces) == (0, 1)
    assert curves([], []) == {}


def test_every_picture_needs_its_predictions() -> None:
    with pytest.raises(ValueError, match="zip"):
        curves([], [truth_of([], all=[])])
