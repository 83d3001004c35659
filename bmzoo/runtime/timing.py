"""How long the stages of a run take, per image."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List

import numpy as np


@dataclass(frozen=True)
class Stage:
    """Milliseconds per image of one stage, over `images` images."""

    name: str
    images: int
    mean: float
    median: float
    p95: float


class StageTimes:
    """Collects times; a batch counts as its images, each with an equal share."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._milliseconds: Dict[str, List[float]] = {}

    @contextmanager
    def stage(self, name: str, images: int = 1) -> Iterator[None]:
        """Time what runs inside; nothing is recorded when that raises."""
        start = self._clock()
        yield
        share = (self._clock() - start) * 1000 / images
        self._milliseconds.setdefault(name, []).extend([share] * images)

    def stages(self) -> List[Stage]:
        """In the order in which they were first met."""
        return [
            Stage(
                name,
                len(values),
                float(np.mean(values)),
                float(np.median(values)),
                float(np.quantile(values, 0.95)),
            )
            for name, values in self._milliseconds.items()
        ]

    def table(self) -> str:
        """Lines for people; empty when nothing was timed."""
        rows = self.stages()
        if not rows:
            return ""
        lines = [f"{'ms per image':<12} {'mean':>9} {'median':>9} {'p95':>9}"]
        lines += [f"{row.name:<12} {row.mean:9.2f} {row.median:9.2f} {row.p95:9.2f}" for row in rows]
        return "\n".join(lines) + "\n"
