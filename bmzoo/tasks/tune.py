"""The doit task `tune`, by model and chip."""

import math
import os
from collections.abc import Mapping
from functools import partial

from bmzoo.errors import ConfigError, nearest
from bmzoo.tasks.guard import Task, guarded, params
from bmzoo.tasks.row import Context, TaskSubject
from bmzoo.tuning import run
from bmzoo.workspace import Workspace

TUNE_OPTIONS: Mapping[str, str] = {
    "ap": f"settings whose average precision is evaluated: {', '.join(run.EVALUATION_CHOICES)}; default: front",
    "minutes": "time limit after which no new trial starts; default: 20",
}


def tune(context: Context, subject: TaskSubject[str]) -> Task:
    """Try settings of INT8 for a model on a chip."""
    return {
        "doc": f"build/tune/{subject.model.name}.<weights>.{subject.of}/",
        "actions": [guarded(partial(_tune, context.workspace, subject))],
        "task_dep": [f"model:{subject.model.name}"],
        "params": params(TUNE_OPTIONS),
    }


def _tune(at: Workspace, subject: TaskSubject[str], ap: str, minutes: str) -> None:
    model, name = subject.model, subject.name
    found = run.Tuner(at, model, subject.of, name, options(ap, minutes)).run()
    at.report.say(f"tune:{name}:\n{run.publish_found(at, model, found)}")


def options(ap: str, minutes: str) -> run.TuningOptions:
    """Options of the command line; an empty text means the default. Raises ConfigError."""
    if ap and ap not in run.EVALUATION_CHOICES:
        guess = nearest(ap, run.EVALUATION_CHOICES)
        hint = f"did you mean {guess}? " if guess else ""
        raise ConfigError(f"--ap: not supported: {ap}", f"{hint}allowed: {', '.join(run.EVALUATION_CHOICES)}")
    try:
        number = float(minutes or run.TuningOptions.minutes)
    except ValueError:
        number = math.nan
    if not 0 < number <= 1e6:
        raise ConfigError(f"--minutes: not a number of minutes above 0: {minutes}", TUNE_OPTIONS["minutes"])
    return run.TuningOptions(ap or run.TuningOptions.evaluated, number, max(1, len(os.sched_getaffinity(0))))
