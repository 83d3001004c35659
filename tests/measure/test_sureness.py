"""How sure a figure over pictures is, beside loops that draw the pictures one by one."""

import math

import numpy as np
import pytest

from bmzoo.measure.sureness import (
    TIMES,
    Evidence,
    Kept,
    Means,
    Ranked,
    RankedPicture,
    ShareLimit,
    evidence_of,
    figure_of,
    pictures_needed,
    resamples,
    same_verdict,
    sureness,
)

RANKED = Ranked(
    (
        RankedPicture((0.9, 0.5, 0.2), (True, False, True), 3),
        RankedPicture((0.8,), (False,), 0),
        RankedPicture((), (), 2),
        RankedPicture((0.95, 0.7, 0.6), (True, True, False), 2),
    )
)
MEANS = Means((1.0, 0.5, None, 0.0))


def average_precision(pictures: list[RankedPicture]) -> float:
    """As defined: over every found thing, the best precision at this recall or more, times the recall it adds."""
    rows = sorted(
        ((s, hit) for one in pictures for s, hit in zip(one.scores, one.right, strict=True)), key=lambda r: -r[0]
    )
    wanted = sum(one.wanted for one in pictures)
    if not wanted:
        return math.nan
    precisions = [sum(hit for _, hit in rows[: n + 1]) / (n + 1) for n in range(len(rows))]
    return sum(max(precisions[n:]) for n, (_, hit) in enumerate(rows) if hit) / wanted


def test_every_draw_takes_as_many_pictures_as_there_are_and_each_as_often_as_the_others() -> None:
    counts = resamples(8)
    assert counts.shape == (TIMES, 8)
    assert set(counts.sum(axis=1)) == {8}
    assert np.abs(counts.mean(axis=0) - 1).max() < 0.15
    assert (counts == resamples(8)).all(), "the same every time"
    assert (counts != resamples(8, seed=1)).any()


def test_the_figure_over_all_pictures_is_average_precision() -> None:
    assert figure_of(RANKED, 4) == pytest.approx(average_precision(list(RANKED.pictures)))
    assert figure_of(Ranked((RankedPicture((0.9,), (True,), 1),)), 1) == 1.0


def test_a_draw_counts_a_picture_as_often_as_it_was_drawn() -> None:
    counts = resamples(4, times=250)  # more than are taken at a time
    for evidence, direct in ((RANKED, average_precision), (MEANS, None)):
        found = evidence.under(counts)
        assert found.shape == (250,)
        for row, figure in zip(counts, found, strict=True):
            drawn = [place for place, often in enumerate(row) for _ in range(often)]
            if direct is not None:
                # Draws of one picture are equal in score, and counted at once: their order must not matter.
                expected = direct_at_once([RANKED.pictures[place] for place in drawn])
            else:
                values = [MEANS.values[place] for place in drawn]
                counted = [value for value in values if value is not None]
                expected = sum(counted) / len(counted) if counted else math.nan
            assert figure == pytest.approx(expected, nan_ok=True)


def direct_at_once(pictures: list[RankedPicture]) -> float:
    """Average precision where equal scores are one threshold."""
    rows = [(s, hit) for one in pictures for s, hit in zip(one.scores, one.right, strict=True)]
    wanted = sum(one.wanted for one in pictures)
    if not wanted:
        return math.nan
    points = []
    for threshold in sorted({score for score, _ in rows}, reverse=True):
        taken = [hit for score, hit in rows if score >= threshold]
        points.append((sum(taken) / wanted, sum(taken) / len(taken)))
    area, before = 0.0, 0.0
    for place, (recall, _) in enumerate(points):
        area += (recall - before) * max(precision for _, precision in points[place:])
        before = recall
    return area


