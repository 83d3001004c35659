"""Parts of doit's dictionaries: actions and `uptodate` checks with errors handled, and options."""

import gc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from doit.exceptions import TaskFailed

from bmzoo.errors import BmzooError
from bmzoo.system.files import NO_ROOM, cannot_write

Task = dict[str, Any]


class Failed(TaskFailed):  # type: ignore[misc]  # doit has no types
    """doit's failure of a task, for people, with the evidence that the error names."""

    def __init__(self, error: BmzooError) -> None:
        super().__init__(error.render())
        self.evidence = error.evidence


def guarded(action: Callable[..., Any]) -> Callable[..., Any]:
    """An action whose BmzooError becomes doit's TaskFailed, without a traceback, and so does a full disk.

    Other exceptions propagate.
    """

    def call(**values: Any) -> Any:  # noqa: ANN401
        if not gc.isenabled():  # turned off in command_line.py; objects of the planning are exempt
            gc.freeze()
            gc.enable()
        try:
            action(**values)
        except BmzooError as error:
            return Failed(error)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            return Failed(cannot_write(Path(error.filename or "a file"), error))
        return None

    return call


def quietly(check: Callable[[], bool]) -> Callable[..., bool]:
    """An `uptodate` check that is false on BmzooError: the action then runs and reports the error."""

    def call(*_: Any) -> bool:
        try:
            return check()
        except BmzooError:
            return False

    return call


def params(options: Mapping[str, str]) -> list[dict[str, str]]:
    """doit's `params` for text options, each with its help; empty when not given."""
    return [{"name": name, "long": name, "default": "", "help": text} for name, text in options.items()]
