"""Walks through a shell script as a shell would, and runs nothing: which conversions it would call, and how.

Variables, functions, arguments, conditions and loops are followed. Files that it asks for are taken as not there,
but where it would give up for that; and every command that it calls as one that went well.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from bmzoo.config_import.shell_nodes import (
    ArithmeticCommand,
    Block,
    Chain,
    Choice,
    Condition,
    ConditionLoop,
    CountLoop,
    EachLoop,
    FunctionDefinition,
    Negation,
    Node,
    SimpleCommand,
)
from bmzoo.config_import.shell_tests import holds
from bmzoo.config_import.shell_values import UNRUN, ShellState
from bmzoo.config_import.shell_words import NotShell, Word

TOOLS = ("model_transform", "run_calibration", "run_qtable", "run_sensitive_layer", "model_deploy")
_MOST_STEPS = 100_000
_MOST_ROUNDS = 1000
_DEEPEST_CALL = 50
# What changes nothing that a conversion sees: said by nobody.
_QUIET = (
    *("echo", "printf", "mkdir", "cp", "mv", "cd", "pushd", "popd", "ls", "cat", "touch", "tee", "sleep", "date"),
    *("set", "ulimit", "trap", "wait", "clear"),
)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\+?)=(.*)", re.DOTALL)
_DECLARING = ("export", "local", "declare", "readonly", "typeset")


@dataclass(frozen=True)
class ToolCall:
    """A call of one of TOOLS, which a script would make: its words without the program's name."""

    tool: str
    words: tuple[str, ...]
    line: int


class _Leave(Exception):
    """`break`, `continue`, `return` and `exit`, on their way to what they leave."""

    def __init__(self, what: str, status: int = 0) -> None:
        super().__init__(what)
        self.what, self.status = what, status


def tool_calls(tree: Block, arguments: Sequence[str], remarks: dict[str, None]) -> list[ToolCall]:
    """The conversions of a script called with these arguments, in order. `remarks` takes what is not run.

    Raises NotShell.
    """
    walker = _Walker(ShellState({}, list(arguments), remarks))
    with suppress(_Leave):  # the script ends there
        walker.run(tree)
    return walker.calls


