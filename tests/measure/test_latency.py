"""Estimates of time: what the profile and the constants give, and every reason why there is none."""

from collections.abc import Mapping
from typing import Any

import pytest

from bmzoo.measure import latency
from bmzoo.measure.chip_constants import Constants
from bmzoo.measure.fitted import COMPILER, CONSTANTS
from bmzoo.measure.latency import Latency, NoLatency, between, estimated, run_time, shown
from bmzoo.target import Target

TARGET = Target("m", "bm1688", "int8", 4, 2)
FACTS = {"networks": ["m"], "dynamic": False, "cores": 2, "cost": 1000}
PROFILE: dict[str, Any] = {
    "known": True,
    "modes": ["TPU_STATIC"],
    "cores": [{"joins": 10}, {"joins": 10}],
    "stretched": {
        "arithmetic": [0.8, 1.0, 2.0],
        "memory": [0.8, 1.0, 3.0],
        "milliseconds": [[6.0, 7.0, 11.0], [7.0, 8.0, 12.0], [13.0, 14.0, 20.0]],
    },
}
MADE_UP = Constants(arithmetic=1.5, fp32=2.0, memory=2.0, run=0.5, join=0.05, low=0.8, high=1.3)


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "CONSTANTS", {"bm1688": MADE_UP})


def test_a_run_is_its_engines_its_start_and_its_meetings() -> None:
    # Between 10 ms (arithmetic as told, memory 2) and 17 (both 2); then the run and ten meetings.
    assert run_time(MADE_UP, "int8", PROFILE) == pytest.approx((10 + 17) / 2 + 0.5 + 10 * 0.05)
    assert run_time(MADE_UP, "fp32", PROFILE) == pytest.approx(17 + 0.5 + 10 * 0.05)


@pytest.mark.usefixtures("fitted")
def test_an_estimate_is_of_one_picture_with_its_interval() -> None:
    found = estimated(TARGET, PROFILE, FACTS, COMPILER)
    assert found == Latency(3.62, 2.9, 4.71)  # 14.5 ms for four pictures, three digits
    assert str(found) == "about 3.6 ms (2.9 to 4.7)"


def without(profile: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """The same without a key, which lies at this path."""
    first, *rest = path
    left = {key: value for key, value in profile.items() if key != first or rest}
    return {**left, first: without(profile[first], *rest)} if rest else left


@pytest.mark.usefixtures("fitted")
@pytest.mark.parametrize(
    ("profile", "facts", "why"),
    [
        (PROFILE, {**FACTS, "networks": ["a", "b"]}, "it holds several networks"),
        (PROFILE, without(FACTS, "networks"), "it holds several networks"),
        (PROFILE, {**FACTS, "dynamic": True}, "it is dynamic"),
        ({**PROFILE, "modes": ["TPU_DYNAMIC"]}, FACTS, "it is dynamic"),
        (
            {**PROFILE, "modes": ["CPU", "TPU_STATIC"]},
            FACTS,
            "parts of it do not run on the chip's engines alone: CPU",
        ),
        ({"known": False, "why": "cut short"}, FACTS, "no profile: cut short"),
        ({}, FACTS, "no profile: none is kept"),
        (PROFILE, {**FACTS, "cores": 1}, "its profile is of 2 cores, the bmodel is for 1"),
        (without(PROFILE, "stretched"), FACTS, "its profile cannot be read"),
        ({**PROFILE, "stretched": {**PROFILE["stretched"], "memory": [1.0]}}, FACTS, "its profile cannot be read"),
        (
            {**PROFILE, "stretched": {**PROFILE["stretched"], "arithmetic": "abc"}},
            FACTS,
            "its profile cannot be read",
        ),
        ({**PROFILE, "cores": [{"joins": "x"}, {}]}, FACTS, "its profile cannot be read"),
    ],
)
def test_what_cannot_be_known_is_said(profile: dict[str, Any], facts: dict[str, Any], why: str) -> None:
    found = estimated(TARGET, profile, facts, COMPILER)
    assert isinstance(found, NoLatency)
    assert found.why.startswith(why)


@pytest.mark.usefixtures("fitted")
@pytest.mark.parametrize("time", [float("nan"), float("inf"), 0.0, -1.0, None, "1"])
def test_no_time_comes_of_numbers_that_are_none(time: object) -> None:
    stretched = {"arithmetic": [1.0, 2.0], "memory": [1.0, 2.0], "milliseconds": [[time, time], [time, time]]}
    found = estimated(TARGET, {**PROFILE, "stretched": stretched}, FACTS, COMPILER)
    assert found == NoLatency("its profile cannot be read: make the artifact again")


@pytest.mark.usefixtures("fitted")
def test_another_compiler_is_another_cost_model() -> None:
    found = estimated(TARGET, PROFILE, FACTS, "tpu_mlir 1.24")
    assert found == NoLatency(f"made by tpu_mlir 1.24: what is known is of profiles by {COMPILER}")


def test_a_chip_without_figures_has_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "CONSTANTS", {})
    monkeypatch.setattr(latency, "REFUSED", {"bm1684": "no profile of its own"})
    assert estimated(TARGET, PROFILE, FACTS, COMPILER) == NoLatency(
        "there are no published figures of bm1688 to go by"
    )
    assert estimated(Target("m", "bm1684", "int8", 1), {}, FACTS, COMPILER) == NoLatency("no profile of its own")


def test_between_what_is_known_and_not_beyond() -> None:
    assert between([1.0, 2.0, 4.0], [10.0, 20.0, 30.0], 3.0) == 25.0
    for outside in (0.9, 4.1):
        with pytest.raises(ValueError, match="not between"):
            between([1.0, 2.0, 4.0], [10.0, 20.0, 30.0], outside)


def test_times_for_people() -> None:
    assert [shown(ms) for ms in (0.1234, 1.25, 2.0, 38.71, 123.4, 1234.5)] == [
        "0.12",
        "1.2",
        "2",
        "39",
        "123",
        "1234",
    ]


@pytest.mark.parametrize("chip", CONSTANTS)
def test_the_fitted_constants_are_within_what_profiles_keep(chip: str) -> None:
    found = CONSTANTS[chip]
    assert min(found.arithmetic, found.fp32, found.memory) >= 0.8
    assert max(found.arithmetic, found.fp32) <= 2.0
    assert found.memory <= 3.0
    assert 0 < found.low <= 1 <= found.high
