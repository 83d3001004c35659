"""The doit tasks of INT8 by model and chip: `rank`, `qtable` and `tune`."""

from collections.abc import Callable, Mapping
from typing import Any

from bmzoo.config.search_methods import METHODS
from bmzoo.tasks.guard import Task, guarded, params, quietly
from bmzoo.tasks.later import later
from bmzoo.tasks.row import Context, TaskSubject

# Options on the command line: `./doit qtable:bm1684 --max_float_layers 8`.
SEARCH_OPTIONS: Mapping[str, str] = {
    "max_float_layers": "most layers that may stay in float",
    "expected_cos": "stop when the lowest cosine over the heads is at least this, 0 to 1",
    "gain": "stop when a further layer reduces the loss by less than this fraction, 0 to 1",
    "keep": "keep the N most sensitive layers in float, without a search",
    "metric": "faces or cosine",
    "exclude": "layers that stay INT8: patterns, separated by commas",
    "ap_drop": "a goal in place of a number: points that INT8 may lose",
    "latency": "a goal in place of a number: how long a picture may take, 3.0ms or +5%",
    "method": f"how to search: {', '.join(METHODS)}",
}
# Which points to evaluate (average precision): none, those on the Pareto front, or all.
EVALUATION_CHOICES = ("none", "front", "all")
TUNE_OPTIONS: Mapping[str, str] = {
    "ap": f"settings whose average precision is evaluated: {', '.join(EVALUATION_CHOICES)}; default: front",
    "minutes": "time limit after which no new trial starts; default: 20",
}


def rank(context: Context, subject: TaskSubject[str]) -> Task:
    """Show how sensitive a model's layers are on a chip."""
    at, model, chip = context.workspace, subject.model, subject.of
    return {
        "doc": f"layers of {model.name} by sensitivity on {chip}",
        "actions": [guarded(later("tasks.actions.search:run_rank", at, model, chip, subject.name))],
        "task_dep": [f"model:{model.name}"],
        "verbosity": 2,
    }


def qtable(context: Context, subject: TaskSubject[str]) -> Task:
    """Search a model's float layers on a chip."""
    at, model, chip = context.workspace, subject.model, subject.of
    return {
        "doc": f"qtables/{model.name}.<weights>.{chip}.qtable",
        "actions": [guarded(later("tasks.actions.search:run_qtable", at, model, chip, subject.name))],
        "uptodate": [_unless_tried(quietly(later("tasks.actions.search:is_current_qtable", at, model, chip)))],
        "task_dep": [f"model:{model.name}"],
        "params": params(SEARCH_OPTIONS),
    }


def tune(context: Context, subject: TaskSubject[str]) -> Task:
    """Try settings of INT8 for a model on a chip."""
    return {
        "doc": f"build/tune/{subject.model.name}.<weights>.{subject.of}/",
        "actions": [guarded(later("tasks.actions.tune:run_tune", context.workspace, subject))],
        "task_dep": [f"model:{subject.model.name}"],
        "params": params(TUNE_OPTIONS),
    }


def _unless_tried(check: Callable[[], bool]) -> Callable[..., bool]:
    """An `uptodate` check that is false when there are options on the command line, whatever is published."""

    def call(task: Any) -> bool:  # noqa: ANN401  # doit's Task, handed over by this argument's name
        return not any((task.options or {}).values()) and check()

    return call
