"""What each key of a section means: the docstrings below its fields, which Python itself throws away.

Read when the reference or the schema for editors is made, so that nobody else waits for it.
"""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from bmzoo.config.fields import Section


def described_schema(top: type[Section]) -> dict[str, Any]:
    """`top` as JSON Schema of what YAML may say, with a description for every key."""
    schema = top.model_json_schema(mode="validation")
    for section in _known(Section):
        found = schema if section is top else schema.get("$defs", {}).get(section.__name__)
        if found is not None:
            for key, text in descriptions(section).items():
                found["properties"][key]["description"] = text
    return schema


def descriptions(section: type[Section]) -> dict[str, str]:
    """Key -> description, in one line, for the section's own keys and those of the sections that it extends."""
    found: dict[str, str] = {}
    for cls in reversed(section.__mro__):
        if issubclass(cls, Section):
            found.update(_below_fields(cls))
    return found


def _known(section: type[Section]) -> Iterator[type[Section]]:
    """Every class that extends it, however remotely."""
    for cls in section.__subclasses__():
        yield cls
        yield from _known(cls)


def _below_fields(cls: type[Section]) -> dict[str, str]:
    """Text that stands as a statement of its own right after a field."""
    (definition,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
