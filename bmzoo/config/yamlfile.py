"""YAML as data: unknown keys and types are the config's business, duplicate keys and tags are refused here."""

import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from bmzoo.errors import ConfigError

MAX_BYTES = 1 << 20
Location = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses what YAML lets pass: equal keys, aliases (so no exponential expansion)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "key is not a word", key_node.start_mark)
            if key in seen:
                raise _Duplicate(str(key), line, seen[key])
            seen[key] = line
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.get_mark()
            raise yaml.composer.ComposerError(None, None, "aliases are not used here", mark)
        return super().compose_node(parent, index)


class _Duplicate(Exception):
    def __init__(self, key: str, line: int, first: int) -> None:
        super().__init__(key)
        self.key, self.line, self.first = key, line, first


def read(path: Path, shown: str) -> dict[str, Any]:
    """The mapping in a YAML file. `shown` names the file in errors (ConfigError)."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{shown}: larger than {MAX_BYTES} bytes", "a config is a few dozen lines")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{shown}: not UTF-8 text", "save the file as UTF-8") from None
    return parse(text, shown)


def flow(value: dict[str, Any]) -> str:
    """Each top-level key with its value on one line, as `parse` reads it: `a: {b: 1, c: [2, 3]}`."""
    lines = (
        f"{key}: {yaml.safe_dump(each, default_flow_style=True, sort_keys=False, width=math.inf).strip()}"
        for key, each in value.items()
    )
    return "\n".join(line.removesuffix("...").rstrip() for line in lines) + "\n"


def parse(text: str, shown: str) -> dict[str, Any]:
    """Like `read`, from text."""
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader subclass: builds no objects
    except _Duplicate as error:
        raise ConfigError(
            f"{shown}:{error.line}: key written twice: {error.key}",
            f"first written in line {error.first}; keep one",
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(
            f"{shown}{line}: not valid YAML: {problem}", "check indentation and quotes there"
        ) from None
    if not isinstance(value, dict):
        raise ConfigError(
            f"{shown}: a mapping is expected at the top: {type(value).__name__}", "see docs/config.md"
        )
    return value
