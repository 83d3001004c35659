"""Findings as text for a terminal: one block for each task, then a line for all of them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bmzoo.errors import BmzooError
from bmzoo.explain.why import OPEN, State, StepStatus
from bmzoo.plan.step import Step

_WIDTH = 110  # columns


@dataclass(frozen=True)
class TaskExplanation:
    """What is known about one task: its steps' findings, (file, why) for what it would publish anew, and a story:
    lines about what is there.
    """

    name: str
    findings: Sequence[StepStatus] = ()
    files: Sequence[tuple[str, str]] = ()
    story: Sequence[str] = ()
    error: BmzooError | None = None


def render(tasks: Sequence[TaskExplanation], shared: bool, what: str) -> str:
    """All of it. Reasons of a step that several tasks share are told at the first.

    shared: whether results may come from other checkouts in place of being made. what: "target" or "task", to
    count them by.
    """
    lines: list[str] = []
    seen: set[Step] = set()
    for told in tasks:
        lines += [*_block(told, seen), ""]
    also = "; what is in the shared store is taken from there" if shared else ""
    return "\n".join([*lines, _total(tasks, what) + also, ""])


def _block(told: TaskExplanation, seen: set[Step]) -> list[str]:
    if told.error is not None:
        return [f"{told.name}: cannot run", *_indented(told.error.render().splitlines(), 4)]
    running = [finding for finding in told.findings if finding.state in OPEN]
    shown = [finding for finding in told.findings if finding.state is not State.THERE]
    if not shown and not told.files:
        said = f"{told.name}: nothing would run, all {_steps(len(told.findings))} are there"
        return [said, *_indented(told.story, 2)]
    lines = [f"{told.name}: {len(running) or 'none'} of {_steps(len(told.findings))} would run"]
    width = max((len(str(finding.step)) for finding in shown), default=0)
    for finding in shown:
        why = ("see above",) if finding.step in seen and finding.why else finding.why
        lines += _with_reasons(f"  {finding.step!s:{width}}  {finding.state.value}", why)
        seen.add(finding.step)
    if told.files:
        lines += ["  not as it should be:", *(f"    {file}: {why}" for file, why in told.files)]
    return [*lines, *_indented(told.story, 2)]


def _with_reasons(text: str, why: Sequence[str]) -> list[str]:
    """A single reason that fits stands on the same line."""
    if len(why) == 1 and len(text) + len(why[0]) + 2 <= _WIDTH:
        return [f"{text}: {why[0]}"]
    return [text, *_indented(why, 6)]


def _total(tasks: Sequence[TaskExplanation], what: str) -> str:
    steps = {finding.step: finding.state for told in tasks for finding in told.findings}
    states = list(steps.values())
    running = [state for state in states if state in OPEN]
    maybe, stuck = states.count(State.MAY_RUN), states.count(State.FAILS)
    broken = sum(told.error is not None for told in tasks)
    text = f"{len(running) or 'none'} of {_steps(len(states))} would run for {_many(len(tasks), what)}"
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
