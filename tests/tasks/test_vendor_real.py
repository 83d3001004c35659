"""TPU-MLIR's own search, run for real on the small network. Run by `./doit test`."""

from pathlib import Path

import pytest
from conftest import Project, Silent

from bmzoo.errors import ToolFailed
from bmzoo.execute.toolchain import SYSTEM_PATH, LocalToolchain, find_installation
from bmzoo.plan.lowering import int8_target
from bmzoo.results import qtable
from bmzoo.system.hashing import Digests
from bmzoo.workspace import Workspace

pytestmark = pytest.mark.toolchain
CACHE = Path(__file__).resolve().parents[2] / "build" / "cache" / "digests.json"
SEARCH = """\
quantization:
  images: {folder: pictures/selection, count: 3}
  search: {method: vendor_qtable, max_float_layers: 1}
"""


def opened(project: Project, path: str) -> Workspace:
    installation = find_installation({})
    assert installation is not None, "start the tests with ./doit test"
    real = LocalToolchain(installation, Digests(CACHE), path=path)
    environ = {"BMZOO_DATA": str(project.data)}
    return Workspace(project.root, environ, Silent(), toolchain_override=real)


@pytest.fixture
def searching(project: Project) -> Project:
    project.edit("targets:\n", f"{SEARCH}targets:\n")
    project.edit("chip: [bm1684, bm1688], precision: [fp32, int8], batch: [1, 2]", "chip: bm1684, precision: int8")
    return project


def test_the_installed_search_ranks_the_layers_though_dot_fails(searching: Project, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    dot = programs / "dot"
    # A program of this machine's own, which TPU-MLIR's libraries would break.
    dot.write_text(f'#!/bin/sh\n[ -z "$LD_LIBRARY_PATH" ] && touch {tmp_path}/drawn\nexit 1\n')
    dot.chmod(0o755)
    at = opened(searching, f"{programs}:{SYSTEM_PATH}")
    model = at.models["tiny"]
    search = model.search(int8_target(model, "bm1684"))
    assert search is not None
    found = qtable.search_layers(at, model, "bm1684", search)
    assert (tmp_path / "drawn").exists()
    assert [len(found.choice["layers"]), found.choice["mode"]] == [1, "F32"]
    losses = [row["loss"] for row in found.choice["rows"]]
    assert losses == sorted(losses, reverse=True) and len(losses) >= 2
    assert found.mixed["cosine"] > found.plain["cosine"] == pytest.approx(found.choice["plain"]["cosine"], abs=0.01)
    assert qtable.is_current(at, model, "bm1684", search)


def test_a_missing_dot_is_said_before_the_search_starts(searching: Project, tmp_path: Path) -> None:
    at = opened(searching, str(tmp_path))
    model = at.models["tiny"]
    search = model.search(int8_target(model, "bm1684"))
    assert search is not None
    with pytest.raises(ToolFailed, match="dot: no such program") as caught:
        qtable.search_layers(at, model, "bm1684", search)
    assert "apt-get install graphviz" in caught.value.hint
    [log] = (at.layout.build / "failed").rglob("log.txt")
    assert "run_calibration.py" not in log.read_text()
