"""Words behind a task that reads them with argparse."""

import argparse
from collections.abc import Sequence

from bmzoo.errors import ConfigError

_USAGE_ERROR = 2  # argparse's exit status


def arguments_of(parser: argparse.ArgumentParser, words: Sequence[str], task: str) -> argparse.Namespace | None:
    """What words say; None where they ask for help, which is then shown. Raises ConfigError for what it refuses."""
    try:
        return parser.parse_args(words)
    except SystemExit as end:
        if end.code not in (0, _USAGE_ERROR):
            raise
        if end.code:
            raise ConfigError(f"{task}: nothing was written", f"./doit {task} --help") from None
    return None
