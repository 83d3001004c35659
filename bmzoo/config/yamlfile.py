"""YAML as data, and where each part of it is written.

Plain words are read as YAML 1.2's core schema says: `0640` is 640, `10:40`, `1_000` and `yes` are text, `1e-2` is a
number. Unknown keys and types are the config's business; duplicate keys and tags of other types are refused here.
"""

import math
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bmzoo.errors import ConfigError

MAX_YAML_BYTES = 1 << 20
# YAML 1.2, 10.3.2: what plain words stand for, and the characters that they may begin with. The rest is text.
_NULL, _BOOL = re.compile(r"~|null|Null|NULL|"), re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_CORE = (
    ("null", _NULL, "~nN\0"),
    ("bool", _BOOL, "tTfF"),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
)
# Keys and indices that lead to a part of a file.
Location = Sequence[str | int]


@dataclass(frozen=True)
class Document:
    """What a file says. `shown` names it in errors; `places` gives line and column, from 1 on, by location.

    The place of a value in a mapping is that of its key.
    """

    value: dict[str, Any]
    shown: str
    places: Mapping[tuple[str, ...], tuple[int, int]]

    def where(self, location: Location) -> str:
        """`file:line:column` of a part, or of the innermost one around it that is written."""
        path = tuple(map(str, location))
        inner = next(path[:end] for end in range(len(path), -1, -1) if path[:end] in self.places)
        line, column = self.places[inner]
        return f"{self.shown}:{line}:{column}"

    def error(self, location: Location, said: str, hint: str = "") -> ConfigError:
        """The error about a part: `file:line:column: key path: what is wrong: value`."""
        return ConfigError(f"{self.where(location)}: {key_path(location)}{said}", hint)


def key_path(location: Location) -> str:
    """`targets[0].chip: `, ready for what is wrong there; empty for the whole."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    return f"{text}: " if text else ""


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses what YAML lets pass: equal keys, aliases (so no exponential expansion)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            mark = key_node.start_mark
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "key is not a word", mark)
            if key in seen:
                raise _Duplicate(str(key), _place(mark), seen[key])
            seen[key] = mark.line + 1
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # `!!int` of what is none, a number without end
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not used here", event.start_mark)
        return super().compose_node(parent, index)

    def construct_core(self, node: yaml.Node) -> Any:
        """A value of one of the types in _CORE. Raises ValueError, for what has a tag and is not of its type."""
        kind, text = node.tag.rpartition(":")[2], str(self.construct_scalar(node))  # type: ignore[arg-type]
        pattern = next(pattern for name, pattern, _ in _CORE if name == kind)
        if not pattern.fullmatch(text):
            raise ValueError(f"not of type {kind}: {text}")
        return _VALUES[kind](text)


def _integer(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _float(text: str) -> float:
    """`.inf` and `.nan` without the point that Python does not know."""
    return float(text.replace(".", "") if text[-1].isalpha() else text)


_VALUES: Mapping[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    "float": _float,
}


class _Dumper(yaml.SafeDumper):
    """SafeDumper that puts in quotes what YAML 1.2 or 1.1 would not read as text."""


# What PyYAML comes with is YAML 1.1: octal and sexagesimal numbers, dates, `yes` and `off`.
_Loader.yaml_implicit_resolvers = {}
_TAG = "tag:yaml.org,2002:"
for _kind, _pattern, _first in _CORE:
    _whole = re.compile(f"(?:{_pattern.pattern})\\Z")
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"{_TAG}{_kind}", _whole, ["" if c == "\0" else c for c in _first])
_Loader.yaml_constructors = {
    **{f"{_TAG}{kind}": _Loader.construct_core for kind in _VALUES},
    **{
        key: yaml.SafeLoader.yaml_constructors[key]
        for key in (None, *(_TAG + kind for kind in ("str", "seq", "map")))
    },
}


class _Duplicate(Exception):
    def __init__(self, key: str, place: str, first: int) -> None:
        super().__init__(key)
        self.key, self.place, self.first = key, place, first


def read_yaml(path: Path, shown: str) -> Document:
    """The mapping in a YAML file. `shown` names the file in errors (ConfigError)."""
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise ConfigError(f"{shown}: larger than {MAX_YAML_BYTES} bytes", "a config is a few dozen lines")
        content = path.read_bytes()
        text = content.decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        place = _place_after(content[: error.start].decode("utf-8"))
        raise ConfigError(f"{shown}:{place}: not UTF-8 text", "save the file as UTF-8") from None
    return parse_yaml(text, shown)


def number(text: str) -> int | float:
    """A number as configs write it. Raises ValueError."""
    kind = next((kind for kind, pattern, _ in _CORE if pattern.fullmatch(text)), "")
    if kind not in ("int", "float"):
        raise ValueError(f"not a number: {text}")
    found: int | float = _VALUES[kind](text)
    return found


def flow(value: dict[str, Any]) -> str:
    """Each top-level key with its value on one line, as `parse` reads it: `a: {b: 1, c: [2, 3]}`."""
    style: dict[str, Any] = {"default_flow_style": True, "sort_keys": False, "width": math.inf}
    lines = (f"{key}: {yaml.dump(each, Dumper=_Dumper, **style).strip()}" for key, each in value.items())
    return "\n".join(line.removesuffix("...").rstrip() for line in lines) + "\n"


def parse_yaml(text: str, shown: str) -> Document:
    """Like `read`, from text."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            value = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except _Duplicate as error:
        raise ConfigError(
            f"{shown}:{error.place}: key written twice: {error.key}",
            f"first written in line {error.first}; keep one",
        ) from None
    except yaml.reader.ReaderError as error:
        raise _invalid(shown, _place_after(text[: error.position]), error.reason) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _invalid(shown, _place(mark) if mark else "1:1", error.problem or str(error)) from None
    except RecursionError:
        raise _invalid(shown, "1:1", "nested too deeply") from None
    if node is None or not isinstance(value, dict):
        place = _place(node.start_mark) if node is not None else "1:1"
        message = f"{shown}:{place}: a mapping is expected at the top: {type(value).__name__}"
        raise ConfigError(message, "see docs/config.md")
    return Document(value, shown, dict(_places(node, ())))


def _invalid(shown: str, place: str, problem: str) -> ConfigError:
    return ConfigError(f"{shown}:{place}: not valid YAML: {problem}", "check indentation and quotes there")


def _place_after(text: str) -> str:
    """Line and column of what comes after a text."""
    *lines, last = text.split("\n")
    return f"{len(lines) + 1}:{len(last) + 1}"


def _place(mark: yaml.Mark) -> str:
    return f"{mark.line + 1}:{mark.column + 1}"


def _places(
    node: yaml.Node, path: tuple[str, ...], at: yaml.Node | None = None
) -> Iterator[tuple[tuple[str, ...], tuple[int, int]]]:
    """Every part below a node. Keys and indices are text: a mapping and a list are never in one place."""
    mark = (at or node).start_mark
    yield path, (mark.line + 1, mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _places(value, (*path, key.value), key)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _places(value, (*path, str(index)))
