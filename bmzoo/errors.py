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
import re
from typing import Iterable, Match, Type

# Neither a letter nor a line: control characters, overrides of the writing direction, halves of characters, and
# what Unicode promises never to assign at the end of its first plane.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


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
        lines = [self.message if self.message.strip() else f"{type(self).__name__} without a message"]
        lines += [f"hint: {self.hint}"] if self.hint else []
        lines += [f"evidence: {self.evidence}"] if self.evidence else []
        return legible("\n".join(lines))


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


def legible(text: str) -> str:
    """A text for terminals, XML and UTF-8 files: control characters and lone surrogates as `\\x1b`, lines kept.

    File names and what tools print hold any bytes; sent to a terminal they could move its cursor or colour it.
    """
    return _UNFIT.sub(_escaped, text.replace("\r\n", "\n"))


def _escaped(match: Match[str]) -> str:
    return (
        match[0].encode("ascii", "backslashreplace").decode("ascii")
        if ord(match[0]) > 127
        else repr(match[0])[1:-1]
    )


def nearest(word: str, allowed: Iterable[str]) -> str:
    """The allowed word most like `word`, or an empty string when none is near."""
    matches = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return matches[0] if matches else ""


def error_class(name: str) -> Type[BmzooError]:
    """The class of that name in the tree above; BmzooError for a name that is not in it."""
    found = {cls.__name__: cls for cls in BmzooError.__subclasses__()}
    return found.get(name, BmzooError)
