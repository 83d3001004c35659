"""Real `doit zoo`, `diff` and `prune` in a small checkout whose toolchain compiles nothing."""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from conftest import Project

from bmzoo.release.manifest import ZooManifest, read_manifest

REPOSITORY = Path(__file__).parents[1]
# In place of the toolchain that dodo.py finds. $FAIL holds words of the model_deploy command that is to fail.
FAKE = """\
import fake_toolchain
from bmzoo.errors import ToolFailed


class Failing(fake_toolchain.FakeToolchain):
    def run(self, command, folder, log, timeout):
        words = os.environ.get("FAIL", "").split()
        if words and command.tool == "model_deploy.py" and set(words) <= set(command.args):
            raise ToolFailed("model_deploy.py: killed by SIGKILL", "not enough memory")
        super().run(command, folder, log, timeout)


WORKSPACE.toolchain_override = Failing()
WORKSPACE.toolchain_override.noise = float(os.environ.get("NOISE", "0"))
OUTCOMES = Outcomes()
"""


@pytest.fixture
def checkout(project: Project) -> Path:
    """Eight targets with ground truth for them."""
    text = (REPOSITORY / "dodo.py").read_text()
    assert "\nOUTCOMES = Outcomes()\n" in text
    (project.root / "dodo.py").write_text(text.replace("OUTCOMES = Outcomes()\n", FAKE, 1))
    shutil.copy(REPOSITORY / "doit.cfg", project.root / "doit.cfg")
    truth = project.data / "truth" / "gt.json"
    truth.parent.mkdir()
    truth.write_text("{}")
    project.edit("selection}}", "selection}, quantized: 2}")
    project.edit("targets:", "evaluate: {truth: truth/gt.json}\ntargets:")
    return project.root


