"""What `explain` does: say what would run, and why."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial

from bmzoo.config.model import Model
from bmzoo.errors import BmzooError, ConfigError, nearest
from bmzoo.explain.goals import Goal
from bmzoo.explain.text import TaskExplanation, render
from bmzoo.explain.why import Explainer
from bmzoo.plan.step import Step
from bmzoo.store.local import Entry, Store
from bmzoo.tasks.row import Context, Group, Kind
from bmzoo.tasks.variables import belongs_in_front
from bmzoo.workspace import Workspace


@dataclass(frozen=True)
class Subtask:
    """A subtask that can be explained. `goal` raises BmzooError where it is unknown, as without weights."""

    name: str
    kind: Kind
    model: Model
    goal: Callable[[], Goal]


def run_explain(context: Context, names: Sequence[str]) -> None:
    """Print `explain`. Raises BmzooError."""
    sys.stdout.write(explain(context, names))


def explain(context: Context, names: Sequence[str]) -> str:
    """What the tasks that names or patterns stand for (all builds when empty) would run. Raises BmzooError."""
    at, chosen = context.workspace, select(context, names or ["build:*"])
    store = Store(at.layout.build, stamping=False)  # this lookup does not count as use
    builders = {task.model.name: replace(at.builder(task.model), store=store) for task in chosen}
    explanations = {name: Explainer(builder, at.last) for name, builder in builders.items()}
    told = [_told(at, task, explanations[task.model.name]) for task in chosen]
    what = "target" if all(task.kind is Kind.TARGET for task in chosen) else "task"
    return render(told, at.remote is not None, what)


def subtasks(context: Context) -> Iterator[Subtask]:
    """Every subtask that can be explained, in the order of the table and the configs."""
    at = context.workspace
    for row in context.rows:
        if isinstance(row, Group) and row.goal is not None:
            for subject in row.by.subjects(at):
                if row.explained(subject.model, subject.of):
                    goal = partial(row.goal, at, subject.model, subject.of)
                    yield Subtask(f"{row.name}:{subject.name}", row.kind, subject.model, goal)


def _explained(context: Context) -> list[str]:
    """Names of the tasks whose subtasks can be explained."""
    return [row.name for row in context.rows if isinstance(row, Group) and row.goal is not None]


def select(context: Context, names: Sequence[str]) -> list[Subtask]:
    """Subtasks by name or pattern, in listing order; a target alone means its build. Raises ConfigError."""
    everything, groups = list(subtasks(context)), _explained(context)
    known = {task.name: task for task in everything}
    chosen: set[str] = set()
    for name in names:
        full = f"{name}:*" if name in groups else name if ":" in name else f"build:{name}"
        if any(sign in full for sign in "*?["):
            found = {task for task in known if fnmatchcase(task, full)}
            if not found:
                raise ConfigError(f"{name}: matches no task that can be explained", _explainable(groups))
            chosen |= found
        elif full in known:
            chosen.add(full)
        else:
            raise _unknown(context, full, name, list(known))
    return [task for task in everything if task.name in chosen]


def _unknown(context: Context, full: str, name: str, known: Sequence[str]) -> BmzooError:
    if hint := belongs_in_front(name):
        return ConfigError(f"{name}: no task that can be explained", hint)
    group, _, target = full.partition(":")
    if context.kind(group) and (broken := context.workspace.configs.broken_one(target)):
        return broken
    groups = _explained(context)
    if group in groups and context.kind(group) is Kind.TARGET and not target.endswith("onnx"):
        try:
            context.workspace.target(target)
        except BmzooError as error:
            return error
    guess = nearest(full, known)
    hint = f"did you mean {guess}?" if guess else _explainable(groups)
    return ConfigError(f"{name}: no task that can be explained", hint)


def _explainable(groups: Sequence[str]) -> str:
    return f"explained are {', '.join(groups)}; ./doit list --all shows every target"


def _told(at: Workspace, task: Subtask, explanation: Explainer) -> TaskExplanation:
    try:
        goal = task.goal()
    except BmzooError as error:
        return TaskExplanation(task.name, error=error)
    findings = explanation.of(goal.ends)
    entries: dict[Step, Entry] = {f.step: f.entry for f in findings if f.entry is not None}
    files = [
        (at.layout.shown(result.path), why)
        for result in goal.results
        if all(step in entries for step in result.needs)
        and (why := result.outdated({step: entries[step] for step in result.needs}))
    ]
    return TaskExplanation(task.name, findings, files, goal.story(entries))
