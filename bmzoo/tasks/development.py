"""The doit tasks for working on bmzoo itself: `test` and `lint`."""

import sys

from bmzoo.tasks.guard import Task
from bmzoo.tasks.row import Context
from bmzoo.workspace import Workspace

# As in .pre-commit-config.yaml.
LINT = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",))


def test(context: Context) -> Task:
    """Run pytest, with the tests that need the compiler."""
    return _checks(context.workspace, (("pytest", "-q", "-m", ""),))


def lint(context: Context) -> Task:
    """Run ruff and mypy."""
    return _checks(context.workspace, LINT)


def _checks(at: Workspace, commands: tuple[tuple[str, ...], ...]) -> Task:
    """Development tools as they are, their output untouched; their packages are installed first."""
    install = [sys.executable, str(at.root / "tools" / "bootstrap.py"), "--dev"]
    return {"actions": [install, *([sys.executable, "-m", *command] for command in commands)], "verbosity": 2}
