"""Targets for chips that nothing simulates: built when the config says so, and called unverified everywhere."""

import json

import pytest
from conftest import Project
from manifests import artifact
from report_samples import manifest_of, profile, read_page

from bmzoo.config.project import Regression
from bmzoo.errors import ConfigError
from bmzoo.release.diff import compare_manifests
from bmzoo.release.inventory import take
from bmzoo.release.manifest import Artifact, manifest_json, read_manifest
from bmzoo.release.outcomes import Outcomes
from bmzoo.release.results_table import render
from bmzoo.report.index_page import index_page
from bmzoo.report.rows import zoo_row
from bmzoo.results.artifact import build_artifact, is_current
from bmzoo.results.reference import Published
from bmzoo.results.verify import verify_target
from bmzoo.tasks import subjects
from bmzoo.tasks.actions.zoo import run_zoo

WHY = "TPU-MLIR 1.30.2 crashes as it loads a network into its simulator"


@pytest.fixture
def unverified(project: Project) -> Project:
    project.edit("[bm1684, bm1688]", "[bm1688, sg2262]")
    project.edit("batch: [1, 2]", "batch: 2, unverified: true")
    return project


def of_manifest() -> Artifact:
    return artifact("sg2262", status="unverified", stage="verify", cause=f"unverified: {WHY}")


def test_its_lowering_is_compared_and_nothing_is_simulated(unverified: Project) -> None:
    ran = unverified.build("sg2262_fp32_2b")
    assert "infer" in ran and "simulate" not in ran and ran.count("model_deploy.py") == 2
    told = json.loads((unverified.root / "build/SG2262/tiny_fp32_2b.json").read_text())
    assert told["verdict"]["unverified"] == WHY and told["verdict"]["images"] == 2
    at = unverified.open()
    assert is_current(at, at.target("sg2262_fp32_2b"))
    assert "unverified" not in json.dumps(told["facts"])


def test_what_a_build_prints_says_so(unverified: Project) -> None:
    at = unverified.open()
    assert build_artifact(at, at.target("sg2262_fp32_2b")).startswith("unverified, its lowering alone: ")
    assert "unverified" not in build_artifact(at, at.target("bm1688_fp32_2b"))


def test_a_lowering_that_disagrees_is_not_published(unverified: Project) -> None:
    unverified.toolchain.gap = 1.0
    with pytest.raises(Exception, match="not published, it disagrees with the ONNX model"):
        unverified.build("sg2262_fp32_2b")


def test_there_is_nothing_to_verify_evaluate_or_time(unverified: Project) -> None:
    at = unverified.open()
    names = {subject.name for subject in subjects.VERIFIABLE.subjects(at)}
    assert names == {"bm1688_fp32_2b", "bm1688_int8_2b"}
    assert {subject.name for subject in subjects.TARGETS.subjects(at)} > names


def test_the_manifest_the_tables_and_the_report_say_so(unverified: Project) -> None:
    at = unverified.open()
    build_artifact(at, at.target("sg2262_fp32_2b"))
    manifest = take(at, Outcomes())
    assert read_manifest(manifest_json(manifest), "zoo.json") == manifest
    own = next(a for a in manifest.artifacts if str(a.target) == "sg2262_fp32_2b")
    assert (own.status, own.stage) == ("unverified", "verify")
    assert own.cause == f"unverified: nothing here runs it: {WHY}"
    page = render(manifest, Published())
    assert "1 unverified" in page and "tiny_fp32_2b (unverified)" in page
    assert "- `SG2262/tiny_fp32_2b.bmodel`: verify: unverified: nothing here runs it" in page
    row = zoo_row("sg2262_fp32_2b", own, profile())
    shown = read_page(index_page([row], manifest_of(own), None, "a{}", "1"))
    assert "? unverified" in shown.one("tbody").text and "1 unverified" in shown.text


def test_a_zoo_with_unverified_targets_is_whole_and_counts_them(unverified: Project) -> None:
    unverified.edit("precision: [fp32, int8]", "precision: fp32")
    at = unverified.open()
    for name in ("bm1688_fp32_2b", "sg2262_fp32_2b"):
        build_artifact(at, at.target(name))
    verify_target(at, at.target("bm1688_fp32_2b"))
    run_zoo(at, Outcomes())
    said = [line for line in unverified.report.said if line.startswith("zoo: ")]
    assert said[-1] == "zoo: 1 of 2 targets verified, 1 unverified as their configs say: build/zoo.json"
    assert "SG2262/tiny_fp32_2b.bmodel" in at.layout.sums.read_text()


def test_unverified_is_worse_than_verified_and_better_than_failed() -> None:
    before, after = artifact("sg2262"), of_manifest()
    compared = compare_manifests(manifest_of(before), manifest_of(after), Regression(), "m")
    assert [change.figure for change in compared.regressions] == ["status"]
    assert not compare_manifests(manifest_of(after), manifest_of(before), Regression(), "m").regressions


def test_the_key_alone_changes_no_other_target(unverified: Project) -> None:
    assert "simulate" in unverified.build("bm1688_fp32_2b")
    unverified.edit(", unverified: true", "")
    with pytest.raises(ConfigError, match="sg2262_fp32_2b: it compiles, and nothing here runs it"):
        unverified.open().target("sg2262_fp32_2b")