def doit(checkout: Path, *words: str, **env: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `doit WORDS...`."""
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "BMZOO_DATA": str(checkout / "data"), **env}
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    argv = [sys.executable, "-m", "doit", *words]
    done = subprocess.run(argv, cwd=checkout, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def manifest(checkout: Path) -> ZooManifest:
    return read_manifest((checkout / "build" / "zoo.json").read_text(), "build/zoo.json")


def test_the_whole_zoo_and_then_nothing(checkout: Path) -> None:
    status, _, err = doit(checkout, "-n", "2", "zoo")
    assert status == 0, err
    assert "zoo: 8 of 8 targets verified: build/zoo.json" in err
    made = manifest(checkout)
    assert [a.file for a in made.artifacts][:2] == ["BM1684/tiny_fp32_1b.bmodel", "BM1684/tiny_fp32_2b.bmodel"]
    first = made.artifacts[0]
    assert first.status == "verified" and first.weights == "given" and first.float_layers == 0
    assert (
        first.accuracy is not None and first.accuracy.ap == {"easy": 0.89} and first.accuracy.onnx == {"easy": 0.9}
    )
    assert first.agreement is not None and first.agreement.cosine == 1.0 and first.agreement.worst == "y"
    assert made.tools["model_deploy.py"] == ("fake 1",)
    check = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=checkout / "build", capture_output=True, text=True, check=False
    )
    assert check.returncode == 0 and check.stdout.count(": OK\n") == 8
    sums = (checkout / "build" / "SHA256SUMS").read_text().splitlines()
    assert sums == sorted(sums, key=lambda line: line.split()[1])
    assert "| BM1688 | tiny_int8_2b |" in (checkout / "build" / "RESULTS.md").read_text()

    texts = {name: (checkout / "build" / name).stat() for name in ("zoo.json", "SHA256SUMS", "RESULTS.md")}
    status, out, err = doit(checkout, "zoo")
    assert (status, out, err) == (0, "", "zoo: 8 of 8 targets verified: build/zoo.json\n")
    assert {name: (checkout / "build" / name).stat() for name in texts} == texts

    status, out, _ = doit(checkout, "diff", "build/zoo.json", "build/zoo.json")
    assert (status, out) == (0, "8 targets: no differences\n")


def test_the_same_artifacts_give_the_same_bytes(checkout: Path) -> None:
    assert doit(checkout, "zoo")[0] == 0
    before = (checkout / "build" / "zoo.json").read_bytes()
    shutil.rmtree(checkout / "build")
    assert doit(checkout, "-n", "2", "zoo")[0] == 0
    assert (checkout / "build" / "zoo.json").read_bytes() == before


@pytest.mark.parametrize("jobs", [(), ("-n", "2")])
def test_failures_stop_only_themselves_and_are_named(checkout: Path, jobs: tuple[str, ...]) -> None:
    status, _, err = doit(checkout, *jobs, "zoo", FAIL="bm1684 F32")
    assert status != 0
    said = err.partition("error: zoo: ")[2]
    assert said.startswith("6 of 8 targets verified\n")
    why = "build: model_deploy.py: killed by SIGKILL (build/failed/deploy.tiny.given.bm1684_fp32_1b/log.txt)"
    assert f"  bm1684_fp32_1b: {why}\n" in said and "hint: see build/RESULTS.md" in said
    assert (checkout / "build/failed/deploy.tiny.given.bm1684_fp32_1b/log.txt").is_file()
    made = {str(a.target): a for a in manifest(checkout).artifacts}
    bad = made["bm1684_fp32_1b"]
    assert (bad.status, bad.stage, bad.sha256) == ("failed", "build", None)
    assert bad.cause == "model_deploy.py: killed by SIGKILL"
    assert [name for name, a in made.items() if a.status == "verified"] == [
        name for name in made if not name.startswith("bm1684_fp32")
    ]
    assert "BM1684/tiny_fp32" not in (checkout / "build" / "SHA256SUMS").read_text()
    assert "## Not verified" in (checkout / "build" / "RESULTS.md").read_text()
    assert doit(checkout, "zoo")[0] == 0
    assert {a.status for a in manifest(checkout).artifacts} == {"verified"}


def test_what_all_targets_need_is_named_once_for_each(checkout: Path) -> None:
    (checkout / "data" / "model.onnx").unlink()
    status, _, err = doit(checkout, "zoo")
    assert status != 0 and "error: zoo: 0 of 8 targets verified" in err
    made = manifest(checkout)
    assert {a.cause for a in made.artifacts} == {"model:tiny: weights: none of them is here: given (model.onnx)"}
    assert (checkout / "build" / "SHA256SUMS").read_text() == ""


def test_a_broken_config_is_a_failure_of_the_zoo(checkout: Path) -> None:
    (checkout / "configs" / "other.yaml").write_text("weights: [")
    (checkout / "configs" / "zoo.yaml").write_text("default_model: tiny\n")
    status, _, err = doit(checkout, "zoo")
    assert status != 0 and "  other: all targets: configs/other.yaml" in err
    assert list(manifest(checkout).broken) == ["other"]
    assert len(manifest(checkout).artifacts) == 8


def test_without_ground_truth_there_is_no_accuracy_and_that_is_said(checkout: Path) -> None:
    shutil.rmtree(checkout / "data" / "truth")
    status, _, err = doit(checkout, "zoo")
    assert status == 0 and "warning: tiny: not evaluated: no ground truth on this machine: truth/gt.json" in err
    assert {a.accuracy for a in manifest(checkout).artifacts} == {None}


def test_a_regression_fails_the_diff_and_is_told_to_people_and_machines(checkout: Path) -> None:
    assert doit(checkout, "zoo")[0] == 0
    shutil.copy(checkout / "build" / "zoo.json", checkout / "old.json")
    made = json.loads((checkout / "old.json").read_text())
    made["artifacts"][0]["accuracy"]["ap"]["easy"] = 0.87
    made["artifacts"].pop()
    (checkout / "new.json").write_text(json.dumps(made))
    status, out, err = doit(checkout, "diff", "old.json", f"file://{checkout}/new.json")
    assert status == 1
    assert out.startswith("8 targets: 1 changed, 1 removed, 2 regressions\n")
    assert "bm1684_fp32_1b  AP easy" in out and "-2.00 points" in out
    assert "error: diff: 2 regressions from old.json to file://" in err and "below `regression`" in err
    told = json.loads((checkout / "build" / "diff.json").read_text())
    assert told["removed"] == ["bm1688_int8_2b"] and told["regressions"] == 2
    suite = ET.parse(checkout / "build" / "diff.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("8", "2")

    (checkout / "configs" / "zoo.yaml").write_text("regression: {ap: {easy: 2.0}}\n")
    for words in (("--allow-removed", "old.json", "new.json"), ("old.json", "new.json", "--allow-removed")):
        status, out, err = doit(checkout, "diff", *words)
        assert (status, err) == (0, "") and "no regressions" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("build/none.json", "build/none.json"), "build/none.json: cannot be read: No such file or directory"),
        (("old.json",), "diff: two manifests are needed: old.json"),
        ((), "diff: two manifests are needed: none given"),
        (("old.json", "old.json"), "old.json: schema_version: this bmzoo reads 1, and not: 2"),
    ],
)
def test_a_wrong_diff_is_explained(checkout: Path, words: tuple[str, ...], said: str) -> None:
    (checkout / "old.json").write_text('{"schema_version": 2}')
    status, out, err = doit(checkout, "diff", *words)
    assert status != 0 and out == "" and said in err and "\nhint: " in err


def test_prune_lists_and_removes_what_no_config_names(checkout: Path, project: Project) -> None:
    assert doit(checkout, "build:bm1684_fp32_1b", "build:bm1688_fp32_1b")[0] == 0
    assert doit(checkout, "prune") == (0, "nothing to prune\n", "")
    project.edit("chip: [bm1684, bm1688]", "chip: bm1688")
    status, out, _ = doit(checkout, "prune")
    assert status == 0
    assert out.splitlines() == [
        "build/BM1684/tiny_fp32_1b.bmodel",
        "build/BM1684/tiny_fp32_1b.json",
        "build/BM1684/tiny_fp32_1b.profile.json",
        "3 files in no config any more; ./doit prune yes=1 removes what is listed",
    ]
    assert (checkout / "build/BM1684/tiny_fp32_1b.bmodel").is_file()
    status, out, _ = doit(checkout, "prune", "yes=1")
    assert status == 0 and "removed build/BM1684/tiny_fp32_1b.bmodel\n" in out
    assert not (checkout / "build/BM1684/tiny_fp32_1b.bmodel").exists()
    assert (checkout / "build/BM1688/tiny_fp32_1b.bmodel").is_file()


def test_a_model_without_weights_here_is_left_out_by_name(checkout: Path, project: Project) -> None:
    """Its digests stay, nothing of it is tried, locked decisions do not mind, and the rest is verified."""
    other = project.config.read_text().replace("model.onnx", "elsewhere.onnx")
    other = other.replace("name: given,", "name: given, obtain: ask the author,")
    (checkout / "configs" / "other.yaml").write_text(other)
    (checkout / "configs" / "zoo.yaml").write_text("default_model: tiny\n")
    sums = checkout / "configs" / "artifacts.sha256"
    sums.write_text(f"# fake 1\n{'a' * 64}  given/BM1684/other_fp32_1b.bmodel\n")
    status, _, err = doit(checkout, "zoo")
    assert status == 0, err
    assert "warning: other: left out: weights not here: elsewhere.onnx: ask the author" in err
    assert "zoo: 8 of 8 targets verified" in err
    assert {a.model for a in manifest(checkout).artifacts} == {"tiny"}
    assert "given/BM1684/other_fp32_1b.bmodel" in sums.read_text()
    status, out, err = doit(checkout, "decisions", "locked=yes")
    assert status == 0 and "other.given.table: missing, and so are the weights" in out + err
    shutil.copy(checkout / "data" / "model.onnx", checkout / "data" / "elsewhere.onnx")
    assert doit(checkout, "zoo")[0] == 0
    assert {a.model for a in manifest(checkout).artifacts} == {"tiny", "other"}
