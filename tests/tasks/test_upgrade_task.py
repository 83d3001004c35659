"""`upgrade` from the words on the line to the table, with two compilers that only pretend."""

import json
from pathlib import Path

import pytest
from conftest import Project
from fake_toolchain import FakeToolchain
from vendor_searches import OLD, SEARCH

from bmzoo.config.options import Options
from bmzoo.errors import BmzooError, ConfigError, ToolFailed, VerifyFailed
from bmzoo.execute.dialect import Capabilities
from bmzoo.execute.installations import Provenance
from bmzoo.plan.step import Command
from bmzoo.results import calibration
from bmzoo.tasks.actions.upgrade import (
    UPGRADE_USAGE,
    Asked,
    Side,
    asked_for,
    chosen,
    compare_versions,
    opened,
    run_upgrade,
)
from bmzoo.workspace import Workspace


class Versions:
    """Compilers by version; zoos of all but the checkout's own lie apart."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.tools = {"1.28.1": FakeToolchain("tpu_mlir 1.28.1"), "1.30.2": FakeToolchain("tpu_mlir 1.30.2")}
        self.knows: dict[str, Capabilities | None] = {}

    def open_side(self, at: Workspace, version: str, decide: bool) -> Side:
        options = Options(decided_with="" if decide else at.toolchain.release)
        apart = Workspace(at.root, at.environ, at.report, options, self.tools[version], version)
        apart.layout.make_build()
        return Side(version, apart, self.knows.get(version), Provenance(f"https://{version}"))

    def at(self) -> Workspace:
        environ = {"BMZOO_DATA": str(self.project.data)}
        return Workspace(self.project.root, environ, self.project.report, toolchain_override=self.tools["1.30.2"])

    def compare(self, *names: str, decide: bool = False) -> str:
        compare_versions(self.at(), Asked(("1.28.1", "1.30.2"), names, decide, False), self.open_side)
        return (self.project.root / "build/upgrade/1.28.1-1.30.2.md").read_text()


@pytest.fixture
def versions(project: Project) -> Versions:
    project.edit("chip: [bm1684, bm1688]", "chip: bm1684")
    project.edit("batch: [1, 2]", "batch: 1")
    project.edit("minimum: 2", "minimum: 2, method: kl")  # INT8 that is set, and not to be found
    project.edit("selection}}", "selection}, quantized: 2, floats: 2}")
    return Versions(project)


def test_the_same_results_are_safe_lie_apart_and_are_not_made_twice(
    versions: Versions, capsys: pytest.CaptureFixture[str]
) -> None:
    versions.compare()
    out = capsys.readouterr().out
    assert "bm1684_fp32_1b" in out and "bm1684_int8_1b" in out and " same" in out
    assert out.splitlines()[-1].startswith("safe from 1.28.1 to 1.30.2: nothing gets worse in 2 targets (2 ")
    build = versions.project.root / "build"
    for version in versions.tools:
        assert (build / "upgrade" / version / "BM1684/tiny_int8_1b.verify.json").is_file()
        assert (build / "upgrade" / version / "store").is_dir()
    assert not (build / "BM1684").exists() and not (versions.project.root / "calibration").exists()
    told = json.loads((build / "upgrade/1.28.1-1.30.2.json").read_text())
    assert told["safe"] is True and told["old"]["url"] == "https://1.28.1"
    for tools in versions.tools.values():
        assert tools.ran.count("model_deploy.py") == 4  # two artifacts and two lowerings
        tools.ran.clear()
    versions.compare()
    assert all(tools.ran == [] for tools in versions.tools.values())


def test_a_target_that_fails_with_one_version_is_a_row_and_not_the_end(
    versions: Versions, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(command: Command, folder: Path) -> None:
        if command.tool == "model_deploy.py" and "INT8" in command.args:
            raise ToolFailed("model_deploy.py of TPU-MLIR 1.30.2 has no --calibration_table", "a hint")

    versions.tools["1.30.2"].before = crash
    with pytest.raises(VerifyFailed, match=r"^not safe from 1.28.1 to 1.30.2: 1 of 2 targets") as caught:
        versions.compare()
    assert "build/upgrade/1.28.1-1.30.2.md" in caught.value.hint
    out = capsys.readouterr().out
    said = "has no --calibration_table (build/upgrade/1.30.2/failed/deploy.tiny.given.bm1684_int8_1b/log.txt)"
    assert f"bm1684_int8_1b with 1.30.2: model_deploy.py of TPU-MLIR 1.30.2 {said}" in out
    assert "verified -> failed: build" in out and "a hint" not in out
    assert (versions.project.root / "build/upgrade/1.28.1-1.30.2.md").is_file()


def test_a_worse_result_of_the_new_version_is_not_safe(versions: Versions) -> None:
    versions.tools["1.30.2"].noise = 0.5
    with pytest.raises(VerifyFailed, match="not safe"):
        versions.compare("bm1684_fp32_1b")
    versions.tools["1.28.1"].noise = 0.5
    versions.tools["1.28.1"].version = "tpu_mlir 1.28.1 again"  # another fingerprint
    with pytest.raises(VerifyFailed, match="not known to be safe.*neither makes a sound artifact"):
        versions.compare("bm1684_fp32_1b")


def test_committed_decisions_serve_both_unless_each_is_to_decide(versions: Versions) -> None:
    at = versions.at()
    calibration.calibrate(at, at.models["tiny"], "")
    before = (versions.project.root / "calibration/tiny.given.table").read_text()
    page = versions.compare("bm1684_int8_1b")
    assert "both take the committed thresholds and float layers, derived with tpu_mlir 1.30.2" in page
    assert "run_calibration.py" not in versions.tools["1.28.1"].ran
    page = versions.compare("bm1684_int8_1b", decide=True)
    assert "each version's own" in page
    assert versions.tools["1.28.1"].ran.count("run_calibration.py") == 1
    assert (versions.project.root / "calibration/tiny.given.table").read_text() == before


def test_what_is_not_committed_is_derived_by_each_and_said(versions: Versions) -> None:
    page = versions.compare("bm1684_int8_1b")
    assert "calibration/tiny.given.table: missing; each version derived its own" in page
    assert all(tools.ran.count("run_calibration.py") == 1 for tools in versions.tools.values())


def test_a_search_that_only_the_old_version_has_is_run_with_it(
    versions: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.project.edit("targets:\n", SEARCH.replace("vendor_qtable", "vendor_sensitive_layer") + "targets:\n")
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs/dot").write_text("#!/bin/sh\n")
    (tmp_path / "programs/dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    old = versions.tools["1.28.1"]
    old.searches, old.ranked = OLD, (("y", 0.08), ("r", 0.03))
    with pytest.raises(VerifyFailed, match="not safe"):
        versions.compare("bm1684_int8_1b")
    assert "run_sensitive_layer.py" in old.ran
    told = json.loads((versions.project.root / "build/upgrade/1.28.1-1.30.2.json").read_text())
    assert (told["old"]["artifacts"][0]["status"], told["old"]["artifacts"][0]["float_layers"]) == ("verified", 1)
    assert "the installed TPU-MLIR has no run_sensitive_layer.py" in told["new"]["artifacts"][0]["cause"]


def test_int8_settings_that_are_not_decided_are_no_targets_fault_and_named(
    versions: Versions, capsys: pytest.CaptureFixture[str]
) -> None:
    versions.project.edit(", method: kl", "")
    with pytest.raises(VerifyFailed, match="not known to be safe"):
        versions.compare("bm1684_int8_1b")
    assert "the INT8 settings of tiny are not decided: ./doit quantize:tiny finds them" in capsys.readouterr().out


def test_what_only_one_version_knows_is_a_note(versions: Versions) -> None:
    versions.knows = {
        "1.28.1": Capabilities("1.28.1", {"model_deploy.py": {"--enable_affine": ()}}),
        "1.30.2": Capabilities("1.30.2", {"model_deploy.py": {"--disable_affine": ()}}),
    }
    page = versions.compare("bm1684_fp32_1b")
    assert "- model_deploy.py: only 1.28.1 has --enable_affine" in page
    assert "- model_deploy.py of 1.30.2 runs the affine pass unless told not to" in page
    assert "thresholds" not in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "two versions are needed: none given"),
        ("1.28.1", "two versions are needed: 1.28.1"),
        ("1.28.1 1.28.1", "the same version twice: 1.28.1"),
        ("v1.28.1 1.30.2", "not a version of TPU-MLIR: v1.28.1"),
        ("1.28.1 bm1684_fp32_1b", "not a version of TPU-MLIR: bm1684_fp32_1b"),
        ("1.28.1 1.30.2 --fast", "no such option: --fast"),
    ],
)
def test_a_line_that_is_not_understood_is_explained(project: Project, words: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        run_upgrade(project.open(), words.split(), False, False)
    assert UPGRADE_USAGE in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        run_upgrade(project.open(), ["locked=yes", "1.30.2"], False, False)
    assert "in front of the task" in caught.value.hint


def test_options_stand_before_and_behind_the_words() -> None:
    plain = Asked(("1.28.1", "1.30.2"), ("a", "b*"), decide=False, quick=False)
    assert asked_for(["1.28.1", "1.30.2", "a", "b*"], False, False) == plain
    assert asked_for(["1.28.1", "--quick", "1.30.2"], True, False) == Asked(plain.versions, (), True, True)


def test_targets_that_nobody_has_are_explained(project: Project) -> None:
    at = project.open()
    assert [str(one) for one in chosen((at, at), ["bm1684_fp*"])] == ["bm1684_fp32_1b", "bm1684_fp32_2b"]
    with pytest.raises(BmzooError, match="matches no target"):
        chosen((at, at), ["bm1690_*"])
    with pytest.raises(BmzooError, match="not a target in configs/tiny.yaml"):
        chosen((at, at), ["bm1684_fp32_9b"])


def test_nothing_is_fetched_where_that_is_forbidden(project: Project) -> None:
    at = project.open()
    offline = Workspace(at.root, {"BMZOO_OFFLINE": "1"}, at.report, toolchain_override=project.toolchain)
    with pytest.raises(ConfigError, match=r"TPU-MLIR 1\.27 is not here, and \$BMZOO_OFFLINE forbids to fetch it"):
        opened(offline, "1.27", decide=False)
