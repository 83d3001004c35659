"""A draft as YAML that is nice to read: sections as blocks, small ones and lists on one line, comments beside."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from bmzoo.config import yamlfile
from bmzoo.config.schema import ModelConfig
from bmzoo.config_import.draft import Draft

_WIDTH = 110
_SCHEMA = "# yaml-language-server: $schema={schema}\n#\n"
KeyPath = tuple[str, ...]


def yaml_text(draft: Draft, schema: str = "") -> str:
    """The file's text. `schema`: where its JSON Schema lies, for editors; empty where it has none."""
    head = _SCHEMA.format(schema=schema) if schema else ""
    order = list(ModelConfig.model_fields)
    keys = sorted(draft.config, key=lambda key: order.index(key) if key in order else len(order))
    sections = [
        "\n".join((*_offered(draft, key), *_lines(key, draft.config[key], (key,), draft.comments, 0)))
        for key in keys
    ]
    return f"{head}{_remark(draft.origin, 0)}\n\n" + "\n\n".join(sections) + "\n"


def _offered(draft: Draft, section: str) -> Iterator[str]:
    """What is offered above a section: why, and each key on one line, however long, so that it can be taken in."""
    what, keys = draft.offers.get(section, ("", {}))
    if what:
        yield _remark(what, 0)
    yield from (f"# {yamlfile.flow({key: value}).rstrip()}" for key, value in keys.items())


def _lines(key: str, value: Any, path: KeyPath, comments: Mapping[KeyPath, str], depth: int) -> Iterator[str]:
    indent, comment = "  " * depth, comments.get(path, "")
    line = f"{indent}{yamlfile.flow({key: value}).rstrip()}"
    block = isinstance(value, dict) and value and (not depth or _commented(path, comments) or len(line) > _WIDTH)
    listed = isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)
    if block or listed or (isinstance(value, list) and len(line) > _WIDTH):
        yield from _with(f"{indent}{yamlfile.flow({key: 0}).partition(': ')[0]}:", comment, indent)
        yield from _inner(value, path, comments, depth + 1)
    else:
        yield from _with(line, comment, indent)


def _inner(value: Any, path: KeyPath, comments: Mapping[KeyPath, str], depth: int) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _lines(str(key), each, (*path, str(key)), comments, depth)
        return
    for index, each in enumerate(value):
        yield from _item(each, (*path, str(index)), comments, depth)


def _item(value: Any, path: KeyPath, comments: Mapping[KeyPath, str], depth: int) -> Iterator[str]:
    """The lines of an entry of a list: on one line where it fits."""
    indent = "  " * depth
    if not isinstance(value, dict):
        yield f"{indent}- {yamlfile.flow({'_': value}).rstrip().partition(': ')[2]}"
        return
    inside = ", ".join(yamlfile.flow({key: each}).rstrip() for key, each in value.items())
    line = f"{indent}- {{{inside}}}"
    if len(line) <= _WIDTH and not _commented(path, comments) and not _braced(value):
        yield from _with(line, comments.get(path, ""), indent)
        return
    lines = list(_inner(value, path, comments, depth + 1))
    first = next(index for index, each in enumerate(lines) if not each.lstrip().startswith("#"))
    yield from lines[:first]
    yield f"{indent}- {lines[first].lstrip()}"
    yield from lines[first + 1 :]


def _braced(value: Mapping[str, Any]) -> bool:
    """Whether a text in it would be read otherwise between braces."""
    return any(isinstance(each, str) and set(each) & set(",[]{}") for each in value.values())


def _commented(path: KeyPath, comments: Mapping[KeyPath, str]) -> bool:
    return any(key[: len(path)] == path and key != path for key in comments)


def _with(line: str, comment: str, indent: str) -> Iterator[str]:
    """A line with its comment: beside it where there is room, else above."""
    if not comment:
        yield line
    elif len(line) + len(comment) + 4 <= _WIDTH:
        yield f"{line}  # {comment}"
    else:
        yield _remark(comment, len(indent))
        yield line


def _remark(text: str, indent: int) -> str:
    """Text as lines of comment."""
    lines: Sequence[str] = [part for line in text.split("\n") for part in wrap(line, _WIDTH - indent - 2)]
    return "\n".join(f"{' ' * indent}# {line}" for line in lines)
