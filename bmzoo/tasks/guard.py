"""Tasks as doit takes them: actions whose errors are for people, checks that never fail."""

import gc
from collections.abc import Callable
from typing import Any

from doit.exceptions import TaskFailed

from bmzoo.errors import BmzooError

Task = dict[str, Any]


def guarded(action: Callable[..., Any]) -> Callable[..., Any]:
    """A user's mistake or a failed tool becomes a failed task, without a traceback; a bug keeps its own."""

    def call(**values: Any) -> Any:  # noqa: ANN401
        if not gc.isenabled():  # see commandline.py; what is there by now stays
            gc.freeze()
            gc.enable()
        try:
            action(**values)
        except BmzooError as error:
            return TaskFailed(error.render())
        return None

    return call


def quietly(check: Callable[[], bool]) -> Callable[..., bool]:
    """An `uptodate` check: whatever is wrong is said by the action, which then runs."""

    def call(*_: Any) -> bool:
        try:
            return check()
        except BmzooError:
            return False

    return call
