"""Words and operators of a shell script, read and never run.

What POSIX calls token recognition (IEEE Std 1003.1, Shell Command Language, 2.3), with what bash adds that scripts
of conversions use: `[[ ]]`, `(( ))`, arrays. A word keeps its parts apart, for a variable in quotes is one word
whatever it holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

PartKind = Literal["text", "variable", "substitution", "arithmetic"]
_OPERATORS = (
    *("&&", "||", ";;", "&>>", "&>", "<<<", "<<-", "<<", ">>", ">&", "<&", ">|"),
    *(";", "&", "|", "<", ">", "(", ")", "\n"),
)
_ENDS = " \t\n;&|<>()"
_NAME_START = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
_SPECIAL = "@*#?$!-0123456789"


class NotShell(Exception):
    """What is in a script that is not understood, and in which line."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line, self.what = line, what


@dataclass(frozen=True)
class Part:
    """A piece of a word. `text`: as it stands, of a variable what is between the braces."""

    kind: PartKind
    text: str
    quoted: bool = False


@dataclass(frozen=True)
class Word:
    """`array`: of `name=(a b)`, the words between the parentheses."""

    parts: tuple[Part, ...]
    line: int
    array: "tuple[Word, ...] | None" = None

    @property
    def bare(self) -> str:
        """The word, if it is plain text without quotes; else empty. Only such can be a keyword."""
        plain = all(part.kind == "text" and not part.quoted for part in self.parts)
        return "".join(part.text for part in self.parts) if plain else ""


@dataclass(frozen=True)
class Operator:
    """`text`: `((` stands for a whole `(( ))`, whose inside is `inner`."""

    text: str
    line: int
    inner: str = ""


Token = Word | Operator


