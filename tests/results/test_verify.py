import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Project
from fake_toolchain import FakeToolchain
from tiny_models import with_batch

from bmzoo.errors import VerifyFailed
from bmzoo.plan.step import Command
from bmzoo.plan.verify import count, family, proof, siblings
from bmzoo.results import verify as verification
from bmzoo.runtime.engines.simulate import write_arrays
from bmzoo.system.hashing import sha256
from bmzoo.system.junit import junit_xml
from bmzoo.tasks.actions.explain import explain
from bmzoo.tasks.registry import TASKS
from bmzoo.tasks.row import Context
from bmzoo.workspace import Workspace


def verify(project: Project, name: str) -> tuple[Workspace, str]:
    at = project.open()
    return at, verification.verify_target(at, at.target(name))


def told(project: Project, stem: str) -> dict[str, Any]:
    path = project.root / "build" / f"{stem}.verify.json"
    return dict(json.loads(path.read_text()))


def test_more_pictures_than_the_batch_run_through_the_mlir(project: Project) -> None:
    project.edit("selection}}", "selection}, quantized: 3}")
    at, said = verify(project, "bm1688_int8_2b")
    figures = told(project, "BM1688/tiny_int8_2b")
    assert figures["passed"] and figures["images"] == 3 and figures["simulated"] == 2
    assert figures["engines"] == {
        "equal": True,
        "max_error": {"y": 0.0},
        "relative": 0.0,
        "sqnr_db": None,
    }
    assert list(figures["consistency"]) == ["bm1688_int8_1b"]
    assert said.startswith("3 pictures: ") and "equal to its MLIR" in said and "equal to bm1688_int8_1b" in said
    assert verification.is_current(at, at.target("bm1688_int8_2b"))
    assert project.open().toolchain_override is project.toolchain
    again, _ = verify(project, "bm1688_int8_2b")
    assert project.toolchain.ran == [] and verification.is_current(again, again.target("bm1688_int8_2b"))


def test_a_model_of_one_picture_at_a_time_is_verified_on_many(project: Project) -> None:
    free = project.data / "model.onnx"
    before = sha256(free)
    free.write_bytes(with_batch(free, 1))
    project.edit(before, sha256(free))
    project.edit("batch: [1, 2]", "batch: 1")
    project.edit("selection}}", "selection}, quantized: 3, floats: 3}")
    for name in ("bm1688_int8_1b", "bm1684_fp32_1b"):
        _, said = verify(project, name)
        assert said.startswith("3 pictures: cosine 1.00000, exact")


def test_a_batch_that_is_not_the_models_is_freed(project: Project) -> None:
    """A session would run it in rounds. A compiler would not."""
    free = project.data / "model.onnx"
    before = sha256(free)
    free.write_bytes(with_batch(free, 1))
    project.edit(before, sha256(free))
    project.build("bm1688_int8_2b")


def test_an_mlir_that_is_not_the_simulators_equal_does_not_count(project: Project) -> None:
    project.edit("selection}}", "selection}, quantized: 3}")
    project.toolchain.gap = 0.01
    with pytest.raises(VerifyFailed, match="simulator and MLIR differ by"):
        verify(project, "bm1688_int8_2b")


def test_a_bound_on_the_noise_between_simulator_and_mlir(project: Project) -> None:
    rule = "thresholds: [{precision: int8, engines: 1, engines_sqnr: 30, cosine: 0, sqnr: -20}]"
    project.edit("selection}}", f"selection}}, quantized: 3, {rule}}}")
    project.toolchain.gap = 0.01
    _, said = verify(project, "bm1688_int8_2b")
    noise = told(project, "BM1688/tiny_int8_2b")["engines"]["sqnr_db"]
    assert 30 < noise < 60 and f"{noise:.0f} dB from its MLIR" in said
    project.edit("engines_sqnr: 30", "engines_sqnr: 60")
    with pytest.raises(VerifyFailed, match=r"simulator and MLIR differ by an SQNR of .* dB, allowed: 60 dB"):
        verify(project, "bm1688_int8_2b")


def test_a_miss_names_the_first_layer_and_writes_its_figures(project: Project) -> None:
    project.edit("selection}}", "selection}, floats: 3, thresholds: [{precision: fp32, cosine: 0.1, sqnr: -20}]}")
    project.toolchain.noise = 1.0
    verify(project, "bm1688_fp32_2b")
    project.edit("cosine: 0.1, sqnr: -20", "cosine: 0.9, sqnr: -20")
    with pytest.raises(VerifyFailed, match="y: cosine .* is below 0.9") as caught:
        verify(project, "bm1688_fp32_2b")
    assert "the first layer that goes wrong is r (SQNR 1.0 dB)" in caught.value.hint
    figures = told(project, "BM1688/tiny_fp32_2b")
    assert not figures["passed"] and figures["drift"]["layer"] == "r"
    at = project.open()
    assert not verification.is_current(at, at.target("bm1688_fp32_2b"))


