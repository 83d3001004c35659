"""`./doit tables`: what it reads, what it measures when asked, and what it refuses."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from compiler_profiles import PROFILE
from conftest import Project

from bmzoo.errors import ConfigError, SourceError, ToolFailed
from bmzoo.execute.published import DOCUMENT_SCHEMA
from bmzoo.measure import latency
from bmzoo.measure.chip_constants import Constants
from bmzoo.measure.fitted import COMPILER
from bmzoo.plan.step import Command
from bmzoo.results import eval as evaluation
from bmzoo.results.artifact import build_artifact
from bmzoo.system.hashing import sha256
from bmzoo.tasks.actions.tables import run_tables

NAME = "bm1688_fp32_1b"
CONSTANTS = {"bm1688": Constants(arithmetic=1.0, fp32=1.0, memory=1.0, run=0.1, join=0.0, low=0.5, high=2.0)}


@pytest.fixture
def measured(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose compiler writes a profile that has an estimate, and that has ground truth."""
    (project.data / "truth").mkdir()
    (project.data / "truth/gt.json").write_text("{}")
    project.edit("selection}}", "selection}, quantized: 2}\nevaluate: {truth: truth/gt.json}")
    free(project)
    monkeypatch.setattr(latency, "CONSTANTS", CONSTANTS)
    project.toolchain.version = COMPILER

    def before(command: Command, folder: Path) -> None:
        if command.tool == "model_deploy.py":
            (folder / "compiler_profile_0.txt").write_text(PROFILE)
            (folder / "tiny_final.mlir").write_text("attributes {mode = #tpu<run_mode TPU_STATIC>}\n")

    project.toolchain.before = before
    return project


def free(project: Project) -> None:
    """Give the network height and width that are free."""
    path = project.data / "model.onnx"
    before, network = sha256(path), onnx.load(str(path))
    for tensor in (*network.graph.input, *network.graph.output):
        for axis, name in ((2, "h"), (3, "w")):
            tensor.type.tensor_type.shape.dim[axis].dim_param = name
    onnx.save(network, str(path))
    project.edit(before, sha256(path))


def tables(project: Project, *words: str) -> str:
    run_tables(project.open(), project.root, words)
    assert (project.root / "build/TABLES.zh-CN.md").read_text().startswith("# 已发布的表与本项目的对照")
    return (project.root / "build/TABLES.md").read_text()


def test_nothing_is_built_and_what_is_there_is_shown(measured: Project) -> None:
    text = tables(measured)
    assert measured.toolchain.ran == [] and "not built yet" in text
    at = measured.open()
    build_artifact(at, at.target(NAME))
    evaluation.evaluate_target(at, at.target(NAME))
    bench = {
        "schema": DOCUMENT_SCHEMA,
        "milliseconds_per_image": {"preprocess": 1.25, "inference": 9.0, "postprocess": 0.5},
        "engine": "card",
    }
    at.layout.bench(at.layout.artifact(at.target(NAME))).parent.mkdir(parents=True, exist_ok=True)
    at.layout.bench(at.layout.artifact(at.target(NAME))).write_text(json.dumps(bench))
    text = tables(measured)
    assert measured.toolchain.ran == []
    assert "89.00" in text and "-1.00" in text and "9.00" in text and "1.25" in text
    assert "Published rows that were not read" in text and "of the weights official" in text


def test_other_sizes_are_compiled_when_asked_and_once(measured: Project) -> None:
    words = ("--measure", "scaling", "--targets", NAME, "--sizes", "32x64", "--batches", "1", "2")
    text = tables(measured, *words)
    assert measured.toolchain.ran.count("model_deploy.py") == 2
    assert re.search(r"\| 32x64 +\| bm1688_fp32_2b +\| +2 \| +\d", text)
    assert tables(measured, *words) == text and measured.toolchain.ran == []


def test_what_cannot_be_looked_up_and_is_not_asked_for_is_no_failure(measured: Project) -> None:
    shutil.rmtree(measured.data / "pictures")
    assert "Nothing is compiled for other sizes yet" in tables(measured)
    with pytest.raises(SourceError):
        tables(measured, "--measure", "scaling", "--targets", "bm1688_int8_1b", "--sizes", "32x64")


def test_bmcv_is_evaluated_when_asked(measured: Project) -> None:
    text = tables(measured, "--measure", "accuracy", "--targets", NAME)
    assert measured.toolchain.ran.count("evaluate") == 4  # ONNX and the lowering, by OpenCV and by BMCV
    lines = [line for line in text.splitlines() if line.startswith("| BM1688 ") and "_fp32_1b.bmodel" in line]
    assert len(lines) >= 2 and all("89.00" in line for line in lines[:2])


def test_what_cannot_be_measured_is_said_once_the_rest_is_written(measured: Project) -> None:
    given = measured.toolchain.before

    def fail(command: Command, folder: Path) -> None:
        if command.tool == "model_transform.py" and "[[2,3,32,64]]" in command.args:
            raise ToolFailed("model_transform.py: out of memory")
        given(command, folder)

    measured.toolchain.before = fail
    words = ("--measure", "scaling", "--targets", NAME, "--sizes", "32x64", "--batches", "1", "2")
    with pytest.raises(ToolFailed):
        tables(measured, *words)
    text = (measured.root / "build/TABLES.md").read_text()
    assert "bm1688_fp32_1b" in text and "out of memory" in text


def test_a_network_of_one_size_only_says_so(measured: Project, tiny_onnx: Path) -> None:
    digest = sha256(measured.data / "model.onnx")
    (measured.data / "model.onnx").write_bytes(tiny_onnx.read_bytes())
    measured.edit(digest, sha256(tiny_onnx))
    with pytest.raises(SourceError):
        tables(measured, "--measure", "scaling", "--targets", NAME, "--sizes", "32x64", "--batches", "1")
    assert "is not [batch, 3, 32, 64]" in (measured.root / "build/TABLES.md").read_text().replace("\\", "")


@pytest.mark.parametrize(
    "words",
    [
        ["--sizes", "320"],
        ["--sizes", "16x320"],
        ["--batches", "0"],
        ["--batches", "257"],
        ["--measure", "everything"],
        ["--targets", "bm1690_*"],
        ["more"],
    ],
)
def test_what_is_not_understood_is_refused(project: Project, words: Sequence[str]) -> None:
    with pytest.raises(ConfigError):
        run_tables(project.open(), project.root, words)
    assert not (project.root / "build/TABLES.md").exists()
