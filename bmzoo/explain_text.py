"""Findings as text for a terminal: one block for each task, then a line for all of them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bmzoo.errors import BmzooError
from bmzoo.explain import OPEN, Finding, State
from bmzoo.explain_changes import short
from bmzoo.step import Step


@dataclass(frozen=True)
class Told:
    """What is known about one task: its steps' findings, and (file, why) for what it would publish anew."""

    name: str
    findings: Sequence[Finding] = ()
    files: Sequence[tuple[str, str]] = ()
    error: BmzooError | None = None


def render(tasks: Sequence[Told]) -> str:
    """All of it. Reasons of a step that several tasks share are told at the first."""
    lines: list[str] = []
    seen: set[Step] = set()
    for told in tasks:
        lines += [*_block(told, seen), ""]
    return "\n".join([*lines, _total(tasks), ""])


def _block(told: Told, seen: set[Step]) -> list[str]:
    if told.error is not None:
        return [f"{told.name}: cannot run", *_indented(told.error.render().splitlines(), 4)]
    running = [finding for finding in told.findings if finding.state in OPEN]
    shown = [finding for finding in told.findings if finding.state not in (State.THERE, State.UNUSED)]
    if not shown and not told.files:
        return [f"{told.name}: nothing would run, all {_steps(len(told.findings))} are there"]
    lines = [f"{told.name}: {len(running)} of {_steps(len(told.findings))} would run"]
    width = max((len(str(finding.step)) for finding in shown), default=0)
    for finding in shown:
        again = ", see above" if finding.step in seen and finding.why else ""
        lines.append(f"  {finding.step!s:{width}}  {finding.state.value}{again}")
        if not again:
            lines += _indented(map(short, finding.why), 6)
        seen.add(finding.step)
    lines += [f"  {file}: {why}" for file, why in told.files]
    return lines


def _total(tasks: Sequence[Told]) -> str:
    steps = {finding.step: finding.state for told in tasks for finding in told.findings}
    states = list(steps.values())
    running = [state for state in states if state in OPEN]
    maybe, stuck = states.count(State.MAY_RUN), states.count(State.FAILS)
    broken = sum(told.error is not None for told in tasks)
    text = f"{len(running) or 'none'} of {_steps(len(states))} would run for {_many(len(tasks), 'task')}"
    if maybe:
        text += f", {maybe if maybe < len(running) else 'all'} of them only if what they read comes out differently"
    if stuck:
        text += f"; {_steps(stuck)} cannot run"
    return text + (f"; {_many(broken, 'task')} cannot be told" if broken else "")


def _steps(count: int) -> str:
    return _many(count, "step")


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _indented(lines: Iterable[str], by: int) -> list[str]:
    return [f"{' ' * by}{line}" for line in lines]
