"""What a config may ask for in points and milliseconds, and which of its sections is heard."""

from pathlib import Path

import pytest
from tiny_config import edited, load

from bmzoo.chips import CHIPS
from bmzoo.config.model import Model
from bmzoo.config.time_limit import TimeLimit, time_limit
from bmzoo.errors import ConfigError
from bmzoo.measure.fitted import CONSTANTS

IMAGES = "images: {folder: pictures/choosing}"


def model(folder: Path, quantization: str, *edits: tuple[str, str]) -> Model:
    (folder / "configs").mkdir(exist_ok=True)
    return load(folder, edited(("verify:", f"quantization: {{{IMAGES}, {quantization}}}\nverify:"), *edits))


def wanted(found: Model, name: str) -> dict[str, object] | None:
    search = found.search(next(t for t in found.targets if str(t) == name))
    return None if search is None else search.model_dump(exclude_none=True)


@pytest.mark.parametrize(
    ("written", "read", "shown"),
    [
        ("3.0 ms", TimeLimit(milliseconds=3.0), "3 ms"),
        (" 2.25ms", TimeLimit(milliseconds=2.25), "2.25 ms"),
        ("1e1 ms", TimeLimit(milliseconds=10.0), "10 ms"),
        ("+5%", TimeLimit(share=0.05), "+5%"),
        ("+12.5 %", TimeLimit(share=0.125), "+12.5%"),
        ("+0%", TimeLimit(share=0.0), "+0%"),
    ],
)
def test_a_time_is_in_milliseconds_or_a_share_of_plain_int8(written: str, read: TimeLimit, shown: str) -> None:
    assert time_limit(written) == read
    assert str(read) == shown
    assert time_limit(str(read)) == read, "as decisions have it"


def test_what_is_allowed_follows_from_plain_int8_where_a_share_is_given() -> None:
    assert time_limit("+5%").allowed(2.0) == pytest.approx(2.1)
    assert time_limit("3 ms").allowed(2.0) == 3.0


@pytest.mark.parametrize(
    "written", [3, 3.0, "3", "3 s", "5%", "-5%", "ms", "", "1e400 ms", "0 ms", "3..0 ms", None, True]
)
def test_what_is_no_time_is_refused_with_what_would_be(written: object) -> None:
    with pytest.raises(ValueError, match=r"`3\.0 ms`, or `\+5%`"):
        time_limit(written)


