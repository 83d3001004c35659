"""The doit tasks that show something and build nothing: `plan`, `detect`, `doctor` and `usage`."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bmzoo.errors import BmzooError, ConfigError
from bmzoo.tasks.guard import Task, guarded
from bmzoo.tasks.plan import render_plan
from bmzoo.tasks.row import Context, Row
from bmzoo.workspace import Workspace

USAGE_ERROR = 2  # argparse's exit status

HELP = """bmzoo builds BModels from the YAML files in configs/, each one verified on a chip simulator.

  ./doit build:bm1688_int8_4b_2core     one target
  ./doit -n 2 'build:*_int8_*'          all that match, two steps at a time
  ./doit list --all                     every task and target
  ./doit clean build:bm1688_int8_4b     remove a result

Tasks:
{tasks}
"""


def plan(context: Context) -> Task:
    """Print commands; run none."""
    at = context.workspace
    return {
        "actions": [guarded(lambda names: sys.stdout.write(render_plan(at, names)))],
        "pos_arg": "names",
        "verbosity": 2,
    }


def detect(context: Context) -> Task:
    """The runtime's command line."""
    action = guarded(partial(_detect, context.workspace, context.start))
    return {"actions": [action], "pos_arg": "words", "verbosity": 2}


def doctor(context: Context) -> Task:
    """Check the machine."""
    return {"actions": [guarded(partial(_doctor, context.workspace))], "verbosity": 2}


def usage(context: Context) -> Task:
    """What bare `./doit` shows."""
    return {"actions": [guarded(lambda: sys.stdout.write(usage_text(context.rows)))], "verbosity": 2}


def usage_text(rows: Sequence[Row]) -> str:
    """How to start, and one line for each task of the table that is to be shown."""
    return HELP.format(tasks="\n".join(f"  {row.name:10}{row.doc}" for row in rows if row.shown))


def _detect(at: Workspace, start: Path, words: list[str]) -> None:
    """Run the runtime's command line; a target's name is replaced by its artifact."""
    from bmzoo.runtime.__main__ import main

    if words and not words[0].startswith("-"):
        words = [_model(at, start, words[0]), *words[1:]]
    try:
        status = main(["detect", *words], start if start != Path.cwd() else None)
    except SystemExit as end:
        if end.code not in (0, USAGE_ERROR):
            raise
        status = int(end.code or 0)  # argparse has printed the error
    if status:
        raise BmzooError("detect failed", "see the error above")


def _model(at: Workspace, start: Path, word: str) -> str:
    """The artifact of a target, or the word itself for a model file. Raises ConfigError."""
    from bmzoo.runtime.engines.registry import ENGINES  # engines bring numpy, which `list` has no use for

    suffixes = {engine.suffix for engine in ENGINES.values()}
    if (start / word).is_file() or "/" in word or Path(word).suffix in suffixes:
        return word
    path = at.layout.artifact(at.target(word))
    if not path.is_file():
        raise ConfigError(f"{word}: not built yet", f"./doit build:{word}")
    return str(path)


def _doctor(at: Workspace) -> None:
    from bmzoo.tasks.doctor import examine

    bad = False
    for finding in examine(at):
        bad |= finding.bad
        sys.stdout.write(f"{finding}\n")
        sys.stdout.flush()
    if bad:
        raise BmzooError("a build could not work here", "each problem above has its fix beside it")
