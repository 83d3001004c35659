"""What `gc` and `fsck` do."""

from collections.abc import Iterator
from dataclasses import replace

from bmzoo.config.model import Model
from bmzoo.errors import BmzooError, ConfigError, StoreError
from bmzoo.plan.evaluate import evaluate_lowering, evaluate_onnx
from bmzoo.plan.step import Step
from bmzoo.plan.verify import proof
from bmzoo.store import fsck as check
from bmzoo.store import gc as cleanup
from bmzoo.store.local import Store
from bmzoo.tasks.progress import bar
from bmzoo.workspace import Workspace


def run_gc(at: Workspace, dry_run: bool) -> None:
    limit = at.configs.settings.store.limit
    store = Store(at.layout.build, stamping=False)  # this lookup does not count as use
    needed = _needed(at, store) if limit is not None else frozenset()
    done = cleanup.clean(store, limit, needed, dry_run)
    for line in done.lines():
        at.report.say(f"{'gc --dry-run' if dry_run else 'gc'}: {line}")
    if limit is None:
        at.report.say("gc: for a limit, put `store: {limit: 20GB}` into configs/zoo.yaml")


def _needed(at: Workspace, store: Store) -> frozenset[str]:
    """Fingerprints of the stored results that the configs' targets depend on."""
    needed: frozenset[str] = frozenset()
    for model in at.models.values():
        try:
            builder = replace(at.builder(model), store=store, on_result=lambda step, resolved: None)
            for step in _steps(at, model):
                builder.find(step)
            needed |= builder.found()
        except BmzooError as error:
            at.report.warn(
                f"gc: the results that {model.name} uses are unknown, so they are not protected: {error.message}"
            )
    return needed


def run_fsck(at: Workspace, remote: bool) -> None:
    where, shared = "build/store", at.remote
    store = Store(at.layout.build, stamping=False)
    if remote and shared is None:
        raise ConfigError(
            "fsck: there is no shared store",
            "name one below `store` as `url` in configs/zoo.yaml, or in $BMZOO_STORE",
        )
    if remote and shared is not None:
        where = shared.url
        names = shared.fingerprints()
        count, size = len(names), 0
        with bar("fsck", count) as advance:
            bad = check.check_remote(shared, store, names, advance)
    else:
        usage = cleanup.usages(store)
        count, size = len(usage), sum(entry.size for entry in usage)
        with bar("fsck", size) as advance:
            bad = check.check_store(store, advance)
    if bad:
        found = "\n".join(f"  {entry}" for entry in bad)
        raise StoreError(
            f"{where}: {len(bad)} of {count} entries are damaged\n{found}", "the next build makes them again"
        )
    amount = f", {cleanup.size(size)}" if size else ""
    at.report.say(f"fsck: {where}: {count} entries{amount}, all as they were made")


def _steps(at: Workspace, model: Model) -> Iterator[Step]:
    weights = at.weights.chosen(model)
    for target in model.targets:
        checks = proof(model, target, weights)
        yield from (*at.recipe(target).grounds, checks.lower, checks.infer, checks.compare)
        if model.config.evaluate is not None:
            yield evaluate_lowering(model, target, weights)
    if model.config.evaluate is not None:
        yield evaluate_onnx(model, weights)
