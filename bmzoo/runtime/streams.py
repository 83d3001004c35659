"""Standard output and error of a command line that may go away: a closed pipe (`| head`), a full disk."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any, Callable, Iterable, List, TextIO

CLOSED = 141  # what a shell shows of a program that a closed pipe has ended: 128 + SIGPIPE
_ends: List[int] = []  # exit statuses that outlets gave the process, the first counts


class Outlet:
    """A stream whose failure ends the run in a line, or without one where nobody reads any more.

    What is written afterwards, by other threads and at the interpreter's end, goes nowhere. stderr that cannot be
    written, other than for a closed pipe, ends nothing: there is nobody to tell, and the work counts.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name = stream, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Also a text with letters that the stream's encoding lacks: those are escaped."""
        encoding = self._stream.encoding or "ascii"
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:
            return self.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except OSError as error:
            self._given_up(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._given_up(error)

    def _given_up(self, error: OSError) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        if isinstance(error, BrokenPipeError):
            _end(CLOSED)
        elif self._name != "stderr":
            sys.stderr.write(f"error: {self._name}: cannot be written: {error.strerror}\n")
            _end(1)


def ended(run: Callable[[], int]) -> int:
    """The exit status of a command line, run with outlets around stdout and stderr."""
    for name in ("stdout", "stderr"):
        setattr(sys, name, Outlet(getattr(sys, name) or _nowhere(), name))
    try:
        status = _status(run)
        _status(
            _flushed
        )  # also after --help, which ends in SystemExit: at the interpreter's end nothing can be caught
    except KeyboardInterrupt:
        if not _ends:
            raise
        status = CLOSED
    return _ends[0] if _ends else status


def _status(run: Callable[[], int]) -> int:
    try:
        return run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


def _flushed() -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    return 0


def _end(status: int) -> None:
    _ends.append(status)
    if threading.current_thread() is threading.main_thread():
        raise SystemExit(status)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _nowhere() -> TextIO:
    """For a stream that was closed before the start: `>&-`."""
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # stays open as long as the process
