"""Stored profiles read back: whole or with a reason, and what bounds a layer."""

from typing import Any

import pytest
from report_samples import document, profile

from bmzoo.measure.profile_document import LAUNCH_CYCLES
from bmzoo.report.profiles import NoProfile, stored_profile


def test_a_profile_is_read_back() -> None:
    found = profile()
    first, second = found.layers
    assert (first.layer, first.bound, found.share(first), first.bandwidth) == (
        "body.dw.conv",
        "arithmetic",
        0.6,
        None,
    )
    assert second.bound == "launch" and second.bandwidth == pytest.approx(0.01)
    assert found.best_bandwidth == second.bandwidth and found.cores[0].idle == 0.4


@pytest.mark.parametrize(("transfers", "bound"), [(0, "memory"), (1, "memory"), (2, "launch")])
def test_what_moves_in_small_pieces_is_bound_by_their_number(transfers: int, bound: str) -> None:
    """At 1000 cycles a ms: half of 2 * 443 cycles is less than one transfer and more than none."""
    row = {**document()["layers"][1], "memory": 4 * LAUNCH_CYCLES / 1000 - 0.001, "transfers": transfers}
    assert profile(layers=[row]).layers[0].bound == bound


def test_a_chip_without_a_profile_says_so() -> None:
    why = "the compiler writes no profile for bm1684"
    assert stored_profile({"known": False, "why": why}) == NoProfile(why)
    assert stored_profile({}) == NoProfile("no profile is kept beside the artifact")


def test_a_profile_of_before_the_timeline_is_still_read() -> None:
    assert profile(timeline=None).timeline is None


def bent(**core: Any) -> dict[str, Any]:
    return {"cores": [{**document()["cores"][0], **core}]}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"cores": []}, "not one of 0: 0"),
        ({"cores": [], "layers": [], "timeline": None}, "it has no core"),
        (bent(milliseconds="1"), "not a number that can be there: '1'"),
        (bent(memory=float("nan")), "not a number that can be there: nan"),
        (bent(bytes=-1), "not a number that can be there: -1"),
        (bent(idle=True), "not a number that can be there: True"),
        ({"layers": [{"core": 1}]}, "not one of 1: 1"),
        ({"layers": [{"core": 0}]}, "milliseconds is missing"),
        ({"milliseconds": None}, "not a number that can be there: None"),
        ({"timeline": {"layers": [], "cores": []}}, "its timeline has another number of cores"),
        ({"timeline": {"layers": ["a"], "cores": [[[0, 1, 0.0, 1.0]]]}}, "not one of 1: 1"),
        ({"timeline": {"layers": ["a"], "cores": [[[2, 0, 0.0, 1.0]]]}}, "not one of 2: 2"),
        (
            {"timeline": {"layers": ["a"], "cores": [[[0, 0, 1.0, 0.5]]]}},
            "its timeline ends before it starts: 1.0 to 0.5",
        ),
        ({"timeline": {"layers": ["a"], "cores": [[[0, 0, 1.0]]]}}, "not enough values to unpack"),
        ({"timeline": []}, "list indices must be integers"),
        ({"layers": 3}, "'int' object is not iterable"),
    ],
)
def test_one_from_another_hand_is_refused_with_its_reason(damage: dict[str, Any], said: str) -> None:
    found = stored_profile(document(**damage))
    assert isinstance(found, NoProfile) and found.why.startswith(f"its profile cannot be read: {said}"), found
