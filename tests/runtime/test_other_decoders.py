"""Decoders that give no boxes: each against a computation of its own."""

import math
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.errors import SessionError
from bmzoo.runtime.decoders.decode import DecoderSpec, decode
from bmzoo.runtime.decoders.registry import DECODERS
from bmzoo.runtime.predictions.classes import Classes
from bmzoo.runtime.predictions.mask import Mask
from bmzoo.runtime.predictions.points import PointSet
from bmzoo.runtime.predictions.prediction import Prediction, only
from bmzoo.runtime.predictions.regions import Regions
from bmzoo.runtime.predictions.text import Text

SIZE = (32, 48)


def run(heads: dict[str, NDArray[Any]], spec: DecoderSpec, size: tuple[int, int] = SIZE) -> list[Prediction]:
    return decode(heads, spec, size, 0.5, 0.4)


def shares(values: NDArray[Any]) -> list[float]:
    weights = [math.exp(float(v)) for v in values]
    return [w / sum(weights) for w in weights]


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 1, 1)])
@pytest.mark.parametrize("squashed", [False, True])
def test_classes_are_given_best_first(shape: tuple[int, ...], squashed: bool) -> None:
    raw = np.random.default_rng(0).normal(0, 2, (2, 5)).astype(np.float32)
    head = np.array([shares(row) for row in raw], np.float32) if squashed else raw
    names = tuple("abcde")
    found = only(Classes, run({"y": head.reshape(shape)}, DecoderSpec("classification", classes=names)), "x")
    for one, row in zip(found, raw, strict=True):
        wanted = sorted(((share, i) for i, share in enumerate(shares(row))), reverse=True)
        assert one.labels.tolist() == [i for _, i in wanted]
        np.testing.assert_allclose(one.scores, [share for share, _ in wanted], rtol=1e-5)
        assert one.lines()[1].endswith(names[wanted[0][1]])


def test_a_classifier_has_as_many_names_as_classes() -> None:
    with pytest.raises(SessionError, match="classes: 2 names, the network has 5 classes"):
        run({"y": np.zeros((1, 5), np.float32)}, DecoderSpec("classification", classes=("a", "b")))
    with pytest.raises(SessionError, match="classification: needs exactly one output"):
        run({"y": np.zeros((1, 5, 7), np.float32)}, DecoderSpec("classification"))


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("classes", [4, 8])  # 8 rows of 12 columns: as many classes as rows
def test_a_mask_has_the_best_class_of_each_cell(layout: str, classes: int) -> None:
    raw = np.random.default_rng(1).normal(0, 2, (2, classes, 8, 12)).astype(np.float32)
    head = raw if layout == "nchw" else raw.transpose(0, 2, 3, 1)
    for one, scores in zip(only(Mask, run({"y": head}, DecoderSpec("segmentation")), "x"), raw, strict=True):
        assert one.labels.shape == (8, 12) and one.input_hw == SIZE
        for y in range(8):
            for x in range(12):
                first, second = sorted(((s, i) for i, s in enumerate(shares(scores[:, y, x]))), reverse=True)[:2]
                assert (one.labels[y, x], one.second[y, x]) == (first[1], second[1])
                assert one.lead[y, x] == pytest.approx(first[0] - second[0], abs=1e-5)


def test_a_mask_of_one_class_and_of_labels() -> None:
    raw = np.random.default_rng(2).normal(0, 2, (1, 1, 8, 12)).astype(np.float32)
    (one,) = only(Mask, run({"y": raw}, DecoderSpec("segmentation")), "x")
    np.testing.assert_array_equal(one.labels, raw[0, 0] > 0)
    np.testing.assert_allclose(one.lead, np.abs(2 / (1 + np.exp(-raw[0, 0])) - 1), atol=1e-5)
    labels = np.arange(96, dtype=np.float32).reshape(8, 12) % 7
    for shape in ((1, 8, 12), (1, 1, 8, 12)):
        (one,) = only(Mask, run({"y": labels.reshape(shape)}, DecoderSpec("segmentation")), "x")
        np.testing.assert_array_equal(one.labels, labels)
    with pytest.raises(SessionError, match="not shaped like the input, 32x48"):
        run({"y": np.zeros((1, 3, 9, 40), np.float32)}, DecoderSpec("segmentation"))


@pytest.mark.parametrize("unit", ["normalized", "pixels"])
@pytest.mark.parametrize("flat", [False, True])
def test_landmarks_in_either_unit(unit: str, flat: bool) -> None:
    points = np.random.default_rng(3).uniform(0, 1, (2, 5, 2)).astype(np.float32)
    found = run({"y": points.reshape(2, 10) if flat else points}, DecoderSpec("landmarks", points=unit))
    for one, row in zip(only(PointSet, found, "x"), points, strict=True):
        for (x, y), (given_x, given_y) in zip(one.points.tolist(), row.tolist(), strict=True):
            assert x == pytest.approx(given_x * (48 if unit == "normalized" else 1), rel=1e-6)
            assert y == pytest.approx(given_y * (32 if unit == "normalized" else 1), rel=1e-6)


