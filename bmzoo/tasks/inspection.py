"""The doit tasks that build nothing: `plan`, `explain`, `decisions`, `detect`, `attest`, `new` and `doctor`."""

import sys
from collections.abc import Sequence

from bmzoo.tasks.guard import Task, guarded
from bmzoo.tasks.later import later
from bmzoo.tasks.row import Context, Row

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
    return {
        "actions": [guarded(later("tasks.actions.plan:run_plan", context.workspace))],
        "pos_arg": "names",
        "verbosity": 2,
    }


def explain(context: Context) -> Task:
    """Say what would run."""
    return {
        "actions": [guarded(later("tasks.actions.explain:run_explain", context))],
        "pos_arg": "names",
        "verbosity": 2,
    }


def decisions(context: Context) -> Task:
    """List decisions with what each is worth; under locked=yes one that is not current is a failure."""
    return {"actions": [guarded(later("tasks.actions.decisions:run_decisions", context.workspace))], "verbosity": 2}


def detect(context: Context) -> Task:
    """The runtime's command line."""
    action = guarded(later("tasks.actions.detect:run_detect", context.workspace, context.start))
    return {"actions": [action], "pos_arg": "words", "verbosity": 2}


def attest(context: Context) -> Task:
    """Verify an archive."""
    action = guarded(later("tasks.actions.attest:run_attest", context.start, context.key))
    return {"actions": [action], "pos_arg": "words", "verbosity": 2}


def new(context: Context) -> Task:
    """Write configs; overwrite none."""
    action = guarded(later("tasks.actions.new:run_new", context.workspace, context.start))
    return {"actions": [action], "pos_arg": "words", "verbosity": 2}


def doctor(context: Context) -> Task:
    """Check the machine."""
    return {
        "actions": [guarded(later("tasks.actions.doctor:run_doctor", context.workspace))],
        "verbosity": 2,
    }


def usage(context: Context) -> Task:
    """What bare `./doit` shows."""
    return {"actions": [guarded(lambda: sys.stdout.write(usage_text(context.rows)))], "verbosity": 2}


def usage_text(rows: Sequence[Row]) -> str:
    """How to start, and one line for each task of the table that is to be shown."""
    return HELP.format(tasks="\n".join(f"  {row.name:10}{row.doc}" for row in rows if row.shown))
