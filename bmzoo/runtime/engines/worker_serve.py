"""The engine's end of the pipes that worker.py holds: load once, then answer until they are closed."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Callable, Dict, NoReturn, Optional, Protocol, Sequence, Tuple

import numpy as np

from bmzoo.errors import BmzooError
from bmzoo.runtime.engines.simulate import die_with, write_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINE_BUFFERED = 1  # _IOLBF in stdio.h of Linux
Arrays = Dict[str, "NDArray[Any]"]


class ServedEngine(Protocol):
    """A network with its engine, as a worker sees it. Raises BmzooError or what the engine raises."""

    def describe(self) -> Dict[str, Any]:
        """What the session wants to know of the model, as JSON."""

    def run(self, feeds: Arrays, names: Optional[Sequence[str]]) -> Arrays:
        """The outputs, or the tensors of these names."""


def main(load: Callable[[Path], ServedEngine], argv: Optional[Sequence[str]] = None) -> NoReturn:
    """What a worker's module does when it is run: serve the engine that `load` makes, then end at once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--parent", type=int, required=True, help="process id whose end ends this process")
    args = parser.parse_args(argv)
    die_with(args.parent)
    requests, answers = _take_pipes()
    serve(lambda: load(args.model), requests, answers)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # taking a simulator down would cost 1 to 2 seconds


def serve(load: Callable[[], ServedEngine], requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer every request, a line of JSON, by another; the first answer describes the model."""

    def answer(work: Callable[[], Dict[str, Any]]) -> bool:
        try:
            said = work()
        except BmzooError as error:
            said = {"error": error.message, "hint": error.hint}
        except Exception as error:  # the engines' own classes have no common base
            said = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(said).encode() + b"\n")
        answers.flush()
        return "error" not in said

    engines = []

    def begin() -> Dict[str, Any]:
        engines.append(load())
        return engines[0].describe()

    if answer(begin):
        for line in requests:
            answer(lambda: _run(engines[0], json.loads(line)))  # noqa: B023  # called before the next line


def _run(engine: ServedEngine, request: Dict[str, Any]) -> Dict[str, Any]:
    with np.load(request["inputs"]) as arrays:
        feeds = {name: arrays[name] for name in arrays.files}
    write_arrays(Path(request["outputs"]), engine.run(feeds, request["names"]))
    return {}


def _take_pipes() -> Tuple[IO[bytes], IO[bytes]]:
    """stdin and stdout for the protocol alone: the engine reads nothing and prints to stderr, a log file."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    libc = ctypes.CDLL(None)  # by lines, or what the engine said last is lost when it aborts
    libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, LINE_BUFFERED, 0)
    return os.fdopen(requests, "rb"), os.fdopen(answers, "wb")