def shell_tokens(text: str) -> list[Token]:
    """All tokens of a script. Raises NotShell."""
    return list(_Lexer(text).tokens())


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._line = 1
        self._documents: list[tuple[str, bool]] = []  # delimiters of here-documents that follow this line

    def tokens(self) -> Iterator[Token]:
        wanted = ""  # an operator whose next word is a here-document's end
        while self._blank():
            operator = self._operator()
            if operator is not None:
                yield operator
                wanted = operator.text
                continue
            word = self._word()
            if wanted in ("<<", "<<-"):
                end = "".join(part.text for part in word.parts)
                self._documents.append((end, wanted == "<<-"))
            wanted = ""
            if not (word.bare.isdigit() and self._text[self._at : self._at + 1] in ("<", ">")):  # the 2 of 2>&1
                yield word

    def _blank(self) -> bool:
        """Skip blanks, comments and joined lines; whether anything is left."""
        while self._at < len(self._text):
            if self._text[self._at] in " \t":
                self._at += 1
            elif self._text.startswith("\\\n", self._at):
                self._at, self._line = self._at + 2, self._line + 1
            elif self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                return True
        return False

    def _operator(self) -> Operator | None:
        line = self._line
        if self._text.startswith("((", self._at):
            end = self._text.find("))", self._at)
            if end < 0:
                raise NotShell(line, "(( without its end")
            inner = self._text[self._at + 2 : end]
            self._at, self._line = end + 2, line + inner.count("\n")
            return Operator("((", line, inner)
        found = next((each for each in _OPERATORS if self._text.startswith(each, self._at)), None)
        if found is None:
            return None
        self._at += len(found)
        if found == "\n":
            self._line += 1
            self._skip_documents()
        return Operator(found, line)

    def _skip_documents(self) -> None:
        """Pass over here-documents: what they hold is no part of the script."""
        for end, tabs in self._documents:
            while self._at < len(self._text):
                stop = self._text.find("\n", self._at)
                stop = len(self._text) if stop < 0 else stop
                row = self._text[self._at : stop]
                self._at, self._line = stop + 1, self._line + 1
                if (row.lstrip("\t") if tabs else row) == end:
                    break
        self._documents.clear()

    def _word(self) -> Word:
        line, parts = self._line, list[Part]()
        while self._at < len(self._text) and self._text[self._at] not in _ENDS:
            sign = self._text[self._at]
            if self._text.startswith("\\\n", self._at):
                self._at, self._line = self._at + 2, self._line + 1
            elif sign == "\\":
                parts.append(Part("text", self._text[self._at + 1 : self._at + 2], quoted=True))
                self._at += 2
            elif sign == "'":
                parts.append(Part("text", self._until("'"), quoted=True))
            elif sign == '"':
                parts += self._double()
            elif sign in "$`":
                parts.append(self._dollar(quoted=False))
            else:
                parts.append(Part("text", sign))
                self._at += 1
        word = Word(_joined(parts), line)
        if word.bare.endswith("=") and self._text.startswith("(", self._at):
            return Word(word.parts, line, self._array())
        return word

    def _array(self) -> tuple[Word, ...]:
        self._at += 1
        found: list[Word] = []
        while self._blank() and self._text[self._at] != ")":
            if self._text[self._at] == "\n":
                self._at, self._line = self._at + 1, self._line + 1
            elif self._text[self._at] in _ENDS:
                raise NotShell(self._line, "an array that is not understood")
            else:
                found.append(self._word())
        self._at += 1
        return tuple(found)

    def _until(self, end: str) -> str:
        """What is between two signs; the first one is here."""
        stop = self._text.find(end, self._at + 1)
        if stop < 0:
            raise NotShell(self._line, f"{end} without its end")
        found = self._text[self._at + 1 : stop]
        self._at, self._line = stop + 1, self._line + found.count("\n")
        return found

    def _double(self) -> list[Part]:
        start, parts = self._line, [Part("text", "", quoted=True)]
        self._at += 1
        while self._at < len(self._text):
            sign = self._text[self._at]
            if sign == '"':
                self._at += 1
                return parts
            if sign in "$`":
                parts.append(self._dollar(quoted=True))
                continue
            if sign == "\\" and self._text[self._at + 1 : self._at + 2] in ('"', "$", "`", "\\", "\n"):
                self._at += 1
                sign = self._text[self._at]
            self._line += sign == "\n"
            parts.append(Part("text", sign, quoted=True))
            self._at += 1
        raise NotShell(start, '" without its end')

    def _dollar(self, quoted: bool) -> Part:
        """A variable, a substitution or arithmetic, or a plain `$`."""
        rest = self._text[self._at + 1 : self._at + 3]
        if self._text[self._at] == "`":
            return Part("substitution", f"`{self._until('`')}`", quoted)
        if rest.startswith("("):
            inner = self._balanced(self._at + 1, "(", ")")
            if rest == "((" and inner.endswith(")"):
                return Part("arithmetic", inner[1:-1], quoted)
            return Part("substitution", f"$({inner})", quoted)
        if rest.startswith("{"):
            return Part("variable", self._balanced(self._at + 1, "{", "}"), quoted)
        name = self._name()
        return Part("variable", name, quoted) if name else Part("text", "$", quoted)

    def _name(self) -> str:
        """The name behind a `$`, which is passed too; empty where there is none."""
        start = end = self._at + 1
        sign = self._text[start : start + 1]
        if sign and sign in _SPECIAL:
            end = start + 1
        elif sign and sign in _NAME_START:
            while end < len(self._text) and self._text[end] in f"{_NAME_START}0123456789":
                end += 1
        self._at = end
        return self._text[start:end]

    def _balanced(self, start: int, opening: str, closing: str) -> str:
        """What is between a sign at `start` and the one that ends it; goes on behind that."""
        depth, at, quote = 0, start, ""
        while at < len(self._text):
            sign = self._text[at]
            if sign == "\\":
                at += 1
            elif quote:
                quote = "" if sign == quote else quote
            elif sign in "'\"":
                quote = sign
            elif sign in (opening, closing):
                depth += 1 if sign == opening else -1
                if not depth:
                    found = self._text[start + 1 : at]
                    self._at, self._line = at + 1, self._line + found.count("\n")
                    return found
            at += 1
        raise NotShell(self._line, f"{opening} without its end")


def _joined(parts: list[Part]) -> tuple[Part, ...]:
    """Neighbouring pieces of text as one."""
    found: list[Part] = []
    for part in parts:
        last = found[-1] if found else None
        if last is not None and last.kind == part.kind == "text" and last.quoted == part.quoted:
            found[-1] = Part("text", last.text + part.text, part.quoted)
        else:
            found.append(part)
    return tuple(found)
