"""Progress of a run on stderr: the running steps, their elapsed time, and how many tasks are left."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from bmzoo.errors import legible
from bmzoo.plan.step import Step


class Progress:
    """A line for each finished step; on a terminal also a live line for each running one."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out if out is not None else sys.stderr
        self._lock = threading.Lock()
        self._running: dict[Step, float] = {}
        self._said: set[str] = set()
        self._left = 0
        self._live: Any = None
        self._lines: dict[Step, Any] = {}

    def expect(self, tasks: int) -> None:
        """Set how many tasks the run has at most."""
        self._left = tasks

    def task_done(self) -> None:
        with self._lock:
            self._left = max(0, self._left - 1)

    def started(self, step: Step, progress: Path | None = None) -> None:
        """`progress`: the file in which the step reports its progress, if it does."""
        with self._lock:
            self._running[step] = time.monotonic()
            if self._out.isatty():
                self._lines[step] = self._bar().add_task(str(step), left=self._to_go(), progress=progress)
            else:
                self._write(f"{step} ...{self._to_go()}")

    def finished(self, step: Step, seconds: float, where: str = "") -> None:
        """`where`: the machine that ran it, if not this one."""
        self._end(step, f"{step}: {_duration(seconds)}{f' on {where}' if where else ''}")

    def failed(self, step: Step) -> None:
        with self._lock:
            start = self._running.get(step, time.monotonic())
        self._end(step, f"{step}: failed after {_duration(time.monotonic() - start)}")

    def warn(self, text: str) -> None:
        """Each text is printed once."""
        with self._lock:
            if text not in self._said:
                self._said.add(text)
                self._write(f"warning: {text}")

    def say(self, text: str) -> None:
        with self._lock:
            self._write(text)

    def close(self) -> None:
        """Remove the live lines from the terminal."""
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def _end(self, step: Step, text: str) -> None:
        with self._lock:
            self._running.pop(step, None)
            line = self._lines.pop(step, None)
            if line is not None and self._live is not None:
                self._live.remove_task(line)
            self._write(text)

    def _to_go(self) -> str:
        return f" ({self._left} tasks to go)" if self._left > 1 else ""

    def _write(self, text: str) -> None:
        text = legible(text)
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            self._out.write(f"{text}\n")
            self._out.flush()

    def _bar(self) -> Any:  # noqa: ANN401  # rich is imported only where there is a terminal to draw on
        if self._live is None:
            from rich.console import Console
            from rich.progress import Progress as Bar
            from rich.progress import ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
            from rich.text import Text

            class HowFar(ProgressColumn):
                max_refresh = 1.0  # seconds: a file is read

                def render(self, task: Task) -> Text:
                    return Text(how_far(task.fields["progress"]))

            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}{task.fields[left]}", markup=False),
                TimeElapsedColumn(),
                HowFar(),
            )
            self._live = Bar(*columns, console=Console(file=self._out), transient=True)
            self._live.start()
        return self._live


def how_far(progress: Path | None) -> str:
    """`12/16, about 40 s left` from the progress file of a step; empty without a readable one."""
    try:
        told = json.loads(progress.read_text(encoding="utf-8")) if progress is not None else {}
        done, number, left = int(told["done"]), int(told["of"]), float(told["seconds_left"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return f"{done}/{number}, about {_duration(round(left))} left".replace(".0 s", " s")


@contextmanager
def bar(text: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr, where that is a terminal; yields a callback that takes the number of bytes read."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(file=sys.stderr), transient=True) as shown:
        task = shown.add_task(text, total=total)
        yield lambda count: shown.advance(task, count)


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
