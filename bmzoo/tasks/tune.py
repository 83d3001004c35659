"""The doit task `tune`, by model and chip."""

import math
import os
from collections.abc import Iterator, Mapping
from functools import partial

from bmzoo.config.model import Model
from bmzoo.errors import ConfigError, nearest
from bmzoo.tasks.guard import Task, group, guarded
from bmzoo.tuning import run
from bmzoo.workspace import Workspace

OPTIONS: Mapping[str, str] = {
    "ap": f"whose average precision to show: {', '.join(run.EVALUATED)}; front when left out",
    "minutes": "after so many nothing new is started; 20 when left out",
}


class TuneTasks:
    """Yields doit's task dictionaries for one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace

    def tune(self) -> Iterator[Task]:
        """Try settings of INT8 one axis at a time; a table, a plot, and what to write into the config."""
        yield group("tune", self.tune.__doc__)
        for model in self._at.models.values():
            for chip in dict.fromkeys(t.chip for t in model.targets if t.precision == "int8"):
                name = chip if model.name == self._at.default_model else f"{model.name}.{chip}"
                yield {
                    "basename": "tune",
                    "name": name,
                    "doc": f"build/tune/{model.name}.<weights>.{chip}/",
                    "actions": [guarded(partial(self._tune, model, chip, name))],
                    "task_dep": [f"model:{model.name}"],
                    "params": [
                        {"name": key, "long": key, "default": "", "help": text} for key, text in OPTIONS.items()
                    ],
                }

    def _tune(self, model: Model, chip: str, name: str, ap: str, minutes: str) -> None:
        found = run.Tuner(self._at, model, chip, name, options(ap, minutes)).run()
        self._at.report.say(f"tune:{name}:\n{run.publish_found(self._at, model, found)}")


def options(ap: str, minutes: str) -> run.Options:
    """What stands on the line; empty for what is left out. Raises ConfigError."""
    if ap and ap not in run.EVALUATED:
        guess = nearest(ap, run.EVALUATED)
        hint = f"did you mean {guess}? " if guess else ""
        raise ConfigError(f"--ap: not supported: {ap}", f"{hint}allowed: {', '.join(run.EVALUATED)}")
    try:
        number = float(minutes or run.Options.minutes)
    except ValueError:
        number = math.nan
    if not 0 < number <= 1e6:
        raise ConfigError(f"--minutes: not a number of minutes above 0: {minutes}", OPTIONS["minutes"])
    return run.Options(ap or run.Options.evaluated, number, max(1, len(os.sched_getaffinity(0))))
