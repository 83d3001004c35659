"""Which steps would run now, and why: every step of a graph looked at, from its inputs on. Runs nothing.

Where a step would run, what it will give is not known. The steps after it run unless it gives what it gave
before; those whose other inputs changed run anyway.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from bmzoo.errors import BmzooError
from bmzoo.execute.builder import Builder, Ready
from bmzoo.execute.history import Last, record
from bmzoo.explain.changes import changes
from bmzoo.plan.step import Step
from bmzoo.store.local import Entry, Store
from bmzoo.system.hashing import sha256


class State(Enum):
    """What a run would do about a step."""

    THERE = "is there"
    TAKEN = "taken from the checkout"  # a committed table that was made from these inputs
    UNUSED = "not needed"  # a deferred step that no step which would run reads
    RUNS = "would run"
    MAY_RUN = "may run"
    FAILS = "cannot run"


NOT_MADE = "not made yet"
OPEN = (State.RUNS, State.MAY_RUN)


@dataclass(frozen=True)
class Finding:
    """One step's state, the reasons, and its result where that is known."""

    step: Step
    state: State
    why: tuple[str, ...] = ()
    entry: Entry | None = None
    certain: bool = False  # it runs whatever the steps before it give: its inputs are known


class Explanation:
    """Findings about one model's steps, each looked at once."""

    def __init__(self, builder: Builder, store: Store, last: Last) -> None:
        """`store` should not take looking for using, see Store."""
        self._builder = builder
        self._store = store
        self._last = last
        self._found: dict[Step, Finding] = {}

    def of(self, goals: Iterable[Step]) -> list[Finding]:
        """Findings on all steps that the goals come to, each after those that it needs."""
        order = closure(goals)
        for step in order:
            self._look(step)
        found = {step: self._found[step] for step in order}
        for step in reversed(order):  # readers come after what they read
            if step.deferred and found[step].state in OPEN:
                found[step] = _wanted(found[step], [f for f in found.values() if step in f.step.needs()])
        return list(found.values())

    def _look(self, step: Step) -> Finding:
        if step not in self._found:
            self._found[step] = self._examine(step, [self._look(ground) for ground in step.grounds()])
        return self._found[step]

    def _examine(self, step: Step, grounds: list[Finding]) -> Finding:
        stuck = [ground.step for ground in grounds if ground.state is State.FAILS]
        if stuck:
            return Finding(step, State.FAILS, (f"it needs {stuck[0]}, which cannot run",))
        given = {ground.step: ground.entry or _unknown(ground.step) for ground in grounds}
        try:
            ready = self._builder.resolve(step, given)
        except BmzooError as error:
            return Finding(step, State.FAILS, tuple(error.render().splitlines()))
        waits = [ground for ground in grounds if ground.state in OPEN]
        if waits:
            return self._after(step, ready, waits)
        entry = self._store.lookup(ready.fingerprint)
        if entry is not None:
            return Finding(step, State.THERE, (), entry)
        runs = Finding(step, State.RUNS, self._reasons(step, ready), None, certain=True)
        return self._elsewhere(step, ready) or runs

    def _after(self, step: Step, ready: Ready, waits: list[Finding]) -> Finding:
        """A step after some that would run: its own changes, or only theirs."""
        last = self._last.read(step)
        if last is None:
            return Finding(step, State.RUNS, (NOT_MADE,))
        own = changes(last, record(ready))
        would = State.RUNS.value if any(ground.state is State.RUNS for ground in waits) else State.MAY_RUN.value
        upstream = f"depends on {' and '.join(str(ground.step) for ground in waits)}, which {would}"
        if own:
            return Finding(step, State.RUNS, (*own, upstream))
        many = "those give the same results" if len(waits) > 1 else "that gives the same result"
        return Finding(step, State.MAY_RUN, (f"{upstream}; runs unless {many}",))

    def _elsewhere(self, step: Step, ready: Ready) -> Finding | None:
        with self._store.scratch() as folder:
            if not self._builder.elsewhere(step, ready.fingerprint, folder):
                return None
            files = {name: sha256(folder / name) for name in step.outputs}
        return Finding(step, State.TAKEN, (), Entry(ready.fingerprint, folder, files, {}))

    def _reasons(self, step: Step, ready: Ready) -> tuple[str, ...]:
        last = self._last.read(step)
        if last is None:
            return (NOT_MADE,)
        if last.fingerprint != ready.fingerprint:
            return changes(last, record(ready)) or ("it is made from something else than before",)
        place = self._store.folder(ready.fingerprint)
        shown = f"build/{place.relative_to(self._store.root)}"
        if place.is_dir():
            return (f"its result was damaged or changed behind bmzoo's back: {shown}",)
        return (f"its result is gone, removed by gc or by hand: {shown}",)


def closure(goals: Iterable[Step]) -> list[Step]:
    """The goals and everything that they need, deferred steps too, each step after those that it needs."""
    order: dict[Step, None] = {}

    def visit(step: Step) -> None:
        if step not in order:
            for needed in step.needs():
                visit(needed)
            order[step] = None

    for goal in goals:
        visit(goal)
    return list(order)


def _unknown(step: Step) -> Entry:
    """Stands for a result that is not known yet."""
    return Entry("", Path(), dict.fromkeys(step.outputs, ""), {})


def _wanted(finding: Finding, readers: list[Finding]) -> Finding:
    """A deferred step runs when one that reads it does."""
    for wish in OPEN:
        found = [reader for reader in readers if reader.state is wish]
        if found:
            state = finding.state if wish is State.RUNS else wish
            sure = finding.certain and any(reader.certain for reader in found)
            return replace(finding, state=state, certain=sure, why=(*finding.why, f"is read by {found[0].step}"))
    return replace(finding, state=State.UNUSED, why=())