def test_one_lowering_serves_batches_cores_and_chips_with_one_quantizer(project: Project) -> None:
    project.edit("chip: [bm1684, bm1688]", "chip: [bm1684, bm1684x, bm1688]")
    at = project.open()
    model = at.models["tiny"]
    weights = at.weights.chosen(model)
    lowered = {str(t): proof(model, t, weights).lower for t in model.targets}
    assert lowered["bm1688_int8_1b"] == lowered["bm1688_int8_2b"] == lowered["bm1684x_int8_2b"]
    assert lowered["bm1684_int8_1b"] != lowered["bm1684x_int8_1b"]
    assert lowered["bm1688_fp32_1b"] != lowered["bm1684x_fp32_1b"]
    assert [str(t) for t in siblings(model, at.target("bm1684_fp32_2b"))] == ["bm1684_fp32_1b"]
    assert count(model, at.target("bm1684_fp32_1b")) == 2 and count(model, at.target("bm1684_int8_1b")) == 8


def test_a_hand_written_table_for_one_chip_has_a_lowering_of_its_own(project: Project) -> None:
    (project.data / "hand.qtable").write_text("y F32\n")
    project.edit("chip: [bm1684, bm1688]", "chip: [bm1684x, bm1688]")
    project.edit("verify:", "quantization: {tables: {bm1688: hand.qtable}}\nverify:")
    at = project.open()
    model = at.models["tiny"]
    assert str(family(model, at.target("bm1688_int8_2b"))) == "bm1688_int8_1b"
    assert str(family(model, at.target("bm1684x_int8_2b"))) == "bm1684x_int8_1b"


def test_junit_counts_failures_and_keeps_their_text() -> None:
    root = ET.fromstring(junit_xml("verify", {"verify:a": None, "verify:b": "off by 3 < 4 & more\nhint: look"}))
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    good, bad = root
    assert good.get("name") == "verify:a" and len(good) == 0
    assert bad[0].get("message") == "off by 3 < 4 & more" and "hint: look" in (bad[0].text or "")


class Longer(FakeToolchain):
    """Another compiler, whose bmodels have other bytes and give the same outputs."""

    def _model_deploy(self, folder: Path, command: Command) -> None:
        super()._model_deploy(folder, command)
        for bmodel in folder.glob("*.bmodel"):
            bmodel.write_bytes(bmodel.read_bytes().replace(b"\0ONNX", b" other\0ONNX", 1))


def test_a_verification_is_of_the_bytes_that_are_published(project: Project) -> None:
    name = "bm1684_fp32_1b"
    project.build(name)
    verify(project, name)
    first = told(project, "BM1684/tiny_fp32_1b")
    project.toolchain = Longer("fake 2")
    project.build(name)
    at = project.open()
    assert not verification.is_current(at, at.target(name))
    verify(project, name)
    second = told(project, "BM1684/tiny_fp32_1b")
    assert second["sha256"] != first["sha256"] and second["fingerprint"] == first["fingerprint"]
    at = project.open()
    assert verification.is_current(at, at.target(name))
    assert "BM1684/tiny_fp32_1b" not in explain(Context(at, TASKS), [f"verify:{name}"])
    path = at.layout.verification(at.target(name))
    path.write_text(path.read_text().replace(str(second["sha256"]), str(first["sha256"])))
    at = project.open()
    assert not verification.is_current(at, at.target(name))
    assert "tiny_fp32_1b.verify.json: of an artifact of other bytes" in explain(
        Context(at, TASKS), [f"verify:{name}"]
    )


class OtherArtifact(FakeToolchain):
    """A chip that is not as near to ONNX as its MLIR is."""

    def _simulate(self, folder: Path, command: Command) -> None:
        self.noise, noise = self.chip_noise, self.noise
        super()._simulate(folder, command)
        self.noise = noise

    chip_noise = 0.0


def misled(project: Project, gap: float, chip_noise: float = 0.0) -> None:
    """An interpreter whose outputs are off by `gap`."""
    project.edit("selection}}", "selection}, quantized: 3}")
    project.toolchain = OtherArtifact()
    project.toolchain.gap, project.toolchain.chip_noise = gap, chip_noise


