"""The same action on several things, some at a time."""

import threading
from collections.abc import Callable, Sequence
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def each(action: Callable[[T], object], things: Sequence[T], workers: int) -> None:
    """Call `action` with every thing, `workers` at a time, in order of start. Raises the first error of theirs.

    After an error nothing new is started, and what is running ends first. The threads do not outlive the process:
    a pool of Python's own would have an interrupted run wait for what is running, which takes minutes here.
    """
    waiting = iter(things)
    taking = threading.Lock()
    stop = threading.Event()
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def work() -> None:
        error: BaseException | None = None
        try:
            while not stop.is_set():
                with taking:
                    taken = list(islice(waiting, 1))
                if not taken:
                    break
                action(taken[0])
        except BaseException as raised:
            stop.set()
            error = raised
        ended.put(error)

    for _ in range(workers):
        threading.Thread(target=work, daemon=True).start()
    try:
        errors = [error for error in (ended.get() for _ in range(workers)) if error is not None]
    finally:
        stop.set()
    if errors:
        raise errors[0]
