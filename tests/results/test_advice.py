"""What is said to who is told that an artifact is not near enough to its model."""

import onnx
import pytest
from conftest import Project
from onnx import TensorProto, helper

from bmzoo.errors import VerifyFailed
from bmzoo.system.hashing import sha256


def hint(project: Project, name: str) -> str:
    project.toolchain.noise = 0.9
    with pytest.raises(VerifyFailed, match="disagrees with the ONNX model") as caught:
        project.build(name)
    return str(caught.value.hint)


def test_int8_is_told_of_all_that_it_can_be_given(project: Project) -> None:
    said = hint(project, "bm1688_int8_1b")
    for word in ("equalize: true", "method: mse", "search: {max_float_layers: 8}", "verify: {thresholds: [...]}"):
        assert word in said, word


def test_what_the_config_says_is_not_said_again(project: Project) -> None:
    project.edit("minimum: 2}", "minimum: 2, equalize: true, method: mse}")
    said = hint(project, "bm1688_int8_1b")
    assert "equalize" not in said and "method: percentile9999" in said


def test_float_is_not_told_of_calibration(project: Project) -> None:
    said = hint(project, "bm1688_fp32_1b")
    assert "calibration" not in said and "thresholds" in said


def test_the_cut_that_the_import_offered_comes_first(project: Project) -> None:
    path = project.data / "model.onnx"
    before, model = sha256(path), onnx.load(str(path))
    last = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Sigmoid", [last], ["scores"]))
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 4, 32, 32]),
    )
    onnx.save(model, str(path))
    project.edit(before, sha256(path))
    said = hint(project, "bm1688_int8_1b")
    assert said.startswith(f'`scores` ends with a Sigmoid: `outputs: ["{last}"]`')
    project.edit("decoder:", f"outputs: {last}\ndecoder:".replace(f": {last}", f": [{last}]"))
    assert "ends with" not in hint(project, "bm1688_int8_1b")
