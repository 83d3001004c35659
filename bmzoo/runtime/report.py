"""What happens beside the results: warnings, inputs left out, times. On a terminal, how far a run has come."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Callable, List, Optional, TextIO, Tuple

from bmzoo.runtime.timing import StageTimes

if TYPE_CHECKING:
    from bmzoo.errors import BmzooError

# Seconds between two lines about progress where there is no terminal, and between two redraws where there is.
LINE_EVERY, DRAW_EVERY = 5.0, 0.1


class Report:
    """Collects and says nothing."""

    def __init__(self, times: Optional[StageTimes] = None) -> None:
        self.times = times or StageTimes()
        self.warnings: List[str] = []
        self.skipped: List[Tuple[str, str]] = []  # name and reason

    def warn(self, text: str) -> None:
        """Something is odd, but nothing was left out."""
        self.warnings.append(text)

    def skip(self, name: str, error: BmzooError) -> None:
        """An input was left out; the run goes on."""
        self.skipped.append((name, error.message))


class TerminalReport(Report):
    """Also writes to a stream, stderr by default: a line that is redrawn, or one every few seconds in a log.

    Made by hand rather than with a library, since the board has none.
    """

    def __init__(self, out: Optional[TextIO] = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._out, self._clock = out if out is not None else sys.stderr, clock
        self._live = self._out.isatty()
        self._start = self._last = clock()

    def warn(self, text: str) -> None:
        super().warn(text)
        self._say(f"warning: {text}")

    def skip(self, name: str, error: BmzooError) -> None:
        super().skip(name, error)
        self._say(f"warning: left out: {error.message}")

    def advance(self, done: int, total: int, name: str) -> None:
        """`done` of `total` are finished, `name` was the last."""
        now = self._clock()
        if now - self._last < (DRAW_EVERY if self._live else LINE_EVERY):
            return
        self._last = now
        rate = done / max(now - self._start, 1e-9)
        text = f"{done} of {max(done, total)}, {rate:.1f} images/s: {name}"
        self._out.write(f"\r\x1b[K{_bar(done, total)} {text[:60]}" if self._live else f"{text}\n")
        self._out.flush()

    def close(self) -> None:
        """Take the live line off the terminal."""
        if self._live:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def _say(self, text: str) -> None:
        self._out.write(f"\r\x1b[K{text}\n" if self._live else f"{text}\n")
        self._out.flush()


def _bar(done: int, total: int, width: int = 16) -> str:
    full = width * min(done, total) // max(total, 1)
    return f"[{'#' * full}{'-' * (width - full)}]"
