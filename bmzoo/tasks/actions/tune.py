"""What `tune` does."""

import math
import os

from bmzoo.errors import ConfigError, nearest
from bmzoo.tasks.row import TaskSubject
from bmzoo.tasks.search import EVALUATION_CHOICES, TUNE_OPTIONS
from bmzoo.tuning import run
from bmzoo.workspace import Workspace


def run_tune(at: Workspace, subject: TaskSubject[str], ap: str, minutes: str) -> None:
    model, name = subject.model, subject.name
    found = run.Tuner(at, model, subject.of, name, options(ap, minutes)).run()
    at.report.say(f"tune:{name}:\n{run.publish_found(at, model, found)}")


def options(ap: str, minutes: str) -> run.TuningOptions:
    """Options of the command line; an empty text means the default. Raises ConfigError."""
    if ap and ap not in EVALUATION_CHOICES:
        guess = nearest(ap, EVALUATION_CHOICES)
        hint = f"did you mean {guess}? " if guess else ""
        raise ConfigError(f"--ap: not supported: {ap}", f"{hint}allowed: {', '.join(EVALUATION_CHOICES)}")
    try:
        number = float(minutes or run.TuningOptions.minutes)
    except ValueError:
        number = math.nan
    if not 0 < number <= 1e6:
        raise ConfigError(f"--minutes: not a number of minutes above 0: {minutes}", TUNE_OPTIONS["minutes"])
    return run.TuningOptions(ap or run.TuningOptions.evaluated, number, max(1, len(os.sched_getaffinity(0))))
