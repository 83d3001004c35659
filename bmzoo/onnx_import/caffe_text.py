"""Protobuf's text format, as Caffe's `.prototxt` files are written in it, read without a schema.

A message is a mapping from a field's name to all that is said of it, in order: texts, numbers, words, messages.
Source: https://protobuf.dev/reference/protobuf/textformat-spec
"""

import re
from typing import NamedTuple

from bmzoo.errors import SourceError

MAX_TEXT_BYTES = 16 << 20
_MAX_DEPTH = 16  # the deepest message of Caffe's schema is at 5
_TOKEN = re.compile(
    r"""(?P<skip>[\s,;]+|\#[^\n]*)
      | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)[fF]?(?![\w.]))
      | (?P<word>-?[A-Za-z_]\w*)
      | (?P<mark>[{}<>:\[\]])""",
    re.VERBOSE,
)
_CLOSING = {"{": "}", "<": ">"}


class BareWord(str):
    """A word without quotes: true, or the name of an enum's value."""

    __slots__ = ()


class Message(dict[str, list["Value"]]):
    """Values by field."""


Value = str | int | float | Message


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def read_text(content: bytes, where: str) -> Message:
    """The message of a file. Raises SourceError with the line of what is no text format."""
    if len(content) > MAX_TEXT_BYTES:
        raise SourceError(f"{where}: too large: {len(content)} bytes", f"the limit is {MAX_TEXT_BYTES} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise SourceError(f"{where}: not text in UTF-8", "is it the .caffemodel? give the .prototxt") from None
    reader = _TextReader(_tokens(text, where), where)
    return reader.message("", 0)


def _tokens(text: str, where: str) -> list[_Token]:
    found, at, line = [], 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise SourceError(f"{where}: line {line}: no prototxt: {text[at : at + 20]!r}", "is it the right file?")
        kind, said = str(match.lastgroup), match.group()
        if kind != "skip":
            found.append(_Token(kind, said, line))
        line += said.count("\n")
        at = match.end()
    return [*found, _Token("end", "the end of the file", line)]


class _TextReader:
    def __init__(self, tokens: list[_Token], where: str) -> None:
        self._tokens = tokens
        self._where = where
        self._at = 0

    def message(self, closing: str, depth: int) -> Message:
        """Fields up to the mark that closes the message, or to the end of the file."""
        if depth > _MAX_DEPTH:
            raise self._wrong(f"messages within messages, more than {_MAX_DEPTH} deep")
        fields = Message()
        while not self._closes(closing):
            name = self._next()
            if name.kind != "word":
                raise self._wrong(f"a field's name is expected, not {name.text}")
            fields.setdefault(name.text, []).extend(self._values(depth))
        return fields

    def _closes(self, closing: str) -> bool:
        token = self._tokens[self._at]
        closes = token.text == closing if closing else token.kind == "end"
        self._at += closes
        return closes

    def _values(self, depth: int) -> list[Value]:
        token = self._next()
        if token.text == ":":
            token = self._next()
            if token.text == "[":
                return self._list()
        if token.text in _CLOSING:
            return [self.message(_CLOSING[token.text], depth + 1)]
        return [self._scalar(token)]

    def _list(self) -> list[Value]:
        values: list[Value] = []
        while (token := self._next()).text != "]":
            values.append(self._scalar(token))
        return values

    def _scalar(self, token: _Token) -> str | int | float:
        if token.kind == "text":
            return self._quoted(token)
        if token.kind == "number":
            return _number(token.text)
        if token.kind == "word":
            return BareWord(token.text)
        raise self._wrong(f"a value is expected, not {token.text}")

    def _quoted(self, token: _Token) -> str:
        """A text; those that follow it directly belong to it. Names need no escapes but of quotes."""
        said = re.sub(r"\\(.)", r"\1", token.text[1:-1])
        while self._tokens[self._at].kind == "text":
            said += re.sub(r"\\(.)", r"\1", self._next().text[1:-1])
        return said

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        if token.kind == "end":
            raise self._wrong("cut short")
        self._at += 1
        return token

    def _wrong(self, problem: str) -> SourceError:
        line = self._tokens[max(self._at - 1, 0)].line
        return SourceError(f"{self._where}: line {line}: {problem}", "is the file whole?")


def _number(text: str) -> int | float:
    plain = text.lower()
    if "x" in plain:
        return int(plain, 16)
    plain = plain.rstrip("f")
    if plain.lstrip("+-").isdigit() and len(plain) < 20:
        return int(plain)
    return float(plain)
