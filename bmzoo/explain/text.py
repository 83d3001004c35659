"""Renders explanations for the terminal: one block for each task, then a summary line. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bmzoo.errors import BmzooError
from bmzoo.explain.why import OPEN, State, StepStatus
from bmzoo.plan.step import Step

_WIDTH = 110  # columns


@dataclass(frozen=True)
class TaskExplanation:
    """The explanation of one task.

    `statuses`: the status of its steps. `files`: (file, why) for outdated published files. `story`: further lines
    about existing results. `error`: why the task cannot be planned.
    """

    name: str
    statuses: Sequence[StepStatus] = ()
    files: Sequence[tuple[str, str]] = ()
    story: Sequence[str] = ()
    error: BmzooError | None = None


def render(tasks: Sequence[TaskExplanation], shared: bool, what: str) -> str:
    """The whole text. The reasons of a step that several tasks share are given at the first of them.

    `shared`: whether results may be fetched from a shared store instead of being built. `what`: the noun to count
    tasks by, "target" or "task".
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
    running = [status for status in told.statuses if status.state in OPEN]
    shown = [status for status in told.statuses if status.state is not State.THERE]
    if not shown and not told.files:
        said = f"{told.name}: nothing would run, all {_steps(len(told.statuses))} are there"
        return [said, *_indented(told.story, 2)]
    lines = [f"{told.name}: {len(running) or 'none'} of {_steps(len(told.statuses))} would run"]
    width = max((len(str(status.step)) for status in shown), default=0)
    for status in shown:
        why = ("see above",) if status.step in seen and status.why else status.why
        lines += _with_reasons(f"  {status.step!s:{width}}  {status.state.value}", why)
        seen.add(status.step)
    if told.files:
        lines += ["  not as it should be:", *(f"    {file}: {why}" for file, why in told.files)]
    return [*lines, *_indented(told.story, 2)]


def _with_reasons(text: str, why: Sequence[str]) -> list[str]:
    """Text and reasons; a single reason goes on the same line if it fits."""
    if len(why) == 1 and len(text) + len(why[0]) + 2 <= _WIDTH:
        return [f"{text}: {why[0]}"]
    return [text, *_indented(why, 6)]


def _total(tasks: Sequence[TaskExplanation], what: str) -> str:
    steps = {status.step: status.state for told in tasks for status in told.statuses}
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
