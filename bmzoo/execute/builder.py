"""Steps to results: from the checkout or the store where they are there, else made and published.

Steps are chained by the digests of what earlier ones produced, so an identical intermediate result stops
a rebuild. A kill at any moment loses only the step that was running.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bmzoo.errors import BmzooError, ConfigError
from bmzoo.execute import decisions
from bmzoo.execute.decisions import Committed, Standing
from bmzoo.execute.layout import Layout
from bmzoo.execute.resolve import Resolved, Resolver
from bmzoo.execute.run import Made, Runner, RunReport
from bmzoo.execute.toolchain import Toolchain
from bmzoo.plan.decisions import command_for
from bmzoo.plan.fingerprint import fingerprint
from bmzoo.plan.step import Output, Step
from bmzoo.sources.lookup import Sources
from bmzoo.store.local import Entry, Store
from bmzoo.system import files
from bmzoo.system.hashing import Digests
from bmzoo.system.partial import PROGRESS


class Executor(Protocol):
    """Makes results on other machines. Safe for threads."""

    def make(self, step: Step, resolved: Resolved, needed: Mapping[str, Entry], folder: Path) -> Made:
        """`needed`: the inputs that are results, by name. Raises BmzooError; `folder` then holds the evidence."""


@dataclass(eq=False)
class Builder:
    """Steps to entries of the store, for one toolchain, store and set of sources. Safe for threads.

    `executor`: where steps run, if not here. `on_result`: a callback for each result that a run built or reused.
    `locked`: a decision that is not committed, or is stale, is an error. `given`: results taken as they are.
    `decided_with`: the release whose committed decisions count; empty for the toolchain's own.
    """

    toolchain: Toolchain
    store: Store
    sources: Sources
    digests: Digests
    layout: Layout
    report: RunReport
    executor: Executor | None = None
    on_result: Callable[[Step, Resolved], None] = lambda step, resolved: None
    locked: bool = False
    decided_with: str = ""
    given: Callable[[Step], Entry | None] = lambda step: None
    resolver: Resolver = field(init=False)
    _runner: Runner = field(init=False)
    _done: dict[Step, Entry] = field(init=False, default_factory=dict)
    _reused: set[Step] = field(init=False, default_factory=set)  # found by fingerprint, and not yet told of
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.resolver = Resolver(self.toolchain, self.sources, self.digests)
        self._runner = Runner(self.toolchain, self.store, self.layout, self.report)

    def find(self, step: Step) -> Entry | None:
        """The step's result if it is already there for the inputs as they are now; runs nothing."""
        with self._lock:
            known = self._done.get(step)
        if known is not None and self.store.use(known):
            return known
        grounds: dict[Step, Entry] = {}
        for ground in step.grounds:
            found = self.find(ground)
            if found is None:
                return None
            grounds[ground] = found
        if step.decision is not None:
            entry = self._find_decision(step, grounds)
            return self._keep(step, entry) if entry is not None else None
        resolved = self.resolver.resolve(step, grounds, again=False)
        entry = self.store.lookup(resolved.fingerprint)
        if entry is not None:
            self._reused.add(step)
        return self._keep(step, entry) if entry is not None else None

    def run(self, step: Step) -> Entry:
        """The step's result, made now if need be. Raises BmzooError; what failed is kept as evidence."""
        for ground in step.grounds:
            self.run(ground)
        entry = self.find(step) or self._taken(step)
        if entry is not None:
            self._tell(step)
            return entry
        if step.decision is not None and self.locked:
            raise self.locked_out(step)
        results = {needed: self.run(needed) for needed in (*step.grounds, *step.needs)}
        resolved = self.resolver.resolve(step, results)
        with self.store.working_on(resolved.fingerprint):
            known = self.store.lookup(resolved.fingerprint) or self.store.fetch(resolved.fingerprint)
            entry = known or self._make(step, resolved, results)
        if known is None:
            self.store.push(entry)  # after the lock: nobody here waits for it
        self.on_result(step, resolved)
        return self._keep(step, entry)

    def material(self, step: Step) -> Mapping[str, object]:
        """What the fingerprint of a step is of, whose result is there. Raises BmzooError."""
        results = {ground: self.run(ground) for ground in step.grounds}
        return self.resolver.facts(step, results) or self.resolver.resolve(step, results).material

    def inputs(self, step: Step) -> Mapping[str, Path]:
        """The files that a step reads, by name in its folder. Raises BmzooError."""
        resolved = self.resolver.resolve(
            step, {needed: self.run(needed) for needed in (*step.needs, *step.grounds)}
        )
        return {name: path for name, (path, _) in resolved.files.items()}

    def facts(self, step: Step) -> dict[str, str]:
        """What a decision is derived from now; what it rests on must be there. Raises BmzooError."""
        return self.resolver.facts(step, {ground: self.run(ground) for ground in step.grounds})

    def committed(self, step: Step) -> Committed:
        """What the committed file of a decision is worth; `facts` says what that rests on. Raises BmzooError."""
        return self._read_committed(step, self.facts(step))

    def _read_committed(self, step: Step, facts: Mapping[str, str]) -> Committed:
        other = {"toolchain": self.decided_with} if self.decided_with and "toolchain" in facts else {}
        return decisions.read_committed(self.layout.decision(step), {**facts, **other})

    def commit(self, step: Step, entry: Entry) -> Entry:
        """Put a decision that was derived into the checkout, from where it is taken from now on."""
        facts, content = self.facts(step), entry.path(step.outputs[0]).read_text(encoding="utf-8")
        files.write(decisions.text_of(facts, content), self.layout.decision(step))
        return self._keep(step, self._stored(step, facts, content))

    def derived(self, step: Step) -> Entry | None:
        """A decision as it was derived here, with all that was written beside it; None where it was not."""
        return self.store.lookup(fingerprint(self.facts(step)))

    def found(self) -> frozenset[str]:
        """Fingerprints of all results that were asked for and found."""
        with self._lock:
            return frozenset(entry.fingerprint for entry in self._done.values())

    def _find_decision(self, step: Step, grounds: Mapping[Step, Entry]) -> Entry | None:
        """The committed decision where it is current, else one that was derived here before."""
        facts = self.resolver.facts(step, grounds, again=False)
        committed = self._read_committed(step, facts)
        if committed.standing is Standing.CURRENT:
            return self._stored(step, facts, committed.content)
        return None if self.locked else self.store.lookup(fingerprint(facts))

    def _stored(self, step: Step, facts: Mapping[str, str], content: str) -> Entry:
        """A committed decision as an entry, which holds its content: another may be derived from the same facts."""
        material = {**facts, "content": hashlib.sha256(content.encode()).hexdigest()}
        key = fingerprint(material)
        known = self.store.lookup(key)
        if known is not None:  # nearly always, and loading what locks takes longer than all else about a decision
            return known
        with self.store.working_on(key):
            entry = self.store.lookup(key)
            if entry is None:
                with self.store.scratch() as folder:
                    (folder / step.outputs[0]).write_text(content, encoding="utf-8")
                    told = {"step": str(step), "material": material}
                    entry = self.store.publish(key, folder, step.outputs[:1], told)
        return entry

    def locked_out(self, step: Step) -> ConfigError:
        """Why a decision that is not current may not be derived."""
        assert step.decision is not None, "only decisions are locked"
        path, committed = self.layout.decision(step), self.committed(step)
        task = command_for(step.decision.kind)
        return ConfigError(
            f"{self.layout.shown(path)}: {committed}, and locked=yes",
            f"./doit '{task}:*' weights={step.subject.weights} derives it again; commit what it writes",
        )

    def _taken(self, step: Step) -> Entry | None:
        entry = self.given(step)
        return self._keep(step, entry) if entry is not None else None

    def _keep(self, step: Step, entry: Entry) -> Entry:
        with self._lock:
            self._done[step] = entry
        return entry

    def _tell(self, step: Step) -> None:
        """Tell of a result that was found, once a run uses it: what only asks whether all is there tells nobody."""
        with self._lock:
            untold = step in self._reused
            self._reused.discard(step)
        if untold:
            self.on_result(
                step, self.resolver.resolve(step, {one: self.run(one) for one in step.grounds}, again=False)
            )

    def _make(self, step: Step, resolved: Resolved, results: Mapping[Step, Entry]) -> Entry:
        with self.store.scratch() as folder:
            self.report.started(step, folder / PROGRESS)
            try:
                made = self._dispatch(step, resolved, results, folder)
            except BmzooError as error:
                self.report.failed(step)
                self._runner.keep_evidence(step, folder, error)
                raise
            except BaseException:
                self.report.failed(step)
                raise
        self.report.finished(step, made.seconds, made.where)
        return made.entry

    def _dispatch(self, step: Step, resolved: Resolved, results: Mapping[Step, Entry], folder: Path) -> Made:
        """Make it here, or have it made."""
        if self.executor is None:
            return self._runner.run(step, resolved, folder)
        needed = {name: results[ref.step] for name, ref in step.inputs if isinstance(ref, Output)}
        made = self.executor.make(step, resolved, needed, folder)
        self._runner.keep_log(step, folder)
        return made
