"""Estimates the remaining time of a run of many similar pieces, and when to stop starting new ones."""

import threading
from collections.abc import Callable

# A piece that took less (s) was a cache hit, and says nothing about the duration of the others.
FOUND = 1.0


class Pace:
    """Progress of a run. Safe for threads; `limit` and `clock` in seconds.

    The weight of a piece is its expected duration relative to other pieces.
    """

    def __init__(self, limit: float, workers: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._start = clock()
        self._limit = limit
        self._workers = workers
        self._took: list[tuple[float, float]] = []  # seconds and weight of the pieces that were not cache hits
        self._done = self._of = 0
        self._left = 0.0  # weight
        self._lock = threading.Lock()

    def expect(self, pieces: int, weight: float = 1.0) -> None:
        """Announce further pieces of that weight each."""
        with self._lock:
            self._of += pieces
            self._left += pieces * weight

    def over(self, weight: float = 1.0) -> bool:
        """Whether another piece, at the rate of the slowest so far, would end after the time limit."""
        with self._lock:
            slowest = max((seconds / each for seconds, each in self._took), default=0.0)
            return self._clock() - self._start + slowest * weight > self._limit

    def finish(self, seconds: float, weight: float = 1.0) -> str:
        """Count a finished piece. Returns the progress: `5/16, about 4 min left`."""
        with self._lock:
            self._done += 1
            self._left -= weight
            if seconds > FOUND:
                self._took.append((seconds, weight))
            whole = sum(each for _, each in self._took)
            rate = sum(seconds for seconds, _ in self._took) / whole if whole else 0.0
            count = f"{self._done}/{max(self._of, self._done)}"
            return f"{count}{_about(rate * max(self._left, 0.0) / self._workers)}"


def _about(seconds: float) -> str:
    if seconds < 1:
        return ""
    return f", about {seconds:.0f} s left" if seconds < 100 else f", about {seconds / 60:.0f} min left"
