"""What is packed for a board, of which targets, and how near its outputs must come."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Project
from exports import export_of, make_keys

from bmzoo.errors import VerifyFailed
from bmzoo.export.archive import unpacked
from bmzoo.export.export import bounds, export_target
from bmzoo.measure.npz import arrays
from bmzoo.results.verify import verify_target
from bmzoo.system import files
from bmzoo.target import Target
from bmzoo.tasks.registry import TASKS
from bmzoo.tasks.row import Context
from bmzoo.workspace import Workspace

STEM = "tiny_int8_2b"
# Of every target; int8 adds its tables.
ALWAYS = {"README.txt", "attestation.json", "check.json", "check.py", "config.yaml", "inputs.npz", "outputs.npz"}


def members_of(archive: Path) -> dict[str, bytes]:
    return unpacked(archive.read_bytes(), archive.name)


def test_the_archive_holds_what_a_board_needs(project: Project) -> None:
    archive = export_of(project, "bm1688_int8_2b")
    assert archive == project.root / "build/export/BM1688/tiny_int8_2b.tar"
    members = members_of(archive)
    (wheel,) = (name for name in members if name.endswith(".whl"))
    papers = {f"{STEM}.bmodel", f"{STEM}.json", f"{STEM}.verify.json", "calibration.table"}
    assert members.keys() == ALWAYS | papers | {wheel}
    folder = project.root / "build/BM1688"
    assert all(members[name] == (folder / name).read_bytes() for name in papers if name.startswith(STEM))
    assert members["config.yaml"] == project.config.read_bytes()
    told = json.loads(members["check.json"])
    assert (told["target"], told["samples"]) == ("tiny bm1688_int8_2b", "2 pictures")
    assert told["asks"]["chip"] == "BM1688" and told["bound"] == {"relative": 0.0, "sqnr_db": None}
    readme = members["README.txt"].decode()
    assert wheel in readme and f"{STEM}.bmodel" in readme and "2 pictures" in readme


def test_one_of_floats_has_no_tables_and_a_bound(project: Project) -> None:
    members = members_of(export_of(project, "bm1688_fp32_2b"))
    assert "calibration.table" not in members
    told = json.loads(members["check.json"])
    assert (told["bound"], told["loose"]) == ({"relative": 0.001, "sqnr_db": None}, None)


def test_scales_and_float_layers_go_with_the_artifact(project: Project) -> None:
    project.edit("minimum: 2", "minimum: 2, equalize: true")
    table = project.config.with_name("by-hand.qtable")
    table.write_text("# op_name   quantize_mode\nr F32\n")
    project.edit("verify:", "quantization: {tables: {bm1688: by-hand.qtable}}\nverify:")
    members = members_of(export_of(project, "bm1688_int8_2b"))
    assert {"calibration.table", "channels.scales"} < members.keys()
    assert members["mixed.qtable"] == table.read_bytes()


@pytest.mark.parametrize(("pictures", "expected"), [(3, 2), (1, 1)])
def test_a_batch_of_one_is_run_for_two_pictures_where_there_are_two(
    project: Project, tmp_path: Path, pictures: int, expected: int
) -> None:
    project.edit("selection}}", f"selection, count: {pictures}}}}}")
    project.edit("batch: [1, 2]", "batch: 1")
    members = members_of(export_of(project, "bm1688_fp32_1b"))
    for name in ("inputs.npz", "outputs.npz"):
        (tmp_path / name).write_bytes(members[name])
        assert {len(array) for array in arrays(tmp_path / name).values()} == {expected}
    told = json.loads(members["check.json"])
    assert told["samples"] == f"{expected} pictures"
    seen = arrays(tmp_path / "inputs.npz")["x"]
    assert expected == 1 or not np.array_equal(seen[0], seen[1])


def verified(project: Project) -> tuple[Workspace, Target]:
    """A checkout with one target that can be exported."""
    project.edit("selection}}", "selection, count: 3}}")
    project.build("bm1688_fp32_2b")
    at = project.open()
    target = at.target("bm1688_fp32_2b")
    verify_target(at, target)
    return at, target


def test_a_batch_that_has_enough_pictures_is_not_simulated_again(project: Project) -> None:
    at, target = verified(project)
    project.toolchain.ran.clear()
    assert export_target(at, target).endswith(" MB, not signed")
    assert project.toolchain.ran == []


def test_what_is_not_verified_is_not_exported(project: Project) -> None:
    at, target = verified(project)
    told = json.loads(at.layout.verification(target).read_text())
    for change in ({"passed": False}, {"sha256": "0" * 64}):
        files.write(files.json_text({**told, **change}), at.layout.verification(target))
        with pytest.raises(VerifyFailed) as caught:
            export_target(at, target)
        assert caught.value.message == "bm1688_fp32_2b: not verified"
        assert caught.value.hint == "./doit verify:bm1688_fp32_2b"
    assert not at.layout.export(target).exists()


EXACT: dict[str, Any] = {"relative": 0.0, "sqnr_db": None}
LIMITS: dict[str, Any] = {"relative": 0.5, "sqnr_db": 20.0}


@pytest.mark.parametrize(
    ("precision", "engines", "bound", "loose"),
    [
        ("fp16", {}, LIMITS, None),
        ("int8", {}, EXACT, None),
        ("int4", {"equal": True}, EXACT, None),
        ("int8", {"floats": ["f16"]}, EXACT, LIMITS),
        ("int8", {"requantized": 1}, EXACT, LIMITS),
    ],
)
def test_integers_are_exact_and_floats_within_the_limits_of_the_verdict(
    precision: str, engines: dict[str, Any], bound: dict[str, Any], loose: dict[str, Any] | None
) -> None:
    limits = {"engines": 0.5, "engines_sqnr": 20.0}
    assert bounds(precision, {"engines": engines, "thresholds": limits}) == {"bound": bound, "loose": loose}


def test_the_task_is_by_target_after_its_verification_and_takes_the_key(project: Project) -> None:
    private, _ = make_keys(project.root)
    archive = export_of(project, "bm1688_int8_2b")
    archive.unlink()
    context = Context(project.open(), TASKS, key=private)
    (row,) = (row for row in TASKS if row.name == "export")
    tasks = {task["name"]: task for task in row.dictionaries(context)}
    task = tasks["bm1688_int8_2b"]
    assert task["task_dep"] == ["verify:bm1688_int8_2b"] and task["targets"] == [str(archive)]
    assert task["actions"][0]() is None
    assert project.report.said[-1].startswith("build/export/BM1688/tiny_int8_2b.tar: 12 files, ")
    assert project.report.said[-1].endswith(" MB, signed")
