"""The real TPU-MLIR and the real chip simulator. Run by `./doit test`; bare pytest leaves these out."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Project, Silent

from bmzoo.chips import CHIPS
from bmzoo.config.options import Options
from bmzoo.errors import ToolFailed
from bmzoo.execute.toolchain import LocalToolchain, find_installation
from bmzoo.plan.selftest import selftest_step
from bmzoo.plan.step import Command
from bmzoo.results import calibration
from bmzoo.results.artifact import build_artifact, is_current
from bmzoo.system.hashing import Digests, sha256
from bmzoo.workspace import Workspace

pytestmark = pytest.mark.toolchain
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def real() -> LocalToolchain:
    installation = find_installation({})
    assert installation is not None, "start the tests with ./doit test"
    return LocalToolchain(installation, Digests(ROOT / "build" / "cache" / "digests.json"))


@pytest.fixture
def small(project: Project, real: LocalToolchain) -> Callable[[], Workspace]:
    """The small project on the real toolchain; each call opens it as a new run would."""
    return lambda: Workspace(project.root, {"BMZOO_DATA": str(project.data)}, Silent(), toolchain_override=real)


# All that these chips can; of the others INT8 or floats, in turn. `tools/chip_facts.py` tries every pair.
WHOLE = ("bm1684", "bm1684x", "bm1688", "cv186x", "cv181x", "bm1690")
OTHERS = [chip for name, chip in CHIPS.items() if name not in WHOLE]
PAIRS = [
    *((name, precision) for name in WHOLE for precision in CHIPS[name].precisions),
    *((chip.name, ("int8", chip.float_mode)[index % 2]) for index, chip in enumerate(OTHERS)),
]


@pytest.fixture(scope="module")
def every_pair(
    tmp_path_factory: pytest.TempPathFactory, tiny_onnx: Path, real: LocalToolchain
) -> Callable[[], Workspace]:
    """A small project with all of these targets, and one store: what they share is made once."""
    project = Project(tmp_path_factory.mktemp("pairs") / "checkout", tiny_onnx)
    head, _, _ = project.config.read_text().partition("targets:\n")
    entries = [
        f"  - {{chip: {chip}, precision: {precision}, batch: 2"
        f"{', unverified: true' if CHIPS[chip].unsimulated else ''}}}"
        for chip, precision in PAIRS
    ]
    project.config.write_text("\n".join([f"{head}targets:", *entries, ""]))
    return lambda: Workspace(project.root, {"BMZOO_DATA": str(project.data)}, Silent(), toolchain_override=real)


@pytest.mark.parametrize(("chip", "precision"), PAIRS)
def test_pairs_in_the_table_of_chips_compile_and_run(
    every_pair: Callable[[], Workspace], chip: str, precision: str
) -> None:
    at = every_pair()
    target = at.target(f"{chip}_{precision}_2b")
    build_artifact(at, target)
    told = json.loads(at.layout.provenance(target).read_text())
    assert told["facts"]["chip"] == chip
    assert told["facts"]["inputs"][0]["shape"] == [2, 3, 32, 32]
    assert told["facts"]["outputs"][0]["shape"] == [2, 4, 32, 32]
    assert told["verdict"]["images"] == 2
    assert told["verdict"].get("unverified", "") == CHIPS[chip].unsimulated
    assert at.layout.artifact(target).suffix == CHIPS[chip].suffix
    again = every_pair()
    assert is_current(again, again.target(str(target)))


@pytest.mark.parametrize(("chip", "mode"), [("bm1684", "F16"), ("cv181x", "F32")])
def test_what_the_table_rules_out_really_fails_with_a_cause(
    small: Callable[[], Workspace], real: LocalToolchain, tmp_path: Path, chip: str, mode: str
) -> None:
    at = small()
    steps = at.recipe(at.target("bm1684_fp32_1b"))
    entry = at.builder(at.models["tiny"]).run(steps.transform)
    for name in entry.files:
        shutil.copy(entry.path(name), tmp_path / name)
    argv = ("--mlir", "model.mlir", "--chip", chip, "--quantize", mode, "--skip_validation", "--model", "x.bmodel")
    with pytest.raises(ToolFailed, match="does not implement an operator in this precision"):
        real.run(Command("model_deploy.py", argv), tmp_path, tmp_path / "log.txt", 60)


def test_the_same_inputs_give_the_same_bytes_elsewhere(
    project: Project, real: LocalToolchain, tmp_path: Path
) -> None:
    results = []
    for place in ("here", "there"):
        root = tmp_path / place / "checkout"
        shutil.copytree(project.root / "configs", root / "configs")
        at = Workspace(root, {"BMZOO_DATA": str(project.data)}, Silent(), toolchain_override=real)
        calibration.calibrate(at, at.models["tiny"], "")
        build_artifact(at, at.target("bm1688_int8_2b"))
        table = at.layout.table("tiny", "given").read_bytes()
        results.append((table, sha256(at.layout.artifact(at.target("bm1688_int8_2b")))))
    assert results[0] == results[1]


def test_the_self_test_passes(small: Callable[[], Workspace]) -> None:
    entry = small().builder(None).run(selftest_step())
    errors = json.loads(entry.path("golden.json").read_text())
    assert 0 < errors["int8.npz"] < 0.05 and errors["float.npz"] < 1e-4


def test_a_killed_compiler_is_named(real: LocalToolchain, tmp_path: Path) -> None:
    tool = tmp_path / "model_transform.py"
    tool.write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(ToolFailed, match="killed by SIGKILL"):
        real.run(Command(str(tool)), tmp_path, tmp_path / "log.txt", 60)


def test_the_headline_target_at_full_size(data: Path, real: LocalToolchain, tmp_path: Path) -> None:
    """From the official checkpoint to a verified bm1688_int8_4b_2core, calibration included."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    at = Workspace(
        tmp_path, {"BMZOO_DATA": str(data)}, Silent(), Options(weights="official"), toolchain_override=real
    )
    target = at.target("bm1688_int8_4b_2core")
    build_artifact(at, target)
    told = json.loads(at.layout.provenance(target).read_text())
    artifact = at.layout.artifact(target)
    assert artifact == tmp_path / "build/BM1688/retinaface_mobilenet0.25_int8_4b_2core.bmodel"
    assert told["sha256"] == sha256(artifact)
    assert told["facts"]["cores"] == 2 and told["facts"]["chip"] == "bm1688"
    assert [t["shape"] for t in told["facts"]["outputs"]] == [[4, 16800, 4], [4, 16800, 2], [4, 16800, 10]]
    assert told["verdict"]["detections"]["expected"] >= 30
    assert told["steps"]["calibrate"]["toolchain"] == real.version


