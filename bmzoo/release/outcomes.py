"""Failures of a run by task, recorded by doit's reporter."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Problem:
    """Why a task did not succeed. `own`: it failed itself; else it was skipped because `task` failed."""

    task: str
    cause: str  # one line
    evidence: str | None  # path of a log, figures or a folder, if the failure left any
    own: bool


@dataclass
class Outcomes:
    """Failures of one run, by task name."""

    _failed: dict[str, tuple[str, str]] = field(default_factory=dict)
    _left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def failed(self, task: str, text: str, evidence: str = "") -> None:
        """Record a failure. `text`: the message as shown, the cause first. `evidence`: see BmzooError."""
        self._failed[task] = text, evidence

    def left_out(self, task: str, needed: Sequence[str]) -> None:
        """Record a skipped task: one of those it needs failed or was skipped."""
        self._left_out[task] = tuple(needed)

    def problem(self, task: str) -> Problem | None:
        """Why the task did not succeed, traced back to the task that failed first; None if it is not known to."""
        if task in self._failed:
            text, evidence = self._failed[task]
            return Problem(task, _cause(text), evidence or None, own=True)
        for needed in self._left_out.get(task, ()):
            first = self.problem(needed)
            if first is not None:
                return Problem(first.task, first.cause, first.evidence, own=False)
        return None


def _cause(text: str) -> str:
    """The line with the cause: the last one of a traceback, else the first."""
    lines = [line for line in text.splitlines() if line.strip()] or ["failed without a word"]
    return lines[-1].strip() if any(line.startswith("Traceback (") for line in lines) else lines[0].strip()