def test_where_the_interpreter_is_wrong_and_the_simulator_right_all_pictures_run_on_the_simulator(
    project: Project,
) -> None:
    misled(project, gap=1.0)
    at, said = verify(project, "bm1688_int8_1b")
    assert said.startswith("3 pictures: cosine 1.00000, exact") and "all on the simulator" in said
    figures = told(project, "BM1688/tiny_int8_1b")
    assert figures["passed"] and figures["images"] == figures["simulated"] == 3
    assert any("SQNR" in line or "cosine" in line for line in figures["alone"]) and "apart" not in figures
    assert project.toolchain.ran.count("simulate") == 2
    assert verification.is_current(at, at.target("bm1688_int8_1b"))
    verify(project, "bm1688_int8_1b")
    assert "simulate" not in project.toolchain.ran, "what ran is kept"


class Broken(OtherArtifact):
    """An interpreter whose outputs compare with nothing."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def _infer(self, folder: Path, command: Command) -> None:
        super()._infer(folder, command)
        outputs = folder / command.args[-1]
        with np.load(outputs) as archive:
            found = {name: np.full_like(head, self.value) for name, head in archive.items()}
        write_arrays(outputs, found)


@pytest.mark.parametrize(("value", "said"), [(np.nan, "gives NaN or infinity"), (0.5, "gives 0.5 everywhere")])
def test_an_interpreter_that_gives_nothing_is_wrong_too(project: Project, value: float, said: str) -> None:
    misled(project, gap=0.0)
    project.toolchain = Broken(value)
    _, line = verify(project, "bm1688_int8_1b")
    assert line.startswith("3 pictures: ") and "all on the simulator" in line
    (why,) = told(project, "BM1688/tiny_int8_1b")["alone"]
    assert said in why and "its MLIR" in why


def test_where_both_give_nothing_the_verdict_says_both(project: Project) -> None:
    misled(project, gap=0.0)
    project.toolchain = Broken(np.nan)
    project.toolchain.chip_noise = 2.0
    with pytest.raises(VerifyFailed, match=r"y: cosine .* is below .*its MLIR gives NaN or infinity"):
        verify(project, "bm1688_int8_1b")
    assert told(project, "BM1688/tiny_int8_1b")["images"] == 1, "the pictures that the simulator saw"


def test_only_whole_batches_run_on_the_simulator(project: Project) -> None:
    misled(project, gap=1.0)
    _, said = verify(project, "bm1688_int8_2b")
    assert said.startswith("2 pictures: ") and told(project, "BM1688/tiny_int8_2b")["simulated"] == 2
    assert project.toolchain.ran.count("simulate") == 2, "its own batch, and that of its sibling"


def test_the_verdict_is_the_simulators_on_all_pictures(project: Project) -> None:
    """Right on the first, wrong on those that only the second run sees."""
    misled(project, gap=1.0)

    class WrongLater(OtherArtifact):
        def _simulate(self, folder: Path, command: Command) -> None:
            super()._simulate(folder, command)
            with np.load(folder / "outputs.npz") as archive:
                found = {name: np.concatenate([head[:1], -head[1:]]) for name, head in archive.items()}
            write_arrays(folder / "outputs.npz", found)

    project.toolchain = WrongLater()
    project.toolchain.gap = 1.0
    with pytest.raises(VerifyFailed, match="y: cosine -1.0 is below"):
        verify(project, "bm1688_int8_1b")
    figures = told(project, "BM1688/tiny_int8_1b")
    assert not figures["passed"] and figures["drift"]["why"] == verification.NO_WITNESS
    at = project.open()
    assert not verification.is_current(at, at.target("bm1688_int8_1b"))


def test_an_artifact_that_is_wrong_itself_has_no_way_out(project: Project) -> None:
    misled(project, gap=1.0, chip_noise=2.0)
    with pytest.raises(VerifyFailed, match=r"y: cosine .* is below .*simulator and MLIR differ by"):
        verify(project, "bm1688_int8_1b")
    assert "alone" not in told(project, "BM1688/tiny_int8_1b")


def test_two_engines_that_both_agree_with_onnx_must_agree_with_each_other(project: Project) -> None:
    misled(project, gap=0.01)
    with pytest.raises(VerifyFailed, match="simulator and MLIR differ by"):
        verify(project, "bm1688_int8_1b")
    assert project.toolchain.ran.count("simulate") == 1


def test_a_comparison_whose_mlir_misleads_is_not_enough(project: Project) -> None:
    misled(project, gap=1.0)
    at = project.open()
    target = at.target("bm1688_int8_1b")
    model = at.model(target)
    steps = proof(model, target, at.weights.chosen(model))
    deploy, entry = (at.builder(model).run(step) for step in (steps.build.deploy, steps.compare))
    assert verification.outdated(at, target, deploy, entry) == verification.NOT_ALONE
    assert not verification.is_current(at, target)
    verification.verify_target(at, target)
    assert verification.outdated(at, target, deploy, entry) == ""
