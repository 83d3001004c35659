"""Differences between the fingerprint material of a step's last result and its current one, line by line. Pure."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bmzoo.execute.history import Record

# Most lines about input files; the rest is only counted.
MAX_CHANGES_SHOWN = 4
_WIDTH = 48  # characters of a value before it is shortened
_DIGEST = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")
_NUMBER = re.compile(r"-?[\d.]")
_NOTHING = object()


def changes(old: Record, new: Record) -> tuple[str, ...]:
    """One line per difference, in a fixed order. Inputs of `new` with an empty digest are not known yet."""
    a, b = old.material, new.material
    lines = [
        *_values("bmzoo's format of results", {"": a.get("schema")}, {"": b.get("schema")}),
        *_commands(a.get("commands", []), b["commands"]),
        *_tools(a.get("tools", {}), b["tools"]),
        *_values("environment", a.get("environment", {}), b["environment"]),
        *_documents(a.get("documents", {}), b["documents"]),
        *_inputs(old, new),
    ]
    if a.get("outputs") != b["outputs"]:
        lines.append(f"writes: {_shown(a.get('outputs'))} -> {_shown(b['outputs'])}")
    return tuple(lines)


def _short(text: str) -> str:
    """A text with digests abbreviated to eight characters."""
    return _DIGEST.sub(r"\1", text)


def _values(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        before, after = old.get(name, _NOTHING), new.get(name, _NOTHING)
        if before != after:
            place = f"{where}: {name}" if name else where
            if before is _NOTHING:
                yield f"{place}: added" + (f": {_shown(after)}" if after != "" else "")
            elif after is _NOTHING:
                yield f"{place}: removed" + (f", was {_shown(before)}" if before != "" else "")
            else:
                yield f"{place}: {_shown(before)} -> {_shown(after)}"


def _shown(value: object) -> str:
    text = _short(value if isinstance(value, str) else json.dumps(value))
    return (text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…") or "''"


def _commands(old: Sequence[list[str]], new: Sequence[list[str]]) -> Iterator[str]:
    before, after = _numbered(old), _numbered(new)
    for key in dict.fromkeys([*before, *after]):
        tool = key[0]
        if key not in after:
            yield f"command removed: {tool}"
        elif key not in before:
            yield f"command added: {tool}"
        else:
            yield from _values(tool, _flags(before[key]), _flags(after[key]))
    if [c[0] for c in old] != [c[0] for c in new] and before.keys() == after.keys():
        yield "the same commands in another order"


def _numbered(commands: Sequence[list[str]]) -> dict[tuple[str, int], list[str]]:
    """(tool, index among the commands of that tool) -> arguments and stdout."""
    seen: Counter[str] = Counter()
    found = {}
    for tool, *rest in commands:
        found[tool, seen[tool]] = rest
        seen[tool] += 1
    return found


def _flags(args: Sequence[str]) -> dict[str, str]:
    """Flag -> its values; positional arguments by number; the file that standard output goes to."""
    flags: dict[str, str] = {}
    name = ""
    for number, arg in enumerate(args[:-1], 1):
        if arg.startswith("-") and not _NUMBER.match(arg):
            name = arg
            flags[name] = ""
        elif name:
            flags[name] = f"{flags[name]} {arg}".strip()
        else:
            flags[f"argument {number}"] = arg
    return flags | ({"output": args[-1]} if args and args[-1] else {})


def _tools(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """Tools whose version or content changed; the same change of several tools is one line."""
    users: dict[str, list[str]] = {}
    for tool in sorted(old.keys() & new.keys()):  # added and removed tools show as commands
        for line in _values("", _parts(old[tool]), _parts(new[tool])):
            users.setdefault(line.removeprefix(": "), []).append(tool)
    yield from (f"{', '.join(tools)}: {line}" for line, tools in users.items())


def _parts(identity: str) -> dict[str, str]:
    """`tpu_mlir 1.30 <sha256> numpy 1.24` as {"tpu_mlir": "1.30 <sha256>", "numpy": "1.24"}."""
    parts: dict[str, str] = {}
    name = ""
    for word in identity.split():
        if name and (_DIGEST.fullmatch(word) or _NUMBER.match(word)):
            parts[name] = f"{parts[name]} {word}".strip()
        else:
            name = word
            parts[name] = ""
    return parts


def _documents(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield from _values(name, _leaves(old.get(name)), _leaves(new.get(name)))


def _leaves(text: str | None) -> dict[str, Any]:
    """Key path -> value of a JSON document; a list without objects is a single value."""
    if text is None:
        return {}
    try:
        return dict(_walk(json.loads(text), ""))
    except ValueError:
        return {"": text}


def _walk(value: object, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{path}[{index}]")
    else:
        yield path, value


def _inputs(old: Record, new: Record) -> Iterator[str]:
    before, after = _named(old), _named(new)
    unknown = {name for name, digest in after.items() if not digest}
    gone = {digest: name for name, digest in before.items() if name not in after}
    renamed = {name: gone[digest] for name, digest in after.items() if name not in before and digest in gone}
    lines = []
    for name in sorted({*before, *after} - unknown - set(renamed.values())):
        was, now = before.get(name, "")[:8], after.get(name, "")[:8]
        if name in renamed:
            lines.append(f"{name}: was {renamed[name]}")
        elif not now:
            lines.append(f"{name}: removed, was {was}")
        elif not was:
            lines.append(f"{name}: added: {now}")
        elif before[name] != after[name]:
            lines.append(f"{name}: {was} -> {now}")
    if not lines and not unknown and old.material.get("inputs") != new.material["inputs"]:
        lines.append("the same input files in another order")
    fit = len(lines) <= MAX_CHANGES_SHOWN + 1
    yield from lines if fit else lines[:MAX_CHANGES_SHOWN]
    if not fit:
        yield f"and {len(lines) - MAX_CHANGES_SHOWN} more input files"


def _named(of: Record) -> dict[str, str]:
    """Name of an input at its origin -> sha256."""
    return {of.origins.get(name, name): digest for name, digest in of.material.get("inputs", {}).items()}
