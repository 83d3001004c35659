"""Recommends one of the measured settings. Pure.

Average precision is reported, but never a criterion: what is chosen must not depend on the evaluation pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bmzoo.measure.latency import shown
from bmzoo.tuning.settings import Setting

# Uncertainty of agreement measured on some dozens of pictures.
AGREEMENT_TOLERANCE = 0.005
# Costs within this share count as equal: the compiler's estimate is not more accurate.
SAME_COST = 0.01
# INT8 has to take less than this share of the float cost to be worth its calibration and loss of accuracy.
WORTH = 0.95


@dataclass(frozen=True)
class Point:
    """A measured setting: agreement on the selection pictures, and what it costs."""

    setting: Setting
    float_layers: int  # actually in float: the search may stop before max_float_layers
    agreement: float  # 0 to 1, with the float model's detections; for models without a decoder the cosine of heads
    cost: int | None  # the compiler's, in cycles for one picture on one core
    size: int  # bytes of the bmodel
    ms: float | None = None  # on the chip, for one picture, where that can be estimated

    @property
    def price(self) -> float:
        """The quantity to minimize: the time, the cost where that is not known, or the size where neither is."""
        known = self.ms if self.ms is not None else self.cost
        return known if known is not None else self.size


@dataclass(frozen=True)
class Rival:
    """The baseline: the chip's fastest float precision, and its cost in cycles, at the same batch and cores."""

    precision: str
    cost: int | None
    ms: float | None = None  # on the chip, where that can be estimated


@dataclass(frozen=True)
class PublishedPair:
    """Published latencies in ms per picture: INT8, and the fastest float precision of like batch and cores."""

    name: str  # such as `1b` or `4b_2core`
    int8: float
    precision: str | None
    floats: float | None


def recommend(points: Sequence[Point], now: Setting) -> Point:
    """The cheapest point within AGREEMENT_TOLERANCE of the best agreement.

    Ties (within SAME_COST) are broken by the fewest changed keys from the setting `now`, then by the fewest float
    layers, then by the best agreement. `points` must not be empty.
    """
    best = max(point.agreement for point in points)
    good = [point for point in points if point.agreement >= best - AGREEMENT_TOLERANCE]
    least = min(point.price for point in good)
    cheap = [point for point in good if point.price <= least * (1 + SAME_COST)]
    return min(cheap, key=lambda p: (p.setting.changes(now), p.float_layers, -p.agreement, p.price, p.setting))


def front(points: Sequence[Point]) -> tuple[Point, ...]:
    """The Pareto front of price and agreement, the cheapest first."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.price, -p.agreement, p.setting)):
        if not kept or point.agreement > kept[-1].agreement:
            kept.append(point)
    return tuple(kept)


def worth(chosen: Point, rival: Rival, pairs: Sequence[PublishedPair]) -> tuple[str, ...]:
    """Whether INT8 is worth it over float: by estimated time or cost, then by each published latency."""
    lines = []
    name = rival.precision
    if chosen.ms is not None and rival.ms is not None:
        share, times = chosen.ms / rival.ms, f"about {shown(chosen.ms)} ms a picture, {name} {shown(rival.ms)}"
        lines.append(f"INT8 takes {times} ({_verdict(share, name)})")
    elif chosen.cost is not None and rival.cost:
        share = chosen.cost / rival.cost
        lines.append(f"INT8 costs {share:.2f} times what {name} does ({_verdict(share, name)})")
    for pair in pairs:
        text = f"published for {pair.name}: {pair.int8:.2f} ms a picture with INT8"
        if pair.floats is None or pair.precision is None:
            lines.append(f"{text}, none with {name}")
        else:
            verdict = _verdict(pair.int8 / pair.floats, pair.precision)
            lines.append(f"{text}, {pair.floats:.2f} ms with {pair.precision} ({verdict})")
    return tuple(lines)


def _verdict(share: float, name: str) -> str:
    if share < WORTH:
        return "INT8 is worth it"
    how = "faster" if share > 1 / WORTH else "as fast"
    return f"INT8 is not worth it: {name} is {how} and needs no calibration"
