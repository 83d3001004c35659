"""The doit tasks of the whole zoo: `zoo`, `diff`, `upgrade` and `prune`."""

from bmzoo.results.left_out import left_out
from bmzoo.results.truth import has_truth
from bmzoo.target import longest_first
from bmzoo.tasks.guard import Task, guarded
from bmzoo.tasks.later import later
from bmzoo.tasks.row import Context


def zoo(context: Context) -> Task:
    """Write the manifest of all targets once they were built, verified and evaluated."""
    at, layout = context.workspace, context.workspace.layout
    needs = []
    absent = left_out(at)
    for model in (one for one in at.models.values() if one not in absent):
        targets = longest_first(model.targets)
        needs += [f"build:{one.qualified(at.default_model)}" for one in targets if one.unverified]
        names = [one.qualified(at.default_model) for one in targets if not one.unverified]
        needs += [f"verify:{name}" for name in names]
        if has_truth(at, model):
            needs += [f"eval:{name}" for name in names]
    return {
        "actions": [guarded(later("tasks.actions.zoo:run_zoo", at, context.outcomes))],
        # Not task_dep: doit skips a task after a failed dependency, and the manifest has to list failures. Tasks
        # named as `setup` run before this one as well, and it runs whether they succeed or not.
        "setup": needs,
        "targets": [str(path) for path in (layout.manifest, layout.sums, layout.results)],
        "clean": True,
    }


def diff(context: Context) -> Task:
    """Compare two manifests."""
    return {
        "actions": [guarded(later("tasks.actions.diff:run_diff", context.workspace, context.start))],
        "params": [{"name": "allow_removed", "long": "allow-removed", "type": bool, "default": False}],
        "pos_arg": "words",
        "verbosity": 2,
    }


def upgrade(context: Context) -> Task:
    """Compare what two versions of TPU-MLIR make of the zoo."""
    return {
        "actions": [guarded(later("tasks.actions.upgrade:run_upgrade", context.workspace))],
        "params": [
            {"name": "decide", "long": "decide", "type": bool, "default": False},
            {"name": "quick", "long": "quick", "type": bool, "default": False},
        ],
        "pos_arg": "words",
        "verbosity": 2,
    }


def prune(context: Context) -> Task:
    """List, or remove, the results of targets that no config names."""
    return {
        "actions": [guarded(later("tasks.actions.prune:run_prune", context.workspace, context.confirmed))],
        "verbosity": 2,
    }
