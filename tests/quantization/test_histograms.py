"""Histograms against counting the values themselves, and that they add up in any order."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo.quantization.histograms import Histogram, difference, histogram, together, widened

BINS = 64


def pictures() -> list[NDArray[np.float32]]:
    """Of very different ranges, one side only among them, and one without anything."""
    rng = np.random.default_rng(1)
    normal = [rng.normal(size=(3, 40, 40)).astype(np.float32) * scale for scale in (1, 30, 0.01)]
    return [*normal, np.maximum(normal[0], 0), -np.abs(normal[1]) - 200, np.zeros((2, 2), np.float32)]


def counted(values: NDArray[np.float32], of: Histogram) -> NDArray[np.int64]:
    """The slow way: each value to its bin."""
    places = [int(np.floor(float(value) / of.width)) - of.first for value in values.reshape(-1)]
    return np.array([places.count(place) for place in range(of.counts.shape[1])])


@pytest.mark.parametrize("values", pictures())
def test_every_value_is_in_its_bin(values: NDArray[np.float32]) -> None:
    found = histogram(values, BINS)
    np.testing.assert_array_equal(found.total(), counted(values, found))
    assert (found.low, found.high) == (values.min(), values.max())
    assert found.zeros.sum() == (values == 0).sum()
    assert found.counts.shape[1] <= 2 * BINS
    assert not values.any() or found.largest / found.width >= BINS / 2, "as narrow as they can be"


def test_pictures_add_up_in_any_order_and_grouping() -> None:
    parts = [histogram(values, BINS) for values in pictures()]
    whole = together(parts)
    every = np.concatenate([values.reshape(-1) for values in pictures()])
    np.testing.assert_array_equal(whole.total(), counted(every, whole))
    for order in itertools.islice(itertools.permutations(parts), 0, 720, 97):
        two = together([together(order[:2]), together(order[2:])])
        np.testing.assert_array_equal(two.total(), whole.total())
        assert (two.first, two.exponent, two.low, two.high) == (
            whole.first,
            whole.exponent,
            whole.low,
            whole.high,
        )


def test_magnitudes_are_of_both_signs_and_without_zeros() -> None:
    values = np.array([0, 0, 0.5, 1.5, -1.25, -3.75, 2.5], np.float32)
    found = widened(histogram(values, BINS), 0)
    np.testing.assert_array_equal(found.magnitudes(), [1, 2, 1, 1])
    only_negative = widened(histogram(np.array([-5.5, -7.25], np.float32), BINS), 0)
    np.testing.assert_array_equal(only_negative.magnitudes(), [0, 0, 0, 0, 0, 1, 0, 1])
    only_far = widened(histogram(np.array([5.5, 7.25], np.float32), BINS), 0)
    np.testing.assert_array_equal(only_far.magnitudes(), [0, 0, 0, 0, 0, 1, 0, 1])


@pytest.mark.parametrize("scale", [1e-12, 1e-30, 1e12, 1e30])
def test_ranges_far_from_one(scale: float) -> None:
    values = np.linspace(-1, 1, 1001, dtype=np.float32) * np.float32(scale)
    found = histogram(values, BINS)
    assert found.total().sum() == 1001
    assert found.largest == pytest.approx(scale)
    assert found.counts.shape[1] > BINS


def test_what_is_no_number_is_refused() -> None:
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="NaN or infinity"):
            histogram(np.array([1, bad, 2], np.float32), BINS)
    with pytest.raises(ValueError, match="no values"):
        histogram(np.zeros((0, 3), np.float32), BINS)


def test_picked_pictures_count_as_often_as_they_are_picked() -> None:
    first, second = (histogram(np.full(4, value, np.float32), BINS) for value in (1.0, 3.0))
    both = together([first, second])
    again = both.picked([1, 1, 1])
    assert again.low == again.high == 3
    assert again.total().sum() == 12
    assert both.summed().counts.shape[0] == 1
    np.testing.assert_array_equal(both.summed().total(), both.total())


def test_difference_is_how_far_values_move() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, 100_000).astype(np.float32)
    seen = histogram(values, 2048)
    assert difference(seen, histogram(np.random.default_rng(1).permutation(values), 2048)) == 0
    assert difference(seen, histogram(values + 0.1, 2048)) == pytest.approx(0.1 / 1.1, rel=0.02)
    assert difference(seen, histogram(values[:-1], 2048)) == np.inf
