"""Names of classes and characters, from text files with one a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Tuple

from bmzoo.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

# The key of an ONNX file's metadata below which PaddleOCR's exports list their characters, one a line.
CHARACTERS = "character"


def read_names(path: Path) -> Tuple[str, ...]:
    """The lines of a file in UTF-8, without empty ones at its end; a space is a character, so no line is stripped.

    Raises SourceError for a file that cannot be read, is no text or names nothing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not text in UTF-8: {error.reason} at byte {error.start}") from error
    names = names_in(text)
    if not names:
        raise SourceError(f"{path}: names nothing", "one name a line, in the order of the network's outputs")
    return names


def names_in(text: str) -> Tuple[str, ...]:
    """The lines of a text. Only line feeds end one: a dictionary has characters that Python takes for line ends."""
    lines = [line[:-1] if line.endswith("\r") else line for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return tuple(lines)