@pytest.mark.parametrize("squashed", [False, True])
def test_text_is_the_best_path_without_repeats_and_blanks(squashed: bool) -> None:
    path = [0, 3, 3, 0, 3, 1, 1, 2, 0, 0, 4]
    raw = np.random.default_rng(4).normal(0, 0.5, (1, len(path), 5)).astype(np.float32)
    for step, best in enumerate(path):
        raw[0, step, best] = 3
    head = np.array([[shares(step) for step in raw[0]]], np.float32) if squashed else raw
    for characters in (("a", "b", "c", " "), ("a", "b", "c")):  # PaddleOCR leaves the space out
        (one,) = only(Text, run({"y": head}, DecoderSpec("ctc_text", characters=characters)), "x")
        wanted, before, scores, leads = "", 0, [], []
        for step in raw[0]:
            ranked = sorted(((share, i) for i, share in enumerate(shares(step))), reverse=True)
            best = ranked[0][1]
            if best not in (0, before):
                wanted += "abc "[best - 1]
                scores.append(ranked[0][0])
                leads.append(ranked[0][0] - ranked[1][0])
            before = best
        assert str(one) == wanted == "ccab "
        np.testing.assert_allclose(one.scores, scores, rtol=1e-4)
        np.testing.assert_allclose(one.lead, leads, rtol=1e-3)
    with pytest.raises(SessionError, match="characters: 7, the network has 4 after the blank"):
        run({"y": head}, DecoderSpec("ctc_text", characters=tuple("abcdefg")))


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("unclip", [1.5, 2.0])
def test_text_regions_are_found_and_grown(logits: bool, unclip: float) -> None:
    """Against the published way: polygons moved out by area * ratio / length, here a rectangle's own arithmetic."""
    chances = np.full((1, 1, 80, 120), 0.02, np.float32)
    chances[0, 0, 20:30, 10:60] = 0.9  # pixels 10 to 59 by 20 to 29
    chances[0, 0, 50:60, 70:110] = 0.4  # above the threshold of binarization, but faint on the whole
    chances[0, 0, 70:72, 5:7] = 0.95  # too small
    slanted = np.array([[[70, 8], [100, 25], [95, 34], [65, 17]]], np.int32)
    cv2.fillPoly(chances[0, 0], [slanted[0]], (0.8,))
    head = np.log(chances / (1 - chances)) if logits else chances
    (one,) = only(Regions, run({"y": head}, DecoderSpec("db_text", unclip=unclip), (160, 240)), "x")
    assert len(one) == 2
    assert one.scores[0] == pytest.approx(0.9, abs=1e-5)
    assert 0.7 < one.scores[1] < 0.8, "the rectangle around a slanted line has some of its surroundings"
    width, height = 49, 9
    out = width * height * unclip / (2 * (width + height))
    wanted = [[10 - out, 20 - out], [59 + out, 20 - out], [59 + out, 29 + out], [10 - out, 29 + out]]
    np.testing.assert_allclose(one.quads[0], np.array(wanted) * 2, atol=0.02)
    grown, was = cv2.contourArea(one.quads[1]) / 4, cv2.contourArea(slanted.astype(np.float32))
    sides = np.linalg.norm(np.diff(np.concatenate([slanted[0], slanted[0][:1]]), axis=0), axis=1)[:2]
    out = was * unclip / (2 * sides.sum())
    assert grown == pytest.approx((sides[0] + 2 * out) * (sides[1] + 2 * out), rel=0.12)
    assert one.quads[1][0, 0] < one.quads[1][1, 0], "clockwise from the top left"


def test_a_fainter_text_is_found_where_it_is_asked_for() -> None:
    chances = np.zeros((1, 1, 80, 120), np.float32)
    chances[0, 0, 50:60, 70:110] = 0.4
    spec = DecoderSpec("db_text")
    assert len(decode({"y": chances}, spec, (80, 120), 0.3, 0.4)[0]) == 1
    assert len(decode({"y": chances}, DecoderSpec("db_text", binarize=0.5), (80, 120), 0.3, 0.4)[0]) == 0
    assert decode({"y": chances}, spec, (80, 120), 0.6, 0.4)[0].lines() == ["0"]


def test_these_and_their_neighbours_are_all_decoders_that_give_no_boxes() -> None:
    others = {name for name, row in DECODERS.items() if row.gives != "detections"}
    assert others == {"classification", "segmentation", "landmarks", "ctc_text", "db_text", "none"}
