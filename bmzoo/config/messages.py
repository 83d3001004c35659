"""What is wrong in a config, for people, then a hint: what is allowed.

An error reads `file:line:column: key path: what is wrong: value`.
"""

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bmzoo.config.yamlfile import Document, key_path
from bmzoo.errors import ConfigError, nearest

MAX_SHOWN = 6
_TYPE_HINTS = {
    "int_type": "a whole number, without quotes or decimal point",
    "float_type": "a number, without quotes",
    "finite_number": "a number such as 0.5 or 1e-2",
    "bool_type": "true or false; yes, no, on and off are text",
    "string_type": "put the value in quotes",
    "tuple_type": "a list: [a, b]",
}


def config_error(error: ValidationError, document: Document, top: type[BaseModel]) -> ConfigError:
    """The error to raise for a file that is no `top`: up to MAX_SHOWN problems, and the first hint of them."""
    # A misspelt key is also a missing one: the unknown key is the line that helps, so it comes first.
    details = sorted(error.errors(include_url=False), key=lambda d: d["type"] != "extra_forbidden")
    problems = [problem(detail, top) for detail in details]
    places = [document.where(_location(detail)) for detail in details]
    lines = [f"{place}: {text}" for place, (text, _) in list(zip(places, problems, strict=True))[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        lines.append(f"{document.shown}: and {len(problems) - MAX_SHOWN} more")
    return ConfigError("\n".join(lines), next((hint for _, hint in problems if hint), ""))


def problem(detail: ErrorDetails, top: type[BaseModel]) -> tuple[str, str]:
    """One pydantic error as `key path: what is wrong: value` and a hint."""
    where = _location(detail)
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "extra_forbidden":
        allowed = keys_at(where[:-1], top)
        guess = nearest(str(where[-1]), allowed)
        hint = f"did you mean {guess}? " if guess else ""
        return f"{key_path(where[:-1])}unknown key: {where[-1]}", f"{hint}allowed: {', '.join(allowed)}"
    if kind == "missing":
        return f"{key_path(where[:-1])}missing key: {where[-1]}", "see configs/ for a complete example"
    if kind == "literal_error":
        allowed = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ", ").split(",")]
        guess = nearest(str(value), allowed)
        hint = f"did you mean {guess}? " if guess else ""
        return f"{key_path(where)}not supported: {value}", f"{hint}allowed: {', '.join(allowed)}"
    if kind == "value_error":
        return f"{key_path(where)}{context['error']}", ""
    if kind == "finite_number":
        return f"{key_path(where)}not a finite number: {value}", _TYPE_HINTS[kind]
    said = detail["msg"]
    return f"{key_path(where)}{said[:1].lower()}{said[1:]}: {_short(value)}", _TYPE_HINTS.get(kind, "")


def _location(detail: ErrorDetails) -> list[str | int]:
    """Where the error is; pydantic also names its own functions on the way there."""
    return [part for part in detail["loc"] if not str(part).startswith("function-")]


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