@pytest.mark.parametrize(
    ("quantization", "said", "hint"),
    [
        ("goal: {latency: 3.0}", "quantization.goal.latency: a unit is missing", ""),
        ("goal: {latency: 3 s}", "quantization.goal.latency: not a time", ""),
        ("goal: {}", "quantization.goal: one of ap_drop and latency is needed", ""),
        ("goal: {ap_drop: 0}", "quantization.goal.ap_drop: ", ""),
        ("goal: {drop: 1}", "quantization.goal: unknown key: drop", "allowed: ap_drop, latency"),
        ("goal: {ap_drop: 1}, search: {keep: 2}", "a goal says itself where the search ends: leave out keep", ""),
        ("search: {goal: {ap_drop: 1}}", "a goal for every target stands beside search: quantization.goal", ""),
        ("chips: {bm1688: {goal: {ap_drop: 1}, gain: 0.1}}", "leave out gain", ""),
        ("goal: {latency: 3 ms}", "quantization.goal.latency: milliseconds on bm1684 cannot be known", "+5%"),
        (
            "targets: {bm1684_int8_1b: {goal: {latency: 3 ms}}}",
            "quantization.targets.bm1684_int8_1b.goal.latency: milliseconds on bm1684 cannot be known",
            "layer groups cost",
        ),
        (
            "chips: {bm1688: {goal: {ap_drop: 1}, method: head}}",
            "quantization.chips.bm1688.goal: means nothing to head",
            "leave it out",
        ),
    ],
)
def test_a_goal_that_cannot_be_is_refused_where_it_stands(
    quantization: str, said: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        model(tmp_path, quantization, ("{kind: none}", "{kind: ultraface}"))
    assert said in caught.value.message
    assert caught.value.message.startswith("configs/tiny.yaml:"), "where"
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("quantization", "said"),
    [
        (
            "chips: {bm1688: {goal: {latency: 3 ms}}}, targets: {bm1688_int8_2b: {goal: {latency: +5%}}}",
            "targets.bm1688_int8_2b: float layers of bm1688 are chosen once, for bm1688_int8_1b "
            "(goal: {latency: 3 ms}), and not for bm1688_int8_2b as well (goal: {latency: +5%})",
        ),
        (
            "goal: {ap_drop: 1}, targets: {bm1688_int8_1b: {goal: {latency: 3 ms}}}",
            "targets.bm1688_int8_1b: float layers of bm1688 are chosen once, for bm1688_int8_1b "
            "(goal: {latency: 3 ms}), and not for bm1688_int8_2b as well (goal: {ap_drop: 1.0})",
        ),
        (
            "goal: {ap_drop: 1}, targets: {bm1684_int8_2b: {max_float_layers: 4}}",
            "targets.bm1684_int8_2b: float layers of bm1684 are chosen once, for bm1684_int8_1b "
            "(goal: {ap_drop: 1.0}), and not for bm1684_int8_2b as well (max_float_layers: 4)",
        ),
        (
            "targets: {bm1688_int8_2b: {goal: {ap_drop: 1}}}",
            "for bm1688_int8_1b (none: plain INT8), and not for bm1688_int8_2b as well (goal: {ap_drop: 1.0})",
        ),
    ],
)
def test_targets_of_a_chip_cannot_have_goals_of_their_own(quantization: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        model(tmp_path, quantization, ("{kind: none}", "{kind: ultraface}"))
    assert said in caught.value.message
    assert caught.value.message.startswith("configs/tiny.yaml:"), "where"
    assert "one goal below chips: bm168" in caught.value.hint


@pytest.mark.parametrize(
    "quantization",
    [
        "goal: {latency: +5%}, targets: {bm1688_int8_2b: {max_float_layers: 0}}",  # plain INT8 needs no table
        "goal: {latency: +5%}, targets: {bm1688_int8_2b: {goal: {latency: +5%}}}",
        "goal: {latency: +5%}, chips: {bm1688: {goal: {latency: 3 ms}}}",
        "goal: {latency: +5%}, tables: {bm1688_int8_2b: a}, targets: {bm1688_int8_2b: {goal: {latency: 3 ms}}}",
        "search: {max_float_layers: 8}, targets: {bm1688_int8_2b: {max_float_layers: 4}}",  # no goal at all
    ],
)
def test_targets_of_a_chip_may_say_the_same(quantization: str, tmp_path: Path) -> None:
    model(tmp_path, quantization)


def test_nothing_that_may_be_lost_is_found_without_a_decoder(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"quantization\.goal\.ap_drop: nothing is found by decoder none"
    ) as caught:
        model(tmp_path, "goal: {ap_drop: 0.5}")
    assert "latency alone" in caught.value.hint
    model(tmp_path, "goal: {latency: +5%}")


def test_a_goal_needs_pictures_to_choose_by(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    with pytest.raises(ConfigError, match="images is missing"):
        load(tmp_path, edited(("verify:", "quantization: {goal: {latency: +5%}}\nverify:")))


@pytest.mark.parametrize(
    ("quantization", "bm1684", "bm1688"),
    [
        ("goal: {latency: +5%}", {"goal": "+5%"}, {"goal": "+5%"}),
        ("goal: {latency: +5%}, search: {max_float_layers: 4}", {"goal": "+5%", "max_float_layers": 4}, None),
        ("goal: {latency: +5%}, chips: {bm1688: {goal: {latency: 3 ms}}}", {"goal": "+5%"}, {"goal": "3 ms"}),
        ("goal: {latency: +5%}, chips: {bm1688: {metric: cosine}}", None, {"goal": "+5%", "metric": "cosine"}),
        (
            "goal: {latency: +5%}, chips: {bm1688: {max_float_layers: 4}}",
            {"goal": "+5%"},
            {"max_float_layers": 4, "goal": None},
        ),
        (
            "search: {max_float_layers: 4, gain: 0.1}, chips: {bm1688: {goal: {latency: 3 ms}}}",
            {"max_float_layers": 4, "gain": 0.1, "goal": None},
            {"goal": "3 ms", "max_float_layers": None, "gain": None},
        ),
        ("targets: {bm1688_int8_1b: {goal: {latency: 3 ms}}}", None, {"goal": "3 ms"}),
    ],
)
def test_the_section_nearest_to_the_target_says_how_layers_are_chosen(
    quantization: str, bm1684: dict[str, object] | None, bm1688: dict[str, object] | None, tmp_path: Path
) -> None:
    found = model(tmp_path, quantization)
    for name, expected in (("bm1684_int8_1b", bm1684), ("bm1688_int8_1b", bm1688)):
        told = wanted(found, name) or {}
        goal = told.get("goal")
        told["goal"] = goal["latency"] if isinstance(goal, dict) else None
        assert expected is None or {key: told.get(key) for key in expected} == expected


def test_configs_without_a_goal_say_what_they_said(tmp_path: Path) -> None:
    assert wanted(model(tmp_path, "search: {max_float_layers: 4}"), "bm1688_int8_1b") == {
        **{"method": "bmzoo", "max_float_layers": 4, "gain": 0.005, "metric": "faces"}
    }
    assert wanted(model(tmp_path, "search: {exclude: [a]}"), "bm1688_int8_1b") is None


def test_milliseconds_are_for_the_chips_that_have_constants() -> None:
    assert {name for name, chip in CHIPS.items() if chip.timed} == set(CONSTANTS)
