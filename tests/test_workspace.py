import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Project, draw

from bmzoo.errors import ConfigError, SourceError, StoreError, ToolFailed, VerifyFailed
from bmzoo.plan.step import Command
from bmzoo.results import calibration
from bmzoo.results.artifact import build_artifact, is_current
from bmzoo.store.local import Store

INT8 = "bm1688_int8_2b"
COMPILE = ["model_transform.py", "run_calibration.py", "model_deploy.py"]


def compiled(ran: list[str]) -> list[str]:
    return [tool for tool in ran if tool in COMPILE]


def test_a_foreign_onnx_goes_from_a_ten_line_config_to_an_artifact(project: Project) -> None:
    ran = project.build(INT8)
    artifact = project.root / "build/BM1688/tiny_int8_2b.bmodel"
    told = json.loads(artifact.with_suffix(".json").read_text())
    assert told["target"] == {"batch": 2, "chip": "bm1688", "cores": 1, "model": "tiny", "precision": "int8"}
    assert told["weights"] == "given" and told["toolchain"] == "fake 1"
    assert told["verdict"]["images"] == 2 and told["verdict"]["tensors"]["y"]["cosine"] == pytest.approx(1)
    assert told["steps"]["calibrate"]["pictures"].startswith("4, sha256 of their digests: ")
    assert compiled(ran) == [
        "model_transform.py",
        "model_transform.py",  # batch 2, and batch 1 for the calibration
        "run_calibration.py",
        "model_deploy.py",
    ]


def test_nothing_runs_the_second_time(project: Project) -> None:
    project.build(INT8)
    assert project.build(INT8) == []
    at = project.open()
    assert is_current(at, at.target(INT8)) and not is_current(at, at.target("bm1684_fp32_1b"))


def test_targets_share_transform_and_calibration(project: Project) -> None:
    project.build(INT8)
    assert compiled(project.build("bm1684_int8_2b")) == ["model_deploy.py"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("a byte in a calibration picture", ["run_calibration.py", "model_deploy.py"]),
        ("a byte in a verdict picture", []),
        ("calibration method", ["run_calibration.py"]),
        (
            "tool version",
            ["model_transform.py", "model_transform.py", "run_calibration.py", "model_deploy.py"],
        ),
        ("a comment", []),
        ("the mean", ["model_transform.py", "model_transform.py", "run_calibration.py", "model_deploy.py"]),
        ("a deploy flag", ["model_deploy.py"]),
        ("a picture renamed in order", []),
    ],
)
def test_a_change_runs_what_depends_on_it(project: Project, change: str, expected: list[str]) -> None:
    project.build(INT8)
    pictures = project.data / "pictures"
    match change:
        case "a byte in a calibration picture":
            draw(pictures / "calibration/1.png", "other")
        case "a byte in a verdict picture":
            draw(pictures / "selection/1.png", "other")
        case "calibration method":
            project.edit("minimum: 2}", "minimum: 2, method: mse}")
        case "tool version":
            project.toolchain.version = "fake 2"
        case "a comment":
            project.edit("weights:", "# said in passing\nweights:")
        case "the mean":
            project.edit("width: 32}", "width: 32, mean: [1, 2, 3]}")
        case "a deploy flag":
            project.edit("batch: [1, 2]}", "batch: [1, 2], deploy: [--high_precision]}")
        case "a picture renamed in order":
            (pictures / "calibration/3.png").rename(pictures / "calibration/4.png")
    assert compiled(project.build(INT8)) == expected


def test_an_identical_intermediate_result_stops_the_rebuild(project: Project) -> None:
    project.build("bm1688_fp32_1b")
    project.toolchain.before = lambda command, folder: None
    project.edit("batch: [1, 2]}", "batch: [1, 2, 3]}")  # the import checks other batches, its result is the same
    assert compiled(project.build("bm1688_fp32_1b")) == []


