"""Errors for people: where, what was written, what is allowed, then a `hint:` line.

BmzooError                  everything a user can cause or meet; rendered without a traceback
+-- ConfigError             a YAML file, a target name or a command-line value
+-- SourceError             a model, checkpoint, image or table from outside: missing, damaged, not as pinned
+-- ToolFailed              a compiler step crashed, was killed, timed out or wrote nothing
+-- StoreError              results could not be written or read back
+-- SessionError            an inference engine refused a model or an input
+-- VerifyFailed            an artifact disagrees with the model that it came from

This module imports nothing from the package and runs on Python 3.8: the board's runtime uses it too.
"""

import difflib
from typing import Iterable, Type


class BmzooError(Exception):
    """A failure that is explained in one line, with an optional hint on what to do next.

    `evidence`: the path of what it left to look at, as people see it; empty where there is nothing.
    """

    def __init__(self, message: str, hint: str = "", evidence: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.evidence = evidence

    def __reduce__(self):  # type: ignore[no-untyped-def]  # keeps all of it when an error crosses a process
        return type(self), (self.message, self.hint, self.evidence)

    def render(self) -> str:
        """The text shown to a person: the message, then hint and evidence on lines of their own."""
        lines = [self.message]
        lines += [f"hint: {self.hint}"] if self.hint else []
        lines += [f"evidence: {self.evidence}"] if self.evidence else []
        return "\n".join(lines)


class ConfigError(BmzooError):
    pass


class SourceError(BmzooError):
    pass


class ToolFailed(BmzooError):
    pass


class StoreError(BmzooError):
    pass


class SessionError(BmzooError):
    pass


class VerifyFailed(BmzooError):
    pass


def nearest(word: str, allowed: Iterable[str]) -> str:
    """The allowed word most like `word`, or an empty string when none is near."""
    matches = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return matches[0] if matches else ""


def error_class(name: str) -> Type[BmzooError]:
    """The class of that name in the tree above; BmzooError for a name that is not in it."""
    found = {cls.__name__: cls for cls in BmzooError.__subclasses__()}
    return found.get(name, BmzooError)
