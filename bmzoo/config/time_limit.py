"""How much time a goal allows, as configs have it: `3.0 ms`, or `+5%` of plain INT8's. Pure."""

import math
import re
from dataclasses import dataclass

_WRITTEN = re.compile(r"(?:\+(?P<percent>[0-9.eE]+) ?%|(?P<ms>[0-9.eE]+) ?ms)")
HOW = "`3.0 ms`, or `+5%` of what plain INT8 takes"


@dataclass(frozen=True)
class TimeLimit:
    """Milliseconds, or how much longer than plain INT8 as a share: 0.05. One of the two."""

    milliseconds: float | None = None
    share: float | None = None

    def __str__(self) -> str:
        return f"{self.milliseconds:g} ms" if self.milliseconds is not None else f"+{100 * (self.share or 0):.6g}%"

    def allowed(self, plain: float) -> float:
        """How long a network may take, where plain INT8 takes so long."""
        return self.milliseconds if self.milliseconds is not None else plain * (1 + (self.share or 0))


def time_limit(written: object) -> TimeLimit:
    """Raises ValueError that says what is wrong."""
    if isinstance(written, (int, float)) and not isinstance(written, bool):
        raise ValueError(f"a unit is missing, {HOW}: {written:g}")
    match = _WRITTEN.fullmatch(written.strip()) if isinstance(written, str) else None
    if match is None:
        raise ValueError(f"not a time, {HOW}: {written}")
    try:
        number = float(match["percent"] or match["ms"])
    except ValueError:
        raise ValueError(f"not a number, {HOW}: {written}") from None
    if not math.isfinite(number) or (match["ms"] and number <= 0):
        raise ValueError(f"nothing takes so long, {HOW}: {written}")
    return TimeLimit(share=number / 100) if match["percent"] else TimeLimit(milliseconds=number)
