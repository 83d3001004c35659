"""What is kept of a compiler's profile: totals by core, each layer's time by engine and what bounds it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bmzoo.measure.profile import CoreProfile
from bmzoo.measure.replay import EngineCommand, Stretch, both_at_work, joins, replayed, starts

# What a transfer of 32 bytes takes in profiles of bm1684x and bm1688: the price of moving next to nothing.
LAUNCH_CYCLES = 443
# Bytes in a cycle, as the cost model has them: 54 GB/s at 1 GHz, 24 GB/s at 0.9 GHz.
SPEED = {"bm1684x": 54.0, "bm1688": 26.7, "cv186x": 26.7}
# Of what times are kept; between them they lie on lines, to within a percent.
ARITHMETIC = (0.8, 1.0, 1.25, 1.5, 2.0)
MEMORY = (0.8, 1.0, 1.5, 2.0, 3.0)
# What the compiler rounds on the way to its total, as a share of it.
SLACK = 0.001


def profile_document(cores: Sequence[CoreProfile], names: Mapping[int, str], chip: str) -> dict[str, Any]:
    """What is kept of a profile, JSON-able: totals by core, each layer's time by engine, the costliest first.

    Times are ms of one run of the whole batch; `names`: see `layer_names`. `timeline`: `layers` are names, and of
    each core there is a list of (0 for arithmetic or 1 for memory, index of the layer, start, end). `stretched`:
    what the whole takes with slower memory. Raises ValueError for cores that disagree and lines that are missing.
    """
    check_cores(cores)
    cores = on_one_clock(cores)
    return {
        "known": True,
        "milliseconds": max(core.milliseconds for core in cores),
        "cores": [_core(core) for core in cores],
        "layers": sorted(_layers(cores, names), key=lambda row: (-row["milliseconds"], row["layer"])),
        "timeline": _timeline(cores, names),
        "stretched": _stretched(cores, SPEED.get(chip) or _fastest(cores)),
    }


def check_cores(cores: Sequence[CoreProfile]) -> None:
    """Raises ValueError where cores are not of one run, or their commands do not take the time that is told."""
    for number, core in enumerate(cores[1:], 1):
        for what in ("cycles", "milliseconds", "flops"):
            first, other = getattr(cores[0], what), getattr(core, what)
            if first != other:
                raise ValueError(f"cores disagree: {what} of core 0 are {first}, of core {number} {other}")
    found = max(replayed([core.commands]) for core in cores)
    if abs(found - cores[0].cycles) > SLACK * cores[0].cycles:
        raise ValueError(f"its commands take {found:.0f} cycles, not {cores[0].cycles}: lines are missing")


def on_one_clock(cores: Sequence[CoreProfile]) -> list[CoreProfile]:
    """The same, all starts counted from that of the run: the compiler gives each core a clock of its own."""
    return [
        replace(core, commands=tuple(map(_started, core.commands, own)))
        for core, own in zip(cores, starts(_all(cores)), strict=True)
    ]


def _started(command: EngineCommand, start: float) -> EngineCommand:
    return replace(command, start=round(start))


def _unit(core: CoreProfile) -> float:
    """Milliseconds of a cycle."""
    return core.milliseconds / max(core.cycles, 1)


def _all(cores: Sequence[CoreProfile]) -> list[Sequence[EngineCommand]]:
    return [core.commands for core in cores]


def _fastest(cores: Sequence[CoreProfile]) -> float:
    """Bytes in a cycle, of the transfer that moves most of them."""
    return max((c.bytes / c.cycles for core in cores for c in core.commands if c.cycles and c.bytes), default=1.0)


def _stretched(cores: Sequence[CoreProfile], speed: float) -> dict[str, Any]:
    """The time of a run in ms where arithmetic and every byte take so many times as long: a row for the former.

    What a transfer takes beyond its bytes, to start and to step through memory, is left as it is. `speed`: bytes
    in a cycle at best.
    """
    unit, commands = _unit(cores[0]), _all(cores)
    rows = [[replayed(commands, Stretch(a, (m - 1) / speed)) * unit for m in MEMORY] for a in ARITHMETIC]
    return {
        "arithmetic": [*ARITHMETIC],
        "memory": [*MEMORY],
        "milliseconds": [[_rounded(time) for time in row] for row in rows],
    }


def _timeline(cores: Sequence[CoreProfile], names: Mapping[int, str]) -> dict[str, Any]:
    indices: dict[str, int] = {}
    spans = [[_span(run, core, names, indices) for run in _runs(core.commands)] for core in cores]
    return {"layers": list(indices), "cores": spans}


def _runs(commands: Iterable[EngineCommand]) -> Iterable[list[EngineCommand]]:
    """Commands of a layer that follow each other on an engine without a pause; those that take no time left out."""
    for engine in (True, False):
        run: list[EngineCommand] = []
        for command in commands:
            if command.arithmetic != engine or not command.cycles or not command.layer:
                continue
            if run and (run[-1].layer != command.layer or run[-1].end != command.start):
                yield run
                run = []
            run.append(command)
        if run:
            yield run


def _span(
    run: Sequence[EngineCommand], core: CoreProfile, names: Mapping[int, str], indices: dict[str, int]
) -> list[float]:
    unit = _unit(core)
    layer = indices.setdefault(_name(run[0].layer, names), len(indices))
    return [0 if run[0].arithmetic else 1, layer, _rounded(run[0].start * unit), _rounded(run[-1].end * unit)]


def _name(layer: str, names: Mapping[int, str]) -> str:
    line = layer.rpartition("_")[2]
    return names.get(int(line), layer) if line.isdigit() else layer


def _core(core: CoreProfile) -> dict[str, Any]:
    unit = _unit(core)
    arithmetic = sum(c.cycles for c in core.commands if c.arithmetic)
    memory = sum(c.cycles for c in core.commands if not c.arithmetic)
    both = both_at_work(core.commands)
    return {
        "cycles": core.cycles,
        "milliseconds": core.milliseconds,
        "arithmetic": _rounded(arithmetic * unit),
        "memory": _rounded(memory * unit),
        "both": _rounded(both * unit),
        "idle": _rounded(max(0, core.cycles - arithmetic - memory + both) * unit),
        "bytes": sum(c.bytes for c in core.commands),
        "commands": len(core.commands),
        "transfers": _transfers(core.commands),
        "joins": joins(core.commands),
        "flops": core.flops,
    }


def _layers(cores: Sequence[CoreProfile], names: Mapping[int, str]) -> Iterable[dict[str, Any]]:
    for number, core in enumerate(cores):
        unit = _unit(core)
        own: dict[str, list[EngineCommand]] = {}
        for command in core.commands:
            if command.layer:
                own.setdefault(command.layer, []).append(command)
        for layer, commands in own.items():
            yield {"core": number, **_layer(layer, commands, unit, names)}


def _layer(layer: str, commands: list[EngineCommand], unit: float, names: Mapping[int, str]) -> dict[str, Any]:
    operation = layer.rpartition("_")[0]
    arithmetic = sum(c.cycles for c in commands if c.arithmetic)
    memory = sum(c.cycles for c in commands if not c.arithmetic)
    transfers = _transfers(commands)
    return {
        "layer": _name(layer, names),
        "operation": operation or layer,
        "milliseconds": _rounded(max(arithmetic, memory) * unit),
        "arithmetic": _rounded(arithmetic * unit),
        "memory": _rounded(memory * unit),
        "bytes": sum(c.bytes for c in commands),
        "commands": len(commands),
        "transfers": transfers,
        "bound": _bound(arithmetic, memory, transfers),
    }


def _transfers(commands: Iterable[EngineCommand]) -> int:
    return sum(not c.arithmetic and not c.message for c in commands)


def _bound(arithmetic: int, memory: int, transfers: int) -> str:
    """What a layer waits for: the engine that works longer, or that its transfers start."""
    if arithmetic >= memory:
        return "arithmetic"
    return "launch" if 2 * transfers * LAUNCH_CYCLES >= memory else "memory"


def _rounded(milliseconds: float) -> float:
    return round(milliseconds, 6)
