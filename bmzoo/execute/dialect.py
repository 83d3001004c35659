"""What the tools of another TPU-MLIR understand, by their own --help, and a command in their words. Pure.

Plans are written for the locked version. For another one an argument is passed on, translated by the table below,
or refused by its name.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bmzoo.config.search_methods import RUN_QTABLE, RUN_SENSITIVE_LAYER
from bmzoo.errors import ToolFailed
from bmzoo.plan.step import Command

# The tools whose arguments differ from version to version.
DIALECT_TOOLS = ("model_transform.py", "run_calibration.py", "model_deploy.py", RUN_QTABLE, RUN_SENSITIVE_LAYER)
# Other words for the same value: up to 1.23 `--cali_method` has the second ones only.
SYNONYMS = {
    ("--cali_method", "kl"): "use_kl",
    ("--cali_method", "mse"): "use_mse",
    ("--cali_method", "max"): "use_max",
    ("--cali_method", "percentile9999"): "use_percentile9999",
}
# Flags by whose presence a version does by default what others do on demand: flag -> what its tool does without it.
UNASKED = {
    "--disable_affine": "runs the affine pass unless told not to",
    "--enable_affine": "runs no affine pass unless told to",
}
# Raise where the same arguments become others for the same tools.
DIALECT = 1
_OPTION = re.compile(r"(--?[A-Za-z][\w-]*)(?: \{([^}]*)\})?")

# Flag -> the values that it takes; empty where any do.
Flags = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Capabilities:
    """Which tools a version has, and which flags they take. `version`: for people."""

    version: str
    tools: Mapping[str, Flags]

    def as_json(self) -> dict[str, object]:
        return {
            "version": self.version,
            "tools": {
                tool: {flag: list(values) for flag, values in flags.items()} for tool, flags in self.tools.items()
            },
        }

    @staticmethod
    def from_json(told: Mapping[str, object]) -> "Capabilities":
        """Raises KeyError, TypeError, ValueError or AttributeError for what `as_json` never gave."""
        tools = told["tools"]
        assert isinstance(tools, Mapping), "written by as_json"
        read = {tool: {flag: tuple(values) for flag, values in flags.items()} for tool, flags in tools.items()}
        return Capabilities(str(told["version"]), read)


def flags_of(help_text: str) -> dict[str, tuple[str, ...]]:
    """The flags that argparse lists in a --help, each with its choices."""
    found: dict[str, tuple[str, ...]] = {}
    for line in help_text.splitlines():
        if line.startswith("  -"):
            spelled = line.strip().partition("  ")[0]
            for flag, choices in _OPTION.findall(spelled):
                found[flag] = tuple(choices.split(",")) if choices else ()
    return found


def translated(command: Command, known: Capabilities) -> Command:
    """The command in the words of a version. Raises ToolFailed for what it has no word for."""
    if command.tool not in DIALECT_TOOLS:
        return command
    if command.tool not in known.tools:
        raise ToolFailed(f"TPU-MLIR {known.version} has no {command.tool}")
    flags = known.tools[command.tool]
    return Command(command.tool, tuple(_words(command, flags, known.version)), command.stdout)


def _words(command: Command, flags: Flags, version: str) -> Iterator[str]:
    last = ""
    for word in command.args:
        if word.startswith("--") or word == "-o":
            if word not in flags:
                raise ToolFailed(f"{command.tool} of TPU-MLIR {version} has no {word}")
            yield word
        else:
            yield _value(command.tool, last, word, flags.get(last, ()), version)
        last = word


def _value(tool: str, flag: str, value: str, choices: tuple[str, ...], version: str) -> str:
    if not choices or value in choices:
        return value
    other = SYNONYMS.get((flag, value))
    if other not in choices or other is None:
        raise ToolFailed(f"{tool} of TPU-MLIR {version} has no {flag} {value}", f"it has: {', '.join(choices)}")
    return other


def differences(old: Capabilities, new: Capabilities) -> Iterator[str]:
    """What only one of two versions has, a line for each tool, and what they do unasked, for people."""
    for tool in DIALECT_TOOLS:
        before, now = old.tools.get(tool), new.tools.get(tool)
        if before is None and now is None:
            continue
        if before is None or now is None:
            yield f"only {(old if now is None else new).version} has {tool}"
            continue
        gone = sorted(flag for flag in before if flag not in now)
        come = sorted(flag for flag in now if flag not in before)
        for version, only in ((old.version, gone), (new.version, come)):
            if only:
                yield f"{tool}: only {version} has {', '.join(only)}"
    yield from _defaults(old, new)


def _defaults(old: Capabilities, new: Capabilities) -> Iterator[str]:
    for flag, meaning in UNASKED.items():
        for one, other in ((old, new), (new, old)):
            for tool in one.tools:
                if flag in one.tools[tool] and flag not in other.tools.get(tool, {}):
                    yield f"{tool} of {one.version} {meaning} ({flag})"
