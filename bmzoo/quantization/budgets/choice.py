"""Chooses among sets of float layers by what may be lost and how long it may take, and says how sure that is. Pure.

What stands for what: the drop of AP is estimated in the selection pictures, where nobody has marked the truth. What
ONNX finds is taken to be there as often as its score says (measure/agreement.py). So it is not known what both
miss, which makes the drop look larger, nor where INT8 is the one that is right; and only pictures like those to
choose by count. Predictions without an AP lose agreement with ONNX instead, networks without a decoder cosine.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.config.time_limit import TimeLimit, time_limit
from bmzoo.measure.sureness import NINETEEN_OF_TWENTY, pictures_needed

MET, UNSURE, MISSED = "met", "met in these pictures, but that is not sure", "missed"
# Times are compared as they are shown and no finer.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Option:
    """A set of layers in float: what a picture takes, what is kept of ONNX's AP, 1 for all, and how sure that is.

    `draws`: what is kept in each draw of pictures, float64 [times], the same draws for all options; `low`: the
    bound that one of them in twenty is below; `deviation`: over them.
    """

    layers: tuple[str, ...]
    time: float
    kept: float
    low: float
    deviation: float
    draws: NDArray[np.float64] = field(compare=False, repr=False)

    def better_than(self, other: "Option") -> float:
        """In which share of the draws more is kept than by another option, in the same pictures."""
        return float(np.mean(self.draws > other.draws))


@dataclass(frozen=True)
class AskedFor:
    """A goal: the least that is kept, the longest time; None for what is not asked for."""

    kept: float | None
    time: float | None

    def allows(self, option: Option) -> bool:
        return self.time is None or option.time <= self.time * (1 + _ROUNDING)

    def reached(self, option: Option) -> bool:
        """By the figure in these pictures."""
        return self.kept is None or option.kept >= self.kept

    def surely(self, option: Option) -> bool:
        return self.kept is None or option.low >= self.kept


@dataclass(frozen=True)
class Units:
    """What figures are shown in: `ms` or `cycles`; what is kept as a drop in points, or as a cosine; pictures."""

    time: str
    drop: bool
    pictures: int

    def times(self, value: float) -> str:
        return f"{value:.3g} ms" if self.time == "ms" else f"{value:,.0f} {self.time}"

    def figure(self, kept: float) -> str:
        return f"{_points(kept)} points lost" if self.drop else f"cosine {kept:.4f}"

    def bound(self, low: float) -> str:
        return f"at most {_points(low)}" if self.drop else f"{low:.4f} or more"


def _points(kept: float) -> str:
    return f"{round(100 * (1 - kept), 2) + 0.0:.2f}"


@dataclass(frozen=True)
class GoalChoice:
    """What was chosen, what it came to (MET, UNSURE or MISSED), and why, in lines for people."""

    option: Option
    outcome: str
    said: tuple[str, ...]


def asked_for(goal: Mapping[str, Any], plain: float) -> AskedFor:
    """A goal as a request has it, where plain INT8 takes so long."""
    drop, latency = goal.get("ap_drop"), goal.get("latency")
    limit: TimeLimit | None = time_limit(latency) if latency is not None else None
    return AskedFor(None if drop is None else 1 - drop / 100, limit.allowed(plain) if limit is not None else None)


def choose_option(goal: AskedFor, options: Sequence[Option], units: Units) -> GoalChoice:
    """The cheapest option that surely does, else the surest that does, else the nearest miss.

    `options`: plain INT8 first. Where the goal is missed or only time is limited, the cheapest within it that none
    is surely better than: time is not spent on what may be chance.
    """
    within = [option for option in options if goal.allows(option)]
    if not within:
        taken = min(options, key=lambda one: (one.time, -one.low))
        over = f"the fastest takes {units.times(taken.time)}, allowed: {units.times(goal.time or 0.0)}"
        return GoalChoice(taken, MISSED, (over,))
    if goal.kept is None:
        taken = _cheapest_of_the_best(within)
        return GoalChoice(taken, MET, (_beside_plain(taken, options[0], units),))
    if sure := [one for one in within if goal.surely(one)]:
        return GoalChoice(min(sure, key=lambda one: (one.time, -one.low)), MET, ())
    if reached := [one for one in within if goal.reached(one)]:
        taken = max(reached, key=lambda one: (one.low, -one.time))
        return GoalChoice(taken, UNSURE, (_needed(goal.kept, taken, units),))
    taken = _cheapest_of_the_best(within)
    costs = _what_it_would_take(goal, taken, options, units)
    short = f"{units.figure(taken.kept)} within the time" if goal.time is not None else units.figure(taken.kept)
    said = (short, costs, _needed(goal.kept, taken, units), _beside_plain(taken, options[0], units))
    return GoalChoice(taken, MISSED, said)


def _cheapest_of_the_best(options: Sequence[Option]) -> Option:
    """The cheapest that the one with the best lower bound does not surely keep more than."""
    best = max(options, key=lambda one: (one.low, -one.time))
    equals = [one for one in options if one is best or best.better_than(one) < NINETEEN_OF_TWENTY]
    return min(equals, key=lambda one: (one.time, -one.low))


def frontier(options: Sequence[Option], taken: Option, units: Units) -> list[str]:
    """A line for what was taken, and what no other option is both faster and nearer to ONNX than; fastest first."""
    shown, most = list[Option](), -math.inf
    for option in sorted(options, key=lambda one: (one.time, -one.kept)):
        if option.kept > most or option is taken:
            shown.append(option)
            most = max(most, option.kept)
    before: list[tuple[str, ...]] = [(), *(one.layers for one in shown)]
    return [
        f"{units.times(one.time)} ({one.time / options[0].time - 1:+.1%}): {units.figure(one.kept)}, "
        f"{units.bound(one.low)} in 19 of 20 draws{', taken' if one is taken else ''}: {_layers(one.layers, last)}"
        for one, last in zip(shown, before, strict=False)
    ]


def _what_it_would_take(goal: AskedFor, taken: Option, options: Sequence[Option], units: Units) -> str:
    """Which layers the goal is missed for, and what they cost."""
    enough = [one for one in options if goal.reached(one)]
    if not enough:
        best = max(options, key=lambda one: (one.kept, -one.time))
        return f"nothing that was tried reaches it; the best: {units.figure(best.kept)} at {units.times(best.time)}"
    cheapest = min(enough, key=lambda one: one.time)
    more = [layer for layer in cheapest.layers if layer not in taken.layers]
    return f"{units.times(cheapest.time - taken.time)} more would do, for {', '.join(more) or 'other layers'}"


def _needed(limit: float, option: Option, units: Units) -> str:
    number = pictures_needed(option.kept, limit, option.deviation, units.pictures)
    if number is None:
        return "no number of pictures would tell: it is too near to the limit"
    if number <= units.pictures:
        return f"{units.pictures} pictures are enough to tell"
    return f"about {number} pictures would tell, these are {units.pictures}"


def _beside_plain(option: Option, plain: Option, units: Units) -> str:
    if not option.layers:
        return "no layer in float within it is surely worth anything"
    return f"better than plain INT8 in {option.better_than(plain):.0%} of draws of these {units.pictures} pictures"


def _layers(layers: Sequence[str], before: Sequence[str]) -> str:
    """By what they have more than those of the line before, where they have all of these."""
    if not layers:
        return "plain INT8"
    if before and set(before) <= set(layers):
        return f"and {', '.join(layer for layer in layers if layer not in before)}"
    return ", ".join(layers)
