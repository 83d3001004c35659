"""Float layers by the time they take, and the choice among sets of them for a goal."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bmzoo.errors import ToolFailed
from bmzoo.quantization.budgets.choice import (
    MET,
    MISSED,
    UNSURE,
    AskedFor,
    Option,
    Units,
    asked_for,
    choose_option,
    frontier,
)
from bmzoo.quantization.budgets.prices import LEAST_PRICE, layer_prices
from bmzoo.quantization.budgets.sets import (
    SETS,
    PricedPromotion,
    best_sets,
    first_sets,
    measured,
    set_text,
    time_of,
)
from bmzoo.quantization.greedy import Score, best_path
from bmzoo.quantization.tables import float_layers

UNITS = Units("ms", True, 32)


def profile(total: float, **layers: float) -> dict[str, Any]:
    rows = [{"layer": n, "operation": "Conv2D", "milliseconds": t} for n, t in layers.items()]
    return {"known": True, "milliseconds": total, "layers": [*rows]}


def option(time: float, kept: float, low: float, *layers: str) -> Option:
    draws = np.linspace(low, 2 * kept - low, 100)
    return Option(layers, time, kept, low, (kept - low) / 1.645, draws)


PLAIN = option(2.0, 0.97, 0.96)
CHEAP = option(2.1, 0.985, 0.98, "a")
DEAR = option(2.6, 0.996, 0.994, "a", "b")
DEAREST = option(3.0, 0.999, 0.997, "a", "b", "c")
ALL = (PLAIN, CHEAP, DEAR, DEAREST)


def test_a_layer_costs_what_it_takes_longer_in_float_and_at_least_its_casts() -> None:
    plain, floats = profile(2.0, a=0.2, b=0.1, c=0.3), profile(3.0, a=0.7, b=0.1, d=0.4)
    found = layer_prices(plain, floats, ["a", "b", "c", "d", "e"])
    least = LEAST_PRICE * 2.0
    assert found == pytest.approx({"a": 0.5, "b": least, "c": least, "d": 0.4, "e": least})


def test_moving_a_layers_data_is_not_the_layer_and_cores_add_up() -> None:
    plain = profile(2.0, a=0.1)
    floats = profile(3.0, a=0.3)
    floats["layers"] += [
        {"layer": "a", "operation": "Store", "milliseconds": 9.0},
        {"layer": "a", "operation": "Conv2D", "milliseconds": 0.3},
    ]
    assert layer_prices(plain, floats, ["a"]) == pytest.approx({"a": 0.5})


def test_without_profiles_every_layer_costs_the_same() -> None:
    assert layer_prices({"known": False}, profile(3.0, a=0.3), ["a"]) == {}


def test_the_path_takes_the_most_gain_for_its_price() -> None:
    gains = {"a": 0.5, "b": 0.3, "c": 0.1}

    def evaluate(floats: frozenset[str]) -> Score:
        return Score(1 - sum(gains[name] for name in floats), 0.9)

    def order(prices: Mapping[str, float]) -> list[str]:
        path = best_path([(n,) for n in gains], (), gains, 3, evaluate, prices)
        return [layer for choice in path.choices for layer in choice.layers]

    assert order({}) == ["a", "b", "c"]
    assert order({"a": 1.0, "b": 0.1, "c": 0.05}) == ["b", "c", "a"]
    assert order({"a": 10.0, "b": 10.0, "c": 10.0}) == ["a", "b", "c"]


def path(*choices: tuple[str, float]) -> dict[str, Any]:
    return {"plain": {"loss": 1.0}, "choices": [{"layers": list(n), "loss": loss} for n, loss in choices]}


def test_the_first_sets_follow_the_path() -> None:
    sets = first_sets(path(("a", 0.6), ("bc", 0.3)))
    assert sets == [("a",), *[("a", "b", "c")] * (SETS - 1)]
    assert first_sets(path()) == [()] * SETS
    assert len(first_sets(path(*[(c, 0.5) for c in "abcdefghijkl"]))[-1]) == SETS


def test_a_promotion_costs_what_it_added_where_it_was_compiled() -> None:
    found = measured(path(("a", 0.6), ("bc", 0.3), ("d", 0.2)), 2.0, [2.5, 2.6, 2.55])
    assert [one.layers for one in found] == [("a",), ("b", "c"), ("d",)]
    assert [one.gain for one in found] == pytest.approx([0.4, 0.3, 0.1])
    assert [one.price for one in found] == pytest.approx([0.5, 0.1, LEAST_PRICE * 2.0]), "never nothing"


PROMOTIONS = (
    PricedPromotion(("a",), 0.4, 0.5),
    PricedPromotion(("b", "c"), 0.3, 0.1),
    PricedPromotion(("d",), 0.01, 0.05),
)


def test_sets_to_choose_from_are_by_gain_for_measured_price() -> None:
    assert best_sets(PROMOTIONS, None)[:3] == [("b", "c"), ("b", "c", "a"), ("b", "c", "a", "d")]


def test_what_fits_into_the_time_comes_first_and_then_what_more_would_cost() -> None:
    assert best_sets(PROMOTIONS, 0.2)[:3] == [("b", "c"), ("b", "c", "d"), ("b", "c", "d", "a")]
    assert best_sets(PROMOTIONS, 0.0)[0] == ("b", "c"), "nothing fits: what the least would cost"
    assert best_sets((), 0.2) == [()] * SETS


def test_a_set_is_the_same_table_whatever_its_order() -> None:
    assert set_text(("b", "a"), "F16") == set_text(("a", "b"), "F16")
    assert float_layers(set_text(("b", "a"), "F16")) == (("a", "F16"), ("b", "F16"))
    assert float_layers(set_text((), "F16")) == ()


def test_time_is_in_milliseconds_by_constants_or_in_cycles() -> None:
    constants = {"arithmetic": 1.0, "fp32": 1.0, "memory": 1.5, "run": 0.25, "join": 0.0}
    stretched = {"arithmetic": [1.0, 2.0], "memory": [1.0, 2.0], "milliseconds": [[2.0, 3.0], [4.0, 5.0]]}
    known = {"known": True, "cores": [{"joins": 0}], "stretched": stretched}
    assert time_of(constants, known, {"cost": 9}) == pytest.approx(2.75)
    assert time_of(None, {"known": False}, {"cost": 9}) == 9
    with pytest.raises(ToolFailed, match="no profile to take milliseconds from: of another form"):
        time_of(constants, {"known": False, "why": "of another form"}, {"cost": 9})
    with pytest.raises(ToolFailed, match="tells no cost"):
        time_of(None, {"known": False}, {"cost": None})


def test_points_of_ap_are_points_of_agreement() -> None:
    both = asked_for({"ap_drop": 0.5, "latency": "+10%"}, 2.0)
    assert both.kept == pytest.approx(0.995)
    assert both.time == pytest.approx(2.2)
    assert asked_for({"latency": "3 ms"}, 2.0) == AskedFor(None, 3.0)
    assert asked_for({"ap_drop": 1.0}, 2.0) == AskedFor(0.99, None)


@pytest.mark.parametrize(
    ("wanted", "taken", "outcome", "said"),
    [
        (AskedFor(0.95, None), PLAIN, MET, []),
        (AskedFor(0.975, 2.2), CHEAP, MET, []),
        (AskedFor(0.99, None), DEAR, MET, []),
        (AskedFor(0.995, None), DEAREST, MET, []),
        (AskedFor(0.995, 2.7), DEAR, UNSURE, ["about 130 pictures would tell, these are 32"]),
        (
            AskedFor(0.995, 2.2),
            CHEAP,
            MISSED,
            [
                "1.50 points lost within the time",
                "0.5 ms more would do, for b",
                "32 pictures are enough to tell",
                "better than plain INT8 in 100% of draws of these 32 pictures",
            ],
        ),
        (
            AskedFor(0.9995, None),
            DEAREST,
            MISSED,
            [
                "0.10 points lost",
                "nothing that was tried reaches it; the best: 0.10 points lost at 3 ms",
                "about 520 pictures would tell, these are 32",
                "better than plain INT8 in 100% of draws of these 32 pictures",
            ],
        ),
        (AskedFor(None, 2.7), DEAR, MET, ["better than plain INT8 in 100% of draws of these 32 pictures"]),
        (AskedFor(None, 2.0), PLAIN, MET, ["no layer in float within it is surely worth anything"]),
        (AskedFor(0.9, 1.5), PLAIN, MISSED, ["the fastest takes 2 ms, allowed: 1.5 ms"]),
    ],
)
def test_the_cheapest_that_surely_does_is_taken_else_the_surest_else_the_nearest_miss(
    wanted: AskedFor, taken: Option, outcome: str, said: list[str]
) -> None:
    found = choose_option(wanted, ALL, UNITS)
    assert (found.option, found.outcome) == (taken, outcome)
    assert list(found.said) == said


def test_a_sure_choice_goes_before_one_that_only_looks_better() -> None:
    lucky, sure = option(2.1, 0.999, 0.97, "x"), option(2.2, 0.996, 0.9955, "y")
    assert choose_option(AskedFor(0.995, None), (PLAIN, lucky, sure), UNITS).option == sure
    assert choose_option(AskedFor(0.9954, 2.15), (PLAIN, lucky, sure), UNITS).outcome == UNSURE
    assert choose_option(AskedFor(None, 2.5), (PLAIN, lucky, sure), UNITS).option == lucky, "faster, and not worse"


def test_no_time_is_spent_on_what_may_be_chance() -> None:
    """It keeps a little more in most draws of the pictures, and not in nineteen of twenty."""
    same, little = np.linspace(0.96, 0.98, 100), np.r_[np.full(10, -0.001), np.full(90, 0.001)]
    chance = Option(("x",), 2.1, 0.9708, 0.9608, 0.006, same + little)
    plain = Option((), 2.0, 0.97, 0.96, 0.006, same)
    assert chance.better_than(plain) == 0.9
    for goal in (AskedFor(None, 2.5), AskedFor(0.999, 2.5)):
        assert choose_option(goal, (plain, chance), UNITS).option == plain
    surely = Option(("x",), 2.1, 0.971, 0.961, 0.006, same + 0.001)
    for goal in (AskedFor(None, 2.5), AskedFor(0.999, 2.5)):
        assert choose_option(goal, (plain, surely), UNITS).option == surely


def test_what_was_taken_is_among_what_is_shown() -> None:
    dominated = option(2.3, 0.98, 0.979, "z")
    lines = frontier((*ALL, dominated), dominated, UNITS)
    assert len(lines) == 5 and "20 draws, taken: z" in lines[2]


def test_a_goal_that_lies_on_a_figure_is_beyond_any_number_of_pictures() -> None:
    said = choose_option(AskedFor(0.985, None), (PLAIN, CHEAP), UNITS).said
    assert said == ("no number of pictures would tell: it is too near to the limit",)


def test_the_frontier_leaves_out_what_costs_more_for_nothing() -> None:
    useless = option(2.3, 0.98, 0.97, "z")
    lines = frontier((*ALL, useless), PLAIN, UNITS)
    assert len(lines) == 4
    assert lines[0] == "2 ms (+0.0%): 3.00 points lost, at most 4.00 in 19 of 20 draws, taken: plain INT8"
    assert lines[1].endswith(": a") and lines[2].endswith(": and b") and lines[3].endswith(": and c")
    cycles = Units("cycles", False, 32)
    assert frontier((option(40000, 0.9, 0.8),), PLAIN, cycles) == [
        "40,000 cycles (+0.0%): cosine 0.9000, 0.8000 or more in 19 of 20 draws: plain INT8"
    ]
