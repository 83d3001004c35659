"""How long a bmodel takes on a card, from the compiler's profile of it. Pure, and never a guess.

The profile ran anew with arithmetic and memory slower than the compiler takes them to be (`replay.py`), and what
every run and every meeting of cores costs is added. The constants are fitted on published
figures by `bench/latency.py`; the interval comes from networks that were left out of the fit in turn.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bmzoo.measure.chip_constants import Constants
from bmzoo.measure.fitted import COMPILER, CONSTANTS, REFUSED
from bmzoo.target import Target

STATIC = "TPU_STATIC"
ESSENTIAL = ("known", "why", "modes", "stretched")


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one picture, and between which nine of ten published figures lie."""

    ms: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"about {shown(self.ms)} ms ({shown(self.low)} to {shown(self.high)})"


@dataclass(frozen=True)
class NoLatency:
    """Why there is no estimate."""

    why: str


def estimated(
    target: Target, profile: Mapping[str, Any], facts: Mapping[str, Any], compiler: str
) -> Latency | NoLatency:
    """The time of a picture. `profile`: its `essentials`; `facts`: of the artifact; `compiler`: what made it."""
    constants = CONSTANTS.get(target.chip)
    why = _unknown(target.chip, constants, profile, facts, compiler)
    if why or constants is None:
        return NoLatency(why)
    try:
        run = run_time(constants, target.precision, profile)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return NoLatency("its profile cannot be read: make the artifact again")
    low, high = interval(constants, run)
    return Latency(*(_significant(time / target.batch) for time in (run, low, high)))


def essentials(profile: Mapping[str, Any]) -> dict[str, Any]:
    """What an estimate needs of a `profile.json`: little beside its layers and its timeline."""
    joins = [{"joins": core["joins"]} for core in profile.get("cores", ())]
    return {**{key: profile[key] for key in ESSENTIAL if key in profile}, "cores": joins}


def run_time(constants: Constants, precision: str, profile: Mapping[str, Any]) -> float:
    """Milliseconds of a run of the whole batch. Raises ValueError for a profile that says nothing usable."""
    arithmetic = constants.fp32 if precision == "fp32" else constants.arithmetic
    joins: int = max(core["joins"] for core in profile["cores"])
    return (
        _positive(busy(profile["stretched"], arithmetic, constants.memory)) + constants.run + constants.join * joins
    )


def busy(stretched: Mapping[str, Any], arithmetic: float, memory: float) -> float:
    """How long engines work on a run where arithmetic and every byte take so many times as long as told, in ms.

    On lines between the times that are kept. Raises ValueError outside of them.
    """
    rows = [between(stretched["memory"], row, memory) for row in stretched["milliseconds"]]
    return between(stretched["arithmetic"], rows, arithmetic)


def interval(constants: Constants, run: float) -> tuple[float, float]:
    """Between which nine of ten runs of other networks lie, that the constants take to be `run` ms."""
    return run * constants.low, run * constants.high


def between(places: Sequence[float], values: Sequence[float], wanted: float) -> float:
    """The value at a place, on the line between the two that are known. Raises ValueError outside of them."""
    points = list(zip(places, values, strict=True))
    for (left, before), (right, after) in zip(points, points[1:], strict=False):
        if left <= wanted <= right:
            return before + (after - before) * (wanted - left) / (right - left)
    raise ValueError(f"not between {places[0]} and {places[-1]}: {wanted}")


def _unknown(  # noqa: PLR0911  # one reason, one line
    chip: str, constants: Constants | None, profile: Mapping[str, Any], facts: Mapping[str, Any], compiler: str
) -> str:
    """Why nothing can be said, or an empty text."""
    if constants is None:
        return REFUSED.get(chip, f"there are no published figures of {chip} to go by")
    if len(facts.get("networks", ())) != 1:
        return "it holds several networks: each has a time of its own"
    modes = profile.get("modes", ())
    if facts.get("dynamic") or any("DYNAMIC" in mode for mode in modes):
        return "it is dynamic: its time depends on what it is given"
    others = [mode for mode in modes if mode != STATIC]
    if others:
        return f"parts of it do not run on the chip's engines alone: {', '.join(others)}"
    if compiler != COMPILER:
        return f"made by {compiler}: what is known is of profiles by {COMPILER}"
    if profile.get("known") is not True:
        return f"no profile: {profile.get('why') or 'none is kept'}"
    cores = profile.get("cores", ())
    if len(cores) != facts.get("cores"):
        return f"its profile is of {len(cores)} cores, the bmodel is for {facts.get('cores')}"
    return ""


def _positive(value: float) -> float:
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"not a time: {value}")
    return value


def _significant(milliseconds: float) -> float:
    return float(f"{milliseconds:.3g}")


def shown(milliseconds: float) -> str:
    """With two digits, three from 100 on."""
    return f"{milliseconds:.0f}" if milliseconds >= 100 else f"{float(f'{milliseconds:.2g}'):g}"