def test_what_is_kept_is_compared_in_the_same_draws() -> None:
    better = Ranked(
        tuple(RankedPicture(p.scores, (1.0,) * len(p.scores), max(p.wanted, 1)) for p in RANKED.pictures)
    )
    counts = resamples(4, times=50)
    assert Kept(RANKED, RANKED).under(counts)[counts[:, 1] < 4] == pytest.approx(1.0)
    found = Kept(better, RANKED).under(counts)
    assert found == pytest.approx(1 - (better.under(counts) - RANKED.under(counts)), nan_ok=True)
    assert figure_of(Kept(better, RANKED), 4) < 1


def test_pictures_without_anything_to_find_leave_nothing_to_say() -> None:
    nothing = Ranked((RankedPicture((0.9,), (False,), 0),))
    assert math.isnan(figure_of(nothing, 1))
    assert math.isnan(figure_of(Means((None, None)), 2))
    assert math.isnan(sureness(nothing.under(resamples(1))).low)


def test_bounds_are_those_that_one_draw_in_twenty_is_beyond() -> None:
    random = np.random.default_rng(1)
    found = sureness(np.append(random.normal(0.9, 0.01, 100_000), math.nan))
    assert found.low == pytest.approx(0.9 - 0.01645, abs=2e-4)
    assert found.high == pytest.approx(0.9 + 0.01645, abs=2e-4)
    assert found.deviation == pytest.approx(0.01, rel=0.02)


def test_the_deviation_of_a_mean_is_that_of_its_pictures_by_the_root_of_their_number() -> None:
    values = np.random.default_rng(2).uniform(0, 1, 64)
    found = sureness(Means(tuple(values.tolist())).under(resamples(64)))
    assert found.deviation == pytest.approx(values.std() / 8, rel=0.06)


def test_four_times_the_pictures_tell_half_the_difference() -> None:
    assert pictures_needed(0.99, 0.98, 0.01 / 1.645, 32) == 32
    assert pictures_needed(0.985, 0.98, 0.01 / 1.645, 32) == 130, "128, to two digits"
    assert pictures_needed(0.975, 0.98, 0.01 / 1.645, 32) == 130, "on the other side as well"
    assert pictures_needed(0.98, 0.98, 0.01, 32) is None
    assert pictures_needed(0.98000001, 0.98, 0.01, 32) is None, "more than anybody has"
    assert pictures_needed(1.0, 0.98, 0.0, 8) == 8


def test_a_verdict_far_from_its_limit_is_the_same_in_every_draw() -> None:
    assert same_verdict([ShareLimit([0] * 8, [5] * 8, 0.1)]) == (1.0, 8)
    assert same_verdict([ShareLimit([5] * 8, [5] * 8, 0.1)]) == (1.0, 8)


def test_a_verdict_that_one_picture_decides_is_another_where_it_is_not_drawn() -> None:
    """Four of forty are missed, all in one picture: it is drawn twice or more in a quarter of the draws."""
    same, needed = same_verdict([ShareLimit([4, *[0] * 7], [5] * 8, 0.11)])
    expected = 1 - sum(math.comb(8, k) * (1 / 8) ** k * (7 / 8) ** (8 - k) for k in range(2, 9))
    assert same == pytest.approx(expected, abs=0.03)
    assert needed is not None and needed > 1000


def test_all_limits_have_to_be_kept_and_the_one_that_takes_most_pictures_tells() -> None:
    near, far = ShareLimit([1, 0] * 4, [5] * 8, 0.11), ShareLimit([0] * 8, [5] * 8, 0.11)
    assert same_verdict([near, far]) == same_verdict([near])
    failing = ShareLimit([5] * 8, [5] * 8, 0.11)
    assert same_verdict([near, failing]) == (1.0, 8), "of a verdict that fails, those limits count that it fails by"


@pytest.mark.parametrize("evidence", [RANKED, MEANS, Kept(RANKED, RANKED)])
def test_evidence_comes_back_from_documents(evidence: Evidence) -> None:
    assert evidence_of(evidence.as_json()) == evidence
