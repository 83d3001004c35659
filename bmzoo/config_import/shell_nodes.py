"""The commands of a shell script: lists, conditions, loops and functions."""

from dataclasses import dataclass

from bmzoo.config_import.shell_words import Word


@dataclass(frozen=True)
class SimpleCommand:
    words: tuple[Word, ...]
    line: int


@dataclass(frozen=True)
class ArithmeticCommand:
    text: str
    line: int


@dataclass(frozen=True)
class Chain:
    """Two commands with `&&`, `||` or `|` between them."""

    left: "Node"
    operator: str
    right: "Node"
    line: int


@dataclass(frozen=True)
class Negation:
    command: "Node"
    line: int


@dataclass(frozen=True)
class Condition:
    """`branches`: a list of commands that is tried, and what is run where it succeeds; an `else` tries nothing."""

    branches: tuple[tuple["Block", "Block"], ...]
    line: int


@dataclass(frozen=True)
class EachLoop:
    """`words`: None for the arguments."""

    name: str
    words: tuple[Word, ...] | None
    body: "Block"
    line: int


@dataclass(frozen=True)
class CountLoop:
    """`for ((start; goes on; step))`."""

    parts: tuple[str, str, str]
    body: "Block"
    line: int


@dataclass(frozen=True)
class ConditionLoop:
    """`while`, or with `until` its opposite."""

    condition: "Block"
    until: bool
    body: "Block"
    line: int


@dataclass(frozen=True)
class Choice:
    """`case`: the patterns of each branch, and what it runs."""

    word: Word
    branches: tuple[tuple[tuple[Word, ...], "Block"], ...]
    line: int


@dataclass(frozen=True)
class FunctionDefinition:
    name: str
    body: "Node"
    line: int


@dataclass(frozen=True)
class Block:
    """Commands one after the other."""

    commands: tuple["Node", ...]
    line: int = 0


Node = (
    SimpleCommand | ArithmeticCommand | Chain | Negation | Condition | EachLoop | CountLoop | ConditionLoop
    | Choice | FunctionDefinition | Block
)  # fmt: skip
