"""Puts drafts into files, and says what became of each."""

from collections.abc import Iterator
from pathlib import Path

from bmzoo.config import model
from bmzoo.config.fields import is_name
from bmzoo.config.files import SUFFIX
from bmzoo.config.project import STEM
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.yaml_text import yaml_text
from bmzoo.errors import BmzooError, ConfigError
from bmzoo.system import files


def check_free(path: Path, shown: str) -> None:
    """Refuse to overwrite anything, and names that no model can have. Raises ConfigError."""
    if path.suffix != SUFFIX or not is_name(path.stem) or path.stem == STEM:
        hint = f"letters, digits, `.`, `_` and `-`, then {SUFFIX}; give it with --name"
        raise ConfigError(f"{shown}: no name for a config: {path.name}", hint)
    if path.exists() or path.is_symlink():
        raise ConfigError(f"{shown}: there already, and nothing is overwritten", "give another name with --name")


def written(draft: Draft, path: Path, shown: str, schema: str, searches: frozenset[str]) -> Iterator[str]:
    """Write a draft; the lines that say what it took, dropped and could not know, and what comes next.

    Raises ConfigError, StoreError.
    """
    check_free(path, shown)
    files.write(yaml_text(draft, schema), path)
    yield f"{shown}: written from {draft.origin.removeprefix('Written by `./doit new` from ')}"
    yield from (f"  {remark}" for remark in draft.remarks)
    yield _next(path, shown, draft.name, searches)


def _next(path: Path, shown: str, name: str, searches: frozenset[str]) -> str:
    try:
        found = model.load(path, shown, searches)
    except BmzooError as error:
        return f"  to be said before it builds:\n    {error.message.replace(chr(10), chr(10) + '    ')}"
    int8 = [target for target in found.targets if target.precision == "int8"]
    ask = f"; ./doit audit:{name} asks whether pictures are fed as it was trained" if found.config.input else ""
    return f"  next: ./doit build:{name}.{(int8 or found.targets)[0]}{ask}"
