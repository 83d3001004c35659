"""Targets of one zoo attempted one after the other: what stands for each, whatever became of it."""

import json
from dataclasses import replace

import pytest
from conftest import Project
from manifests import artifact

from bmzoo.errors import ToolFailed
from bmzoo.plan.step import Command
from bmzoo.release.attempt import attempt, own_contents, own_times
from bmzoo.target import Target


@pytest.fixture
def two_floats(project: Project) -> Project:
    project.edit(
        "chip: [bm1684, bm1688], precision: [fp32, int8], batch: [1, 2]", "chip: [bm1684, bm1688], precision: fp32"
    )
    project.edit("selection}}", "selection}, floats: 2}")
    return project


def test_every_target_asked_for_has_a_result_and_a_failure_stops_no_other(two_floats: Project) -> None:
    def crash(command: Command, folder: object) -> None:
        if command.tool == "model_deploy.py" and "bm1684" in command.args:
            raise ToolFailed("model_deploy.py: crashed", "somewhere else")

    two_floats.toolchain.before = crash
    at = two_floats.open()
    good, bad = at.target("bm1688_fp32_1b"), at.target("bm1684_fp32_1b")
    absent, unknown = Target("none", "bm1688", "fp32", 1), Target("broken", "bm1688", "fp32", 1)
    (at.layout.configs / "broken.yaml").write_text("weights: [")
    at = two_floats.open()
    found = attempt(at, [bad, unknown, good, absent], evaluated=True)
    assert list(found) == [bad, unknown, good, absent]
    assert [one.status for one in found.values()] == ["failed", "failed", "verified", "failed"]
    assert (found[bad].stage, found[bad].cause) == ("build", "model_deploy.py: crashed")
    assert "configs/broken.yaml" in (found[unknown].cause or "")
    assert found[absent].cause == "its config names no such target"
    assert any("bm1684_fp32_1b: build: model_deploy.py: crashed" in text for text in two_floats.report.warnings)


def test_a_failed_verification_is_a_failure_of_that_stage(two_floats: Project) -> None:
    def crash(command: Command, folder: object) -> None:
        if command.tool == "infer":
            raise ToolFailed("infer: crashed")

    two_floats.toolchain.before = crash
    at = two_floats.open()
    (one,) = attempt(at, [at.target("bm1688_fp32_1b")], evaluated=False).values()
    assert (one.status, one.stage, one.cause) == ("failed", "verify", "infer: crashed")


def test_figures_of_before_do_not_count_where_nothing_is_evaluated(two_floats: Project) -> None:
    (two_floats.data / "wider_val").mkdir()
    (two_floats.data / "wider_val/gt.json").write_text("{}")
    two_floats.edit("verify:", "evaluate: {truth: wider_val/gt.json}\nverify:")
    at = two_floats.open()
    targets = [at.target("bm1688_fp32_1b")]
    for evaluated in (False, True, False):
        (one,) = attempt(at, targets, evaluated).values()
        assert one.status == "verified" and (one.accuracy is not None) is evaluated


def test_times_are_for_a_picture_and_only_of_profiles_that_are_known(project: Project) -> None:
    at = project.open()
    one, two = (
        artifact(model="tiny", file="BM1688/tiny_int8_1b.bmodel"),
        artifact(model="tiny", batch=2, file="BM1688/tiny_int8_2b.bmodel"),
    )
    made = {each.target: each for each in (one, two)}
    for told, found in (
        ({"known": True, "milliseconds": 3.0}, {one.target: 3.0, two.target: 1.5}),
        ({"known": False, "milliseconds": 3.0}, {}),
        ({"known": True}, {}),
        ([], {}),
    ):
        for target in made:
            at.layout.profile(target).parent.mkdir(parents=True, exist_ok=True)
            at.layout.profile(target).write_text(json.dumps(told))
        assert own_times(at, made) == found
    gone = {
        replace(one.target, batch=1): artifact(model="tiny", sha256=None, size=None, status="failed", file=one.file)
    }
    at.layout.profile(one.target).write_text(json.dumps({"known": True, "milliseconds": 3.0}))
    assert own_times(at, gone) == {}


def test_the_name_of_the_version_does_not_count_among_the_bytes(project: Project) -> None:
    at = project.open()
    one = artifact(model="tiny", file="BM1688/tiny_int8_1b.bmodel")
    path = at.layout.artifact(one.target)
    path.parent.mkdir(parents=True)
    found = set()
    for name in (
        b"2.2+v1.28.1-20260429\0weights",
        b"2.2+v1.30.2-20260831\0weights",
        b"2.2+v1.30.2-20260831\0weighty",
    ):
        path.write_bytes(b"\xff" + name)
        found.add(own_contents(at, {one.target: one})[one.target])
    assert len(found) == 2
    path.unlink()
    assert own_contents(at, {one.target: one}) == {}
