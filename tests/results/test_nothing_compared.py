"""An artifact is not right because nothing was compared."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Project
from fake_toolchain import FakeToolchain
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from square_finder import square_finder, squares, write

from bmzoo.errors import VerifyFailed
from bmzoo.results.artifact import build_artifact
from bmzoo.results.verify import verify_target
from bmzoo.runtime.engines.simulate import write_arrays
from bmzoo.system.hashing import sha256
from bmzoo.workspace import Workspace

BLACK, ONE, OTHER = squares(), squares((2, 3)), squares((5, 1))


def use(project: Project, model: onnx.ModelProto) -> None:
    """Another network in place of the project's."""
    path = project.data / "model.onnx"
    before = sha256(path)
    onnx.save(model, str(path))
    project.edit(before, sha256(path))


@pytest.fixture
def finder(project: Project) -> Project:
    """A network that finds white squares; there is none in any of its pictures."""
    use(project, square_finder())
    project.edit("{height: 32, width: 32}", "{height: 64, width: 64, mean: [104, 117, 123]}")
    project.edit("kind: none", "kind: retinaface")
    project.edit("selection}}", "selection}, quantized: 3, floats: 3}")
    show(project, BLACK, BLACK, BLACK)
    return project


def show(project: Project, *images: NDArray[np.uint8]) -> None:
    for index, image in enumerate(images):
        write(project.data / f"pictures/selection/{index}.png", image)


@pytest.mark.parametrize(("name", "where"), [("bm1688_fp32_1b", "picture"), ("bm1688_int8_2b", "2 pictures")])
def test_a_network_that_finds_nothing_is_not_published(finder: Project, name: str, where: str) -> None:
    said = f"{name}: not published, nothing was compared: the ONNX model finds no face in the {where}$"
    with pytest.raises(VerifyFailed, match=said) as caught:
        finder.build(name)
    assert "verify.images.first" in caught.value.hint
    assert not (finder.root / "build/BM1688").exists()
    assert list((finder.root / "build/failed").iterdir())


def test_verify_on_pictures_without_a_face_is_no_verification(finder: Project) -> None:
    at = finder.open()
    said = "^nothing was compared: the ONNX model finds no face in the 3 pictures$"
    with pytest.raises(VerifyFailed, match=said):
        verify_target(at, at.target("bm1688_fp32_1b"))
    assert "drift" not in finder.toolchain.ran
    told = json.loads((finder.root / "build/BM1688/tiny_fp32_1b.verify.json").read_text())
    assert not told["passed"]


def test_pictures_without_a_face_beside_one_with_are_fine(finder: Project) -> None:
    show(finder, BLACK, ONE, OTHER)
    finder.build("bm1688_fp32_2b")
    at = finder.open()
    assert "2/2 faces, 0 extra" in verify_target(at, at.target("bm1688_fp32_1b"))


def test_a_config_may_say_that_there_is_nothing_to_find(finder: Project) -> None:
    finder.edit("floats: 3}", "floats: 3, thresholds: [{precision: fp32, faces: 0}]}")
    at = finder.open()
    assert "no face to find, 0 extra" in build_artifact(at, at.target("bm1688_fp32_1b"))
    with pytest.raises(VerifyFailed, match="nothing was compared"):
        finder.build("bm1688_int8_1b")


def test_more_faces_may_be_asked_for(finder: Project) -> None:
    show(finder, ONE)
    finder.edit("floats: 3}", "floats: 3, thresholds: [{faces: 2}]}")
    with pytest.raises(VerifyFailed, match="too little was compared: the ONNX model finds 1 faces, needed: 2"):
        finder.build("bm1688_fp32_1b")


class Spoiling(FakeToolchain):
    """An engine whose outputs are all one value: the simulator, or the MLIR's interpreter."""

    def __init__(self, engine: str, value: float) -> None:
        super().__init__()
        self.engine, self.value = engine, value

    def _run_network(self, model: Path, inputs: Path, outputs: Path, more: float = 0.0) -> None:
        super()._run_network(model, inputs, outputs, more)
        if (model.suffix == ".bmodel") == (self.engine == "simulator"):
            with np.load(outputs) as archive:
                found = {name: np.full_like(archive[name], self.value) for name in archive.files}
            write_arrays(outputs, found)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 3.0])
def test_a_simulator_that_gives_no_numbers_or_one_does_not_agree(project: Project, value: float) -> None:
    at = spoiled_project(project, "simulator", value)
    with pytest.raises(VerifyFailed, match=f"^output y: the artifact {spoiling(value)}"):
        verify_target(at, at.target("bm1688_fp32_2b"))


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 3.0])
def test_an_interpreter_that_gives_no_numbers_or_one_is_no_witness(project: Project, value: float) -> None:
    """However loose the thresholds are, the simulator is asked about every picture, and the verdict says why."""
    at = spoiled_project(project, "MLIR", value)
    target = at.target("bm1688_fp32_2b")
    assert "all on the simulator, as its MLIR misleads" in verify_target(at, target)
    (why,) = at.documents.by(at.layout.verification(target))["alone"]
    assert why.startswith(f"output y: its MLIR {spoiling(value)}")


def spoiled_project(project: Project, engine: str, value: float) -> Workspace:
    project.toolchain = Spoiling(engine, value)
    loose = "[{cosine: 0, sqnr: -100, engines: 1, engines_sqnr: -100}]"
    project.edit("selection}}", f"selection}}, thresholds: {loose}}}")
    return project.open()


def spoiling(value: float) -> str:
    return f"gives {value:g} everywhere" if np.isfinite(value) else "gives NaN or infinity"


def spoiled(model: Path, operator: str, by: float) -> onnx.ModelProto:
    """The tiny network with one operator more: `y` and a constant."""
    made = onnx.load(str(model))
    made.graph.node[-1].output[0] = "before"
    made.graph.node.append(helper.make_node(operator, ["before", "by"], ["y"]))
    made.graph.initializer.append(numpy_helper.from_array(np.array(by, np.float32), "by"))
    return made


@pytest.mark.parametrize(
    ("operator", "by", "said"),
    [
        ("Div", 0.0, "output y: the ONNX model gives NaN or infinity"),
        ("Mul", np.inf, "output y: the ONNX model gives NaN or infinity"),
        ("Mul", 0.0, "nothing was compared: the ONNX model gives one value everywhere in every output"),
        ("Pow", 0.0, "nothing was compared: the ONNX model gives one value everywhere in every output"),
    ],
)
def test_a_model_that_gives_no_numbers_or_one_is_no_reference(
    project: Project, tiny_onnx: Path, operator: str, by: float, said: str
) -> None:
    use(project, spoiled(tiny_onnx, operator, by))
    project.edit("batch: [1, 2]", "batch: 1")
    for judge in (build_artifact, verify_target):
        at = project.open()
        with pytest.raises(VerifyFailed, match=said):
            judge(at, at.target("bm1688_fp32_1b"))
