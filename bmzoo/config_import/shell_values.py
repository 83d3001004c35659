"""What words of a shell script stand for: variables and arithmetic expanded, substitutions left as they are."""

import re
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase, translate

from bmzoo.config_import.shell_numbers import calculated
from bmzoo.config_import.shell_words import NotShell, Part, Word, shell_tokens

UNRUN = re.compile(r"\$\(.*\)|`.*`", re.DOTALL)  # a substitution, which only running would tell
_NAME = re.compile(
    r"(?P<length>#?)(?P<name>[A-Za-z_]\w*|[0-9]+|[@*#?$!-])(?:\[(?P<index>[^]]*)\])?(?P<rest>.*)", re.DOTALL
)
_BRACES = re.compile(r"^(?P<before>[^{}]*)\{(?P<inside>[^{}]*)\}(?P<after>.*)$", re.DOTALL)
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.(\d+))?")
_MOST_WORDS = 1000

Variable = str | list[str]


@dataclass
class ShellState:
    """Variables and arguments at one place of a script; `remarks`: what is not run there, for people."""

    variables: MutableMapping[str, Variable] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    remarks: dict[str, None] = field(default_factory=dict)  # each once, in order
    asked_for_files: bool = False  # since it was last set to False

    def expanded(self, words: Sequence[Word]) -> list[str]:
        """The fields that words become. Raises NotShell."""
        return [text for word in words for text in self.fields(word)]

    def fields(self, word: Word) -> list[str]:
        """A word as the fields it becomes: none for an empty variable without quotes."""
        found: list[str] = []
        current, begun = "", False
        for part in word.parts:
            values = self._values(part, word.line)
            if part.quoted or part.kind == "text":
                begun = begun or part.quoted or bool(part.text)
                current += values[0] if values else ""
                for value in values[1:]:  # "$@" and "${a[@]}"
                    found, current = [*found, current], value
                continue
            pieces = _split(values)
            if pieces and pieces[0] == "" and (current or begun):
                found, current, begun = [*found, current], "", False
            pieces = [piece for piece in pieces if piece]
            for index, piece in enumerate(pieces):
                if index:
                    found, current = [*found, current], ""
                current, begun = current + piece, True
        found += [current] if current or begun else []
        bare = word.bare
        return [each for text in found for each in _braced(text)] if bare and "{" in bare else found

    def text(self, word: Word) -> str:
        """A word as one text, as in an assignment."""
        return "".join(" ".join(self._values(part, word.line)) for part in word.parts)

    def number(self, text: str, line: int) -> int:
        """The value of arithmetic. Raises NotShell."""
        plain = re.sub(r"\$\{?(\w+|#)\}?", lambda match: "".join(self._get(match[1])[:1]) or "0", text)
        numbers: dict[str, Variable] = {k: v if isinstance(v, str) else "0" for k, v in self.variables.items()}
        before = dict(numbers)
        try:
            value = calculated(plain, numbers)
        except ValueError as error:
            raise NotShell(line, str(error)) from None
        self.variables.update({key: each for key, each in numbers.items() if before.get(key) != each})
        return value

    def _values(self, part: Part, line: int) -> list[str]:
        if part.kind == "text":
            return [part.text]
        if part.kind == "arithmetic":
            return [str(self.number(part.text, line))]
        if part.kind == "substitution":
            self.remarks[f"line {line}: {part.text}: not run, its value is unknown"] = None
            return [part.text]
        return self._variable(part.text, line)

    def _get(self, name: str) -> list[str]:
        """The values of a variable; none where it is not set."""
        if name in ("@", "*"):
            return list(self.arguments)
        if name == "#":
            return [str(len(self.arguments))]
        if name.isdecimal():
            index = int(name)
            return self.arguments[index - 1 : index] if index else ["$(this script)"]
        if name in "?$!-":
            return ["0"]
        value = self.variables.get(name, [])
        return [value] if isinstance(value, str) else list(value)

    def _variable(self, text: str, line: int) -> list[str]:
        """`${...}` in the forms that scripts of conversions use. Raises NotShell."""
        if text.startswith("!") and text[1:].isidentifier():
            return self._get(" ".join(self._get(text[1:])))
        match = _NAME.fullmatch(text)
        if match is None or (match["length"] and match["rest"]):
            raise NotShell(line, f"${{{text}}} is not understood")
        values = self._indexed(match["name"], match["index"], line)
        if match["length"]:
            return [str(len(values) if match["index"] in ("@", "*") else len("".join(values)))]
        return self._changed(values, match["rest"], text, line) if match["rest"] else values

    def _indexed(self, name: str, index: str | None, line: int) -> list[str]:
        values = self._get(name)
        if index is None:
            return values[:1] if isinstance(self.variables.get(name), list) else values
        if index in ("@", "*"):
            return values
        at = self.number(index, line)
        return values[at : at + 1] if at >= 0 else values[at:][:1]

    def _changed(self, values: list[str], rest: str, text: str, line: int) -> list[str]:
        """Defaults, cases, cuts and replacements of a variable's values."""
        colon, sign, word = re.fullmatch(r"(:?)([-=+?]?)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
        if sign:
            there = bool(values) and bool(not colon or "".join(values))
            if sign == "+":
                return [self._inside(word, line)] if there else []
            return values if there else [self._inside(word, line)]
        if colon:
            start, _, length = word.partition(":")
            first = self.number(start, line)
            last = first + self.number(length, line) if length else None
            return [value[first:last] for value in values]
        if rest[0] in ",^":
            change = str.lower if rest[0] == "," else str.upper
            return [change(v) if len(rest) > 1 else change(v[:1]) + v[1:] for v in values]
        if rest[0] in "%#":
            longest = rest[:2] in ("%%", "##")
            pattern = self._inside(rest[1 + longest :], line)
            return [_cut(value, pattern, rest[0] == "#", longest) for value in values]
        if rest[0] == "/":
            everywhere = rest[1:2] == "/"
            old, _, new = rest[1 + everywhere :].partition("/")
            pattern = translate(self._inside(old, line)).removesuffix("\\Z").removesuffix("\\z")
            swap = self._inside(new, line)
            return [re.sub(pattern, lambda _: swap, v, count=0 if everywhere else 1) for v in values]
        raise NotShell(line, f"${{{text}}} is not understood")

    def _inside(self, text: str, line: int) -> str:
        """Text inside `${...}`, which holds variables too."""
        words = [token for token in shell_tokens(text) if isinstance(token, Word)]
        return " ".join(self.text(Word(word.parts, line)) for word in words)


def _split(values: Sequence[str]) -> list[str]:
    """Values of a variable without quotes, cut at blanks; an empty first one says that a blank stood in front."""
    found: list[str] = []
    for value in values:
        known = UNRUN.search(value) is None
        found += ([""] if known and value[:1].isspace() else []) + (value.split() if known else [value])
    return found


def _braced(text: str) -> Iterator[str]:
    """`{1,4}` and `{1..4}` as several words."""
    match = _BRACES.match(text)
    if match is None:
        yield text
        return
    span = _RANGE.fullmatch(match["inside"])
    if span is not None:
        first, last, step = int(span[1]), int(span[2]), int(span[3] or 1) or 1
        step = step if last >= first else -step
        numbers = range(first, last + (1 if step > 0 else -1), step)
        choices = [str(number) for number in numbers[:_MOST_WORDS]]
    else:
        choices = match["inside"].split(",")
    if span is None and len(choices) < 2:
        yield text
        return
    for choice in choices:
        yield from _braced(f"{match['before']}{choice}{match['after']}")


def _cut(value: str, pattern: str, front: bool, longest: bool) -> str:
    """A value without the shortest or longest start or end that a pattern fits."""
    lengths = range(len(value) + 1)
    for length in reversed(lengths) if longest else lengths:
        piece = value[:length] if front else value[len(value) - length :]
        if fnmatchcase(piece, pattern):
            return value[length:] if front else value[: len(value) - length]
    return value
