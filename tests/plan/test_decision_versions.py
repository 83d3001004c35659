"""What the algorithms of decisions come to, kept under their version: other results need another version.

Where this fails because an algorithm was changed: raise its number in `VERSIONS`, derive the committed decisions
again (./doit decisions names the commands), and put what this derives into tests/data/decisions.
"""

from pathlib import Path

import pytest
from conftest import Project

from bmzoo.execute.toolchain import LocalToolchain, find_installation
from bmzoo.plan.decisions import FLOAT_LAYERS, INT8_SETTINGS, SCALES, THRESHOLDS, VERSIONS
from bmzoo.plan.lowering import int8_target
from bmzoo.results import calibration, ladder, qtable
from bmzoo.system.hashing import Digests
from bmzoo.workspace import Workspace

GOLDEN = Path(__file__).parents[1] / "data" / "decisions"
FILES = {
    SCALES: "calibration/tiny.given.scales",
    THRESHOLDS: "calibration/tiny.given.table",
    FLOAT_LAYERS: "qtables/tiny.given.bm1688.qtable",
    INT8_SETTINGS: "calibration/tiny.given.int8",
}
SEARCH = "quantization: {images: {folder: pictures/choosing, count: 3}, search: {max_float_layers: 1, gain: 0}}"


def kept(text: str) -> str:
    """A decision's version and its content, without what it was derived from here."""
    first, _, rest = text.partition("\n")
    return f"{first}\n{rest.partition('# content: ')[2].partition(chr(10))[2]}"


def test_every_kind_has_a_version_and_a_golden_file() -> None:
    assert FILES.keys() == VERSIONS.keys()
    for kind, name in FILES.items():
        first = (GOLDEN / Path(name).name).read_text(encoding="utf-8").partition("\n")[0]
        assert first == f"# bmzoo: {kind}, version {VERSIONS[kind]}", "results were kept for another version"


@pytest.mark.toolchain
def test_the_algorithms_come_to_what_is_kept(project: Project, tmp_path: Path) -> None:
    installation = find_installation({})
    assert installation is not None, "start the tests with ./doit test"
    project.edit("minimum: 2}", "method: mse, minimum: 2, equalize: true}")
    project.edit("verify:", f"{SEARCH}\nverify:")
    (project.data / "pictures" / "selection").rename(project.data / "pictures" / "choosing")
    project.edit("pictures/selection", "pictures/choosing")
    tools = LocalToolchain(installation, Digests(tmp_path / "digests.json"))
    at = Workspace(project.root, {"BMZOO_DATA": str(project.data)}, project.report, toolchain_override=tools)
    model = at.models["tiny"]
    search = model.search(int8_target(model, "bm1688"))
    assert search is not None
    calibration.calibrate(at, model, "bm1684x")
    qtable.search_layers(at, model, "bm1688", search)
    for name in (FILES[kind] for kind in (SCALES, THRESHOLDS, FLOAT_LAYERS)):
        found = kept((project.root / name).read_text(encoding="utf-8"))
        assert found == (GOLDEN / Path(name).name).read_text(encoding="utf-8"), name


@pytest.mark.toolchain
def test_the_ladder_comes_to_what_is_kept(project: Project, tmp_path: Path) -> None:
    installation = find_installation({})
    assert installation is not None, "start the tests with ./doit test"
    project.edit("pictures/selection}", "pictures/selection, count: 2}")
    tools = LocalToolchain(installation, Digests(tmp_path / "digests.json"))
    at = Workspace(project.root, {"BMZOO_DATA": str(project.data)}, project.report, toolchain_override=tools)
    ladder.climb(at, at.configs.models["tiny"])
    name = FILES[INT8_SETTINGS]
    found = kept((project.root / name).read_text(encoding="utf-8"))
    assert found == (GOLDEN / Path(name).name).read_text(encoding="utf-8")
