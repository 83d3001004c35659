"""The task graph. The table of tasks is bmzoo/tasks/registry.py; `./doit` alone explains how to start."""

import atexit
import os
from pathlib import Path

from bmzoo.release.outcomes import Outcomes
from bmzoo.tasks import command_line
from bmzoo.tasks.progress import Progress
from bmzoo.tasks.registry import TASKS, creators
from bmzoo.tasks.reporter import reporter
from bmzoo.tasks.row import Context
from bmzoo.workspace import Workspace

ROOT = Path(__file__).resolve().parent
PROGRESS = Progress()
GIVEN = command_line.given()
WORKSPACE = Workspace(ROOT, os.environ, PROGRESS, GIVEN.options)
OUTCOMES = Outcomes()
START = command_line.start(os.environ)
KEY = START / GIVEN.key if GIVEN.key else None
CONTEXT = Context(WORKSPACE, TASKS, OUTCOMES, confirmed=GIVEN.confirmed, start=START, key=KEY)
atexit.register(WORKSPACE.digests.save)

DOIT_CONFIG = {
    "default_tasks": ["usage"],
    "backend": "sqlite3",
    # bmzoo's own fingerprints say what is up to date; a database would only lock, fill up and go stale.
    "dep_file": ":memory:",
    "continue": True,
    "par_type": "thread",
    "reporter": reporter(PROGRESS, WORKSPACE.layout.junit, OUTCOMES),
}
globals().update(creators(CONTEXT))
