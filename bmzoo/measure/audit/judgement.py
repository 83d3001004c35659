"""What is wrong with how a network is fed, axis by axis: the best of what is surely better, and then what is left.

One thing is mended at a time, and everything tried again from there: where two are wrong, either alone may look
right in many ways, and what follows from the first is not named as a second.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.audit.alternatives import (
    AXES,
    KEEPS_SHAPE,
    MEAN,
    NUMBERS,
    ORDER,
    PADDING,
    RESIZE,
    SCALE,
    STRETCH,
    Alternative,
)
from bmzoo.measure.audit.framing import AS_GIVEN, DISTORTED, KEPT, MOSTLY_PADDING, Framing
from bmzoo.measure.audit.sure import CHANCE, Gain, gain
from bmzoo.measure.audit.trials import Attempt

WRONG, RIGHT, CANNOT_BE_TOLD = "wrong", "as trained", "cannot be told"
_NUMERIC = (ORDER, MEAN, SCALE, NUMBERS)
FIRST_LAYER = "first layer"
SHAPES, PADDED = "where shapes are kept", "where most is padding"
# Faults that are mended one after the other.
_MOST_FAULTS = 3
# The allowed chance, in parts: half for channels, as only a network that was trained so finds more with them the
# other way round; little for where a picture lies, as larger objects are found more easily by any network.
_DIVIDED = {ORDER: 2, NUMBERS: 4, RESIZE: 8, PADDING: 8}
# Alternatives this near to the best are as good: then the one that changes least is taken.
_AS_GOOD = 0.97

# A network that was trained with pictures as they are finds so much more in them than in those of other shapes: 1.4
# to 2 times in five detectors. One that was trained with stretched ones does not mind: 1.1 times at most.
_SHAPE_MATTERS = 0.2

# In fewer pictures than this share something must be found, else they are not what the network is for.
SEEN = 0.15

Section = Mapping[str, Any]
Try = Callable[[Section, NDArray[np.float64] | None, Framing], Attempt]


@dataclass(frozen=True)
class Compared:
    """An alternative beside what is configured. `by`: what says so, for people; `wins` and `loses`: whether it is
    surely better, or worse.
    """

    alternative: Alternative
    wins: bool
    loses: bool
    gain: Gain | None
    total: float
    by: str


@dataclass(frozen=True)
class AxisRow:
    """What is said of an axis. `compared`: the better one, or the one that does best beside the configured one."""

    axis: str
    verdict: str
    compared: Compared | None


@dataclass
class Judgement:
    """Rows for every axis there is, and the section as it should be. `found`: in each picture, that way."""

    rows: list[AxisRow] = field(default_factory=list)
    hardest: int = 1  # by how much the allowed chance was divided at most
    section: dict[str, Any] = field(default_factory=dict)
    found: NDArray[np.float64] | None = None

    @property
    def wrong(self) -> list[AxisRow]:
        return [row for row in self.rows if row.verdict == WRONG]


def judged(
    section: Section,
    others: Callable[[Section], Sequence[Alternative]],
    attempt: Try,
    least: float | None = None,
) -> Judgement:
    """Try everything, mend what is surely wrong, try again. `attempt`: feeds the network. Raises SessionError.

    least: in how much something is found, by a network that says where things are in pictures of another shape than
    its input; None for others.
    """
    result = Judgement(section=dict(section))
    for _ in range(_MOST_FAULTS):
        base = attempt(result.section, None, AS_GIVEN)
        tried = others(result.section)
        result.hardest = max(result.hardest, *_shares(tried).values(), 1)
        compared = _compared(base, tried, result.section, attempt, least)
        best = _best(compared, base)
        if best is None:
            break
        axis = best.alternative.axis
        result.rows = [row for row in result.rows if row.axis != axis] + [AxisRow(axis, WRONG, best)]
        result.section = best.alternative.of(result.section)
    else:
        base = attempt(result.section, None, AS_GIVEN)
        compared = _compared(base, others(result.section), result.section, attempt, least)
    result.found = base.found
    named = {row.axis for row in result.rows}
    result.rows += [_row(axis, compared, base) for axis in AXES if axis not in named and _on(axis, compared)]
    return result


def _compared(
    base: Attempt, tried: Sequence[Alternative], section: Section, attempt: Try, least: float | None
) -> list[Compared]:
    # Who finds nothing minds no shapes: then something else is wrong, or the pictures are.
    shapes = least is not None and base.found is not None and share_seen(base.found, least) >= SEEN
    # A network that is shouted at finds what is not there: then nothing is given up for finding less.
    beside = base.found if base.heard is None or base.heard.plausible else None
    shares = _shares(tried)
    shape = _shape(section, attempt, shares[RESIZE]) if shapes and RESIZE in shares else None
    rows = []
    for one in tried:
        divided = shares[_family(one.axis)]
        if shapes and "pad_value" in one.changes:
            small, other = (attempt(fed, None, MOSTLY_PADDING) for fed in (section, one.of(section)))
            rows.append(replace(_beside(small, other, one, divided), by=PADDED))
        else:
            row = _beside(base, attempt(one.of(section), beside, AS_GIVEN), one, divided)
            rows.append(_shaped(row, section, shape))
    return rows


def share_seen(found: NDArray[np.float64], least: float) -> float:
    """The share of pictures in which something is found."""
    return float(np.mean(found >= least))


def _shape(section: Section, attempt: Try, tried: int) -> Gain | None:
    """How much more is found in pictures of their own shape than in wide and in narrow ones, the lesser of both.

    None where either does not surely matter.
    """
    fed = section if section["resize"] in KEEPS_SHAPE else {**section, "resize": KEEPS_SHAPE[0]}
    kept, *distorted = (attempt(fed, None, framing).found for framing in (KEPT, *DISTORTED))
    gains = [gain(one, kept) for one in distorted if one is not None and kept is not None]
    if not gains or any(one.chance * tried >= CHANCE or one.low <= _SHAPE_MATTERS for one in gains):
        return None
    return min(gains, key=lambda one: one.share)


def _shaped(row: Compared, section: Section, shape: Gain | None) -> Compared:
    """An alternative by what is known of shapes: to stretch is then wrong, whatever else is found."""
    resize = row.alternative.changes.get("resize")
    if shape is None or row.alternative.axis != RESIZE:
        return row
    if resize == STRETCH:
        return replace(row, wins=False, loses=True)
    if section["resize"] == STRETCH and resize in KEEPS_SHAPE:
        return replace(row, wins=True, loses=False, gain=shape, by=SHAPES)
    return row


def _shares(tried: Sequence[Alternative]) -> dict[str, int]:
    """By what the allowed chance is divided for an alternative of each family."""
    count = Counter(_family(one.axis) for one in tried)
    return {family: _DIVIDED[family] * number for family, number in count.items()}


def _family(axis: str) -> str:
    """Mean and scale are tried together in many ways; the other axes have few."""
    return NUMBERS if axis in (MEAN, SCALE, NUMBERS) else axis


def _beside(base: Attempt, other: Attempt, alternative: Alternative, tried: int) -> Compared:
    """An alternative beside what is configured, by what is found, and by the first layer where numbers differ."""
    quiet = other.heard is not None and not other.heard.plausible
    deaf = base.heard is not None and not base.heard.plausible
    shouts = base.heard is not None and other.heard is not None and other.heard.shouts_beside(base.heard)
    nearer = farther = False
    if alternative.axis in _NUMERIC and base.heard is not None and other.heard is not None:
        nearer = other.heard.surely_nearer(base.heard, tried)
        farther = base.heard.surely_nearer(other.heard, tried)
    if base.found is None or other.found is None:
        return Compared(alternative, nearer, farther, None, 0.0, FIRST_LAYER if nearer or farther else "")
    if other.given_up:
        return Compared(alternative, False, True, None, float(other.found.sum()), "finds less than half")
    better, worse = gain(base.found, other.found), gain(other.found, base.found)
    loses = worse.sure(tried)
    finds = better.sure(tried) and not quiet and not shouts
    wins = finds or (nearer and (deaf or not loses))
    by = FIRST_LAYER if wins and not finds else "finds"
    return Compared(alternative, wins, loses or farther, better, float(other.found.sum()), by)


def _best(compared: Sequence[Compared], base: Attempt) -> Compared | None:
    """Of those that win the one that finds most; of those that are as good, the one that changes least."""
    wins = [one for one in compared if one.wins]
    if not wins:
        return None
    most = max(one.total for one in wins)
    near = [one for one in wins if one.total >= _AS_GOOD * most] if base.found is not None else wins
    return min(near, key=lambda one: (len(one.alternative.changes), -one.total, AXES.index(one.alternative.axis)))


def _on(axis: str, compared: Sequence[Compared]) -> list[Compared]:
    return [one for one in compared if one.alternative.axis == axis]


def _row(axis: str, compared: Sequence[Compared], base: Attempt) -> AxisRow:
    """An axis on which nothing is surely better: as trained where all else is surely worse."""
    open_ones = [one for one in _on(axis, compared) if not one.loses]
    if not open_ones:
        return AxisRow(axis, RIGHT, None)
    return AxisRow(axis, CANNOT_BE_TOLD, max(open_ones, key=lambda one: one.total))
