"""Published figures to test with."""

from collections.abc import Mapping

from bmzoo.results.reference import PROGRAM, ProgramFigures, Published


def published(easy: Mapping[str, float], milliseconds: Mapping[str, float]) -> Published:
    """Average precision in percent of the program that is like ours, and ms for a picture, by artifact."""
    rows = [(file.partition("/"), value) for file, value in easy.items()]
    accuracy = [ProgramFigures(chip, PROGRAM, name, (value,)) for (chip, _, name), value in rows]
    return Published(milliseconds, tuple(accuracy))
