"""Sets of pictures that are alike, night only, of another kind, or no pictures at all."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.measure.picture_statistics import larger, nearly_same, statistics, unlike

RANDOM = np.random.default_rng(5)


def smooth(low: int = 0, high: int = 255, grey: bool = False) -> NDArray[np.uint8]:
    small = RANDOM.integers(low, high, (6, 6, 1 if grey else 3)).astype(np.uint8)
    picture = cv2.resize(small, (80, 60), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.repeat(picture[..., None], 3, 2) if grey else picture, np.uint8)


def test_sets_of_one_kind_are_not_named() -> None:
    for _ in range(30):
        one, other = ([statistics(smooth()) for _ in range(number)] for number in (32, 8))
        assert unlike(one, other, "verify") == []


def test_night_pictures_are_named_with_their_brightness() -> None:
    night, day = [statistics(smooth(0, 40)) for _ in range(16)], [statistics(smooth()) for _ in range(8)]
    (said,) = unlike(night, day, "verify")
    assert said.startswith("night pictures only: brightness ") and said.endswith(" in verify")
    assert unlike(night, night, "verify") == []


def test_grey_documents_are_unlike_photographs() -> None:
    pages = [statistics(smooth(190, 255, grey=True)) for _ in range(16)]
    (said,) = unlike(pages, [statistics(smooth()) for _ in range(8)], "verify")
    assert said.startswith("unlike the pictures of verify: brightness ") and "colour 0, " in said


def test_of_a_few_pictures_nothing_is_said() -> None:
    dark, bright = [statistics(smooth(0, 20))] * 4, [statistics(smooth(200, 255))] * 8
    assert unlike(dark, bright, "verify") == [] and unlike(bright, dark, "verify") == []


def test_noise_and_one_colour_are_empty() -> None:
    noise = RANDOM.integers(0, 256, (60, 80, 3)).astype(np.uint8)
    assert statistics(noise).empty
    assert statistics(np.full((60, 80, 3), 90, np.uint8)).empty
    assert not statistics(smooth()).empty


def test_pairs_are_counted_with_ties_as_halves() -> None:
    assert larger([1, 2], [0, 2]) == pytest.approx((1 + 0 + 1 + 0.5) / 4)


def test_a_picture_that_is_there_twice_is_found() -> None:
    one, other = smooth(), smooth()
    brighter = np.clip(one.astype(int) + 2, 0, 255).astype(np.uint8)
    assert nearly_same([one, other, brighter]) == [(0, 2)]
    assert nearly_same([]) == []
