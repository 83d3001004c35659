"""HTML that is escaped unless it was made here: texts from models, layers and labels cannot become elements.

The only door to markup is `tag`; a plain `str` is text wherever it stands.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from typing import Any

from bmzoo.errors import legible

VOID = frozenset({"input", "link", "meta", "wbr"})


class Markup(str):
    """Whole elements, as `tag` makes them."""

    __slots__ = ()


Child = str | None
Attribute = str | int | float | bool | None


def tag(element: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """One element. None among the children is left out, and so is an attribute that is None or False.

    A name in Python becomes one in HTML: `class_` is class, `data_value` is data-value.
    """
    given = "".join([_attribute(*pair) for pair in attributes.items()]) if attributes else ""
    if element in VOID:
        return Markup(f"<{element}{given}>")
    inner = _inner(children[0]) if len(children) == 1 else "".join([_inner(child) for child in children])
    return Markup(f"<{element}{given}>{inner}</{element}>")


def joined(*parts: Child) -> Markup:
    """Elements and texts one after the other."""
    return Markup("".join(map(_inner, parts)))


def data_script(name: str, value: Mapping[str, Any]) -> Markup:
    """JSON for the page's script, by the id of its element. Nothing in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c").replace("&", "\\u0026")
    return Markup(f'<script type="application/json" id="{escape(name)}">{text}</script>')


def own_code(element: str, text: str) -> Markup:
    """A `style` or `script` of bmzoo's own files, which stands in a page as it is. Raises ValueError."""
    if f"</{element}" in text.lower() or "<!--" in text:
        raise ValueError(f"would end the element: {element}")
    return Markup(f"<{element}>{text}</{element}>")


def page(title: str, head: Child, *body: Child) -> str:
    """A whole document."""
    top = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        head,
    )
    return f"<!DOCTYPE html>\n{tag('html', top, tag('body', *body), lang='en')}\n"


def _inner(child: Child) -> str:
    if child is None:
        return ""
    return child if isinstance(child, Markup) else _text(child)


def _text(text: str) -> str:
    """A large zoo has millions of texts, and nearly all are plain: those are told first."""
    if text.isalnum():
        return text
    return escape(text if text.isprintable() else legible(text))


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    spelled = _spelled(name)
    return f" {spelled}" if value is True else f' {spelled}="{_text(str(value))}"'


@lru_cache(maxsize=256)
def _spelled(name: str) -> str:
    return name.rstrip("_").replace("_", "-")
