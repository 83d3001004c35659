"""The doit tasks that show what is known: `report` as pages, `tables` as Markdown, `why-slow` in the terminal."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bmzoo.errors import BmzooError, ConfigError, nearest
from bmzoo.tasks.guard import Task, guarded
from bmzoo.tasks.later import later
from bmzoo.tasks.row import Context
from bmzoo.tasks.variables import belongs_in_front
from bmzoo.workspace import Workspace

if TYPE_CHECKING:
    from bmzoo.release.manifest import ZooManifest
    from bmzoo.report.index_page import Since

SINCE = "since"


def report(context: Context) -> Task:
    """Write the pages."""
    action = guarded(partial(_report, context.workspace, context.start))
    return {"actions": [action], "pos_arg": "words", "verbosity": 2}


def tables(context: Context) -> Task:
    """Write the published tables with ours."""
    action = guarded(later("tasks.actions.tables:run_tables", context.workspace, context.start))
    return {"actions": [action], "pos_arg": "words", "verbosity": 2}


def why_slow(context: Context) -> Task:
    """Name a target's costliest layers."""
    return {"actions": [guarded(partial(_why_slow, context.workspace))], "pos_arg": "names", "verbosity": 2}


def _report(at: Workspace, start: Path, words: list[str]) -> None:
    from bmzoo.report.gather import current_manifest
    from bmzoo.report.write import write_report

    older = since_what(words)
    manifest = current_manifest(at)
    found = write_report(at, manifest, _compared(at, start, older, manifest) if older else None)
    at.report.say(f"report: {found.targets} targets: {at.layout.shown(found.index)}")


def since_what(words: Sequence[str]) -> str:
    """The manifest that `since=` names; empty without it. Raises ConfigError."""
    found = ""
    for word in words:
        name, sign, value = word.partition("=")
        if name == SINCE and sign and value and found in ("", value):
            found = value
            continue
        guess = nearest(name, [SINCE]) if sign and value and name != SINCE else None
        hint = belongs_in_front(word) or (
            f"did you mean {guess}={value}?" if guess else "report since=OLD/zoo.json"
        )
        said = "said twice" if name == SINCE and found else "says nothing" if name == SINCE else "not understood"
        raise ConfigError(f"{said}: {word}", hint)
    return found


def _compared(at: Workspace, start: Path, older: str, manifest: "ZooManifest") -> "Since":
    from bmzoo.release.diff import compare_manifests
    from bmzoo.release.manifest import MAX_MANIFEST_BYTES, read_manifest
    from bmzoo.report.index_page import Since
    from bmzoo.sources import fetch

    before = read_manifest(fetch.text(older, start, MAX_MANIFEST_BYTES), older)
    limits = at.configs.settings.regression
    return Since(older, compare_manifests(before, manifest, limits, at.default_model))


def _why_slow(at: Workspace, names: list[str]) -> None:
    from bmzoo.release.float_table import float_table
    from bmzoo.report.gather import known_profile
    from bmzoo.report.terminal import slow_layers
    from bmzoo.results.latency import of_artifact

    if len(names) != 1 or names[0].startswith("-"):
        raise BmzooError(f"one target is needed: {' '.join(names) or 'none given'}", "why-slow TARGET")
    name = names[0].removeprefix("build:")
    target = at.target(name)
    told = at.documents.by(at.layout.provenance(target))
    if not told:
        raise ConfigError(f"{name}: not built yet", f"./doit build:{name}")
    floats = {layer.layer for layer in float_table(at, target, told) or ()}
    cost = told["facts"].get("cost")
    shown = target.qualified(at.default_model)
    profile, estimate = known_profile(at, target, told), of_artifact(target, told)
    sys.stdout.write(slow_layers(shown, target, profile, floats, cost, estimate))
    sys.stdout.flush()
