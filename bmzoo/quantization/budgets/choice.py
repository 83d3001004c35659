"""Chooses among sets of float layers by what may be lost and how long it may take, and says how sure that is. Pure.

What stands for what: points of AP are taken to be points of agreement, the AP of the lowering where what ONNX finds
in the selection pictures is taken for true. It counts every difference from ONNX as a loss, also those where INT8
is the one that is right; and it knows only pictures like those to choose by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bmzoo.config.time_limit import TimeLimit, time_limit
from bmzoo.measure.sureness import pictures_needed

MET, UNSURE, MISSED = "met", "met on these pictures, but that is not sure", "missed"
# Times are compared as they are shown and no finer.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Option:
    """A set of layers in float: what a picture takes, how it agrees with ONNX, 0..1, and how sure that is.

    `low`: the bound that one draw of pictures in twenty is below; `deviation`: over draws; `better`: the share of
    draws in which it agrees better than plain INT8 does in the same pictures.
    """

    layers: tuple[str, ...]
    time: float
    agreement: float
    low: float
    deviation: float
    better: float = 0.0


@dataclass(frozen=True)
class AskedFor:
    """A goal: the least agreement, the longest time; None for what is not asked for."""

    agreement: float | None
    time: float | None

    def allows(self, option: Option) -> bool:
        return self.time is None or option.time <= self.time * (1 + _ROUNDING)

    def reached(self, option: Option) -> bool:
        """By the figure on these pictures."""
        return self.agreement is None or option.agreement >= self.agreement

    def surely(self, option: Option) -> bool:
        return self.agreement is None or option.low >= self.agreement


@dataclass(frozen=True)
class GoalChoice:
    """What was chosen, what it came to (MET, UNSURE or MISSED), and why, in lines for people."""

    option: Option
    outcome: str
    said: tuple[str, ...]


def wanted_by(goal: Mapping[str, Any], plain: float) -> AskedFor:
    """A goal as a request has it, where plain INT8 takes so long."""
    drop, latency = goal.get("ap_drop"), goal.get("latency")
    limit: TimeLimit | None = time_limit(latency) if latency is not None else None
    return AskedFor(None if drop is None else 1 - drop / 100, limit.allowed(plain) if limit is not None else None)


def choose_option(wanted: AskedFor, options: Sequence[Option], pictures: int, unit: str) -> GoalChoice:
    """The cheapest option that surely does, else the surest that does, else the nearest miss.

    `options`: plain INT8 first. Where only time is limited, the one within it whose lower bound is best.
    """
    within = [option for option in options if wanted.allows(option)]
    if not within:
        taken = min(options, key=lambda one: (one.time, -one.low))
        over = f"plain INT8 itself takes {_time(options[0].time, unit)}"
        return GoalChoice(taken, MISSED, (f"{over}, allowed: {_time(wanted.time or 0.0, unit)}",))
    surest = max(within, key=lambda one: (one.low, -one.time))
    if wanted.agreement is None:
        return GoalChoice(surest, MET, (_sureness_beside_plain(surest, pictures),))
    if sure := [one for one in within if wanted.surely(one)]:
        return GoalChoice(min(sure, key=lambda one: (one.time, -one.low)), MET, ())
    if reached := [one for one in within if wanted.reached(one)]:
        taken = max(reached, key=lambda one: (one.low, -one.time))
        return GoalChoice(taken, UNSURE, (_needed(wanted.agreement, taken, pictures),))
    short = f"agreement {surest.agreement:.3f}, wanted: {wanted.agreement:.3f}"
    costs = _what_it_would_take(wanted, surest, options, unit)
    return GoalChoice(surest, MISSED, (short, costs, _needed(wanted.agreement, surest, pictures)))


def frontier(options: Sequence[Option], unit: str) -> list[str]:
    """A line for each option that none is both faster and nearer to ONNX than, the fastest first."""
    shown, best = list[Option](), -1.0
    for option in sorted(options, key=lambda one: (one.time, -one.agreement)):
        if option.agreement > best:
            shown.append(option)
            best = option.agreement
    plain = options[0]
    return [
        f"{_time(one.time, unit)} ({one.time / plain.time - 1:+.1%}): agreement {one.agreement:.3f}, "
        f"{one.low:.3f} or more in 19 of 20 draws: {_layers(one)}"
        for one in shown
    ]


def _what_it_would_take(wanted: AskedFor, taken: Option, options: Sequence[Option], unit: str) -> str:
    """Which layers the goal is missed for, and what they cost."""
    enough = [one for one in options if wanted.reached(one)]
    if not enough:
        best = max(options, key=lambda one: (one.agreement, -one.time))
        return f"nothing that was tried reaches it; the best is {best.agreement:.3f} at {_time(best.time, unit)}"
    cheapest = min(enough, key=lambda one: one.time)
    more = [layer for layer in cheapest.layers if layer not in taken.layers]
    return f"{_time(cheapest.time - taken.time, unit)} more would do, for {', '.join(more) or 'fewer layers'}"


def _needed(limit: float, option: Option, pictures: int) -> str:
    number = pictures_needed(option.agreement, limit, option.deviation, pictures)
    if number is None:
        return f"no number of pictures would tell: {option.agreement:.3f} is too near to {limit:.3f}"
    if number <= pictures:
        return f"{pictures} pictures are enough to tell"
    return f"about {number} pictures would tell, these are {pictures}"


def _sureness_beside_plain(option: Option, pictures: int) -> str:
    if not option.layers:
        return "no layer in float agrees better within it"
    return f"it agrees better than plain INT8 in {option.better:.0%} of draws of these {pictures} pictures"


def _layers(option: Option) -> str:
    return ", ".join(option.layers) or "plain INT8"


def _time(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}" if unit == "ms" else f"{value:,.0f} {unit}"
