"""What is wrong in a config, for people: `file: key path: what is wrong: value`, then a hint: what is allowed."""

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bmzoo.errors import ConfigError, nearest

MAX_SHOWN = 6
_TYPE_HINTS = {
    "int_type": "a whole number, without quotes or decimal point",
    "float_type": "a number, without quotes",
    "string_type": "put the value in quotes",
    "tuple_type": "a list: [a, b]",
}


def explain(error: ValidationError, shown: str, top: type[BaseModel]) -> ConfigError:
    """The error to raise for the config `shown`, a `top`: up to MAX_SHOWN problems, and the first hint of them."""
    # A misspelt key is also a missing one: the unknown key is the line that helps, so it comes first.
    details = sorted(error.errors(include_url=False), key=lambda d: d["type"] != "extra_forbidden")
    problems = [problem(detail, top) for detail in details]
    lines = [f"{shown}: {text}" for text, _ in problems[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        lines.append(f"{shown}: and {len(problems) - MAX_SHOWN} more")
    return ConfigError("\n".join(lines), next((hint for _, hint in problems if hint), ""))


def problem(detail: ErrorDetails, top: type[BaseModel]) -> tuple[str, str]:
    """One pydantic error as `key path: what is wrong: value` and a hint."""
    where = [part for part in detail["loc"] if not str(part).startswith("function-")]
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "extra_forbidden":
        allowed = keys_at(where[:-1], top)
        guess = nearest(str(where[-1]), allowed)
        hint = f"did you mean {guess}? " if guess else ""
        return f"{_path(where[:-1])}unknown key: {where[-1]}", f"{hint}allowed: {', '.join(allowed)}"
    if kind == "missing":
        return f"{_path(where[:-1])}missing key: {where[-1]}", "see configs/ for a complete example"
    if kind == "literal_error":
        allowed = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ", ").split(",")]
        guess = nearest(str(value), allowed)
        hint = f"did you mean {guess}? " if guess else ""
        return f"{_path(where)}not supported: {value}", f"{hint}allowed: {', '.join(allowed)}"
    if kind == "value_error":
        return f"{_path(where)}{context['error']}", ""
    said = detail["msg"]
    return f"{_path(where)}{said[:1].lower()}{said[1:]}: {_short(value)}", _TYPE_HINTS.get(kind, "")


def _path(parts: list[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
    return f"{text}: " if text else ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def keys_at(path: Sequence[str | int], top: type[BaseModel]) -> list[str]:
    """The keys allowed at a place in the config, given as the keys and indices that lead there."""
    section = top
    for part in path:
        if isinstance(part, str) and part in section.model_fields:
            found = _section_of(section.model_fields[part].annotation)
            section = found if found is not None else section
    return list(section.model_fields)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((s for a in get_args(annotation) if (s := _section_of(a)) is not None), None)
