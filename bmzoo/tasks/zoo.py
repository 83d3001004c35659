"""The doit tasks of the whole zoo: `zoo`, `diff` and `prune`."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bmzoo.errors import BmzooError, VerifyFailed
from bmzoo.release import committed_sums, inventory
from bmzoo.release import prune as pruning
from bmzoo.release.manifest import MAX_MANIFEST_BYTES, ZooManifest, manifest_json, read_manifest
from bmzoo.release.outcomes import Outcomes
from bmzoo.results import reference
from bmzoo.system import files
from bmzoo.system.junit import junit_xml
from bmzoo.target import longest_first
from bmzoo.tasks.guard import Task, guarded
from bmzoo.tasks.row import Context
from bmzoo.workspace import Workspace


def zoo(context: Context) -> Task:
    """Write the manifest of all targets once they were built, verified and evaluated."""
    at, layout = context.workspace, context.workspace.layout
    needs = []
    for model in at.models.values():
        names = [target.qualified(at.default_model) for target in longest_first(model.targets)]
        needs += [f"verify:{name}" for name in names]
        if inventory.has_truth(at, model):
            needs += [f"eval:{name}" for name in names]
    return {
        "actions": [guarded(partial(_write, at, context.outcomes))],
        # Not task_dep: doit skips a task after a failed dependency, and the manifest has to list failures. Tasks
        # named as `setup` run before this one as well, and it runs whether they succeed or not.
        "setup": needs,
        "targets": [str(path) for path in (layout.manifest, layout.sums, layout.results)],
        "clean": True,
    }


def diff(context: Context) -> Task:
    """Compare two manifests."""
    return {
        "actions": [guarded(partial(_diff, context.workspace, context.start))],
        "params": [{"name": "allow_removed", "long": "allow-removed", "type": bool, "default": False}],
        "pos_arg": "words",
        "verbosity": 2,
    }


def prune(context: Context) -> Task:
    """List, or remove, the results of targets that no config names."""
    return {"actions": [guarded(partial(_prune, context.workspace, context.confirmed))], "verbosity": 2}


def _write(at: Workspace, outcomes: Outcomes) -> None:
    from bmzoo.release.results_table import render

    manifest = inventory.take(at, outcomes)
    layout = at.layout
    texts = {
        layout.manifest: manifest_json(manifest),
        layout.sums: sums(manifest),
        layout.results: render(manifest, reference.reference(at)),
    }
    for path, text in texts.items():
        if not path.is_file() or path.read_bytes() != text.encode():
            files.write(text, path)
    for model in at.models.values():
        if model.config.evaluate is not None and not inventory.has_truth(at, model):
            truth = model.config.evaluate.truth
            at.report.warn(f"{model.name}: not evaluated: no ground truth on this machine: {truth}")
    _compare_bytes(at, manifest)
    whole = len(manifest.artifacts)
    bad = [a for a in manifest.artifacts if a.status != "verified"]
    said = f"{whole - len(bad)} of {whole} targets verified"
    if not bad and not manifest.broken:
        at.report.say(f"zoo: {said}: {layout.shown(layout.manifest)}")
        return
    raise VerifyFailed("\n".join([said, *_failures(at, manifest)]), f"see {layout.shown(layout.results)}")


def _compare_bytes(at: Workspace, manifest: ZooManifest) -> None:
    """Keep the committed digests current; under locked=yes artifacts of other bytes are an error."""
    path = at.layout.known_sums
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    toolchain, known = committed_sums.parse_sums(before)
    same = toolchain == at.toolchain.release
    other = committed_sums.differing(known if same else {}, manifest)
    shown = at.layout.shown(path)
    if other and at.options.locked:
        why = "" if same else f", made with {toolchain or 'nothing'} where this is {at.toolchain.release}"
        named = ", ".join(other[:4])
        raise VerifyFailed(
            f"{len(other)} artifacts have other bytes than {shown} says{why}, and locked=yes: {named}",
            "./doit zoo without locked=yes writes them; ./doit reproduce:TARGET says whether one is reproducible",
        )
    text = committed_sums.text_of_sums(at.toolchain.release, committed_sums.merged(known if same else {}, manifest))
    if text != before and not at.options.locked and manifest.artifacts:
        files.write(text, path)
        at.report.say(f"zoo: {shown}: {len(other)} artifacts have other bytes than before")


def _failures(at: Workspace, manifest: ZooManifest) -> Iterator[str]:
    for artifact in manifest.artifacts:
        if artifact.status != "verified":
            name = artifact.target.qualified(at.default_model)
            where = f" ({artifact.evidence})" if artifact.evidence else ""
            what = f"{artifact.status}, {artifact.stage}" if artifact.status != "failed" else artifact.stage
            yield f"  {name}: {what}: {artifact.cause}{where}"
    for model, why in sorted(manifest.broken.items()):
        yield f"  {model}: all targets: {why}"


def _diff(at: Workspace, start: Path, words: list[str], allow_removed: bool) -> None:
    from bmzoo.release import diff_report
    from bmzoo.release.diff import compare_manifests
    from bmzoo.sources import fetch

    flag = "--allow-removed"  # doit takes options before the words only
    names = [word for word in words if word != flag]
    if len(names) != 2 or any(name.startswith("-") for name in names):
        raise BmzooError(f"diff: two manifests are needed: {' '.join(words) or 'none given'}", "diff OLD NEW")
    old, new = (read_manifest(fetch.text(name, start, MAX_MANIFEST_BYTES), name) for name in names)
    limits = at.configs.settings.regression
    found = compare_manifests(old, new, limits, at.default_model, allow_removed or flag in words)
    layout = at.layout
    files.write(diff_report.comparison_json(found, *names), layout.difference)
    files.write(junit_xml("diff", diff_report.cases(found)), layout.difference.with_suffix(".xml"))
    sys.stdout.write(diff_report.comparison_table(found))
    sys.stdout.flush()
    if found.regressions:
        count = len(found.regressions)
        raise VerifyFailed(
            f"{count} regression{'s' if count > 1 else ''} from {names[0]} to {names[1]}",
            "the thresholds are in configs/zoo.yaml, below `regression`",
        )


def _prune(at: Workspace, confirmed: bool) -> None:
    from bmzoo.sources.git import tracked

    found = pruning.find_orphans(at, tracked(at.root, at.environ))
    if confirmed:
        pruning.remove(found)
    for line in pruning.lines(found, at.layout, removed=confirmed):
        sys.stdout.write(f"{line}\n")


def sums(manifest: ZooManifest) -> str:
    """Digests for `sha256sum -c` in `build/`, of every artifact that has not failed."""
    sound = [a for a in manifest.artifacts if a.status != "failed"]
    return "".join(f"{a.sha256}  {a.file}\n" for a in sorted(sound, key=lambda a: a.file))
