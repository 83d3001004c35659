"""The task graph. What each task does is in bmzoo/tasks.py; `./doit` alone explains how to start."""

import atexit
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from doit import get_var

from bmzoo.console import reporter
from bmzoo.progress import Progress
from bmzoo.tasks import Tasks
from bmzoo.workspace import Workspace

ROOT = Path(__file__).resolve().parent
PROGRESS = Progress()
WORKSPACE = Workspace(ROOT, os.environ, PROGRESS, get_var("weights"), echo=get_var("echo") == "yes")
TASKS = Tasks(WORKSPACE)
atexit.register(WORKSPACE.close)

DOIT_CONFIG = {
    "default_tasks": ["usage"],
    "backend": "sqlite3",
    # bmzoo's own fingerprints say what is up to date; a database would only lock, fill up and go stale.
    "dep_file": ":memory:",
    "continue": True,
    "par_type": "thread",
    "reporter": reporter(PROGRESS, WORKSPACE.layout.junit),
}


def task_build() -> Iterator[dict[str, Any]]:
    yield from TASKS.build()


def task_verify() -> Iterator[dict[str, Any]]:
    yield from TASKS.verify()


def task_eval() -> Iterator[dict[str, Any]]:
    yield from TASKS.eval()


def task_model() -> Iterator[dict[str, Any]]:
    yield from TASKS.model()


def task_transform() -> Iterator[dict[str, Any]]:
    yield from TASKS.transform()


def task_calibrate() -> Iterator[dict[str, Any]]:
    yield from TASKS.calibrate()


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
