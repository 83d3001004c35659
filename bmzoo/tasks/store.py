"""The doit tasks that maintain the store: `gc` and `fsck`."""

from bmzoo.tasks.guard import Task, guarded
from bmzoo.tasks.later import later
from bmzoo.tasks.row import Context


def gc(context: Context) -> Task:
    """Remove the least recently used results."""
    return {
        "actions": [guarded(later("tasks.actions.store:run_gc", context.workspace))],
        "params": [
            {"name": "dry_run", "long": "dry-run", "type": bool, "default": False, "help": "list, remove nothing"}
        ],
        "verbosity": 2,
    }


def fsck(context: Context) -> Task:
    """Check stored results against their digests."""
    return {
        "actions": [guarded(later("tasks.actions.store:run_fsck", context.workspace))],
        "params": [{"name": "remote", "long": "remote", "type": bool, "default": False, "help": "shared store"}],
        "verbosity": 2,
    }