def test_an_artifact_changed_or_deleted_behind_our_back_is_put_right(project: Project) -> None:
    project.build(INT8)
    artifact = project.root / "build/BM1688/tiny_int8_2b.bmodel"
    whole = artifact.read_bytes()
    for damage in (
        lambda: artifact.write_bytes(whole[:-1]),
        artifact.unlink,
        artifact.with_suffix(".json").unlink,
    ):
        damage()
        at = project.open()
        assert not is_current(at, at.target(INT8))
        build_artifact(at, at.target(INT8))
        assert artifact.read_bytes() == whole and is_current(at, at.target(INT8))


def test_a_committed_table_saves_the_calibration(project: Project) -> None:
    at = project.open()
    calibration.calibrate(at, at.models["tiny"], "")
    table = project.root / "calibration/tiny.given.table"
    assert "pictures: 4" in table.read_text() and calibration.is_current(at, at.models["tiny"], "")
    shutil.rmtree(project.root / "build")
    assert "run_calibration.py" not in project.build(INT8)
    shutil.rmtree(project.root / "build")
    table.write_text(table.read_text().replace(" 1.", " 2."))  # edited: no longer what was calibrated
    assert "run_calibration.py" in project.build(INT8)


def test_a_disagreeing_artifact_is_not_published_and_the_evidence_is_kept(project: Project) -> None:
    project.toolchain.noise = 1.0
    with pytest.raises(VerifyFailed, match="SQNR .* is below") as caught:
        project.build("bm1688_fp32_2b")
    assert not (project.root / "build/BM1688/tiny_fp32_2b.bmodel").exists()
    evidence = project.root / "build/failed/BM1688/tiny_fp32_2b"
    assert {p.name for p in evidence.iterdir()} == {
        "model.bmodel",
        "inputs.npz",
        "outputs.npz",
        "figures.json",
    }
    assert "build/failed/BM1688" in caught.value.evidence
    project.edit("selection}}", "selection}, thresholds: [{precision: fp32, cosine: 0.1, sqnr: -20}]}")
    project.build("bm1688_fp32_2b")
    assert (project.root / "build/BM1688/tiny_fp32_2b.bmodel").exists()


def fail_with(tool: str, action: Callable[[Path], object]) -> Callable[[Command, Path], None]:
    def before(command: Command, folder: Path) -> None:
        if command.tool == tool:
            action(folder)

    return before


def test_a_tool_that_ends_well_without_output_is_an_error(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project.toolchain, "_model_transform", lambda folder, command: None)
    with pytest.raises(ToolFailed, match="did not write: model.mlir") as caught:
        project.build("bm1688_fp32_1b")
    assert "evidence: build/failed/transform" in caught.value.render()


def test_a_crash_keeps_its_log_and_publishes_nothing(project: Project) -> None:
    def crash(folder: Path) -> None:
        raise ToolFailed("model_deploy.py: killed by SIGKILL")

    project.toolchain.before = fail_with("model_deploy.py", crash)
    with pytest.raises(ToolFailed, match="SIGKILL"):
        project.build("bm1688_fp32_1b")
    assert list((project.root / "build/scratch").glob("*-*/")) == []
    assert not (project.root / "build/BM1688").exists()
    project.toolchain.before = lambda command, folder: None
    assert compiled(project.build("bm1688_fp32_1b")) == ["model_deploy.py"]


def test_a_full_disk_is_one_line_and_leaves_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Store, part: Path, folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "_replace", full)
    with pytest.raises(StoreError, match="No space left on device"):
        project.build("bm1688_fp32_1b")
    monkeypatch.undo()
    assert [p for p in (project.root / "build/store").rglob("*") if p.is_file()] == []
    project.build("bm1688_fp32_1b")


def test_pictures_that_are_not_are_skipped_with_a_warning(project: Project) -> None:
    folder = project.data / "pictures/calibration"
    (folder / "notes.txt").write_text("not a picture")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not a jpeg")
    project.build(INT8)
    said = "\n".join(project.report.warnings)
    assert "notes.txt: skipped" in said and "broken.jpg: skipped" in said
    for path in folder.glob("[0-2].png"):
        path.write_bytes(b"")
    with pytest.raises(SourceError, match="too few readable pictures: 1 of 5"):
        project.build(INT8)


