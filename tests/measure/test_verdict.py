from typing import Any

import pytest

from bmzoo.config.accuracy import Thresholds
from bmzoo.config.model import DEFAULT_THRESHOLDS
from bmzoo.measure.nouns import NOUNS
from bmzoo.measure.verdict import misses, nothing_compared, nothing_hint, summary
from bmzoo.measure.verdict_sureness import how_sure

LIMITS = Thresholds(cosine=0.95, sqnr=10.0, iou=0.5, missed=0.1, extra=0.2)


def figures(**changed: Any) -> dict[str, Any]:
    """What an artifact that passes exactly looks like, with some figures changed."""
    tensor = {"cosine": 0.95, "sqnr_db": 10.0, "max_error": 3.0}
    found = {"expected": 20, "missed": 2, "extra": 4, "mean_iou": 0.9}
    for part in (tensor, found):
        part.update({key: value for key, value in changed.items() if key in part})
    other = {"cosine": 1.0, "sqnr_db": 60.0, "max_error": 0.0}
    return {"images": 4, "tensors": {"loc": other, "conf": tensor}, "detections": found}


def test_figures_at_the_limits_pass() -> None:
    assert misses(figures(), LIMITS) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"cosine": 0.949999}, "conf: cosine 0.949999 is below 0.95"),
        ({"cosine": -1.0}, "conf: cosine -1.0 is below 0.95"),
        ({"cosine": None}, "conf: cosine None is below 0.95"),  # not a number
        ({"sqnr_db": 9.96}, "conf: SQNR 10.0 dB is below 10 dB"),
        ({"sqnr_db": -20.0}, "conf: SQNR -20.0 dB is below 10 dB"),
        ({"missed": 3}, "3 of 20 faces of the ONNX model not found, allowed: 10%"),
        ({"extra": 5}, "5 of 20 faces that the ONNX model does not have, allowed: 20%"),
        ({"expected": 0, "missed": 0, "extra": 1}, "1 of 0 faces that the ONNX model does not have, allowed: 20%"),
    ],
)
def test_one_figure_beyond_its_limit_is_one_line(changed: dict[str, Any], line: str) -> None:
    assert misses(figures(**changed), LIMITS) == [line]


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            {"expected": 0, "missed": 0, "extra": 0},
            "nothing was compared: the ONNX model finds no face in the 4 pictures",
        ),
        ({"missed": 20}, "0 of 20 faces of the ONNX model found, needed: 1"),
    ],
)
def test_an_artifact_is_not_right_because_nothing_is_found(changed: dict[str, Any], line: str) -> None:
    loose = Thresholds(missed=1.0, extra=1.0)
    assert misses(figures(**changed), loose) == []
    assert misses(figures(**changed), loose.model_copy(update={"faces": 1})) == [line]
    assert misses(figures(**changed), loose.model_copy(update={"faces": 0})) == []


def test_every_precision_needs_a_face() -> None:
    assert {limits.faces for limits in DEFAULT_THRESHOLDS.values()} == {1}


def test_every_miss_is_told() -> None:
    assert len(misses(figures(cosine=0.0, sqnr_db=0.0, missed=20, extra=20), LIMITS)) == 4


def test_equal_tensors_have_no_noise_and_pass_any_limit() -> None:
    strict = Thresholds(cosine=1.0, sqnr=200.0, missed=0.0, extra=0.0)
    tensors = {"loc": {"cosine": 1.0, "sqnr_db": None, "max_error": 0.0}}
    found = {"expected": 3, "missed": 0, "extra": 0, "mean_iou": 1.0}
    assert misses({"tensors": tensors, "detections": found}, strict) == []


def test_limits_that_are_not_set_do_not_count() -> None:
    assert misses(figures(cosine=None, sqnr_db=-50.0, missed=20, extra=99), Thresholds()) == []


def test_a_model_without_a_decoder_is_judged_by_its_tensors() -> None:
    alone = {**figures(cosine=0.5), "detections": None}
    assert misses(alone, LIMITS) == ["conf: cosine 0.5 is below 0.95"]
    assert summary(alone) == "cosine 0.50000, SQNR 10.0 dB"


def test_the_summary_is_the_worst_head_and_the_faces() -> None:
    assert summary(figures()) == "cosine 0.95000, SQNR 10.0 dB, 18/20 faces, 4 extra"
    nothing = figures(expected=0, missed=0, extra=0)
    assert summary(nothing) == "cosine 0.95000, SQNR 10.0 dB, no face to find, 0 extra"


def test_an_exact_artifact_is_called_so() -> None:
    tensors = {"y": {"cosine": 1.0, "sqnr_db": None, "max_error": 0.0}}
    assert summary({"tensors": tensors, "detections": None}) == "cosine 1.00000, exact"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("objects", "3 of 9 objects of the ONNX model not found, allowed: 20%"),
        ("pictures", "3 of 9 pictures not classified as by the ONNX model, allowed: 20%"),
        ("pixels", "3 of 9 pixels not labelled as by the ONNX model, allowed: 20%"),
        ("characters", "3 of 9 characters of the ONNX model not read, allowed: 20%"),
    ],
)
def test_a_verdict_speaks_of_what_was_compared(what: str, said: str) -> None:
    detections = {"expected": 9, "missed": 3, "extra": 0, "what": what}
    told = {"images": 1, "tensors": {}, "detections": detections}
    assert misses(told, DEFAULT_THRESHOLDS["int8"]) == [said]
    assert f"6/9 {what}, 0 extra" in summary(told)
    nothing = {**told, "detections": {**detections, "expected": 0, "missed": 0}}
    assert NOUNS[what].none in nothing_compared(nothing, DEFAULT_THRESHOLDS["int8"])
    assert f"put pictures with {what} first" in nothing_hint(nothing)


def found_in(missed: list[int], extra: list[int], expected: int = 5) -> dict[str, Any]:
    pictures = len(missed)
    told = {
        **{"expected": expected * pictures, "missed": sum(missed), "extra": sum(extra), "mean_iou": 0.9},
        **{"expected_per_image": [expected] * pictures, "missed_per_image": missed, "extra_per_image": extra},
    }
    return {**figures(), "detections": told}


def test_a_verdict_is_sure_where_other_draws_of_its_pictures_say_the_same() -> None:
    sure = how_sure(found_in([0] * 8, [0] * 8), LIMITS)
    assert sure is not None and sure.sure and sure.advice == ""
    assert str(sure) == "sure: the same in 100% of draws of these 8 pictures"


def test_a_verdict_that_is_not_sure_says_how_many_pictures_would_tell() -> None:
    by_chance = how_sure(found_in([2, 1, *[0] * 6], [0] * 8), LIMITS)
    assert by_chance is not None and not by_chance.sure
    assert by_chance.advice.startswith("about ") and by_chance.advice.endswith(" pictures would tell")
    assert str(by_chance).startswith("not sure: the same in ") and "of draws of these 8 pictures, about " in str(
        by_chance
    )
    at_the_limit = how_sure(found_in([4, *[0] * 7], [0] * 8), LIMITS)
    assert at_the_limit is not None and at_the_limit.advice == "no number of pictures would tell"


def test_a_verdict_by_whole_outputs_or_by_nothing_found_is_drawn_from_nothing() -> None:
    assert how_sure({**figures(), "detections": None}, LIMITS) is None
    assert how_sure({**found_in([0], [0]), **{"tensors": figures(cosine=0.5)["tensors"]}}, LIMITS) is None
    assert how_sure(found_in([0, 0], [1, 0], expected=0), LIMITS) is None
    assert how_sure(figures(), LIMITS) is None, "figures that were kept before pictures were told apart"
