"""Decisions: scales, thresholds and float layers, derived with floats once and committed as text. Pure.

What follows from a decision is exact, so it is the same on every machine; deriving one again may give another last
digit. So a decision is recognised by its sources alone: digests of weights and pictures, settings, the decisions
that it rests on, the version of its algorithm, and that of TPU-MLIR where its programs have a part in it.
"""

import json
from collections.abc import Mapping
from typing import Any

from bmzoo.plan.step import Decision, Input

SCALES = "equalization scales"
THRESHOLDS = "calibration thresholds"
FLOAT_LAYERS = "float layers"
INT8_SETTINGS = "INT8 settings"
# Raise a number where the algorithm, or the import of a model, comes to other results: what was committed is then
# derived again. tests/plan/test_decision_versions.py fails where results change and the number does not.
VERSIONS: Mapping[str, int] = {SCALES: 1, THRESHOLDS: 1, FLOAT_LAYERS: 1, INT8_SETTINGS: 1}


def decision(
    kind: str, settings: Mapping[str, Any], sources: Mapping[str, Input], vendor: bool = False
) -> Decision:
    """A decision of one of the kinds above. `settings`: JSON-able. `vendor`: TPU-MLIR's version counts."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return Decision(kind, text, tuple(sources.items()), vendor)


def facts(made: Decision, sources: Mapping[str, str], toolchain: str) -> dict[str, str]:
    """What a decision is derived from, a line of text each. `sources`: name -> what stands for its content."""
    tool = {"toolchain": toolchain} if made.vendor else {}
    return {"decision": f"{made.kind}, version {VERSIONS[made.kind]}", **sources, "settings": made.settings, **tool}


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs between the facts of two decisions, for people; empty where nothing does."""
    names = [name for name in dict.fromkeys((*now, *before)) if before.get(name) != now.get(name)]
    return "; ".join(_settings(before, now) if name == "settings" else _source(name, before, now) for name in names)


def _source(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    if name not in before or name not in now:
        return f"{name} {'no longer counts' if name in before else 'counts now'}"
    if name in ("decision", "toolchain"):
        return f"{name}: {before[name]} -> {now[name]}"
    return f"{name} changed"


def _settings(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    old, new = _parsed(before.get("settings", "")), _parsed(now.get("settings", ""))
    keys = [key for key in dict.fromkeys((*new, *old)) if old.get(key) != new.get(key)]
    return (
        "; ".join(f"{key}: {json.dumps(old.get(key))} -> {json.dumps(new.get(key))}" for key in keys) or "settings"
    )


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def command_for(kind: str) -> str:
    """The task that derives a kind of decision."""
    return {FLOAT_LAYERS: "qtable", INT8_SETTINGS: "quantize"}.get(kind, "calibrate")
