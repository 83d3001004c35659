"""The sets of float layers that are worth compiling, by what they take off the loss and the time they take. Pure.

The first ones follow from prices of single layers (`prices`). They are compiled, and what each added layer took
there is the price by which the sets to choose from are made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bmzoo.errors import ToolFailed
from bmzoo.measure.chip_constants import Constants
from bmzoo.measure.latency import essentials, run_time
from bmzoo.quantization.budgets.prices import LEAST_PRICE

# How many sets are compiled each time, and so how many promotions of a path are looked at.
SETS = 8


@dataclass(frozen=True)
class PricedPromotion:
    """Layers that go to float together: what that takes off the loss, and the time that it adds, above 0."""

    layers: tuple[str, ...]
    gain: float
    price: float


def first_sets(path: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The first promotions of a `path.json`, one more each time: SETS sets, the last repeated."""
    sets: list[tuple[str, ...]] = []
    for choice in path["choices"][:SETS]:
        sets.append((*(sets[-1] if sets else ()), *choice["layers"]))
    return filled(sets)


def measured(path: Mapping[str, Any], plain: float, times: Sequence[float]) -> list[PricedPromotion]:
    """The promotions that `first_sets` compiled, by the times of these sets and that of plain INT8."""
    promotions = []
    before, loss = plain, path["plain"]["loss"]
    for choice, time in zip(path["choices"][:SETS], times, strict=False):
        price = max(time - before, LEAST_PRICE * plain)
        promotions.append(PricedPromotion(tuple(choice["layers"]), loss - choice["loss"], price))
        before, loss = time, choice["loss"]
    return promotions


def best_sets(promotions: Sequence[PricedPromotion], spare: float | None) -> list[tuple[str, ...]]:
    """SETS sets to choose from: the most gain for its price first, one promotion more each time.

    Those that fit into what is to spare come first, by their prices, then the others: what more would cost.
    `spare`: None where there is no limit.
    """
    ordered = sorted(promotions, key=lambda one: -one.gain / one.price)
    fitting, others, spent = list[PricedPromotion](), list[PricedPromotion](), 0.0
    for one in ordered:
        fits = spare is None or spent + one.price <= spare
        (fitting if fits else others).append(one)
        spent += one.price if fits else 0.0
    sets: list[tuple[str, ...]] = []
    for one in (*fitting, *others):
        sets.append((*(sets[-1] if sets else ()), *one.layers))
    return filled(sets)


def filled(sets: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """As many as there are compilations: the last again, which is compiled once; no layers where there is none."""
    return [*sets, *[sets[-1] if sets else ()] * (SETS - len(sets))]


def set_text(layers: Sequence[str], mode: str) -> str:
    """A set as a qtable; the same whatever the order in which its layers were found."""
    return "# layers to try in float\n" + "".join(f"{layer} {mode}\n" for layer in sorted(layers))


def time_of(constants: Mapping[str, float] | None, profile: Mapping[str, Any], facts: Mapping[str, Any]) -> float:
    """Milliseconds of a run by the chip's constants, without interval; without constants, cycles of layer groups.

    profile, facts: as a deploy step writes them. Raises ToolFailed where they do not say.
    """
    if constants is None:
        if not facts["cost"]:
            raise ToolFailed("the compiler tells no cost, so a goal for time means nothing", "leave out latency")
        return float(facts["cost"])
    if profile["known"] is not True:
        raise ToolFailed(f"no profile to take milliseconds from: {profile.get('why', 'none is kept')}")
    return run_time(Constants(**constants, low=1.0, high=1.0), "int8", essentials(profile))
