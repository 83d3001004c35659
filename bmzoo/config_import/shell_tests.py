"""What tests of shell scripts say: `[ ]`, `[[ ]]` and `test`. Files are not there, and nothing is looked at."""

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase

from bmzoo.config_import.shell_values import UNRUN, ShellState
from bmzoo.config_import.shell_words import NotShell

_FILE_TESTS = ("-f", "-d", "-e", "-r", "-w", "-x", "-s", "-L", "-h")
_NUMBER_TESTS: Mapping[str, Callable[[int, int], bool]] = {
    **{"-eq": lambda a, b: a == b, "-ne": lambda a, b: a != b, "-gt": lambda a, b: a > b},
    **{"-ge": lambda a, b: a >= b, "-lt": lambda a, b: a < b, "-le": lambda a, b: a <= b},
}


def holds(words: list[str], state: ShellState, line: int) -> bool:
    """What `[ ]` says of its words, with `and` and `or` inside. Raises NotShell."""
    for joint, both in (("||", any), ("-o", any), ("&&", all), ("-a", all)):
        if joint in words:
            at = words.index(joint)
            return both([holds(words[:at], state, line), holds(words[at + 1 :], state, line)])
    if words[:1] == ["!"]:
        return not holds(words[1:], state, line)
    if words[:1] == ["("] and words[-1:] == [")"]:
        return holds(words[1:-1], state, line)
    if any(UNRUN.search(word) for word in words):
        state.remarks[f"line {line}: [ {' '.join(words)} ]: only running tells; taken as not so"] = None
        return False
    state.asked_for_files |= len(words) == 2 and words[0] in _FILE_TESTS
    return _compared(*words, state=state, line=line) if len(words) == 3 else _is_there(words)


def _compared(left: str, sign: str, right: str, *, state: ShellState, line: int) -> bool:
    if sign in _NUMBER_TESTS:
        return _NUMBER_TESTS[sign](*(state.number(each or "0", line) for each in (left, right)))
    if sign in ("=", "=="):
        return fnmatchcase(left, right)
    if sign == "!=":
        return not fnmatchcase(left, right)
    if sign == "=~":
        try:
            return re.search(right, left) is not None
        except re.error:
            raise NotShell(line, f"a pattern that is not understood: {right}") from None
    if sign in ("<", ">"):
        return left < right if sign == "<" else left > right
    raise NotShell(line, f"a test that is not understood: {sign}")


def _is_there(words: Sequence[str]) -> bool:
    """A test of one thing: a text that is there, or a file, which is not."""
    if len(words) == 2 and words[0] in ("-n", "-z"):
        return bool(words[1]) == (words[0] == "-n")
    if len(words) == 2 and words[0] in _FILE_TESTS:
        return False
    return len(words) == 1 and bool(words[0])
