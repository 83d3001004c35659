"""The manifest of a small zoo, made in this process with a toolchain that compiles nothing."""

import shutil

import pytest
from conftest import Project

from bmzoo.errors import VerifyFailed
from bmzoo.release.inventory import take
from bmzoo.release.manifest import Artifact, ZooManifest, manifest_json, read_manifest
from bmzoo.release.outcomes import Outcomes
from bmzoo.results import artifact, calibration, verify
from bmzoo.results.reference import reference
from bmzoo.tasks.actions.zoo import sums
from bmzoo.workspace import Workspace


def made(project: Project, *names: str) -> Workspace:
    at = project.open()
    for name in names:
        artifact.build_artifact(at, at.target(name))
    return at


def entry(manifest: ZooManifest, name: str) -> Artifact:
    assert read_manifest(manifest_json(manifest), "zoo.json") == manifest
    return next(a for a in manifest.artifacts if str(a.target) == name)


def test_what_was_not_built_is_not_there(project: Project) -> None:
    manifest = take(made(project, "bm1688_fp32_1b"), Outcomes())
    none = entry(manifest, "bm1684_fp32_1b")
    assert (none.status, none.sha256, none.agreement) == ("failed", None, None)
    assert none.cause == "there is no provenance beside it: it was not built"
    built = entry(manifest, "bm1688_fp32_1b")
    assert built.status == "built" and built.agreement is not None and built.agreement.pictures == 1
    assert sums(manifest) == f"{built.sha256}  BM1688/tiny_fp32_1b.bmodel\n"


def test_where_a_decision_was_derived_leaves_the_manifest_as_it_is(project: Project) -> None:
    calibration.calibrate(project.open(), project.open().models["tiny"], "")
    derived = manifest_json(take(made(project, "bm1688_int8_1b"), Outcomes()))
    shutil.rmtree(project.root / "build")
    at = made(project, "bm1688_int8_1b")
    assert "run_calibration.py" not in project.toolchain.ran
    assert manifest_json(take(at, Outcomes())) == derived


def test_what_was_built_and_not_verified_says_so(project: Project) -> None:
    built = entry(take(made(project, "bm1688_fp32_1b"), Outcomes()), "bm1688_fp32_1b")
    assert (built.stage, built.cause) == ("verify", "not verified since it was made")


def test_what_failed_in_this_run_is_not_told_from_an_earlier_one(project: Project) -> None:
    at = made(project, "bm1688_fp32_1b")
    outcomes = Outcomes()
    outcomes.failed("build:bm1688_fp32_1b", f"{project.root}/x: bad \x1b[31m|", "build/failed/x/log.txt")
    bad = entry(take(at, outcomes), "bm1688_fp32_1b")
    assert (bad.status, bad.stage, bad.sha256) == ("failed", "build", None)
    assert (bad.cause, bad.evidence) == ("x: bad [31m|", "build/failed/x/log.txt")


def test_a_failed_verification_keeps_its_figures_and_a_sibling_is_only_not_verified(project: Project) -> None:
    rule = "{precision: fp32, cosine: 0.1, sqnr: -20, engines: 0.0}"
    project.edit("selection}}", f"selection}}, floats: 3, thresholds: [{rule}]}}")
    project.toolchain.noise, project.toolchain.gap = 1.0, 0.1
    at = made(project, "bm1688_fp32_1b", "bm1688_fp32_2b")
    outcomes = Outcomes()
    with pytest.raises(VerifyFailed) as caught:
        verify.verify_target(at, at.target("bm1688_fp32_1b"))
    outcomes.failed("verify:bm1688_fp32_1b", caught.value.render(), caught.value.evidence)
    outcomes.left_out("verify:bm1688_fp32_2b", ["build:bm1688_fp32_2b", "verify:bm1688_fp32_1b"])
    manifest = take(at, outcomes)
    bad, sibling = entry(manifest, "bm1688_fp32_1b"), entry(manifest, "bm1688_fp32_2b")
    assert (bad.status, bad.stage) == ("failed", "verify")
    assert bad.agreement is not None and bad.agreement.pictures == 3 and bad.sha256 is not None
    assert bad.evidence == "build/BM1688/tiny_fp32_1b.verify.json"
    assert (sibling.status, sibling.stage) == ("built", "verify")
    assert sibling.cause is not None and sibling.cause.startswith("verify:bm1688_fp32_1b: disagrees")
    assert sums(manifest).split()[1::2] == ["BM1688/tiny_fp32_2b.bmodel"]


def test_layers_that_a_table_keeps_float_are_counted(project: Project) -> None:
    (project.data / "hand.qtable").write_text("# by hand\nr F32\ny INT8\n")
    project.edit("verify:", "quantization: {tables: {bm1688: hand.qtable}}\nverify:")
    manifest = take(made(project, "bm1688_int8_1b", "bm1684_int8_1b"), Outcomes())
    assert entry(manifest, "bm1688_int8_1b").float_layers == 1
    assert entry(manifest, "bm1684_int8_1b").float_layers == 0


def test_published_figures_are_looked_up_like_other_data(project: Project) -> None:
    at = project.open()
    assert reference(at).milliseconds == {}
    table = project.data / "reference" / "sophon_demo_bmrt_latency.csv"
    table.parent.mkdir()
    table.write_text("bmodel,ms_per_image\nBM1688/tiny_fp32_1b.bmodel,4.5\n")
    assert reference(at).milliseconds == {"BM1688/tiny_fp32_1b.bmodel": 4.5}
    table.write_text("bmodel,ms_per_image\nBM1688/tiny_fp32_1b.bmodel,soon\n")
    assert reference(at).milliseconds == {}
    assert project.report.warnings and "sophon_demo_bmrt_latency.csv:2: not a number" in project.report.warnings[0]


def test_a_contract_that_is_not_the_usual_is_told(project: Project) -> None:
    usual = take(made(project, "bm1688_fp32_1b"), Outcomes())
    assert entry(usual, "bm1688_fp32_1b").contract is None and '"contract"' not in manifest_json(usual)
    project.edit("decoder:", "contract: toolchain\ndecoder:")
    other = take(made(project, "bm1688_fp32_1b"), Outcomes())
    assert entry(other, "bm1688_fp32_1b").contract == "toolchain"
    assert '"contract": "toolchain"' in manifest_json(other)
