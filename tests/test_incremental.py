"""Random changes, each followed by a build: exactly the steps run that must, and nothing published is stale.

What must run is worked out here from what each step of the fake toolchain reads and gives, with no fingerprint,
store or index: see `Expected`.
"""

import hashlib
import json
import os
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Project
from mutations import CHANGES, FP32, INT8, World

from bmzoo.explain.why import OPEN, Explainer, StepStatus
from bmzoo.results import calibration
from bmzoo.results.artifact import build_artifact, is_current
from bmzoo.store.local import Store
from bmzoo.system.hashing import sha256
from bmzoo.tasks.actions.explain import subtasks
from bmzoo.tasks.registry import TASKS
from bmzoo.tasks.row import Context
from bmzoo.workspace import Workspace

MUTATIONS = 300


# --- what is checked -------------------------------------------------------------------------------------------


def explained(at: Workspace) -> list[StepStatus]:
    builder = replace(at.builder(at.models["tiny"]), store=Store(at.layout.build, stamping=False))
    explanation = Explainer(builder, at.last)
    goals = [task.goal() for task in subtasks(Context(at, TASKS)) if task.name.startswith("build:")]
    return explanation.of(end for goal in goals for end in goal.ends)


def check_artifacts(w: World, at: Workspace) -> None:
    """Against what the fake tools must have written for the state as it is."""
    for name, batch in ((INT8, 2), (FP32, 1)):
        target = at.target(name)
        data = at.layout.artifact(target).read_bytes()
        told = json.loads(at.layout.provenance(target).read_text())
        made = json.loads(data.split(b"\n")[1])
        assert data.endswith((w.project.data / "model.onnx").read_bytes()[-1000:])
        assert told["sha256"] == hashlib.sha256(data).hexdigest()
        assert told["verdict"]["thresholds"]["cosine"] == w.state.cosine
        assert told["verdict"]["thresholds"]["iou"] == w.state.iou
        assert told["steps"]["deploy"]["tools"]["model_deploy.py"] == w.state.version
        assert told["steps"]["deploy"]["environment"] == {"LANG": w.state.reaching}
        assert list(told["steps"]["import"]["files"]) == ["model.json", "model.onnx"]
        shown = told["steps"]["simulate"]["inputs"]
        digests = [shown[key] for key in sorted(shown) if key.startswith("pictures/")]
        assert digests == [sha256(path) for path in w.folder("selection")[:batch]]
        if name == INT8:
            assert [a for a in made["args"] if a in ("--high_precision", "--disable_layer_group")] == w.state.flags
            assert told["steps"]["calibrate"]["pictures"].startswith(f"{len(w.folder('calibration'))}, ")
            assert f'"method":"{w.state.method}"' in told["steps"]["calibrate"]["settings"]
            assert f" {w.threshold()} " in made["table"]


def build(w: World) -> SimpleNamespace:
    """What doit does about both targets: skip what is current, make what is not."""
    at = w.open()
    findings = explained(at)
    assert w.names.steps == [], "an explanation runs nothing"
    if w.random.random() < 0.2:
        if not calibration.is_current(at, at.models["tiny"], ""):
            calibration.calibrate(at, at.models["tiny"], "")
        tabled = True
    else:
        tabled = False
    for name in (INT8, FP32):
        if not is_current(at, at.target(name)):
            build_artifact(at, at.target(name))
        assert is_current(at, at.target(name))
    at.digests.save()
    return SimpleNamespace(at=at, findings=findings, ran=list(w.names.steps), tabled=tabled)


def test_a_build_after_any_change_runs_what_it_must_and_nothing_else(project: Project) -> None:
    w = World(project)
    counts: dict[str, int] = {}
    idle = 0
    for number in range(MUTATIONS + 1):
        change = w.random.choice(CHANGES)
        if number:
            change(w)
            w.configure()
        wanted = w.expected.build(w.state, w.pictures(), w.threshold())
        done = build(w)
        if done.tabled:
            w.expected.committed_table(w.state, w.pictures())
        where = f"change {number}: {change.__name__}"
        assert sorted(done.ran) == sorted(wanted), where
        assert {str(f.step) for f in done.findings if f.certain} <= wanted, where
        assert wanted <= {str(f.step) for f in done.findings if f.state in OPEN}, where
        check_artifacts(w, done.at)
        counts[change.__name__] = counts.get(change.__name__, 0) + len(done.ran)
        idle += not done.ran
    for name in (
        "variable_that_does_not",
        "comment",
        "touched_file",
        "threshold",
        "artifact_damaged",
        "index_lost",
    ):
        assert counts[name] == 0, name
    assert all(counts[name] for name in ("flag", "mean", "method", "tool_version", "result_lost"))
    assert 60 < idle < 240  # both are put to the test


def test_what_was_published_is_stale_once_the_thresholds_change(project: Project) -> None:
    w = World(project)
    build(w)
    w.state.cosine = 0.7
    w.configure()
    at = w.open()
    assert not is_current(at, at.target(INT8))
    build_artifact(at, at.target(INT8))
    assert w.names.steps == []


def test_a_picture_that_only_the_provenance_names_is_brought_up_to_date(project: Project) -> None:
    """Calibrated on other bytes to the same thresholds: nothing is compiled, but the origin is another."""
    w = World(project)
    build(w)
    target = w.open().target(INT8)
    told: dict[str, Any] = json.loads(w.open().layout.provenance(target).read_text())
    at = w.open()
    first = w.folder("selection")[0]
    w.paint(first, f"{w.content[first]}+1")
    build(w)
    now = json.loads(at.layout.provenance(target).read_text())
    assert now["sha256"] == told["sha256"]
    key = "pictures/00000.png"
    assert now["steps"]["simulate"]["inputs"][key] == sha256(first) != told["steps"]["simulate"]["inputs"][key]


@pytest.mark.parametrize("seconds", [0, 86_400])
def test_a_file_that_is_only_touched_runs_nothing(project: Project, seconds: int) -> None:
    w = World(project)
    build(w)
    for path in (*w.content, w.project.data / "model.onnx", w.project.config):
        os.utime(path, (path.stat().st_mtime + seconds,) * 2)
    assert build(w).ran == []
