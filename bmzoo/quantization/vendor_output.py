"""Parsers for the logs and tables of TPU-MLIR's searches. Pure, and strict: an unknown format is an error, never a
shorter list.

Tested with 1.30.2; the formats of earlier versions are from the sources of sophgo/tpu-mlir.
"""

import math
import re

# The tool's line on one operator's rank, counted from 0, the most sensitive first.
_PLACE = re.compile(r"the layer (\S+) is (\d+) sensitive layer, loss is (\S+), type is \S+")
_ABOUT_A_PLACE = re.compile(r"the layer \S.* is \d+ sensitive layer")
_ENOUGH = re.compile(r"job success, current int8 cos:\s*(\S+) is higher than expected_cos")
_PLAIN = re.compile(r"int8 outputs_cos:\s*(\S+) old")
_LOSS = re.compile(r"No\.(\d+)\s*: Layer: (\S+)\s+Cos: (\S+)")


def ranking(log: str) -> tuple[tuple[str, float], ...]:
    """(layer, loss of cosine with it alone in INT8), the most sensitive first; empty when nothing was ranked.

    Raises ValueError naming the line that is not as expected.
    """
    rows: list[tuple[str, float]] = []
    for number, line in enumerate(log.splitlines(), 1):
        if not _ABOUT_A_PLACE.search(line):
            continue
        match = _PLACE.search(line)
        if match is None:
            raise ValueError(f"line {number} is not `the layer NAME is N sensitive layer, loss is L`: {line}")
        layer, place, loss = match[1], int(match[2]), _number(match[3], number, line)
        if place != len(rows) or (rows and loss > rows[-1][1]) or layer in dict(rows):
            raise ValueError(f"line {number} is out of order, after {len(rows)} layers: {line}")
        rows.append((layer, loss))
    return tuple(rows)


def enough(log: str) -> float | None:
    """The cosine of plain INT8 where the search ended because it is sufficient; else None. Raises ValueError."""
    return _only(_ENOUGH, log)


def plain_cosine(log: str) -> float | None:
    """The cosine of plain INT8 that the tool reports at the end, or None. Raises ValueError."""
    return _only(_PLAIN, log)


def losses(table: str) -> dict[str, float]:
    """Layer -> 1 - its cosine, from the loss table that run_qtable.py writes, the largest loss first.

    Raises ValueError naming the line that is not as expected.
    """
    found: dict[str, float] = {}
    for number, line in enumerate(table.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LOSS.fullmatch(line.strip())
        if match is None or int(match[1]) != len(found) or match[2] in found:
            raise ValueError(f"line {number} is not `No.{len(found)}: Layer: NAME Cos: C`: {line}")
        found[match[2]] = 1 - _number(match[3], number, line)
    return found


def _only(pattern: re.Pattern[str], log: str) -> float | None:
    for number, line in enumerate(log.splitlines(), 1):
        if match := pattern.search(line):
            return _number(match[1], number, line)
    return None


def _number(text: str, number: int, line: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"line {number} holds no finite number: {line}")
    return value
