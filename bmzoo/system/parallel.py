"""One action on many items, a bounded number at a time."""

import threading
from collections.abc import Callable, Sequence
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def each(action: Callable[[T], object], things: Sequence[T], workers: int) -> None:
    """Call `action` on every item, `workers` at a time, started in order. Raises the first error.

    After an error nothing new is started, and running calls are waited for. The threads are daemons: on an
    interrupt, ThreadPoolExecutor would wait for running calls, which take minutes here.
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
