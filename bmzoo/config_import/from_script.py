"""Configs for a shell script that converts networks. It is read as text and never run."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bmzoo.chips import CHIPS
from bmzoo.config_import.conversions import Conversion, conversions
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.from_conversion import ConversionSource, from_conversion
from bmzoo.config_import.places import Places
from bmzoo.config_import.recognise import read_source
from bmzoo.config_import.shell_run import ToolCall, tool_calls
from bmzoo.config_import.shell_tree import shell_tree
from bmzoo.config_import.shell_words import NotShell
from bmzoo.errors import SourceError

_TOOL = "it calls no model_transform, or only in ways that cannot be followed without running it"


def from_script(
    path: Path, shown: str, arguments: Sequence[str], places: Places, folders: Sequence[Path]
) -> Iterator[Draft]:
    """A draft for each network that a script converts. Raises SourceError, for a script that converts none too."""
    found, remarks = script_conversions(read_source(path, shown), shown, arguments)
    for conversion in found:
        source = ConversionSource(path, shown, tuple(remarks))
        yield from_conversion(source, conversion, places, folders)


def script_conversions(text: str, shown: str, arguments: Sequence[str]) -> tuple[list[Conversion], list[str]]:
    """The conversions of a script, and what in it is not run. Raises SourceError.

    Without arguments it is followed once as it is, and once for each chip that it names.
    """
    remarks: dict[str, None] = {}
    calls: dict[ToolCall, None] = {}
    try:
        tree = shell_tree(text)
        for each in _ways(text, arguments):
            calls |= dict.fromkeys(tool_calls(tree, each, remarks))
    except NotShell as error:
        hint = "it is read as bash would; write the config by hand, see docs/config.md"
        raise SourceError(f"{shown}:{error.line}: not understood: {error.what}", hint) from None
    found, lost = conversions(list(calls))
    if not found:
        raise SourceError(f"{shown}: no conversion in it", "\n".join([_TOOL, *remarks, *lost]))
    return found, [*remarks, *lost]


def _ways(text: str, arguments: Sequence[str]) -> list[Sequence[str]]:
    """The arguments to follow a script with."""
    if arguments or not re.search(r"\$\{?1\b", text):
        return [arguments]
    named = [chip for chip in CHIPS if re.search(rf"\b{chip}\b", text, re.IGNORECASE)]
    return [(), *((chip,) for chip in named)]
