"""What is known of a small zoo, made in this process with a toolchain that compiles nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Project
from report_samples import document, read_page

from bmzoo.errors import VerifyFailed
from bmzoo.release.inventory import take
from bmzoo.release.manifest import manifest_json
from bmzoo.release.outcomes import Outcomes
from bmzoo.report import write
from bmzoo.report.gather import all_evidence, current_manifest, known_profile
from bmzoo.report.pictures import NOT_DRAWN
from bmzoo.report.profiles import NoProfile, StoredProfile
from bmzoo.report.write import write_report
from bmzoo.results.artifact import build_artifact
from bmzoo.results.verify import verify_target
from bmzoo.workspace import Workspace

NAME = "bm1688_int8_1b"


@pytest.fixture(autouse=True)
def few(project: Project) -> None:
    """As many pictures for `verify` as there are."""
    project.edit("selection}}", "selection}, quantized: 3}")


def made(project: Project, *names: str, verified: bool = True) -> Workspace:
    at = project.open()
    for name in names:
        build_artifact(at, at.target(name))
        if verified:
            verify_target(at, at.target(name))
    return at


def of(at: Workspace, name: str) -> Any:
    (own,) = [a for a in current_manifest(at).artifacts if str(a.target) == name]
    (found,) = all_evidence(at, [own], at.layout.report / "pictures")
    return found


def fail(project: Project, name: str, task: str = "build") -> None:
    """As `zoo` leaves it when a task failed."""
    at = project.open()
    outcomes = Outcomes()
    outcomes.failed(f"{task}:{name}", "killed by SIGKILL", "build/failed/x")
    at.layout.manifest.write_text(manifest_json(take(at, outcomes)))


def test_a_target_that_was_built_and_verified(project: Project) -> None:
    found = of(made(project, NAME), NAME)
    assert found.row.artifact.status == "verified" and found.verified["passed"] and found.drift == {}
    assert found.album.why == NOT_DRAWN
    assert found.provenance["steps"]["deploy"]["commands"] and found.float_layers == ()


def test_one_that_was_never_built_is_empty(project: Project) -> None:
    found = of(made(project, NAME), "bm1684_fp32_1b")
    assert found.row.artifact.cause == "there is no provenance beside it: it was not built"
    assert (found.provenance, found.verified, found.profile) == ({}, {}, NoProfile("it is not built"))


def test_a_failure_of_the_last_zoo_stands_until_something_is_published(project: Project) -> None:
    made(project, "bm1688_fp32_1b")
    fail(project, NAME)
    own = of(project.open(), NAME).row.artifact
    assert (own.status, own.cause, own.evidence) == ("failed", "killed by SIGKILL", "build/failed/x")
    assert of(made(project, NAME), NAME).row.artifact.status == "verified"


def test_a_failed_verification_stands_as_long_as_its_bytes(project: Project) -> None:
    made(project, NAME, verified=False)
    fail(project, NAME, "verify")
    own = of(project.open(), NAME).row.artifact
    assert (own.status, own.stage, own.cause) == ("failed", "verify", "killed by SIGKILL") and own.sha256


def test_a_manifest_that_cannot_be_read_costs_only_its_failures(project: Project) -> None:
    at = made(project, NAME)
    at.layout.manifest.write_text("{")
    assert of(at, NAME).row.artifact.status == "verified"
    (warning,) = project.report.warnings
    assert warning.startswith("build/zoo.json: not JSON") and warning.endswith(
        "of the last ./doit zoo are not known"
    )


def test_a_verification_of_other_bytes_is_not_shown(project: Project) -> None:
    at = made(project, NAME)
    path = at.layout.verification(at.target(NAME))
    path.write_text(
        path.read_text().replace(f'"sha256": "{json.loads(path.read_text())["sha256"]}"', f'"sha256": "{"0" * 64}"')
    )
    found = of(project.open(), NAME)
    assert found.row.artifact.status == "built" and found.verified == {} and found.album.why == "it is not verified"


def test_a_miss_has_its_drift(project: Project) -> None:
    limits = "quantized: 3, floats: 3, thresholds: [{precision: fp32, cosine: 0.1, sqnr: -20}]"
    project.edit("quantized: 3", limits)
    project.toolchain.noise = 1.0
    made(project, "bm1688_fp32_2b")
    project.edit("cosine: 0.1, sqnr: -20", "cosine: 0.9, sqnr: -20")
    at = project.open()
    with pytest.raises(VerifyFailed):
        verify_target(at, at.target("bm1688_fp32_2b"))
    found = of(project.open(), "bm1688_fp32_2b")
    assert found.drift["layer"] == "r" and found.verified["misses"]


def written(project: Project, text: str) -> StoredProfile | NoProfile:
    """A profile beside the artifact, and what is read of it."""
    at = project.open()
    target = at.target(NAME)
    at.layout.profile(target).write_text(text)
    told = json.loads(at.layout.provenance(target).read_text())
    told["steps"]["deploy"]["files"]["profile.json"] = project.open().digests.of(at.layout.profile(target))
    return known_profile(at, target, told)


def test_the_profile_is_that_of_the_artifact_or_none(project: Project) -> None:
    at = made(project, NAME)
    assert of(at, NAME).profile == NoProfile("the compiler writes no profile for bm1688")
    assert isinstance(written(project, json.dumps(document())), StoredProfile)
    changed = of(project.open(), NAME).profile
    assert isinstance(changed, NoProfile) and changed.why.endswith("changed behind bmzoo's back")
    cut = written(project, json.dumps(document())[:50])
    assert isinstance(cut, NoProfile) and cut.why.startswith("its profile cannot be read: ")
    at.layout.profile(at.target(NAME)).unlink()
    assert of(project.open(), NAME).profile == NoProfile("no profile is kept beside the artifact")


def pages(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): p.read_text() for p in sorted(root.rglob("*.html"))}


def test_the_report_runs_no_tool_and_reads_back(project: Project) -> None:
    made(project, NAME, "bm1684_fp32_1b")
    at = project.open()
    written_report = write_report(at)
    assert project.toolchain.ran == [] and written_report.targets == 8
    found = pages(at.layout.report)
    assert len(found) == 9
    for name, text in found.items():
        tree = read_page(text)
        for link in tree.all("a") + tree.all("link"):
            href = str(link.attributes["href"])
            where = (at.layout.report / name).parent / href
            assert href.startswith("#") or where.is_file(), (name, href)
        assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), name


def test_nothing_of_an_earlier_report_is_left(project: Project) -> None:
    made(project, NAME)
    report = project.open().layout.report
    write_report(project.open())
    for old in ("BM1684X/old_fp32_1b.html", "pictures/old.jpg", "old/deep/x"):
        (report / old).parent.mkdir(parents=True, exist_ok=True)
        (report / old).touch()
    write_report(project.open())
    names = {str(p.relative_to(report)) for p in report.rglob("*")}
    assert not {name for name in names if "old" in name} and "BM1688/tiny_int8_1b.html" in names


def test_a_store_that_is_gone_leaves_pages(project: Project) -> None:
    made(project, NAME)
    shutil.rmtree(project.root / "build" / "store")
    at = project.open()
    assert write_report(at).targets == 8 and project.toolchain.ran == []
    assert "is not in the store" in (at.layout.report / "BM1688" / "tiny_int8_1b.html").read_text()


def test_without_a_toolchain_the_report_is_the_same(project: Project) -> None:
    made(project, NAME)
    write_report(project.open())
    before = pages(project.open().layout.report)
    bare = Workspace(project.root, {"BMZOO_DATA": str(project.data), "TPUC_ROOT": "/nowhere"}, project.report)
    write_report(bare)
    assert pages(bare.layout.report) == before


def test_several_processes_write_the_same_pages(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    at = made(project, NAME)
    write_report(at)
    before = pages(at.layout.report)
    shutil.rmtree(at.layout.report)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(3))
    monkeypatch.setattr(write, "FEWEST_PAGES", 2)
    found = write_report(project.open())
    assert found.targets == 8 and pages(at.layout.report) == before
