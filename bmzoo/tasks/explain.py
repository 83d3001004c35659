"""The doit tasks that account for results: `explain` says what would run and why, `reproduce` makes them again."""

import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial

from bmzoo.errors import BmzooError, ConfigError, nearest
from bmzoo.explain.goals import KINDS, Subtask, subtasks
from bmzoo.explain.text import Told, render
from bmzoo.explain.why import Explanation
from bmzoo.plan.step import Step
from bmzoo.store.local import Entry, Store
from bmzoo.target import Target
from bmzoo.tasks.guard import Task, group, guarded
from bmzoo.workspace import Workspace

# Tasks whose subtasks are targets: what is wrong with a target's name is explained part by part.
OF_TARGETS = ("build", "verify", "eval")


class ExplainTasks:
    """Yields doit's task dictionaries for one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace

    def explain(self) -> Iterator[Task]:
        """Say what would run and why, and run nothing: explain build:bm1684_int8_1b, explain 'verify:*'"""
        yield {
            "basename": "explain",
            "doc": self.explain.__doc__,
            "actions": [guarded(lambda names: sys.stdout.write(explain(self._at, names)))],
            "pos_arg": "names",
            "verbosity": 2,
        }

    def reproduce(self) -> Iterator[Task]:
        """Compile a target twice more in other places and compare the bytes."""
        yield group("reproduce", self.reproduce.__doc__)
        for model in self._at.models.values():
            for target in model.targets:
                name = target.qualified(self._at.default_model)
                yield {
                    "basename": "reproduce",
                    "name": name,
                    "doc": f"build/{target.artifact} made again, byte for byte",
                    "actions": [guarded(partial(self._reproduce, target, name))],
                    "task_dep": [f"build:{name}"],
                }

    def _reproduce(self, target: Target, name: str) -> None:
        from bmzoo.results import reproduce  # brings numpy, which listing tasks should not wait for

        self._at.report.say(f"reproduce:{name}: {reproduce.make(self._at, target)}")


def explain(at: Workspace, names: Sequence[str]) -> str:
    """What the tasks that names or patterns stand for (all builds when empty) would run. Raises BmzooError."""
    chosen = select(at, names or ["build:*"])
    store = Store(at.layout.build, stamping=False)  # to look is not to use
    explanations = {task.model.name: Explanation(at.builder(task.model), store, at.last) for task in chosen}
    return render([_told(at, task, explanations[task.model.name]) for task in chosen], at.remote is not None)


def select(at: Workspace, names: Sequence[str]) -> list[Subtask]:
    """Subtasks by name or pattern, in listing order; a target alone means its build. Raises ConfigError."""
    everything = subtasks(at)
    known = {task.name: task for task in everything}
    chosen: set[str] = set()
    for name in names:
        full = f"{name}:*" if name in KINDS else name if ":" in name else f"build:{name}"
        if any(sign in full for sign in "*?["):
            found = {task for task in known if fnmatchcase(task, full)}
            if not found:
                raise ConfigError(f"{name}: matches no task that can be explained", _kinds())
            chosen |= found
        elif full in known:
            chosen.add(full)
        else:
            raise _unknown(at, full, name, list(known))
    return [task for task in everything if task.name in chosen]


def _unknown(at: Workspace, full: str, name: str, known: Sequence[str]) -> BmzooError:
    kind, _, target = full.partition(":")
    if kind in OF_TARGETS and not target.endswith("onnx"):
        try:
            at.target(target)
        except BmzooError as error:
            return error
    guess = nearest(full, known)
    return ConfigError(f"{name}: no task that can be explained", f"did you mean {guess}?" if guess else _kinds())


def _kinds() -> str:
    return f"explained are {', '.join(KINDS)}; ./doit list --all shows every target"


def _told(at: Workspace, task: Subtask, explanation: Explanation) -> Told:
    try:
        goal = task.goal()
    except BmzooError as error:
        return Told(task.name, error=error)
    findings = explanation.of(goal.ends)
    entries: dict[Step, Entry] = {f.step: f.entry for f in findings if f.entry is not None}
    files = [
        (at.layout.shown(result.path), why)
        for result in goal.results
        if all(step in entries for step in result.needs)
        and (why := result.outdated({step: entries[step] for step in result.needs}))
    ]
    return Told(task.name, findings, files, goal.story(entries))
