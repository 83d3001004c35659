"""What a config leaves for a person to say: values that begin with the mark TODO, as `./doit new` writes them."""

import re
from collections.abc import Iterator

from bmzoo.config.yamlfile import Document, Location, key_path
from bmzoo.errors import ConfigError

TODO_MARK = "TODO"
_TODO = re.compile(rf"{TODO_MARK}(?:[:\s]\s*(?P<what>.*))?", re.DOTALL)


def check_said(document: Document) -> None:
    """Refuse a config in which something is still to be said. Raises ConfigError, a line for each such key."""
    lines = [
        f"{document.where(place)}: {key_path(place)}still to be said: {what}"
        for place, what in _unsaid(document.value, ())
    ]
    if lines:
        raise ConfigError(
            "\n".join(lines), f"put the value in place of {TODO_MARK}; docs/config.md says what it may be"
        )


def _unsaid(value: object, place: Location) -> Iterator[tuple[Location, str]]:
    """Every part of a config that is marked, and what it says is missing."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _unsaid(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unsaid(inner, (*place, index))
    elif isinstance(value, str) and (match := _TODO.fullmatch(value)):
        yield place, match["what"] or "a value"
