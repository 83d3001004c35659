"""bmzoo's own thresholds in the real compiler, beside run_calibration's of the same pictures."""

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import Project

from bmzoo.execute.toolchain import LocalToolchain, find_installation
from bmzoo.plan.lowering import plain_lowering
from bmzoo.plan.shared import calibrate_step
from bmzoo.quantization.lowered_layers import lowered_layers
from bmzoo.results import calibration
from bmzoo.system.hashing import Digests
from bmzoo.workspace import Workspace


def opened(project: Project, memory: Path) -> Workspace:
    installation = find_installation({})
    assert installation is not None, "start the tests with ./doit test"
    tools = LocalToolchain(installation, Digests(memory))
    return Workspace(project.root, {"BMZOO_DATA": str(project.data)}, project.report, toolchain_override=tools)


def rows(table: str) -> dict[str, tuple[float, ...]]:
    found = re.findall(r"^([^#\s]\S*) (\S+) (\S+) (\S+)$", table, re.MULTILINE)
    return {name: tuple(map(float, numbers)) for name, *numbers in found}


@pytest.mark.toolchain
def test_the_compiler_takes_the_table_and_it_is_run_calibrations(project: Project, tmp_path: Path) -> None:
    tables = {}
    for engine in ("vendor", "bmzoo"):
        project.edit("minimum: 2", f"method: max, engine: {engine}, minimum: 2")
        at = opened(project, tmp_path / "digests.json")
        model = at.models["tiny"]
        weights = at.weights.chosen(model)
        entry = at.builder(model).run(calibrate_step(model, weights))
        tables[engine] = rows(entry.path("calibration.table").read_text(encoding="utf-8"))
        project.edit(f"method: max, engine: {engine}, minimum: 2", "minimum: 2")
    assert list(tables["bmzoo"]) == list(tables["vendor"])
    for name, row in tables["bmzoo"].items():
        np.testing.assert_allclose(row, tables["vendor"][name], rtol=5e-3, atol=1e-4, err_msg=name)
    lowered = at.builder(model).run(plain_lowering(model, "bm1688", weights)).path("lowered.mlir")
    scales = {name: layer.quant.scale for name, layer in lowered_layers(lowered.read_text()).items() if layer.quant}
    assert scales["y_Conv"] == pytest.approx(tables["bmzoo"]["y_Conv"][0] / 127, rel=1e-3)


@pytest.mark.toolchain
def test_the_task_says_how_sure_it_is(project: Project, tmp_path: Path) -> None:
    project.edit("minimum: 2", "engine: bmzoo, minimum: 2")
    at = opened(project, tmp_path / "digests.json")
    calibration.calibrate(at, at.models["tiny"], "")
    assert any(re.search(r"4 pictures.* would do", text) for text in project.report.said), project.report.said
    assert (project.root / "calibration" / "tiny.given.table").read_text().count("_Conv ") == 1


@pytest.mark.toolchain
def test_thresholds_are_moved_by_what_they_do_in_the_real_lowering(project: Project, tmp_path: Path) -> None:
    tables = {}
    for layers in (0, 4):
        project.edit("minimum: 2", f"method: aciq_gauss, tune: 0, engine: bmzoo, refine: {layers}, minimum: 2")
        at = opened(project, tmp_path / "digests.json")
        calibration.calibrate(at, at.models["tiny"], "")
        tables[layers] = rows((project.root / "calibration" / "tiny.given.table").read_text(encoding="utf-8"))
        project.edit(f"method: aciq_gauss, tune: 0, engine: bmzoo, refine: {layers}, minimum: 2", "minimum: 2")
    assert list(tables[0]) == list(tables[4])
    assert all(tables[0][name][1:] == tables[4][name][1:] for name in tables[0]), "ranges are as they were seen"
    assert any("the loss at the outputs, on 2 other pictures, is" in said for said in project.report.said)
