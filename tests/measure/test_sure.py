"""The signed-rank test beside all signs written out, and what counts as surely better."""

import itertools

import numpy as np
import pytest

from bmzoo.measure.audit.sure import CHANCE, LEAST_GAIN, by_chance, fewest, gain, signed_ranks


def by_hand(more: list[float]) -> float:
    """The share of all sign patterns whose positive ranks sum to as much or more; ties share the mean rank."""
    left = np.array([one for one in more if one])
    sizes = np.abs(left)
    ranks = np.array([np.mean(np.flatnonzero(np.sort(sizes) == size)) + 1 for size in sizes])
    observed = ranks[left > 0].sum()
    sums = [np.dot(signs, ranks) for signs in itertools.product((0, 1), repeat=len(left))]
    return float(np.mean([one >= observed - 1e-9 for one in sums]))


@pytest.mark.parametrize(
    "more",
    [
        [1.0, 2.0, 3.0],
        [-1.0, 2.0, 3.0, 0.0],
        [1.0, 1.0, -1.0, 2.0, -3.0],
        [-1.0, -2.0],
        [0.5, -0.5, 0.5, -0.5, 4.0, 1.0, 2.0],
    ],
)
def test_the_chance_is_that_of_all_signs(more: list[float]) -> None:
    assert signed_ranks(np.array(more)) == pytest.approx(by_hand(more))


def test_no_difference_is_no_evidence() -> None:
    assert signed_ranks(np.zeros(9)) == 1.0


def test_what_is_better_in_every_picture_is_sure_only_with_enough_of_them() -> None:
    tried = 25
    for number in range(3, 20):
        before = np.linspace(1, 2, number)
        assert gain(before, before * 1.5).sure(tried) == (number >= fewest(tried))


def test_a_small_gain_does_not_matter_however_sure() -> None:
    before = np.linspace(1, 2, 40)
    assert not gain(before, before * (1 + LEAST_GAIN * 0.9)).sure(1)
    assert gain(before, before * (1 + LEAST_GAIN * 1.1)).sure(1)


def test_one_picture_that_gains_all_is_not_sure() -> None:
    before, after = np.ones(32), np.ones(32)
    after[5] = 100
    assert gain(before, after).share > 1 and not gain(before, after).sure(1)


def test_noise_is_called_better_as_rarely_as_it_says() -> None:
    random = np.random.default_rng(3)
    tried = 1
    named = [gain(random.normal(5, 1, 32), random.normal(5, 1, 32)).sure(tried) for _ in range(500)]
    assert np.mean(named) < 2 * CHANCE


def test_something_in_place_of_nothing_is_better() -> None:
    found = gain(np.zeros(16), np.ones(16))
    assert found.share == np.inf and found.sure(25)
    assert not gain(np.zeros(16), np.zeros(16)).sure(1)


TABLES = [(1, 9, 11, 14), (9, 32, 8, 8), (0, 5, 0, 3), (3, 3, 3, 3)]


@pytest.mark.parametrize(("some", "of", "others", "of_others"), TABLES)
def test_few_by_chance_is_the_share_of_ways_to_deal_them(some: int, of: int, others: int, of_others: int) -> None:
    """Against dealing 20,000 times."""
    deck = np.repeat([True, False], [some + others, of + of_others - some - others])
    random = np.random.default_rng(1)
    dealt = [random.permutation(deck)[:of].sum() <= some for _ in range(20_000)]
    assert by_chance(some, of, others, of_others) == pytest.approx(np.mean(dealt), abs=0.01)
