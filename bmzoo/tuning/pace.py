"""How long a run of many like pieces takes, and when nothing new is to be started."""

import threading
from collections.abc import Callable

# Taken from the store: says nothing about how long the others take (s).
FOUND = 1.0


class Pace:
    """Counts pieces as they finish. Safe for threads; `clock` gives seconds.

    A piece has a weight: how long it takes compared with others.
    """

    def __init__(self, limit: float, workers: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._start = clock()
        self._limit = limit
        self._workers = workers
        self._took: list[tuple[float, float]] = []  # seconds and weight of those that were not found
        self._done = self._of = 0
        self._left = 0.0  # weight
        self._lock = threading.Lock()

    def expect(self, pieces: int, weight: float = 1.0) -> None:
        """So many more to come, of that weight each."""
        with self._lock:
            self._of += pieces
            self._left += pieces * weight

    def over(self, weight: float = 1.0) -> bool:
        """Whether a further piece, if it is as slow as the slowest so far, would end after the limit."""
        with self._lock:
            slowest = max((seconds / each for seconds, each in self._took), default=0.0)
            return self._clock() - self._start + slowest * weight > self._limit

    def finish(self, seconds: float, weight: float = 1.0) -> str:
        """One piece less. Returns `5/16, about 4 min left`."""
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
