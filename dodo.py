"""The task graph. What each task does is in bmzoo/tasks/; `./doit` alone explains how to start."""

import atexit
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from doit import get_var

from bmzoo.release.outcomes import Outcomes
from bmzoo.tasks.explain import ExplainTasks
from bmzoo.tasks.progress import Progress
from bmzoo.tasks.reporter import reporter
from bmzoo.tasks.search import SearchTasks
from bmzoo.tasks.store import StoreTasks
from bmzoo.tasks.targets import Tasks
from bmzoo.tasks.tune import TuneTasks
from bmzoo.tasks.zoo import ZooTasks
from bmzoo.workspace import Workspace

ROOT = Path(__file__).resolve().parent
PROGRESS = Progress()
WORKSPACE = Workspace(
    ROOT, os.environ, PROGRESS, get_var("weights"), get_var("echo") == "yes", get_var("scheduler")
)
TASKS = Tasks(WORKSPACE)
SEARCH_TASKS = SearchTasks(WORKSPACE)
OUTCOMES = Outcomes()
ZOO_TASKS = ZooTasks(WORKSPACE, OUTCOMES, sure=get_var("yes") in ("1", "yes"))
atexit.register(WORKSPACE.close)

DOIT_CONFIG = {
    "default_tasks": ["usage"],
    "backend": "sqlite3",
    # bmzoo's own fingerprints say what is up to date; a database would only lock, fill up and go stale.
    "dep_file": ":memory:",
    "continue": True,
    "par_type": "thread",
    "reporter": reporter(PROGRESS, WORKSPACE.layout.junit, OUTCOMES),
}


def task_build() -> Iterator[dict[str, Any]]:
    yield from TASKS.build()


def task_verify() -> Iterator[dict[str, Any]]:
    yield from TASKS.verify()


def task_eval() -> Iterator[dict[str, Any]]:
    yield from TASKS.eval()


def task_zoo() -> Iterator[dict[str, Any]]:
    yield from ZOO_TASKS.zoo()


def task_diff() -> Iterator[dict[str, Any]]:
    yield from ZOO_TASKS.diff()


def task_prune() -> Iterator[dict[str, Any]]:
    yield from ZOO_TASKS.prune()


def task_model() -> Iterator[dict[str, Any]]:
    yield from TASKS.model()


def task_transform() -> Iterator[dict[str, Any]]:
    yield from TASKS.transform()


def task_calibrate() -> Iterator[dict[str, Any]]:
    yield from TASKS.calibrate()


def task_rank() -> Iterator[dict[str, Any]]:
    yield from SEARCH_TASKS.rank()


def task_qtable() -> Iterator[dict[str, Any]]:
    yield from SEARCH_TASKS.qtable()


def task_tune() -> Iterator[dict[str, Any]]:
    yield from TuneTasks(WORKSPACE).tune()


def task_bench() -> Iterator[dict[str, Any]]:
    yield from TASKS.bench()


def task_detect() -> Iterator[dict[str, Any]]:
    yield from TASKS.detect()


def task_doctor() -> Iterator[dict[str, Any]]:
    yield from TASKS.doctor()


def task_usage() -> Iterator[dict[str, Any]]:
    yield from TASKS.usage()


def task_test() -> Iterator[dict[str, Any]]:
    yield from TASKS.test()


def task_lint() -> Iterator[dict[str, Any]]:
    yield from TASKS.lint()


def task_plan() -> Iterator[dict[str, Any]]:
    yield from TASKS.plan()


def task_gc() -> Iterator[dict[str, Any]]:
    yield from StoreTasks(WORKSPACE).gc()


def task_fsck() -> Iterator[dict[str, Any]]:
    yield from StoreTasks(WORKSPACE).fsck()


def task_explain() -> Iterator[dict[str, Any]]:
    yield from ExplainTasks(WORKSPACE).explain()


def task_reproduce() -> Iterator[dict[str, Any]]:
    yield from ExplainTasks(WORKSPACE).reproduce()
