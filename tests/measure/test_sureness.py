"""How sure a figure over pictures is, beside loops that draw the pictures one by one."""

import math

import numpy as np
import pytest

from bmzoo.measure.sureness import (
    TIMES,
    Means,
    Ranked,
    RankedPicture,
    evidence_of,
    figure_of,
    pictures_needed,
    resamples,
    share_within,
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


def test_a_share_of_draws_passes_all_of_several_tests() -> None:
    one, other = np.array([0.1, 0.3, 0.1, 0.1]), np.array([0.0, 0.0, 0.5, 0.0])
    assert share_within([(one, lambda found: found <= 0.2), (other, lambda found: found <= 0.2)]) == 0.5


@pytest.mark.parametrize("evidence", [RANKED, MEANS])
def test_evidence_comes_back_from_documents(evidence: Ranked | Means) -> None:
    assert evidence_of(evidence.as_json()) == evidence
