import json
from typing import Any

import pytest
from manifests import artifact

from bmzoo.config.project import ApDrop, Regression
from bmzoo.release.diff import Change, Comparison, compare_manifests
from bmzoo.release.diff_report import cases, comparison_json, comparison_table, sentence
from bmzoo.release.manifest import Accuracy, Agreement, Artifact, Estimate, ZooManifest


def diff(old: Artifact, new: Artifact, **limits: Any) -> Comparison:
    return compare_manifests(
        ZooManifest(artifacts=(old,)), ZooManifest(artifacts=(new,)), Regression(**limits), "m"
    )


def one(comparison: Comparison) -> Change:
    (change,) = comparison.changes
    return change


def judged(**figures: float) -> dict[str, Any]:
    return {"accuracy": Accuracy(pictures=63, metric="COCO", figures=figures, onnx={})}


def accuracy(**ap: float) -> dict[str, Any]:
    return {"accuracy": Accuracy(pictures=122, ap=ap, onnx={})}


def agreement(**more: Any) -> dict[str, Any]:
    known = {"pictures": 8, "cosine": 0.9, "sqnr_db": 12.5, "worst": "loc", "expected": 50, "missed": 1, "extra": 0}
    return {"agreement": Agreement(**{**known, **more})}


def test_a_manifest_and_itself_do_not_differ() -> None:
    found = diff(artifact(), artifact())
    assert (
        found.changes == () and found.regressions == () and comparison_table(found) == "1 target: no differences\n"
    )


def estimate(ms: float, low: float, high: float) -> dict[str, Any]:
    return {"estimate": Estimate(ms=ms, low=low, high=high)}


# What is old, what is new, the line about it, and whether it is a regression with the defaults.
CASES = [
    (
        accuracy(easy=0.82),
        accuracy(easy=0.815),
        "AP easy 82.00 -> 81.50 (-0.50 points, allowed: -0.5 points)",
        False,
    ),
    (
        accuracy(easy=0.82),
        accuracy(easy=0.8149),
        "AP easy 82.00 -> 81.49 (-0.51 points, allowed: -0.5 points)",
        True,
    ),
    (accuracy(easy=0.82), accuracy(easy=0.9), "AP easy 82.00 -> 90.00 (+8.00 points, allowed: -0.5 points)", False),
    (accuracy(mine=0.82), accuracy(mine=0.5), "AP mine 82.00 -> 50.00 (-32.00 points, allowed: -0.5 points)", True),
    (judged(mAP=0.35), judged(mAP=0.34), "COCO mAP 35.00 -> 34.00 (-1.00 points, allowed: -0.5 points)", True),
    (judged(easy=0.35), judged(easy=0.36), "COCO easy 35.00 -> 36.00 (+1.00 points, allowed: -0.5 points)", False),
    (accuracy(easy=0.82), accuracy(), "AP easy 82.00 -> missing (allowed: -0.5 points)", True),
    (accuracy(easy=0.82), {"accuracy": None}, "AP easy 82.00 -> missing (allowed: -0.5 points)", True),
    ({"accuracy": None}, accuracy(easy=0.1), "AP easy missing -> 10.00", False),
    (
        estimate(2.0, 1.8, 2.5),
        estimate(2.5, 2.2, 3.0),
        "estimate 2 ms -> 2.5 ms (+0.5 ms, allowed: +0.5 ms)",  # as far as the interval of before reaches
        False,
    ),
    (
        estimate(2.0, 1.8, 2.5),
        estimate(2.52, 2.2, 9.0),
        "estimate 2 ms -> 2.52 ms (+0.52 ms, allowed: +0.5 ms)",
        True,
    ),
    (estimate(2.0, 1.8, 2.5), estimate(1.0, 0.9, 1.2), "estimate 2 ms -> 1 ms (-1 ms, allowed: +0.5 ms)", False),
    (estimate(2.0, 1.8, 2.5), {}, "estimate 2 ms -> none (allowed: +0.5 ms)", False),  # another compiler, say
    ({}, estimate(2.0, 1.8, 2.5), "estimate none -> 2 ms", False),
    (agreement(), agreement(missed=2), "missed 2.0% -> 4.0% (+2.0%, allowed: +2%)", False),
    (agreement(), agreement(missed=3), "missed 2.0% -> 6.0% (+4.0%, allowed: +2%)", True),
    (agreement(), agreement(extra=5), "extra 0.0% -> 10.0% (+10.0%, allowed: +2%)", True),
    (agreement(), agreement(sqnr_db=3.0), "SQNR 12.5 dB -> 3.0 dB (-9.5 dB)", False),
    (agreement(), agreement(sqnr_db=None), "SQNR 12.5 dB -> exact", False),
    (agreement(), agreement(cosine=0.1), "cosine 0.90000 -> 0.10000 (-0.80000)", False),
    ({"cost": 1000}, {"cost": 1050}, "cost 1,000 -> 1,050 (+5.0%, allowed: +5%)", False),
    ({"cost": 1000}, {"cost": 1051}, "cost 1,000 -> 1,051 (+5.1%, allowed: +5%)", True),
    ({"cost": 1000}, {"cost": 10}, "cost 1,000 -> 10 (-99.0%, allowed: +5%)", False),
    ({"cost": 0}, {"cost": 10}, "cost 0 -> 10 (+inf%, allowed: +5%)", True),
    ({"cost": 1000}, {"cost": None}, "cost 1,000 -> missing (allowed: +5%)", True),
    ({"size": 1000}, {"size": 2000}, "size 1,000 bytes -> 2,000 bytes (+100.0%, allowed: +5%)", True),
    ({"float_layers": 0}, {"float_layers": 3}, "float layers 0 -> 3 (+3)", False),
    ({}, {"sha256": "b" * 64}, "sha256 aaaaaaaaaaaa -> bbbbbbbbbbbb", False),
    ({}, {"weights": "mine"}, "weights official -> mine", False),
    ({}, {"status": "built", "cause": "sibling"}, "status verified -> built: sibling", True),
    ({"status": "failed"}, {}, "status failed -> verified", False),
    ({}, {"status": "failed", "sha256": None, "size": None, "cost": None}, "status verified -> failed", True),
]


