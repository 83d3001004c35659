"""Two versions side by side: what is safe, what is not and why, as text, page and JSON."""

import json
from dataclasses import replace
from typing import Any

import pytest
from manifests import artifact

from bmzoo.config.project import Regression
from bmzoo.release.manifest import Accuracy, Artifact, Estimate
from bmzoo.release.upgrade import MadeWith, Upgrade, not_made, side_by_side
from bmzoo.release.upgrade_report import upgrade_json, upgrade_page, upgrade_text

FAILED: dict[str, Any] = {
    "status": "failed",
    "stage": "build",
    "cause": "has no --smc",
    "sha256": None,
    "size": None,
}
BARE: dict[str, Any] = {"accuracy": None, "agreement": None, "cost": None, "float_layers": None}


def made(version: str, *artifacts: Artifact, **times: float) -> MadeWith:
    by_name = {str(one.target): one.target for one in artifacts}
    of = {by_name[name]: ms for name, ms in times.items()}
    return MadeWith(version, {one.target: one for one in artifacts}, of)


def compared(old: Any, new: Any, **limits: Any) -> Upgrade:
    sides = [
        made(version, *(side if isinstance(side, tuple) else (side,)))
        for version, side in (("1.22", old), ("1.30.2", new))
    ]
    return side_by_side(sides[0], sides[1], Regression(**limits), "m", ())


def test_the_same_bytes_are_safe() -> None:
    found = compared(artifact(), artifact())
    assert found.safe and found.reasons == ()
    assert found.verdict == "safe from 1.22 to 1.30.2: nothing gets worse in 1 target (1 with the same bytes)"


def test_artifacts_that_differ_by_the_name_of_the_version_count_as_the_same() -> None:
    one, other = artifact(), artifact(sha256="b" * 64)
    old, new = made("1.22", one), made("1.30.2", other)
    found = side_by_side(
        replace(old, contents={one.target: "c"}), replace(new, contents={one.target: "c"}), Regression(), "m", ()
    )
    assert found.same == (one.target,) and " same but for the version" in upgrade_text(found)
    assert side_by_side(old, replace(new, contents={one.target: "c"}), Regression(), "m", ()).same == ()


def test_other_bytes_are_safe_where_no_figure_gets_worse() -> None:
    found = compared(artifact(), artifact(sha256="b" * 64, size=1_049_000))
    assert found.safe and "(0 with the same bytes)" in found.verdict and found.same == ()


# What is new, and the reason why that is not safe.
WORSE: list[tuple[dict[str, Any], str]] = [
    ({**FAILED, **BARE}, "bm1688_int8_1b: status verified -> failed: has no --smc"),
    ({"status": "built", "stage": "verify", "cause": "x"}, "bm1688_int8_1b: status verified -> built: x"),
    ({"size": 1_060_000}, "bm1688_int8_1b: size 1,000,000 bytes -> 1,060,000 bytes (+6.0%, allowed: +5%)"),
    ({"cost": 2200}, "bm1688_int8_1b: cost 2,000 -> 2,200 (+10.0%, allowed: +5%)"),
    (
        {"accuracy": Accuracy(pictures=122, ap={"easy": 0.81, "hard": 0.5}, onnx={})},
        "bm1688_int8_1b: AP easy 82.00 -> 81.00 (-1.00 points, allowed: -0.5 points)",
    ),
]


@pytest.mark.parametrize(("new", "reason"), WORSE)
def test_what_gets_worse_is_not_safe_and_named(new: dict[str, Any], reason: str) -> None:
    other = artifact(chip="bm1684x")
    found = compared((artifact(), other), (artifact(**{"sha256": "b" * 64, **new}), other))
    assert not found.safe and found.reasons == (reason,)
    assert found.verdict == "not safe from 1.22 to 1.30.2: 1 of 2 targets gets worse (1 with the same bytes)"
    text = upgrade_text(found)
    assert reason in text or (": status " in reason and f"with 1.30.2: {reason.rpartition(': ')[2]}" in text)
    assert " status " not in text
    # The way back is no loss.
    assert compared((artifact(**{"sha256": "b" * 64, **new}), other), (artifact(), other)).safe


