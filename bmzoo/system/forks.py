"""Parts of one piece of work in processes that are copies of this one, and know what it has read."""

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from bmzoo.errors import ToolFailed

T = TypeVar("T")
R = TypeVar("R")
_KILLED = "a process of this run was killed"
_MEMORY = "often for want of memory: close other programs, or give it fewer processors (taskset -c 0 ./doit ...)"


def forked(action: Callable[[Sequence[T]], list[R]], things: Sequence[T], fewest: int) -> list[R]:
    """What `action` makes of all things, in their order: as many runs of them as there are processors.

    The first run stays in this process, the others get copies of it, which must have no threads. No run has fewer
    than `fewest` things. A copy outlives its parent by no more than its own run. Raises what `action` raises, and
    ToolFailed for a copy that was killed.
    """
    count = max(1, min(len(os.sched_getaffinity(0)), len(things) // fewest))
    bounds = [len(things) * i // count for i in range(count + 1)]
    own, *others = (things[start:end] for start, end in zip(bounds, bounds[1:], strict=False))
    copies: list[_Copy] = []
    try:
        for part in others:
            copies.append(_Copy.of(action, part))
        return [*action(own), *(made for copy in copies for made in copy.result())]
    finally:
        for copy in copies:
            copy.end()


@dataclass(frozen=True)
class _Copy:
    process: Any  # of the context that forks
    reader: Connection

    @classmethod
    def of(cls, action: Callable[[Sequence[T]], list[R]], part: Sequence[T]) -> "_Copy":
        context = get_context("fork")
        reader, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(action, part, reader, sender), daemon=True)
        process.start()
        sender.close()
        return cls(process, reader)

    def result(self) -> list[Any]:
        try:
            made, error = self.reader.recv()
        except EOFError:
            raise ToolFailed(_KILLED, _MEMORY) from None
        if error is not None:
            raise error
        return list(made)

    def end(self) -> None:
        self.reader.close()
        self.process.terminate()
        self.process.join()


def _work(
    action: Callable[[Sequence[T]], list[R]], part: Sequence[T], reader: Connection, sender: Connection
) -> None:
    """In the copy. An interrupt is the parent's to handle: it ends its copies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    reader.close()  # so that writing fails where the parent is gone
    try:
        told: tuple[list[R] | None, BaseException | None] = (action(part), None)
    except Exception as error:
        told = (None, error)
    with suppress(BrokenPipeError):  # nobody waits for it
        sender.send(told)
