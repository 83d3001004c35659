"""What `attest` does: verify an archive, and say what it is."""

import sys
from collections.abc import Sequence
from pathlib import Path

from bmzoo.errors import ConfigError, legible, nearest
from bmzoo.export.attest import attested
from bmzoo.tasks.variables import belongs_in_front

_USAGE = "attest ARCHIVE [key=PUBLIC.pem]"
_KEY, _SUFFIX = "key", ".tar"


def run_attest(start: Path, key_in_front: Path | None, words: Sequence[str]) -> None:
    """Print what an archive is; `start`: where relative paths begin. Raises BmzooError.

    `key_in_front`: of a `key=` in front of the task, which plain `doit` makes of every one.
    """
    archive, key = archive_and_key(words)
    found = attested(start / archive, archive, start / key if key else key_in_front)
    sys.stdout.write(legible(f"{archive}: {found}") + "\n")


def archive_and_key(words: Sequence[str]) -> tuple[str, str]:
    """The archive and the public key that words name, the key empty where there is none. Raises ConfigError."""
    archives = [word for word in words if "=" not in word or word.endswith(_SUFFIX)]
    keys = {_key(word) for word in words if word not in archives}
    if len(archives) != 1 or archives[0].startswith("-"):
        raise ConfigError(f"one archive is needed: {' '.join(archives) or 'none given'}", _USAGE)
    if len(keys) > 1:
        raise ConfigError(f"one key is enough: {' '.join(sorted(keys))}", _USAGE)
    return archives[0], "".join(keys)


def _key(word: str) -> str:
    name, _, value = word.partition("=")
    if name == _KEY and value:
        return value
    if name == _KEY:
        raise ConfigError(f"says nothing: {word}", _USAGE)
    guess = f"did you mean {_KEY}={value}?" if nearest(name, [_KEY]) else ""
    raise ConfigError(f"not understood: {word}", belongs_in_front(word) or guess or _USAGE)