def test_a_target_that_fails_in_one_version_only_has_a_row_with_its_reason() -> None:
    found = compared(artifact(**FAILED, **BARE, evidence="build/failed/x/log.txt"), artifact())
    assert found.safe  # it builds now
    text = upgrade_text(found)
    assert "failed: build -> verified" in text and "- -> AP easy 82.00" in text and "- -> 1,000,000" in text
    assert "bm1688_int8_1b with 1.22: has no --smc (build/failed/x/log.txt)" in text


def test_targets_that_fail_with_both_say_nothing() -> None:
    bad = artifact(**FAILED, **BARE)
    found = compared((bad, artifact(chip="bm1684x")), (bad, artifact(chip="bm1684x")))
    assert found.safe and found.failing == (bad.target,)
    assert "nothing gets worse in 2 targets (1 with the same bytes, 1 that neither makes)" in found.verdict
    nothing = compared(bad, bad)
    assert not nothing.safe and nothing.reasons == ()
    assert nothing.verdict.startswith(
        "not known to be safe from 1.22 to 1.30.2: neither makes a sound artifact of 1 target"
    )


def test_the_compilers_own_time_may_rise_as_its_cost_and_estimates_do_not_count() -> None:
    estimate = Estimate(ms=2.0, low=1.8, high=2.5)
    old, new = artifact(estimate=estimate), artifact(sha256="b" * 64, no_estimate="made by another")
    for ms, safe in ((1.05, True), (1.06, False)):
        sides = made("1.22", old, bm1688_int8_1b=1.0), made("1.30.2", new, bm1688_int8_1b=ms)
        found = side_by_side(*sides, Regression(), "m", ())
        assert found.safe is safe
        assert [change.figure for change in found.comparison.changes] == ["sha256", "time"]
        assert f"1 -> {ms}" in upgrade_text(found)
    assert found.reasons == ("bm1688_int8_1b: time 1 ms -> 1.06 ms (+6.0%, allowed: +5%)",)
    assert side_by_side(*sides, Regression(cost=None), "m", ()).safe
    alone = side_by_side(made("1.22", old), made("1.30.2", new, bm1688_int8_1b=9.0), Regression(), "m", ())
    assert alone.safe and "- -> 9" in upgrade_text(alone)


def test_a_target_that_a_config_does_not_have_with_a_version_is_one_that_it_fails() -> None:
    target = artifact().target
    found = compared(not_made(target, "the installed TPU-MLIR has no run_qtable.py"), artifact())
    assert found.safe and "with 1.22: the installed TPU-MLIR has no run_qtable.py" in upgrade_text(found)


def test_the_page_and_the_json_say_the_same_as_the_text() -> None:
    old, new = made("1.22", artifact()), made("1.30.2", artifact(**FAILED, **BARE))
    old = MadeWith(
        *(old.version, old.artifacts, {artifact().target: 1.5}, {}),
        *("https://index/x.whl", "ab" * 32, ("onnx 2, here 1",)),
    )
    found = side_by_side(old, new, Regression(), "m", ("a | note",))
    page = upgrade_page(found)
    assert page.startswith("# TPU-MLIR 1.22 to 1.30.2\n")
    assert "verified → failed: build" in page and "a \\| note" in page
    assert f"- 1.22 is https://index/x.whl, sha256 {'ab' * 32}" in page and "- 1.30.2 is the one in use" in page
    told = json.loads(upgrade_json(found))
    assert (told["safe"], told["targets"], told["same_bytes"]) == (False, ["bm1688_int8_1b"], [])
    assert told["old"]["sha256"] == "ab" * 32 and told["old"]["libraries"] == ["onnx 2, here 1"]
    assert told["old"]["milliseconds"] == {"BM1688/m_int8_1b.bmodel": 1.5}
    assert told["new"]["artifacts"][0]["cause"] == "has no --smc"
    assert told["reasons"] == list(found.reasons) and told["verdict"] == found.verdict