def test_a_clone_alone_builds_a_target(real: LocalToolchain, tmp_path: Path) -> None:
    """From the embedded weights and drawn scenes to bm1688_int8_4b_2core: no data folder, no download.

    Few scenes calibrate and no layer is searched, as here it is only asked whether it all fits together.
    """
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    shutil.copytree(ROOT / "models", tmp_path / "models")
    path = tmp_path / "configs" / "retinaface_mobilenet0.25.yaml"
    text = path.read_text()
    for old, new in (("seed: 100000, count: 100", "seed: 100000, count: 12"), ("max_float_layers: 4", "gain: 0.5")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    path.write_text(text)
    told, environ = Silent(), {"HOME": str(tmp_path), "BMZOO_OFFLINE": "1"}
    at = Workspace(tmp_path, environ, told, Options(weights="embedded"), toolchain_override=real)
    target = at.target("bm1688_int8_4b_2core")
    build_artifact(at, target)
    provenance = json.loads(at.layout.provenance(target).read_text())
    assert provenance["weights"] == "embedded" and provenance["sha256"] == sha256(at.layout.artifact(target))
    faces = provenance["verdict"]["detections"]
    assert faces["expected"] >= 20 and faces["missed"] <= 0.2 * faces["expected"]
    assert told.said == ["weights: retinaface_mobilenet0.25: embedded, judged on drawn scenes"]