class _Walker:
    def __init__(self, state: ShellState) -> None:
        self.calls: list[ToolCall] = []
        self._state = state
        self._functions: dict[str, Node] = {}
        self._steps = 0
        self._depth = 0

    def run(self, node: Node) -> int:
        """The exit status of a command: 0 is well. Raises NotShell, _Leave."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise NotShell(node.line, "a script without an end, as far as it was followed")
        if isinstance(node, Block):
            status = 0
            for command in node.commands:
                status = self.run(command)
            return status
        return _RUN[type(node)](self, node)

    def simple(self, node: SimpleCommand) -> int:
        words = list(node.words)
        while words and (match := _assignment(words[0])) is not None:
            self._assign(words.pop(0), match)
        if not words:
            return 0
        found = self._state.expanded(words)
        if not found:
            return 0
        name, rest = found[0], found[1:]
        if name in _DECLARING:
            for word in words[1:]:
                if (match := _assignment(word)) is not None:
                    self._assign(word, match)
            return 0
        if name in self._functions:
            return self._call(name, rest, node.line)
        return self._builtin(name, rest, node.line)

    def _assign(self, word: Word, match: "re.Match[str]") -> None:
        name, more, _ = match.groups()
        if word.array is not None:
            values = self._state.expanded(word.array)
            before = self._state.variables.get(name, [])
            self._state.variables[name] = [*(before if more and isinstance(before, list) else []), *values]
            return
        value = self._state.text(word).partition("=")[2]
        before = self._state.variables.get(name, "")
        self._state.variables[name] = f"{before if isinstance(before, str) else ''}{value}" if more else value

    def _call(self, name: str, arguments: Sequence[str], line: int) -> int:
        self._depth += 1
        if self._depth > _DEEPEST_CALL:
            raise NotShell(line, f"{name} calls itself without end")
        outer, self._state.arguments = self._state.arguments, list(arguments)
        try:
            return self.run(self._functions[name])
        except _Leave as leave:
            if leave.what != "return":
                raise
            return leave.status
        finally:
            self._state.arguments = outer
            self._depth -= 1

    def _builtin(self, name: str, rest: list[str], line: int) -> int:
        """The exit status of a command of the shell itself, and of a program, which is taken to go well."""
        number = int(rest[0]) if rest and rest[0].isdecimal() else None
        if name in ("return", "exit", "break", "continue"):
            raise _Leave(name, number or 0)
        if name in ("[", "test", "[["):
            return int(not holds(rest[:-1] if name != "test" else rest, self._state, line))
        if name == "let":
            return int(not [self._state.number(each, line) for each in rest][-1:])
        if name == "shift":
            del self._state.arguments[: 1 if number is None else number]
        elif name == "set" and rest[:1] == ["--"]:
            self._state.arguments = rest[1:]
        elif name not in ("true", ":", "false", "read"):
            self._program(name, rest, line)
        return int(name in ("false", "read"))

    def _program(self, name: str, rest: Sequence[str], line: int) -> None:
        """A call of a program: one of TOOLS is noted, all else is only said."""
        words = [name, *rest]
        while words and PurePosixPath(words[0]).name in ("python", "python3", "sudo", "time", "nohup", "command"):
            words.pop(0)
        tool = PurePosixPath(words[0]).name.removesuffix(".py") if words else ""
        if tool in TOOLS:
            self.calls.append(ToolCall(tool, tuple(words[1:]), line))
        elif name not in _QUIET:
            shown = " ".join([name, *rest])
            self._state.remarks[f"line {line}: {shown if len(shown) <= 80 else f'{shown[:77]}...'}: not run"] = None

    def arithmetic(self, node: ArithmeticCommand) -> int:
        return int(not self._state.number(node.text, node.line))

    def chain(self, node: Chain) -> int:
        status = self.run(node.left)
        if node.operator == "|" or (status == 0) == (node.operator == "&&"):
            return self.run(node.right)
        return status

    def negation(self, node: Negation) -> int:
        return int(not self.run(node.command))

    def condition(self, node: Condition) -> int:
        for tried, body in node.branches:
            self._state.asked_for_files = False
            if self.run(tried) == 0 and not (self._state.asked_for_files and _gives_up(body)):
                return self.run(body)
        return 0

    def each(self, node: EachLoop) -> int:
        values = self._state.arguments if node.words is None else self._state.expanded(node.words)
        for value in list(values):
            if UNRUN.search(value):
                self._state.remarks[f"line {node.line}: a loop over {value}: not followed"] = None
                continue
            self._state.variables[node.name] = value
            if self._round(node.body):
                break
        return 0

    def count(self, node: CountLoop) -> int:
        start, going, step = node.parts
        _ = self._state.number(start, node.line) if start.strip() else 0
        for _ in range(_MOST_ROUNDS):
            if (going.strip() and not self._state.number(going, node.line)) or self._round(node.body):
                return 0
            _ = self._state.number(step, node.line) if step.strip() else 0
        raise NotShell(node.line, "a loop without an end, as far as it was followed")

    def while_loop(self, node: ConditionLoop) -> int:
        for _ in range(_MOST_ROUNDS):
            if (self.run(node.condition) == 0) == node.until or self._round(node.body):
                return 0
        raise NotShell(node.line, "a loop without an end, as far as it was followed")

    def _round(self, body: Block) -> bool:
        """Run a loop's body once; whether it ended the loop."""
        try:
            self.run(body)
        except _Leave as leave:
            if leave.what not in ("break", "continue"):
                raise
            return leave.what == "break"
        return False

    def choice(self, node: Choice) -> int:
        value = self._state.text(node.word)
        for patterns, body in node.branches:
            if any(fnmatchcase(value, self._state.text(pattern)) for pattern in patterns):
                return self.run(body)
        return 0

    def define(self, node: FunctionDefinition) -> int:
        self._functions[node.name] = node.body
        return 0


def _gives_up(body: Block) -> bool:
    """Whether a branch ends the script: nobody would call it where the files that it asks for are not there."""
    last = body.commands[-1] if body.commands else None
    return isinstance(last, SimpleCommand) and last.words[0].bare in ("exit", "return")


def _assignment(word: Word) -> "re.Match[str] | None":
    """The name of a word that assigns: its first part says so, without quotes."""
    first = word.parts[0] if word.parts else None
    if first is None or first.kind != "text" or first.quoted:
        return None
    return _ASSIGNMENT.match(first.text)


_RUN: Mapping[type, Callable[..., int]] = {
    SimpleCommand: _Walker.simple,
    ArithmeticCommand: _Walker.arithmetic,
    Chain: _Walker.chain,
    Negation: _Walker.negation,
    Condition: _Walker.condition,
    EachLoop: _Walker.each,
    CountLoop: _Walker.count,
    ConditionLoop: _Walker.while_loop,
    Choice: _Walker.choice,
    FunctionDefinition: _Walker.define,
}
