"""`doit run` for bmzoo: unknown tasks, options and patterns explained, SIGTERM handled like Ctrl-C."""

import signal
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from functools import wraps
from typing import Any

from doit.cmd_info import Info as DoitInfo
from doit.cmd_run import Run as DoitRun
from doit.exceptions import InvalidCommand

from bmzoo.chips import CHIPS
from bmzoo.errors import BmzooError, nearest
from bmzoo.tasks.command_line import Explained, parsed_options
from bmzoo.tasks.row import Context, Kind
from bmzoo.workspace import Workspace


class Run(Explained, DoitRun):  # type: ignore[misc]  # doit ships no types
    """The same command under the same name, so that plain `doit TASK` keeps working."""

    name = "run"

    def execute(self, params: dict[str, Any], args: list[str]) -> int:
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            return int(super().execute(params, args))
        except KeyboardInterrupt:
            sys.stderr.write("interrupted; what was finished is kept, run the same command to go on\n")
            return 130

    sel_tasks: list[str]

    @wraps(DoitRun._execute)  # doit reads the parameters' names from this signature
    def _execute(self, *args: Any, **kwargs: Any) -> int:
        context = _context(self.task_list)
        self.sel_tasks = with_colons(self.task_list, self.sel_tasks or ())
        problem = explain_unknown(self.task_list, self.sel_tasks or ())
        if problem:
            raise InvalidCommand(problem)
        self.sel_tasks = _left_alone(self.task_list, self.sel_tasks)
        words = " ".join(self.sel_tasks)
        for name, error in context.workspace.configs.broken.items() if context is not None else ():
            if name in words:
                continue  # the task says so itself
            sys.stderr.write(f"warning: {error.message}\n")
        return int(super()._execute(*args, **kwargs))


class Info(Explained, DoitInfo):  # type: ignore[misc]
    """The same command; doit's own shows a traceback for an unknown task."""

    name = "info"

    @wraps(DoitInfo._execute)
    def _execute(self, pos_args: list[str], *args: Any, **kwargs: Any) -> int:
        problem = explain_unknown(self.task_list, pos_args)
        if problem:
            raise InvalidCommand(problem)
        return int(super()._execute(pos_args, *args, **kwargs))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def explain_unknown(tasks: Iterable[Any], words: Iterable[str]) -> str:
    """The error for the first word that names no task and is no option of one; empty when all are known."""
    known = {task.name: task for task in tasks}
    targets = {path for task in known.values() for path in task.targets}
    left = list(words)
    while left:
        word = left.pop(0)
        task = known.get(word)
        if task is not None and task.pos_arg is not None:
            return ""
        if task is not None:
            try:
                left = parsed_options(word, task.params, left)
            except InvalidCommand as error:
                return str(error)
        elif word not in targets and not _matches(word, known):
            return _why(word, list(known), _context(known.values()))
    return ""


def with_colons(tasks: Iterable[Any], words: Sequence[str]) -> list[str]:
    """Words with `export TARGET` as `export:TARGET`: what names no task, behind a task that has such a subtask."""
    known = {task.name: task for task in tasks}
    found: list[str] = []
    group = ""
    for position, word in enumerate(words):
        if word in known and known[word].pos_arg is not None:
            return [*found, *words[position:]]  # what follows is its own
        full = f"{group}:{word}"
        if group and word not in known and (full in known or _matches(full, known)):
            found = [*(found[:-1] if found[-1] == group else found), full]
            continue
        group = word
        found.append(word)
    return found


def _left_alone(tasks: Iterable[Any], words: Sequence[str]) -> list[str]:
    """Words for doit's own parser, which would take `detect --out DIR` for an option of the task."""
    takers = {task.name for task in tasks if task.pos_arg is not None}
    for position, word in enumerate(words):
        if word in takers:
            return [*words[: position + 1], "--", *words[position + 1 :]]
    return list(words)


def _context(tasks: Iterable[Any]) -> Context | None:
    return next((task.meta["context"] for task in tasks if task.meta), None)


def _matches(word: str, known: Iterable[str]) -> bool:
    return "*" in word and any(fnmatch(name, word) for name in known)


def _why(word: str, names: list[str], context: Context | None) -> str:
    group, colon, rest = word.partition(":")
    if word.startswith("-"):
        return f"{word}: no such option\nhint: options of doit stand in front of all tasks: ./doit {word} TASK"
    broken = context.workspace.configs.broken_one(rest) if context is not None and context.kind(group) else None
    if broken is not None:
        return broken.render()
    if "*" in word:
        return f"{word}: matches no task\nhint: ./doit list --all shows every task"
    groups = sorted({name.partition(":")[0] for name in names})
    kind = context.kind(group) if context is not None else None
    if (
        context is not None
        and colon
        and kind is Kind.TARGET
        and (wrong := _why_not_target(context.workspace, word))
    ):
        return wrong
    if kind is Kind.CHIP and rest.rpartition(".")[2] in CHIPS:
        chips = ", ".join(name.partition(":")[2] for name in names if name.startswith(f"{group}:"))
        return f"{word}: no INT8 targets for this chip in the config\nhint: there are for: {chips or 'none'}"
    guess = nearest(word, names)
    hint = f"did you mean {guess}?" if guess else f"tasks: {', '.join(groups)}"
    return f"{word or 'an empty word'}: no such task\nhint: {hint}"


def _why_not_target(at: Workspace, word: str) -> str:
    """What is wrong with a target, or with doing something with it that wants its artifact run; mostly nothing."""
    group, _, name = word.partition(":")
    try:
        target = at.target(name)
    except BmzooError as error:
        return error.render()
    if target.unverified:
        return f"{word}: nothing here runs its artifact: {target.unverified}\nhint: ./doit build:{name} compiles it"
    if group == "export" and target.compiled.endswith(".cvimodel"):
        hint = f"./doit verify:{name}, and take build/{target.artifact} with its .json to the board"
        return f"{word}: an archive is checked with sophon.sail, which runs no .cvimodel\nhint: {hint}"
    return ""