@pytest.mark.parametrize(("old", "new", "said", "bad"), CASES)
def test_a_change_is_said_and_judged(old: dict[str, Any], new: dict[str, Any], said: str, bad: bool) -> None:
    change = one(diff(artifact(**old), artifact(**new)))
    assert sentence(change) == said
    assert change.regression is bad


@pytest.mark.parametrize(("old", "new", "said", "bad"), [case for case in CASES if "allowed" in case[2]])
def test_a_threshold_that_is_null_judges_nothing(
    old: dict[str, Any], new: dict[str, Any], said: str, bad: bool
) -> None:
    off = ApDrop(easy=None, medium=None, hard=None, other=None)
    found = diff(
        artifact(**old), artifact(**new), ap=off, **dict.fromkeys(("missed", "extra", "cost", "size", "estimate"))
    )
    assert one(found).regression is False and "allowed" not in sentence(one(found))


def test_what_is_too_small_to_be_seen_is_said_only_where_it_is_judged() -> None:
    assert diff(artifact(), artifact(**agreement(cosine=0.9000001, mean_iou=0.9))).changes == ()
    tiny = one(diff(artifact(), artifact(cost=2004)))
    assert sentence(tiny) == "cost 2,000 -> 2,004 (+0.2%, allowed: +5%)"


def test_targets_come_and_go() -> None:
    a, b, c = artifact(), artifact(precision="fp32"), artifact(batch=4)
    old, new = ZooManifest(artifacts=(a, b)), ZooManifest(artifacts=(c, a))
    found = compare_manifests(old, new, Regression(), "m")
    assert (found.added, found.removed, found.changed) == (("bm1688_int8_4b",), ("bm1688_fp32_1b",), ())
    assert found.targets == ("bm1688_int8_4b", "bm1688_int8_1b", "bm1688_fp32_1b")
    assert [c.target for c in found.regressions] == ["bm1688_fp32_1b"]
    assert compare_manifests(old, new, Regression(), "m", allow_removed=True).regressions == ()
    assert compare_manifests(old, new, Regression(), "other").added == ("m.bm1688_int8_4b",)


def test_what_is_around_the_targets_is_noted() -> None:
    old = ZooManifest(artifacts=(artifact(),), tools={"model_deploy.py": ("tpu_mlir 1.30.2 " + "1" * 64,)})
    now = artifact(accuracy=Accuracy(pictures=3226, ap={"easy": 0.82, "hard": 0.5}, onnx={}))
    new = ZooManifest(
        artifacts=(now,),
        tools={"model_deploy.py": ("tpu_mlir 1.31 " + "2" * 64,)},
        broken={"x": "configs/x.yaml: no"},
    )
    found = compare_manifests(old, new, Regression(), "m")
    assert found.notes == (
        "the config of x is broken now: configs/x.yaml: no",
        "model_deploy.py is another one: tpu_mlir 1.30.2 111111111111 -> tpu_mlir 1.31 222222222222",
        "figures over 122 pictures before, over 3226 now: not the same measure",
    )
    assert comparison_table(found).startswith("1 target: no differences, no regressions\nthe config of x")


def test_the_table_names_a_target_once_and_aligns() -> None:
    found = diff(artifact(**accuracy(easy=0.82)), artifact(cost=4000, **accuracy(easy=0.8)))
    assert comparison_table(found).splitlines() == [
        "1 target: 1 changed, 2 regressions",
        "",
        "target          figure     old    new        change      allowed",
        "bm1688_int8_1b  AP easy  82.00  80.00  -2.00 points  -0.5 points  regression",
        "                cost     2,000  4,000       +100.0%          +5%  regression",
    ]


def test_programs_get_all_of_it() -> None:
    old, new = artifact(**accuracy(easy=0.82)), artifact(**accuracy(easy=0.8))
    found = diff(old, new)
    told = json.loads(comparison_json(found, "a", "b"))
    assert (told["old"], told["new"], told["regressions"], told["changed"]) == ("a", "b", 1, ["bm1688_int8_1b"])
    assert told["changes"][0]["figure"] == "AP easy" and told["changes"][0]["regression"] is True
    assert cases(found) == {"bm1688_int8_1b": "AP easy 82.00 -> 80.00 (-2.00 points, allowed: -0.5 points)"}
    assert cases(diff(old, old)) == {"bm1688_int8_1b": None}
