"""The command line in front of doit's own: variables, options that nobody knows, where paths begin.

`./doit` starts here. Plain `doit` takes every word with a `=` for a variable; dodo.py refuses those not known.
"""

import gc
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from getopt import GetoptError
from pathlib import Path
from typing import Any

from doit import doit_cmd, get_initial_workdir
from doit.cmdparse import CmdOption, CmdParseError, TaskParse
from doit.doit_cmd import DoitMain
from doit.exceptions import InvalidCommand, InvalidDodoFile

from bmzoo.errors import BmzooError, ConfigError, nearest
from bmzoo.tasks import variables

# Tasks whose further words are theirs, whatever those look like; rows of registry.py say so too.
IN_FRONT = "options of doit stand in front of all tasks: ./doit -n 2 TASK"
TAKERS = ("attest", "detect", "plan", "diff", "explain", "new", "report", "tables", "upgrade", "why-slow")


def given() -> variables.Given:
    """What the variables of this run say. Raises InvalidDodoFile, which doit shows without a traceback."""
    try:
        return variables.read(doit_cmd._CMDLINE_VARS or {})
    except BmzooError as error:
        raise InvalidDodoFile(error.render()) from None


def start(environ: Mapping[str, str]) -> Path:
    """Where relative paths on the line begin: `./doit` goes to the checkout, and says where it was called."""
    return Path(environ.get("BMZOO_CALLED_FROM") or get_initial_workdir())


class Explained:
    """A command of doit's whose options, where it does not know one, are explained in a line."""

    name: str

    def parse_execute(self, words: list[str]) -> int:
        try:
            return int(super().parse_execute(words))  # type: ignore[misc]  # doit's command is the next class
        except CmdParseError as error:
            options = self.cmdparser.options  # type: ignore[attr-defined]
            raise CmdParseError(explain_option(self.name, options, error)) from None


class Main(DoitMain):  # type: ignore[misc]  # doit ships no types
    """doit with the words of `detect` and its like left alone, and every mistake explained."""

    BIN_NAME = "./doit"
    DOIT_CMDS = tuple(
        type(command.__name__, (Explained, command), {"name": command.get_name()}) for command in DoitMain.DOIT_CMDS
    )

    def run(self, all_args: list[str]) -> int:
        # What planning makes lives to the end. Collecting took 9% of the processor time of `list`, 18% of `plan`,
        # 22% of `zoo` with nothing to do. The first action turns it on again, see guard.py.
        gc.disable()
        try:
            return int(super().run(all_args))
        except BmzooError as error:
            sys.stderr.write(f"ERROR: {error.render()}\n")
            return 3

    def process_args(self, cmd_args: list[str]) -> list[str]:
        if "" in cmd_args:
            raise ConfigError("an empty word stands on the line", "a variable of the shell may be unset")
        first = next((word for word in cmd_args if "=" not in word), "")
        running = first == "run" or first not in {command.get_name() for command in DoitMain.DOIT_CMDS}
        rest, found = variables.split(cmd_args, TAKERS if running else ())
        doit_cmd.reset_vars()
        for name, value in found.items():
            doit_cmd.set_var(name, value)
        return rest


def parsed_options(name: str, options: Iterable[Mapping[str, Any]], words: Sequence[str]) -> list[str]:
    """The words behind a task that are not its options. Raises InvalidCommand."""
    known = [CmdOption(option) for option in options]
    try:
        return list(TaskParse(known).parse(list(words))[1])
    except CmdParseError as error:
        raise InvalidCommand(explain_option(name, known, error)) from None


def explain_option(name: str, options: Iterable[Any], error: CmdParseError) -> str:
    """What is wrong with an option, and the options that there are."""
    cause, known = error.__context__, _spelled(options)
    if not isinstance(cause, GetoptError):
        which = re.search(r"parameter '(\w+)'", str(error))
        return f"{name}: {f'{which[1]}: ' if which else ''}{cause or error}"
    word = f"{'-' if len(cause.opt) == 1 else '--'}{cause.opt}"
    guess = nearest(word, known)
    hint = f"did you mean {guess}?" if guess else f"it has: {', '.join(known)}" if known else IN_FRONT
    if "not recognized" in cause.msg:
        return f"{name}: no such option: {word}\nhint: {hint}"
    return f"{name}: {cause.msg}\nhint: {hint}"


def _spelled(options: Iterable[Any]) -> list[str]:
    long = [f"--{option.long}" for option in options if option.long]
    return [*long, *(f"-{option.short}" for option in options if option.short)]