def test_missing_and_wrong_sources_are_explained(project: Project) -> None:
    model = project.data / "model.onnx"
    whole = model.read_bytes()
    model.write_bytes(whole[:100])
    with pytest.raises(SourceError, match="not the file that the config pins: sha256"):
        project.build("bm1688_fp32_1b")
    model.unlink()
    with pytest.raises(SourceError, match="none of them is here: given") as caught:
        project.build("bm1688_fp32_1b")
    assert str(project.data) in caught.value.hint
    model.write_bytes(whole)
    shutil.rmtree(project.data / "pictures/calibration")
    with pytest.raises(SourceError, match="no such folder of pictures"):
        project.build(INT8)
    (project.data / "pictures/calibration").mkdir()
    with pytest.raises(SourceError, match="no pictures in this folder"):
        project.build(INT8)


def test_a_truncated_onnx_that_is_pinned_as_such_is_refused(project: Project) -> None:
    import hashlib

    model = project.data / "model.onnx"
    old = hashlib.sha256(model.read_bytes()).hexdigest()
    model.write_bytes(model.read_bytes()[:100])
    project.edit(old, hashlib.sha256(model.read_bytes()).hexdigest())
    with pytest.raises(SourceError, match="model.onnx: "):
        project.build("bm1688_fp32_1b")


def test_a_table_of_another_model_is_refused_with_the_nearest_name(project: Project) -> None:
    (project.data / "hand.qtable").write_text("y_Con F32\n")
    project.edit("verify:", "quantization: {tables: {bm1688: hand.qtable}}\nverify:")
    with pytest.raises(SourceError, match=r"^hand\.qtable:1: y_Con: no such tensor in this model$"):
        project.build(INT8)


def test_a_calibration_table_written_by_hand_wins_and_is_never_overwritten(project: Project) -> None:
    (project.data / "hand.table").write_text("x 4 -4 4\nc 1 -1 1\nr 1 0 1\ny 2 -2 2\n")
    project.edit("images: {folder: pictures/calibration}, minimum: 2", "table: hand.table")
    assert "run_calibration.py" not in project.build(INT8)
    (project.data / "hand.table").write_text("x 4 -4 4\nconv9 1 -1 1\n")
    with pytest.raises(SourceError, match=r"^hand\.table:2: conv9: no such tensor in this model$"):
        project.build(INT8)


def test_a_table_edited_in_place_stops_the_calibration(project: Project) -> None:
    at = project.open()
    calibration.calibrate(at, at.models["tiny"], "")
    table = project.root / "calibration/tiny.given.table"
    edited = table.read_text().replace(" 1.", " 2.")
    table.write_text(edited)
    at = project.open()
    assert not calibration.is_current(at, at.models["tiny"], "")
    with pytest.raises(ConfigError, match="edited by hand, so it is not overwritten"):
        calibration.calibrate(at, at.models["tiny"], "")
    assert table.read_text() == edited


def test_overlapping_image_sets_are_refused(project: Project) -> None:
    shutil.copy(project.data / "pictures/calibration/0.png", project.data / "pictures/selection/9.png")
    at = project.open()
    with pytest.raises(ConfigError, match="overlap: 0.png and 9.png are the same picture"):
        calibration.calibrate(at, at.models["tiny"], "")


def test_a_broken_config_stops_only_its_own_model(project: Project) -> None:
    (project.root / "configs/other.yaml").write_text("weights: [")
    at = project.open()
    assert list(at.models) == ["tiny"] and list(at.configs.broken) == ["other"]
    with pytest.raises(ConfigError, match="not valid YAML"):
        at.target("other.bm1684_fp32_1b")
    assert at.target("tiny.bm1684_fp32_1b").batch == 1


def test_a_name_outside_the_config_gets_the_nearest_target(project: Project) -> None:
    with pytest.raises(ConfigError) as caught:
        project.open().target("bm1688_int8_3b")
    assert "not a target in configs/tiny.yaml" in caught.value.message
    assert "bm1688_int8_" in caught.value.hint
