"""The compiler's own profile of a bmodel: every command of both engines with its cycles. Pure, and strict.

The backends of bm1684x and later write `compiler_profile_<core>.txt` while they generate code: two columns, of the
arithmetic engine (BD) and of the one that moves memory (GDMA), in the order in which their cost model runs them. A
form that is not known is an error, never a shorter list. Read off files of TPU-MLIR 1.30.2.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RULE = re.compile(r"-{20,}|#{20,}")
TITLE = re.compile(r"ENGINE_BD\s+ENGINE_GDMA")
LEGEND = re.compile(r"s: start time,.*")
COMMAND = re.compile(
    r"(?P<layer>[^\s|]*)\|(?P<op>[A-Za-z][A-Za-z0-9_]*)\|s:(?P<start>\d+)\|b:\d+\|g:\d+\|e:-?\d+\|t:(?P<cycles>\d+)"
    r"(?:\|dr:\d\|sz:(?P<bytes>\d+)\|bw:[\d.]+)?"
)
LAST_CYCLE = re.compile(r"API_END total_cycle:(\d+)\|b:\d+\|g:\d+")
ENGINE_CYCLES = re.compile(r"TCYC : (\d+)\.?(?: \(bdc_cycle:(\d+), gdma_cycle:(\d+)\))?")
SUMMARY = re.compile(r"(GDMA SUMMARY|DDR DATASIZE|DDR BW USAGE) ?.*")
RUNTIME = re.compile(r"flops: (\d+), runtime: ([\d.]+)ms, .*")
# Where a line of MLIR says what it is: `... loc(#loc5)`, and `#loc5 = loc("conv")`.
PLACE = re.compile(r"loc\((#loc\d*)\)\s*$")
NAME = re.compile(r'^(#loc\d*) = loc\("((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class EngineCommand:
    """One command. `layer`: operation and line of the final MLIR, `Conv2D_21`. `bytes`: moved, 0 for arithmetic.

    `start`: the cycle at which the cost model starts it, from the start of the run.
    """

    layer: str
    arithmetic: bool
    start: int
    cycles: int
    bytes: int

    @property
    def end(self) -> int:
        return self.start + self.cycles


@dataclass(frozen=True)
class CoreProfile:
    """All commands of one core, its cycles in all, and the time that the compiler makes of them (ms)."""

    commands: tuple[EngineCommand, ...]
    cycles: int
    milliseconds: float
    flops: int


def parse_profile(text: str) -> CoreProfile:
    """Read the profile of a core. Raises ValueError naming the line that is not of the known form."""
    commands: list[EngineCommand] = []
    found: dict[str, re.Match[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or any(
            p.fullmatch(line.strip()) for p in (RULE, TITLE, LEGEND, SUMMARY, ENGINE_CYCLES)
        ):
            continue
        ends = {
            name: m for name, p in (("total", LAST_CYCLE), ("runtime", RUNTIME)) if (m := p.fullmatch(line.strip()))
        }
        if found.keys() & ends.keys():
            raise ValueError(f"line {number}: a second network in one profile")
        found |= ends
        commands += () if ends else _commands(line, number)
    missing = [name for name in ("total", "runtime") if name not in found]
    if missing or not commands:
        raise ValueError(f"cut short: no {' and no '.join(missing) or 'commands'}")
    milliseconds = float(found["runtime"][2])
    return CoreProfile(tuple(commands), int(found["total"][1]), milliseconds, int(found["runtime"][1]))


def _commands(line: str, number: int) -> Iterable[EngineCommand]:
    """The one or two commands of a line. Anything else in it is an error."""
    matches = list(COMMAND.finditer(line))
    if not matches or COMMAND.sub("", line).strip():
        raise ValueError(f"line {number} is not of commands: {line.strip()[:80]}")
    for match in matches:
        moved = "GDMA" in match["op"] or match["bytes"] is not None
        start, cycles = int(match["start"]), int(match["cycles"])
        yield EngineCommand(match["layer"], not moved, start, cycles, int(match["bytes"] or 0))


def layer_names(mlir: str) -> dict[int, str]:
    """Line of the final MLIR -> name of what it computes, where it has one."""
    lines = mlir.splitlines()
    names = {m[1]: m[2] for line in lines if (m := NAME.match(line))}
    places = ((number, m[1]) for number, line in enumerate(lines, 1) if (m := PLACE.search(line)))
    return {number: names[place] for number, place in places if place in names}


def profile_document(cores: Sequence[CoreProfile], names: Mapping[int, str]) -> dict[str, Any]:
    """What is kept of a profile, JSON-able: totals by core, each layer's time by engine, the costliest first, and a
    timeline.

    Times are ms of one run of the whole batch; `names`: see `layer_names`. In the timeline `layers` are names, and
    of each core there is a list of (0 for arithmetic or 1 for memory, index of the layer, start, end).
    """
    return {
        "known": True,
        "milliseconds": max(core.milliseconds for core in cores),
        "cores": [_core(core) for core in cores],
        "layers": sorted(_layers(cores, names), key=lambda row: (-row["milliseconds"], row["layer"])),
        "timeline": _timeline(cores, names),
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
    unit = core.milliseconds / max(core.cycles, 1)
    layer = indices.setdefault(_name(run[0].layer, names), len(indices))
    return [0 if run[0].arithmetic else 1, layer, _rounded(run[0].start * unit), _rounded(run[-1].end * unit)]


def _name(layer: str, names: Mapping[int, str]) -> str:
    line = layer.rpartition("_")[2]
    return names.get(int(line), layer) if line.isdigit() else layer


def _core(core: CoreProfile) -> dict[str, Any]:
    unit = core.milliseconds / max(core.cycles, 1)
    arithmetic = sum(c.cycles for c in core.commands if c.arithmetic)
    memory = sum(c.cycles for c in core.commands if not c.arithmetic)
    return {
        "cycles": core.cycles,
        "milliseconds": core.milliseconds,
        "arithmetic": _rounded(arithmetic * unit),
        "memory": _rounded(memory * unit),
        "idle": _rounded(max(0, core.cycles - max(arithmetic, memory)) * unit),
        "bytes": sum(c.bytes for c in core.commands),
        "commands": len(core.commands),
        "flops": core.flops,
    }


def _layers(cores: Sequence[CoreProfile], names: Mapping[int, str]) -> Iterable[dict[str, Any]]:
    for number, core in enumerate(cores):
        unit = core.milliseconds / max(core.cycles, 1)
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
    return {
        "layer": _name(layer, names),
        "operation": operation or layer,
        "milliseconds": _rounded(max(arithmetic, memory) * unit),
        "arithmetic": _rounded(arithmetic * unit),
        "memory": _rounded(memory * unit),
        "bytes": sum(c.bytes for c in commands),
        "commands": len(commands),
        "transfers": sum(not c.arithmetic for c in commands),
        "bound": "arithmetic" if arithmetic >= memory else "memory",
    }


def _rounded(milliseconds: float) -> float:
    return round(milliseconds, 6)
