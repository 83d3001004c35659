"""A stored profile read back: the costliest layers, what bounds each, and when each engine works. Pure.

`measure/profile.py` writes these documents; one from another hand or version is refused with its reason.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from bmzoo.measure.profile_document import LAUNCH_CYCLES

Bound = Literal["arithmetic", "memory", "launch"]
_NUMBERS = (float, int)  # and nothing derived from them: True is no number
BOUNDS: Mapping[Bound, str] = {
    "arithmetic": "the arithmetic engine works longer than memory moves",
    "memory": "memory moves longer than the arithmetic engine works",
    "launch": "it moves memory in so many small pieces that starting them takes at least half of the time",
}


class LayerTime(NamedTuple):  # a zoo has hundreds of thousands, and a dataclass takes four times as long to make
    """One layer on one core, in ms of a run of the whole batch; `bytes` and `transfers`: what it moves."""

    core: int
    layer: str
    operation: str
    milliseconds: float
    arithmetic: float
    memory: float
    bytes: int
    commands: int
    transfers: int
    bound: Bound

    @property
    def bandwidth(self) -> float | None:
        """GB/s while memory moves."""
        return self.bytes / self.memory / 1e6 if self.memory else None


@dataclass(frozen=True)
class CoreTime:
    """One core in ms: in all, of each engine, and without work for either."""

    milliseconds: float
    arithmetic: float
    memory: float
    idle: float
    bytes: int
    commands: int


@dataclass(frozen=True)
class StoredProfile:
    """`layers`: the costliest first. `timeline`: as in the document, None in one written before there were any."""

    milliseconds: float
    cores: tuple[CoreTime, ...]
    layers: tuple[LayerTime, ...]
    timeline: Mapping[str, Any] | None

    def share(self, layer: LayerTime) -> float:
        """Of the time of its core, 0 to 1. Engines overlap: shares of all layers come to more than 1."""
        whole = self.cores[layer.core].milliseconds
        return layer.milliseconds / whole if whole else 0.0

    @property
    def best_bandwidth(self) -> float | None:
        """The most GB/s that any layer gets."""
        return max((found for layer in self.layers if (found := layer.bandwidth) is not None), default=None)


@dataclass(frozen=True)
class NoProfile:
    """Why there is none."""

    why: str


def stored_profile(document: Mapping[str, Any]) -> StoredProfile | NoProfile:
    """Read a `profile.json`; empty for one that is not there."""
    if not document:
        return NoProfile("no profile is kept beside the artifact")
    if document.get("known") is not True:
        return NoProfile(str(document.get("why") or "not said why"))
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        said = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        return NoProfile(f"its profile cannot be read: {said}")


def _read(document: Mapping[str, Any]) -> StoredProfile:
    pairs = (_numbers(core["milliseconds"], core["cycles"]) for core in document["cores"])
    units = [milliseconds / max(cycles, 1) for milliseconds, cycles in pairs]
    cores = [_core(core) for core in document["cores"]]
    layers = [_layer(row, units[_index(row["core"], len(units))]) for row in document["layers"]]
    if not cores:
        raise ValueError("it has no core")
    timeline = document.get("timeline")
    if timeline is not None:
        _check_timeline(timeline, len(cores))
    (whole,) = _numbers(document["milliseconds"])
    return StoredProfile(whole, tuple(cores), tuple(layers), timeline)


def _core(core: Mapping[str, Any]) -> CoreTime:
    whole, arithmetic, memory, idle, moved, commands = _numbers(
        *(core["milliseconds"], core["arithmetic"], core["memory"], core["idle"]),
        *(core["bytes"], core["commands"]),
    )
    return CoreTime(whole, arithmetic, memory, idle, int(moved), int(commands))


def _layer(row: Mapping[str, Any], unit: float) -> LayerTime:
    whole, arithmetic, memory, moved, commands, transfers = _numbers(
        *(row["milliseconds"], row["arithmetic"], row["memory"]),
        *(row["bytes"], row["commands"], row.get("transfers", 0)),
    )
    bound: Bound = "arithmetic" if arithmetic >= memory else "memory"
    if bound == "memory" and 2 * transfers * LAUNCH_CYCLES * unit >= memory:
        bound = "launch"
    names, counts = (str(row["layer"]), str(row["operation"])), (int(moved), int(commands), int(transfers))
    return LayerTime(row["core"], *names, whole, arithmetic, memory, *counts, bound)


def _check_timeline(timeline: Mapping[str, Any], cores: int) -> None:
    names: Sequence[str] = timeline["layers"]
    if len(timeline["cores"]) != cores:
        raise ValueError("its timeline has another number of cores")
    for spans in timeline["cores"]:
        for engine, layer, start, end in spans:
            _index(engine, 2)
            _index(layer, len(names))
            if type(start) not in _NUMBERS or type(end) not in _NUMBERS or not 0 <= start <= end < math.inf:
                _numbers(start, end)  # says which of the two is none
                raise ValueError(f"its timeline ends before it starts: {start} to {end}")


def _numbers(*values: Any) -> tuple[float, ...]:
    """The same, all of them finite and not below 0. Raises ValueError."""
    for value in values:
        if type(value) not in _NUMBERS or not 0 <= value < math.inf:
            raise ValueError(f"not a number that can be there: {value!r}")
    return values


def _index(value: Any, count: int) -> int:
    if type(value) is not int or not 0 <= value < count:
        raise ValueError(f"not one of {count}: {value!r}")
    return value
