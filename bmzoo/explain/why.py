"""Dirty analysis of a step graph: which steps would run now, and why. Runs nothing.

The result of a step that would run is unknown. Its dependents may run: they are skipped if it turns out unchanged
(early cutoff), unless another of their inputs changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bmzoo.errors import BmzooError
from bmzoo.execute import decisions
from bmzoo.execute.builder import Builder
from bmzoo.execute.history import Last, record
from bmzoo.execute.resolve import Resolved
from bmzoo.explain.changes import changes
from bmzoo.plan.step import Step
from bmzoo.store.local import Entry


class State(Enum):
    """What a run would do with a step."""

    THERE = "is there"
    RUNS = "would run"
    MAY_RUN = "may run"
    FAILS = "cannot run"


NOT_BUILT = "not made yet"
OPEN = (State.RUNS, State.MAY_RUN)


@dataclass(frozen=True)
class StepStatus:
    """The state of a step, the reasons for it, and the step's result if that is known."""

    step: Step
    state: State
    why: tuple[str, ...] = ()
    entry: Entry | None = None
    certain: bool = False  # all its inputs are known, so that it runs whatever earlier steps give


class Explainer:
    """Determines the status of one model's steps, each of them once."""

    def __init__(self, builder: Builder, last: Last) -> None:
        """The builder's store should not stamp entries on lookup (see Store): an explanation is not a use."""
        self._builder = builder
        self._store = builder.store
        self._last = last
        self._found: dict[Step, StepStatus] = {}

    def of(self, goals: Iterable[Step]) -> list[StepStatus]:
        """Status of the goals and all their dependencies, in topological order."""
        order: dict[Step, StepStatus] = {}
        for goal in goals:
            self._visit(goal, order)
        return list(order.values())

    def _visit(self, step: Step, order: dict[Step, StepStatus]) -> None:
        if step in order:
            return
        for ground in step.grounds:
            self._visit(ground, order)
        status = self._look(step)
        if step.decision is not None and status.state in OPEN:
            for needed in step.needs:  # dependencies of a decision matter only where it has to be derived
                self._visit(needed, order)
        order[step] = status

    def _look(self, step: Step) -> StepStatus:
        if step not in self._found:
            self._found[step] = self._examine(step, [self._look(ground) for ground in step.grounds])
        return self._found[step]

    def _examine(self, step: Step, grounds: list[StepStatus]) -> StepStatus:
        stuck = [ground.step for ground in grounds if ground.state is State.FAILS]
        if stuck:
            return StepStatus(step, State.FAILS, (f"it needs {stuck[0]}, which cannot run",))
        results = {ground.step: ground.entry or _unknown(ground.step) for ground in grounds}
        waits = [ground for ground in grounds if ground.state in OPEN]
        try:
            if step.decision is not None:
                return self._decision(step, results, waits)
            resolved = self._builder.resolver.resolve(step, results)
        except BmzooError as error:
            return StepStatus(step, State.FAILS, tuple(error.render().splitlines()))
        if waits:
            return self._after(step, resolved, waits)
        entry = self._store.lookup(resolved.fingerprint)
        if entry is not None:
            return StepStatus(step, State.THERE, (), entry)
        return StepStatus(step, State.RUNS, self._reasons(step, resolved), certain=True)

    def _decision(self, step: Step, results: Mapping[Step, Entry], waits: list[StepStatus]) -> StepStatus:
        """Status of a decision: available if committed and current, or derived before; else to be derived."""
        if waits:
            named = " and ".join(str(ground.step) for ground in waits)
            return StepStatus(
                step, State.MAY_RUN, (f"rests on {named}, which would run; runs unless it comes out as before",)
            )
        entry = self._builder.find(step)
        if entry is not None:
            return StepStatus(step, State.THERE, (), entry)
        layout = self._builder.layout
        committed = decisions.read_committed(layout.decision(step), self._builder.resolver.facts(step, results))
        why = f"{layout.shown(layout.decision(step))}: {committed}"
        return StepStatus(step, State.RUNS, (why,), certain=True)

    def _after(self, step: Step, resolved: Resolved, waits: list[StepStatus]) -> StepStatus:
        """Status of a dependent of steps that would run: it runs if it changed itself, else it may run."""
        last = self._last.read(step)
        if last is None:
            return StepStatus(step, State.RUNS, (NOT_BUILT,))
        own = changes(last, record(step, resolved))
        would = State.RUNS.value if any(ground.state is State.RUNS for ground in waits) else State.MAY_RUN.value
        upstream = f"depends on {' and '.join(str(ground.step) for ground in waits)}, which {would}"
        if own:
            return StepStatus(step, State.RUNS, (*own, upstream))
        many = "those give the same results" if len(waits) > 1 else "that gives the same result"
        return StepStatus(step, State.MAY_RUN, (f"{upstream}; runs unless {many}",))

    def _reasons(self, step: Step, resolved: Resolved) -> tuple[str, ...]:
        last = self._last.read(step)
        if last is None:
            return (NOT_BUILT,)
        if last.fingerprint != resolved.fingerprint:
            return changes(last, record(step, resolved)) or ("it is made from something else than before",)
        place = self._store.folder(resolved.fingerprint)
        shown = f"build/{place.relative_to(self._store.root)}"
        if place.is_dir():
            return (f"its result was damaged or changed behind bmzoo's back: {shown}",)
        return (f"its result is gone, removed by gc or by hand: {shown}",)


def _unknown(step: Step) -> Entry:
    """Placeholder for a result that is not known yet."""
    return Entry("", Path(), dict.fromkeys(step.outputs, ""), {})
