"""Runs the schedule of a profile anew, with slower engines. Pure.

The two engines of a core take their commands in order, and a command waits for one of the other engine's; where
cores meet, every engine says so and waits until all have. So the time of a run follows from the commands alone:
with the compiler's own cycles a core comes to the compiler's own total, which knows no waiting for other cores.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class EngineCommand:
    """One command. `layer`: operation and line of the final MLIR, `Conv2D_21`. `bytes`: moved, 0 for arithmetic.

    `start`: the cycle at which the cost model starts it, from the start of the run. `number` counts the commands of
    its own engine, `after` is that of the other engine's that it waits for; 0 is before the first. `message`: where
    cores meet.
    """

    layer: str
    arithmetic: bool
    start: int
    cycles: int
    bytes: int
    number: int
    after: int
    message: Literal["", "send", "wait"] = ""

    @property
    def end(self) -> int:
        return self.start + self.cycles


@dataclass(frozen=True)
class Stretch:
    """How many times as long arithmetic takes as told, and how many cycles more every byte."""

    arithmetic: float = 1.0
    more: float = 0.0


TOLD = Stretch()


@dataclass
class _Core:
    """A core on its way: when its engines are free, when their commands ended and what they said."""

    commands: Sequence[EngineCommand]
    at: int = 0
    free: list[float] = field(default_factory=lambda: [0.0, 0.0])  # of memory, of arithmetic
    ends: tuple[dict[int, float], dict[int, float]] = field(default_factory=lambda: ({}, {}))
    sent: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    waited: list[int] = field(default_factory=lambda: [0, 0])
    starts: list[float] = field(default_factory=list)

    def go(self, cores: Sequence["_Core"], stretch: Stretch) -> None:
        """On to the end, or to where another core has to come first."""
        while self.at < len(self.commands):
            command = self.commands[self.at]
            own = int(command.arithmetic)
            start = max(self.free[own], self.ends[1 - own].get(command.after, 0.0))
            if command.message == "wait":
                said = [
                    sent[self.waited[own]] for core in cores for sent in core.sent if len(sent) > self.waited[own]
                ]
                if len(said) < 2 * len(cores):
                    return
                start = max(start, *said)
                self.waited[own] += 1
            self._take(command, own, start, stretch)

    def _take(self, command: EngineCommand, own: int, start: float, stretch: Stretch) -> None:
        end = start + command.cycles * (stretch.arithmetic if own else 1.0) + command.bytes * stretch.more
        if command.message == "send":
            self.sent[own].append(end)
        self.free[own] = self.ends[own][command.number] = end
        self.starts.append(start)
        self.at += 1


def replayed(cores: Iterable[Sequence[EngineCommand]], stretch: Stretch = TOLD) -> float:
    """Cycles to the end of the last core. Raises ValueError for cores that wait for each other for ever."""
    return max(max(core.free) for core in _run(cores, stretch))


def starts(cores: Iterable[Sequence[EngineCommand]]) -> list[list[float]]:
    """The cycle at which each command starts, of all cores on one clock. Raises ValueError."""
    return [core.starts for core in _run(cores, TOLD)]


def _run(cores: Iterable[Sequence[EngineCommand]], stretch: Stretch) -> list[_Core]:
    running = [_Core(commands) for commands in cores]
    left = sum(len(core.commands) for core in running)
    while left:
        for core in running:
            core.go(running, stretch)
        before, left = left, sum(len(core.commands) - core.at for core in running)
        if left == before:
            raise ValueError("cores wait for each other for ever")
    return running


def joins(commands: Sequence[EngineCommand]) -> int:
    """How often a core meets the others."""
    return sum(command.message == "wait" and command.arithmetic for command in commands)


def both_at_work(commands: Sequence[EngineCommand]) -> int:
    """Cycles in which both engines of a core work, by the starts of its commands."""
    arithmetic = [c for c in commands if c.arithmetic and c.cycles]
    memory = [c for c in commands if not c.arithmetic and c.cycles]
    total = at = 0
    for command in arithmetic:
        while at < len(memory) and memory[at].end <= command.start:
            at += 1
        ahead = at
        while ahead < len(memory) and memory[ahead].start < command.end:
            total += min(memory[ahead].end, command.end) - max(memory[ahead].start, command.start)
            ahead += 1
    return total
