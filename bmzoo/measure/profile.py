"""The compiler's own profile of a bmodel: every command of both engines with its cycles. Pure, and strict.

The backends of bm1684x and later write `compiler_profile_<core>.txt` while they generate code: two columns, of the
arithmetic engine (BD) and of the one that moves memory (GDMA), in the order in which their cost model runs them. A
form that is not known is an error, never a shorter list. Read off files of TPU-MLIR 1.30.2.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bmzoo.measure.replay import EngineCommand

RULE = re.compile(r"-{20,}|#{20,}")
TITLE = re.compile(r"ENGINE_BD\s+ENGINE_GDMA")
LEGEND = re.compile(r"s: start time,.*")
COMMAND = re.compile(
    r"(?P<layer>[^\s|]*)\|(?P<op>[A-Za-z][A-Za-z0-9_]*)\|s:(?P<start>\d+)\|b:(?P<bd>\d+)\|g:(?P<gdma>\d+)\|e:-?\d+\|t:(?P<cycles>\d+)"
    r"(?:\|dr:\d\|sz:(?P<bytes>\d+)\|bw:(?:[\d.]+|inf|-?nan))?"
)
LAST_CYCLE = re.compile(r"API_END total_cycle:(\d+)\|b:\d+\|g:\d+")
ENGINE_CYCLES = re.compile(r"TCYC : (\d+)\.?(?: \(bdc_cycle:(\d+), gdma_cycle:(\d+)\))?")
SUMMARY = re.compile(r"(GDMA SUMMARY|DDR DATASIZE|DDR BW USAGE) ?.*")
RUNTIME = re.compile(r"flops: (\d+), runtime: ([\d.]+)ms, .*")
# Where a line of MLIR says what it is: `... loc(#loc5)`, and `#loc5 = loc("conv")`.
PLACE = re.compile(r"loc\((#loc\d*)\)\s*$")
# How a part of the network runs: TPU_STATIC, TPU_DYNAMIC, CPU and what steers between parts.
MODE = re.compile(r"#tpu<run_mode (\w+)>")
NAME = re.compile(r'^(#loc\d*) = loc\("((?:[^"\\]|\\.)*)"')


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
        message = _message(match["op"])
        start, cycles = int(match["start"]), int(match["cycles"])
        size = 0 if message else int(match["bytes"] or 0)  # a message has that of the transfer before it
        ids = int(match["bd"]), int(match["gdma"])
        own, other = ids[::-1] if moved else ids
        yield EngineCommand(match["layer"], not moved, start, cycles, size, own, other, message)


def _message(operation: str) -> Literal["", "send", "wait"]:
    """Whether it is said that a core has come to where cores meet, or waited for."""
    if operation.endswith("_SEND_MSG"):
        return "send"
    return "wait" if operation.endswith("_WAIT_MSG") else ""


def layer_names(mlir: str) -> dict[int, str]:
    """Line of the final MLIR -> name of what it computes, where it has one."""
    lines = mlir.splitlines()
    names = {m[1]: m[2] for line in lines if (m := NAME.match(line))}
    places = ((number, m[1]) for number, line in enumerate(lines, 1) if (m := PLACE.search(line)))
    return {number: names[place] for number, place in places if place in names}


def run_modes(mlir: str) -> tuple[str, ...]:
    """How the parts of a network run, in the final MLIR's words, each once."""
    return tuple(sorted(set(MODE.findall(mlir))))
