"""Committed decisions as text: what one is worth beside what it would be derived from now."""

from typing import Any

import pytest

from bmzoo.execute.decisions import Standing, is_ours, judge, text_of
from bmzoo.plan.decisions import SCALES, decision, facts
from bmzoo.plan.step import File

CONTENT = "# op_name    threshold    min    max\nx 1.5 -1.5 1.5\n"
FACTS = {
    "decision": "calibration thresholds, version 1",
    "weights": "ab" * 32,
    "pictures": "100, sha256 of their digests: " + "cd" * 32,
    "settings": '{"method":"mse","tune":5}',
    "toolchain": "tpu_mlir 1.30.2",
}


def text(**changes: str) -> str:
    return text_of({**FACTS, **changes}, CONTENT)


def test_a_decision_whose_sources_are_the_same_is_current() -> None:
    found = judge(text(), FACTS)
    assert (found.standing, found.why, found.content) == (Standing.CURRENT, "", CONTENT)
    assert is_ours(text())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"pictures": "99, sha256 of their digests: 00"}, "pictures changed"),
        ({"weights": "00"}, "weights changed"),
        ({"settings": '{"method":"kl","tune":5}'}, 'method: "kl" -> "mse"'),
        ({"settings": '{"method":"mse","bins":1,"tune":5}'}, "bins: 1 -> null"),
        ({"settings": "not JSON"}, 'method: null -> "mse"; tune: null -> 5'),
        ({"toolchain": "tpu_mlir 1.28.1"}, "toolchain: tpu_mlir 1.28.1 -> tpu_mlir 1.30.2"),
        ({"decision": "calibration thresholds, version 0"}, "decision: calibration thresholds, version 0 -> "),
        ({"scales": "ab"}, "scales no longer counts"),
    ],
)
def test_a_stale_one_says_what_has_changed(changes: dict[str, str], why: str) -> None:
    found = judge(text(**changes), FACTS)
    assert found.standing is Standing.STALE and found.why.startswith(why) and str(found) == f"stale: {found.why}"


def test_a_source_that_is_new_makes_it_stale() -> None:
    before = {name: value for name, value in FACTS.items() if name != "toolchain"}
    assert judge(text_of(before, CONTENT), FACTS).why == "toolchain counts now"


@pytest.mark.parametrize(
    "damaged",
    [
        CONTENT,
        "",
        text()[:-5],
        text() + "y 1 1 1\n",
        text().replace("x 1.5", "x 1.6"),
        text().replace("# content: ", "# contents: "),
        text().partition("\n")[2],
    ],
)
def test_what_is_edited_or_cut_short_is_not_taken_for_ours(damaged: str) -> None:
    assert judge(damaged, FACTS).standing is Standing.BY_HAND and not is_ours(damaged)


def test_a_merge_conflict_is_said_as_such() -> None:
    conflict = f"<<<<<<< HEAD\n{text()}=======\n{text(weights='00')}>>>>>>> other\n"
    assert str(judge(conflict, FACTS)) == "a merge conflict: two branches derived it"


@pytest.mark.parametrize(
    ("settings", "vendor", "told"),
    [({"b": 1, "a": [2]}, False, '{"a":[2],"b":1}'), ({}, True, "{}")],
)
def test_facts_are_the_sources_settings_and_versions(settings: dict[str, Any], vendor: bool, told: str) -> None:
    made = decision(SCALES, settings, {"weights": File("w.pth", "ab")}, vendor)
    found = facts(made, {"weights": "ab"}, "tpu_mlir 9")
    tool = {"toolchain": "tpu_mlir 9"} if vendor else {}
    assert found == {"decision": "equalization scales, version 1", "weights": "ab", "settings": told, **tool}
